"""What is refused when a registry is built or before, and what is said to do instead."""

import enum
import typing
from collections.abc import Mapping, Sequence
from datetime import datetime
from fractions import Fraction
from typing import Annotated, Any, Literal, NewType

import attrs
import pytest
from attrs import frozen
from cattrs import override
from support.one_field import (
    Target,
    codec_of,
    frame,
    message_of,
    read,
    scalars,
)

import tachikoma_proto as tp
from tachikoma_proto import Category, Json, Registry


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


Name = NewType("Name", complex)

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
        (Name, f"complex {NO_SHAPE}"),
        (set[str], f"M.v: set[str] {NO_SHAPE}"),
        (Sequence[str], f"M.v: collections.abc.Sequence[str] {NO_SHAPE}"),
        (Mapping[str, int], f"M.v: collections.abc.Mapping[str, int] {NO_SHAPE}"),
        (list, f"M.v: list {NO_SHAPE}"),
        (dict, f"M.v: dict {NO_SHAPE}"),
        (typing.List, f"M.v: typing.List {NO_SHAPE}"),  # noqa: UP006 - bare, in older style
        (typing.Dict, f"M.v: typing.Dict {NO_SHAPE}"),  # noqa: UP006
        (
            frozenset[list[int]],
            "M.v: a frozenset holds hashable items only, and a list has no hash; use a tuple",
        ),
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
def test_an_unsupported_field_type_is_refused(kind: Any, text: str) -> None:
    with pytest.raises(tp.RegistryError) as caught:
        codec_of(message_of(kind))
    assert text in str(caught.value)


@pytest.mark.parametrize("default", [attrs.NOTHING, "x", attrs.Factory(str)], ids=repr)
def test_an_optional_field_without_the_default_none_is_refused(default: Any) -> None:
    with pytest.raises(tp.RegistryError, match="give the optional field the default None"):
        codec_of(message_of(str | None, default))


@pytest.mark.parametrize("options", [{"init": False}, {"alias": "w"}], ids=repr)
def test_a_field_with_an_alias_or_without_init_is_refused(options: dict[str, Any]) -> None:
    with pytest.raises(tp.RegistryError, match="it takes no init=False, no alias"):
        codec_of(message_of(str, "x", **options))


def test_a_private_field_is_refused() -> None:
    @frozen(kw_only=True)
    class M(tp.Response):
        _v: int

    with pytest.raises(tp.RegistryError, match=r"M\._v: .* no leading underscore"):
        codec_of(M)


@pytest.mark.parametrize("name", ["category", "event"])
def test_a_field_named_like_a_tag_is_refused(name: str) -> None:
    category = Category("x")
    fields = {name: attrs.field(type=str)}
    cls = attrs.make_class("E", fields, bases=(tp.Event,), frozen=True, kw_only=True)
    category.event("happened")(cls)
    with pytest.raises(tp.RegistryError, match=f"E.{name}: the payload's '{name}' is the tag"):
        Registry([category])


def test_a_response_may_have_fields_named_like_tags() -> None:
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


def test_a_message_that_is_no_frozen_attrs_class_is_refused() -> None:
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


def test_a_message_of_another_kind_than_declared_is_refused() -> None:
    category = Category("x")
    with pytest.raises(tp.RegistryError, match="is not a class derived from Event"):
        category.event("e")(command())
    with pytest.raises(tp.RegistryError, match="is not a class derived from Command"):
        category.command("c")(Done)  # type: ignore[type-var]
    with pytest.raises(tp.RegistryError, match="are printable, and not empty"):
        category.command("")(command())


def test_a_repeated_message_type_is_refused_with_both_owners() -> None:
    category = Category("x")
    cls = command()
    category.command("mission_start")(cls)
    with pytest.raises(tp.RegistryError) as caught:
        Registry([category])
    text = str(caught.value)
    assert text.startswith("message type 'mission_start' is declared twice: by ")
    assert "StartMission (category 'mission' of tachikoma_proto)" in text
    assert f"{cls.__module__}.C (category 'x' of " in text


def test_a_repeated_tag_is_refused() -> None:
    category = Category("x")
    category.command("one", tag="same")(command())
    category.command("two", tag="same")(command())
    with pytest.raises(tp.RegistryError, match=r"command x\.same is declared twice: by "):
        Registry([category])


