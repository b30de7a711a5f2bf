"""A client's session, without a socket: which answer belongs to which command."""

import logging
from typing import Any
from uuid import UUID

import pytest
from support.counting import Counting
from support.sessions import close_code

import tachikoma_proto as tp
from tachikoma_proto.session import (
    ClientConfig,
    ClientSession,
    MessageReceived,
    PositionReceived,
    ResponseReceived,
)

MISSION = UUID(int=7)
CODEC = tp.Codec()
STATUS = tp.MissionStatusResponse(
    mission_id=MISSION, status="running", completed_specs=1, total_specs=2, percentage=50.0
)
STARTED = tp.MissionStarted(mission_id=MISSION)


def opened(config: ClientConfig | None = None) -> ClientSession:
    return ClientSession(CODEC, config or ClientConfig(), now=0.0)


def sent(session: ClientSession) -> tp.IncomingMessage[tp.Command[Any]]:
    text = session.next_frame()
    assert text is not None
    assert session.next_frame() is None
    return CODEC.decode_command(text)


def test_a_client_session_matches_a_response_to_its_command() -> None:
    session = opened()
    asked = session.request(tp.GetMissionStatus(mission_id=MISSION))
    assert session.waiting == {asked}
    message = sent(session)
    assert (message.id, message.payload) == (asked, tp.GetMissionStatus(mission_id=MISSION))
    event = session.receive(CODEC.encode(STATUS, reply_to=asked), 0.0)
    assert event == ResponseReceived(asked, STATUS)
    assert not session.waiting


def test_a_client_session_accepts_responses_in_any_order() -> None:
    session = opened()
    first, second = (session.request(tp.StartMission(mission_id=MISSION)) for _ in range(2))
    failed = tp.AckResponse.failure("no")
    assert session.receive(CODEC.encode(failed, reply_to=second), 0.0) == ResponseReceived(
        second, failed
    )
    done = tp.AckResponse.ok()
    event = session.receive(CODEC.encode(done, reply_to=first), 0.0)
    assert event == ResponseReceived(first, done)


def test_a_client_session_returns_an_error_response_as_a_remote_error() -> None:
    session = opened()
    asked = session.request(tp.StartMission(mission_id=MISSION))
    response = tp.ErrorResponse.not_found("mission").with_details({"hint": 1})
    event = session.receive(CODEC.encode(response, reply_to=asked), 0.0)
    assert isinstance(event, ResponseReceived)
    error = event.response
    assert isinstance(error, tp.RemoteError)
    assert (error.code, error.message, error.details) == (
        "not_found",
        "mission not found",
        {"hint": 1},
    )
    assert str(error) == "not_found: mission not found"


@pytest.mark.parametrize("wrong", [tp.PongResponse.now(), STARTED])
def test_a_client_session_refuses_a_response_of_another_type(wrong: Any) -> None:
    session = opened()
    asked = session.request(tp.StartMission(mission_id=MISSION))
    event = session.receive(CODEC.encode(wrong, reply_to=asked), 0.0)
    assert isinstance(event, ResponseReceived)
    error = event.response
    assert isinstance(error, tp.InvalidMessageError)
    assert error.errors == (
        tp.FieldError("$.type", "the type of AckResponse, which answers the command"),
    )


def test_a_client_session_ignores_an_unexpected_response() -> None:
    session = opened()
    asked = session.request(tp.StartMission(mission_id=MISSION))
    session.forget(asked)
    answer = CODEC.encode(tp.AckResponse.ok(), reply_to=asked)
    assert session.receive(answer, 0.0) is None


@pytest.mark.parametrize(
    "text",
    [
        CODEC.encode(STARTED),
        CODEC.encode(STARTED).replace('"started"', '"landed"'),
        CODEC.encode(STARTED).replace("mission", "rocket"),
        CODEC.encode(tp.AckResponse.ok()).replace('"ack"', '"nod"'),
    ],
)
def test_a_client_session_returns_events_and_unknown_messages(text: str) -> None:
    event = opened().receive(text, 0.0)
    assert event == MessageReceived(CODEC.decode_server_message(text))  # type: ignore[arg-type]


