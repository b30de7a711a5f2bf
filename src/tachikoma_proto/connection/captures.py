"""Captures: frames as they passed over a connection, one a line, for later reading.

A capture is a UTF-8 text file of JSON objects, one a line; ``docs/guides/command.md`` describes it
for those who write or read one without this library. A line is a bare frame, as on the wire, or a
record, which says when the frame passed, in which direction, and in which session::

    {"time":"2026-01-02T03:04:05.678901Z","direction":"from client","session":"…","frame":"…"}

Rules:

* A record holds the frame as a string, so that what a peer really sent is kept: the order of its
  members, the digits of its numbers, and its faults.
* No secret is written. A frame that holds one is written anew with ``***`` in its place, and
  ``masked`` lists the paths. What the registry does not know is masked by name: a member that is
  called as a secret field of some message is taken for one.
* A frame that cannot be parsed cannot be masked. It is withheld: the record has the error's code
  and text and the frame's size instead of the frame.
* A record has no member ``type``, and a frame must have one: that tells them apart. Members that
  are not known are ignored.
"""

import json
from collections.abc import Callable
from datetime import datetime
from functools import partial
from typing import Any, Final

import attrs
from attrs import frozen

from tachikoma_proto.declare.declarations import EVENT_PREFIX, MessageKind, Sender
from tachikoma_proto.declare.field_types import masked
from tachikoma_proto.declare.shapes import (
    Array,
    Map,
    Maybe,
    Record,
    Shape,
    holds_secrets,
    innermost,
)
from tachikoma_proto.errors import FieldError, InvalidMessageError, ProtocolError
from tachikoma_proto.messages.envelope import OutgoingMessage
from tachikoma_proto.registry.registry import Registry
from tachikoma_proto.wire.formats import format_timestamp, parse_timestamp
from tachikoma_proto.wire.json_reader import Frame, JsonObject, read_object
from tachikoma_proto.wire.paths import Path, render

DIRECTIONS: Final = {f"from {sender.value}": sender for sender in Sender}
"""What ``direction`` says, and who sent the frame."""

RECORD_OVERHEAD: Final = 4096
"""How many bytes of a line a record may need beside its frame."""

ESCAPED: Final = 6
"""How many bytes of a line one byte of the frame may take: ``\\u001f``."""

_ENVELOPE: Final = {field.name for field in attrs.fields(OutgoingMessage)}
"""The members of a frame that are no secrets, whatever a field of some message is called."""


@frozen(kw_only=True)
class Withheld:
    """Why a record has no frame.

    Attributes:
        code: The error's code, such as ``invalid_message``.
        message: The error's text, which holds nothing of the frame.
        size: How many bytes the frame had.
    """

    code: str
    message: str
    size: int


@frozen(kw_only=True)
class CapturedFrame:
    """A frame that passed over a connection.

    Attributes:
        time: When it was received, or handed to the transport; aware.
        sender: Who sent it.
        session: Which session of the recording side it belongs to.
        frame: Its text; None where it was withheld.
        masked: The paths of the values that ``***`` stands for.
        withheld: Why there is no text.
    """

    time: datetime
    sender: Sender
    session: str
    frame: str | None = None
    masked: tuple[str, ...] = ()
    withheld: Withheld | None = None

    def to_line(self) -> str:
        """Return the record as a line of a capture, without the line's end."""
        record: dict[str, Any] = {
            "time": format_timestamp(self.time),
            "direction": f"from {self.sender.value}",
            "session": self.session,
        }
        if self.withheld is not None:
            record["withheld"] = {
                "code": self.withheld.code,
                "message": self.withheld.message,
                "size": self.withheld.size,
            }
        else:
            record["frame"] = self.frame
            if self.masked:
                record["masked"] = self.masked
        return json.dumps(record, ensure_ascii=False, separators=(",", ":"))

    @classmethod
    def from_record(cls, record: JsonObject) -> "CapturedFrame":
        """Read a record.

        Args:
            record: The JSON object of a line for which :func:`is_record` is true.

        Raises:
            InvalidMessageError: A member is not what the format says.
        """
        members = {name: read(record) for name, (read, _) in _MEMBERS.items()}
        del members["frame" if "withheld" in record else "withheld"]
        faults = [
            FieldError(f"$.{name}", _MEMBERS[name][1])
            for name, value in members.items()
            if value is None
        ]
        if faults:
            raise InvalidMessageError(code="invalid_record", errors=faults)
        return cls(sender=members.pop("direction"), **members)


def is_record(line: JsonObject) -> bool:
    """Return whether the JSON object of a line is a record, and not a bare frame."""
    return "type" not in line and "direction" in line and ("frame" in line or "withheld" in line)


def capture_frame(
    registry: Registry,
    frame: Frame,
    *,
    time: datetime,
    sender: Sender,
    session: str,
    max_size: int,
) -> CapturedFrame:
    """Return the record of a frame, with its secrets masked.

    Args:
        registry: Which messages there are, and which of their fields are secret.
        frame: The frame, as it was received or is sent.
        time: When that is; aware.
        sender: Who sent it.
        session: Which session it belongs to.
        max_size: How many bytes of a frame are read.
    """
    try:
        content = read_object(frame, max_size)
    except ProtocolError as error:
        size = len(frame.encode(errors="replace")) if isinstance(frame, str) else len(frame)
        withheld = Withheld(code=error.code, message=error.message, size=size)
        return CapturedFrame(time=time, sender=sender, session=session, withheld=withheld)
    shown, paths = mask_secrets(registry, content, sender)
    text = frame if isinstance(frame, str) else bytes(frame).decode()
    if paths:
        text = json.dumps(shown, ensure_ascii=False, separators=(",", ":"))
    return CapturedFrame(time=time, sender=sender, session=session, frame=text, masked=paths)


