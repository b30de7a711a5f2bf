"""JSON objects → envelopes with typed payloads.

Rules:

* A server reads commands, and nothing else. A client reads responses and events, and keeps
  whole what it does not know.
* The hooks give the verdict; when one refuses, ``envelope_faults`` finds everything that is wrong.
"""

from collections.abc import Callable
from datetime import datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final, TypeAlias
from uuid import UUID

from cattrs import Converter

from tachikoma_proto.codec.converter.envelope_fields import OUTGOING, is_bare, said_in
from tachikoma_proto.codec.converter.mismatch import REFUSALS, Mismatch
from tachikoma_proto.codec.converter.scalars import read_timestamp, read_uuid
from tachikoma_proto.codec.converter.unions import Tagged, UnknownTag, read_tag
from tachikoma_proto.declare.bases import Command, Event, Response
from tachikoma_proto.declare.declarations import (
    EVENT_PREFIX,
    MessageDeclaration,
    MessageKind,
    Sender,
)
from tachikoma_proto.errors import ProtocolError
from tachikoma_proto.messages.envelope import IncomingMessage, OutgoingMessage
from tachikoma_proto.messages.unknown import UnknownEvent, UnknownMessage
from tachikoma_proto.registry.registry import Registry

if TYPE_CHECKING:
    from tachikoma_proto.codec.converter.faults import Side

ServerPayload: TypeAlias = Event | Response | UnknownEvent | UnknownMessage
"""What a client may find in a message from its server."""

_ReadPayload: TypeAlias = Callable[[dict[str, Any]], Any]
"""Reads the payload of a frame."""

_IN_ENVELOPE: Final = frozenset({"payload", *(field.name for field in OUTGOING)})


