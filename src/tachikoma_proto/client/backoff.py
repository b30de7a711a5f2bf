"""How long to wait before a lost connection is tried again."""

import random
from collections.abc import Iterator


def delays(base: float, longest: float) -> Iterator[float]:
    """Give growing delays, each with a random part taken off.

    The random part keeps the clients of a server that comes back from coming all at once.

    Args:
        base: The first delay in seconds.
        longest: The longest.

    Yields:
        Seconds: each at least half of, and at most, twice what the last one could be.
    """
    delay = base
    while True:
        delay = min(delay, longest)
        yield delay * random.uniform(0.5, 1)
        delay *= 2
