"""The functions that finish what msgspec read: an envelope's struct and a frame give the envelope.

Rules:

* How the time was written, and the tags of an event, are found in the text (``marks``); the rest
  is a matter of the payload (``payloads``).
* The code is generated per message, once, as a function without branches that the message does
  not need. Whatever is not as expected raises :class:`Unsure`.
* Where an event is expected that is the same as the one before, msgspec need not be asked which it
  is: the text shows it as well as everything else.
"""

from collections.abc import Callable
from typing import Any, Final, TypeAlias

from tachikoma_proto.accelerator.marks import ID_END, NEXT, Marks
from tachikoma_proto.accelerator.payloads import NAMES, REPLY_LENGTH, PayloadCode
from tachikoma_proto.accelerator.structs import Structs
from tachikoma_proto.generated import Code
from tachikoma_proto.messages.envelope import IncomingMessage, OutgoingMessage
from tachikoma_proto.specs import Kind, MessageSpec

ReadCommand: TypeAlias = Callable[[Any, str, int], Any]
"""Takes the envelope's struct, the frame and its length; gives the envelope."""

ReadServerMessage: TypeAlias = Callable[[Any, Any, str, int], Any]
"""Takes the payload's struct, the envelope's, the frame and its length; gives the envelope."""

ReadExpected: TypeAlias = Callable[[Any, int], Any]
"""Takes the frame and its length; gives the envelope, or None if it is of another message."""

AsText: TypeAlias = Callable[[Any], str]
"""Gives the text of a frame that came as bytes; raises if it is none."""


def make_command_reader(
    spec: MessageSpec, marks: Marks, structs: Structs, as_text: AsText
) -> ReadCommand:
    """Generate the function that reads frames of one command.

    Args:
        spec: The command.
        marks: What stands where in its frames.
        structs: What made the structs of its payload and of its envelope.
        as_text: Gives the text of bytes.
    """
    code = Code()
    message = PayloadCode(code, structs, spec, marks)
    with code.block("def function(e, frame, size):"):
        code.add("i = e.id", "t = e.timestamp", "p = e.payload")
        missing = " or ".join(f"{name} is UNSET or {name} is None" for name in "itp")
        places = f"frame[{marks.t}] != 'T' or {_differs(code, marks, NEXT + marks.payload)}"
        with code.block(f"if {missing} or {places}:"):
            _read_text(code, "e", as_text)
            code.add("if i is UNSET: e.id = None", "if t is UNSET: e.timestamp = None")
            look = f"{code.bind(marks.look)}(e, frame, size)"
            code.add(f"size = MANY if e.timestamp is None else {look}")
        conditions = ["i is not UNSET", "t is not UNSET"]
        with code.block("if p is UNSET or p is None:"):
            message.count("", [*conditions, "p is not UNSET"], 0)
            code.add(f"p = {code.bind(spec.cls)}()")
        with code.block("else:"):
            message.check("p", conditions, 1)
            message.finish("p")
        message.envelop(IncomingMessage, is_new=True)
    return code.function(NAMES)


def make_server_message_reader(
    spec: MessageSpec, marks: Marks, structs: Structs, as_text: AsText
) -> ReadServerMessage:
    """Generate the function that reads frames of one event or response.

    Args:
        spec: The message; the tags of an event have to stand at the start of its payload.
        marks: What stands where in its frames.
        structs: What made the structs of its payload and of its envelope.
        as_text: Gives the text of bytes.
    """
    code = Code()
    message = PayloadCode(code, structs, spec, marks)
    with code.block("def function(p, e, frame, size):"):
        places = _differs(code, marks, NEXT + marks.payload)
        if spec.kind is Kind.RESPONSE:  # which answers something, but for a few
            code.add("r = e.reply_to")
            places = f"({places} if r is None else {_differs_with_uuid(code, marks)})"
        elif marks.uuid:
            places = _differs_with_uuid(code, marks)
        with code.block(f"if frame[{marks.t}] != 'T' or {places}:"):
            _read_text(code, "p, e", as_text)
            code.add(f"size = {code.bind(marks.look)}(e, frame, size)")
        if spec.kind is Kind.RESPONSE:
            code.add(f"if r is not None: size -= {REPLY_LENGTH}")
        message.check("p", _CONDITIONS, 3)
        is_new = message.finish("p")
        message.envelop(OutgoingMessage, is_new=is_new)
    return code.function(NAMES)


def make_expected_reader(
    spec: MessageSpec, marks: Marks, structs: Structs, decode: Callable[[Any], Any]
) -> ReadExpected:
    """Generate the function that reads frames of one event, in the usual form.

    Args:
        spec: The event.
        marks: What stands where in its frames.
        structs: What made the structs of its payload and of its envelope.
        decode: Reads the struct of an envelope with this event.
    """
    code = Code()
    message = PayloadCode(code, structs, spec, marks)
    if marks.uuid:
        places, last = _differs_with_uuid(code, marks), marks.hyphen
    else:
        # The tags could be in an unknown member, and the payload have none. With the type before
        # the time, that has more commas than it should, and is longer.
        before = f"frame[{code.bind(slice(ID_END, ID_END + len(marks.type)))}] != {marks.type!r}"
        places, last = f"{before} or {_differs(code, marks, NEXT + marks.payload)}", marks.t
    with code.block("def function(frame, size):"):
        with code.block(f"if size <= {last} or frame[{marks.t}] != 'T' or {places}:"):
            code.add("return None")
        code.add(f"e = {code.bind(decode)}(frame)", "p = e.payload")
        message.check("p", _CONDITIONS, 3)
        is_new = message.finish("p")
        message.envelop(OutgoingMessage, is_new=is_new)
    return code.function(NAMES)


_CONDITIONS: Final = ("e.reply_to is not None",)
"""When the envelope of a server's message has a member more."""


def _differs(code: Code, marks: Marks, text: str) -> str:
    """Write the condition under which something else stands behind the time."""
    place = slice(marks.z, marks.z + len(text))
    return f"frame[{code.bind(place)}] != {text!r}"


def _differs_with_uuid(code: Code, marks: Marks) -> str:
    return f"frame[{marks.hyphen}] != '-' or {_differs(code, marks, marks.uuid)}"


def _read_text(code: Code, structs: str, as_text: AsText) -> None:
    """Begin again with the text of a frame that came as bytes: no byte equals a character."""
    with code.block("if not isinstance(frame, str):"):
        code.add(f"frame = {code.bind(as_text)}(frame)")
        code.add(f"return function({structs}, frame, len(frame))")
