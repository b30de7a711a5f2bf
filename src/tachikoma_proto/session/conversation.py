"""What both sides of a connection have: an outbox, a keepalive, and an end."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from math import inf
from typing import Generic, TypeVar

from attrs import frozen

from tachikoma_proto.session.keepalive import Keepalive
from tachikoma_proto.session.metrics import Metrics
from tachikoma_proto.session.outbox import Outbox
from tachikoma_proto.wire.json_reader import Frame

NORMAL = 1000
GOING_AWAY = 1001
POLICY_VIOLATION = 1008
INTERNAL_ERROR = 1011
TRY_AGAIN_LATER = 1013
"""Close codes of RFC 6455, and of the registry that it opened."""

H = TypeVar("H")
"""What comes out of a session for somebody else to do."""


@frozen
class Closing:
    """How a connection is to be closed.

    Attributes:
        code: The close code.
        reason: Why, for a person; at most 123 bytes.
        drains: Whether what waits to be sent is sent before.
    """

    code: int
    reason: str
    drains: bool = True


class Conversation(ABC, Generic[H]):
    """One side of a connection.

    Args:
        metrics: Told what comes and goes, if anybody is to be; never raises.
        keepalive: Watches the peer.

    Attributes:
        closing: How the connection is to be closed, once it is.
        ping_is_out: Whether ``sent`` wants to be called when what was taken is sent.
        on_output: Called when there is something to send, or the connection is to be closed;
            set by whoever does the I/O.
    """

    def __init__(self, metrics: Metrics | None, keepalive: Keepalive) -> None:
        self.closing: Closing | None = None
        self.on_output: Callable[[], object] = _nothing
        self._metrics = metrics
        self._keepalive = keepalive
        self._outbox = Outbox()
        self._ping_waits = self.ping_is_out = False
        if metrics is not None:
            metrics.session_opened()

    @property
    def pending(self) -> int:
        """How many frames wait to be sent."""
        return len(self._outbox)

    @property
    def has_room(self) -> bool:
        """Whether the peer may be listened to, or first has to read what waits for it."""
        return True

    @property
    def patience(self) -> float:
        """For how many seconds the peer may do nothing at all; infinite if for ever."""
        return self._keepalive.patience

    @property
    def deadline(self) -> float:
        """When ``tick`` wants to be called, in seconds; infinite if never."""
        return inf if self.closing is not None else self._keepalive.deadline

    @abstractmethod
    def receive(self, frame: Frame, now: float) -> H | None:
        """Take in a frame.

        Args:
            frame: The text, or its bytes in UTF-8.
            now: The present time in seconds.

        Returns:
            What somebody else has to do; None if there is nothing.
        """

    def take(self) -> str | None:
        """Take the next frame to be sent; None if there is none."""
        text = self._outbox.take()
        if text is not None:
            if self._metrics is not None:
                self._metrics.frame_sent(size_of(text))
            if self._ping_waits:  # and so stood before all others
                self._ping_waits, self.ping_is_out = False, True
        return text

    def sent(self, now: float) -> None:
        """Say that what was taken is sent, if that may have taken a while."""
        if self.ping_is_out:
            self.ping_is_out = False
            self._keepalive.sent(now)

    def listened(self, now: float) -> None:
        """Say that the peer could not be listened to until now, so that it is not to blame."""
        self._keepalive.heard(now)

    def tick(self, now: float) -> None:
        """Do what is due.

        Args:
            now: The present time in seconds.
        """
        if self.closing is not None:
            return
        if self._keepalive.is_lost(now):
            self.give_up()
        elif self._keepalive.should_ask(now):
            self._ping_waits = True
            self._outbox.put_first(self._ping())
            self.on_output()

    def give_up(self) -> None:
        """Have the connection closed, since the peer does nothing."""
        self.shut(INTERNAL_ERROR, "no sign of life", drains=False)

    def shut(self, code: int = NORMAL, reason: str = "", *, drains: bool = True) -> None:
        """Have the connection closed now; what was said first stands.

        Args:
            code: The close code.
            reason: Why, for a person; cut at 123 bytes.
            drains: Whether what waits to be sent is sent before.
        """
        if self.closing is None:
            self.closing = Closing(code, cut_reason(reason), drains)
            if not drains:
                self._outbox.clear()
            self.on_output()

    def gone(self) -> None:
        """Say that the connection is gone. Call it once."""
        self.shut()
        if self._metrics is not None:
            self._metrics.session_closed()

    @abstractmethod
    def _ping(self) -> str:
        """Write the frame that asks the peer whether it is there."""

    def _say(self, text: str, is_event: bool = False) -> None:
        """Queue a frame, however many wait already."""
        self._outbox.put(text, is_event)
        if self._metrics is not None:
            self._metrics.frame_queued(len(self._outbox))
        self.on_output()

    def _was_told(self, code: str) -> None:
        """Count an error response that was given or received."""
        if self._metrics is not None:
            self._metrics.error(code)

    def _heard(self, frame: Frame, now: float) -> int:
        """Count a frame that came, and give its size."""
        self._keepalive.heard(now)
        size = size_of(frame)
        if self._metrics is not None:
            self._metrics.frame_received(size)
        return size


def size_of(frame: Frame) -> int:
    """Tell how many bytes a frame has in UTF-8."""
    if isinstance(frame, str):
        return len(frame) if frame.isascii() else len(frame.encode(errors="surrogatepass"))
    return memoryview(frame).nbytes


def cut_reason(reason: str) -> str:
    """Cut a reason to what a close frame has room for."""
    return reason.encode(errors="replace")[:123].decode(errors="ignore")


def _nothing() -> None:
    pass
