"""Ranges of numbers all hold, and aliases of types stand for what they name."""

# pyright: reportArgumentType=false, reportGeneralTypeIssues=false, reportOperatorIssue=false
# What is declared here is often what type checkers refuse, too.

import sys
from typing import Annotated, Any, NewType, Optional

import attrs
import pytest
from support.every_path import Declared, check_every_path
from support.one_field import codec_of, faults, message_of, read

import tachikoma_proto as tp
from tachikoma_proto import F32, U32, FloatRange, IntRange

PERCENT = IntRange("percent", 0, 100)
UNIT = FloatRange("unit", 1.0)


class OwnRange(IntRange):
    """A range of one's own."""


@pytest.mark.parametrize(
    ("kind", "accepted", "refused"),
    [
        (Annotated[U32, PERCENT], [0, 100], [-1, 101]),
        (Annotated[Annotated[int, PERCENT], IntRange("u32", 0, 2**32 - 1)], [0, 100], [-1, 101]),
        (Annotated[int, PERCENT, IntRange("upper", 50, 1000)], [50, 100], [49, 101]),
        (Annotated[int, IntRange("huge", -(2**70), 2**70)], [2**64 - 1], [2**64]),
        (Annotated[int, OwnRange("percent", 0, 100)], [100], [101]),
        (Annotated[NewType("Share", int), PERCENT], [100], [101]),
        (NewType("Share", Annotated[U32, PERCENT]), [100], [101]),
        (Annotated[F32, UNIT], [0.5, 0], [1.0, -1.0, 3.5e38]),
        (Annotated[float, FloatRange("all", float("inf"))], [1e308], []),
        (tuple[Annotated[int, PERCENT], ...], [(100,)], [(101,)]),
        (dict[str, Annotated[int, PERCENT]], [{"a": 100}], [{"a": 101}]),
        (Annotated[int, "a remark", PERCENT, "another"], [100], [101]),
    ],
    ids=str,
)
def test_every_range_of_an_annotation_holds(
    kind: Any, accepted: list[Any], refused: list[Any]
) -> None:
    cls = message_of(kind)
    codec = codec_of(cls)
    for value in accepted:
        assert codec.decode_server_message(codec.encode(cls(v=value))).payload == cls(v=value)
    for value in refused:
        wire = list(value) if isinstance(value, tuple) else value
        assert len(faults(cls, {"v": wire})) == 1
        with pytest.raises(tp.EncodeError):
            codec.encode(cls(v=value))


@pytest.mark.parametrize(
    "kind",
    [
        Annotated[int | None, PERCENT],
        Annotated[U32, PERCENT] | None,
        Optional[Annotated[U32, PERCENT]],  # noqa: UP045 - the older form
        Annotated[Annotated[int | None, IntRange("low", -5, 100)], IntRange("high", 0, 500)],
        Annotated[Optional[NewType("Share", int)], PERCENT],  # noqa: UP045
    ],
    ids=str,
)
def test_every_range_of_an_optional_field_holds(kind: Any) -> None:
    cls = message_of(kind, None)
    assert read(cls, {"v": 100}) == cls(v=100)
    assert read(cls, {}) == read(cls, {"v": None}) == cls()
    assert faults(cls, {"v": 101}) == [("$.payload.v", "an integer from 0 to 100")]
    with pytest.raises(tp.EncodeError, match="an integer from 0 to 100"):
        codec_of(cls).encode(cls(v=-1))


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        (Annotated[float, PERCENT], "the IntRange 'percent' is for int or int | None"),
        (Annotated[int, UNIT], "the FloatRange 'unit' is for float or float | None"),
        (Annotated[tuple[int, ...], PERCENT], "are marked inside: tuple[Annotated[int, …], ...]"),
        (Annotated[dict[str, int], PERCENT], "the IntRange 'percent' is for int"),
        (Annotated[bool, PERCENT], "the IntRange 'percent' is for int"),
        (Annotated[str, PERCENT], "the IntRange 'percent' is for int"),
        (Annotated[tp.Json, UNIT], "the FloatRange 'unit' is for float"),
        (Annotated[int, PERCENT, IntRange("more", 101, 200)], "no value is in the range 'more'"),
        (Annotated[float, FloatRange("none", 0.0)], "no value is in the range 'none'"),
        (Annotated[int, IntRange], "IntRange is a class; make an instance of it"),
        (Annotated[float, FloatRange], "FloatRange is a class; make an instance of it"),
    ],
    ids=str,
)
def test_a_range_that_cannot_hold_is_refused(kind: Any, text: str) -> None:
    with pytest.raises(tp.RegistryError) as caught:
        codec_of(message_of(kind))
    assert text in str(caught.value)


@pytest.mark.parametrize("bounds", [("0", "100"), (0.5, 10), (0, None), (False, True)], ids=str)
def test_the_bounds_of_an_integer_range_are_integers(bounds: Any) -> None:
    with pytest.raises(tp.RegistryError, match="the bounds of IntRange 'r' must be integers"):
        IntRange("r", *bounds)


@pytest.mark.parametrize("limit", ["1", None, True, float("nan")], ids=str)
def test_the_limit_of_a_float_range_is_a_number(limit: Any) -> None:
    with pytest.raises(tp.RegistryError, match="the limit of FloatRange 'r' must be a number"):
        FloatRange("r", limit)


MissionId = NewType("MissionId", str)


