"""Reading frames: what a server and a client get, and what they are told of bad ones."""

import json
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest

import tachikoma_proto as tp

ID = "0190b5a4-7c3e-7d52-8f0a-1b2c3d4e5f60"
MISSION = "67e55044-10b1-426f-9247-bb680e5fe0c8"
NOW = "2026-01-02T03:04:05.123456Z"

codec = tp.Codec()
strict = tp.Codec(forbid_unknown_fields=True)


def from_client(**members: Any) -> str:
    return json.dumps({"id": ID, "type": "ping", "timestamp": NOW} | members)


def from_server(**members: Any) -> str:
    return json.dumps({"id": ID, "type": "ack", "timestamp": NOW} | members)


PROGRESS: dict[str, Any] = {
    "category": "mission",
    "event": "progress",
    "mission_id": MISSION,
    "current_spec": "330",
    "completed_specs": 3,
    "total_specs": 10,
    "percentage": 30.0,
}


def faults(error: tp.ProtocolError) -> list[str]:
    return [str(fault) for fault in error.errors]


def refused_command(frame: str, codec: tp.Codec = codec) -> tp.ProtocolError:
    with pytest.raises(tp.ProtocolError) as caught:
        codec.decode_command(frame)
    return caught.value


def refused_server_message(frame: str, codec: tp.Codec = codec) -> tp.ProtocolError:
    with pytest.raises(tp.ProtocolError) as caught:
        codec.decode_server_message(frame)
    return caught.value


class TestCommands:
    def test_a_command_in_full(self) -> None:
        message = codec.decode_command(
            from_client(
                type="subscribe",
                payload={
                    "category": "subscription",
                    "command": "subscribe",
                    "topic": "missions",
                    "filters": {"mission_id": MISSION, "event_types": ["progress"]},
                },
            )
        )
        assert message == tp.IncomingMessage(
            id=UUID(ID),
            type="subscribe",
            timestamp=datetime(2026, 1, 2, 3, 4, 5, 123456, tzinfo=UTC),
            payload=tp.Subscribe(
                topic="missions",
                filters=tp.SubscriptionFilters(mission_id=UUID(MISSION), event_types=("progress",)),
            ),
        )

    def test_the_tags_may_be_left_out(self) -> None:
        frame = from_client(type="mission_start", payload={"mission_id": MISSION})
        assert codec.decode_command(frame).payload == tp.StartMission(mission_id=UUID(MISSION))

    @pytest.mark.parametrize("payload", [None, {}, {"command": "ping"}, {"category": "session"}])
    def test_a_payload_that_needs_no_field_may_be_missing(self, payload: object) -> None:
        assert codec.decode_command('{"type":"ping"}').payload == tp.Ping()
        assert codec.decode_command(from_client(payload=payload)).payload == tp.Ping()

    @pytest.mark.parametrize(
        ("tags", "path"),
        [
            ({"command": "cancel"}, "$.payload.command"),
            ({"command": None}, "$.payload.command"),
            ({"command": ["start"]}, "$.payload.command"),
            ({"category": "session"}, "$.payload.category"),
            ({"category": 1}, "$.payload.category"),
        ],
    )
    def test_a_tag_that_is_there_agrees_with_the_type(self, tags: Any, path: str) -> None:
        frame = from_client(type="mission_start", payload={"mission_id": MISSION, **tags})
        assert [fault.path for fault in refused_command(frame).errors] == [path]

    def test_a_bare_pong_is_tolerated(self) -> None:
        message = codec.decode_command('{"type":"pong"}')
        assert message == tp.IncomingMessage(type="pong", payload=tp.Pong())

    def test_only_a_bare_pong_is(self) -> None:
        for members in ({"id": ID}, {"timestamp": NOW}, {"id": None}):
            error = refused_command(json.dumps({"type": "pong"} | members))
            assert error.code == "unknown_message"

    @pytest.mark.parametrize("message_type", ["nope", "ack", "event.mission", "PING", "pong", ""])
    def test_a_server_refuses_all_but_commands(self, message_type: str) -> None:
        error = refused_command(from_client(type=message_type))
        assert isinstance(error, tp.UnknownMessageError)
        assert error.code == "unknown_message"
        assert error.message_id == UUID(ID)
        assert faults(error) == ["$.type: expected the type of a command"]


