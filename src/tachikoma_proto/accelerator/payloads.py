"""The code that checks a payload, and makes the message and its envelope of its struct.

Rules:

* msgspec keeps the last of repeated keys without a word. There are none where the frame is too
  short to have one (``lengths``), or has no more commas than it should (``commas``).
* msgspec reads ``-0`` as the integer 0, which the contract does not: where a number is zero, the
  frame is searched for it.
* A struct that is laid out as its class becomes the message by being given that class; of others
  the message is made anew.
"""

import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final, get_origin

from msgspec import UNSET

from tachikoma_proto.accelerator.commas import Commas, commas_in
from tachikoma_proto.accelerator.lengths import (
    HYPHENS,
    UNKNOWN,
    least_member,
    least_object,
    least_repeated,
    quoted,
)
from tachikoma_proto.accelerator.marks import MANY, Marks
from tachikoma_proto.accelerator.structs import Structs, Unsure
from tachikoma_proto.base import unmarked
from tachikoma_proto.generated import Code
from tachikoma_proto.messages.envelope import OutgoingMessage
from tachikoma_proto.shapes import Array, Leaf, Maybe, Record, RecordField, Shape, without_none
from tachikoma_proto.specs import Kind, MessageSpec
from tachikoma_proto.timestamps import parse_timestamp

_NEGATIVE_ZERO: Final = re.compile(r"-0(?![0-9.eE])")

REPLY_LENGTH: Final = len(',"reply_to":""') + 36
"""What ``reply_to`` takes in the usual form."""

_ENVELOPE_ROOM: Final = len(',"id":null')
"""What a member of the envelope takes at the least that is repeated or null."""


def _parse(text: str) -> datetime:
    moment = parse_timestamp(text)
    if moment is None:
        raise Unsure
    return moment


def _refuse_negative_zero(frame: str) -> None:
    if _NEGATIVE_ZERO.search(frame):
        raise Unsure


NAMES: Final[dict[str, Any]] = {
    "MANY": MANY,
    "UNSET": UNSET,
    "Unsure": Unsure,
    "commas_in": commas_in,
    "parse": _parse,
    "refuse_negative_zero": _refuse_negative_zero,
}
"""What the code refers to by names of its own."""


