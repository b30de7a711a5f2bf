"""Topic keys: the field of an event that names the topic below its category's.

Rules:

* A key is one value, no secret, that has one text on the wire: a UUID, a string, an integer, an
  enum of those, or a scalar of an extension's own that stands as one of those.
* An event without the field, or with None or an empty text in it, has no topic below.
"""

import enum
from collections.abc import Callable, Mapping
from operator import attrgetter
from typing import Any
from uuid import UUID

from tachikoma_proto.declare.annotations import unmarked
from tachikoma_proto.declare.declarations import Scalar
from tachikoma_proto.declare.shapes import Leaf, RecordField, without_none

_AS_THEY_ARE = (str, int, UUID)

KeyOf = Callable[[Any], str]
"""Gives the text of an event's key; empty if it has none."""


def key_reader(field: RecordField, scalars: Mapping[type, Scalar]) -> KeyOf | None:
    """Find how the text of a key is had from an event.

    Args:
        field: The event's field.
        scalars: The scalars that categories declared.

    Returns:
        The reader; None if the field cannot be a key.
    """
    shape = without_none(field.shape)
    if field.secret or not isinstance(shape, Leaf):
        return None
    to_text = _text_of(shape.type, scalars)
    if to_text is None:
        return None
    get, write = attrgetter(field.name), to_text  # for mypy, which forgets that it is not None

    def key_of(event: Any) -> str:
        value = get(event)
        return "" if value is None else write(value)

    return key_of


def _text_of(kind: Any, scalars: Mapping[type, Scalar]) -> Callable[[Any], str] | None:
    kind = unmarked(kind)
    if kind in _AS_THEY_ARE:
        return str
    if isinstance(kind, type) and issubclass(kind, enum.Enum):
        return lambda member: str(member.value)
    scalar = scalars.get(kind)
    if scalar is None:
        return None
    wire, write = _text_of(scalar.wire, {}), scalar.write
    return None if wire is None else lambda value: wire(write(value))
