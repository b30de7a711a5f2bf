"""The code that turns a struct, as msgspec read it, into an envelope with its message.

Rules:

* msgspec keeps the last of repeated keys without a word. Every member but the first of its
  object stands behind a comma, so the commas of the frame are counted: if there are more than
  the members that were read account for, and the commas inside text, a key was repeated.
* msgspec reads ``-0`` as the integer 0, which the contract does not: where a number is zero, the
  frame is searched for it.
* msgspec rounds times, which the contract truncates: times are read as text and parsed here.
* The code is generated per message, once, as a function without branches that the message does
  not need. Whatever is not as expected raises :class:`Unsure`.
"""

import re
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Annotated, Any, Final, get_args, get_origin

import attrs
from msgspec import UNSET

from tachikoma_proto.accelerator.code import Code
from tachikoma_proto.accelerator.structs import Unsure
from tachikoma_proto.messages.envelope import IncomingMessage, OutgoingMessage
from tachikoma_proto.shapes import Array, Leaf, Maybe, Record, RecordField, Records, Shape
from tachikoma_proto.specs import MessageSpec, Sender
from tachikoma_proto.timestamps import parse_timestamp

ReadFrame = Callable[[Any, str, int], Any]
"""Takes the envelope's struct, the frame, and how many commas it has; gives the envelope."""

_NEGATIVE_ZERO: Final = re.compile(r"-0(?![0-9.eE])")


def read_timestamp(text: str) -> datetime:
    """Parse a timestamp of the contract; the forms that the reference and we write, quickly.

    Raises:
        Unsure: It is none.
    """
    # Every third character from the first hyphen on: the separators of 2026-01-02T03:04:05Z.
    separators = text[4:20:3]
    if (separators == "--T::." and text[-1] == "Z") or (separators == "--T::Z" and len(text) == 20):
        try:
            return datetime.fromisoformat(text)
        except ValueError:  # a leap second, a day that does not exist, and so on
            pass
    moment = parse_timestamp(text)
    if moment is None:
        raise Unsure
    return moment


def refuse_negative_zero(frame: str) -> None:
    """Make sure that a zero was not written ``-0``.

    Raises:
        Unsure: It may have been.
    """
    if _NEGATIVE_ZERO.search(frame):
        raise Unsure


def make_reader(spec: MessageSpec, records: Records, needed: str) -> ReadFrame:
    """Generate the function that reads frames of one message.

    Args:
        spec: The message.
        records: The fields of its class and of those nested in it.
        needed: The tag that has to stand in the payload; empty if none has to.

    Raises:
        Unsure: The class has a default that cannot be made beforehand.
    """
    code = Code()
    records_code = _Records(code, records)
    with code.block("def function(e, frame, found):"):
        if spec.sender is Sender.CLIENT:
            code.add("n = 0", "p = e.payload")
            _optional(code, "i", "e.id")
            _optional(code, "t", "e.timestamp", "t = read_timestamp(t)")
            with code.block("if p is not UNSET:"):
                code.add("n += 1")
            with code.block("if p is UNSET or p is None:"):
                code.add(f"o = {code.bind(spec.cls)}()")
            with code.block("else:"):
                records_code.read(spec.cls, "p", "o", tags=spec.tags, needed=needed)
        else:
            code.add("n = 3", "p = e.payload", "i = e.id", "t = read_timestamp(e.timestamp)")
            _optional(code, "r", "e.reply_to")
            records_code.read(spec.cls, "p", "o", tags=spec.tags, needed=needed)
        code.add("if n != found: raise Unsure")
        code.construct(_envelope_class(spec), "m", _envelope_fields(spec))
        code.add("return m")
    return code.function({"UNSET": UNSET, "Unsure": Unsure, **_HELPERS})


_HELPERS: Final = {
    "read_timestamp": read_timestamp,
    "refuse_negative_zero": refuse_negative_zero,
}


def _envelope_class(spec: MessageSpec) -> type[Any]:
    return IncomingMessage if spec.sender is Sender.CLIENT else OutgoingMessage


