"""Resuming a subscription, without a socket: what is kept of a log, and who gets it again."""

from typing import Any
from uuid import UUID

import pytest

import tachikoma_proto as tp
from tachikoma_proto.messages.record import Record
from tachikoma_proto.session import Hub, ServerConfig, ServerSession

CODEC = tp.Codec()
MISSION, OTHER = UUID(int=7), UUID(int=8)
OPEN = ServerConfig(require_auth=False, gap_spread=4.0)
Filters = tp.SubscriptionFilters


def hub_of(config: ServerConfig = OPEN, **options: Any) -> Hub:
    return Hub(CODEC, config, **options)


def started(mission_id: UUID = MISSION) -> tp.MissionStarted:
    return tp.MissionStarted(mission_id=mission_id)


def said(session: ServerSession) -> list[tp.OutgoingMessage[Any]]:
    """Take the messages that wait to be sent."""
    messages = []
    while (text := session.next_frame()) is not None:
        messages.append(CODEC.decode_server_message(text))
    return messages


def ask(session: ServerSession, topic: str = "missions", now: float = 0.0, **fields: Any) -> None:
    assert session.receive(CODEC.encode(tp.Subscribe(topic=topic, **fields)), now) is None


def subscribe(session: ServerSession, topic: str = "missions", **fields: Any) -> tp.AckResponse:
    """Subscribe, and return the answer, which is all that is sent."""
    ask(session, topic, **fields)
    (answer,) = said(session)
    assert isinstance(answer.payload, tp.AckResponse)
    return answer.payload


def position_of(ack: tp.AckResponse) -> tp.Position:
    assert ack.position is not None
    return ack.position


def test_events_come_with_their_position_to_who_asked_for_it() -> None:
    hub = hub_of()
    plain, resuming = hub.open(0.0), hub.open(0.0)
    assert subscribe(plain) == tp.AckResponse.ok()
    start = position_of(subscribe(resuming, resume=True))
    assert (start.topic, start.offset) == ("missions", 0)
    assert hub.publish(started()) == 2
    (without,), (with_position,) = said(plain), said(resuming)
    assert without.position is None
    assert with_position.position == tp.Position(topic="missions", epoch=start.epoch, offset=1)
    assert with_position.id == without.id


def test_what_was_missed_comes_before_the_answer() -> None:
    hub = hub_of()
    since = position_of(subscribe(hub.open(0.0), resume=True))
    for mission_id in (MISSION, OTHER, MISSION):
        hub.publish(started(mission_id))
    session = hub.open(0.0)
    ask(session, since=since, filters=Filters(mission_id=MISSION))
    first, second, answer = said(session)
    assert [first.position.offset, second.position.offset] == [1, 3]  # type: ignore[union-attr]
    assert answer.payload.recovered is True
    assert answer.payload.position.offset == 3


def test_records_of_another_process_are_delivered_by_their_text() -> None:
    hub = hub_of()
    assert not hub.load("missions", "e1", 0, ())
    session = hub.open(0.0)
    subscribe(session, resume=True, filters=Filters(event_types=("archived",)))
    record = hub.record(started())
    unknown = Record("missions", "mission.archived", str(MISSION), (MISSION, None), record.frame)
    assert hub.deliver("missions", "e1", 2, [record, unknown]) == 1
    (message,) = said(session)
    assert message.position == tp.Position(topic="missions", epoch="e1", offset=2)


@pytest.mark.parametrize(("epoch", "offset"), [("e1", 3), ("e2", 2)])
def test_what_leaves_events_out_is_refused_and_loading_closes_the_sessions(
    epoch: str, offset: int
) -> None:
    hub = hub_of()
    hub.load("missions", "e1", 1, ())
    session, unconcerned = hub.open(0.0), hub.open(0.0)
    subscribe(session)
    subscribe(unconcerned, "system")
    record = hub.record(started())
    assert hub.deliver("missions", epoch, offset, [record]) is None
    assert hub.load("missions", epoch, offset, [record])
    assert said(session) == []
    session.handle_timeout(session.next_timeout if session.next_timeout > 0 else 0.0)
    assert session.closing is not None
    assert session.closing.code == 1012
    assert unconcerned.closing is None
