"""TypeScript: types of every message, and a small typed client, in one file without dependencies.

The client itself is ``client.ts`` beside this module; its types and its tables of messages are
made here.

Rules:

* Types are those of a client: commands as it may write them, events and responses as it may receive
  them. A record that stands in both, and differs, is two types: ``Target`` and ``TargetInput``.
* An event's tags are literals, so that a ``switch`` over ``category`` and ``event`` tells events
  apart and is checked for exhaustiveness.
* What is received may have a null where a field is optional, since not every server leaves it out.
* Integers are ``number``; what a ``number`` does not hold exactly is an error at run time.
"""

import json
import pkgutil
import re
from collections.abc import Iterable, Iterator
from typing import Final

from tachikoma_proto.declare.declarations import (
    EVENT_PREFIX,
    MessageDeclaration,
    MessageKind,
    Sender,
)
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
    Timestamp,
    nested_below,
)
from tachikoma_proto.messages import BUILTIN_CATEGORIES
from tachikoma_proto.messages.envelope import Position
from tachikoma_proto.registry.registry import Registry
from tachikoma_proto.schema.descriptions import describe_class, describe_fields
from tachikoma_proto.schema.names import Names, category_name, is_named

_EXPORT: Final = re.compile(r"^(?:export )?(?:interface|type|class|function|const) (\w+)", re.M)

RESERVED: Final = (
    *("Uuid", "Timestamp", "Json", "Commands", "CommandType", "Responses", "Events", "Event"),
    *("EventOf", "ClientMessage", "ServerMessage", "COMMANDS", "RESPONSES", "EVENTS", "SHAPES"),
    *("Array", "AsyncIterable", "AsyncIterator", "BigInt", "Boolean", "Date", "Error", "Function"),
    *("IteratorResult", "JSON", "Map", "Math", "Number", "Object", "Promise", "Readonly", "Record"),
    *("Set", "String", "Symbol", "SyntaxError", "TypeError", "Uint8Array", "any", "bigint"),
    *("boolean", "never", "null", "number", "object", "string", "symbol", "undefined", "unknown"),
    *("void", "await", "break", "case", "catch", "class", "const", "debugger", "default", "delete"),
    *("do", "enum", "export", "extends", "false", "function", "implements", "instanceof"),
    *("interface", "let", "new", "package", "private", "protected", "public", "static", "super"),
    *("switch", "this", "throw", "true", "typeof", "var"),
)
"""Names that a class cannot have in the file: of its own, of TypeScript, and of the runtime."""

_HEAD: Final = """\
// Made by `tachikoma-proto schema --format typescript`. Do not edit.
// Categories: {categories}.

/** A UUID. It is received lower-case and hyphenated. */
export type Uuid = string;

/** An RFC 3339 date-time; it is received in UTC. */
export type Timestamp = string;

/** Any JSON value. */
export type Json =
  | null
  | boolean
  | number
  | string
  | readonly Json[]
  | {{ readonly [name: string]: Json }};
"""

_MESSAGES: Final = """\
/** The type of a command. */
export type CommandType = keyof Commands;

/** Any frame from a client. */
export type ClientMessage =
  | {
      [T in CommandType]: {
        readonly id?: Uuid | undefined;
        readonly type: T;
        readonly timestamp?: Timestamp | undefined;
        readonly payload: Commands[T]["payload"];
      };
    }[CommandType]
  | { readonly type: "pong" };

/** Any frame from a server that this file knows. */
export type ServerMessage =
  | {
      [T in keyof Responses]: {
        readonly id: Uuid;
        readonly type: T;
        readonly timestamp: Timestamp;
        readonly reply_to?: Uuid | null;
        readonly payload: Responses[T];
      };
    }[keyof Responses]
  | {
      [T in keyof Events]: {
        readonly id: Uuid;
        readonly type: T;
        readonly timestamp: Timestamp;
        readonly reply_to?: Uuid | null;
        readonly payload: Events[T];
        readonly position?: Position | null;
      };
    }[keyof Events]
  | { readonly type: "ping" };
"""


def typescript(registry: Registry) -> str:
    """Write the messages of a registry as a module of TypeScript, with a typed client.

    Args:
        registry: Which messages there are.

    Returns:
        The source. It works under ``strict``, ``exactOptionalPropertyTypes`` and
        ``verbatimModuleSyntax``.

    Example::

        Path("tachikoma.ts").write_text(typescript(Registry.discover()), encoding="utf-8")
    """
    template = pkgutil.get_data("tachikoma_proto.schema", "client.ts")
    assert template is not None
    client = template.decode()
    return "\n".join(_Source(registry, client).parts()) + f"\n{client}"


