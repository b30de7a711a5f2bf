"""One connection of a client: its link, and who waits for which answer."""

import asyncio
from typing import cast
from uuid import UUID

from tachikoma_proto.base import Command, R
from tachikoma_proto.client.events import EventQueue
from tachikoma_proto.errors import ConnectionLostError
from tachikoma_proto.link import Link
from tachikoma_proto.session.client_session import ClientSession
from tachikoma_proto.session.happenings import Answered, ClientHappening, Pushed
from tachikoma_proto.transport import Transport


class Connection:
    """Talks over one transport.

    Args:
        transport: Carries the frames.
        session: The connection's state.
        events: Gets what the server pushes.
        close_timeout: How many seconds the closing may take.
    """

    def __init__(
        self,
        transport: Transport,
        session: ClientSession,
        events: EventQueue,
        close_timeout: float,
    ) -> None:
        self._session = session
        self._events = events
        self._answers: dict[UUID, asyncio.Future[object]] = {}
        self._link = Link(transport, session, self._happened, close_timeout)
        self._task = asyncio.create_task(self._run())

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
        if self._task.done():
            raise ConnectionLostError("the connection is lost; the command was not sent")
        message_id = self._session.ask(command)
        answer = self._answers[message_id] = asyncio.get_running_loop().create_future()
        try:
            return cast(R, await answer)
        finally:
            del self._answers[message_id]
            self._session.forget(message_id)

    async def wait_closed(self) -> None:
        """Wait until the connection has ended."""
        await asyncio.shield(self._task)

    async def close(self) -> None:
        """End the connection in order."""
        self._session.close()
        await self._task

    async def _run(self) -> None:
        try:
            await self._link.run()
        finally:
            for answer in self._answers.values():
                if not answer.done():
                    answer.set_exception(
                        ConnectionLostError(
                            "the connection was lost before the answer came; "
                            "the command may have been carried out"
                        )
                    )

    def _happened(self, happening: ClientHappening) -> None:
        match happening:
            case Pushed(message):
                self._events.put(message)
            case Answered(message_id, response):
                answer = self._answers.get(message_id)
                if answer is None or answer.done():
                    return
                if isinstance(response, Exception):
                    answer.set_exception(response)
                else:
                    answer.set_result(response)
