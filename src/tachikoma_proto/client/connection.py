"""One connection of a client: who waits for which response, and how the connection ended."""

import asyncio
from collections.abc import Callable
from datetime import datetime
from typing import Final, cast
from uuid import UUID

from tachikoma_proto.client.streams import Disconnected, EventStreams
from tachikoma_proto.connection.driver import AnyTransport, ConnectionDriver
from tachikoma_proto.declare.bases import Command, R
from tachikoma_proto.errors import ConnectionLostError, InvalidMessageError
from tachikoma_proto.messages.responses import AckResponse, AuthResponse
from tachikoma_proto.session.base import NORMAL
from tachikoma_proto.session.client_session import ClientSession
from tachikoma_proto.session.events import (
    ClientSessionEvent,
    MessageReceived,
    PositionReceived,
    ResponseReceived,
)
from tachikoma_proto.session.logs import client_logger as log

ABNORMAL: Final = 1006
"""The close code that RFC 6455 has for a connection that broke off."""


class ClientConnection:
    """Sends requests over one transport.

    Args:
        transport: Carries the frames.
        session: The connection's state.
        streams: Get what the server pushes.
        close_timeout: How many seconds closing may take.
        lost: Called once it is known that the connection ends.

    Attributes:
        expires_at: When the token that the server accepted expires, in the event loop's time;
            None if it does not.
        authentications: How many tokens the server has accepted.
    """

    def __init__(
        self,
        transport: AnyTransport,
        session: ClientSession,
        streams: EventStreams,
        close_timeout: float,
        lost: Callable[["ClientConnection"], object],
    ) -> None:
        self.expires_at: float | None = None
        self.authentications = 0
        self._session = session
        self._streams = streams
        self._lost = lost
        self._ended = asyncio.Event()
        self._responses: dict[UUID, asyncio.Future[object]] = {}
        self._loop = asyncio.get_running_loop()
        self._driver = ConnectionDriver(
            transport, session, self._on_event, close_timeout, self._on_closing
        )
        self._task = asyncio.create_task(self._run())
        self._task.add_done_callback(lambda _: self._on_closing())  # if it was cancelled, too

    @property
    def is_open(self) -> bool:
        """Whether a command can be sent."""
        is_over = self._ended.is_set() or self._task.done()
        return not is_over and self._session.closing is None

    @property
    def is_gone(self) -> bool:
        """Whether nothing is left of it."""
        return self._task.done()

    @property
    def disconnected(self) -> Disconnected:
        """How it ended, once it has."""
        end = self._driver.end
        return Disconnected(ABNORMAL) if end is None else Disconnected(int(end.code), end.reason)

    @property
    def is_ended_by_server(self) -> bool:
        """Whether the server or the network ended it, and not the client itself."""
        return self._driver.end is None or self._driver.end.by_peer

    async def request(self, command: Command[R]) -> R:
        """Send a command, and wait for its response.

        Args:
            command: The command.

        Raises:
            RemoteError: The server answered with an error.
            InvalidMessageError: It answered with something else than the command's reply.
            ConnectionLostError: The connection ended before the response came.
            EncodeError: The server could not read the command; it was not sent.
        """
        if not self.is_open:
            raise ConnectionLostError("the connection is lost; the command was not sent")
        message_id = self._session.request(command)
        waiting = self._responses[message_id] = self._loop.create_future()
        try:
            return cast(R, await waiting)
        finally:
            del self._responses[message_id]
            self._session.forget(message_id)

    async def wait_lost(self) -> None:
        """Wait until it is known that the connection ends."""
        await self._ended.wait()

    async def wait_gone(self) -> None:
        """Wait until nothing is left of the connection."""
        await asyncio.wait((self._task,))

    def close(self) -> None:
        """Close the connection in order; ``wait_gone`` waits until it has ended."""
        self._session.close()

    def abort(self) -> None:
        """Close the connection, and drop what waits to be sent."""
        self._session.abort(NORMAL)

    async def _run(self) -> None:
        try:
            await self._driver.run()
        except Exception:  # noqa: BLE001 - logged
            log.exception("a connection failed")

    def _on_closing(self) -> None:
        for response in self._responses.values():
            if not response.done():
                response.set_exception(
                    ConnectionLostError(
                        "the connection was lost before the answer came; "
                        "the command may have been carried out"
                    )
                )
        if not self._ended.is_set():
            self._ended.set()
            self._lost(self)

    def _on_event(self, event: ClientSessionEvent) -> None:
        match event:
            case MessageReceived(message):
                self._streams.put(message)
            case PositionReceived(position):
                self._streams.move(position)
            case ResponseReceived(message_id, response, timestamp):
                if isinstance(response, AuthResponse) and response.authenticated:
                    self.authentications += 1
                    self.expires_at = self._expiry(response, timestamp)
                if isinstance(response, AckResponse) and response.position is not None:
                    self._streams.move(response.position)
                waiting = self._responses.get(message_id)
                if waiting is None or waiting.done():
                    return
                if isinstance(response, Exception):
                    waiting.set_exception(response)
                else:
                    waiting.set_result(response)

    def _expiry(self, response: AuthResponse, now: datetime) -> float | None:
        """Return when a token expires, in the event loop's time.

        Both times are of the server's clock, which need not agree with ours.
        """
        try:
            expires_at = response.expires_at_datetime
        except InvalidMessageError:
            log.warning("cannot read when the token expires")
            return None
        return (
            None if expires_at is None else self._loop.time() + (expires_at - now).total_seconds()
        )
