"""The report as text: Markdown whose columns are aligned, for terminals and for documents alike.

Rules:

* Every contestant is marked for what it does not do, and where we lose it says so.
* A figure has three digits that count.
"""

from collections.abc import Callable, Iterator

from benchmarks.provenance import measured
from benchmarks.results import Figure, Report, Row

NOT_STRICT = "*"
NOT_WHOLE = "†"

INTRODUCTION = """\
# Benchmarks

One frame of the protocol is read, from text to a typed and checked message, or written; the
contestants do the same work wherever they can, and take turns in one process. Less is better
in every table.
"""


def to_markdown(report: Report) -> str:
    """Write the whole document."""
    return "\n".join(
        [
            INTRODUCTION,
            measured(report.as_json()),
            "![Ratios as bars](benchmarks.svg)\n",
            to_tables(report),
            "## Contestants\n",
            *(
                f"- **{marked(report, c.name)}** ({c.version}): {c.note}."
                for c in report.contestants
            ),
            "",
        ]
    )


def to_tables(report: Report) -> str:
    """Write the tables alone."""
    return "\n".join(
        [
            "## Microseconds per operation (bytes per message)\n",
            *_table(report, lambda figure: _digits(figure.value)),
            "",
            f"## Ratio to {report.baseline}\n",
            "The median of the ratios of each round. Above 1: slower, or larger.\n",
            *_table(report, lambda f: "" if f.ratio is None else f"{_digits(f.ratio)}×"),
            "",
            f"{NOT_STRICT} does not check: coerces, or gives dicts. "
            f"{NOT_WHOLE} knows a part of the protocol only.",
            *(f"{sentence}." for sentence in report.left_out),
            "",
            "## Who was fastest\n",
            *(f"- {_label(row)}: {_verdict(report, row)}" for row in report.rows),
            "",
        ]
    )


def marked(report: Report, name: str) -> str:
    """Give a contestant's name with the marks for what it does not do."""
    entrant = next(c for c in report.contestants if c.name == name)
    return name + NOT_STRICT * (not entrant.strict) + NOT_WHOLE * (not entrant.whole)


def _table(report: Report, show: Callable[[Figure], str]) -> Iterator[str]:
    names = [c.name for c in report.contestants]
    rows = [["", *(marked(report, name) for name in names)]]
    for row in report.rows:
        cells = []
        for name in names:
            figure = row.figures.get(name)
            missing = "accepts" if name in row.accepts else "—"
            cells.append(missing if figure is None else show(figure))
        rows.append([_label(row), *cells])
    widths = [max(len(line[column]) for line in rows) for column in range(len(rows[0]))]
    for number, line in enumerate(rows):
        first, *others = line
        cells = [first.ljust(widths[0])]
        cells += [cell.rjust(width) for cell, width in zip(others, widths[1:], strict=True)]
        yield f"| {' | '.join(cells)} |"
        if number == 0:
            yield f"|-{'-' * widths[0]}-|{'|'.join('-' * (w + 1) + ':' for w in widths[1:])}|"


def _label(row: Row) -> str:
    return f"{row.title}: {row.direction}"


def _verdict(report: Report, row: Row) -> str:
    unit = "bytes" if row.unit == "bytes" else "µs"

    def told(name: str) -> str:
        return f"{marked(report, name)} ({_digits(row.figures[name].value)} {unit})"

    text = f"**{told(row.fastest)}**"
    ratio = row.figures[row.fastest].ratio
    if row.fastest != report.baseline and ratio is not None:
        text += f"; {report.baseline} takes {_digits(1 / ratio)} times that"
    if row.fastest_of_all != row.fastest:
        text += f"; of all, {told(row.fastest_of_all)}"
    return text


def _digits(value: float) -> str:
    if value >= 100:
        return f"{value:.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}"
