"""Memory: what a session takes while nothing happens.

Rules:

* Many sessions are opened and held; what tracemalloc counts more than before, divided by their
  number, is the memory of one. What asyncio and the WebSocket library take is not in it.
"""

import gc
import tracemalloc
from collections.abc import Callable
from typing import Final
from uuid import UUID

from attrs import frozen

import tachikoma_proto as tp
from benchmarks.live.crowd import CONFIG, subscribe

HELD: Final = 10_000
"""How many sessions are held."""


@frozen
class Idle:
    """The memory of one session, in bytes.

    Attributes:
        bare: As it is opened.
        subscribed: With one subscription, to a topic that nobody else asks for.
        filtered: With one subscription, by a filter that nobody else has.
    """

    bare: int
    subscribed: int
    filtered: int


def measure_idle() -> Idle:
    """Measure the memory of a session."""
    return Idle(
        bare=_bytes_of(lambda _, __: None),
        subscribed=_bytes_of(lambda session, own: subscribe(session, own, "topic")),
        filtered=_bytes_of(lambda session, own: subscribe(session, own, "filter")),
    )


def _bytes_of(settle: Callable[[tp.ServerSession, UUID], None]) -> int:
    hub = tp.Hub(tp.Codec(), CONFIG)
    held: list[tp.ServerSession | None] = [None] * HELD
    settle(hub.open(now=0.0), UUID(int=0))
    gc.collect()
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        for index in range(HELD):
            session = held[index] = hub.open(now=0.0)
            settle(session, UUID(int=index + 1))
        gc.collect()
        after, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    return round((after - before) / HELD)
