"""``ClientSession``: a client's side of one connection, without I/O.

It matches responses to commands, so that whoever drives it only waits for them.

Rules:

* A response is matched to its command by ``reply_to``. It must be of the class that ``Command[R]``
  names, or an error; any other is a fault of the server.
* Events come out in the order in which they came, those that the registry does not know included,
  and so do positions, which count along with them.
* A frame that cannot be read, and a response that nobody waits for, are logged and ignored: one
  bad frame is no reason to lose the others.
* A ping from the server is answered with a bare pong.
"""

from datetime import datetime
from typing import Any
from uuid import UUID

from tachikoma_proto.codec.codec import Codec
from tachikoma_proto.declare.bases import Command, Event, Response
from tachikoma_proto.declare.declarations import MessageKind
from tachikoma_proto.errors import FieldError, InvalidMessageError, ProtocolError, RemoteError
from tachikoma_proto.messages.commands import Ping, Pong
from tachikoma_proto.messages.envelope import OutgoingMessage
from tachikoma_proto.messages.responses import ErrorResponse, PongResponse, PositionUpdate
from tachikoma_proto.messages.unknown import UnknownEvent, UnknownMessage
from tachikoma_proto.session.base import BaseSession, Keepalive
from tachikoma_proto.session.config import ClientConfig
from tachikoma_proto.session.events import (
    ClientSessionEvent,
    MessageReceived,
    PositionReceived,
    ResponseReceived,
)
from tachikoma_proto.session.logs import client_logger
from tachikoma_proto.session.metrics import Metrics, guarded
from tachikoma_proto.wire.formats import new_uuid
from tachikoma_proto.wire.json_reader import Frame


class ClientSession(BaseSession[ClientSessionEvent]):
    """One connection of a client.

    Args:
        codec: Reads and writes the frames.
        config: How it behaves; the defaults if left out.
        metrics: Hooks for what happens.
        now: The present time in seconds, monotonic.

    Example::

        session = ClientSession(codec, now=0.0)
        message_id = session.request(GetMissionStatus(mission_id=m))
        send(session.next_frame())
        event = session.receive(frame, now=1.0)
    """

    log = client_logger

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
        self._last_ping = new_uuid()

    @property
    def waiting(self) -> frozenset[UUID]:
        """The ids of the commands without a response so far."""
        return frozenset(self._waiting)

    def request(self, command: Command[Any]) -> UUID:
        """Queue a command that is answered.

        Args:
            command: The command.

        Returns:
            The id of its message, which the response will name.

        Raises:
            EncodeError: The server could not read it.
            ValueError: It is no command, or one that nothing answers.
        """
        declaration = self._codec.registry.declaration_of(type(command))
        if declaration is not None and declaration.kind is not MessageKind.COMMAND:
            raise ValueError(
                f"{declaration.owner} is not a command that is answered: it cannot be requested"
            )
        message_id = new_uuid()
        text = self._codec.encode(command, id=message_id)
        self._waiting[message_id] = declaration.reply if declaration else None
        self._send(text)
        return message_id

    def forget(self, message_id: UUID) -> None:
        """Stop waiting for a response; if it comes, it is ignored."""
        self._waiting.pop(message_id, None)

    def receive(self, frame: Frame, now: float) -> ClientSessionEvent | None:
        """Take in a frame from the server.

        Args:
            frame: The text, or its bytes in UTF-8.
            now: The present time in seconds.

        Returns:
            What the owner has to do; None if there is nothing.
        """
        if self.closing is not None:
            return None
        self._heard(frame, now)
        try:
            message = self._codec.decode_server_message(frame)
        except ProtocolError as error:
            self.log.warning("cannot read a frame from the server: %s", error)
            return None
        payload = message.payload
        if isinstance(payload, Ping):
            self._send(self._codec.encode(Pong()))
            return None
        if message.reply_to is not None:
            return self._match(message.reply_to, payload, message.timestamp)
        if isinstance(payload, (Event, UnknownEvent, UnknownMessage)):
            received: OutgoingMessage[Any] = message
            return MessageReceived(received)
        if isinstance(payload, PositionUpdate):
            return PositionReceived(payload.position)
        if isinstance(payload, ErrorResponse):
            self._count_error(payload.code)
            self.log.warning("the server sent the error %s without reply_to", ascii(payload.code))
        else:
            self.log.warning("the server sent a response (%s) without reply_to", message.type)
        return None

    def _match(
        self, message_id: UUID, payload: object, timestamp: datetime
    ) -> ResponseReceived | None:
        if message_id not in self._waiting:
            self.log.debug("ignored a response that nobody waits for")
            return None
        expected = self._waiting.pop(message_id)
        if message_id == self._last_ping:
            return None
        if isinstance(payload, ErrorResponse):
            self._count_error(payload.code)
            error = RemoteError(payload.code, payload.message, payload.details)
            return ResponseReceived(message_id, error, timestamp)
        if isinstance(payload, Response) and isinstance(payload, expected or Response):
            return ResponseReceived(message_id, payload, timestamp)
        name = expected.__qualname__ if expected else "a response"
        fault = FieldError("$.type", f"the type of {name}, which answers the command")
        return ResponseReceived(message_id, InvalidMessageError(errors=[fault]), timestamp)

    def _ping_frame(self) -> str:
        self.forget(self._last_ping)
        self._last_ping = new_uuid()
        self._waiting[self._last_ping] = PongResponse
        return self._codec.encode(Ping(), id=self._last_ping)
