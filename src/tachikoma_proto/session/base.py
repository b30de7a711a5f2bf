"""What the sessions of both sides have in common: a send queue, a keepalive, and an end.

A session holds the state of one connection and does no I/O, so that the protocol can be tested
without sockets and used under any event loop: frames and the time go in, frames and typed session
events come out.

Rules:

* Frames go in by ``receive``; what its owner has to do comes back as a session event. Frames to
  be sent come out of ``next_frame``.
* ``now`` is a monotonic time in seconds. ``next_timeout`` says when ``handle_timeout`` is due; a
  time in the past means at once.
* ``closing`` says that the connection is to be closed, how, and why. Nothing is read after it.
* A peer's fault never raises: it is answered, or the connection is closed.
* Any frame from the peer is a sign of life; a peer that sends something is not pinged. The time for
  an answer to a ping starts when the ping has really been written.
* Frames leave in the order in which they were queued; only a ping goes before the others.
* A burst of events in one turn of the event loop says nothing about the peer: nothing could be
  written in between. So what counts is not how many events wait, but how many have waited for
  longer than a grace period. Responses are not judged: while too many wait, no commands are read.
"""

from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Sequence
from math import inf
from typing import Final, Generic, TypeAlias, TypeVar

from attrs import frozen

from tachikoma_proto.session.logs import Logger
from tachikoma_proto.session.metrics import Metrics
from tachikoma_proto.wire.json_reader import Frame, size_of

NORMAL: Final = 1000
GOING_AWAY: Final = 1001
POLICY_VIOLATION: Final = 1008
INTERNAL_ERROR: Final = 1011
SERVICE_RESTART: Final = 1012
TRY_AGAIN_LATER: Final = 1013
"""Close codes of RFC 6455, and of the registry that it opened."""

E = TypeVar("E")
"""The session events of one side."""


@frozen
class Closing:
    """How a connection is to be closed.

    Attributes:
        code: The close code.
        reason: Why, for a person; at most 123 bytes.
        flush: Whether the frames in the send queue are sent before.
    """

    code: int
    reason: str
    flush: bool = True


class Keepalive:
    """When to ping a silent peer, and when to take it as lost.

    Nothing is scheduled when a frame arrives: the deadline is computed when it is asked for.

    Args:
        interval: After how many seconds of silence the peer is pinged; None never does.
        timeout: How many seconds it then has to send something.
        now: The present time.
    """

    def __init__(self, interval: float | None, timeout: float, now: float) -> None:
        self._interval = inf if interval is None else interval
        self._timeout = timeout
        self._heard_at = now
        self._pinged_at: float | None = None

    @property
    def total_timeout(self) -> float:
        """How many seconds in all a peer may stay silent; infinite if it is never pinged."""
        return self._interval + self._timeout

    @property
    def deadline(self) -> float:
        """When to ping, or to take the peer as lost; infinite if never."""
        if self._pinged_at is None:
            return self._heard_at + self._interval
        return self._pinged_at + self._timeout

    def heard(self, now: float) -> None:
        """Record a sign of life."""
        self._heard_at = now
        self._pinged_at = None

    def ping_written(self, now: float) -> None:
        """Start the time for the answer only now."""
        if self._pinged_at is not None:
            self._pinged_at = now

    def is_lost(self, now: float) -> bool:
        """Return whether the peer was pinged and did not answer in time."""
        return self._pinged_at is not None and now >= self.deadline

    def should_ping(self, now: float) -> bool:
        """Return whether to ping the peer now; it then counts as pinged."""
        if self._pinged_at is not None or now < self.deadline:
            return False
        self._pinged_at = now
        return True


OTHER: Final = 0
EVENT: Final = 1
REPLAYED: Final = 2
"""What a frame is: an event that was published, one that is sent again to a client that resumes,
or something else."""

QueuedFrame: TypeAlias = tuple[str, int, int]
"""The text of a frame, its size in bytes, and what it is."""


