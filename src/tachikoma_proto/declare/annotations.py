"""Annotations of message fields, read once into shapes.

Rules:

* An annotation without a shape is refused when its class is registered, never at a frame, with
  a text that says what to write instead.
* A field goes by one name, and what is left out of a frame is what it was: None for an
  optional field, the default for another.
"""

import enum
import types
import typing
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Annotated, Any, Final, Literal, Union, get_args, get_origin
from uuid import UUID

import attrs

from tachikoma_proto.declare.field_types import FloatRange, IntRange, is_secret
from tachikoma_proto.declare.shapes import (
    Array,
    Leaf,
    Map,
    Maybe,
    Record,
    RecordField,
    Records,
    Shape,
    nested_in,
)
from tachikoma_proto.errors import RegistryError
from tachikoma_proto.wire.paths import is_text

LEAVES: Final[Mapping[Any, str]] = types.MappingProxyType(
    {
        str: "str",
        bool: "bool",
        int: "int",
        float: "f64",
        UUID: "uuid",
        datetime: "timestamp",
        Any: "json",
    }
)
"""The types that are read and written as one value, and what the wire's contract calls them."""

ARRAYS: Final = (tuple, list, frozenset)
"""The containers that a JSON array becomes."""

ADVICE: Final = (
    "use str, bool, int, float, U32, U64, F32, UUID, datetime, Json, an Enum of strings or "
    "integers, a Literal, a frozen attrs class, tuple[X, ...], list[X], frozenset[X], "
    "dict[str, X], one of them with | None, or declare the type with Category.scalar"
)


def unmarked(annotation: Any) -> Any:
    """Return the type that an annotation marks; the annotation itself if it has no marks."""
    return get_args(annotation)[0] if get_origin(annotation) is Annotated else annotation


def bounds_of(annotation: Any) -> IntRange | FloatRange | None:
    """Return the bounds of an annotation, or None if it is not a bounded number."""
    if get_origin(annotation) is Annotated:
        base, *marks = get_args(annotation)
        for mark in marks:
            if (base, type(mark)) in ((int, IntRange), (float, FloatRange)):
                bounds: IntRange | FloatRange = mark
                return bounds
    return None


def collect_records(classes: Iterable[type], scalars: Iterable[type] = ()) -> Records:
    """Read the fields of attrs classes and of every attrs class nested in them.

    Args:
        classes: Frozen attrs classes.
        scalars: Types that categories declared as leaves of their own.

    Returns:
        The fields by class.

    Raises:
        RegistryError: A field's type cannot be structured, or a class is not a frozen attrs
            class.
    """
    leaves = {**LEAVES, **{cls: cls.__name__ for cls in scalars}}
    records: dict[type, tuple[RecordField, ...]] = {}
    waiting = list(classes)
    while waiting:
        cls = waiting.pop()
        if cls not in records:
            records[cls] = _fields_of(cls, leaves)
            for field in records[cls]:
                waiting.extend(nested_in(field.shape))
    return types.MappingProxyType(records)


def is_frozen_attrs(cls: type) -> bool:
    """Tell whether a class itself, not a base of it, is a frozen attrs class."""
    return "__attrs_attrs__" in vars(cls) and attrs.inspect(cls).is_frozen


def _fields_of(cls: type, leaves: Mapping[Any, str]) -> tuple[RecordField, ...]:
    where = f"{cls.__module__}.{cls.__qualname__}"
    if not is_frozen_attrs(cls):
        raise RegistryError(f"{where} is not a frozen attrs class: decorate it with @attrs.frozen")
    if not attrs.inspect(cls).added_init:
        raise RegistryError(f"{where} has a constructor of its own, which cannot be called for it")
    try:
        if any(_is_deferred(attribute.type) for attribute in attrs.fields(cls)):
            attrs.resolve_types(cls)
    except NameError as error:
        raise RegistryError(
            f"{where}: the name {error.name!r} in an annotation is not found; "
            "import it, or define it, at the top level of the module"
        ) from None
    except (AttributeError, SyntaxError, TypeError) as error:
        raise RegistryError(f"{where}: an annotation cannot be evaluated: {error}") from None
    return tuple(_field_of(attribute, where, leaves) for attribute in attrs.fields(cls))


