"""Writing frames: what is written, in which order, and what is refused."""

import json
from datetime import UTC, datetime, timedelta, timezone
from typing import Any
from uuid import UUID

import pytest

import tachikoma_proto as tp

ID = UUID("0190b5a4-7c3e-7d52-8f0a-1b2c3d4e5f60")
MISSION = UUID("67e55044-10b1-426f-9247-bb680e5fe0c8")
NOW = datetime(2026, 1, 2, 3, 4, 5, 120_000, tzinfo=UTC)

codec = tp.Codec()


def progress(**changes: Any) -> tp.MissionProgress:
    fields: dict[str, Any] = {
        "mission_id": MISSION,
        "current_spec": "330",
        "completed_specs": 3,
        "total_specs": 10,
        "percentage": 30.0,
    }
    return tp.MissionProgress(**(fields | changes))


def refusal(payload: Any, **envelope: Any) -> list[str]:
    with pytest.raises(tp.EncodeError) as caught:
        codec.encode(payload, **envelope)
    assert caught.value.__context__ is None
    return [str(fault) for fault in caught.value.errors]


def test_encoding_writes_both_tags_before_the_fields() -> None:
    assert codec.encode(progress(), id=ID, timestamp=NOW) == (
        f'{{"id":"{ID}","type":"event.mission","timestamp":"2026-01-02T03:04:05.120Z",'
        f'"payload":{{"category":"mission","event":"progress","mission_id":"{MISSION}",'
        '"current_spec":"330","completed_specs":3,"total_specs":10,"percentage":30.0}}'
    )
    assert codec.encode(tp.GetSessionInfo(), id=ID, timestamp=NOW) == (
        f'{{"id":"{ID}","type":"session_info","timestamp":"2026-01-02T03:04:05.120Z",'
        '"payload":{"category":"session","command":"get_info"}}'
    )


def test_encoding_a_response_leaves_out_tags_and_none() -> None:
    text = codec.encode(tp.AckResponse.ok(), id=ID, timestamp=NOW, reply_to=MISSION)
    assert text == (
        f'{{"id":"{ID}","type":"ack","timestamp":"2026-01-02T03:04:05.120Z",'
        f'"reply_to":"{MISSION}","payload":{{"success":true}}}}'
    )


def test_encoding_does_not_escape_text() -> None:
    assert '"topic":"é😀\u2028\\"\\u0000"' in codec.encode(tp.Unsubscribe(topic='é😀\u2028"\0'))


@pytest.mark.parametrize("character", ["x", "é", "漢", "🦀"])
def test_encoding_counts_the_bytes_that_a_frame_has_in_utf_8(character: str) -> None:
    codec = tp.Codec(max_size=5000)
    response = tp.ErrorResponse(code="a", message=character * (5000 // len(character.encode())))
    with pytest.raises(tp.EncodeError, match="at most 5000 bytes"):
        codec.encode(response)


def test_encoding_makes_an_id_and_a_timestamp() -> None:
    first, second = (json.loads(codec.encode(tp.Ping())) for _ in range(2))
    assert first["id"] != second["id"]
    assert first["timestamp"].endswith("Z")


def test_encoding_writes_times_in_utc() -> None:
    ahead = NOW.astimezone(timezone(timedelta(hours=5)))
    assert "2026-01-02T03:04:05.120Z" in codec.encode(tp.Ping(), timestamp=ahead)


def test_encoding_a_keepalive_writes_the_type_alone() -> None:
    assert codec.encode(tp.Pong()) == '{"type":"pong"}'
    fault = "$: expected nothing but the type: this is a client's keepalive"
    assert refusal(tp.Pong(), id=ID) == refusal(tp.Pong(), timestamp=NOW) == [fault]


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"percentage": float("nan")}, "$.payload.percentage: expected a finite number (f32)"),
        ({"percentage": float("-inf")}, "$.payload.percentage: expected a finite number (f32)"),
        ({"percentage": 1e39}, "$.payload.percentage: expected a finite number (f32)"),
        ({"percentage": True}, "$.payload.percentage: expected a finite number (f32)"),
        ({"total_specs": 2**32}, "$.payload.total_specs: expected an integer from 0 to 4294967295"),
        ({"total_specs": -1}, "$.payload.total_specs: expected an integer from 0 to 4294967295"),
        ({"total_specs": 3.0}, "$.payload.total_specs: expected an integer from 0 to 4294967295"),
        ({"total_specs": True}, "$.payload.total_specs: expected an integer from 0 to 4294967295"),
        ({"current_spec": None}, "$.payload.current_spec: expected a string"),
        (
            {"current_spec": "\ud800"},
            "$.payload.current_spec: expected text without lone surrogates",
        ),
        ({"mission_id": str(MISSION)}, "$.payload.mission_id: expected a UUID"),
    ],
)
def test_encoding_refuses_what_a_peer_could_not_read(changes: dict[str, Any], fault: str) -> None:
    assert refusal(progress(**changes)) == [fault]


def test_an_encode_error_lists_all_faults_of_a_message() -> None:
    bad = progress(percentage=float("nan"), total_specs=-1)
    assert len(refusal(bad, timestamp=datetime(2026, 1, 2), id="x")) == 4


def test_an_encode_error_has_the_path_of_a_nested_fault() -> None:
    filters = tp.SubscriptionFilters(event_types=("a", 2))  # type: ignore[arg-type]
    assert refusal(tp.Subscribe(topic="x", filters=filters)) == [
        "$.payload.filters.event_types[1]: expected a string"
    ]
    assert refusal(tp.Subscribe(topic="x", filters={"mission_id": None})) == [  # type: ignore[arg-type]
        "$.payload.filters: expected an instance of SubscriptionFilters"
    ]


