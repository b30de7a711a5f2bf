"""JSON Schema: it accepts what the codec accepts, and what is written fits it."""

import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote, unquote

import pytest
from hypothesis import HealthCheck, given, settings, strategies as st
from jsonschema import Draft202012Validator
from support.conformance import IDS, VECTORS, read
from support.frames import ID, NOW
from support.schemas import (
    EXAMPLE,
    NOT_JSON,
    REGISTRIES,
    TYPES,
    document,
    parsed,
    validators,
    values,
)

import tachikoma_proto as tp
from tachikoma_proto import schema
from tachikoma_proto.declare.declarations import MessageDeclaration, Sender
from tachikoma_proto.schema import Mode
from tachikoma_proto.schema.names import Names
from tachikoma_proto.testing.strategies import envelopes_of

DEPLOY_VECTORS = [
    json.loads(line)
    for line in (EXAMPLE / "tests" / "vectors.jsonl").read_text(encoding="utf-8").splitlines()
]
ROOTS = {Sender.CLIENT: "ClientMessage", Sender.SERVER: "ServerMessage"}
MODES: tuple[Mode, ...] = ("read", "write")
DECLARATIONS = [
    pytest.param(name, one, id=f"{name}-{one.owner}-{one.kind.value}")
    for name, registry in REGISTRIES.items()
    for one in registry
    if name == "built-in" or one.category in ("deploy", "odd-one")
]


def has_repeated_key(frame: str) -> bool:
    found = False

    def pairs(members: list[tuple[str, Any]]) -> dict[str, Any]:
        nonlocal found
        found |= len(dict(members)) < len(members)
        return dict(members)

    json.loads(frame, object_pairs_hook=pairs)
    return found


def depth(value: Any) -> int:
    inner = value.values() if isinstance(value, dict) else value
    if not isinstance(value, (dict, list)):
        return 0
    return 1 + max(map(depth, inner), default=0)


def without_whole_floats(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: without_whole_floats(item) for key, item in value.items()}
    if isinstance(value, list):
        return [without_whole_floats(item) for item in value]
    return value + 0.5 if isinstance(value, float) and value.is_integer() else value


def numbers_in(value: Any) -> Iterator[float]:
    if isinstance(value, (dict, list)):
        for item in value.values() if isinstance(value, dict) else value:
            yield from numbers_in(item)
    elif isinstance(value, float):
        yield value


def cannot_say(text: str, validator: Any) -> str | None:
    """Name what JSON Schema cannot say and the codec refuses a frame for; None if it is nothing."""
    frame = parsed(text)
    if has_repeated_key(text):
        return "a repeated key"
    if depth(frame) > 128:
        return "depth"
    if any(number in (float("inf"), float("-inf")) for number in numbers_in(frame)):
        return "a number that overflows"
    if not validator.is_valid(without_whole_floats(frame)):
        return "1.0 as an integer"
    return None


@pytest.mark.parametrize("validator", ["jsonschema", "jsonschema-rs"])
@pytest.mark.parametrize(
    ("registry", "vector"),
    [
        *(pytest.param("built-in", one, id=name) for one, name in zip(VECTORS, IDS, strict=True)),
        *(pytest.param("deploy", one, id=one["label"]) for one in DEPLOY_VECTORS),
    ],
)
def test_the_read_schema_has_the_verdict_of_the_vector(
    registry: str, vector: dict[str, Any], validator: str
) -> None:
    frame = parsed(vector["frame"])
    if frame is NOT_JSON:
        assert vector["verdict"] == "reject"
        return
    checked = validators(registry, "read", ROOTS[Sender(vector["side"])])[validator]
    if vector["verdict"] == "accept":
        assert checked.is_valid(frame)
    else:
        assert not checked.is_valid(frame) or cannot_say(vector["frame"], checked)


@pytest.mark.parametrize(("registry", "declaration"), DECLARATIONS)
def test_what_is_written_fits_the_write_schema(
    registry: str, declaration: MessageDeclaration
) -> None:
    codec = tp.Codec(REGISTRIES[registry])
    name = Names(REGISTRIES[registry]).frame(declaration)
    definitions = document(registry, "write")["$defs"]
    checked = Draft202012Validator({**reference(name), "$defs": closed(definitions)})
    any_frame = validators(registry, "write", ROOTS[declaration.sender])["jsonschema-rs"]
    read_frame = validators(registry, "read", ROOTS[declaration.sender])["jsonschema-rs"]

    @settings(max_examples=10, deadline=None, database=None)
    @given(envelopes_of(declaration, REGISTRIES[registry], TYPES))
    def fits(message: Any) -> None:
        frame = json.loads(codec.encode_message(message))
        checked.validate(frame)
        any_frame.validate(frame)
        read_frame.validate(frame)

    fits()


def reference(name: str) -> dict[str, Any]:
    return {"$ref": f"#/$defs/{name}"}


def closed(definitions: dict[str, Any]) -> dict[str, Any]:
    return {name: closed_definition(one) for name, one in definitions.items()}


