"""``watch``: follow what a server publishes, as it comes."""

import argparse
from typing import TYPE_CHECKING

from tachikoma_proto.cli.brief import printable
from tachikoma_proto.cli.failure import CommandError
from tachikoma_proto.cli.given import command_given
from tachikoma_proto.cli.options import add_plugins, chosen_registry, count
from tachikoma_proto.cli.peer import TOKEN_HINT, add_peer, connected, need_websockets
from tachikoma_proto.codec import Codec
from tachikoma_proto.errors import ProtocolError, RemoteError
from tachikoma_proto.messages.commands import Subscribe
from tachikoma_proto.registry import Registry

if TYPE_CHECKING:
    from tachikoma_proto.cli.tail import Tail
    from tachikoma_proto.client import Client


def configure(parser: argparse.ArgumentParser) -> None:
    """Say which options the subcommand has."""
    add_peer(parser)
    parser.add_argument(
        "--topic",
        action="append",
        dest="topics",
        metavar="TOPIC",
        help="such as missions or missions/UUID; may be given several times (all there are)",
    )
    parser.add_argument(
        "--filter",
        action="append",
        dest="filters",
        default=[],
        metavar="NAME=VALUE",
        help="mission_id=UUID, session_id=UUID or event_types=progress,completed; may be given "
        "several times, and all must hold",
    )
    add_plugins(parser)
    parser.add_argument("--json", action="store_true", help="one frame a line, as JSON")
    parser.add_argument("--count", type=count, metavar="N", help="end after so many events")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Follow the events.

    Args:
        options: The command line's.

    Returns:
        The exit status.
    """
    need_websockets()
    import asyncio

    from tachikoma_proto.cli.tail import make_tail

    codec = Codec(chosen_registry(options))
    subscriptions = _subscriptions(codec.registry, options)
    with make_tail(codec, as_json=options.json) as tail:
        asyncio.run(_follow(options, codec, subscriptions, tail))
    return 0


def _subscriptions(registry: Registry, options: argparse.Namespace) -> list[Subscribe]:
    """Have the codec look at the topics and filters before anybody is connected to."""
    topics = options.topics or [
        category.topic for category in registry.categories.values() if category.topic is not None
    ]
    filters = [f"filters.{given}" for given in options.filters]
    commands = [
        command_given(registry, "subscribe", [f"topic={topic}", *filters]) for topic in topics
    ]
    return [command for command in commands if isinstance(command, Subscribe)]


async def _follow(
    options: argparse.Namespace, codec: Codec, subscriptions: list[Subscribe], tail: "Tail"
) -> None:
    from tachikoma_proto.session import ClientConfig

    async with connected(options, codec, ClientConfig(), tail.notice) as client:
        for subscription in subscriptions:
            await _subscribe(client, subscription)
        tail.notice(f"watching {', '.join(printable(s.topic) for s in subscriptions)}")
        try:
            await _show(client, tail, options.count)
        except RemoteError as error:
            raise CommandError(f"the server no longer takes us: {printable(str(error))}") from None


async def _subscribe(client: "Client", subscription: Subscribe) -> None:
    topic = printable(subscription.topic)
    try:
        answer = await client.subscribe(subscription.topic, filters=subscription.filters)
    except (RemoteError, ProtocolError) as error:
        hint = f" ({TOKEN_HINT})" if error.code == "auth_required" else ""
        raise CommandError(f"{topic} cannot be watched: {printable(str(error))}{hint}") from None
    if not answer.success:
        raise CommandError(f"{topic} cannot be watched: {printable(answer.message or 'refused')}")


async def _show(client: "Client", tail: "Tail", limit: int | None) -> None:
    from tachikoma_proto.client import EventsMissed, Reconnected

    shown = 0
    async for message in client.messages():
        match message.payload:
            case Reconnected(attempts=attempts, refused=refused):
                tail.clear()  # the end of a mission may be among what is missing
                lost = f"; no longer to be had: {', '.join(refused)}" if refused else ""
                tail.notice(
                    f"connected again at attempt {attempts}; what was published in between "
                    f"is missing{lost}"
                )
            case EventsMissed(count=missed):
                tail.clear()
                tail.notice(f"{missed} events came too fast, and are missing")
            case _:
                tail.show(message)
                shown += 1
                if shown == limit:
                    return
