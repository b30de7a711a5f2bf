"""``send``: send one command, and show its typed reply."""

import argparse
import json
from typing import Any

from tachikoma_proto.cli.brief import brief
from tachikoma_proto.cli.failure import CommandError
from tachikoma_proto.cli.given import command_given, command_named
from tachikoma_proto.cli.options import add_plugins, chosen_registry, plugins_hint, positive
from tachikoma_proto.cli.peer import add_peer, connected, need_websockets
from tachikoma_proto.cli.redact import redacted
from tachikoma_proto.codec.codec import Codec
from tachikoma_proto.declare.bases import Command, Response
from tachikoma_proto.errors import ProtocolError, RemoteError
from tachikoma_proto.messages.envelope import OutgoingMessage
from tachikoma_proto.messages.responses import ErrorResponse


def configure(parser: argparse.ArgumentParser) -> None:
    """Say which options the subcommand has."""
    add_peer(parser)
    parser.add_argument("type", metavar="TYPE", help="a command, such as mission_status")
    parser.add_argument(
        "fields",
        nargs="*",
        default=[],  # without one, argparse says that it is required
        metavar="FIELD=VALUE",
        help="such as mission_id=… or filters.event_types=progress,failed; what is neither a "
        "text nor an array of texts is JSON",
    )
    add_plugins(parser)
    parser.add_argument("--json", action="store_true", help="the reply as a JSON object")
    parser.add_argument(
        "--timeout",
        type=positive,
        default=10.0,
        metavar="SECONDS",
        help="how long connecting, and the answer, may each take (%(default)s)",
    )
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Send the command.

    Args:
        options: The command line's.

    Returns:
        The exit status: 1 if the server says no.
    """
    need_websockets()
    import asyncio

    codec = Codec(chosen_registry(options), accelerated=False)
    cls = command_named(codec.registry, options.type, plugins_hint(options))
    command = command_given(codec.registry, cls, options.fields)
    reply = asyncio.run(_ask(options, codec, command))
    print(_as_json(codec, reply) if options.json else brief(reply))
    is_refused = isinstance(reply, ErrorResponse) or getattr(reply, "success", True) is False
    return 1 if is_refused else 0


async def _ask(options: argparse.Namespace, codec: Codec, command: Command[Any]) -> Response:
    from tachikoma_proto.cli.notices import print_notice
    from tachikoma_proto.session import ClientConfig

    config = ClientConfig(
        open_timeout=options.timeout, request_timeout=options.timeout, reconnect=False
    )
    async with connected(options, codec, config, print_notice) as client:
        try:
            reply: Response = await client.request(command)
        except RemoteError as error:
            return ErrorResponse(code=error.code, message=error.message, details=error.details)
        except ProtocolError as error:
            raise CommandError(f"the answer cannot be read: {error}") from None
    return reply


def _as_json(codec: Codec, reply: Response) -> str:
    declaration = codec.registry.declaration_of(type(reply))
    assert declaration is not None, "what was read is in the registry"
    frame = redacted(codec, OutgoingMessage(type=declaration.message_type, payload=reply))
    return json.dumps({"type": frame["type"], "payload": frame["payload"]})
