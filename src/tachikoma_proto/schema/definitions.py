"""JSON Schema (2020-12) of what is read and of what is written.

The two differ, as the contract does: what is read may leave out tags, hold nulls and write a UUID
in several forms; what is written has one form.

Rules:

* ``$defs`` holds one definition a payload, record, enum and scalar, and one a frame; beside them
  ``ClientMessage`` and ``ServerMessage``, any frame from a client and from a server.
* A document is open to members that it does not name, as every peer of the contract is.
* JSON Schema cannot say everything: repeated keys, ``1.0`` where an integer should stand, depth,
  numbers that overflow, and a time that the years 1 to 9999 do not hold in UTC pass it.
* ``$comment`` holds what a comparison with a later schema needs: the mode, and replies.
"""

import math
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final, Literal, TypeAlias, get_args
from urllib.parse import quote, unquote

from tachikoma_proto.declare.declarations import (
    EVENT_PREFIX,
    MessageDeclaration,
    MessageKind,
    Sender,
)
from tachikoma_proto.declare.narrowing import Narrowing
from tachikoma_proto.declare.shapes import (
    Array,
    Boolean,
    Choice,
    Custom,
    FreeJson,
    Identifier,
    Integer,
    Leaf,
    Map,
    Maybe,
    Number,
    Record,
    RecordField,
    Shape,
    Text,
    Timestamp,
)
from tachikoma_proto.messages.envelope import Position
from tachikoma_proto.registry.registry import Registry
from tachikoma_proto.schema.bounds import keywords_of, validated_bounds
from tachikoma_proto.schema.defaults import NO_DEFAULT, default_of
from tachikoma_proto.schema.descriptions import describe_class, describe_fields
from tachikoma_proto.schema.names import (
    CLIENT_MESSAGE,
    SERVER_MESSAGE,
    TIMESTAMP,
    UNKNOWN_EVENT,
    UNKNOWN_MESSAGE,
    UUID,
    Names,
    is_named,
)

Mode: TypeAlias = Literal["read", "write"]
"""What a schema describes: what is read, or what is written."""

Schema: TypeAlias = dict[str, Any]
"""A schema, or a part of one."""

DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"

_HEX: Final = "[0-9a-fA-F]"
_HYPHENATED: Final = f"{_HEX}{{8}}(?:-{_HEX}{{4}}){{3}}-{_HEX}{{12}}"

# Every day that there is, so that nothing depends on a validator's idea of formats.
_DATE: Final = (
    "(?:[0-9]{4}-(?:(?:0[13578]|1[02])-(?:0[1-9]|[12][0-9]|3[01])"
    "|(?:0[469]|11)-(?:0[1-9]|[12][0-9]|30)|02-(?:0[1-9]|1[0-9]|2[0-8]))"
    "|(?:[0-9]{2}(?:0[48]|[2468][048]|[13579][26])|(?:[02468][048]|[13579][26])00)-02-29)"
)
_CLOCK: Final = "(?:[01][0-9]|2[0-3]):[0-5][0-9]"

# To a validator in Python, a ``$`` matches before a last line break, too.
_LINE_BREAK: Final = "\\n"

_UUIDS: Final[Mapping[Mode, Schema]] = {
    "read": {
        "type": "string",
        "description": "A UUID: hyphenated, with or without `urn:uuid:` or braces, or 32 digits.",
        "pattern": f"^(?:(?:urn:uuid:)?{_HYPHENATED}|\\{{{_HYPHENATED}\\}}|{_HEX}{{32}})$",
        "not": {"pattern": _LINE_BREAK},
    },
    "write": {
        "type": "string",
        "description": "A UUID, lower-case and hyphenated.",
        "format": "uuid",
        "pattern": "^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$",
        "maxLength": 36,
    },
}

