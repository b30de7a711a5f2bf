"""Provenance: when a run was, on what, and how it is told."""

import os
import platform
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any, TypedDict


class Facts(TypedDict):
    """What every report says of its run.

    Attributes:
        date: When.
        python: Which Python.
        cpu: Which processor.
        system: Which system.
        packages: The versions of all that took part.
    """

    date: str
    python: str
    cpu: str
    system: str
    packages: dict[str, str]


def facts(packages: Iterable[str]) -> Facts:
    """Gather the facts of a run that is made now, here.

    Args:
        packages: The distributions that take part.
    """
    return {
        "date": datetime.now(UTC).strftime("%Y-%m-%d"),
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "cpu": f"{_cpu_model()}, {os.cpu_count()} logical CPUs",
        "system": f"{platform.system()} {platform.machine()}",
        "packages": {name: version(name) for name in packages},
    }


def measured(report: Mapping[str, Any]) -> str:
    """Write the paragraph that says what a report is of, and how to make it again.

    Args:
        report: The report as builtins: ``Facts``, the number of ``rounds``, and the ``command``.
    """
    versions = ", ".join(f"{name} {number}" for name, number in report["packages"].items())
    return (
        "Measured on {date} with {python} on {cpu} ({system}), {rounds} rounds;\n{versions}.\n"
        "Again: `{command}`, as `benchmarks/README.md` says.\n"
    ).format_map({**report, "versions": versions})


def _cpu_model() -> str:
    info = Path("/proc/cpuinfo")
    for line in info.read_text().splitlines() if info.exists() else ():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
