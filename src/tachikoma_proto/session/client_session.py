"""The client's side of a connection: which answer belongs to which command.

Rules:

* An answer is matched to its command by ``reply_to``, and is the one that ``Command[R]`` names or
  an error; any other is a fault of the server's.
* Events come out as they came, in order. What the registry does not know comes out too.
* A frame that cannot be read, and an answer that nobody waits for, are logged and passed over:
  one bad frame is no reason to lose the others.
* A ping of the server's is answered with a bare pong.
"""

import logging
from typing import Any
from uuid import UUID

from tachikoma_proto.codec.codec import Codec
from tachikoma_proto.declare.bases import Command, Event, Response
from tachikoma_proto.declare.declarations import MessageKind
from tachikoma_proto.errors import FieldError, InvalidMessageError, ProtocolError, RemoteError
from tachikoma_proto.messages.commands import Ping, Pong
from tachikoma_proto.messages.envelope import OutgoingMessage
from tachikoma_proto.messages.responses import ErrorResponse, PongResponse
from tachikoma_proto.messages.unknown import UnknownEvent, UnknownMessage
from tachikoma_proto.session.config import ClientConfig
from tachikoma_proto.session.conversation import Conversation
from tachikoma_proto.session.happenings import Answered, ClientHappening, Pushed
from tachikoma_proto.session.keepalive import Keepalive
from tachikoma_proto.session.metrics import Metrics, guarded
from tachikoma_proto.wire.json_reader import Frame
from tachikoma_proto.wire.uuids import new_uuid

log = logging.getLogger(__name__)


class ClientSession(Conversation[ClientHappening]):
    """One connection of a client.

    Args:
        codec: Reads and writes the frames.
        config: How it behaves; the defaults if left out.
        metrics: Told what happens, if anybody is to be.
        now: The present time in seconds, monotonic.

    Example::

        session = ClientSession(codec, now=0.0)
        asked = session.ask(GetMissionStatus(mission_id=m))
        send(session.take())
        happening = session.receive(frame, now=1.0)
    """

    def __init__(
        self,
        codec: Codec,
        config: ClientConfig | None = None,
        *,
        metrics: Metrics | None = None,
        now: float,
    ) -> None:
        config = config or ClientConfig()
        keepalive = Keepalive(config.ping_interval, config.pong_timeout, now)
        super().__init__(guarded(metrics), keepalive)
        self._codec = codec
        self._waiting: dict[UUID, type[Response] | None] = {}
        self._asked_last = new_uuid()

    @property
    def waiting(self) -> frozenset[UUID]:
        """The ids of the messages that are not answered yet."""
        return frozenset(self._waiting)

    def ask(self, command: Command[Any]) -> UUID:
        """Queue a command.

        Args:
            command: The command.

        Returns:
            The id of its message, which the answer will name.

        Raises:
            EncodeError: The server could not read it.
            ValueError: It is no command that is answered.
        """
        declaration = self._codec.registry.declaration_of(type(command))
        if declaration is not None and declaration.kind is not MessageKind.COMMAND:
            raise ValueError(
                f"{declaration.owner} is no command that is answered: it cannot be asked"
            )
        message_id = new_uuid()
        text = self._codec.encode(command, id=message_id)
        self._waiting[message_id] = declaration.reply if declaration else None
        self._say(text)
        return message_id

    def forget(self, message_id: UUID) -> None:
        """Wait for an answer no longer; if it comes, it is passed over."""
        self._waiting.pop(message_id, None)

    def receive(self, frame: Frame, now: float) -> ClientHappening | None:
        """Take in a frame from the server.

        Args:
            frame: The text, or its bytes in UTF-8.
            now: The present time in seconds.

        Returns:
            What it means for the user; None if it is the session's own affair.
        """
        if self.closing is not None:
            return None
        self._heard(frame, now)
        try:
            message = self._codec.decode_server_message(frame)
        except ProtocolError as error:
            log.warning("a frame of the server's cannot be read: %s", error)
            return None
        payload = message.payload
        if isinstance(payload, Ping):
            self._say(self._codec.encode(Pong()))
            return None
        if message.reply_to is not None:
            return self._match(message.reply_to, payload)
        if isinstance(payload, (Event, UnknownEvent, UnknownMessage)):
            pushed: OutgoingMessage[Any] = message
            return Pushed(pushed)
        if isinstance(payload, ErrorResponse):
            self._was_told(payload.code)
            log.warning("the server reports %s, and does not say of what", ascii(payload.code))
        else:
            log.warning("an answer (%s) does not say to what", message.type)
        return None

    def _match(self, message_id: UUID, payload: object) -> Answered | None:
        if message_id not in self._waiting:
            log.debug("an answer came that nobody waits for")
            return None
        expected = self._waiting.pop(message_id)
        if message_id == self._asked_last:
            return None
        if isinstance(payload, ErrorResponse):
            self._was_told(payload.code)
            return Answered(message_id, RemoteError(payload.code, payload.message, payload.details))
        if isinstance(payload, Response) and isinstance(payload, expected or Response):
            return Answered(message_id, payload)
        name = expected.__qualname__ if expected else "a response"
        fault = FieldError("$.type", f"the type of {name}, which answers the command")
        return Answered(message_id, InvalidMessageError(errors=[fault]))

    def _ping(self) -> str:
        self.forget(self._asked_last)
        self._asked_last = new_uuid()
        self._waiting[self._asked_last] = PongResponse
        return self._codec.encode(Ping(), id=self._asked_last)
