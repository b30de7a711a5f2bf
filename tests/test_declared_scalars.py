"""Scalars of a category: what may stand in an annotation works, or is refused in ``scalar()``."""

# pyright: reportArgumentType=false, reportGeneralTypeIssues=false, reportOperatorIssue=false
# What is declared here is often what type checkers refuse, too.

import collections.abc
import enum
import json
import logging
import re
import struct
from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from pathlib import PurePosixPath
from typing import (
    Annotated,
    Any,
    Generic,
    Literal,
    NamedTuple,
    NewType,
    Optional,
    Protocol,
    TypedDict,
    TypeVar,
    runtime_checkable,
)
from uuid import UUID

import attrs
import pytest
from attrs import frozen
from cattrs import Converter
from cattrs.preconf.json import make_converter as make_json_converter
from hypothesis import strategies as st
from support.every_path import Declared, check_every_path
from support.one_field import frame

import tachikoma_proto as tp
from tachikoma_proto.codec.converter import configure_converter

T = TypeVar("T")
MissionId = NewType("MissionId", str)
Numbers = NewType("Numbers", tuple[int, ...])


class Box(Generic[T]):
    def __init__(self, held: T) -> None:
        self.held = held

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Box) and self.held == other.held

    def __hash__(self) -> int:
        return hash(self.held)


class Pair(NamedTuple):
    first: int
    second: int


class Label(str):
    """A class that derives from one of the wire's."""

    __slots__ = ()


class Ratio(enum.Enum):
    HALF = 0.5


class Sized(Protocol):
    size: int


@runtime_checkable
class Closable(Protocol):
    def close(self) -> None: ...


class Settings(TypedDict):
    size: int


class NoInstances(type):
    def __instancecheck__(cls, instance: object) -> bool:
        raise TypeError("nothing is told")


class Untold(metaclass=NoInstances):
    """isinstance() fails for it."""


def joined(items: collections.abc.Iterable[object]) -> str:
    return ",".join(sorted(str(item) for item in items))


def integers(text: str) -> list[int]:
    return [int(part) for part in text.split(",")]


@pytest.mark.parametrize(
    ("kind", "wire", "read", "write", "text", "value"),
    [
        (set[str], str, lambda text: set(text.split(",")), joined, "a,b", {"a", "b"}),
        (list[int], str, integers, joined, "1,2", [1, 2]),
        (tuple[int, str], str, lambda text: (int(text[0]), text[1:]), "{0[0]}{0[1]}".format, "1a",
         (1, "a")),
        (collections.abc.Sequence[str], str, lambda text: text.split(","), joined, "a", ["a"]),
        (collections.abc.Mapping[str, int], str, json.loads, json.dumps, "{}", {}),
        (MissionId, str, MissionId, str, "m", "m"),
        (Numbers, str, lambda text: tuple(integers(text)), joined, "1,2", (1, 2)),
        (Box[int], int, Box, lambda box: box.held, 1, Box(1)),
        (Box, int, Box, lambda box: box.held, 1, Box(1)),
        (Pair, str, lambda text: Pair(*integers(text)), joined, "1,2", Pair(1, 2)),
        (Label, str, Label, str, "a", Label("a")),
        (Ratio, float, Ratio, lambda member: member.value, 0.5, Ratio.HALF),
        (bytes, str, bytes.fromhex, bytes.hex, "6162", b"ab"),
        (re.Pattern, str, re.compile, lambda pattern: pattern.pattern, "a+", re.compile("a+")),
        (re.Pattern[str], str, re.compile, lambda pattern: pattern.pattern, "a", re.compile("a")),
        (PurePosixPath, str, PurePosixPath, str, "a/b", PurePosixPath("a/b")),
        (time, str, time.fromisoformat, time.isoformat, "01:00:00", time(1)),
        (timezone, int, lambda minutes: timezone(timedelta(minutes=minutes)),
         lambda zone: zone.utcoffset(None) // timedelta(minutes=1), 90,
         timezone(timedelta(minutes=90))),
        (Label, UUID, Label, UUID, "0190b5a4-7c3e-7d52-8f0a-1b2c3d4e5f60",
         Label("0190b5a4-7c3e-7d52-8f0a-1b2c3d4e5f60")),
        (Label, Literal["a"], Label, str, "a", Label("a")),
        (Label, NewType("Text", str), Label, str, "a", Label("a")),
        (Box[int], Annotated[int, tp.IntRange("percent", 0, 100)], Box, lambda box: box.held, 7,
         Box(7)),
        (Pair, tp.Json, lambda items: Pair(*items), list, [1, 2], Pair(1, 2)),
    ],
    ids=lambda value: str(value)[:30] if isinstance(value, type) else "",
)  # fmt: skip
def test_whatever_stands_in_an_annotation_may_be_a_scalar(
    kind: Any, wire: Any, read: Any, write: Any, text: object, value: object
) -> None:
    def declare(category: tp.Category) -> None:
        category.scalar(kind, wire=wire, read=read, write=write, expected="a value of its own")

    check_every_path(kind, [(text, value)], scalars=declare, types={kind: st.just(value)})


