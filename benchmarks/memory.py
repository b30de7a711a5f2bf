"""Memory: what a message takes while it is held.

Rules:

* Many messages are read and held; what tracemalloc counts more than before, divided by their
  number, is the memory of one. The frames' text is not in it, unless a message holds on to it.
* The count is the same in every run, so one run is enough.
"""

import gc
import tracemalloc
from typing import Any, Final

from benchmarks.cases import Case
from benchmarks.contestant import Contestant, Decode
from benchmarks.timing import Entry, Measure

HELD: Final = 10_000
"""How many messages are held."""


def measure_memory(contestants: list[Contestant], case: Case) -> Measure:
    """Measure the memory of a case's message for every contestant.

    Args:
        contestants: Who reads it.
        case: A case of one frame.
    """
    measure = Measure(case, "memory")
    for contestant in contestants:
        decode = contestant.decode(case)
        if decode is not None:
            taken = _bytes_of(decode, case.texts[0])
            measure.entries.append(Entry(contestant.name, decode, lambda _: [], results=[taken]))
    return measure


def _bytes_of(decode: Decode, text: str) -> float:
    held: list[Any] = [None] * HELD
    decode(text)
    gc.collect()
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        for index in range(HELD):
            held[index] = decode(text)
        gc.collect()
        after, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    return (after - before) / HELD