def test_a_repeated_category_is_refused() -> None:
    with pytest.raises(tp.RegistryError, match="category 'mission' is declared twice: by "):
        Registry([Category("mission")])


def test_a_class_declared_twice_is_refused() -> None:
    category = Category("x")
    category.response("mine")(tp.AckResponse)
    with pytest.raises(tp.RegistryError, match=r"class .*AckResponse is declared twice: by "):
        Registry([category])


def test_a_scalar_declared_twice_is_refused() -> None:
    categories = [Category("x"), Category("y")]
    for category in categories:
        scalars(category)
    with pytest.raises(tp.RegistryError, match="scalar Decimal is declared twice: by "):
        Registry(categories)


@pytest.mark.parametrize("kind", [str, datetime, Target], ids=lambda kind: kind.__name__)
def test_a_scalar_for_a_built_in_type_is_refused(kind: type) -> None:
    with pytest.raises(
        tp.RegistryError, match=f"scalar {kind.__name__} .* is read and written already"
    ):
        Category("x").scalar(kind, wire=str, read=kind, write=str, expected="a value")


def test_a_scalar_whose_wire_type_is_no_scalar_is_refused() -> None:
    with pytest.raises(tp.RegistryError, match=r"scalar Fraction .*list.* is no scalar of the"):
        Category("x").scalar(Fraction, wire=list, read=len, write=list, expected="a value")  # type: ignore[arg-type]


def test_annotated_marks_must_be_hashable_and_rename_nothing() -> None:
    with pytest.raises(tp.RegistryError, match="the marks of an Annotated must be hashable"):
        codec_of(message_of(Annotated[int, {"doc": "a number"}]))
    renaming = message_of(Annotated[int, override(rename="w")])
    for accelerated in (False, None):
        codec = tp.Codec(codec_of(renaming).registry, accelerated=accelerated)
        for _ in range(20):
            assert codec.decode_server_message(frame({"v": 1})).payload == renaming(v=1)
        with pytest.raises(tp.InvalidMessageError, match=r"\$\.payload\.v"):
            codec.decode_server_message(frame({"w": 1}))


def test_a_class_with_its_own_constructor_is_refused() -> None:
    @attrs.define(frozen=True, init=False)
    class Own(tp.Event):
        v: int

    category = Category("x")
    category.event("e")(Own)
    with pytest.raises(tp.RegistryError, match="has a constructor of its own"):
        Registry([category])


def test_a_response_with_the_message_type_of_an_event_is_refused() -> None:
    category = Category("x")
    category.response("event.mission")(Done)
    with pytest.raises(tp.RegistryError, match=r"use Category\.event"):
        Registry([category])


def test_a_declaration_after_a_registry_is_built_is_refused() -> None:
    category = Category("x")
    Registry([category])
    with pytest.raises(tp.RegistryError, match=r"comes too late: .* make a category of your own"):
        category.command("late")(command())
    with pytest.raises(tp.RegistryError, match="scalar Decimal of category 'x' comes too late"):
        scalars(category)


def test_a_category_with_an_invalid_name_or_topic_is_refused() -> None:
    for name in ("", "a b", "a/b", "é", "-"):
        with pytest.raises(tp.RegistryError, match="is not a name"):
            Category(name)
        with pytest.raises(tp.RegistryError, match="is not a name"):
            Category("x", topic=name)
    with pytest.raises(tp.RegistryError, match="has a key but no topic"):
        Category("x", key="id")


@pytest.mark.parametrize("advice", ["", 1, "\ud800", True])
def test_a_deprecation_that_is_no_text_is_refused(advice: Any) -> None:
    category = Category("x")
    for decorator in (
        category.command("c", deprecated=advice),
        category.event("e", deprecated=advice),
        category.response("r", deprecated=advice),
    ):
        cls: Any = attrs.make_class("M", {}, bases=(tp.Ping, tp.Response), frozen=True)
        with pytest.raises(tp.RegistryError, match="deprecated says what to use instead"):
            decorator(cls)


@pytest.mark.parametrize(
    "schema",
    [[], "string", True, {"minimum": float("nan")}, {1: 2}, {"$ref": "#"}, {"x": object()}],
)
def test_the_schema_of_a_scalar_is_keywords_that_can_be_written_as_json(schema: Any) -> None:
    with pytest.raises(tp.RegistryError, match="its schema is not"):
        Category("x").scalar(
            complex, wire=str, read=complex, write=str, expected="a complex number", schema=schema
        )
