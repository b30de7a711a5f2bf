"""Results: all that was measured in a run, and what it ran on."""

from typing import Any

import attrs
from attrs import frozen

from benchmarks.live.fanout import Publishing
from benchmarks.live.idle import Idle
from benchmarks.live.servers import ENTRANTS
from benchmarks.live.throughput import Rate
from benchmarks.provenance import facts


@frozen
class Report:
    """A run.

    Attributes:
        date: When.
        command: How to run it again.
        rounds: How many.
        python: Which Python.
        cpu: Which processor.
        system: Which system.
        packages: The versions of all that took part.
        rates: Throughput.
        publishing: Fan-out.
        idle: Memory.
    """

    date: str
    command: str
    rounds: int
    python: str
    cpu: str
    system: str
    packages: dict[str, str]
    rates: list[Rate]
    publishing: list[Publishing]
    idle: Idle

    def as_json(self) -> dict[str, Any]:
        """Give the report as builtins."""
        return attrs.asdict(self)


def make_report(rounds: int, rates: list[Rate], publishing: list[Publishing], idle: Idle) -> Report:
    """Make the report of a run.

    Args:
        rounds: How many there were.
        rates: Throughput.
        publishing: Fan-out.
        idle: Memory.
    """
    names = sorted({name for entrant in ENTRANTS for name in entrant.packages})
    return Report(
        **facts(["tachikoma-proto", "attrs", *names]),
        command="python -m benchmarks.live",
        rounds=rounds,
        rates=rates,
        publishing=publishing,
        idle=idle,
    )
