"""Names of definitions, and descriptions: stable, and different from each other."""

import enum
from decimal import Decimal
from typing import Any, Literal
from uuid import UUID

import attrs
import pytest
from attrs import frozen, validators

import tachikoma_proto as tp
from tachikoma_proto import Category, Registry, schema


def definitions(*categories: Category) -> dict[str, Any]:
    found: dict[str, Any] = schema.json_schema(Registry(categories))["$defs"]
    return found


def event(name: str, **fields: Any) -> Any:
    return attrs.make_class(name, fields, bases=(tp.Event,), frozen=True, kw_only=True, slots=True)


def category(name: str, *classes: Any) -> Category:
    made = Category(name)
    for number, cls in enumerate(classes):
        made.event(f"e{number}")(cls)
    return made


def test_classes_of_one_name_have_their_category_before_it() -> None:
    found = definitions(category("first", event("Started")), category("sec-ond", event("Started")))
    assert {"FirstStarted", "FirstStartedFrame", "SecOndStarted", "SecOndStartedFrame"} <= {*found}
    assert "Started" not in found


def test_what_is_built_in_keeps_its_name_beside_an_equal_one() -> None:
    found = definitions(category("backup", event("MissionStarted")))
    assert found["MissionStarted"]["properties"]["category"] == {"const": "mission"}
    assert found["BackupMissionStarted"]["properties"]["category"] == {"const": "backup"}
    assert "BackupMissionStartedFrame" in found


def test_classes_of_one_name_in_one_category_are_numbered() -> None:
    found = definitions(category("x", event("A"), event("A")))
    assert {"XA", "XA2"} <= {*found}


@pytest.mark.parametrize("name", ["ClientMessage", "uuid", "StartMissionFrame", "Größe"])
def test_a_class_may_have_any_name(name: str) -> None:
    found = definitions(category("x", event(name)))
    assert {"const": "x"} in [one.get("properties", {}).get("category") for one in found.values()]
    assert found["ClientMessage"]["description"] == "Any frame from a client."
    assert found["StartMissionFrame"]["properties"]["type"] == {"const": "mission_start"}


def test_what_is_installed_beside_a_category_does_not_rename_the_built_in_definitions() -> None:
    before = definitions()
    after = definitions(category("x", event("A"), event("MissionFailed")))
    for name in before:
        if name not in ("ServerMessage", "UnknownEventFrame"):
            assert after[name] == before[name]


def test_a_deprecated_message_says_what_to_use() -> None:
    made = Category("x")
    made.event("e", deprecated="use begun")(event("Started"))
    made.command("c", deprecated="use d")(
        attrs.make_class("C", {}, bases=(tp.Command[tp.AckResponse],), frozen=True)
    )
    made.response("r", deprecated="use s")(
        attrs.make_class("R", {}, bases=(tp.Response,), frozen=True)
    )
    found = definitions(made)
    for name, advice in (("Started", "use begun"), ("C", "use d"), ("R", "use s")):
        assert found[name]["deprecated"] is True
        assert found[f"{name}Frame"]["deprecated"] is True
        assert f"Deprecated: {advice}." in found[name]["description"]


def test_a_deprecated_message_is_read_and_written_without_a_warning() -> None:
    made = Category("x")
    cls = made.event("e", deprecated="use begun")(event("Started"))
    codec = tp.Codec(Registry([made]))
    assert codec.decode_server_message(codec.encode(cls())).payload == cls()


class Level(enum.IntEnum):
    """How loud.

    Attributes:
        LOW: Not very.
    """

    LOW = 1
    HIGH = 2


@frozen(kw_only=True)
class Node:
    name: str = attrs.field(validator=[validators.min_len(1), validators.max_len(9)])
    children: "tuple[Node, ...]" = ()


