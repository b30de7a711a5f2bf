"""Defaults that a field would refuse or share, and frozensets of what has no hash, are refused."""

import enum
from collections.abc import Callable
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

import attrs
import pytest
from attrs import Factory, field, frozen, validators
from support.one_field import Color, Target, codec_of, message_of

import tachikoma_proto as tp
from tachikoma_proto import U32, Json

MUTABLE = "the default is mutable, and every message would share it; use field(factory="
REFUSED = "the field would refuse its own default, which must be "


def fail(*_: object) -> Any:
    raise RuntimeError("not today")


def look_at_another_field(instance: Any, attribute: object, value: object) -> None:
    assert instance.another == value


@pytest.mark.parametrize(
    ("kind", "default", "options", "text"),
    [
        (str, None, {}, REFUSED + "a string; for None, annotate the field with | None"),
        (str, 1, {}, REFUSED + "a string"),
        (str, "\ud800", {}, REFUSED + "text without lone surrogates"),
        (int, "1", {}, REFUSED + "an integer from -9223372036854775808"),
        (int, True, {}, REFUSED + "an integer"),
        (U32, -1, {}, REFUSED + "an integer from 0 to 4294967295"),
        (float, float("nan"), {}, REFUSED + "a finite number (f64)"),
        (datetime, datetime(2026, 1, 1), {}, REFUSED + "a datetime with a time zone"),
        (UUID, "0190b5a4-7c3e-7d52-8f0a-1b2c3d4e5f60", {}, REFUSED + "a UUID"),
        (Color, "red", {}, REFUSED + "a member of Color"),
        (Literal["a"], "b", {}, REFUSED + 'one of "a"'),
        (Json, object(), {}, REFUSED + "JSON: None, bool"),
        (Target, Target(host="a", port=-1), {}, REFUSED + "an integer from 0 to 4294967295"),
        (frozenset[int], (1,), {}, REFUSED + "a frozenset"),
        (tuple[U32, ...], (-1,), {}, REFUSED + "an integer from 0"),
        (list[int], [], {}, MUTABLE + "list)"),
        (dict[str, int], {}, {}, MUTABLE + "dict)"),
        (frozenset[int], {1}, {}, MUTABLE + "set)"),
        (tuple[list[int], ...], ([],), {}, MUTABLE + "tuple)"),
        (Json, {}, {}, MUTABLE + "dict)"),
        (Json, [1], {}, MUTABLE + "list)"),
        (int, Factory(str), {}, REFUSED + "an integer"),
        (int, Factory(fail), {}, "its default cannot be made: RuntimeError('not today')"),
        (int, 5, {"validator": validators.gt(10)}, REFUSED + "a value of more than 10"),
        (int, 5, {"validator": fail}, REFUSED + "a value that its validator accepts"),
        (int | None, None, {"validator": validators.gt(1)}, REFUSED + "a value of more than 1"),
        (int, 1, {"converter": str}, REFUSED + "an integer"),
        (int, "x", {"converter": int}, "its default cannot be made: ValueError("),
    ],
)
def test_a_default_that_its_field_would_refuse_is_refused(
    kind: Any, default: Any, options: Any, text: str
) -> None:
    with pytest.raises(tp.RegistryError) as caught:
        codec_of(message_of(kind, default, **options))
    assert text in str(caught.value)


class WithoutHash(enum.Enum):
    ONE = 1

    def __eq__(self, other: object) -> bool:
        return self is other

    __hash__ = None  # type: ignore[assignment]


