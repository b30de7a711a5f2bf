"""Transport over the WebSockets of Starlette and FastAPI, on any ASGI server.

::

    app = FastAPI(lifespan=lifespan(server))
    app.add_api_websocket_route("/ws", endpoint(server))

ASGI has no way to close a socket at once, and an ASGI server may close all WebSockets before it
tells the application that it ends. Where it can be helped it is: see ``StarletteTransport.abort``
and ``lifespan``.
"""

import asyncio
import logging
import os
import signal
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from typing import Any, Final

from starlette.websockets import WebSocket, WebSocketState

from tachikoma_proto.transports.transport import (
    ConnectionRequest,
    Handler,
    Origins,
    is_origin_allowed,
    make_request,
)

log = logging.getLogger("tachikoma_proto.server")

_MAX_WRAPPERS: Final = 20
"""Through how many wrappers of ``send`` the ASGI server's own is looked for."""


class StarletteTransport:
    """A WebSocket of Starlette.

    Args:
        websocket: The connection, accepted.

    Attributes:
        close_code: The code with which the peer closed the connection, if it did.
        close_reason: Its reason.
    """

    def __init__(self, websocket: WebSocket) -> None:
        self.close_code: int | None = None
        self.close_reason = ""
        self._websocket = websocket

    @property
    def request(self) -> ConnectionRequest:
        """The handshake."""
        return _request(self._websocket)

    async def send(self, text: str, /) -> None:
        """Send a text frame."""
        await self._websocket.send_text(text)

    async def __aiter__(self) -> AsyncIterator[str | bytes]:
        """Iterate over the frames that arrive."""
        while (message := await self._websocket.receive())["type"] == "websocket.receive":
            text = message.get("text")
            yield message["bytes"] if text is None else text
        self.close_code = message.get("code") or 1005
        self.close_reason = message.get("reason") or ""

    async def close(self, code: int = 1000, reason: str = "") -> None:
        """Close the connection, unless either side has done so, and wait until the peer has."""
        websocket = self._websocket
        states = (websocket.client_state, websocket.application_state)
        if WebSocketState.DISCONNECTED not in states:
            await websocket.close(code, reason)
            while websocket.client_state is not WebSocketState.DISCONNECTED:
                await websocket.receive()

    def abort(self) -> None:
        """Close the connection at once, where the ASGI server lets itself be found.

        uvicorn's ``send`` is a method of its protocol, which has the socket's transport. With
        other servers nothing happens: they close the socket when they see fit.
        """
        transport = _find_socket_transport(self._websocket._send)
        if transport is not None:
            transport.abort()


def endpoint(
    server: Handler, *, origins: Origins | None = None
) -> Callable[[WebSocket], Awaitable[None]]:
    """Return the endpoint of a WebSocket route that gives its connections to a server.

    Args:
        server: Serves the connections.
        origins: The origins whose pages may connect, as for ``serve``.

    Example::

        app = Starlette(routes=[WebSocketRoute("/ws", endpoint(server))], lifespan=lifespan(server))
    """

    async def accept(websocket: WebSocket) -> None:
        if not is_origin_allowed(_request(websocket), origins):
            await websocket.close()  # before it is accepted, this is HTTP's 403
            return
        await websocket.accept()
        await server.handle(StarletteTransport(websocket))

    return accept


def lifespan(
    server: Handler, *, handle_signals: bool = True
) -> Callable[[Any], AbstractAsyncContextManager[None]]:
    """Return a lifespan for an application that closes a server in order at the end.

    uvicorn closes every WebSocket by itself before it ends the lifespan, so that nothing can be
    answered any more then. So SIGTERM and SIGINT close the server first, and are passed on when
    it has closed. A second signal is passed on at once.

    Args:
        server: Is closed at the end.
        handle_signals: Whether signals close it. They can only in the main thread.

    Example::

        app = FastAPI(lifespan=lifespan(server))
    """

    @asynccontextmanager
    async def manage(_: Any) -> AsyncIterator[None]:
        with _close_first(server) if handle_signals else _nothing():
            try:
                yield
            finally:
                await server.close()

    return manage


@contextmanager
def _nothing() -> Iterator[None]:
    yield


@contextmanager
def _close_first(server: Handler) -> Iterator[None]:
    """Let signals close a server before they reach whoever handles them."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    loop = asyncio.get_running_loop()
    before: dict[int, Any] = {}
    tasks: set[asyncio.Task[None]] = set()

    async def close_and_pass_on(number: int) -> None:
        try:
            await server.close()
        finally:
            pass_on(number)

    def pass_on(number: int) -> None:
        handler = before[number]
        if callable(handler):
            handler(number, None)
        else:
            signal.signal(number, handler or signal.SIG_DFL)
            os.kill(os.getpid(), number)

    def start(number: int) -> None:
        task = loop.create_task(close_and_pass_on(number))
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    def on_signal(number: int, _: object) -> None:
        if tasks:
            pass_on(number)
        else:
            log.info("told to end: closing the connections")
            loop.call_soon_threadsafe(start, number)

    for number in (signal.SIGTERM, signal.SIGINT):
        before[number] = signal.signal(number, on_signal)
    try:
        yield
    finally:
        for signal_number, handler in before.items():
            if signal.getsignal(signal_number) is on_signal:
                signal.signal(signal_number, handler)


def _request(websocket: WebSocket) -> ConnectionRequest:
    url = websocket.url
    target = f"{url.path}?{url.query}" if url.query else url.path
    return make_request(target, websocket.headers.items(), websocket.client)


def _find_socket_transport(send: Any) -> asyncio.Transport | None:
    """Return the transport of the socket behind an ASGI ``send``, or None.

    Starlette and middleware wrap it in functions that have it in their closures.
    """
    candidates = [send]
    for _ in range(_MAX_WRAPPERS):
        if not candidates:
            return None
        candidate = candidates.pop(0)
        transport = getattr(getattr(candidate, "__self__", None), "transport", None)
        if isinstance(transport, asyncio.Transport) or hasattr(transport, "abort"):
            return transport
        for cell in getattr(candidate, "__closure__", None) or ():
            if callable(cell.cell_contents) and "send" in getattr(
                cell.cell_contents, "__name__", ""
            ):
                candidates.append(cell.cell_contents)
    return None
