"""Timing: the contestants take turns, block by block, in one process.

Rules:

* In a round, every measure is taken once of every contestant, one after the other, in an order
  that turns from round to round; what slows the machine down for a while slows all down.
* A block is as many operations as take about the block time; its result is the mean.
* Every operation gets a frame, or a message, of its own, made beforehand: CPython keeps the
  UTF-8 form of a string once somebody asked for it, which would make the second read cheaper.
* The garbage collector runs between blocks and is off in them.
"""

import gc
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from time import perf_counter_ns
from typing import Any, Final

from benchmarks.cases import Case, Direction
from benchmarks.contestant import Contestant, Decode

WARM_UP: Final = 2
"""Operations before each block that do not count."""


@dataclass(frozen=True)
class Effort:
    """How long to measure.

    Attributes:
        rounds: How many blocks of every measure.
        block_ns: How long a block should take, in nanoseconds.
    """

    rounds: int
    block_ns: int


FULL: Final = Effort(rounds=61, block_ns=4_000_000)
QUICK: Final = Effort(rounds=5, block_ns=1_000_000)


@dataclass
class Entry:
    """A contestant in a measure.

    Attributes:
        contestant: Its name.
        run: The operation.
        inputs: Makes inputs for so many passes over the case.
        refusals: What the operation must raise; nothing if it must succeed.
        passes: How many passes make a block.
        results: Per round, nanoseconds per operation, or bytes per message.
    """

    contestant: str
    run: Callable[[Any], object]
    inputs: Callable[[int], list[Any]]
    refusals: tuple[type[Exception], ...] = ()
    passes: int = 1
    results: list[float] = field(default_factory=list)


@dataclass
class Measure:
    """What is measured of every contestant.

    Attributes:
        case: The frames.
        direction: Reading, writing, or the memory of what was read.
        entries: Who takes part.
        accepts: Who accepts what must be refused, and is not timed.
    """

    case: Case
    direction: Direction
    entries: list[Entry] = field(default_factory=list)
    accepts: list[str] = field(default_factory=list)


def make_measures(contestants: list[Contestant], cases: list[Case]) -> list[Measure]:
    """Make the measures of the cases, reading before writing.

    Args:
        contestants: Who takes part where it can.
        cases: What is read and written.
    """
    measures: list[Measure] = []
    for case in cases:
        for direction in case.directions:
            measure = Measure(case, direction)
            for contestant in contestants:
                _enter(measure, contestant)
            measures.append(measure)
    return measures


def _enter(measure: Measure, contestant: Contestant) -> None:
    """Have a contestant take part in a measure, if it can."""
    case = measure.case
    decode = contestant.decode(case)
    if case.refused and not contestant.strict:
        measure.accepts.append(contestant.name)
    elif decode is not None and measure.direction == "decode":
        refusals = contestant.refusals if case.refused else ()
        measure.entries.append(Entry(contestant.name, decode, _frames_of(case), refusals))
    elif decode is not None:
        encode = contestant.encode(case) if measure.direction == "encode" else contestant.send(case)
        if encode is not None:
            measure.entries.append(Entry(contestant.name, encode, _messages_of(case, decode)))


def run(measures: list[Measure], effort: Effort) -> Iterator[int]:
    """Take all measures, round by round.

    Args:
        measures: What to measure; the results are put there.
        effort: How long.

    Yields:
        The number of each round that is done.
    """
    gc.collect()
    gc.freeze()
    gc.disable()
    try:
        for measure in measures:
            for entry in measure.entries:
                _calibrate(entry, effort)
        for number in range(effort.rounds):
            for measure in measures:
                for entry in _turned(measure.entries, number):
                    entry.results.append(_block(entry))
            yield number + 1
    finally:
        gc.enable()
        gc.unfreeze()


def _turned(entries: list[Entry], number: int) -> list[Entry]:
    start = number // 2 % len(entries) if entries else 0
    turned = entries[start:] + entries[:start]
    return turned[::-1] if number % 2 else turned


def _calibrate(entry: Entry, effort: Effort) -> None:
    per_pass = len(entry.inputs(1))
    for _ in range(3):
        nanoseconds = _block(entry) * per_pass
        entry.passes = max(1, round(effort.block_ns / nanoseconds))


def _block(entry: Entry) -> float:
    inputs = entry.inputs(entry.passes)
    warm_up = entry.inputs(1)[:WARM_UP]
    gc.collect()
    time = _time_refusals if entry.refusals else _time
    time(entry, warm_up)
    return time(entry, inputs) / len(inputs)


def _time(entry: Entry, inputs: list[Any]) -> int:
    run = entry.run
    start = perf_counter_ns()
    for value in inputs:
        run(value)
    return perf_counter_ns() - start


def _time_refusals(entry: Entry, inputs: list[Any]) -> int:
    run, refusals, refused = entry.run, entry.refusals, 0
    start = perf_counter_ns()
    for value in inputs:
        try:
            run(value)
        except refusals:
            refused += 1
    elapsed = perf_counter_ns() - start
    assert refused == len(inputs), f"{entry.contestant} accepted a frame"
    return elapsed


def _frames_of(case: Case) -> Callable[[int], list[Any]]:
    def make(passes: int) -> list[Any]:
        return [_copy(frame) for _ in range(passes) for frame in case.frames]

    return make


def _messages_of(case: Case, decode: Decode) -> Callable[[int], list[Any]]:
    def make(passes: int) -> list[Any]:
        return [decode(_copy(frame)) for _ in range(passes) for frame in case.frames]

    return make


def _copy(frame: str | bytes) -> str | bytes:
    return (frame + " ")[:-1] if isinstance(frame, str) else bytes(bytearray(frame))