class SendQueue:
    """The frames that wait to be sent.

    It knows no clock: its owner marks a time, and asks later what of it still waits.

    Attributes:
        frames: The frames, in order.
        events: How many of them are events, without those that are replayed.
        size: How many bytes they have, without those that are replayed.
        replayed: How many of them are events that are replayed.
        replayed_size: How many bytes those have.
        replayed_sent: How many such events were removed, ever.
    """

    __slots__ = (
        "_events_sent",
        "_mark",
        "events",
        "frames",
        "replayed",
        "replayed_sent",
        "replayed_size",
        "size",
    )

    def __init__(self) -> None:
        self.events = self.size = 0
        self.replayed = self.replayed_size = self.replayed_sent = 0
        self.frames: deque[QueuedFrame] = deque()
        self._events_sent = 0
        self._mark = 0

    def __len__(self) -> int:
        """Return how many frames wait."""
        return len(self.frames)

    def put(self, frame: QueuedFrame) -> None:
        """Add a frame behind the others."""
        self.frames.append(frame)
        self.size += frame[1]
        self.events += frame[2]

    def put_replayed(self, frames: Sequence[QueuedFrame]) -> None:
        """Add the frames of a replay behind the others."""
        self.frames.extend(frames)
        self.replayed += len(frames)
        self.replayed_size += sum([frame[1] for frame in frames])

    def put_first(self, frame: QueuedFrame) -> None:
        """Add a frame that is no event before the others."""
        self.frames.appendleft(frame)
        self.size += frame[1]

    def next(self) -> QueuedFrame | None:
        """Remove and return the next frame; None if there is none."""
        if not self.frames:
            return None
        frame = self.frames.popleft()
        if frame[2] == REPLAYED:
            self.replayed -= 1
            self.replayed_sent += 1
            self.replayed_size -= frame[1]
            return frame
        self.size -= frame[1]
        if frame[2]:
            self.events -= 1
            self._events_sent += 1
        return frame

    def mark(self) -> None:
        """Remember which events wait now."""
        self._mark = self._events_sent + self.events

    def events_since_mark(self) -> int:
        """Return how many of the events that were marked wait still."""
        return max(0, self._mark - self._events_sent)

    def clear(self) -> None:
        """Drop all frames."""
        self.frames.clear()
        self.events = self.size = self._mark = 0
        self.replayed = self.replayed_size = 0


