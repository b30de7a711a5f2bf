"""``Transport``: what carries the frames of one WebSocket connection.

The library opens no sockets itself, so that it works over whichever WebSocket library a service
uses already. Three methods suffice; what else a transport offers is used where it is there:

* ``abort()`` closes the connection at once, for peers that do not read or do not answer.
* ``request`` is the handshake, for ``authenticate_request`` and for log records.
* ``close_code`` and ``close_reason`` say how the peer closed the connection.
* A ``CallbackTransport`` delivers frames by callback and takes them without waiting. It saves a
  task for reading, a task for writing, and their wake-ups, for each connection.

Rules:

* Whatever a transport raises means that the connection is lost.
"""

import logging
import re
import socket
from collections.abc import (
    AsyncIterator,
    Awaitable,
    Callable,
    Iterable,
    Iterator,
    Mapping,
    Sequence,
)
from http.cookies import CookieError, SimpleCookie
from typing import Protocol, TypeAlias, runtime_checkable
from urllib.parse import parse_qsl, urlsplit

from attrs import field, frozen


class Transport(Protocol):
    """An open WebSocket connection, of either side."""

    async def send(self, text: str, /) -> None:
        """Send a text frame; return when the transport can take another.

        Args:
            text: The frame.
        """

    def __aiter__(self) -> AsyncIterator[str | bytes]:
        """Iterate over the frames that arrive, until the connection ends."""
        ...

    async def close(self, code: int = 1000, reason: str = "") -> None:
        """Close the connection; do nothing if it is closed already.

        Args:
            code: The close code of RFC 6455.
            reason: Why, for a person.
        """


class FrameReceiver(Protocol):
    """What a ``CallbackTransport`` calls: the connection driver."""

    def frames_received(self, frames: Sequence[str | bytes]) -> None:
        """Take frames that arrived together."""

    def can_write(self) -> None:
        """Take note that the transport accepts frames again."""

    def transport_lost(self) -> None:
        """Take note that the connection has ended."""


@runtime_checkable
class CallbackTransport(Protocol):
    """A transport that calls back for what arrives, and takes frames without waiting."""

    def start(self, receiver: FrameReceiver, /) -> None:
        """Deliver frames to a receiver from now on, those that arrived before included.

        Args:
            receiver: What to call.
        """

    def write(self, texts: Sequence[str], /) -> bool:
        """Send text frames, together where that is possible.

        Args:
            texts: The frames.

        Returns:
            Whether more may be written; if not, ``can_write`` is called later.
        """
        ...

    def pause_reading(self) -> None:
        """Deliver no more frames for now; a few may still come."""

    def resume_reading(self) -> None:
        """Deliver frames again."""

    async def close(self, code: int = 1000, reason: str = "") -> None:
        """Close the connection; do nothing if it is closed already."""

    def abort(self) -> None:
        """Close the connection at once."""


class Headers(Mapping[str, str]):
    """HTTP headers; names are case-insensitive, repeated ones joined by a comma."""

    def __init__(self, items: Mapping[str, str] | Sequence[tuple[str, str]] = ()) -> None:
        self._values: dict[str, str] = {}
        for name, value in items.items() if isinstance(items, Mapping) else items:
            lower = name.lower()
            separator = "; " if lower == "cookie" else ", "
            before = self._values.get(lower)
            self._values[lower] = value if before is None else f"{before}{separator}{value}"

    def __getitem__(self, name: str) -> str:
        return self._values[name.lower()]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def __repr__(self) -> str:
        return f"<Headers {', '.join(self)}>"  # values may be credentials


