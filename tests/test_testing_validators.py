"""Made-up messages fit attrs validators, or the field that needs a strategy is named."""

import re
import subprocess
import sys
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Literal

import attrs
import pytest
from attrs import validators as v
from hypothesis import strategies as st
from support.one_field import Color, message_of

import tachikoma_proto as tp
from tachikoma_proto.testing import Types, check_round_trip, check_vectors


def check(
    kind: Any, validator: Any, default: Any = attrs.NOTHING, types: Types | None = None
) -> None:
    category = tp.Category("x")
    category.scalar(Decimal)
    category.scalar(date)
    category.scalar(timedelta)
    category.response("m")(message_of(kind, default, validator=validator))
    check_round_trip(category, types=types, examples=20)


PERCENT = Annotated[int, tp.IntRange("percent", 0, 100)]


@pytest.mark.parametrize(
    ("kind", "validator"),
    [
        (int, [v.ge(5), v.lt(7)]),
        (int, v.and_(v.gt(5), v.le(7))),
        (int, v.gt(5.5)),
        (tp.U32, v.ge(2**32 - 1)),
        (PERCENT, v.ge(99)),
        (float, [v.gt(0), v.le(1)]),
        (float, [v.ge(0), v.gt(0)]),
        (tp.F32, [v.ge(1.0), v.lt(2.0)]),
        (Decimal, [v.ge(Decimal(5)), v.lt(Decimal(6))]),
        (date, [v.ge(date(2026, 1, 1)), v.le(date(2026, 1, 2))]),
        (timedelta, [v.ge(timedelta(0)), v.lt(timedelta(1))]),
        (str, [v.min_len(3), v.max_len(4)]),
        (tuple[int, ...], v.min_len(7)),
        (list[int], v.max_len(1)),
        (frozenset[int], v.min_len(4)),
        (dict[str, int], v.min_len(8)),
        (str, v.matches_re(r"[a-z]{3}-\d+")),
        (str, v.matches_re("abc", func=re.search)),
        (str, v.matches_re("[a-z]+", re.IGNORECASE)),
        (str, v.in_(["a", "b"])),
        (int, v.in_(range(3))),
        (Color, v.in_([Color.RED])),
        (Literal["a", "b"], v.in_({"a"})),
        (tuple[int, ...], v.in_([(1,), (2,)])),
        (str, v.instance_of(str)),
        (float, v.instance_of((int, float))),
        (tuple[int, ...], v.deep_iterable(v.ge(5), v.min_len(2))),
        (tuple[tuple[int, ...], ...], v.deep_iterable(v.deep_iterable(v.ge(5)))),
        (tuple[int | None, ...], v.deep_iterable(v.optional(v.ge(5)))),
        (dict[str, int], v.deep_mapping(v.min_len(2), v.ge(5))),
        (dict[str, int], v.deep_mapping(v.matches_re("[a-z]+"), v.in_([1, 2]), v.max_len(2))),
        (dict[str, tuple[int, ...]], v.deep_mapping(value_validator=v.deep_iterable(v.ge(5)))),
    ],
)
def test_made_up_messages_fit_the_validators_of_attrs(kind: Any, validator: Any) -> None:
    check(kind, validator)


@pytest.mark.parametrize(
    ("kind", "validator"),
    [
        (int | None, v.optional([v.ge(5), v.le(6)])),
        (str | None, v.optional(v.in_(["a"]))),
        (Annotated[int | None, tp.IntRange("percent", 0, 100)], v.optional(v.ge(99))),
    ],
)
def test_made_up_messages_fit_the_validators_of_optional_fields(kind: Any, validator: Any) -> None:
    check(kind, validator, None)


def is_seven(_: object, __: object, value: int) -> None:
    if value != 7:
        raise ValueError("not seven")


@pytest.mark.parametrize(
    ("kind", "validator", "text"),
    [
        (int, is_seven, "M.v has a validator that cannot be read: pass types="),
        (int, v.not_(v.ge(5)), "M.v has a validator that cannot be read: pass types="),
        (int, v.or_(v.le(5), v.ge(10)), "M.v has a validator that cannot be read: pass types="),
        (tp.U32, v.lt(0), "the validators of M.v leave too few values: pass types="),
        (frozenset[Color], v.min_len(3), "the validators of M.v leave too few values"),
    ],
)
def test_a_field_that_needs_a_strategy_is_named(kind: Any, validator: Any, text: str) -> None:
    with pytest.raises(LookupError, match=re.escape(text)):
        check(kind, validator)


def test_a_strategy_for_a_field_goes_before_its_validator() -> None:
    check(int, is_seven, types={int: st.just(7)})


@pytest.mark.parametrize(
    ("kind", "default", "types"),
    [
        (tuple[int, ...], attrs.NOTHING, {tuple[int, ...]: st.just((1,))}),
        (PERCENT, attrs.NOTHING, {PERCENT: st.just(5)}),
        (int | None, None, {int | None: st.just(5)}),
        (tuple[dict[str, PERCENT], ...], attrs.NOTHING, {PERCENT: st.just(5)}),
        (Literal["a", "b"], attrs.NOTHING, {Literal["a", "b"]: st.just("a")}),
        (tp.Json, attrs.NOTHING, {tp.Json: st.just([1])}),
        (Color, attrs.NOTHING, {Color: st.just(Color.RED)}),
    ],
)
def test_a_strategy_may_be_given_for_any_annotation(kind: Any, default: Any, types: Types) -> None:
    check(kind, None, default, types)


OPTIMISED = """
import tachikoma_proto as tp
from attrs import frozen
from fractions import Fraction
from hypothesis import strategies as st
from tachikoma_proto.testing import check_round_trip, check_vectors

category = tp.Category("x")
category.scalar(
    Fraction, wire=str, read=lambda _: Fraction(1, 3), write=str, expected="a fraction"
)

@category.response("m")
@frozen(kw_only=True)
class M(tp.Response):
    v: Fraction

def failure(check, *arguments, **options):
    try:
        check(*arguments, **options)
    except AssertionError as error:
        return str(error)
    raise SystemExit("nothing was found")

types = {Fraction: st.just(Fraction(1, 2))}
text = failure(check_round_trip, category, types=types, examples=5)
assert_free = "comes back as" in text
empty = failure(check_round_trip, tp.Category("empty"))
none = failure(check_vectors, [])
wrong = failure(check_vectors, ['{"frame":"[]","side":"client","verdict":"accept","canonical":{}}'])
print(assert_free, "no message to check" in empty, none, "refused" in wrong, __debug__)
"""


def test_faults_are_found_without_assert_statements() -> None:
    done = subprocess.run(
        [sys.executable, "-O", "-c", OPTIMISED], capture_output=True, text=True, check=True
    )
    assert done.stdout == "True True there are no vectors to check True False\n"


def test_a_file_of_vectors_may_begin_with_a_byte_order_mark(tmp_path: Path) -> None:
    lines = (Path(__file__).parent / "vectors.jsonl").read_text(encoding="utf-8").split("\n")[:20]
    path = tmp_path / "vectors.jsonl"
    path.write_text("\n".join(lines), encoding="utf-8-sig")
    assert check_vectors(path) == 20
    assert check_vectors(["\ufeff" + lines[0], *lines[1:]]) == 20
