"""Free JSON, numbers and validators: each fault at its place, and subclasses as what they are."""

import enum
import http
import json
import math
from collections import OrderedDict, namedtuple
from typing import Any

import pytest
from attrs import field, frozen, validators
from support.one_field import Kelvin, codec_of, message_of

import tachikoma_proto as tp


class Level(enum.IntEnum):
    HIGH = 2


class Size(enum.StrEnum):
    SMALL = "small"


class Ratio(float):
    def __repr__(self) -> str:
        return "never this"


class Count(int):
    def __str__(self) -> str:
        return "never this"

    __repr__ = __str__


class Label(str):
    __slots__ = ()

    def __str__(self) -> str:
        return "never this"


@frozen(kw_only=True)
class Measured:
    value: float | None = None
    by: "tuple[Measured, ...] | None" = None


Pair = namedtuple("Pair", "first second")
FREE = message_of(tp.Json)


def text_of(kind: Any, value: object) -> str:
    cls = message_of(kind)
    frames = [codec_of(cls, accelerated=is_fast).encode(cls(v=value)) for is_fast in (None, False)]
    text, by_converter = (frame[frame.index('{"v":') + len('{"v":') : -2] for frame in frames)
    assert text == by_converter
    return text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (Level.HIGH, "2"),
        (http.HTTPStatus.OK, "200"),
        (Size.SMALL, '"small"'),
        (Ratio(1.5), "1.5"),
        (Count(3), "3"),
        (Label("a"), '"a"'),
        ({Size.SMALL: [Level.HIGH, Ratio(1e16)]}, '{"small":[2,1e16]}'),
        (OrderedDict(a=Pair(1, 2)), '{"a":[1,2]}'),
        ((1, (2,)), "[1,[2]]"),
        (True, "true"),
    ],
)
def test_subclasses_of_builtins_are_written_as_what_they_are(value: object, text: str) -> None:
    assert text_of(tp.Json, value) == text


@pytest.mark.parametrize(
    ("kind", "value", "text"),
    [
        (int, Level.HIGH, "2"),
        (int, http.HTTPStatus.OK, "200"),
        (int, Count(3), "3"),
        (tp.U32, http.HTTPStatus.OK, "200"),
        (float, Ratio(1e16), "1e16"),
        (float, Level.HIGH, "2.0"),
        (float, 1, "1.0"),
        (tp.F32, Ratio(0.5), "0.5"),
        (str, Size.SMALL, '"small"'),
        (str, Label("a"), '"a"'),
    ],
)
def test_fields_take_subclasses_of_builtins_as_free_json_does(
    kind: Any, value: object, text: str
) -> None:
    assert text_of(kind, value) == text
    assert text_of(tuple[kind, ...], (value,)) == f"[{text}]"
    assert text_of(dict[str, kind], {"a": value}) == f'{{"a":{text}}}'


@pytest.mark.parametrize(
    ("value", "text"),
    [(1e16, "1e16"), (1e-7, "1e-7"), (1.5e300, "1.5e300"), (5e-324, "5e-324"), (1e22, "1e22"),
     (-1e16, "-1e16"), (0.1, "0.1"), (-0.0, "-0.0"), (123456789.125, "123456789.125")],
)  # fmt: skip
def test_floats_are_written_alike_wherever_they_stand(value: float, text: str) -> None:
    for kind, held, expected in [
        (float, value, text),
        (tp.Json, value, text),
        (tp.Json, {"e+": [value, "1e+16"]}, f'{{"e+":[{text},"1e+16"]}}'),
        (tuple[float, ...], (value,), f"[{text}]"),
        (dict[str, float], {"1e+16": value}, f'{{"1e+16":{text}}}'),
        (Measured, Measured(by=(Measured(value=value),)), f'{{"by":[{{"value":{text}}}]}}'),
        (Kelvin, Kelvin(value), text),
    ]:
        assert text_of(kind, held) == expected


NOT_JSON = "JSON: None, bool, int, float, str, list, or dict with str keys"


@pytest.mark.parametrize(
    ("value", "place", "expected"),
    [
        ({"a": {"b": [1, {"c": object()}]}}, ".a.b[1].c", NOT_JSON),
        ({"a b": object()}, '["a b"]', NOT_JSON),
        ([{1, 2}], "[0]", NOT_JSON),
        (b"a", "", NOT_JSON),
        ([math.nan], "[0]", "a finite number"),
        ({"a": 10**400}, ".a", "a finite number"),
        (["\ud800"], "[0]", "text without lone surrogates"),
        ({"a": {1: 2}}, ".a", "keys that are strings, not int"),
        ({None: 1}, "", "keys that are strings, not NoneType"),
        ({"a": [{Level.HIGH: 1}]}, ".a[0]", "keys that are strings, not Level"),
        ({"a": {"\ud800": 1}}, ".a", "keys without lone surrogates"),
    ],
)
def test_a_fault_deep_inside_has_its_path_and_that_of_a_key_says_so(
    value: object, place: str, expected: str
) -> None:
    with pytest.raises(tp.EncodeError) as caught:
        codec_of(FREE).encode(FREE(v=value))
    assert [(fault.path, fault.expected) for fault in caught.value.errors] == [
        ("$.payload.v" + place, expected)
    ]


def test_json_that_holds_itself_is_refused() -> None:
    endless: list[Any] = []
    endless.append(endless)
    with pytest.raises(tp.EncodeError, match="at most 128 levels of nesting"):
        codec_of(FREE).encode(FREE(v=endless))


@frozen(kw_only=True)
class Done(tp.Response):
    """Answers."""


def rounded(value: int) -> int:
    return [0, 1, 2][value]


@frozen(kw_only=True)
class Inner:
    count: int = field(validator=validators.ge(3))


@frozen(kw_only=True)
class Order(tp.Command[Done]):
    count: int = field(default=5, validator=validators.ge(3))
    sizes: tuple[int, ...] = field(default=(), validator=validators.deep_iterable(validators.ge(3)))
    inner: tuple[Inner, ...] = ()
    free: tp.Json = None
    rounded: int = field(default=0, converter=rounded)


def ordering() -> tp.Codec:
    category = tp.Category("x")
    category.response("done")(Done)
    category.command("order")(Order)
    return tp.Codec(tp.Registry([category]))


@pytest.mark.parametrize(
    ("payload", "places"),
    [
        ({"count": 1}, [".count"]),
        ({"count": 1, "sizes": [1]}, [".count", ".sizes"]),
        ({"inner": [{"count": 3}, {"count": 1}]}, [".inner[1].count"]),
        ({"rounded": 7}, [".rounded"]),
        ({"count": 1, "free": {"a": 1}, "sizes": "x"}, [".sizes"]),
    ],
)
def test_a_failing_validator_or_converter_is_reported_at_its_field(
    payload: Any, places: list[str]
) -> None:
    codec = ordering()
    with pytest.raises(tp.InvalidMessageError) as caught:
        codec.decode_command(json.dumps({"type": "order", "payload": payload}))
    assert [fault.path for fault in caught.value.errors] == [f"$.payload{p}" for p in places]
    with pytest.raises(tp.InvalidMessageError) as caught:
        codec.structure_command("order", payload)
    assert [fault.path for fault in caught.value.errors] == [f"${p}" for p in places]


@pytest.mark.parametrize("message_type", [None, 1, [], {}, "nope", "done"])
def test_what_is_no_type_of_a_command_is_unknown_whatever_it_is(message_type: Any) -> None:
    with pytest.raises(tp.UnknownMessageError):
        ordering().structure_command(message_type, {})
