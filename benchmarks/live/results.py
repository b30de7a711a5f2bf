"""Results: all that was measured in a run, and what it ran on."""

import os
import platform
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import attrs
from attrs import frozen

from benchmarks.live.fanout import Publishing
from benchmarks.live.idle import Idle
from benchmarks.live.servers import ENTRANTS
from benchmarks.live.throughput import Rate


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
        date=datetime.now(UTC).strftime("%Y-%m-%d"),
        command="python -m benchmarks.live",
        rounds=rounds,
        python=f"{platform.python_implementation()} {platform.python_version()}",
        cpu=f"{_cpu_model()}, {os.cpu_count()} logical CPUs",
        system=f"{platform.system()} {platform.machine()}",
        packages={name: version(name) for name in ["tachikoma-proto", "attrs", *names]},
        rates=rates,
        publishing=publishing,
        idle=idle,
    )


def _cpu_model() -> str:
    info = Path("/proc/cpuinfo")
    for line in info.read_text().splitlines() if info.exists() else ():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
