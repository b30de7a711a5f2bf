"""Decimal, date and timedelta: strict, one text for equal values, and off unless asked for."""

import json
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal, localcontext
from typing import Any

import pytest
from attrs import frozen
from hypothesis import given, strategies as st
from support.every_path import check_every_path
from support.one_field import frame

import tachikoma_proto as tp


@frozen(kw_only=True)
class Amount(tp.Response):
    v: Decimal


@frozen(kw_only=True)
class Day(tp.Response):
    v: date


@frozen(kw_only=True)
class Span(tp.Response):
    v: timedelta


def made() -> tp.Codec:
    category = tp.Category("x")
    for cls in (Decimal, date, timedelta):
        category.scalar(cls)
    for message in (Amount, Day, Span):
        category.response(message.__name__)(message)
    return tp.Codec(tp.Registry([category]))


CODEC = made()


def read(cls: type[Any], wire: object) -> Any:
    text = frame({"v": wire}).replace('"m"', f'"{cls.__name__}"')
    return CODEC.decode_server_message(text).payload.v  # type: ignore[union-attr]


def written(message: Any) -> object:
    return json.loads(CODEC.encode(message))["payload"]["v"]


@pytest.mark.parametrize(
    ("kind", "pairs"),
    [
        (Decimal, [("12.5", Decimal("12.50")), ("0", Decimal(0)), ("-100", Decimal("-1E+2"))]),
        (date, [("2026-03-01", date(2026, 3, 1)), ("0001-01-01", date.min)]),
        (timedelta, [("P1DT2H30M", timedelta(days=1, hours=2, minutes=30)), ("PT0S", timedelta())]),
    ],
    ids=["decimal", "date", "timedelta"],
)
def test_a_ready_made_scalar_works_on_every_path(kind: Any, pairs: Any) -> None:
    check_every_path(kind, pairs, scalars=lambda category: category.scalar(kind))


@pytest.mark.parametrize("kind", [Decimal, date, timedelta])
def test_a_ready_made_scalar_is_off_unless_a_category_asks_for_it(kind: Any) -> None:
    with pytest.raises(tp.RegistryError, match=r"declare the type with Category\.scalar"):
        check_every_path(kind, [])


def test_several_categories_may_ask_for_a_ready_made_scalar() -> None:
    categories = [tp.Category("x"), tp.Category("y")]
    for category in categories:
        category.scalar(Decimal)
    assert set(tp.Registry(categories).scalars) == {Decimal}


@pytest.mark.parametrize(
    "wire",
    ["NaN", "sNaN", "Infinity", "-Infinity", "inf", "", " 1", "1 ", "1\n", "1_000", "1,000", "١",
     "１", "+1", "01", "00", "-01", ".5", "1.", "1e5", "1E5", "0x1", "--1", "1.0.0", "−1",
     "1" * 1001, 1, 1.5, True, None, [], {}],
)  # fmt: skip
def test_what_is_no_plain_decimal_is_refused(wire: object) -> None:
    with pytest.raises(tp.InvalidMessageError, match=r"\$\.payload\.v: expected "):
        read(Amount, wire)


@pytest.mark.parametrize(
    ("text", "value"),
    [("0", "0"), ("-0", "0"), ("0.00", "0"), ("12.50", "12.5"), ("1" * 1000, "1" * 1000),
     ("-0.000001", "-0.000001"), ("100", "1E+2")],
)  # fmt: skip
def test_a_decimal_is_read_exactly(text: str, value: str) -> None:
    with localcontext() as context:
        context.prec = 3
        assert read(Amount, text) == Decimal(value)


@pytest.mark.parametrize(
    ("values", "text"),
    [
        (["1.5", "1.50", "15E-1", "0.15E1"], "1.5"),
        (["100", "1E+2", "100.00", "1.0E+2"], "100"),
        (["0", "-0", "0.00", "0E+5", "0E-2000", "0E+2000"], "0"),
        (["-1.10", "-11E-1"], "-1.1"),
        (["1E-7", "0.00000010"], "0.0000001"),
    ],
)
def test_equal_decimals_are_written_as_one_text(values: list[str], text: str) -> None:
    assert {written(Amount(v=Decimal(value))) for value in values} == {text}


