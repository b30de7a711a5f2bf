"""The helpers for the tests of extensions: what they make up fits, what is wrong they name."""

import enum
import json
import math
import subprocess
import sys
from datetime import datetime
from fractions import Fraction
from pathlib import Path
from typing import Any, Literal
from uuid import UUID

import pytest
from attrs import field, frozen
from hypothesis import Phase, find, given, settings, strategies as st

import tachikoma_proto as tp
from tachikoma_proto import testing
from tachikoma_proto.testing import (
    check_round_trip,
    check_vectors,
    envelopes,
    json_values,
    messages,
)

VECTORS = Path(__file__).parent / "vectors.jsonl"


class Color(enum.Enum):
    RED = "red"
    BLUE = "blue"


@frozen(kw_only=True)
class Tree:
    name: str
    children: "tuple[Tree, ...]" = ()


@frozen(kw_only=True)
class Everything(tp.Response):
    text: str
    flag: bool
    whole: int
    u32: tp.U32
    u64: tp.U64
    f32: tp.F32
    f64: float
    id: UUID
    at: datetime
    free: tp.Json
    color: Color
    literal: Literal["a", 1]
    tree: Tree
    array: tuple[tp.U32, ...]
    mutable: list[str]
    unique: frozenset[Color]
    by_name: dict[str, tuple[Tree, ...]]
    ratio: Fraction
    maybe: str | None = None
    default: tp.U32 = 7


def category() -> tp.Category:
    made = tp.Category("x")
    made.scalar(Fraction, wire=str, read=Fraction, write=str, expected="a fraction")
    made.response("everything")(Everything)
    return made


TYPES: testing.Types = {Fraction: st.fractions()}


@given(messages(Everything, category(), types=TYPES))
def test_generated_messages_fit_their_fields(message: Everything) -> None:
    assert (
        "".join(character for character in message.text if "\ud800" <= character <= "\udfff") == ""
    )
    assert message.flag in (True, False)
    assert 0 <= message.u32 < 2**32
    assert 0 <= message.u64 < 2**64
    assert math.isfinite(message.f64)
    assert abs(message.f32) < 2.0**128
    assert message.at.utcoffset() is not None
    assert message.literal in ("a", 1)
    assert isinstance(message.tree, Tree)
    assert isinstance(message.array, tuple)
    assert isinstance(message.mutable, list)
    assert isinstance(message.unique, frozenset)
    assert all(isinstance(tree, Tree) for trees in message.by_name.values() for tree in trees)
    assert isinstance(message.ratio, Fraction)
    json.dumps(message.free, allow_nan=False)


@pytest.mark.parametrize(
    "is_found",
    [
        lambda m: any(ord(character) > 0xFFFF for character in m.text),
        lambda m: m.at.microsecond % 1000,
        lambda m: m.u32 > 2**16,
        lambda m: m.maybe is None,
        lambda m: m.maybe is not None,
        lambda m: m.default != 7,
        lambda m: m.tree.children,
        lambda m: m.free is None,
        lambda m: isinstance(m.free, dict) and m.free,
        lambda m: len(m.unique) == 2,
    ],
)
def test_generated_messages_include_rare_values(is_found: Any) -> None:
    quickly = settings(  # finding is all: no shrinking
        phases=[Phase.generate], database=None, derandomize=True, max_examples=1000
    )
    assert is_found(find(messages(Everything, category(), types=TYPES), is_found, settings=quickly))


@given(envelopes(tp.StartMission), envelopes(tp.MissionStarted), envelopes(tp.AckResponse))
def test_generated_envelopes_belong_to_the_sender_of_the_message(
    command: Any, event: Any, reply: Any
) -> None:
    assert isinstance(command, tp.IncomingMessage)
    assert isinstance(event, tp.OutgoingMessage)
    assert isinstance(reply, tp.OutgoingMessage)
    assert (command.type, event.type, reply.type) == ("mission_start", "event.mission", "ack")


@given(json_values())
def test_generated_json_survives_a_round_trip(value: object) -> None:
    error = tp.ErrorResponse(code="c", message="", details=value)
    read = tp.Codec().decode_server_message(tp.Codec().encode(error))
    assert read.payload == error


def test_a_scalar_without_a_strategy_fails_at_once() -> None:
    with pytest.raises(LookupError, match=r"Fraction is a scalar .* pass types=\{Fraction: …\}"):
        messages(Everything, category())
    with pytest.raises(LookupError, match="Everything is in no category of <Registry: "):
        messages(Everything)
    with pytest.raises(LookupError, match="Everything is in no category of <Registry: "):
        envelopes(Everything)


def test_a_given_strategy_takes_precedence() -> None:
    types: testing.Types = {**TYPES, str: st.just("mine"), Tree: st.just(Tree(name="oak"))}
    message = find(messages(Everything, category(), types=types), lambda _: True)
    assert (message.text, message.tree) == ("mine", Tree(name="oak"))


# check_round_trip


def test_check_round_trip_passes_for_every_built_in_message() -> None:
    check_round_trip(tp.Registry(), examples=10)


def test_check_round_trip_passes_for_every_kind_of_field() -> None:
    check_round_trip(category(), types=TYPES)


def test_check_round_trip_uses_a_given_codec() -> None:
    codec = tp.Codec(tp.Registry([category()]), forbid_unknown_fields=True)
    check_round_trip(codec.registry, types=TYPES, codec=codec, examples=5)


