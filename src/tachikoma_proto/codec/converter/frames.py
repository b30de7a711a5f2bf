"""Envelopes: JSON objects → messages, and messages → JSON text.

What the payload is depends on ``type``, so the envelope is no attrs class to cattrs: its fields are
described by shapes, and have the hooks of any field.

Rules:

* A server reads commands, and nothing else. A client reads responses and events, and keeps whole
  what it does not know.
* A payload goes with its message type, and with the side that may send it.
* Members are written in the order of the contract; what is None is left out. Nothing is written in
  part: what a peer could not read is refused, with its path.
* Floats are written as Python writes them, but for the exponent, which has neither a plus sign nor
  leading zeros: ``1e16``, ``1e-7``.
"""

import json
import re
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from json.encoder import encode_basestring
from types import MappingProxyType
from typing import Any, Final, TypeAlias
from uuid import UUID

from cattrs import Converter

from tachikoma_proto.codec.converter.envelope import (
    IN_INCOMING,
    IN_OUTGOING,
    INCOMING,
    OUTGOING,
    declared_as,
    is_bare,
)
from tachikoma_proto.codec.converter.faults import find_encode_faults, find_field_encode_faults
from tachikoma_proto.codec.converter.hooks import (
    Mismatch,
    Unstructure,
    structure_hook,
    unstructure_hook,
)
from tachikoma_proto.codec.converter.unions import Tagged, UnknownTag, read_tag
from tachikoma_proto.declare.bases import Command, Event, Response
from tachikoma_proto.declare.declarations import (
    EVENT_PREFIX,
    MessageDeclaration,
    MessageKind,
    Sender,
)
from tachikoma_proto.declare.shapes import TIMESTAMP_LEAF, UUID_LEAF, Record
from tachikoma_proto.errors import FieldError
from tachikoma_proto.messages.envelope import (
    Envelope,
    IncomingMessage,
    OutgoingMessage,
    Position,
)
from tachikoma_proto.messages.unknown import UnknownEvent, UnknownMessage
from tachikoma_proto.registry.registry import Registry
from tachikoma_proto.wire.json_values import find_json_faults, to_builtins

ServerPayload: TypeAlias = Event | Response | UnknownEvent | UnknownMessage
"""What a client may find in a message from its server."""

AnyEnvelope: TypeAlias = Envelope[Any] | IncomingMessage[Any]

_StructurePayload: TypeAlias = Callable[[dict[str, Any]], Any]
"""Structures the payload of a frame."""

_EXPONENT: Final = re.compile(r"e[+-][0-9]{2,3}[],}]")
_STRING_OR_EXPONENT: Final = re.compile(r'"(?:[^"\\]|\\.)*+"|e([+-])0*')