@frozen(kw_only=True)
class Bounded(tp.Event):
    """Of every kind.

    Attributes:
        percent: From nothing
            to all.
        level: A :class:`Level` such as ``1``.
    """

    percent: tp.U32 = attrs.field(validator=validators.and_(validators.gt(0), validators.le(100)))
    share: float = attrs.field(validator=[validators.ge(0.0), validators.lt(1.0)])
    code: str = attrs.field(validator=validators.matches_re("[A-Z]{3}"))
    word: str = attrs.field(validator=validators.matches_re(r"\w+"))
    stage: str = attrs.field(validator=validators.in_({"b", "a"}))
    tags: frozenset[str] = attrs.field(
        validator=validators.deep_iterable(validators.min_len(2), validators.max_len(3))
    )
    level: Level = Level.LOW
    price: Decimal | None = None
    root: Node | None = None
    names: dict[str, int | None] = attrs.field(factory=dict)


def bounded() -> dict[str, Any]:
    made = Category("x")
    made.scalar(Decimal)
    made.event("bounded")(Bounded)
    return definitions(made)


def test_bounds_of_validators_are_in_the_schema_where_it_can_say_them() -> None:
    properties = bounded()["Bounded"]["properties"]
    assert properties["percent"] | {"minimum": 1, "maximum": 100} == properties["percent"]
    assert properties["share"] == {"type": "number", "minimum": 0.0, "exclusiveMaximum": 1.0}
    assert properties["code"] == {"type": "string", "pattern": "^(?:[A-Z]{3})$"}
    assert properties["word"] == {"type": "string"}  # \w is Unicode's in Python alone
    assert properties["stage"] == {"type": "string", "enum": ["a", "b"]}
    assert properties["tags"]["uniqueItems"] is True
    assert (
        bounded()["Node"]["properties"]["name"] | {"minLength": 1, "maxLength": 9}
        == (bounded()["Node"]["properties"]["name"])
    )


def test_every_kind_of_field_has_a_schema() -> None:
    found = bounded()
    properties = found["Bounded"]["properties"]
    assert found["Bounded"]["description"] == "Of every kind."
    assert properties["percent"]["description"] == "From nothing to all."
    assert properties["level"]["description"] == "A `Level` such as `1`."
    assert properties["level"]["default"] == 1
    assert found["Level"] == {
        "title": "Level",
        "description": "How loud.",
        "type": "integer",
        "enum": [1, 2],
    }
    assert found["Decimal"]["examples"] == ["12.5"]
    assert found["Node"]["properties"]["children"]["items"] == {"$ref": "#/$defs/Node"}
    assert found["Node"]["properties"]["children"]["default"] == []
    assert properties["names"]["default"] == {}
    assert {"type": "null"} in properties["names"]["additionalProperties"]["anyOf"]


def test_a_secret_is_marked_as_one_that_is_only_written() -> None:
    assert definitions()["Authenticate"]["properties"]["token"]["writeOnly"] is True


def test_the_default_of_a_secret_is_not_told() -> None:
    made = Category("x")

    @made.event("e")
    @frozen(kw_only=True)
    class E(tp.Event):
        token: str = tp.secret(default="hunter2")

    registry = Registry([made])
    for text in (str(schema.json_schema(registry)), schema.markdown(registry)):
        assert "hunter2" not in text


class Wire(enum.Enum):
    ON = "on"
    OFF = "off"


@pytest.mark.parametrize(
    ("wire", "expected"),
    [
        (Wire, {"$ref": "#/$defs/Wire"}),
        (tp.U32, {"type": "integer", "minimum": 0, "maximum": 2**32 - 1}),
        (UUID, {"$ref": "#/$defs/uuid"}),
        (tp.Json, {}),
        (Literal["a"], {"type": "string", "enum": ["a"]}),
    ],
)
def test_a_scalar_may_stand_as_any_scalar_of_the_wire(wire: Any, expected: Any) -> None:
    made = Category("x")
    made.scalar(complex, wire=wire, read=complex, write=str, expected="a complex number")
    made.event("e")(event("E", v=attrs.field(type=complex)))
    registry = Registry([made])
    found = schema.json_schema(registry)["$defs"]["complex"]
    about = {"title": "complex", "description": "A complex number."}
    assert found == about | expected
    assert "export type complex = " in schema.typescript(registry)
    assert schema.asyncapi(registry)["components"]["schemas"]["complex"]
