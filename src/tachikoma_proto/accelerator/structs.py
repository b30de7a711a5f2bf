"""What msgspec is told to read: a struct for every record and every envelope.

Rules:

* Structs refuse unknown fields, so nothing in a frame goes unseen; types are the strict ones, and
  bounds are given where msgspec can hold them.
* A field that was left out is ``UNSET``, so that what is there can be told from what is not.
* A shape of which msgspec cannot be sure has no type here: :class:`Unsure`. A class with such a
  field is not accelerated; where the field is optional, only frames without it are.
"""

import enum
from collections.abc import Container, Mapping
from datetime import datetime
from typing import Annotated, Any, Final, Literal, Union, get_args, get_origin
from uuid import UUID

import attrs
import msgspec
from attrs import frozen
from msgspec import UNSET, Meta, UnsetType, defstruct

from tachikoma_proto.base import IntRange, bounds_of
from tachikoma_proto.converter.scalars import JSON_INTEGER
from tachikoma_proto.shapes import Array, Leaf, Maybe, Record, RecordField, Records, Shape

INT64_MAX: Final = 2**63 - 1
"""The largest bound that msgspec takes."""


_MISSING: Final[Any] = enum.Enum._missing_


class Unsure(Exception):
    """The accelerator leaves this to the converter."""


@frozen
class Field:
    """One field of a struct.

    Attributes:
        name: Its name.
        type: What msgspec reads.
        required: Whether it has no default.
    """

    name: str
    type: Any
    required: bool = True


class Structs:
    """Makes structs of records.

    Args:
        records: The fields of the records.
        left_out: Types of which, where they stand in fields, the accelerator is not sure.
    """

    def __init__(self, records: Records, left_out: Container[type] = ()) -> None:
        self.records = records
        self.left_out = left_out
        self._made: dict[type, type[msgspec.Struct]] = {}

    def of_record(
        self,
        cls: type,
        tags: Mapping[str, str],
        *,
        needed: Container[str] = (),
        union_tag: str = "",
    ) -> Any:
        """Make the struct of a record.

        Args:
            cls: The record's class.
            tags: The tags that may stand among its fields, with their values.
            needed: Which of them have to; the others may.
            union_tag: Which of them tells the struct from others of its union.

        Raises:
            Unsure: A required field has no type that msgspec could be sure of.
        """
        fields = [
            Field(name, Literal[tag], required=name in needed)
            for name, tag in tags.items()
            if name != union_tag
        ]
        fields += [self._field(cls, field) for field in self.records[cls]]
        return struct(cls.__name__, fields, union_tag, tags.get(union_tag, ""))

    def can_read(self, shape: Shape) -> bool:
        """Tell whether msgspec can read a shape surely."""
        try:
            self.type_of(shape)
        except Unsure:
            return False
        return True

    def type_of(self, shape: Shape) -> Any:
        """Give the type by which msgspec reads a shape.

        Raises:
            Unsure: There is none.
        """
        match shape:
            case Leaf(kind, _) | Record(kind) if kind in self.left_out:
                raise Unsure
            case Leaf(kind, _):
                return _leaf(kind)
            case Maybe(inner):
                return Union[self.type_of(inner), None]
            case Array(kind, inner) if get_origin(kind) in (tuple, list):
                item = self.type_of(inner)
                return get_origin(kind)[(item, ...) if get_origin(kind) is tuple else item]
            case Record(cls):
                return self._nested(cls)
            case _:
                raise Unsure

    def _field(self, cls: type[Any], field: RecordField) -> Field:
        default: Any = attrs.fields_dict(cls)[field.name].default
        if isinstance(default, attrs.Factory) and default.takes_self:  # type: ignore[arg-type]
            raise Unsure
        if field.required or self.can_read(field.shape):
            return Field(field.name, self.type_of(field.shape), field.required)
        # Left out, or null where that is the same: nothing else is surely right.
        return Field(field.name, None if isinstance(field.shape, Maybe) else UnsetType, False)

    def _nested(self, cls: type) -> type[msgspec.Struct]:
        if cls not in self._made:
            self._made[cls] = self.of_record(cls, {})
        return self._made[cls]


def struct(name: str, fields: list[Field], tag_field: str = "", tag: str = "") -> Any:
    """Make a struct that refuses what it does not know.

    Args:
        name: Its name, for whoever debugs.
        fields: Its fields.
        tag_field: The field that tells it from others of its union, if it stands in one.
        tag: The value of that field.
    """
    return defstruct(
        name,
        [
            (field.name, field.type)
            if field.required
            else (field.name, Union[field.type, UnsetType], UNSET)
            for field in fields
        ],
        kw_only=True,
        forbid_unknown_fields=True,
        gc=False,
        tag_field=tag_field or None,
        tag=tag or None,
    )


def _leaf(kind: Any) -> Any:
    if kind in (str, bool, UUID, float):
        return kind
    if kind is datetime:
        return str
    if kind is int:
        return _integer(JSON_INTEGER)
    bounds = bounds_of(kind)
    if isinstance(bounds, IntRange):
        return _integer(bounds)
    if bounds is not None:
        return Annotated[float, Meta(gt=-bounds.limit, lt=bounds.limit)]
    values = _values(kind)
    # An enum may make members of values that are none.
    makes_members = getattr(kind, "_missing_", _MISSING).__func__ is not _MISSING.__func__
    if makes_members or len({type(value) for value in values}) != 1:
        raise Unsure
    if not all(_is_sure(value) for value in values):
        raise Unsure
    return kind


def _is_sure(value: str | int) -> bool:
    if isinstance(value, str):
        return "," not in value  # it would be counted as if it parted members
    return 0 != value <= INT64_MAX  # "-0" would be taken for 0


def _values(kind: Any) -> list[Any]:
    if get_origin(kind) is Literal:
        return list(get_args(kind))
    if isinstance(kind, type) and issubclass(kind, enum.Enum):
        return [member.value for member in kind]
    return []


def _integer(bounds: IntRange) -> Any:
    if not -INT64_MAX - 1 <= bounds.low <= INT64_MAX:
        raise Unsure
    return Annotated[int, Meta(ge=bounds.low, le=min(bounds.high, INT64_MAX))]
