"""``websockets`` and ``picows`` alone: what the transport costs, and no work."""

import asyncio
import socket

from picows import WSFrame, WSListener, WSMsgType, WSTransport, ws_create_server
from websockets.asyncio.server import ServerConnection, serve as serve_websockets


async def serve(listening: socket.socket) -> None:
    """Serve a listening socket for good."""
    async with serve_websockets(_echo, sock=listening, compression=None):
        await asyncio.get_running_loop().create_future()


async def _echo(connection: ServerConnection) -> None:
    async for frame in connection:
        await connection.send(frame)


class _EchoListener(WSListener):
    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        if frame.msg_type is WSMsgType.CLOSE:
            transport.send_close()
            transport.disconnect()
        else:
            transport.send(frame.msg_type, frame.get_payload_as_bytes())


async def serve_picows(listening: socket.socket) -> None:
    """Serve a listening socket for good."""
    server = await ws_create_server(lambda _: _EchoListener(), sock=listening)
    await server.serve_forever()