class TestServerMessages:
    def test_an_event(self) -> None:
        frame = from_server(type="event.mission", payload=PROGRESS)
        message = codec.decode_server_message(frame)
        assert message.id == UUID(ID)
        assert message.reply_to is None
        assert message.payload == tp.MissionProgress(
            mission_id=UUID(MISSION),
            current_spec="330",
            completed_specs=3,
            total_specs=10,
            percentage=30.0,
        )

    def test_a_response_with_what_it_answers(self) -> None:
        frame = from_server(reply_to=MISSION, payload={"success": False, "message": None})
        message = codec.decode_server_message(frame)
        assert message.reply_to == UUID(MISSION)
        assert message.payload == tp.AckResponse(success=False)

    def test_the_category_may_be_left_out_and_the_event_tag_may_not(self) -> None:
        payload = {name: value for name, value in PROGRESS.items() if name != "category"}
        frame = from_server(type="event.mission", payload=payload)
        assert isinstance(codec.decode_server_message(frame).payload, tp.MissionProgress)
        del payload["event"]
        error = refused_server_message(from_server(type="event.mission", payload=payload))
        assert [fault.path for fault in error.errors] == ["$.payload.event"]

    def test_a_bare_ping_is_a_ping(self) -> None:
        before = datetime.now(UTC)
        message = codec.decode_server_message('{"type":"ping"}')
        assert message.payload == tp.Ping()
        assert before <= message.timestamp <= datetime.now(UTC)
        assert codec.decode_server_message(codec.encode_message(message)) == message

    def test_a_ping_with_half_an_envelope_is_not_bare(self) -> None:
        error = refused_server_message(json.dumps({"type": "ping", "id": ID}))
        assert [fault.path for fault in error.errors] == ["$.timestamp"]

    def test_an_integer_in_a_float_field_becomes_a_float(self) -> None:
        frame = from_server(type="event.mission", payload=PROGRESS | {"percentage": 30})
        event = codec.decode_server_message(frame).payload
        assert isinstance(event, tp.MissionProgress)
        assert type(event.percentage) is float

    @pytest.mark.parametrize("number", ["3.4028235e38", "-3.4028235677973362e38", "1e-300", "-0"])
    def test_floats_of_32_bits(self, number: str) -> None:
        frame = from_server(type="event.mission", payload=PROGRESS | {"percentage": 0.125})
        event = codec.decode_server_message(frame.replace("0.125", number)).payload
        assert isinstance(event, tp.MissionProgress)
        assert event.percentage == float(number)

    @pytest.mark.parametrize(
        "number",
        ["3.4028235677973366e38", str(2**128 - 2**103 - 1), "1e39", "-1e300", "1" + "0" * 39],
    )
    def test_floats_beyond_32_bits(self, number: str) -> None:
        frame = from_server(type="event.mission", payload=PROGRESS | {"percentage": 0.125})
        error = refused_server_message(frame.replace("0.125", number))
        assert faults(error) == ["$.payload.percentage: expected a finite number (f32)"]

    @pytest.mark.parametrize("value", ["-0", "1.0", "1e0", "-1", "4294967296", '"3"', "true", "[]"])
    def test_nothing_is_coerced_to_an_integer(self, value: str) -> None:
        frame = from_server(type="event.mission", payload=PROGRESS | {"total_specs": "@"})
        error = refused_server_message(frame.replace('"@"', value))
        assert faults(error) == ["$.payload.total_specs: expected an integer from 0 to 4294967295"]


