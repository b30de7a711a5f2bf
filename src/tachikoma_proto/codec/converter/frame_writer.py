"""Envelopes with typed payloads → text.

Rules:

* What a peer could not read is refused, with the place: it is never written in part.
* A payload goes with its message type, and with the side that may say it.
* The members stand in the order of the contract; what is None is left out.
"""

from collections.abc import Callable, Iterator
from typing import Any, Final, TypeAlias

from cattrs import Converter

from tachikoma_proto.codec.converter.envelope_fields import INCOMING, OUTGOING
from tachikoma_proto.codec.converter.mismatch import REFUSALS, Mismatch
from tachikoma_proto.codec.converter.record_text import JsonText, configure_text, quote, to_text
from tachikoma_proto.codec.converter.scalars import (
    write_json,
    write_str,
    write_timestamp,
    write_uuid,
)
from tachikoma_proto.declare.declarations import MessageDeclaration, MessageKind, Sender
from tachikoma_proto.declare.shapes import Record, RecordField, depth_of
from tachikoma_proto.errors import EncodeError, FieldError
from tachikoma_proto.messages.envelope import Envelope, IncomingMessage, OutgoingMessage
from tachikoma_proto.messages.unknown import UnknownEvent, UnknownMessage
from tachikoma_proto.registry.registry import Registry
from tachikoma_proto.wire.paths import cap

_UNTOLD: Final = FieldError("$", "a message that can be written")
"""What is said of a message that is refused and has no fault that could be found."""

_IN_ENVELOPE: Final = frozenset(field.name for field in OUTGOING)

_WritePayload: TypeAlias = Callable[[Any], str]
_WriteFrame: TypeAlias = Callable[[Any], str]


class FrameWriter:
    """Writes the text of a frame.

    Args:
        registry: Which messages there are.
        converter: Writes payloads; configured for that registry, and for text by this.
        check: Raises for the JSON object of a frame that is not of the registry, and was not kept
            but made up, so that no peer could read it.
    """

    def __init__(
        self, registry: Registry, converter: Converter, check: Callable[[dict[str, Any]], None]
    ) -> None:
        configure_text(converter, registry)
        self._registry = registry
        self._converter = converter
        self._check = check
        self._fitting: dict[tuple[type, type], _WriteFrame] = {}
        self.depths: dict[type, float] = {}
        """How deep the payloads of a class may be nested, of those written so far."""

    def text(self, envelope: Envelope[Any] | IncomingMessage[Any]) -> str:
        """Write a message.

        Args:
            envelope: The message; its payload is of a class that the registry holds, or one
                that was kept because it is not known.

        Raises:
            EncodeError: A peer could not read it.
        """
        try:
            write = self._fitting.get((type(envelope), type(envelope.payload)))
            return write(envelope) if write else self._writer_of(envelope)(envelope)
        except REFUSALS:
            pass
        raise EncodeError(errors=cap(self._explain(envelope)) or [_UNTOLD])

    def _writer_of(self, envelope: Envelope[Any] | IncomingMessage[Any]) -> _WriteFrame:
        """Find how a payload that goes with its envelope is written."""
        cls = type(envelope.payload)
        if self._misfit(envelope) is not None:
            raise Mismatch("a message that goes with its envelope")
        if issubclass(cls, (UnknownMessage, UnknownEvent)):
            return self._write_unknown
        declaration = self._registry.declaration_of(cls)
        assert declaration is not None, "otherwise it does not go with its envelope"
        write_payload = self._converter.get_unstructure_hook(JsonText(cls))
        self.depths[cls] = depth_of(Record(cls), self._registry.records, self._registry.scalars)
        make = _outgoing_writer if isinstance(envelope, OutgoingMessage) else _incoming_writer
        if declaration.kind is MessageKind.KEEPALIVE:
            make = _keepalive_writer
        write = self._fitting[type(envelope), cls] = make(declaration.message_type, write_payload)
        return write

    def _write_unknown(self, envelope: Envelope[Any] | IncomingMessage[Any]) -> str:
        frame: dict[str, Any] = {}
        if isinstance(envelope, OutgoingMessage) or envelope.id is not None:
            frame["id"] = write_uuid(envelope.id)
        frame["type"] = write_str(envelope.type)
        if isinstance(envelope, OutgoingMessage) or envelope.timestamp is not None:
            frame["timestamp"] = write_timestamp(envelope.timestamp)
        if isinstance(envelope, OutgoingMessage) and envelope.reply_to is not None:
            frame["reply_to"] = write_uuid(envelope.reply_to)
        frame |= _free_members(envelope.payload)
        self._check(frame)
        return to_text(frame)

    def _misfit(self, envelope: Envelope[Any] | IncomingMessage[Any]) -> FieldError | None:
        payload = envelope.payload
        sender = None
        if isinstance(envelope, (OutgoingMessage, IncomingMessage)):
            is_incoming = isinstance(envelope, IncomingMessage)
            sender = Sender.CLIENT if is_incoming else Sender.SERVER
        if isinstance(payload, (UnknownMessage, UnknownEvent)):
            message_type, may_say = payload.type, sender is not Sender.CLIENT
        else:
            declaration = self._registry.declaration_of(type(payload))
            if declaration is None:
                return FieldError("$.payload", "a message that a category of the registry holds")
            message_type = declaration.message_type
            said = sender and self._registry.declaration_for(sender, message_type)
            may_say = sender in (None, declaration.sender) or bool(
                said and said.cls is declaration.cls
            )
            if not _may_have(declaration, envelope):
                return FieldError("$", "nothing but the type: this is a client's keepalive")
        if envelope.type != message_type:
            return FieldError("$.type", "the message type of the payload")
        if sender and not may_say:
            return FieldError("$.payload", f"a message that a {sender.value} sends")
        return None

    def _explain(self, envelope: Envelope[Any] | IncomingMessage[Any]) -> Iterator[FieldError]:
        from tachikoma_proto.codec.converter.faults import find_faults, find_field_faults, writing

        side = writing(self._converter, self._registry)
        yield from find_field_faults(side, _envelope_of(envelope), envelope, ())
        misfit = self._misfit(envelope)
        payload = envelope.payload
        if misfit is not None:
            yield misfit
        elif isinstance(payload, (UnknownMessage, UnknownEvent)):
            try:
                _free_members(payload)
            except Mismatch as mismatch:
                yield FieldError("$", mismatch.expected)
            except REFUSALS:
                yield FieldError("$", "members that are a JSON object")
        else:
            yield from find_faults(side, Record(type(payload)), payload, ("payload",))


