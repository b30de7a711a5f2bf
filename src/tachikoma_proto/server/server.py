"""``Server``: what accepted connections are given to, and events are published through."""

import asyncio
from types import TracebackType
from typing import Any, Final, Self

from tachikoma_proto.codec.codec import Codec
from tachikoma_proto.declare.bases import Event
from tachikoma_proto.errors import RegistryError
from tachikoma_proto.registry.registry import Registry
from tachikoma_proto.server.connection import Authenticator, Connection, MaySubscribe
from tachikoma_proto.server.dispatcher import Dispatcher
from tachikoma_proto.session.config import ServerConfig
from tachikoma_proto.session.hub import Hub
from tachikoma_proto.session.logs import server_logger as log
from tachikoma_proto.session.metrics import Metrics
from tachikoma_proto.session.server_session import SESSION_COMMANDS
from tachikoma_proto.session.session import Session
from tachikoma_proto.transports.transport import Transport

_CANCEL_TIMEOUT: Final = 1.0
"""How many seconds handlers that are cancelled have to end."""


class Server:
    """Serves connections.

    Args:
        codec: Reads and writes the frames.
        dispatcher: Has the handlers of all commands but those about the session itself.
        authenticate: Tells whose a token is; None if it is nobody's. Compare secrets with
            ``hmac.compare_digest``.
        config: What each connection is granted; the defaults if left out.
        metrics: Told what happens, if anybody is to be.
        may_subscribe: Whether a session may have the events of a topic and of all below it; it
            looks at the session's ``identity``. Everyone may if left out.

    Give the WebSocket library a logger that is not at DEBUG: websockets logs frames there, and so
    tokens.

    Raises:
        RegistryError: The dispatcher has a handler for a command that the session answers, or
            that the codec does not know.
        TypeError: What is given is something else.
        ValueError: Authentication is required, and there is nothing to authenticate with.

    Example::

        server = Server(codec, dispatcher, authenticate=check_token)
        async with websockets.asyncio.server.serve(server.handle, "localhost", 8765), server:
            server.publish(MissionStarted(mission_id=m))
            await stopped.wait()
    """

    def __init__(
        self,
        codec: Codec,
        dispatcher: Dispatcher[Session],
        *,
        authenticate: Authenticator | None = None,
        config: ServerConfig | None = None,
        metrics: Metrics | None = None,
        may_subscribe: MaySubscribe | None = None,
    ) -> None:
        config = config or ServerConfig()
        _refuse_other("codec", codec, Codec)
        _refuse_other("dispatcher", dispatcher, Dispatcher)
        _refuse_other("config", config, ServerConfig)
        if authenticate is None and config.require_auth:
            raise ValueError(
                "authentication is required, and there is nothing to authenticate with: "
                "give authenticate=…, or ServerConfig(require_auth=False)"
            )
        _refuse_idle_handlers(dispatcher, codec.registry)
        self._hub = Hub(
            codec,
            config,
            metrics=metrics,
            publisher=self,
            asks_permission=may_subscribe is not None,
        )
        self._may_subscribe = may_subscribe
        self._dispatcher = dispatcher
        self._authenticate = authenticate
        self._connections: dict[Connection, asyncio.Task[Any]] = {}
        self._loop: asyncio.AbstractEventLoop | None = None
        self._is_closing = False

    def __repr__(self) -> str:
        return f"<Server of {len(self._connections)} sessions>"

    async def __aenter__(self) -> Self:
        """Close the server when the block ends.

        Raises:
            RuntimeError: It was closed before.
        """
        if self._is_closing:
            raise RuntimeError("a server that was closed stays closed: make another one")
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()

    @property
    def sessions(self) -> tuple[Session, ...]:
        """The sessions that stand now."""
        return tuple(connection.session for connection in self._connections)

    async def handle(self, transport: Transport, /) -> None:
        """Serve one connection, until it ends and its commands are carried out.

        This is what a WebSocket library is given as its handler.

        Args:
            transport: The connection, open.
        """
        _refuse_idle_handlers(self._dispatcher, self._hub.context.codec.registry)  # some may be new
        task = asyncio.current_task()
        assert task is not None, "a coroutine runs in a task"
        self._loop = asyncio.get_running_loop()
        now = self._loop.time()
        connection = Connection(
            transport,
            self._hub.open(now),
            self._dispatcher,
            self._authenticate,
            self._may_subscribe,
        )
        self._connections[connection] = task
        if self._is_closing:
            connection.go_away()
        connection.session.log.info("opened")
        try:
            await connection.run()
        finally:
            del self._connections[connection]
            connection.session.log.info("ended")

    def publish(self, event: Event, /) -> int:
        """Give an event to everyone who subscribed to it.

        It never waits: it is queued for each session, and encoded once. Call it in the event
        loop's thread; from another one, use ``loop.call_soon_threadsafe``. Each session's queue
        holds ``max_pending`` events: who publishes more at one go lets the loop run in between,
        with ``await asyncio.sleep(0)``.

        Args:
            event: The event.

        Returns:
            For how many sessions it was queued.

        Raises:
            EncodeError: A peer could not read it, or no category of the registry holds it. It is
                not looked at while nobody subscribes.
            RegistryError: Its category has no topic.
            RuntimeError: It is called in another thread than that of the event loop.
        """
        self._refuse_other_threads()
        return self._hub.publish(event)

    async def close(self, *, timeout: float = 10.0) -> None:
        """Take no more commands, carry out those that came, send what waits, and close.

        Connections end with close code 1001, and those that come later at once.

        Args:
            timeout: After how many seconds the handlers that still run are cancelled; their
                commands are answered with ``internal_error``.

        Raises:
            RuntimeError: A handler calls it, and would wait for itself.
        """
        task = asyncio.current_task()
        if any(connection.runs_in(task) for connection in self._connections):
            raise RuntimeError(
                "a handler cannot wait until it has ended itself; leave that to a task"
            )
        self._is_closing = True
        for connection in self._connections:
            connection.go_away()
        if self._connections:
            await asyncio.wait(self._connections.values(), timeout=timeout)
        if self._connections:
            log.warning("%d sessions did not end in time", len(self._connections))
        for connection in self._connections:
            connection.cancel_handlers()
        if self._connections:
            await asyncio.wait(self._connections.values(), timeout=_CANCEL_TIMEOUT)
        while self._connections:  # some may have come meanwhile
            for connection in self._connections:
                connection.abort()
            await asyncio.wait(self._connections.values())

    def _refuse_other_threads(self) -> None:
        if self._connections and not _is_running(self._loop):
            raise RuntimeError(
                "publish belongs into the thread of the server's event loop; from another one, "
                "use loop.call_soon_threadsafe(server.publish, event)"
            )


def _refuse_other(name: str, given: object, wanted: type) -> None:
    if not isinstance(given, wanted):
        raise TypeError(f"{name} is a {wanted.__name__}, not {given!r}")


def _refuse_idle_handlers(dispatcher: Dispatcher[Session], registry: Registry) -> None:
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


def _is_running(loop: asyncio.AbstractEventLoop | None) -> bool:
    try:
        return asyncio.get_running_loop() is loop
    except RuntimeError:
        return False
