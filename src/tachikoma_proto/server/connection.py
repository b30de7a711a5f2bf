"""One connection of a server: its driver, and the handlers that run for its commands."""

import asyncio
import inspect
import traceback
from collections.abc import Awaitable, Callable
from typing import Any, TypeAlias, cast

from tachikoma_proto.connection.driver import ConnectionDriver
from tachikoma_proto.declare.bases import Command, Response
from tachikoma_proto.errors import CommandError, ProtocolError
from tachikoma_proto.messages.envelope import IncomingMessage
from tachikoma_proto.server.dispatcher import Dispatcher
from tachikoma_proto.session.base import GOING_AWAY
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
from tachikoma_proto.transports.transport import Transport

Authenticator: TypeAlias = Callable[[str], Awaitable[Identity | None]]
"""Returns who a token belongs to; None if it is not valid."""

MaySubscribe: TypeAlias = Callable[[Session, str], bool | Awaitable[bool]]
"""Returns whether a session may have the events of a topic, and of all below it."""

CommandMessage: TypeAlias = IncomingMessage[Command[Any]]

Reply: TypeAlias = Awaitable[Response]


class _Misused(TypeError):
    """The authenticator is not what it should be; the text may be logged."""


class Connection:
    """Serves one transport.

    Args:
        transport: Carries the frames.
        session: The connection's state.
        dispatcher: Has the handlers.
        authenticate: Returns who a token belongs to; without it every token is refused.
        may_subscribe: Returns whether the session may subscribe to a topic.
    """

    def __init__(
        self,
        transport: Transport,
        session: ServerSession,
        dispatcher: Dispatcher[Session],
        authenticate: Authenticator | None,
        may_subscribe: MaySubscribe | None,
    ) -> None:
        config = session.context.config
        self.session = session
        self._dispatcher = dispatcher
        self._authenticate = authenticate
        self._may_subscribe = may_subscribe
        self._driver = ConnectionDriver(transport, session, self._on_event, config.close_timeout)
        self._running: dict[asyncio.Task[None], tuple[CommandMessage, Reply | None]] = {}
        self._create_task = asyncio.get_running_loop().create_task
        self._max_running = config.max_running
        self._is_cancelled = False

    async def run(self) -> None:
        """Serve the connection until it ends, and its commands are carried out."""
        try:
            await self._driver.run()
            while self._running:
                await asyncio.wait(self._running)
        finally:
            self.cancel_handlers()
            await asyncio.gather(*self._running, return_exceptions=True)

    def go_away(self) -> None:
        """Take no more commands, answer those that came, and close with 1001."""
        self.session.drain(GOING_AWAY, "the server shuts down")

    def runs_in(self, task: "asyncio.Task[Any] | None") -> bool:
        """Return whether a task runs a handler of this connection."""
        return task in self._running

    def cancel_handlers(self) -> None:
        """Cancel the handlers that still run, and start no more."""
        self._is_cancelled = True
        for task in self._running:
            task.add_done_callback(self._answer_if_open)
            task.cancel()

    def abort(self) -> None:
        """Close the connection at once, and cancel its handlers."""
        self.cancel_handlers()
        self.session.abort(GOING_AWAY, "the server shuts down")

    def _answer_if_open(self, task: "asyncio.Task[None]") -> None:
        """Answer a command whose task was cancelled before it began."""
        if task in self._running:
            message, reply = self._running.pop(task)
            if inspect.iscoroutine(reply):
                reply.close()
            self.session.fail(message.id)

    def _on_event(self, event: ServerSessionEvent) -> Awaitable[None] | None:
        match event:
            case CommandReceived(message):
                if len(self._running) < self._max_running:
                    self._start(message)
                    return None
                return self._start_later(message)
            case AuthenticationRequested():
                return self._check(event)
            case SubscriptionRequested():
                return self._decide_subscription(event)
            case ReauthenticationRequested():
                return self._decide_reauthentication(event)
            case Subscribed():
                self.session.release_events()
                return None

    async def _start_later(self, message: CommandMessage) -> None:
        while len(self._running) >= self._max_running:
            await asyncio.wait(self._running, return_when=asyncio.FIRST_COMPLETED)
        self._start(message)

    def _start(self, message: CommandMessage) -> None:
        """Have a command carried out; only one that has to be waited for takes a task."""
        if self._is_cancelled:
            self.session.fail(message.id)
        elif self._dispatcher.is_coroutine(type(message.payload)):
            self._wait_for(message, None)
        else:
            self._answer(message)

    def _answer(self, message: CommandMessage) -> None:
        try:
            reply = self._dispatcher.call(message.payload, self.session)
        except (Exception, asyncio.CancelledError) as error:  # noqa: BLE001 - logged there
            self._fail(message, error)
            return
        if inspect.isawaitable(reply):  # of a function that is plain, and returns one
            self._wait_for(message, reply)
        else:
            self.session.reply(message, reply)

    def _wait_for(self, message: CommandMessage, reply: Reply | None) -> None:
        task = self._create_task(self._run_handler(message, reply))
        if not task.done():  # as it may be, where tasks begin at once
            self._running[task] = message, reply

    async def _run_handler(self, message: CommandMessage, reply: Reply | None) -> None:
        """Wait for a reply, or have the handler called in this task, where it can be cancelled."""
        try:
            response = await (reply or self._dispatcher.dispatch(message.payload, self.session))
        except (Exception, asyncio.CancelledError) as error:  # noqa: BLE001 - logged there
            self._fail(message, error)
        except BaseException:
            self.session.fail(message.id)
            raise
        else:
            self.session.reply(message, response)
        finally:
            self._running.pop(cast("asyncio.Task[None]", asyncio.current_task()), None)

    def _fail(self, message: CommandMessage, error: BaseException) -> None:
        """Answer a command whose handler raised, and log it if that was not meant for the peer."""
        session = self.session
        if isinstance(error, (ProtocolError, CommandError)):
            session.refuse(error, message.id)
            return
        if isinstance(error, asyncio.CancelledError) and self._is_cancelled:
            session.fail(message.id)
            return
        has_secrets = session.context.has_secrets(message.payload)
        session.log.error(
            "message %s: the handler of %s failed%s",
            message.id,
            message.type,
            f": {_traceback(error)}" if has_secrets else "",
            exc_info=None if has_secrets else error,
        )
        session.fail(message.id)

    async def _check(self, request: AuthenticationRequested) -> None:
        try:
            identity = await self._identify(request.token)
            now = asyncio.get_running_loop().time()
            review = self.session.authenticated(request.message_id, identity, now)
        except (ProtocolError, CommandError) as error:
            self.session.refuse(error, request.message_id)
        except (Exception, asyncio.CancelledError) as error:
            task = asyncio.current_task()
            if isinstance(error, asyncio.CancelledError) and task and task.cancelling():
                raise
            why = str(error) if isinstance(error, _Misused) else _traceback(error)
            self.session.log.error("authenticate failed: %s", why)
            self.session.fail(request.message_id)
        else:
            if review is not None:
                await self._decide_reauthentication(review)

    async def _decide_subscription(self, request: SubscriptionRequested) -> None:
        try:
            allowed = await self._is_allowed(request.topic)
        except Exception:
            self.session.log.exception("may_subscribe failed")
            self.session.fail(request.message_id)
        else:
            self.session.decide_subscription(request, allowed)

    async def _decide_reauthentication(self, request: ReauthenticationRequested) -> None:
        try:
            allowed = [topic for topic in request.topics if await self._is_allowed(topic)]
        except Exception:
            self.session.log.exception("may_subscribe failed")
            self.session.undo_reauthentication(request)
        else:
            now = asyncio.get_running_loop().time()
            self.session.decide_reauthentication(request, allowed, now)

    async def _is_allowed(self, topic: str) -> bool:
        assert self._may_subscribe is not None, "the session asks only if somebody can answer"
        allowed: object = self._may_subscribe(self.session, topic)
        if inspect.isawaitable(allowed):
            allowed = await allowed
        if not isinstance(allowed, bool):
            raise TypeError(f"may_subscribe returns True or False, not {type(allowed).__name__}")
        return allowed

    async def _identify(self, token: str) -> Identity | None:
        if self._authenticate is None:
            return None
        checking: object = self._authenticate(token)
        if not inspect.isawaitable(checking):
            raise _Misused("authenticate has to be a coroutine function")
        async with asyncio.timeout(self.session.context.config.auth_timeout):
            identity: object = await checking
        if identity is None or isinstance(identity, Identity):
            return identity
        raise _Misused(f"authenticate gives an Identity or None, not a {type(identity).__name__}")


def _traceback(error: BaseException) -> str:
    """Return what was raised and where, without the exception's own text.

    That text may hold what the handler was given, as that of ``KeyError(token)`` does.
    """
    lines = "".join(traceback.format_tb(error.__traceback__))
    return f"{type(error).__qualname__}\n{lines.rstrip()}"
