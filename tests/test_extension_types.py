"""What a field of an extension may be: each kind of type, taken strictly, refused with its place.

One message class is made for each type, with the one field ``v``, and read and written by a codec
of its own. Then what is refused when a registry is built, with the text that says what to do.
"""

import enum
import json
import typing
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from fractions import Fraction
from ipaddress import IPv4Address
from typing import Annotated, Any, ClassVar, Literal, NewType
from uuid import UUID

import attrs
import pytest
from attrs import frozen

import tachikoma_proto as tp
from tachikoma_proto import F32, U32, U64, Category, Codec, Json, Registry

ID = "0190b5a4-7c3e-7d52-8f0a-1b2c3d4e5f60"
TIME = "2026-01-02T03:04:05Z"
ANY_UUID = UUID(ID)


class Color(enum.Enum):
    RED = "red"
    BLUE = "blue"


class Size(enum.StrEnum):
    SMALL = "small"
    LARGE = "large"


class OldSize(str, enum.Enum):  # noqa: UP042 - what is written in many code bases
    SMALL = "small"
    LARGE = "large"


class Level(enum.IntEnum):
    LOW = 1
    HIGH = 2


class Access(enum.Flag):
    READ = 1
    WRITE = 2


class Mixed(enum.Enum):
    ONE = 1
    TWO = "two"


@frozen(kw_only=True)
class Target:
    host: str
    port: U32
    weight: F32 = 1.0
    note: str | None = None


@frozen(kw_only=True)
class Tree:
    name: str
    children: "tuple[Tree, ...]" = ()


def scalars(category: Category) -> None:
    category.scalar(Decimal, wire=str, read=Decimal, write=str, expected="a decimal")
    category.scalar(IPv4Address, wire=str, read=IPv4Address, write=str, expected="an IPv4 address")
    category.scalar(
        timedelta,
        wire=int,
        read=lambda seconds: timedelta(seconds=seconds),
        write=lambda span: span // timedelta(seconds=1),
        expected="a time span in seconds",
    )


def message_of(kind: Any, default: Any = attrs.NOTHING, **options: Any) -> Any:
    field = attrs.field(type=kind, default=default, **options)
    return attrs.make_class("M", {"v": field}, bases=(tp.Response,), frozen=True, kw_only=True)


def codec_of(cls: Any) -> Codec:
    category = Category("x")
    scalars(category)
    category.response("m")(cls)
    return Codec(Registry([category]))


def frame(payload: object) -> str:
    return json.dumps({"id": ID, "type": "m", "timestamp": TIME, "payload": payload})


def read(cls: Any, payload: object) -> Any:
    return codec_of(cls).decode_server_message(frame(payload)).payload


def faults(cls: Any, payload: object) -> list[tuple[str, str]]:
    with pytest.raises(tp.InvalidMessageError) as caught:
        codec_of(cls).decode_server_message(frame(payload))
    return [(fault.path, fault.expected) for fault in caught.value.errors]


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
def test_a_value_is_taken_and_comes_back(kind: Any, wire: object, value: object) -> None:
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
def test_a_value_is_refused_with_its_place(
    kind: Any, wire: object, place: str, expected: str
) -> None:
    assert faults(message_of(kind), {"v": wire}) == [("$.payload.v" + place, expected)]


def test_a_required_field_that_is_missing() -> None:
    assert faults(message_of(U32), {}) == [("$.payload.v", f"{A_U32}; the field is missing")]


def test_all_faults_are_told_wherever_they_are() -> None:
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


def test_a_default_stands_for_what_is_missing_and_is_written() -> None:
    cls = message_of(Size, Size.LARGE)
    assert read(cls, {}) == cls(v=Size.LARGE)
    assert json.loads(codec_of(cls).encode(cls()))["payload"] == {"v": "large"}
    assert faults(cls, {"v": None}) == [("$.payload.v", 'one of "small", "large"')]


def test_a_class_variable_is_no_field() -> None:
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


@pytest.mark.parametrize(
    ("validator", "value"), [(refuse, 7), (look_up, 7), (divide, 0)], ids=["own", "key", "zero"]
)
def test_a_validator_refuses_without_showing_the_value(validator: Any, value: int) -> None:
    cls = message_of(int, validator=validator)
    assert faults(cls, {"v": value}) == [("$.payload", "a valid M")]


def test_what_a_scalar_reads_is_never_shown() -> None:
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
    (Json, {"a": float("inf")}, "", "a finite number"),
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
def test_what_a_peer_could_not_read_is_not_written(
    kind: Any, value: object, place: str, expected: str
) -> None:
    cls = message_of(kind)
    with pytest.raises(tp.EncodeError) as caught:
        codec_of(cls).encode(cls(v=value))
    assert [(f.path, f.expected) for f in caught.value.errors] == [
        ("$.payload.v" + place, expected)
    ]


