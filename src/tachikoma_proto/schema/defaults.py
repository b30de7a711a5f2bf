"""Defaults of fields, as they stand on the wire."""

from typing import Any, Final

import attrs

from tachikoma_proto.declare.shapes import (
    REFUSALS,
    Array,
    Choice,
    Custom,
    Identifier,
    Map,
    Maybe,
    Record,
    RecordField,
    Records,
    Shape,
    Timestamp,
)
from tachikoma_proto.wire.formats import format_timestamp, format_uuid
from tachikoma_proto.wire.json_values import to_builtins

NO_DEFAULT: Final = object()
"""Stands for the default of a field that has none, or one that cannot be told."""


def default_of(cls: type, field: RecordField, records: Records) -> Any:
    """Return a field's default as it stands on the wire, or ``NO_DEFAULT``.

    What a factory makes counts where it makes the same twice: an empty tuple, but no new UUID. That
    of a secret field is not told.

    Args:
        cls: The class that has the field.
        field: The field.
        records: The fields by class.
    """
    attribute = attrs.fields_dict(cls)[field.name]
    default: Any = attribute.default
    if default is attrs.NOTHING or attribute.converter is not None or field.secret:
        return NO_DEFAULT
    if isinstance(default, attrs.Factory):  # type: ignore[arg-type]
        if default.takes_self:
            return NO_DEFAULT
        first, second = default.factory(), default.factory()
        if first != second:
            return NO_DEFAULT
        default = first
    try:
        return _wire_value(field.shape, default, records)
    except REFUSALS:
        return NO_DEFAULT


def _wire_value(shape: Shape, value: Any, records: Records) -> Any:
    match shape:
        case Maybe(inner):
            return None if value is None else _wire_value(inner, value, records)
        case Array(_, container, inner):
            items = [_wire_value(inner, item, records) for item in value]
            return sorted(items, key=repr) if container is frozenset else items
        case Map(_, inner):
            return {key: _wire_value(inner, item, records) for key, item in value.items()}
        case Record(cls):
            members = {
                field.name: _wire_value(field.shape, getattr(value, field.name), records)
                for field in records[cls]
            }
            return {name: member for name, member in members.items() if member is not None}
        case Custom():
            return _wire_value(shape.wire, shape.scalar.write(value), records)
        case Choice():
            return shape.wire_of(value)
        case Identifier():
            return format_uuid(value)
        case Timestamp():
            return format_timestamp(value)
        case _:
            return to_builtins(value)
