"""The events that wait to be taken, and what the client itself has to say among them."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable
from typing import TypeAlias, TypeVar

from attrs import frozen

from tachikoma_proto.base import Event
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
        self._held: deque[Pushed] | None = None
        self._missed = 0
        self._changed = asyncio.Event()
        self._is_over = False
        self._failure: Exception | None = None

    def put(self, message: Pushed) -> None:
        """Add what was pushed, or count it as missed if there is no room."""
        waiting = self._waiting if self._held is None else self._held
        if len(waiting) >= self._limit:
            self._missed += 1
            return
        self._tell_missed()
        waiting.append(message)
        self._changed.set()

    def hold(self) -> None:
        """Keep what is put from now on back, until it is released."""
        self._held = deque()

    def release(self, *first: Reconnected) -> None:
        """Add what was kept back, after a word of the client's own.

        Args:
            first: The client's word, if it has one.
        """
        held, self._held = self._held or (), None
        for event in first:
            self._say(event)
        for message in held:
            self.put(message)

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
                    raise self._failure
                return None
            else:
                self._changed.clear()
                await self._changed.wait()
        return self._waiting.popleft()

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

    def _say(self, event: Reconnected | EventsMissed) -> None:
        self._tell_missed()
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