def closed_definition(definition: dict[str, Any]) -> dict[str, Any]:
    if "anyOf" in definition:
        return {**definition, "anyOf": [closed_definition(one) for one in definition["anyOf"]]}
    is_object = "properties" in definition
    return {**definition, "additionalProperties": False} if is_object else definition


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(("registry", "declaration"), DECLARATIONS)
def test_what_fits_a_schema_is_read_by_the_codec(
    registry: str, declaration: MessageDeclaration, mode: Mode
) -> None:
    codec = tp.Codec(REGISTRIES[registry], forbid_unknown_fields=True)
    definitions = document(registry, mode)["$defs"]
    name = Names(REGISTRIES[registry]).frame(declaration)

    # A value with many times in it is filtered out where one is of the year 0000.
    @settings(
        max_examples=10,
        deadline=None,
        database=None,
        suppress_health_check=[
            HealthCheck.data_too_large,
            HealthCheck.filter_too_much,
            HealthCheck.large_base_example,
            HealthCheck.too_slow,
        ],
    )
    @given(values(definitions[name], definitions))
    def is_read(frame: dict[str, Any]) -> None:
        message = read(codec, declaration.sender, json.dumps(frame))
        assert type(message.payload) is declaration.cls

    is_read()


@pytest.mark.parametrize("registry", REGISTRIES)
def test_what_fits_the_schema_of_unknown_messages_is_kept(registry: str) -> None:
    codec = tp.Codec(REGISTRIES[registry])
    definitions = document(registry, "read")["$defs"]

    @settings(max_examples=50, deadline=None, database=None)
    @given(st.sampled_from(["new", "event", "mission_start"]), st.none() | st.integers())
    def is_unknown(message_type: str, payload: Any) -> None:
        frame = {"id": ID, "type": message_type, "timestamp": NOW, "payload": payload}
        checked = Draft202012Validator({**reference("UnknownMessageFrame"), "$defs": definitions})
        checked.validate(frame)
        assert isinstance(codec.decode_server_message(json.dumps(frame)).payload, tp.UnknownMessage)

    is_unknown()


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("registry", REGISTRIES)
def test_a_document_is_a_schema_and_all_its_references_lead_somewhere(
    registry: str, mode: Mode
) -> None:
    whole = document(registry, mode)
    Draft202012Validator.check_schema(whole)
    names = {f"#/$defs/{name}" for name in whole["$defs"]}
    references = set(references_in(whole))
    assert references <= names
    assert names - references == set()


def references_in(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for key, item in value.items():
            if key == "$ref" and isinstance(item, str):
                yield item
            yield from references_in(item)
    elif isinstance(value, list):
        for item in value:
            yield from references_in(item)


def test_the_modes_differ_in_tags_nulls_defaults_and_uuids() -> None:
    reads, writes = (document("deploy", mode)["$defs"] for mode in MODES)
    assert "command" not in reads["StartDeploy"]["required"]
    assert writes["StartDeploy"]["required"][:2] == ["category", "command"]
    assert "dry_run" not in reads["StartDeploy"]["required"]
    assert "dry_run" in writes["StartDeploy"]["required"]
    assert reads["StartDeploy"]["properties"]["dry_run"]["default"] is False
    assert {"type": "null"} in reads["StartDeploy"]["properties"]["not_before"]["anyOf"]
    assert writes["StartDeploy"]["properties"]["not_before"]["$ref"] == "#/$defs/timestamp"
    assert "format" not in reads["uuid"]
    assert writes["uuid"]["format"] == "uuid"


def test_descriptions_come_from_docstrings() -> None:
    definitions = document("deploy", "read")["$defs"]
    start = definitions["StartDeploy"]
    assert start["description"].startswith("`deploy_start`: bring the result")
    assert start["properties"]["environment"]["description"] == "Where to."
    assert "Answered by `deploy_status`" in definitions["StartDeployFrame"]["description"]
    assert definitions["Version"]["description"] == "A version such as 1.2.3."
    assert definitions["Version"]["type"] == "string"
    assert "pattern" in definitions["Version"]
    assert definitions["Strategy"]["enum"] == ["rolling", "blue-green"]


def test_defaults_stand_as_they_are_written() -> None:
    properties = document("odd", "read")["$defs"]["Everything"]["properties"]
    defaults = {name: one["default"] for name, one in properties.items() if "default" in one}
    assert defaults == {
        "mixed": 1,
        "day": "2026-01-02",
        "one": "a",
        "number": 1,
        "numbers": [1, None],
        "unique": [1, 2],
        "nested": {},
        "default": False,
        "root": {"name": "root", "weight": 1.0, "children": [], "by_name": {}},
        "id": "00000000-0000-0000-0000-000000000007",
        "since": "2026-01-02T00:00:00Z",
    }


@pytest.mark.parametrize("name", REGISTRIES)
def test_a_schema_of_one_definition_has_what_that_needs(name: str) -> None:
    whole = document(name, "write")["$defs"]
    for root in whole:
        one = schema.json_schema(REGISTRIES[name], "write", root=root)
        assert one["$ref"] == reference(quote(root))["$ref"]
        assert {unquote(path) for path in references_in(one)} == {
            f"#/$defs/{part}" for part in one["$defs"]
        }
        assert all(whole[part] == made for part, made in one["$defs"].items())
    frame = schema.json_schema(REGISTRIES[name], root="StartMissionFrame")
    assert set(frame["$defs"]) == {"StartMissionFrame", "StartMission", "uuid", "timestamp"}


def test_a_root_is_a_definition() -> None:
    with pytest.raises(LookupError, match="Nothing"):
        schema.json_schema(tp.Registry(), root="Nothing")


def test_a_mode_is_read_or_write() -> None:
    mode: Any = "both"
    with pytest.raises(ValueError, match="'read' or 'write'"):
        schema.json_schema(tp.Registry(), mode=mode)