def test_a_client_session_returns_positions_with_events_answers_and_alone() -> None:
    position = tp.Position(topic="missions", epoch="e", offset=3)
    session = opened()
    asked = session.request(tp.Subscribe(topic="missions", resume=True))
    ack = tp.AckResponse(success=True, position=position)
    event = session.receive(CODEC.encode(ack, reply_to=asked), 0.0)
    assert isinstance(event, ResponseReceived)
    assert event.response == ack
    update = tp.PositionUpdate(position=position)
    assert session.receive(CODEC.encode(update), 0.0) == PositionReceived(position)
    message = tp.OutgoingMessage(type="event.mission", payload=STARTED, position=position)
    assert session.receive(CODEC.encode_message(message), 0.0) == MessageReceived(message)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "cannot read a frame"),
        ('{"type":"ack"}', "cannot read a frame"),
        (CODEC.encode(tp.ErrorResponse.auth_required()), "without reply_to"),
        (CODEC.encode(tp.AckResponse.ok()), "without reply_to"),
    ],
)
def test_a_client_session_logs_and_ignores_a_bad_frame(
    text: str, said: str, caplog: pytest.LogCaptureFixture
) -> None:
    session = opened()
    asked = session.request(tp.StartMission(mission_id=MISSION))
    assert session.receive(text, 0.0) is None
    assert [record.levelno for record in caplog.records] == [logging.WARNING]
    assert said in caplog.text
    assert close_code(session) is None
    assert session.waiting == {asked}


def test_a_client_session_answers_a_ping_with_a_bare_pong() -> None:
    session = opened()
    assert session.receive('{"type":"ping"}', 0.0) is None
    assert session.next_frame() == '{"type":"pong"}'


@pytest.mark.parametrize("payload", [tp.Pong(), STARTED, STATUS])
def test_a_client_session_refuses_a_command_without_a_response(payload: Any) -> None:
    with pytest.raises(ValueError, match="is not a command that is answered"):
        opened().request(payload)


def test_a_client_session_does_not_wait_for_a_command_that_cannot_be_encoded() -> None:
    session = opened()
    bad = tp.StartMission(mission_id="7")  # type: ignore[arg-type]
    with pytest.raises(tp.EncodeError):
        session.request(bad)
    assert not session.waiting
    assert session.next_frame() is None


class TestKeepalive:
    CONFIG = ClientConfig(ping_interval=30, pong_timeout=10)

    def test_a_client_session_pings_a_silent_server(self) -> None:
        session = opened(self.CONFIG)
        session.handle_timeout(30.0)
        message = sent(session)
        assert message.payload == tp.Ping()
        answer = CODEC.encode(tp.PongResponse.now(), reply_to=message.id)
        assert session.receive(answer, 39.0) is None
        assert not session.waiting
        session.handle_timeout(40.0)
        assert close_code(session) is None

    def test_a_client_session_aborts_if_a_ping_is_not_answered(self) -> None:
        session = opened(self.CONFIG)
        session.handle_timeout(30.0)
        session.handle_timeout(40.0)
        assert close_code(session) == 1011


def test_a_closed_client_session_receives_nothing() -> None:
    session = opened()
    asked = session.request(tp.GetMissionStatus(mission_id=MISSION))
    sent(session)
    session.close()
    assert session.receive(CODEC.encode(STATUS, reply_to=asked), 0.0) is None
    assert session.receive(CODEC.encode(STARTED), 0.0) is None
    assert session.receive(CODEC.encode(tp.Ping()), 0.0) is None
    assert session.next_frame() is None


def test_metrics_count_what_happens_to_a_client_session() -> None:
    counting = Counting()
    session = ClientSession(CODEC, metrics=counting, now=0.0)
    asked = session.request(tp.StartMission(mission_id=MISSION))
    assert counting.depth == 1
    text = session.next_frame()
    error = CODEC.encode(tp.ErrorResponse.auth_required(), reply_to=asked)
    session.receive(error, 0.0)
    session.connection_lost()
    assert counting.sent == [len(text or "")]
    assert counting.received == [len(error)]
    assert counting.errors == ["auth_required"]
    assert (counting.opened, counting.closed) == (1, 1)
