"""Session events: what a session asks its owner to do.

A session does no I/O and calls nobody back for a decision. What it cannot do itself (run a
handler, look a token up, ask for a permission) comes out of ``receive`` as one of these; the owner
does it and tells the session the result.
"""

from datetime import datetime
from typing import Any, TypeAlias
from uuid import UUID

from attrs import field, frozen

from tachikoma_proto.declare.bases import Command, Event, Response
from tachikoma_proto.declare.field_types import masked
from tachikoma_proto.errors import ProtocolError, RemoteError
from tachikoma_proto.messages.commands import SubscriptionFilters
from tachikoma_proto.messages.envelope import IncomingMessage, OutgoingMessage, Position
from tachikoma_proto.messages.unknown import UnknownEvent, UnknownMessage
from tachikoma_proto.session.session import Identity
from tachikoma_proto.wire.formats import utc_now


@frozen
class CommandReceived:
    """Run a command; answer with ``reply``, ``refuse`` or ``fail``."""

    message: IncomingMessage[Command[Any]]


@frozen
class AuthenticationRequested:
    """Check a token; answer with ``authenticated``, ``refuse`` or ``fail``.

    Attributes:
        message_id: The id of the message that brought it.
        token: The token, a secret.
        message: The whole message.
    """

    message_id: UUID | None
    token: str = field(repr=masked)
    message: IncomingMessage[Command[Any]] | None = field(default=None, eq=False, repr=False)


@frozen
class SubscriptionRequested:
    """Decide whether the session may subscribe; answer with ``decide_subscription`` or ``fail``.

    Attributes:
        message_id: The id of the message with the command.
        topic: The topic, in the form that events have it.
        filters: What narrows the subscription.
        identity: Who asked.
        message: The whole message.
        resumes: Whether it asks for positions.
        since: The position from which it resumes, if it does.
    """

    message_id: UUID | None
    topic: str
    filters: SubscriptionFilters | None
    identity: Identity | None
    message: IncomingMessage[Command[Any]] | None = field(default=None, eq=False, repr=False)
    resumes: bool = False
    since: Position | None = None


@frozen
class ReauthenticationRequested:
    """Decide which topics a new identity may keep; ``authenticated`` returns it.

    The session has the new identity already, so that permissions can be looked up for it. Answer
    with ``decide_reauthentication``; ``undo_reauthentication`` leaves everything as it was.

    Attributes:
        message_id: The id of the message that brought the token.
        topics: What the session is subscribed to.
        previous: Who the session belonged to before.
    """

    message_id: UUID | None
    topics: tuple[str, ...]
    previous: Identity | None


@frozen
class Subscribed:
    """A subscription was acknowledged; send what should come before its events.

    It does not come where a subscription was recovered: the client has all that was before.

    Events for the session are held back until ``release_events`` is called.

    Attributes:
        topic: The topic.
    """

    topic: str


ServerSessionEvent: TypeAlias = (
    CommandReceived | AuthenticationRequested | SubscriptionRequested | Subscribed
)


@frozen
class ResponseReceived:
    """A command was answered.

    Attributes:
        message_id: The id of the message with the command.
        response: The response; or the server's error, or what is wrong with its response.
        timestamp: When the server sent it, by its own clock.
    """

    message_id: UUID
    response: Response | RemoteError | ProtocolError
    timestamp: datetime = field(eq=False, factory=utc_now)


@frozen
class MessageReceived:
    """The server sent something that is no response: an event, or a message of unknown type."""

    message: OutgoingMessage[Event | UnknownEvent | UnknownMessage]


@frozen
class PositionReceived:
    """The server said how far the session has a log, without an event."""

    position: Position


ClientSessionEvent: TypeAlias = ResponseReceived | MessageReceived | PositionReceived
