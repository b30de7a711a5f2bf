"""Every fault of a message, with its place: run after a hook has refused it.

Rules:

* The verdict is the hooks' alone. This walk asks them for each part of a message, the innermost
  first, and adds the places.
* One walk serves both ways. What differs is in the :class:`Side`: how a record's fields are got
  at, and which hook judges.
"""

from collections.abc import Callable, Iterator
from typing import Any, Final

from attrs import frozen
from cattrs import Converter

from tachikoma_proto.converter.mismatch import REFUSALS, Mismatch
from tachikoma_proto.converter.records import tags_of
from tachikoma_proto.errors import FieldError
from tachikoma_proto.paths import Path, render
from tachikoma_proto.registry import Registry
from tachikoma_proto.shapes import Array, Map, Maybe, Record, RecordField, Shape

MISSING: Final = object()
"""Stands for a field that is not there."""


@frozen(kw_only=True)
class Side:
    """What differs between the faults of what is read and of what is written.

    Attributes:
        registry: Which messages there are.
        judge: Reads or writes a value of a type; raises where it cannot.
        is_record: Tells whether the fields of a class can be looked for in a value.
        get: Takes a field out of a record; ``MISSING`` if it is not there.
        forbid_unknown_fields: Whether a field that a class does not have is a fault.
    """

    registry: Registry
    judge: Callable[[Any, Any], object]
    is_record: Callable[[type, Any], bool]
    get: Callable[[Any, str], Any]
    forbid_unknown_fields: bool = False


def reading(converter: Converter, registry: Registry, *, forbid_unknown_fields: bool) -> Side:
    """Look for the faults of builtins that should become a message."""
    return Side(
        registry=registry,
        judge=lambda kind, value: converter.structure(value, kind),
        is_record=lambda _, value: type(value) is dict,
        get=lambda record, name: record.get(name, MISSING),
        forbid_unknown_fields=forbid_unknown_fields,
    )


def writing(converter: Converter, registry: Registry) -> Side:
    """Look for the faults of a message that should become builtins."""
    return Side(
        registry=registry,
        judge=lambda kind, value: converter.get_unstructure_hook(kind)(value),
        is_record=lambda cls, value: type(value) is cls,
        get=getattr,
    )


def find_faults(side: Side, shape: Shape, value: Any, path: Path) -> Iterator[FieldError]:
    """Find every fault of a value.

    Args:
        side: Whether it should be read or written.
        shape: What it should be.
        value: What it is.
        path: Where it stands.
    """
    if isinstance(shape, Maybe):
        if value is not None:
            yield from find_faults(side, shape.inner, value, path)
        return
    faultless = True
    for fault in _faults_inside(side, shape, value, path):
        faultless = False
        yield fault
    if faultless:
        expected = _refusal(side, shape.type, value)
        if expected is not None:
            yield FieldError(render(path), expected)


def find_field_faults(
    side: Side, field: RecordField, record: Any, path: Path
) -> Iterator[FieldError]:
    """Find every fault of one field of a record.

    Args:
        side: Whether it should be read or written.
        field: The field.
        record: What it is a field of.
        path: Where the record stands.
    """
    value = side.get(record, field.name)
    path = (*path, field.name)
    if value is not MISSING:
        yield from find_faults(side, field.shape, value, path)
    elif field.required:
        for fault in find_faults(side, field.shape, MISSING, path):
            yield FieldError(fault.path, f"{fault.expected}; the field is missing")


def find_unknown_fields(value: Any, known: set[str], path: Path) -> Iterator[FieldError]:
    """Find the members of an object that are not among those known."""
    for key in value:
        if key not in known:
            yield FieldError(render((*path, key)), "no such field")


def _faults_inside(side: Side, shape: Shape, value: Any, path: Path) -> Iterator[FieldError]:
    match shape:
        case Array(_, inner) if isinstance(value, (list, tuple, frozenset, set)):
            for index, item in enumerate(value):
                yield from find_faults(side, inner, item, (*path, index))
        case Map(_, inner) if isinstance(value, dict):
            for key, item in value.items():
                yield from find_faults(side, inner, item, (*path, str(key)))
        case Record(cls) if side.is_record(cls, value):
            yield from _faults_of_members(side, cls, value, path)
            for field in side.registry.records[cls]:
                yield from find_field_faults(side, field, value, path)
        case _:
            pass


def _faults_of_members(side: Side, cls: type, value: Any, path: Path) -> Iterator[FieldError]:
    if type(value) is not dict:
        return
    tags = tags_of(side.registry, cls)
    for name, tag in tags.items():
        if value.get(name, tag) != tag:
            yield FieldError(render((*path, name)), f'"{tag}", which the message type says')
    if side.forbid_unknown_fields:
        known = {field.name for field in side.registry.records[cls]}
        yield from find_unknown_fields(value, known | set(tags), path)


def _refusal(side: Side, kind: Any, value: Any) -> str | None:
    """What the hook for a type expects instead of a value; None if it takes it."""
    try:
        side.judge(kind, value)
    except Mismatch as mismatch:
        return mismatch.expected
    except REFUSALS:  # how the validators of an attrs class refuse
        return f"a valid {getattr(kind, '__name__', kind)}"
    return None