class _Source:
    def __init__(self, registry: Registry, client: str) -> None:
        self._registry = registry
        # Those of built-in categories keep their names, as the classes in them do.
        unions = {one.name: f"{category_name(one.name)}Event" for one in BUILTIN_CATEGORIES}
        reserved = (*RESERVED, *_EXPORT.findall(client), *unions.values())
        self._names = Names(registry, reserved, are_frames_named=False)
        self._commands = [one for one in registry if one.kind is MessageKind.COMMAND]
        self._responses = [one for one in registry if one.kind is MessageKind.RESPONSE]
        self._events = {
            category: [one for one in registry if one.category == category and is_event(one)]
            for category in registry.categories
        }
        self._events = {category: found for category, found in self._events.items() if found}
        received = [one.cls for one in registry if one.sender is Sender.SERVER]
        self._received = self._with_nested([*received, Position])
        self._sent = self._with_nested(one.cls for one in self._commands)
        both = [cls for cls in self._received & self._sent if cls not in received]
        self._inputs = {
            cls: self._names.claim(f"{self._names.of(cls)}Input")
            for cls in self._names.classes
            if cls in both and self._differs(cls)
        }
        self._unions = {
            category: unions.get(category) or self._names.claim(f"{category_name(category)}Event")
            for category in self._events
        }

    def parts(self) -> Iterator[str]:
        yield _HEAD.format(categories=", ".join(self._registry.categories))
        for leaf in self._names.leaves:
            yield self._alias(leaf)
        for cls in self._names.classes:
            if cls in self._received:
                yield self._interface(cls, is_sent=False)
            if cls in self._inputs or cls not in self._received:
                yield self._interface(cls, is_sent=True)
        for category, declarations in self._events.items():
            names = [self._names.of(one.cls) for one in declarations]
            yield f"/** Any event of the category `{category}`. */"
            yield _union(self._unions[category], names)
        yield "/** Any event. */"
        yield _union("Event", self._unions.values())
        yield from self._maps()
        yield _MESSAGES
        yield from self._event_of()
        yield from self._tables()

    def _with_nested(self, classes: Iterable[type]) -> set[type]:
        return {one for cls in classes for one in (cls, *nested_below(cls, self._registry.records))}

    def _differs(self, cls: type) -> bool:
        """Return whether a record is another type where it is sent, itself or what is in it."""
        classes = {cls, *nested_below(cls, self._registry.records)}
        return any(not field.required for one in classes for field in self._registry.records[one])

    def _alias(self, leaf: Choice | Custom) -> str:
        name = self._names.of(leaf.type)
        if isinstance(leaf, Choice):
            doc = _comment(describe_class(leaf.type))
            return f"{doc}export type {name} = {_literals(leaf)};\n"
        doc = _comment(f"{leaf.expected[:1].upper()}{leaf.expected[1:]}.")
        return f"{doc}export type {name} = {self._type(leaf.wire, is_sent=False)};\n"

    def _interface(self, cls: type, *, is_sent: bool) -> str:
        declaration = self._registry.declaration_of(cls)
        deprecated = declaration.deprecated if declaration else None
        descriptions = describe_fields(cls)
        name = self._inputs[cls] if is_sent and cls in self._inputs else self._names.of(cls)
        doc = _comment(describe_class(cls), deprecated)
        if not self._registry.records[cls] and not (declaration and is_event(declaration)):
            return f"{doc}export type {name} = Readonly<Record<string, never>>;\n"
        lines = [f"{doc}export interface {name} {{"]
        if declaration and is_event(declaration):
            lines += [f"  readonly {k}: {_quoted(v)};" for k, v in declaration.tags.items()]
        for field in self._registry.records[cls]:
            doc = _comment(descriptions.get(field.name, ""), indent="  ")
            lines.append(f"{doc}  readonly {_key(field.name)}{self._member(field, is_sent)};")
        return "\n".join([*lines, "}\n"])

    def _member(self, field: RecordField, is_sent: bool) -> str:
        text = self._type(field.shape, is_sent=is_sent)
        if is_sent:
            return f": {text}" if field.required else f"?: {text} | undefined"
        return f"?: {text}" if isinstance(field.shape, Maybe) else f": {text}"

    def _type(self, shape: Shape, *, is_sent: bool) -> str:
        match shape:
            case Record(cls):
                return self._inputs[cls] if is_sent and cls in self._inputs else self._names.of(cls)
            case Maybe(inner):
                text = self._type(inner, is_sent=is_sent)
                return text if text == "Json" else f"{text} | null"
            case Array(_, _, inner):
                text = self._type(inner, is_sent=is_sent)
                return f"readonly {f'({text})' if ' ' in text else text}[]"
            case Map(_, inner):
                return f"{{ readonly [name: string]: {self._type(inner, is_sent=is_sent)} }}"
            case Leaf() if is_named(shape):
                return self._names.of(shape.type)
            case Choice():
                return _literals(shape)
            case Boolean():
                return "boolean"
            case Integer() | Number():
                return "number"
            case Identifier():
                return "Uuid"
            case Timestamp():
                return "Timestamp"
            case FreeJson():
                return "Json"
            case _:
                return "string"

    def _maps(self) -> Iterator[str]:
        yield "/** What each command takes, and what answers it. */"
        yield "export interface Commands {"
        for one in self._commands:
            payload, reply = self._names.of(one.cls), one.reply
            assert reply is not None
            comment = _comment(describe_class(one.cls), one.deprecated, indent="  ")
            answer = self._names.of(reply)
            key = _key(one.message_type)
            yield f"{comment}  readonly {key}: {{ payload: {payload}; reply: {answer} }};"
        yield "}\n"
        yield "/** The responses, by their type. */"
        yield "export interface Responses {"
        for one in self._responses:
            yield f"  readonly {_key(one.message_type)}: {self._names.of(one.cls)};"
        yield "}\n"
        yield "/** The events, by their type. */"
        yield "export interface Events {"
        for category, name in self._unions.items():
            yield f"  readonly {_key(EVENT_PREFIX + category)}: {name};"
        yield "}\n"

    def _event_of(self) -> Iterator[str]:
        yield "/** The events of a topic. */"
        yield "export type EventOf<T extends string> ="
        for category, name in self._unions.items():
            topic = self._registry.categories[category].topic
            if topic is not None:
                below = f"`{topic}/${{string}}`"
                yield f"  T extends {_quoted(topic)} | {below} ? {name} :"
        yield "  Event;\n"

    def _tables(self) -> Iterator[str]:
        yield "interface Command {"
        yield "  readonly category: string;"
        yield "  readonly tag: string;"
        yield "  readonly reply: string;"
        yield "  readonly shape: string;"
        yield "  readonly secrets?: readonly string[];"
        yield "}\n"
        yield "const COMMANDS: { readonly [type: string]: Command } = {"
        for one in self._commands:
            reply = self._registry.declaration_of(one.reply) if one.reply else None
            assert reply is not None
            entry: dict[str, object] = {
                "category": one.category,
                "tag": one.tag,
                "reply": reply.message_type,
                "shape": self._names.of(one.cls),
            }
            classes = self._with_nested([one.cls])
            secrets = {f.name for cls in classes for f in self._registry.records[cls] if f.secret}
            if secrets:
                entry["secrets"] = sorted(secrets)
            yield f"  {_key(one.message_type)}: {_json(entry)},"
        yield "};\n"
        yield "const RESPONSES: { readonly [type: string]: string } = {"
        for one in self._responses:
            yield f"  {_key(one.message_type)}: {_quoted(self._names.of(one.cls))},"
        yield "};\n"
        yield "interface Category {"
        yield "  readonly topic?: string;"
        yield "  readonly key?: string;"
        yield "  readonly tags: { readonly [tag: string]: string };"
        yield "}\n"
        yield "const EVENTS: { readonly [category: string]: Category } = {"
        for category, declarations in self._events.items():
            declared = self._registry.categories[category]
            about: dict[str, object] = {"topic": declared.topic, "key": declared.key}
            about = {name: value for name, value in about.items() if value is not None}
            about["tags"] = {one.tag: self._names.of(one.cls) for one in declarations}
            yield f"  {_key(category)}: {_json(about)},"
        yield "};\n"
        yield "// Where floats stand, and records: every other number is an integer."
        yield "const SHAPES: { readonly [name: string]: { readonly [field: string]: string } } = {"
        for cls in self._names.classes:
            shapes = {
                field.name: text
                for field in self._registry.records[cls]
                if (text := self._float_shape(field.shape))
            }
            if shapes:
                yield f"  {_key(self._names.of(cls))}: {_json(shapes)},"
        yield "};\n"

    def _float_shape(self, shape: Shape) -> str:
        match shape:
            case Maybe(inner):
                return self._float_shape(inner)
            case Array(_, _, inner) | Map(_, inner):
                text = self._float_shape(inner)
                return f"*{text}" if text else ""
            case Record(cls):
                return self._names.of(cls)
            case Custom():
                return self._float_shape(shape.wire)
            case _:
                return "float" if isinstance(shape, Number) else ""


