"""A server over Starlette's WebSockets, run by uvicorn.

Run it, and stop it with SIGTERM or Ctrl+C:

    TACHIKOMA_TOKEN=… python examples/starlette_server.py --port 8765
"""

import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import uvicorn
from shared import MAX_FRAME, Options, make_server, read_options
from starlette.applications import Starlette
from starlette.routing import WebSocketRoute
from starlette.websockets import WebSocket, WebSocketState

import tachikoma_proto as tp


class StarletteTransport:
    """Carries the frames of one connection.

    Args:
        websocket: The connection, accepted.
    """

    def __init__(self, websocket: WebSocket) -> None:
        self._websocket = websocket

    async def send(self, text: str, /) -> None:
        """Send a text frame."""
        await self._websocket.send_text(text)

    async def __aiter__(self) -> AsyncIterator[str | bytes]:
        """Go through the frames that come."""
        while (message := await self._websocket.receive())["type"] == "websocket.receive":
            text = message.get("text")
            yield message["bytes"] if text is None else text

    async def close(self, code: int = 1000, reason: str = "") -> None:
        """Close the connection, unless either side has done so."""
        states = (self._websocket.client_state, self._websocket.application_state)
        if WebSocketState.DISCONNECTED not in states:
            await self._websocket.close(code, reason)


class OrderlyUvicorn(uvicorn.Server):
    """uvicorn that closes the sessions first.

    By itself it closes every WebSocket with 1012 and only then tells the application, when
    nothing can be answered any more.

    Args:
        config: What uvicorn runs.
        server: Serves the connections.
    """

    def __init__(self, config: uvicorn.Config, server: tp.Server) -> None:
        super().__init__(config)
        self._server = server

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Close the sessions with 1001, then everything else."""
        await self._server.close()
        await super().shutdown(sockets)


def make_app(server: tp.Server, options: Options) -> Starlette:
    """Make an application whose only path is the WebSocket.

    Args:
        server: Serves the connections.
        options: Which origins may connect.
    """

    async def accept(websocket: WebSocket) -> None:
        if not options.is_welcome(websocket.headers.get("origin")):
            await websocket.close()  # before it is accepted, this is HTTP's 403
            return
        await websocket.accept()
        await server.handle(StarletteTransport(websocket))

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        # Enough for an ASGI server that leaves WebSockets alone until the application is done.
        async with server:
            yield

    return Starlette(routes=[WebSocketRoute("/", accept)], lifespan=lifespan)


def main() -> None:
    """Serve until a signal comes."""
    options = read_options(__doc__)
    server = make_server(options.token)
    config = uvicorn.Config(
        make_app(server, options),
        log_level="info",  # at debug, frames are logged, and so tokens
        ws_max_size=MAX_FRAME,
        ws_per_message_deflate=False,
        ws_ping_interval=None,  # the session has its own
    )
    OrderlyUvicorn(config, server).run(sockets=[options.listen()])


if __name__ == "__main__":
    main()
