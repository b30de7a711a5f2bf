"""The reconnector: keeps a client connected, authenticated and subscribed.

Rules:

* A lost connection is opened again, with growing, partly random delays; they start anew after a
  connection that held for a few seconds.
* A token function is asked for a fresh token before each connection, shortly before a token
  expires, and once more if the server refuses one. A token that is refused nevertheless ends the
  client, as does a token that is just a text.
* What a token function or the opening of a transport raises, ``CancelledError`` included, is a
  failed attempt and no more. Its text is not logged: it may hold the token.
"""

import asyncio
import inspect
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager
from typing import Any, Final, Literal, TypeAlias

from tachikoma_proto.client.connection import ClientConnection
from tachikoma_proto.client.streams import EventStreams, Reconnected
from tachikoma_proto.client.subscriptions import Subscriptions
from tachikoma_proto.codec.codec import Codec
from tachikoma_proto.connection.backoff import delays
from tachikoma_proto.connection.deadlines import patient_timeout
from tachikoma_proto.connection.driver import AnyTransport
from tachikoma_proto.errors import ConnectionLostError, RemoteError
from tachikoma_proto.messages.commands import Authenticate
from tachikoma_proto.session.client_session import ClientSession
from tachikoma_proto.session.config import ClientConfig
from tachikoma_proto.session.logs import client_logger as log
from tachikoma_proto.session.metrics import Metrics

OpenTransport: TypeAlias = Callable[[], Awaitable[AnyTransport]]
"""Opens a connection to the server."""

Token: TypeAlias = str | Callable[[], str | Awaitable[str]]
"""A token, or a function that returns a fresh one."""

ClientState: TypeAlias = Literal["new", "connecting", "connected", "reconnecting", "closed"]
"""Where a client stands: ``closed`` is final."""

TOKEN_REFUSED: Final = frozenset({"auth_required", "permission_denied"})
"""The error codes that refuse a token; after others, authenticating again can help."""

_HELD: Final = 3.0
"""After how many seconds a connection counts as good, so that the delays start anew."""

_LEAD: Final = 60.0
"""How many seconds before a token expires a fresh one is sent, at the most; a fifth of its time
if that is less."""

_SHORTEST: Final = 0.05
"""How many seconds there are at least between two attempts to do so."""


