"""Envelopes: who said what when, and in answer to what.

Rules:

* ``type`` is the wire's message type, and goes with the payload's class.
* ``id`` and ``timestamp`` are made where they are not given. A client may leave them out, so
  what a server reads may have none.
"""

from datetime import datetime
from typing import Generic, TypeVar
from uuid import UUID

from attrs import field, frozen

from tachikoma_proto.declare.bases import Message
from tachikoma_proto.wire.timestamps import utc_now
from tachikoma_proto.wire.uuids import new_uuid

P = TypeVar("P", covariant=True)
"""The payload's class."""


class _Members(Message, Generic[P]):
    """What an envelope holds, in one class: so it can be laid out alike in one, too."""

    __slots__ = ("id", "payload", "reply_to", "timestamp", "type")


@frozen(kw_only=True)
class Envelope(_Members[P]):
    """A message as it is sent.

    Attributes:
        id: What an answer refers to.
        type: The message type.
        timestamp: When it was said; aware.
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
    """

    reply_to: UUID | None = None


@frozen(kw_only=True)
class IncomingMessage(Message, Generic[P]):
    """A message from a client, as a server reads it.

    Attributes:
        id: What the answer refers to; None if the client gave none.
        type: The message type.
        timestamp: When it was said; None if the client did not say.
        payload: The command.
    """

    id: UUID | None = None
    type: str
    timestamp: datetime | None = None
    payload: P