@frozen(kw_only=True)
class ConnectionRequest:
    """The HTTP request that opened a connection.

    No repr shows a header, a cookie or the query, which may hold credentials.

    Attributes:
        path: The path, without the query.
        query: The parameters of the query; of a repeated one the last.
        headers: The headers; names are case-insensitive.
        address: The address of the peer, as ``host:port``, if it is known. Behind a proxy it is
            the proxy's.
    """

    path: str = "/"
    query: Mapping[str, str] = field(factory=dict, repr=False)
    headers: Headers = field(factory=Headers, converter=Headers, repr=False)
    address: str | None = None

    @property
    def cookies(self) -> dict[str, str]:
        """The cookies; empty if the header cannot be read."""
        try:
            parsed = SimpleCookie(self.headers.get("cookie", ""))
        except CookieError:
            return {}
        return {name: morsel.value for name, morsel in parsed.items()}


def make_request(
    target: str,
    headers: Mapping[str, str] | Sequence[tuple[str, str]],
    peername: object,
) -> ConnectionRequest:
    """Return the request of a handshake.

    Args:
        target: The path and the query.
        headers: The headers.
        peername: The peer's address as sockets give it.
    """
    parts = urlsplit(target)
    return ConnectionRequest(
        path=parts.path,
        query=dict(parse_qsl(parts.query, keep_blank_values=True)),
        headers=headers,
        address=format_address(peername),
    )


def format_address(peername: object) -> str | None:
    """Return a socket's address as text; None if there is none, as for Unix sockets."""
    match peername:
        case [str(host), int(port), *_]:
            return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        case _:
            return None


RefuseRequest: TypeAlias = Callable[[ConnectionRequest], tuple[int, str] | None]
"""Returns the HTTP status and the text that answer a handshake instead of a connection."""

HandleTransport: TypeAlias = Callable[[CallbackTransport], Awaitable[None]]
"""Serves a connection, such as ``server.handle``."""


class Listener(Protocol):
    """A listening server of a backend."""

    @property
    def sockets(self) -> Sequence[socket.socket]:
        """The listening sockets."""
        ...

    async def close(self) -> None:
        """Stop listening, and wait until the connections have ended."""


def encode_frames(texts: Iterable[str]) -> bytes:
    """Return text frames as a server sends them: a header and the text, without a mask.

    Args:
        texts: The texts of the frames.
    """
    parts: list[bytes] = []
    for text in texts:
        data = text.encode()
        size = len(data)
        if size < 126:
            parts.append(bytes((0x81, size)))
        elif size < 65536:
            parts.append(b"\x81\x7e" + size.to_bytes(2))
        else:
            parts.append(b"\x81\x7f" + size.to_bytes(8))
        parts.append(data)
    return b"".join(parts)


def quiet_logger(name: str, level: int = logging.WARNING) -> logging.Logger:
    """Return a logger for a WebSocket library that logs no frames, and so no tokens.

    Args:
        name: The library.
        level: Below which level it logs nothing.
    """
    logger = logging.getLogger(f"tachikoma_proto.transports.{name}")
    logger.setLevel(level)
    return logger


Origins: TypeAlias = Sequence[str | re.Pattern[str]]
"""The values of ``Origin`` that are allowed; ``"*"`` allows any."""


class Handler(Protocol):
    """What serves connections: a server, as transports know it."""

    async def handle(self, transport: Transport, /) -> None:
        """Serve a connection until it ends."""

    async def close(self) -> None:
        """Close all connections in order."""


def is_origin_allowed(request: ConnectionRequest, origins: Origins | None) -> bool:
    """Return whether a page may connect, so that others' pages cannot use a visitor's cookies.

    Args:
        request: The handshake. Clients that are no browsers send no origin, and are let in.
        origins: The origins that are allowed: exact values, or regular expressions that match
            them whole. If None, the page has to come from the host that it connects to.

    Raises:
        TypeError: One origin is given instead of a sequence of them.
    """
    if isinstance(origins, str):
        raise TypeError("origins is a sequence of origins, not one of them")
    origin = request.headers.get("origin")
    if origin is None:
        return True
    if origins is None:
        host = request.headers.get("host", "").lower()
        return bool(host) and urlsplit(origin).netloc.lower() == host
    return any(
        allowed in ("*", origin)
        if isinstance(allowed, str)
        else allowed.fullmatch(origin) is not None
        for allowed in origins
    )
