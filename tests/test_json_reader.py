"""The strict JSON reader: what standard ``json`` would take, and a frame may not have."""

import json
import math
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any, NoReturn

import pytest
from hypothesis import given, strategies as st

import tachikoma_proto as tp
from tachikoma_proto.wire.json_reader import MAX_DEPTH, Frame, read_object

ID = "0190b5a4-7c3e-7d52-8f0a-1b2c3d4e5f60"


def read(frame: Frame, max_size: int = 2**20) -> dict[str, Any]:
    return read_object(frame, max_size)


def refusal(frame: Frame, max_size: int = 2**20) -> tp.ProtocolError:
    with pytest.raises(tp.ProtocolError) as caught:
        read(frame, max_size)
    return caught.value


def test_the_json_reader_takes_text_and_all_kinds_of_bytes() -> None:
    text = '{"a": "é😀"}'
    data = text.encode()
    strided = memoryview(bytes(byte for pair in zip(data, data, strict=True) for byte in pair))[::2]
    for frame in (text, data, bytearray(data), memoryview(data), strided):
        assert read(frame) == {"a": "é😀"}


def test_the_json_reader_raises_type_error_for_other_types() -> None:
    for frame in (None, 1, ["{}"]):
        with pytest.raises(TypeError, match="a frame is str, bytes"):
            read(frame)  # type: ignore[arg-type]


@pytest.mark.parametrize("text", ["[]", "1", '"x"', "null", "true", "[{}]"])
def test_a_frame_that_is_no_json_object_is_refused(text: str) -> None:
    assert str(refusal(text).errors[0]) == "$: expected a JSON object"


@pytest.mark.parametrize(
    ("text", "position"),
    [
        ("", 0),
        (" ", 1),
        ("\ufeff{}", 0),
        ("{} x", 3),
        ("{}{}", 2),
        ('{"a":1,}', 7),
        ("{/* */}", 1),
        ("{'a':1}", 1),
        ('{"a":01}', 6),
        ('{"a":1.}', 6),
        ('{"a":.5}', 5),
        ('{"a":+1}', 5),
        ('{"a":"\n"}', 6),
        ('{"a":"\\x41"}', 6),
        ('{"a":"\\u00g0"}', 8),
        ('{"a":tru}', 5),
        ('{"a"', 4),
        ("\x0b{}", 0),
        ('{"a":\u00a01}', 5),
        ('{"a":١}', 5),
    ],
)
def test_text_that_is_no_json_is_refused(text: str, position: int) -> None:
    error = refusal(text)
    assert error.code == "invalid_message"
    (fault,) = error.errors
    assert fault.path == "$"
    assert fault.expected.startswith("JSON text (RFC 8259); malformed at character ")
    assert abs(int(fault.expected.rpartition(" ")[2]) - position) <= 2


@pytest.mark.parametrize("constant", ["NaN", "Infinity", "-Infinity"])
def test_nan_and_infinity_are_refused(constant: str) -> None:
    error = refusal(f'{{"id":"{ID}","a":[0,{constant}]}}')
    assert [fault.path for fault in error.errors] == ["$.a[1]"]
    assert str(error.message_id) == ID


@pytest.mark.parametrize(
    "number", ["1e999", "-1e999", "1" + "0" * 400, "9" * 309, "-" + "9" * 5000, "1" * 10_000]
)
def test_numbers_that_overflow_are_refused(number: str) -> None:
    error = refusal(f'{{"id":"{ID}","a":{number}}}')
    assert [str(fault) for fault in error.errors] == [
        "$.a: expected a number that a double can hold"
    ]
    assert str(error.message_id) == ID


def test_large_integers_that_a_double_can_hold_keep_their_digits() -> None:
    assert read('{"a":' + "1" * 308 + "}") == {"a": int("1" * 308)}


def test_negative_zero_is_read_as_a_float() -> None:
    value = read('{"a":-0}')["a"]
    assert isinstance(value, float)
    assert str(value) == "-0.0"


@pytest.mark.parametrize(
    ("frame", "path"),
    [
        ('{"a":"\\ud800"}', "$.a"),
        ('{"a":"\\uDC00\\ud800"}', "$.a"),
        ('{"a":["x","\\udfff x"]}', "$.a[1]"),
        ('{"b":{"\\ud800":1}}', "$.b"),
    ],
)
def test_escaped_lone_surrogates_are_refused(frame: str, path: str) -> None:
    assert [fault.path for fault in refusal(frame).errors] == [path]


def test_surrogate_pairs_and_escaped_backslashes_are_read() -> None:
    assert read('{"a":"\\ud83d\\uDE00 \\\\ud800"}') == {"a": "😀 \\ud800"}


def test_lone_surrogates_in_a_str_are_refused() -> None:
    error = refusal(f'{{"id":"{ID}","a":"\ud800"}}')
    assert "without lone surrogates" in error.message
    assert str(error.message_id) == ID


