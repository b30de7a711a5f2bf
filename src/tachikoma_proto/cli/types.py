"""``types``: all message types that the registry knows, with their fields.

Rules:

* What is deprecated says what to use instead; where nothing is, the table has no such column.
* On a terminal that is too narrow for the table, what makes it wide goes below each row; where
  that is too wide as well, there are no columns.
"""

import json
import sys
import textwrap
from collections.abc import Iterator
from typing import Any, Final

import click

from tachikoma_proto.cli.options import chosen_registry, plugins_option, subcommand
from tachikoma_proto.cli.terminal import LineWriter, table
from tachikoma_proto.declare.declarations import MessageDeclaration
from tachikoma_proto.declare.shapes import describe_field
from tachikoma_proto.registry.registry import Registry

COLUMNS: Final = ("type", "direction", "category", "tag", "fields", "reply", "owner", "deprecated")

SHORT_COLUMNS: Final = 4
"""How many of them stay columns where there is little room."""

INDENT: Final = 4 * " "


@subcommand(
    help="Show all message types, with their fields, replies and owners.",
    examples=["types", "types --plugins --json"],
)
@plugins_option
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
def command(*, plugins: bool, as_json: bool) -> int:
    """Print the table."""
    registry = chosen_registry(plugins)
    rows = [_row(registry, declaration) for declaration in registry]
    if as_json:
        for row in rows:
            print(json.dumps(dict(zip(COLUMNS, row, strict=True))))
    else:
        cells = [[_cell(cell) for cell in row] for row in rows]
        print(_laid_out(cells, LineWriter(sys.stdout).width))
    return 0


def _row(registry: Registry, declaration: MessageDeclaration) -> list[Any]:
    reply = registry.declaration_of(declaration.reply) if declaration.reply else None
    return [
        declaration.message_type,
        f"from {declaration.sender.value}",
        declaration.category,
        declaration.tag,
        [describe_field(field, registry.records) for field in registry.records[declaration.cls]],
        reply.message_type if reply else "",
        registry.owner_of(registry.categories[declaration.category]),
        declaration.deprecated or "",
    ]


def _laid_out(rows: list[list[str]], width: int | None) -> str:
    """Lay the table out for a terminal's number of columns; None for any number."""
    columns = len(COLUMNS) if any(row[-1] for row in rows) else len(COLUMNS) - 1
    text = table(COLUMNS[:columns], [row[:columns] for row in rows])
    if width is None or _fits(text, width):
        return text
    short = table(COLUMNS[:SHORT_COLUMNS], [row[:SHORT_COLUMNS] for row in rows])
    if _fits(short, width):
        head, *lines = short.splitlines()
        return "\n".join([head, *_with_details(lines, rows, width)])
    lines = [
        "\n".join([name, *_below(f"{direction}, {'.'.join(filter(None, [category, tag]))}", width)])
        for name, direction, category, tag, *_ in rows
    ]
    return "\n".join(_with_details(lines, rows, width))


def _fits(text: str, width: int) -> bool:
    return max(map(len, text.splitlines())) <= width


def _with_details(lines: list[str], rows: list[list[str]], width: int) -> Iterator[str]:
    """Go through the lines, each with what is not in it below."""
    for line, (*_, fields, reply, owner, deprecated) in zip(lines, rows, strict=True):
        named = {"reply": reply, "owner": owner, "deprecated": deprecated}
        details = "; ".join(f"{name}: {text}" for name, text in named.items() if text)
        yield line
        yield from _below(fields, width)
        yield from _below(details, width)


def _below(text: str, width: int) -> list[str]:
    return textwrap.wrap(
        text,
        max(width, 3 * len(INDENT)),
        initial_indent=INDENT,
        subsequent_indent=2 * INDENT,
        break_on_hyphens=False,
    )


def _cell(cell: Any) -> str:
    return ", ".join(cell) if isinstance(cell, list) else cell
