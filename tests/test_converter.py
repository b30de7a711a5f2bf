"""The cattrs converter as users have it: unions, their own classes, converters of their own."""

import json
from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

import pytest
from attrs import frozen
from cattrs import Converter
from cattrs.preconf.json import make_converter as make_json_converter

import tachikoma_proto as tp

M = UUID("67e55044-10b1-426f-9247-bb680e5fe0c8")
PROGRESS = tp.MissionProgress(
    mission_id=M, current_spec="330", completed_specs=3, total_specs=10, percentage=30.0
)
LOG = tp.ForgeLog(session_id=M, level="info", message="hello")

codec = tp.Codec()
MISSION_EVENT: Any = tp.MissionEvent
MISSION_COMMAND: Any = tp.MissionCommand


def payload(message: Any) -> dict[str, Any]:
    return codec.unstructure(message)


class TestUnionsOfMessages:
    def test_a_category_is_told_apart_by_its_tag(self) -> None:
        assert codec.converter.structure(payload(PROGRESS), MISSION_EVENT) == PROGRESS
        command = tp.StartMission(mission_id=M)
        assert codec.converter.structure(payload(command), MISSION_COMMAND) == command

    def test_the_category_may_be_left_out_where_there_is_one(self) -> None:
        members = payload(PROGRESS)
        del members["category"]
        assert codec.converter.structure(members, MISSION_EVENT) == PROGRESS

    def test_a_part_of_a_category_refuses_its_other_members(self) -> None:
        part: Any = tp.MissionStarted | tp.MissionProgress
        assert codec.converter.structure(payload(PROGRESS), part) == PROGRESS
        failed = payload(tp.MissionFailed(mission_id=M, error="no"))
        with pytest.raises(ValueError, match="expected the tag of a member"):
            codec.converter.structure(failed, part)

    @pytest.mark.parametrize(
        "event",
        [
            PROGRESS,
            LOG,
            tp.ForgeStarted(session_id=M, mission_id=M, spec_id="1"),
            tp.MissionStarted(mission_id=M),
        ],
        ids=lambda event: type(event).__name__,
    )
    def test_unions_across_categories_go_by_both_tags(self, event: Any) -> None:
        union: Any = tp.MissionEvent | tp.ForgeEvent
        assert codec.converter.structure(payload(event), union) == event

    def test_across_categories_the_category_is_needed(self) -> None:
        union: Any = tp.MissionEvent | tp.ForgeEvent
        members = payload(LOG)
        del members["category"]
        with pytest.raises(ValueError, match="both tags of one of: mission events, forge events"):
            codec.converter.structure(members, union)

    def test_commands_and_events_may_stand_in_one_union(self) -> None:
        union: Any = tp.MissionEvent | tp.MissionCommand
        for message in (PROGRESS, tp.PauseMission(mission_id=M)):
            assert codec.converter.structure(payload(message), union) == message

    def test_an_optional_union_may_be_none(self) -> None:
        union: Any = tp.MissionEvent | None
        assert codec.converter.structure(None, union) is None
        assert codec.converter.structure(payload(PROGRESS), union) == PROGRESS

    @pytest.mark.parametrize(
        "bad",
        [
            None,
            [],
            "progress",
            {},
            {"event": "progress", "category": "forge"},
            {"event": ["progress"]},
            {"event": {}},
            {"event": 1},
            {"event": None},
            {"event": "nope"},
            {"event": "progress"},
            {"event": "progress", "category": ["mission"]},
        ],
        ids=str,
    )
    def test_what_is_no_member_raises_no_bare_error(self, bad: Any) -> None:
        with pytest.raises((ValueError, KeyError)) as caught:
            codec.converter.structure(bad, MISSION_EVENT)
        # cattrs reports a missing field by its name; anything else is ours
        assert isinstance(caught.value, ValueError) or caught.value.args == ("mission_id",)

    def test_a_category_with_one_event_is_a_union_too(self) -> None:
        lone = tp.Category("lone", topic="lones")

        @lone.event("only")
        @frozen(kw_only=True)
        class Only(tp.Event):
            n: tp.U32

        own = tp.Codec(tp.Registry([lone]))
        assert own.decode_server_message(own.encode(Only(n=1))).payload == Only(n=1)
        union: Any = Only | tp.MissionStarted
        for event in (Only(n=1), tp.MissionStarted(mission_id=M)):
            assert own.converter.structure(own.unstructure(event), union) == event


