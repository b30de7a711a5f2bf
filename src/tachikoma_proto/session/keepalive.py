"""Keepalive: when to ping a silent peer, and when to take it as lost.

Rules:

* Any frame from the peer is a sign of life; a peer that sends something is not pinged.
* The time for an answer starts when the ping has really been written.
* Nothing is scheduled when a frame arrives: the deadline is computed when it is asked for.
"""

from math import inf


class Keepalive:
    """Watches one peer.

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
