"""AsyncAPI 3.0, from the server's point of view: it receives commands, and sends the rest.

Rules:

* One channel, the WebSocket. Every command is an operation with its reply and the error; what a
  server pushes is an operation each.
* Schemas are those of what is written, in the dialect that AsyncAPI tools check examples against
  (draft 7): there, nothing may stand beside a ``$ref``.
* Examples are made from the schemas, and are valid. Where one cannot be made there is none.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Any, Final
from urllib.parse import unquote, urlsplit

from tachikoma_proto.declare.declarations import MessageDeclaration, MessageKind, Sender
from tachikoma_proto.messages.message_types import RESP_ERROR
from tachikoma_proto.registry.registry import Registry
from tachikoma_proto.schema.definitions import Definitions, Schema, number_bounds
from tachikoma_proto.schema.descriptions import describe_class
from tachikoma_proto.schema.names import CLIENT_MESSAGE, SERVER_MESSAGE, TIMESTAMP, UUID, Names

_CHANNEL: Final = "tachikoma"
_SECURITY: Final = "token"
_PROTOCOLS: Final = ("ws", "wss")

_CONTACT: Final[Mapping[str, str]] = {
    "name": "Tachikoma",
    "url": "https://tachikoma.example",
    "email": "tachikoma@tachikoma.example",
}
"""An address that is nobody's, for documents whose author gives none."""

_EXAMPLES: Final[Mapping[str, str]] = {
    UUID: "67e55044-10b1-426f-9247-bb680e5fe0c8",
    TIMESTAMP: "2026-01-02T03:04:05.123Z",
}


def asyncapi(
    registry: Registry,
    *,
    servers: Iterable[str] = (),
    title: str = "Tachikoma",
    version: str = "1.0.0",
    contact: Mapping[str, str] = _CONTACT,
) -> dict[str, Any]:
    """Describe a server of the registry's messages as an AsyncAPI 3.0 document.

    Args:
        registry: Which messages there are.
        servers: The addresses where servers listen, such as ``wss://tachikoma.example/ws``.
        title: What the document calls the application.
        version: The version of the application's interface.
        contact: Whom to ask: ``name``, ``url`` and ``email``.

    Returns:
        The document, of builtins.

    Raises:
        ValueError: An address is none of a WebSocket.
    """
    return _Document(registry).make(
        list(servers), {"title": title, "version": version, "contact": dict(contact)}
    )


