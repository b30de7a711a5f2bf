"""Help for the tests of a server: a client without sockets, and a session without a connection.

::

    async def test_a_mission_starts() -> None:
        async with connect(server, token="t0ken") as client:
            assert await client.request(StartMission(mission_id=m)) == AckResponse.ok()

    async def test_the_handler_alone() -> None:
        session = RecordingSession(Identity(user_id))
        assert await start(StartMission(mission_id=m), session) == AckResponse.ok()
        assert session.published == [MissionStarted(mission_id=m)]
"""

import asyncio

from tachikoma_proto.client.client import Client
from tachikoma_proto.client.reconnector import Token
from tachikoma_proto.declare.bases import Event
from tachikoma_proto.errors import CommandError
from tachikoma_proto.messages.commands import SubscriptionFilters
from tachikoma_proto.server.server import Server
from tachikoma_proto.session.config import ClientConfig
from tachikoma_proto.session.session import Identity, Publisher, Session
from tachikoma_proto.transports.memory import MemoryTransport, memory_pair
from tachikoma_proto.transports.transport import ConnectionRequest


class _MemoryClient(Client):
    """A client whose connections are served in the same event loop."""

    def __init__(
        self,
        server: Server,
        *,
        token: Token | None,
        config: ClientConfig | None,
        request: ConnectionRequest | None,
    ) -> None:
        super().__init__(self._open, token=token, codec=server.codec, config=config)
        self._server = server
        self._request = request
        self._serving: set[asyncio.Task[None]] = set()

    async def _open(self) -> MemoryTransport:
        server_end, client_end = memory_pair(self._request)
        self._serving.add(asyncio.create_task(self._server.handle(server_end)))
        return client_end

    async def close(self) -> None:
        """End the connection, and wait until the server has noticed."""
        await super().close()
        await asyncio.gather(*self._serving)


def connect(
    server: Server,
    *,
    token: Token | None = None,
    config: ClientConfig | None = None,
    request: ConnectionRequest | None = None,
) -> Client:
    """Return a client of a server in the same event loop; it connects when its block is entered.

    Everything is as over a socket, but for the socket: frames, authentication, limits, closing.

    Args:
        server: The server.
        token: Shows who the user is.
        config: How the client behaves; the defaults if left out.
        request: The handshake that ``authenticate_request`` sees.
    """
    return _MemoryClient(server, token=token, config=config, request=request)


class RecordingSession(Session):
    """A session without a connection, to call a handler with; it keeps what is done to it.

    Args:
        identity: The identity of the client.

    Attributes:
        sent: What was sent to this session alone.
        published: What was published with its ``server``.
        closed: The code and the reason with which it was closed; None if it was not.
    """

    def __init__(self, identity: Identity | None = None) -> None:
        super().__init__("memory")
        self._identity = identity
        self.sent: list[Event] = []
        self.published: list[Event] = []
        self.closed: tuple[int, str] | None = None
        self._subscriptions: dict[str, SubscriptionFilters | None] = {}

    @property
    def server(self) -> Publisher:
        """Keeps what is published."""
        return _RecordingPublisher(self.published)

    @property
    def subscriptions(self) -> tuple[str, ...]:
        """The topics that it is subscribed to, in the order of subscribing."""
        return tuple(self._subscriptions)

    def send(self, event: Event) -> bool:
        """Keep an event in ``sent``; return whether the session is open."""
        if self.closed is None:
            self.sent.append(event)
        return self.closed is None

    def subscribe(self, topic: str, filters: SubscriptionFilters | None = None) -> None:
        """Keep a subscription; any topic will do."""
        self._subscriptions[topic] = filters

    def unsubscribe(self, topic: str) -> None:
        """End a subscription."""
        if topic not in self._subscriptions:
            raise CommandError("not_found", "subscription not found")
        del self._subscriptions[topic]

    def close(self, code: int = 1000, reason: str = "") -> None:
        """Keep how the session was closed."""
        self.closed = self.closed or (code, reason)

    def abort(self, code: int = 1011, reason: str = "") -> None:
        """Keep how the session was closed."""
        self.close(code, reason)


class _RecordingPublisher:
    """Keeps what is published."""

    def __init__(self, published: list[Event]) -> None:
        self._published = published

    def publish(self, event: Event, /) -> int:
        self._published.append(event)
        return 0
