"""Topic keys: the field of an event that names the topic below its category's.

Rules:

* A key is one value, no secret, that has one text on the wire: a UUID, a string, an integer, an
  enum of those, or a scalar of an extension's own that stands as one of those.
* An event without the field, or with None or an empty text in it, has no topic below.
* What a client writes below a topic is read as the key's field would read it: other spellings of
  a UUID mean the same topic, and what no event can hold is no topic.
"""

import re
from collections.abc import Callable
from operator import attrgetter
from typing import Any, Final, TypeAlias

from tachikoma_proto.declare.shapes import (
    REFUSALS,
    Choice,
    Custom,
    Identifier,
    Integer,
    Leaf,
    RecordField,
    Shape,
    Text,
    without_none,
)
from tachikoma_proto.wire.formats import parse_uuid

KeyOf: TypeAlias = Callable[[Any], str]
"""Returns the text of an event's key; empty if it has none."""

KeyParser: TypeAlias = Callable[[str], str | None]
"""Returns the text that events have for a key, or None if no event can have it."""

_INTEGER: Final = "0|-?[1-9][0-9]{0,19}"
"""An integer as it is written on the wire."""


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


def key_parser(field: RecordField) -> KeyParser | None:
    """Return what reads a key from a topic.

    Args:
        field: The event's field.

    Returns:
        The parser; None if the field cannot be a key.
    """
    shape = without_none(field.shape)
    to_text = None if field.secret else _to_text(shape)
    if to_text is None or not isinstance(shape, Leaf):
        return None
    if isinstance(shape, Choice):
        return _choice_parser(shape)
    leaf, write = shape, to_text

    def parse(text: str) -> str | None:
        value = _parse(leaf, text)
        return None if value is None else write(value)

    return parse


def _choice_parser(shape: Choice) -> KeyParser:
    """Return the parser of an enum; a member such as ``a/b`` is below ``a``, too."""
    texts = [str(wire) for wire, _ in shape.members]

    def parse(text: str) -> str | None:
        is_there = any(one == text or one.startswith(f"{text}/") for one in texts)
        return text if is_there else None

    return parse


def _parse(leaf: Leaf, text: str) -> Any:
    """Return the value of a field that a text stands for, or None."""
    match leaf:
        case Text():
            return text if leaf.refusal(text) is None else None
        case Integer(low=low, high=high):
            is_canonical = re.fullmatch(_INTEGER, text) is not None
            return int(text) if is_canonical and low <= int(text) <= high else None
        case Identifier():
            return parse_uuid(text)
        case Choice(members=members):
            return next((member for wire, member in members if str(wire) == text), None)
        case Custom(wire=wire, scalar=scalar):
            value = _parse(wire, text)
            if isinstance(wire, Choice):
                value = None if value is None else wire.wire_of(value)
            if value is None:
                return None
            try:
                value = scalar.read(value)
            except REFUSALS:
                return None
            return value if leaf.refusal(value) is None else None
        case _:
            return None
