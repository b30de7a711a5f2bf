"""A server's session, without a socket: frames in, frames and happenings out."""

import json
import logging
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from support.conversing import close_code
from support.counting import Counting

import tachikoma_proto as tp
from tachikoma_proto.session import (
    AuthenticationRequested,
    CommandReceived,
    Hub,
    Identity,
    ServerConfig,
    ServerSession,
)

ASKED = UUID(int=1)
MISSION = UUID(int=7)
USER = UUID(int=9)
CODEC = tp.Codec()
OPEN = ServerConfig(require_auth=False)


def frame(command: tp.Command[Any], message_id: UUID = ASKED) -> str:
    return CODEC.encode(command, id=message_id)


def opened(config: ServerConfig = OPEN) -> ServerSession:
    return Hub(CODEC, config).open(now=0.0)


def said(session: ServerSession) -> list[tp.OutgoingMessage[Any]]:
    messages = []
    while (text := session.take()) is not None:
        messages.append(CODEC.decode_server_message(text))
    return messages


def answer(session: ServerSession, given: str | bytes, now: float = 0.0) -> Any:
    """Give a frame that is answered at once, and take the answer."""
    assert session.receive(given, now) is None
    (message,) = said(session)
    return message.payload


def error_of(session: ServerSession, given: str | bytes, now: float = 0.0) -> str:
    response = answer(session, given, now)
    assert isinstance(response, tp.ErrorResponse)
    return response.code


def log_in(session: ServerSession, identity: Identity | None, now: float = 0.0) -> tp.AuthResponse:
    happening = session.receive(frame(tp.Authenticate(token="s3cret")), now)
    assert happening == AuthenticationRequested(ASKED, "s3cret")
    session.authenticated(ASKED, identity, now)
    (message,) = said(session)
    assert message.reply_to == ASKED
    assert isinstance(message.payload, tp.AuthResponse)
    return message.payload


def progress(mission_id: UUID = MISSION) -> tp.MissionStarted:
    return tp.MissionStarted(mission_id=mission_id)


class TestCommands:
    def test_about_subscriptions(self) -> None:
        session = opened()
        assert answer(session, frame(tp.Subscribe(topic="missions"))) == tp.AckResponse.ok()
        assert list(session.subscriptions) == ["missions"]
        listed = answer(session, frame(tp.ListSubscriptions()))
        assert listed == tp.SubscriptionListResponse(subscriptions=("missions",))
        assert answer(session, frame(tp.Unsubscribe(topic="missions"))) == tp.AckResponse.ok()
        assert not session.subscriptions

    def test_about_topics_that_do_not_exist(self) -> None:
        session = opened()
        assert error_of(session, frame(tp.Subscribe(topic="nope"))) == "not_found"
        assert error_of(session, frame(tp.Unsubscribe(topic="missions"))) == "not_found"

    def test_about_itself(self) -> None:
        session = opened(ServerConfig())
        log_in(session, Identity(USER))
        info = answer(session, frame(tp.GetSessionInfo()))
        assert isinstance(info, tp.SessionInfoResponse)
        assert (info.session_id, info.authenticated, info.user_id) == (session.id, True, USER)
        assert info.connected_at_datetime == session.connected_at

    def test_ping(self) -> None:
        assert isinstance(answer(opened(), frame(tp.Ping())), tp.PongResponse)

    def test_a_bare_pong_is_not_answered(self) -> None:
        session = opened()
        assert session.receive('{"type":"pong"}', 0.0) is None
        assert said(session) == []

    def test_others_come_out(self) -> None:
        session = opened()
        happening = session.receive(frame(tp.StartMission(mission_id=MISSION)), 0.0)
        assert isinstance(happening, CommandReceived)
        session.reply(happening.message, tp.AckResponse.ok())
        (message,) = said(session)
        assert (message.payload, message.reply_to) == (tp.AckResponse.ok(), ASKED)

    @pytest.mark.parametrize(
        "reply",
        [
            tp.PongResponse.now(),
            None,
            tp.MissionStatusResponse(
                mission_id=MISSION,
                status="",
                completed_specs=-1,
                total_specs=0,
                percentage=0,
            ),
        ],
    )
    def test_a_wrong_reply_is_this_sides_mistake(
        self, reply: Any, caplog: pytest.LogCaptureFixture
    ) -> None:
        session = opened()
        happening = session.receive(frame(tp.GetMissionStatus(mission_id=MISSION)), 0.0)
        assert isinstance(happening, CommandReceived)
        session.reply(happening.message, reply)
        (message,) = said(session)
        assert message.payload == tp.ErrorResponse(code="internal_error", message="internal error")
        assert message.reply_to == ASKED
        assert len(caplog.records) == 1

    def test_a_handler_may_answer_with_an_error(self) -> None:
        session = opened()
        happening = session.receive(frame(tp.StartMission(mission_id=MISSION)), 0.0)
        assert isinstance(happening, CommandReceived)
        session.reply(happening.message, tp.ErrorResponse.not_found("mission"))
        (message,) = said(session)
        assert message.payload == tp.ErrorResponse.not_found("mission")


