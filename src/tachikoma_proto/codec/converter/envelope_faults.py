"""Every fault of a frame that is JSON: of its envelope and of its payload.

Rules:

* This is loaded when the first bad frame is met.
* A message type that is not known is one fault among the others; it decides the error's class.
"""

from collections.abc import Iterator
from typing import Any

from tachikoma_proto.codec.converter.envelope_fields import INCOMING, OUTGOING, is_bare, said_in
from tachikoma_proto.codec.converter.faults import (
    Side,
    find_faults,
    find_field_faults,
    find_unknown_fields,
)
from tachikoma_proto.declare.declarations import (
    EVENT_PREFIX,
    MessageDeclaration,
    MessageKind,
    Sender,
)
from tachikoma_proto.declare.shapes import Record
from tachikoma_proto.errors import (
    FieldError,
    InvalidMessageError,
    ProtocolError,
    UnknownMessageError,
)
from tachikoma_proto.wire.paths import cap, render
from tachikoma_proto.wire.uuids import parse_uuid


def explain_refusal(reading: Side, frame: dict[str, Any], sender: Sender) -> ProtocolError:
    """Say everything that is wrong with a frame that was refused.

    Args:
        reading: How its parts are judged.
        frame: The JSON object.
        sender: Which side sent it.

    Returns:
        The error, with the frame's id where that can be read.
    """
    message_type = frame.get("type")
    declaration = said_in(reading.registry, sender, frame)
    message_id = frame.get("id")
    found: dict[str, Any] = {
        "errors": cap(_faults(reading, frame, sender, declaration)),
        "message_id": parse_uuid(message_id) if isinstance(message_id, str) else None,
    }
    if sender is Sender.CLIENT and isinstance(message_type, str) and declaration is None:
        return UnknownMessageError(**found)
    return InvalidMessageError(**found)


def _faults(
    reading: Side, frame: dict[str, Any], sender: Sender, declaration: MessageDeclaration | None
) -> Iterator[FieldError]:
    bare = declaration is not None and is_bare(declaration, frame)
    envelope = INCOMING if bare or sender is Sender.CLIENT else OUTGOING
    yield from find_field_faults(reading, envelope, frame, ())
    message_type = frame.get("type")
    if not isinstance(message_type, str):
        return
    if declaration is not None:
        yield from _payload_faults(reading, frame, declaration.cls)
    elif sender is Sender.CLIENT:
        yield FieldError("$.type", "the type of a command")
    elif message_type.startswith(EVENT_PREFIX):
        category = message_type.removeprefix(EVENT_PREFIX)
        yield from _event_faults(reading, frame, category)
    if reading.forbid_unknown_fields and (
        declaration is not None or _is_known_event(reading, frame, message_type)
    ):
        yield from find_unknown_fields(frame, {field.name for field in envelope} | {"payload"}, ())


def _is_known_event(reading: Side, frame: dict[str, Any], message_type: str) -> bool:
    payload = frame.get("payload")
    category = message_type.removeprefix(EVENT_PREFIX)
    members = reading.registry.members(MessageKind.EVENT, category)
    tag = payload.get("event") if type(payload) is dict else None
    return message_type.startswith(EVENT_PREFIX) and isinstance(tag, str) and tag in members


def _payload_faults(reading: Side, frame: dict[str, Any], cls: type) -> Iterator[FieldError]:
    payload = frame.get("payload")
    needed = any(field.required for field in reading.registry.records[cls])
    if payload is not None or needed:
        yield from find_faults(reading, Record(cls), payload, ("payload",))


def _event_faults(reading: Side, frame: dict[str, Any], category: str) -> Iterator[FieldError]:
    payload = frame.get("payload")
    if type(payload) is not dict:
        yield FieldError("$.payload", "an object with the tag of an event")
        return
    if payload.get("category", category) != category:
        yield FieldError("$.payload.category", "the category that the message type says")
    tag = payload.get("event")
    members = reading.registry.members(MessageKind.EVENT, category)
    if not isinstance(tag, str):
        known = f" ({', '.join(members)})" if members else ""
        yield FieldError("$.payload.event", f"the tag of an event{known}")
    elif tag in members:
        for fault in find_faults(reading, Record(members[tag]), payload, ("payload",)):
            if fault.path != render(("payload", "category")):
                yield fault
