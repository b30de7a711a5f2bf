"""The wire: what frames are made of.

Strict JSON text becomes builtins here; JSON paths, UUIDs and times are read and written. Nothing in
this room knows what a message is.
"""
