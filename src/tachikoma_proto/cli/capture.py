"""Reading captures: opening files, and what each of their frames says.

``connection/captures.py`` has the format of a line.

Rules:

* Blank lines are skipped. Memory holds one line, and of a line that is over the limit no more than
  the limit.
* What is compressed with gzip is decompressed; what is compressed otherwise, or is not UTF-8 text
  at all, is refused by name. A byte order mark at the start of a file is skipped, and said.
* Where a record does not tell who sent a frame, its type does. A type that no category holds could
  be either's: it is kept as unknown, and is not bad.
"""

import gzip
import io
import zlib
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, BinaryIO, Final

from attrs import frozen

from tachikoma_proto.cli.options import STDIN, CliError, standard_input
from tachikoma_proto.cli.output import Message
from tachikoma_proto.codec.codec import Codec
from tachikoma_proto.connection.captures import (
    ESCAPED,
    RECORD_OVERHEAD,
    CapturedFrame,
    Withheld,
    is_record,
)
from tachikoma_proto.declare.declarations import MessageKind, Sender
from tachikoma_proto.errors import ProtocolError
from tachikoma_proto.wire.json_reader import JsonObject, read_object

_CHUNK: Final = 2**16

_GZIP: Final = b"\x1f\x8b"
_BOM: Final = b"\xef\xbb\xbf"

_OTHER_FORMATS: Final = {
    b"\x28\xb5\x2f\xfd": "compressed with zstd",
    b"\xfd7zXZ\x00": "compressed with xz",
    b"BZh": "compressed with bzip2",
    b"PK\x03\x04": "a zip archive",
    b"\x04\x22\x4d\x18": "compressed with lz4",
    b"\xff\xfe\x00\x00": "UTF-32 text",
    b"\x00\x00\xfe\xff": "UTF-32 text",
    b"\xff\xfe": "UTF-16 text",
    b"\xfe\xff": "UTF-16 text",
    b"{\x00": "UTF-16 text",
    b"\x00{": "UTF-16 text",
    b"\x0a\x0d\x0d\x0a": "a pcapng file",
    b"\xd4\xc3\xb2\xa1": "a pcap file",
    b"\xa1\xb2\xc3\xd4": "a pcap file",
    b"SQLite format 3\x00": "an SQLite database",
}
"""What files begin with that are no captures, and what those are; the longer ones first."""


@frozen(kw_only=True)
class ReadFrame:
    """What a line of a capture says.

    Attributes:
        sender: Who sent the frame, where that can be told.
        type: Its message type, if the registry knows it.
        content: The frame's JSON object, if it is one.
        message: The message, if it could be read.
        error: Why it could not.
        record: What else is known of the frame, if the line is a record.
    """

    sender: Sender | None = None
    type: str | None = None
    content: JsonObject | None = None
    message: Message | None = None
    error: ProtocolError | None = None
    record: CapturedFrame | None = None


@contextmanager
def opened(
    name: str, notify: Callable[[str], object], advance: Callable[[int], object]
) -> Iterator[BinaryIO]:
    """Open a capture while the block runs.

    Args:
        name: The file; ``-`` for standard input.
        notify: Shows a line to the person.
        advance: Told of how many more bytes of the file were read.

    Raises:
        CliError: It is no capture, or its compressed data is broken.
    """
    place = "standard input" if name == STDIN else name
    with ExitStack() as stack:
        file = standard_input() if name == STDIN else stack.enter_context(open(name, "rb"))
        counted = io.BufferedReader(_Counted(file, advance), _CHUNK)
        try:
            stream = _decompressed(counted)
            _check_start(stream, place, notify)
            yield stream
        except (gzip.BadGzipFile, zlib.error):
            raise CliError(f"{place}: the gzip data is broken") from None
        except EOFError:
            raise CliError(f"{place}: the gzip data ends too early") from None


class _Counted(io.RawIOBase):
    """Tells how many bytes are read of a file, and leaves the file open."""

    def __init__(self, file: Any, advance: Callable[[int], object]) -> None:
        self._file = file
        self._advance = advance

    def readable(self) -> bool:
        """Return that it can be read."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Read what is there into a buffer."""
        chunk: bytes = self._file.read1(len(buffer))
        buffer[: len(chunk)] = chunk
        self._advance(len(chunk))
        return len(chunk)


def _decompressed(stream: "io.BufferedReader[Any]") -> "io.BufferedReader[Any]":
    if stream.peek(len(_GZIP))[: len(_GZIP)] != _GZIP:
        return stream
    unzipped: Any = gzip.GzipFile(fileobj=stream)  # a raw stream, but not by its type
    return io.BufferedReader(unzipped, _CHUNK)


