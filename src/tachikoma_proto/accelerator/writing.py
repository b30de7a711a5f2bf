"""The code that turns a message into a struct, which msgspec writes.

Rules:

* Everything is checked before it is given to msgspec, which would write NaN as null and any object
  that it can make something of: types are exact, bounds hold. Whatever is not as expected raises
  :class:`Unsure`, and the converter says what is wrong.
* The members stand in the order of the contract, tags first; what is None is left out.
* A time that msgspec would write with six digits where three do is written here.
"""

import enum
import math
from collections.abc import Callable, Collection, Mapping
from datetime import UTC, datetime
from typing import Any, Final, TypeAlias, get_origin
from uuid import UUID

import msgspec
from msgspec import defstruct

from tachikoma_proto.accelerator.structs import Structs, Unsure
from tachikoma_proto.base import FloatRange, IntRange, bounds_of
from tachikoma_proto.converter.scalars import JSON_INTEGER
from tachikoma_proto.generated import Code
from tachikoma_proto.messages.envelope import Envelope, IncomingMessage, OutgoingMessage
from tachikoma_proto.shapes import Array, Leaf, Maybe, Record, Shape
from tachikoma_proto.specs import MessageSpec, Sender
from tachikoma_proto.timestamps import format_timestamp

WriteFrame: TypeAlias = Callable[[Any], msgspec.Struct]
"""Takes an envelope, and gives what msgspec writes for it."""


def _format(moment: object) -> str:
    text = format_timestamp(moment) if isinstance(moment, datetime) else None
    if text is None:
        raise Unsure
    return text


def _is_exact(kind: type, items: Any) -> bool:
    return all(type(item) is kind for item in items)


_NAMES: Final[dict[str, Any]] = {
    "Unsure": Unsure,
    "UUID": UUID,
    "UTC": UTC,
    "datetime": datetime,
    "format_time": _format,
    "is_exact": _is_exact,
}

# What msgspec writes as the contract has it, it is given as it is.
_NO_UUID: Final = "type({}) is not UUID"
_TIMESTAMP: Final = (
    "if type(t) is not datetime or t.tzinfo is not UTC or not t.microsecond % 1000: "
    "t = format_time(t)"
)


def make_writer(spec: MessageSpec, structs: Structs) -> WriteFrame:
    """Generate the function that makes what msgspec writes of one message, in any envelope.

    Args:
        spec: The message; what the function is given has one of its class.
        structs: What knows the fields of its class and of those nested in it.

    Raises:
        Unsure: The message has a field that is left to the converter.
    """
    is_incoming = spec.sender is Sender.CLIENT
    code = Code()
    generator = _Records(code, structs)
    with code.block("def function(e):"):
        code.add(f"if e.type != {spec.message_type!r}: raise Unsure")
        code.add("i = e.id", "t = e.timestamp", "p = e.payload")
        other = code.bind(IncomingMessage if is_incoming else OutgoingMessage)
        with code.block(f"if type(e) is {other}:"):
            if is_incoming:
                code.add(f"if i is not None and {_NO_UUID.format('i')}: raise Unsure")
                with code.block("if t is not None:"):
                    code.add(_TIMESTAMP)
            else:
                code.add(f"if {_NO_UUID.format('i')}: raise Unsure", _TIMESTAMP, "r = e.reply_to")
                code.add(f"if r is not None and {_NO_UUID.format('r')}: raise Unsure")
        with code.block(f"elif type(e) is {code.bind(Envelope)}:"):
            code.add(f"if {_NO_UUID.format('i')}: raise Unsure", _TIMESTAMP, "r = None")
        code.add("else: raise Unsure")
        generator.write(spec.cls, "p", "o", dict(spec.tags))
        members = {"id": "i", "type": repr(spec.message_type), "timestamp": "t"}
        members |= {} if is_incoming else {"reply_to": "r"}
        members["payload"] = "o"
        optional = ["id", "timestamp"] if is_incoming else ["reply_to"]
        _construct(code, "s", "Frame", members, optional)
        code.add("return s")
    return code.function(_NAMES)


