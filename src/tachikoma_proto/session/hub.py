"""The hub: what the sessions of one server share, and how an event gets to them."""

import logging
from collections.abc import Callable
from typing import Any, TypeAlias

from tachikoma_proto.codec.codec import Codec
from tachikoma_proto.declare.bases import Command, Event, Message
from tachikoma_proto.declare.declarations import MessageKind
from tachikoma_proto.declare.shapes import holds_secrets
from tachikoma_proto.session.config import ServerConfig
from tachikoma_proto.session.metrics import Metrics, guarded
from tachikoma_proto.session.server_session import ServerSession
from tachikoma_proto.session.session import Session
from tachikoma_proto.session.subscriptions import SubscriptionIndex

log = logging.getLogger(__name__)

MaySubscribe: TypeAlias = Callable[[Session, str], bool]
"""Tells whether a session may have the events of a topic, and of all below it."""


class Hub:
    """The sessions of one server, without I/O.

    Args:
        codec: Reads and writes their frames.
        config: What each of them is granted; the defaults if left out.
        metrics: Told what happens, if anybody is to be.
        may_subscribe: Whether a session may have the events of a topic; everyone may if left out.

    Attributes:
        index: Who subscribes to what.
        replies: The response that answers each command, where one class does.
        guard: Called before each event is published; raises if it must not be now.
        public: The commands that need no authentication.
    """

    def __init__(
        self,
        codec: Codec,
        config: ServerConfig | None = None,
        *,
        metrics: Metrics | None = None,
        may_subscribe: MaySubscribe | None = None,
    ) -> None:
        self.codec = codec
        self.config = config or ServerConfig()
        self.metrics = guarded(metrics)
        self._may_subscribe = may_subscribe or _everyone
        self.index: SubscriptionIndex[ServerSession] = SubscriptionIndex(codec.registry)
        self.guard: Callable[[], None] = _nothing
        self.replies = {
            declaration.cls: declaration.reply
            for declaration in codec.registry
            if declaration.kind is MessageKind.COMMAND
        }
        self.public: frozenset[type[Command[Any]]] = frozenset(
            declaration.cls
            for declaration in codec.registry
            if declaration.public
            and declaration.kind in (MessageKind.COMMAND, MessageKind.KEEPALIVE)
        )

    def has_secrets(self, message: Message) -> bool:
        """Tell whether a message has a field that may be shown nowhere, however deep."""
        return holds_secrets(type(message), self.codec.registry.records)

    def allows(self, session: Session, topic: str) -> bool:
        """Tell whether a session may have the events of a topic.

        Only a True is a yes: neither an exception nor an awaitable lets anybody in.
        """
        try:
            return self._may_subscribe(session, topic) is True
        except Exception:
            log.exception("session %s: it cannot be told what it may subscribe to", session.id)
            return False

    def open(self, now: float) -> ServerSession:
        """Begin a session.

        Args:
            now: The present time in seconds, monotonic.
        """
        return ServerSession(self, now)

    def publish(self, event: Event) -> int:
        """Give an event to everyone who subscribed to it; it is encoded once.

        A session whose queue is full does not get it: it is cut off, and ends with close code
        1013.

        Args:
            event: The event.

        Returns:
            For how many sessions it was queued.

        Raises:
            EncodeError: A peer could not read it, or no category of the registry holds it. It is
                not looked at while nobody subscribes.
            RegistryError: Its category has no topic.
        """
        self.guard()
        receivers = self.index.receivers(event)
        if not receivers:
            return 0
        text = self.codec.encode(event)
        return sum([session.push(text) for session in receivers])


def _everyone(_: Session, __: str) -> bool:
    return True


def _nothing() -> None:
    pass