def _check_start(
    stream: "io.BufferedReader[Any]", place: str, notify: Callable[[str], object]
) -> None:
    start = stream.peek(16)[:16]
    for magic, what in _OTHER_FORMATS.items():
        if start.startswith(magic):
            raise CliError(f"{place} is no capture: it is {what}, and not UTF-8 text or gzip")
    if start.startswith(_BOM):
        stream.read(len(_BOM))
        notify(f"{place} begins with a byte order mark (BOM), which is no part of a frame")


def lines(stream: BinaryIO, max_size: int) -> Iterator[tuple[int, bytes]]:
    """Read the lines of a capture.

    Args:
        stream: The capture.
        max_size: How many bytes a frame may have. Of a line that can only hold a longer one a part
            comes that is over.

    Yields:
        The line's number from 1, and the line.
    """
    limit = ESCAPED * max_size + RECORD_OVERHEAD
    number = 0
    while chunk := stream.readline(limit):
        number += 1
        rest = chunk
        while rest and not rest.endswith(b"\n"):
            rest = stream.readline(_CHUNK)
        yield number, chunk.rstrip(b"\r\n")


def read_line(codec: Codec, line: bytes, sender: Sender | None = None) -> ReadFrame:
    """Read a line of a capture.

    Args:
        codec: Reads the frame.
        line: The line.
        sender: Who sent the frame; None to find out.
    """
    limit = ESCAPED * codec.max_size + RECORD_OVERHEAD
    try:
        content = read_object(line, limit)
    except ProtocolError:
        content = {}  # whatever it is, it is judged as a frame
    if not is_record(content):
        is_right = content and len(line) <= codec.max_size
        return _read_frame(codec, line, sender, content=content if is_right else None)
    try:
        record = CapturedFrame.from_record(content)
    except ProtocolError as error:
        return ReadFrame(error=error)
    if record.withheld is not None:
        return ReadFrame(sender=record.sender, record=record, error=_why(record.withheld))
    assert record.frame is not None, "a record has a frame, or says why it has none"
    return _read_frame(codec, record.frame, record.sender, record=record)


def _why(withheld: Withheld) -> ProtocolError:
    text = f"{withheld.message} (not captured: {withheld.size} bytes)"
    return ProtocolError(text, code=withheld.code)


def _read_frame(
    codec: Codec,
    frame: bytes | str,
    sender: Sender | None,
    *,
    content: JsonObject | None = None,
    record: CapturedFrame | None = None,
) -> ReadFrame:
    """Read a frame, whose JSON object may be known already."""
    try:
        content = read_object(frame, codec.max_size) if content is None else content
    except ProtocolError as error:
        return ReadFrame(sender=sender, error=error, record=record)
    message_type = content.get("type")
    senders = _senders(codec, content)
    known = message_type if senders and isinstance(message_type, str) else None
    attempts = []
    for one in [sender] if sender else senders or list(reversed(Sender)):
        message, fault = _decode(codec, frame, one)
        if fault is not None and record is not None and _is_of_masking(fault, record):
            fault = None
        who = sender or (one if senders else None)
        attempt = ReadFrame(
            sender=who, type=known, content=content, message=message, error=fault, record=record
        )
        if fault is None:
            return attempt
        attempts.append(attempt)
    return attempts[0 if senders else -1]


def _senders(codec: Codec, content: JsonObject) -> list[Sender]:
    """Return who may have sent a frame, the likeliest first; nobody if no category has its type.

    A keepalive is bare: it has neither an id nor a timestamp, and nothing to say. A client's
    command may lack all of them too, but a client's library gives it an id.
    """
    message_type = content.get("type")
    senders = codec.registry.senders_of(message_type) if isinstance(message_type, str) else []
    if not content.keys() & {"id", "timestamp"} and not content.get("payload"):
        senders.sort(key=lambda sender: not _is_keepalive(codec, sender, message_type))
    return senders


def _is_keepalive(codec: Codec, sender: Sender, message_type: Any) -> bool:
    declaration = codec.registry.declaration_for(sender, message_type)
    return declaration is not None and declaration.kind is MessageKind.KEEPALIVE


def _decode(
    codec: Codec, frame: bytes | str, sender: Sender
) -> tuple[Message | None, ProtocolError | None]:
    read: Callable[[bytes | str], Message]
    read = codec.decode_command if sender is Sender.CLIENT else codec.decode_server_message
    try:
        return read(frame), None
    except ProtocolError as error:
        return None, error


def _is_of_masking(error: ProtocolError, record: CapturedFrame) -> bool:
    """Return whether a frame is only refused since its secrets were replaced."""
    return bool(error.errors) and all(fault.path in record.masked for fault in error.errors)
