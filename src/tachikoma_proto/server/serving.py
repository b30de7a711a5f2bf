"""``serve`` and ``run``: a server on a socket, the counterpart of ``connect``.

Rules:

* The defaults are safe: browsers' pages of other origins are refused, sizes are bounded, nothing
  is compressed, and no frame is logged.
* Health checks are answered on the same port, with 503 as soon as the server closes, so that a
  load balancer sends nobody there.
* At the end the server drains first: it still listens, and answers what was asked.
"""

import asyncio
import importlib
import os
import signal
import socket
import stat
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from ssl import SSLContext
from types import TracebackType
from typing import Any, Final, Literal, Self, TypeAlias

from tachikoma_proto.server.server import Server
from tachikoma_proto.session.logs import server_logger as log
from tachikoma_proto.transports.transport import (
    ConnectionRequest,
    Listener,
    Origins,
    format_address,
    is_origin_allowed,
)

Backend: TypeAlias = Literal["picows", "websockets"]

BACKENDS: Final[tuple[Backend, ...]] = ("picows", "websockets")
"""The WebSocket libraries that can serve, the fastest first."""

_LOOPBACK: Final = {"0.0.0.0": "127.0.0.1", "::": "::1"}
"""Where clients on this machine find a server that listens on all interfaces."""

_OPEN_TIMEOUT: Final = 10.0
"""How many seconds a handshake may take."""

_MIN_MAX_SIZE: Final = 1024 * 1024
"""How many bytes a frame may have at least before the connection is closed instead of the frame
being answered."""


