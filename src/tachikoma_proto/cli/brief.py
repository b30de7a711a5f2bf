"""Typed messages in short, for people.

Rules:

* A field that a class hides from its repr, or marks as secret, is masked here too.
* What is None is left out, as on the wire.
* No control character gets through: texts are written as Python writes them.
* On a terminal what tells two apart will do: the first digits of an id, the time of the day.
"""

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final
from uuid import UUID

import attrs

from tachikoma_proto.declare.field_types import is_secret, masked

_UUID: Final = re.compile(r"([0-9a-f]{4})[0-9a-f]{4}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def brief(message: object, *, shortens_ids: bool = False) -> str:
    """Write a message, or what stands in one, in a line.

    Args:
        message: The message.
        shortens_ids: Whether UUIDs are cut to their first four digits.
    """
    match message:
        case UUID():
            return f"{str(message)[:4]}…" if shortens_ids else str(message)
        case str() if shortens_ids:
            return repr(_UUID.sub(r"\1…", message))
        case Mapping() if shortens_ids:
            return _UUID.sub(r"\1…", repr(message))
        case tuple() | list() | frozenset():
            return f"[{', '.join(brief(item, shortens_ids=shortens_ids) for item in message)}]"
        case _ if attrs.has(type(message)):
            return f"{type(message).__qualname__}({', '.join(_fields(message, shortens_ids))})"
        case _:
            return repr(message)


def clock(moment: datetime) -> str:
    """Write the time of the day as it is here, to the millisecond.

    Args:
        moment: An aware time.
    """
    try:
        here = moment.astimezone()
    except (OverflowError, ValueError, OSError):  # it is in no year that there is here
        here = moment
    return here.time().isoformat("milliseconds")


def printable(text: str) -> str:
    """Write a peer's text in a line, with what is not printable escaped."""
    return repr(text)[1:-1]


def _fields(message: Any, shortens_ids: bool) -> list[str]:
    fields = [(field, getattr(message, field.name)) for field in attrs.fields(type(message))]
    return [
        f"{field.name}={_field(field, value, shortens_ids)}"
        for field, value in fields
        if value is not None and field.repr
    ]


def _field(field: "attrs.Attribute[Any]", value: object, shortens_ids: bool) -> str:
    if is_secret(field.metadata):
        return masked(value)
    return field.repr(value) if callable(field.repr) else brief(value, shortens_ids=shortens_ids)
