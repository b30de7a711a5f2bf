"""The plot: ratios as bars, one panel for each case and direction.

Rules:

* The axis is logarithmic and the same in all panels; 1 is the baseline.
* A contestant has one colour and one place; where it has no bar, a word says why.
"""

from pathlib import Path
from typing import Final

import matplotlib

from benchmarks.report import marked
from benchmarks.results import Report, Row

matplotlib.use("svg")

from matplotlib import pyplot
from matplotlib.axes import Axes

_COLUMNS: Final = 2
_COLOURS: Final = (
    "#1b5e9b",
    "#5b9bd5",
    "#c0504d",
    "#e08e3c",
    "#efc28f",
    "#5a8f4e",
    "#8064a2",
    "#8c8c8c",
)


def save_plot(report: Report, path: Path) -> None:
    """Draw the ratios of a report.

    Args:
        report: What was measured.
        path: The file to write, in SVG.
    """
    matplotlib.rcParams["svg.hashsalt"] = "benchmarks"
    matplotlib.rcParams["font.size"] = 9
    grid = _arranged(report.rows)
    figure, axes = pyplot.subplots(
        len(grid),
        _COLUMNS,
        figsize=(11, 0.6 + 2.15 * len(grid)),
        sharex=True,
        squeeze=False,
        layout="constrained",
    )
    figure.suptitle(f"Time, or memory, relative to {report.baseline}; less is better")
    figure.supxlabel("← faster, smaller          slower, larger →", fontsize=9)
    ratios = [f.ratio for row in report.rows for f in row.figures.values() if f.ratio]
    for line, rows in zip(axes, grid, strict=True):
        for axis, row in zip(line, rows, strict=True):
            if row is None:
                axis.set_visible(False)
                continue
            _draw(axis, report, row)
            axis.set_xlim(min([*ratios, 1]) * 0.8, max([*ratios, 1]) * 1.7)
    figure.savefig(path, metadata={"Date": None})
    pyplot.close(figure)


def _arranged(rows: list[Row]) -> list[list[Row | None]]:
    """Put a case's two directions side by side; memory takes the first free place."""
    grid: list[list[Row | None]] = []
    for case in dict.fromkeys(row.case for row in rows if row.direction != "memory"):
        found: list[Row | None] = [
            row for row in rows if row.case == case and row.direction != "memory"
        ]
        grid.append(found + [None] * (_COLUMNS - len(found)))
    for row in rows:
        if row.direction == "memory":
            free = next((line for line in grid if None in line), None)
            if free is None:
                free = list[Row | None]([None] * _COLUMNS)
                grid.append(free)
            free[free.index(None)] = row
    return grid


def _draw(axis: Axes, report: Report, row: Row) -> None:
    names = [c.name for c in report.contestants]
    axis.set_title(f"{row.title}: {row.direction}", fontsize=9, loc="left")
    axis.set_xscale("log")
    axis.set_yticks(range(len(names)), [marked(report, name) for name in names])
    axis.set_ylim(len(names) - 0.5, -0.5)
    axis.axvline(1, color="black", linewidth=0.8)
    axis.tick_params(axis="x", labelbottom=True)
    axis.xaxis.set_major_formatter(lambda value, _: f"{value:g}×")
    axis.spines[["top", "right"]].set_visible(False)
    for place, name in enumerate(names):
        figure = row.figures.get(name)
        if figure is None or figure.ratio is None:
            word = "accepts it" if name in row.accepts else "takes no part"
            axis.text(1.05, place, word, va="center", color="#666666", style="italic")
            continue
        ratio = figure.ratio
        axis.barh(place, ratio - 1, left=1, color=_COLOURS[place % len(_COLOURS)])
        axis.text(max(ratio, 1) * 1.05, place, f"{ratio:.2f}×", va="center")