@pytest.mark.parametrize(
    ("kind", "wire", "value"),
    [
        (MissionId, "m", "m"),
        (NewType("Again", MissionId), "m", "m"),
        (NewType("Numbers", tuple[int, ...]), [1], (1,)),
        (NewType("Percent", Annotated[int, PERCENT]), 100, 100),
        (dict[MissionId, MissionId], {"m": "n"}, {"m": "n"}),
        (dict[NewType("Again", MissionId), int], {"m": 1}, {"m": 1}),  # type: ignore[misc]
        (dict[Annotated[str, "a remark"], int], {"m": 1}, {"m": 1}),
        (frozenset[MissionId], ["m"], frozenset({"m"})),
        (Annotated[MissionId, "a remark"], "m", "m"),
    ],
    ids=str,
)
def test_a_new_type_stands_for_what_it_names(kind: Any, wire: object, value: object) -> None:
    check_every_path(kind, [(wire, value)])


def test_a_key_that_is_a_scalar_is_refused_since_it_would_not_be_read_as_one() -> None:
    def declare(category: tp.Category) -> None:
        category.scalar(MissionId, wire=str, read=MissionId, write=str, expected="an id")

    with pytest.raises(tp.RegistryError, match=r"dict\[.*MissionId, int\] cannot be read"):
        Declared(dict[MissionId, int], declare)


needs_type_statements = pytest.mark.skipif(
    sys.version_info < (3, 12), reason="type statements came with Python 3.12"
)

ALIASES = """
from typing import Annotated, Literal, NewType
import enum
import tachikoma_proto as tp

class Color(enum.Enum):
    RED = "red"

type Name = str
type Percent = Annotated[int, tp.IntRange("percent", 0, 100)]
type Upper = Annotated[Percent, tp.IntRange("upper", 50, 1000)]
type Items[T] = tuple[T, ...]
type ByName[T] = dict[Name, T]
type Nested[T] = Items[ByName[T]]
type Unused[A, B] = dict[str, B]
type Swapped[A, B] = Items[dict[str, A]]
type Same[T] = T
type Paint = Color
type Later = Items["Color"]
type Text = "Name"
type Free = tp.Json
type Either = Literal["a", "b"]
Aliased = NewType("Aliased", Items[int])

type Tree = list[Tree]
type Here = There
type There = Here
type Nowhere = Missing
type Broken = enum.Nope
type Zero = 1 / 0
type Bare[T] = tuple[T, ...]
type Union = int | str
type Tags = set[str]
"""


def alias(text: str) -> tuple[Any, dict[str, Any]]:
    """Return an alias, and the module in which it is defined."""
    import types

    module = types.ModuleType("aliases_under_test")
    sys.modules[module.__name__] = module
    exec(ALIASES, vars(module))
    return eval(text, vars(module)), vars(module)


@needs_type_statements
@pytest.mark.parametrize(
    ("text", "wire", "value"),
    [
        ("Name", "a", "a"),
        ("Percent", 100, 100),
        ("Upper", 60, 60),
        ("Items[int]", [1], (1,)),
        ("ByName[int]", {"a": 1}, {"a": 1}),
        ("Nested[str]", [{"a": "b"}], ({"a": "b"},)),
        ("Unused[int, str]", {"a": "b"}, {"a": "b"}),
        ("Swapped[int, str]", [{"a": 1}], ({"a": 1},)),
        ("Same[int]", 1, 1),
        ("Text", "a", "a"),
        ("Free", {"a": [1]}, {"a": [1]}),
        ("Either", "a", "a"),
        ("Aliased", [1], (1,)),
        ("dict[Name, Name]", {"a": "b"}, {"a": "b"}),
    ],
)
def test_a_type_alias_stands_for_what_it_names(text: str, wire: object, value: object) -> None:
    kind, _ = alias(text)
    check_every_path(kind, [(wire, value)])


@needs_type_statements
def test_a_type_alias_of_a_class_stands_for_the_class() -> None:
    paint, names = alias("Paint")
    red = names["Color"].RED
    check_every_path(paint, [("red", red)])
    check_every_path(names["Later"], [(["red"], (red,))])


@needs_type_statements
def test_a_type_alias_may_be_a_scalar() -> None:
    from hypothesis import strategies as st

    tags, _ = alias("Tags")

    def declare(category: tp.Category) -> None:
        category.scalar(
            tags,
            wire=str,
            read=lambda text: set(text.split(",")),
            write=lambda items: ",".join(sorted(items)),
            expected="tags",
        )

    check_every_path(tags, [("a,b", {"a", "b"})], scalars=declare, types={tags: st.just({"a"})})


@needs_type_statements
@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("Tree", "Tree is an alias of itself, and has no end; use a frozen attrs class"),
        ("Here", "Here is an alias of itself, and has no end"),
        ("Nowhere", "the name 'Missing' in an annotation is not found; import it"),
        ("Broken", "an annotation cannot be evaluated: module 'enum' has no attribute 'Nope'"),
        ("Zero", "an annotation cannot be evaluated: division by zero"),
        ("Bare", "T cannot be read from the wire; use str"),
        ("Union", "is a union, and nothing on the wire tells its members apart"),
        ("Tags", "set[str] cannot be read from the wire; use str"),
    ],
)
def test_a_type_alias_of_what_has_no_place_on_the_wire_is_refused(text: str, said: str) -> None:
    kind, _ = alias(text)
    with pytest.raises(tp.RegistryError) as caught:
        codec_of(attrs.make_class("M", {"v": attrs.field(type=kind)}, (tp.Response,), frozen=True))
    assert said in str(caught.value)
    if text not in ("Tags", "Bare", "Tree"):  # those name classes, which may be scalars
        with pytest.raises(tp.RegistryError):
            tp.Category("x").scalar(kind, wire=str, read=str, write=str, expected="a value")
