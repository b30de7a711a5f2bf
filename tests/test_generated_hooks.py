"""The hooks that are generated are no other than cattrs' own, which are the oracle here."""

import enum
import json
import math
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Annotated, Any
from uuid import UUID

import attrs
import pytest
from attrs import Factory, field, frozen
from cattrs import Converter
from hypothesis import given, strategies as st
from one_field import Target, Tree, message_of
from rig import SPECS, BuildRig, Checked, Part, RigBuilt, RigLost, rig, types_in

import tachikoma_proto as tp
from tachikoma_proto.converter import make_converter
from tachikoma_proto.converter.mismatch import REFUSALS, Mismatch
from tachikoma_proto.converter.record_text import JsonText, configure_text
from tachikoma_proto.shapes import Array, Leaf, Record, depth_of
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
    configure_text(made, REGISTRY)
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
    return repr(message), types_in(message)  # NaN is equal to nothing


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


class Text(str):
    """Text, and yet not exactly."""

    def __repr__(self) -> str:
        return "?"


class Count(enum.IntEnum):
    ONE = 1


TYPED: list[Any] = [*VALUES, Text("x"), Count.ONE, UUID(int=1), ("a",), (1,), 3, 2.5, 1e300, 1e16]
TYPED += [datetime(2026, 1, 2), datetime(2026, 1, 2, tzinfo=UTC), {"a": {"b": [None]}}]
TYPED += [Inner(), Inner(größe=-1), '\x00\x7f"\u2028\\']


def text_of(write: Callable[[Any], str], message: Any) -> str:
    try:
        return write(message)
    except REFUSALS:
        return "null"


@pytest.mark.parametrize("spec", ALL, ids=lambda spec: spec.cls.__name__)
@given(data=st.data())
def test_the_text_of_a_message_is_that_of_its_builtins(
    spec: MessageSpec, data: st.DataObject
) -> None:
    converter = CONVERTERS[False][0]

    def expected(message: Any) -> str:
        builtins = converter.unstructure(message, spec.cls)
        return json.dumps(builtins, ensure_ascii=False, separators=(",", ":"))

    message = data.draw(messages(spec.cls, REGISTRY, types=TYPES))
    names = [field.name for field in REGISTRY.records[spec.cls]]
    for name in data.draw(st.lists(st.sampled_from(names), max_size=2) if names else st.just([])):
        object.__setattr__(message, name, data.draw(st.sampled_from(TYPED)))
    text = text_of(converter.get_unstructure_hook(JsonText(spec.cls)), message)
    # cattrs puts optional members last.
    assert sorted(text) == sorted(text_of(expected, message))
    assert json.loads(text) == json.loads(text_of(expected, message))


def test_members_are_written_in_the_order_of_the_contract() -> None:
    message = BuildRig(
        rig_id=UUID(int=1), main=Part(name="", made=datetime(2026, 1, 2, tzinfo=UTC)), parts=()
    )
    text = CONVERTERS[False][0].get_unstructure_hook(JsonText(BuildRig))(message)
    names = ["category", "command", *(field.name for field in REGISTRY.records[BuildRig])]
    assert list(json.loads(text)) == [name for name in names if f'"{name}":' in text]


def test_text_is_refused_for_what_is_of_another_class() -> None:
    hook = CONVERTERS[False][0].get_unstructure_hook(JsonText(tp.Ping))
    assert hook(tp.Ping()) == '{"category":"session","command":"ping"}'
    with pytest.raises(Mismatch, match="an instance of Ping"):
        hook(tp.AckResponse.ok())


@pytest.mark.parametrize(
    ("cls", "depth"),
    [
        (tp.Ping, 1),
        (tp.Subscribe, 3),
        (tp.SubscriptionListResponse, 2),
        (Part, 2),
        (RigBuilt, 3),
        (RigLost, 2),
        (BuildRig, math.inf),  # free JSON
        (tp.ErrorResponse, math.inf),
        (Inner, math.inf),  # it holds itself
        (Odd, math.inf),
    ],
)
def test_how_deep_a_message_may_be_nested(cls: type, depth: float) -> None:
    assert depth_of(Record(cls), REGISTRY.records, REGISTRY.scalars) == depth
    assert depth_of(Array(tuple, Leaf(Part, "part")), REGISTRY.records, {Part}) == math.inf


def test_text_that_is_nested_too_deep_is_refused() -> None:
    codec = tp.Codec(REGISTRY, accelerated=False)
    nested: tp.Json = None
    for _ in range(126):
        nested = [nested]
        error = tp.ErrorResponse(code="x", message="", details=nested)
        assert json.loads(codec.encode(error))["payload"]["details"] == nested
    for too_deep in ([nested], {"a": [[[nested]]]}):
        with pytest.raises(tp.EncodeError, match="levels"):
            codec.encode(tp.ErrorResponse(code="x", message="", details=too_deep))


class TestClassesThatHoldThemselves:
    """They are written as strictly as others; what cattrs falls back to is not."""

    @pytest.mark.parametrize("children", ["1.2.3", 7, (Target(host="h", port=1),)])
    @pytest.mark.parametrize("accelerated", [False, True])
    def test_are_checked_when_they_are_written(self, children: Any, accelerated: bool) -> None:
        if accelerated:
            pytest.importorskip("msgspec")
        tree = Tree(name="a", children=children)
        for cls, value in ((message_of(Tree), tree), (message_of(tuple[Tree, ...]), (tree,))):
            category = tp.Category("x")
            category.response("m")(cls)
            codec = tp.Codec(tp.Registry([category]), accelerated=accelerated)
            codec.encode(cls(v=Tree(name="a") if value is tree else ()))
            with pytest.raises(tp.EncodeError, match=r"^\$\.payload\.v.*children") as caught:
                codec.encode(cls(v=value))
            assert caught.value.errors

    def test_may_be_many_and_hold_one_another(self) -> None:
        """The first message of each takes no longer for it."""
        nodes: list[Any] = []
        for number in range(12):
            fields = {
                f"f{i}": attrs.field(type=node | None, default=None) for i, node in enumerate(nodes)
            }
            fields["v"] = attrs.field(type=int, default=0)
            nodes.append(attrs.make_class(f"Node{number}", fields, frozen=True, kw_only=True))
        cls = message_of(nodes[-1])
        visited = 0

        class Counted(dict[type, Any]):
            def __getitem__(self, key: type) -> Any:
                nonlocal visited
                visited += 1
                return super().__getitem__(key)

        category = tp.Category("x")
        category.response("m")(cls)
        records = Counted(tp.Registry([category]).records)
        assert depth_of(Record(cls), records, ()) == 1 + len(nodes)
        assert visited < 20 * len(nodes)


@pytest.mark.parametrize("accelerated", [False, None])
def test_bounds_of_a_field_need_not_be_numbers_that_python_can_spell(
    accelerated: bool | None,
) -> None:
    unbounded = tp.IntRange("any", -math.inf, math.inf)  # type: ignore[arg-type]
    cls = message_of(Annotated[int, unbounded])
    category = tp.Category("x")
    category.response("m")(cls)
    codec = tp.Codec(tp.Registry([category]), accelerated=accelerated)
    for number in (0, -5, 2**70):
        text = codec.encode(cls(v=number))
        assert codec.decode_server_message(text).payload == cls(v=number)


def test_what_is_kept_and_is_no_object_is_refused() -> None:
    kept = tp.UnknownMessage(type="x", members=3)  # type: ignore[arg-type]
    with pytest.raises(tp.EncodeError, match="members that are a JSON object"):
        tp.Codec(accelerated=False).encode(kept)