class _Document:
    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._names = Names(registry)
        definitions = Definitions(registry, self._names, "write").all()
        for name in (CLIENT_MESSAGE, SERVER_MESSAGE):
            del definitions[name]
        self._schemas = definitions

    def make(self, servers: list[str], about: dict[str, Any]) -> dict[str, Any]:
        """Return the document.

        Args:
            servers: Their addresses.
            about: What stands first in ``info``.
        """
        described = {f"server-{i}": _server(url) for i, url in enumerate(servers, start=1)}
        keys = [self._key(one) for one in self._registry]
        return {
            "asyncapi": "3.0.0",
            "info": {
                **about,
                "description": (
                    "Missions and forge sessions over a WebSocket: clients send commands, "
                    "the server answers them and pushes events to subscribers."
                ),
                "license": {"name": "MIT"},
                "tags": [
                    {"name": name, "description": f"Messages of the category `{name}`."}
                    for name in self._registry.categories
                ],
            },
            "defaultContentType": "application/json",
            **({"servers": described} if described else {}),
            "channels": {
                _CHANNEL: {
                    "address": "/",
                    "title": "The connection",
                    "description": "All messages of a client and its server, one a text frame.",
                    "messages": {key: {"$ref": f"#/components/messages/{key}"} for key in keys},
                    "bindings": {"ws": {"method": "GET", "bindingVersion": "0.1.0"}},
                }
            },
            "operations": dict(
                self._operation(one)
                for one in self._registry
                if one.kind is not MessageKind.RESPONSE or one.message_type == RESP_ERROR
            ),
            "components": {
                "schemas": {name: _plain(schema) for name, schema in self._schemas.items()},
                "messages": {self._key(one): self._message(one) for one in self._registry},
                "securitySchemes": {
                    _SECURITY: {
                        "type": "apiKey",
                        "in": "password",
                        "description": f"A token, in {self._where_the_token_goes()}.",
                    }
                },
            },
        }

    def _key(self, declaration: MessageDeclaration) -> str:
        return self._names.frame(declaration).removesuffix("Frame")

    def _where_the_token_goes(self) -> str:
        for one in self._registry:
            for field in self._registry.records[one.cls]:
                if one.public and field.secret:
                    return f"the field `{field.name}` of the first command, `{one.message_type}`"
        return "the handshake"

    def _operation(self, declaration: MessageDeclaration) -> tuple[str, dict[str, Any]]:
        key = self._key(declaration)
        receives = declaration.sender is Sender.CLIENT
        summary = describe_class(declaration.cls).partition("\n")[0] or key
        operation: dict[str, Any] = {
            "action": "receive" if receives else "send",
            "channel": {"$ref": f"#/channels/{_CHANNEL}"},
            "title": declaration.message_type,
            "summary": summary,
            "description": _deprecated(summary, declaration),
            "tags": [{"name": declaration.category}],
            "messages": [_in_channel(key)],
        }
        reply = self._registry.declaration_of(declaration.reply) if declaration.reply else None
        error = self._registry.declaration_for(Sender.SERVER, RESP_ERROR)
        answers = dict.fromkeys(self._key(one) for one in (reply, error) if reply and one)
        if answers:
            operation["reply"] = {
                "channel": {"$ref": f"#/channels/{_CHANNEL}"},
                "messages": [_in_channel(answer) for answer in answers],
            }
        return f"{'receive' if receives else 'send'}{key}", operation

    def _message(self, declaration: MessageDeclaration) -> dict[str, Any]:
        name = self._names.frame(declaration)
        is_answer = declaration.kind is MessageKind.RESPONSE
        location = f"$message.payload#/{'reply_to' if is_answer else 'id'}"
        text = describe_class(declaration.cls) or name
        message: dict[str, Any] = {
            "name": declaration.message_type,
            "title": self._key(declaration),
            "summary": text.partition("\n")[0],
            "description": _deprecated(text, declaration),
            "contentType": "application/json",
            "tags": [{"name": declaration.category}],
            "payload": {"$ref": f"#/components/schemas/{name}"},
        }
        if declaration.kind in (MessageKind.COMMAND, MessageKind.RESPONSE):
            about = "An answer's `reply_to` is the `id` of the command."
            message["correlationId"] = {"description": about, "location": location}
        also = ["reply_to"] if is_answer else ["id", "timestamp"]
        try:
            example = self._example(self._schemas[name], also)
        except LookupError:
            return message
        message["examples"] = [{"name": declaration.message_type, "payload": example}]
        return message

    def _example(self, schema: Any, also: Iterable[str] = (), depth: int = 0) -> Any:
        """Make up a value that fits a schema.

        Args:
            schema: The schema.
            also: Members of it that are given although they are not required.
            depth: How deep it stands; far down, arrays are empty.

        Raises:
            LookupError: A scalar of an extension gives no example of what it takes.
        """
        if "$ref" in schema:
            name = unquote(schema["$ref"].rpartition("/")[2])
            return _EXAMPLES.get(name) or self._example(self._schemas[name], (), depth + 1)
        for keyword in ("const", "default"):
            if keyword in schema:
                return schema[keyword]
        if "examples" in schema:
            return schema["examples"][0]
        if "allOf" in schema:
            return next(one["examples"][0] for one in schema["allOf"] if "examples" in one)
        if "enum" in schema:
            return schema["enum"][0]
        if "anyOf" in schema:
            return self._example(schema["anyOf"][0], also, depth)
        kind = schema.get("type")
        if kind == "object" and "properties" in schema:
            members = {*schema.get("required", ()), *also}
            return {
                name: self._example(one, (), depth + 1)
                for name, one in schema["properties"].items()
                if name in members and one is not False
            }
        if kind == "object":
            count = max(schema.get("minProperties", 0), int(depth < 6))
            inner = schema["additionalProperties"]
            return {f"name{i or ''}": self._example(inner, (), depth + 1) for i in range(count)}
        if kind == "array":
            count = max(schema.get("minItems", 0), int(depth < 6))
            return [self._example(schema["items"], (), depth + 1) for _ in range(count)]
        return _leaf_example(kind, schema)


def _leaf_example(kind: str | None, schema: Schema) -> Any:
    if kind == "string":
        example = "text".ljust(schema.get("minLength", 0), "t")[: schema.get("maxLength")]
        if "format" in schema or not re.search(schema.get("pattern", ""), example):
            raise LookupError("no example is known")
        return example
    if kind == "boolean":
        return True
    if kind in ("integer", "number"):
        lowest, highest = number_bounds(schema)
        low = max(lowest, highest - 2 if highest < 1 else -1.0)
        high = min(highest, low + 2)
        middle = (low + high) / 2
        return middle if kind == "number" else schema["minimum"] if lowest > 1 else int(high)
    return None


def _plain(schema: Any) -> Any:
    """Return a schema with its references into the components, and nothing beside them."""
    if isinstance(schema, list):
        return [_plain(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    rest = {
        name: value if name in ("default", "examples", "enum", "const") else _plain(value)
        for name, value in schema.items()
        if name != "$ref"
    }
    if "$ref" not in schema or not isinstance(schema["$ref"], str):
        return rest
    reference = {"$ref": schema["$ref"].replace("#/$defs/", "#/components/schemas/")}
    return {**rest, "allOf": [reference]} if rest else reference


def _in_channel(key: str) -> dict[str, str]:
    return {"$ref": f"#/channels/{_CHANNEL}/messages/{key}"}


def _deprecated(text: str, declaration: MessageDeclaration) -> str:
    return f"{text}\n\nDeprecated: {declaration.deprecated}." if declaration.deprecated else text


def _server(url: str) -> dict[str, Any]:
    parts = urlsplit(url)
    if parts.scheme not in _PROTOCOLS or not parts.hostname:
        raise ValueError("the address of a server is that of a WebSocket: ws://… or wss://…")
    if parts.username is not None or parts.password is not None:
        raise ValueError("the address of a server holds no user and no password")
    path = parts.path.rstrip("/")
    return {
        "host": parts.netloc,
        **({"pathname": path} if path else {}),
        "protocol": parts.scheme,
        "security": [{"$ref": f"#/components/securitySchemes/{_SECURITY}"}],
    }
