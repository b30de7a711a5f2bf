"""What msgspec is told to read: a struct for every record and every envelope.

Rules:

* Types are the strict ones, and bounds are given where msgspec can hold them. Structs refuse
  unknown fields, but for those of events: their tags have no place in a struct that is laid out
  as its class, and are skipped as unknown. ``marks`` and ``payloads`` have what follows of that.
* A field that was left out is ``UNSET``, so that what is there can be told from what is not.
* A shape of which msgspec cannot be sure has no type here: :class:`Unsure`. A class with such a
  field is not accelerated; where the field is optional, only frames without it are.
"""

import enum
from collections.abc import Container, Mapping
from contextlib import suppress
from datetime import datetime
from typing import Annotated, Any, Final, Literal, Union, get_args, get_origin
from uuid import UUID

import attrs
import msgspec
from attrs import frozen
from msgspec import NODEFAULT, UNSET, Meta, UnsetType, defstruct

from tachikoma_proto.accelerator.layouts import can_become, layout_base
from tachikoma_proto.base import IntRange, bounds_of
from tachikoma_proto.converter.scalars import JSON_INTEGER
from tachikoma_proto.shapes import Array, Leaf, Maybe, Record, RecordField, Records, Shape

INT64_MAX: Final = 2**63 - 1
"""The largest bound that msgspec takes."""

TYPE_CONSTANT: Final = "the type, which no frame gives by this name"
"""The key under which an envelope's struct would read its ``type``; where a frame has it, it is a
member too many."""

TIME: Final = Annotated[datetime, Meta(tz=True)]
"""The time of an envelope: what msgspec makes of it has to be looked at."""

_MISSING: Final[Any] = enum.Enum._missing_


class Unsure(Exception):
    """The accelerator leaves this to the converter."""


@frozen
class Field:
    """One field of a struct.

    Attributes:
        name: Its name.
        type: What msgspec reads.
        default: What it holds where it was left out; it has to be there if this is ``NODEFAULT``.
    """

    name: str
    type: Any
    default: Any = NODEFAULT


@frozen
class Tag:
    """What tells a struct from others of its union: a member of the object, and its value."""

    name: str
    value: str


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
        self._alike: set[type] = set()

    def of_record(self, cls: type, tags: Mapping[str, str], *, union_tag: str = "") -> Any:
        """Make the struct of a record, laid out as its class where that can be had.

        Args:
            cls: The record's class.
            tags: The tags that may stand among its fields, with their values.
            union_tag: The one of them that tells the struct from others of its union. The others
                are then skipped, as is what is unknown; without it nothing is.

        Raises:
            Unsure: A required field has no type that msgspec could be sure of.
        """
        fields = [self._field(cls, field) for field in self.records[cls]]
        if union_tag:
            return self._laid_out(cls, fields, Tag(union_tag, tags[union_tag]), is_open=True)
        if not tags:
            return self._laid_out(cls, fields)
        tag_fields = [Field(name, or_unset(Literal[tag]), UNSET) for name, tag in tags.items()]
        return struct(cls.__name__, tag_fields + fields)

    def of_envelope(
        self, cls: type, message_type: str, fields: list[Field], *, in_union: bool = True
    ) -> Any:
        """Make the struct of an envelope, laid out as its class where that can be had.

        Args:
            cls: The envelope's class.
            message_type: What its ``type`` is.
            fields: Its other fields.
            in_union: Whether it is told from others by its ``type``.
        """
        kind: Any = Literal[message_type]
        if not in_union:
            return self._laid_out(cls, [*fields, Field("type", kind)])
        # What stands in the class's field is no member of the frame: the tag has its name.
        constant: Any = msgspec.field(default=message_type, name=TYPE_CONSTANT)
        whole = [*fields, Field("type", kind, constant)]
        return self._laid_out(cls, whole, Tag("type", message_type))

    def is_alike(self, cls: type) -> bool:
        """Tell whether the struct of a class was laid out as the class is."""
        return cls in self._alike

    def _laid_out(
        self, cls: type, fields: list[Field], tag: Tag | None = None, *, is_open: bool = False
    ) -> Any:
        base = layout_base(cls)
        if base is not None:
            # A base may have what msgspec does not take below a struct.
            with suppress(TypeError):
                made = struct(cls.__name__, fields, tag, base=base, is_open=is_open)
                if can_become(made, cls):
                    self._alike.add(cls)
                    return made
        return struct(cls.__name__, fields, tag, is_open=is_open)

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
        if field.required:
            return Field(field.name, self.type_of(field.shape))
        if self.can_read(field.shape):
            return Field(field.name, or_unset(self.type_of(field.shape)), UNSET)
        # Left out, or null where that is the same: nothing else is surely right.
        only = or_unset(None) if isinstance(field.shape, Maybe) else UnsetType
        return Field(field.name, only, UNSET)

    def _nested(self, cls: type) -> type[msgspec.Struct]:
        if cls not in self._made:
            self._made[cls] = self.of_record(cls, {})
        return self._made[cls]


def struct(
    name: str,
    fields: list[Field],
    tag: Tag | None = None,
    *,
    base: type | None = None,
    is_open: bool = False,
) -> Any:
    """Make a struct.

    Args:
        name: Its name, for whoever debugs.
        fields: Its fields.
        tag: What tells it from others of its union, if it stands in one.
        base: The class below which it has its slots, if it is to be laid out as another.
        is_open: Whether it skips what it does not know.
    """
    return defstruct(
        name,
        [(field.name, field.type, field.default) for field in fields],
        bases=(msgspec.Struct,) if base is None else (base, msgspec.Struct),
        kw_only=True,
        forbid_unknown_fields=not is_open,
        gc=base is not None,  # as classes with slots are
        tag_field=None if tag is None else tag.name,
        tag=None if tag is None else tag.value,
    )


def or_unset(kind: Any) -> Any:
    """Give the type of what may be left out."""
    return Union[kind, UnsetType]


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
    values = values_of(kind)
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


def values_of(kind: Any) -> list[Any]:
    """Give the values of a literal or an enum; nothing for other types."""
    if get_origin(kind) is Literal:
        return list(get_args(kind))
    if isinstance(kind, type) and issubclass(kind, enum.Enum):
        return [member.value for member in kind]
    return []


def _integer(bounds: IntRange) -> Any:
    if not -INT64_MAX - 1 <= bounds.low <= INT64_MAX:
        raise Unsure
    return Annotated[int, Meta(ge=bounds.low, le=min(bounds.high, INT64_MAX))]