def test_encoding_refuses_a_naive_timestamp() -> None:
    assert refusal(tp.Ping(), timestamp=datetime(2026, 1, 2)) == [
        "$.timestamp: expected a datetime with a time zone, of the years 1 to 9999 in UTC"
    ]


@pytest.mark.parametrize("payload", [object(), "text", None, tp.SubscriptionFilters()])
def test_encoding_refuses_a_class_that_no_category_holds(payload: Any) -> None:
    assert refusal(payload) == [
        "$.payload: expected a message that a category of the registry holds, "
        f"which {type(payload).__qualname__} is not; those of installed extensions are in "
        "Registry.discover()"
    ]


@pytest.mark.parametrize("said", [tp.Ping(), tp.Pong()])
def test_encoding_a_command_with_reply_to_is_refused(said: Any) -> None:
    assert refusal(said, reply_to=ID) == [
        "$.reply_to: expected nothing: a command answers no message"
    ]


class NumPyLike(float):
    """As numpy's float64 is a float."""


def test_encoding_accepts_numbers_of_other_libraries() -> None:
    text = codec.encode(progress(percentage=NumPyLike(1.5)))
    assert '"percentage":1.5' in text


@pytest.mark.parametrize("levels", [1, 120, 126])
def test_what_was_decoded_can_be_encoded(levels: int) -> None:
    details: Any = []
    for _ in range(levels - 1):
        details = [details]
    error = tp.ErrorResponse.not_found("mission").with_details(details)
    message = codec.decode_server_message(codec.encode(error))
    assert codec.decode_server_message(codec.encode_message(message)) == message
    assert refusal(error.with_details([[details]] if levels > 125 else "\ud800"))


@pytest.mark.parametrize(
    ("details", "expected"),
    [
        ({"a": [float("nan")]}, ".a[0]: expected a finite number"),
        (10**400, ": expected a finite number"),
        ("\udfff", ": expected text without lone surrogates"),
        ({"a": {1: 2}}, ".a: expected keys that are strings, not int"),
        ({"a": {"\udfff": 2}}, ".a: expected keys without lone surrogates"),
        (
            {"a": {1, 2}},
            ".a: expected JSON: None, bool, int, float, str, list, or dict with str keys",
        ),
    ],
)
def test_encoding_refuses_free_json_that_is_no_json(details: Any, expected: str) -> None:
    response = tp.ErrorResponse.not_found("mission").with_details(details)
    assert refusal(response) == [f"$.payload.details{expected}"]


def test_encoding_refuses_free_json_that_contains_itself() -> None:
    endless: list[Any] = []
    endless.append(endless)
    response = tp.ErrorResponse.not_found("mission").with_details(endless)
    assert refusal(response)


class TestEnvelopes:
    def test_encoding_an_envelope_keeps_its_members(self) -> None:
        message = tp.OutgoingMessage(
            id=ID, type="ack", timestamp=NOW, payload=tp.AckResponse.ok(), reply_to=MISSION
        )
        assert codec.decode_server_message(codec.encode_message(message)) == message

    def test_encoding_an_incoming_message_leaves_out_what_the_client_did(self) -> None:
        message = tp.IncomingMessage(type="ping", payload=tp.Ping())
        text = codec.encode_message(message)
        assert set(json.loads(text)) == {"type", "payload"}
        assert codec.decode_command(text) == message

    @pytest.mark.parametrize(
        ("envelope", "fault"),
        [
            (
                tp.Envelope(type="pong", payload=tp.Ping()),
                "$.type: expected the message type of the payload",
            ),
            (
                tp.OutgoingMessage(type="mission_start", payload=tp.StartMission(mission_id=ID)),
                "$.payload: expected a message that a server sends",
            ),
            (
                tp.IncomingMessage(type="ack", payload=tp.AckResponse.ok()),
                "$.payload: expected a message that a client sends",
            ),
            (
                tp.OutgoingMessage(id=None, type="ack", payload=tp.AckResponse.ok()),  # type: ignore[arg-type]
                "$.id: expected a UUID",
            ),
        ],
    )
    def test_encoding_refuses_an_envelope_whose_type_does_not_fit_its_payload(
        self, envelope: Any, fault: str
    ) -> None:
        with pytest.raises(tp.EncodeError) as caught:
            codec.encode_message(envelope)
        assert [str(error) for error in caught.value.errors] == [fault]

    def test_encoding_refuses_an_unknown_message_that_is_no_json(self) -> None:
        message = tp.UnknownMessage(type="x", members={"payload": {"a": object()}})
        assert refusal(message)[0].startswith("$.payload.a: expected JSON")

    def test_encoding_refuses_an_unknown_message_with_envelope_members(self) -> None:
        message = tp.UnknownMessage(type="x", members={"id": 1, "b": 2})
        assert refusal(message) == ["$: expected members that are not those of the envelope"]

    @pytest.mark.parametrize(
        "made_up",
        [
            tp.UnknownMessage(type="ack", members={"payload": {"success": "no"}}),
            tp.UnknownMessage(type="event.x", members={}),
            tp.UnknownEvent(type="event.x", category="y", event="z", members={}),
            tp.UnknownEvent(type="event.mission", category="mission", event="started", members={}),
        ],
    )
    def test_encoding_refuses_an_unknown_message_that_would_not_be_decoded(
        self, made_up: Any
    ) -> None:
        assert refusal(made_up)
