"""The accelerator itself: a decoder for each side, and a function for each message.

Rules:

* What it is not sure of is read by the function that it was given for that.
* The function that finishes a struct is the struct's own, ``_read``: no field has such a name, and
  to find it takes less than a dict would.
"""

from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final, TypeAlias, Union
from uuid import UUID

import msgspec

from tachikoma_proto.accelerator.reading import make_command_reader, make_server_message_reader
from tachikoma_proto.accelerator.structs import Field, Structs, Unsure, struct
from tachikoma_proto.accelerator.writing import WriteFrame, make_writer
from tachikoma_proto.converter.mismatch import REFUSALS
from tachikoma_proto.json_reader import Frame
from tachikoma_proto.messages.envelope import Envelope, IncomingMessage, OutgoingMessage
from tachikoma_proto.registry import Registry
from tachikoma_proto.shapes import holding_themselves
from tachikoma_proto.specs import Kind, MessageSpec, Sender

_UTF8_MAX: Final = 4  # bytes a character

_REFUSALS: Final = (msgspec.MsgspecError, Unsure, RecursionError, *REFUSALS)
"""What msgspec, the generated code, and the validators of attrs classes raise; msgspec descends
into what is nested too deep, until Python stops it."""

Read: TypeAlias = Callable[[Frame], Any]
"""Reads a frame."""

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
        envelopes = []
        for spec in self._registry:
            if spec.kind is Kind.COMMAND and self._can_read(spec):
                envelopes.append(self._command_envelope(spec))
                envelopes[-1]._read = make_command_reader(spec, self._structs)
        decode, max_size = _decoder(envelopes), self._max_size
        sure_size = max_size // _UTF8_MAX

        def read(frame: Frame) -> Any:
            try:
                text = frame if type(frame) is str else _text_of(frame, max_size)
                if len(text) <= sure_size or _fits(text, max_size):
                    return decode(text)._read(text)
            except _REFUSALS:
                pass
            return otherwise(frame)

        return read

    def server_message_reader(self, otherwise: Read) -> Read:
        """Make the function that reads what a server sent.

        Args:
            otherwise: Reads the frames of which the accelerator is not sure.
        """
        envelopes = [
            _server_envelope(group[0].message_type, self._payloads(group))
            for group in self._groups()
        ]
        decode, max_size = _decoder(envelopes), self._max_size
        sure_size = max_size // _UTF8_MAX

        # The twin of the above: to share it would cost a call for each frame.
        def read(frame: Frame) -> Any:
            try:
                text = frame if type(frame) is str else _text_of(frame, max_size)
                if len(text) <= sure_size or _fits(text, max_size):
                    envelope = decode(text)
                    return envelope.payload._read(envelope, text)
            except _REFUSALS:
                pass
            return otherwise(frame)

        return read

    def writer(self, otherwise: Write) -> Write:
        """Make the function that writes messages.

        Args:
            otherwise: Writes those of which the accelerator is not sure.
        """
        writers: dict[tuple[type, type], WriteFrame] = {}
        for spec in self._registry:
            if spec.kind is not Kind.KEEPALIVE:
                self._add_writers(spec, writers)
        encode = msgspec.json.Encoder().encode

        def write(envelope: Any) -> str:
            try:
                make = writers[type(envelope), type(envelope.payload)]
                return encode(make(envelope)).decode()
            except _REFUSALS:
                pass
            return otherwise(envelope)

        return write

    def _add_writers(self, spec: MessageSpec, writers: dict[tuple[type, type], WriteFrame]) -> None:
        is_incoming = spec.sender is Sender.CLIENT
        for envelope in (Envelope, IncomingMessage) if is_incoming else (Envelope, OutgoingMessage):
            with suppress(Unsure):
                writers[envelope, spec.cls] = make_writer(spec, self._structs, envelope)

    def _can_read(self, spec: MessageSpec) -> bool:
        try:
            # To make the decoder is when msgspec looks at the types.
            msgspec.json.Decoder(self._structs.of_record(spec.cls, spec.tags))
        except Unsure:
            return False
        return True

    def _groups(self) -> list[list[MessageSpec]]:
        """The messages from the server that share a message type, where there are any."""
        groups: dict[str, list[MessageSpec]] = {}
        for spec in self._registry:
            if spec.kind in (Kind.EVENT, Kind.RESPONSE) and self._can_read(spec):
                groups.setdefault(spec.message_type, []).append(spec)
        return list(groups.values())

    def _payloads(self, group: list[MessageSpec]) -> Any:
        structs = [
            self._structs.of_record(
                spec.cls,
                spec.tags,
                needed=spec.tags,
                union_tag=spec.kind.value if len(group) > 1 else "",
            )
            for spec in group
        ]
        for made, spec in zip(structs, group, strict=True):
            made._read = make_server_message_reader(spec, self._structs)
        return Union[tuple(structs)]

    def _command_envelope(self, spec: MessageSpec) -> Any:
        needs_payload = any(field.required for field in self._registry.records[spec.cls])
        payload = self._structs.of_record(spec.cls, spec.tags)
        fields = [
            Field("id", Union[UUID, None], required=False),
            Field("timestamp", Union[str, None], required=False),
            Field("payload", payload if needs_payload else Union[payload, None], needs_payload),
        ]
        return struct(spec.cls.__name__, fields, "type", spec.message_type)


def _server_envelope(message_type: str, payload: Any) -> Any:
    fields = [
        Field("id", UUID),
        Field("timestamp", str),
        Field("reply_to", Union[UUID, None], required=False),
        Field("payload", payload),
    ]
    return struct("Envelope", fields, "type", message_type)


def _decoder(envelopes: Any) -> Callable[[str], Any]:
    decode: Callable[[str], Any] = msgspec.json.Decoder(Union[tuple(envelopes)]).decode
    return decode


def _text_of(frame: Frame, max_size: int) -> str:
    if isinstance(frame, str):
        return frame
    # memoryview takes nothing but bytes: what is no frame is refused here too.
    if memoryview(frame).nbytes > max_size:
        raise Unsure
    return str(bytes(frame), "utf-8")


def _fits(text: str, max_size: int) -> bool:
    return text.isascii() and len(text) <= max_size
