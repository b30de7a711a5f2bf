"""How events are shown as they come: as lines, as JSON, or as progress bars on a terminal.

Rules:

* Events go to standard output, each at once; notices to standard error.
* On a terminal, each mission that runs has a bar below the lines until it ends.
* A bar is drawn when it changes, by no thread of its own.
"""

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

from tachikoma_proto.cli.output import (
    CATEGORY_STYLES,
    brief,
    clock,
    printable,
    redacted,
)
from tachikoma_proto.cli.target import notify_on_stderr
from tachikoma_proto.cli.terminal import LineWriter
from tachikoma_proto.codec.codec import Codec
from tachikoma_proto.messages.envelope import OutgoingMessage
from tachikoma_proto.messages.events import (
    MissionCompleted,
    MissionCreated,
    MissionFailed,
    MissionProgress,
)
from tachikoma_proto.wire.formats import format_timestamp

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

MAX_BARS: Final = 8
"""How many missions have a bar; the progress of others is shown in lines."""

MAX_NAMES: Final = 1000
"""How many names of missions are kept for their bars."""


class EventView:
    """Shows events as lines.

    Args:
        codec: Knows the messages.
    """

    def __init__(self, codec: Codec) -> None:
        self._codec = codec
        self._writer = LineWriter(sys.stdout)

    def show(self, message: OutgoingMessage[Any]) -> None:
        """Show an event, or a message that is not known."""
        style = CATEGORY_STYLES.get(message.type, "")
        style = "red" if isinstance(message.payload, MissionFailed) else style
        time = format_timestamp(message.timestamp) or ""
        name = f"{printable(message.type):<14}  "
        if self._writer.is_terminal:  # where lines are cut
            time = clock(message.timestamp)
        if self._writer.is_narrow:  # what the payload is says enough
            time, name = time[:8], ""
        self._writer.write(
            (f"{time}  ", "dim"),
            (name, style),
            (brief(message.payload, shortens_ids=self._writer.is_terminal), "" if name else style),
        )

    def notify(self, text: str) -> None:
        """Say something about the connection."""
        notify_on_stderr(text)

    def clear(self) -> None:
        """Take away what is shown of missions that run; it comes again with their progress."""


class JsonView(EventView):
    """Shows events as frames, one a line, with secrets masked."""

    def show(self, message: OutgoingMessage[Any]) -> None:
        """Show an event, or a message that is not known."""
        print(json.dumps(redacted(self._codec, message)), flush=True)


class BarView(EventView):
    """Shows the progress of missions as bars, and other events as lines above them.

    Args:
        codec: Knows the messages.
    """

    def __init__(self, codec: Codec) -> None:
        super().__init__(codec)
        self._bars: Progress = _make_bars(self._writer)
        self._bar_of: dict[UUID, TaskID] = {}
        self._names: dict[UUID, str] = {}

    def show(self, message: OutgoingMessage[Any]) -> None:
        """Show an event, or a message that is not known."""
        match message.payload:
            case MissionProgress() as progress if self._has_place(progress.mission_id):
                self._advance(progress)
                return
            case MissionCreated(mission_id=mission_id, name=name) if len(self._names) < MAX_NAMES:
                self._names[mission_id] = name
            case MissionCompleted(mission_id=mission_id) | MissionFailed(mission_id=mission_id):
                self._end(mission_id)
        super().show(message)

    def notify(self, text: str) -> None:
        """Say something about the connection."""
        if self._bar_of and sys.stderr.isatty():  # on the bars' terminal, it has to go above them
            self._writer.write((f"tachikoma-proto: {text}", ""))
        else:
            super().notify(text)

    def clear(self) -> None:
        """Take the bars away; they come again with the missions' progress."""
        for mission_id in list(self._bar_of):
            self._end(mission_id)

    def _has_place(self, mission_id: UUID) -> bool:
        return mission_id in self._bar_of or len(self._bar_of) < MAX_BARS

    def _advance(self, progress: MissionProgress) -> None:
        mission_id = progress.mission_id
        name = self._names.get(mission_id, str(mission_id)[:8])
        shown: dict[str, Any] = {
            "description": printable(name),
            "completed": min(max(progress.percentage, 0.0), 100.0),
            "done": f"{progress.completed_specs}/{progress.total_specs}",
            "spec": printable(progress.current_spec),
        }
        self._writer.fit()
        if mission_id in self._bar_of:
            self._bars.update(self._bar_of[mission_id], **shown, refresh=True)
            return
        if not self._bar_of:
            self._bars.start()
        self._bar_of[mission_id] = self._bars.add_task(**shown, total=100)

    def _end(self, mission_id: UUID) -> None:
        self._names.pop(mission_id, None)
        bar = self._bar_of.pop(mission_id, None)
        if bar is not None:
            self._bars.remove_task(bar)
            self._bars.refresh()
            if not self._bar_of:
                self._bars.stop()


def _make_bars(writer: LineWriter) -> "Progress":
    from rich.progress import BarColumn, Progress, ProgressColumn, TextColumn
    from rich.table import Column

    def text(field: str, width: int) -> ProgressColumn:
        column = Column(no_wrap=True, overflow="ellipsis", width=width)
        return TextColumn(field, markup=False, table_column=column)

    name, done, spec = "{task.description}", "{task.fields[done]}", "{task.fields[spec]}"
    columns = [text(name, 24), text(done, 7), text(spec, 12)]
    if writer.is_narrow:
        columns = [text(name, 12), text(done, 5)]
    return Progress(
        *columns,
        BarColumn(bar_width=None),
        text("{task.percentage:>3.0f}%", 4),
        console=writer.console,
        auto_refresh=False,
        transient=True,
        redirect_stdout=False,
        redirect_stderr=False,
        expand=True,
    )


@contextmanager
def make_view(codec: Codec, *, as_json: bool) -> Iterator[EventView]:
    """Show events while the block runs, in the way that standard output calls for.

    Args:
        codec: Knows the messages.
        as_json: Whether JSON was asked for.
    """
    view = JsonView(codec) if as_json else _view_for(codec)
    try:
        yield view
    finally:
        view.clear()


def _view_for(codec: Codec) -> EventView:
    writer = LineWriter(sys.stdout)
    can_draw = writer.is_terminal and not writer.console.is_dumb_terminal
    return BarView(codec) if can_draw else EventView(codec)