def test_check_round_trip_names_every_message_that_fails() -> None:
    lossy = tp.Category("lossy")
    lossy.scalar(Fraction, wire=int, read=Fraction, write=int, expected="a fraction")

    @lossy.response("first")
    @frozen(kw_only=True)
    class First(tp.Response):
        ratio: Fraction

    @lossy.event("second")
    @frozen(kw_only=True)
    class Second(tp.Event):
        ratio: Fraction

    @lossy.event("third")
    @frozen(kw_only=True)
    class Third(tp.Event):
        name: str

    with pytest.raises(AssertionError) as caught:
        check_round_trip(lossy, types={Fraction: st.fractions(0, 1, max_denominator=9)})
    text = str(caught.value)
    assert "First: " in text
    assert "Second: " in text
    assert "Third" not in text
    assert "comes back as" in text


def test_check_round_trip_names_a_message_that_cannot_be_encoded() -> None:
    narrow = tp.Category("narrow")

    @narrow.response("narrow")
    @frozen(kw_only=True)
    class Narrow(tp.Response):
        even: tp.U32

    with pytest.raises(AssertionError, match=r"EncodeError: \$\.payload\.even: expected an int"):
        check_round_trip(narrow, types={tp.U32: st.just(-1)})


def test_a_field_whose_validator_refuses_generated_values_needs_a_strategy() -> None:
    strict = tp.Category("strict")

    def check_even(_: object, __: object, value: int) -> None:
        if value % 2:
            raise ValueError("odd")

    @strict.response("strict")
    @frozen(kw_only=True)
    class Strict(tp.Response):
        even: tp.U32 = field(validator=check_even)

    evens = st.integers(0, 100).map(lambda half: Strict(even=2 * half))
    check_round_trip(strict, types={Strict: evens})


def test_check_round_trip_of_nothing_fails() -> None:
    with pytest.raises(AssertionError, match="has no message to check"):
        check_round_trip(tp.Category("empty"))


# check_vectors

PING = '{"type":"ping"}'
ACCEPTED = {
    "id": "1",
    "label": "ping/bare",
    "side": "client",
    "frame": PING,
    "verdict": "accept",
    "canonical": {
        "type": "ping",
        "id": None,
        "payload": {"category": "session", "command": "ping"},
    },
}
REFUSED = {"id": "2", "label": "not/json", "side": "server", "frame": "[]", "verdict": "reject"}


def test_check_vectors_passes_for_the_vectors_of_the_contract() -> None:
    assert check_vectors(VECTORS) == check_vectors(str(VECTORS), tp.Registry()) >= 934


def test_check_vectors_takes_lines() -> None:
    assert check_vectors([json.dumps(ACCEPTED), "", json.dumps(REFUSED)]) == 2


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"verdict": "reject"}, "line 1, 1 (ping/bare): accepted as Ping()"),
        ({"side": "server", "frame": "{}"}, "line 1, 1 (ping/bare): refused: $.id: expected a"),
        ({"canonical": {"type": "pong"}}, "line 1, 1 (ping/bare): type is 'ping', not 'pong'"),
        (
            {"canonical": {"type": "ping", "payload": {"command": "ping"}}},
            "line 1, 1 (ping/bare): payload is {'category': 'session', 'command': 'ping'}, not",
        ),
        ({"frame": 1}, "line 1, 1 (ping/bare): TypeError: a frame is str"),
        ({"verdict": "maybe"}, "line 1, 1 (ping/bare): its side or its verdict is none"),
    ],
    ids=["accepted", "refused", "type", "payload", "frame", "verdict"],
)
def test_check_vectors_names_a_vector_that_fails(change: dict[str, Any], text: str) -> None:
    with pytest.raises(AssertionError) as caught:
        check_vectors([json.dumps(ACCEPTED | change), json.dumps(REFUSED)])
    assert str(caught.value).startswith(f"1 of 2 vectors fail:\n  {text}")


def test_check_vectors_distinguishes_true_from_one() -> None:
    ack = {"type": "ack", "id": str(UUID(int=1)), "timestamp": "2026-01-02T03:04:05Z"}
    vector = {
        "side": "server",
        "verdict": "accept",
        "frame": json.dumps(ack | {"payload": {"success": True}}),
        "canonical": ack | {"payload": {"success": 1}},
    }
    with pytest.raises(AssertionError, match=r"line 1, - \(-\): payload is "):
        check_vectors([json.dumps(vector)])


def test_check_vectors_names_every_failure_and_every_bad_line() -> None:
    lines = [json.dumps(ACCEPTED | {"verdict": "reject"}), "nonsense", "{}", "[]"]
    with pytest.raises(AssertionError) as caught:
        check_vectors(lines)
    head, *failures = str(caught.value).splitlines()
    assert head == "4 of 4 vectors fail:"
    assert [failure.split(":")[0] for failure in failures] == [
        "  line 1, 1 (ping/bare)",
        "  line 2",
        "  line 3",
        "  line 4",
    ]


def test_check_vectors_of_nothing_fails() -> None:
    with pytest.raises(AssertionError, match="there are no vectors to check"):
        check_vectors(["", "\n"])


# hypothesis stays optional


def test_without_hypothesis_only_check_vectors_works() -> None:
    script = f"""
import sys
sys.modules["hypothesis"] = None
from tachikoma_proto import testing
testing.check_vectors([{json.dumps(ACCEPTED)!r}])
for name in ("messages", "check_round_trip"):
    try:
        getattr(testing, name)
    except ImportError as error:
        assert "pip install 'tachikoma-proto[testing]'" in str(error), error
    else:
        raise AssertionError(name)
"""
    subprocess.run([sys.executable, "-c", script], check=True)


def test_every_public_name_of_the_testing_module_exists() -> None:
    assert all(hasattr(testing, name) for name in testing.__all__)
    with pytest.raises(AttributeError, match="has no attribute 'nope'"):
        _ = testing.nope  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue]
