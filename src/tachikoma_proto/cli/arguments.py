"""A command as the command line gives it: its type, and ``FIELD=VALUE`` for its fields.

Rules:

* A field goes by its path, as in ``filters.mission_id``. Its shape says how its value is read: a
  text as it is, an array of texts with commas or as JSON, everything else as JSON.
* The codec gives the verdict, and says what was expected where.
* A secret is refused: every user of a machine can see the arguments of its processes.
* Where the user gave options and not fields, errors name the options.
"""

import json
from collections.abc import Callable, Iterable
from typing import Any, TypeAlias, TypeVar

from attrs import frozen

from tachikoma_proto.cli.options import TOKEN_HINT, CliError
from tachikoma_proto.codec.codec import Codec
from tachikoma_proto.declare.bases import Command
from tachikoma_proto.declare.declarations import MessageKind, Sender
from tachikoma_proto.declare.shapes import (
    Array,
    Choice,
    Custom,
    FreeJson,
    Identifier,
    Maybe,
    Record,
    RecordField,
    Shape,
    Text,
    Timestamp,
    holds_secrets,
    innermost,
    without_none,
)
from tachikoma_proto.errors import ProtocolError
from tachikoma_proto.registry.registry import Registry

C = TypeVar("C", bound=Command[Any])

NameOf: TypeAlias = Callable[[str], str]
"""Returns what the user calls the field with a JSON path."""


def find_command(registry: Registry, message_type: str, hint: str = "") -> type[Command[Any]]:
    """Find the command that the command line names.

    Args:
        registry: Which commands there are.
        message_type: The command's message type.
        hint: What else to say if there is none.

    Raises:
        CliError: There is no such command.
    """
    declaration = registry.declaration_for(Sender.CLIENT, message_type)
    if declaration is None or declaration.kind is not MessageKind.COMMAND:
        known = ", ".join(
            declaration.message_type
            for declaration in registry
            if declaration.kind is MessageKind.COMMAND
        )
        raise CliError(f"there is no command {message_type!r}; there are {known}{hint}")
    return declaration.cls


def make_command(
    registry: Registry, cls: type[C], assignments: Iterable[str], name_of: NameOf | None = None
) -> C:
    """Make a command from the arguments of the command line.

    Args:
        registry: Which fields there are.
        cls: The command's class.
        assignments: ``FIELD=VALUE``, any number of them.
        name_of: What the user calls the fields; their paths if left out.

    Raises:
        CliError: There is no such field, or the codec refuses a value.
    """
    declaration = registry.declaration_of(cls)
    assert declaration is not None, "a command that is in no category"
    payload: dict[str, Any] = {}
    for assignment in assignments:
        _assign(registry, cls, payload, assignment, name_of or str)
    codec = Codec(registry, forbid_unknown_fields=True, accelerated=False)
    try:
        frame = json.dumps({"type": declaration.message_type, "payload": payload})
        command = codec.decode_command(frame).payload
    except ProtocolError as error:
        head = [] if name_of else [f"{declaration.message_type} cannot be sent:"]
        text = "\n  ".join([*head, *_faults(error, name_of or str)])
        raise CliError(text) from None
    assert isinstance(command, cls), "the message type is of another command"
    return command


def _faults(error: ProtocolError, name_of: NameOf) -> list[str]:
    faults = [f"{name_of(fault.path)}: expected {fault.expected}" for fault in error.errors]
    return faults or [error.message]


@frozen
class _Destination:
    """Where a value goes.

    Attributes:
        holder: The JSON object that gets it.
        field: The field.
        name: What the user calls the field.
    """

    holder: dict[str, Any]
    field: RecordField
    name: str


def _assign(
    registry: Registry, cls: type, payload: dict[str, Any], assignment: str, name_of: NameOf
) -> None:
    name, equals, text = assignment.partition("=")
    if not equals:  # not shown: it may be a secret that was given in good faith
        raise CliError("a field is given as FIELD=VALUE; one has no '='")
    destination = _find_destination(registry, cls, payload, name.split("."), name_of)
    _refuse_secret(registry, destination)
    value = _value(registry, destination.field.shape, text, destination.name)
    held = destination.holder.get(destination.field.name)
    if isinstance(held, list) and isinstance(value, list):
        value = held + value
    elif held is not None:
        raise CliError(f"{destination.name}: it is given twice")
    destination.holder[destination.field.name] = value


def _find_destination(
    registry: Registry, cls: type, payload: dict[str, Any], names: list[str], name_of: NameOf
) -> _Destination:
    holder, path = payload, "$.payload"
    *parents, last = names
    for name in parents:
        field = _field(registry, cls, name, name_of(path))
        path = f"{path}.{name}"
        shape = without_none(field.shape)
        holder = holder.setdefault(name, {})
        if not isinstance(shape, Record) or not isinstance(holder, dict):
            raise CliError(f"{name_of(path)}: it has no fields of its own")
        cls = shape.type
    field = _field(registry, cls, last, name_of(path))
    return _Destination(holder, field, name_of(f"{path}.{last}"))


def _field(registry: Registry, cls: type, name: str, where: str) -> RecordField:
    fields = {field.name: field for field in registry.records[cls]}
    if name not in fields:
        there_are = f"there are {', '.join(fields)}" if fields else "there are none"
        raise CliError(f"{where}: no field {name!r}; {there_are}")
    return fields[name]


def _refuse_secret(registry: Registry, destination: _Destination) -> None:
    inner = innermost(destination.field.shape)
    is_record = isinstance(inner, Record)
    if destination.field.secret or (is_record and holds_secrets(inner.type, registry.records)):
        raise CliError(
            f"{destination.name} is secret, and other users can see the arguments of a process; "
            f"{TOKEN_HINT}, and is sent when connecting"
        )


def _value(registry: Registry, shape: Shape, text: str, name: str) -> Any:
    match shape:
        case Maybe(inner):
            return _value(registry, inner, text, name)
        case Array(_, _, inner) if _is_text(inner) and not text.lstrip().startswith("["):
            return text.split(",") if text else []
        case _ if _is_text(shape):
            return text
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        if isinstance(shape, FreeJson):
            raise CliError(f"{name}: expected JSON") from None
    return text  # the codec says what was expected in its place


def _is_text(shape: Shape) -> bool:
    """Return whether what stands in a shape is a string on the wire."""
    match shape:
        case Custom():
            return _is_text(shape.wire)
        case Choice():
            return all(isinstance(wire, str) for wire, _ in shape.members)
        case _:
            return isinstance(shape, (Text, Identifier, Timestamp))
