"""One connection of a client: its driver, and who waits for which answer."""

import asyncio
import logging
from collections.abc import Callable
from typing import cast
from uuid import UUID

from tachikoma_proto.client.events import EventQueue
from tachikoma_proto.connection.driver import ConnectionDriver
from tachikoma_proto.declare.bases import Command, R
from tachikoma_proto.errors import ConnectionLostError
from tachikoma_proto.session.client_session import ClientSession
from tachikoma_proto.session.events import ClientSessionEvent, MessageReceived, ResponseReceived
from tachikoma_proto.transports.transport import Transport

log = logging.getLogger(__name__)


class Connection:
    """Talks over one transport.

    Args:
        transport: Carries the frames.
        session: The connection's state.
        events: Gets what the server pushes.
        close_timeout: How many seconds the closing may take.
        lost: Called once it is known that the connection ends.
    """

    def __init__(
        self,
        transport: Transport,
        session: ClientSession,
        events: EventQueue,
        close_timeout: float,
        lost: Callable[["Connection"], object],
    ) -> None:
        self._session = session
        self._events = events
        self._lost = lost
        self._ended = asyncio.Event()
        self._answers: dict[UUID, asyncio.Future[object]] = {}
        self._driver = ConnectionDriver(
            transport, session, self._on_event, close_timeout, self._closing
        )
        self._task = asyncio.create_task(self._run())
        self._task.add_done_callback(lambda _: self._closing())  # if it was cancelled, too

    @property
    def is_open(self) -> bool:
        """Whether a command can be sent."""
        return self._session.closing is None and not self._task.done()

    @property
    def is_gone(self) -> bool:
        """Whether nothing is left of it."""
        return self._task.done()

    async def ask(self, command: Command[R]) -> R:
        """Send a command, and wait for its answer.

        Args:
            command: The command.

        Returns:
            What answers it.

        Raises:
            RemoteError: The server answered with an error.
            InvalidMessageError: It answered with something else than the command's reply.
            ConnectionLostError: The connection ended before the answer came.
            EncodeError: The server could not read the command; it was not sent.
        """
        if not self.is_open:
            raise ConnectionLostError("the connection is lost; the command was not sent")
        message_id = self._session.request(command)
        answer = self._answers[message_id] = asyncio.get_running_loop().create_future()
        try:
            return cast(R, await answer)
        finally:
            del self._answers[message_id]
            self._session.forget(message_id)

    async def wait_lost(self) -> None:
        """Wait until it is known that the connection ends."""
        await self._ended.wait()

    async def wait_gone(self) -> None:
        """Wait until nothing is left of the connection."""
        await asyncio.wait((self._task,))

    def close(self, *, drains: bool = True) -> None:
        """End the connection; ``wait_gone`` waits until it has ended.

        Args:
            drains: Whether what waits to be sent is sent before.
        """
        if drains:
            self._session.close()
        else:
            self._session.abort(1000)

    async def _run(self) -> None:
        try:
            await self._driver.run()
        except Exception:
            log.exception("a connection failed")

    def _closing(self) -> None:
        for answer in self._answers.values():
            if not answer.done():
                answer.set_exception(
                    ConnectionLostError(
                        "the connection was lost before the answer came; "
                        "the command may have been carried out"
                    )
                )
        self._ended.set()
        self._lost(self)

    def _on_event(self, event: ClientSessionEvent) -> None:
        match event:
            case MessageReceived(message):
                self._events.put(message)
            case ResponseReceived(message_id, response):
                answer = self._answers.get(message_id)
                if answer is None or answer.done():
                    return
                if isinstance(response, Exception):
                    answer.set_exception(response)
                else:
                    answer.set_result(response)
