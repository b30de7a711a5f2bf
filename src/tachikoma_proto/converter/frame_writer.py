"""Envelopes with typed payloads → JSON objects.

Rules:

* What a peer could not read is refused, with the place: it is never written in part.
* A payload goes with its message type, and with the side that may say it.
* The members stand in the order of the contract; what is None is left out.
"""

from collections.abc import Callable, Iterator
from typing import Any, Final, TypeAlias

from cattrs import Converter

from tachikoma_proto.converter.envelope_fields import INCOMING, OUTGOING
from tachikoma_proto.converter.mismatch import REFUSALS, Mismatch
from tachikoma_proto.converter.scalars import write_json, write_str, write_timestamp, write_uuid
from tachikoma_proto.errors import EncodeError, FieldError
from tachikoma_proto.messages.envelope import Envelope, IncomingMessage, OutgoingMessage
from tachikoma_proto.messages.unknown import UnknownEvent, UnknownMessage
from tachikoma_proto.paths import cap
from tachikoma_proto.registry import Registry
from tachikoma_proto.shapes import Record, RecordField
from tachikoma_proto.specs import Kind, MessageSpec, Sender

_IN_ENVELOPE: Final = frozenset(field.name for field in OUTGOING)

_WritePayload: TypeAlias = Callable[[Any], dict[str, Any]]


class FrameWriter:
    """Writes the JSON object of a frame.

    Args:
        registry: Which messages there are.
        converter: Writes payloads; configured for that registry.
    """

    def __init__(self, registry: Registry, converter: Converter) -> None:
        self._registry = registry
        self._converter = converter
        self._fitting: dict[tuple[type, type], tuple[MessageSpec, _WritePayload]] = {}

    def frame(self, envelope: Envelope[Any] | IncomingMessage[Any]) -> dict[str, Any]:
        """Write a message.

        Args:
            envelope: The message; its payload is of a class that the registry holds, or one
                that was kept because it is not known.

        Raises:
            EncodeError: A peer could not read it.
        """
        payload = envelope.payload
        try:
            if isinstance(payload, (UnknownMessage, UnknownEvent)):
                if self._misfit(envelope) is None:
                    return _write_envelope(envelope) | _free_members(payload)
            else:
                spec, write = self._fit(envelope)
                if envelope.type == spec.message_type and _may_have(spec, envelope):
                    frame = _write_envelope(envelope)
                    written = write(payload)
                    if written or spec.kind is not Kind.KEEPALIVE:
                        frame["payload"] = written
                    return frame
        except REFUSALS:
            pass
        raise EncodeError(errors=cap(self._explain(envelope)))

    def _fit(
        self, envelope: Envelope[Any] | IncomingMessage[Any]
    ) -> tuple[MessageSpec, _WritePayload]:
        """Find the declaration and the hook of a payload that goes with its envelope."""
        classes = type(envelope), type(envelope.payload)
        found = self._fitting.get(classes)
        if found is None:
            spec, misfit = self._registry.spec_of(classes[1]), self._misfit(envelope)
            if spec is None or misfit is not None:
                raise Mismatch("a message that goes with its envelope")
            write = self._converter.get_unstructure_hook(spec.cls)
            found = self._fitting[classes] = (spec, write)
        return found

    def _misfit(self, envelope: Envelope[Any] | IncomingMessage[Any]) -> FieldError | None:
        payload = envelope.payload
        sender = None
        if isinstance(envelope, (OutgoingMessage, IncomingMessage)):
            is_incoming = isinstance(envelope, IncomingMessage)
            sender = Sender.CLIENT if is_incoming else Sender.SERVER
        if isinstance(payload, (UnknownMessage, UnknownEvent)):
            message_type, may_say = payload.type, sender is not Sender.CLIENT
        else:
            spec = self._registry.spec_of(type(payload))
            if spec is None:
                return FieldError("$.payload", "a message that a category of the registry holds")
            message_type = spec.message_type
            said = sender and self._registry.spec_for(sender, message_type)
            may_say = sender in (None, spec.sender) or bool(said and said.cls is spec.cls)
            if not _may_have(spec, envelope):
                return FieldError("$", "nothing but the type: this is a client's keepalive")
        if envelope.type != message_type:
            return FieldError("$.type", "the message type of the payload")
        if sender and not may_say:
            return FieldError("$.payload", f"a message that a {sender.value} sends")
        return None

    def _explain(self, envelope: Envelope[Any] | IncomingMessage[Any]) -> Iterator[FieldError]:
        from tachikoma_proto.converter.faults import find_faults, find_field_faults, writing

        side = writing(self._converter, self._registry)
        for field in _envelope_of(envelope):
            yield from find_field_faults(side, field, envelope, ())
        misfit = self._misfit(envelope)
        payload = envelope.payload
        if misfit is not None:
            yield misfit
        elif isinstance(payload, (UnknownMessage, UnknownEvent)):
            try:
                _free_members(payload)
            except Mismatch as mismatch:
                yield FieldError("$", mismatch.expected)
        else:
            yield from find_faults(side, Record(type(payload)), payload, ("payload",))


def _may_have(spec: MessageSpec, envelope: Envelope[Any] | IncomingMessage[Any]) -> bool:
    """Tell whether an envelope has no more than may go with what it says."""
    is_bare = envelope.id is None and envelope.timestamp is None
    return is_bare or spec.kind is not Kind.KEEPALIVE


def _write_envelope(envelope: Envelope[Any] | IncomingMessage[Any]) -> dict[str, Any]:
    """Write what stands before the payload. Only a client's envelope may lack an id or a time."""
    frame: dict[str, Any] = {}
    is_outgoing = isinstance(envelope, OutgoingMessage)
    if is_outgoing or envelope.id is not None:
        frame["id"] = write_uuid(envelope.id)
    frame["type"] = write_str(envelope.type)
    if is_outgoing or envelope.timestamp is not None:
        frame["timestamp"] = write_timestamp(envelope.timestamp)
    if isinstance(envelope, OutgoingMessage) and envelope.reply_to is not None:
        frame["reply_to"] = write_uuid(envelope.reply_to)
    return frame


def _envelope_of(envelope: object) -> tuple[RecordField, ...]:
    return OUTGOING if isinstance(envelope, OutgoingMessage) else INCOMING


def _free_members(payload: UnknownMessage | UnknownEvent) -> dict[str, Any]:
    if not _IN_ENVELOPE.isdisjoint(payload.members):
        raise Mismatch("members that are not those of the envelope")
    members: dict[str, Any] = write_json(dict(payload.members))
    return members
