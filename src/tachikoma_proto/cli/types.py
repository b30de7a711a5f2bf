"""``types``: the table of all message types that the registry knows."""

import argparse
import json
from typing import Any

from tachikoma_proto.cli.options import add_plugins, chosen_registry
from tachikoma_proto.cli.table import table
from tachikoma_proto.registry import Registry
from tachikoma_proto.shapes import describe_field
from tachikoma_proto.specs import MessageSpec

COLUMNS = ("type", "direction", "category", "tag", "fields", "reply", "owner")


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
    rows = [_row(registry, spec) for spec in registry]
    if options.json:
        for row in rows:
            print(json.dumps(dict(zip(COLUMNS, row, strict=True))))
    else:
        print(table(COLUMNS, [[_cell(cell) for cell in row] for row in rows]))
    return 0


def _row(registry: Registry, spec: MessageSpec) -> list[Any]:
    reply = registry.spec_of(spec.reply) if spec.reply else None
    return [
        spec.message_type,
        f"from {spec.sender.value}",
        spec.category,
        spec.tag,
        [describe_field(field, registry.records) for field in registry.records[spec.cls]],
        reply.message_type if reply else "",
        registry.owner_of(registry.categories[spec.category]),
    ]


def _cell(cell: Any) -> str:
    return ", ".join(cell) if isinstance(cell, list) else cell
