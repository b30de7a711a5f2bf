"""Fields, methods and nested classes named like builtins, under postponed annotations."""

from __future__ import annotations

import enum
from typing import Any

import pytest
from attrs import frozen

import tachikoma_proto as tp

category = tp.Category("names", topic="names")


@category.event("scalars")
@frozen(kw_only=True)
class Scalars(tp.Event):
    float: float
    int: tp.U32
    str: str
    bool: bool


@category.event("containers")
@frozen(kw_only=True)
class Containers(tp.Event):
    list: list[str]
    tuple: tuple[int, ...] = ()
    dict: dict[str, float] | None = None
    frozenset: frozenset[str] = frozenset()


@category.event("methods")
@frozen(kw_only=True)
class Methods(tp.Event):
    names: list[str]
    sizes: tuple[int, ...]

    def list(self) -> list[str]:
        return self.names

    @property
    def int(self) -> int:
        return len(self.sizes)


@category.event("nested")
@frozen(kw_only=True)
class Nested(tp.Event):
    class Status(enum.Enum):
        """A class nested in the message, to which its annotation refers."""

        ON = "on"
        OFF = "off"

    status: Status
    previous: tuple[Status, ...] = ()


@category.event("derived")
@frozen(kw_only=True)
class Derived(Scalars):
    type: str


@category.event("tree")
@frozen(kw_only=True)
class Tree(tp.Event):
    object: str
    set: tuple[Tree, ...] = ()


SCALARS: dict[str, Any] = {"float": 1.5, "int": 3, "str": "a", "bool": True}

EVENTS = [
    Scalars(**SCALARS),
    Containers(list=["b"], tuple=(1, 2), dict={"c": 0.5}, frozenset=frozenset({"d"})),
    Methods(names=["a"], sizes=(1,)),
    Nested(status=Nested.Status.ON, previous=(Nested.Status.OFF,)),
    Derived(**SCALARS, type="x"),
    Tree(object="a", set=(Tree(object="b"),)),
]


@pytest.mark.parametrize("accelerated", [False, None])
@pytest.mark.parametrize("event", EVENTS, ids=lambda event: type(event).__name__)
def test_a_message_with_names_of_builtins_comes_back(
    event: tp.Event, accelerated: bool | None
) -> None:
    codec = tp.Codec(tp.Registry([category]), accelerated=accelerated)
    assert codec.decode_server_message(codec.encode(event)).payload == event


@pytest.mark.parametrize(
    ("event", "field"),
    [(EVENTS[0], "float"), (EVENTS[0], "int"), (EVENTS[1], "list"), (EVENTS[1], "frozenset")],
    ids=["float", "int", "list", "frozenset"],
)
def test_its_fields_are_as_strict_as_any(event: tp.Event, field: str) -> None:
    codec = tp.Codec(tp.Registry([category]))
    payload = codec.unstructure(event) | {field: "wrong"}
    with pytest.raises(ValueError, match="expected"):
        codec.converter.structure(payload, type(event))
