"""A command that is given on the command line: its type, and ``FIELD=VALUE`` for its fields.

Rules:

* A field goes by its path, as in ``filters.mission_id``. Its shape says how its value is read: a
  text as it is, an array of texts with commas or as JSON, everything else as JSON.
* The codec gives the verdict, and says what was expected where.
* A secret is refused: every user of a machine can see the arguments of its processes.
"""

import enum
import json
from collections.abc import Iterable
from datetime import datetime
from typing import Any, Final, Literal, get_args, get_origin
from uuid import UUID

from attrs import frozen

from tachikoma_proto.base import Command
from tachikoma_proto.cli.failure import CommandError
from tachikoma_proto.cli.peer import TOKEN_HINT
from tachikoma_proto.codec import Codec
from tachikoma_proto.errors import ProtocolError
from tachikoma_proto.registry import Registry
from tachikoma_proto.shapes import (
    Array,
    Leaf,
    Maybe,
    Record,
    RecordField,
    Shape,
    holds_secrets,
    nested_in,
)
from tachikoma_proto.specs import Kind, Sender

TEXTS: Final = (str, UUID, datetime)
"""What is written on the wire as a text."""


def command_given(
    registry: Registry, message_type: str, assignments: Iterable[str]
) -> Command[Any]:
    """Make a command of what the command line says.

    Args:
        registry: Which commands there are.
        message_type: Which one it is.
        assignments: ``FIELD=VALUE``, any number of them.

    Raises:
        CommandError: There is no such command or field, or the codec refuses a value.
    """
    spec = registry.spec_for(Sender.CLIENT, message_type)
    if spec is None or spec.kind is not Kind.COMMAND:
        known = ", ".join(spec.message_type for spec in registry if spec.kind is Kind.COMMAND)
        raise CommandError(f"there is no command {message_type!r}; there are {known}")
    payload: dict[str, Any] = {}
    for assignment in assignments:
        _assign(registry, spec.cls, payload, assignment)
    codec = Codec(registry, forbid_unknown_fields=True, accelerated=False)
    try:
        frame = json.dumps({"type": message_type, "payload": payload})
        return codec.decode_command(frame).payload
    except ProtocolError as error:
        faults = [str(fault) for fault in error.errors] or [error.message]
    raise CommandError("\n  ".join([f"{message_type} cannot be sent:", *faults]))


@frozen
class _Target:
    """Where a value goes.

    Attributes:
        holder: The JSON object that gets it.
        field: The field.
        path: The field's JSON path.
    """

    holder: dict[str, Any]
    field: RecordField
    path: str


def _assign(registry: Registry, cls: type, payload: dict[str, Any], assignment: str) -> None:
    name, equals, text = assignment.partition("=")
    if not equals:  # not shown: it may be a secret that was given in good faith
        raise CommandError("a field is given as FIELD=VALUE; one has no '='")
    target = _target(registry, cls, payload, name.split("."))
    _refuse_secret(registry, target)
    value = _value(registry, target.field.shape, text, target.path)
    held = target.holder.get(target.field.name)
    if isinstance(held, list) and isinstance(value, list):
        value = held + value
    elif held is not None:
        raise CommandError(f"{target.path}: it is given twice")
    target.holder[target.field.name] = value


def _target(registry: Registry, cls: type, payload: dict[str, Any], names: list[str]) -> _Target:
    holder, path = payload, "$.payload"
    *parents, last = names
    for name in parents:
        field = _field(registry, cls, name, path)
        path = f"{path}.{name}"
        shape = field.shape.inner if isinstance(field.shape, Maybe) else field.shape
        holder = holder.setdefault(name, {})
        if not isinstance(shape, Record) or not isinstance(holder, dict):
            raise CommandError(f"{path}: it has no fields that could be given one by one")
        cls = shape.type
    return _Target(holder, _field(registry, cls, last, path), f"{path}.{last}")


def _field(registry: Registry, cls: type, name: str, path: str) -> RecordField:
    fields = {field.name: field for field in registry.records[cls]}
    if name not in fields:
        there_are = f"there are {', '.join(fields)}" if fields else "there are none"
        raise CommandError(f"{path}: no field {name!r}; {there_are}")
    return fields[name]


def _refuse_secret(registry: Registry, target: _Target) -> None:
    nested = nested_in(target.field.shape)
    if target.field.secret or any(holds_secrets(cls, registry.records) for cls in nested):
        raise CommandError(
            f"{target.path} is secret, and others can see a command line; {TOKEN_HINT}, "
            "and is sent by itself"
        )


def _value(registry: Registry, shape: Shape, text: str, path: str) -> Any:
    match shape:
        case Maybe(inner):
            return _value(registry, inner, text, path)
        case Array(_, inner) if _is_text(registry, inner) and not text.lstrip().startswith("["):
            return text.split(",") if text else []
        case _ if _is_text(registry, shape):
            return text
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        if shape == Leaf(Any, "json"):
            raise CommandError(f"{path}: expected JSON") from None
    return text  # the codec says what was expected in its place


def _is_text(registry: Registry, shape: Shape) -> bool:
    if not isinstance(shape, Leaf):
        return False
    kind = shape.type
    if kind in registry.scalars:
        kind = registry.scalars[kind].wire
    if isinstance(kind, type) and issubclass(kind, enum.Enum):
        return all(isinstance(member.value, str) for member in kind)
    if get_origin(kind) is Literal:
        return all(isinstance(value, str) for value in get_args(kind))
    return kind in TEXTS
