"""Keepalive: when to ask a silent peer whether it is there, and when to give it up.

Rules:

* Whatever the peer says is a sign of life; a peer that talks is not asked.
* The time that it has for its answer begins anew when the question is really sent.
* Nothing is scheduled for a frame that comes: the deadline is worked out when it is asked for.
"""

from math import inf


class Keepalive:
    """Watches one peer.

    Args:
        interval: After how many seconds of silence it is asked; None never asks.
        timeout: How many seconds it then has to say something.
        now: The present time.
    """

    def __init__(self, interval: float | None, timeout: float, now: float) -> None:
        self._interval = inf if interval is None else interval
        self._timeout = timeout
        self._heard = now
        self._asked: float | None = None

    @property
    def patience(self) -> float:
        """How many seconds in all a peer may do nothing; infinite if it is never asked."""
        return self._interval + self._timeout

    @property
    def deadline(self) -> float:
        """When something is to be done; infinite if never."""
        if self._asked is None:
            return self._heard + self._interval
        return self._asked + self._timeout

    def heard(self, now: float) -> None:
        """Say that the peer said something, or could not be listened to."""
        self._heard = now
        self._asked = None

    def sent(self, now: float) -> None:
        """Say that the question is sent only now."""
        if self._asked is not None:
            self._asked = now

    def is_lost(self, now: float) -> bool:
        """Tell whether the peer was asked and has let its time go by."""
        return self._asked is not None and now >= self.deadline

    def should_ask(self, now: float) -> bool:
        """Tell whether the peer has to be asked now; it then counts as asked."""
        if self._asked is not None or now < self.deadline:
            return False
        self._asked = now
        return True