class FrameReader:
    """Structures the JSON object of a frame.

    Args:
        registry: Which messages there are.
        converter: Structures payloads; configured for that registry.
    """

    def __init__(self, registry: Registry, converter: Converter) -> None:
        self._registry = registry
        self._converter = converter
        self._forbids_unknown = converter.forbid_extra_keys
        self._uuid = structure_hook(UUID_LEAF, converter)
        self._timestamp = structure_hook(TIMESTAMP_LEAF, converter)
        self._position = structure_hook(Record(Position), converter)
        # By message type, made when first met; of those that the registry holds.
        self._commands: dict[str, _StructurePayload] = {}
        self._server_messages: dict[str, _StructurePayload] = {}

    def command(self, frame: dict[str, Any]) -> IncomingMessage[Command[Any]]:
        """Structure what a client sent.

        Args:
            frame: The JSON object.

        Raises:
            ValueError: The frame is not what the contract says; so for the others of ``REFUSALS``.
        """
        structure = self._commands.get(frame["type"]) or self._command(frame)
        message_id, timestamp = frame.get("id"), frame.get("timestamp")
        return IncomingMessage(
            id=None if message_id is None else self._uuid(message_id, UUID),
            type=frame["type"],
            timestamp=None if timestamp is None else self._timestamp(timestamp, datetime),
            payload=structure(frame),
        )

    def server_message(self, frame: dict[str, Any]) -> OutgoingMessage[ServerPayload]:
        """Structure what a server sent.

        Args:
            frame: The JSON object.

        Raises:
            ValueError: The frame is not what the contract says; so for the others of ``REFUSALS``.
        """
        message_type = frame["type"]
        structure = self._server_messages.get(message_type) or self._server_message(message_type)
        if "id" not in frame and self._is_keepalive(frame):
            return OutgoingMessage(type=message_type, payload=structure(frame))
        reply_to, position = frame.get("reply_to"), frame.get("position")
        return OutgoingMessage(
            id=self._uuid(frame["id"], UUID),
            type=message_type,
            timestamp=self._timestamp(frame["timestamp"], datetime),
            reply_to=None if reply_to is None else self._uuid(reply_to, UUID),
            position=None if position is None else self._position(position, Position),
            payload=structure(frame),
        )

    def _command(self, frame: dict[str, Any]) -> _StructurePayload:
        declaration = declared_as(self._registry, Sender.CLIENT, frame)
        if declaration is None:
            raise Mismatch("the type of a command")
        structure = self._payload(declaration, IN_INCOMING)
        if declaration.kind is not MessageKind.KEEPALIVE:  # which it is only where it is bare
            self._commands[declaration.message_type] = structure
        return structure

    def _server_message(self, message_type: Any) -> _StructurePayload:
        if type(message_type) is not str:
            raise Mismatch("a string")
        declaration = self._registry.declaration_for(Sender.SERVER, message_type)
        category = message_type.removeprefix(EVENT_PREFIX)
        if declaration is not None:
            structure = self._payload(declaration, IN_OUTGOING)
        elif message_type == category:
            return lambda frame: UnknownMessage(type=message_type, members=_kept(frame))
        elif category not in self._registry.categories:
            return lambda frame: _unknown_event(category, frame)
        else:
            structure = self._event(category)
        self._server_messages[message_type] = structure
        return structure

    def _payload(
        self, declaration: MessageDeclaration, members: frozenset[str]
    ) -> _StructurePayload:
        cls, hook = declaration.cls, self._converter.get_structure_hook(declaration.cls)
        is_keepalive = declaration.kind is MessageKind.KEEPALIVE

        def structure(frame: dict[str, Any]) -> Any:
            if self._forbids_unknown:
                bare = is_keepalive and is_bare(frame)
                self._refuse_unknown(frame, IN_INCOMING if bare else members)
            payload = frame.get("payload")
            # A class whose fields all have defaults takes the empty object; others refuse it.
            return hook({} if payload is None else payload, cls)

        return structure

    def _event(self, category: str) -> _StructurePayload:
        hook = self._converter.get_structure_hook(Tagged(MessageKind.EVENT, category))

        def structure(frame: dict[str, Any]) -> Any:
            try:
                event = hook(frame.get("payload"), None)
            except UnknownTag:
                return _unknown_event(category, frame)
            if self._forbids_unknown:
                self._refuse_unknown(frame, IN_OUTGOING)
            return event

        return structure

    def _is_keepalive(self, frame: dict[str, Any]) -> bool:
        """Return whether a server's frame is a bare keepalive."""
        declaration = declared_as(self._registry, Sender.SERVER, frame)
        is_keepalive = declaration is not None and declaration.kind is MessageKind.KEEPALIVE
        return is_keepalive and is_bare(frame)

    def _refuse_unknown(self, frame: dict[str, Any], known: frozenset[str]) -> None:
        if not known.issuperset(frame):
            raise Mismatch("no unknown field")


