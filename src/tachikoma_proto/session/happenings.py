"""What comes out of a session for somebody else to deal with."""

from typing import Any, TypeAlias
from uuid import UUID

from attrs import field, frozen

from tachikoma_proto.declare.bases import Command, Event, Response
from tachikoma_proto.declare.field_types import masked
from tachikoma_proto.errors import ProtocolError, RemoteError
from tachikoma_proto.messages.envelope import IncomingMessage, OutgoingMessage
from tachikoma_proto.messages.unknown import UnknownEvent, UnknownMessage


@frozen
class CommandReceived:
    """A command is to be carried out; answer it with ``reply`` or ``refuse``."""

    message: IncomingMessage[Command[Any]]


@frozen
class AuthenticationRequested:
    """A token is to be checked; say who it is with ``authenticated``.

    Attributes:
        message_id: The id of the message that brought it.
        token: The token, a secret.
    """

    message_id: UUID | None
    token: str = field(repr=masked)


ServerHappening: TypeAlias = CommandReceived | AuthenticationRequested


@frozen
class Answered:
    """A command was answered.

    Attributes:
        message_id: The id of the message with the command.
        response: The answer, or what stands in its place: the server's error, or what is wrong
            with its answer.
    """

    message_id: UUID
    response: Response | RemoteError | ProtocolError


@frozen
class Pushed:
    """The server said something that is no answer."""

    message: OutgoingMessage[Event | UnknownEvent | UnknownMessage]


ClientHappening: TypeAlias = Answered | Pushed
