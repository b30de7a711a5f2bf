"""``Client`` and ``connect``: requests, subscriptions and streams of events."""

import asyncio
import ipaddress
import logging
from contextlib import AbstractAsyncContextManager
from types import TracebackType
from typing import Any, Final, Self, TypeVar, cast, overload
from urllib.parse import urlsplit

from tachikoma_proto.client.matching import TopicMatcher
from tachikoma_proto.client.reconnector import ClientState, OpenTransport, Reconnector, Token
from tachikoma_proto.client.streams import (
    EventMessage,
    EventStream,
    EventStreams,
    Notice,
    is_event,
    payload_of,
)
from tachikoma_proto.client.subscriptions import Subscriptions
from tachikoma_proto.codec.codec import Codec
from tachikoma_proto.connection.deadlines import patient_timeout
from tachikoma_proto.connection.driver import AnyTransport
from tachikoma_proto.connection.recording import Recorder, RecordTarget
from tachikoma_proto.declare.bases import Command, Event, R
from tachikoma_proto.declare.declarations import Sender
from tachikoma_proto.messages.commands import Authenticate, Subscribe, SubscriptionFilters
from tachikoma_proto.messages.responses import AckResponse, AuthResponse
from tachikoma_proto.messages.unknown import UnknownEvent
from tachikoma_proto.session.config import ClientConfig
from tachikoma_proto.session.logs import client_logger as log
from tachikoma_proto.session.metrics import Metrics
from tachikoma_proto.transports.transport import Transport

_transport_log: Final = logging.getLogger("tachikoma_proto.client.transport")
_transport_log.setLevel(logging.INFO)  # at DEBUG, websockets logs frames, and so tokens

A = TypeVar("A", bound=Event | UnknownEvent)
B = TypeVar("B", bound=Event | UnknownEvent)
C = TypeVar("C", bound=Event | UnknownEvent)
D = TypeVar("D", bound=Event | UnknownEvent)
E = TypeVar("E", bound=Event | UnknownEvent)
F = TypeVar("F", bound=Event | UnknownEvent)


