"""``websockets`` alone: what the transport costs, and no work."""

import asyncio
import socket

from websockets.asyncio.server import ServerConnection, serve as serve_websockets


async def serve(listening: socket.socket) -> None:
    """Serve a listening socket for good."""
    async with serve_websockets(_echo, sock=listening, compression=None):
        await asyncio.get_running_loop().create_future()


async def _echo(connection: ServerConnection) -> None:
    async for frame in connection:
        await connection.send(frame)
