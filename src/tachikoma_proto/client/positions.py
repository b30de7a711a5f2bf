"""Positions: how far a client has each log, so that an event comes once, and in order.

Rules:

* A log is that of a category's topic, and topics below it count along it, too. An offset says
  nothing without its topic and its epoch: the three are compared and kept together.
* A position never goes back within an epoch. A server process that lags behind another sends again
  what the client has from that one.
* Another epoch is another life of the log. Those before are remembered for a while: a server
  process that has not noticed the new life yet may still send events of the old one.
"""

from collections.abc import Iterator, Sequence
from typing import Any, Final, TypeVar

from tachikoma_proto.messages.envelope import OutgoingMessage, Position

M = TypeVar("M", bound=OutgoingMessage[Any])

_LIVES: Final = 8
"""How many lives of a log are remembered."""


class Positions:
    """The latest position in each life of each log."""

    def __init__(self) -> None:
        self._lives: dict[str, dict[str, Position]] = {}  # by topic and epoch, the present one last

    def of(self, log: str) -> Position | None:
        """Return the position in a log; None if nothing is known of it.

        Args:
            log: The topic of the log's category.
        """
        lives = self._lives.get(log)
        return next(reversed(lives.values())) if lives else None

    def has(self, position: Position) -> bool:
        """Return whether an event at a position is none that is new."""
        known = self._lives.get(position.topic, {}).get(position.epoch)
        return known is not None and known.offset >= position.offset

    def move(self, position: Position) -> None:
        """Record a position, unless a later one is known in the same life of its log."""
        lives = self._lives.setdefault(position.topic, {})
        known = lives.pop(position.epoch, position)
        lives[position.epoch] = position if position.offset > known.offset else known
        if len(lives) > _LIVES:
            del lives[next(iter(lives))]


def in_order(messages: Sequence[M]) -> Iterator[M]:
    """Sort the events of each log, each log in the places that its events have among the others.

    Args:
        messages: What came; those without a position stay where they are.
    """
    logs: dict[tuple[str, str], list[tuple[int, int]]] = {}
    for index, message in enumerate(messages):
        if (position := message.position) is not None:
            log = logs.setdefault((position.topic, position.epoch), [])
            log.append((position.offset, index))
    following = {log: iter(sorted(places)) for log, places in logs.items()}
    for message in messages:
        position = message.position
        if position is None:
            yield message
        else:
            _, index = next(following[position.topic, position.epoch])
            yield messages[index]
