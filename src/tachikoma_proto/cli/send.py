"""``send``: send one command, and show its typed reply."""

import json
from collections.abc import Iterator, Sequence
from typing import Any, Final

import click

from tachikoma_proto.cli.arguments import find_command, make_command
from tachikoma_proto.cli.options import (
    CliError,
    chosen_registry,
    completing,
    number,
    plugins_hint,
    plugins_option,
    subcommand,
)
from tachikoma_proto.cli.output import brief, redacted
from tachikoma_proto.cli.target import Target, need_websockets, notify_on_stderr, target_options
from tachikoma_proto.codec.codec import Codec
from tachikoma_proto.declare.bases import Command, Response
from tachikoma_proto.declare.declarations import MessageKind
from tachikoma_proto.declare.shapes import describe_field
from tachikoma_proto.errors import ProtocolError, RemoteError
from tachikoma_proto.messages.envelope import OutgoingMessage
from tachikoma_proto.messages.responses import ErrorResponse

_HELP: Final = """Send one command to a server, and show its typed reply.

URL is the server's, ws://… or wss://…. TYPE is the command's message type, such as mission_status.
FIELD=VALUE gives its fields: texts as they are, arrays of texts with commas, everything else as
JSON; a field of a field by its path, such as filters.event_types=progress,failed.
"""


def _commands(ctx: click.Context) -> Iterator[tuple[str, str]]:
    registry = chosen_registry(bool(ctx.params.get("plugins")))
    for declaration in registry:
        if declaration.kind is MessageKind.COMMAND:
            fields = registry.records[declaration.cls]
            described = ", ".join(describe_field(field, registry.records) for field in fields)
            yield declaration.message_type, described


def _fields(ctx: click.Context) -> Iterator[tuple[str, str]]:
    registry = chosen_registry(bool(ctx.params.get("plugins")))
    for declaration in registry:
        is_command = declaration.kind is MessageKind.COMMAND
        if is_command and declaration.message_type == ctx.params.get("message_type"):
            for field in registry.records[declaration.cls]:
                if not field.secret:
                    yield f"{field.name}=", describe_field(field, registry.records)


@subcommand(
    help=_HELP,
    short_help="Send one command, and show its typed reply.",
    examples=[
        "send ws://localhost:8765 mission_status mission_id=67e55044-…",
        "send ws://localhost:8765 subscribe topic=missions filters.event_types=failed",
        "send wss://tachikoma.example --json --token-file token session_info",
    ],
    statuses={0: "the server did it", 1: "the server refused"},
)
@target_options
@click.argument("message_type", metavar="TYPE", shell_complete=completing(_commands))
@click.argument("fields", nargs=-1, metavar="[FIELD=VALUE]...", shell_complete=completing(_fields))
@plugins_option
@click.option("--json", "as_json", is_flag=True, help="Show the reply as a JSON object.")
@click.option(
    "--timeout",
    type=number,
    default=10.0,
    show_default=True,
    metavar="SECONDS",
    help="How long connecting, and the reply, may each take.",
)
def command(
    *,
    target: Target,
    message_type: str,
    fields: Sequence[str],
    plugins: bool,
    as_json: bool,
    timeout: float,
) -> int:
    """Send the command; return 1 if the server refuses."""
    need_websockets()
    import asyncio

    codec = Codec(chosen_registry(plugins), accelerated=False)
    cls = find_command(codec.registry, message_type, plugins_hint(plugins))
    message = make_command(codec.registry, cls, fields)
    reply = asyncio.run(_request(target, codec, message, timeout))
    print(_as_json(codec, reply) if as_json else brief(reply))
    is_refused = isinstance(reply, ErrorResponse) or getattr(reply, "success", True) is False
    return 1 if is_refused else 0


async def _request(target: Target, codec: Codec, message: Command[Any], timeout: float) -> Response:
    from tachikoma_proto.session import ClientConfig

    config = ClientConfig(open_timeout=timeout, request_timeout=timeout, reconnect=False)
    async with target.connected(codec, config, notify_on_stderr) as client:
        try:
            reply: Response = await client.request(message)
        except RemoteError as error:
            return ErrorResponse(code=error.code, message=error.message, details=error.details)
        except ProtocolError as error:
            raise CliError(f"the reply cannot be read: {error}") from None
    return reply


def _as_json(codec: Codec, reply: Response) -> str:
    declaration = codec.registry.declaration_of(type(reply))
    assert declaration is not None, "what was read is in the registry"
    frame = redacted(codec, OutgoingMessage(type=declaration.message_type, payload=reply))
    return json.dumps({"type": frame["type"], "payload": frame["payload"]})