_TIMESTAMPS: Final[Mapping[Mode, Schema]] = {
    "read": {
        "type": "string",
        "description": "An RFC 3339 date-time with seconds and an offset.",
        "pattern": f"^{_DATE}T{_CLOCK}:(?:[0-5][0-9]|60)(?:\\.[0-9]+)?(?:[Zz]|[+-]{_CLOCK})$",
        "not": {"pattern": f"^0000|{_LINE_BREAK}"},
    },
    "write": {
        "type": "string",
        "description": "An RFC 3339 date-time in UTC, with no fraction or 3 or 6 digits.",
        "format": "date-time",
        "pattern": f"^{_DATE}T{_CLOCK}:[0-5][0-9](?:\\.(?:[0-9]{{3}}|[0-9]{{6}}))?Z$",
        "not": {"pattern": f"^0000|{_LINE_BREAK}"},
    },
}

_HELD: Final = ("const", "default", "enum", "examples")
"""Keywords that hold values and no schemas."""

_NULL: Final[Schema] = {"type": "null"}

_IN_INCOMING: Final = {
    "id": "What the answer refers to.",
    "timestamp": "When it was said.",
}
_IN_OUTGOING: Final = {
    "id": "What an answer refers to.",
    "timestamp": "When it was said.",
    "reply_to": "The `id` of the message that it answers.",
    "position": "Where the event stands in the log of its topic, in sessions that resume.",
}


def json_schema(
    registry: Registry, mode: Mode = "read", *, root: str | None = None
) -> dict[str, Any]:
    """Describe the messages of a registry as JSON Schema, 2020-12.

    Args:
        registry: Which messages there are.
        mode: ``read`` for what is accepted, ``write`` for what is sent.
        root: The definition that is wanted, such as ``StartMission`` or ``StartMissionFrame``; the
            document then has only what that needs. Any frame if left out.

    Returns:
        The document, of builtins. ``$defs`` has the parts by name: ``ClientMessage``,
        ``ServerMessage``, ``StartMission``, ``StartMissionFrame``, ….

    Raises:
        ValueError: The mode is none of the two.
        LookupError: No definition has the name that ``root`` gives.

    Example::

        jsonschema.validate(frame, json_schema(Registry(), root="ClientMessage"))
    """
    if mode not in get_args(Mode):
        raise ValueError("the mode of a schema is 'read' or 'write'")
    definitions = Definitions(registry, Names(registry), mode).all()
    head = {"$schema": DIALECT, "$comment": f"mode: {mode}"}
    if root is None:
        return {
            **head,
            "title": f"Tachikoma messages, as they are {'read' if mode == 'read' else 'written'}",
            "description": "One frame, from a client or from a server.",
            "anyOf": [reference(CLIENT_MESSAGE), reference(SERVER_MESSAGE)],
            "$defs": definitions,
        }
    if root not in definitions:
        raise LookupError(f"there is no definition {root!r}")
    needed = _reachable(root, definitions)
    parts = {name: one for name, one in definitions.items() if name in needed}
    return {**head, **reference(root), "$defs": parts}


def _reachable(root: str, definitions: Mapping[str, Schema]) -> set[str]:
    """Return the names of a definition and of all that it refers to, however deep."""
    found: set[str] = set()
    waiting = [root]
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            waiting += _references(definitions[name])
    return found


def _references(schema: Any) -> Iterator[str]:
    if isinstance(schema, list):
        for one in schema:
            yield from _references(one)
    elif isinstance(schema, dict):
        for keyword, value in schema.items():
            if keyword == "$ref" and isinstance(value, str):
                yield unquote(value.rpartition("/")[2])
            elif keyword not in _HELD:
                yield from _references(value)


def reference(name: str) -> Schema:
    """Return a reference to a definition.

    Args:
        name: The definition's name.
    """
    return {"$ref": f"#/$defs/{quote(name)}"}


