"""The synchronous client: the same client, for scripts and shells without an event loop.

It is not a second implementation. An asynchronous ``Client`` runs in an event loop in a thread of
its own, so the connection is kept alive, pinged and reopened while the script does other things;
each method here hands its work to that loop and waits for the result.

Rules:

* Methods may be called from any thread, several at a time, but not from the event loop's own.
* Ctrl-C while a method waits cancels what it waits for.
* Plain token functions run in a thread, so that one that takes long holds up nothing.
"""

import asyncio
import inspect
import threading
import weakref
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from concurrent.futures import CancelledError
from contextlib import AsyncExitStack, contextmanager, suppress
from functools import partial
from types import TracebackType
from typing import Any, Self, TypeVar, overload

from tachikoma_proto.client import client as asynchronous
from tachikoma_proto.client.client import A, B, C, D, E, F
from tachikoma_proto.client.reconnector import ClientState, Token
from tachikoma_proto.client.streams import EventMessage, EventStream as AsyncEventStream, Notice
from tachikoma_proto.codec.codec import Codec
from tachikoma_proto.connection.recording import RecordTarget
from tachikoma_proto.declare.bases import Command, Event, R
from tachikoma_proto.errors import ConnectionLostError
from tachikoma_proto.messages.commands import SubscriptionFilters
from tachikoma_proto.messages.responses import AckResponse
from tachikoma_proto.messages.unknown import UnknownEvent
from tachikoma_proto.session.config import ClientConfig
from tachikoma_proto.session.metrics import Metrics

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)

_END: Any = object()


class _LoopThread:
    """An event loop in a thread of its own."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._is_stopping = False
        is_ready = threading.Event()
        self._thread = threading.Thread(
            target=self._main, args=(is_ready,), name="tachikoma_proto.sync", daemon=True
        )
        self._thread.start()
        is_ready.wait()

    @property
    def is_stopped(self) -> bool:
        """Whether the loop has ended, or is about to."""
        return self._is_stopping

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine in the loop, and wait for it.

        Raises:
            ConnectionLostError: The loop has ended.
            RuntimeError: It is called in the loop's own thread.
        """
        try:
            if threading.current_thread() is self._thread:
                raise RuntimeError("the synchronous client cannot be used in its own event loop")
            with self._lock:
                if self._is_stopping:
                    raise ConnectionLostError("the client is closed")
                future = asyncio.run_coroutine_threadsafe(work, self.loop)
        except BaseException:
            work.close()
            raise
        try:
            return future.result()
        except CancelledError:
            raise ConnectionLostError("the client is closed") from None
        except BaseException:
            future.cancel()
            raise

    def stop(self) -> None:
        """End the loop, and cancel what runs in it."""
        with self._lock:  # so that what was handed to the loop before is known to it
            if not self._is_stopping:
                self._is_stopping = True
                self.loop.call_soon_threadsafe(self._stopped.set)
        self._thread.join()

    def _main(self, is_ready: threading.Event) -> None:
        with asyncio.Runner() as runner:
            self.loop = runner.get_loop()
            self._stopped = asyncio.Event()
            self.loop.call_soon(is_ready.set)
            runner.run(self._stopped.wait())


class EventStream(Iterator[T_co]):
    """Events in the order in which they came; an iterator that waits for the next one.

    Made by ``Client.events()`` and its siblings. It ends when the client is closed, with
    ``close()``, or when it is dropped.

    Example::

        for event in client.events(MissionProgress, MissionFailed):
            print(event)
    """

    def __init__(self, thread: _LoopThread, stream: AsyncEventStream[T_co]) -> None:
        self._thread = thread
        self._stream = stream
        # The loop's thread iterates over the streams, so the last reference has to go there.
        self._drop = weakref.finalize(self, _drop, thread.loop, stream)
        self._drop.atexit = False

    def __next__(self) -> T_co:
        """Take the next event, or wait for it.

        Raises:
            StopIteration: The stream or the client was closed.
            ConnectionLostError: The connection is lost, and the client does not reconnect.
            RemoteError: The connection was lost, and the server no longer accepts the token.
        """
        return self.get()

    def get(self, *, timeout: float | None = None) -> T_co:
        """Take the next event, or wait for it.

        Args:
            timeout: How many seconds to wait; for ever if left out.

        Raises:
            TimeoutError: No event came in time.
            StopIteration: The stream or the client was closed.
            Exception: As for ``next(stream)``.
        """
        if self._thread.is_stopped:
            raise StopIteration
        event = self._thread.run(self._take(timeout))
        if event is _END:
            raise StopIteration
        return event

    def close(self) -> None:
        """End the stream; whoever waits for an event is released."""
        self._drop()

    async def _take(self, timeout: float | None) -> T_co:
        try:
            async with asyncio.timeout(timeout):
                return await anext(self._stream, _END)
        except TimeoutError:
            raise TimeoutError(f"no event within {timeout} s") from None


