"""One connection of a server: its link, and the handlers that carry out its commands."""

import asyncio
import inspect
import logging
from collections.abc import Awaitable, Callable
from typing import Any, TypeAlias, cast

from tachikoma_proto.connection.driver import Link
from tachikoma_proto.declare.bases import Command, Response
from tachikoma_proto.errors import CommandError, ProtocolError
from tachikoma_proto.messages.envelope import IncomingMessage
from tachikoma_proto.server.dispatcher import Dispatcher
from tachikoma_proto.server.places import places
from tachikoma_proto.session.conversation import GOING_AWAY
from tachikoma_proto.session.happenings import (
    AuthenticationRequested,
    ServerHappening,
)
from tachikoma_proto.session.server_session import ServerSession
from tachikoma_proto.session.session import Identity, Session
from tachikoma_proto.transports.transport import Transport

log = logging.getLogger(__name__)

Authenticator: TypeAlias = Callable[[str], Awaitable[Identity | None]]
"""Tells whose a token is; None if it is nobody's."""

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
        authenticate: Tells whose a token is; without it every token is refused.
    """

    def __init__(
        self,
        transport: Transport,
        session: ServerSession,
        dispatcher: Dispatcher[Session],
        authenticate: Authenticator | None,
    ) -> None:
        config = session.hub.config
        self.session = session
        self._dispatcher = dispatcher
        self._authenticate = authenticate
        self._link = Link(transport, session, self._happened, config.close_timeout)
        self._running: dict[asyncio.Task[None], tuple[CommandMessage, Reply | None]] = {}
        self._create_task = asyncio.get_running_loop().create_task
        self._max_running = config.max_running
        self._gave_up = False

    async def run(self) -> None:
        """Serve the connection until it ends, and its commands are carried out."""
        try:
            await self._link.run()
            while self._running:
                await asyncio.wait(self._running)
        finally:
            self.give_up_commands()
            await asyncio.gather(*self._running, return_exceptions=True)

    def go_away(self) -> None:
        """Read no more, carry out what came, send what waits, and close with 1001."""
        self.session.part(GOING_AWAY, "the server shuts down")

    def runs_in(self, task: "asyncio.Task[Any] | None") -> bool:
        """Tell whether a task carries out a command of this connection."""
        return task in self._running

    def give_up_commands(self) -> None:
        """Cancel the handlers that still run, and start no more."""
        self._gave_up = True
        for task in self._running:
            task.add_done_callback(self._answer_if_open)
            task.cancel()

    def cut_off(self) -> None:
        """Close the connection now, whatever is not done."""
        self.give_up_commands()
        self.session.shut(GOING_AWAY, "the server shuts down", drains=False)

    def _answer_if_open(self, task: "asyncio.Task[None]") -> None:
        """Answer a command whose task was cancelled before it began."""
        if task in self._running:
            message, reply = self._running.pop(task)
            if inspect.iscoroutine(reply):
                reply.close()
            self.session.fail(message.id)

    def _happened(self, happening: ServerHappening) -> Awaitable[None] | None:
        if isinstance(happening, AuthenticationRequested):
            return self._check(happening)
        if len(self._running) < self._max_running:
            self._start(happening.message)
            return None
        return self._start_later(happening.message)

    async def _start_later(self, message: CommandMessage) -> None:
        while len(self._running) >= self._max_running:
            await asyncio.wait(self._running, return_when=asyncio.FIRST_COMPLETED)
        self._start(message)

    def _start(self, message: CommandMessage) -> None:
        """Have a command carried out; only one that has to be waited for takes a task."""
        if self._gave_up:
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
        task = self._create_task(self._carry_out(message, reply))
        if not task.done():  # as it may be, where tasks begin at once
            self._running[task] = message, reply

    async def _carry_out(self, message: CommandMessage, reply: Reply | None) -> None:
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
        if isinstance(error, asyncio.CancelledError) and self._gave_up:
            session.fail(message.id)
            return
        has_secrets = session.hub.has_secrets(message.payload)
        log.error(
            "session %s: the handler of %s failed%s",
            session.id,
            message.type,
            f": {places(error)}" if has_secrets else "",
            exc_info=None if has_secrets else error,
        )
        session.fail(message.id)

    async def _check(self, request: AuthenticationRequested) -> None:
        try:
            identity = await self._identify(request.token)
            now = asyncio.get_running_loop().time()
            self.session.authenticated(request.message_id, identity, now)
        except (ProtocolError, CommandError) as error:
            self.session.refuse(error, request.message_id)
        except (Exception, asyncio.CancelledError) as error:
            task = asyncio.current_task()
            if isinstance(error, asyncio.CancelledError) and task and task.cancelling():
                raise
            why = str(error) if isinstance(error, _Misused) else places(error)
            log.error("session %s: no token can be checked: %s", self.session.id, why)
            self.session.fail(request.message_id)

    async def _identify(self, token: str) -> Identity | None:
        if self._authenticate is None:
            return None
        checking: object = self._authenticate(token)
        if not inspect.isawaitable(checking):
            raise _Misused("authenticate has to be a coroutine function")
        async with asyncio.timeout(self.session.hub.config.auth_timeout):
            identity: object = await checking
        if identity is None or isinstance(identity, Identity):
            return identity
        raise _Misused(f"authenticate gives an Identity or None, not a {type(identity).__name__}")
