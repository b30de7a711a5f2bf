"""JSON objects → envelopes with typed payloads.

Rules:

* A server reads commands, and nothing else. A client reads responses and events, and keeps
  whole what it does not know.
* The hooks give the verdict; when one refuses, ``envelope_faults`` finds everything that is wrong.
"""

from collections.abc import Callable
from datetime import datetime
from typing import Any, Final, TypeAlias
from uuid import UUID

from cattrs import Converter

from tachikoma_proto.base import Command, Event, Response
from tachikoma_proto.converter.envelope_fields import OUTGOING, is_bare, said_in
from tachikoma_proto.converter.mismatch import REFUSALS, Mismatch
from tachikoma_proto.converter.scalars import read_timestamp, read_uuid
from tachikoma_proto.converter.unions import Tagged, UnknownTag, read_tag
from tachikoma_proto.errors import ProtocolError
from tachikoma_proto.messages.envelope import IncomingMessage, OutgoingMessage
from tachikoma_proto.messages.unknown import UnknownEvent, UnknownMessage
from tachikoma_proto.registry import Registry
from tachikoma_proto.specs import EVENT_PREFIX, Kind, MessageSpec, Sender

ServerPayload: TypeAlias = Event | Response | UnknownEvent | UnknownMessage
"""What a client may find in a message from its server."""

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
        self._hooks: dict[Any, Callable[[Any, Any], Any]] = {}

    def command(self, frame: dict[str, Any]) -> IncomingMessage[Command[Any]]:
        """Read what a client sent.

        Args:
            frame: The JSON object.

        Raises:
            UnknownMessageError: Its type is not that of a command.
            InvalidMessageError: The frame is not what the contract says.
        """
        try:
            spec = said_in(self._registry, Sender.CLIENT, frame)
            if spec is not None:
                self._refuse_unknown_members(frame, reply=False)
                message_id, timestamp = frame.get("id"), frame.get("timestamp")
                return IncomingMessage(
                    id=None if message_id is None else read_uuid(message_id, UUID),
                    type=spec.message_type,
                    timestamp=None if timestamp is None else read_timestamp(timestamp, datetime),
                    payload=self._payload(spec, frame),
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
            message_type = _type_of(frame)
            spec = self._registry.spec_for(Sender.SERVER, message_type)
            if spec is not None and is_bare(spec, frame):
                self._refuse_unknown_members(frame, reply=False)
                return OutgoingMessage(type=spec.message_type, payload=self._payload(spec, frame))
            reply_to = frame.get("reply_to")
            return OutgoingMessage(
                id=read_uuid(frame["id"], UUID),
                type=message_type,
                timestamp=read_timestamp(frame["timestamp"], datetime),
                reply_to=None if reply_to is None else read_uuid(reply_to, UUID),
                payload=self._server_payload(spec, message_type, frame),
            )
        except REFUSALS:
            pass
        raise self._explain(frame, Sender.SERVER)

    def _server_payload(
        self, spec: MessageSpec | None, message_type: str, frame: dict[str, Any]
    ) -> ServerPayload:
        if spec is not None:
            self._refuse_unknown_members(frame, reply=True)
            payload: ServerPayload = self._payload(spec, frame)
            return payload
        if message_type.startswith(EVENT_PREFIX):
            return self._event(message_type, frame)
        return UnknownMessage(type=message_type, members=_members(frame))

    def _event(self, message_type: str, frame: dict[str, Any]) -> Event | UnknownEvent:
        category = message_type.removeprefix(EVENT_PREFIX)
        payload = frame.get("payload")
        if category in self._registry.categories:
            try:
                event: Event = self._hook(category)(payload, None)
            except UnknownTag:
                pass
            else:
                self._refuse_unknown_members(frame, reply=True)
                return event
        tag = read_tag(payload, Kind.EVENT.value, category)
        return UnknownEvent(
            type=message_type, category=category, event=tag, members=_members(frame)
        )

    def _payload(self, spec: MessageSpec, frame: dict[str, Any]) -> Any:
        payload = frame.get("payload")
        # A class whose fields all have defaults takes the empty object; others refuse it.
        return self._hook(spec.cls)({} if payload is None else payload, spec.cls)

    def _hook(self, kind: type | str) -> Callable[[Any, Any], Any]:
        """Find the converter's hook for a class, or for the events of a category that is held."""
        hook = self._hooks.get(kind)
        if hook is None:
            target = Tagged(Kind.EVENT, kind) if isinstance(kind, str) else kind
            hook = self._hooks[kind] = self._converter.get_structure_hook(target)
        return hook

    def _explain(self, frame: dict[str, Any], sender: Sender) -> ProtocolError:
        from tachikoma_proto.converter.envelope_faults import explain_refusal
        from tachikoma_proto.converter.faults import reading

        side = reading(
            self._converter,
            self._registry,
            forbid_unknown_fields=self._forbid_unknown_fields,
        )
        return explain_refusal(side, frame, sender)

    def _refuse_unknown_members(self, frame: dict[str, Any], *, reply: bool) -> None:
        if self._forbid_unknown_fields:
            known = _IN_ENVELOPE if reply else _IN_ENVELOPE - {"reply_to"}
            if not known.issuperset(frame):
                raise Mismatch("no unknown field")


def _type_of(frame: dict[str, Any]) -> str:
    message_type = frame.get("type")
    if type(message_type) is str:
        return message_type
    raise Mismatch("a string")


def _members(frame: dict[str, Any]) -> dict[str, Any]:
    envelope = _IN_ENVELOPE - {"payload"}
    return {name: value for name, value in frame.items() if name not in envelope}
