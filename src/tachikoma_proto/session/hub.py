"""``Hub``: what the sessions of one server share, and how an event gets to them.

Rules:

* The hub owns the context of its sessions; sessions know the context, not the hub.
* An event is encoded once, however many sessions receive it, and not at all while none does.
"""

from tachikoma_proto.codec.codec import Codec
from tachikoma_proto.declare.bases import Event
from tachikoma_proto.declare.declarations import MessageKind
from tachikoma_proto.session.config import ServerConfig
from tachikoma_proto.session.metrics import Metrics, guarded
from tachikoma_proto.session.server_session import ServerSession, SessionContext
from tachikoma_proto.session.session import Publisher
from tachikoma_proto.session.subscriptions import SubscriptionIndex
from tachikoma_proto.wire.json_reader import size_of


class Hub:
    """The sessions of one server, without I/O.

    Args:
        codec: Reads and writes their frames.
        config: The limits of each session; the defaults if left out.
        metrics: Hooks for what happens.
        publisher: What sessions offer as their ``server``; the hub itself if left out.
        asks_permission: Whether a session asks its owner before it subscribes, with
            ``SubscriptionRequested``; otherwise everyone may subscribe to everything.
        announces_subscriptions: Whether a session tells its owner of each subscription, with
            ``Subscribed``.

    Attributes:
        context: What the sessions share.
        index: Who is subscribed to what.
    """

    def __init__(
        self,
        codec: Codec,
        config: ServerConfig | None = None,
        *,
        metrics: Metrics | None = None,
        publisher: Publisher | None = None,
        asks_permission: bool = False,
        announces_subscriptions: bool = False,
    ) -> None:
        self.index: SubscriptionIndex[ServerSession] = SubscriptionIndex(codec.registry)
        commands = [
            declaration
            for declaration in codec.registry
            if declaration.kind in (MessageKind.COMMAND, MessageKind.KEEPALIVE)
        ]
        self.context = SessionContext(
            codec=codec,
            config=config or ServerConfig(),
            metrics=guarded(metrics),
            index=self.index,
            replies={
                declaration.cls: declaration.reply
                for declaration in commands
                if declaration.kind is MessageKind.COMMAND
            },
            public=frozenset(declaration.cls for declaration in commands if declaration.public),
            publisher=publisher or self,
            asks_permission=asks_permission,
            announces_subscriptions=announces_subscriptions,
        )

    def open(self, now: float, remote_address: str | None = None) -> ServerSession:
        """Return a new session.

        Args:
            now: The present time in seconds, monotonic.
            remote_address: The address of the peer, if it is known.
        """
        return ServerSession(self.context, now, remote_address)

    def publish(self, event: Event, /) -> int:
        """Send an event to every session that subscribed to it.

        Args:
            event: The event.

        Returns:
            For how many sessions it was queued.

        Raises:
            EncodeError: A peer could not read it, or no category of the registry holds it. It is
                not looked at while nobody is subscribed.
            RegistryError: Its category has no topic.
        """
        receivers = self.index.receivers(event)
        if not receivers:
            return 0
        text = self.context.codec.encode(event)
        frame = (text, size_of(text), True)
        return sum([session.push(frame) for session in receivers])
