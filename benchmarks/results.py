"""Results: medians, ratios and who was fastest, with all that is needed to compare runs.

Rules:

* A ratio is taken round by round against the same round of the baseline, and the median of
  these ratios is reported; it is not the ratio of two medians.
* The baseline is the first contestant.
* The fastest is told twice where it differs: among those that do the whole work, strictly and
  for all messages, and among all.
"""

from dataclasses import asdict, dataclass
from statistics import median, quantiles
from typing import Any, Final

from benchmarks.cases import Direction
from benchmarks.contestant import Contestant
from benchmarks.provenance import facts
from benchmarks.timing import Effort, Measure

_PACKAGES: Final = (
    "tachikoma-proto",
    "attrs",
    "cattrs",
    "mashumaro",
    "matplotlib",
    "msgspec",
    "orjson",
    "pydantic",
    "pydantic-core",
)


@dataclass(frozen=True)
class Figure:
    """What was measured of a contestant.

    Attributes:
        value: The median: microseconds per operation, or bytes per message.
        ratio: The median of the ratios to the baseline; None without a baseline.
        ratio_low: Their first quartile.
        ratio_high: Their third quartile.
    """

    value: float
    ratio: float | None
    ratio_low: float | None
    ratio_high: float | None


@dataclass(frozen=True)
class Row:
    """A case in one direction.

    Attributes:
        case: The name of the case.
        title: What the report calls it.
        direction: Reading, writing or memory.
        unit: ``us`` or ``bytes``.
        figures: By contestant.
        accepts: Who accepts what must be refused.
        fastest: The best of those that do the whole work.
        fastest_of_all: The best of all.
    """

    case: str
    title: str
    direction: Direction
    unit: str
    figures: dict[str, Figure]
    accepts: list[str]
    fastest: str
    fastest_of_all: str


@dataclass(frozen=True)
class Entrant:
    """What the report says of a contestant."""

    name: str
    version: str
    note: str
    strict: bool
    whole: bool


@dataclass(frozen=True)
class Report:
    """All results of a run, and what it ran on."""

    date: str
    command: str
    rounds: int
    python: str
    cpu: str
    system: str
    packages: dict[str, str]
    baseline: str
    contestants: list[Entrant]
    left_out: list[str]
    rows: list[Row]

    def as_json(self) -> dict[str, Any]:
        """Give the report as builtins."""
        return asdict(self)


def make_report(
    contestants: list[Contestant],
    left_out: list[str],
    measures: list[Measure],
    effort: Effort,
    command: str,
) -> Report:
    """Make the report of a run.

    Args:
        contestants: Who took part; the first is the baseline.
        left_out: Who did not, and why.
        measures: What was measured.
        effort: How long.
        command: How to run it again.
    """
    baseline = contestants[0].name
    whole = {c.name for c in contestants if c.whole and c.strict}
    return Report(
        **facts(_PACKAGES),
        command=command,
        rounds=effort.rounds,
        baseline=baseline,
        contestants=[Entrant(c.name, c.version, c.note, c.strict, c.whole) for c in contestants],
        left_out=left_out,
        rows=[_row(measure, baseline, whole) for measure in measures],
    )


def _row(measure: Measure, baseline: str, whole: set[str]) -> Row:
    in_bytes = measure.direction == "memory"
    results = {entry.contestant: entry.results for entry in measure.entries}
    base = results.get(baseline)
    figures = {
        name: _figure(values, base, 1 if in_bytes else 1000) for name, values in results.items()
    }
    return Row(
        case=measure.case.name,
        title=measure.case.title,
        direction=measure.direction,
        unit="bytes" if in_bytes else "us",
        figures=figures,
        accepts=measure.accepts,
        fastest=_least({name: f for name, f in figures.items() if name in whole}),
        fastest_of_all=_least(figures),
    )


def _figure(values: list[float], base: list[float] | None, scale: int) -> Figure:
    value = round(median(values) / scale, 4)
    if base is None:
        return Figure(value, None, None, None)
    ratios = [mine / theirs for mine, theirs in zip(values, base, strict=True)]
    low, _, high = quantiles(ratios, n=4) if len(ratios) > 1 else ratios * 3
    return Figure(value, round(median(ratios), 4), round(low, 4), round(high, 4))


def _least(figures: dict[str, Figure]) -> str:
    return min(figures, key=lambda name: figures[name].value)