class Client:
    """Talks to a server; a context manager.

    Its methods are those of the asynchronous ``Client``, and wait for their results.

    Args:
        client: An asynchronous client that was not entered.
    """

    def __init__(self, client: asynchronous.Client) -> None:
        self._client = client
        self._thread: _LoopThread | None = None

    def __enter__(self) -> Self:
        """Connect and authenticate.

        Raises:
            RuntimeError: The client was entered before.
            Exception: As for the asynchronous client.
        """
        if self._thread is not None:
            raise RuntimeError("a client is entered once: make another one")
        self._thread = _LoopThread()
        try:
            self._thread.run(self._client.__aenter__())
        except BaseException:
            self._thread.stop()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    @property
    def state(self) -> ClientState:
        """Where the client stands, in the words of the asynchronous client."""
        return self._client.state

    def request(self, command: Command[R], *, timeout: float | None = None) -> R:
        """Send a command, and wait for its response.

        Args:
            command: The command.
            timeout: How many seconds to wait in all; ``request_timeout`` if left out.

        Raises:
            Exception: As for the asynchronous client.
        """
        return self._entered().run(self._client.request(command, timeout=timeout))

    def subscribe(
        self, topic: str, *, filters: SubscriptionFilters | None = None, resume: bool = False
    ) -> AckResponse:
        """Subscribe to a topic, and all below it; its events come out of ``events()``.

        Args:
            topic: Such as ``topics.MISSIONS`` or ``topics.mission(mission_id)``.
            filters: Which events of the topic; a second ``subscribe`` to it replaces the first.
            resume: Whether to get what was published during a lost connection after all, as far
                as the server still has it. ``Reconnected.lost`` says where events may be missing.

        Raises:
            Exception: As for the asynchronous client.
        """
        run = self._entered().run
        return run(self._client.subscribe(topic, filters=filters, resume=resume))

    def unsubscribe(self, topic: str) -> AckResponse:
        """End what ``subscribe`` began.

        Args:
            topic: The topic.

        Raises:
            Exception: As for the asynchronous client.
        """
        return self._entered().run(self._client.unsubscribe(topic))

    @contextmanager
    def subscription(
        self, topic: str, *, filters: SubscriptionFilters | None = None, resume: bool = False
    ) -> Iterator[EventStream[Event | UnknownEvent]]:
        """Subscribe to a topic for as long as a block runs, with a stream of its own.

        Args:
            topic: Such as ``topics.MISSIONS`` or ``topics.mission(mission_id)``.
            filters: Which events of the topic.
            resume: Whether to get what was published during a lost connection after all, as far
                as the server still has it. ``Reconnected.lost`` says where events may be missing.

        Raises:
            Exception: As for the asynchronous client.

        Example::

            with client.subscription(topics.mission(m)) as events:
                for event in events:
                    print(event)
        """
        thread = self._entered()
        entered = AsyncExitStack()

        async def enter() -> AsyncEventStream[Event | UnknownEvent]:
            subscription = self._client.subscription(topic, filters=filters, resume=resume)
            return await entered.enter_async_context(subscription)

        stream = EventStream(thread, thread.run(enter()))
        try:
            yield stream
        finally:
            if not thread.is_stopped:
                thread.run(entered.aclose())

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

        Args:
            types: The classes of the events that are wanted; all if left out. The client's own
                notices always come.

        Raises:
            Exception: As for the asynchronous client.
        """
        thread = self._entered()

        async def opened() -> AsyncEventStream[Any]:
            return self._client.events(*types)

        return EventStream(thread, thread.run(opened()))

    def messages(self) -> EventStream[EventMessage]:
        """Open a stream of events in their envelopes, and of messages that are not known."""
        thread = self._entered()

        async def opened() -> AsyncEventStream[EventMessage]:
            return self._client.messages()

        return EventStream(thread, thread.run(opened()))

    def close(self) -> None:
        """Close the connection; requests that wait fail, and streams end."""
        if self._thread is not None and not self._thread.is_stopped:
            try:
                self._thread.run(self._client.close())
            finally:
                self._thread.stop()

    def _entered(self) -> _LoopThread:
        if self._thread is None:
            raise RuntimeError("the client is not connected: enter it, with 'with'")
        return self._thread


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
    """Make a synchronous client that talks to a server's URL.

    It connects when its block is entered. The arguments are those of ``tachikoma_proto.connect``.

    Args:
        url: ``ws://…`` or ``wss://…``.
        token: What to authenticate with; a function is called for a fresh one when one is needed.
        codec: Reads and writes the frames; one for the built-in messages if left out.
        config: How the client behaves; the defaults if left out.
        metrics: Hooks for what happens; called in the client's thread.
        record: A file to which all frames are appended, secrets masked; or a function that is
            called with each as a ``CapturedFrame``, in the client's thread.
        options: For ``websockets.asyncio.client.connect``, such as ``ssl``, ``origin`` and
            ``additional_headers``.

    Raises:
        ImportError: ``websockets`` is not installed.
        ValueError: The URL is none of a WebSocket.
        TypeError: The token is neither text nor a function.

    Example::

        from tachikoma_proto import sync

        with sync.connect("wss://tachikoma.example", token=token) as client:
            status = client.request(GetMissionStatus(mission_id=m))
    """
    if callable(token):
        token = partial(_token_from_thread, token)
    return Client(
        asynchronous.connect(
            url,
            token=token,
            codec=codec,
            config=config,
            metrics=metrics,
            record=record,
            **options,
        )
    )


async def _token_from_thread(function: Callable[[], str | Awaitable[str]]) -> str:
    """Call a token function in a thread, unless it is a coroutine function."""
    call: Callable[[], Any] = function
    returned = call() if inspect.iscoroutinefunction(function) else await asyncio.to_thread(call)
    token: str = await returned if inspect.isawaitable(returned) else returned
    return token


def _drop(loop: asyncio.AbstractEventLoop, stream: AsyncEventStream[Any]) -> None:
    with suppress(RuntimeError):  # the loop has ended, and the stream with it
        loop.call_soon_threadsafe(stream.drop)
