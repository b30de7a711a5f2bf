"""What a field of an extension may be: each kind of type, taken strictly, refused with its place.

One message class is made for each type, with the one field ``v``, and read and written by a codec
of its own.
"""

import json
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from fractions import Fraction
from ipaddress import IPv4Address
from typing import Annotated, Any, ClassVar, Literal
from uuid import UUID

import pytest
from attrs import frozen, validators
from support.one_field import (
    ANY_UUID,
    ID,
    TIME,
    Access,
    Color,
    Level,
    Mixed,
    OldSize,
    Size,
    Target,
    Tree,
    codec_of,
    faults,
    frame,
    message_of,
    read,
)

import tachikoma_proto as tp
from tachikoma_proto import F32, U32, U64, Json

ACCEPTED: list[tuple[Any, object, object]] = [
    (str, "", ""),
    (str, "a\u2028 🧀", "a\u2028 🧀"),
    (bool, True, True),
    (int, -(2**63), -(2**63)),
    (int, 2**64 - 1, 2**64 - 1),
    (U32, 2**32 - 1, 2**32 - 1),
    (U64, 0, 0),
    (float, 1, 1.0),
    (float, 1e308, 1e308),
    (F32, 3.4e38, 3.4e38),
    (UUID, ID.upper(), ANY_UUID),
    (UUID, f"urn:uuid:{ID}", ANY_UUID),
    (datetime, "2026-01-02T04:04:05.1234567+01:00", datetime(2026, 1, 2, 3, 4, 5, 123456, UTC)),
    (Json, None, None),
    (Json, {"a": [1, 1.5, "x", None, True, {}]}, {"a": [1, 1.5, "x", None, True, {}]}),
    (Color, "red", Color.RED),
    (Size, "small", Size.SMALL),
    (OldSize, "large", OldSize.LARGE),
    (Level, 1, Level.LOW),
    (Mixed, 1, Mixed.ONE),
    (Mixed, "two", Mixed.TWO),
    (Literal["a", 1], "a", "a"),
    (Literal["a", 1], 1, 1),
    (Target, {"host": "a", "port": 1}, Target(host="a", port=1)),
    (Target, {"host": "a", "port": 1, "zzz": 1}, Target(host="a", port=1)),
    (
        Tree,
        {"name": "a", "children": [{"name": "b"}]},
        Tree(name="a", children=(Tree(name="b"),)),
    ),
    (tuple[U32, ...], [], ()),
    (tuple[Target, ...], [{"host": "a", "port": 1}], (Target(host="a", port=1),)),
    (tuple[Size, ...], ["small"], (Size.SMALL,)),
    (tuple[tuple[float, ...], ...], [[1], []], ((1.0,), ())),
    (tuple[U32 | None, ...], [1, None], (1, None)),
    (list[Color], ["red", "red"], [Color.RED, Color.RED]),
    (frozenset[U32], [2, 1], frozenset({1, 2})),
    (dict[str, U32], {"": 1, "a b": 2}, {"": 1, "a b": 2}),
    (dict[str, Level], {"a": 2}, {"a": Level.HIGH}),
    (dict[str, tuple[UUID, ...]], {"a": [ID]}, {"a": (ANY_UUID,)}),
    (dict[str, dict[str, Target]], {"a": {"b": {"host": "", "port": 0}}},
     {"a": {"b": Target(host="", port=0)}}),
    (Decimal, "1.10", Decimal("1.10")),
    (IPv4Address, "10.0.0.1", IPv4Address("10.0.0.1")),
    (timedelta, 90, timedelta(seconds=90)),
    (tuple[IPv4Address, ...], ["10.0.0.1"], (IPv4Address("10.0.0.1"),)),
    (dict[str, Decimal], {"a": "1"}, {"a": Decimal(1)}),
    (Annotated[str, "a remark"], "x", "x"),
    (Annotated[U32, "a remark"], 1, 1),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "wire", "value"), ACCEPTED, ids=lambda value: ascii(value)[:40])
