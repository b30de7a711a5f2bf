"""``python -m benchmarks.live``: check, measure, print, save.

Rules:

* A quick run is saved only where ``--output`` says, so that it never takes the place of a whole
  one.
"""

import argparse
import json
import sys
from pathlib import Path

from attrs import frozen

from benchmarks.live import fanout
from benchmarks.live.fanout import Setting, measure_fanout
from benchmarks.live.idle import measure_idle
from benchmarks.live.report import to_markdown, to_tables
from benchmarks.live.results import make_report
from benchmarks.live.throughput import Effort, measure_rates


@frozen
class Plan:
    """How long to measure what.

    Attributes:
        loopback: For the servers.
        crowds: The crowds to publish to.
        publishing_rounds: How many times each crowd is timed.
    """

    loopback: Effort
    crowds: tuple[tuple[Setting, ...], ...]
    publishing_rounds: int


FULL = Plan(Effort(rounds=31, frames=4000, alternating=1000), fanout.FULL, 301)
QUICK = Plan(Effort(rounds=3, frames=1000, alternating=250), fanout.QUICK, 5)


def main(arguments: list[str] | None = None) -> int:
    """Run the benchmarks.

    Args:
        arguments: The command line; the process's own if left out.

    Returns:
        The exit status.
    """
    options = _parser().parse_args(arguments)
    plan = QUICK if options.quick else FULL

    def tell(number: int) -> None:
        print(f"\rround {number} of {plan.loopback.rounds}", end="", file=sys.stderr, flush=True)

    publishing = measure_fanout(plan.crowds, plan.publishing_rounds)
    idle = measure_idle()
    rates = measure_rates(plan.loopback, tell)
    print(file=sys.stderr)

    report = make_report(plan.loopback.rounds, rates, publishing, idle)
    print(to_tables(report))
    output = options.output
    if output is None and not options.quick:
        output = Path("docs")
    if output is not None:
        output.mkdir(parents=True, exist_ok=True)
        figures = json.dumps(report.as_json(), ensure_ascii=False, indent=2)
        (output / "live.json").write_text(figures + "\n", encoding="utf-8")
        (output / "live.md").write_text(to_markdown(report), encoding="utf-8")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.live", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="few and short rounds")
    parser.add_argument("--output", type=Path, help="where to save; docs for a whole run")
    return parser


if __name__ == "__main__":
    sys.exit(main())