class TestBadFrames:
    @pytest.mark.parametrize(
        ("given", "code"),
        [
            ("", "invalid_message"),
            ("[]", "invalid_message"),
            (b"\xff", "invalid_message"),
            ('{"type":"subscribe","payload":{"topic":7}}', "invalid_message"),
            ('{"type":"nope"}', "unknown_message"),
            ('{"type":"event.mission","payload":{}}', "unknown_message"),
            ('{"type":"ack","payload":{"success":true}}', "unknown_message"),
            ('"' + "x" * 65536 + '"', "message_too_large"),
            ('"' + "é" * 32768 + '"', "message_too_large"),
        ],
    )
    def test_are_answered(self, given: str | bytes, code: str) -> None:
        assert error_of(opened(), given) == code

    def test_are_answered_with_their_id_and_all_faults(self) -> None:
        session = opened()
        text = frame(tp.Subscribe(topic="missions")).replace('"missions"', "[]")
        session.receive(text, 0.0)
        (message,) = said(session)
        assert message.reply_to == ASKED
        assert message.payload.details == {
            "errors": [{"path": "$.payload.topic", "expected": "a string"}]
        }

    @pytest.mark.parametrize("as_bytes", [False, True])
    def test_that_are_too_large_are_answered_with_their_id(self, as_bytes: bool) -> None:
        session = opened()
        text = frame(tp.Subscribe(topic="x" * 70_000))
        session.receive(text.encode() if as_bytes else text, 0.0)
        (message,) = said(session)
        assert (message.payload.code, message.reply_to) == ("message_too_large", ASKED)
        session.receive(" " * 70_000 + text, 0.0)
        (message,) = said(session)
        assert (message.payload.code, message.reply_to) == ("message_too_large", None)

    def test_of_the_largest_size_are_read(self) -> None:
        text = frame(tp.Ping())
        session = opened(ServerConfig(require_auth=False, max_message_size=len(text)))
        assert isinstance(answer(session, text), tp.PongResponse)
        assert error_of(session, text + " ") == "message_too_large"


