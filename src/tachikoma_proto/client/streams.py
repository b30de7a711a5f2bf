"""Streams of events: what the server pushes, and what the client itself has to say.

A program has several parts that want events, and they run at different speeds. So each call of
``Client.events()`` gives a stream of its own: a slow reader loses its own events, not those of
others, and a reader that goes away leaves nothing behind.

Rules:

* A stream starts when it is made, holds a bounded number of events, and says with
  ``EventsMissed`` how many found no room. It ends when the client ends, with ``aclose()``, or
  when nobody refers to it any more.
* Notices of the client (``Disconnected``, ``Reconnected``, …) reach every stream they concern, in
  their place among the events. They take no room from events: those that follow each other
  without an event in between are merged.
* While the client reconnects, what comes over the new connection is held back until
  ``Reconnected`` has been told. Then the events of each log come in their order.
* An event that has a position comes once, whatever connection it comes over. Until the client has
  reconnected, its positions stay where they are.
* Taking an event always lets the event loop run once, so a loop over a full stream blocks nobody.
"""

import asyncio
import weakref
from collections import deque
from collections.abc import AsyncIterator, Callable
from typing import Any, Final, TypeAlias, TypeVar

from attrs import evolve, frozen

from tachikoma_proto.client.matching import TopicMatcher
from tachikoma_proto.client.positions import Positions, in_order
from tachikoma_proto.declare.bases import Event
from tachikoma_proto.messages.commands import SubscriptionFilters
from tachikoma_proto.messages.envelope import OutgoingMessage, Position
from tachikoma_proto.messages.unknown import UnknownEvent, UnknownMessage


@frozen
class Disconnected(Event):
    """The connection was lost. A notice of the client, never on the wire.

    The client goes on to reconnect, unless its configuration says otherwise.

    Attributes:
        code: The close code: the server's, or the client's own where it gave the connection up
            (1011, the server did not answer). 1006 means that the connection broke off.
        reason: The reason that came with it, often empty.
    """

    code: int
    reason: str = ""


@frozen
class Reconnected(Event):
    """The client is connected and subscribed again. A notice of the client, never on the wire.

    Attributes:
        attempts: How many attempts it took.
        lost: The topics on which events may be missing: ask for the state that you need. A topic
            that was subscribed to with ``resume`` is among them only if it could not be resumed.
        refused: Those of them that the server did not accept this time. The client keeps them,
            and asks for them again at the next reconnect.
    """

    attempts: int
    lost: tuple[str, ...] = ()
    refused: tuple[str, ...] = ()


@frozen
class EventsMissed(Event):
    """Events came faster than they were taken. A notice of the client, never on the wire.

    Attributes:
        count: How many found no room in this stream.
    """

    count: int


@frozen
class SubscriptionLost(Event):
    """The server no longer serves a topic. A notice of the client, never on the wire.

    It comes while the client is connected, for example when a fresh token permits less than the
    one before. The client keeps the topic, and asks for it again at the next reconnect.

    Attributes:
        topic: The topic.
        code: The error code, such as ``permission_denied``.
        message: The server's explanation.
    """

    topic: str
    code: str
    message: str


@frozen
class SubscriptionRestored(Event):
    """A topic is subscribed again after a failure. A notice of the client, never on the wire.

    Events that were published in between may be missing.

    Attributes:
        topic: The topic.
    """

    topic: str


Notice: TypeAlias = (
    Disconnected | Reconnected | EventsMissed | SubscriptionLost | SubscriptionRestored
)
"""What the client itself puts into streams."""

_NOTICES: Final = (Disconnected, Reconnected, EventsMissed, SubscriptionLost, SubscriptionRestored)

EventMessage: TypeAlias = OutgoingMessage[Event | UnknownEvent | UnknownMessage]
"""What a server sends that answers nothing."""

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)


