"""The hooks that are generated are no other than cattrs' own, which are the oracle here."""

from typing import Any

import pytest
from attrs import Factory, field, frozen
from cattrs import Converter
from hypothesis import given, strategies as st
from rig import SPECS, Checked, rig, types_in

import tachikoma_proto as tp
from tachikoma_proto.converter import make_converter
from tachikoma_proto.converter.mismatch import REFUSALS
from tachikoma_proto.specs import MessageSpec
from tachikoma_proto.testing import messages

odd = tp.Category("odd")


@frozen(kw_only=True)
class Inner:
    größe: int = 1
    of_itself: "Inner | None" = None


@odd.event('a "tag" {of} \\ its own')
@frozen(kw_only=True)
class Odd(tp.Event):
    """Fields whose names, or defaults, a generator could stumble over."""

    value: int
    made: str = "made"
    type: str = "it's"
    text: bool
    quote: "Inner"
    Mismatch: list[Inner] = field(factory=list)
    f0: tuple[float, ...] = (1.0,)
    v1: dict[str, tp.U32] = field(factory=dict)


@odd.response("odd_result")
@frozen(kw_only=True)
class OddResult(tp.Response):
    first: int | None = None
    depending: int = Factory(lambda self: 2 if self.first is None else 3, takes_self=True)


REGISTRY = tp.Registry([rig, odd])
ALL = [*SPECS, *(spec for spec in REGISTRY if spec.category == "odd")]
TYPES = {Checked: st.sampled_from([Checked(even=0), Checked(even=4)])}

VALUES: list[Any] = [None, True, 0, 1, -1, -0.0, 1.0, 2**32, 2**64, 10**400, "", "x", "a,b", "é"]
VALUES += [[], ["a"], {}, {"a": 1}, [1, "b"], "fast", "2026-01-02T03:04:05Z", "\ud800", [None]]
VALUES += ["67e55044-10b1-426f-9247-bb680e5fe0c8", "67E55044-10b1-426f-9247-bb680e5fe0c-", "a"]
VALUES += ["2026-01-02 03:04:05Z", float("inf"), float("nan"), [{}], {"größe": 2}]


def converters(*, forbid: bool) -> tuple[Converter, Converter]:
    """Make the converter as it is, and one that leaves all to cattrs."""
    made = make_converter(REGISTRY, forbid_unknown_fields=forbid)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tachikoma_proto.converter.records.can_generate", lambda _: False)
        oracle = make_converter(REGISTRY, forbid_unknown_fields=forbid)
        for cls in REGISTRY.records:
            oracle.get_structure_hook(cls)
    return made, oracle


CONVERTERS = {forbid: converters(forbid=forbid) for forbid in (False, True)}


def verdict(converter: Converter, value: Any, cls: type) -> Any:
    try:
        message: Any = converter.structure(value, cls)
    except REFUSALS:
        return "refused"
    return message, repr(message), types_in(message)


@pytest.mark.parametrize("spec", ALL, ids=lambda spec: spec.cls.__name__)
@given(data=st.data())
def test_messages_are_read_as_by_cattrs_own_code(spec: MessageSpec, data: st.DataObject) -> None:
    made, oracle = CONVERTERS[data.draw(st.booleans())]
    payload = made.unstructure(data.draw(messages(spec.cls, REGISTRY, types=TYPES)))
    names = [*payload, *(field.name for field in REGISTRY.records[spec.cls]), *spec.tags, "x"]
    for name in data.draw(st.lists(st.sampled_from(names), max_size=2)):
        if data.draw(st.booleans()):
            payload[name] = data.draw(st.sampled_from(VALUES))
        else:
            payload.pop(name, None)
    assert verdict(made, payload, spec.cls) == verdict(oracle, payload, spec.cls)


@pytest.mark.parametrize("value", VALUES)
def test_what_is_no_object_is_refused(value: Any) -> None:
    for made, oracle in CONVERTERS.values():
        for spec in ALL:
            assert verdict(made, value, spec.cls) == verdict(oracle, value, spec.cls)
