"""What a server and a client are told of bad frames, and of fields that are not known."""

import gc
import weakref
from uuid import UUID

import pytest
from support.frames import (
    ID,
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


class TestErrors:
    def test_a_decode_error_lists_all_faults_of_a_frame(self) -> None:
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

    def test_a_decode_error_has_the_path_of_a_nested_fault(self) -> None:
        filters = {"mission_id": 1, "event_types": ["a", 2, None]}
        frame = from_client(type="subscribe", payload={"topic": "x", "filters": filters})
        assert faults(refused_command(frame)) == [
            "$.payload.filters.mission_id: expected a UUID",
            "$.payload.filters.event_types[1]: expected a string",
            "$.payload.filters.event_types[2]: expected a string",
        ]

    @pytest.mark.parametrize("epoch", ["e" * 65, "é"])
    def test_a_decode_error_says_what_the_epoch_of_a_position_may_be(self, epoch: str) -> None:
        since = {"topic": "missions", "epoch": epoch, "offset": 1}
        frame = from_client(type="subscribe", payload={"topic": "missions", "since": since})
        for accelerated in (None, False):
            assert faults(refused_command(frame, tp.Codec(accelerated=accelerated))) == [
                r"$.payload.since.epoch: expected a string that matches [\x00-\x7f]{0,64}"
            ]

    def test_a_decode_error_has_the_id_of_the_frame(self) -> None:
        for frame in (
            from_client(type=None),
            from_client(type="subscribe", payload=3),
            from_client(timestamp="x", payload={"command": 1}),
        ):
            assert refused_command(frame).message_id == UUID(ID)

    def test_an_unknown_type_is_reported_with_the_other_faults(self) -> None:
        error = refused_command(from_client(id=3, type="nope"))
        assert isinstance(error, tp.UnknownMessageError)
        assert faults(error) == [
            "$.id: expected a UUID",
            "$.type: expected the type of a command",
        ]

    def test_a_missing_payload_is_reported_once(self) -> None:
        assert faults(refused_command(from_client(type="mission_start"))) == [
            "$.payload: expected an object"
        ]

    def test_a_decode_error_lists_a_limited_number_of_faults(self) -> None:
        filters = {"event_types": [0] * 50_000}
        error = refused_command(
            from_client(type="subscribe", payload={"topic": "x", "filters": filters})
        )
        assert len(error.errors) == 100
        assert len(codec.encode(tp.ErrorResponse.from_error(error))) < 20_000

    def test_a_decode_error_contains_no_received_value(self) -> None:
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

    @pytest.mark.parametrize("accelerated", [None, False])
    @pytest.mark.parametrize(
        "frame",
        [
            from_client(type="subscribe", payload={"topic": 1}),
            from_client(type="nope"),
            from_client(id=3) + "x",
            "[]",
            '{"type":"ping","type":"ping"}',
            "{" * 1000,
        ],
    )
    def test_a_decode_error_is_let_go_with_its_frame_at_once(
        self, frame: str, accelerated: bool | None
    ) -> None:
        codec = tp.Codec(accelerated=accelerated)
        gc.disable()  # which would find what holds itself, sooner or later
        try:
            try:
                codec.decode_command(frame)
            except tp.ProtocolError as error:
                watch = weakref.ref(error)
            else:
                pytest.fail("the frame is accepted")
            assert watch() is None
        finally:
            gc.enable()


class TestUnknownFields:
    def test_unknown_fields_are_ignored_by_default(self) -> None:
        frame = from_client(type="unsubscribe", payload={"topic": "x", "zzz": [1]}, zzz=1)
        assert codec.decode_command(frame).payload == tp.Unsubscribe(topic="x")

    def test_forbidden_unknown_fields_are_reported_with_their_paths(self) -> None:
        filters = {"mission_id": None, "a key": 1, "k" * 100: 1}
        payload = {"topic": "x", "filters": filters, "zzz": 1, "category": "subscription"}
        frame = from_client(type="subscribe", payload=payload, reply_to=ID)
        assert faults(refused_command(frame, strict)) == [
            "$.payload.zzz: expected no such field",
            '$.payload.filters["a key"]: expected no such field',
            f'$.payload.filters["{"k" * 64}\\u2026"]: expected no such field',
            "$.reply_to: expected no such field",
        ]

    def test_tags_and_envelope_members_are_not_unknown_fields(self) -> None:
        frame = from_server(type="event.mission", reply_to=None, payload=PROGRESS)
        assert isinstance(strict.decode_server_message(frame).payload, tp.MissionProgress)
        ping = '{"type":"ping","payload":{"command":"ping"}}'
        assert strict.decode_command(ping).payload == tp.Ping()

    def test_unknown_messages_have_no_unknown_fields(self) -> None:
        error = refused_server_message(from_server(id=1, type="brand_new", extra=1), strict)
        assert [fault.path for fault in error.errors] == ["$.id"]

    def test_unknown_fields_of_events_and_bare_frames_are_refused_if_forbidden(self) -> None:
        frame = from_server(type="event.mission", payload=PROGRESS, zzz=1)
        assert faults(refused_server_message(frame, strict)) == ["$.zzz: expected no such field"]
        error = refused_server_message('{"type":"ping","zzz":1}', strict)
        assert faults(error) == ["$.zzz: expected no such field"]
