"""Reading frames: what a server and a client get."""

import json
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest
from support.frames import (
    ID,
    MISSION,
    NOW,
    PROGRESS,
    codec,
    faults,
    from_client,
    from_server,
    refused_command,
    refused_server_message,
    strict,
)

import tachikoma_proto as tp


class TestCommands:
    def test_a_full_command_is_decoded_with_its_envelope(self) -> None:
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

    def test_a_command_without_tags_is_decoded(self) -> None:
        frame = from_client(type="mission_start", payload={"mission_id": MISSION})
        assert codec.decode_command(frame).payload == tp.StartMission(mission_id=UUID(MISSION))

    @pytest.mark.parametrize("payload", [None, {}, {"command": "ping"}, {"category": "session"}])
    def test_a_command_without_fields_needs_no_payload(self, payload: object) -> None:
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
    def test_a_command_whose_tag_disagrees_with_its_type_is_refused(
        self, tags: Any, path: str
    ) -> None:
        frame = from_client(type="mission_start", payload={"mission_id": MISSION, **tags})
        assert [fault.path for fault in refused_command(frame).errors] == [path]

    def test_a_bare_pong_from_a_client_is_decoded(self) -> None:
        message = codec.decode_command('{"type":"pong"}')
        assert message == tp.IncomingMessage(type="pong", payload=tp.Pong())

    def test_a_pong_with_more_than_a_type_is_refused(self) -> None:
        for members in ({"id": ID}, {"timestamp": NOW}, {"id": None}):
            error = refused_command(json.dumps({"type": "pong"} | members))
            assert error.code == "unknown_message"

    @pytest.mark.parametrize("message_type", ["nope", "ack", "event.mission", "PING", "pong", ""])
    def test_decode_command_refuses_events_and_responses(self, message_type: str) -> None:
        error = refused_command(from_client(type=message_type))
        assert isinstance(error, tp.UnknownMessageError)
        assert error.code == "unknown_message"
        assert error.message_id == UUID(ID)
        assert faults(error) == ["$.type: expected the type of a command"]


class TestServerMessages:
    def test_a_full_event_is_decoded_with_its_envelope(self) -> None:
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

    def test_a_response_is_decoded_with_its_reply_to(self) -> None:
        frame = from_server(reply_to=MISSION, payload={"success": False, "message": None})
        message = codec.decode_server_message(frame)
        assert message.reply_to == UUID(MISSION)
        assert message.payload == tp.AckResponse(success=False)

    def test_an_event_needs_its_tag_but_not_its_category(self) -> None:
        payload = {name: value for name, value in PROGRESS.items() if name != "category"}
        frame = from_server(type="event.mission", payload=payload)
        assert isinstance(codec.decode_server_message(frame).payload, tp.MissionProgress)
        del payload["event"]
        error = refused_server_message(from_server(type="event.mission", payload=payload))
        assert [fault.path for fault in error.errors] == ["$.payload.event"]

    def test_a_bare_ping_from_a_server_gets_an_id_and_a_time(self) -> None:
        before = datetime.now(UTC)
        message = codec.decode_server_message('{"type":"ping"}')
        assert message.payload == tp.Ping()
        assert before <= message.timestamp <= datetime.now(UTC)
        assert codec.decode_server_message(codec.encode_message(message)) == message

    def test_a_ping_with_an_id_but_no_timestamp_is_refused(self) -> None:
        error = refused_server_message(json.dumps({"type": "ping", "id": ID}))
        assert [fault.path for fault in error.errors] == ["$.timestamp"]

    def test_an_integer_in_a_float_field_is_decoded_as_a_float(self) -> None:
        frame = from_server(type="event.mission", payload=PROGRESS | {"percentage": 30})
        event = codec.decode_server_message(frame).payload
        assert isinstance(event, tp.MissionProgress)
        assert type(event.percentage) is float

    @pytest.mark.parametrize("number", ["3.4028235e38", "-3.4028235677973362e38", "1e-300", "-0"])
    def test_a_float_within_32_bits_is_decoded(self, number: str) -> None:
        frame = from_server(type="event.mission", payload=PROGRESS | {"percentage": 0.125})
        event = codec.decode_server_message(frame.replace("0.125", number)).payload
        assert isinstance(event, tp.MissionProgress)
        assert event.percentage == float(number)

    @pytest.mark.parametrize(
        "number",
        ["3.4028235677973366e38", str(2**128 - 2**103 - 1), "1e39", "-1e300", "1" + "0" * 39],
    )
    def test_a_float_beyond_32_bits_is_refused(self, number: str) -> None:
        frame = from_server(type="event.mission", payload=PROGRESS | {"percentage": 0.125})
        error = refused_server_message(frame.replace("0.125", number))
        assert faults(error) == ["$.payload.percentage: expected a finite number (f32)"]

    @pytest.mark.parametrize("value", ["-0", "1.0", "1e0", "-1", "4294967296", '"3"', "true", "[]"])
    def test_a_value_that_is_no_u32_is_refused_and_not_coerced(self, value: str) -> None:
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
    def test_a_message_of_unknown_type_is_kept_and_reencoded_whole(self, members: Any) -> None:
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
    def test_an_unknown_event_is_kept_and_reencoded_whole(
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
    def test_an_unknown_event_without_a_valid_tag_is_refused(self, payload: Any, path: str) -> None:
        for message_type in ("event.weather", "event.system"):
            error = refused_server_message(from_server(type=message_type, payload=payload))
            assert [fault.path for fault in error.errors] == [path]

    def test_an_unknown_message_with_a_bad_envelope_is_refused(self) -> None:
        error = refused_server_message(json.dumps({"type": "brand_new", "id": 1}))
        assert [fault.path for fault in error.errors] == ["$.id", "$.timestamp"]

    def test_an_unknown_message_is_kept_where_unknown_fields_are_forbidden(self) -> None:
        frame = from_server(type="brand_new", extra=1)
        assert isinstance(strict.decode_server_message(frame).payload, tp.UnknownMessage)


def test_a_frame_over_max_size_is_refused() -> None:
    small = tp.Codec(max_size=20)
    assert small.decode_command('{"type":"ping"}').payload == tp.Ping()
    for decode in (small.decode_command, small.decode_server_message):
        with pytest.raises(tp.MessageTooLargeError):
            decode('{"type":"ping",      }')