class TestUnknown:
    @pytest.mark.parametrize(
        "members",
        [
            {"payload": {"a": [1, {"b": None}], "c": 1.5}},
            {"payload": None},
            {"payload": [1]},
            {"reply_to": MISSION, "payload": "x", "priority": 3},
            {},
        ],
    )
    def test_a_message_of_another_type_is_kept_whole(self, members: Any) -> None:
        frame = from_server(type="brand_new", **members)
        message = codec.decode_server_message(frame)
        assert isinstance(message.payload, tp.UnknownMessage)
        assert message.payload.type == message.type == "brand_new"
        assert message.payload.payload == members.get("payload")
        assert json.loads(codec.encode_message(message)) == json.loads(frame)

    @pytest.mark.parametrize(
        ("message_type", "payload"),
        [
            ("event.mission", {"category": "mission", "event": "archived", "by": {"x": 1}}),
            ("event.mission", {"event": "archived"}),
            ("event.weather", {"category": "weather", "event": "rain", "mm": 3}),
            ("event.session", {"event": "expired"}),
        ],
    )
    def test_an_event_that_is_not_known_is_kept_whole(
        self, message_type: str, payload: Any
    ) -> None:
        frame = from_server(type=message_type, payload=payload, seq=7)
        message = codec.decode_server_message(frame)
        event = message.payload
        assert isinstance(event, tp.UnknownEvent)
        assert (event.category, event.event) == (message_type[6:], payload["event"])
        assert event.payload == payload
        assert json.loads(codec.encode_message(message)) == json.loads(frame)

    @pytest.mark.parametrize(
        ("payload", "path"),
        [
            (None, "$.payload"),
            ([], "$.payload"),
            ({}, "$.payload.event"),
            ({"event": 1}, "$.payload.event"),
            ({"event": "rain", "category": "mission"}, "$.payload.category"),
        ],
    )
    def test_an_event_has_its_tags_whether_it_is_known_or_not(
        self, payload: Any, path: str
    ) -> None:
        for message_type in ("event.weather", "event.system"):
            error = refused_server_message(from_server(type=message_type, payload=payload))
            assert [fault.path for fault in error.errors] == [path]

    def test_its_envelope_is_judged_all_the_same(self) -> None:
        error = refused_server_message(json.dumps({"type": "brand_new", "id": 1}))
        assert [fault.path for fault in error.errors] == ["$.id", "$.timestamp"]

    def test_it_is_kept_even_where_unknown_fields_are_forbidden(self) -> None:
        frame = from_server(type="brand_new", extra=1)
        assert isinstance(strict.decode_server_message(frame).payload, tp.UnknownMessage)


