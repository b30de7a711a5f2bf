"""The report as text: Markdown whose columns are aligned, for terminals and for documents alike.

Rules:

* What the driver takes is not hidden: the server's own processor time stands beside the rates.
"""

from collections.abc import Iterator

from benchmarks.live.driver import LOADS
from benchmarks.live.fanout import Publishing
from benchmarks.live.results import Report
from benchmarks.live.servers import ENTRANTS
from benchmarks.live.throughput import Rate
from benchmarks.provenance import measured

INTRODUCTION = """\
# Benchmarks of the live part

What the server takes beyond the WebSocket library under it, and what it takes to publish an event
to many sessions.
"""

LOOPBACK = """\
## Frames in, replies out

A client sends `mission_status` over loopback, and each server answers with the mission's status;
`echo` only sends the frame back, which is what the transport costs. Each server has a process of
its own, and one driver asks all of them in turns: it shares the machine with the server, and its
own work is in the rates. The processor time is that of the server's process alone.

- Higher is better for frames per second and for the throughput to the echo's, which is the median
  of the ratios of each round; lower for the rest.
- Nothing is compressed: `compression=None` for `websockets`, `ws_per_message_deflate=False` for
  uvicorn.
- All run on asyncio's own event loop, without uvloop.
- It is not all the same work: `Server` keeps an outbox that events can go to, watches the peer,
  and lets no command wait for a slow one before it; the endpoint of FastAPI answers one frame
  after the other.
"""

PUBLISHING = """\
## Publishing an event

`Hub.publish`, without sockets: the sessions that get the event are found, and the frame is put
into the outbox of each. The sessions that do not match ask for other missions, by the topic
`missions/<id>` or by a filter on `missions`. The ratio is to the first row with as many receivers
that is asked for in the same way; finding 10 among many should take what finding 10 of 10 takes.
"""

IDLE = """\
## Memory of an idle session

Without what asyncio and the WebSocket library take for a connection.
"""


def to_markdown(report: Report) -> str:
    """Write the whole document."""
    return "\n".join(
        [
            INTRODUCTION,
            measured(report.as_json()),
            LOOPBACK,
            *(f"- **{entrant.name}**: {entrant.title}." for entrant in ENTRANTS),
            "",
            *_rates(report),
            PUBLISHING,
            *_publishing(report.publishing),
            "",
            IDLE,
            *_idle(report),
            "",
        ]
    )


def to_tables(report: Report) -> str:
    """Write the tables alone."""
    return "\n".join(
        [*_rates(report), *_publishing(report.publishing), "", *_idle(report)],
    )


def _rates(report: Report) -> Iterator[str]:
    for load in LOADS:
        yield f"### {load.title}\n"
        yield from _table(
            ["", "frames/s", "µs per frame", "to echo's", "server's µs", "to echo's"],
            [_rate(rate) for rate in report.rates if rate.load == load.name],
        )
        yield ""


def _rate(rate: Rate) -> list[str]:
    return [
        rate.server,
        f"{rate.per_second:,}",
        f"{rate.microseconds:.1f}",
        f"{rate.ratio:.2f}×",
        "—" if rate.processor is None else f"{rate.processor:.1f}",
        "—" if rate.processor_ratio is None else f"{rate.processor_ratio:.2f}×",
    ]


def _publishing(rows: list[Publishing]) -> Iterator[str]:
    yield from _table(
        ["", "µs per event", "µs per receiver", "ratio", "encoded"],
        [
            [
                f"{row.matching:,} of {row.sessions:,}, by {row.by}",
                f"{row.microseconds:,.1f}",
                f"{row.per_receiver:.2f}",
                "" if row.ratio is None else f"{row.ratio:.2f}×",
                f"{row.encoded}",
            ]
            for row in rows
        ],
    )


def _idle(report: Report) -> Iterator[str]:
    idle = report.idle
    yield from _table(
        ["", "bytes"],
        [
            ["opened", f"{idle.bare:,}"],
            ["with a subscription to a topic of its own", f"{idle.subscribed:,}"],
            ["with a subscription narrowed by a filter of its own", f"{idle.filtered:,}"],
        ],
    )


def _table(head: list[str], body: list[list[str]]) -> Iterator[str]:
    rows = [head, *body]
    widths = [max(len(row[column]) for row in rows) for column in range(len(head))]
    for number, (first, *others) in enumerate(rows):
        cells = [first.ljust(widths[0])]
        cells += [cell.rjust(width) for cell, width in zip(others, widths[1:], strict=True)]
        yield f"| {' | '.join(cells)} |"
        if number == 0:
            yield f"|-{'-' * widths[0]}-|{'|'.join('-' * (w + 1) + ':' for w in widths[1:])}|"
