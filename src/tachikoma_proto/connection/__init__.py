"""Connections: the asyncio driver of a session on a transport, and captures of what passed.

Nothing is imported here, so that tools can read captures without asyncio.
"""