def _may_have(
    declaration: MessageDeclaration, envelope: Envelope[Any] | IncomingMessage[Any]
) -> bool:
    """Tell whether an envelope has no more than may go with what it says."""
    is_bare = envelope.id is None and envelope.timestamp is None
    return is_bare or declaration.kind is not MessageKind.KEEPALIVE


def _outgoing_writer(message_type: str, write_payload: _WritePayload) -> _WriteFrame:
    quoted = quote(message_type)

    def write(envelope: Any) -> str:
        if envelope.type != message_type:
            raise Mismatch("the message type of the payload")
        reply = (
            "" if envelope.reply_to is None else f',"reply_to":"{write_uuid(envelope.reply_to)}"'
        )
        return (
            f'{{"id":"{write_uuid(envelope.id)}","type":{quoted},'
            f'"timestamp":"{write_timestamp(envelope.timestamp)}"{reply},'
            f'"payload":{write_payload(envelope.payload)}}}'
        )

    return write


def _incoming_writer(message_type: str, write_payload: _WritePayload) -> _WriteFrame:
    """Write what a client says; only its envelope may lack an id or a time."""
    quoted = quote(message_type)

    def write(envelope: Any) -> str:
        if envelope.type != message_type:
            raise Mismatch("the message type of the payload")
        message_id, moment = envelope.id, envelope.timestamp
        said_by = "" if message_id is None else f'"id":"{write_uuid(message_id)}",'
        said_at = "" if moment is None else f'"timestamp":"{write_timestamp(moment)}",'
        payload = write_payload(envelope.payload)
        return f'{{{said_by}"type":{quoted},{said_at}"payload":{payload}}}'

    return write


def _keepalive_writer(message_type: str, write_payload: _WritePayload) -> _WriteFrame:
    quoted = quote(message_type)

    def write(envelope: Any) -> str:
        if envelope.type != message_type:
            raise Mismatch("the message type of the payload")
        if envelope.id is not None or envelope.timestamp is not None:
            raise Mismatch("nothing but the type")
        payload = write_payload(envelope.payload)
        fields = "" if payload == "{}" else f',"payload":{payload}'
        return f'{{"type":{quoted}{fields}}}'

    return write


def _envelope_of(envelope: object) -> tuple[RecordField, ...]:
    return OUTGOING if isinstance(envelope, OutgoingMessage) else INCOMING


def _free_members(payload: UnknownMessage | UnknownEvent) -> dict[str, Any]:
    if not _IN_ENVELOPE.isdisjoint(payload.members):
        raise Mismatch("members that are not those of the envelope")
    members: dict[str, Any] = write_json(dict(payload.members))
    return members