class Reconnector:
    """Keeps a client connected, and reconnects on loss.

    Args:
        open_transport: Opens a connection.
        token: What to authenticate with; None does not.
        codec: Reads and writes the frames.
        config: How the client behaves.
        metrics: Hooks for what happens.
        streams: Get what the server pushes.
        subscriptions: Are made again on each connection.

    Attributes:
        state: Where the client stands.
    """

    def __init__(
        self,
        open_transport: OpenTransport,
        *,
        token: Token | None,
        codec: Codec,
        config: ClientConfig,
        metrics: Metrics | None,
        streams: EventStreams,
        subscriptions: Subscriptions,
    ) -> None:
        self.state: ClientState = "connecting"
        self._open_transport = open_transport
        self._token = token
        self._codec = codec
        self._config = config
        self._metrics = metrics
        self._streams = streams
        self._subscriptions = subscriptions
        self._loop = asyncio.get_running_loop()
        self._current: asyncio.Future[ClientConnection] = self._loop.create_future()
        self._connections: set[ClientConnection] = set()
        self._tokens_refused = 0  # in a row
        self._ended: Exception | None = None
        self._task: asyncio.Task[None] | None = None
        self._closer: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Open the first connection; what goes wrong is raised, and nothing is left of it."""
        try:
            connection = await self._open_first()
        except BaseException:
            await self.close()
            raise
        self._task = asyncio.create_task(self._keep(connection))
        # Whatever ends it, be it cancelled before it begins: there will be no more connections.
        self._task.add_done_callback(lambda _: self._end(_closed()))

    async def connection(self) -> ClientConnection:
        """Return the present connection, or wait for the next.

        Raises:
            ConnectionLostError: There will be no more.
            RemoteError: The server no longer accepts the token.
        """
        while True:
            if self._ended is not None:
                raise self._ended.with_traceback(None)
            connection = await asyncio.shield(self._current)
            if connection.is_open:
                return connection

    async def close(self) -> None:
        """End the connection, and open no more."""
        self._streams.end(None)
        self._end(_closed())
        if self._closer is None:
            self._closer = asyncio.create_task(self._close())
        await asyncio.shield(self._closer)

    async def _close(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait((self._task,))
        await self._subscriptions.close()
        for connection in self._connections:
            connection.close()
        await asyncio.gather(*(connection.wait_gone() for connection in self._connections))

    async def _keep(self, connection: ClientConnection) -> None:
        config = self._config
        pauses = self._pauses()
        try:
            while True:
                opened_at = self._loop.time()
                async with _in_background(self._refresh_tokens(connection)):
                    await connection.wait_lost()
                held = self._loop.time() - opened_at
                lost = connection.disconnected
                log.warning(
                    "the connection was lost after %.1f s, ended by the %s: code %d, reason %s%s",
                    held,
                    "server" if connection.is_ended_by_server else "client",
                    lost.code,
                    ascii(lost.reason),
                    "; it will be opened again" if config.reconnect else "",
                )
                self._streams.tell(lost)
                if not config.reconnect:
                    raise ConnectionLostError("the connection was lost")
                # A server that accepts a connection and drops it at once is not tried any faster.
                if held > min(_HELD, config.backoff_max):
                    pauses = self._pauses()
                connection = await self._reconnect(pauses)
        except ConnectionLostError as error:
            if self._ended is None:
                level = logging.ERROR if config.reconnect else logging.INFO
                log.log(level, "the connection is lost for good: %s", error)
                self._end(error)
        except RemoteError as error:
            log.error("the server no longer accepts the token: %s", ascii(error.code))
            self._end(error)
        except Exception as error:  # noqa: BLE001 - logged
            log.exception("the connection is lost for good")
            self._end(ConnectionLostError(f"the client failed: {type(error).__qualname__}"))

    async def _open_first(self) -> ClientConnection:
        pauses = self._pauses()
        attempt = 0
        while True:
            attempt += 1
            try:
                connection, _ = await self._open()
            except Exception as error:
                is_last = attempt == self._config.max_attempts
                if not self._config.retry_first or is_last or _is_final(error):
                    raise
                log.warning("attempt %d failed: %s", attempt, type(error).__qualname__)
            else:
                return connection
            await asyncio.wait((self._current,), timeout=next(pauses))
            if self._ended is not None:
                raise self._ended

    async def _reconnect(self, pauses: Iterator[float]) -> ClientConnection:
        attempt = 0
        while self._ended is None:
            attempt += 1
            await asyncio.sleep(next(pauses))
            self._streams.hold()
            try:
                connection, topics = await self._open()
            except Exception as error:
                self._streams.discard()
                if _is_final(error):
                    raise
                failure = type(error).__qualname__
                log.warning("attempt %d failed: %s", attempt, failure)
            else:
                log.info("connected again after %d attempts", attempt)
                lost, refused = topics
                self._streams.release(Reconnected(attempt, lost=lost, refused=refused))
                return connection
            if attempt == self._config.max_attempts:
                raise ConnectionLostError(
                    f"the connection was lost, and {attempt} attempts to open it failed, "
                    f"the last with {failure}"
                )
        raise self._ended

    async def _open(self) -> tuple[ClientConnection, tuple[tuple[str, ...], tuple[str, ...]]]:
        """Open a connection, authenticate, and subscribe to what is wanted."""
        seconds = self._config.open_timeout
        try:
            async with patient_timeout(seconds) as limit:
                transport: AnyTransport = await _called(
                    self._open_transport, "the opening of the connection"
                )
                connection = self._connection_over(transport)
                try:
                    if self._ended is not None:  # while the transport was opened
                        raise self._ended
                    await self._authenticate(connection)
                    topics = await self._subscriptions.restore(
                        connection, lambda: limit.restart(seconds)
                    )
                    self._use(connection)
                except BaseException:
                    connection.abort()
                    raise
                return connection, topics
        except TimeoutError:
            failure: Exception = TimeoutError(f"no connection within {seconds} s")
        except ConnectionLostError:
            failure = self._ended or ConnectionLostError(
                "the server ended the connection before it was ready"
            )
        raise failure

    def _connection_over(self, transport: AnyTransport) -> ClientConnection:
        session = ClientSession(
            self._codec, self._config, metrics=self._metrics, now=self._loop.time()
        )
        timeout = self._config.close_timeout
        connection = ClientConnection(transport, session, self._streams, timeout, self._on_lost)
        self._connections = {one for one in self._connections if not one.is_gone} | {connection}
        return connection

    def _use(self, connection: ClientConnection) -> None:
        if self._ended is not None or not connection.is_open:
            raise ConnectionLostError("the connection ended before it was ready")
        self._current.set_result(connection)
        self.state = "connected"

    def _on_lost(self, connection: ClientConnection) -> None:
        """Let those that ask from now on wait for the next connection."""
        current = self._current
        if current.done() and not current.exception() and current.result() is connection:
            self._current = self._loop.create_future()
            self._subscriptions.connection_lost()
            if self._ended is None:
                self.state = "reconnecting"

    async def _authenticate(self, connection: ClientConnection) -> None:
        """Show a token; a function is asked for another one if the first is refused.

        Raises:
            RemoteError: The server refuses the token.
        """
        if self._token is None:
            return
        while True:
            token = self._token
            if callable(token):
                token = await _called(token, "the token function")
            refusal = RemoteError("auth_required", "the server refuses the token")
            try:
                if (await connection.request(Authenticate(token=token))).authenticated:
                    self._tokens_refused = 0
                    return
            except RemoteError as error:
                if error.code not in TOKEN_REFUSED:
                    raise
                refusal = error
            self._tokens_refused += 1
            if isinstance(self._token, str) or self._tokens_refused > 1:
                raise refusal
            log.warning("the server refuses the token; a fresh one is asked for")

    async def _refresh_tokens(self, connection: ClientConnection) -> None:
        """Send a fresh token before the one that the server accepted expires."""
        while callable(self._token) and connection.expires_at is not None:
            left = connection.expires_at - self._loop.time()
            if left <= 0:
                return
            await asyncio.sleep(max(left - _LEAD, left * 0.8, _SHORTEST))
            try:
                async with patient_timeout(self._config.open_timeout):
                    await self._authenticate(connection)
            except ConnectionLostError:
                return
            except Exception as error:  # noqa: BLE001 - logged
                if _is_final(error):
                    self._tokens_refused = 0
                    log.warning("the server refuses the fresh token; the present one expires")
                    return
                # Its text may hold the token.
                log.warning("there is no fresh token yet: %s", type(error).__qualname__)
            else:
                self._subscriptions.check_soon()

    def _pauses(self) -> Iterator[float]:
        return delays(self._config.backoff_base, self._config.backoff_max)

    def _end(self, error: Exception) -> None:
        if self._ended is None:
            self._ended = error
            self.state = "closed"
            self._streams.end(error)
            if not self._current.done():
                self._current.set_exception(error)
                self._current.exception()  # it may be that nobody asks


async def _called(function: Callable[[], Any], what: str) -> Any:
    """Call a function of the user's, and wait for it.

    If what it waits for was cancelled, that is an error like others; if we are, it is not.
    """
    task = asyncio.current_task()
    assert task is not None
    cancellations = task.cancelling()
    try:
        returned = function()
        return await returned if inspect.isawaitable(returned) else returned
    except asyncio.CancelledError:
        if task.cancelling() > cancellations:
            raise
        failure = RuntimeError(f"{what} was cancelled")
    raise failure


@asynccontextmanager
async def _in_background(work: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    task = asyncio.create_task(work)
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait((task,))


def _is_final(error: Exception) -> bool:
    return isinstance(error, RemoteError) and error.code in TOKEN_REFUSED


def _closed() -> ConnectionLostError:
    return ConnectionLostError("the client is closed")
