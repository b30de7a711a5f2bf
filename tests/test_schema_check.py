"""The comparison of schemas: whom a change breaks, as the guide on versions says."""

import enum
from typing import Any, Literal
from uuid import UUID

import attrs
import pytest
from attrs import frozen, validators

import tachikoma_proto as tp
from tachikoma_proto import Category, Registry
from tachikoma_proto.schema import Mode, check, json_schema

MODES: tuple[Mode, ...] = ("read", "write")
CLIENTS, SERVERS, CAPTURES = "old clients", "old servers", "stored captures"


def made(base: Any, fields: dict[str, Any]) -> Any:
    made = {
        name: one if isinstance(one, type(attrs.field())) else attrs.field(type=one)
        for name, one in fields.items()
    }
    return attrs.make_class("M", made, bases=(base,), frozen=True, kw_only=True, slots=True)


def field(kind: Any, **options: Any) -> Any:
    return attrs.field(type=kind, **options)


def document(mode: Mode, sender: str, fields: dict[str, Any]) -> dict[str, Any]:
    category = Category("x")
    if sender == "client":
        category.command("do")(made(tp.Command[tp.AckResponse], fields))
    else:
        category.event("done")(made(tp.Event, fields))
    return json_schema(Registry([category]), mode=mode)


class Before(enum.Enum):
    A = "a"


class After(enum.Enum):
    A = "a"
    B = "b"


@frozen(kw_only=True)
class Small:
    host: str


@frozen(kw_only=True)
class Large:
    host: str
    port: tp.U32


@frozen(kw_only=True)
class Tree:
    name: str
    children: "tuple[Tree, ...]" = ()


FROM_OLD, FROM_NEW, NEVER, BOTH = "from old", "from new", "never", "both"

# The fields before and after, and in which direction what is sent does not fit what is read.
CHANGES: dict[str, tuple[dict[str, Any], dict[str, Any], str]] = {
    "nothing": ({"a": str}, {"a": str}, NEVER),
    "an optional field more": ({}, {"a": field(str | None, default=None)}, NEVER),
    "a field with a default more": ({}, {"a": field(int, default=1)}, NEVER),
    "a required field more": ({}, {"a": str}, FROM_OLD),
    "a required field less": ({"a": str}, {}, FROM_NEW),
    "an optional field less": ({"a": field(str | None, default=None)}, {}, NEVER),
    "a field that becomes optional": ({"a": str}, {"a": field(str | None, default=None)}, FROM_NEW),
    "a field that becomes required": ({"a": field(str | None, default=None)}, {"a": str}, FROM_OLD),
    "another type": ({"a": str}, {"a": int}, BOTH),
    "an integer that becomes a number": ({"a": int}, {"a": float}, FROM_NEW),
    "a wider range": ({"a": tp.U32}, {"a": tp.U64}, FROM_NEW),
    "a narrower range": ({"a": tp.U64}, {"a": tp.U32}, FROM_OLD),
    "a member of an enum more": ({"a": Before}, {"a": After}, FROM_NEW),
    "a member of an enum less": ({"a": After}, {"a": Before}, FROM_OLD),
    "another enum of the same values": ({"a": Before}, {"a": Literal["a"]}, NEVER),
    "an enum that becomes text": ({"a": Before}, {"a": str}, FROM_NEW),
    "a value in an array that may be null": (
        {"a": tuple[str, ...]},
        {"a": tuple[str | None, ...]},
        FROM_NEW,
    ),
    "a required field in a record": ({"a": Small}, {"a": Large}, FROM_OLD),
    "a required field in a record in a map": (
        {"a": dict[str, Small]},
        {"a": dict[str, Large]},
        FROM_OLD,
    ),
    "an array that becomes a set": ({"a": tuple[str, ...]}, {"a": frozenset[str]}, FROM_OLD),
    "a map that becomes an array": ({"a": dict[str, int]}, {"a": tuple[int, ...]}, BOTH),
    "a record that holds itself": ({"a": Tree}, {"a": Tree}, NEVER),
    "any JSON that becomes text": ({"a": tp.Json}, {"a": str}, FROM_OLD),
    "text that becomes any JSON": ({"a": str}, {"a": tp.Json}, FROM_NEW),
    "a length that is limited": (
        {"a": str},
        {"a": field(str, validator=validators.max_len(9))},
        FROM_OLD,
    ),
    "a pattern more": (
        {"a": str},
        {"a": field(str, validator=validators.matches_re("[a-z]+"))},
        FROM_OLD,
    ),
    "a range of numbers": (
        {"a": float},
        {"a": field(float, validator=validators.ge(0.0))},
        FROM_OLD,
    ),
    "one of the texts": ({"a": Before}, {"a": field(str, validator=validators.in_({"a"}))}, NEVER),
    "whole numbers of an enum": ({"a": Literal[1]}, {"a": tp.U32}, FROM_NEW),
    "a UUID that becomes text": ({"a": UUID}, {"a": str}, FROM_NEW),
}


@pytest.mark.parametrize("mode", ["read", "write"])
@pytest.mark.parametrize("sender", ["client", "server"])
@pytest.mark.parametrize("change", CHANGES)
def test_a_change_breaks_whom_the_guide_says(change: str, sender: str, mode: Mode) -> None:
    before, after, direction = CHANGES[change]
    found = check(document(mode, sender, before), document(mode, sender, after))
    from_old = {CLIENTS if sender == "client" else SERVERS, CAPTURES}
    from_new = {SERVERS if sender == "client" else CLIENTS}
    expected = {FROM_OLD: from_old, FROM_NEW: from_new, NEVER: set(), BOTH: from_old | from_new}
    assert {whom for one in found for whom in one.breaks} == expected[direction]
    assert all(one.path.startswith("$.payload.a") for one in found)


def registry(**options: Any) -> Registry:
    category = Category("x")
    if options.get("command", True):
        reply: Any = options.get("reply", tp.AckResponse)
        category.command("do", tag=options.get("tag", "do"))(made(tp.Command[reply], {}))
    if options.get("event", True):
        category.event("done")(made(tp.Event, {}))
    return Registry([category])


@pytest.mark.parametrize(
    ("options", "breaks"),
    [
        ({"command": False}, {CLIENTS, CAPTURES}),
        ({"event": False}, {CLIENTS, CAPTURES}),
        ({"tag": "other"}, {CLIENTS, SERVERS, CAPTURES}),
        ({"reply": tp.PongResponse}, {CLIENTS, SERVERS}),
        ({}, set()),
    ],
)
def test_what_is_removed_or_answered_otherwise(options: Any, breaks: set[str]) -> None:
    found = check(json_schema(registry()), json_schema(registry(**options)))
    assert {whom for one in found for whom in one.breaks} == breaks


def test_what_is_added_breaks_nobody() -> None:
    for mode in MODES:
        assert not check(json_schema(Registry(), mode), json_schema(registry(), mode))


def test_other_documents_are_refused() -> None:
    ours = json_schema(Registry())
    for other in ({}, {"$comment": "mode: read"}, {"$comment": "mode: read", "$defs": {}}):
        with pytest.raises(ValueError, match="no JSON Schema that the library made"):
            check(other, ours)
    with pytest.raises(ValueError, match="different modes"):
        check(json_schema(Registry(), "write"), ours)


def test_registries_are_compared_as_their_schemas_are() -> None:
    smaller, larger = registry(event=False), registry()
    for mode in MODES:
        assert not check(smaller, json_schema(larger, mode))
        assert check(json_schema(larger, mode), smaller) == check(
            larger, json_schema(smaller, mode)
        )
    assert [one.message for one in check(larger, smaller)] == ["x.done"]