class EventStream(AsyncIterator[T_co]):
    """Events in the order in which they came; made by ``Client.events()`` and its siblings.

    Args:
        limit: How many events may wait.
        accepts: Tells which payloads belong into the stream.
        view: Gives what to hand out of a message.
        topic: The only topic that the stream is about; None if it is about all.

    Example::

        events = client.events(MissionProgress, MissionFailed)
        async for event in events:
            match event:
                case MissionFailed():
                    break
        await events.aclose()
    """

    def __init__(
        self,
        limit: int,
        accepts: Callable[[object], bool],
        view: Callable[[EventMessage], T_co],
        topic: str | None = None,
    ) -> None:
        self._limit = limit
        self._accepts = accepts
        self._view = view
        self._topic = topic
        self._waiting: deque[EventMessage] = deque()
        self._events = 0  # of those that wait; the others are notices
        self._loop = asyncio.get_running_loop()
        self._changed = asyncio.Event()
        self._is_over = False
        self._failure: Exception | None = None

    async def __anext__(self) -> T_co:
        """Take the next event, or wait for it.

        Raises:
            StopAsyncIteration: The stream or the client was closed.
            ConnectionLostError: The connection is lost, and the client does not reconnect.
            RemoteError: The connection was lost, and the server no longer accepts the token.
            RuntimeError: It is used in another event loop than its client.
        """
        if asyncio.get_running_loop() is not self._loop:
            raise RuntimeError("a stream belongs to the event loop of its client")
        await asyncio.sleep(0)
        while not self._waiting:
            if self._failure is not None:
                raise self._failure.with_traceback(None)
            if self._is_over:
                raise StopAsyncIteration
            self._changed.clear()
            await self._changed.wait()
        message = self._waiting.popleft()
        self._events -= not isinstance(message.payload, _NOTICES)
        return self._view(message)

    async def aclose(self) -> None:
        """End the stream, and drop what waits in it; whoever waits for an event is released."""
        if asyncio.get_running_loop() is not self._loop:
            raise RuntimeError("a stream belongs to the event loop of its client")
        self.drop()

    def drop(self) -> None:
        """End the stream, and drop what waits in it."""
        self._waiting.clear()
        self._is_over, self._failure = True, None
        self._changed.set()

    def put(self, message: EventMessage) -> None:
        """Add a message if it belongs into the stream; without room, count it as missed."""
        if self._is_over or not self._accepts(message.payload):
            return
        if self._events < self._limit:
            self._waiting.append(message)
            self._events += 1
            self._changed.set()
        else:
            self.tell(EventsMissed(count=1))

    def tell(self, notice: Notice) -> None:
        """Add a notice if it concerns the stream."""
        concerned = _for_topic(notice, self._topic)
        if self._is_over or concerned is None:
            return
        latest: deque[Notice] = deque()
        while self._waiting and isinstance(said := self._waiting[-1].payload, _NOTICES):
            latest.appendleft(said)
            self._waiting.pop()
        for one in _merged(list(latest), concerned):
            self._waiting.append(OutgoingMessage(type=f"client.{type(one).__name__}", payload=one))
        self._changed.set()

    def end(self, failure: Exception | None) -> None:
        """Let nothing more in.

        Args:
            failure: What to raise after what waits was taken; None just ends the iteration.
        """
        if not self._is_over:
            self._is_over, self._failure = True, failure
            self._changed.set()