@frozen
class Record:
    """A class of a user's own that holds messages."""

    event: tp.MissionEvent
    any_event: tp.MissionEvent | tp.ForgeEvent
    last: tp.MissionProgress | None
    history: tuple[tp.MissionEvent, ...]
    by_name: dict[str, tp.ForgeEvent]
    at: datetime
    share: Annotated[int, tp.IntRange("percent", 0, 100)]


class TestClassesOfUsers:
    RECORD = Record(
        event=PROGRESS,
        any_event=LOG,
        last=None,
        history=(PROGRESS, tp.MissionStarted(mission_id=M)),
        by_name={"a": LOG},
        at=datetime.fromisoformat("2026-01-02T03:04:05+00:00"),
        share=30,
    )

    def test_they_come_back_through_json(self) -> None:
        text = json.dumps(codec.converter.unstructure(self.RECORD))
        assert codec.converter.structure(json.loads(text), Record) == self.RECORD

    def test_messages_in_them_have_their_tags(self) -> None:
        members = codec.converter.unstructure(self.RECORD)
        assert members["event"] == payload(PROGRESS)
        assert members["by_name"] == {"a": payload(LOG)}
        assert members["last"] is None

    @pytest.mark.parametrize(
        ("field", "bad"),
        [
            ("share", 101),
            ("share", "30"),
            ("at", "2026-01-02 03:04"),
            ("history", {}),
            ("history", [payload(LOG)]),
            ("event", payload(LOG)),
        ],
    )
    def test_they_are_as_strict_as_messages(self, field: str, bad: Any) -> None:
        members = codec.converter.unstructure(self.RECORD) | {field: bad}
        with pytest.raises(ValueError, match="expected"):
            codec.converter.structure(members, Record)


class TestOwnConverters:
    @pytest.mark.parametrize("make", [Converter, make_json_converter])
    def test_a_converter_of_ones_own_is_configured(self, make: Any) -> None:
        converter = make()
        tp.configure_converter(converter, tp.Registry())
        members = converter.unstructure(PROGRESS)
        assert members == payload(PROGRESS)
        assert converter.structure(members, MISSION_EVENT) == PROGRESS

    def test_nothing_is_coerced_by_one_for_json(self) -> None:
        converter = make_json_converter(detailed_validation=False)
        tp.configure_converter(converter, tp.Registry())
        for bad in ({"total_specs": "10"}, {"percentage": "1"}, {"mission_id": str(M)[:-1]}):
            with pytest.raises(ValueError, match="expected"):
                converter.structure(payload(PROGRESS) | bad, tp.MissionProgress)

    def test_unknown_fields_are_refused_if_it_says_so(self) -> None:
        converter = Converter(forbid_extra_keys=True, detailed_validation=False)
        tp.configure_converter(converter, tp.Registry())
        members = payload(PROGRESS)
        assert converter.structure(members, tp.MissionProgress) == PROGRESS
        with pytest.raises(ValueError, match="no unknown field"):
            converter.structure(members | {"zzz": 1}, tp.MissionProgress)

    def test_generated_hooks_have_names_and_sources(self) -> None:
        import linecache

        converter = tp.make_converter(tp.Registry())
        converter.structure(payload(PROGRESS), tp.MissionProgress)
        cached = [name for name in linecache.cache if "MissionProgress" in name]
        assert any("structure" in name for name in cached)


