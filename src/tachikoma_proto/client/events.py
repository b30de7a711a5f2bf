"""The events that wait to be taken, and what the client itself has to say among them."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable
from typing import TypeAlias, TypeVar

from attrs import frozen

from tachikoma_proto.declare.bases import Event
from tachikoma_proto.messages.envelope import OutgoingMessage
from tachikoma_proto.messages.unknown import UnknownEvent, UnknownMessage


@frozen(kw_only=True)
class Reconnected(Event):
    """The connection was lost and stands again; what was published in between is not sent again.

    It is the client's own word, and never on the wire.

    Attributes:
        attempts: How many attempts it took.
        refused: The topics that the server no longer gives; they are subscribed to no longer.
    """

    attempts: int
    refused: tuple[str, ...] = ()

    def and_then(self, later: "Reconnected") -> "Reconnected":
        """Make one of this and a later one, with nothing between them."""
        return Reconnected(
            attempts=self.attempts + later.attempts, refused=self.refused + later.refused
        )


@frozen(kw_only=True)
class EventsMissed(Event):
    """Events came faster than they were taken, and some were left out.

    It is the client's own word, and never on the wire.

    Attributes:
        count: How many were left out.
    """

    count: int


Pushed: TypeAlias = OutgoingMessage[Event | UnknownEvent | UnknownMessage]


T = TypeVar("T")


class EventQueue:
    """What the server pushed and nobody has taken yet.

    Args:
        limit: How many may wait.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._waiting: deque[Pushed] = deque()
        self._pushed = 0  # of those that wait; the others are the client's own
        self._missed = 0
        self._held: list[Pushed] | None = None
        self._held_missed = 0
        self._changed = asyncio.Event()
        self._is_over = False
        self._failure: Exception | None = None

    def put(self, message: Pushed) -> None:
        """Add what was pushed, or count it as missed if there is no room."""
        if self._held is not None:
            if len(self._held) < self._limit:
                self._held.append(message)
            else:
                self._held_missed += 1
        elif self._pushed < self._limit:
            self._tell_missed()
            self._waiting.append(message)
            self._pushed += 1
            self._changed.set()
        else:
            self._missed += 1

    def hold(self) -> None:
        """Keep back what is put from now on."""
        self._held, self._held_missed = [], 0

    def discard(self) -> None:
        """Throw away what was kept back."""
        self._held = None

    def release(self, event: Reconnected) -> None:
        """Add what was kept back, after a word of the client's own.

        Args:
            event: The client's word.
        """
        held, self._held = self._held or [], None
        self._tell_missed()
        self._say(event)
        for message in held:
            self.put(message)
        self._missed += self._held_missed

    def end(self, failure: Exception | None) -> None:
        """Say that there will be no more.

        Args:
            failure: Why, if that is to be raised; only the first reason counts.
        """
        if not self._is_over:
            self._is_over, self._failure = True, failure
            self._changed.set()

    async def get(self) -> Pushed | None:
        """Take the next one, or wait for it; None if there will be no more.

        Raises:
            Exception: Why there will be no more.
        """
        while not self._waiting:
            if self._missed:
                self._tell_missed()
            elif self._is_over:
                if self._failure is not None:
                    raise self._failure.with_traceback(None)
                return None
            else:
                self._changed.clear()
                await self._changed.wait()
        message = self._waiting.popleft()
        self._pushed -= not isinstance(message.payload, (Reconnected, EventsMissed))
        return message

    def taken(self, pick: Callable[[Pushed], T | None]) -> "Taken[T]":
        """Go through what is picked; the rest is dropped.

        Args:
            pick: Gives what to take of a message; None drops it.
        """
        return Taken(self, pick)

    def _tell_missed(self) -> None:
        if self._missed:
            missed, self._missed = self._missed, 0
            self._say(EventsMissed(count=missed))

    def _say(self, event: "Reconnected | EventsMissed") -> None:
        """Add a word of the client's own; with one just before it, they become one."""
        for place in range(1, min(2, len(self._waiting)) + 1):
            said = self._waiting[-place].payload
            if isinstance(said, Reconnected) and isinstance(event, Reconnected):
                self._waiting[-place] = _own_word(said.and_then(event))
                return
            if isinstance(said, EventsMissed) and isinstance(event, EventsMissed):
                self._waiting[-place] = _own_word(EventsMissed(count=said.count + event.count))
                return
            if not isinstance(said, (Reconnected, EventsMissed)):
                break
        self._waiting.append(_own_word(event))
        self._changed.set()


class Taken(AsyncIterator[T]):
    """Goes through a queue. It is no generator, which a timeout around ``anext`` would end.

    Args:
        queue: The queue.
        pick: Gives what to take of a message; None drops it.
    """

    def __init__(self, queue: EventQueue, pick: Callable[[Pushed], T | None]) -> None:
        self._queue = queue
        self._pick = pick

    async def __anext__(self) -> T:
        while (message := await self._queue.get()) is not None:
            picked = self._pick(message)
            if picked is not None:
                return picked
        raise StopAsyncIteration


def _own_word(event: Reconnected | EventsMissed) -> Pushed:
    """Put what the client itself says into an envelope."""
    return OutgoingMessage(type=f"client.{type(event).__name__}", payload=event)
