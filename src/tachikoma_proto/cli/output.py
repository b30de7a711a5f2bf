"""How messages are written: short forms for people, JSON for programs.

Rules:

* A field that a class hides from its repr, or marks as secret, is masked here, too.
* What is None is left out, as on the wire.
* No control character of a peer gets through: texts are written as Python writes them.
* On a terminal, what tells two apart will do: the first digits of an id, the time of the day.
"""

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final, TypeAlias
from uuid import UUID

import attrs

from tachikoma_proto.codec.codec import Codec
from tachikoma_proto.connection.captures import mask_secrets
from tachikoma_proto.declare.field_types import is_secret, masked
from tachikoma_proto.messages.envelope import IncomingMessage, OutgoingMessage

Message: TypeAlias = IncomingMessage[Any] | OutgoingMessage[Any]

CATEGORY_STYLES: Final = {"event.mission": "yellow", "event.forge": "magenta"}

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
    """Write the local time of the day, to the millisecond.

    Args:
        moment: An aware time.
    """
    try:
        local = moment.astimezone()
    except (OverflowError, ValueError, OSError):  # the local year is outside 1 to 9999
        local = moment
    return local.time().isoformat("milliseconds")


def duration(seconds: float) -> str:
    """Write how long something took, to three digits."""
    milliseconds = 1000 * seconds
    if abs(milliseconds) < 1000:
        return f"{milliseconds:.3g} ms"
    return f"{seconds:.3g} s" if abs(seconds) < 1000 else f"{seconds:.0f} s"


def printable(text: str) -> str:
    """Write a peer's text in a line, with what is not printable escaped."""
    return repr(text)[1:-1]


def redacted(codec: Codec, message: Message) -> dict[str, Any]:
    """Return a message's frame as builtins, with every secret masked.

    Args:
        codec: Writes the frame.
        message: The message.
    """
    frame = codec.unstructure_message(message)
    declaration = codec.registry.declaration_of(type(message.payload))
    if declaration is None:  # it is kept as it came, since nothing is known of it
        return frame
    shown, _ = mask_secrets(codec.registry, frame, declaration.sender)
    return shown


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
