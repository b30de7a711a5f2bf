"""One connection of a server: its driver, and the handlers that run for its commands.

Rules:

* Commands run at once, up to ``max_running``; as many more as ``max_pending`` wait, while reading
  goes on. Beyond that nothing is read until one is done.
* Session events other than commands wait until the commands before them have started.
* Each command is answered once, whatever its handler does: return, raise, be cancelled, or take
  longer than it may.
* What a handler raises is logged with the session, the message type and the message id. No record
  holds a secret, and nothing of an exception reaches the client.
"""

import asyncio
import inspect
import traceback
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from typing import Any, TypeAlias, TypeVar, cast

from attrs import frozen

from tachikoma_proto.connection.deadlines import patient_timeout
from tachikoma_proto.connection.driver import (
    AnyTransport,
    ConnectionDriver,
    ConnectionEnd,
    eager_starter,
)
from tachikoma_proto.declare.bases import Command, Response
from tachikoma_proto.errors import CommandError, ProtocolError
from tachikoma_proto.messages.envelope import IncomingMessage
from tachikoma_proto.server.dispatcher import Dispatcher, current
from tachikoma_proto.session.base import GOING_AWAY, INTERNAL_ERROR, POLICY_VIOLATION
from tachikoma_proto.session.events import (
    AuthenticationRequested,
    CommandReceived,
    ReauthenticationRequested,
    ServerSessionEvent,
    Subscribed,
    SubscriptionRequested,
)
from tachikoma_proto.session.server_session import ServerSession
from tachikoma_proto.session.session import Identity, Session
from tachikoma_proto.transports.transport import ConnectionRequest

Authenticator: TypeAlias = Callable[[str], Awaitable[Identity | None]]
"""Returns who a token belongs to; None if it is not valid."""

RequestAuthenticator: TypeAlias = Callable[[ConnectionRequest], Awaitable[Identity | None]]
"""Returns who a handshake belongs to; None if it does not say."""

MaySubscribe: TypeAlias = Callable[[Session, str], bool | Awaitable[bool]]
"""Returns whether a session may have the events of a topic, and of all below it."""

OnSubscribe: TypeAlias = Callable[[Session, str], Awaitable[None] | None]
"""Sends what should come before the events of a topic."""

SessionLifespan: TypeAlias = Callable[[Session], AbstractAsyncContextManager[Any]]
"""Returns a context manager that is entered when a connection opens, and left when it ended."""

CommandMessage: TypeAlias = IncomingMessage[Command[Any]]

A = TypeVar("A")
"""What a client shows to say who it is: a token, a handshake."""


@frozen(kw_only=True, eq=False)
class Callbacks:
    """The functions of the user that a connection calls.

    Attributes:
        dispatcher: Has the handlers.
        authenticate: Returns who a token belongs to; without it no token is valid.
        authenticate_request: Returns who a handshake belongs to.
        may_subscribe: Returns whether a session may subscribe to a topic.
        on_subscribe: Called after a subscription.
        session_lifespan: Surrounds the connection.
    """

    dispatcher: Dispatcher[Session]
    authenticate: Authenticator | None = None
    authenticate_request: RequestAuthenticator | None = None
    may_subscribe: MaySubscribe | None = None
    on_subscribe: OnSubscribe | None = None
    session_lifespan: SessionLifespan | None = None


class _Misused(TypeError):
    """A function of the user is not what it should be; the text may be logged."""


