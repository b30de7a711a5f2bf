"""Crowds: sessions without sockets, of which some get an event.

Rules:

* A session subscribes as a client does, by a frame.
* Nothing is timed here; a crowd is checked before it is timed.
"""

from collections.abc import Iterator
from typing import Final, Literal, TypeAlias
from unittest.mock import patch
from uuid import UUID

from attrs import field, frozen

import tachikoma_proto as tp

By: TypeAlias = Literal["topic", "filter"]

MISSION: Final = UUID(int=1)
"""The mission that the events are about."""

CONFIG: Final = tp.ServerConfig(require_auth=False, rate_limit=None, max_pending=10_000)


class CheckFailed(Exception):
    """An event does not go where it should."""


@frozen
class Crowd:
    """Sessions of one hub.

    Attributes:
        hub: What they share.
        matching: Those that get the events.
        others: Those that do not.
    """

    hub: tp.Hub
    matching: list[tp.ServerSession] = field(factory=list)
    others: list[tp.ServerSession] = field(factory=list)

    def drain(self) -> None:
        """Take out what waits to be sent."""
        for session in self.matching:
            while session.next_frame() is not None:
                pass


def make_crowd(matching: int, sessions: int, by: By) -> Crowd:
    """Make a crowd; each session that does not match asks for a mission of its own.

    Args:
        matching: How many get the events.
        sessions: How many there are.
        by: Whether they ask for a mission by the topic's name, or by a filter.
    """
    crowd = Crowd(tp.Hub(tp.Codec(), CONFIG))
    for number in range(sessions):
        matches = number < matching
        session = crowd.hub.open(now=0.0)
        subscribe(session, MISSION if matches else UUID(int=number + 2), by)
        (crowd.matching if matches else crowd.others).append(session)
    return crowd


def subscribe(session: tp.ServerSession, mission: UUID, by: By) -> None:
    """Have a session subscribe to a mission's events.

    Args:
        session: The session.
        mission: The mission.
        by: How it asks.
    """
    filters = tp.SubscriptionFilters(mission_id=mission)
    command = (
        tp.Subscribe(topic=tp.topics.mission(mission))
        if by == "topic"
        else tp.Subscribe(topic=tp.topics.MISSIONS, filters=filters)
    )
    session.receive(session.context.codec.encode(command), now=0.0)
    answer = session.next_frame()
    if answer is None or '"success":true' not in answer:
        raise CheckFailed(f"not subscribed: {answer}")


def events(number: int) -> Iterator[tp.MissionProgress]:
    """Make events of the mission.

    Args:
        number: How many.
    """
    for done in range(number):
        yield tp.MissionProgress(
            mission_id=MISSION,
            current_spec="330-ws-message-types",
            completed_specs=done,
            total_specs=number,
            percentage=100 * done / number,
        )


def check(crowd: Crowd) -> int:
    """Check that an event goes to those that match, once, and to nobody else.

    Args:
        crowd: The crowd.

    Returns:
        How many times the event was encoded.

    Raises:
        CheckFailed: It went elsewhere, or not everywhere.
    """
    codec = crowd.hub.context.codec
    (event,) = events(1)
    with patch.object(codec, "encode", wraps=codec.encode) as encode:
        queued = crowd.hub.publish(event)
    if queued != len(crowd.matching) or any(session.pending for session in crowd.others):
        raise CheckFailed(f"{queued} sessions got an event, not {len(crowd.matching)}")
    for session in crowd.matching:
        text = session.next_frame()
        if text is None or codec.decode_server_message(text).payload != event or session.pending:
            raise CheckFailed("a session got something else than the event")
    return encode.call_count