NO_CLASS = "a scalar is a class, or a NewType or an alias of one, such as set[str]"
NO_INSTANCES = "isinstance() cannot tell its values"


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        (Optional[Pair], NO_CLASS),  # noqa: UP045 - the older form
        (int | str, NO_CLASS),
        (Literal["a"], NO_CLASS),
        (Annotated[str, "a version"], NO_CLASS),
        (tp.U32, NO_CLASS),
        (T, NO_CLASS),
        (None, NO_CLASS),
        (type(None), NO_CLASS),
        ("Pair", NO_CLASS),
        ([], NO_CLASS),
        (NewType("Either", int | str), NO_CLASS),
        (Sized, NO_INSTANCES),
        (Settings, NO_INSTANCES),
        (Untold, NO_INSTANCES),
        (NewType("Anything", Any), NO_INSTANCES),
        (str, "is read and written already"),
        (Any, "is read and written already"),
        (tp.AckResponse, "is read and written already"),
    ],
    ids=str,
)
def test_what_cannot_be_a_scalar_is_refused_when_it_is_declared(kind: Any, text: str) -> None:
    with pytest.raises(tp.RegistryError) as caught:
        tp.Category("x").scalar(kind, wire=str, read=str, write=str, expected="a value")
    assert text in str(caught.value)


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({}, "say how it is read and written: wire, read, write"),
        ({"wire": str, "write": str}, "read and write are functions, and both are needed"),
        ({"wire": str, "read": str}, "read and write are functions, and both are needed"),
        ({"wire": str, "read": "str", "write": str}, "read and write are functions"),
        ({"read": str, "write": str}, "None is no scalar of the wire; use str, bool, int"),
        ({"wire": "str", "read": str, "write": str}, "'str' is no scalar of the wire"),
        ({"wire": list[str], "read": str, "write": str}, "list[str] is no scalar of the wire"),
        ({"wire": str | None, "read": str, "write": str}, "str | None is no scalar of the wire"),
        ({"wire": Decimal, "read": str, "write": str}, "Decimal is no scalar of the wire"),
    ],
    ids=str,
)
def test_a_scalar_says_how_it_is_read_and_written(options: Any, text: str) -> None:
    with pytest.raises(tp.RegistryError) as caught:
        tp.Category("x").scalar(Pair, **options)
    assert str(caught.value).startswith("scalar Pair of category 'x': ")
    assert text in str(caught.value)


def fail(error: BaseException) -> Callable[[object], Any]:
    def read_or_write(_: object) -> Any:
        raise error

    return read_or_write


def matched(text: str) -> bytes:
    return re.match("(6+)", text).group(1).encode()  # type: ignore[union-attr] # the usual mistake


def unpacked(text: str) -> bytes:
    return bytes(struct.unpack(">I", text.encode()))


@pytest.mark.parametrize(
    ("read", "write", "is_logged"),
    [
        (matched, lambda value: value.no_such_attribute, False),
        (unpacked, fail(struct.error("secret value")), True),
        (fail(RuntimeError("secret value")), fail(RuntimeError("secret value")), True),
        (fail(OSError("secret value")), fail(OSError("secret value")), True),
        (fail(StopIteration("secret value")), fail(StopIteration("secret value")), True),
        (fail(KeyError("secret value")), fail(KeyError("secret value")), False),
    ],
    ids=["attribute", "struct", "runtime", "os", "stop", "key"],
)
def test_whatever_a_scalar_raises_refuses_the_value_and_mistakes_are_logged(
    read: Any, write: Any, is_logged: bool, caplog: pytest.LogCaptureFixture
) -> None:
    def declare(category: tp.Category) -> None:
        category.scalar(bytes, wire=str, read=read, write=write, expected="some bytes")

    declared = Declared(bytes, declare)
    for codec in declared.codecs:
        with pytest.raises(tp.InvalidMessageError, match=r"^\$\.v: expected some bytes$"):
            codec.structure_command("tried_try", {"v": "secret value"})
        with pytest.raises(tp.EncodeError, match=r"^\$\.payload\.v: expected some bytes$"):
            codec.encode(declared.response(v=b"secret value"))
    records = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert bool(records) is is_logged
    assert "secret value" not in caplog.text
    assert all("what reads bytes raised" in caplog.text for _ in records)


def test_a_value_without_a_hash_is_refused_where_its_class_has_one() -> None:
    def declare(category: tp.Category) -> None:
        category.scalar(object, wire=tp.Json, read=lambda value: value, write=str, expected="all")

    declared = Declared(frozenset[object], declare)
    for codec in declared.codecs:
        with pytest.raises(tp.InvalidMessageError, match="an array of items that have a hash"):
            codec.structure_command("tried_try", {"v": [{}]})
        assert codec.structure_command("tried_try", {"v": ["a"]}).v == {"a"}  # type: ignore[attr-defined]


class Version:
    """Declared as a scalar in what follows."""

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self)

    __hash__ = object.__hash__


@frozen(kw_only=True)
class Release(Version):
    number: int


@frozen(kw_only=True)
class LaterRelease(Release):
    note: str = ""


