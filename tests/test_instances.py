"""Instances made without the constructor are what the constructor makes."""

import copy
import pickle
import weakref
from typing import Any, ClassVar

import attrs
import pytest
from attrs import field, frozen
from hypothesis import given, strategies as st

import tachikoma_proto as tp
from tachikoma_proto.codec.converter.generated import Code
from tachikoma_proto.wire.instances import twin_of


def made(cls: type[Any], **fields: Any) -> Any:
    """Make an instance as generated code does."""
    code = Code()
    with code.block("def function(fields):"):
        code.construct(cls, "made", {name: f"fields[{name!r}]" for name in fields})
        code.add("return made")
    return code.function({})(fields)


@frozen(kw_only=True)
class Plain(tp.Event):
    name: str
    size: int = 0


@frozen(kw_only=True)
class Longer(Plain):
    more: str


@frozen(kw_only=True)
class OfItsOwn:
    """It has a slot for weak references behind its fields."""

    name: str


@pytest.mark.parametrize(
    ("cls", "fields"),
    [
        (Plain, {"name": "a", "size": 1}),
        (Longer, {"name": "a", "size": 1, "more": "b"}),
        (OfItsOwn, {"name": "a"}),
        (tp.OutgoingMessage, {"id": None, "type": "", "timestamp": 1, "payload": 2, "reply_to": 3}),
        (tp.AckResponse, {"success": True, "message": None}),
    ],
)
def test_it_is_no_different(cls: type[Any], fields: dict[str, Any]) -> None:
    assert twin_of(cls) is not None
    one, other = cls(**fields), made(cls, **fields)
    assert type(other) is cls
    assert one == other
    assert hash(one) == hash(other)
    assert repr(one) == repr(other)
    assert pickle.loads(pickle.dumps(other)) == copy.copy(other) == one
    assert attrs.evolve(other) == one
    assert weakref.ref(other)() == one
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        setattr(other, next(iter(fields)), None)
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        delattr(other, next(iter(fields)))


class Watching(tp.Event):
    """It wants to know who derives from it."""

    derived: ClassVar[list[str]] = []

    def __init_subclass__(cls, **_: Any) -> None:
        cls.derived.append(cls.__name__)


@frozen(kw_only=True, slots=False)
class Loose(tp.Event):
    name: str


@frozen(kw_only=True)
class Watched(Watching):
    name: str


@frozen(kw_only=True)
class Validated(tp.Event):
    name: str = field(validator=attrs.validators.instance_of(str))


@frozen(kw_only=True)
class Finished(tp.Event):
    name: str

    def __attrs_post_init__(self) -> None:
        assert self.name


@pytest.mark.parametrize("cls", [Loose, Watched, Validated, Finished])
def test_a_constructor_that_does_more_is_called(cls: type[Any]) -> None:
    before = list(Watching.derived)
    assert twin_of(cls) is None
    assert made(cls, name="a") == cls(name="a")
    assert Watching.derived == before


@given(st.text(), st.integers())
def test_any_value(name: str, size: int) -> None:
    assert made(Plain, name=name, size=size) == Plain(name=name, size=size)
