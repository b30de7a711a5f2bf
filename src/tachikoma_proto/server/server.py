"""``Server``: serves accepted connections, and publishes events to them.

Rules:

* A server belongs to one event loop, and its ``publish`` to that loop's thread.
* ``close`` ends within a bounded time, whatever handlers, peers and the broker do.
* Events go through the broker's logs. Without a broker, they go through one in memory.
"""

import asyncio
import random
from types import TracebackType
from typing import Final, Self

from tachikoma_proto.brokers.broker import Broker
from tachikoma_proto.brokers.memory import MemoryBroker
from tachikoma_proto.codec.codec import Codec
from tachikoma_proto.connection.driver import AnyTransport, ConnectionEnd
from tachikoma_proto.connection.recording import Recorder, RecordTarget
from tachikoma_proto.declare.bases import Event
from tachikoma_proto.declare.declarations import Sender
from tachikoma_proto.errors import RegistryError
from tachikoma_proto.registry.registry import Registry
from tachikoma_proto.server.broker_driver import BrokerDriver
from tachikoma_proto.server.connection import (
    Authenticator,
    Callbacks,
    Connection,
    MaySubscribe,
    OnSubscribe,
    RequestAuthenticator,
    SessionLifespan,
)
from tachikoma_proto.server.dispatcher import Dispatcher
from tachikoma_proto.session.base import TRY_AGAIN_LATER
from tachikoma_proto.session.config import ServerConfig
from tachikoma_proto.session.hub import Hub
from tachikoma_proto.session.logs import server_logger as log
from tachikoma_proto.session.metrics import Metrics
from tachikoma_proto.session.server_session import SESSION_COMMANDS, ServerSession
from tachikoma_proto.session.session import Session
from tachikoma_proto.transports.transport import ConnectionRequest, format_address, make_request

_CANCEL_TIMEOUT: Final = 1.0
"""How many seconds handlers that are cancelled have to end."""