@frozen(kw_only=True)
class Named(Label):  # type: ignore[override]
    number: int

    def __new__(cls, **_: Any) -> "Named":
        return str.__new__(cls, "named")


@frozen(kw_only=True, slots=False)
class Amount(Decimal):  # type: ignore[override]
    number: int

    def __new__(cls, **_: Any) -> "Amount":
        return Decimal.__new__(cls, "1")


@frozen(kw_only=True, slots=False)
class Page(dict[str, int]):
    number: int


def version(category: tp.Category) -> None:
    category.scalar(
        Version, wire=str, read=lambda _: Version(), write=lambda _: "1.0", expected="a version"
    )


def label(category: tp.Category) -> None:
    category.scalar(Label, wire=str, read=Label, write=str, expected="a label")


def decimal(category: tp.Category) -> None:
    category.scalar(Decimal)


def anything(category: tp.Category) -> None:
    category.scalar(object, wire=str, read=str, write=str, expected="anything")


@pytest.mark.parametrize(
    ("kind", "wire", "value", "declare"),
    [
        (Release, {"number": 1}, Release(number=1), version),
        (LaterRelease, {"number": 1, "note": "a"}, LaterRelease(number=1, note="a"), version),
        (Named, {"number": 1}, Named(number=1), label),
        (Named, {"number": 1}, Named(number=1), None),
        (Amount, {"number": 1}, Amount(number=1), decimal),
        (Page, {"number": 1}, Page(number=1), None),
        (Release, {"number": 1}, Release(number=1), anything),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_a_record_that_derives_from_a_scalar_is_read_by_its_own_fields(
    kind: Any, wire: Any, value: Any, declare: Any
) -> None:
    check_every_path(kind, [(wire, value)], scalars=declare)


def test_a_scalar_and_a_record_that_derives_from_it_stand_in_one_message() -> None:
    @frozen(kw_only=True)
    class Both(tp.Response):
        version: Version
        release: Release
        releases: tuple[Release, ...]

    category = tp.Category("x")
    version(category)
    category.response("m")(Both)
    for accelerated in (False, None):
        codec = tp.Codec(tp.Registry([category]), accelerated=accelerated)
        payload = {"version": "1.0", "release": {"number": 1}, "releases": [{"number": 2}]}
        message = codec.decode_server_message(frame(payload))
        both = message.payload
        assert isinstance(both, Both)
        assert type(both.version) is Version
        assert (both.release, both.releases) == (Release(number=1), (Release(number=2),))
        assert json.loads(codec.encode_message(message))["payload"] == payload


class Shade(enum.StrEnum):
    DARK = "dark"


class Weight(enum.IntEnum):
    BOLD = 1


@frozen
class Mine:
    """A user's own class, with fields of types that are not the wire's beside a message."""

    shade: Shade
    weight: Weight
    label: Label
    answer: tp.AckResponse


@pytest.mark.parametrize("make", [Converter, make_json_converter, None])
def test_subclasses_of_the_types_of_the_wire_keep_their_hooks_in_classes_of_ones_own(
    make: Callable[[], Converter] | None,
) -> None:
    converter = tp.Codec().converter if make is None else make()
    if make is not None:
        configure_converter(converter, tp.Registry())
    wire = {"shade": "dark", "weight": 1, "label": "a", "answer": {"success": True}}
    mine = converter.structure(wire, Mine)
    assert mine == Mine(Shade.DARK, Weight.BOLD, Label("a"), tp.AckResponse.ok())
    assert [type(value) for value in attrs.astuple(mine, recurse=False)][:3] == [
        Shade,
        Weight,
        Label,
    ]
    assert converter.unstructure(mine) == wire


def test_a_converter_that_has_hooks_for_times_already_takes_those_of_the_wire() -> None:
    @frozen(kw_only=True)
    class Dated(tp.Response):
        day: date
        at: datetime

    category = tp.Category("x")
    category.scalar(date)
    category.response("m")(Dated)
    converter = make_json_converter()
    configure_converter(converter, tp.Registry([category]))
    dated = Dated(day=date(2026, 1, 2), at=datetime(2026, 1, 2, tzinfo=UTC))
    wire = {"day": "2026-01-02", "at": "2026-01-02T00:00:00Z"}
    assert converter.unstructure(dated) == wire
    assert converter.structure(wire, Dated) == dated
    with pytest.raises(Exception, match="structuring Dated"):
        converter.structure({**wire, "day": "20260102"}, Dated)


def test_a_key_that_is_an_enum_and_a_scalar_goes_by_what_the_wire_says() -> None:
    category = tp.Category("deploy", topic="deploys", key="ratio")
    category.scalar(
        Ratio,
        wire=str,
        read=lambda name: Ratio[name.upper()],
        write=lambda member: member.name.lower(),
        expected="a ratio",
    )

    @category.event("started")
    @frozen(kw_only=True)
    class Started(tp.Event):
        ratio: Ratio

    from tachikoma_proto.registry.topic_keys import key_reader

    registry = tp.Registry([category])
    (field,) = registry.records[Started]
    read_key = key_reader(field)
    assert read_key is not None
    assert read_key(Started(ratio=Ratio.HALF)) == "half"
