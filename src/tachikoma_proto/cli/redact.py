"""Messages as JSON for people and logs, with secrets masked."""

from typing import Any

from tachikoma_proto.cli.capture import Message
from tachikoma_proto.codec.codec import Codec
from tachikoma_proto.declare.field_types import masked
from tachikoma_proto.declare.shapes import Array, Map, Maybe, Record, Records, Shape


def redacted(codec: Codec, message: Message) -> dict[str, Any]:
    """Give a message's frame as builtins, with every secret field masked.

    Args:
        codec: Writes the frame.
        message: The message.
    """
    frame = codec.unstructure_message(message)
    cls = type(message.payload)
    if cls in codec.registry.records and "payload" in frame:
        frame["payload"] = _masked(codec.registry.records, Record(cls), frame["payload"])
    return frame


def _masked(records: Records, shape: Shape, value: Any) -> Any:
    if value is None:
        return None
    match shape:
        case Maybe(inner):
            return _masked(records, inner, value)
        case Array(_, _, inner):
            return [_masked(records, inner, item) for item in value]
        case Map(_, inner):
            return {key: _masked(records, inner, item) for key, item in value.items()}
        case Record(cls):
            fields = {field.name: field for field in records[cls]}
            return {
                name: _masked_field(records, fields, name, item) for name, item in value.items()
            }
        case _:
            return value


def _masked_field(records: Records, fields: Any, name: str, value: Any) -> Any:
    if name not in fields:
        return value
    field = fields[name]
    return masked(value) if field.secret else _masked(records, field.shape, value)
