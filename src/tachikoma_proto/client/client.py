"""``Client``: requests, subscriptions and events, whatever becomes of a single connection."""

import asyncio
from collections.abc import AsyncIterator
from functools import partial
from types import TracebackType
from typing import Self

from tachikoma_proto.client.events import Pushed
from tachikoma_proto.client.keeper import Keeper, OpenTransport, Token
from tachikoma_proto.codec.codec import Codec
from tachikoma_proto.declare.bases import Command, Event, R
from tachikoma_proto.errors import RemoteError
from tachikoma_proto.messages.commands import Subscribe, SubscriptionFilters, Unsubscribe
from tachikoma_proto.messages.responses import AckResponse
from tachikoma_proto.messages.unknown import UnknownEvent
from tachikoma_proto.session.config import ClientConfig
from tachikoma_proto.session.metrics import Metrics


class Client:
    """Talks to a server; an asynchronous context manager.

    Args:
        open_transport: Opens a connection; ``connect`` has one for ``websockets``.
        token: Shows who the user is; without it the client does not authenticate.
        codec: Reads and writes the frames; one for the built-in messages if left out.
        config: How it behaves; the defaults if left out.
        metrics: Told what happens, if anybody is to be.
    """

    def __init__(
        self,
        open_transport: OpenTransport,
        *,
        token: Token | None = None,
        codec: Codec | None = None,
        config: ClientConfig | None = None,
        metrics: Metrics | None = None,
    ) -> None:
        self._config = config or ClientConfig()
        self._make_keeper = partial(
            Keeper,
            open_transport,
            token=token,
            codec=Codec() if codec is None else codec,
            config=self._config,
            metrics=metrics,
        )
        self._keeper: Keeper | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        if token is not None and not isinstance(token, str) and not callable(token):
            raise TypeError(f"a token is text, or a function that gives it, not {type(token)}")

    async def __aenter__(self) -> Self:
        """Connect and authenticate.

        Raises:
            RemoteError: The server refuses the token.
            TimeoutError: It took longer than ``open_timeout``.
            OSError: The server cannot be reached. What else the opening of the transport raises
                passes through, too.
        """
        if self._keeper is not None:
            raise RuntimeError("a client is entered once: make another one")
        self._loop = asyncio.get_running_loop()
        self._keeper = self._make_keeper()
        try:
            await self._keeper.start()
        except BaseException:
            self._keeper = None
            raise
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()

    async def request(self, command: Command[R], *, timeout: float | None = None) -> R:
        """Send a command, and wait for its answer.

        While there is no connection, the command waits for the next one.

        Args:
            command: The command.
            timeout: How many seconds to wait in all; ``request_timeout`` if left out.

        Returns:
            What answers it.

        Raises:
            RemoteError: The server answered with an error.
            ConnectionLostError: The connection ended before the answer came, or the client is
                closed. The command may have been carried out; it is not sent again.
            TimeoutError: The answer did not come in time, and the command may have been carried
                out; or there was no connection, and it was not sent. The text says which.
            InvalidMessageError: The server answered with something else than the command's reply.
            EncodeError: The server could not read the command; it was not sent.
            ValueError: ``timeout`` is not above zero, or ``command`` is none that is answered.
            RuntimeError: The client is not entered, or was entered in another event loop.
        """
        seconds = self._config.request_timeout if timeout is None else timeout
        if not seconds > 0:
            raise ValueError(f"timeout is a number of seconds above zero, not {seconds}")
        keeper = self._kept()
        name, is_sent = type(command).__qualname__, False
        try:
            async with asyncio.timeout(seconds):
                connection = await keeper.connection()
                is_sent = True
                return await connection.ask(command)
        except TimeoutError:
            pass
        if is_sent:
            text = f"no answer to {name} within {seconds} s; it may have been carried out"
        else:
            text = f"no connection within {seconds} s; {name} was not sent"
        raise TimeoutError(text)

    async def subscribe(
        self, topic: str, *, filters: SubscriptionFilters | None = None
    ) -> AckResponse:
        """Have the events of a topic, and of all below it, come out of ``events()``.

        After a reconnection the client subscribes again.

        Args:
            topic: Such as ``topics.MISSIONS`` or ``topics.mission(mission_id)``.
            filters: Which events of the topic; a second subscription to it replaces the first.

        Raises:
            RemoteError: The server refuses; its code is ``not_found`` if there is no such topic.
            Exception: As for ``request``.
        """
        answer = await self.request(Subscribe(topic=topic, filters=filters))
        if answer.success:
            self._kept().wanted[topic] = filters
        return answer

    async def unsubscribe(self, topic: str) -> AckResponse:
        """End a subscription.

        Args:
            topic: The topic, as it was subscribed to.

        Raises:
            RemoteError: There is none; its code is ``not_found``.
            Exception: As for ``request``.
        """
        wanted = self._kept().wanted
        was_wanted = topic in wanted
        wanted.pop(topic, None)
        try:
            return await self.request(Unsubscribe(topic=topic))
        except RemoteError as error:
            if was_wanted and error.code == "not_found":  # the connection is another by now
                return AckResponse.ok()
            raise

    def events(self) -> AsyncIterator[Event | UnknownEvent]:
        """Go through the events as they come, until the client is closed.

        Among them are the client's own words: ``Reconnected`` after the connection was lost, and
        ``EventsMissed`` if events came faster than they were taken. Each event comes out once,
        however many go through them.

        Raises:
            RemoteError: The connection was lost, and the server no longer takes the token.
            ConnectionLostError: It was lost, and is not tried again.
        """
        return self._kept().events.taken(_event_of)

    def messages(self) -> AsyncIterator[Pushed]:
        """Go through the events in their envelopes, and through messages that are not known.

        Raises:
            Exception: As for ``events``.
        """
        return self._kept().events.taken(_whole)

    async def close(self) -> None:
        """End the conversation; requests that wait fail, and ``events()`` ends."""
        if self._keeper is not None:
            await self._keeper.close()

    def _kept(self) -> Keeper:
        if self._keeper is None:
            raise RuntimeError("the client is not connected: enter it, with 'async with'")
        if asyncio.get_running_loop() is not self._loop:
            raise RuntimeError("the client belongs to the event loop in which it was entered")
        return self._keeper


def _event_of(message: Pushed) -> Event | UnknownEvent | None:
    payload = message.payload
    return payload if isinstance(payload, (Event, UnknownEvent)) else None


def _whole(message: Pushed) -> Pushed:
    return message
