"""``Dashboard``: serves the page, and what the page asks for.

Rules:

* ``websockets`` serves the few files as well as the WebSocket: they are answers to handshakes that
  are none. It takes GET alone, and closes each connection after its answer.
* The server is connected to before the page's WebSocket is accepted. So the page sees a failure as
  a failure to connect, and asks for the reason, which a browser does not tell.
* The page may load, run and connect to nothing but this origin, and may be framed by nobody.
"""

import asyncio
import json
from collections.abc import Callable, Iterable
from http import HTTPStatus
from importlib import resources
from pathlib import PurePath
from types import TracebackType
from typing import Final, Self

from websockets.asyncio.client import ClientConnection
from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.datastructures import Headers
from websockets.http11 import Request, Response
from websockets.typing import Subprotocol

from tachikoma_proto.dashboard.access import SUBPROTOCOL, Access, is_our_host, is_our_page
from tachikoma_proto.dashboard.relay import CLOSE_TIMEOUT, OpenServer, UnreachableError, relay
from tachikoma_proto.transports.transport import quiet_logger

HOST: Final = "127.0.0.1"

_KINDS: Final = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
    ".txt": "text/plain; charset=utf-8",
}
"""The kinds of files; those that the system knows differ."""

_POLICY: Final = {
    "default-src": "'none'",
    "base-uri": "'none'",
    "connect-src": "'self' ws://{host}",  # 'self' is no WebSocket to every browser
    "form-action": "'none'",
    "frame-ancestors": "'none'",
    "img-src": "'self'",
    "require-trusted-types-for": "'script'",
    "script-src": "'self'",
    "style-src": "'self'",
    "trusted-types": "'none'",
}

_HEADERS: Final = {
    "Cache-Control": "no-store",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}


class Dashboard:
    """Serves the page while its block runs.

    Args:
        open_server: Opens a connection to the server, authenticated.
        place: Where the server is, as the page may show it.
        topics: What the page subscribes to.
        port: The port; 0 takes a free one.
        max_size: How many bytes a frame may have.
        on_opened: Is called when the page was opened: there is a new address from then on.

    Example::

        async with Dashboard(open_server, place="ws://localhost:8765", topics=["missions"]) as page:
            print(page.address)
            await stopped.wait()
    """

    def __init__(
        self,
        open_server: OpenServer,
        *,
        place: str,
        topics: Iterable[str],
        port: int = 0,
        max_size: int = 2**20,
        on_opened: Callable[[], object] = lambda: None,
    ) -> None:
        self._open_server = open_server
        self._about = {"server": place, "topics": list(topics)}
        self._port = port
        self._max_size = max_size
        self._on_opened = on_opened
        self._failure: str | None = None
        self._access = Access()
        self._files = _read_files()
        self._servers: dict[ServerConnection, ClientConnection] = {}
        self._closing: set[asyncio.Task[None]] = set()
        self._listener: Server | None = None

    async def __aenter__(self) -> Self:
        """Listen.

        Raises:
            OSError: The port cannot be had.
        """
        self._listener = await serve(
            self._relay,
            HOST,
            self._port,
            process_request=self._process_request,
            select_subprotocol=lambda *_: Subprotocol(SUBPROTOCOL),
            compression=None,
            max_size=self._max_size,
            ping_interval=None,  # the server's own keepalive passes through
            open_timeout=30.0,
            close_timeout=CLOSE_TIMEOUT,
            logger=quiet_logger("websockets"),
            server_header=None,
        )
        self._port = next(iter(self._listener.sockets)).getsockname()[1]
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        assert self._listener is not None
        self._listener.close()
        await self._listener.wait_closed()
        await asyncio.gather(*self._closing)

    @property
    def address(self) -> str:
        """Where the page is, with a secret that can be used once."""
        return f"http://{HOST}:{self._port}/#{self._access.secret}"

    async def _process_request(
        self, connection: ServerConnection, request: Request
    ) -> Response | None:
        """Answer a request; None lets it become a WebSocket."""
        # A header that is there twice is none that is accepted.
        sent = request.headers
        headers = {name.lower(): ", ".join(sent.get_all(name)) for name in sent}
        if not is_our_host(headers, self._port):
            return _refusal(HTTPStatus.MISDIRECTED_REQUEST, "this host is not served here")
        path = request.path.partition("?")[0]
        if path in self._files:
            kind, content = self._files[path]
            return _response(HTTPStatus.OK, content, kind, host=headers["host"])
        authorization = headers.get("authorization", "")
        if not is_our_page(headers, opens_socket=path == "/socket"):
            return _refusal(HTTPStatus.FORBIDDEN, "only for the page that is served here")
        match path:
            case "/session":
                return self._start_session(authorization)
            case "/about" if self._access.has_key(authorization):
                return _json({**self._about, "failure": self._failure})
            case "/socket" if self._access.offers_key(headers.get("sec-websocket-protocol", "")):
                return await self._open(connection)
            case "/about" | "/socket":
                return _refusal(HTTPStatus.UNAUTHORIZED, "no key, or an old one")
            case _:
                return _refusal(HTTPStatus.NOT_FOUND, "not found")

    def _start_session(self, authorization: str) -> Response:
        key = self._access.exchange(authorization)
        if key is None:
            return _refusal(HTTPStatus.UNAUTHORIZED, "no secret, or one that was used")
        self._on_opened()
        return _json({"key": key})

    async def _open(self, page: ServerConnection) -> Response | None:
        """Connect to the server for a connection of the page."""
        try:
            server = await self._open_server()
        except UnreachableError as error:
            self._failure = str(error)
            return _refusal(HTTPStatus.BAD_GATEWAY, str(error))
        self._failure = None
        self._servers[page] = server
        closing = asyncio.create_task(self._close_with(page, server))
        self._closing.add(closing)
        closing.add_done_callback(self._closing.discard)
        return None

    async def _close_with(self, page: ServerConnection, server: ClientConnection) -> None:
        """Close the connection to the server when that of the page has ended, however it did."""
        await page.wait_closed()
        del self._servers[page]
        await server.close()

    async def _relay(self, page: ServerConnection) -> None:
        server = self._servers.get(page)
        if server is not None:  # unless the page left while its WebSocket was accepted
            await relay(page, server)


def _read_files() -> dict[str, tuple[str, bytes]]:
    """Return the kind and content of each file of the page, by its path."""
    files = {
        f"/{file.name}": (_KINDS[PurePath(file.name).suffix], file.read_bytes())
        for file in resources.files("tachikoma_proto.dashboard").joinpath("page").iterdir()
    }
    return {"/": files["/index.html"], **files}


def _json(value: object) -> Response:
    return _response(HTTPStatus.OK, json.dumps(value).encode(), "application/json")


def _refusal(status: HTTPStatus, text: str) -> Response:
    return _response(status, f"{text}\n".encode(), "text/plain; charset=utf-8")


def _response(status: HTTPStatus, content: bytes, kind: str, host: str = "") -> Response:
    policy = "; ".join(f"{name} {value}" for name, value in _POLICY.items())
    headers = Headers(
        {
            **_HEADERS,
            "Connection": "close",
            "Content-Length": str(len(content)),
            "Content-Security-Policy": policy.replace("{host}", host),
            "Content-Type": kind,
        }
    )
    return Response(status.value, status.phrase, headers, content)
