"""The rate of a peer's frames: a token bucket."""


class TokenBucket:
    """Lets a burst pass, and then so many a second.

    Args:
        rate: How many a second on average; None for any number.
        burst: How many at once.
        now: The present time in seconds.
    """

    def __init__(self, rate: float | None, burst: int, now: float) -> None:
        self._rate = rate
        self._burst = burst
        self._left = float(burst)
        self._filled = now

    def take(self, now: float) -> bool:
        """Take one, and tell whether there was one."""
        if self._rate is None:
            return True
        self._left = min(self._burst, self._left + (now - self._filled) * self._rate)
        self._filled = now
        if self._left < 1:
            return False
        self._left -= 1
        return True
