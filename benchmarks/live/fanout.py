"""Fan-out: what it takes to publish one event to many sessions, without sockets.

Rules:

* What is timed is ``Hub.publish``; the events are made before, and the queues emptied after.
* Crowds whose times are compared are there at the same time, and timed in turns.
"""

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from statistics import median
from time import perf_counter_ns
from typing import Final

from attrs import frozen

from benchmarks.live.crowd import By, Crowd, check, events, make_crowd

RECEIVERS_PER_BLOCK: Final = 2_000
"""How many frames a block queues, where one event has not more receivers."""


@frozen
class Setting:
    """A crowd to be timed.

    Attributes:
        matching: How many sessions get the event.
        sessions: How many there are.
        by: How they ask for it.
    """

    matching: int
    sessions: int
    by: By


FULL: Final = (
    (Setting(1, 1, "topic"), Setting(100, 100, "topic"), Setting(10_000, 10_000, "topic")),
    (Setting(10, 10, "topic"), Setting(10, 100_000, "topic")),
    (Setting(10, 10, "filter"), Setting(10, 100_000, "filter")),
)
"""The crowds; those of a group are there at the same time, and compared to the first."""

QUICK: Final = (
    (Setting(1, 1, "topic"), Setting(100, 100, "topic"), Setting(1_000, 1_000, "topic")),
    (Setting(10, 10, "topic"), Setting(10, 2_000, "topic")),
    (Setting(10, 10, "filter"), Setting(10, 2_000, "filter")),
)


@frozen
class Publishing:
    """What was measured of a crowd.

    Attributes:
        matching: How many sessions got the event.
        sessions: How many there were.
        by: How they asked for it.
        microseconds: Time for an event.
        per_receiver: The same divided by the receivers.
        ratio: Of the time for an event to that of the first crowd of the group; None if that
            has not as many receivers.
        encoded: How many times an event was encoded.
    """

    matching: int
    sessions: int
    by: By
    microseconds: float
    per_receiver: float
    ratio: float | None
    encoded: int


def measure_fanout(groups: tuple[tuple[Setting, ...], ...], rounds: int) -> list[Publishing]:
    """Publish to all crowds.

    Args:
        groups: The crowds.
        rounds: How many times each is timed.

    Raises:
        CheckFailed: An event does not go where it should.
    """
    return [result for group in groups for result in _group(group, rounds)]


def _group(group: tuple[Setting, ...], rounds: int) -> list[Publishing]:
    crowds = [make_crowd(s.matching, s.sessions, s.by) for s in group]
    encoded = [check(crowd) for crowd in crowds]
    times: list[list[float]] = [[] for _ in crowds]
    with _no_collection():
        for number in range(rounds + 1):
            order = range(len(crowds)) if number % 2 else reversed(range(len(crowds)))
            for index in order:
                times[index].append(_block(crowds[index]))
    first = [times[0][1:] if s.matching == group[0].matching else None for s in group]
    return [
        _publishing(setting, mine[1:], base, count)  # the first block warmed up
        for setting, mine, base, count in zip(group, times, first, encoded, strict=True)
    ]


def _block(crowd: Crowd) -> float:
    publish = crowd.hub.publish
    made = list(events(max(1, min(200, RECEIVERS_PER_BLOCK // len(crowd.matching)))))
    start = perf_counter_ns()
    for event in made:
        publish(event)
    elapsed = perf_counter_ns() - start
    crowd.drain()
    return elapsed / len(made)


def _publishing(
    setting: Setting, mine: list[float], base: list[float] | None, encoded: int
) -> Publishing:
    time = median(mine) / 1000
    ratio = median(a / b for a, b in zip(mine, base, strict=True)) if base else None
    return Publishing(
        matching=setting.matching,
        sessions=setting.sessions,
        by=setting.by,
        microseconds=round(time, 2),
        per_receiver=round(time / setting.matching, 3),
        ratio=None if ratio is None else round(ratio, 3),
        encoded=encoded,
    )


@contextmanager
def _no_collection() -> Iterator[None]:
    gc.collect()
    gc.freeze()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
        gc.unfreeze()
