"""The codec: text ⇄ typed messages.

Text becomes a JSON object in the strict reader (``wire.json_reader``) and a message in the
converter (``codec.converter``); a message becomes text the other way round. The compiled engine,
where it was built, does both in one step for what it is sure of; the converter decides the rest.

Rules:

* A frame is judged whole: every fault of the envelope and of the payload is in one error, and the
  frame's ``id`` with them.
* What is written is what this codec would read.
* The converter and its hooks are made when they are first needed, and cattrs is imported then: the
  engine reads and writes without.
* What the engine refuses goes to the search for faults at once, as the JSON object that the engine
  reads; the strict reader explains what is none. Should the search find no fault, the converter
  decides, as it does about what the engine is not sure of.
"""

from datetime import datetime
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any, Final, TypeAlias
from uuid import UUID

from tachikoma_proto.codec.engine.load import load_engine
from tachikoma_proto.codec.engine.verdict import NO_ROOM, REFUSED, UNSURE, Verdict
from tachikoma_proto.declare.bases import Command, Event, Response
from tachikoma_proto.declare.declarations import MessageKind, Sender
from tachikoma_proto.declare.shapes import REFUSALS, Record, depth_of, holds_floats
from tachikoma_proto.errors import (
    EncodeError,
    FieldError,
    InvalidMessageError,
    ProtocolError,
    UnknownMessageError,
)
from tachikoma_proto.messages.envelope import Envelope, IncomingMessage, OutgoingMessage
from tachikoma_proto.messages.unknown import UnknownEvent, UnknownMessage
from tachikoma_proto.registry.registry import Registry
from tachikoma_proto.wire.formats import new_uuid, utc_now
from tachikoma_proto.wire.json_reader import MAX_DEPTH, Frame, is_too_deep, read_object, size_of
from tachikoma_proto.wire.json_values import find_json_faults
from tachikoma_proto.wire.paths import cap

if TYPE_CHECKING:
    from cattrs import Converter

    from tachikoma_proto.codec._engine import Engine
    from tachikoma_proto.codec.converter.faults import DecodeFaults
    from tachikoma_proto.codec.converter.frames import AnyEnvelope, FrameReader, FrameWriter

ServerPayload: TypeAlias = Event | Response | UnknownEvent | UnknownMessage
"""What a client may find in a message from its server."""

Payload: TypeAlias = Command[Any] | ServerPayload
"""What can be encoded."""

DEFAULT_MAX_SIZE: Final = 2**20
"""How many bytes a frame may have unless told otherwise: 1 MiB."""

_CLIENT: Final = Sender.CLIENT
_SERVER: Final = Sender.SERVER

_NO_ROOM: Final = FieldError("$", "no more nesting than the caller's stack has room for")
_NO_FAULT: Final = FieldError("$", "a message that keeps the contract")
"""What is said of a message that is refused and has no fault that could be found."""


_Traits: TypeAlias = tuple[bool, bool]
"""Whether the payloads of a class may be nested too deep, and whether they may hold floats; their
text is then looked through."""


