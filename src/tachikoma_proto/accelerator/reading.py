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
from functools import partial
from typing import Any, Final, TypeAlias

from tachikoma_proto.accelerator.marks import ID_END, LONGER, NEXT, Marks, truncate
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

Fits: TypeAlias = Callable[[int], str]
"""Writes a condition, for frames that are so much longer than in the usual form."""

AsText: TypeAlias = Callable[[Any], tuple[str, int]]
"""Gives the text of a frame that came as bytes, and its length; raises if it is none. Until then no
byte of the frame equals a character, so that it is of no form that is looked for."""


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
        known = " and ".join(f"{name} is not UNSET and {name} is not None" for name in "itp")
        fits = partial(_fits, code, marks, NEXT + marks.payload)
        otherwise = [
            f"if not isinstance(frame, str): return function(e, *{code.bind(as_text)}(frame))",
            "if i is UNSET: e.id = None",
            "if t is UNSET: e.timestamp = None",
            f"if e.timestamp is not None: {code.bind(marks.look)}(e, frame)",
            "size = MANY",
        ]
        _add_forms(code, marks, f"{known} and ", fits, otherwise)
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
        if spec.kind is Kind.RESPONSE:  # which answers something, but for a few
            code.add("r = e.reply_to")
            fits: Fits = partial(_fits_response, code, marks)
        else:
            fits = partial(_fits_event, code, marks)
        otherwise = [
            f"if not isinstance(frame, str): return function(p, e, *{code.bind(as_text)}(frame))",
            f"{code.bind(marks.look)}(e, frame)",
            "size = MANY",
        ]
        _add_forms(code, marks, "", fits, otherwise)
        if spec.kind is Kind.RESPONSE:
            code.add(f"if r is not None: size -= {REPLY_LENGTH}")
        message.check("p", _CONDITIONS, 3)
        message.envelop(OutgoingMessage, is_new=message.finish("p"))
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
    last = (marks.hyphen if marks.uuid else marks.t) + max(LONGER)
    with code.block("def function(frame, size):"):
        code.add(f"if size <= {last} or frame[{marks.t}] != 'T': return None")
        if not marks.uuid:
            # The tags could be in an unknown member, and the payload have none. With the type
            # before the time, that has more commas than it should, and is longer.
            before = code.bind(slice(ID_END, ID_END + len(marks.type)))
            code.add(f"if frame[{before}] != {marks.type!r}: return None")
        for longer in LONGER:
            with code.block(f"{'elif' if longer else 'if'} {_fits_event(code, marks, longer)}:"):
                code.add(f"longer = {longer}")
        code.add("else: return None")
        code.add(f"e = {code.bind(decode)}(frame)", "p = e.payload")
        with code.block("if longer:"):
            code.add("size -= longer", f"if longer > 0: {_truncate(code, marks)}")
        message.check("p", _CONDITIONS, 3)
        message.envelop(OutgoingMessage, is_new=message.finish("p"))
    return code.function(NAMES)


_CONDITIONS: Final = ("e.reply_to is not None",)
"""When the envelope of a server's message has a member more."""


def _fits(code: Code, marks: Marks, text: str, longer: int) -> str:
    """Write the condition under which a text stands behind the time."""
    start = marks.z + longer
    return f"frame[{code.bind(slice(start, start + len(text)))}] == {text!r}"


def _fits_with_uuid(code: Code, marks: Marks, longer: int) -> str:
    place = marks.hyphen + longer
    return f"frame[{place}] == '-' and {_fits(code, marks, marks.uuid, longer)}"


def _fits_event(code: Code, marks: Marks, longer: int) -> str:
    if marks.uuid:
        return _fits_with_uuid(code, marks, longer)
    return _fits(code, marks, NEXT + marks.payload, longer)


def _fits_response(code: Code, marks: Marks, longer: int) -> str:
    alone = _fits(code, marks, NEXT + marks.payload, longer)
    return f"({alone} if r is None else {_fits_with_uuid(code, marks, longer)})"


def _truncate(code: Code, marks: Marks) -> str:
    digits = marks.t + len("T03:04:05.")
    return f"{code.bind(truncate)}(e, frame[{digits}:{digits + 9}])"


def _add_forms(code: Code, marks: Marks, known: str, fits: Fits, otherwise: list[str]) -> None:
    """Look for the forms that are known by their places, and put the time and ``size`` right.

    Args:
        code: Where it goes.
        marks: What stands where.
        known: What has to be known before the text is looked at.
        fits: Writes the condition for what stands behind the time, by how much longer that is.
        otherwise: What is to be done with frames of no such form.
    """
    with code.block(f"if {known}frame[{marks.t}] == 'T':"):
        for longer in LONGER:
            with code.block(f"{'elif' if longer else 'if'} {fits(longer)}:"):
                code.add(f"size -= {longer}" if longer else "pass")
                if longer > 0:
                    code.add(_truncate(code, marks))
        with code.block("else:"):
            code.add(*otherwise)
    with code.block("else:"):
        code.add(*otherwise)