def is_event(declaration: MessageDeclaration) -> bool:
    """Return whether a declaration is one of an event."""
    return declaration.kind is MessageKind.EVENT


def _union(name: str, members: Iterable[str]) -> str:
    return "\n".join([f"export type {name} =", *(f"  | {one}" for one in members)]) + ";\n"


def _literals(choice: Choice) -> str:
    return " | ".join(_json(wire) for wire, _ in choice.members)


def _comment(text: str, deprecated: str | None = None, indent: str = "") -> str:
    """Return a comment of TSDoc with a line break after it; empty where there is nothing to say."""
    lines = text.split("\n") if text else []
    if deprecated:
        lines += ["", f"@deprecated {deprecated}"] if lines else [f"@deprecated {deprecated}"]
    # A lone @ would begin a tag of TSDoc, and */ would end the comment.
    lines = [
        re.sub(r"(?<!\S)@(?!deprecated )", r"\\@", line).replace("*/", "*\\/") for line in lines
    ]
    if not lines:
        return ""
    if len(lines) == 1:
        return f"{indent}/** {lines[0]} */\n"
    middle = "".join(f"{indent} * {line}".rstrip() + "\n" for line in lines)
    return f"{indent}/**\n{middle}{indent} */\n"


def _key(name: str) -> str:
    return name if re.fullmatch(r"[A-Za-z_$][A-Za-z0-9_$]*", name) else _quoted(name)


def _quoted(text: str) -> str:
    return _json(text)


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=True)
