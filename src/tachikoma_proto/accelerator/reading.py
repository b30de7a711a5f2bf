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
from collections.abc import Callable, Collection, Mapping
from datetime import datetime
from typing import Any, Final, TypeAlias, get_origin

from msgspec import UNSET

from tachikoma_proto.accelerator.structs import Structs, Unsure
from tachikoma_proto.base import unmarked
from tachikoma_proto.generated import Code
from tachikoma_proto.messages.envelope import IncomingMessage, OutgoingMessage
from tachikoma_proto.shapes import Array, Leaf, Maybe, Record, RecordField, Shape
from tachikoma_proto.specs import MessageSpec
from tachikoma_proto.timestamps import READS_HOUR_24, UTC_FORMS, ZEROED, parse_timestamp

ReadCommand: TypeAlias = Callable[[Any, str], Any]
"""Takes the envelope's struct and the frame; gives the envelope."""

ReadServerMessage: TypeAlias = Callable[[Any, Any, str], Any]
"""Takes the payload's struct, the envelope's and the frame; gives the envelope."""

_NEGATIVE_ZERO: Final = re.compile(r"-0(?![0-9.eE])")


def _parse(text: str) -> datetime:
    moment = parse_timestamp(text)
    if moment is None:
        raise Unsure
    return moment


def _refuse_negative_zero(frame: str) -> None:
    if _NEGATIVE_ZERO.search(frame):
        raise Unsure


def _count(text: str, frame: str) -> int:
    """Count the commas of a text as they stand in the frame, which must not be escaped."""
    commas = text.count(",")
    # To look for one character takes next to no time.
    if commas and "\\" in frame and "\\u002" in frame:
        raise Unsure
    return commas


_NAMES: Final[dict[str, Any]] = {
    "UNSET": UNSET,
    "Unsure": Unsure,
    "fromisoformat": datetime.fromisoformat,
    "ZEROED": ZEROED,
    "UTC_FORMS": UTC_FORMS,
    "parse": _parse,
    "refuse_negative_zero": _refuse_negative_zero,
    "count": _count,
}

# As ``parse_timestamp`` begins, without a call of ours.
_IS_USUAL: Final = "t.encode().translate(ZEROED) in UTC_FORMS" + (
    " and t[11:13] != '24'" if READS_HOUR_24 else ""
)
_TIMESTAMP: Final = f"t = fromisoformat(t) if {_IS_USUAL} else parse(t)"


def make_command_reader(spec: MessageSpec, structs: Structs) -> ReadCommand:
    """Generate the function that reads frames of one command.

    Args:
        spec: The command.
        structs: What made the struct of its payload.
    """
    code = Code()
    generator = _Records(code, structs)
    with code.block("def function(e, frame):"):
        code.add("n = COMMAS", "p = e.payload")
        _optional(code, "i", "e.id")
        _optional(code, "t", "e.timestamp", _TIMESTAMP)
        with code.block("if p is not UNSET:"):
            code.add("n += 1")
        with code.block("if p is UNSET or p is None:"):
            code.add(f"o = {code.bind(spec.cls)}()")
        with code.block("else:"):
            generator.read(spec.cls, "p", "o", tags=spec.tags)
        _finish(code, IncomingMessage, spec)
    return code.function(_NAMES | {"COMMAS": generator.commas})


def make_server_message_reader(spec: MessageSpec, structs: Structs) -> ReadServerMessage:
    """Generate the function that reads frames of one event or response.

    Args:
        spec: The message; its tags have to stand in the payload.
        structs: What made the struct of its payload.
    """
    code = Code()
    generator = _Records(code, structs)
    generator.commas += 3
    with code.block("def function(p, e, frame):"):
        code.add("n = COMMAS", "i = e.id", "t = e.timestamp", _TIMESTAMP)
        _optional(code, "r", "e.reply_to")
        generator.read(spec.cls, "p", "o", tags=spec.tags, needed=spec.tags, is_sure=True)
        _finish(code, OutgoingMessage, spec)
    return code.function(_NAMES | {"COMMAS": generator.commas})


def _finish(code: Code, envelope: type[Any], spec: MessageSpec) -> None:
    code.add("if n != frame.count(','): raise Unsure")
    fields = {"id": "i", "type": repr(spec.message_type), "timestamp": "t", "payload": "o"}
    if envelope is OutgoingMessage:
        fields["reply_to"] = "r"
    code.construct(envelope, "m", fields)
    code.add("return m")


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
    """Generates the code that reads records.

    ``n`` counts the commas that they account for; those that every frame has are in ``commas``.
    """

    def __init__(self, code: Code, structs: Structs) -> None:
        self._code = code
        self._structs = structs
        self.commas = 0

    def read(
        self,
        cls: type[Any],
        source: str,
        target: str,
        *,
        tags: Mapping[str, str] | None = None,
        needed: Collection[str] = (),
        is_sure: bool = False,
    ) -> None:
        """Make ``target`` of the struct ``source``.

        Args:
            cls: The record's class.
            source: The variable that holds the struct.
            target: The variable that gets the instance.
            tags: The tags that may stand among the fields.
            needed: Which of them have to.
            is_sure: Whether every frame has the record, once.
        """
        code = self._code
        fields = self._structs.records[cls]
        always = sum(field.required for field in fields) + len(needed)
        # The first member of an object has no comma. If none has to be there, they are counted.
        counter = "n" if always else code.fresh("k")
        if not always:
            code.add(f"{counter} = 0")
        elif is_sure:
            self.commas += always - 1
        else:
            code.add(f"n += {always - 1}")
        for tag in tags or ():
            if tag not in needed:
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
            code.add(f"{variable} = {code.default(cls, field.name)}")
        with code.block("else:"):
            code.add(f"{counter} += 1")
            if self._structs.can_read(field.shape):  # otherwise it is null
                self._value(field.shape, variable)
        return variable

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
        base = unmarked(kind)
        if base is str:
            code.add(f'if "," in {variable}: n += count({variable}, frame)')
        elif base in (int, float):
            code.add(f"if not {variable}: refuse_negative_zero(frame)")
        elif base is datetime:
            code.add(f"{variable} = parse({variable})")
        else:
            code.add("pass")

    def _array(self, kind: Any, inner: Shape, variable: str) -> None:
        code = self._code
        if isinstance(inner, Leaf) and inner.type is str:
            text = code.fresh("s")
            with code.block(f"if {variable}:"):
                code.add(f"n += len({variable}) - 1", f'{text} = "".join({variable})')
                code.add(f'if "," in {text}: n += count({text}, frame)')
            return
        code.add(f"if {variable}: n += len({variable}) - 1")
        with code.each(variable, get_origin(kind).__name__) as item:
            self._value(inner, item)