class Client:
    """Talks to a server; an asynchronous context manager.

    It belongs to the event loop in which it was entered; used in another one, its methods raise
    RuntimeError.

    Args:
        open_transport: Opens a connection; ``connect`` has one for ``websockets``.
        token: What to authenticate with; without it the client does not. A function is called
            for a fresh one before each connection, before a token expires, and once more
            if the server refuses one.
        codec: Reads and writes the frames; one for the built-in messages if left out.
        config: How it behaves; the defaults if left out.
        metrics: Hooks for what happens.
        record: A file to which all frames are appended, with their time, direction and
            connection, secrets masked; or a function that is called with each.

    Raises:
        TypeError: The token is neither text nor a function.
    """

    def __init__(
        self,
        open_transport: OpenTransport,
        *,
        token: Token | None = None,
        codec: Codec | None = None,
        config: ClientConfig | None = None,
        metrics: Metrics | None = None,
        record: RecordTarget | None = None,
    ) -> None:
        if token is not None and not isinstance(token, str) and not callable(token):
            raise TypeError(f"a token is text, or a function that returns it, not {type(token)}")
        self._open_transport = open_transport
        self._token = token
        self._codec = Codec() if codec is None else codec
        _ = self._codec.converter  # made now, so that no frame waits for it
        self._config = config or ClientConfig()
        self._metrics = metrics
        self._recorder: Recorder | None = None
        if record is not None:
            recorder = Recorder(record, self._codec.registry, self._codec.max_size, log)
            self._recorder = recorder

            async def open_recorded() -> AnyTransport:
                return recorder.wrap(await open_transport(), Sender.CLIENT)

            self._open_transport = open_recorded
        self._parts: tuple[Reconnector, Subscriptions, EventStreams] | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    async def __aenter__(self) -> Self:
        """Connect and authenticate.

        Raises:
            RemoteError: The server refuses the token.
            TimeoutError: It took longer than ``open_timeout``.
            OSError: The server cannot be reached. What else the opening of the transport raises
                passes through, too. With ``retry_first`` all of these but a refused token are
                raised only when ``max_attempts`` have failed.
            RuntimeError: The client was entered before.
        """
        if self._parts is not None:
            raise RuntimeError("a client is entered once: make another one")
        self._loop = asyncio.get_running_loop()
        matcher: TopicMatcher[EventStream[Any]] = TopicMatcher(self._codec.registry)
        streams = EventStreams(self._config.max_events, matcher)
        subscriptions = Subscriptions(matcher, streams, self.request, self._config)
        reconnector = Reconnector(
            self._open_transport,
            token=self._token,
            codec=self._codec,
            config=self._config,
            metrics=self._metrics,
            streams=streams,
            subscriptions=subscriptions,
        )
        self._parts = reconnector, subscriptions, streams
        try:
            await reconnector.start()
        except BaseException:
            self._parts = None
            self._stop_recording()
            raise
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()

    @property
    def state(self) -> ClientState:
        """Where the client stands.

        ``new`` before it is entered, ``connecting`` until the first connection is ready,
        ``connected``, ``reconnecting`` while it has lost the connection, and ``closed`` when there
        will be no further connection.
        """
        return "new" if self._parts is None else self._parts[0].state

    async def request(self, command: Command[R], *, timeout: float | None = None) -> R:
        """Send a command, and wait for its response.

        While there is no connection, the command waits for the next one.

        Args:
            command: The command.
            timeout: How many seconds to wait in all; ``request_timeout`` if left out.

        Returns:
            The response that answers the command.

        Raises:
            RemoteError: The server answered with an error.
            ConnectionLostError: The connection ended before the response came, or the client is
                closed. The command may have been carried out; it is not sent again.
            TimeoutError: The response did not come in time, and the command may have been carried
                out; or there was no connection, and it was not sent. The text says which.
            InvalidMessageError: The server answered with something else than the command's reply.
            EncodeError: The server could not read the command; it was not sent.
            ValueError: ``timeout`` is not above zero, or ``command`` is none that is answered.
            RuntimeError: The client is not entered, or was entered in another event loop.
        """
        seconds = self._config.request_timeout if timeout is None else timeout
        if not seconds > 0:
            raise ValueError(f"timeout is a number of seconds above zero, not {seconds}")
        reconnector, subscriptions, _ = self._entered()
        name, is_sent = type(command).__qualname__, False
        try:
            async with patient_timeout(seconds):
                connection = await reconnector.connection()
                is_sent = True
                response = await connection.request(command)
        except TimeoutError:
            pass
        else:
            if isinstance(command, Authenticate) and cast(AuthResponse, response).authenticated:
                subscriptions.check_soon()
            return response
        if is_sent:
            text = f"no answer to {name} within {seconds} s; it may have been carried out"
        else:
            text = f"no connection within {seconds} s; {name} was not sent"
        raise TimeoutError(text)

    async def subscribe(
        self, topic: str, *, filters: SubscriptionFilters | None = None, resume: bool = False
    ) -> AckResponse:
        """Subscribe to a topic, and all below it; its events come out of ``events()``.

        After a reconnect the client subscribes again. A subscription that is cut short, by a
        timeout for example, was not made.

        Args:
            topic: Such as ``topics.MISSIONS`` or ``topics.mission(mission_id)``.
            filters: Which events of the topic; a second ``subscribe`` to it replaces the first.
            resume: Whether to get what was published during a lost connection after all, as far
                as the server still has it. ``Reconnected.lost`` says where events may be missing.

        Raises:
            RemoteError: The server refuses; its code is ``not_found`` if there is no such topic.
            Exception: As for ``request``.
        """
        wanted = Subscribe(topic=topic, filters=filters, resume=resume)
        return await self._entered()[1].subscribe(wanted)

    async def unsubscribe(self, topic: str) -> AckResponse:
        """End what ``subscribe`` began; streams of ``subscription()`` keep their events.

        If it is cut short, by a timeout for example, the client goes on with it in the background.

        Args:
            topic: The topic.

        Raises:
            RemoteError: It was not subscribed to; its code is ``not_found``.
            Exception: As for ``request``.
        """
        return await self._entered()[1].unsubscribe(topic)

    def subscription(
        self, topic: str, *, filters: SubscriptionFilters | None = None, resume: bool = False
    ) -> AbstractAsyncContextManager[EventStream[Event | UnknownEvent]]:
        """Subscribe to a topic for as long as a block runs, with a stream of its own.

        Streams of the same topic share one subscription on the wire, which ends with the last of
        them; each gets what its own filters let pass.

        Args:
            topic: Such as ``topics.MISSIONS`` or ``topics.mission(mission_id)``.
            filters: Which events of the topic.
            resume: Whether to get what was published during a lost connection after all, as far
                as the server still has it. ``Reconnected.lost`` says where events may be missing.

        Returns:
            A context manager that gives the stream. Entering it raises as ``subscribe`` does,
            and ``RemoteError`` if the server does not accept the subscription.

        Example::

            async with client.subscription(topics.mission(m), resume=True) as events:
                async for event in events:
                    print(event)
        """
        wanted = Subscribe(topic=topic, filters=filters, resume=resume)
        return self._entered()[1].stream(wanted)

    @overload
    def events(self) -> EventStream[Event | UnknownEvent]: ...
    @overload
    def events(self, a: type[A], /) -> EventStream[A | Notice]: ...
    @overload
    def events(self, a: type[A], b: type[B], /) -> EventStream[A | B | Notice]: ...
    @overload
    def events(self, a: type[A], b: type[B], c: type[C], /) -> EventStream[A | B | C | Notice]: ...
    @overload
    def events(
        self, a: type[A], b: type[B], c: type[C], d: type[D], /
    ) -> EventStream[A | B | C | D | Notice]: ...
    @overload
    def events(
        self, a: type[A], b: type[B], c: type[C], d: type[D], e: type[E], /
    ) -> EventStream[A | B | C | D | E | Notice]: ...
    @overload
    def events(
        self, a: type[A], b: type[B], c: type[C], d: type[D], e: type[E], f: type[F], /
    ) -> EventStream[A | B | C | D | E | F | Notice]: ...
    @overload
    def events(
        self, *types: type[Event] | type[UnknownEvent]
    ) -> EventStream[Event | UnknownEvent]: ...
    def events(self, *types: Any) -> EventStream[Any]:
        """Open a stream of the events that the server sends from now on.

        Every call gives a stream of its own, which holds up to ``max_events`` events that are not
        taken yet. It ends when the client is closed, with ``aclose()``, or when it is dropped.
        Among the events are the client's own notices: ``Disconnected``, ``Reconnected``,
        ``EventsMissed``, ``SubscriptionLost`` and ``SubscriptionRestored``.

        Args:
            types: The classes of the events that are wanted; all if left out. Notices always come.

        Raises:
            TypeError: One of the types is no class of events.
            RuntimeError: The client is not entered, or was entered in another event loop.

        Example::

            async for event in client.events(MissionProgress, MissionFailed):
                match event:
                    case MissionProgress(percentage=percentage):
                        print(f"{percentage:.0f} %")
                    case Reconnected(lost=topics):
                        print("events may be missing on", topics)
        """
        for one in types:
            if not isinstance(one, type) or not issubclass(one, (Event, UnknownEvent)):
                raise TypeError(f"events() takes classes of events, not {one!r}")
        streams = self._entered()[2]
        if not types:
            return streams.open(is_event, payload_of)
        return streams.open(lambda payload: isinstance(payload, types), payload_of)

    def messages(self) -> EventStream[EventMessage]:
        """Open a stream of events in their envelopes, and of messages that are not known.

        Otherwise it is as a stream of ``events()``.
        """
        return self._entered()[2].open(lambda _: True, lambda message: message)

    async def close(self) -> None:
        """Close the connection; requests that wait fail, and streams end.

        Raises:
            RuntimeError: It is called in another event loop than the client was entered in.
        """
        if self._parts is not None:
            try:
                await self._entered()[0].close()
            finally:
                self._stop_recording()

    def _stop_recording(self) -> None:
        if self._recorder is not None:
            self._recorder.close()

    def _entered(self) -> tuple[Reconnector, Subscriptions, EventStreams]:
        if self._parts is None:
            raise RuntimeError("the client is not connected: enter it, with 'async with'")
        if asyncio.get_running_loop() is not self._loop:
            raise RuntimeError("the client belongs to the event loop in which it was entered")
        return self._parts


