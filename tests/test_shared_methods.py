"""What messages share instead of having it generated is what attrs would have generated."""

import copy
import math
from typing import Any
from uuid import UUID

import attrs
import pytest
from attrs import field

import tachikoma_proto as tp
from tachikoma_proto.declare.field_types import masked
from tachikoma_proto.declare.frozen import frozen

MISSION = UUID("67e55044-10b1-426f-9247-bb680e5fe0c8")


def declare(decorate: Any) -> Any:
    @decorate(kw_only=True)
    class Sample:
        a: Any = None
        hidden: Any = field(default=None, repr=False)
        token: Any = field(default="t", repr=masked)
        note: Any = field(default=None, eq=False)
        extra: Any = field(default=None, hash=False)

        class Inner:
            pass

    return Sample


SHARED, GENERATED = declare(frozen), declare(attrs.frozen)

VALUES: list[dict[str, Any]] = [
    {},
    {"a": 1},
    {"a": 1.0, "hidden": 2},
    {"a": math.nan},
    {"a": "x", "token": "secret"},
    {"a": "x", "token": "secret", "note": 1},
    {"a": "x", "extra": [1]},
    {"a": (1, ("y", None))},
]


def test_the_methods_are_shared_and_not_generated() -> None:
    for name in ("__eq__", "__hash__", "__repr__", "__getstate__", "__setstate__"):
        assert getattr(tp.MissionProgress, name) is getattr(tp.AckResponse, name)
        assert getattr(SHARED, name) is not getattr(GENERATED, name)


@pytest.mark.parametrize("first", VALUES, ids=str)
@pytest.mark.parametrize("second", VALUES, ids=str)
def test_equality_and_hashes_are_those_that_attrs_generates(
    first: dict[str, Any], second: dict[str, Any]
) -> None:
    one, other = SHARED(**first), SHARED(**second)
    is_equal = GENERATED(**first) == GENERATED(**second)
    assert (one == other) is is_equal
    assert (one != other) is not is_equal
    if is_equal:
        assert hash(one) == hash(other)


@pytest.mark.parametrize("values", VALUES, ids=str)
def test_a_repr_is_that_which_attrs_generates(values: dict[str, Any]) -> None:
    assert repr(SHARED(**values)) == repr(GENERATED(**values))


@pytest.mark.parametrize("values", VALUES, ids=str)
def test_the_state_is_that_which_attrs_generates(values: dict[str, Any]) -> None:
    value = SHARED(**values)
    assert value.__getstate__() == GENERATED(**values).__getstate__()
    assert copy.copy(value) == value or math.isnan(value.a)
    assert repr(copy.deepcopy(value)) == repr(value)


def test_a_field_that_a_state_lacks_stays_unset() -> None:
    for cls in (SHARED, GENERATED):
        value = cls.__new__(cls)
        value.__setstate__({"a": 1, "gone": 2})
        assert value.a == 1
        assert not hasattr(value, "note")


def test_a_value_that_holds_itself_has_a_repr() -> None:
    reprs = []
    for cls in (SHARED, GENERATED):
        holds: list[Any] = []
        held = cls(a=holds)
        holds.append(held)
        reprs.append(repr(held))
    assert reprs[0] == reprs[1]
    assert "..." in reprs[0]


def test_classes_of_equal_fields_are_not_equal() -> None:
    start: tp.Command[Any] = tp.StartMission(mission_id=MISSION)
    cancel: tp.Command[Any] = tp.CancelMission(mission_id=MISSION)
    assert start != cancel
    assert len({start, cancel, tp.StartMission(mission_id=MISSION)}) == 2
    assert start.__eq__(cancel) is NotImplemented

    @attrs.frozen(kw_only=True)
    class Urgent(tp.StartMission):
        why: str = "late"

    assert Urgent(mission_id=MISSION) != start
    assert Urgent(mission_id=MISSION) != Urgent(mission_id=MISSION, why="soon")
    assert "why='late'" in repr(Urgent(mission_id=MISSION))


def test_what_has_no_hash_has_none() -> None:
    error = tp.ErrorResponse.not_found("mission").with_details([1])
    with pytest.raises(TypeError, match="unhashable"):
        hash(error)


def test_a_method_of_the_class_itself_stays() -> None:
    @frozen
    class Own:
        a: int

        def __repr__(self) -> str:
            return "own"

        def __eq__(self, other: object) -> bool:
            return isinstance(other, Own)

        __hash__ = None  # type: ignore[assignment]

    assert repr(Own(1)) == "own"
    assert Own(1) == Own(2)
    with pytest.raises(TypeError, match="unhashable"):
        hash(Own(1))
