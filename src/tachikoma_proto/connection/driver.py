"""The connection driver: runs a session on asyncio, over a transport.

It is the one place where sessions, tasks, timers and transports meet; sessions know nothing of
the event loop, and transports nothing of the protocol.

Rules:

* Session events are handled in the order of their frames. While one is waited for, or the peer
  has not read its responses, nothing is read. The peer is not blamed for its silence then, and is
  pinged, so that it sees a sign of life.
* Frames are written in the turn of the event loop in which they were made, several together. A
  transport that has no callbacks gets a task for reading and one for writing.
* A deadline is judged after what has already arrived was read: a blocked event loop is no fault of
  the peer.
* Whatever the transport raises ends the connection; it is logged, and not raised. All tasks and
  timers have ended when ``run`` returns, but for a transport's ``close`` that holds out against
  being cancelled.
"""

import asyncio
import sys
from asyncio import tasks
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Sequence
from math import inf
from typing import Any, Final, Generic, TypeAlias

from attrs import frozen

from tachikoma_proto.connection.deadlines import TURNS
from tachikoma_proto.session.base import (
    INTERNAL_ERROR,
    NORMAL,
    BaseSession,
    Closing,
    E,
)
from tachikoma_proto.transports.transport import CallbackTransport, Transport
from tachikoma_proto.wire.json_reader import Frame

AnyTransport: TypeAlias = Transport | CallbackTransport

_MAX_TURNS: Final = 200
"""After how many turns a deadline is judged even if frames still arrive."""

_MAX_UNREAD: Final = 16
"""How many frames of a ``CallbackTransport`` are kept before it is told to pause."""

_CHUNK: Final = 64 * 1024
"""How many characters are written before the transport is asked whether it takes more."""


@frozen
class ConnectionEnd:
    """How a connection ended.

    Attributes:
        code: The close code; 1006 if the connection was lost.
        reason: Why, for a person.
        by_peer: Whether the peer ended it.
    """

    code: int
    reason: str
    by_peer: bool


