"""The connection driver: runs a session on asyncio, over a transport.

Rules:

* One task reads, one writes, one timer keeps the time; all have ended when ``run`` returns.
* Session events are handled in the order of their frames. While one is waited for, or the peer
  has not read its responses, nothing is read, and the peer is not blamed for silence.
* Whatever the transport raises ends the connection; it is logged, and not raised.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from math import inf
from typing import Generic

from tachikoma_proto.session.base import (
    INTERNAL_ERROR,
    NORMAL,
    BaseSession,
    Closing,
    E,
)
from tachikoma_proto.transports.transport import Transport
from tachikoma_proto.wire.json_reader import Frame

log = logging.getLogger(__name__)


class ConnectionDriver(Generic[E]):
    """One connection.

    Args:
        transport: Carries its frames.
        session: Its state.
        on_event: Handles a session event. If it returns an awaitable, that is waited for before
            the next frame is read.
        close_timeout: How many seconds the closing may take.
        on_closing: Called when it is known that the connection ends, before it is closed.
    """

    def __init__(
        self,
        transport: Transport,
        session: BaseSession[E],
        on_event: Callable[[E], Awaitable[None] | None],
        close_timeout: float,
        on_closing: Callable[[], object] | None = None,
    ) -> None:
        self._transport = transport
        self._session = session
        self._on_event = on_event
        self._close_timeout = close_timeout
        self._loop = asyncio.get_running_loop()
        self._on_closing = on_closing or _nothing
        self._is_closing: asyncio.Future[None] = self._loop.create_future()
        self._output = asyncio.Event()
        self._room = asyncio.Event()
        self._is_paused = False
        self._timer: asyncio.TimerHandle | None = None

    async def run(self) -> None:
        """Carry the connection from now to its end, and close it."""
        self._session.on_output = self._wake
        self._session.on_timeout_changed = self._schedule
        self._schedule()
        reader = asyncio.create_task(self._read())
        writer = asyncio.create_task(self._write())
        try:
            await asyncio.wait(
                (reader, writer, self._is_closing), return_when=asyncio.FIRST_COMPLETED
            )
            if _failed(reader) or _failed(writer):
                self._session.abort(INTERNAL_ERROR, "internal error")
            else:  # the other side has ended it, if it does not end already
                self._session.abort(NORMAL)
            await self._close(writer)
        finally:
            self._session.connection_lost()
            if self._timer:
                self._timer.cancel()
            reader.cancel()
            writer.cancel()
            results = await asyncio.gather(reader, writer, return_exceptions=True)
        for result in results:
            if isinstance(result, Exception):
                raise result

    async def _read(self) -> None:
        session, on_event, now = self._session, self._on_event, self._loop.time
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
            event = session.receive(frame, now())
            if event is not None:
                handling = on_event(event)
                if handling is not None:
                    await self._pause_reading_for(handling)
            if not session.can_receive:
                await self._pause_reading_for(self._wait_for_room())

    async def _pause_reading_for(self, handling: Awaitable[None]) -> None:
        """Wait without reading, and do not blame the peer for its silence meanwhile."""
        self._is_paused = True
        try:
            await handling
        finally:
            self._is_paused = False
        self._session.reading_resumed(self._loop.time())
        if self._timer is None or self._session.next_timeout < self._timer.when():
            self._schedule()

    async def _wait_for_room(self) -> None:
        """Wait until the peer has read enough; abort if it reads nothing at all."""
        while not self._session.can_receive:
            self._room.clear()
            patience = self._session.peer_timeout
            try:
                async with asyncio.timeout(patience if patience < inf else None):
                    await self._room.wait()
            except TimeoutError:
                self._session.peer_lost()
                return

    async def _write(self) -> None:
        while True:
            self._output.clear()
            while (text := self._session.next_frame()) is not None:
                try:
                    await self._transport.send(text)
                except Exception:
                    log.debug("the connection was lost while writing", exc_info=True)
                    return
                if self._session.awaits_write:
                    self._session.frame_written(self._loop.time())
                self._room.set()
            if self._session.closing is not None:
                return
            await self._output.wait()

    async def _close(self, writer: "asyncio.Task[None]") -> None:
        closing = self._session.closing
        assert closing is not None, "the session is not closing"
        if closing.flush:
            await asyncio.wait((writer,), timeout=self._close_timeout / 2)
        writer.cancel()
        # A peer that does not read may hold up the first call; the second ends it.
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
            self._on_closing()

    def _schedule(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        due = self._session.next_timeout
        now = self._loop.time()
        self._timer = self._loop.call_at(max(due, now), self._on_time) if due < inf else None

    def _on_time(self) -> None:
        now = self._loop.time()
        if self._is_paused:
            self._session.reading_resumed(now)
        self._session.handle_timeout(now)
        self._schedule()


def _failed(task: "asyncio.Task[None]") -> bool:
    return task.done() and not task.cancelled() and task.exception() is not None


def _nothing() -> None:
    pass