class TestAuthentication:
    def test_comes_before_all_but_public_commands(self) -> None:
        session = opened(ServerConfig())
        for command in (
            tp.Subscribe(topic="missions"),
            tp.ListSubscriptions(),
            tp.GetSessionInfo(),
            tp.StartMission(mission_id=MISSION),
        ):
            session.receive(frame(command), 0.0)
            (message,) = said(session)
            assert message.payload == tp.ErrorResponse.auth_required()
            assert message.reply_to == ASKED
        assert isinstance(answer(session, frame(tp.Ping())), tp.PongResponse)
        assert session.hub.publish(progress()) == 0

    def test_lets_in(self) -> None:
        session = opened(ServerConfig())
        response = log_in(session, Identity(USER))
        assert response == tp.AuthResponse(authenticated=True, user_id=USER)
        assert session.identity == Identity(USER)
        assert answer(session, frame(tp.Subscribe(topic="missions"))) == tp.AckResponse.ok()

    def test_keeps_out(self) -> None:
        session = opened(ServerConfig())
        assert log_in(session, None) == tp.AuthResponse(authenticated=False)
        assert session.identity is None
        assert error_of(session, frame(tp.ListSubscriptions())) == "auth_required"

    def test_has_its_time(self) -> None:
        session = opened(ServerConfig(auth_timeout=5))
        session.tick(4.9)
        assert close_code(session) is None
        assert session.deadline == 5
        session.tick(5.0)
        assert close_code(session) == 1008
        assert session.receive(frame(tp.Ping()), 5.0) is None
        assert said(session) == []

    def test_expires(self) -> None:
        session = opened(ServerConfig(ping_interval=None))
        expires_at = datetime.now(UTC) + timedelta(seconds=60)
        response = log_in(session, Identity(USER, expires_at), now=1.0)
        assert response.expires_at_datetime == expires_at
        answer(session, frame(tp.Subscribe(topic="missions")))
        assert 60 < session.deadline <= 61
        session.tick(session.deadline)
        assert close_code(session) == 1008
        assert session.hub.publish(progress()) == 0

    def test_that_has_expired_already_is_none(self) -> None:
        session = opened(ServerConfig())
        gone = Identity(USER, datetime.now(UTC) - timedelta(seconds=1))
        assert log_in(session, gone) == tp.AuthResponse(authenticated=False)

    def test_that_fails_leaves_the_one_before(self) -> None:
        session = opened(ServerConfig())
        log_in(session, Identity(USER))
        assert not log_in(session, None).authenticated
        assert session.identity == Identity(USER)

    def test_that_fails_too_often_ends_the_session(self) -> None:
        session = opened(ServerConfig(max_auth_attempts=2))
        log_in(session, None)
        assert close_code(session) is None
        log_in(session, None)
        assert close_code(session) == 1008

    def test_anew_keeps_the_subscriptions_that_it_may_have(self) -> None:
        def may_subscribe(session: tp.Session, topic: str) -> bool:
            return topic == "system" or session.identity == Identity(USER)

        session = Hub(CODEC, may_subscribe=may_subscribe).open(now=0.0)
        log_in(session, Identity(USER))
        for topic in ("missions", "system"):
            answer(session, frame(tp.Subscribe(topic=topic)))
        log_in(session, Identity(USER))
        assert session.subscriptions == ("missions", "system")
        log_in(session, Identity(UUID(int=10)))
        assert list(session.subscriptions) == ["system"]
        assert session.hub.publish(progress()) == 0

    def test_is_not_needed_where_the_server_says_so(self) -> None:
        session = opened(ServerConfig(require_auth=False, ping_interval=None, auth_timeout=1))
        session.tick(1e9)
        assert close_code(session) is None

    def test_takes_aware_times(self) -> None:
        with pytest.raises(ValueError, match="aware"):
            Identity(USER, datetime(2026, 1, 1))

    def test_is_of_a_user(self) -> None:
        with pytest.raises(TypeError, match="user_id"):
            Identity("somebody")  # type: ignore[arg-type]

    def test_leaves_no_token_behind(self, caplog: pytest.LogCaptureFixture) -> None:
        caplog.set_level(logging.DEBUG)
        session = opened(ServerConfig())
        happening = session.receive(frame(tp.Authenticate(token="s3cret")), 0.0)
        log_in(session, None)
        session.receive(frame(tp.Authenticate(token="s3cret")).replace("payload", "paylaod"), 0.0)
        session.receive(frame(tp.Authenticate(token="s3cret")).replace('"command"', '"c"'), 0.0)
        texts = [repr(happening), repr(session), caplog.text, *map(repr, said(session))]
        assert not any("s3cret" in text for text in texts)


class TestLimits:
    def test_of_subscriptions(self) -> None:
        session = opened(ServerConfig(require_auth=False, max_subscriptions=1))
        assert answer(session, frame(tp.Subscribe(topic="missions"))) == tp.AckResponse.ok()
        again = tp.Subscribe(topic="missions", filters=tp.SubscriptionFilters(mission_id=MISSION))
        assert answer(session, frame(again)) == tp.AckResponse.ok()
        assert error_of(session, frame(tp.Subscribe(topic="system"))) == "permission_denied"
        assert session.subscriptions == ("missions",)

    def test_of_the_rate(self) -> None:
        session = opened(ServerConfig(require_auth=False, rate_limit=2, rate_burst=2))
        codes = [answer(session, frame(tp.Ping())) for _ in range(3)]
        assert [isinstance(code, tp.PongResponse) for code in codes] == [True, True, False]
        for text in (frame(tp.Ping()), frame(tp.Ping()).replace("ping", "?")):
            session.receive(text, 0.1)
            (message,) = said(session)
            assert (message.payload.code, message.reply_to) == ("rate_limited", ASKED)
        assert isinstance(answer(session, frame(tp.Ping()), now=0.6), tp.PongResponse)
        codes = [answer(session, frame(tp.Ping()), now=1000.0) for _ in range(3)]
        assert [isinstance(code, tp.PongResponse) for code in codes] == [True, True, False]

    def test_of_the_rate_is_no_limit_at_none(self) -> None:
        session = opened(ServerConfig(require_auth=False, rate_limit=None, rate_burst=1))
        for _ in range(10):
            assert isinstance(answer(session, frame(tp.Ping())), tp.PongResponse)

    @pytest.mark.parametrize(
        "limits",
        [
            {"max_pending": 0},
            {"max_message_size": -1},
            {"ping_interval": 0},
            {"auth_timeout": 0.0},
            {"rate_limit": 0},
            {"pong_timeout": float("nan")},
            {"max_message_size": True},
            {"max_running": 2.5},
            {"max_message_size": "64k"},
            {"close_timeout": None},
        ],
    )
    def test_are_above_zero(self, limits: dict[str, Any]) -> None:
        with pytest.raises(ValueError, match=r"^\w+ is a (whole )?number above zero, not "):
            ServerConfig(**limits)

    @pytest.mark.parametrize("choice", [None, 0, "", "no"])
    def test_leave_nobody_in_by_mistake(self, choice: Any) -> None:
        with pytest.raises(ValueError, match="require_auth is True or False"):
            ServerConfig(require_auth=choice)