class ConnectionDriver(Generic[E]):
    """Drives one connection.

    Args:
        transport: Carries its frames.
        session: Its state.
        on_event: Handles a session event. If it returns an awaitable, that is waited for before
            the next frame is read.
        close_timeout: How many seconds the closing may take.
        on_closing: Called when it is known that the connection ends, before it is closed.

    Attributes:
        end: How the connection ended; None before.
    """

    def __init__(
        self,
        transport: AnyTransport,
        session: BaseSession[E],
        on_event: Callable[[E], Awaitable[None] | None],
        close_timeout: float,
        on_closing: Callable[[], object] | None = None,
    ) -> None:
        self.end: ConnectionEnd | None = None
        self._transport = transport
        self._callbacks = transport if isinstance(transport, CallbackTransport) else None
        self._session = session
        self._on_event = on_event
        self._close_timeout = close_timeout
        self._on_closing = on_closing or _nothing
        self._loop = asyncio.get_running_loop()
        self._time = self._loop.time
        self._is_over: asyncio.Future[None] = self._loop.create_future()
        self._failure: Exception | None = None
        self._output = asyncio.Event()
        self._written = asyncio.Event()
        self._timer: asyncio.TimerHandle | None = None
        self._judging: asyncio.Handle | None = None
        self._frames_read = 0
        # Of a callback transport alone:
        self._unread: deque[str | bytes] = deque()
        self._handling: asyncio.Task[None] | None = None
        self._is_transport_paused = False
        self._can_write = True
        self._is_reading_batch = False
        self._flush_handle: asyncio.Handle | None = None

    async def run(self) -> None:
        """Run the connection to its end, and close it."""
        session = self._session
        session.on_output = self._on_output
        session.on_timeout_changed = self._schedule
        self._schedule()
        tasks: list[asyncio.Task[None]] = []
        try:
            if session.closing is not None:
                self._over()
            elif self._callbacks is not None:
                self._callbacks.start(self)
            else:
                tasks = [asyncio.create_task(self._read()), asyncio.create_task(self._write())]
                for task in tasks:
                    task.add_done_callback(self._task_ended)
            await self._is_over
            self._note_end()
            if self._failure is not None:
                session.abort(INTERNAL_ERROR, "internal error")
            else:  # the peer has closed the connection, unless the session has
                session.abort(NORMAL)
            await self._close(tasks)
        except asyncio.CancelledError:
            self._abort_transport()
            raise
        finally:
            self._over()
            session.abort(INTERNAL_ERROR, "internal error")
            session.connection_lost()
            for handle in (self._timer, self._judging, self._flush_handle):
                if handle is not None:
                    handle.cancel()
            if self._handling is not None:
                tasks.append(self._handling)
            for task in tasks:
                task.cancel()
            results = await asyncio.gather(*tasks, return_exceptions=True)
        for result in (self._failure, *results):
            if isinstance(result, Exception):
                raise result

    # What arrives.

    async def _read(self) -> None:
        frames: AsyncIterator[Frame] | None = None
        transport = self._transport
        assert not isinstance(transport, CallbackTransport)
        while True:
            try:
                frames = frames or aiter(transport)
                frame = await anext(frames)
            except StopAsyncIteration:
                return
            except Exception:  # whatever a transport raises means that the connection is lost
                self._session.log.debug("the connection was lost while reading", exc_info=True)
                return
            waiting = self._receive(frame)
            if waiting is not None:
                await self._wait_without_reading(waiting)

    def frames_received(self, frames: Sequence[str | bytes]) -> None:
        """Take frames that arrived together, from a callback transport."""
        if self._handling is not None:
            self._unread.extend(frames)
            if len(self._unread) >= _MAX_UNREAD and not self._is_transport_paused:
                assert self._callbacks is not None
                self._is_transport_paused = True
                self._callbacks.pause_reading()
            return
        self._is_reading_batch = True
        try:
            for index, frame in enumerate(frames):
                waiting = self._receive(frame)
                if waiting is not None:
                    self._unread.extend(frames[index + 1 :])
                    self._handling = self._loop.create_task(self._handle_and_go_on(waiting))
                    self._handling.add_done_callback(self._task_ended)
                    break
        except Exception as error:  # noqa: BLE001 - raised by run
            self._failure = error
            self._over()
        finally:
            self._is_reading_batch = False
            self._flush()

    async def _handle_and_go_on(self, waiting: Awaitable[None]) -> None:
        """Wait for a session event to be handled, and read the frames that arrived meanwhile."""
        while True:
            await self._wait_without_reading(waiting)
            following = None
            while following is None and self._unread:
                following = self._receive(self._unread.popleft())
            if following is None:
                break
            waiting = following
        self._handling = None
        if self._is_transport_paused:
            assert self._callbacks is not None
            self._is_transport_paused = False
            self._callbacks.resume_reading()

    def _receive(self, frame: Frame) -> Awaitable[None] | None:
        """Give a frame to the session, and return what to wait for before the next one."""
        self._frames_read += 1
        session = self._session
        event = session.receive(frame, self._time())
        if event is not None:
            waiting = self._on_event(event)
            if waiting is not None:
                return waiting
        if not session.can_receive:
            self._flush()
            if not session.can_receive:
                return self._wait_for_room()
        return None

    async def _wait_without_reading(self, waiting: Awaitable[None]) -> None:
        """Wait for something, and do not blame the peer for its silence meanwhile."""
        self._session.pause_reading()
        try:
            await waiting
        finally:
            self._session.resume_reading(self._time())
        if self._timer is None or self._session.next_timeout < self._timer.when():
            self._schedule()

    async def _wait_for_room(self) -> None:
        """Wait until the peer has read enough; abort if it reads nothing at all."""
        session = self._session
        while not session.can_receive and session.closing is None:
            self._written.clear()
            timeout = session.peer_timeout
            try:
                async with asyncio.timeout(timeout if timeout < inf else None):
                    await self._written.wait()
            except TimeoutError:
                session.peer_lost()

    # What is sent.

    def _on_output(self) -> None:
        if self._callbacks is None:
            self._output.set()
        elif not self._is_reading_batch and self._flush_handle is None:
            self._flush_handle = self._loop.call_soon(self._flush)
        if self._session.closing is not None:
            self._over()

    def _flush(self) -> None:
        """Write to a callback transport what it takes."""
        self._flush_handle = None
        callbacks, next_frame = self._callbacks, self._session.next_frame
        if callbacks is None:
            return
        has_written = False
        try:
            while self._can_write:
                texts, size = [], 0
                while size < _CHUNK and (text := next_frame()) is not None:
                    texts.append(text)
                    size += len(text)
                if not texts:
                    break
                self._can_write = callbacks.write(texts)
                has_written = True
        except Exception:  # whatever a transport raises means that the connection is lost
            self._session.log.debug("the connection was lost while writing", exc_info=True)
            self._over()
        if has_written:
            if self._session.awaits_write:
                self._session.frame_written(self._time())
            self._written.set()

    def can_write(self) -> None:
        """Go on writing, since a callback transport takes frames again."""
        self._can_write = True
        self._flush()

    async def _write(self) -> None:
        session, transport = self._session, self._transport
        assert not isinstance(transport, CallbackTransport)
        while True:
            self._output.clear()
            while (text := session.next_frame()) is not None:
                try:
                    await transport.send(text)
                except Exception:  # whatever a transport raises means that it is lost
                    self._session.log.debug("the connection was lost while writing", exc_info=True)
                    return
                if session.awaits_write:
                    session.frame_written(self._time())
                self._written.set()
            if session.closing is not None:
                return
            await self._output.wait()

    # The end.

    def transport_lost(self) -> None:
        """End the connection, since a callback transport has."""
        self._over()

    def _task_ended(self, task: "asyncio.Task[None]") -> None:
        error = None if task.cancelled() else task.exception()
        if isinstance(error, Exception):
            self._failure = self._failure or error
        if error is not None or self._callbacks is None:
            self._over()

    def _over(self) -> None:
        if not self._is_over.done():
            self._is_over.set_result(None)
            self._on_closing()

    def _note_end(self) -> None:
        closing = self._session.closing
        if closing is not None:
            self.end = ConnectionEnd(closing.code, closing.reason, by_peer=False)
        elif self._failure is not None:
            self.end = ConnectionEnd(INTERNAL_ERROR, "internal error", by_peer=False)
        else:
            code = getattr(self._transport, "close_code", None)
            reason = getattr(self._transport, "close_reason", None) or ""
            self.end = ConnectionEnd(1006 if code is None else code, reason, by_peer=True)

    async def _close(self, tasks: Sequence["asyncio.Task[None]"]) -> None:
        closing = self._session.closing
        assert closing is not None, "the session is not closing"
        if closing.flush:
            await self._flush_all(tasks)
        for task in tasks:
            task.cancel()
        closing_transport = asyncio.create_task(self._close_transport(closing))
        is_closed = await self._ends_in_time(closing_transport)
        if is_closed and closing.flush:
            return
        # A library may say that a connection is closed whose socket waits for a peer to read.
        if not self._abort_transport() and not is_closed:
            # A peer that does not read may hold up the first call; the second ends it.
            await self._ends_in_time(asyncio.create_task(self._close_transport(closing)))
        if not closing_transport.done():  # a library may hold out against being cancelled
            await asyncio.wait((closing_transport,), timeout=self._close_timeout / 4)

    def _abort_transport(self) -> bool:
        """Close the socket at once, and return whether the transport has a way to do so."""
        abort = getattr(self._transport, "abort", None)
        if abort is None:
            return False
        try:
            abort()
        except Exception:  # whatever a transport raises means that the connection is lost
            self._session.log.debug("the connection could not be aborted", exc_info=True)
        return True

    async def _flush_all(self, tasks: Sequence["asyncio.Task[None]"]) -> None:
        """Wait until all frames are written, but not for long."""
        if self._callbacks is None:
            if tasks:
                await asyncio.wait(tasks[1:], timeout=self._close_timeout / 2)
            return
        try:
            async with asyncio.timeout(self._close_timeout / 2):
                self._flush()
                while self._session.pending:
                    self._written.clear()
                    await self._written.wait()
        except TimeoutError:
            self._session.log.debug("the peer did not read what was sent before the end")

    async def _ends_in_time(self, closing_transport: "asyncio.Task[bool]") -> bool:
        """Wait for the closing of the transport, and return whether it went well."""
        try:
            await asyncio.wait((closing_transport,), timeout=self._close_timeout / 4)
        finally:
            is_done = closing_transport.done() and not closing_transport.cancelled()
            closing_transport.cancel()
        return is_done and closing_transport.result()

    async def _close_transport(self, closing: Closing) -> bool:
        try:
            await self._transport.close(closing.code, closing.reason)
        except Exception:  # whatever a transport raises means that the connection is lost
            self._session.log.debug("the connection could not be closed in order", exc_info=True)
            return False
        return True

    # Time.

    def _schedule(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        due = self._session.next_timeout
        if due < inf:
            self._timer = self._loop.call_at(max(due, self._time()), self._on_time)

    def _on_time(self) -> None:
        self._timer = None
        if self._session.next_timeout > self._time():
            self._schedule()
        elif self._judging is None:
            self._judge_after(TURNS, self._frames_read, _MAX_TURNS)

    def _judge_after(self, turns: int, frames_read: int, turns_left: int) -> None:
        """Handle a timeout once no frame has arrived for some turns of the event loop."""
        self._judging = None
        if self._frames_read != frames_read:
            turns, frames_read = TURNS, self._frames_read
        if turns > 0 and turns_left > 0:
            self._judging = self._loop.call_soon(
                self._judge_after, turns - 1, frames_read, turns_left - 1
            )
            return
        self._session.handle_timeout(self._time())
        self._schedule()


def _nothing(*_: Any) -> None:
    pass


StartTask: TypeAlias = Callable[[Coroutine[Any, Any, None]], "asyncio.Task[None]"]


def eager_starter(loop: asyncio.AbstractEventLoop) -> StartTask:
    """Return what starts tasks in an event loop, and runs their first step at once if it can.

    Most handlers never wait: they look something up and return. An ordinary task for each would
    cost more than the handler, since it first runs in a later turn of the event loop. Python 3.12
    has eager tasks. On 3.11 a real task is made, and its first step, which the constructor has
    scheduled, is taken from the event loop and run. Stepping the coroutine by hand instead would be
    unsound: a timeout inside would cancel the task that called.

    It is a real task from its first step on: timeouts, cancellation and context variables mean what
    they mean in any task. Where an event loop does not allow it, an ordinary task takes its place.

    Args:
        loop: The running event loop.
    """
    if loop.get_task_factory() is not None:
        return loop.create_task  # the factory of somebody else, who knows what it is for
    if sys.version_info >= (3, 12):

        def start_eagerly(coroutine: Coroutine[Any, Any, None]) -> "asyncio.Task[None]":
            return asyncio.Task(coroutine, loop=loop, eager_start=True)

        return start_eagerly
    ready: Any = getattr(loop, "_ready", None)
    if not isinstance(loop, asyncio.BaseEventLoop) or ready is None:
        return loop.create_task

    def start(coroutine: Coroutine[Any, Any, None]) -> "asyncio.Task[None]":
        task = asyncio.Task(coroutine, loop=loop)
        first_step = ready.pop()  # which the constructor has just scheduled
        outer = tasks.current_task(loop)
        if outer is None:
            first_step._run()
            return task
        tasks._leave_task(loop, outer)
        try:
            first_step._run()
        finally:
            tasks._enter_task(loop, outer)
        return task

    return start
