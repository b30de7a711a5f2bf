"""The accelerator itself: a decoder for each side, and a function for each message.

Rules:

* What it is not sure of is read by the function that it was given for that.
* The function that finishes a struct is the struct's own, ``_read``: no field has such a name, and
  to find it takes less than a dict would.
"""

from collections.abc import Callable
from contextlib import suppress
from functools import cache
from typing import Any, Final, TypeAlias, Union
from uuid import UUID

import msgspec
from msgspec import UNSET

from tachikoma_proto.accelerator.marks import Marks, make_marks
from tachikoma_proto.accelerator.reading import (
    ReadExpected,
    make_command_reader,
    make_expected_reader,
    make_server_message_reader,
)
from tachikoma_proto.accelerator.structs import TIME, Field, Structs, Tag, Unsure, or_unset, struct
from tachikoma_proto.accelerator.writing import WriteFrame, make_writer
from tachikoma_proto.converter.mismatch import REFUSALS
from tachikoma_proto.json_reader import Frame
from tachikoma_proto.messages.envelope import IncomingMessage, OutgoingMessage
from tachikoma_proto.registry import Registry
from tachikoma_proto.shapes import holding_themselves
from tachikoma_proto.specs import Kind, MessageSpec

_UTF8_MAX: Final = 4  # bytes a character

_REFUSALS: Final = (
    msgspec.MsgspecError,
    Unsure,
    BufferError,
    NotImplementedError,
    RecursionError,
    *REFUSALS,
)
"""What msgspec, the generated code, views of memory that are not simply bytes, and the validators
of attrs classes raise; msgspec descends into what is nested too deep, until Python stops it."""

Read: TypeAlias = Callable[[Frame], Any]
"""Reads a frame."""

_Message: TypeAlias = tuple[MessageSpec, Marks, Any]
"""A message, what stands where in its frames, and the struct of its payload."""

Write: TypeAlias = Callable[[Any], str]
"""Writes an envelope."""


