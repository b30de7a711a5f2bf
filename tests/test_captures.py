"""Captures: what a recorded frame looks like, and that no secret is in it."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from attrs import frozen
from support.cli_vault import Box, FillVault, VaultOpened, vault

import tachikoma_proto as tp
from tachikoma_proto.connection.captures import (
    CapturedFrame,
    Withheld,
    capture_frame,
    is_record,
    mask_secrets,
)
from tachikoma_proto.declare.declarations import Sender

NOW = datetime(2026, 1, 2, 3, 4, 5, 678_901, UTC)
SECRET = "s3cr3t"


def capture(
    frame: str | bytes, sender: Sender = Sender.CLIENT, registry: tp.Registry | None = None
) -> CapturedFrame:
    return capture_frame(
        registry or tp.Registry(), frame, time=NOW, sender=sender, session="s1", max_size=1000
    )


def read_back(line: str) -> CapturedFrame:
    record = json.loads(line)
    assert is_record(record)
    return CapturedFrame.from_record(record)


class TestLines:
    def test_a_line_has_time_direction_session_and_the_frame_as_it_was(self) -> None:
        frame = '{ "type":"ping", "x": 1.50 }'
        line = capture(frame).to_line()
        assert json.loads(line) == {
            "time": "2026-01-02T03:04:05.678901Z",
            "direction": "from client",
            "session": "s1",
            "frame": frame,
        }
        assert "\n" not in line

    @pytest.mark.parametrize("sender", Sender)
    def test_a_line_is_read_as_it_was_written(self, sender: Sender) -> None:
        for frame in ('{"type":"ping"}', '{"type":"nöpe","payload":"\\n"}', "nonsense"):
            record = capture(frame, sender)
            assert read_back(record.to_line()) == record

    def test_bytes_are_written_as_text(self) -> None:
        assert capture(b'{"type":"ping"}').frame == '{"type":"ping"}'
        assert capture(bytearray(b'{"type":"ping"}')).frame == '{"type":"ping"}'  # type: ignore[arg-type]

    @pytest.mark.parametrize(
        ("frame", "code", "size"),
        [
            (f'{{"type":"authenticate","payload":{{"token":"{SECRET}"', "invalid_message", 50),
            (f'{{"token":"{SECRET}","token":"{SECRET}"}}', "invalid_message", 35),
            (b"\xff" + SECRET.encode(), "invalid_message", 7),
            (f'["{SECRET}"]', "invalid_message", 10),
            (f'{{"x":"{SECRET * 500}"}}', "message_too_large", 3008),
        ],
    )
    def test_what_cannot_be_masked_is_withheld(
        self, frame: str | bytes, code: str, size: int
    ) -> None:
        record = capture(frame)
        assert record.frame is None
        assert record.withheld is not None
        assert (record.withheld.code, record.withheld.size) == (code, size)
        assert SECRET not in record.to_line()
        assert read_back(record.to_line()) == record

    def test_a_bare_frame_is_no_record(self) -> None:
        assert not is_record({"type": "ping"})
        assert not is_record({"type": "ping", "direction": "x", "frame": "y"})
        assert not is_record({"direction": "from client"})

    @pytest.mark.parametrize(
        ("member", "value"),
        [
            ("time", "yesterday"),
            ("time", "2026-01-02T03:04:05"),
            ("time", None),
            ("direction", "to client"),
            ("direction", ["from client"]),
            ("session", 7),
            ("frame", {"type": "ping"}),
            ("masked", "$.payload"),
            ("masked", [1]),
            ("withheld", {"code": "x", "message": "y"}),
            ("withheld", {"code": "x", "message": "y", "size": True}),
            ("withheld", "x"),
        ],
    )
    def test_a_wrong_member_is_named(self, member: str, value: Any) -> None:
        record = {**json.loads(capture('{"type":"ping"}').to_line()), member: value}
        with pytest.raises(tp.InvalidMessageError) as caught:
            CapturedFrame.from_record(record)
        assert [error.path for error in caught.value.errors] == [f"$.{member}"]

    def test_members_that_are_not_known_are_ignored(self) -> None:
        record = capture('{"type":"ping"}')
        assert CapturedFrame.from_record({**json.loads(record.to_line()), "host": 1}) == record

    def test_a_withheld_record_needs_no_frame(self) -> None:
        withheld = Withheld(code="x", message="y", size=1)
        record = CapturedFrame(time=NOW, sender=Sender.SERVER, session="s", withheld=withheld)
        assert read_back(record.to_line()).withheld == withheld


class TestSecrets:
    def test_a_secret_is_masked_and_its_path_is_told(self) -> None:
        record = capture(tp.Codec().encode(tp.Authenticate(token=SECRET)))
        assert record.frame is not None
        assert SECRET not in record.to_line()
        assert record.masked == ("$.payload.token",)
        assert tp.Codec().decode_command(record.frame).payload == tp.Authenticate(token="***")

    @pytest.mark.parametrize(
        "frame",
        [
            {"type": "authenticate", "payload": {"token": [SECRET]}},
            {"type": "authenticate", "payload": SECRET},
            {"type": "authenticate", "payload": [{"token": SECRET}]},
            {"type": "authenticate", "payload": {"token": "a", "extra": {"token": SECRET}}},
            {"type": "authenticate", "payload": {"token": "a"}, "token": SECRET},
            {"type": "Authenticate", "payload": {"token": SECRET}},
            {"type": "weather", "payload": {"deep": [{"token": SECRET}]}},
            {"type": "event.mission", "payload": {"event": "archived", "token": SECRET}},
            {"type": "event.mission", "payload": {"event": ["failed"], "token": SECRET}},
            {"type": 7, "payload": {"token": SECRET}},
            {"token": SECRET},
            {
                "type": "error",
                "payload": {"code": "x", "message": "y", "details": {"token": SECRET}},
            },
        ],
    )
    def test_a_secret_is_masked_wherever_a_peer_puts_it(self, frame: dict[str, Any]) -> None:
        for sender in Sender:
            record = capture(json.dumps(frame), sender)
            assert SECRET not in record.to_line()
            assert record.masked

    def test_secrets_of_extensions_are_masked_in_nested_records(self) -> None:
        registry = tp.Registry([vault])
        codec = tp.Codec(registry)
        box = Box(name="a", code=SECRET)
        for payload, sender in (
            (FillVault(name="b", box=box), Sender.CLIENT),
            (VaultOpened(box=box), Sender.SERVER),
        ):
            record = capture(codec.encode(payload), sender, registry)
            assert SECRET not in record.to_line()
            assert record.masked == ("$.payload.box.code",)

    def test_secrets_in_arrays_and_maps_are_masked(self) -> None:
        safe = tp.Category("safe", topic="safes")

        @safe.event("opened")
        @frozen(kw_only=True)
        class SafeOpened(tp.Event):
            boxes: tuple[Box, ...]
            by_name: dict[str, Box]

        registry = tp.Registry([safe])
        box = Box(name="a", code=SECRET)
        frame = tp.Codec(registry).encode(SafeOpened(boxes=(box,), by_name={"x y": box}))
        record = capture(frame, Sender.SERVER, registry)
        assert SECRET not in record.to_line()
        assert record.masked == ("$.payload.boxes[0].code", '$.payload.by_name["x y"].code')

    def test_a_field_that_is_called_as_a_secret_of_another_message_stays(self) -> None:
        registry = tp.Registry([vault])  # its boxes have a secret 'code', and errors a plain one
        frame = tp.Codec().encode(tp.ErrorResponse.not_found("mission"))
        assert capture(frame, Sender.SERVER, registry).frame == frame

    def test_null_is_no_secret(self) -> None:
        assert capture('{"type":"authenticate","payload":{"token":null}}').masked == ()

    def test_the_frame_that_is_masked_is_left_as_it_is(self) -> None:
        frame = {"type": "authenticate", "payload": {"token": SECRET}}
        shown, paths = mask_secrets(tp.Registry(), frame, Sender.CLIENT)
        assert shown == {"type": "authenticate", "payload": {"token": "***"}}
        assert frame["payload"] == {"token": SECRET}
        assert paths == ("$.payload.token",)
