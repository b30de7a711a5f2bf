"""Strict hooks for the leaves of messages: nothing is coerced, bounds hold both ways.

Rules:

* A reading hook takes what the JSON reader gives: builtins of exact types.
* A writing hook takes what the field's annotation says, and refuses what a peer could not read.
"""

import enum
import math
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Any, Final, Literal, TypeAlias, get_args, get_origin
from uuid import UUID

from cattrs import Converter

from tachikoma_proto.codec.converter.mismatch import REFUSALS, Mismatch
from tachikoma_proto.declare.annotations import bounds_of
from tachikoma_proto.declare.declarations import Scalar
from tachikoma_proto.declare.field_types import FloatRange, IntRange
from tachikoma_proto.wire.timestamps import format_timestamp, parse_timestamp
from tachikoma_proto.wire.uuids import format_uuid, parse_uuid

JSON_INTEGER: Final = IntRange("int", -(2**63), 2**64 - 1)
"""The bounds of a plain ``int``: what peers hold in 64 bits, signed or not."""

MAX_JSON_DEPTH: Final = 128
"""Where free JSON that is written is surely nested too deep, whatever the frame around it."""


Read: TypeAlias = Callable[[Any, Any], Any]
Write: TypeAlias = Callable[[Any], Any]


def configure_scalars(
    converter: Converter, scalars: Mapping[type, Scalar], enums: Iterable[type[enum.Enum]] = ()
) -> None:
    """Give a converter the hooks for every leaf that a message's field may have.

    Args:
        converter: What is configured.
        scalars: The leaves that categories declared.
        enums: The enums that stand in fields.
    """
    for kind, read, write in (
        (str, read_str, write_str),
        (bool, read_bool, read_bool),
        (UUID, read_uuid, write_uuid),
        (datetime, read_timestamp, write_timestamp),
        (int, *_integer(JSON_INTEGER)),
        (float, *_float(FloatRange("f64", math.inf))),
    ):
        converter.register_structure_hook(kind, read)
        converter.register_unstructure_hook(kind, write)
    converter.register_structure_hook_func(lambda kind: kind is Any, lambda value, _: value)
    converter.register_unstructure_hook_func(lambda kind: kind is Any, write_json)
    _configure_family(converter, _is_bounded, _bounded)
    _configure_family(converter, _is_literal, _literal)
    for enumeration in enums:
        # By class, not by predicate: cattrs would take a StrEnum for a str.
        read, write = _enum(enumeration)
        converter.register_structure_hook(enumeration, read)
        converter.register_unstructure_hook(enumeration, write)
    for cls, scalar in scalars.items():
        read, write = _declared(converter, scalar)
        converter.register_structure_hook(cls, read)
        converter.register_unstructure_hook(cls, write)


def _configure_family(
    converter: Converter,
    is_kind: Callable[[Any], bool],
    make_hooks: Callable[[Any], tuple[Read, Write]],
) -> None:
    converter.register_structure_hook_factory(is_kind, lambda kind: make_hooks(kind)[0])
    converter.register_unstructure_hook_factory(is_kind, lambda kind: make_hooks(kind)[1])


def read_str(value: Any, _: Any) -> str:
    """Read text."""
    if type(value) is str:
        return value
    raise Mismatch("a string")


def write_str(value: Any) -> str:
    """Write text, which must be fit for UTF-8."""
    if isinstance(value, str):
        if value.isascii():
            return value
        try:
            value.encode()
        except UnicodeEncodeError:
            raise Mismatch("text without lone surrogates") from None
        return value
    raise Mismatch("a string")


def read_bool(value: Any, _: Any = None) -> bool:
    """Read, or write, a boolean."""
    if value is True or value is False:
        return value
    raise Mismatch("a boolean")


def read_uuid(value: Any, _: Any) -> UUID:
    """Read a UUID in one of the wire's forms."""
    if type(value) is str and (uuid := parse_uuid(value)) is not None:
        return uuid
    raise Mismatch("a UUID")


def write_uuid(value: Any) -> str:
    """Write a UUID, lower case with hyphens."""
    if isinstance(value, UUID):
        return format_uuid(value)
    raise Mismatch("a UUID")


def read_timestamp(value: Any, _: Any) -> datetime:
    """Read an RFC 3339 date-time, into UTC."""
    if type(value) is str and (moment := parse_timestamp(value)) is not None:
        return moment
    raise Mismatch("an RFC 3339 date-time with an offset")


def write_timestamp(value: Any) -> str:
    """Write an aware time as RFC 3339, in UTC."""
    if isinstance(value, datetime) and (text := format_timestamp(value)) is not None:
        return text
    raise Mismatch("a datetime with a time zone, of the years 1 to 9999 in UTC")