class EventStreams:
    """All streams of one client.

    Args:
        limit: How many events may wait in each.
        matcher: Finds the streams of subscriptions that an event goes to.

    Attributes:
        positions: How far each log was put into the streams.
        overflowed: The logs of which what was kept back found no room.
    """

    def __init__(self, limit: int, matcher: TopicMatcher["EventStream[Any]"]) -> None:
        self._limit = limit
        self._matcher = matcher
        self._streams: weakref.WeakSet[EventStream[Any]] = weakref.WeakSet()
        self._unmatched: weakref.WeakSet[EventStream[Any]] = weakref.WeakSet()
        self.positions = Positions()
        self.overflowed: set[str] = set()
        self._held: list[EventMessage] | None = None
        self._held_positions: list[Position] = []
        self._held_missed = 0
        self._end: tuple[Exception | None] | None = None

    def open(
        self, accepts: Callable[[object], bool], view: Callable[[EventMessage], T]
    ) -> EventStream[T]:
        """Make a stream of whatever the server sends from now on.

        Args:
            accepts: Tells which payloads belong into the stream.
            view: Gives what to hand out of a message.
        """
        stream = self._opened(EventStream(self._limit, accepts, view))
        self._unmatched.add(stream)
        return stream

    def open_for(
        self, topic: str, filters: SubscriptionFilters | None
    ) -> EventStream[Event | UnknownEvent]:
        """Make a stream of the events of a topic; ``close`` ends it.

        Args:
            topic: The topic.
            filters: What narrows it.
        """
        stream = self._opened(EventStream(self._limit, is_event, payload_of, topic))
        self._matcher.add(stream, topic, filters)
        return stream

    def close(self, stream: EventStream[Any]) -> None:
        """End a stream of a topic."""
        self._matcher.discard(stream)
        stream.drop()

    def put(self, message: EventMessage) -> None:
        """Put a message into the streams that want it, unless they had it before."""
        position = message.position
        if position is not None and self.positions.has(position):
            return
        if self._held is None:
            if position is not None:
                self.positions.move(position)
            for stream in self._unmatched:
                stream.put(message)
            for stream in self._matcher.receivers(message.payload):
                stream.put(message)
        elif len(self._held) < self._limit:
            self._held.append(message)
        else:
            self._held_missed += 1
            if position is not None:
                self.overflowed.add(position.topic)

    def move(self, position: Position) -> None:
        """Record that all events up to a position were put."""
        if self._held is None:
            self.positions.move(position)
        else:
            self._held_positions.append(position)

    def tell(self, notice: Notice) -> None:
        """Put a notice into the streams that it concerns."""
        for stream in self._streams:
            stream.tell(notice)

    def hold(self) -> None:
        """Keep back what is put from now on."""
        self._held, self._held_positions, self._held_missed = [], [], 0
        self.overflowed = set()

    def discard(self) -> None:
        """Throw away what was kept back, and keep back nothing more."""
        self._held = None

    def release(self, notice: Reconnected) -> None:
        """Put in a notice, then the messages that were held in order, and hold no more."""
        held, self._held = self._held or [], None
        self.tell(notice)
        for message in in_order(held):
            self.put(message)
        for position in self._held_positions:
            self.positions.move(position)
        if self._held_missed:
            self.tell(EventsMissed(count=self._held_missed))

    def end(self, failure: Exception | None) -> None:
        """End all streams, those that are opened later included; only the first call counts."""
        if self._end is None:
            self._end = (failure,)
            for stream in self._streams:
                stream.end(failure)

    def _opened(self, stream: EventStream[T]) -> EventStream[T]:
        self._streams.add(stream)
        if self._end is not None:
            stream.end(*self._end)
        return stream


def is_event(payload: object) -> bool:
    """Return whether a payload is an event, known or not."""
    return isinstance(payload, (Event, UnknownEvent))


def payload_of(message: EventMessage) -> Any:
    """Return the payload of a message."""
    return message.payload


def _for_topic(notice: Notice, topic: str | None) -> Notice | None:
    """Give what of a notice concerns a stream of one topic; None if nothing does."""
    if topic is None:
        return notice
    match notice:
        case Reconnected(lost=lost, refused=refused):
            return evolve(
                notice,
                lost=tuple(one for one in lost if one == topic),
                refused=tuple(one for one in refused if one == topic),
            )
        case SubscriptionLost(topic=other) | SubscriptionRestored(topic=other):
            return notice if other == topic else None
        case _:
            return notice


def _merged(latest: list[Notice], notice: Notice) -> list[Notice]:
    """Add a notice to those that nothing stands between, so that they stay few.

    What was missed is added up. Of several losses of the connection that were mended, the last
    is told, with all attempts. Of what is said of one topic, the last holds.
    """
    match notice:
        case EventsMissed(count=count):
            count += sum(one.count for one in latest if isinstance(one, EventsMissed))
            notice = EventsMissed(count=count)
            latest = [one for one in latest if not isinstance(one, EventsMissed)]
        case Reconnected():
            losses = [one for one in latest if isinstance(one, Disconnected)]
            for one in latest:
                if isinstance(one, Reconnected):
                    notice = Reconnected(
                        attempts=one.attempts + notice.attempts,
                        lost=tuple(dict.fromkeys(one.lost + notice.lost)),
                        refused=notice.refused,
                    )
            latest = [one for one in latest if not isinstance(one, (Disconnected, Reconnected))]
            latest += losses[-1:]
        case SubscriptionLost(topic=topic) | SubscriptionRestored(topic=topic):
            latest = [
                one
                for one in latest
                if not isinstance(one, (SubscriptionLost, SubscriptionRestored))
                or one.topic != topic
            ]
        case _:
            pass
    return [*latest, notice]