def connect(
    url: str,
    *,
    token: Token | None = None,
    codec: Codec | None = None,
    config: ClientConfig | None = None,
    metrics: Metrics | None = None,
    record: RecordTarget | None = None,
    **options: Any,
) -> Client:
    """Make a client that talks to a server's URL; it connects when its block is entered.

    Args:
        url: ``ws://…`` or ``wss://…``.
        token: What to authenticate with; a function is called for a fresh one when one is needed.
        codec: Reads and writes the frames; one for the built-in messages if left out.
        config: How the client behaves; the defaults if left out.
        metrics: Hooks for what happens.
        record: A file to which all frames are appended, secrets masked; or a function that is
            called with each as a ``CapturedFrame``.
        options: For ``websockets.asyncio.client.connect``, such as ``ssl``, ``origin`` and
            ``additional_headers``.

    Returns:
        The client.

    Raises:
        ImportError: ``websockets`` is not installed.
        ValueError: The URL is none of a WebSocket.
        TypeError: The token is neither text nor a function.

    Example::

        async with connect("wss://tachikoma.example", token=token) as client:
            status = await client.request(GetMissionStatus(mission_id=m))
    """
    try:
        from websockets.asyncio.client import connect as open_websocket
    except ImportError as error:
        raise ImportError(
            "connect needs websockets: pip install 'tachikoma-proto[websockets]'"
        ) from error
    if urlsplit(url).scheme not in ("ws", "wss"):
        raise ValueError("a URL begins with ws:// or wss://")
    codec = Codec() if codec is None else codec
    config = config or ClientConfig()
    is_local = is_local_url(url)
    if token is not None and not is_local and urlsplit(url).scheme == "ws":
        log.warning("the token is sent over a connection that is not encrypted: use wss://")
    chosen = {
        "max_size": codec.max_size,
        "open_timeout": None,  # the client's own covers it
        "close_timeout": config.close_timeout / 4,  # the last of the times that the driver takes
        "ping_interval": None,  # the session's own keepalive is seen by the server, too
        "logger": _transport_log,
        "proxy": None if is_local else True,  # a proxy would look for the server on its own machine
        **options,
    }

    async def open_transport() -> Transport:
        transport: Transport = await open_websocket(url, **chosen)
        return transport

    return Client(
        open_transport, token=token, codec=codec, config=config, metrics=metrics, record=record
    )


def is_local_url(url: str) -> bool:
    """Return whether a URL is of this machine."""
    host = urlsplit(url).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