class TestPermissions:
    def test_are_the_servers(self) -> None:
        def may_subscribe(session: tp.Session, topic: str) -> bool:
            return topic == tp.topics.mission(MISSION) and session.identity is None

        session = Hub(CODEC, OPEN, may_subscribe=may_subscribe).open(now=0.0)
        own = tp.topics.mission(MISSION)
        assert answer(session, frame(tp.Subscribe(topic=own))) == tp.AckResponse.ok()
        assert error_of(session, frame(tp.Subscribe(topic="missions"))) == "permission_denied"
        assert session.subscriptions == (own,)

    def test_that_cannot_be_told_are_none(self, caplog: pytest.LogCaptureFixture) -> None:
        def may_subscribe(session: tp.Session, _: str) -> bool:
            raise KeyError("rights")

        session = Hub(CODEC, OPEN, may_subscribe=may_subscribe).open(now=0.0)
        assert error_of(session, frame(tp.Subscribe(topic="missions"))) == "permission_denied"
        assert "KeyError" in caplog.text
        assert session.subscriptions == ()

    def test_are_given_by_a_true_alone(self) -> None:
        def may_subscribe(session: tp.Session, _: str) -> bool:
            return "no"  # type: ignore[return-value]  # what a coroutine would be, too

        session = Hub(CODEC, OPEN, may_subscribe=may_subscribe).open(now=0.0)
        assert error_of(session, frame(tp.Subscribe(topic="missions"))) == "permission_denied"


class TestEvents:
    def test_are_encoded_once(self, monkeypatch: pytest.MonkeyPatch) -> None:
        codec = tp.Codec()
        hub = Hub(codec, OPEN)
        sessions = [hub.open(0.0) for _ in range(3)]
        for session in sessions:
            answer(session, frame(tp.Subscribe(topic="missions")))
        encoded = []
        encode = codec.encode

        def counted(event: tp.Event) -> str:
            encoded.append(event)
            return encode(event)

        monkeypatch.setattr(codec, "encode", counted)
        assert hub.publish(progress()) == 3
        assert encoded == [progress()]
        (first, second, third) = [session.take() for session in sessions]
        assert first is second is third
        assert first is not None
        assert codec.decode_server_message(first).payload == progress()

    def test_cut_a_session_off_that_does_not_read(self) -> None:
        hub = Hub(CODEC, ServerConfig(require_auth=False, max_pending=2))
        slow, quick = hub.open(0.0), hub.open(0.0)
        for session in (slow, quick):
            answer(session, frame(tp.Subscribe(topic="missions")))
        counts = []
        for _ in range(4):
            counts.append(hub.publish(progress()))
            assert quick.take() is not None
        assert counts == [2, 2, 1, 1]
        assert slow.closing is not None
        assert (slow.closing.code, slow.closing.drains) == (1013, False)
        assert slow.pending == 0
        assert not slow.subscriptions
        assert close_code(quick) is None

    def test_and_answers_have_room_each(self) -> None:
        session = opened(ServerConfig(require_auth=False, max_pending=2))
        session.receive(frame(tp.Subscribe(topic="missions")), 0.0)
        room = [session.has_room]
        for _ in range(2):
            assert session.hub.publish(progress()) == 1
            room.append(session.has_room)
        session.receive(frame(tp.Ping()), 0.0)
        room.append(session.has_room)
        assert room == [True, True, True, False]
        assert close_code(session) is None
        assert len(said(session)) == 4
        assert session.has_room
        assert session.hub.publish(progress()) == 1


