"""Throughput: all servers run at once and are driven in turns.

Rules:

* In a round, every load is put on every server, one after the other, in an order that turns from
  round to round; what slows the machine down for a while slows all down.
* A ratio is taken within a round, against the echo, and the median of the ratios is reported.
"""

import asyncio
import gc
from collections.abc import Callable
from contextlib import ExitStack
from statistics import median
from typing import Final

from attrs import frozen

from benchmarks.live.driver import LOADS, Driven, Load, Sample
from benchmarks.live.process import ServerProcess
from benchmarks.live.servers import ECHO, ENTRANTS

WARM_UP: Final = 500
"""Frames of each load that do not count."""


@frozen
class Effort:
    """How long to measure.

    Attributes:
        rounds: How many.
        frames: How many frames a sample has.
        alternating: How many it has where each waits for the one before.
    """

    rounds: int
    frames: int
    alternating: int

    def of(self, load: Load) -> int:
        """Give the number of frames of a load's sample."""
        return self.frames if load.connections * load.window > 1 else self.alternating


@frozen
class Rate:
    """What was measured of a server under a load; the ratios are to the echo.

    Attributes:
        load: The load.
        server: The server.
        per_second: Frames answered in a second.
        microseconds: Time for a frame.
        ratio: Throughput to the echo's; higher is better.
        processor: Microseconds of the server's processor time for a frame.
        processor_ratio: That to the echo's; lower is better.
    """

    load: str
    server: str
    per_second: float
    microseconds: float
    ratio: float
    processor: float | None
    processor_ratio: float | None


def measure_rates(effort: Effort, told: Callable[[int], object]) -> list[Rate]:
    """Drive all servers.

    Args:
        effort: How long.
        told: Is told the number of each round that is done.

    Raises:
        CheckFailed: A server does not do what it is timed for.
    """
    with ExitStack() as stack:
        processes = [stack.enter_context(ServerProcess(entrant)) for entrant in ENTRANTS]
        samples = asyncio.run(_samples(processes, effort, told))
    return [
        _rate(load, entrant.name, samples[load.name, entrant.name], samples[load.name, ECHO])
        for load in LOADS
        for entrant in ENTRANTS
    ]


async def _samples(
    processes: list[ServerProcess], effort: Effort, told: Callable[[int], object]
) -> dict[tuple[str, str], list[Sample]]:
    servers = [Driven(process) for process in processes]
    samples: dict[tuple[str, str], list[Sample]] = {
        (load.name, server.name): [] for load in LOADS for server in servers
    }
    for server in servers:
        await server.open()
    for load in LOADS:
        for server in servers:
            await server.sample(load, WARM_UP)
    for number in range(effort.rounds):
        for load in LOADS:
            for server in _turned(servers, number):
                gc.collect()
                samples[load.name, server.name].append(await server.sample(load, effort.of(load)))
        told(number + 1)
    for server in servers:
        await server.close()
    return samples


def _turned(servers: list[Driven], number: int) -> list[Driven]:
    start = number // 2 % len(servers)
    turned = servers[start:] + servers[:start]
    return turned[::-1] if number % 2 else turned


def _rate(load: Load, server: str, mine: list[Sample], base: list[Sample]) -> Rate:
    elapsed = median(sample.elapsed for sample in mine)
    processor = [sample.processor for sample in mine if sample.processor is not None]
    processor_ratios = [
        a.processor / b.processor
        for a, b in zip(mine, base, strict=True)
        if a.processor is not None and b.processor is not None
    ]
    return Rate(
        load=load.name,
        server=server,
        per_second=round(1e9 / elapsed),
        microseconds=round(elapsed / 1000, 2),
        ratio=round(median(b.elapsed / a.elapsed for a, b in zip(mine, base, strict=True)), 3),
        processor=round(median(processor) / 1000, 2) if processor else None,
        processor_ratio=round(median(processor_ratios), 3) if processor_ratios else None,
    )
