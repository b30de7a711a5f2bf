"""Schemas under test: their registries, validators, and values that fit them."""

import json
import re
import sys
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import jsonschema_rs
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

import tachikoma_proto as tp
from support.odd_messages import odd
from tachikoma_proto import schema
from tachikoma_proto.schema import Mode

EXAMPLE = Path(__file__).parents[2] / "examples" / "tachikoma-deploy"
sys.path.append(str(EXAMPLE / "src"))
tachikoma_deploy: Any = import_module("tachikoma_deploy")

REGISTRIES = {
    "built-in": tp.Registry(),
    "deploy": tp.Registry([tachikoma_deploy.deploy]),
    "odd": tp.Registry([odd]),
}
VERSIONS = st.builds(tachikoma_deploy.Version, *3 * [st.integers(0, 10**9 - 1)])
TYPES = {tachikoma_deploy.Version: VERSIONS}


@cache
def document(registry: str, mode: Mode) -> dict[str, Any]:
    return schema.json_schema(REGISTRIES[registry], mode=mode)


def rooted(registry: str, mode: Mode, name: str) -> dict[str, Any]:
    """The document, with one definition as its root."""
    whole = document(registry, mode)
    return {"$schema": whole["$schema"], "$ref": f"#/$defs/{name}", "$defs": whole["$defs"]}


@cache
def validators(registry: str, mode: Mode, name: str) -> dict[str, Any]:
    root = rooted(registry, mode, name)
    return {
        "jsonschema": Draft202012Validator(root),
        "jsonschema-rs": jsonschema_rs.Draft202012Validator(root),
    }


NOT_JSON = object()


def parsed(frame: str) -> Any:
    """What a parser of JSON makes of a frame: ``NOT_JSON`` where it is none."""

    def refuse(_: str) -> Any:
        raise ValueError("no number of JSON")

    try:
        return json.loads(frame, parse_constant=refuse)
    except (ValueError, RecursionError):
        return NOT_JSON


def values(schema: Any, definitions: dict[str, Any]) -> st.SearchStrategy[Any]:
    """Make up values that fit a schema of ours."""
    made: dict[str, st.SearchStrategy[Any]] = {}

    def of(schema: Any) -> st.SearchStrategy[Any]:
        if "$ref" in schema:
            name = unquote(schema["$ref"].rpartition("/")[2])
            if name not in made:
                made[name] = st.deferred(lambda: of(definitions[name]))
            return made[name]
        if "anyOf" in schema:
            return st.one_of([of(one) for one in schema["anyOf"]])
        if "const" in schema:
            return st.just(schema["const"])
        if "enum" in schema:
            return st.sampled_from(schema["enum"])
        strategy: st.SearchStrategy[Any] = _BY_TYPE[schema.get("type")](schema, of)
        return strategy

    return of(schema)


def _object(schema: Any, of: Any) -> st.SearchStrategy[Any]:
    if "additionalProperties" in schema:
        return st.dictionaries(_TEXT, of(schema["additionalProperties"]), max_size=3)
    properties = {name: one for name, one in schema["properties"].items() if one is not False}
    required = schema.get("required", [])
    return st.fixed_dictionaries(
        {name: of(one) for name, one in properties.items() if name in required},
        optional={name: of(one) for name, one in properties.items() if name not in required},
    )


def _string(schema: Any, _: Any) -> st.SearchStrategy[Any]:
    if "pattern" not in schema:
        sizes = schema.get("minLength", 0), schema.get("maxLength")
        return st.text(_CHARACTERS, min_size=sizes[0], max_size=sizes[1])
    if schema.get("format") == "date":  # the pattern allows days that there are not
        return st.dates().map(str)
    text = st.from_regex(re.compile(schema["pattern"][:-1] + r"\Z", re.ASCII))
    refused = schema.get("not", {}).get("pattern")
    return text.filter(lambda one: refused is None or not re.search(refused, one))


_CHARACTERS = st.characters(codec="utf-8")
_TEXT = st.text(_CHARACTERS)
_BY_TYPE: dict[str | None, Any] = {
    "object": _object,
    "array": lambda schema, of: st.lists(
        of(schema["items"]), max_size=3, unique_by=repr if schema.get("uniqueItems") else None
    ),
    "string": _string,
    "boolean": lambda *_: st.booleans(),
    "null": lambda *_: st.none(),
    "integer": lambda schema, _: st.integers(schema["minimum"], schema["maximum"]),
    "number": lambda schema, _: st.floats(
        schema.get("exclusiveMinimum"),
        schema.get("exclusiveMaximum"),
        exclude_min="exclusiveMinimum" in schema,
        exclude_max="exclusiveMaximum" in schema,
        allow_nan=False,
        allow_infinity=False,
    ),
    None: lambda *_: st.none() | st.booleans() | st.integers(-9, 9) | _TEXT | st.lists(_TEXT),
}
