"""``inspect``: read captured frames, and say what each is.

Rules:

* Whatever ends it early, such as Ctrl-C or broken data, the summary of what was read is shown.
* A progress bar is on standard error, for large input, and only where the results do not go to the
  same terminal.
"""

import json
import os
import stat
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Final
from uuid import UUID

import click

from tachikoma_proto.cli.capture import ReadFrame, lines, opened, read_line
from tachikoma_proto.cli.exchanges import Exchange, Exchanges, Request
from tachikoma_proto.cli.options import (
    STDIN,
    chosen_registry,
    completing,
    count,
    one_of,
    plugins_hint,
    plugins_option,
    subcommand,
)
from tachikoma_proto.cli.output import (
    clock,
    duration,
    printable,
    redacted,
)
from tachikoma_proto.cli.selection import Selection, known_names, read_time, read_uuid
from tachikoma_proto.cli.summary import Summary
from tachikoma_proto.cli.target import notify_on_stderr
from tachikoma_proto.cli.terminal import (
    NARROW,
    LineWriter,
    Piece,
    make_console,
    terminal_width,
)
from tachikoma_proto.codec.codec import DEFAULT_MAX_SIZE, Codec
from tachikoma_proto.declare.declarations import Sender
from tachikoma_proto.wire.formats import format_timestamp

LARGE: Final = 4 * 2**20
"""From how many bytes on the input is large."""

_HELP: Final = """Read captured frames, one a line, and say what each is.

FILE is a capture: frames as they were on the wire, or records with time, direction and session. It
may be compressed with gzip. - is standard input, which is read where no file is given.
"""


def _types(ctx: click.Context) -> Iterator[tuple[str, str]]:
    for declaration in chosen_registry(bool(ctx.params.get("plugins"))):
        name = declaration.message_type
        if declaration.message_type.startswith("event."):
            name = f"{declaration.category}.{declaration.tag}"
        yield name, f"from {declaration.sender.value}"


@subcommand(
    help=_HELP,
    short_help="Read captured frames, and say what each is.",
    examples=[
        "inspect capture.jsonl",
        "inspect --bad-only --json capture.jsonl.gz",
        "inspect --type mission_start --since 2026-01-02T03:00 server.jsonl",
    ],
    statuses={0: "all frames were read", 1: "a frame was bad"},
)
@click.argument("files", nargs=-1, metavar="[FILE]...", type=click.Path(allow_dash=True))
@plugins_option
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
@click.option("--bad-only", is_flag=True, help="Show only bad frames, and the summary.")
@click.option(
    "--from",
    "sender",
    **one_of([sender.value for sender in Sender]),
    help="Who sent the frames, where the capture does not tell.",
)
@click.option(
    "--type",
    "types",
    multiple=True,
    metavar="TYPE",
    shell_complete=completing(_types),
    help="Only messages of this type, such as mission_start or mission.progress, and replies to "
    "them; may be given several times.",
)
@click.option("--mission", type=read_uuid, metavar="UUID", help="Only what is about this mission.")
@click.option(
    "--session",
    metavar="ID",
    help="Only what belongs to this session (the beginning of its id will do), or is about this "
    "forge session.",
)
@click.option(
    "--since",
    type=read_time,
    metavar="TIME",
    help="Only from this time on, such as 2026-01-02T03:04:05Z; local where it has no offset.",
)
@click.option("--until", type=read_time, metavar="TIME", help="Only before this time.")
@click.option(
    "--max-size",
    type=count,
    default=DEFAULT_MAX_SIZE,
    show_default=True,
    metavar="BYTES",
    help="How large a frame may be.",
)
def command(
    *,
    files: Sequence[str],
    plugins: bool,
    as_json: bool,
    bad_only: bool,
    sender: str | None,
    types: Sequence[str],
    mission: UUID | None,
    session: str | None,
    since: datetime | None,
    until: datetime | None,
    max_size: int,
) -> int:
    """Read the captures; return 1 if any frame was bad."""
    codec = Codec(chosen_registry(plugins), max_size=max_size)
    wanted = frozenset(name for given in types for name in given.split(","))
    for name in sorted(wanted - known_names(codec.registry)):
        notify_on_stderr(f"--type: no known message is called {name!r}{plugins_hint(plugins)}")
    selection = Selection(types=wanted, mission=mission, session=session, since=since, until=until)
    names = files or [STDIN]
    show = _JsonLines(codec) if as_json else _TextLines()
    inspection = _Inspection(
        codec,
        selection,
        sender=None if sender is None else Sender(sender),
        show=show.show,
        bad_only=bad_only,
        tells_source=len(names) > 1,
    )
    try:
        for name in names:
            inspection.read(name)
    except BrokenPipeError:
        raise
    except (KeyboardInterrupt, click.ClickException, OSError) as error:
        if inspection.summary.frames or isinstance(error, KeyboardInterrupt):
            show.end(inspection.summary)
        raise
    show.end(inspection.summary)
    return 1 if inspection.summary.bad else 0


