"""The link: puts one side of a connection on asyncio, over a transport.

Rules:

* One task reads, one writes, one timer keeps the time; all are gone when ``run`` returns.
* Happenings are dealt with in the order of their frames. While one is being dealt with nothing
  is read, and the peer is not blamed for silence.
* Whatever the transport raises ends the connection; it is logged, and not raised.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from math import inf
from typing import Final, Generic

from tachikoma_proto.session.conversation import (
    INTERNAL_ERROR,
    NORMAL,
    Closing,
    Conversation,
    H,
)
from tachikoma_proto.transport import Transport

log = logging.getLogger(__name__)

_GONE: Final = Closing(NORMAL, "", drains=False)
"""How a connection is closed that the other side has ended."""

_BROKEN: Final = Closing(INTERNAL_ERROR, "internal error", drains=False)
"""How one is closed whose happenings could not be dealt with."""


class Link(Generic[H]):
    """One connection.

    Args:
        transport: Carries its frames.
        session: Its state.
        happened: Deals with what comes out of the session. If it returns an awaitable, that is
            waited for before the next frame is read.
        close_timeout: How many seconds the closing may take.
    """

    def __init__(
        self,
        transport: Transport,
        session: Conversation[H],
        happened: Callable[[H], Awaitable[None] | None],
        close_timeout: float,
    ) -> None:
        self._transport = transport
        self._session = session
        self._happened = happened
        self._close_timeout = close_timeout
        self._loop = asyncio.get_running_loop()
        self._closing: asyncio.Future[None] = self._loop.create_future()
        self._output = asyncio.Event()
        self._room = asyncio.Event()
        self._is_dealing = False
        self._timer: asyncio.TimerHandle | None = None

    async def run(self) -> None:
        """Carry the connection from now to its end, and close it."""
        self._session.on_output = self._wake
        self._schedule()
        reader = asyncio.create_task(self._read())
        writer = asyncio.create_task(self._write())
        try:
            await asyncio.wait((reader, writer, self._closing), return_when=asyncio.FIRST_COMPLETED)
            ended = _BROKEN if _failed(reader) or _failed(writer) else _GONE
            await self._close(self._session.closing or ended, writer)
        finally:
            self._session.on_output = _nothing
            self._session.end()
            if self._timer:
                self._timer.cancel()
            reader.cancel()
            writer.cancel()
            results = await asyncio.gather(reader, writer, return_exceptions=True)
        for result in results:
            if isinstance(result, Exception):
                raise result

    async def _read(self) -> None:
        session, happened, now = self._session, self._happened, self._loop.time
        frames = aiter(self._transport)
        while True:
            try:
                frame = await anext(frames)
            except StopAsyncIteration:
                return
            except Exception:
                log.debug("the connection was lost while reading", exc_info=True)
                return
            happening = session.receive(frame, now())
            if happening is not None:
                dealing = happened(happening)
                if dealing is not None:
                    await self._wait_for(dealing)
            while not session.has_room:
                self._room.clear()
                await self._room.wait()

    async def _wait_for(self, dealing: Awaitable[None]) -> None:
        self._is_dealing = True
        try:
            await dealing
        finally:
            self._is_dealing = False
        self._session.listened(self._loop.time())
        if self._timer is None or self._session.deadline < self._timer.when():
            self._schedule()

    async def _write(self) -> None:
        while True:
            self._output.clear()
            while (text := self._session.take()) is not None:
                try:
                    await self._transport.send(text)
                except Exception:
                    log.debug("the connection was lost while writing", exc_info=True)
                    return
                self._room.set()
            if self._session.closing is not None:
                return
            await self._output.wait()

    async def _close(self, closing: Closing, writer: "asyncio.Task[None]") -> None:
        if closing.drains:
            await asyncio.wait((writer,), timeout=self._close_timeout)
        writer.cancel()
        # A peer that does not read may hold up the first call; the second finds it out of time.
        if not await self._is_closed_by(closing):
            await self._is_closed_by(closing)

    async def _is_closed_by(self, closing: Closing) -> bool:
        try:
            async with asyncio.timeout(self._close_timeout):
                await self._transport.close(closing.code, closing.reason)
        except Exception:
            log.debug("the connection could not be closed in order", exc_info=True)
            return False
        return True

    def _wake(self) -> None:
        self._output.set()
        if self._session.closing is not None and not self._closing.done():
            self._closing.set_result(None)

    def _schedule(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        deadline = self._session.deadline
        self._timer = self._loop.call_at(deadline, self._on_time) if deadline < inf else None

    def _on_time(self) -> None:
        now = self._loop.time()
        if self._is_dealing:
            self._session.listened(now)
        self._session.tick(now)
        self._schedule()


def _failed(task: "asyncio.Task[None]") -> bool:
    return task.done() and not task.cancelled() and task.exception() is not None


def _nothing() -> None:
    pass
