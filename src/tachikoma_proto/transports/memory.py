"""Transports in memory: both ends of a connection in one event loop, for tests.

Rules:

* A pair behaves as a connection of sockets does: frames arrive in order and in a later turn of the
  event loop, a sender waits while the other end has not read, and either end may close.
"""

import asyncio
from collections import deque

from tachikoma_proto.transports.transport import ConnectionRequest

_MAX_UNREAD = 1000
"""How many frames may be on the way before ``send`` waits."""


class MemoryTransport:
    """One end of a connection in memory; made in pairs by ``memory_pair``.

    Attributes:
        request: The handshake, of the server's end.
        close_code: How the connection was closed; None while it is open.
        close_reason: Why it was closed.
    """

    def __init__(self, request: ConnectionRequest | None = None) -> None:
        self.request = request
        self.close_code: int | None = None
        self.close_reason = ""
        self._peer = self
        self._unread: deque[str] = deque()
        self._changed = asyncio.Event()

    def __repr__(self) -> str:
        state = "open" if self.close_code is None else f"closed with {self.close_code}"
        return f"<MemoryTransport, {state}>"

    async def send(self, text: str, /) -> None:
        """Send a frame; wait while too many are unread."""
        peer = self._peer
        while self.close_code is None and len(peer._unread) >= _MAX_UNREAD:
            self._changed.clear()
            await self._changed.wait()
        if self.close_code is not None:
            raise ConnectionResetError("the connection is closed")
        peer._unread.append(text)
        peer._changed.set()

    def __aiter__(self) -> "MemoryTransport":
        return self

    async def __anext__(self) -> str:
        while not self._unread:
            if self.close_code is not None:
                raise StopAsyncIteration
            self._changed.clear()
            await self._changed.wait()
        self._peer._changed.set()
        return self._unread.popleft()

    async def close(self, code: int = 1000, reason: str = "") -> None:
        """Close both ends; frames that were sent before are still received."""
        for end in (self, self._peer):
            if end.close_code is None:
                end.close_code, end.close_reason = code, reason
                end._changed.set()

    def abort(self) -> None:
        """Close both ends at once; frames on the way are lost."""
        for end in (self, self._peer):
            end._unread.clear()
            if end.close_code is None:
                end.close_code = 1006
            end._changed.set()


def memory_pair(
    request: ConnectionRequest | None = None,
) -> tuple[MemoryTransport, MemoryTransport]:
    """Return the two ends of a new connection, the server's first.

    Args:
        request: The handshake that the server sees; an empty one if left out.
    """
    server = MemoryTransport(request or ConnectionRequest(address="memory"))
    client = MemoryTransport()
    server._peer, client._peer = client, server
    return server, client