class TestKeepalive:
    CONFIG = ServerConfig(require_auth=False, ping_interval=30, pong_timeout=10)

    def test_asks_who_is_silent(self) -> None:
        session = opened(self.CONFIG)
        session.tick(29.9)
        assert session.take() is None
        assert session.deadline == 30
        session.tick(30.0)
        assert json.loads(session.take() or "") == {"type": "ping"}
        session.tick(30.1)
        assert session.take() is None
        assert session.deadline == 40

    @pytest.mark.parametrize("sign", ['{"type":"pong"}', '{"type":"ping"}', "rubbish"])
    def test_takes_anything_as_a_sign_of_life(self, sign: str) -> None:
        session = opened(self.CONFIG)
        session.tick(30.0)
        session.receive(sign, 39.9)
        session.tick(40.0)
        assert close_code(session) is None
        assert session.deadline == 69.9

    def test_gives_up_who_does_not_answer(self) -> None:
        session = opened(self.CONFIG)
        session.tick(30.0)
        session.tick(40.0)
        assert session.closing is not None
        assert (session.closing.code, session.closing.drains) == (1011, False)

    def test_does_not_blame_who_was_not_listened_to(self) -> None:
        session = opened(self.CONFIG)
        session.tick(30.0)
        session.listened(40.0)
        session.tick(40.0)
        assert close_code(session) is None


def test_metrics_are_told_what_happens() -> None:
    counting = Counting()
    session = Hub(CODEC, OPEN, metrics=counting).open(0.0)
    text = frame(tp.Subscribe(topic="é"))
    assert error_of(session, text) == "not_found"
    answer(session, frame(tp.Subscribe(topic="missions")))
    session.hub.publish(progress())
    session.hub.publish(progress())
    assert counting.depth == 2
    sizes = [len(session.take() or ""), len(session.take() or "")]
    session.gone()
    assert counting.opened == counting.closed == 1
    assert counting.received[0] == len(text.encode())
    assert counting.sent[-2:] == sizes
    assert counting.errors == ["not_found"]


class Raising(tp.Metrics):
    def frame_queued(self, depth: int) -> None:
        raise RuntimeError("the collector is down")


def test_a_metrics_hook_that_raises_harms_nobody(caplog: pytest.LogCaptureFixture) -> None:
    hub = Hub(CODEC, OPEN, metrics=Raising())
    sessions = [hub.open(0.0) for _ in range(2)]
    for session in sessions:
        answer(session, frame(tp.Subscribe(topic="missions")))
    assert hub.publish(progress()) == 2
    assert "the collector is down" in caplog.text


def test_a_handler_may_publish_and_end_its_session() -> None:
    session: tp.Session = opened()
    assert isinstance(session, ServerSession)
    answer(session, frame(tp.Subscribe(topic="missions")))
    assert session.publish(progress()) == 1
    session.close(4000, "é" * 100)
    assert session.publish(progress()) == 0
    assert len(said(session)) == 1
    assert session.closing is not None
    assert session.closing.code == 4000
    assert session.closing.reason == "é" * 61


def test_a_session_that_is_over_says_and_hears_nothing() -> None:
    session = opened()
    happening = session.receive(frame(tp.StartMission(mission_id=MISSION)), 0.0)
    assert isinstance(happening, CommandReceived)
    answer(session, frame(tp.Subscribe(topic="missions")))
    session.gone()
    session.reply(happening.message, tp.AckResponse.ok())
    assert not session.push("{}")
    assert session.hub.publish(progress()) == 0
    assert session.receive(frame(tp.Ping()), 0.0) is None
    assert session.take() is None


def test_output_is_announced() -> None:
    session = opened()
    announced: list[int] = []
    session.on_output = lambda: announced.append(session.pending)
    session.receive(frame(tp.Ping()), 0.0)
    session.close(1001, "bye")
    session.close(1000, "again")
    assert announced == [1, 1]
    assert session.closing is not None
    assert (session.closing.code, session.closing.reason) == (1001, "bye")