class Connection:
    """Serves one transport.

    Args:
        transport: Carries the frames.
        session: The connection's state.
        callbacks: The functions of the user.

    Attributes:
        session: The connection's state.
        task: The task that serves it.
        ended: Set when the connection has ended, and its handlers too.
    """

    def __init__(
        self, transport: AnyTransport, session: ServerSession, callbacks: Callbacks
    ) -> None:
        config = session.context.config
        loop = asyncio.get_running_loop()
        self.session = session
        self.task = asyncio.current_task()
        self.ended = asyncio.Event()
        self._config = config
        self._callbacks = callbacks
        self._dispatcher = callbacks.dispatcher
        self._driver = ConnectionDriver(transport, session, self._on_event, config.close_timeout)
        self._time = loop.time
        self._start_task = eager_starter(loop)
        self._running: dict[asyncio.Task[None], CommandMessage] = {}
        self._waiting: deque[CommandMessage] = deque()
        self._has_capacity = asyncio.Event()
        self._extra_tasks: set[asyncio.Task[None]] = set()
        self._lifespan = _Lifespan(session, callbacks.session_lifespan)
        self._is_cancelled = False
        # Not at once: it may be called while an event is on its way to the sessions.
        session.on_subscribed = lambda event: loop.call_soon(self._on_subscribed, event)

    @property
    def end(self) -> ConnectionEnd | None:
        """How the connection ended; None before, and where its task was cancelled."""
        return self._driver.end

    async def run(self, request: ConnectionRequest | None) -> None:
        """Serve the connection until it ends, and its handlers have ended.

        Args:
            request: The handshake, if the transport knows it.
        """
        await self._authenticate_request(request)
        async with self._lifespan:
            await self._drive()

    async def _drive(self) -> None:
        try:
            await self._driver.run()
            self._waiting.clear()
            if self._config.cancel_on_disconnect:
                self.cancel_handlers()
            while self._running:
                await asyncio.wait(self._running)
        finally:
            self.cancel_handlers()
            for task in self._extra_tasks:
                task.cancel()
            await asyncio.gather(*self._running, *self._extra_tasks, return_exceptions=True)

    def drain(self) -> None:
        """Take no more commands, answer those that came, and close with 1001."""
        self.session.drain(GOING_AWAY, "the server shuts down")

    def is_served_by(self, task: "asyncio.Task[Any] | None") -> bool:
        """Return whether a task runs a handler of this connection, or serves it."""
        return task in self._running or task in self._extra_tasks or task is self.task

    def cancel_handlers(self) -> None:
        """Cancel the handlers that still run, and start no more."""
        self._is_cancelled = True
        for task in list(self._running):
            task.cancel()
        while self._waiting:
            self.session.fail(self._waiting.popleft().id)

    def abort(self) -> None:
        """Close the connection at once, and cancel what of the user's still runs for it."""
        self.cancel_handlers()
        self._lifespan.cancel()
        self.session.abort(GOING_AWAY, "the server shuts down")

    # Session events.

    def _on_event(self, event: ServerSessionEvent) -> Awaitable[None] | None:
        if isinstance(event, CommandReceived):
            return self._on_command(event.message)
        if self._waiting:
            return self._handle_later(event)
        match event:
            case AuthenticationRequested():
                return self._check_token(event)
            case SubscriptionRequested():
                return self._decide_subscription(event)
            case Subscribed():
                self._on_subscribed(event)
                return None

    async def _handle_later(self, event: ServerSessionEvent) -> None:
        while self._waiting:
            self._has_capacity.clear()
            await self._has_capacity.wait()
        handling = self._on_event(event)
        if handling is not None:
            await handling

    # Commands.

    def _on_command(self, message: CommandMessage) -> Awaitable[None] | None:
        if len(self._running) < self._config.max_running:
            self._start(message)
            return None
        self._waiting.append(message)
        if len(self._waiting) < self._config.max_pending:
            return None
        return self._wait_for_capacity()

    async def _wait_for_capacity(self) -> None:
        while len(self._waiting) >= self._config.max_pending:
            self._has_capacity.clear()
            await self._has_capacity.wait()

    def _start_waiting(self) -> None:
        while self._waiting and len(self._running) < self._config.max_running:
            self._start(self._waiting.popleft())
        self._has_capacity.set()

    def _start(self, message: CommandMessage) -> None:
        """Run a handler; only one that has to be awaited takes a task."""
        if self._is_cancelled:
            self.session.fail(message.id)
        elif self._dispatcher.is_coroutine(type(message.payload)):
            self._run_in_task(message, None)
        else:
            self._run_plain(message)

    def _run_plain(self, message: CommandMessage) -> None:
        started = self._time()
        token = current.set((message, self.session))
        try:
            response = self._dispatcher.call(message.payload, self.session)
        except (Exception, asyncio.CancelledError) as error:  # noqa: BLE001 - logged there
            self._fail(message, error)
        else:
            if inspect.isawaitable(response):  # of a plain function that returns one
                self._run_in_task(message, response)
                return
            self.session.reply(message, response)
        finally:
            current.reset(token)
        self._observe(message, started)

    def _run_in_task(self, message: CommandMessage, response: Awaitable[Response] | None) -> None:
        task = self._start_task(self._run_handler(message, response))
        if task.done():
            return
        self._running[task] = message  # where it has not begun yet

        def ended(task: "asyncio.Task[None]") -> None:
            if task in self._running:  # it was cancelled before it began
                del self._running[task]
                if inspect.iscoroutine(response):
                    response.close()
                self.session.fail(message.id)
            self._start_waiting()

        task.add_done_callback(ended)

    async def _run_handler(
        self, message: CommandMessage, response: Awaitable[Response] | None
    ) -> None:
        """Await a response; the handler is called in this task, where it can be cancelled."""
        session, started = self.session, self._time()
        task = cast("asyncio.Task[None]", asyncio.current_task())
        self._running[task] = message
        current.set((message, session))
        try:
            if response is None:
                response = self._dispatcher.dispatch(message.payload, session)
            if self._config.handler_timeout is None:
                result = await response
            else:
                result = await self._in_time(response)
        except (Exception, asyncio.CancelledError) as error:  # noqa: BLE001 - logged there
            self._fail(message, error)
        except BaseException:
            session.fail(message.id)
            raise
        else:
            session.reply(message, result)
        finally:
            del self._running[task]
        self._observe(message, started)

    async def _in_time(self, response: Awaitable[Response]) -> Response:
        seconds = self._config.handler_timeout
        assert seconds is not None, "there is no limit"
        limit = patient_timeout(seconds)
        try:
            async with limit:
                return await response
        except TimeoutError:
            if limit.expired:
                raise _Misused(f"it took longer than {seconds} s") from None
            raise

    def _observe(self, message: CommandMessage, started: float) -> None:
        metrics = self.session.context.metrics
        if metrics is not None:
            metrics.command_handled(message.type, self._time() - started)

    def _fail(self, message: CommandMessage, error: BaseException) -> None:
        """Answer a command whose handler raised; log it if it was not meant for the client."""
        session = self.session
        refusal = _refusal(error)
        if refusal is not None:
            session.refuse(refusal, message.id)
            return
        if isinstance(error, asyncio.CancelledError) and self._is_cancelled:
            session.fail(message.id)
            return
        details = ""
        exc_info: BaseException | None = error
        if isinstance(error, _Misused):
            details, exc_info = f": {error}", None
        elif session.context.has_secrets(message.payload):
            details, exc_info = f": {_traceback(error)}", None
        session.log.error(
            "message %s: the handler of %s failed%s",
            message.id,
            message.type,
            details,
            exc_info=exc_info,
            extra={"message_id": message.id, "message_type": message.type},
        )
        session.fail(message.id)

    # Authentication and permissions.

    async def _authenticate_request(self, request: ConnectionRequest | None) -> None:
        """Authenticate a session by its handshake; close it if it cannot authenticate at all."""
        authenticate = self._callbacks.authenticate_request
        if authenticate is None:
            return
        session = self.session
        current.set((None, session))
        try:
            identity = None
            if request is not None:
                identity = await self._identify(authenticate, request)
        except Exception as error:  # noqa: BLE001 - logged
            session.log.error("authenticate_request failed: %s", _reason(error))
            session.abort(INTERNAL_ERROR, "internal error")
            return
        if identity is not None and session.identify(identity, self._time()):
            return
        if self._callbacks.authenticate is None and self._config.require_auth:
            if session.context.metrics is not None:
                session.context.metrics.authentication_failed()
            session.close(POLICY_VIOLATION, "not authenticated")

    async def _check_token(self, request: AuthenticationRequested) -> None:
        session = self.session
        current.set((request.message, session))
        try:
            identity = None
            if self._callbacks.authenticate is not None:
                identity = await self._identify(self._callbacks.authenticate, request.token)
            review = session.authenticated(request.message_id, identity, self._time())
        except Exception as error:  # noqa: BLE001 - logged
            refusal = _refusal(error)
            if refusal is not None:
                session.refuse(refusal, request.message_id)
                return
            session.log.error("authenticate failed: %s", _reason(error))
            session.fail(request.message_id)
        else:
            if review is not None:
                await self._decide_reauthentication(review)

    async def _identify(
        self, authenticate: Callable[[A], Awaitable[Identity | None]], shown: A
    ) -> Identity | None:
        with _cancellation_is_failure():
            checking: object = authenticate(shown)
            if not inspect.isawaitable(checking):
                raise _Misused("it has to be a coroutine function")
            async with patient_timeout(self._config.auth_timeout):
                identity: object = await checking
        if identity is None or isinstance(identity, Identity):
            return identity
        raise _Misused(f"it has to return an Identity or None, not {type(identity).__name__}")

    async def _decide_subscription(self, request: SubscriptionRequested) -> None:
        current.set((request.message, self.session))
        try:
            allowed = await self._is_allowed(request.topic)
        except Exception as error:
            refusal = _refusal(error)
            if refusal is not None:
                self.session.refuse(refusal, request.message_id)
                return
            self.session.log.exception("may_subscribe failed")
            self.session.fail(request.message_id)
        else:
            subscribed = self.session.decide_subscription(request, allowed)
            if subscribed is not None:
                self._on_subscribed(subscribed)

    async def _decide_reauthentication(self, request: ReauthenticationRequested) -> None:
        try:
            allowed = [topic for topic in request.topics if await self._is_allowed(topic)]
        except Exception:
            self.session.log.exception("may_subscribe failed")
            self.session.undo_reauthentication(request)
        else:
            self.session.decide_reauthentication(request, allowed, self._time())

    async def _is_allowed(self, topic: str) -> bool:
        assert self._callbacks.may_subscribe is not None, "nobody can answer"
        with _cancellation_is_failure():
            allowed: object = self._callbacks.may_subscribe(self.session, topic)
            if inspect.isawaitable(allowed):
                async with patient_timeout(self._config.auth_timeout):
                    allowed = await allowed
        if not isinstance(allowed, bool):
            raise TypeError(f"may_subscribe returns True or False, not {type(allowed).__name__}")
        return allowed

    def _on_subscribed(self, event: Subscribed) -> None:
        if self.session.closing is not None:
            return
        task = self._start_task(self._call_on_subscribe(event.topic))
        if not task.done():
            self._extra_tasks.add(task)
            task.add_done_callback(self._extra_tasks.discard)

    async def _call_on_subscribe(self, topic: str) -> None:
        assert self._callbacks.on_subscribe is not None, "nobody wants to know"
        current.set((None, self.session))
        try:
            with _cancellation_is_failure():
                calling = self._callbacks.on_subscribe(self.session, topic)
                if inspect.isawaitable(calling):
                    await calling
        except Exception:
            self.session.log.exception("on_subscribe failed")
        finally:
            self.session.release_events()


