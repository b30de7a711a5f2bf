"""The keeper: has a connection that stands, authenticated and subscribed, or sees to the next."""

import asyncio
import inspect
import logging
from collections.abc import Awaitable, Callable, Iterator
from itertools import count
from typing import Final, TypeAlias

from tachikoma_proto.client.backoff import delays
from tachikoma_proto.client.connection import Connection
from tachikoma_proto.client.events import EventQueue, Reconnected
from tachikoma_proto.codec import Codec
from tachikoma_proto.errors import ConnectionLostError, RemoteError
from tachikoma_proto.messages.commands import Authenticate, Subscribe, SubscriptionFilters
from tachikoma_proto.metrics import Metrics
from tachikoma_proto.session.client_session import ClientSession
from tachikoma_proto.session.config import ClientConfig
from tachikoma_proto.transport import Transport

log = logging.getLogger(__name__)

OpenTransport: TypeAlias = Callable[[], Awaitable[Transport]]
"""Opens a connection to the server."""

Token: TypeAlias = str | Callable[[], str | Awaitable[str]]
"""A token, or what gives a fresh one before each connection."""

REFUSALS: Final = frozenset({"auth_required", "permission_denied"})
"""The error codes after which it is of no use to authenticate again."""


class Keeper:
    """Keeps a client connected.

    Args:
        open_transport: Opens a connection.
        token: Shows who the user is; None does not authenticate.
        codec: Reads and writes the frames.
        config: How the client behaves.
        metrics: Told what happens.
        events: Gets what the server pushes.

    Attributes:
        wanted: The topics to subscribe to again, with their filters.
    """

    def __init__(
        self,
        open_transport: OpenTransport,
        *,
        token: Token | None,
        codec: Codec,
        config: ClientConfig,
        metrics: Metrics | None,
        events: EventQueue,
    ) -> None:
        self.wanted: dict[str, SubscriptionFilters | None] = {}
        self._open_transport = open_transport
        self._token = token
        self._codec = codec
        self._config = config
        self._metrics = metrics
        self._events = events
        self._standing: asyncio.Future[Connection] = _pending()
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Open the first connection; what goes wrong is raised."""
        connection, _ = await self._open()
        self._standing.set_result(connection)
        self._task = asyncio.create_task(self._keep(connection))

    async def connection(self) -> Connection:
        """Give the connection that stands, or wait for the next.

        Raises:
            ConnectionLostError: There will be no more.
            RemoteError: The server no longer takes the token.
        """
        return await asyncio.shield(self._standing)

    async def close(self) -> None:
        """End the connection, and open no more."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        if self._standing.done() and self._standing.exception() is None:
            await self._standing.result().close()
        self._give_up(ConnectionLostError("the client is closed"))

    async def _keep(self, connection: Connection) -> None:
        config = self._config
        loop = asyncio.get_running_loop()
        waits = delays(config.backoff_base, config.backoff_max)
        try:
            while True:
                opened_at = loop.time()
                await connection.wait_closed()
                self._standing = _pending()
                # A server that takes a connection and drops it at once is not tried any faster.
                if loop.time() - opened_at > config.backoff_max:
                    waits = delays(config.backoff_base, config.backoff_max)
                connection = await self._reconnect(waits)
                self._standing.set_result(connection)
        except (ConnectionLostError, RemoteError) as error:
            log.error("the connection is lost for good: %s", error)
            self._give_up(error)

    async def _reconnect(self, waits: Iterator[float]) -> Connection:
        if not self._config.reconnect:
            raise ConnectionLostError("the connection was lost")
        log.warning("the connection was lost; it will be opened again")
        for attempt in count(1):
            await asyncio.sleep(next(waits))
            self._events.hold()
            try:
                connection, refused = await self._open()
            except Exception as error:
                self._events.release()
                if isinstance(error, RemoteError) and error.code in REFUSALS:
                    raise
                # The text of what a token's function raises may hold the token.
                log.warning("attempt %d failed: %s", attempt, type(error).__qualname__)
                if attempt == self._config.max_attempts:
                    raise ConnectionLostError(
                        f"the connection was lost, and {attempt} attempts to open it failed"
                    ) from error
            else:
                log.info("connected again after %d attempts", attempt)
                self._events.release(Reconnected(attempts=attempt, refused=refused))
                return connection
        raise AssertionError("count() has no end")

    async def _open(self) -> tuple[Connection, tuple[str, ...]]:
        """Open a connection, authenticate, and subscribe to what is wanted."""
        try:
            async with asyncio.timeout(self._config.open_timeout):
                connection = self._talk_over(await self._open_transport())
                try:
                    await self._authenticate(connection)
                    return connection, await self._subscribe(connection)
                except BaseException:
                    await connection.close()
                    raise
        except TimeoutError:
            failure: Exception = TimeoutError(f"no connection within {self._config.open_timeout} s")
        except ConnectionLostError:
            failure = ConnectionLostError("the server ended the connection before it stood")
        raise failure

    def _talk_over(self, transport: Transport) -> Connection:
        now = asyncio.get_running_loop().time()
        session = ClientSession(self._codec, self._config, metrics=self._metrics, now=now)
        return Connection(transport, session, self._events, self._config.close_timeout)

    async def _authenticate(self, connection: Connection) -> None:
        if self._token is None:
            return
        given = self._token() if callable(self._token) else self._token
        token = await given if inspect.isawaitable(given) else given
        answer = await connection.ask(Authenticate(token=token))
        if not answer.authenticated:
            raise RemoteError("auth_required", "the server refuses the token")

    async def _subscribe(self, connection: Connection) -> tuple[str, ...]:
        """Subscribe to what is wanted, and give the topics that are no longer to be had."""
        refused = []
        for topic, filters in list(self.wanted.items()):
            try:
                await connection.ask(Subscribe(topic=topic, filters=filters))
            except RemoteError as error:
                log.warning("a topic is no longer to be had: %s", error.code)
                del self.wanted[topic]
                refused.append(topic)
        return tuple(refused)

    def _give_up(self, error: Exception) -> None:
        if not self._standing.done() or self._standing.exception() is None:
            self._standing = _pending()
            self._standing.set_exception(error)
            self._standing.exception()  # it may be that nobody asks
        self._events.end(error)


def _pending() -> "asyncio.Future[Connection]":
    return asyncio.get_running_loop().create_future()
