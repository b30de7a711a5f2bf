"""The fields of a frame's envelope, described as those of any record are."""

from datetime import datetime
from typing import Any, Final
from uuid import UUID

from tachikoma_proto.declare.declarations import MessageDeclaration, MessageKind, Sender
from tachikoma_proto.declare.shapes import Leaf, Maybe, RecordField
from tachikoma_proto.registry.registry import Registry

_UUID: Final = Leaf(UUID, "uuid")
_TIMESTAMP: Final = Leaf(datetime, "timestamp")
_TYPE: Final = RecordField(name="type", shape=Leaf(str, "str"))


def _field(name: str, shape: Leaf, required: bool) -> RecordField:
    return RecordField(name=name, shape=shape if required else Maybe(shape), required=required)


INCOMING: Final = (_field("id", _UUID, False), _TYPE, _field("timestamp", _TIMESTAMP, False))
"""The envelope of what a client says, and of a bare keepalive."""

OUTGOING: Final = (
    _field("id", _UUID, True),
    _TYPE,
    _field("timestamp", _TIMESTAMP, True),
    _field("reply_to", _UUID, False),
)
"""The envelope of what a server says."""


def said_in(registry: Registry, sender: Sender, frame: dict[str, Any]) -> MessageDeclaration | None:
    """Find what a frame says; None if its type is none that the side says, or an event's.

    A client's keepalive is one only where it is bare: with an id it would want an answer.
    """
    message_type = frame.get("type")
    declaration = (
        registry.declaration_for(sender, message_type) if isinstance(message_type, str) else None
    )
    if (
        declaration is None
        or sender is Sender.SERVER
        or declaration.kind is not MessageKind.KEEPALIVE
    ):
        return declaration
    return declaration if is_bare(declaration, frame) else None


def is_bare(declaration: MessageDeclaration, frame: dict[str, Any]) -> bool:
    """Tell whether a frame is a keepalive with nothing but its type to say."""
    return (
        declaration.kind is MessageKind.KEEPALIVE and "id" not in frame and "timestamp" not in frame
    )