@pytest.mark.parametrize(
    "tail", [b"\xff", b"\xc3", b"\xed\xa0\x80", b"\xc0\x80", b"\xf5\x80\x80\x80"]
)
def test_bytes_that_are_not_utf8_are_refused(tail: bytes) -> None:
    error = refusal(b'{"id":"' + ID.encode() + b'","a":"' + tail + b'"}')
    assert "UTF-8" in error.message
    assert str(error.message_id) == ID


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-32", "utf-8-sig"])
def test_utf16_and_utf32_are_refused(encoding: str) -> None:
    assert refusal('{"type":"ping"}'.encode(encoding)).code == "invalid_message"


def test_repeated_keys_are_refused_at_every_level() -> None:
    error = refusal(f'{{"id":"{ID}","a":1,"a":2,"b":[{{"c":1,"d":2,"c":3}}],"e":{{"e":1}}}}')
    assert [str(fault) for fault in error.errors] == [
        "$.a: expected a key that stands once in its object",
        "$.b[0].c: expected a key that stands once in its object",
    ]
    assert str(error.message_id) == ID


def test_a_repeated_id_is_not_reported_as_the_message_id() -> None:
    assert refusal(f'{{"id":"{ID}","id":"{ID}"}}').message_id is None
    assert refusal(f'{{"id":"{ID}","id":"{ID}" oops').message_id is None


def test_the_json_reader_reports_all_faults() -> None:
    error = refusal('{"a":NaN,"b":"\\ud800","c":1e999,"c":1}')
    assert [fault.path for fault in error.errors] == ["$.a", "$.b", "$.c"]


@pytest.mark.parametrize("brackets", ["[]", "{}"])
def test_nesting_over_the_limit_is_refused(brackets: str) -> None:
    def nested(levels: int) -> str:
        if brackets == "[]":
            return '{"a":' + "[" * (levels - 1) + "]" * (levels - 1) + "}"
        return '{"a":' * levels + "1" + "}" * levels

    assert read(nested(MAX_DEPTH))
    error = refusal(nested(MAX_DEPTH + 1))
    assert str(error.errors[0]) == f"$: expected at most {MAX_DEPTH} levels of nesting"


def test_brackets_in_strings_and_many_siblings_are_not_deep_nesting() -> None:
    assert read(json.dumps({"a": "[{" * 500, "b": [[] for _ in range(500)], 'q"[': 1}))


@pytest.mark.parametrize("hostile", ["[" * 10**6, '{"a":' * 10**5, "[" * 200 + '"' + '\\"' * 10**5])
def test_hostile_nesting_is_refused_in_linear_time_without_recursion(hostile: str) -> None:
    limit = sys.getrecursionlimit()
    assert "nesting" in refusal(hostile).message
    assert sys.getrecursionlimit() == limit


@pytest.mark.parametrize(
    "frame",
    [
        f'{{"id":"{ID}","type":"ping"',
        f'{{"id":"{ID}","type":}}',
        f'{{"type":"ping", "id" : "{ID}" }} trailing',
        f'{{"a":{{"id":"nested"}},"id":"{ID}","b":}}',
        f'{{"a":"\\"id\\":","id":"{ID}",,}}',
        '{"id":"' + ID + '","a":' + "[" * 500,
    ],
)
def test_the_id_of_a_frame_that_is_no_json_is_reported(frame: str) -> None:
    assert str(refusal(frame).message_id) == ID


@pytest.mark.parametrize(
    "frame",
    ["", "{", '{"id":1,', '{"id":"nope",', '{"a":{"id":"' + ID + '"},', '["id","' + ID + '"'],
)
def test_a_frame_that_is_no_json_may_have_no_id(frame: str) -> None:
    assert refusal(frame).message_id is None


def test_the_size_limit_counts_bytes_and_comes_first() -> None:
    text = '{"a":"é"}'
    size = len(text.encode())
    for frame in (text, text.encode(), bytearray(text.encode()), memoryview(text.encode())):
        assert read(frame, max_size=size)
        error = refusal(frame, max_size=size - 1)
        assert isinstance(error, tp.MessageTooLargeError)
        assert error.code == "message_too_large"
        assert str(size - 1) in error.message


@given(st.binary(max_size=60) | st.text(max_size=60))
def test_reading_any_input_gives_an_object_or_a_protocol_error(frame: bytes | str) -> None:
    with suppress(tp.ProtocolError):
        assert isinstance(read(frame), dict)


