"""What a handler sees of a connection: its session, and who is at the other end."""

from abc import ABC, abstractmethod
from datetime import datetime
from typing import Any
from uuid import UUID, uuid4

from attrs import Attribute, field, frozen, validators

from tachikoma_proto.declare.bases import Event
from tachikoma_proto.wire.timestamps import utc_now


def _aware(_: object, __: "Attribute[datetime | None]", value: datetime | None) -> None:
    if value is not None and value.utcoffset() is None:
        raise ValueError("expires_at is an aware time: it has a time zone")


@frozen
class Identity:
    """Who a token belongs to.

    Attributes:
        user_id: The user.
        expires_at: Until when the token is good, aware; None if it does not expire.

    Raises:
        TypeError: The user is no UUID.
        ValueError: The time is naive.
    """

    user_id: UUID = field(validator=validators.instance_of(UUID))
    expires_at: datetime | None = field(default=None, validator=_aware)


class Session(ABC):
    """One connection, as handlers see it.

    Attributes:
        id: The session's id.
        connected_at: Since when it stands; aware.
        data: A place for what handlers want to keep of it.
    """

    def __init__(self) -> None:
        self.id: UUID = uuid4()
        self.connected_at: datetime = utc_now()
        self.data: dict[str, Any] = {}
        self._identity: Identity | None = None

    def __repr__(self) -> str:
        user = f"user {self._identity.user_id}" if self._identity else "not authenticated"
        return f"<{type(self).__name__} {self.id}, {user}>"

    @property
    def identity(self) -> Identity | None:
        """Who is at the other end; None before authentication."""
        return self._identity

    @property
    @abstractmethod
    def subscriptions(self) -> tuple[str, ...]:
        """The topics that it subscribes to, in the order of subscribing."""

    @abstractmethod
    def publish(self, event: Event) -> int:
        """Give an event to every session of the server that subscribed to it.

        It is ``Server.publish``, for handlers that have no server at hand.
        """

    @abstractmethod
    def close(self, code: int = 1000, reason: str = "") -> None:
        """End the session: it gets no more commands and events, but answers to what it asked.

        Args:
            code: The close code of RFC 6455.
            reason: Why, for a person; cut at 123 bytes.
        """