class _Inspection:
    """Reads captures.

    Args:
        codec: Reads the frames.
        selection: Which are wanted.
        sender: Who sent them, where the capture does not tell.
        show: Shows a frame, its place and its request.
        bad_only: Whether only bad frames are shown.
        tells_source: Whether the place of a frame has the name of its capture.

    Attributes:
        summary: Counts the frames.
    """

    def __init__(
        self,
        codec: Codec,
        selection: Selection,
        *,
        sender: Sender | None,
        show: Callable[[ReadFrame, str | None, int, Exchange | None], None],
        bad_only: bool,
        tells_source: bool,
    ) -> None:
        self.summary = Summary()
        self._codec = codec
        self._selection = selection
        self._sender = sender
        self._show = show
        self._bad_only = bad_only
        self._tells_source = tells_source
        self._exchanges = Exchanges()

    def read(self, name: str) -> None:
        """Read a capture."""
        with _progress(name) as advance, opened(name, notify_on_stderr, advance) as stream:
            for number, line in lines(stream, self._codec.max_size):
                if line.strip():
                    self._read_line(name, number, line)

    def _read_line(self, name: str, number: int, line: bytes) -> None:
        frame = read_line(self._codec, line, self._sender)
        exchange = self._exchanges.exchange_of(frame)
        is_about = self._selection.is_about(frame, self._codec.registry)
        is_about = is_about or (exchange is not None and exchange.request.is_selected)
        is_selected = is_about and self._selection.is_in_time(frame)
        request = Request(source=name, line=number, frame=frame, is_selected=is_selected)
        is_request = self._exchanges.add(request)
        if not is_selected:
            return
        self.summary.count(frame)
        if is_request:
            self.summary.count_request(request)
        if exchange is not None and exchange.request.is_selected:
            self.summary.count_exchange(exchange, frame)
        if frame.error or not self._bad_only:
            self._show(frame, name if self._tells_source else None, number, exchange)


class _TextLines:
    """Shows frames as lines for people, and the summary as tables."""

    def __init__(self) -> None:
        self._writer = LineWriter(sys.stdout)

    def show(
        self, frame: ReadFrame, source: str | None, line: int, exchange: Exchange | None
    ) -> None:
        """Show a frame."""
        place = f"{line:>6}" if source is None else f"{source}:{line}"
        pieces: list[Piece] = [(f"{place}  ", "dim")]
        record = frame.record
        if record is not None:
            is_terminal = self._writer.is_terminal
            time = clock(record.time) if is_terminal else format_timestamp(record.time)
            pieces.append((f"{time}  {printable(record.session)[:8]:<8}  ", "dim"))
        pieces.append((f"{frame.sender.value if frame.sender else '?':<6}  ", "cyan"))
        gap = f"\n{'':>{len(place)}}    "
        is_narrow = self._writer.is_narrow
        if frame.error is not None:
            pieces += [(f"{frame.type or '-':<22}  ", ""), (f"BAD {frame.error.code}", "red")]
            texts = [f"{gap}{fault}" for fault in frame.error.errors]
            pieces += [(text, "") for text in texts or [f": {printable(frame.error.message)}"]]
        else:
            name = printable(_type_of(frame))
            pieces.append((name if is_narrow else f"{name:<22}", ""))
            pieces.append((f"{gap if is_narrow else '  '}{_payload_text(frame)}", ""))
        if exchange is not None:
            text = _exchange_text(exchange, tells_source=source is not None)
            pieces.append((f"{gap if is_narrow else '  '}{text}", "dim"))
        self._writer.write(*pieces, is_cut=False)

    def end(self, summary: Summary) -> None:
        """Show the summary."""
        print(summary.as_text(self._writer.width), flush=True)