class serve:
    """Listen for connections, and serve them; an asynchronous context manager.

    Args:
        server: Serves the connections; it is closed at the end of the block.
        host: Where to listen; all interfaces if left out.
        port: The port; 0 takes a free one.
        unix: The path of a Unix socket to listen at instead.
        sock: A listening socket to take instead.
        ssl: The certificate and key, for ``wss://``.
        origins: The origins whose pages may connect: exact values, or regular expressions that
            match them whole; ``"*"`` allows any. If left out, pages may connect to the host that
            they came from. Clients that are no browsers send no origin, and are let in.
        path: The path of the URL; any if left out.
        health: The path that answers health checks; None for none.
        max_size: How many bytes a frame may have before the connection is closed with 1009, and
            the frame is not read; twice the server's ``max_message_size``, and 1 MiB at least,
            if left out.
        backend: The library to use: ``"picows"`` or ``"websockets"``; the fastest one that is
            installed if left out.
        timeout: After how many seconds the handlers that still run at the end are cancelled.
        spread: Over how many seconds connections are closed at the end.
        options: For the event loop's ``create_server``, such as ``backlog`` and ``reuse_port``.

    Raises:
        ImportError: The backend is not installed.
        ValueError: There is no such backend.

    Example::

        async with serve(server, "127.0.0.1", 8765) as serving:
            print(serving.url)
            await stopped.wait()
    """

    def __init__(
        self,
        server: Server,
        host: str | Sequence[str] | None = None,
        port: int | None = None,
        *,
        unix: str | os.PathLike[str] | None = None,
        sock: socket.socket | None = None,
        ssl: SSLContext | None = None,
        origins: Origins | None = None,
        path: str | None = None,
        health: str | None = "/healthz",
        max_size: int | None = None,
        backend: Backend | None = None,
        timeout: float = 10.0,
        spread: float = 0.0,
        **options: Any,
    ) -> None:
        if isinstance(origins, str):
            raise TypeError("origins is a sequence of origins, not one of them")
        self.server = server
        self._listen = _find_backend(backend)
        self._address = host, port
        self._unix = None if unix is None else os.fspath(unix)
        self._sock = sock
        self._ssl = ssl
        self._origins = origins
        self._path = path
        self._health = health
        self._max_size = max_size or max(_MIN_MAX_SIZE, 2 * server.config.max_message_size)
        self._timeout = timeout
        self._spread = spread
        self._options = options
        self._listener: Listener | None = None

    async def __aenter__(self) -> Self:
        """Listen.

        Raises:
            OSError: The address cannot be bound.
            RuntimeError: The server was closed before, or serves another event loop.
        """
        await self.server.__aenter__()
        host, port = self._address
        config = self.server.config
        options = dict(self._options)
        if self._unix is not None:
            self._sock = _bind_unix_socket(self._unix)
        if self._sock is not None:
            options["sock"] = self._sock
        else:
            options |= {"host": host, "port": port}
        self._listener = await self._listen(
            self.server.handle,
            self._refuse,
            max_size=self._max_size,
            open_timeout=_OPEN_TIMEOUT,
            close_timeout=config.close_timeout,
            ssl=self._ssl,
            **options,
        )
        log.info("listening at %s", ", ".join(self.addresses))
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the server in order, and stop listening."""
        await self.server.close(timeout=self._timeout, spread=self._spread)
        if self._listener is None:
            return
        listener, self._listener = self._listener, None
        try:
            async with asyncio.timeout(self.server.config.close_timeout):
                await listener.close()
        except TimeoutError:
            log.warning("some connections did not end in time")
        if self._unix is not None and self._sock is not None:
            self._sock.close()
            _remove_socket(self._unix)

    @property
    def sockets(self) -> Sequence[socket.socket]:
        """The listening sockets."""
        return self._listener.sockets if self._listener is not None else ()

    @property
    def addresses(self) -> tuple[str, ...]:
        """Where it listens: ``host:port``, or the path of a Unix socket."""
        names = [sock.getsockname() for sock in self.sockets]
        return tuple(format_address(name) or str(name) for name in names)

    @property
    def port(self) -> int:
        """The port that it listens at.

        Raises:
            RuntimeError: It does not listen at a port.
        """
        for sock in self.sockets:
            match sock.getsockname():
                case [_, int(port), *_]:
                    return port
        raise RuntimeError("it does not listen at a port")

    @property
    def url(self) -> str:
        """The URL for clients on this machine.

        Raises:
            RuntimeError: It does not listen at a port.
        """
        port = self.port
        host = str(self.sockets[0].getsockname()[0])
        host = _LOOPBACK.get(host, host)
        host = f"[{host}]" if ":" in host else host
        return f"{'ws' if self._ssl is None else 'wss'}://{host}:{port}{self._path or ''}"

    def _refuse(self, request: ConnectionRequest) -> tuple[int, str] | None:
        """Return what answers a handshake instead of a connection."""
        is_closing = self.server.is_closing
        if request.path == self._health:
            return (503, "closing\n") if is_closing else (200, "ok\n")
        if self._path is not None and request.path != self._path:
            return 404, "not found\n"
        if is_closing:
            return 503, "closing\n"
        if not is_origin_allowed(request, self._origins):
            address = request.address
            log.warning(
                "refused the origin %s%s",
                ascii(request.headers.get("origin")),
                f" from {address}" if address else "",
                extra={"remote_address": address},
            )
            return 403, "origin not allowed\n"
        return None


def run(
    server: Server, host: str | Sequence[str] | None = None, port: int = 8765, **options: Any
) -> None:
    """Serve until the process is told to end, by SIGTERM or SIGINT (Ctrl-C).

    Connections are closed in order then; a second signal ends the process at once.

    Args:
        server: Serves the connections.
        host: Where to listen; all interfaces if left out.
        port: The port.
        options: As for ``serve``.

    Example::

        if __name__ == "__main__":
            logging.basicConfig(level=logging.INFO)
            run(server, "127.0.0.1", 8765)
    """

    async def main() -> None:
        stopped = asyncio.Event()
        async with serve(server, host, port, **options):
            with _signals(stopped.set):
                await stopped.wait()
            log.info("told to end: closing %d connections", len(server.sessions))

    asyncio.run(main())


@contextmanager
def _signals(stop: Callable[[], None]) -> Iterator[None]:
    """Call a function at SIGTERM or SIGINT, in the event loop."""
    loop = asyncio.get_running_loop()
    before: dict[int, Any] = {}

    def on_signal(number: int, _: object) -> None:
        signal.signal(number, before[number])
        loop.call_soon_threadsafe(stop)

    for number in (signal.SIGTERM, signal.SIGINT):
        before[number] = signal.signal(number, on_signal)
    try:
        yield
    finally:
        for signal_number, handler in before.items():
            signal.signal(signal_number, handler)


def _find_backend(backend: Backend | None) -> Callable[..., Any]:
    if backend is not None and backend not in BACKENDS:
        raise ValueError(f"there is no backend {backend!r}: choose one of {', '.join(BACKENDS)}")
    for name in BACKENDS if backend is None else (backend,):
        try:
            module = importlib.import_module(f"tachikoma_proto.transports.{name}")
        except ModuleNotFoundError as error:
            if (error.name or "").partition(".")[0] != name:
                raise
            continue
        listen: Callable[..., Any] = module.listen
        return listen
    wanted = backend or BACKENDS[-1]
    raise ImportError(f"serve needs {wanted}: pip install 'tachikoma-proto[{wanted}]'")


def _bind_unix_socket(path: str) -> socket.socket:
    _remove_socket(path)
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        sock.bind(path)
    except OSError as error:
        sock.close()
        raise OSError(error.errno, f"cannot bind {path!r}: {error.strerror}") from None
    sock.setblocking(False)
    return sock


def _remove_socket(path: str) -> None:
    try:
        if stat.S_ISSOCK(os.stat(path).st_mode):
            os.remove(path)
    except FileNotFoundError:
        return
