"""Resuming a subscription, without a socket: what is kept of a log, and who gets it again."""

import logging
from typing import Any
from uuid import UUID

import pytest
from attrs import evolve
from hypothesis import given, strategies as st
from support.counting import Counting
from support.sessions import close_code

import tachikoma_proto as tp
from tachikoma_proto.messages.record import Record
from tachikoma_proto.session import (
    CommandReceived,
    Hub,
    Identity,
    ServerConfig,
    ServerSession,
    Subscribed,
    SubscriptionRequested,
)
from tachikoma_proto.session.history import TopicLog

CODEC = tp.Codec()
MISSION, OTHER = UUID(int=7), UUID(int=8)
OPEN = ServerConfig(require_auth=False)
Filters = tp.SubscriptionFilters
ONLY = Filters(mission_id=MISSION)


class Clock:
    """The time in seconds, which stands until a test moves it."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def hub_of(config: ServerConfig = OPEN, **options: Any) -> Hub:
    return Hub(CODEC, config, **options)


def with_limits(**limits: Any) -> ServerConfig:
    return evolve(OPEN, **limits)


def started(mission_id: UUID = MISSION) -> tp.MissionStarted:
    return tp.MissionStarted(mission_id=mission_id)


def named(name: str, mission_id: UUID = MISSION) -> tp.MissionCreated:
    return tp.MissionCreated(mission_id=mission_id, name=name)


def publish(hub: Hub, *names: str, mission_id: UUID = MISSION) -> None:
    for name in names:
        hub.publish(named(name, mission_id))


def said(session: ServerSession) -> list[tp.OutgoingMessage[Any]]:
    """Take the messages that wait to be sent."""
    messages = []
    while (text := session.next_frame()) is not None:
        messages.append(CODEC.decode_server_message(text))
    return messages


def summary(session: ServerSession) -> list[Any]:
    """Take the messages that wait; of events the name, of an ack whether it was recovered."""
    return [
        message.payload.name
        if isinstance(message.payload, tp.MissionCreated)
        else message.payload.recovered
        if isinstance(message.payload, tp.AckResponse)
        else message.payload
        for message in said(session)
    ]


def ask(session: ServerSession, topic: str = "missions", now: float = 0.0, **fields: Any) -> None:
    """Send a ``subscribe`` about which the session asks nobody."""
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


def resume(hub: Hub, since: tp.Position, topic: str = "missions", **fields: Any) -> list[Any]:
    """Resume in a new session, and return what it is sent."""
    session = hub.open(0.0)
    ask(session, topic, since=since, **fields)
    return summary(session)


def fed(*records: Record | None, config: ServerConfig = OPEN, **options: Any) -> Hub:
    """Return a hub whose log is kept elsewhere."""
    hub = hub_of(config, **options)
    hub.load("missions", "e1", len(records), records)
    return hub


def record(name: str, mission_id: UUID = MISSION) -> Record:
    return hub_of().record(named(name, mission_id))


def at(offset: int, epoch: str = "e1") -> tp.Position:
    return tp.Position(topic="missions", epoch=epoch, offset=offset)


class TestPositions:
    def test_events_come_with_their_position_to_who_asked_for_it(self) -> None:
        hub = hub_of()
        plain, resuming = hub.open(0.0), hub.open(0.0)
        assert subscribe(plain) == tp.AckResponse.ok()
        start = position_of(subscribe(resuming, resume=True))
        assert (start.topic, start.offset) == ("missions", 0)
        assert hub.publish(started()) == 2
        (without,), (with_position,) = said(plain), said(resuming)
        assert without.position is None
        assert with_position.position == evolve(start, offset=1)
        assert evolve(with_position, position=None) == without

    def test_a_position_is_in_the_log_of_the_category_whatever_the_topic(self) -> None:
        hub = hub_of()
        session = hub.open(0.0)
        subscribe(session, f"missions/{MISSION}", resume=True)
        hub.publish(started(OTHER))
        hub.publish(started())
        (message,) = said(session)
        assert message.position.topic == "missions"  # type: ignore[union-attr]
        assert message.position.offset == 2  # type: ignore[union-attr]

    def test_a_position_is_put_into_a_frame_once_an_event(self) -> None:
        hub = hub_of()
        sessions = [hub.open(0.0) for _ in range(3)]
        for session in sessions:
            subscribe(session, resume=True)
        hub.publish(started())
        first, *others = [session.next_frame() for session in sessions]
        assert all(other is first for other in others)

    def test_a_session_that_does_not_ask_gets_the_frames_that_it_got_before(self) -> None:
        hub = hub_of()
        plain, resuming = hub.open(0.0), hub.open(0.0)
        subscribe(resuming, resume=True)
        ask(plain)
        answer = plain.next_frame()
        assert answer == CODEC.encode(
            tp.AckResponse.ok(),
            **{
                name: getattr(CODEC.decode_server_message(answer or ""), name)
                for name in ("id", "reply_to", "timestamp")
            },
        )
        event = hub.record(started())
        hub.deliver("missions", hub.context.logs["missions"].epoch, 1, [event])
        assert plain.next_frame() == event.frame
        plain.handle_timeout(29.0)
        assert plain.next_frame() is None

    def test_without_its_last_subscription_that_asked_a_session_gets_no_positions(self) -> None:
        hub = hub_of()
        session = hub.open(0.0)
        subscribe(session, resume=True)
        subscribe(session, f"missions/{MISSION}", resume=True)
        subscribe(session, f"missions/{OTHER}")
        session.receive(CODEC.encode(tp.Unsubscribe(topic="missions")), 0.0)
        said(session)
        subscribe(session, f"missions/{MISSION}")  # again, and does not ask
        hub.publish(started(OTHER))
        (message,) = said(session)
        assert message.position is None

    def test_a_position_goes_to_all_events_of_a_log_in_which_the_session_asked(self) -> None:
        hub = hub_of()
        session = hub.open(0.0)
        subscribe(session, f"missions/{OTHER}")
        subscribe(session, f"missions/{MISSION}", resume=True)
        hub.publish(started(OTHER))
        (message,) = said(session)
        assert message.position is not None

    def test_other_logs_are_not_concerned(self) -> None:
        hub = hub_of()
        session = hub.open(0.0)
        subscribe(session, "system")
        subscribe(session, resume=True)
        hub.publish(tp.ServerStatus(status="up", active_missions=0, active_sessions=0))
        (message,) = said(session)
        assert message.position is None

    def test_the_server_can_subscribe_a_session_to_more_and_positions_stay(self) -> None:
        hub = hub_of()
        session = hub.open(0.0)
        subscribe(session, resume=True, filters=ONLY)
        session.subscribe("missions")
        hub.publish(started(OTHER))
        (message,) = said(session)
        assert message.position is not None

    @pytest.mark.parametrize("character", ["x", "é", "漢", "🦀"])
    def test_a_position_has_room_within_the_largest_frame(self, character: str) -> None:
        codec = tp.Codec(max_size=5000)
        hub = Hub(codec, OPEN)
        hub.load("missions", "e" * 64, 2**64 - 2, ())
        session = hub.open(0.0)
        session.receive(codec.encode(tp.Subscribe(topic="missions", resume=True)), 0.0)
        session.next_frame()
        largest = next(
            event
            for length in range(5000, 0, -1)
            if (event := _recorded(hub, named(character * length))) is not None
        )
        assert hub.deliver("missions", "e" * 64, 2**64 - 1, [largest]) == 1
        frame = session.next_frame()
        assert frame is not None
        assert 4990 < len(frame.encode()) <= 5000
        assert codec.decode_server_message(frame).position is not None


def _recorded(hub: Hub, event: tp.Event) -> Record | None:
    try:
        return hub.record(event)
    except tp.EncodeError:
        return None


class TestResuming:
    def test_what_was_missed_comes_before_the_answer(self) -> None:
        hub = hub_of()
        since = position_of(subscribe(hub.open(0.0), resume=True))
        publish(hub, "a", "b", "c")
        session = hub.open(0.0)
        ask(session, since=since)
        *events, answer = said(session)
        assert [event.position.offset for event in events] == [1, 2, 3]  # type: ignore[union-attr]
        assert [event.payload.name for event in events] == ["a", "b", "c"]
        assert answer.payload == tp.AckResponse(
            success=True, position=evolve(since, offset=3), recovered=True
        )

    def test_nothing_missed_is_recovered_too(self) -> None:
        hub = fed(record("a"))
        assert resume(hub, at(1)) == [True]

    def test_events_after_the_answer_follow_those_before_it(self) -> None:
        hub = fed(record("a"))
        session = hub.open(0.0)
        ask(session, since=at(0))
        hub.deliver("missions", "e1", 2, [record("b")])
        assert summary(session) == ["a", True, "b"]

    def test_filters_apply_to_what_was_missed(self) -> None:
        hub = fed(record("a"), record("b", OTHER), hub_of().record(started()))
        assert resume(hub, at(0), filters=ONLY)[0] == "a"
        names = Filters(event_types=("created",))
        assert resume(hub, at(0), filters=names) == ["a", "b", True]
        assert resume(hub, at(0), f"missions/{OTHER}") == ["b", True]

    def test_of_two_that_overlap_the_second_gets_only_what_the_first_did_not(self) -> None:
        hub = fed(record("a"), record("b", OTHER), record("c"))
        session = hub.open(0.0)
        ask(session, f"missions/{MISSION}", since=at(1))
        assert summary(session) == ["c", True]
        ask(session, since=at(0))
        assert summary(session) == ["a", "b", True]

    def test_a_subscription_that_replaces_another_gets_only_what_that_did_not(self) -> None:
        hub = fed(record("a"), record("b", OTHER))
        session = hub.open(0.0)
        ask(session, since=at(0), filters=ONLY)
        ask(session, since=at(0))
        assert summary(session) == ["a", True, "b", True]

    def test_what_an_earlier_subscription_got_as_it_was_published_does_not_come_again(
        self,
    ) -> None:
        hub = fed(record("a"))
        session = hub.open(0.0)
        subscribe(session)
        hub.deliver("missions", "e1", 2, [record("b")])
        ask(session, f"missions/{MISSION}", since=at(0))
        assert summary(session) == ["b", "a", True]

    def test_records_that_cannot_be_read_count_and_go_to_nobody(self) -> None:
        stray = evolve(record("x"), topic="system")
        hub = fed(record("a"), None, stray)
        session = hub.open(0.0)
        ask(session, since=at(0))
        assert summary(session) == ["a", True]
        assert hub.deliver("missions", "e1", 6, [None, stray, record("f")]) == 1
        (message,) = said(session)
        assert message.position == at(6)

    def test_a_client_without_a_permission_gets_nothing(self) -> None:
        hub = fed(record("a"), asks_permission=True)
        session = hub.open(0.0)
        frame = CODEC.encode(tp.Subscribe(topic="missions", since=at(0)))
        request = session.receive(frame, 0.0)
        assert isinstance(request, SubscriptionRequested)
        assert (request.resumes, request.since) == (True, at(0))
        assert summary(session) == []
        assert session.decide_subscription(request, False) is None
        (refusal,) = said(session)
        assert refusal.payload.code == "permission_denied"

    def test_a_client_with_a_permission_gets_what_it_missed(self) -> None:
        hub = fed(record("a"), asks_permission=True)
        session = hub.open(0.0)
        request = session.receive(CODEC.encode(tp.Subscribe(topic="missions", since=at(0))), 0.0)
        assert isinstance(request, SubscriptionRequested)
        session.decide_subscription(request, True)
        assert summary(session) == ["a", True]

    def test_unsubscribed_and_subscribed_again_it_starts_anew(self) -> None:
        hub = fed(record("a"))
        session = hub.open(0.0)
        subscribe(session, resume=True)
        session.receive(CODEC.encode(tp.Unsubscribe(topic="missions")), 0.0)
        hub.deliver("missions", "e1", 2, [record("b")])
        said(session)
        assert position_of(subscribe(session, resume=True)) == at(2)


class TestWhatIsNotRecovered:
    """The answer says ``recovered: false``, and where the subscription starts."""

    @pytest.mark.parametrize(
        "since",
        [
            at(1, "e2"),
            tp.Position(topic="system", epoch="e1", offset=1),
            tp.Position(topic="no such topic", epoch="e1", offset=1),
        ],
    )
    def test_a_position_of_another_life_or_another_log(self, since: tp.Position) -> None:
        hub = fed(record("a"), record("b"))
        session = hub.open(0.0)
        answer = subscribe(session, since=since)
        assert answer == tp.AckResponse(success=True, position=at(2), recovered=False)
        hub.deliver("missions", "e1", 3, [record("c")])
        assert summary(session) == ["c"]

    def test_what_is_trimmed_by_count(self) -> None:
        hub = fed(*map(record, "abc"), config=with_limits(history_events=2))
        assert resume(hub, at(0)) == [False]
        assert resume(hub, at(1)) == ["b", "c", True]

    def test_what_is_trimmed_by_size(self) -> None:
        size = len(record("a").frame)
        hub = fed(*map(record, "abc"), config=with_limits(history_bytes=2 * size))
        assert resume(hub, at(0)) == [False]
        assert resume(hub, at(1)) == ["b", "c", True]

    def test_what_is_trimmed_by_age(self) -> None:
        clock = Clock()
        hub = fed(record("a"), config=with_limits(history_age=10.0), clock=clock)
        clock.now = 6.0
        hub.deliver("missions", "e1", 2, [record("b")])
        assert resume(hub, at(0)) == ["a", "b", True]
        clock.now = 11.0
        assert resume(hub, at(0)) == [False]
        assert resume(hub, at(1)) == ["b", True]
        clock.now = 17.0
        hub.deliver("missions", "e1", 3, [record("c")])
        assert len(hub.context.logs["missions"]) == 1

    def test_an_event_that_is_too_large_to_be_kept(self) -> None:
        hub = fed(record("a"), config=with_limits(history_bytes=10))
        assert resume(hub, at(0)) == [False]
        assert resume(hub, at(1)) == [True]

    def test_more_events_than_are_replayed(self) -> None:
        hub = fed(*map(record, "abc"), config=with_limits(replay_events=2))
        assert resume(hub, at(0)) == [False]
        assert resume(hub, at(1)) == ["b", "c", True]
        assert resume(hub, at(0), f"missions/{OTHER}") == [True]

    def test_more_bytes_than_are_replayed(self) -> None:
        size = len(record("a").frame)
        hub = fed(*map(record, "abc"), config=with_limits(replay_bytes=3 * size))
        assert resume(hub, at(0)) == [False]
        assert resume(hub, at(1)) == ["b", "c", True]

    def test_what_was_only_loaded_in_part(self) -> None:
        hub = hub_of()
        hub.load("missions", "e1", 5, [record("d"), record("e")])
        assert resume(hub, at(2)) == [False]
        assert resume(hub, at(3)) == ["d", "e", True]


class TestAProcessThatLags:
    """A client that comes from another process may have seen more than this one."""

    def test_it_catches_up_and_then_recovers(self) -> None:
        hub = fed(record("a"))
        session = hub.open(0.0)
        ask(session, since=at(2))
        assert summary(session) == []
        assert session.subscriptions == ()
        hub.deliver("missions", "e1", 2, [record("b")])
        assert summary(session) == [True]
        hub.deliver("missions", "e1", 3, [record("c")])
        assert summary(session) == ["c"]

    def test_what_comes_with_it_follows(self) -> None:
        hub = fed(record("a"))
        session = hub.open(0.0)
        ask(session, since=at(2))
        hub.deliver("missions", "e1", 4, [*map(record, "bcd")])
        assert summary(session) == [True, "c", "d"]

    def test_it_does_not_catch_up_in_time(self) -> None:
        hub = fed(record("a"))
        session = hub.open(0.0)
        ask(session, since=at(2), now=5.0)
        session.handle_timeout(5.0)
        assert session.next_timeout == 7.0
        session.handle_timeout(6.9)
        assert summary(session) == []
        session.handle_timeout(7.0)
        (answer,) = said(session)
        assert answer.payload == tp.AckResponse(success=True, position=at(1), recovered=False)
        hub.deliver("missions", "e1", 2, [record("b")])
        assert summary(session) == ["b"]

    def test_its_log_begins_a_new_life_meanwhile(self) -> None:
        hub = fed(record("a"))
        session = hub.open(0.0)
        ask(session, since=at(2))
        hub.load("missions", "e2", 3, [record("c")])
        (answer,) = said(session)
        assert answer.payload.recovered is False
        assert answer.payload.position == at(3, "e2")

    def test_a_later_subscribe_takes_the_place_of_one_that_waits(self) -> None:
        hub = fed(record("a"))
        session = hub.open(0.0)
        ask(session, since=at(2))
        ask(session, since=at(1))
        refusal, answer = said(session)
        assert refusal.payload.code == "internal_error"
        assert answer.payload.recovered is True
        hub.deliver("missions", "e1", 2, [record("b")])
        assert summary(session) == ["b"]

    def test_unsubscribe_ends_what_waits_too(self) -> None:
        hub = fed(record("a"))
        session = hub.open(0.0)
        ask(session, since=at(2))
        session.receive(CODEC.encode(tp.Unsubscribe(topic="missions")), 0.0)
        refusal, answer = said(session)
        assert refusal.payload.code == "internal_error"
        assert answer.payload == tp.AckResponse.ok()
        hub.deliver("missions", "e1", 2, [record("b")])
        assert said(session) == []

    def test_unsubscribe_ends_what_waits_to_replace_another_and_that(self) -> None:
        hub = fed(record("a"))
        session = hub.open(0.0)
        subscribe(session)
        ask(session, since=at(2))
        session.receive(CODEC.encode(tp.Unsubscribe(topic="missions")), 0.0)
        assert [message.payload.success for message in said(session)[1:]] == [True]
        assert session.subscriptions == ()

    def test_two_can_wait_for_the_same_log(self) -> None:
        hub = fed(record("a"))
        session = hub.open(0.0)
        ask(session, f"missions/{MISSION}", since=at(2))
        ask(session, f"missions/{OTHER}", since=at(3))
        hub.deliver("missions", "e1", 2, [record("b", OTHER)])
        assert summary(session) == [True]
        hub.deliver("missions", "e1", 3, [record("c", OTHER)])
        assert summary(session) == [True]
        assert not hub.context.logs["missions"].waiters

    def test_those_that_wait_count_as_subscriptions(self) -> None:
        hub = fed(record("a"), config=with_limits(max_subscriptions=1))
        session = hub.open(0.0)
        ask(session, since=at(2))
        ask(session, "system")
        (refusal,) = said(session)
        assert refusal.payload.code == "permission_denied"

    def test_whoever_waits_for_another_identity_is_refused(self) -> None:
        hub = fed(record("a"), asks_permission=True)
        session = hub.open(0.0)
        request = session.receive(CODEC.encode(tp.Subscribe(topic="missions", since=at(2))), 0.0)
        assert isinstance(request, SubscriptionRequested)
        session.decide_subscription(request, True)
        session.identify(Identity(UUID(int=1)), 0.0)
        hub.deliver("missions", "e1", 2, [record("b")])
        (refusal,) = said(session)
        assert refusal.payload.code == "permission_denied"

    def test_a_session_that_shuts_down_refuses_what_waits_and_closes(self) -> None:
        hub = fed(record("a"))
        session = hub.open(0.0)
        ask(session, since=at(2))
        session.drain(1001, "bye")
        (refusal,) = said(session)
        assert refusal.payload.code == "internal_error"
        assert close_code(session) == 1001

    def test_a_session_that_shuts_down_promises_nothing(self) -> None:
        hub = fed(record("a"), asks_permission=True)
        session = hub.open(0.0)
        request = session.receive(CODEC.encode(tp.Subscribe(topic="missions", since=at(0))), 0.0)
        assert isinstance(request, SubscriptionRequested)
        session.drain(1001, "bye")
        session.decide_subscription(request, True)
        (refusal,) = said(session)
        assert refusal.payload.code == "internal_error"
        assert close_code(session) == 1001

    def test_a_session_that_shuts_down_answers_a_plain_subscribe(self) -> None:
        hub = fed(record("a"), asks_permission=True)
        session = hub.open(0.0)
        request = session.receive(CODEC.encode(tp.Subscribe(topic="missions")), 0.0)
        assert isinstance(request, SubscriptionRequested)
        session.drain(1001, "bye")
        session.decide_subscription(request, True)
        assert [message.payload for message in said(session)] == [tp.AckResponse.ok()]
        assert len(hub.index) == 0

    def test_a_connection_that_ends_waits_no_more(self) -> None:
        hub = fed(record("a"))
        session = hub.open(0.0)
        ask(session, since=at(2))
        session.connection_lost()
        assert not hub.context.logs["missions"].waiters
        hub.deliver("missions", "e1", 2, [record("b")])
        assert len(hub.index) == 0


class TestALogThatIsKeptElsewhere:
    def test_records_of_another_process_are_delivered_by_their_text(self) -> None:
        hub = fed()
        session = hub.open(0.0)
        subscribe(session, resume=True, filters=Filters(event_types=("archived",)))
        frame = record("a").frame
        unknown = Record("missions", "mission.archived", str(MISSION), (MISSION, None), frame)
        assert hub.deliver("missions", "e1", 2, [record("a"), unknown]) == 1
        (message,) = said(session)
        assert message.position == at(2)

    def test_what_it_has_already_is_dropped(self) -> None:
        hub = fed(record("a"))
        session = hub.open(0.0)
        subscribe(session)
        assert hub.deliver("missions", "e1", 1, [record("a")]) == 0
        assert hub.deliver("missions", "e1", 2, [*map(record, "ab")]) == 1
        assert hub.deliver("missions", "e1", 1, [record("a")]) == 0
        assert summary(session) == ["b"]

    @pytest.mark.parametrize(("epoch", "offset"), [("e1", 3), ("e2", 2)])
    def test_what_leaves_events_out_is_refused(self, epoch: str, offset: int) -> None:
        hub = fed(record("a"))
        session = hub.open(0.0)
        subscribe(session)
        assert hub.deliver("missions", epoch, offset, [record("x")]) is None
        assert summary(session) == []

    def test_a_tail_that_reaches_back_is_no_gap(self) -> None:
        hub = fed(record("a"))
        session = hub.open(0.0)
        subscribe(session)
        assert not hub.load("missions", "e1", 3, [*map(record, "bc")])
        assert summary(session) == ["b", "c"]

    def test_a_log_that_was_not_used_has_no_gap(self) -> None:
        hub = hub_of()
        assert not hub.load("missions", "e1", 7, [record("g")])
        assert hub.load("missions", "e2", 7, [record("g")])

    @pytest.mark.parametrize(
        ("epoch", "offset", "records"),
        [("e" * 65, 1, 1), ("é", 1, 1), ("a\nb", 1, 1), ("e2", 1, 2), ("e2", 2**64, 1)],
    )
    def test_what_cannot_be_a_log_is_refused(self, epoch: str, offset: int, records: int) -> None:
        hub = fed(record("a"))
        with pytest.raises(ValueError, match="is"):
            hub.load("missions", epoch, offset, [record("a")] * records)
        assert resume(hub, at(0)) == ["a", True]

    def test_topics_are_those_of_the_registry(self) -> None:
        assert set(hub_of().topics) == {"missions", "forge_sessions", "system"}


class TestAGap:
    """Where some of a log may be missing, its sessions get no more of it, and are closed."""

    @pytest.mark.parametrize(("epoch", "offset"), [("e1", 9), ("e2", 3), ("e1", 1)])
    def test_sessions_get_no_more_of_the_log_and_are_closed_with_1012(
        self, epoch: str, offset: int, caplog: pytest.LogCaptureFixture
    ) -> None:
        hub = fed(*map(record, "ab"))
        session, unconcerned = hub.open(0.0), hub.open(0.0)
        subscribe(session, resume=True)
        subscribe(session, "system", resume=True)
        subscribe(unconcerned, "system")
        with caplog.at_level(logging.WARNING):
            assert hub.load("missions", epoch, offset, [record("x")])
        assert "events of missions may be missing: 1 sessions are closed" in caplog.text
        hub.deliver("missions", epoch, offset + 1, [record("y")])
        hub.publish(tp.ServerStatus(status="up", active_missions=0, active_sessions=0))
        (message,) = said(session)
        assert isinstance(message.payload, tp.ServerStatus)
        assert message.position is not None
        session.handle_timeout(1.0)
        assert close_code(session) == 1012
        assert close_code(unconcerned) is None

    def test_what_was_queued_before_is_sent(self) -> None:
        hub = fed(record("a"))
        session = hub.open(0.0)
        subscribe(session, resume=True)
        hub.deliver("missions", "e1", 2, [record("b")])
        hub.load("missions", "e2", 2, ())
        session.handle_timeout(0.0)
        assert close_code(session) == 1012
        assert summary(session) == ["b"]

    def test_the_sessions_are_closed_one_after_the_other(self) -> None:
        hub = fed(record("a"), config=with_limits(gap_spread=4.0))
        sessions = [hub.open(0.0) for _ in range(4)]
        for session in sessions:
            subscribe(session)
        hub.load("missions", "e2", 0, ())
        open_at = []
        for now in (10.0, 10.9, 11.0, 12.0, 13.0):
            for session in sessions:
                session.handle_timeout(now)
            open_at.append([session.closing is None for session in sessions].count(True))
        assert open_at == [3, 3, 2, 1, 0]

    def test_it_cannot_be_resumed_in_the_same_session(self) -> None:
        """A position in the new life would pass over what an earlier subscription missed."""
        hub = fed(record("a"), config=with_limits(gap_spread=9.0))
        first, session = hub.open(0.0), hub.open(0.0)
        subscribe(first)
        subscribe(session, resume=True)
        hub.load("missions", "e2", 2, ())
        ask(session, f"missions/{OTHER}", resume=True)
        (refusal,) = said(session)
        assert refusal.payload.code == "internal_error"
        assert subscribe(session, f"missions/{OTHER}") == tp.AckResponse.ok()
        assert position_of(subscribe(session, "system", resume=True)).topic == "system"

    def test_commands_that_run_are_answered_before(self) -> None:
        hub = fed(record("a"))
        session = hub.open(0.0)
        subscribe(session)
        event = session.receive(CODEC.encode(tp.StartMission(mission_id=MISSION)), 0.0)
        assert isinstance(event, CommandReceived)
        hub.load("missions", "e2", 2, ())
        session.handle_timeout(0.0)
        assert close_code(session) is None
        session.reply(event.message, tp.AckResponse.ok())
        assert close_code(session) == 1012

    def test_a_second_gap_does_not_put_the_end_off(self) -> None:
        hub = fed(record("a"), config=with_limits(gap_spread=4.0))
        first, second = hub.open(0.0), hub.open(0.0)
        for session in (first, second):
            subscribe(session)
            subscribe(session, "system")
        hub.load("missions", "e2", 0, ())
        second.handle_timeout(0.0)
        hub.load("system", "e2", 5, ())
        second.handle_timeout(2.0)
        assert close_code(second) == 1012


class TestPositionUpdates:
    """A client whose filters let little through is told how far the log is."""

    def test_it_comes_after_an_interval_in_which_the_log_moved_on(self) -> None:
        hub = fed()
        session = hub.open(0.0)
        subscribe(session, f"missions/{OTHER}", resume=True)
        session.handle_timeout(0.0)
        assert session.next_timeout == 30.0
        hub.deliver("missions", "e1", 1, [record("a")])
        session.handle_timeout(29.0)
        assert said(session) == []
        session.handle_timeout(30.0)
        update, _ping = sorted(said(session), key=lambda message: message.type, reverse=True)
        assert update.payload == tp.PositionUpdate(position=at(1))
        assert update.type == "position"

    def updates(self, hub: Hub, session: ServerSession, now: float) -> list[tp.Position]:
        session.receive('{"type":"pong"}', now)
        session.handle_timeout(now)
        payloads = [message.payload for message in said(session)]
        return [p.position for p in payloads if isinstance(p, tp.PositionUpdate)]

    def test_it_does_not_come_where_nothing_happened(self) -> None:
        hub = fed(record("a"))
        session = hub.open(0.0)
        subscribe(session, f"missions/{OTHER}", resume=True)
        assert [self.updates(hub, session, now) for now in (0.0, 30.0, 60.0)] == [[], [], []]

    def test_it_does_not_come_where_an_event_brought_the_position(self) -> None:
        hub = fed(record("a"))
        session = hub.open(0.0)
        subscribe(session, resume=True)
        self.updates(hub, session, 0.0)
        hub.deliver("missions", "e1", 2, [record("b")])
        assert self.updates(hub, session, 30.0) == []
        hub.deliver("missions", "e1", 3, [None])
        assert self.updates(hub, session, 60.0) == [at(3)]

    def test_it_comes_behind_the_events_that_wait(self) -> None:
        hub = fed()
        session = hub.open(0.0)
        subscribe(session, f"missions/{OTHER}", resume=True)
        self.updates(hub, session, 0.0)
        hub.deliver("missions", "e1", 2, [record("a", OTHER), record("b")])
        session.receive('{"type":"pong"}', 30.0)
        session.handle_timeout(30.0)
        assert summary(session) == ["a", tp.PositionUpdate(position=at(2))]

    def test_it_comes_though_a_later_subscription_would_have_got_the_event(self) -> None:
        hub = fed()
        session = hub.open(0.0)
        subscribe(session, f"missions/{OTHER}", resume=True)
        self.updates(hub, session, 0.0)
        hub.deliver("missions", "e1", 1, [record("a")])
        subscribe(session)
        assert self.updates(hub, session, 30.0) == [at(1)]

    def test_it_does_not_come_to_who_did_not_ask_or_does_not_any_more(self) -> None:
        hub = fed()
        session, plain = hub.open(0.0), hub.open(0.0)
        subscribe(session, f"missions/{OTHER}", resume=True)
        subscribe(plain, f"missions/{OTHER}")
        self.updates(hub, session, 0.0)
        session.receive(CODEC.encode(tp.Unsubscribe(topic=f"missions/{OTHER}")), 0.0)
        hub.deliver("missions", "e1", 1, [record("a")])
        assert self.updates(hub, session, 30.0) == []
        assert self.updates(hub, plain, 30.0) == []
        assert session.next_timeout == 60.0  # the keepalive's alone

    def test_it_does_not_come_while_events_are_held_back(self) -> None:
        hub = fed(announces_subscriptions=True)
        session = hub.open(0.0)
        frame = CODEC.encode(tp.Subscribe(topic=f"missions/{OTHER}", resume=True))
        session.receive(frame, 0.0)
        said(session)
        self.updates(hub, session, 0.0)
        hub.deliver("missions", "e1", 2, [record("a", OTHER), record("b")])
        assert self.updates(hub, session, 30.0) == []
        session.release_events()
        assert self.updates(hub, session, 60.0) == [at(2)]


class TestEventsThatAreHeldBack:
    """``on_subscribe`` sends a snapshot before the events; who is recovered needs none."""

    def opened(self, *records: Record | None) -> tuple[Hub, ServerSession, list[Subscribed]]:
        hub = fed(*records, announces_subscriptions=True)
        session = hub.open(0.0)
        later: list[Subscribed] = []
        session.on_subscribed = later.append
        return hub, session, later

    def test_a_recovered_subscription_is_not_announced(self) -> None:
        hub, session, _ = self.opened(record("a"))
        ask(session, since=at(0))
        hub.deliver("missions", "e1", 2, [record("b")])
        assert summary(session) == ["a", True, "b"]

    @pytest.mark.parametrize("fields", [{"resume": True}, {"since": at(1, "e0")}, {}])
    def test_any_other_is(self, fields: dict[str, Any]) -> None:
        hub, session, _ = self.opened(record("a"))
        event = session.receive(CODEC.encode(tp.Subscribe(topic="missions", **fields)), 0.0)
        assert event == Subscribed("missions")
        hub.deliver("missions", "e1", 2, [record("b")])
        session.send(named("snapshot"))
        session.release_events()
        assert summary(session)[1:] == ["snapshot", "b"]

    def test_one_that_waited_in_vain_is_announced_later(self) -> None:
        hub, session, later = self.opened(record("a"))
        ask(session, since=at(2))
        session.handle_timeout(0.0)
        assert later == []
        session.handle_timeout(2.0)
        assert later == [Subscribed("missions")]
        hub.deliver("missions", "e1", 2, [record("b")])
        assert summary(session) == [False]
        session.release_events()
        assert summary(session) == ["b"]

    def test_no_position_passes_events_that_are_held_back(self) -> None:
        """An answer with a position would tell that all before it was sent."""
        hub, session, later = self.opened(record("a"))
        session.receive(CODEC.encode(tp.Subscribe(topic="missions", resume=True)), 0.0)
        said(session)
        ask(session, f"missions/{MISSION}", since=at(1))  # nothing is held back yet
        assert summary(session) == [True]
        hub.deliver("missions", "e1", 2, [record("b")])
        ask(session, f"missions/{OTHER}", since=at(1))
        session.handle_timeout(9.0)
        assert summary(session) == []
        session.release_events()
        assert summary(session) == ["b", True]
        assert later == []

    def test_events_are_held_back_until_all_snapshots_are_sent(self) -> None:
        hub, session, _ = self.opened()
        for topic in ("missions", "system"):
            assert session.receive(CODEC.encode(tp.Subscribe(topic=topic)), 0.0)
        said(session)
        hub.deliver("missions", "e1", 1, [record("a")])
        session.release_events()
        assert summary(session) == []
        session.release_events()
        assert summary(session) == ["a"]

    def test_what_is_held_back_is_in_the_record_of_a_slow_consumer(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        frame = record("a").frame
        config = with_limits(max_pending_bytes=2 * len(frame))
        hub = fed(config=config, announces_subscriptions=True)
        session = hub.open(0.0)
        session.receive(CODEC.encode(tp.Subscribe(topic="missions")), 0.0)
        said(session)
        with caplog.at_level(logging.WARNING):
            hub.deliver("missions", "e1", 3, [*map(record, "abc")])
        assert close_code(session) == 1013
        assert f"3 frames of {3 * len(frame)} bytes wait" in caplog.text


class TestSlowReaders:
    def test_what_is_replayed_does_not_count_as_waiting(self) -> None:
        config = with_limits(max_pending=2, max_pending_bytes=600, pending_grace=1.0)
        hub = fed(*[record(str(n)) for n in range(20)], config=config)
        session = hub.open(0.0)
        ask(session, since=at(0))
        assert session.pending == 21
        assert session.can_receive
        for now in (0.0, 1.0, 2.0):
            session.handle_timeout(now)
        assert close_code(session) is None
        assert len(said(session)) == 21

    def test_no_command_is_read_while_as_much_waits_as_may_be_replayed(self) -> None:
        hub = fed(*map(record, "ab"), config=with_limits(replay_events=2))
        session = hub.open(0.0)
        ask(session, since=at(0))
        reads = [session.can_receive]
        session.next_frame()
        assert [*reads, session.can_receive] == [False, True]

    def test_bytes_that_wait_to_be_replayed_count_as_well(self) -> None:
        config = with_limits(replay_bytes=len(record("a").frame) + 150)
        hub = fed(record("a"), record("b"), config=config)
        session = hub.open(0.0)
        ask(session, f"missions/{MISSION}", since=at(1))
        ask(session, since=at(0), filters=ONLY)
        reads = [session.can_receive]
        session.next_frame()
        assert [*reads, session.can_receive] == [False, True]

    def test_a_client_that_reads_a_replay_has_the_time_to_read_what_is_behind_it(self) -> None:
        config = with_limits(max_pending=2, pending_grace=1.0, ping_interval=None)
        hub = fed(*[record(str(n)) for n in range(6)], config=config)
        session = hub.open(0.0)
        ask(session, since=at(0))
        hub.deliver("missions", "e1", 10, [*map(record, "abcd")])
        for now in range(5):
            session.handle_timeout(float(now))
            session.next_frame()
        assert close_code(session) is None
        session.next_frame()
        for now in range(6, 9):
            session.handle_timeout(float(now))
        assert close_code(session) == 1013

    def test_a_client_that_does_not_read_a_replay_is_disconnected(self) -> None:
        config = with_limits(max_pending=2, pending_grace=1.0)
        hub = fed(*[record(str(n)) for n in range(6)], config=config)
        session = hub.open(0.0)
        ask(session, since=at(0))
        hub.deliver("missions", "e1", 10, [*map(record, "abcd")])
        session.handle_timeout(0.0)
        session.handle_timeout(1.0)
        assert close_code(session) == 1013

    def test_metrics_see_what_is_replayed(self) -> None:
        counting = Counting()
        hub = fed(*map(record, "ab"), metrics=counting)
        session = hub.open(0.0)
        ask(session, since=at(0))
        assert counting.depth == 3
        frames = [session.next_frame() or "" for _ in range(3)]
        assert counting.sent == list(map(len, frames))


def test_a_session_has_few_enough_attributes_to_be_fast() -> None:
    """From 30 on, Python 3.11 finds each of them more slowly, as all who get events notice."""
    assert len(vars(hub_of().open(0.0))) < 30


LIMITS = st.fixed_dictionaries(
    {
        "history_events": st.integers(1, 8),
        "history_bytes": st.integers(100, 2000),
        "history_age": st.integers(1, 20),
        "replay_events": st.integers(1, 8),
        "replay_bytes": st.integers(200, 4000),
    }
)
STEPS = st.lists(
    st.tuples(st.integers(0, 5), st.none() | st.sampled_from((MISSION, OTHER)), st.integers(1, 99)),
    max_size=25,
)


@given(limits=LIMITS, steps=STEPS, since=st.integers(0, 30), only=st.booleans())
def test_a_replay_is_what_was_published_after_a_position_or_is_refused(
    limits: dict[str, int], steps: list[tuple[int, UUID | None, int]], since: int, only: bool
) -> None:
    clock = Clock()
    log = TopicLog("missions", "e1", with_limits(**limits), clock)
    published: list[tuple[Record | None, float]] = []
    for seconds, mission_id, length in steps:
        clock.now += seconds
        entry = None if mission_id is None else record("x" * length, mission_id)
        log.append(entry, 0 if entry is None else len(entry.frame))
        published.append((entry, clock.now))
        kept = published[len(published) - len(log) :]
        assert len(kept) <= limits["history_events"]
        assert sum(len(one.frame) for one, _ in kept if one) <= limits["history_bytes"]
        assert all(clock.now - time <= limits["history_age"] for _, time in kept)
    assert log.offset == len(published)

    def is_wanted(_: int, entry: Record) -> bool:
        return not only or entry.values[0] == MISSION

    frames = log.replay(at(since), is_wanted)
    trimmed = log.offset - len(log)
    expected = [
        (offset, entry)
        for offset, (entry, _) in enumerate(published, 1)
        if offset > since and entry is not None and is_wanted(offset, entry)
    ]
    texts = [log.with_position(entry.frame, offset) for offset, entry in expected]
    is_too_much = (
        len(texts) > limits["replay_events"] or sum(map(len, texts)) > limits["replay_bytes"]
    )
    if since < trimmed or since > log.offset or is_too_much:
        assert frames is None
    else:
        assert frames is not None
        assert [text for text, _, _ in frames] == texts
        for text, (offset, entry) in zip(texts, expected, strict=True):
            message = CODEC.decode_server_message(text)
            assert message.position == at(offset)
            assert evolve(message, position=None) == CODEC.decode_server_message(entry.frame)