class FrameReader:
    """Reads the JSON object of a frame.

    Args:
        registry: Which messages there are.
        converter: Reads payloads; configured for that registry.
        forbid_unknown_fields: Whether a member that the contract does not name is refused.
    """

    def __init__(
        self, registry: Registry, converter: Converter, *, forbid_unknown_fields: bool = False
    ) -> None:
        self._registry = registry
        self._converter = converter
        self._forbid_unknown_fields = forbid_unknown_fields
        # By message type, made when first met; of those that the registry holds.
        self._commands: dict[str, _ReadPayload] = {}
        self._server_messages: dict[str, _ReadPayload] = {}

    def command(self, frame: dict[str, Any]) -> IncomingMessage[Command[Any]]:
        """Read what a client sent.

        Args:
            frame: The JSON object.

        Raises:
            UnknownMessageError: Its type is not that of a command.
            InvalidMessageError: The frame is not what the contract says.
        """
        try:
            read_payload = self._commands.get(frame["type"]) or self._command_reader(frame)
            message_id, timestamp = frame.get("id"), frame.get("timestamp")
            return IncomingMessage(
                id=None if message_id is None else read_uuid(message_id, UUID),
                type=frame["type"],
                timestamp=None if timestamp is None else read_timestamp(timestamp, datetime),
                payload=read_payload(frame),
            )
        except REFUSALS:
            pass  # raised below, so that the error carries nothing of this one
        raise self._explain(frame, Sender.CLIENT)

    def server_message(self, frame: dict[str, Any]) -> OutgoingMessage[ServerPayload]:
        """Read what a server sent.

        Args:
            frame: The JSON object.

        Raises:
            InvalidMessageError: The frame is not what the contract says.
        """
        try:
            message_type = frame["type"]
            read_payload = self._server_messages.get(message_type)
            if read_payload is None:
                read_payload = self._server_message_reader(message_type)
                if self._says_nothing_else(message_type, frame):
                    return OutgoingMessage(type=message_type, payload=read_payload(frame))
            reply_to = frame.get("reply_to")
            return OutgoingMessage(
                id=read_uuid(frame["id"], UUID),
                type=message_type,
                timestamp=read_timestamp(frame["timestamp"], datetime),
                reply_to=None if reply_to is None else read_uuid(reply_to, UUID),
                payload=read_payload(frame),
            )
        except REFUSALS:
            pass
        raise self._explain(frame, Sender.SERVER)

    def _command_reader(self, frame: dict[str, Any]) -> _ReadPayload:
        declaration = said_in(self._registry, Sender.CLIENT, frame)
        if declaration is None:
            raise Mismatch("the type of a command")
        read = self._payload_reader(declaration, _IN_ENVELOPE - {"reply_to"})
        if declaration.kind is not MessageKind.KEEPALIVE:  # which it is only where it is bare
            self._commands[declaration.message_type] = read
        return read

    def _server_message_reader(self, message_type: Any) -> _ReadPayload:
        if type(message_type) is not str:
            raise Mismatch("a string")
        declaration = self._registry.declaration_for(Sender.SERVER, message_type)
        category = message_type.removeprefix(EVENT_PREFIX)
        if (
            declaration is not None and declaration.kind is MessageKind.KEEPALIVE
        ):  # which may be bare
            return self._payload_reader(declaration, _IN_ENVELOPE)
        if declaration is not None:
            read = self._payload_reader(declaration, _IN_ENVELOPE)
        elif message_type == category:
            return lambda frame: UnknownMessage(type=message_type, members=_members(frame))
        elif category not in self._registry.categories:
            return lambda frame: _unknown_event(category, frame)
        else:
            read = self._event_reader(category)
        self._server_messages[message_type] = read
        return read

    def _payload_reader(
        self, declaration: MessageDeclaration, members: frozenset[str]
    ) -> _ReadPayload:
        cls, hook = declaration.cls, self._converter.get_structure_hook(declaration.cls)
        forbids = self._forbid_unknown_fields

        def read(frame: dict[str, Any]) -> Any:
            if forbids and not members.issuperset(frame):
                raise Mismatch("no unknown field")
            payload = frame.get("payload")
            # A class whose fields all have defaults takes the empty object; others refuse it.
            return hook({} if payload is None else payload, cls)

        return read

    def _event_reader(self, category: str) -> _ReadPayload:
        hook = self._converter.get_structure_hook(Tagged(MessageKind.EVENT, category))
        forbids = self._forbid_unknown_fields

        def read(frame: dict[str, Any]) -> Any:
            try:
                event = hook(frame.get("payload"), None)
            except UnknownTag:
                return _unknown_event(category, frame)
            if forbids and not _IN_ENVELOPE.issuperset(frame):
                raise Mismatch("no unknown field")
            return event

        return read

    def _says_nothing_else(self, message_type: str, frame: dict[str, Any]) -> bool:
        """Tell whether a frame is a bare keepalive, and nothing that it may not have."""
        declaration = self._registry.declaration_for(Sender.SERVER, message_type)
        if declaration is None or not is_bare(declaration, frame):
            return False
        if self._forbid_unknown_fields and "reply_to" in frame:
            raise Mismatch("no unknown field")
        return True

    def _explain(self, frame: dict[str, Any], sender: Sender) -> ProtocolError:
        from tachikoma_proto.codec.converter.envelope_faults import explain_refusal

        return explain_refusal(self._side, frame, sender)

    @cached_property
    def _side(self) -> "Side":
        from tachikoma_proto.codec.converter.faults import reading

        return reading(
            self._converter,
            self._registry,
            forbid_unknown_fields=self._forbid_unknown_fields,
        )


def _unknown_event(category: str, frame: dict[str, Any]) -> UnknownEvent:
    tag = read_tag(frame.get("payload"), MessageKind.EVENT.value, category)
    return UnknownEvent(type=frame["type"], category=category, event=tag, members=_members(frame))


def _members(frame: dict[str, Any]) -> dict[str, Any]:
    envelope = _IN_ENVELOPE - {"payload"}
    return {name: value for name, value in frame.items() if name not in envelope}
