"""The fields of an envelope, described by shapes as those of any record are, and what a frame says.

Apart from ``frames``, because the search for faults needs it, too.
"""

from typing import Any, Final

from tachikoma_proto.declare.declarations import MessageDeclaration, MessageKind, Sender
from tachikoma_proto.declare.shapes import (
    TEXT_LEAF,
    TIMESTAMP_LEAF,
    UUID_LEAF,
    Maybe,
    Record,
    RecordField,
)
from tachikoma_proto.messages.envelope import Position
from tachikoma_proto.registry.registry import Registry

INCOMING: Final = (
    RecordField(name="id", shape=Maybe(UUID_LEAF), required=False),
    RecordField(name="type", shape=TEXT_LEAF),
    RecordField(name="timestamp", shape=Maybe(TIMESTAMP_LEAF), required=False),
)
"""The envelope of what a client sends, and of a bare keepalive."""

OUTGOING: Final = (
    RecordField(name="id", shape=UUID_LEAF),
    RecordField(name="type", shape=TEXT_LEAF),
    RecordField(name="timestamp", shape=TIMESTAMP_LEAF),
    RecordField(name="reply_to", shape=Maybe(UUID_LEAF), required=False),
    RecordField(name="position", shape=Maybe(Record(Position)), required=False),
)
"""The envelope of what a server sends."""

IN_INCOMING: Final = frozenset({"payload", *(field.name for field in INCOMING)})
IN_OUTGOING: Final = frozenset({"payload", *(field.name for field in OUTGOING)})
"""The members that an envelope may have."""


def declared_as(
    registry: Registry, sender: Sender, frame: dict[str, Any]
) -> MessageDeclaration | None:
    """Return the declaration of what a frame says.

    Args:
        registry: Which messages there are.
        sender: Which side sent the frame.
        frame: The JSON object.

    Returns:
        The declaration; None if the type is not one that the side sends, or is that of events. A
        client's keepalive counts only where it is bare: with an id it would want a response.
    """
    message_type = frame.get("type")
    if not isinstance(message_type, str):
        return None
    declaration = registry.declaration_for(sender, message_type)
    is_keepalive = declaration is not None and declaration.kind is MessageKind.KEEPALIVE
    if is_keepalive and sender is Sender.CLIENT and not is_bare(frame):
        return None
    return declaration


def is_bare(frame: dict[str, Any]) -> bool:
    """Return whether a frame has neither an id nor a timestamp, as a keepalive."""
    return "id" not in frame and "timestamp" not in frame