class _Lifespan:
    """Enters and leaves the user's ``session_lifespan``; a failure to enter aborts the session."""

    def __init__(self, session: ServerSession, lifespan: SessionLifespan | None) -> None:
        self._session = session
        self._lifespan = lifespan
        self._manager: AbstractAsyncContextManager[Any] | None = None
        self._limit: asyncio.Timeout | None = None

    def cancel(self) -> None:
        """Wait no longer for it to be entered or left."""
        if self._limit is not None:
            self._limit.reschedule(asyncio.get_running_loop().time())

    @asynccontextmanager
    async def _cancellable(self) -> AsyncIterator[None]:
        try:
            with _cancellation_is_failure():
                async with asyncio.timeout(None) as self._limit:
                    yield
        finally:
            self._limit = None

    async def __aenter__(self) -> None:
        if self._lifespan is None or self._session.closing is not None:
            return
        current.set((None, self._session))
        try:
            async with self._cancellable():
                manager = self._lifespan(self._session)
                await manager.__aenter__()
        except Exception:
            self._session.log.exception("session_lifespan failed when it was entered")
            self._session.abort(INTERNAL_ERROR, "internal error")
        else:
            self._manager = manager

    async def __aexit__(self, *error: Any) -> None:
        if self._manager is None:
            return
        try:
            async with self._cancellable():
                await self._manager.__aexit__(*error)
        except Exception as failure:
            if failure is error[1]:  # the connection's own failure, which passes through
                return
            self._session.log.exception("session_lifespan failed when it was left")


@contextmanager
def _cancellation_is_failure() -> Iterator[None]:
    """Take it as an error like others if what a function of the user waited for was cancelled.

    If this task itself is cancelled, it is not.
    """
    task = asyncio.current_task()
    cancellations = task.cancelling() if task else 0
    try:
        yield
    except asyncio.CancelledError as error:
        if task is None or task.cancelling() > cancellations:
            raise
        raise _Misused("what it waited for was cancelled") from error


def _refusal(error: BaseException) -> ProtocolError | CommandError | None:
    """Return the error that is meant for the client, or None; one alone in a group counts."""
    while isinstance(error, BaseExceptionGroup) and len(error.exceptions) == 1:
        error = error.exceptions[0]
    return error if isinstance(error, (ProtocolError, CommandError)) else None


def _reason(error: BaseException) -> str:
    return str(error) if isinstance(error, _Misused) else _traceback(error)


def _traceback(error: BaseException) -> str:
    """Return what was raised and where, without the exception's own text.

    That text may hold what the function was given, as that of ``KeyError(token)`` does.
    """
    lines = "".join(traceback.format_tb(error.__traceback__))
    return f"{type(error).__qualname__}\n{lines.rstrip()}"