def number_bounds(schema: Mapping[str, Any]) -> tuple[float, float]:
    """Return between which bounds a schema's numbers lie; infinities where it sets none.

    Args:
        schema: The schema of a number or an integer.
    """
    low = max(schema.get("minimum", -math.inf), schema.get("exclusiveMinimum", -math.inf))
    high = min(schema.get("maximum", math.inf), schema.get("exclusiveMaximum", math.inf))
    return low, high


class Definitions:
    """Makes the definitions of a registry's messages, in one mode.

    Args:
        registry: Which messages there are.
        names: What the definitions are called.
        mode: What is described.
    """

    def __init__(self, registry: Registry, names: Names, mode: Mode) -> None:
        self._registry = registry
        self._names = names
        self._mode: Mode = mode

    def all(self) -> dict[str, Schema]:
        """Return every definition, by name."""
        frames = [(self._names.frame(one), one) for one in self._registry]
        definitions: dict[str, Schema] = {
            CLIENT_MESSAGE: {
                "title": CLIENT_MESSAGE,
                "description": "Any frame from a client.",
                "anyOf": [reference(name) for name, one in frames if one.sender is Sender.CLIENT],
            },
            SERVER_MESSAGE: {
                "title": SERVER_MESSAGE,
                "description": "Any frame from a server.",
                "anyOf": [reference(name) for name, one in frames if one.sender is Sender.SERVER],
            },
        }
        for name, declaration in frames:
            definitions[name] = self.frame(declaration)
        for cls in self._names.classes:
            definitions[self._names.of(cls)] = self.record(cls)
        for leaf in self._names.leaves:
            definitions[self._names.of(leaf.type)] = self._named_leaf(leaf)
        if self._mode == "read":
            definitions[SERVER_MESSAGE]["anyOf"] += map(reference, (UNKNOWN_MESSAGE, UNKNOWN_EVENT))
            definitions[UNKNOWN_MESSAGE] = self._unknown_message()
            definitions[UNKNOWN_EVENT] = self._unknown_event()
        definitions[UUID] = dict(_UUIDS[self._mode])
        definitions[TIMESTAMP] = dict(_TIMESTAMPS[self._mode])
        return definitions

    def frame(self, declaration: MessageDeclaration) -> Schema:
        """Describe a frame.

        Args:
            declaration: The message's.
        """
        description, reply = describe_class(declaration.cls), declaration.reply
        answer = self._registry.declaration_of(reply) if reply else None
        about = {"title": self._names.frame(declaration)}
        if answer is not None:
            about["$comment"] = f"reply: {answer.message_type}"
            description += f"\n\nAnswered by `{answer.message_type}`, or by `error`."
        if description := description.strip():
            about["description"] = description
        deprecated = {"deprecated": True} if declaration.deprecated else {}
        forms = self._forms(declaration)
        if len(forms) == 1:
            return {**about, **forms[0], **deprecated}
        return {**about, "anyOf": forms, **deprecated}

    def record(self, cls: type) -> Schema:
        """Describe a payload, or a class that stands in one.

        Args:
            cls: The class.
        """
        declaration = self._registry.declaration_of(cls)
        tags = declaration.tags if declaration else {}
        descriptions = describe_fields(cls)
        fields = self._registry.records[cls]
        properties: dict[str, Schema] = {name: {"const": tag} for name, tag in tags.items()}
        for field in fields:
            properties[field.name] = self._property(cls, field, descriptions.get(field.name))
        required = [name for name in tags if self._is_tag_required(name)]
        required += [field.name for field in fields if self._is_required(field)]
        schema: Schema = {"title": self._names.of(cls), "type": "object"}
        description = describe_class(cls)
        if declaration and declaration.deprecated:
            description = f"{description}\n\nDeprecated: {declaration.deprecated}.".strip()
        if description:
            schema["description"] = description
        schema["properties"] = properties
        if required:
            schema["required"] = required
        if declaration and declaration.deprecated:
            schema["deprecated"] = True
        return schema

    def of(self, shape: Shape) -> Schema:
        """Describe what stands in a field.

        Args:
            shape: The field's shape.
        """
        match shape:
            case Record(cls):
                return reference(self._names.of(cls))
            case Maybe(inner):
                return _or_null(self.of(inner))
            case Array(_, container, inner):
                unique = {"uniqueItems": True} if container is frozenset else {}
                return {"type": "array", "items": self.of(inner), **unique}
            case Map(_, inner):
                return {"type": "object", "additionalProperties": self.of(inner)}
            case Leaf() if is_named(shape):
                return reference(self._names.of(shape.type))
            case _:
                return _leaf(shape)

    def _narrowed(self, shape: Shape, narrowing: Narrowing) -> Schema:
        """Describe what a field's validators leave of its shape, as far as a schema can say it."""
        match shape:
            case Maybe(inner):
                return _or_null(self._narrowed(inner, narrowing))
            case Array(_, _, inner) if narrowing.items is not None:
                items = self._narrowed(inner, narrowing.items)
                return {**self.of(shape), "items": items, **keywords_of(shape, narrowing)}
            case _:
                return {**self.of(shape), **keywords_of(shape, narrowing)}

    def _named_leaf(self, leaf: Choice | Custom) -> Schema:
        title = {"title": self._names.of(leaf.type)}
        if isinstance(leaf, Choice):
            description = describe_class(leaf.type)
            return {**title, **({"description": description} if description else {}), **_leaf(leaf)}
        about = {**title, "description": f"{leaf.expected[:1].upper()}{leaf.expected[1:]}."}
        wire, own = self.of(leaf.wire), dict(leaf.scalar.schema)
        if wire.keys().isdisjoint(own):
            return {**about, **wire, **own}
        return {**about, "allOf": [wire, own]}

    def _property(self, cls: type, field: RecordField, description: str | None) -> Schema:
        is_written = self._mode == "write" and isinstance(field.shape, Maybe)
        shape = field.shape.inner if is_written and isinstance(field.shape, Maybe) else field.shape
        schema = dict(self._narrowed(shape, validated_bounds(cls, field)))
        if description:
            schema["description"] = description
        if field.secret:
            schema["writeOnly"] = True
        default = default_of(cls, field, self._registry.records)
        if default is not NO_DEFAULT and default is not None:
            schema["default"] = default
        return schema

    def _is_required(self, field: RecordField) -> bool:
        if self._mode == "write":
            return not isinstance(field.shape, Maybe)
        return field.required

    def _is_tag_required(self, name: str) -> bool:
        return self._mode == "write" or name == MessageKind.EVENT.value

    def _forms(self, declaration: MessageDeclaration) -> list[Schema]:
        """Return the forms that a frame may have; most have one."""
        payload = reference(self._names.of(declaration.cls))
        may_lack = declaration.kind is MessageKind.KEEPALIVE or not any(
            map(self._is_required, self._registry.records[declaration.cls])
        )
        may_lack &= declaration.kind is not MessageKind.EVENT
        # A payload that no field needs is still written, but for that of a keepalive.
        is_left_out = may_lack and (
            self._mode == "read" or declaration.kind is MessageKind.KEEPALIVE
        )
        if may_lack and self._mode == "read":
            payload = _or_null(payload)
        said = {"const": declaration.message_type}
        members = {"type"} if is_left_out else {"type", "payload"}
        bare: Schema = {"id": False, "type": said, "timestamp": False, "payload": payload}
        if declaration.sender is Sender.CLIENT:
            if declaration.kind is MessageKind.KEEPALIVE:
                return [_object(bare, members)]
            optional = {
                "id": self._optional(reference(UUID), _IN_INCOMING["id"]),
                "type": said,
                "timestamp": self._optional(reference(TIMESTAMP), _IN_INCOMING["timestamp"]),
                "payload": payload,
            }
            return [_object(optional, members)]
        full = _object(self._outgoing(said, payload), {"id", "timestamp", *members})
        if declaration.kind is MessageKind.KEEPALIVE:
            return [_object(bare, members), full]
        return [full]

    def _outgoing(self, said: Schema, payload: Schema | None = None) -> Schema:
        position = reference(self._names.of(Position))
        return {
            "id": {**reference(UUID), "description": _IN_OUTGOING["id"]},
            "type": said,
            "timestamp": {**reference(TIMESTAMP), "description": _IN_OUTGOING["timestamp"]},
            "reply_to": self._optional(reference(UUID), _IN_OUTGOING["reply_to"]),
            **({} if payload is None else {"payload": payload}),
            "position": self._optional(position, _IN_OUTGOING["position"]),
        }

    def _optional(self, schema: Schema, description: str) -> Schema:
        return {
            **(_or_null(schema) if self._mode == "read" else schema),
            "description": description,
        }

    def _unknown_message(self) -> Schema:
        known = {
            one.message_type
            for one in self._registry
            if one.sender is Sender.SERVER and one.kind is not MessageKind.EVENT
        }
        said = {
            "type": "string",
            "not": {"anyOf": [{"enum": sorted(known)}, {"pattern": f"^{re.escape(EVENT_PREFIX)}"}]},
        }
        return {
            "title": UNKNOWN_MESSAGE,
            "description": "A message of a type that this schema does not hold: clients keep it.",
            **_object(self._outgoing(said), {"id", "type", "timestamp"}),
        }

    def _unknown_event(self) -> Schema:
        types = [EVENT_PREFIX + category for category in self._registry.categories]
        other = {
            "type": "string",
            "pattern": f"^{re.escape(EVENT_PREFIX)}",
            "not": {"enum": types},
        }
        pairs: list[tuple[Schema, Schema]] = [(other, _tagged({"type": "string"}, ()))]
        for category, message_type in zip(self._registry.categories, types, strict=True):
            tags = self._registry.members(MessageKind.EVENT, category)
            pairs.append(({"const": message_type}, _tagged({"const": category}, tags)))
        return {
            "title": UNKNOWN_EVENT,
            "description": "An event that this schema does not hold: clients keep it.",
            **_object(self._outgoing({"type": "string"}, {}), {"id", "type", "timestamp"}),
            "anyOf": [_object({"type": a, "payload": b}, {"type", "payload"}) for a, b in pairs],
        }