@pytest.mark.parametrize(
    "value", ["NaN", "sNaN", "Infinity", "-Infinity", "1E+1001", "1E-1001", "1E+999999"]
)
def test_a_decimal_that_no_peer_could_read_is_not_written(value: str) -> None:
    with pytest.raises(tp.EncodeError, match=r"\$\.payload\.v: expected a decimal number"):
        CODEC.encode(Amount(v=Decimal(value)))


@pytest.mark.parametrize(
    "wire",
    ["20260301", "2026-3-1", "2026-W09-7", "2026-060", "2026-02-30", "2026-13-01", "0000-01-01",
     "2026-03-01T00:00:00Z", " 2026-03-01", "2026-03-01\n", "２026-03-01", "+2026-03-01",
     "12026-03-01", "", "today"],
)  # fmt: skip
def test_what_is_no_iso_date_is_refused(wire: object) -> None:
    with pytest.raises(tp.InvalidMessageError, match=r"\$\.payload\.v: expected an ISO 8601 date"):
        read(Day, wire)


def test_a_datetime_is_more_than_a_date_and_is_not_written_as_one() -> None:
    with pytest.raises(tp.EncodeError, match=r"\$\.payload\.v: expected an ISO 8601 date"):
        CODEC.encode(Day(v=datetime(2026, 3, 1, tzinfo=UTC)))


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("P1DT2H30M", timedelta(days=1, hours=2, minutes=30)),
        ("PT36H", timedelta(hours=36)),
        ("PT90M", timedelta(minutes=90)),
        ("PT0.5S", timedelta(milliseconds=500)),
        ("PT1.000001S", timedelta(seconds=1, microseconds=1)),
        ("-P1D", timedelta(days=-1)),
        ("-PT1S", timedelta(seconds=-1)),
        ("P0D", timedelta()),
        ("PT0S", timedelta()),
        ("-PT0S", timedelta()),
        ("P999999999DT23H59M59.999999S", timedelta.max),
        ("-P999999999D", timedelta.min),
    ],
)
def test_a_duration_is_read_in_days_and_smaller_units(text: str, value: timedelta) -> None:
    assert read(Span, text) == value
    assert read(Span, written(Span(v=value))) == value


@pytest.mark.parametrize(
    "wire",
    ["", "P", "PT", "P1DT", "1D", "P1Y", "P1M", "P1W", "P-1D", "+P1D", "--P1D", "PT1.5H", "PT1,5S",
     "PT1.S", "PT.5S", "PT1.0000001S", "PT1S1M", "p1d", " P1D", "P1D\n", "P１D", "P1000000000D",
     "P" + "9" * 5000 + "D", "01:00:00"],
)  # fmt: skip
def test_what_is_no_iso_duration_is_refused(wire: object) -> None:
    with pytest.raises(tp.InvalidMessageError, match=r"\$\.payload\.v: expected an ISO 8601 durat"):
        read(Span, wire)


ROUND_TRIPS: list[tuple[Callable[..., Any], st.SearchStrategy[Any]]] = [
    (Amount, st.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**20), places=9)),
    (Day, st.dates()),
    (Span, st.timedeltas()),
]


@pytest.mark.parametrize(("cls", "values"), ROUND_TRIPS, ids=["decimal", "date", "timedelta"])
def test_every_value_comes_back_and_has_one_text(cls: Any, values: st.SearchStrategy[Any]) -> None:
    @given(values)
    def comes_back(value: Any) -> None:
        text = written(cls(v=value))
        assert read(cls, text) == value
        assert written(cls(v=read(cls, text))) == text

    comes_back()
