"""``types``: the table of all message types that the registry knows.

Rules:

* On a terminal that is too narrow for the table, what makes it wide is below each row instead.
"""

import argparse
import json
import sys
from typing import Any

from tachikoma_proto.cli.options import add_plugins, chosen_registry
from tachikoma_proto.cli.table import table
from tachikoma_proto.cli.terminal import Paper
from tachikoma_proto.declare.declarations import MessageDeclaration
from tachikoma_proto.declare.shapes import describe_field
from tachikoma_proto.registry.registry import Registry

COLUMNS = ("type", "direction", "category", "tag", "fields", "reply", "owner")

NARROW = 4
"""How many of them are columns where there is little room; the others are below their row."""

INDENT = 4 * " "


def configure(parser: argparse.ArgumentParser) -> None:
    """Say which options the subcommand has."""
    add_plugins(parser)
    parser.add_argument("--json", action="store_true", help="one JSON object a line")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Print the table.

    Args:
        options: The command line's.

    Returns:
        The exit status.
    """
    registry = chosen_registry(options)
    rows = [_row(registry, declaration) for declaration in registry]
    if options.json:
        for row in rows:
            print(json.dumps(dict(zip(COLUMNS, row, strict=True))))
    else:
        print(_fitted([[_cell(cell) for cell in row] for row in rows], Paper(sys.stdout).width))
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
    ]


def _fitted(rows: list[list[str]], width: int | None) -> str:
    """Lay the table out for so many columns of a terminal; None for any number."""
    text = table(COLUMNS, rows)
    if width is None or max(map(len, text.splitlines())) <= width:
        return text
    head, *lines = table(COLUMNS[:NARROW], [row[:NARROW] for row in rows]).splitlines()
    parts = [head]
    for line, (*_, fields, reply, owner) in zip(lines, rows, strict=True):
        parts += [line, *_below(fields, width)]
        parts += _below(f"reply: {reply}; owner: {owner}" if reply else f"owner: {owner}", width)
    return "\n".join(parts)


def _below(text: str, width: int) -> list[str]:
    import textwrap

    return textwrap.wrap(
        text,
        max(width, 2 * len(INDENT)),
        initial_indent=INDENT,
        subsequent_indent=2 * INDENT,
        break_on_hyphens=False,
    )


def _cell(cell: Any) -> str:
    return ", ".join(cell) if isinstance(cell, list) else cell