def test_reading_on_a_full_stack_gives_a_protocol_error(monkeypatch: pytest.MonkeyPatch) -> None:
    codec = tp.Codec(accelerated=False)
    frame = '{"type":"ping","x":' + "[" * 100 + "]" * 100 + "}"

    def deeper(levels: int) -> Any:
        return deeper(levels - 1) if levels else codec.decode_command(frame)

    assert codec.decode_command(frame).payload == tp.Ping()
    outcomes = set()
    for levels in range(600, sys.getrecursionlimit() - 80, 20):
        try:
            outcomes.add(type(deeper(levels).payload))
        except tp.InvalidMessageError as error:
            outcomes.add(type(error))
    assert tp.Ping in outcomes
    assert outcomes <= {tp.Ping, tp.InvalidMessageError}

    def no_room(*_: object) -> None:
        raise RecursionError

    monkeypatch.setattr("tachikoma_proto.codec.codec.read_object", no_room)
    for decode in (codec.decode_command, codec.decode_server_message):
        with pytest.raises(tp.InvalidMessageError, match="the caller's stack has room for"):
            decode(frame)


JSON_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), inner, max_size=4)
    ),
    max_leaves=20,
)


@given(
    st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), JSON_VALUES), st.booleans()
)
def test_every_json_object_is_read_unchanged(value: dict[str, Any], ascii_only: bool) -> None:
    text = json.dumps(value, ensure_ascii=ascii_only)
    assert read(text) == value
    assert read(text.encode()) == value


class Oracle:
    """The rules for what is JSON, each written in the plainest way."""

    @staticmethod
    def members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        assert len({key for key, _ in pairs}) == len(pairs)
        return dict(pairs)

    @staticmethod
    def number(text: str) -> float:
        assert math.isfinite(float(text))
        return float(text)

    @staticmethod
    def integer(text: str) -> int | float:
        assert math.isfinite(float(text))
        return -0.0 if text == "-0" else int(text)

    @staticmethod
    def constant(_: str) -> NoReturn:
        raise AssertionError

    @classmethod
    def verdict(cls, text: str) -> str:
        """Give the repr of the object, which tells -0.0 from 0; empty for what is refused."""
        try:
            value = json.loads(
                text,
                object_pairs_hook=cls.members,
                parse_float=cls.number,
                parse_int=cls.integer,
                parse_constant=cls.constant,
            )
            repr(value).encode()
            json.dumps(value, ensure_ascii=False).encode()
        except (ValueError, AssertionError):
            return ""
        return repr(value) if isinstance(value, dict) else ""


KEYS = st.sampled_from(['"a"', '"b"', '"payload"', '","', '"\\u002c"', '"\\u0061"', '"x,y"'])
SCALARS = st.sampled_from(
    '0 -0 -0.0 -1 1e400 -1e999 1E5 0e999 NaN -Infinity 01 1. null true "" "," "a,b" "\\u002c" '
    '"\\u002C" "\\\\u002c" "\\ud800" "\\uD83D\\ude00" "\\"," "é," "\\\\,"'.split()
) | st.sampled_from(["9" * 308, "9" * 309, "-" + "1" * 400, "1" * 5000, "9" * 400 + ".5"])
COMMAS = st.sampled_from([",", ",", ",", " , ", ",\n"])


def members_of(value: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    member = st.builds(lambda key, value: f"{key}:{value}", KEYS, value)
    return st.builds(
        lambda comma, members: "{" + comma.join(members) + "}", COMMAS, st.lists(member, max_size=4)
    )


def array_of(value: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.builds(
        lambda comma, items: "[" + comma.join(items) + "]", COMMAS, st.lists(value, max_size=3)
    )


TEXTS = members_of(
    st.recursive(SCALARS, lambda inner: members_of(inner) | array_of(inner), max_leaves=8)
)


@given(TEXTS, st.booleans())
def test_any_text_is_read_as_by_a_naive_reader(text: str, is_long: bool) -> None:
    text += " " * 1024 if is_long else ""
    try:
        found = repr(read(text))
    except tp.InvalidMessageError:
        found = ""
    assert found == Oracle.verdict(text)


def test_every_vector_is_read_as_by_a_naive_reader() -> None:
    vectors = Path(__file__).with_name("vectors.jsonl").read_text(encoding="utf-8").splitlines()
    for text in [json.loads(line).get("frame") for line in vectors]:
        if isinstance(text, str) and "\ufeff" not in text and text.count("[") < MAX_DEPTH:
            try:
                found = repr(read(text))
            except tp.InvalidMessageError:
                found = ""
            assert found == Oracle.verdict(text), text


@pytest.mark.parametrize("ends", [("{", "}"), ('{"a":1,', "}"), ('{"a":1,"payload":{},', "}")])
def test_a_repeated_key_is_found_whatever_else_the_frame_holds(ends: tuple[str, str]) -> None:
    """Whatever lacks a comma elsewhere, or has one too many, a lost member is found."""
    start, end = ends
    for more in ('"x":[]', '"x":{}', '"x":[[],{}]', '"x":"\\u002c"', '"x":","', '"x":"\\u002c,"'):
        assert read(f"{start}{more}{end}")
        assert "once" in refusal(f'{start}{more},"y":1,"y":","{end}').message
        assert "once" in refusal(f'{start}{more},"payload":{{"y":1,"y":1}}{end}').message