@pytest.mark.parametrize(
    ("kind", "default", "options"),
    [
        (float, 1, {}),
        (Json, None, {}),
        (Color, Color.RED, {}),
        (WithoutHash, WithoutHash.ONE, {}),
        (Target, Target(host="a", port=1), {}),
        (list[int], Factory(list), {}),
        (dict[str, int], Factory(dict), {}),
        (frozenset[frozenset[int]], frozenset({frozenset({1})}), {}),
        (tuple[int, ...], [1, 2], {"converter": tuple}),
        (int, "5", {"converter": int}),
        (int, "5", {"converter": [str, int]}),
        (str, None, {"converter": attrs.converters.default_if_none("d")}),
        (int, 1, {"converter": attrs.Converter(lambda v, f: v, takes_field=True)}),
        (int, 1, {"converter": attrs.Converter(lambda v, s: v, takes_self=True)}),
        (int, Factory(lambda self: 1, takes_self=True), {}),
        (int | None, None, {"validator": validators.optional(validators.gt(1))}),
    ],
)
def test_a_default_that_fits_is_written_and_read_back(
    kind: Any, default: Any, options: Any
) -> None:
    cls = message_of(kind, default, **options)
    codec = codec_of(cls)
    assert codec.decode_server_message(codec.encode(cls())).payload == cls()


def test_a_validator_that_looks_at_other_fields_does_not_refuse_a_default() -> None:
    @frozen(kw_only=True)
    class M(tp.Response):
        another: int = 5
        v: int = field(default=5, validator=look_at_another_field)

    codec = codec_of(M)
    assert codec.decode_server_message(codec.encode(M())).payload == M()


@frozen(kw_only=True)
class WithList:
    items: list[int] = field(factory=list)


@frozen(kw_only=True)
class AroundList:
    inner: tuple[WithList, ...] = ()


@frozen(kw_only=True)
class HoldsItselfAndList:
    inner: "tuple[HoldsItselfAndList, ...]" = ()
    items: list[int] = field(factory=list)


@frozen(kw_only=True, hash=False)
class NoHash:
    number: int = 0


@frozen(kw_only=True)
class HoldsItself:
    inner: "frozenset[HoldsItself]" = frozenset()


@frozen(kw_only=True)
class OwnHash:
    items: list[int] = field(factory=list)

    def __hash__(self) -> int:
        return 1


@frozen(kw_only=True)
class ListOutsideTheHash:
    items: list[int] = field(factory=list, eq=False)


INSIDE: list[Callable[[Any], Any]] = [
    lambda kind: frozenset[kind],  # type: ignore[valid-type]
    lambda kind: frozenset[tuple[kind | None, ...]],  # type: ignore[valid-type]
    lambda kind: dict[str, tuple[frozenset[kind], ...]],  # type: ignore[valid-type]
    lambda kind: tuple[frozenset[frozenset[kind]], ...],  # type: ignore[valid-type]
]


@pytest.mark.parametrize("inside", INSIDE, ids=["set", "optional", "map", "nested"])
@pytest.mark.parametrize(
    ("kind", "culprit"),
    [
        (list[int], "a list"),
        (dict[str, int], "a dict"),
        (Json, "free JSON"),
        (WithList, "WithList, in which a list"),
        (AroundList, "AroundList, in which WithList, in which a list"),
        (HoldsItselfAndList, "HoldsItselfAndList, in which a list"),
        (NoHash, "NoHash"),
        (set[str], "set[str]"),
    ],
    ids=str,
)
def test_a_frozenset_of_what_has_no_hash_is_refused_at_any_depth(
    kind: Any, culprit: str, inside: Any
) -> None:
    category = tp.Category("x")
    category.scalar(set[str], wire=str, read=set, write="".join, expected="letters")
    category.response("m")(message_of(inside(kind)))
    with pytest.raises(tp.RegistryError) as caught:
        tp.Registry([category])
    text = f"a frozenset holds hashable items only, and {culprit} has no hash; use a tuple"
    assert str(caught.value).endswith(text)


@pytest.mark.parametrize(
    ("kind", "item"),
    [
        (HoldsItself, HoldsItself(inner=frozenset({HoldsItself()}))),
        (OwnHash, OwnHash(items=[1])),
        (ListOutsideTheHash, ListOutsideTheHash()),
        (frozenset[int], frozenset({1, 2})),
        (tuple[Color, ...], (Color.RED,)),
    ],
    ids=lambda value: str(value)[:20],
)
def test_a_frozenset_of_what_has_a_hash_is_written_and_read_back(kind: Any, item: Any) -> None:
    cls = message_of(frozenset[kind])
    codec = codec_of(cls)
    message = cls(v=frozenset({item}))
    assert codec.decode_server_message(codec.encode(message)).payload == message
