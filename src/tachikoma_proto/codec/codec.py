"""The codec: text ⇄ typed messages.

Rules:

* Text → JSON object (``json_reader``) → message (``converter``); message → text.
* A frame is judged whole: every fault of the envelope and of the payload is in one error, and
  the frame's ``id`` with them.
* What is written is what this codec would read, but for its size.
* The converter and its hooks are made when they are first needed.
"""

from datetime import datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final, TypeAlias
from uuid import UUID

from cattrs import Converter

from tachikoma_proto.codec.converter import make_converter
from tachikoma_proto.codec.converter.frame_reader import FrameReader, ServerPayload
from tachikoma_proto.declare.bases import Command
from tachikoma_proto.declare.declarations import MessageKind, Sender
from tachikoma_proto.errors import EncodeError, FieldError, InvalidMessageError, ProtocolError
from tachikoma_proto.messages.envelope import Envelope, IncomingMessage, OutgoingMessage
from tachikoma_proto.registry.registry import Registry
from tachikoma_proto.wire.json_reader import MAX_DEPTH, Frame, read_object
from tachikoma_proto.wire.json_tokens import is_too_deep
from tachikoma_proto.wire.timestamps import utc_now
from tachikoma_proto.wire.uuids import new_uuid

if TYPE_CHECKING:
    from tachikoma_proto.codec.converter.frame_writer import FrameWriter

Payload: TypeAlias = Command[Any] | ServerPayload
"""What can be encoded."""

DEFAULT_MAX_SIZE: Final = 2**20
"""How many bytes a frame may have unless told otherwise: 1 MiB."""

_NO_ROOM: Final = FieldError("$", "no more nesting than the caller's stack has room for")


class Codec:
    """Reads and writes the frames of a registry's messages.

    Args:
        registry: Which messages there are; the built-in ones if left out.
        max_size: How many bytes a frame that is read may have, in UTF-8.
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
        if accelerated:
            raise ImportError("this build has no compiled engine")

    def __repr__(self) -> str:
        return f"<Codec of {self.registry!r}>"

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
        return self._plain_command(frame)

    def decode_server_message(self, frame: Frame) -> OutgoingMessage[ServerPayload]:
        """Read what a server sent.

        Args:
            frame: The text, or its bytes in UTF-8.

        Returns:
            The message. A type, category or tag that the registry does not hold gives an
            ``UnknownMessage`` or ``UnknownEvent``, which keeps everything. A bare keepalive is
            given an id and the present time.

        Raises:
            InvalidMessageError: The frame is not what the contract says.
            MessageTooLargeError: It is larger than ``max_size``.
            TypeError: It is neither text nor bytes, which is the caller's mistake.
        """
        return self._plain_server_message(frame)

    def encode(
        self,
        payload: Payload,
        *,
        reply_to: UUID | None = None,
        id: UUID | None = None,
        timestamp: datetime | None = None,
    ) -> str:
        """Write a message in an envelope of its own.

        Args:
            payload: A command, event or response of the registry, or what was kept as unknown.
            reply_to: The id of the message that a response answers.
            id: The message's id; made if left out.
            timestamp: When it is said, aware; now if left out.

        Returns:
            The frame's text.

        Raises:
            EncodeError: A peer could not read it; ``errors`` says where.
        """
        declaration = self.registry.declaration_of(type(payload))
        message_type = (
            getattr(payload, "type", "") if declaration is None else declaration.message_type
        )
        is_client = declaration is not None and declaration.sender is Sender.CLIENT
        if is_client and reply_to is not None:
            raise EncodeError(errors=[FieldError("$.reply_to", "nothing: a command is no answer")])
        if declaration is not None and declaration.kind is MessageKind.KEEPALIVE:
            return self._plain_write(
                IncomingMessage(id=id, type=message_type, timestamp=timestamp, payload=payload)
            )
        if id is None:
            id = new_uuid()
        if timestamp is None:
            timestamp = utc_now()
        if is_client:
            return self._plain_write(
                Envelope(id=id, type=message_type, timestamp=timestamp, payload=payload)
            )
        return self._plain_write(
            OutgoingMessage(
                id=id, type=message_type, timestamp=timestamp, payload=payload, reply_to=reply_to
            )
        )

    def encode_message(self, envelope: Envelope[Payload] | IncomingMessage[Command[Any]]) -> str:
        """Write a message in the envelope that it has.

        Args:
            envelope: The message; what is None in its envelope is not written.

        Returns:
            The frame's text.

        Raises:
            EncodeError: A peer could not read it; ``errors`` says where.
        """
        return self._plain_write(envelope)

    def _plain_write(self, envelope: Envelope[Any] | IncomingMessage[Any]) -> str:
        try:
            text = self._writer.text(envelope)
        except RecursionError:
            text = ""
        if not text:
            raise EncodeError(errors=[_NO_ROOM])
        may_be_deep = self._writer.depths.get(type(envelope.payload), MAX_DEPTH) >= MAX_DEPTH
        if may_be_deep and is_too_deep(text, MAX_DEPTH):
            raise EncodeError(errors=[FieldError("$", f"at most {MAX_DEPTH} levels of nesting")])
        return text

    def _plain_command(self, frame: Frame) -> IncomingMessage[Command[Any]]:
        try:
            return self.reader.command(read_object(frame, self.max_size))
        except RecursionError:
            pass  # raised below, so that the error carries nothing of this one
        raise InvalidMessageError(errors=[_NO_ROOM])

    def _plain_server_message(self, frame: Frame) -> OutgoingMessage[ServerPayload]:
        try:
            return self.reader.server_message(read_object(frame, self.max_size))
        except RecursionError:
            pass
        raise InvalidMessageError(errors=[_NO_ROOM])

    @cached_property
    def _converter(self) -> Converter:
        return make_converter(self.registry, forbid_unknown_fields=self.forbid_unknown_fields)

    def _refuse_unreadable(self, frame: dict[str, Any]) -> None:
        """Refuse what was not kept, but made up, and would not be read."""
        try:
            self.reader.server_message(frame)
        except ProtocolError as error:
            errors = error.errors
        else:
            return
        raise EncodeError(errors=errors)

    @cached_property
    def reader(self) -> FrameReader:
        """Reads frames that are JSON objects already, for tools that look at them first."""
        return FrameReader(
            self.registry, self._converter, forbid_unknown_fields=self.forbid_unknown_fields
        )

    @cached_property
    def _writer(self) -> "FrameWriter":
        from tachikoma_proto.codec.converter.frame_writer import FrameWriter  # to read needs none

        return FrameWriter(self.registry, self._converter, self._refuse_unreadable)
