"""``schema``: describe the messages for other languages, and check what a change breaks.

Rules:

* Output is UTF-8 and the same byte for byte everywhere, whatever the terminal's encoding is.
* An option that does nothing for the chosen format is refused.
"""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import click

from tachikoma_proto.cli.options import (
    STDIN,
    CliError,
    chosen_registry,
    one_of,
    plugins_hint,
    plugins_option,
    standard_input,
    subcommand,
)

if TYPE_CHECKING:
    from tachikoma_proto.registry.registry import Registry

BREAKS: Final = 1

FORMATS: Final = ("json-schema", "asyncapi", "typescript", "markdown")
MODES: Final = ("read", "write")

_HELP: Final = """Describe all messages for other languages, or check what a change breaks.

The formats are JSON Schema, AsyncAPI 3.0, TypeScript with a small typed client, and a page in
Markdown. With --check, compare with a JSON Schema that was written before, and say what would break
old clients, old servers or stored captures.
"""


@subcommand(
    help=_HELP,
    short_help="Write schemas, or check what a change breaks.",
    examples=[
        "schema --format typescript --plugins -o tachikoma.ts",
        "schema --format json-schema --mode read -o schema.json",
        "schema --format asyncapi --server wss://tachikoma.example",
        "schema --check schema.json --plugins",
    ],
    statuses={1: "with --check: something would break"},
)
@click.option(
    "--format", "chosen", **one_of(FORMATS), help="What to write; json-schema unless told."
)
@click.option(
    "--mode", **one_of(MODES), help="With json-schema: what is read (default) or written."
)
@click.option(
    "--server", "servers", multiple=True, metavar="URL", help="With asyncapi: where a server is."
)
@click.option("--check", "old", metavar="FILE", help="An older JSON Schema to compare with.")
@click.option("-o", "--output", metavar="FILE", help="Where to write to, instead of the output.")
@plugins_option
def command(
    *,
    chosen: str | None,
    mode: str | None,
    servers: tuple[str, ...],
    old: str | None,
    output: str | None,
    plugins: bool,
) -> int:
    """Write a description, or compare with an older one."""
    if old is not None:
        _refuse({"--format": chosen, "--mode": mode, "--server": servers, "-o": output}, "--check")
        return _check(old, plugins)
    chosen = chosen or FORMATS[0]
    if chosen != "json-schema":
        _refuse({"--mode": mode}, f"--format {chosen}")
    if chosen != "asyncapi":
        _refuse({"--server": servers}, f"--format {chosen}")
    write = _WRITERS[chosen]
    text = write(chosen_registry(plugins), mode or MODES[0], servers)
    if output in (None, "-"):
        click.echo(text.encode(), nl=False)
    else:
        Path(str(output)).write_bytes(text.encode())
    return 0


def _refuse(options: Mapping[str, object], beside: str) -> None:
    given = [name for name, value in options.items() if value]
    if given:
        raise CliError(f"{', '.join(given)} cannot be given with {beside}")


def _write_json_schema(registry: "Registry", mode: Any, _: tuple[str, ...]) -> str:
    from tachikoma_proto.schema import json_schema

    return _json(json_schema(registry, mode))


def _write_asyncapi(registry: "Registry", _: str, servers: tuple[str, ...]) -> str:
    from tachikoma_proto.schema import asyncapi

    try:
        return _json(asyncapi(registry, servers=servers))
    except ValueError as error:
        raise CliError(str(error)) from None


def _write_typescript(registry: "Registry", *_: object) -> str:
    from tachikoma_proto.schema import typescript

    return typescript(registry)


def _write_markdown(registry: "Registry", *_: object) -> str:
    from tachikoma_proto.schema import markdown

    return markdown(registry)


_Writer: TypeAlias = "Callable[[Registry, str, tuple[str, ...]], str]"

_WRITERS: Final[Mapping[str, _Writer]] = {
    "json-schema": _write_json_schema,
    "asyncapi": _write_asyncapi,
    "typescript": _write_typescript,
    "markdown": _write_markdown,
}


def _json(document: object) -> str:
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def _check(name: str, plugins: bool) -> int:
    from tachikoma_proto.schema import check

    raw = standard_input().read() if name == STDIN else Path(name).read_bytes()
    registry = chosen_registry(plugins)
    try:
        old = json.loads(raw)
        found = check(old, registry)
    except (ValueError, RecursionError):
        raise CliError(f"{name} is no JSON Schema that this command wrote") from None
    for breakage in found:
        click.echo(str(breakage))
    if not found:
        click.echo("Nothing breaks.")
    elif any("it is removed" in one.text for one in found):
        click.echo(f"{len(found)} changes break something{plugins_hint(plugins)}", err=True)
    return BREAKS if found else 0