class TestErrors:
    def test_all_faults_are_in_one_error(self) -> None:
        frame = from_server(
            id="nope",
            type="event.mission",
            timestamp="yesterday",
            payload=PROGRESS | {"category": "forge", "total_specs": "10", "percentage": None},
        ).replace(', "current_spec": "330"', "")
        error = refused_server_message(frame)
        assert isinstance(error, tp.InvalidMessageError)
        assert faults(error) == [
            "$.id: expected a UUID",
            "$.timestamp: expected an RFC 3339 date-time with an offset",
            "$.payload.category: expected the category that the message type says",
            "$.payload.current_spec: expected a string; the field is missing",
            "$.payload.total_specs: expected an integer from 0 to 4294967295",
            "$.payload.percentage: expected a finite number (f32)",
        ]
        assert error.message_id is None
        assert "and 3 more" in error.message

    def test_the_place_reaches_into_what_is_nested(self) -> None:
        filters = {"mission_id": 1, "event_types": ["a", 2, None]}
        frame = from_client(type="subscribe", payload={"topic": "x", "filters": filters})
        assert faults(refused_command(frame)) == [
            "$.payload.filters.mission_id: expected a UUID",
            "$.payload.filters.event_types[1]: expected a string",
            "$.payload.filters.event_types[2]: expected a string",
        ]

    def test_the_id_goes_with_the_error_whatever_else_is_wrong(self) -> None:
        for frame in (
            from_client(type=None),
            from_client(type="subscribe", payload=3),
            from_client(timestamp="x", payload={"command": 1}),
        ):
            assert refused_command(frame).message_id == UUID(ID)

    def test_an_unknown_type_is_one_fault_among_the_others(self) -> None:
        error = refused_command(from_client(id=3, type="nope"))
        assert isinstance(error, tp.UnknownMessageError)
        assert faults(error) == [
            "$.id: expected a UUID",
            "$.type: expected the type of a command",
        ]

    def test_a_missing_payload_is_said_once(self) -> None:
        assert faults(refused_command(from_client(type="mission_start"))) == [
            "$.payload: expected an object"
        ]

    def test_a_bad_frame_cannot_ask_for_a_huge_answer(self) -> None:
        filters = {"event_types": [0] * 50_000}
        error = refused_command(
            from_client(type="subscribe", payload={"topic": "x", "filters": filters})
        )
        assert len(error.errors) == 100
        assert len(codec.encode(tp.ErrorResponse.from_error(error))) < 20_000

    def test_nothing_that_was_received_is_in_an_error(self) -> None:
        secret = "s3cr3t-t0ken-value"
        frames = [
            from_client(type="authenticate", payload={"token": [secret]}),
            from_client(type=secret),
            from_client(type="authenticate", payload={"command": secret, "token": 1}),
            from_client(type="authenticate", payload=secret, id=secret, timestamp=secret),
            f'{{"type":"authenticate","payload":{{"token":"{secret}"}}',
            f'{{"token":"{secret}","token":"{secret}"}}',
            f'{{"token":"{secret}\\ud800"}}',
        ]
        for frame in frames:
            error = refused_command(frame)
            shown = [str(error), repr(error), error.message, repr(error.errors), repr(error.args)]
            shown += [
                repr(error.__cause__),
                repr(error.__context__),
                repr(error.__notes__ if hasattr(error, "__notes__") else ""),
            ]
            shown.append(codec.encode(tp.ErrorResponse.from_error(error)))
            assert not any(secret in text for text in shown)
            assert error.__context__ is None, "what led to the error holds the frame"


class TestUnknownFields:
    def test_they_are_ignored(self) -> None:
        frame = from_client(type="unsubscribe", payload={"topic": "x", "zzz": [1]}, zzz=1)
        assert codec.decode_command(frame).payload == tp.Unsubscribe(topic="x")

    def test_they_are_refused_if_so_told_with_their_places(self) -> None:
        filters = {"mission_id": None, "a key": 1, "k" * 100: 1}
        payload = {"topic": "x", "filters": filters, "zzz": 1, "category": "subscription"}
        frame = from_client(type="subscribe", payload=payload, reply_to=ID)
        assert faults(refused_command(frame, strict)) == [
            "$.payload.zzz: expected no such field",
            '$.payload.filters["a key"]: expected no such field',
            f'$.payload.filters["{"k" * 64}\\u2026"]: expected no such field',
            "$.reply_to: expected no such field",
        ]

    def test_what_the_contract_names_is_no_unknown_field(self) -> None:
        frame = from_server(type="event.mission", reply_to=None, payload=PROGRESS)
        assert isinstance(strict.decode_server_message(frame).payload, tp.MissionProgress)
        ping = '{"type":"ping","payload":{"command":"ping"}}'
        assert strict.decode_command(ping).payload == tp.Ping()

    def test_what_is_not_known_at_all_has_no_unknown_fields(self) -> None:
        error = refused_server_message(from_server(id=1, type="brand_new", extra=1), strict)
        assert [fault.path for fault in error.errors] == ["$.id"]

    def test_events_and_bare_frames_too(self) -> None:
        frame = from_server(type="event.mission", payload=PROGRESS, zzz=1)
        assert faults(refused_server_message(frame, strict)) == ["$.zzz: expected no such field"]
        error = refused_server_message('{"type":"ping","zzz":1}', strict)
        assert faults(error) == ["$.zzz: expected no such field"]


def test_max_size_is_an_option() -> None:
    small = tp.Codec(max_size=20)
    assert small.decode_command('{"type":"ping"}').payload == tp.Ping()
    for decode in (small.decode_command, small.decode_server_message):
        with pytest.raises(tp.MessageTooLargeError):
            decode('{"type":"ping",      }')
