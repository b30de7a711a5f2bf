"""Shapes: what may stand in a field of a message, as data.

Rules:

* A shape is a leaf (read and written as one value), or is made of shapes: ``Maybe``, ``Array``,
  ``Map``; a ``Record`` stands for an attrs class.
* Whoever walks messages (the converter's hooks, the search for faults, the table of types) goes
  by shapes, so that they cannot disagree about what a field is.
"""

import enum
import math
from collections.abc import Container, Mapping
from typing import Any, TypeAlias

from attrs import frozen


@frozen
class Leaf:
    """One value: a scalar, an enum, a literal or free JSON."""

    type: Any
    name: str


@frozen
class Maybe:
    """A value or None; None is not written."""

    inner: "Shape"


@frozen
class Array:
    """A JSON array of one kind of item, held in a container of Python's."""

    type: Any
    inner: "Shape"


@frozen
class Map:
    """A JSON object of free keys and one kind of value."""

    type: Any
    inner: "Shape"


@frozen
class Record:
    """A JSON object with the fields of an attrs class."""

    type: type


Shape: TypeAlias = Leaf | Maybe | Array | Map | Record


@frozen(kw_only=True)
class RecordField:
    """One field of an attrs class.

    Attributes:
        name: Its name in Python and on the wire.
        shape: What stands in it.
        required: Whether it has no default.
        secret: Whether its value may be shown nowhere.
    """

    name: str
    shape: Shape
    required: bool = True
    secret: bool = False


Records: TypeAlias = Mapping[type, tuple[RecordField, ...]]
"""The fields of each attrs class that is a message or stands in one."""


def without_none(shape: Shape) -> Shape:
    """Give what stands in a shape where it is not None."""
    return shape.inner if isinstance(shape, Maybe) else shape


def enums_in(records: Records) -> set[type[enum.Enum]]:
    """Find the enums that stand in fields, however deep.

    Args:
        records: The fields by class.
    """
    leaves = {_innermost(field.shape) for fields in records.values() for field in fields}
    return {kind for kind in leaves if isinstance(kind, type) and issubclass(kind, enum.Enum)}


def _innermost(shape: Shape) -> Any:
    match shape:
        case Maybe(inner) | Array(_, inner) | Map(_, inner):
            return _innermost(inner)
        case Leaf(kind) | Record(kind):
            return kind


def nested_in(shape: Shape) -> list[type]:
    """Give the attrs class that stands in a shape, if one does."""
    match shape:
        case Maybe(inner) | Array(_, inner) | Map(_, inner):
            return nested_in(inner)
        case Record(cls):
            return [cls]
        case _:
            return []


def holding_themselves(records: Records) -> set[type]:
    """Find the classes that stand in themselves, however deep.

    Args:
        records: The fields by class.
    """

    return {cls for cls in records if cls in nested_below(cls, records)}


def holds_secrets(cls: type, records: Records) -> bool:
    """Tell whether a class has a secret field, itself or in a class nested in it.

    Args:
        cls: The class.
        records: The fields by class.
    """
    classes = {cls, *nested_below(cls, records)}
    return any(field.secret for one in classes for field in records[one])


def nested_below(cls: type, records: Records) -> set[type]:
    """Find the classes that stand in a class, however deep."""
    seen: set[type] = set()
    waiting = [cls]
    while waiting:
        for field in records[waiting.pop()]:
            found = set(nested_in(field.shape)) - seen
            seen |= found
            waiting += found
    return seen


def depth_of(shape: Shape, records: Records, scalars: Container[type]) -> float:
    """Tell how deep the JSON of a shape may be nested.

    Args:
        shape: The shape.
        records: The fields by class.
        scalars: The types that are declared as leaves, of which nothing is known.

    Returns:
        The levels of objects and arrays; infinity if its types set no limit.
    """
    known: dict[type, float] = dict.fromkeys(holding_themselves(records), math.inf)

    def depth(shape: Shape) -> float:
        match shape:
            case Leaf(kind):
                return math.inf if kind is Any or kind in scalars else 0
            case Maybe(inner):
                return depth(inner)
            case Array(_, inner) | Map(_, inner):
                return 1 + depth(inner)
            case Record(cls):
                if cls not in known:
                    fields = (depth(field.shape) for field in records[cls])
                    known[cls] = 1 + max(fields, default=0)
                return known[cls]

    return depth(shape)


def describe_field(field: RecordField, records: Records) -> str:
    """Name a field as the wire's contract does: ``topic: str``, ``message?: str``.

    Args:
        field: The field.
        records: Where the fields of nested classes are found.
    """
    shape = without_none(field.shape)
    secret = " (secret)" if field.secret else ""
    return f"{field.name}{'' if field.required else '?'}: {_describe(shape, records)}{secret}"


def _describe(shape: Shape, records: Records) -> str:
    match shape:
        case Leaf(_, name):
            return name
        case Maybe(inner):
            return f"{_describe(inner, records)} | null"
        case Array(_, inner):
            return f"[{_describe(inner, records)}]"
        case Map(_, inner):
            return f"{{str: {_describe(inner, records)}}}"
        case Record(cls):
            if cls not in records:  # it is being described already, and holds itself
                return cls.__name__
            others = {other: fields for other, fields in records.items() if other is not cls}
            return "{" + ", ".join(describe_field(f, others) for f in records[cls]) + "}"