_NEVER: Final = object()
"""The default of a member that is always written."""


def _construct(
    code: Code, target: str, name: str, members: dict[str, str], optional: Collection[str]
) -> None:
    """Make a struct whose members stand in the order given; optional ones that are None are not
    written. msgspec leaves out what is its default, and wants defaults at the end or everywhere.
    """
    fields = [(member, Any, None if member in optional else _NEVER) for member in members]
    made = defstruct(name, fields, omit_defaults=True, gc=False)
    code.add(f"{target} = {code.bind(made)}({', '.join(members.values())})")


class _Records:
    """Generates the code that checks records and makes structs of them."""

    def __init__(self, code: Code, structs: Structs) -> None:
        self._code = code
        self._structs = structs

    def write(self, cls: type[Any], source: str, target: str, tags: Mapping[str, str]) -> None:
        """Make ``target`` of the instance ``source``.

        Args:
            cls: The record's class.
            source: The variable that holds the instance.
            target: The variable that gets the struct.
            tags: The tags, which stand before the fields.
        """
        code = self._code
        members = {name: repr(tag) for name, tag in tags.items()}
        optional = []
        for field in self._structs.records[cls]:
            variable = members[field.name] = code.fresh("f")
            code.add(f"{variable} = {source}.{field.name}")
            self._value(field.shape, variable)
            if isinstance(field.shape, Maybe):
                optional.append(field.name)
        _construct(code, target, cls.__name__, members, optional)

    def _value(self, shape: Shape, variable: str) -> None:
        """Check the value in a variable, and make of it what msgspec writes."""
        code = self._code
        match shape:
            case Leaf(kind, _) | Record(kind) if kind in self._structs.left_out:
                raise Unsure
            case Leaf(kind, _):
                self._leaf(kind, variable)
            case Maybe(inner):
                with code.block(f"if {variable} is not None:"):
                    self._value(inner, variable)
            case Array(kind, inner) if get_origin(kind) in (tuple, list):
                self._array(get_origin(kind), inner, variable)
            case Record(cls):
                code.add(f"if type({variable}) is not {code.bind(cls)}: raise Unsure")
                self.write(cls, variable, variable, {})
            case _:
                raise Unsure

    def _leaf(self, kind: Any, variable: str) -> None:
        code = self._code
        bounds = JSON_INTEGER if kind is int else bounds_of(kind)
        if kind in (str, bool, UUID):
            code.add(f"if type({variable}) is not {kind.__name__}: raise Unsure")
        elif isinstance(bounds, IntRange):
            inside = f"{code.literal(bounds.low)} <= {variable} <= {code.literal(bounds.high)}"
            code.add(f"if type({variable}) is not int or not {inside}: raise Unsure")
        elif kind is float or isinstance(bounds, FloatRange):
            limit = bounds.limit if isinstance(bounds, FloatRange) else math.inf
            inside = f"{code.literal(-limit)} < {variable} < {code.literal(limit)}"
            code.add(f"if type({variable}) is not float or not {inside}: raise Unsure")
        elif kind is datetime:
            code.add(f"{variable} = format_time({variable})")
        elif isinstance(kind, type) and issubclass(kind, enum.Enum):
            members = code.bind({member: member.value for member in kind})
            code.add(f"if type({variable}) is not {code.bind(kind)}: raise Unsure")
            code.add(f"{variable} = {members}[{variable}]")
        else:
            raise Unsure

    def _array(self, container: Any, inner: Shape, variable: str) -> None:
        code = self._code
        code.add(f"if type({variable}) is not {container.__name__}: raise Unsure")
        if isinstance(inner, Leaf) and inner.type in (str, bool, UUID):
            code.add(f"if not is_exact({inner.type.__name__}, {variable}): raise Unsure")
            return
        with code.each(variable, "list") as item:
            self._value(inner, item)