def write_json(value: Any, depth: int = 0) -> Any:
    """Write free JSON: check that it is JSON, all the way down."""
    if value is None or value is True or value is False:
        return value
    if isinstance(value, str):
        return write_str(value)
    if type(value) is int or type(value) is float:
        if not _is_finite(value):
            raise Mismatch("a finite number")
        return value
    if depth >= MAX_JSON_DEPTH:
        raise Mismatch(f"JSON nested less than {MAX_JSON_DEPTH} levels deep")
    if isinstance(value, (list, tuple)):
        return [write_json(item, depth + 1) for item in value]
    if isinstance(value, dict) and all(isinstance(key, str) for key in value):
        return {write_str(key): write_json(item, depth + 1) for key, item in value.items()}
    raise Mismatch("JSON: None, bool, int, float, str, list, or dict with str keys")


def _is_finite(number: int | float) -> bool:
    try:
        return math.isfinite(number)
    except OverflowError:
        return False


def _integer(bounds: IntRange) -> tuple[Read, Write]:
    low, high = bounds.low, bounds.high
    expected = f"an integer from {low} to {high}"

    def read(value: Any, _: Any = None) -> int:
        if type(value) is int and low <= value <= high:
            return value
        raise Mismatch(expected)

    def write(value: Any) -> int:
        # Also an instance of a subclass, as libraries for numbers have them; no bool.
        is_integer = isinstance(value, int) and not isinstance(value, bool)
        return read(int(value) if is_integer else value)

    return read, write


def _float(bounds: FloatRange) -> tuple[Read, Write]:
    limit = bounds.limit
    expected = f"a finite number ({bounds.name})"

    def read(value: Any, _: Any = None) -> float:
        if type(value) is float or type(value) is int:
            try:
                number = float(value)
            except OverflowError:
                raise Mismatch(expected) from None
            if -limit < number < limit:
                return number
        raise Mismatch(expected)

    def write(value: Any) -> float:
        return read(float(value) if isinstance(value, float) else value)

    return read, write


def _is_bounded(kind: Any) -> bool:
    return bounds_of(kind) is not None


def _bounded(kind: Any) -> tuple[Read, Write]:
    bounds = bounds_of(kind)
    if isinstance(bounds, IntRange):
        return _integer(bounds)
    assert bounds is not None, "asked for by _is_bounded only"
    return _float(bounds)


def _declared(converter: Converter, scalar: Scalar) -> tuple[Read, Write]:
    read_wire = converter.get_structure_hook(scalar.wire)
    write_wire = converter.get_unstructure_hook(scalar.wire)

    def read(value: Any, _: Any) -> Any:
        value = read_wire(value, scalar.wire)
        try:
            made = scalar.read(value)
        except REFUSALS:
            raise Mismatch(scalar.expected) from None
        if not isinstance(made, scalar.cls):
            raise Mismatch(scalar.expected)
        return made

    def write(value: Any) -> Any:
        if not isinstance(value, scalar.cls):
            raise Mismatch(scalar.expected)
        try:
            return write_wire(scalar.write(value))
        except REFUSALS:
            raise Mismatch(scalar.expected) from None

    return read, write


def _enum(kind: type[enum.Enum]) -> tuple[Read, Write]:
    # Keyed by type too: to Python True, 1 and 1.0 are the same key.
    members = {(type(member.value), member.value): member for member in kind}
    expected = _one_of(member.value for member in kind)

    def read(value: Any, _: Any) -> enum.Enum:
        try:
            return members[type(value), value]
        except (KeyError, TypeError):
            raise Mismatch(expected) from None

    def write(value: Any) -> Any:
        # A Flag has values that are no members, and that would not be read.
        if isinstance(value, kind) and (type(value.value), value.value) in members:
            return value.value
        raise Mismatch(f"a member of {kind.__qualname__}")

    return read, write


def _is_literal(kind: Any) -> bool:
    return get_origin(kind) is Literal


def _literal(kind: Any) -> tuple[Read, Write]:
    members = {(type(value), value) for value in get_args(kind)}
    expected = _one_of(get_args(kind))

    def read(value: Any, _: Any = None) -> Any:
        try:
            if (type(value), value) in members:
                return value
        except TypeError:
            pass
        raise Mismatch(expected)

    return read, read


def _one_of(values: Any) -> str:
    listed = [f'"{value}"' if isinstance(value, str) else str(value) for value in values]
    return f"one of {', '.join(listed)}"
