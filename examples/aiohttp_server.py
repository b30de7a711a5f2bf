"""A server over aiohttp's WebSockets.

Run it, and stop it with SIGTERM or Ctrl+C:

    TACHIKOMA_TOKEN=… python examples/aiohttp_server.py --port 8765
"""

from collections.abc import AsyncIterator

from aiohttp import WSMsgType, web
from shared import CONFIG, MAX_FRAME, Options, make_server, read_options

import tachikoma_proto as tp


class AiohttpTransport:
    """Carries the frames of one connection.

    Args:
        websocket: The connection, open.
    """

    def __init__(self, websocket: web.WebSocketResponse) -> None:
        self._websocket = websocket

    async def send(self, text: str, /) -> None:
        """Send a text frame."""
        await self._websocket.send_str(text)

    async def __aiter__(self) -> AsyncIterator[str | bytes]:
        """Go through the frames that come."""
        async for message in self._websocket:
            if message.type in (WSMsgType.TEXT, WSMsgType.BINARY):
                yield message.data

    async def close(self, code: int = 1000, reason: str = "") -> None:
        """Close the connection; aiohttp does nothing if it is closed already."""
        await self._websocket.close(code=code, message=reason.encode())


def make_app(server: tp.Server, options: Options) -> web.Application:
    """Make an application whose only path is the WebSocket.

    Args:
        server: Serves the connections.
        options: Which origins may connect.
    """

    async def accept(request: web.Request) -> web.StreamResponse:
        if not options.is_welcome(request.headers.get("Origin")):
            raise web.HTTPForbidden(text="origin not allowed")
        websocket = web.WebSocketResponse(
            max_msg_size=MAX_FRAME, compress=False, timeout=CONFIG.close_timeout
        )
        await websocket.prepare(request)
        await server.handle(AiohttpTransport(websocket))
        return websocket

    async def shut_down(_: web.Application) -> None:
        await server.close()

    app = web.Application()
    app.router.add_get("/", accept)
    # on_shutdown is sent before aiohttp ends the connections, on_cleanup is sent after.
    app.on_shutdown.append(shut_down)
    return app


def main() -> None:
    """Serve until a signal comes."""
    options = read_options(__doc__)
    app = make_app(make_server(options.token), options)
    web.run_app(app, sock=options.listen(), print=None)


if __name__ == "__main__":
    main()