class Codec:
    """Reads and writes the frames of a registry's messages.

    Args:
        registry: Which messages there are; the built-in ones if left out.
        max_size: How many bytes a frame may have in UTF-8, read or written.
        forbid_unknown_fields: Whether a field that a message does not have is refused when
            read. What a client does not know as a whole is kept all the same.
        accelerated: Whether the compiled engine reads and writes what it is sure of: True insists
            on it, False does without, None uses it if it was built.

    Raises:
        ImportError: ``accelerated`` is True and the engine was not built.
        ValueError: ``max_size`` is less than 1.

    Example::

        codec = Codec()
        message = codec.decode_command('{"type":"ping"}')
        text = codec.encode(PongResponse.now(), reply_to=message.id)
    """

    def __init__(
        self,
        registry: Registry | None = None,
        *,
        max_size: int = DEFAULT_MAX_SIZE,
        forbid_unknown_fields: bool = False,
        accelerated: bool | None = None,
    ) -> None:
        self.registry: Final = Registry() if registry is None else registry
        if max_size < 1:
            raise ValueError(f"max_size is a number of bytes, at least 1, not {max_size}")
        self.max_size: Final = max_size
        self.forbid_unknown_fields: Final = forbid_unknown_fields
        self._traits: dict[type, _Traits] = {}
        self._accelerated = accelerated
        engine = load_engine(
            self.registry,
            max_size=max_size,
            forbid_unknown_fields=forbid_unknown_fields,
            accelerated=accelerated,
            otherwise=(
                partial(self._decode, _CLIENT),
                partial(self._decode, _SERVER),
                self._encode_otherwise,
                self._encode_message_otherwise,
            ),
        )
        self._engine = engine
        self.is_accelerated: Final = engine is not None
        """Whether the compiled engine is at work."""
        if engine is not None:
            self._put_in_place(engine)

    def __repr__(self) -> str:
        how = "compiled engine" if self.is_accelerated else "converter alone"
        return f"<Codec of {self.registry!r}, {how}>"

    def __reduce__(self) -> tuple[Any, ...]:
        options = (self.registry, self.max_size, self.forbid_unknown_fields, self._accelerated)
        return _rebuilt, (type(self), *options)

    def decode_command(self, frame: Frame) -> IncomingMessage[Command[Any]]:
        """Read what a client sent.

        Args:
            frame: The text, or its bytes in UTF-8.

        Returns:
            The message; ``id`` and ``timestamp`` are None where the client gave none.

        Raises:
            InvalidMessageError: The frame is not what the contract says.
            UnknownMessageError: Its type is not that of a command.
            MessageTooLargeError: It is larger than ``max_size``.
            TypeError: It is neither text nor bytes, which is the caller's mistake.
        """
        message: IncomingMessage[Command[Any]] = self._decode(_CLIENT, UNSURE, frame)
        return message

    def decode_server_message(self, frame: Frame) -> OutgoingMessage[ServerPayload]:
        """Read what a server sent.

        Args:
            frame: The text, or its bytes in UTF-8.

        Returns:
            The message. A type, category or tag that the registry does not hold gives an
            ``UnknownMessage`` or ``UnknownEvent``, which keeps everything. A bare keepalive gets an
            id and the present time.

        Raises:
            InvalidMessageError: The frame is not what the contract says.
            MessageTooLargeError: It is larger than ``max_size``.
            TypeError: It is neither text nor bytes, which is the caller's mistake.
        """
        message: OutgoingMessage[ServerPayload] = self._decode(_SERVER, UNSURE, frame)
        return message

    def structure_frame(self, members: dict[str, Any], sender: Sender) -> Any:
        """Structure a frame that is a JSON object already, for tools that look at it first.

        Args:
            members: The JSON object, from the strict reader.
            sender: Which side sent it.

        Returns:
            What ``decode_command`` or ``decode_server_message`` returns.

        Raises:
            ProtocolError: As they do.
        """
        try:
            if sender is _CLIENT:
                return self._reader.command(members)
            return self._reader.server_message(members)
        except REFUSALS:
            pass
        raise _with_a_fault(self._faults.explain(members, sender))

    def structure_command(self, message_type: str, payload: Any = None) -> Command[Any]:
        """Make a command from JSON that is parsed already: an HTTP body, a queue.

        Args:
            message_type: The command's message type, such as ``mission_start``.
            payload: Its payload, of builtins; None if it needs no field.

        Returns:
            The command.

        Raises:
            UnknownMessageError: The type is not that of a command.
            InvalidMessageError: The payload is not what the contract says.

        Example::

            command = codec.structure_command("mission_start", {"mission_id": "67e5…"})
        """
        is_text = isinstance(message_type, str)  # it may come from a peer's JSON as well
        declaration = self.registry.declaration_for(_CLIENT, message_type) if is_text else None
        if declaration is None or declaration.kind is not MessageKind.COMMAND:
            raise UnknownMessageError(errors=[FieldError("$.type", "the type of a command")])
        payload = {} if payload is None else payload
        faults = cap(find_json_faults(payload, ()))
        if faults:
            raise InvalidMessageError(errors=faults)
        try:
            command: Command[Any] = self.converter.structure(payload, declaration.cls)
        except (*REFUSALS, RecursionError):
            pass
        else:
            return command
        raise _with_a_fault(self._faults.explain_payload(payload, declaration.cls))

    def unstructure(self, payload: Payload) -> dict[str, Any]:
        """Return the payload of a message as builtins, as it stands on the wire.

        Args:
            payload: A command, event or response of the registry, or what was kept as unknown.

        Returns:
            The payload's JSON object, tags included, of builtins.

        Raises:
            EncodeError: A peer could not read it; ``errors`` says where.

        Example::

            codec.unstructure(StartMission(mission_id=m))
            # {"category": "mission", "command": "start", "mission_id": "67e5…"}
        """
        envelope = self._envelope(payload, None, None, None)
        members: dict[str, Any] = self.unstructure_message(envelope).get("payload", {})
        return members

    def encode(
        self,
        payload: Payload,
        *,
        reply_to: UUID | None = None,
        id: UUID | None = None,
        timestamp: datetime | None = None,
    ) -> str:
        """Write a message in a new envelope.

        Args:
            payload: A command, event or response of the registry, or what was kept as unknown.
            reply_to: The id of the message that a response answers.
            id: The message's id; made if left out.
            timestamp: When it is sent, aware; now if left out.

        Returns:
            The frame's text.

        Raises:
            EncodeError: A peer could not read it, or it is over ``max_size``; ``errors`` says
                where.
        """
        return self.encode_message(self._envelope(payload, reply_to, id, timestamp))

    def encode_message(self, envelope: Envelope[Payload] | IncomingMessage[Command[Any]]) -> str:
        """Write a message in the envelope that it has.

        Args:
            envelope: The message; what is None in its envelope is not written.

        Returns:
            The frame's text.

        Raises:
            EncodeError: A peer could not read it, or it is over ``max_size``; ``errors`` says
                where.
        """
        cls = type(envelope.payload)
        may_be_deep, may_hold_floats = self._traits.get(cls) or self._traits_of(cls)
        try:
            frame = self.unstructure_message(envelope)
            text = self._writer.text(frame, may_hold_floats=may_hold_floats)
        except RecursionError:
            text = ""
        if not text:
            raise EncodeError(errors=[_NO_ROOM])
        if len(text) * 4 > self.max_size and size_of(text) > self.max_size:
            raise EncodeError(errors=[FieldError("$", f"at most {self.max_size} bytes")])
        if may_be_deep and is_too_deep(text):
            raise EncodeError(errors=[FieldError("$", f"at most {MAX_DEPTH} levels of nesting")])
        return text

    def unstructure_message(self, envelope: Envelope[Any] | IncomingMessage[Any]) -> dict[str, Any]:
        """Return a message as builtins: the JSON object of its frame, before it becomes text.

        Args:
            envelope: The message; what is None in its envelope is left out.

        Raises:
            EncodeError: A peer could not read it; ``errors`` says where.
        """
        try:
            frame = self._writer.frame(envelope)
        except REFUSALS:
            pass
        else:
            if isinstance(envelope.payload, (UnknownMessage, UnknownEvent)):
                self._refuse_unreadable(frame)
            return frame
        raise EncodeError(errors=cap(self._writer.find_faults(envelope)) or [_NO_FAULT])

    @cached_property
    def converter(self) -> "Converter":
        """The cattrs converter that says what a message is; yours to use and to extend.

        Example::

            event = codec.converter.structure(payload, tp.MissionEvent)
        """
        from tachikoma_proto.codec.converter import make_converter

        return make_converter(self.registry, forbid_unknown_fields=self.forbid_unknown_fields)

    def _decode(self, sender: Sender, verdict: Verdict, frame: Frame) -> Any:
        """Read a frame by the converter.

        Args:
            sender: Which side sent it.
            verdict: What the engine says: what it refuses is looked for faults first.
            frame: The text, or its bytes in UTF-8.
        """
        if verdict is NO_ROOM:
            raise InvalidMessageError(errors=[_NO_ROOM])
        error: ProtocolError | None = None
        try:
            members = self._read(frame)
            if verdict is REFUSED:
                error = self._faults.explain(members, sender)
            if error is None or not error.errors:
                return self.structure_frame(members, sender)
        except RecursionError:  # of which the error carries nothing, since it is raised below
            error = InvalidMessageError(errors=[_NO_ROOM])
        try:
            raise error
        finally:
            del error  # whose traceback has this call: it would keep itself and the frame alive

    def _read(self, frame: Frame) -> dict[str, Any]:
        """Read a frame as a JSON object: by the engine, or by the strict reader, which explains."""
        members = UNSURE if self._engine is None else self._engine.read_object(frame)
        return read_object(frame, self.max_size) if isinstance(members, Verdict) else members

    def _put_in_place(self, engine: "Engine") -> None:
        """Put the engine's methods in the place of ours, which spares every frame a call.

        They do the same: what the engine does not do, it hands to the methods below. Where a
        subclass has a method of its own, that stays.
        """
        for name in ("decode_command", "decode_server_message", "encode", "encode_message"):
            if getattr(type(self), name) is getattr(Codec, name):
                vars(self)[name] = getattr(engine, name)

    def _encode_otherwise(
        self,
        verdict: Verdict,
        payload: Payload,
        reply_to: UUID | None,
        id: UUID | None,
        timestamp: datetime | None,
    ) -> str:
        if verdict is NO_ROOM:
            raise EncodeError(errors=[_NO_ROOM])
        return Codec.encode_message(self, self._envelope(payload, reply_to, id, timestamp))

    def _encode_message_otherwise(
        self, verdict: Verdict, envelope: Envelope[Payload] | IncomingMessage[Command[Any]]
    ) -> str:
        if verdict is NO_ROOM:
            raise EncodeError(errors=[_NO_ROOM])
        return Codec.encode_message(self, envelope)

    def _envelope(
        self,
        payload: Payload,
        reply_to: UUID | None,
        id: UUID | None,
        timestamp: datetime | None,
    ) -> "AnyEnvelope":
        """Put a payload into the envelope of the side that sends it."""
        declaration = self.registry.by_class.get(type(payload))
        is_unknown = isinstance(payload, (UnknownMessage, UnknownEvent))
        if declaration is None and not is_unknown:
            from tachikoma_proto.codec.converter.frames import not_held

            raise EncodeError(errors=[not_held(type(payload))])
        message_type = declaration.message_type if declaration else payload.type  # type: ignore[union-attr]
        is_client = declaration is not None and declaration.sender is _CLIENT
        if is_client and reply_to is not None:
            raise EncodeError(
                errors=[FieldError("$.reply_to", "nothing: a command answers no message")]
            )
        if declaration is not None and declaration.kind is MessageKind.KEEPALIVE:
            return IncomingMessage(id=id, type=message_type, timestamp=timestamp, payload=payload)
        id = new_uuid() if id is None else id
        timestamp = utc_now() if timestamp is None else timestamp
        if is_client:
            return Envelope(id=id, type=message_type, timestamp=timestamp, payload=payload)
        return OutgoingMessage(
            id=id, type=message_type, timestamp=timestamp, payload=payload, reply_to=reply_to
        )

    def _refuse_unreadable(self, frame: dict[str, Any]) -> None:
        """Refuse an unknown message that was constructed by hand and that no peer could read."""
        try:
            self.structure_frame(frame, _SERVER)
        except ProtocolError as error:
            errors = error.errors
        else:
            return
        raise EncodeError(errors=errors)

    def _traits_of(self, cls: type) -> _Traits:
        """Return what the payloads of a class may be, and keep it."""
        records = self.registry.records
        traits = True, True
        if cls in records:
            is_deep = depth_of(Record(cls), records) >= MAX_DEPTH
            traits = is_deep, holds_floats(cls, records)
        self._traits[cls] = traits
        return traits

    @cached_property
    def _reader(self) -> "FrameReader":
        from tachikoma_proto.codec.converter.frames import FrameReader

        return FrameReader(self.registry, self.converter)

    @cached_property
    def _writer(self) -> "FrameWriter":
        from tachikoma_proto.codec.converter.frames import FrameWriter

        return FrameWriter(self.registry, self.converter)

    @cached_property
    def _faults(self) -> "DecodeFaults":
        from tachikoma_proto.codec.converter.faults import DecodeFaults

        return DecodeFaults(self.registry, forbid_unknown_fields=self.forbid_unknown_fields)


def _with_a_fault(error: ProtocolError) -> ProtocolError:
    """Return an error that says something, also where no fault was found."""
    if error.errors:
        return error
    return type(error)(errors=[_NO_FAULT], message_id=error.message_id)


def _rebuilt(
    cls: type[Codec],
    registry: Registry,
    max_size: int,
    forbid_unknown_fields: bool,
    accelerated: bool | None,
) -> Codec:
    return cls(
        registry,
        max_size=max_size,
        forbid_unknown_fields=forbid_unknown_fields,
        accelerated=accelerated,
    )