def test_times_of_any_zone_are_the_same_instant() -> None:
    cls = message_of(datetime)
    east = datetime(2026, 1, 2, 4, 4, 5, tzinfo=timezone(timedelta(hours=1)))
    assert json.loads(codec_of(cls).encode(cls(v=east)))["payload"] == {"v": TIME}


# What is refused when a registry is built.


class Mutable:
    """Not attrs at all."""


@attrs.define
class Thawed:
    """Attrs, and not frozen."""

    a: int = 0


class FloatEnum(enum.Enum):
    HALF = 0.5


class EmptyEnum(enum.Enum):
    """Without members."""


Name = NewType("Name", str)

NO_SHAPE = "cannot be read from the wire; use str, bool, int, float, U32, U64, F32, UUID, "
NOT_TOLD_APART = "is a union, and nothing on the wire tells its members apart"
NO_LITERAL = "an enum or a literal must be of strings or integers"


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        (bytes, f"M.v: bytes {NO_SHAPE}"),
        (object, f"M.v: object {NO_SHAPE}"),
        (complex, f"M.v: complex {NO_SHAPE}"),
        (Fraction, f"M.v: Fraction {NO_SHAPE}"),
        (Mutable, f"M.v: Mutable {NO_SHAPE}"),
        (Name, f"Name {NO_SHAPE}"),
        (set[str], f"M.v: set[str] {NO_SHAPE}"),
        (Sequence[str], f"M.v: collections.abc.Sequence[str] {NO_SHAPE}"),
        (Mapping[str, int], f"M.v: collections.abc.Mapping[str, int] {NO_SHAPE}"),
        (list, f"M.v: list {NO_SHAPE}"),
        (dict, f"M.v: dict {NO_SHAPE}"),
        (typing.List, f"M.v: typing.List {NO_SHAPE}"),  # noqa: UP006 - bare, in older style
        (typing.Dict, f"M.v: typing.Dict {NO_SHAPE}"),  # noqa: UP006
        (frozenset[list[int]], "M.v: a frozenset holds hashable items only; use a tuple"),
        (frozenset[tuple[Json, ...]], "M.v: a frozenset holds hashable items only"),
        (tuple[int, str], f"M.v: tuple[int, str] {NO_SHAPE}"),
        (dict[int, str], f"M.v: dict[int, str] {NO_SHAPE}"),
        (dict[str, tuple[bytes, ...]], f"M.v: bytes {NO_SHAPE}"),
        (None, f"M.v: None {NO_SHAPE}"),
        (int | str, f"M.v: int | str {NOT_TOLD_APART}"),
        (tuple[int | str | None, ...], f"M.v: int | str | None {NOT_TOLD_APART}"),
        (FloatEnum, f"M.v: {NO_LITERAL}"),
        (EmptyEnum, f"M.v: {NO_LITERAL}"),
        (Literal[True], f"M.v: {NO_LITERAL}"),
        (Literal[None], f"M.v: {NO_LITERAL}"),
        (Thawed, "Thawed is not a frozen attrs class: decorate it with @attrs.frozen"),
        (tuple[Thawed, ...], "Thawed is not a frozen attrs class: decorate it with @attrs.frozen"),
        ("Nowhere", "the name 'Nowhere' in an annotation is not found; import it, or define it"),
        ("enum.Nope", "M: an annotation cannot be evaluated: module 'enum' has no attribute"),
        ("int |", "M: an annotation cannot be evaluated: "),
        (str | None, "M.v: None is not written, so what is left out must be None again"),
    ],
    ids=lambda value: ascii(value)[:40],
)
def test_a_type_that_has_no_place_on_the_wire(kind: Any, text: str) -> None:
    with pytest.raises(tp.RegistryError) as caught:
        codec_of(message_of(kind))
    assert text in str(caught.value)


@pytest.mark.parametrize("default", [attrs.NOTHING, "x", attrs.Factory(str)], ids=repr)
def test_an_optional_field_has_the_default_none(default: Any) -> None:
    with pytest.raises(tp.RegistryError, match="give the optional field the default None"):
        codec_of(message_of(str | None, default))


@pytest.mark.parametrize("options", [{"init": False}, {"alias": "w"}], ids=repr)
def test_a_field_goes_by_one_name(options: dict[str, Any]) -> None:
    with pytest.raises(tp.RegistryError, match="it takes no init=False, no alias"):
        codec_of(message_of(str, "x", **options))


def test_a_private_field_has_two_names() -> None:
    @frozen(kw_only=True)
    class M(tp.Response):
        _v: int

    with pytest.raises(tp.RegistryError, match=r"M\._v: .* no leading underscore"):
        codec_of(M)