class TestJsonThatIsParsedAlready:
    def test_a_command_is_made_of_it(self) -> None:
        command = codec.structure_command("mission_start", {"mission_id": str(M)})
        assert command == tp.StartMission(mission_id=M)
        assert codec.structure_command("ping") == tp.Ping()

    def test_a_tag_must_agree_with_the_type(self) -> None:
        with pytest.raises(tp.InvalidMessageError) as caught:
            codec.structure_command("mission_start", {"command": "cancel", "mission_id": str(M)})
        assert [str(fault) for fault in caught.value.errors] == [
            '$.command: expected "start", which the message type says'
        ]

    @pytest.mark.parametrize("message_type", ["nope", "ack", "event.mission", "pong", ""])
    def test_a_type_of_no_command_is_unknown(self, message_type: str) -> None:
        with pytest.raises(tp.UnknownMessageError):
            codec.structure_command(message_type, {})

    @pytest.mark.parametrize(
        ("body", "fault"),
        [
            ({"topic": 1}, "$.topic: expected a string"),
            ({}, "$.topic: expected a string; the field is missing"),
            ([], "$: expected an object"),
            ({"topic": "a\ud800"}, "$.topic: expected text without lone surrogates"),
            ({"topic": "a", "x": float("nan")}, "$.x: expected a finite number"),
            ({"topic": "a", 1: 2}, "$: expected keys that are strings, not int"),
            ({"topic": "a", "x": {1, 2}}, "$.x: expected JSON"),
            (
                {"topic": "a", "filters": {"mission_id": "x"}},
                "$.filters.mission_id: expected a UUID",
            ),
        ],
        ids=str,
    )
    def test_faults_have_their_paths(self, body: Any, fault: str) -> None:
        with pytest.raises(tp.InvalidMessageError) as caught:
            codec.structure_command("subscribe", body)
        assert str(caught.value).startswith(fault)

    def test_a_message_is_written_as_builtins(self) -> None:
        assert codec.unstructure(tp.StartMission(mission_id=M)) == {
            "category": "mission",
            "command": "start",
            "mission_id": str(M),
        }
        assert codec.unstructure(tp.AckResponse.ok()) == {"success": True}
        assert codec.unstructure(tp.Ping()) == {"category": "session", "command": "ping"}

    def test_what_is_not_known_is_written_as_it_came(self) -> None:
        frame = codec.encode(PROGRESS).replace('"progress"', '"archived"')
        unknown = codec.decode_server_message(frame).payload
        assert codec.unstructure(unknown) == json.loads(frame)["payload"]

    def test_what_a_peer_could_not_read_is_refused(self) -> None:
        with pytest.raises(tp.EncodeError, match=r"\$\.payload\.mission_id: expected a UUID"):
            codec.unstructure(tp.StartMission(mission_id="x"))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("number", "text"),
    [(1e16, "1e16"), (1e-7, "1e-7"), (1.5e300, "1.5e300"), (-2e-10, "-2e-10"), (1e15, "1e15")],
)
def test_floats_are_written_without_a_plus_sign_or_zeros_in_the_exponent(
    number: float, text: str
) -> None:
    written = codec.encode(tp.ErrorResponse.not_found("e+16,").with_details([number, "1e+16]"]))
    if text != "1e15":
        assert f'"details":[{text},"1e+16]"]' in written
    assert codec.decode_server_message(written).payload.details == [number, "1e+16]"]  # type: ignore[union-attr]


def test_a_frame_over_the_limit_is_not_written() -> None:
    small = tp.Codec(max_size=1000)
    text = small.encode(tp.ErrorResponse.invalid_message("x" * 500))
    assert small.decode_server_message(text).type == "error"
    for message in ("x" * 1000, "\u20ac" * 334):
        with pytest.raises(tp.EncodeError, match=r"\$: expected at most 1000 bytes"):
            small.encode(tp.ErrorResponse.invalid_message(message))


def test_a_position_stands_last_in_the_envelope_and_comes_back() -> None:
    position = tp.Position(topic="missions", epoch="e1", offset=7)
    message = tp.OutgoingMessage(type="event.mission", payload=PROGRESS, position=position)
    text = codec.encode_message(message)
    assert text.endswith('"position":{"topic":"missions","epoch":"e1","offset":7}}')
    assert codec.decode_server_message(text) == message


@pytest.mark.parametrize(
    ("position", "fault"),
    [
        ('{"topic":"missions","epoch":"e","offset":-1}', "$.position.offset"),
        ('{"topic":"missions","epoch":"é","offset":1}', "$.position.epoch"),
        (f'{{"topic":"missions","epoch":"{"e" * 65}","offset":1}}', "$.position.epoch"),
        ('{"topic":"missions","offset":1}', "$.position.epoch"),
        ("7", "$.position"),
    ],
)
def test_a_bad_position_is_a_fault_of_the_envelope(position: str, fault: str) -> None:
    text = codec.encode(PROGRESS)[:-1] + f',"position":{position}}}'
    with pytest.raises(tp.InvalidMessageError) as caught:
        codec.decode_server_message(text)
    assert [error.path for error in caught.value.errors] == [fault]
