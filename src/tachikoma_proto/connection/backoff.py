"""Delays between attempts to connect."""

import random
from collections.abc import Iterator


def delays(base: float, longest: float) -> Iterator[float]:
    """Return growing delays, for attempts that follow each other.

    A random part of up to a half is taken off each, so that those who wait for the same server
    do not return all at once.

    Args:
        base: The first delay in seconds; each further one is twice as long.
        longest: The longest.
    """
    delay = base
    while True:
        delay = min(delay, longest)
        yield delay * random.uniform(0.5, 1)
        delay *= 2