@pytest.mark.parametrize("name", ["category", "event"])
def test_a_field_named_as_a_tag(name: str) -> None:
    category = Category("x")
    fields = {name: attrs.field(type=str)}
    cls = attrs.make_class("E", fields, bases=(tp.Event,), frozen=True, kw_only=True)
    category.event("happened")(cls)
    with pytest.raises(tp.RegistryError, match=f"E.{name}: the payload's '{name}' is the tag"):
        Registry([category])


def test_a_response_has_no_tag_to_be_named_as() -> None:
    @frozen(kw_only=True)
    class M(tp.Response):
        category: str
        command: str

    assert read(M, {"category": "a", "command": "b"}) == M(category="a", command="b")


@frozen(kw_only=True)
class Done(tp.Response):
    ok: bool = True


def command() -> Any:
    return attrs.make_class("C", [], bases=(tp.Command[Done],), frozen=True, kw_only=True)


def test_a_message_is_a_frozen_attrs_class() -> None:
    category = Category("x")
    for cls in (
        attrs.make_class("C", [], bases=(tp.Command,)),
        type("C", (tp.Command,), {}),
        type("C", (command(),), {}),
    ):
        with pytest.raises(tp.RegistryError) as caught:
            category.command("c")(cls)
        assert "command 'c' of category 'x': " in str(caught.value)
        assert "put @attrs.frozen(kw_only=True) between it and this decorator" in str(caught.value)


def test_a_message_is_of_the_kind_that_it_is_declared_as() -> None:
    category = Category("x")
    with pytest.raises(tp.RegistryError, match="is not a class derived from Event"):
        category.event("e")(command())
    with pytest.raises(tp.RegistryError, match="is not a class derived from Command"):
        category.command("c")(Done)  # type: ignore[type-var]
    with pytest.raises(tp.RegistryError, match="are printable, and not empty"):
        category.command("")(command())


def test_a_message_type_that_is_taken_names_both_owners() -> None:
    category = Category("x")
    cls = command()
    category.command("mission_start")(cls)
    with pytest.raises(tp.RegistryError) as caught:
        Registry([category])
    text = str(caught.value)
    assert text.startswith("message type 'mission_start' is declared twice: by ")
    assert "StartMission (category 'mission' of tachikoma_proto)" in text
    assert f"{cls.__module__}.C (category 'x' of " in text


def test_a_tag_that_is_taken() -> None:
    category = Category("x")
    category.command("one", tag="same")(command())
    category.command("two", tag="same")(command())
    with pytest.raises(tp.RegistryError, match=r"command x\.same is declared twice: by "):
        Registry([category])


def test_a_category_that_is_taken() -> None:
    with pytest.raises(tp.RegistryError, match="category 'mission' is declared twice: by "):
        Registry([Category("mission")])


def test_a_class_that_is_taken() -> None:
    category = Category("x")
    category.response("mine")(tp.AckResponse)
    with pytest.raises(tp.RegistryError, match=r"class .*AckResponse is declared twice: by "):
        Registry([category])


def test_a_scalar_that_is_taken() -> None:
    categories = [Category("x"), Category("y")]
    for category in categories:
        scalars(category)
    with pytest.raises(tp.RegistryError, match="scalar Decimal is declared twice: by "):
        Registry(categories)


@pytest.mark.parametrize("kind", [str, datetime, Target], ids=lambda kind: kind.__name__)
def test_a_scalar_that_the_library_reads_already(kind: type) -> None:
    with pytest.raises(tp.RegistryError, match=f"{kind.__name__} is read and written already"):
        Category("x").scalar(kind, wire=str, read=kind, write=str, expected="a value")


def test_a_scalar_stands_for_a_scalar_of_the_wire() -> None:
    with pytest.raises(tp.RegistryError, match=r"scalar Fraction: .*list.* is no scalar of the"):
        Category("x").scalar(Fraction, wire=list, read=len, write=list, expected="a value")  # type: ignore[arg-type]


def test_a_message_type_of_events_is_for_events() -> None:
    category = Category("x")
    category.response("event.mission")(Done)
    with pytest.raises(tp.RegistryError, match=r"declare it with Category\.event"):
        Registry([category])


def test_what_comes_after_a_registry_is_built_comes_too_late() -> None:
    category = Category("x")
    Registry([category])
    with pytest.raises(tp.RegistryError, match=r"comes too late: .* make a category of your own"):
        category.command("late")(command())
    with pytest.raises(tp.RegistryError, match="scalar Decimal of category 'x' comes too late"):
        scalars(category)


def test_a_name_is_plain() -> None:
    for name in ("", "a b", "a/b", "é", "-"):
        with pytest.raises(tp.RegistryError, match="is not a name"):
            Category(name)
        with pytest.raises(tp.RegistryError, match="is not a name"):
            Category("x", topic=name)
    with pytest.raises(tp.RegistryError, match="has a key but no topic"):
        Category("x", key="id")
