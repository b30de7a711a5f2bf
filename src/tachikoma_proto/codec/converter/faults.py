"""Every fault of a message, with its place: run after a hook has refused it.

Rules:

* The verdict is the hooks' alone. What a hook takes has no fault; of what it refuses, this walk
  asks the hooks for each part, and adds the places. Where all parts are taken, the whole is at
  fault.
* One walk serves both ways. What differs is in the :class:`Side`: how a record's fields are got
  at, and which hook judges.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final, TypeAlias

from attrs import field, frozen
from cattrs import Converter

from tachikoma_proto.codec.converter.mismatch import REFUSALS, Mismatch
from tachikoma_proto.codec.converter.records import tags_of
from tachikoma_proto.declare.shapes import (
    Array,
    Leaf,
    Map,
    Maybe,
    Record,
    RecordField,
    Shape,
    without_none,
)
from tachikoma_proto.errors import FieldError
from tachikoma_proto.registry.registry import Registry
from tachikoma_proto.wire.paths import Path, render

Judge: TypeAlias = Callable[[Any], object]
"""Reads or writes a value of a type; raises where it cannot."""

MISSING: Final = object()
"""Stands for a field that is not there."""


@frozen
class Check:
    """What judges one field of a record."""

    name: str
    shape: Shape
    judge: Judge
    may_be_none: bool
    required: bool


@frozen(kw_only=True)
class Side:
    """What differs between the faults of what is read and of what is written.

    Attributes:
        registry: Which messages there are.
        judge_of: Gives what judges a type.
        is_record: Tells whether the fields of a class can be looked for in a value.
        get: Takes a field out of a record; ``MISSING`` if it is not there.
        forbid_unknown_fields: Whether a field that a class does not have is a fault.
    """

    registry: Registry
    judge_of: Callable[[Any], Judge]
    is_record: Callable[[type, Any], bool]
    get: Callable[[Any, str], Any]
    forbid_unknown_fields: bool = False
    _checks: dict[int, tuple[tuple[RecordField, ...], list[Check]]] = field(
        factory=dict, init=False, repr=False, eq=False
    )

    def checks(self, fields: tuple[RecordField, ...]) -> list[Check]:
        """Give what judges the fields of a record, in their order."""
        # By identity, since the hash of a type takes long; the fields are kept, and it with them.
        found = self._checks.get(id(fields))
        if found is None:
            found = self._checks[id(fields)] = (fields, [self._check(field) for field in fields])
        return found[1]

    def _check(self, field: RecordField) -> Check:
        may_be_none = isinstance(field.shape, Maybe)
        shape = without_none(field.shape)
        judge = self.judge_of(shape.type)  # type: ignore[union-attr]
        return Check(field.name, shape, judge, may_be_none, field.required)


def reading(converter: Converter, registry: Registry, *, forbid_unknown_fields: bool) -> Side:
    """Look for the faults of builtins that should become a message."""

    def judge_of(kind: Any) -> Judge:
        hook = converter.get_structure_hook(kind)
        return lambda value: hook(value, kind)

    return Side(
        registry=registry,
        judge_of=judge_of,
        is_record=lambda _, value: type(value) is dict,
        get=lambda record, name: record.get(name, MISSING),
        forbid_unknown_fields=forbid_unknown_fields,
    )


def writing(converter: Converter, registry: Registry) -> Side:
    """Look for the faults of a message that should become builtins."""
    return Side(
        registry=registry,
        judge_of=converter.get_unstructure_hook,
        is_record=lambda cls, value: type(value) is cls,
        get=getattr,
    )


def find_faults(side: Side, shape: Shape, value: Any, path: Path) -> Iterable[FieldError]:
    """Find every fault of a value.

    Args:
        side: Whether it should be read or written.
        shape: What it should be.
        value: What it is.
        path: Where it stands.
    """
    if isinstance(shape, Maybe):
        return () if value is None else find_faults(side, shape.inner, value, path)
    expected = _refusal(shape, side.judge_of(shape.type), value)
    return () if expected is None else _refused(side, shape, expected, value, path)


def find_field_faults(
    side: Side, fields: tuple[RecordField, ...], record: Any, path: Path
) -> Iterator[FieldError]:
    """Find every fault of the fields of a record.

    Args:
        side: Whether it should be read or written.
        fields: The fields.
        record: What they are fields of.
        path: Where the record stands.
    """
    get = side.get
    for check in side.checks(fields):
        value = get(record, check.name)
        if (value is None and check.may_be_none) or (value is MISSING and not check.required):
            continue
        expected = _refusal(check.shape, check.judge, value)
        if value is MISSING:
            where = render((*path, check.name))
            yield FieldError(where, f"{expected or 'a JSON value'}; the field is missing")
        elif expected is not None:
            yield from _refused(side, check.shape, expected, value, (*path, check.name))


def find_unknown_fields(value: Any, known: set[str], path: Path) -> Iterator[FieldError]:
    """Find the members of an object that are not among those known."""
    for key in value:
        if key not in known:
            yield FieldError(render((*path, key)), "no such field")


def _refused(
    side: Side, shape: Shape, expected: str, value: Any, path: Path
) -> Iterable[FieldError]:
    if isinstance(shape, Leaf):
        return (FieldError(render(path), expected),)
    return _inside_or(expected, side, shape, value, path)


def _inside_or(
    expected: str, side: Side, shape: Shape, value: Any, path: Path
) -> Iterator[FieldError]:
    """Find the faults inside of what was refused; its own if there are none."""
    found = False
    for fault in _faults_inside(side, shape, value, path):
        found = True
        yield fault
    if not found:
        yield FieldError(render(path), expected)


def _faults_inside(side: Side, shape: Shape, value: Any, path: Path) -> Iterator[FieldError]:
    match shape:
        case Record(cls) if side.is_record(cls, value):
            yield from _faults_of_members(side, cls, value, path)
            yield from find_field_faults(side, side.registry.records[cls], value, path)
        case Array(_, inner) if isinstance(value, (list, tuple, frozenset, set)):
            for index, item in enumerate(value):
                yield from find_faults(side, inner, item, (*path, index))
        case Map(_, inner) if isinstance(value, dict):
            for key, item in value.items():
                yield from find_faults(side, inner, item, (*path, str(key)))
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


def _refusal(shape: Shape, judge: Judge, value: Any) -> str | None:
    """What is expected instead of a value; None if it is taken."""
    try:
        judge(value)
    except Mismatch as mismatch:
        return mismatch.expected
    except REFUSALS:  # how the validators of an attrs class refuse
        kind: Any = shape.type if not isinstance(shape, Maybe) else shape
        return f"a valid {getattr(kind, '__name__', kind)}"
    return None
