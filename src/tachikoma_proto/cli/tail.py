"""The tail of a conversation: events as lines, as JSON, or as bars on a terminal.

Rules:

* Events go to standard output, each at once; notices to standard error.
* On a terminal, times and ids are short, since lines are cut; elsewhere they are whole.
* On a terminal, each mission that runs has a bar below the lines, in a place of its own, until
  it ends. Without tqdm (the extra ``cli``) there are lines only.
"""

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final, TextIO
from uuid import UUID

from tachikoma_proto.cli.brief import brief, clock, printable
from tachikoma_proto.cli.redact import redacted
from tachikoma_proto.cli.terminal import DIM, MAGENTA, PLAIN, RED, YELLOW, Paper
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
    from tqdm import tqdm

MAX_BARS: Final = 8
"""How many missions have a bar; the progress of others is shown in lines."""

MAX_NAMES: Final = 1000
"""How many names of missions are kept for their bars."""

_COLOURS: Final = {"event.mission": YELLOW, "event.forge": MAGENTA}


class Tail:
    """Shows events as lines.

    Args:
        codec: Knows the messages.
    """

    def __init__(self, codec: Codec) -> None:
        self._codec = codec
        self._paper = Paper(sys.stdout)

    def show(self, message: OutgoingMessage[Any]) -> None:
        """Show an event, or a message that is not known."""
        self._write(self._line(message), sys.stdout)

    def notice(self, text: str) -> None:
        """Say something about the conversation itself."""
        self._write(f"tachikoma-proto: {text}", sys.stderr)

    def clear(self) -> None:
        """Take away what is shown of missions that run; it comes again with their progress."""

    def _line(self, message: OutgoingMessage[Any]) -> str:
        is_failure = isinstance(message.payload, MissionFailed)
        colour = RED if is_failure else _COLOURS.get(message.type, PLAIN)
        is_short = self._paper.is_terminal  # where lines are cut
        time = clock(message.timestamp) if is_short else format_timestamp(message.timestamp)
        return self._paper.line(
            (f"{time}  ", DIM),
            (f"{printable(message.type):<14}  ", colour),
            (brief(message.payload, shortens_ids=is_short), PLAIN),
        )

    def _write(self, line: str, stream: TextIO) -> None:
        print(line, file=stream, flush=True)


class JsonTail(Tail):
    """Shows events as frames, one a line, with secrets masked."""

    def _line(self, message: OutgoingMessage[Any]) -> str:
        return json.dumps(redacted(self._codec, message))


class BarTail(Tail):
    """Shows the progress of missions as bars, and other events as lines above them.

    Args:
        codec: Knows the messages.
        bar: ``tqdm``.
    """

    def __init__(self, codec: Codec, bar: "type[tqdm]") -> None:
        super().__init__(codec)
        self._bar = bar
        self._bars: dict[UUID, tqdm] = {}
        self._places: dict[UUID, int] = {}
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

    def clear(self) -> None:
        """Take the bars away; they come again with the missions' progress."""
        for mission_id in list(self._bars):
            self._end(mission_id)

    def _has_place(self, mission_id: UUID) -> bool:
        return mission_id in self._bars or len(self._bars) < MAX_BARS

    def _advance(self, progress: MissionProgress) -> None:
        mission_id = progress.mission_id
        if mission_id not in self._bars:
            self._begin(mission_id)
        bar = self._bars[mission_id]
        bar.n = min(max(progress.percentage, 0.0), 100.0)
        name = printable(self._names.get(mission_id, str(mission_id)[:8]))
        done = f"{progress.completed_specs}/{progress.total_specs}"
        declaration = printable(progress.current_spec)
        bar.set_description_str(f"{name[:24]:<24} {done:>5} {declaration[:12]:<12}", refresh=True)

    def _begin(self, mission_id: UUID) -> None:
        place = min(set(range(MAX_BARS)) - set(self._places.values()))
        self._places[mission_id] = place
        self._bars[mission_id] = self._bar(
            total=100,
            position=place,
            leave=False,
            dynamic_ncols=True,
            file=sys.stdout,
            bar_format="{desc} {percentage:3.0f}%|{bar}|",
        )

    def _end(self, mission_id: UUID) -> None:
        self._names.pop(mission_id, None)
        self._places.pop(mission_id, None)
        bar = self._bars.pop(mission_id, None)
        if bar is not None:
            bar.close()

    def _write(self, line: str, stream: TextIO) -> None:
        self._bar.write(line, file=stream)
        stream.flush()


@contextmanager
def make_tail(codec: Codec, *, as_json: bool) -> Iterator[Tail]:
    """Show events while the block runs, in the way that standard output calls for.

    Args:
        codec: Knows the messages.
        as_json: Whether JSON was asked for.
    """
    tail = JsonTail(codec) if as_json else _tail_for(codec)
    try:
        yield tail
    finally:
        tail.clear()


def _tail_for(codec: Codec) -> Tail:
    if not sys.stdout.isatty():
        return Tail(codec)
    try:
        from tqdm import tqdm
    except ImportError:
        return Tail(codec)
    tqdm.monitor_interval = 0  # no thread that looks after the bars: each is drawn when it changes
    return BarTail(codec, tqdm)
