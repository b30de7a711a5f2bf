"""A transport in memory, that can be made to fail in every way that a real one does."""

import asyncio
from collections.abc import AsyncIterator


class MemoryTransport:
    """Gives the frames that it is fed, and keeps those that are sent.

    Attributes:
        sent: What was sent.
        closed: How it was closed, each time.
        can_send: While it is not set, a send waits.
        can_close: While it is not set, a close waits.
        send_error: What a send raises.
        close_error: What a close raises.
        open_error: What the iteration raises at its beginning.
        close_code: The close code of the other side.
        close_reason: Its reason.
    """

    def __init__(self) -> None:
        self.sent: list[str] = []
        self.closed: list[tuple[int, str]] = []
        self.can_send = asyncio.Event()
        self.can_close = asyncio.Event()
        self.can_send.set()
        self.can_close.set()
        self.send_error: Exception | None = None
        self.close_error: Exception | None = None
        self.open_error: Exception | None = None
        self.close_code: int | None = None
        self.close_reason = ""
        self._frames: asyncio.Queue[str | bytes | Exception | None] = asyncio.Queue()

    def feed(self, *frames: str | bytes | Exception | None) -> None:
        """Have frames come; an exception breaks the connection, and None ends it."""
        for frame in frames:
            self._frames.put_nowait(frame)

    async def send(self, text: str, /) -> None:
        await self.can_send.wait()
        if self.send_error is not None:
            raise self.send_error
        self.sent.append(text)

    def __aiter__(self) -> AsyncIterator[str | bytes]:
        if self.open_error is not None:
            raise self.open_error
        return self

    async def __anext__(self) -> str | bytes:
        frame = await self._frames.get()
        if isinstance(frame, Exception):
            raise frame
        if frame is None:
            raise StopAsyncIteration
        return frame

    async def close(self, code: int = 1000, reason: str = "") -> None:
        self.closed.append((code, reason))
        await self.can_close.wait()
        if self.close_error is not None:
            raise self.close_error
        self.feed(None)
