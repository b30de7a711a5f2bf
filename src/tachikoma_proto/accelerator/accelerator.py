"""The accelerator itself: a decoder for each side, and a function for each message.

Rules:

* ``None`` means: not sure, ask the converter.
* Everything is made when it is first needed.
"""

from collections.abc import Callable
from functools import cached_property
from typing import Any, Final, TypeAlias, Union
from uuid import UUID

import msgspec

from tachikoma_proto.accelerator.reading import ReadFrame, make_reader
from tachikoma_proto.accelerator.structs import Field, Structs, Unsure, struct
from tachikoma_proto.json_reader import Frame
from tachikoma_proto.registry import Registry
from tachikoma_proto.specs import Kind, MessageSpec

_UTF8_MAX: Final = 4  # bytes a character

_REFUSALS: Final = (ValueError, TypeError, KeyError, Unsure)
"""What msgspec and the generated code raise: its errors are a ``ValueError``, validators of attrs
classes raise the first two, and a message without a reader is a ``KeyError``."""

Read: TypeAlias = Callable[[Frame], Any]
"""Reads a frame, or gives None if the converter has to decide."""


class Accelerator:
    """Reads frames of a registry's messages, where it is sure of them.

    Args:
        registry: Which messages there are.
        max_size: How many bytes a frame may have, in UTF-8.
    """

    def __init__(self, registry: Registry, *, max_size: int) -> None:
        self._registry = registry
        self._max_size = max_size
        self._structs = Structs(registry.records)

    @cached_property
    def read_command(self) -> Read:
        """The function that reads what a client sent."""
        envelopes: dict[type, ReadFrame] = {}
        for spec in self._registry:
            if spec.kind is Kind.COMMAND:
                self._add_command(spec, envelopes)
        decode, is_surely_small = _decoder(envelopes), self._max_size // _UTF8_MAX

        def read(frame: Frame) -> Any:
            try:
                text = frame if type(frame) is str else _text_of(frame)
                if len(text) > is_surely_small or "\\" in text:
                    _refuse_what_cannot_be_counted(text, self._max_size)
                envelope = decode(text)
                return envelopes[type(envelope)](envelope, text, text.count(","))
            except _REFUSALS:
                return None

        return read

    def _add_command(self, spec: MessageSpec, envelopes: dict[type, ReadFrame]) -> None:
        needs_payload = any(field.required for field in self._registry.records[spec.cls])
        try:
            payload = self._structs.of_record(spec.cls, spec.tags)
            read = make_reader(spec, self._registry.records, "")
        except Unsure:
            return
        envelope = struct(
            spec.cls.__name__,
            [
                Field("id", Union[UUID, None], required=False),
                Field("timestamp", Union[str, None], required=False),
                Field("payload", payload)
                if needs_payload
                else Field("payload", Union[payload, None], required=False),
            ],
            "type",
            spec.message_type,
        )
        envelopes[envelope] = read

    @cached_property
    def read_server_message(self) -> Read:
        """The function that reads what a server sent."""
        payloads: dict[type, ReadFrame] = {}
        envelopes = [
            _server_envelope(spec.message_type, payload)
            for spec in self._registry
            if spec.kind is Kind.RESPONSE
            for payload in self._payloads([spec], payloads)
        ]
        for category in self._registry.categories.values():
            events = [spec for spec in category.specs if spec.kind is Kind.EVENT]
            members = self._payloads(events, payloads)
            if members:
                envelopes.append(_server_envelope(events[0].message_type, Union[tuple(members)]))
        decode, is_surely_small = _decoder(envelopes), self._max_size // _UTF8_MAX

        # The twin of the above: a call more for each frame is what sharing it would cost.
        def read(frame: Frame) -> Any:
            try:
                text = frame if type(frame) is str else _text_of(frame)
                if len(text) > is_surely_small or "\\" in text:
                    _refuse_what_cannot_be_counted(text, self._max_size)
                envelope = decode(text)
                return payloads[type(envelope.payload)](envelope, text, text.count(","))
            except _REFUSALS:
                return None

        return read

    def _payloads(self, specs: list[MessageSpec], readers: dict[type, ReadFrame]) -> list[Any]:
        """Make the payloads' structs, of those messages that can be accelerated."""
        made = []
        for spec in specs:
            needed = Kind.EVENT.value if spec.kind is Kind.EVENT else ""
            is_union = spec.kind is Kind.EVENT and len(specs) > 1
            try:
                payload = self._structs.of_record(
                    spec.cls, spec.tags, needed=needed, union=is_union
                )
                readers[payload] = make_reader(spec, self._registry.records, needed)
            except Unsure:
                continue
            made.append(payload)
        return made


def _server_envelope(message_type: str, payload: Any) -> Any:
    fields = [
        Field("id", UUID),
        Field("timestamp", str),
        Field("reply_to", Union[UUID, None], required=False),
        Field("payload", payload),
    ]
    return struct(message_type, fields, "type", message_type)


def _decoder(envelopes: Any) -> Callable[[str], Any]:
    decode: Callable[[str], Any] = msgspec.json.Decoder(Union[tuple(envelopes)]).decode
    return decode


def _text_of(frame: Frame) -> str:
    return frame if isinstance(frame, str) else str(bytes(frame), "utf-8")


def _refuse_what_cannot_be_counted(text: str, max_size: int) -> None:
    """Refuse a frame that may be too large, or have commas that are written as escapes."""
    size = len(text)
    if size > max_size or (not text.isascii() and size * _UTF8_MAX > max_size):
        raise Unsure
    if "\\u002c" in text or "\\u002C" in text:
        raise Unsure