def test_a_valid_value_of_a_field_type_survives_a_round_trip(
    kind: Any, wire: object, value: object
) -> None:
    cls = message_of(kind)
    codec = codec_of(cls)
    message = codec.decode_server_message(frame({"v": wire}))
    assert message.payload == cls(v=value)
    found = message.payload.v  # type: ignore[union-attr]
    assert type(found) is type(value), "a str in place of an equal StrEnum is another type"
    assert codec.decode_server_message(codec.encode_message(message)) == message


NUMBER = "a finite number (f64)"
A_TIME = "an RFC 3339 date-time with an offset"
A_U32 = "an integer from 0 to 4294967295"

REFUSED: list[tuple[Any, object, str, str]] = [
    (str, 1, "", "a string"),
    (str, None, "", "a string"),
    (bool, 1, "", "a boolean"),
    (bool, "true", "", "a boolean"),
    (int, True, "", "an integer from -9223372036854775808 to 18446744073709551615"),
    (int, 2**64, "", "an integer from -9223372036854775808 to 18446744073709551615"),
    (U32, -1, "", A_U32),
    (U32, 2**32, "", A_U32),
    (U32, 1.0, "", A_U32),
    (U32, "1", "", A_U32),
    (U64, 2**64, "", "an integer from 0 to 18446744073709551615"),
    (float, True, "", NUMBER),
    (float, "1", "", NUMBER),
    (F32, 3.5e38, "", "a finite number (f32)"),
    (UUID, ID.replace("-", "_"), "", "a UUID"),
    (UUID, 1, "", "a UUID"),
    (datetime, "2026-01-02T03:04:05", "", A_TIME),
    (datetime, "2026-01-02", "", A_TIME),
    (datetime, 0, "", A_TIME),
    (Color, "RED", "", 'one of "red", "blue"'),
    (Color, ["red"], "", 'one of "red", "blue"'),
    (Size, "medium", "", 'one of "small", "large"'),
    (OldSize, "medium", "", 'one of "small", "large"'),
    (Level, 3, "", "one of 1, 2"),
    (Level, True, "", "one of 1, 2"),
    (Level, 1.0, "", "one of 1, 2"),
    (Mixed, "1", "", 'one of 1, "two"'),
    (Literal["a", 1], True, "", 'one of "a", 1'),
    (Literal["a", 1], {}, "", 'one of "a", 1'),
    (Target, [], "", "an object"),
    (Target, {"port": 1}, ".host", "a string; the field is missing"),
    (Target, {"host": "a", "port": "1"}, ".port", A_U32),
    (Target, {"host": "a", "port": 1, "note": 1}, ".note", "a string"),
    (Tree, {"name": "a", "children": [{"name": "b"}, {}]}, ".children[1].name",
     "a string; the field is missing"),
    (tuple[U32, ...], {}, "", "an array"),
    (tuple[U32, ...], "12", "", "an array"),
    (tuple[U32, ...], [1, None], "[1]", A_U32),
    (tuple[Target, ...], [{"host": "a", "port": 1}, {"host": "b", "port": -1}], "[1].port", A_U32),
    (tuple[tuple[float, ...], ...], [[], [1, "x"]], "[1][1]", NUMBER),
    (list[Color], ["red", 1], "[1]", 'one of "red", "blue"'),
    (tuple[Size, ...], ["small", "huge"], "[1]", 'one of "small", "large"'),
    (frozenset[U32], [1, 1], "", "an array without repeated items"),
    (frozenset[U32], [1, "1"], "[1]", A_U32),
    (dict[str, U32], [], "", "an object"),
    (dict[str, U32], {"http": True}, ".http", A_U32),
    (dict[str, U32], {"a b": -1}, '["a b"]', A_U32),
    (dict[str, tuple[UUID, ...]], {"a": [ID, ""]}, ".a[1]", "a UUID"),
    (dict[str, dict[str, Target]], {"a": {"b": {"host": "", "port": None}}}, ".a.b.port", A_U32),
    (Decimal, 1, "", "a string"),
    (Decimal, "one", "", "a decimal"),
    (IPv4Address, "10.0.0.256", "", "an IPv4 address"),
    (timedelta, 1.5, "", "an integer from -9223372036854775808 to 18446744073709551615"),
    (timedelta, 2**63, "", "a time span in seconds"),
    (tuple[IPv4Address, ...], ["10.0.0.1", "x"], "[1]", "an IPv4 address"),
    (dict[str, Decimal], {"a": "1", "b": ""}, ".b", "a decimal"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("kind", "wire", "place", "expected"), REFUSED, ids=lambda value: ascii(value)[:40]
)
def test_an_invalid_value_of_a_field_type_is_refused_with_its_path(
    kind: Any, wire: object, place: str, expected: str
) -> None:
    assert faults(message_of(kind), {"v": wire}) == [("$.payload.v" + place, expected)]


def test_a_missing_required_field_is_refused() -> None:
    assert faults(message_of(U32), {}) == [("$.payload.v", f"{A_U32}; the field is missing")]
    assert faults(message_of(Json), {}) == [("$.payload.v", "a JSON value; the field is missing")]


def test_all_faults_of_nested_fields_are_reported() -> None:
    @frozen(kw_only=True)
    class M(tp.Response):
        targets: tuple[Target, ...]
        ports: dict[str, U32]
        size: Size

    payload = {
        "targets": [{"host": "a", "port": 1}, {"host": 2, "port": "x"}, None],
        "ports": {"http": "80", "ok": 1},
        "size": "huge",
    }
    assert faults(M, payload) == [
        ("$.payload.targets[1].host", "a string"),
        ("$.payload.targets[1].port", A_U32),
        ("$.payload.targets[2]", "an object"),
        ("$.payload.ports.http", A_U32),
        ("$.payload.size", 'one of "small", "large"'),
    ]


@pytest.mark.parametrize(
    ("kind", "value"),
    [(str, "x"), (U32, 1), (Size, Size.SMALL), (Target, Target(host="", port=1)), (Json, [1]),
     (Decimal, Decimal(1)), (tuple[U32, ...], (1,)), (dict[str, U32], {"a": 1})],
    ids=str,
)  # fmt: skip
def test_an_optional_field_is_none_when_missing_or_null_and_is_not_written(
    kind: Any, value: object
) -> None:
    cls = message_of(kind | None, None)
    codec = codec_of(cls)
    assert read(cls, {}) == read(cls, {"v": None}) == cls(v=None)
    assert json.loads(codec.encode(cls()))["payload"] == {}
    assert codec.decode_server_message(codec.encode(cls(v=value))).payload == cls(v=value)


def test_a_missing_field_gets_its_default_which_is_written() -> None:
    cls = message_of(Size, Size.LARGE)
    assert read(cls, {}) == cls(v=Size.LARGE)
    assert json.loads(codec_of(cls).encode(cls()))["payload"] == {"v": "large"}
    assert faults(cls, {"v": None}) == [("$.payload.v", 'one of "small", "large"')]


def test_a_class_variable_of_a_message_is_no_field() -> None:
    @frozen(kw_only=True)
    class M(tp.Response):
        limit: ClassVar[Fraction] = Fraction(1, 2)
        v: U32

    assert read(M, {"v": 1, "limit": "x"}) == M(v=1)


def refuse(instance: object, attribute: object, value: object) -> None:
    raise ValueError(f"not {value!r}")


def look_up(instance: object, attribute: object, value: int) -> None:
    {1: "one"}[value]


def divide(instance: object, attribute: object, value: int) -> None:
    assert 1 / value


class NumberValidator:
    """Named as one of attrs, and not made as that is."""

    def __call__(self, instance: object, attribute: object, value: int) -> None:
        assert value > 9


@pytest.mark.parametrize(
    ("validator", "value"),
    [(refuse, 7), (look_up, 7), (divide, 0), (NumberValidator(), 7)],
    ids=["own", "key", "zero", "name of another"],
)
def test_a_validator_refuses_without_showing_the_value(validator: Any, value: int) -> None:
    cls = message_of(int, validator=validator)
    assert faults(cls, {"v": value}) == [("$.payload.v", "a value that its validator accepts")]


@pytest.mark.parametrize(
    ("kind", "validator", "value", "expected"),
    [
        (int, validators.ge(5), 4, "a value of at least 5"),
        (int, [validators.gt(5), validators.lt(9)], 9, "a value of more than 5 and less than 9"),
        (float, validators.le(0.5), 0.75, "a value of at most 0.5"),
        (str, validators.max_len(2), "abc", "a string of at most 2 characters"),
        (int, validators.optional(validators.ge(5)), 4, "a value of at least 5"),
        (str, validators.min_len(1), "", "a string of at least 1 character"),
        (
            tuple[int, ...],
            [validators.min_len(1), validators.max_len(2)],
            [],
            "a value of at least 1 and at most 2 items",
        ),
        (str, validators.matches_re("[a-z]+"), "A", "a string that matches [a-z]+"),
        (
            str,
            [validators.max_len(2), validators.matches_re("[a-z]+")],
            "A",
            "a string of at most 2 characters that matches [a-z]+",
        ),
        (str, validators.in_(["a"]), "b", "a value that its validator accepts"),
        (int, [validators.ge(5), refuse], 7, "a value that its validator accepts"),
        (
            tuple[int, ...],
            [validators.max_len(2), validators.deep_iterable(validators.ge(5))],
            [4],
            "a value that its validator accepts",
        ),
    ],
)
def test_what_a_validator_of_attrs_refuses_is_said_with_what_it_expects(
    kind: Any, validator: Any, value: Any, expected: str
) -> None:
    assert faults(message_of(kind, validator=validator), {"v": value}) == [
        ("$.payload.v", expected)
    ]


def test_a_scalar_that_reads_a_value_of_another_type_is_refused() -> None:
    category = tp.Category("x")
    wrong: Any = int
    category.scalar(Fraction, wire=str, read=wrong, write=str, expected="a fraction")
    category.response("m")(message_of(Fraction))
    with pytest.raises(tp.InvalidMessageError, match=r"\$\.payload\.v: expected a fraction"):
        tp.Codec(tp.Registry([category])).decode_server_message(frame({"v": "1"}))


def test_an_error_of_a_scalar_contains_no_received_value() -> None:
    with pytest.raises(tp.ProtocolError) as caught:
        read(message_of(IPv4Address), {"v": "hunter2"})
    assert "hunter2" not in f"{caught.value} {caught.value.errors}"
    assert caught.value.__context__ is None
    assert caught.value.__cause__ is None


WRITTEN: list[tuple[Any, Any, str, str]] = [
    (str, "\ud800", "", "text without lone surrogates"),
    (U32, -1, "", A_U32),
    (float, float("nan"), "", NUMBER),
    (
        datetime,
        datetime(2026, 1, 2),
        "",
        "a datetime with a time zone, of the years 1 to 9999 in UTC",
    ),
    (Json, {"a": float("inf")}, ".a", "a finite number"),
    (Color, "red", "", "a member of Color"),
    (Size, "small", "", "a member of Size"),
    (Access, Access.READ | Access.WRITE, "", "a member of Access"),
    (Target, {"host": "a", "port": 1}, "", "an instance of Target"),
    (tuple[Target, ...], (Target(host="a", port=-1),), "[0].port", A_U32),
    (dict[str, U32], {"http": 1.5}, ".http", A_U32),
    (Decimal, 1, "", "a decimal"),
    (tuple[Decimal, ...], (Decimal(1), "1"), "[1]", "a decimal"),
]


@pytest.mark.parametrize(
    ("kind", "value", "place", "expected"), WRITTEN, ids=lambda value: ascii(value)[:40]
)
def test_an_invalid_value_of_a_field_type_is_not_encoded(
    kind: Any, value: object, place: str, expected: str
) -> None:
    cls = message_of(kind)
    with pytest.raises(tp.EncodeError) as caught:
        codec_of(cls).encode(cls(v=value))
    assert [(f.path, f.expected) for f in caught.value.errors] == [
        ("$.payload.v" + place, expected)
    ]


def test_a_datetime_field_of_any_zone_survives_as_the_same_instant() -> None:
    cls = message_of(datetime)
    east = datetime(2026, 1, 2, 4, 4, 5, tzinfo=timezone(timedelta(hours=1)))
    assert json.loads(codec_of(cls).encode(cls(v=east)))["payload"] == {"v": TIME}
