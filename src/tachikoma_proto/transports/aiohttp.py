"""Transport over the WebSockets of aiohttp.

::

    app = web.Application()
    setup(app, server, path="/ws")
    web.run_app(app)
"""

from collections.abc import AsyncIterator, Awaitable, Callable

from aiohttp import WSMsgType, web

from tachikoma_proto.transports.transport import (
    ConnectionRequest,
    Handler,
    Origins,
    is_origin_allowed,
    make_request,
)

_MAX_SIZE = 1024 * 1024


class AiohttpTransport:
    """A WebSocket of aiohttp.

    Args:
        websocket: The connection, open.
        request: Its handshake.

    Attributes:
        request: Its handshake.
        close_reason: The reason with which the peer closed the connection, if it did.
    """

    def __init__(self, websocket: web.WebSocketResponse, request: web.Request) -> None:
        self.request = _request(request)
        self.close_reason = ""
        self._websocket = websocket
        self._transport = request.transport

    @property
    def close_code(self) -> int | None:
        """How the connection was closed, if it was."""
        return self._websocket.close_code

    async def send(self, text: str, /) -> None:
        """Send a text frame."""
        await self._websocket.send_str(text)

    async def __aiter__(self) -> AsyncIterator[str | bytes]:
        """Iterate over the frames that arrive."""
        while True:
            message = await self._websocket.receive()
            if message.type in (WSMsgType.TEXT, WSMsgType.BINARY):
                yield message.data
                continue
            if message.type is WSMsgType.CLOSE:
                self.close_reason = message.extra or ""
            return

    async def close(self, code: int = 1000, reason: str = "") -> None:
        """Close the connection; aiohttp does nothing if it is closed already."""
        await self._websocket.close(code=code, message=reason.encode())

    def abort(self) -> None:
        """Close the connection at once."""
        if self._transport is not None:
            self._transport.abort()


def handler(
    server: Handler, *, origins: Origins | None = None, max_size: int = _MAX_SIZE
) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    """Return a request handler that gives its connections to a server.

    Args:
        server: Serves the connections.
        origins: The origins whose pages may connect, as for ``serve``.
        max_size: How many bytes a frame may have.
    """

    async def accept(request: web.Request) -> web.StreamResponse:
        if not is_origin_allowed(_request(request), origins):
            raise web.HTTPForbidden(text="origin not allowed")
        websocket = web.WebSocketResponse(max_msg_size=max_size, compress=False)
        await websocket.prepare(request)
        await server.handle(AiohttpTransport(websocket, request))
        return websocket

    return accept


def setup(
    app: web.Application,
    server: Handler,
    *,
    path: str = "/ws",
    origins: Origins | None = None,
    max_size: int = _MAX_SIZE,
) -> None:
    """Add a server to an application: its route, and its closing.

    Args:
        app: The application.
        server: Serves the connections.
        path: The path of the route.
        origins: The origins whose pages may connect, as for ``serve``.
        max_size: How many bytes a frame may have.
    """

    async def close(_: web.Application) -> None:
        await server.close()

    app.router.add_get(path, handler(server, origins=origins, max_size=max_size))
    # on_shutdown is sent before aiohttp ends the connections, on_cleanup is sent after.
    app.on_shutdown.append(close)


def _request(request: web.Request) -> ConnectionRequest:
    peername = request.transport.get_extra_info("peername") if request.transport else None
    return make_request(request.path_qs, list(request.headers.items()), peername)
