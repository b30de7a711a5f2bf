"""Captured frames: who sent each, and what it says.

Rules:

* A frame stands in a line; blank lines are passed over. Memory holds one frame, and of a line
  that is over the limit no more than the limit.
* Who sent a frame is told by its type. A type that no category holds could be either's: it is
  kept as unknown, and is not bad.
"""

from collections.abc import Iterator
from typing import Any, BinaryIO, Final, TypeAlias

from attrs import frozen

from tachikoma_proto.codec.codec import Codec
from tachikoma_proto.declare.declarations import Sender
from tachikoma_proto.errors import ProtocolError
from tachikoma_proto.messages.envelope import IncomingMessage, OutgoingMessage
from tachikoma_proto.wire.json_reader import JsonObject, read_object

_CHUNK: Final = 2**16

Message: TypeAlias = IncomingMessage[Any] | OutgoingMessage[Any]


@frozen(kw_only=True)
class Captured:
    """What a line of a capture says.

    Attributes:
        sender: Who sent it, where that can be told.
        type: Its message type, if the registry knows it.
        message: The message, if it could be read.
        error: Why it could not.
    """

    sender: Sender | None
    type: str | None = None
    message: Message | None = None
    error: ProtocolError | None = None


def lines(stream: BinaryIO, max_size: int) -> Iterator[tuple[int, bytes, int]]:
    """Read the lines of a capture.

    Args:
        stream: The capture.
        max_size: How many bytes a frame may have. Of a longer line a part comes that is over.

    Yields:
        The line's number from 1, the frame, and how many bytes were read for it.
    """
    number = 0
    while chunk := stream.readline(max_size + len(b"\r\n") + 1):
        number += 1
        size = len(chunk)
        rest = chunk
        while rest and not rest.endswith(b"\n"):
            rest = stream.readline(_CHUNK)
            size += len(rest)
        yield number, chunk.rstrip(b"\r\n"), size


def read_captured(codec: Codec, frame: bytes, sender: Sender | None = None) -> Captured:
    """Read a captured frame.

    Args:
        codec: Reads it.
        frame: The frame.
        sender: Who sent it; None to find out.
    """
    try:
        content = read_object(frame, codec.max_size)
    except ProtocolError as error:
        return Captured(sender=sender, error=error)
    message_type = content.get("type")
    senders = codec.registry.senders_of(message_type) if isinstance(message_type, str) else []
    known = message_type if senders else None
    if sender is not None:
        senders = [sender]
    if not senders:
        return _read_of_either(codec, content)
    attempts = [_attempt(codec, content, one, known) for one in senders]
    return next((attempt for attempt in attempts if attempt.message), attempts[0])


def _read_of_either(codec: Codec, content: JsonObject) -> Captured:
    attempts = [_attempt(codec, content, one, None) for one in (Sender.SERVER, Sender.CLIENT)]
    read = next((attempt for attempt in attempts if attempt.message), attempts[-1])
    return Captured(sender=None, message=read.message, error=read.error)


def _attempt(
    codec: Codec, content: JsonObject, sender: Sender, message_type: str | None
) -> Captured:
    try:
        message = codec.structure_frame(content, sender)
        return Captured(sender=sender, type=message_type, message=message)
    except ProtocolError as error:
        return Captured(sender=sender, type=message_type, error=error)
