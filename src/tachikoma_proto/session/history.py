"""The log of a category's topic, and its recent events, from which subscriptions resume.

The events of a topic are numbered: ``offset`` counts them within one life of the log, which
``epoch`` names. Every process keeps the last ones and answers from them, so that nothing has to be
fetched when many clients come back at once.

Rules:

* A position is told only while all before it was delivered. What cannot be proven to be complete
  is not recovered: another epoch, events that are no longer kept, too many of them.
* What is kept is bounded by count, bytes and age; the oldest goes first.
* A position is put into the text of a frame once an event, when somebody first needs it.
"""

import json
from collections import deque
from collections.abc import Callable, Sequence
from itertools import islice
from math import inf
from typing import Final, Protocol, TypeAlias

from tachikoma_proto.messages.envelope import Position
from tachikoma_proto.messages.record import Record
from tachikoma_proto.session.base import REPLAYED, QueuedFrame
from tachikoma_proto.session.config import ServerConfig
from tachikoma_proto.wire.json_reader import size_of

_LONGEST_EPOCH: Final = 64
"""How many characters an epoch may have."""


class Waiter(Protocol):
    """Waits for a log to move on."""

    def log_moved(self, log: "TopicLog") -> None:
        """Look again whether the log is where it has to be."""
        ...


Kept: TypeAlias = tuple[Record | None, int, float]
"""An event that is kept: its record, None if it cannot be read; the size of its frame in bytes;
and when it was added, in seconds."""


class TopicLog:
    """The log of one topic, as far as this process has seen it.

    Args:
        topic: The topic.
        epoch: One life of the log, until ``restart`` says otherwise.
        config: How much is kept.
        time: Returns the time in seconds, monotonic.

    Attributes:
        topic: The topic.
        epoch: The life of the log.
        offset: The offset of the last event; 0 if there was none.
        reserve: How many bytes a position takes at the most.
        waiters: Who wants to know when the log moves on.
    """

    def __init__(
        self, topic: str, epoch: str, config: ServerConfig, time: Callable[[], float]
    ) -> None:
        self.topic = topic
        self.reserve: Final = len(_member(topic, "x" * _LONGEST_EPOCH)) + len(f"{2**64}}}")
        self.waiters: dict[Waiter, None] = {}
        self._time = time
        self._max_count = config.history_events
        self._max_size = config.history_bytes
        self._max_age = config.history_age
        self._replay_count = config.replay_events
        self._replay_size = config.replay_bytes
        self._kept: deque[Kept] = deque()
        self._size = 0
        self._trim_at = -inf
        self._with_position: dict[int, QueuedFrame] = {}
        self.epoch = self._member = ""
        self.offset = 0
        self.restart(epoch, 0, ())

    def __len__(self) -> int:
        """Return how many events are kept."""
        return len(self._kept)

    @property
    def position(self) -> Position:
        """Where the log stands."""
        return Position(topic=self.topic, epoch=self.epoch, offset=self.offset)

    @property
    def last(self) -> Record | None:
        """The record of the last event, if it is kept and can be read."""
        return self._kept[-1][0] if self._kept else None

    def restart(self, epoch: str, offset: int, records: Sequence[Record | None]) -> None:
        """Begin anew with the last events of another log, or another life of it.

        Args:
            epoch: The life of the log; at most 64 ASCII characters.
            offset: The offset of the last record.
            records: The last events, in order.

        Raises:
            ValueError: The epoch is longer, or has other characters; or there are more records
                than the log ever had.
        """
        is_text = epoch.isascii() and epoch.isprintable()
        if not is_text or len(json.dumps(epoch)) > _LONGEST_EPOCH + 2:
            raise ValueError(f"an epoch is at most {_LONGEST_EPOCH} printable ASCII characters")
        if not len(records) <= offset < 2**64:
            raise ValueError(f"{offset} is not the offset of the last of {len(records)} records")
        self.epoch, self._member = epoch, _member(self.topic, epoch)
        self._kept.clear()
        self._with_position.clear()
        self._size = 0
        self.offset = offset - len(records)
        for record in records:
            if record is None or record.topic != self.topic:
                self.append(None, 0)
            else:
                self.append(record, size_of(record.frame))

    def append(self, record: Record | None, size: int) -> None:
        """Add the next event.

        Args:
            record: Its record; None if it cannot be read.
            size: The size of its frame in bytes.
        """
        now = self._time()
        kept = self._kept
        kept.append((record, size, now))
        self.offset += 1
        self._size = total = self._size + size
        if total > self._max_size or len(kept) > self._max_count or now > self._trim_at:
            self._trim(now)

    def wake(self) -> None:
        """Tell who waits for it that the log has moved on."""
        for waiter in tuple(self.waiters):
            waiter.log_moved(self)

    def with_position(self, text: str, offset: int) -> str:
        """Return the text of an event's frame with its position in it.

        Args:
            text: The frame.
            offset: The event's offset.
        """
        return f"{text[:-1]}{self._member}{offset}}}}}"

    def is_behind(self, since: Position) -> bool:
        """Return whether a position is one that this process has yet to see.

        Args:
            since: A position that a client has, from whatever process.
        """
        return self._holds(since) and since.offset > self.offset

    def replay(
        self, since: Position, is_wanted: Callable[[int, Record], bool]
    ) -> list[QueuedFrame] | None:
        """Return the events after a position.

        Args:
            since: The position.
            is_wanted: Returns whether an event, given its offset and record, is wanted.

        Returns:
            Their frames, in order; None if some of them may be missing, or they are too many.
        """
        self._trim(self._time())
        first = self.offset - len(self._kept) + 1
        if not self._holds(since) or not first <= since.offset + 1 <= self.offset + 1:
            return None
        frames: list[QueuedFrame] = []
        size = 0
        wanted = islice(self._kept, since.offset + 1 - first, None)
        for offset, (record, _, _) in enumerate(wanted, since.offset + 1):
            if record is None or not is_wanted(offset, record):
                continue
            frame = self._with_position.get(offset)
            if frame is None:
                text = self.with_position(record.frame, offset)
                frame = self._with_position[offset] = (text, size_of(text), REPLAYED)
            frames.append(frame)
            size += frame[1]
            if len(frames) > self._replay_count or size > self._replay_size:
                return None
        return frames

    def _holds(self, position: Position) -> bool:
        return position.topic == self.topic and position.epoch == self.epoch

    def _trim(self, now: float) -> None:
        """Drop the oldest events beyond the limits."""
        kept = self._kept
        while kept and (
            len(kept) > self._max_count
            or self._size > self._max_size
            or now - kept[0][2] > self._max_age
        ):
            self._with_position.pop(self.offset - len(kept) + 1, None)
            self._size -= kept.popleft()[1]
        self._trim_at = kept[0][2] + self._max_age if kept else now + self._max_age


def _member(topic: str, epoch: str) -> str:
    """Return the start of the member that a frame with a position has beside the others."""
    return f',"position":{{"topic":{json.dumps(topic)},"epoch":{json.dumps(epoch)},"offset":'
