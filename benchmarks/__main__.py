"""``python -m benchmarks``: check, measure, print, save.

Rules:

* A run that is not whole (``--quick``, ``--only``) is saved only where ``--output`` says, so that
  it never takes the place of a whole one.
"""

import argparse
import json
import sys
from pathlib import Path

from benchmarks.cases import make_cases
from benchmarks.checks import check
from benchmarks.memory import measure_memory
from benchmarks.peers import make_contestants
from benchmarks.plot import save_plot
from benchmarks.report import to_markdown, to_tables
from benchmarks.results import make_report
from benchmarks.timing import FULL, QUICK, make_measures, run

MEMORY = "memory"


def main(arguments: list[str] | None = None) -> int:
    """Run the benchmarks.

    Args:
        arguments: The command line; the process's own if left out.

    Returns:
        The exit status.
    """
    cases = make_cases()
    options = _parser([*(case.name for case in cases), MEMORY]).parse_args(arguments)
    chosen = options.only or [*(case.name for case in cases), MEMORY]

    contestants, left_out = make_contestants()
    for sentence in left_out:
        print(sentence, file=sys.stderr)
    for contestant in contestants:
        check(contestant, cases)
    print(f"{len(contestants)} contestants checked", file=sys.stderr)

    effort = QUICK if options.quick else FULL
    measures = make_measures(contestants, [case for case in cases if case.name in chosen])
    for done in run(measures, effort):
        print(f"\rround {done} of {effort.rounds}", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)
    if MEMORY in chosen:
        measures.append(measure_memory(contestants, cases[0]))

    report = make_report(contestants, left_out, measures, effort, "python -m benchmarks")
    print(to_tables(report))
    output = options.output
    if output is None and not (options.quick or options.only):
        output = Path("docs")
    if output is not None:
        output.mkdir(parents=True, exist_ok=True)
        figures = json.dumps(report.as_json(), ensure_ascii=False, indent=2)
        (output / "benchmarks.json").write_text(figures + "\n", encoding="utf-8")
        (output / "benchmarks.md").write_text(to_markdown(report), encoding="utf-8")
        save_plot(report, output / "benchmarks.svg")
    return 0


def _parser(names: list[str]) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="few and short rounds")
    parser.add_argument(
        "--only", action="append", choices=names, metavar="CASE", help=f"of {', '.join(names)}"
    )
    parser.add_argument("--output", type=Path, help="where to save; docs for a whole run")
    return parser


if __name__ == "__main__":
    sys.exit(main())