def _tagged(category: Schema, known: Iterable[str]) -> Schema:
    """Describe a payload of an event with a tag that is none of those known."""
    unknown = {"not": {"enum": sorted(known)}} if known else {}
    return _object({"category": category, "event": {"type": "string", **unknown}}, {"event"})


def _object(properties: Schema, required: set[str]) -> Schema:
    return {
        "type": "object",
        "properties": properties,
        "required": [name for name in properties if name in required],
    }


def _or_null(schema: Schema) -> Schema:
    return {"anyOf": [schema, dict(_NULL)]} if schema else {}


def _leaf(leaf: Leaf) -> Schema:
    match leaf:
        case Text():
            return {"type": "string"}
        case Boolean():
            return {"type": "boolean"}
        case Integer(_, _, low, high):
            return {"type": "integer", "minimum": low, "maximum": high}
        case Number(_, _, limit):
            is_bounded = limit != float("inf")
            bounds = {"exclusiveMinimum": -limit, "exclusiveMaximum": limit}
            return {"type": "number", **(bounds if is_bounded else {})}
        case Identifier():
            return reference(UUID)
        case Timestamp():
            return reference(TIMESTAMP)
        case FreeJson():
            return {}
        case Choice():
            values = [wire for wire, _ in leaf.members]
            names = {"string" if isinstance(wire, str) else "integer" for wire in values}
            return {**({"type": names.pop()} if len(names) == 1 else {}), "enum": values}
        case _:
            raise TypeError(f"no schema for {leaf!r}")
