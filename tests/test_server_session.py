"""A server's session, without a socket: frames in, frames and session events out."""

import json
import logging
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from support.counting import Counting
from support.sessions import close_code

import tachikoma_proto as tp
from tachikoma_proto.session import (
    AuthenticationRequested,
    CommandReceived,
    Hub,
    Identity,
    ReauthenticationRequested,
    ServerConfig,
    ServerSession,
    Subscribed,
    SubscriptionRequested,
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
    while (text := session.next_frame()) is not None:
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
    event = session.receive(frame(tp.Authenticate(token="s3cret")), now)
    assert event == AuthenticationRequested(ASKED, "s3cret")
    session.authenticated(ASKED, identity, now)
    (message,) = said(session)
    assert message.reply_to == ASKED
    assert isinstance(message.payload, tp.AuthResponse)
    return message.payload


def asking(config: ServerConfig | None = None) -> ServerSession:
    return Hub(CODEC, config, asks_permission=True).open(now=0.0)


def subscribe(session: ServerSession, topic: str) -> None:
    request = session.receive(frame(tp.Subscribe(topic=topic)), 0.0)
    assert isinstance(request, SubscriptionRequested)
    session.decide_subscription(request, True)
    said(session)


def reauthenticate(session: ServerSession, identity: Identity) -> ReauthenticationRequested:
    session.receive(frame(tp.Authenticate(token="s3cret")), 0.0)
    request = session.authenticated(ASKED, identity, 0.0)
    assert request is not None
    return request


def progress(mission_id: UUID = MISSION) -> tp.MissionStarted:
    return tp.MissionStarted(mission_id=mission_id)


class TestCommands:
    def test_a_session_answers_commands_about_subscriptions(self) -> None:
        session = opened()
        assert answer(session, frame(tp.Subscribe(topic="missions"))) == tp.AckResponse.ok()
        assert list(session.subscriptions) == ["missions"]
        listed = answer(session, frame(tp.ListSubscriptions()))
        assert listed == tp.SubscriptionListResponse(subscriptions=("missions",))
        assert answer(session, frame(tp.Unsubscribe(topic="missions"))) == tp.AckResponse.ok()
        assert not session.subscriptions

    def test_a_session_answers_not_found_for_unknown_topics(self) -> None:
        session = opened()
        assert error_of(session, frame(tp.Subscribe(topic="nope"))) == "not_found"
        assert error_of(session, frame(tp.Unsubscribe(topic="missions"))) == "not_found"

    def test_a_session_answers_session_info(self) -> None:
        session = opened(ServerConfig())
        log_in(session, Identity(USER))
        info = answer(session, frame(tp.GetSessionInfo()))
        assert isinstance(info, tp.SessionInfoResponse)
        assert (info.session_id, info.authenticated, info.user_id) == (session.id, True, USER)
        assert info.connected_at_datetime == session.connected_at

    def test_a_session_answers_a_ping(self) -> None:
        assert isinstance(answer(opened(), frame(tp.Ping())), tp.PongResponse)

    def test_a_session_does_not_answer_a_bare_pong(self) -> None:
        session = opened()
        assert session.receive('{"type":"pong"}', 0.0) is None
        assert said(session) == []

    def test_a_session_returns_other_commands_to_its_owner(self) -> None:
        session = opened()
        event = session.receive(frame(tp.StartMission(mission_id=MISSION)), 0.0)
        assert isinstance(event, CommandReceived)
        session.reply(event.message, tp.AckResponse.ok())
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
    def test_a_reply_of_the_wrong_type_is_an_internal_error(
        self, reply: Any, caplog: pytest.LogCaptureFixture
    ) -> None:
        session = opened()
        event = session.receive(frame(tp.GetMissionStatus(mission_id=MISSION)), 0.0)
        assert isinstance(event, CommandReceived)
        session.reply(event.message, reply)
        (message,) = said(session)
        assert message.payload == tp.ErrorResponse(code="internal_error", message="internal error")
        assert message.reply_to == ASKED
        assert len(caplog.records) == 1

    def test_a_session_accepts_an_error_response_as_a_reply(self) -> None:
        session = opened()
        event = session.receive(frame(tp.StartMission(mission_id=MISSION)), 0.0)
        assert isinstance(event, CommandReceived)
        session.reply(event.message, tp.ErrorResponse.not_found("mission"))
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
    def test_a_session_answers_a_bad_frame(self, given: str | bytes, code: str) -> None:
        assert error_of(opened(), given) == code

    def test_a_session_answers_a_bad_frame_with_its_id_and_all_faults(self) -> None:
        session = opened()
        text = frame(tp.Subscribe(topic="missions")).replace('"missions"', "[]")
        session.receive(text, 0.0)
        (message,) = said(session)
        assert message.reply_to == ASKED
        assert message.payload.details == {
            "errors": [{"path": "$.payload.topic", "expected": "a string"}]
        }

    @pytest.mark.parametrize("as_bytes", [False, True])
    def test_a_session_answers_a_large_frame_with_its_id(self, as_bytes: bool) -> None:
        session = opened()
        text = frame(tp.Subscribe(topic="x" * 70_000))
        session.receive(text.encode() if as_bytes else text, 0.0)
        (message,) = said(session)
        assert (message.payload.code, message.reply_to) == ("message_too_large", ASKED)
        session.receive(" " * 70_000 + text, 0.0)
        (message,) = said(session)
        assert (message.payload.code, message.reply_to) == ("message_too_large", None)

    def test_a_session_reads_a_frame_of_the_maximum_size(self) -> None:
        text = frame(tp.Ping())
        session = opened(ServerConfig(require_auth=False, max_message_size=len(text)))
        assert isinstance(answer(session, text), tp.PongResponse)
        assert error_of(session, text + " ") == "message_too_large"


class TestAuthentication:
    def test_only_public_commands_pass_before_authentication(self) -> None:
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
        assert session.server.publish(progress()) == 0

    def test_a_valid_token_authenticates_a_session(self) -> None:
        session = opened(ServerConfig())
        response = log_in(session, Identity(USER))
        assert response == tp.AuthResponse(authenticated=True, user_id=USER)
        assert session.identity == Identity(USER)
        assert answer(session, frame(tp.Subscribe(topic="missions"))) == tp.AckResponse.ok()

    def test_an_invalid_token_is_answered_with_an_error(self) -> None:
        session = opened(ServerConfig())
        assert log_in(session, None) == tp.AuthResponse(authenticated=False)
        assert session.identity is None
        assert error_of(session, frame(tp.ListSubscriptions())) == "auth_required"

    def test_a_session_closes_without_authentication_in_time(self) -> None:
        session = opened(ServerConfig(auth_timeout=5))
        session.handle_timeout(4.9)
        assert close_code(session) is None
        assert session.next_timeout == 5
        session.handle_timeout(5.0)
        assert close_code(session) == 1008
        assert session.receive(frame(tp.Ping()), 5.0) is None
        assert said(session) == []

    def test_a_session_closes_when_its_authentication_expires(self) -> None:
        session = opened(ServerConfig(ping_interval=None))
        expires_at = datetime.now(UTC) + timedelta(seconds=60)
        response = log_in(session, Identity(USER, expires_at), now=1.0)
        assert response.expires_at_datetime == expires_at
        answer(session, frame(tp.Subscribe(topic="missions")))
        assert 60 < session.next_timeout <= 61
        session.handle_timeout(session.next_timeout)
        assert close_code(session) == 1008
        assert session.server.publish(progress()) == 0

    def test_an_expired_identity_does_not_authenticate(self) -> None:
        session = opened(ServerConfig())
        gone = Identity(USER, datetime.now(UTC) - timedelta(seconds=1))
        assert log_in(session, gone) == tp.AuthResponse(authenticated=False)

    def test_a_failed_authentication_keeps_the_previous_identity(self) -> None:
        session = opened(ServerConfig())
        log_in(session, Identity(USER))
        assert not log_in(session, None).authenticated
        assert session.identity == Identity(USER)

    def test_a_session_closes_after_too_many_failed_authentications(self) -> None:
        session = opened(ServerConfig(max_auth_attempts=2))
        log_in(session, None)
        assert close_code(session) is None
        log_in(session, None)
        assert close_code(session) == 1008

    def test_reauthentication_keeps_permitted_subscriptions(self) -> None:
        session = asking()
        log_in(session, Identity(USER))
        for topic in ("missions", "system"):
            subscribe(session, topic)
        request = reauthenticate(session, Identity(UUID(int=10)))
        assert request == ReauthenticationRequested(ASKED, ("missions", "system"), Identity(USER))
        assert session.identity == Identity(UUID(int=10))
        session.decide_reauthentication(request, ["system"], now=0.0)
        answer, notice = said(session)
        assert isinstance(answer.payload, tp.AuthResponse)
        assert answer.payload.authenticated
        assert (notice.payload.code, notice.reply_to) == ("permission_denied", None)
        assert notice.payload.details == {"topics": ["missions"]}
        assert session.subscriptions == ("system",)
        assert session.server.publish(progress()) == 0

    def test_reauthentication_that_cannot_be_decided_changes_nothing(self) -> None:
        session = asking()
        log_in(session, Identity(USER))
        subscribe(session, "missions")
        session.undo_reauthentication(reauthenticate(session, Identity(UUID(int=10))))
        (message,) = said(session)
        assert (message.payload.code, message.reply_to) == ("internal_error", ASKED)
        assert session.identity == Identity(USER)
        assert session.subscriptions == ("missions",)

    def test_authentication_is_optional_if_configured(self) -> None:
        session = opened(ServerConfig(require_auth=False, ping_interval=None, auth_timeout=1))
        session.handle_timeout(1e9)
        assert close_code(session) is None

    def test_an_identity_refuses_a_naive_expiry(self) -> None:
        with pytest.raises(ValueError, match="aware"):
            Identity(USER, datetime(2026, 1, 1))

    def test_an_identity_has_a_uuid_as_its_user(self) -> None:
        with pytest.raises(TypeError, match="user_id"):
            Identity("somebody")  # type: ignore[arg-type]

    def test_authentication_leaves_no_token_in_repr_or_log(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level(logging.DEBUG)
        session = opened(ServerConfig())
        event = session.receive(frame(tp.Authenticate(token="s3cret")), 0.0)
        log_in(session, None)
        session.receive(frame(tp.Authenticate(token="s3cret")).replace("payload", "paylaod"), 0.0)
        session.receive(frame(tp.Authenticate(token="s3cret")).replace('"command"', '"c"'), 0.0)
        texts = [repr(event), repr(session), caplog.text, *map(repr, said(session))]
        assert not any("s3cret" in text for text in texts)


class TestLimits:
    def test_subscriptions_over_the_limit_are_refused(self) -> None:
        session = opened(ServerConfig(require_auth=False, max_subscriptions=1))
        assert answer(session, frame(tp.Subscribe(topic="missions"))) == tp.AckResponse.ok()
        again = tp.Subscribe(topic="missions", filters=tp.SubscriptionFilters(mission_id=MISSION))
        assert answer(session, frame(again)) == tp.AckResponse.ok()
        assert error_of(session, frame(tp.Subscribe(topic="system"))) == "permission_denied"
        assert session.subscriptions == ("missions",)

    def test_frames_over_the_rate_limit_are_refused(self) -> None:
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

    def test_a_rate_limit_of_none_limits_nothing(self) -> None:
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
    def test_limits_of_a_configuration_are_above_zero(self, limits: dict[str, Any]) -> None:
        with pytest.raises(ValueError, match=r"^\w+ is a (whole )?number above zero, not "):
            ServerConfig(**limits)

    @pytest.mark.parametrize("choice", [None, 0, "", "no"])
    def test_a_configuration_refuses_values_that_are_no_booleans(self, choice: Any) -> None:
        with pytest.raises(ValueError, match="require_auth is True or False"):
            ServerConfig(require_auth=choice)


class TestPermissions:
    def test_a_subscription_asks_for_permission(self) -> None:
        session = asking(OPEN)
        upper = tp.topics.mission(MISSION).upper().replace("MISSIONS", "missions")
        request = session.receive(frame(tp.Subscribe(topic=upper)), 0.0)
        assert request == SubscriptionRequested(ASKED, tp.topics.mission(MISSION), None, None)
        assert not session.subscriptions
        assert isinstance(request, SubscriptionRequested)
        assert session.decide_subscription(request, True) is None
        (message,) = said(session)
        assert (message.payload, message.reply_to) == (tp.AckResponse.ok(), ASKED)
        assert session.subscriptions == (tp.topics.mission(MISSION),)

    def test_a_denied_subscription_is_answered_with_permission_denied(self) -> None:
        session = asking(OPEN)
        request = session.receive(frame(tp.Subscribe(topic="missions")), 0.0)
        assert isinstance(request, SubscriptionRequested)
        session.decide_subscription(request, False)
        (message,) = said(session)
        assert (message.payload, message.reply_to) == (tp.ErrorResponse.permission_denied(), ASKED)
        assert session.subscriptions == ()

    def test_a_permission_for_a_previous_identity_does_not_count(self) -> None:
        session = asking(OPEN)
        request = session.receive(frame(tp.Subscribe(topic="missions")), 0.0)
        assert isinstance(request, SubscriptionRequested)
        log_in(session, Identity(USER))
        session.decide_subscription(request, True)
        (message,) = said(session)
        assert message.payload == tp.ErrorResponse.permission_denied()

    def test_a_permission_after_the_session_closed_does_nothing(self) -> None:
        session = asking(OPEN)
        request = session.receive(frame(tp.Subscribe(topic="missions")), 0.0)
        assert isinstance(request, SubscriptionRequested)
        session.abort()
        session.decide_subscription(request, True)
        assert said(session) == []
        assert session.subscriptions == ()

    def test_no_permission_is_asked_for_beyond_the_subscription_limit(self) -> None:
        session = asking(ServerConfig(require_auth=False, max_subscriptions=1))
        subscribe(session, "missions")
        assert error_of(session, frame(tp.Subscribe(topic="system"))) == "permission_denied"


class TestEvents:
    def test_an_event_is_encoded_once_for_all_sessions(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
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
        (first, second, third) = [session.next_frame() for session in sessions]
        assert first is second is third
        assert first is not None
        assert codec.decode_server_message(first).payload == progress()

    def test_a_burst_of_events_disconnects_nobody(self) -> None:
        hub = Hub(CODEC, ServerConfig(require_auth=False, max_pending=2, pending_grace=1))
        session = hub.open(0.0)
        answer(session, frame(tp.Subscribe(topic="missions")))
        assert [hub.publish(progress()) for _ in range(10)] == [1] * 10
        assert session.next_timeout <= 0
        session.handle_timeout(5.0)
        assert session.next_timeout == 6.0
        assert len(said(session)) == 10
        session.handle_timeout(6.0)
        assert close_code(session) is None
        assert session.next_timeout > 6.0

    def test_a_client_that_does_not_read_events_is_disconnected(self) -> None:
        hub = Hub(CODEC, ServerConfig(require_auth=False, max_pending=2, pending_grace=1))
        slow, steady = hub.open(0.0), hub.open(0.0)
        for session in (slow, steady):
            answer(session, frame(tp.Subscribe(topic="missions")))
        for tick in range(5):
            for _ in range(4):
                hub.publish(progress())
            for session in (slow, steady):
                session.handle_timeout(tick * 0.5)
            for _ in range(4):
                assert steady.next_frame() is not None
        assert slow.closing is not None
        assert (slow.closing.code, slow.closing.flush) == (1013, False)
        assert slow.pending == 0
        assert not slow.subscriptions
        assert close_code(steady) is None

    def test_a_client_over_max_pending_bytes_is_disconnected_at_once(self) -> None:
        hub = Hub(CODEC, ServerConfig(require_auth=False, max_pending_bytes=1000))
        session = hub.open(0.0)
        answer(session, frame(tp.Subscribe(topic="missions")))
        counts = [hub.publish(progress()) for _ in range(10)]
        assert counts[0] == 1
        assert counts[-1] == 0
        assert close_code(session) == 1013

    def test_events_held_back_count_as_pending_bytes(self) -> None:
        config = ServerConfig(require_auth=False, max_pending_bytes=1000)
        hub = Hub(CODEC, config, announces_subscriptions=True)
        session = hub.open(now=0.0)
        event = session.receive(frame(tp.Subscribe(topic="missions")), 0.0)
        assert event == Subscribed("missions")
        large = tp.MissionFailed(mission_id=MISSION, error="x" * 600)
        assert hub.publish(large) == 1
        assert hub.publish(large) == 0
        assert close_code(session) == 1013
        session.release_events()
        assert session.next_frame() is None

    def test_responses_do_not_count_as_pending_events(self) -> None:
        session = opened(ServerConfig(require_auth=False, max_pending=2))
        session.receive(frame(tp.Subscribe(topic="missions")), 0.0)
        room = [session.can_receive]
        for _ in range(2):
            assert session.server.publish(progress()) == 1
            room.append(session.can_receive)
        session.receive(frame(tp.Ping()), 0.0)
        room.append(session.can_receive)
        assert room == [True, True, True, False]
        assert close_code(session) is None
        assert len(said(session)) == 4
        assert session.can_receive
        assert session.server.publish(progress()) == 1


class TestKeepalive:
    CONFIG = ServerConfig(require_auth=False, ping_interval=30, pong_timeout=10)

    def test_a_session_pings_a_silent_client(self) -> None:
        session = opened(self.CONFIG)
        session.handle_timeout(29.9)
        assert session.next_frame() is None
        assert session.next_timeout == 30
        session.handle_timeout(30.0)
        assert json.loads(session.next_frame() or "") == {"type": "ping"}
        session.handle_timeout(30.1)
        assert session.next_frame() is None
        assert session.next_timeout == 40

    @pytest.mark.parametrize("sign", ['{"type":"pong"}', '{"type":"ping"}', "rubbish"])
    def test_any_frame_shows_a_session_that_the_client_is_alive(self, sign: str) -> None:
        session = opened(self.CONFIG)
        session.handle_timeout(30.0)
        session.receive(sign, 39.9)
        session.handle_timeout(40.0)
        assert close_code(session) is None
        assert session.next_timeout == 69.9

    def test_a_session_aborts_if_a_ping_is_not_answered(self) -> None:
        session = opened(self.CONFIG)
        session.handle_timeout(30.0)
        session.handle_timeout(40.0)
        assert session.closing is not None
        assert (session.closing.code, session.closing.flush) == (1011, False)

    def test_a_session_does_not_time_out_while_nothing_was_read(self) -> None:
        session = opened(self.CONFIG)
        session.handle_timeout(30.0)
        session.resume_reading(40.0)
        session.handle_timeout(40.0)
        assert close_code(session) is None


def test_metrics_count_what_happens_to_a_server_session() -> None:
    counting = Counting()
    session = Hub(CODEC, OPEN, metrics=counting).open(0.0)
    text = frame(tp.Subscribe(topic="é"))
    assert error_of(session, text) == "not_found"
    answer(session, frame(tp.Subscribe(topic="missions")))
    session.server.publish(progress())
    session.server.publish(progress())
    assert counting.depth == 2
    sizes = [len(session.next_frame() or ""), len(session.next_frame() or "")]
    session.connection_lost()
    assert counting.opened == counting.closed == 1
    assert counting.received[0] == len(text.encode())
    assert counting.sent[-2:] == sizes
    assert counting.errors == ["not_found"]


class Raising(tp.Metrics):
    def frame_queued(self, depth: int) -> None:
        raise RuntimeError("the collector is down")


def test_a_metrics_hook_that_raises_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    hub = Hub(CODEC, OPEN, metrics=Raising())
    sessions = [hub.open(0.0) for _ in range(2)]
    for session in sessions:
        answer(session, frame(tp.Subscribe(topic="missions")))
    assert hub.publish(progress()) == 2
    assert "the collector is down" in caplog.text


def test_a_handler_may_publish_and_close_its_session() -> None:
    session: tp.Session = opened()
    assert isinstance(session, ServerSession)
    answer(session, frame(tp.Subscribe(topic="missions")))
    assert session.server.publish(progress()) == 1
    session.close(4000, "é" * 100)
    assert session.server.publish(progress()) == 0
    assert len(said(session)) == 1
    assert session.closing is not None
    assert session.closing.code == 4000
    assert session.closing.reason == "é" * 61


def test_a_draining_session_takes_no_command_and_still_sends_events() -> None:
    session = opened()
    event = session.receive(frame(tp.StartMission(mission_id=MISSION)), 0.0)
    assert isinstance(event, CommandReceived)
    session.drain(1001, "bye")
    assert session.receive(frame(tp.Ping()), 0.0) is None
    assert session.receive("not JSON", 0.0) is None
    assert session.send(progress())
    assert [message.payload for message in said(session)] == [progress()]
    session.reply(event.message, tp.AckResponse.ok())
    assert close_code(session) == 1001
    assert not session.send(progress())
    assert [message.payload for message in said(session)] == [tp.AckResponse.ok()]


def test_a_closed_session_neither_sends_nor_receives() -> None:
    session = opened()
    event = session.receive(frame(tp.StartMission(mission_id=MISSION)), 0.0)
    assert isinstance(event, CommandReceived)
    answer(session, frame(tp.Subscribe(topic="missions")))
    session.connection_lost()
    session.reply(event.message, tp.AckResponse.ok())
    assert not session.push(("{}", 2, True))
    assert session.server.publish(progress()) == 0
    assert session.receive(frame(tp.Ping()), 0.0) is None
    assert session.next_frame() is None


def test_a_session_announces_output() -> None:
    session = opened()
    announced: list[int] = []
    session.on_output = lambda: announced.append(session.pending)
    session.receive(frame(tp.Ping()), 0.0)
    session.close(1001, "bye")
    session.close(1000, "again")
    assert announced == [1, 1]
    assert session.closing is not None
    assert (session.closing.code, session.closing.reason) == (1001, "bye")
