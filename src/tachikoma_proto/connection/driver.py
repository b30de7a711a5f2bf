"""The link: puts one side of a connection on asyncio, over a transport.

Rules:

* One task reads, one writes, one timer keeps the time; all are gone when ``run`` returns.
* Happenings are dealt with in the order of their frames. While one is waited for, or the peer
  has not read its answers, nothing is read, and the peer is not blamed for silence.
* Whatever the transport raises ends the connection; it is logged, and not raised.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from math import inf
from typing import Generic

from tachikoma_proto.session.conversation import (
    INTERNAL_ERROR,
    NORMAL,
    Closing,
    Conversation,
    H,
)
from tachikoma_proto.transports.transport import Transport
from tachikoma_proto.wire.json_reader import Frame

log = logging.getLogger(__name__)


class Link(Generic[H]):
    """One connection.

    Args:
        transport: Carries its frames.
        session: Its state.
        happened: Deals with what comes out of the session. If it returns an awaitable, that is
            waited for before the next frame is read.
        close_timeout: How many seconds the closing may take.
        closing: Called when it is known that the connection ends, before it is closed.
    """

    def __init__(
        self,
        transport: Transport,
        session: Conversation[H],
        happened: Callable[[H], Awaitable[None] | None],
        close_timeout: float,
        closing: Callable[[], object] | None = None,
    ) -> None:
        self._transport = transport
        self._session = session
        self._happened = happened
        self._close_timeout = close_timeout
        self._loop = asyncio.get_running_loop()
        self._closing = closing or _nothing
        self._is_closing: asyncio.Future[None] = self._loop.create_future()
        self._output = asyncio.Event()
        self._room = asyncio.Event()
        self._is_deaf = False
        self._timer: asyncio.TimerHandle | None = None

    async def run(self) -> None:
        """Carry the connection from now to its end, and close it."""
        self._session.on_output = self._wake
        self._schedule()
        reader = asyncio.create_task(self._read())
        writer = asyncio.create_task(self._write())
        try:
            await asyncio.wait(
                (reader, writer, self._is_closing), return_when=asyncio.FIRST_COMPLETED
            )
            if _failed(reader) or _failed(writer):
                self._session.shut(INTERNAL_ERROR, "internal error", drains=False)
            else:  # the other side has ended it, if it does not end already
                self._session.shut(NORMAL, drains=False)
            await self._close(writer)
        finally:
            self._session.gone()
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
        frames: AsyncIterator[Frame] | None = None
        while True:
            try:
                frames = frames or aiter(self._transport)
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
                    await self._leave_unread_for(dealing)
            if not session.has_room:
                await self._leave_unread_for(self._wait_for_room())

    async def _leave_unread_for(self, dealing: Awaitable[None]) -> None:
        """Wait for something, and do not blame the peer for a silence that is ours."""
        self._is_deaf = True
        try:
            await dealing
        finally:
            self._is_deaf = False
        self._session.listened(self._loop.time())
        if self._timer is None or self._session.deadline < self._timer.when():
            self._schedule()

    async def _wait_for_room(self) -> None:
        """Wait until the peer has read enough; one that reads nothing at all is given up."""
        while not self._session.has_room:
            self._room.clear()
            patience = self._session.patience
            try:
                async with asyncio.timeout(patience if patience < inf else None):
                    await self._room.wait()
            except TimeoutError:
                self._session.give_up()
                return

    async def _write(self) -> None:
        while True:
            self._output.clear()
            while (text := self._session.take()) is not None:
                try:
                    await self._transport.send(text)
                except Exception:
                    log.debug("the connection was lost while writing", exc_info=True)
                    return
                if self._session.ping_is_out:
                    self._session.sent(self._loop.time())
                self._room.set()
            if self._session.closing is not None:
                return
            await self._output.wait()

    async def _close(self, writer: "asyncio.Task[None]") -> None:
        closing = self._session.closing
        assert closing is not None, "a connection is closed that is not to be"
        if closing.drains:
            await asyncio.wait((writer,), timeout=self._close_timeout / 2)
        writer.cancel()
        # A peer that does not read may hold up the first call; the second finds it out of time.
        if not await self._is_closed_by(closing):
            await self._is_closed_by(closing)

    async def _is_closed_by(self, closing: Closing) -> bool:
        try:
            async with asyncio.timeout(self._close_timeout / 4):
                await self._transport.close(closing.code, closing.reason)
        except Exception:
            log.debug("the connection could not be closed in order", exc_info=True)
            return False
        return True

    def _wake(self) -> None:
        self._output.set()
        if self._session.closing is not None and not self._is_closing.done():
            self._is_closing.set_result(None)
            self._closing()

    def _schedule(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        deadline = self._session.deadline
        self._timer = self._loop.call_at(deadline, self._on_time) if deadline < inf else None

    def _on_time(self) -> None:
        now = self._loop.time()
        if self._is_deaf:
            self._session.listened(now)
        self._session.tick(now)
        self._schedule()


def _failed(task: "asyncio.Task[None]") -> bool:
    return task.done() and not task.cancelled() and task.exception() is not None


def _nothing() -> None:
    pass
