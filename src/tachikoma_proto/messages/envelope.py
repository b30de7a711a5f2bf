"""Envelopes: the id, the type and the time of a message, around its payload.

Rules:

* ``type`` is the wire's message type, and goes with the payload's class.
* ``id`` and ``timestamp`` are made where they are not given. A client may leave them out, so
  what a server reads may have none.
"""

from datetime import datetime
from typing import Generic, TypeVar
from uuid import UUID

from attrs import field, validators

from tachikoma_proto.declare.bases import Message
from tachikoma_proto.declare.field_types import U64
from tachikoma_proto.declare.frozen import frozen
from tachikoma_proto.wire.formats import new_uuid, utc_now

P = TypeVar("P", covariant=True)
"""The payload's class."""


@frozen(kw_only=True)
class Position:
    """A place in the log of a category's topic, from which a subscription can resume.

    Attributes:
        topic: The category's topic, such as ``missions``.
        epoch: One life of the log; at most 64 ASCII characters.
        offset: How many events the log held in that life, this one included.
    """

    topic: str
    epoch: str = field(validator=validators.matches_re(r"[\x00-\x7f]{0,64}"))
    offset: U64


@frozen(kw_only=True)
class Envelope(Message, Generic[P]):
    """A message as it is sent.

    Attributes:
        id: What an answer refers to.
        type: The message type.
        timestamp: When it was sent; aware.
        payload: The command, event or response.
    """

    id: UUID = field(factory=new_uuid)
    type: str
    timestamp: datetime = field(factory=utc_now)
    payload: P


@frozen(kw_only=True)
class OutgoingMessage(Envelope[P]):
    """A message from a server.

    Attributes:
        reply_to: The ``id`` of the message that it answers.
        position: Where the event stands in the log of its topic; only in sessions that resume.
    """

    reply_to: UUID | None = None
    position: Position | None = None


@frozen(kw_only=True)
class IncomingMessage(Message, Generic[P]):
    """A message from a client, as a server reads it.

    Attributes:
        id: What the answer refers to; None if the client gave none.
        type: The message type.
        timestamp: When it was sent; None if the client did not say.
        payload: The command.
    """

    id: UUID | None = None
    type: str
    timestamp: datetime | None = None
    payload: P
