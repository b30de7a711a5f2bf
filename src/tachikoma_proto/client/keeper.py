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
from tachikoma_proto.codec.codec import Codec
from tachikoma_proto.errors import ConnectionLostError, RemoteError
from tachikoma_proto.messages.commands import Authenticate, Subscribe, SubscriptionFilters
from tachikoma_proto.messages.responses import AckResponse
from tachikoma_proto.session.client_session import ClientSession
from tachikoma_proto.session.config import ClientConfig
from tachikoma_proto.session.metrics import Metrics
from tachikoma_proto.transports.transport import Transport

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

    Attributes:
        events: What the server pushed.
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
    ) -> None:
        self.events = EventQueue(config.max_events)
        self.wanted: dict[str, SubscriptionFilters | None] = {}
        self._open_transport = open_transport
        self._token = token
        self._codec = codec
        self._config = config
        self._metrics = metrics
        self._standing: asyncio.Future[Connection] = _pending()
        self._connections: set[Connection] = set()
        self._ended: Exception | None = None
        self._task: asyncio.Task[None] | None = None
        self._closer: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Open the first connection; what goes wrong is raised, and nothing is left of it."""
        try:
            connection, _ = await self._open()
            self._stand(connection)
        except BaseException:
            await self.close()
            await self._wait_gone()
            raise
        self._task = asyncio.create_task(self._keep(connection))
        # Whatever ends it, be it cancelled before it begins: there will be no more connections.
        self._task.add_done_callback(lambda _: self._end(_closed()))

    async def connection(self) -> Connection:
        """Give the connection that stands, or wait for the next.

        Raises:
            ConnectionLostError: There will be no more.
            RemoteError: The server no longer takes the token.
        """
        while True:
            if self._ended is not None:
                raise self._ended.with_traceback(None)
            connection = await asyncio.shield(self._standing)
            if connection.is_open:
                return connection

    async def close(self) -> None:
        """End the connection, and open no more."""
        self.events.end(None)
        self._end(_closed())
        if self._closer is None:
            self._closer = asyncio.create_task(self._close())
        await asyncio.shield(self._closer)

    async def _close(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait((self._task,))
        for connection in self._connections:
            connection.close()
        await self._wait_gone()

    async def _wait_gone(self) -> None:
        await asyncio.gather(*(connection.wait_gone() for connection in self._connections))

    async def _keep(self, connection: Connection) -> None:
        config = self._config
        loop = asyncio.get_running_loop()
        waits = delays(config.backoff_base, config.backoff_max)
        try:
            while True:
                opened_at = loop.time()
                await connection.wait_lost()
                # A server that takes a connection and drops it at once is not tried any faster.
                if loop.time() - opened_at > config.backoff_max:
                    waits = delays(config.backoff_base, config.backoff_max)
                connection = await self._reconnect(waits)
        except ConnectionLostError as error:
            level = logging.ERROR if config.reconnect else logging.INFO
            log.log(level, "the connection is lost for good: %s", error)
            self._end(error)
        except RemoteError as error:
            log.error("the server no longer takes the token: %s", ascii(error.code))
            self._end(error)
        except Exception as error:
            log.exception("the connection is lost for good")
            self._end(ConnectionLostError(f"the client failed: {type(error).__qualname__}"))

    async def _reconnect(self, waits: Iterator[float]) -> Connection:
        if not self._config.reconnect:
            raise ConnectionLostError("the connection was lost")
        log.warning("the connection was lost; it will be opened again")
        for attempt in count(1):
            await asyncio.sleep(next(waits))
            self.events.hold()
            try:
                connection, refused = await self._open()
                self._stand(connection)
            except Exception as error:
                self.events.discard()
                if isinstance(error, RemoteError) and error.code in REFUSALS:
                    raise
                # The text of what a token's function raises may hold the token.
                failure = type(error).__qualname__
                log.warning("attempt %d failed: %s", attempt, failure)
            else:
                log.info("connected again after %d attempts", attempt)
                self.events.release(Reconnected(attempts=attempt, refused=refused))
                return connection
            if attempt == self._config.max_attempts:
                raise ConnectionLostError(
                    f"the connection was lost, and {attempt} attempts to open it failed, "
                    f"the last with {failure}"
                )
        raise AssertionError("count() has no end")

    async def _open(self) -> tuple[Connection, tuple[str, ...]]:
        """Open a connection, authenticate, and subscribe to what is wanted."""
        seconds = self._config.open_timeout
        try:
            async with asyncio.timeout(seconds):
                connection = self._talk_over(await self._open_transport())
                try:
                    await self._authenticate(connection)
                    return connection, await self._subscribe(connection)
                except BaseException:
                    connection.close(drains=False)
                    raise
        except TimeoutError:
            failure: Exception = TimeoutError(f"no connection within {seconds} s")
        except ConnectionLostError:
            failure = ConnectionLostError("the server ended the connection before it stood")
        raise failure

    def _talk_over(self, transport: Transport) -> Connection:
        now = asyncio.get_running_loop().time()
        session = ClientSession(self._codec, self._config, metrics=self._metrics, now=now)
        timeout = self._config.close_timeout
        connection = Connection(transport, session, self.events, timeout, self._lost)
        self._connections = {one for one in self._connections if not one.is_gone} | {connection}
        return connection

    def _stand(self, connection: Connection) -> None:
        if self._ended is not None or not connection.is_open:
            connection.close(drains=False)
            raise ConnectionLostError("the connection ended before it stood")
        self._standing.set_result(connection)

    def _lost(self, connection: Connection) -> None:
        """Have those that ask from now on wait for the next connection."""
        standing = self._standing
        if standing.done() and not standing.exception() and standing.result() is connection:
            self._standing = _pending()

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
        wanted = dict(self.wanted)
        answers = await asyncio.gather(
            *(connection.ask(Subscribe(topic=t, filters=f)) for t, f in wanted.items()),
            return_exceptions=True,
        )
        refused = []
        for topic, answer in zip(wanted, answers, strict=True):
            if _is_refusal(answer):
                refused.append(topic)
                self.wanted.pop(topic, None)
            elif isinstance(answer, BaseException):
                raise answer
        if refused:
            log.warning("%d topics are no longer to be had", len(refused))
        return tuple(refused)

    def _end(self, error: Exception) -> None:
        if self._ended is None:
            self._ended = error
            self.events.end(error)
            if not self._standing.done():
                self._standing.set_exception(error)
                self._standing.exception()  # it may be that nobody asks


def _is_refusal(answer: AckResponse | BaseException) -> bool:
    if isinstance(answer, RemoteError):
        return answer.code in ("not_found", "permission_denied")
    return isinstance(answer, AckResponse) and not answer.success


def _closed() -> ConnectionLostError:
    return ConnectionLostError("the client is closed")


def _pending() -> "asyncio.Future[Connection]":
    return asyncio.get_running_loop().create_future()