class PayloadCode:
    """Generates the code that checks a payload, and makes the message and its envelope of it.

    Args:
        code: Where it goes; what it needs is known there by the names of ``NAMES``, the text as
            ``frame``, its length as ``size``, and the envelope's struct as ``e``.
        structs: What made the structs.
        spec: The message.
        marks: What stands where in its frames.
    """

    def __init__(self, code: Code, structs: Structs, spec: MessageSpec, marks: Marks) -> None:
        self._code = code
        self._structs = structs
        self._spec = spec
        self._marks = marks

    def check(self, source: str, conditions: Sequence[str], commas: int) -> None:
        """Refuse a frame in which something is repeated, unknown, or null.

        Args:
            source: The variable that holds the payload's struct.
            conditions: Those under which the envelope has a member more.
            commas: How many of the envelope are always there.
        """
        code, records = self._code, self._structs.records
        fields = records[self._spec.cls]
        length = ["size"]
        for field in fields:
            if field.required and _is(field.shape, str):
                length.append(f"len({source}.{field.name})")
        can_read = self._structs.can_read
        may_be = [f for f in fields if isinstance(f.shape, Maybe) and can_read(f.shape)]
        tags = self._optional_tags()
        if may_be or tags:
            code.add(f"n = {' - '.join(length)}")
            for name, tag in tags.items():
                size = least_object((), {name: tag}) - len("{}")
                code.add(f"if {source}.{name} is not UNSET: n -= {size}")
            for field in may_be:
                self._shorten(field.name, without_none(field.shape), f"{source}.{field.name}")
            length = ["n"]
        with code.block(f"if {' - '.join(length)} > {self._room()}:"):
            self.count(source, conditions, commas)

    def count(self, source: str, conditions: Sequence[str], commas: int) -> None:
        """Refuse a frame that has other commas than it should.

        Args:
            source: The variable that holds the payload's struct; empty if there is none.
            conditions: Those under which the envelope has a member more.
            commas: How many of the envelope are always there.
        """
        code = self._code
        code.add(f"c = {commas}")
        code.add(*(f"if {condition}: c += 1" for condition in conditions))
        if source:
            tags = self._optional_tags()
            Commas(code, self._structs).members(
                self._spec.cls, source, tags=len(self._spec.tags) - len(tags), optional=[*tags]
            )
        code.add("if c != frame.count(','): raise Unsure")

    def finish(self, variable: str) -> bool:
        """Make the message of the struct in a variable; tell whether it is another object."""
        return self._record(self._spec.cls, variable)

    def envelop(self, cls: type[Any], *, is_new: bool) -> None:
        """Give back the envelope with its message.

        Args:
            cls: The envelope's class.
            is_new: Whether the message is another object than its struct.
        """
        code = self._code
        if self._structs.is_alike(cls):
            if is_new:
                code.add("e.payload = p")
            code.add(f"e.__class__ = {code.bind(cls)}")
        else:
            fields = {"id": "e.id", "type": repr(self._spec.message_type)}
            fields |= {"timestamp": "e.timestamp", "payload": "p"}
            if cls is OutgoingMessage:
                fields["reply_to"] = "e.reply_to"
            code.construct(cls, "m", fields)
            code.add("e = m")
        code.add("return e")

    def _optional_tags(self) -> Mapping[str, str]:
        return self._spec.tags if self._spec.kind is Kind.COMMAND else {}

    def _room(self) -> int:
        """Up to which length the usual form has no room for what should not be there."""
        cls, records, marks = self._spec.cls, self._structs.records, self._marks
        is_event = self._spec.kind is Kind.EVENT
        least = marks.z + len('Z","payload":}')
        least += least_object(records[cls], self._spec.tags if is_event else {})
        least += HYPHENS if is_event and marks.uuid else 0
        room = min(_ENVELOPE_ROOM, least_repeated(cls, records, self._spec.tags))
        return least + (min(room, UNKNOWN) if is_event else room) - 1

    def _shorten(self, name: str, inner: Shape, source: str) -> None:
        code, variable = self._code, self._code.fresh("f")
        text = f" + len({variable})" if _is(inner, str) else ""
        code.add(f"{variable} = {source}")
        code.add(f"if {variable} is None: n -= {len(quoted(name)) + len(':null')}")
        code.add(f"elif {variable} is not UNSET: n -= {least_member(name, inner)}{text}")

    def _record(self, cls: type[Any], variable: str) -> bool:
        code, fields = self._code, self._structs.records[cls]
        if self._structs.is_alike(cls):
            for field in fields:
                self._in_place(cls, field, f"{variable}.{field.name}")
            code.add(f"{variable}.__class__ = {code.bind(cls)}")
            return False
        values = {field.name: code.fresh("f") for field in fields}
        for field in fields:
            code.add(f"{values[field.name]} = {variable}.{field.name}")
            self._finished(cls, field, values[field.name])
        code.construct(cls, variable, values)
        return True

    def _in_place(self, cls: type[Any], field: RecordField, place: str) -> None:
        """Finish what stands in a field of a struct."""
        is_number = isinstance(field.shape, Leaf) and unmarked(field.shape.type) in (int, float)
        if is_number and field.required:
            self._code.add(f"if not {place}: refuse_negative_zero(frame)")
        elif not field.required or self._is_unfinished(field.shape):
            variable = self._code.fresh("f")
            self._code.add(f"{variable} = {place}")
            self._finished(cls, field, variable, f"{place} = {variable}")

    def _finished(self, cls: type[Any], field: RecordField, variable: str, *then: str) -> None:
        """Finish what was taken from a field of a struct, and go on where it is another."""
        code = self._code
        unfinished = self._structs.can_read(field.shape) and self._is_unfinished(field.shape)
        if not field.required:
            with code.block(f"if {variable} is UNSET:"):
                code.add(f"{variable} = {code.default(cls, field.name)}", *then)
        if unfinished and field.required:
            self._value(field.shape, variable)
            code.add(*then)
        elif unfinished:
            with code.block("else:"):
                self._value(field.shape, variable)
                code.add(*then)

    def _is_unfinished(self, shape: Shape) -> bool:
        """Tell whether msgspec does not give what the message has."""
        match shape:
            case Leaf(kind):
                return unmarked(kind) in (int, float, datetime)
            case Maybe(inner) | Array(_, inner):
                return self._is_unfinished(inner)
            case _:
                return True

    def _value(self, shape: Shape, variable: str) -> None:
        """Finish what is in a variable, of a shape that is unfinished."""
        code = self._code
        match shape:
            case Leaf(kind):
                is_time = unmarked(kind) is datetime
                number = f"if not {variable}: refuse_negative_zero(frame)"
                code.add(f"{variable} = parse({variable})" if is_time else number)
            case Maybe(inner):
                with code.block(f"if {variable} is not None:"):
                    self._value(inner, variable)
            case Array(kind, inner):
                with code.each(variable, get_origin(kind).__name__) as item:
                    self._value(inner, item)
            case Record(cls):
                self._record(cls, variable)
            case _:
                raise Unsure


def _is(shape: Shape, kind: type) -> bool:
    return isinstance(shape, Leaf) and shape.type is kind