class Accelerator:
    """Reads and writes the frames of a registry, where it is sure of them.

    Args:
        registry: Which messages there are.
        max_size: How many bytes a frame may have, in UTF-8.
    """

    def __init__(self, registry: Registry, *, max_size: int) -> None:
        self._registry = registry
        self._max_size = max_size
        # What holds itself may be nested without end, a message in a message has its tags, and a
        # declared scalar its own functions.
        left_out = holding_themselves(registry.records) | {s.cls for s in registry if s.tags}
        self._structs = Structs(registry.records, left_out | set(registry.scalars))

    def command_reader(self, otherwise: Read) -> Read:
        """Make the function that reads what a client sent.

        Args:
            otherwise: Reads the frames of which the accelerator is not sure.
        """
        envelopes = [
            envelope
            for spec in self._registry
            if spec.kind is Kind.COMMAND and (envelope := self._command_envelope(spec))
        ]
        decode, fits = _decoder(envelopes), self._fits
        sure_size = self._max_size // _UTF8_MAX

        def read(frame: Frame) -> Any:
            try:
                size = len(frame)
                if size <= sure_size or fits(frame):
                    return decode(frame)._read(frame, size)
            except _REFUSALS:
                pass
            return otherwise(frame)

        return read

    def server_message_reader(self, otherwise: Read) -> Read:
        """Make the function that reads what a server sent.

        Args:
            otherwise: Reads the frames of which the accelerator is not sure.
        """
        groups = [messages for group in self._groups() if (messages := self._messages(group))]
        envelopes = [self._server_envelope(messages) for messages in groups]
        known = {made: (spec, marks) for group in groups for spec, marks, made in group}
        decode, fits = _decoder(envelopes), self._fits
        sure_size = self._max_size // _UTF8_MAX
        expected_of = cache(lambda made: self._expected(made, *known[made]))
        expected: ReadExpected | None = None  # of the event that came twice in a row
        latest: Any = None

        def read(frame: Frame) -> Any:
            nonlocal expected, latest
            try:
                size = len(frame)
                if size <= sure_size or fits(frame):
                    guess = expected
                    if guess is not None:
                        message = guess(frame, size)
                        if message is not None:
                            return message
                        expected = None
                    envelope = decode(frame)
                    payload = envelope.payload
                    kind = type(payload)
                    if kind is latest:
                        expected = expected_of(kind)
                    latest = kind
                    return payload._read(envelope, frame, size)
            except _REFUSALS:
                pass
            return otherwise(frame)

        return read

    def writer(self, otherwise: Write) -> Write:
        """Make the function that writes messages.

        Args:
            otherwise: Writes those of which the accelerator is not sure.
        """
        writers: dict[type, WriteFrame] = {}
        for spec in self._registry:
            if spec.kind is not Kind.KEEPALIVE:
                with suppress(Unsure):
                    writers[spec.cls] = make_writer(spec, self._structs)
        encode = msgspec.json.Encoder().encode

        def write(envelope: Any) -> str:
            try:
                return encode(writers[type(envelope.payload)](envelope)).decode()
            except _REFUSALS:
                pass
            return otherwise(envelope)

        return write

    def _groups(self) -> list[list[MessageSpec]]:
        """The messages from the server, those of a message type together."""
        groups: dict[str, list[MessageSpec]] = {}
        for spec in self._registry:
            if spec.kind in (Kind.EVENT, Kind.RESPONSE):
                groups.setdefault(spec.message_type, []).append(spec)
        return list(groups.values())

    def _messages(self, group: list[MessageSpec]) -> list[_Message]:
        """Make the structs of those messages of which the accelerator can be sure."""
        messages = []
        for spec in group:
            union_tag = spec.kind.value if spec.kind is Kind.EVENT else ""
            with suppress(Unsure):
                made = self._structs.of_record(spec.cls, spec.tags, union_tag=union_tag)
                msgspec.json.Decoder(made)  # this is when msgspec looks at the types
                messages.append((spec, make_marks(spec, self._registry.records), made))
        return messages

    def _command_envelope(self, spec: MessageSpec) -> Any:
        needs_payload = any(field.required for field in self._registry.records[spec.cls])
        try:
            payload = self._structs.of_record(spec.cls, spec.tags)
            fields = [
                Field("id", or_unset(Union[UUID, None]), UNSET),
                Field("timestamp", or_unset(Union[TIME, None]), UNSET),
                Field("payload", payload)
                if needs_payload
                else Field("payload", or_unset(Union[payload, None]), UNSET),
            ]
            envelope = self._structs.of_envelope(IncomingMessage, spec.message_type, fields)
            msgspec.json.Decoder(envelope)
            marks = make_marks(spec, self._registry.records)
            envelope._read = make_command_reader(spec, marks, self._structs, self._text_of)
        except Unsure:
            return None
        return envelope

    def _server_envelope(self, messages: list[_Message]) -> Any:
        """Make the struct of the envelope of messages that share a type."""
        first = messages[0][0]
        structs = [made for _, _, made in messages]
        if first.kind is Kind.EVENT:  # msgspec asks for a tag in a union only, and of one is none
            structs.append(struct("Nothing", [], Tag(first.kind.value, "")))
            structs[-1]._read = _unsure
        fields = _server_fields(Union[tuple(structs)])
        envelope = self._structs.of_envelope(OutgoingMessage, first.message_type, fields)
        for spec, marks, made in messages:
            made._read = make_server_message_reader(spec, marks, self._structs, self._text_of)
        return envelope

    def _expected(self, payload: Any, spec: MessageSpec, marks: Marks) -> ReadExpected | None:
        """Make the function that reads the events of a struct; None if it is of no event."""
        if spec.kind is not Kind.EVENT:
            return None
        envelope = self._structs.of_envelope(
            OutgoingMessage, spec.message_type, _server_fields(payload), in_union=False
        )
        return make_expected_reader(spec, marks, self._structs, _decoder([envelope]))

    def _fits(self, frame: Frame) -> bool:
        if isinstance(frame, str):
            return frame.isascii() and len(frame) <= self._max_size
        return memoryview(frame).nbytes <= self._max_size

    def _text_of(self, frame: Frame) -> tuple[str, int]:
        if not isinstance(frame, bytes | bytearray | memoryview) or not self._fits(frame):
            raise Unsure
        text = str(bytes(frame), "utf-8")
        return text, len(text)


def _server_fields(payload: Any) -> list[Field]:
    return [
        Field("id", UUID),
        Field("timestamp", TIME),
        Field("reply_to", Union[UUID, None], None),
        Field("payload", payload),
    ]


def _unsure(*_: object) -> Any:
    raise Unsure


def _decoder(envelopes: Any) -> Callable[[Frame], Any]:
    decode: Callable[[Frame], Any] = msgspec.json.Decoder(Union[tuple(envelopes)]).decode
    return decode