class BaseSession(ABC, Generic[E]):
    """One side of a connection.

    Args:
        metrics: What to tell of what happens; never raises.
        keepalive: Watches the peer.

    Attributes:
        log: Where log records about the connection go.
        closing: How the connection is to be closed, once it is.
        awaits_write: Whether ``frame_written`` wants to be called when the last frame from
            ``next_frame`` has been written.
        on_output: Called when there is something to send, or the connection is to be closed; set
            by whoever does the I/O.
        on_timeout_changed: Called when ``next_timeout`` has become earlier; set likewise.
    """

    log: Logger

    def __init__(self, metrics: Metrics | None, keepalive: Keepalive) -> None:
        self.closing: Closing | None = None
        self.on_output: Callable[[], object] = _nothing
        self.on_timeout_changed: Callable[[], object] = _nothing
        self._metrics = metrics
        self._keepalive = keepalive
        self._queue = SendQueue()
        self._is_reading = True
        self._ping_is_first = self.awaits_write = False
        if metrics is not None:
            metrics.session_opened()

    @property
    def pending(self) -> int:
        """How many frames wait to be sent."""
        return len(self._queue)

    @property
    def can_receive(self) -> bool:
        """Whether frames may be read, or the peer has to read its responses first."""
        return True

    @property
    def peer_timeout(self) -> float:
        """For how many seconds the peer may do nothing at all; infinite if for ever."""
        return self._keepalive.total_timeout

    @property
    def next_timeout(self) -> float:
        """When ``handle_timeout`` is due, in seconds; infinite if never."""
        return inf if self.closing is not None else self._keepalive.deadline

    @abstractmethod
    def receive(self, frame: Frame, now: float) -> E | None:
        """Take in a frame.

        Args:
            frame: The text, or its bytes in UTF-8.
            now: The present time in seconds.

        Returns:
            What the owner has to do; None if there is nothing.
        """

    def next_frame(self) -> str | None:
        """Return the next frame to be sent; None if there is none."""
        queued = self._queue.next()
        if queued is None:
            return None
        text, size, _ = queued
        if self._metrics is not None:
            self._metrics.frame_sent(size)
        if self._ping_is_first:
            self._ping_is_first, self.awaits_write = False, True
        return text

    def frame_written(self, now: float) -> None:
        """Record that the frame from ``next_frame`` has been written, if that took a while."""
        if self.awaits_write:
            self.awaits_write = False
            self._keepalive.ping_written(now)

    def pause_reading(self) -> None:
        """Record that no frame is read for a while, so that the peer is not to blame for silence.

        It is still pinged: it has to see that this side is there.
        """
        self._is_reading = False

    def resume_reading(self, now: float) -> None:
        """Record that frames are read again.

        Args:
            now: The present time in seconds.
        """
        self._is_reading = True
        self._keepalive.heard(now)

    def handle_timeout(self, now: float) -> None:
        """Do what is due.

        Args:
            now: The present time in seconds.
        """
        if self.closing is not None:
            return
        if not self._is_reading:
            if now >= self._keepalive.deadline:
                self._keepalive.heard(now)
                self.ping()
        elif self._keepalive.is_lost(now):
            self.peer_lost()
        elif self._keepalive.should_ping(now):
            self.ping()

    def ping(self) -> None:
        """Queue a ping before all other frames, unless one is waiting there."""
        if not self._ping_is_first and self.closing is None:
            text = self._ping_frame()
            self._ping_is_first = True
            self._queue.put_first((text, len(text), OTHER))
            self.on_output()

    def peer_lost(self) -> None:
        """Abort the connection, since the peer does nothing."""
        self.abort(INTERNAL_ERROR, "keepalive timeout")

    def close(self, code: int = NORMAL, reason: str = "") -> None:
        """Close the connection when the frames in the send queue are sent.

        Args:
            code: The close code.
            reason: Why, for a person; truncated to 123 bytes.
        """
        self._end(code, reason, flush=True)

    def abort(self, code: int = INTERNAL_ERROR, reason: str = "") -> None:
        """Close the connection at once; the frames in the send queue are dropped.

        Args:
            code: The close code.
            reason: Why, for a person; truncated to 123 bytes.
        """
        self._end(code, reason, flush=False)

    def connection_lost(self) -> None:
        """Record that the connection has ended. Call it once."""
        self._end(NORMAL, "", flush=False)
        if self._metrics is not None:
            self._metrics.session_closed()

    @abstractmethod
    def _ping_frame(self) -> str:
        """Return the frame that asks the peer for a sign of life."""

    def _end(self, code: int, reason: str, *, flush: bool) -> None:
        """Have the connection closed; the first call counts."""
        if self.closing is None:
            self.closing = Closing(code, truncate_reason(reason), flush)
            if not flush:
                self._queue.clear()
            self.on_output()

    def _send(self, text: str) -> None:
        """Queue a frame."""
        self._put((text, size_of(text), OTHER))

    def _put(self, frame: QueuedFrame) -> None:
        self._queue.put(frame)
        if self._metrics is not None:
            self._metrics.frame_queued(len(self._queue))
        self.on_output()

    def _count_error(self, code: str) -> None:
        """Count an error response that was sent or received."""
        if self._metrics is not None:
            self._metrics.error(code)

    def _heard(self, frame: Frame, now: float) -> int:
        """Record a frame from the peer, and return its size."""
        self._keepalive.heard(now)
        size = size_of(frame)
        if self._metrics is not None:
            self._metrics.frame_received(size)
        return size


def truncate_reason(reason: str) -> str:
    """Return a reason truncated to what a close frame has room for."""
    return reason.encode(errors="replace")[:123].decode(errors="ignore")


def _nothing() -> None:
    pass
