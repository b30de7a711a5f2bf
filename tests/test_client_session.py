"""A client's session, without a socket: which answer belongs to which command."""

import logging
from typing import Any
from uuid import UUID

import pytest
from support.counting import Counting
from support.sessions import close_code

import tachikoma_proto as tp
from tachikoma_proto.session import ClientConfig, ClientSession, MessageReceived, ResponseReceived

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


def test_a_command_and_its_answer() -> None:
    session = opened()
    asked = session.request(tp.GetMissionStatus(mission_id=MISSION))
    assert session.waiting == {asked}
    message = sent(session)
    assert (message.id, message.payload) == (asked, tp.GetMissionStatus(mission_id=MISSION))
    event = session.receive(CODEC.encode(STATUS, reply_to=asked), 0.0)
    assert event == ResponseReceived(asked, STATUS)
    assert not session.waiting


def test_answers_come_in_any_order() -> None:
    session = opened()
    first, second = (session.request(tp.StartMission(mission_id=MISSION)) for _ in range(2))
    failed = tp.AckResponse.failure("no")
    assert session.receive(CODEC.encode(failed, reply_to=second), 0.0) == ResponseReceived(
        second, failed
    )
    done = tp.AckResponse.ok()
    event = session.receive(CODEC.encode(done, reply_to=first), 0.0)
    assert event == ResponseReceived(first, done)


def test_an_error_stands_in_the_place_of_an_answer() -> None:
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
def test_another_answer_than_the_commands_is_refused(wrong: Any) -> None:
    session = opened()
    asked = session.request(tp.StartMission(mission_id=MISSION))
    event = session.receive(CODEC.encode(wrong, reply_to=asked), 0.0)
    assert isinstance(event, ResponseReceived)
    error = event.response
    assert isinstance(error, tp.InvalidMessageError)
    assert error.errors == (
        tp.FieldError("$.type", "the type of AckResponse, which answers the command"),
    )


def test_an_answer_that_nobody_waits_for_is_passed_over() -> None:
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
def test_what_is_no_answer_comes_out_as_it_came(text: str) -> None:
    event = opened().receive(text, 0.0)
    assert event == MessageReceived(CODEC.decode_server_message(text))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "cannot read a frame"),
        ('{"type":"ack"}', "cannot read a frame"),
        (CODEC.encode(tp.ErrorResponse.auth_required()), "without reply_to"),
        (CODEC.encode(tp.AckResponse.ok()), "without reply_to"),
    ],
)
def test_one_bad_frame_is_logged_and_ignored(
    text: str, said: str, caplog: pytest.LogCaptureFixture
) -> None:
    session = opened()
    asked = session.request(tp.StartMission(mission_id=MISSION))
    assert session.receive(text, 0.0) is None
    assert [record.levelno for record in caplog.records] == [logging.WARNING]
    assert said in caplog.text
    assert close_code(session) is None
    assert session.waiting == {asked}


def test_a_ping_of_the_servers_is_answered_with_a_bare_pong() -> None:
    session = opened()
    assert session.receive('{"type":"ping"}', 0.0) is None
    assert session.next_frame() == '{"type":"pong"}'


@pytest.mark.parametrize("payload", [tp.Pong(), STARTED, STATUS])
def test_what_is_not_answered_cannot_be_asked(payload: Any) -> None:
    with pytest.raises(ValueError, match="is not a command that is answered"):
        opened().request(payload)


def test_a_command_that_cannot_be_written_is_not_waited_for() -> None:
    session = opened()
    bad = tp.StartMission(mission_id="7")  # type: ignore[arg-type]
    with pytest.raises(tp.EncodeError):
        session.request(bad)
    assert not session.waiting
    assert session.next_frame() is None


class TestKeepalive:
    CONFIG = ClientConfig(ping_interval=30, pong_timeout=10)

    def test_asks_a_silent_server(self) -> None:
        session = opened(self.CONFIG)
        session.handle_timeout(30.0)
        message = sent(session)
        assert message.payload == tp.Ping()
        answer = CODEC.encode(tp.PongResponse.now(), reply_to=message.id)
        assert session.receive(answer, 39.0) is None
        assert not session.waiting
        session.handle_timeout(40.0)
        assert close_code(session) is None

    def test_gives_a_server_up_that_does_not_answer(self) -> None:
        session = opened(self.CONFIG)
        session.handle_timeout(30.0)
        session.handle_timeout(40.0)
        assert close_code(session) == 1011


def test_metrics_are_told_what_happens() -> None:
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
