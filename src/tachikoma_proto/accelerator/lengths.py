"""How long the text of a frame is at the least: where there is no room for a member, there is none.

Rules:

* A member that is repeated, unknown or null takes at least so many characters. Where a frame is
  shorter than what was read from it and that, nothing is hidden in it. This is found out by its
  length, which takes a fraction of the time of going through it.
* Lengths are lower bounds of what JSON can be: no white space, no escapes, UUIDs of 32 digits.
"""

import json
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from tachikoma_proto.accelerator.structs import values_of
from tachikoma_proto.base import unmarked
from tachikoma_proto.shapes import Leaf, Maybe, RecordField, Records, Shape, nested_below

UNKNOWN: Final = len(',"":0')
"""What an unknown member takes at the least."""

HYPHENS: Final = 4
"""How much longer a UUID is with hyphens than without."""

_LEAVES: Final[Mapping[Any, int]] = {
    str: len('""'),
    bool: len("true"),
    int: len("0"),
    float: len("0"),
    UUID: len('""') + 32,
    datetime: len('"2026-01-02T03:04:05Z"'),
}


def quoted(value: str | int) -> str:
    """Give a text, or a number, as JSON has it at its shortest."""
    return json.dumps(value, ensure_ascii=False)


def least(shape: Shape) -> int:
    """Tell how many characters the JSON of a shape takes at the least."""
    match shape:
        case Maybe(inner):
            return min(len("null"), least(inner))
        case Leaf(kind, _):
            sizes = [len(quoted(v)) for v in values_of(kind) if isinstance(v, str | int)]
            return _LEAVES.get(unmarked(kind)) or min(sizes, default=1)
        case _:
            return len("[]")


def least_member(name: str, shape: Shape) -> int:
    """Tell how many characters a member takes at the least, without a comma."""
    return len(f"{quoted(name)}:") + least(shape)


def least_object(fields: Iterable[RecordField], tags: Mapping[str, str]) -> int:
    """Tell how many characters an object takes at the least.

    Args:
        fields: The fields that it may have; those that may be left out are.
        tags: What stands among them.
    """
    members = [len(f"{quoted(name)}:{quoted(tag)}") for name, tag in tags.items()]
    members += [least_member(field.name, field.shape) for field in fields if field.required]
    return len("{}") + sum(members) + max(0, len(members) - 1)


def least_repeated(cls: type, records: Records, tags: Mapping[str, str]) -> int:
    """Tell how many characters a member takes at the least that a good frame does not have, be it
    repeated or null, with its comma.

    Args:
        cls: The class of the object in which, or however deep in which, it stands.
        records: The fields by class.
        tags: What stands among those of the object.
    """
    members = [len(f",{quoted(name)}:{quoted(tag)}") for name, tag in tags.items()]
    for one in (cls, *nested_below(cls, records)):
        members += [len(",") + least_member(field.name, field.shape) for field in records[one]]
    return min(members, default=len(',"id":') + _LEAVES[UUID])
