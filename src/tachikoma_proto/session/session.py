"""``Session``: one connection, as handlers see it, and the identity of its client.

It is abstract so that handlers depend on what they may use, not on how a session works inside,
and so that a test can call a handler with a session of its own.
"""

from abc import ABC, abstractmethod
from collections.abc import Collection
from datetime import datetime
from typing import Any, Protocol
from uuid import UUID, uuid4

from attrs import Attribute, field, frozen, validators

from tachikoma_proto.declare.bases import Event
from tachikoma_proto.messages.commands import SubscriptionFilters
from tachikoma_proto.wire.formats import utc_now


def _aware(_: object, __: "Attribute[datetime | None]", value: datetime | None) -> None:
    if value is not None and value.utcoffset() is None:
        raise ValueError("expires_at must be an aware time: it needs a time zone")


def _scopes(scopes: Collection[str]) -> frozenset[str]:
    if isinstance(scopes, str):
        raise TypeError("scopes is a collection of strings, not one string")
    return frozenset(scopes)


@frozen
class Identity:
    """Who a token belongs to.

    Attributes:
        user_id: The user.
        expires_at: Until when the token is valid, aware; None if it does not expire.
        scopes: What the user may do, in the application's own words. The library only keeps them.

    Raises:
        TypeError: The user is no UUID, or the scopes are one string.
        ValueError: The time is naive.
    """

    user_id: UUID = field(validator=validators.instance_of(UUID))
    expires_at: datetime | None = field(default=None, validator=_aware)
    scopes: frozenset[str] = field(default=frozenset(), converter=_scopes)


class Publisher(Protocol):
    """Publishes events: a server, as sessions know it."""

    def publish(self, event: Event, /) -> int:
        """Send an event to every session that subscribed to it.

        Returns:
            For how many sessions it was queued at once.
        """
        ...


class Session(ABC):
    """One connection, as handlers see it.

    Attributes:
        id: The session's id.
        connected_at: When the connection was opened; aware.
        remote_address: The address of the peer, if the transport knows it.
        data: Whatever handlers want to keep with the session.
    """

    def __init__(self, remote_address: str | None = None) -> None:
        self.id: UUID = uuid4()
        self.connected_at: datetime = utc_now()
        self.remote_address = remote_address
        self.data: dict[str, Any] = {}
        self._identity: Identity | None = None

    def __repr__(self) -> str:
        user = f"user {self._identity.user_id}" if self._identity else "not authenticated"
        return f"<{type(self).__name__} {self.id}, {user}>"

    @property
    def identity(self) -> Identity | None:
        """The identity of the client; None before authentication."""
        return self._identity

    @property
    @abstractmethod
    def server(self) -> Publisher:
        """The server, to publish events with."""

    @property
    @abstractmethod
    def subscriptions(self) -> tuple[str, ...]:
        """The topics that the session is subscribed to, in the order of subscribing."""

    @abstractmethod
    def send(self, event: Event) -> bool:
        """Send an event to this session alone, whatever it is subscribed to.

        Args:
            event: The event.

        Returns:
            Whether it was queued; False if the session is closing.

        Raises:
            EncodeError: The peer could not read it.
        """

    @abstractmethod
    def subscribe(self, topic: str, filters: SubscriptionFilters | None = None) -> None:
        """Subscribe the session to a topic, without asking the client or ``may_subscribe``.

        Args:
            topic: The topic; a subscription to the same one is replaced.
            filters: What narrows it.

        Raises:
            CommandError: No event can ever go to the topic; the code is ``not_found``.
        """

    @abstractmethod
    def unsubscribe(self, topic: str) -> None:
        """End a subscription of the session.

        Raises:
            CommandError: There is none to that topic; the code is ``not_found``.
        """

    @abstractmethod
    def close(self, code: int = 1000, reason: str = "") -> None:
        """Close the session in order.

        It takes no more commands and events, answers the commands that are running, and closes
        the connection, within ``close_timeout`` seconds.

        Args:
            code: The close code of RFC 6455.
            reason: Why, for a person; truncated to 123 bytes.
        """

    @abstractmethod
    def abort(self, code: int = 1011, reason: str = "") -> None:
        """Close the session at once; what waits to be sent is dropped.

        Args:
            code: The close code of RFC 6455.
            reason: Why, for a person; truncated to 123 bytes.
        """