def _envelope_fields(spec: MessageSpec) -> dict[str, str]:
    fields = {"id": "i", "type": repr(spec.message_type), "timestamp": "t", "payload": "o"}
    return fields if spec.sender is Sender.CLIENT else {**fields, "reply_to": "r"}


def _optional(code: Code, variable: str, source: str, *then: str) -> None:
    """Read a member of the envelope that may be missing or null."""
    code.add(f"{variable} = {source}")
    with code.block(f"if {variable} is UNSET:"):
        code.add(f"{variable} = None")
    with code.block("else:"):
        code.add("n += 1")
        if then:
            with code.block(f"if {variable} is not None:"):
                code.add(*then)


class _Records:
    """Generates the code that reads records; ``n`` counts the commas that they account for."""

    def __init__(self, code: Code, records: Records) -> None:
        self._code = code
        self._records = records

    def read(
        self,
        cls: type[Any],
        source: str,
        target: str,
        *,
        tags: Mapping[str, str] | None = None,
        needed: str = "",
    ) -> None:
        """Make ``target`` of the struct ``source``.

        Args:
            cls: The record's class.
            source: The variable that holds the struct.
            target: The variable that gets the instance.
            tags: The tags that may stand among the fields.
            needed: Which of them has to.
        """
        code = self._code
        fields = self._records[cls]
        always = sum(field.required for field in fields) + bool(needed)
        # The first member of an object has no comma. If none has to be there, they are counted.
        counter = "n" if always else code.fresh("k")
        code.add(f"n += {always - 1}" if always else f"{counter} = 0")
        for tag in tags or ():
            if tag != needed:
                code.add(f"if {source}.{tag} is not UNSET: {counter} += 1")
        values: dict[str, str] = {}
        for field in fields:
            values[field.name] = self._field(cls, field, source, counter)
        if not always:
            code.add(f"if {counter}: n += {counter} - 1")
        code.construct(cls, target, values)

    def _field(self, cls: type[Any], field: RecordField, source: str, counter: str) -> str:
        code = self._code
        variable = code.fresh("f")
        code.add(f"{variable} = {source}.{field.name}")
        if field.required:
            self._value(field.shape, variable)
            return variable
        with code.block(f"if {variable} is UNSET:"):
            code.add(f"{variable} = {self._default(cls, field.name)}")
        with code.block("else:"):
            code.add(f"{counter} += 1")
            self._value(field.shape, variable)
        return variable

    def _default(self, cls: type[Any], name: str) -> str:
        default: Any = attrs.fields_dict(cls)[name].default
        if not isinstance(default, attrs.Factory):  # type: ignore[arg-type]
            return self._code.bind(default)
        if default.takes_self:
            raise Unsure
        return f"{self._code.bind(default.factory)}()"

    def _value(self, shape: Shape, variable: str) -> None:
        """Check the value in a variable, account for its commas, and finish it."""
        code = self._code
        match shape:
            case Leaf(kind, _):
                self._leaf(kind, variable)
            case Maybe(inner):
                with code.block(f"if {variable} is not None:"):
                    self._value(inner, variable)
            case Array(kind, inner):
                self._array(kind, inner, variable)
            case Record(cls):
                self.read(cls, variable, variable)
            case _:
                raise Unsure

    def _leaf(self, kind: Any, variable: str) -> None:
        code = self._code
        base = get_args(kind)[0] if get_origin(kind) is Annotated else kind
        if base is str:
            code.add(f'n += {variable}.count(",")')
        elif base in (int, float):
            code.add(f"if not {variable}: refuse_negative_zero(frame)")
        elif base is datetime:
            code.add(f"{variable} = read_timestamp({variable})")
        else:
            code.add("pass")

    def _array(self, kind: Any, inner: Shape, variable: str) -> None:
        code = self._code
        if isinstance(inner, Leaf) and inner.type is str:
            code.add(f'if {variable}: n += ",".join({variable}).count(",")')
            return
        item, items = code.fresh("x"), code.fresh("l")
        code.add(f"if {variable}: n += len({variable}) - 1", f"{items} = []")
        with code.block(f"for {item} in {variable}:"):
            self._value(inner, item)
            code.add(f"{items}.append({item})")
        code.add(f"{variable} = {get_origin(kind).__name__}({items})")