class Server:
    """Serves connections.

    Args:
        codec: Reads and writes the frames.
        dispatcher: Has the handlers of all commands but those about the session itself.
        authenticate: Returns who a token belongs to; None if it is not valid. Compare secrets
            with ``hmac.compare_digest``.
        authenticate_request: Returns who a connection belongs to by its handshake, such as a
            cookie or a header; None if it does not say, and the client has to send a token.
        broker: Where events go between the processes of a server, such as ``RedisBroker``; one in
            memory if left out, for this process alone.
        config: The limits of each connection; the defaults if left out.
        metrics: Hooks for what happens.
        may_subscribe: Returns whether a session may have the events of a topic and of all below
            it, or an awaitable of that; it looks at the session's ``identity``. Everyone may if
            left out. If it raises, the client gets ``internal_error`` and keeps what it has.
        on_subscribe: Called with the session and the topic after a subscription was acknowledged;
            what it sends goes out before later events.
        session_lifespan: Returns an asynchronous context manager for a session, which is entered
            before the first frame is read, and left when the connection has ended.
        record: A file to which all frames are appended, with their time, direction and session,
            secrets masked; ``tachikoma-proto inspect`` reads it. Or a function that is called
            with each as a ``CapturedFrame``.

    Raises:
        RegistryError: The dispatcher has a handler for a command that the session answers, or
            that the codec does not know.
        TypeError: An argument is of another type.
        ValueError: Authentication is required, and there is nothing to authenticate with.

    Example::

        server = Server(Codec(), dispatcher, authenticate=check_token)
        async with serve(server, "127.0.0.1", 8765):
            server.publish(MissionStarted(mission_id=m))
            await stopped.wait()
    """

    def __init__(
        self,
        codec: Codec,
        dispatcher: Dispatcher[Session],
        *,
        authenticate: Authenticator | None = None,
        authenticate_request: RequestAuthenticator | None = None,
        broker: Broker | None = None,
        config: ServerConfig | None = None,
        metrics: Metrics | None = None,
        may_subscribe: MaySubscribe | None = None,
        on_subscribe: OnSubscribe | None = None,
        session_lifespan: SessionLifespan | None = None,
        record: RecordTarget | None = None,
    ) -> None:
        config = config or ServerConfig()
        _check_type("codec", codec, Codec)
        _check_type("dispatcher", dispatcher, Dispatcher)
        _check_type("config", config, ServerConfig)
        if broker is not None:
            _check_type("broker", broker, Broker)
        if authenticate is None and authenticate_request is None and config.require_auth:
            raise ValueError(
                "authentication is required, and there is nothing to authenticate with: "
                "give authenticate=… or authenticate_request=…, "
                "or ServerConfig(require_auth=False)"
            )
        _check_handlers(dispatcher, codec.registry)
        _ = codec.converter  # made now, so that no frame waits for it
        self._hub = Hub(
            codec,
            config,
            metrics=metrics,
            publisher=self,
            asks_permission=may_subscribe is not None,
            announces_subscriptions=on_subscribe is not None,
        )
        self._has_broker = broker is not None
        self._broker = BrokerDriver(MemoryBroker() if broker is None else broker, self._hub)
        self._callbacks = Callbacks(
            dispatcher=dispatcher,
            authenticate=authenticate,
            authenticate_request=authenticate_request,
            may_subscribe=may_subscribe,
            on_subscribe=on_subscribe,
            session_lifespan=session_lifespan,
        )
        self._recorder = None
        if record is not None:
            self._recorder = Recorder(record, codec.registry, codec.max_size, log)
        self._connections: dict[Connection, None] = {}
        self._loop: asyncio.AbstractEventLoop | None = None
        self._is_entered = self._is_closing = False

    def __repr__(self) -> str:
        return f"<Server of {len(self._connections)} sessions>"

    async def __aenter__(self) -> Self:
        """Connect to the broker; the server is closed when the block ends.

        A broker that does not answer is waited for no longer than a moment: the server serves
        without it, and goes on to try.

        Raises:
            RuntimeError: It was closed before, or serves another event loop.
        """
        if self._is_closing:
            raise RuntimeError("a server that was closed stays closed: make another one")
        self._bind_loop()
        self._is_entered = True
        await self._broker.start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()

    @property
    def codec(self) -> Codec:
        """What reads and writes the frames."""
        return self._hub.context.codec

    @property
    def config(self) -> ServerConfig:
        """The limits of each connection."""
        return self._hub.context.config

    @property
    def is_closing(self) -> bool:
        """Whether the server takes no more connections."""
        return self._is_closing

    @property
    def sessions(self) -> tuple[Session, ...]:
        """The sessions whose connections are open, or still end."""
        return tuple(connection.session for connection in self._connections)

    async def handle(self, transport: AnyTransport, /) -> None:
        """Serve one connection, until it ends and its handlers have ended.

        Give it to a WebSocket library as its handler, or use ``serve``.

        Args:
            transport: The connection, open.

        Raises:
            RuntimeError: The server serves another event loop.
            RegistryError: A handler was registered meanwhile that would never be called.
        """
        _check_handlers(self._callbacks.dispatcher, self.codec.registry)  # some may be new
        self._bind_loop()
        await self._broker.start()
        request = request_of(transport)
        address = request.address if request else None
        limit = self.config.max_connections
        if limit is not None and len(self._connections) >= limit:
            log.warning(
                "refused a connection%s: there are %d already",
                f" from {address}" if address else "",
                len(self._connections),
                extra={"remote_address": address},
            )
            await _refuse(transport, self.config.close_timeout)
            return
        opened_at = asyncio.get_running_loop().time()
        session = self._hub.open(opened_at, address)
        if self._recorder is not None:
            transport = self._recorder.wrap(transport, Sender.SERVER, str(session.id))
        connection = Connection(transport, session, self._callbacks)
        self._connections[connection] = None
        if self._is_closing:
            connection.drain()
        session.log.info("opened")
        try:
            await connection.run(request)
        finally:
            del self._connections[connection]
            connection.ended.set()
            duration = asyncio.get_running_loop().time() - opened_at
            self._log_end(session, connection.end, duration)

    def publish(self, event: Event, /) -> int:
        """Send an event to every session that subscribed to it, in all processes of the server.

        It never waits: the event is encoded once, and put into the log of its topic. While the
        broker is away, it waits in an outbox.

        Args:
            event: The event.

        Returns:
            For how many sessions of this process it was queued at once: 0 where it comes back
            through a broker.

        Raises:
            EncodeError: A peer could not read it, or no category of the registry holds it.
            RegistryError: Its category has no topic.
            BrokerError: Too many events wait for the broker already, or the server is closed.
            RuntimeError: It is called in another thread than that of the event loop; use
                ``loop.call_soon_threadsafe`` there.
        """
        if self._connections and asyncio._get_running_loop() is not self._loop:
            raise RuntimeError(
                "publish belongs into the thread of the server's event loop; from another one, "
                "use loop.call_soon_threadsafe(server.publish, event)"
            )
        record = self._hub.record(event)
        if self._has_broker or self._broker.is_connected:
            return self._broker.publish(record)
        return 0  # the log in memory begins with the server, and ends with it

    async def flush(self) -> None:
        """Wait until all events that were published so far are stored by the broker.

        Raises:
            BrokerError: The server is closed meanwhile, and some of them will not be.
            RuntimeError: Some of them wait, and nothing stores them: the server was not opened in
                this event loop.
        """
        await self._broker.flush()

    @property
    def broker_connected(self) -> bool:
        """Whether events are stored at once, or wait in the outbox until the broker is back."""
        return self._broker.is_connected

    async def close(self, *, timeout: float = 10.0, spread: float = 0.0) -> None:
        """Take no more commands, answer those that came, send what waits, and close.

        Connections end with close code 1001, and those that come later at once.

        Args:
            timeout: After how many seconds the handlers that still run are cancelled; their
                commands are answered with ``internal_error``.
            spread: Over how many seconds the connections are closed, so that their clients do not
                all come back at once. The timeout starts after that.

        Raises:
            RuntimeError: A handler calls it, and would wait for itself; or it is called in
                another event loop.
        """
        task = asyncio.current_task()
        if any(connection.is_served_by(task) for connection in self._connections):
            raise RuntimeError(
                "a handler cannot wait until it has ended itself; leave that to a task"
            )
        if self._connections and asyncio.get_running_loop() is not self._loop:
            raise RuntimeError("the server belongs to another event loop")
        self._is_closing = True
        connections = list(self._connections)
        random.shuffle(connections)
        for connection in connections:
            connection.drain()
            if spread > 0:
                await asyncio.sleep(spread / len(connections))
        await self._wait_ended(timeout)
        if self._connections:
            log.warning("%d sessions did not end in time", len(self._connections))
        for connection in list(self._connections):
            connection.cancel_handlers()
        await self._wait_ended(_CANCEL_TIMEOUT)
        for connection in list(self._connections):
            connection.abort()
        await self._wait_ended(self.config.close_timeout + _CANCEL_TIMEOUT)
        for connection in self._connections:
            connection.session.log.error("a handler goes on, although it was cancelled")
        await self._broker.close(timeout)
        if self._recorder is not None:
            self._recorder.close()

    async def _wait_ended(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                while self._connections:  # some may come meanwhile
                    await next(iter(self._connections)).ended.wait()
        except TimeoutError:
            return

    def _bind_loop(self) -> None:
        loop = asyncio.get_running_loop()
        if self._loop is not None and self._loop is not loop:
            is_used = self._connections or (self._is_entered and not self._is_closing)
            if is_used and not self._loop.is_closed():
                raise RuntimeError(
                    "the server serves another event loop already, and belongs to it; with "
                    "Starlette's TestClient, use 'with TestClient(app) as client'"
                )
        self._loop = loop

    def _log_end(self, session: ServerSession, end: ConnectionEnd | None, seconds: float) -> None:
        code = end.code if end else 1006
        reason = end.reason if end else "cancelled"
        ended_by = "client" if end and end.by_peer else "server"
        session.log.info(
            "ended with %d %s by the %s after %.1f s",
            code,
            ascii(reason),
            ended_by,
            seconds,
            extra={
                "close_code": code,
                "close_reason": reason,
                "ended_by": ended_by,
                "duration": seconds,
            },
        )
        if self._hub.context.metrics is not None:
            self._hub.context.metrics.close_code(code)


def request_of(transport: object) -> ConnectionRequest | None:
    """Return the handshake of a transport; None if it does not know it.

    A connection of ``websockets`` has a request of that library.

    Args:
        transport: The transport.
    """
    request = getattr(transport, "request", None)
    if request is None or isinstance(request, ConnectionRequest):
        return request
    address = getattr(transport, "remote_address", None)
    try:
        return make_request(request.path, list(request.headers.raw_items()), address)
    except AttributeError:  # a request of a library that we do not know
        return ConnectionRequest(address=format_address(address))


async def _refuse(transport: AnyTransport, seconds: float) -> None:
    try:
        async with asyncio.timeout(seconds):
            await transport.close(TRY_AGAIN_LATER, "too many connections")
    except Exception:  # noqa: BLE001 - a transport may raise anything
        log.debug("a connection could not be refused in order", exc_info=True)


def _check_type(name: str, value: object, expected: type) -> None:
    if not isinstance(value, expected):
        raise TypeError(f"{name} is a {expected.__name__}, not {value!r}")


def _check_handlers(dispatcher: Dispatcher[Session], registry: Registry) -> None:
    """Refuse handlers that would never be called."""
    for command in dispatcher.handlers:
        if command in SESSION_COMMANDS:
            raise RegistryError(
                f"{command.__qualname__} has a handler, but the session answers it itself"
            )
        if registry.declaration_of(command) is None:
            raise RegistryError(
                f"{command.__qualname__} has a handler, but the server's codec does not know it; "
                "a codec of installed extensions is Codec(Registry.discover())"
            )