def _is_deferred(annotation: object) -> bool:
    """Tell whether an annotation, or a part of one, is still a string."""
    if isinstance(annotation, (str, typing.ForwardRef)):
        return True
    is_literal = get_origin(annotation) is Literal
    return not is_literal and any(_is_deferred(part) for part in get_args(annotation))


def _field_of(
    attribute: "attrs.Attribute[Any]", where: str, leaves: Mapping[Any, str]
) -> RecordField:
    where = f"{where}.{attribute.name}"
    if not attribute.init or attribute.alias != attribute.name:
        raise RegistryError(
            f"{where}: a field goes by one name, on the wire and to the constructor; "
            "it takes no init=False, no alias and no leading underscore"
        )
    shape = _shape_of(attribute.type, where, leaves)
    if isinstance(shape, Maybe) and attribute.default is not None:
        raise RegistryError(
            f"{where}: None is not written, so what is left out must be None again: "
            "give the optional field the default None"
        )
    return RecordField(
        name=attribute.name,
        shape=shape,
        required=attribute.default is attrs.NOTHING,
        secret=is_secret(attribute.metadata),
    )


def _shape_of(annotation: Any, where: str, leaves: Mapping[Any, str]) -> Shape:
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        if not _is_hashable_value(annotation):
            raise RegistryError(f"{where}: the marks of an Annotated must be hashable")
        if (bounds := bounds_of(annotation)) is not None:
            return Leaf(annotation, bounds.name)
        return _shape_of(arguments[0], where, leaves)
    if origin is Literal:
        return Leaf(annotation, _alternatives(arguments, where))
    if annotation in leaves:
        return Leaf(annotation, leaves[annotation])
    if origin in (Union, types.UnionType):
        return Maybe(_shape_of(_inner_of(arguments, annotation, where), where, leaves))
    if (origin is list and arguments) or (origin is tuple and arguments[1:] == (Ellipsis,)):
        return Array(annotation, _shape_of(arguments[0], where, leaves))
    if origin is frozenset and arguments:
        inner = _shape_of(arguments[0], where, leaves)
        if not _is_hashable(inner):
            raise RegistryError(f"{where}: a frozenset holds hashable items only; use a tuple")
        return Array(annotation, inner)
    if origin is dict and arguments[:1] == (str,):
        return Map(annotation, _shape_of(arguments[1], where, leaves))
    if isinstance(annotation, type) and issubclass(annotation, enum.Enum):
        return Leaf(annotation, _alternatives([m.value for m in annotation], where))
    if isinstance(annotation, type) and attrs.has(annotation):
        return Record(annotation)
    raise RegistryError(f"{where}: {_name(annotation)} cannot be read from the wire; {ADVICE}")


def _is_hashable(shape: Shape) -> bool:
    match shape:
        case Maybe(inner):
            return _is_hashable(inner)
        case Array(kind, inner):
            return get_origin(kind) is not list and _is_hashable(inner)
        case Map():
            return False
        case Leaf(kind):
            return kind is not Any
        case Record():  # its fields are not known yet
            return True


def _inner_of(arguments: tuple[Any, ...], annotation: Any, where: str) -> Any:
    rest = [argument for argument in arguments if argument is not types.NoneType]
    if len(rest) == 1 and len(arguments) == 2:
        return rest[0]
    raise RegistryError(
        f"{where}: {_name(annotation)} is a union, and nothing on the wire tells its members "
        "apart; give each its own optional field, or make each a message with a tag"
    )


def _alternatives(values: Iterable[object], where: str) -> str:
    listed = list(values)
    if not listed or not all(_is_alternative(value) for value in listed):
        raise RegistryError(
            f"{where}: an enum or a literal must be of strings or integers of 64 bits"
        )
    return " | ".join(f'"{value}"' if isinstance(value, str) else str(value) for value in listed)


def _is_hashable_value(value: object) -> bool:
    try:
        hash(value)
    except TypeError:
        return False
    return True


def _is_alternative(value: object) -> bool:
    if type(value) is str:
        return is_text(value)
    return type(value) is int and -(2**63) <= value < 2**64


def _name(annotation: object) -> str:
    return annotation.__qualname__ if isinstance(annotation, type) else str(annotation)
