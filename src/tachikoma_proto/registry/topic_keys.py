"""Topic keys: the field of an event that names the topic below its category's.

Rules:

* A key is one value, no secret, that has one text on the wire: a UUID, a string, an integer, an
  enum of those, or a scalar of an extension's own that stands as one of those.
* An event without the field, or with None or an empty text in it, has no topic below.
"""

from collections.abc import Callable
from operator import attrgetter
from typing import Any, TypeAlias

from tachikoma_proto.declare.shapes import (
    Choice,
    Custom,
    Identifier,
    Integer,
    RecordField,
    Shape,
    Text,
    without_none,
)

KeyOf: TypeAlias = Callable[[Any], str]
"""Returns the text of an event's key; empty if it has none."""


def key_reader(field: RecordField) -> KeyOf | None:
    """Return what reads the text of a key from an event.

    Args:
        field: The event's field.

    Returns:
        The reader; None if the field cannot be a key.
    """
    to_text = None if field.secret else _to_text(without_none(field.shape))
    if to_text is None:
        return None
    get, write = attrgetter(field.name), to_text  # for mypy, which forgets that it is not None

    def key_of(event: Any) -> str:
        value = get(event)
        return "" if value is None else write(value)

    return key_of


def _to_text(shape: Shape) -> Callable[[Any], str] | None:
    match shape:
        case Text():
            return str.__str__
        case Integer():
            return lambda value: str(int(value))
        case Identifier():
            return str
        case Choice():
            return lambda value: str(shape.wire_of(value))
        case Custom():
            wire = _to_text(shape.wire)
            return None if wire is None else lambda value: wire(shape.scalar.write(value))
        case _:
            return None
