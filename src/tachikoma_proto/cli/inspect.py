"""``inspect``: read captured frames, one a line, and say what each is."""

import argparse
import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO

from tachikoma_proto.cli.capture import Captured, lines, read_captured
from tachikoma_proto.cli.options import add_plugins, chosen_registry
from tachikoma_proto.cli.progress import Progress, progress
from tachikoma_proto.cli.redact import redacted
from tachikoma_proto.cli.tally import Tally
from tachikoma_proto.codec.codec import DEFAULT_MAX_SIZE, Codec
from tachikoma_proto.declare.declarations import Sender

STDIN = "-"


def configure(parser: argparse.ArgumentParser) -> None:
    """Say which options the subcommand has."""
    parser.add_argument("files", nargs="*", metavar="FILE", default=[STDIN], help="- is stdin")
    add_plugins(parser)
    parser.add_argument("--json", action="store_true", help="one JSON object a line")
    parser.add_argument("--bad-only", action="store_true", help="only bad frames, and the summary")
    parser.add_argument(
        "--from", dest="sender", type=Sender, metavar="{client,server}", help="who sent the frames"
    )
    parser.add_argument(
        "--max-size",
        type=int,
        default=DEFAULT_MAX_SIZE,
        metavar="BYTES",
        help="how large a frame may be (%(default)s)",
    )
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Read the captures.

    Args:
        options: The command line's.

    Returns:
        The exit status: 1 if any frame was bad.
    """
    codec = Codec(chosen_registry(options), max_size=options.max_size)
    tally = Tally()
    for name in options.files:
        with _opened(name) as stream, progress(stream, name) as shown:
            _inspect(codec, stream, name, options, tally, shown)
    print(json.dumps({"summary": tally.as_json()}) if options.json else tally.as_text())
    return 1 if tally.bad else 0


def _inspect(
    codec: Codec,
    stream: BinaryIO,
    name: str,
    options: argparse.Namespace,
    tally: Tally,
    shown: Progress,
) -> None:
    for number, frame, size in lines(stream, codec.max_size):
        shown.advance(size)
        if not frame.strip():
            continue
        captured = read_captured(codec, frame, options.sender)
        tally.count(captured)
        if captured.error or not options.bad_only:
            place = (name, number) if len(options.files) > 1 else (None, number)
            say = _as_json if options.json else _as_text
            shown.say(say(codec, captured, *place))


def _as_text(codec: Codec, captured: Captured, source: str | None, number: int) -> str:
    place = f"{number:>6}" if source is None else f"{source}:{number}"
    sender = captured.sender.value if captured.sender else "?"
    head = f"{place}  {sender:<6}  "
    if captured.message:
        message = captured.message
        return f"{head}{ascii(message.type)[1:-1]:<22}  {message.payload!r}"
    assert captured.error is not None, "neither read nor refused"
    faults = "".join(f"\n{'':>{len(place)}}    {fault}" for fault in captured.error.errors)
    return f"{head}{captured.type or '-':<22}  BAD {captured.error.code}" + (
        faults or f": {captured.error.message}"
    )


def _as_json(codec: Codec, captured: Captured, source: str | None, number: int) -> str:
    found: dict[str, object] = {
        "source": source,
        "line": number,
        "sender": captured.sender.value if captured.sender else None,
        "type": captured.type,
    }
    if captured.message:
        found["class"] = type(captured.message.payload).__name__
        found["message"] = redacted(codec, captured.message)
    if captured.error:
        error = captured.error
        found["error"] = {
            "code": error.code,
            "message": error.message,
            "message_id": str(error.message_id) if error.message_id else None,
            "errors": [{"path": e.path, "expected": e.expected} for e in error.errors],
        }
    return json.dumps(found)


@contextmanager
def _opened(name: str) -> Iterator[BinaryIO]:
    if name == STDIN:
        yield sys.stdin.buffer
        return
    with open(name, "rb") as stream:
        yield stream