def mask_secrets(
    registry: Registry, frame: JsonObject, sender: Sender
) -> tuple[JsonObject, tuple[str, ...]]:
    """Return a frame with ``***`` for each secret, and the paths of those.

    Args:
        registry: Which messages there are, and which of their fields are secret.
        frame: The frame's JSON object; left as it is.
        sender: Who sent it; what only the other side says is known, too.
    """
    mask = _Mask(registry)
    sides = sorted(Sender, key=lambda side: side is not sender)
    classes = [cls for side in sides if (cls := _class_of(registry, frame, side))]
    shape = Record(classes[0]) if classes else None
    shown = dict(frame)
    for name, value in frame.items():
        if name not in _ENVELOPE:
            shown[name] = mask.member(value, name, (name,))
    if "payload" in frame:
        shown["payload"] = mask.value(frame["payload"], shape, ("payload",))
    return shown, tuple(mask.paths)


def _class_of(registry: Registry, frame: JsonObject, sender: Sender) -> type[Any] | None:
    """Return the class of a frame's payload, as far as its type and tag say."""
    message_type = frame.get("type")
    if not isinstance(message_type, str):
        return None
    if message_type.startswith(EVENT_PREFIX):
        payload = frame.get("payload")
        tag = payload.get(MessageKind.EVENT.value) if isinstance(payload, dict) else None
        members = registry.members(MessageKind.EVENT, message_type.removeprefix(EVENT_PREFIX))
        return members.get(tag) if isinstance(tag, str) else None
    declaration = registry.declaration_for(sender, message_type)
    return None if declaration is None else declaration.cls


class _Mask:
    """Masks secrets, and notes where they were.

    Attributes:
        paths: The paths of what was masked.
    """

    def __init__(self, registry: Registry) -> None:
        self.paths: list[str] = []
        self._records = registry.records
        self._names = {
            field.name for fields in registry.records.values() for field in fields if field.secret
        }

    def value(self, value: Any, shape: Shape | None, path: Path) -> Any:
        """Mask what is secret in a value of a shape; None for one that is not known."""
        match shape, value:
            case _, None:
                return None
            case Maybe(inner), _:
                return self.value(value, inner, path)
            case Array(_, _, inner), list():
                return [self.value(item, inner, (*path, at)) for at, item in enumerate(value)]
            case Map(_, inner), dict():
                return {
                    name: self.value(item, inner, (*path, name)) for name, item in value.items()
                }
            case Record(cls), dict():
                return self._fields(value, cls, path)
            case ((Array() | Map() | Record()), _) if self._holds_secrets(shape):
                return self._secret(value, path)  # it is not what the field should have
            case _, dict():
                return {
                    name: self.member(item, name, (*path, name)) for name, item in value.items()
                }
            case _, list():
                return [self.value(item, None, (*path, at)) for at, item in enumerate(value)]
            case _:
                return value

    def member(self, value: Any, name: str, path: Path) -> Any:
        """Mask a member of which nothing but its name is known."""
        is_secret = name in self._names
        return self._secret(value, path) if is_secret else self.value(value, None, path)

    def _fields(self, value: JsonObject, cls: type, path: Path) -> JsonObject:
        fields = {field.name: field for field in self._records[cls]}
        shown = {}
        for name, item in value.items():
            field, where = fields.get(name), (*path, name)
            if field is None:
                shown[name] = self.member(item, name, where)
            elif field.secret:
                shown[name] = self._secret(item, where)
            else:
                shown[name] = self.value(item, field.shape, where)
        return shown

    def _holds_secrets(self, shape: Shape) -> bool:
        inner = innermost(shape)
        return isinstance(inner, Record) and holds_secrets(inner.type, self._records)

    def _secret(self, value: Any, path: Path) -> Any:
        if value is None:
            return None
        self.paths.append(render(path))
        return masked(value)


def _time(record: JsonObject) -> datetime | None:
    time = record.get("time")
    return parse_timestamp(time) if isinstance(time, str) else None


def _direction(record: JsonObject) -> Sender | None:
    direction = record["direction"]
    return DIRECTIONS.get(direction) if isinstance(direction, str) else None


def _text(record: JsonObject, name: str) -> str | None:
    value = record.get(name)
    return value if isinstance(value, str) else None


def _masked_paths(record: JsonObject) -> tuple[str, ...] | None:
    paths = record.get("masked", [])
    is_right = isinstance(paths, list) and all(isinstance(path, str) for path in paths)
    return tuple(paths) if is_right else None


def _withheld(record: JsonObject) -> Withheld | None:
    withheld = record.get("withheld")
    if not isinstance(withheld, dict):
        return None
    code, message, size = (withheld.get(name) for name in ("code", "message", "size"))
    if not isinstance(code, str) or not isinstance(message, str) or type(size) is not int:
        return None
    return Withheld(code=code, message=message, size=size)


_MEMBERS: Final[dict[str, tuple[Callable[[JsonObject], Any], str]]] = {
    "time": (_time, "an RFC 3339 date-time"),
    "direction": (_direction, " or ".join(f'"{direction}"' for direction in DIRECTIONS)),
    "session": (partial(_text, name="session"), "a string"),
    "masked": (_masked_paths, "an array of strings"),
    "frame": (partial(_text, name="frame"), "a string"),
    "withheld": (_withheld, "an object with code, message and size"),
}
"""How each member of a record is read, and what it should be."""