class FrameWriter:
    """Writes messages as builtins and as JSON text.

    Args:
        registry: Which messages there are.
        converter: Unstructures payloads; configured for that registry.
    """

    def __init__(self, registry: Registry, converter: Converter) -> None:
        self._registry = registry
        self._converter = converter
        self._uuid = unstructure_hook(UUID_LEAF, converter)
        self._timestamp = unstructure_hook(TIMESTAMP_LEAF, converter)
        self._position = unstructure_hook(Record(Position), converter)
        # The hook of a payload, by the classes and the type that were found to go together.
        self._fitting: dict[tuple[type, type, str], Unstructure] = {}

    def frame(self, envelope: AnyEnvelope) -> dict[str, Any]:
        """Unstructure a message as the JSON object of its frame.

        Args:
            envelope: The message; its payload is of a class that the registry holds, or one that
                was kept because it is not known.

        Raises:
            ValueError: A peer could not read it; so for the others of ``REFUSALS``.
        """
        payload = envelope.payload
        unstructure = self._fitting.get((type(envelope), type(payload), envelope.type))
        frame: dict[str, Any] = {}
        outgoing = envelope if isinstance(envelope, OutgoingMessage) else None
        if envelope.id is not None or outgoing is not None:
            frame["id"] = self._uuid(envelope.id)
        frame["type"] = envelope.type
        if envelope.timestamp is not None or outgoing is not None:
            frame["timestamp"] = self._timestamp(envelope.timestamp)
        if outgoing is not None and outgoing.reply_to is not None:
            frame["reply_to"] = self._uuid(outgoing.reply_to)
        if unstructure is not None:
            frame["payload"] = unstructure(payload)
        else:
            frame |= self._members(envelope)
        if outgoing is not None and outgoing.position is not None:
            frame["position"] = self._position(outgoing.position)
        return frame

    def text(self, frame: dict[str, Any], *, may_hold_floats: bool = True) -> str:
        """Write the JSON object of a frame as text.

        Args:
            frame: Builtins, as the hooks return them.
            may_hold_floats: Whether there may be a float in it, whose exponent is looked for.
        """
        text = "".join(_encode(frame, 0))
        if may_hold_floats and _EXPONENT.search(text):  # or it is in a string
            return _STRING_OR_EXPONENT.sub(_plain_exponent, text)
        return text

    def _members(self, envelope: AnyEnvelope) -> dict[str, Any]:
        """Return the rest of a frame, if the payload goes with its envelope."""
        misfit = self.misfit(envelope)
        if misfit is not None:
            raise Mismatch(misfit.expected)
        payload, cls = envelope.payload, type(envelope.payload)
        if isinstance(payload, (UnknownMessage, UnknownEvent)):
            return free_members(payload)
        unstructure = self._converter.get_unstructure_hook(cls)
        if not self._is_keepalive(cls):
            self._fitting[type(envelope), cls, envelope.type] = unstructure
            return {"payload": unstructure(payload)}
        members = unstructure(payload)
        return {"payload": members} if members else {}

    def misfit(self, envelope: AnyEnvelope) -> FieldError | None:
        """Return what is wrong about a payload and its envelope together, or None.

        Args:
            envelope: The message.
        """
        payload = envelope.payload
        sender = _SENDERS.get(type(envelope))
        if isinstance(payload, (UnknownMessage, UnknownEvent)):
            message_type, may_send = payload.type, sender is not Sender.CLIENT
        else:
            declaration = self._registry.declaration_of(type(payload))
            if declaration is None:
                return not_held(type(payload))
            message_type = declaration.message_type
            may_send = sender in (None, declaration.sender) or self._sends(sender, declaration)
            is_bare_envelope = envelope.id is None and envelope.timestamp is None
            if declaration.kind is MessageKind.KEEPALIVE and not is_bare_envelope:
                return FieldError("$", "nothing but the type: this is a client's keepalive")
        if envelope.type != message_type:
            return FieldError("$.type", "the message type of the payload")
        if sender and not may_send:
            return FieldError("$.payload", f"a message that a {sender.value} sends")
        return None

    def find_faults(self, envelope: AnyEnvelope) -> Iterator[FieldError]:
        """Find everything that is wrong with a message that was refused.

        Args:
            envelope: The message.
        """
        records = self._registry.records
        fields = OUTGOING if isinstance(envelope, OutgoingMessage) else INCOMING
        yield from find_field_encode_faults(fields, envelope, (), records)
        misfit, payload = self.misfit(envelope), envelope.payload
        if misfit is not None:
            yield misfit
        elif not isinstance(payload, (UnknownMessage, UnknownEvent)):
            yield from find_encode_faults(Record(type(payload)), payload, ("payload",), records)
        elif not _ENVELOPE.isdisjoint(payload.members):
            yield FieldError("$", _NOT_IN_ENVELOPE)
        else:
            yield from find_json_faults(dict(payload.members), ())

    def _sends(self, sender: Sender | None, declaration: MessageDeclaration) -> bool:
        """Return whether the other side sends the same class, too, as with a keepalive."""
        other = sender and self._registry.declaration_for(sender, declaration.message_type)
        return bool(other and other.cls is declaration.cls)

    def _is_keepalive(self, cls: type) -> bool:
        declaration = self._registry.declaration_of(cls)
        return declaration is not None and declaration.kind is MessageKind.KEEPALIVE


_ENVELOPE: Final = IN_OUTGOING - {"payload"}
"""The members that an unknown message does not keep itself."""

_NOT_IN_ENVELOPE: Final = "members that are not those of the envelope"


def not_held(cls: type) -> FieldError:
    """Return the fault of a payload whose class no category of the registry holds.

    Args:
        cls: The class.
    """
    return FieldError(
        "$.payload",
        f"a message that a category of the registry holds, which {cls.__qualname__} is not; "
        "those of installed extensions are in Registry.discover()",
    )


def free_members(payload: UnknownMessage | UnknownEvent) -> dict[str, Any]:
    """Return the members of a frame that was kept as unknown, as builtins.

    Args:
        payload: What was kept.

    Raises:
        ValueError: They are not JSON, or are members of the envelope.
    """
    members = dict(payload.members)
    if not _ENVELOPE.isdisjoint(members):
        raise Mismatch(_NOT_IN_ENVELOPE)
    fault = next(find_json_faults(members, ()), None)
    if fault is not None:
        raise Mismatch(fault.expected)
    builtins: dict[str, Any] = to_builtins(members)
    return builtins


def _plain_exponent(match: re.Match[str]) -> str:
    return match[0] if match[0][0] == '"' else f"e{'-' if match[1] == '-' else ''}"


def _make_encode() -> Callable[[Any, int], Any]:
    encoder = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    make: Any = getattr(json.encoder, "c_make_encoder", None)
    if make is None:
        return lambda value, _: encoder.encode(value)
    # As the encoder does for each value anew, but without a look for values that hold themselves,
    # which hooks do not return.
    encode: Callable[[Any, int], Any] = make(
        None, encoder.default, encode_basestring, None, ":", ",", False, False, False
    )
    return encode


_encode: Final = _make_encode()


_SENDERS: Final[Mapping[type, Sender]] = MappingProxyType(
    {IncomingMessage: Sender.CLIENT, OutgoingMessage: Sender.SERVER}
)
"""Which side sends an envelope; either may send a plain one."""


def _unknown_event(category: str, frame: dict[str, Any]) -> UnknownEvent:
    tag = read_tag(frame.get("payload"), Tagged(MessageKind.EVENT, category))
    return UnknownEvent(type=frame["type"], category=category, event=tag, members=_kept(frame))


def _kept(frame: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in frame.items() if name not in _ENVELOPE}