class _JsonLines:
    """Shows frames and the summary as JSON, one object a line.

    Args:
        codec: Writes the frames.
    """

    def __init__(self, codec: Codec) -> None:
        self._codec = codec

    def show(
        self, frame: ReadFrame, source: str | None, line: int, exchange: Exchange | None
    ) -> None:
        """Show a frame."""
        shown: dict[str, object] = {
            "source": source,
            "line": line,
            "sender": frame.sender.value if frame.sender else None,
            "type": frame.type,
        }
        if frame.record is not None:
            shown["time"] = format_timestamp(frame.record.time)
            shown["session"] = frame.record.session
        if frame.error is None and frame.message is None:  # only for its masked secrets
            shown["message"] = frame.content
        if frame.message is not None:
            shown["class"] = type(frame.message.payload).__name__
            shown["message"] = redacted(self._codec, frame.message)
        if frame.error is not None:
            error = frame.error
            shown["error"] = {
                "code": error.code,
                "message": error.message,
                "message_id": str(error.message_id) if error.message_id else None,
                "errors": [{"path": e.path, "expected": e.expected} for e in error.errors],
            }
        if exchange is not None:
            request = exchange.request
            shown["request"] = {
                "source": None if source is None else request.source,
                "line": request.line,
                "type": request.frame.type,
                "latency": exchange.latency,
            }
        print(json.dumps(shown), flush=True)

    def end(self, summary: Summary) -> None:
        """Show the summary."""
        print(json.dumps({"summary": summary.as_dict()}), flush=True)


def _type_of(frame: ReadFrame) -> str:
    if frame.message is not None:
        return ascii(frame.message.type)[1:-1]
    return frame.type or "-"


def _payload_text(frame: ReadFrame) -> str:
    if frame.message is None:  # all that is wrong with it is that its secrets were masked
        return f"{(frame.content or {}).get('payload')!r}"
    return repr(frame.message.payload)


def _exchange_text(exchange: Exchange, *, tells_source: bool) -> str:
    request = exchange.request
    name = request.frame.type or "a request"
    place = f"{request.source}:{request.line}" if tells_source else f"line {request.line}"
    took = "" if exchange.latency is None else f" after {duration(exchange.latency)}"
    return f"↳ {name} in {place}{took}"


@contextmanager
def _progress(name: str) -> Iterator[Callable[[int], object]]:
    """Show how much of a capture was read, while the block runs, where that makes sense.

    Args:
        name: The capture.

    Yields:
        What to tell of each number of bytes that was read.
    """
    is_seen = sys.stderr.isatty() and not sys.stdout.isatty()
    size = _size(name) if is_seen else 0
    if size is not None and size < LARGE:
        yield lambda _: None
        return
    from rich.progress import BarColumn, DownloadColumn, Progress, TaskProgressColumn, TextColumn
    from rich.table import Column

    file_name = Column(no_wrap=True, overflow="ellipsis", ratio=1)
    columns = [
        TextColumn("{task.description}", markup=False, table_column=file_name),
        BarColumn(bar_width=None, table_column=Column(ratio=1)),
        TaskProgressColumn(),
    ]
    if terminal_width(sys.stderr) >= NARROW:
        columns.append(DownloadColumn(table_column=Column(no_wrap=True)))
    with Progress(
        *columns,
        console=make_console(sys.stderr, terminal_width(sys.stderr)),
        redirect_stdout=False,
        redirect_stderr=False,
        expand=True,
    ) as progress:
        task = progress.add_task(printable(Path(name).name), total=size)
        yield lambda count: progress.advance(task, count)


def _size(name: str) -> int | None:
    """Return how many bytes a capture has; None if that cannot be told beforehand."""
    status = os.fstat(sys.stdin.fileno()) if name == STDIN else os.stat(name)
    return status.st_size if stat.S_ISREG(status.st_mode) else None
