"""A page for people: every message, with its fields, in Markdown.

Rules:

* One section a category: its topic, a table of its messages, then each message with its fields.
* Fields are described as the command's ``types`` does.
* Text from docstrings stays in its cell: a pipe and a line break are escaped.
"""

import json
from collections.abc import Iterator
from typing import Final

from tachikoma_proto.declare.category import Category
from tachikoma_proto.declare.declarations import MessageDeclaration, MessageKind
from tachikoma_proto.declare.shapes import RecordField, describe_field
from tachikoma_proto.registry.registry import Registry
from tachikoma_proto.schema.defaults import NO_DEFAULT, default_of
from tachikoma_proto.schema.descriptions import describe_class, describe_fields
from tachikoma_proto.schema.names import Names

_HEAD: Final = """\
# Messages

A client sends commands. The server answers each with its reply, or with `error`, and pushes events.
Every frame is one JSON object; fields marked with `?` may be left out.
"""


def markdown(registry: Registry) -> str:
    """Write a page about every message of a registry.

    Args:
        registry: Which messages there are.

    Returns:
        The page, in Markdown with tables.
    """
    page = _Page(registry)
    parts = [_HEAD, *(part for c in registry.categories.values() for part in page.category(c))]
    records = page.records()
    return "\n".join([*parts, *records])


class _Page:
    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._names = Names(registry)

    def category(self, category: Category) -> Iterator[str]:
        """Go through the parts of a category's section; none for one without messages."""
        if not category.declarations:
            return
        yield f"## {category.name}\n"
        if category.topic is not None:
            below = f", and `{category.topic}/<{category.key}>`" if category.key else ""
            yield f"Its events go to the topic `{category.topic}`{below}.\n"
        rows = []
        for one in category.declarations:
            link = f"[{self._title(one)}](#{self._anchor(one)})"
            summary = _first_line(describe_class(one.cls))
            if one.deprecated:
                summary = f"**Deprecated**: {one.deprecated}. {summary}"
            rows.append([link, f"from the {one.sender.value}", self._reply(one), summary])
        yield from _table(["message", "direction", "reply", "what"], rows)
        for one in category.declarations:
            yield from self._message(one)

    def records(self) -> Iterator[str]:
        """Go through the section of the classes that stand in messages, and of scalars."""
        messages = {one.cls for one in self._registry}
        nested = [cls for cls in self._names.classes if cls not in messages]
        yield "## Records and types\n"
        for cls in nested:
            yield f"### {self._names.of(cls)}\n"
            yield from self._about(cls)
        if self._names.leaves:
            rows = [
                [f"`{self._names.of(leaf.type)}`", leaf.expected] for leaf in self._names.leaves
            ]
            yield from _table(["type", "what"], rows)

    def _message(self, declaration: MessageDeclaration) -> Iterator[str]:
        yield f"### {self._title(declaration)}\n"
        if declaration.deprecated:
            yield f"**Deprecated**: {declaration.deprecated}.\n"
        yield from self._about(declaration.cls)

    def _about(self, cls: type) -> Iterator[str]:
        text = describe_class(cls)
        if text:
            yield f"{text}\n"
        descriptions = describe_fields(cls)
        rows = [
            [self._field(field), self._default(cls, field), descriptions.get(field.name, "")]
            for field in self._registry.records[cls]
        ]
        if rows:
            yield from _table(["field", "default", "what"], rows)

    def _field(self, field: RecordField) -> str:
        return f"`{describe_field(field, self._registry.records)}`"

    def _default(self, cls: type, field: RecordField) -> str:
        default = default_of(cls, field, self._registry.records)
        return "" if default is NO_DEFAULT or default is None else f"`{json.dumps(default)}`"

    def _reply(self, declaration: MessageDeclaration) -> str:
        reply = self._registry.declaration_of(declaration.reply) if declaration.reply else None
        return f"[{reply.message_type}](#{self._anchor(reply)})" if reply else ""

    def _title(self, declaration: MessageDeclaration) -> str:
        if declaration.kind is MessageKind.EVENT:
            return f"{declaration.category}.{declaration.tag}"
        is_keepalive = declaration.kind is MessageKind.KEEPALIVE
        return declaration.message_type + (" (keepalive)" if is_keepalive else "")

    def _anchor(self, declaration: MessageDeclaration) -> str:
        title = self._title(declaration).lower()
        return "".join(c for c in title if c.isalnum() or c in "_- ").replace(" ", "-")


def _table(head: list[str], rows: list[list[str]]) -> Iterator[str]:
    lines = [head, ["---"] * len(head), *([_cell(cell) for cell in row] for row in rows)]
    yield "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


def _first_line(text: str) -> str:
    return text.partition("\n")[0]
