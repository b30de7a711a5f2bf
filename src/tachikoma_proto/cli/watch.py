"""``watch``: follow what a server publishes, as it comes.

Rules:

* The codec looks at the topics and filters before anybody is connected to.
* A server may know events that we do not: what is not known is shown, and may be asked for.
"""

import argparse
from collections.abc import Iterable
from typing import TYPE_CHECKING

from tachikoma_proto.cli.brief import printable
from tachikoma_proto.cli.failure import CommandError
from tachikoma_proto.cli.given import command_given
from tachikoma_proto.cli.options import (
    PLUGINS_HINT,
    add_plugins,
    chosen_registry,
    count,
    plugins_hint,
)
from tachikoma_proto.cli.peer import TOKEN_HINT, add_peer, connected, need_websockets
from tachikoma_proto.codec.codec import Codec
from tachikoma_proto.declare.declarations import MessageKind
from tachikoma_proto.errors import ProtocolError, RemoteError
from tachikoma_proto.messages.commands import Subscribe
from tachikoma_proto.messages.unknown import UnknownEvent, UnknownMessage
from tachikoma_proto.registry.registry import Registry

if TYPE_CHECKING:
    from tachikoma_proto.cli.tail import Tail
    from tachikoma_proto.client import Client
    from tachikoma_proto.client.streams import EventMessage, EventStream


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
        for warning in _warnings(codec.registry, subscriptions):
            tail.notice(f"{warning}{plugins_hint(options)}")
        asyncio.run(_follow(options, codec, subscriptions, tail))
    return 0


def _subscriptions(registry: Registry, options: argparse.Namespace) -> list[Subscribe]:
    if not all("=" in given for given in options.filters):
        raise CommandError("--filter is given as NAME=VALUE; one has no '='")
    topics = options.topics or [
        category.topic for category in registry.categories.values() if category.topic is not None
    ]
    filters = [f"filters.{given}" for given in options.filters]
    return [
        command_given(registry, Subscribe, [f"topic={topic}", *filters], _option)
        for topic in topics
    ]


def _option(path: str) -> str:
    """Tell which option gave what has a path, since nobody wrote a command."""
    name = path.removeprefix("$.payload.").replace("filters", "filter", 1)
    return f"--{name.replace('.', ' ', 1)}"


def _warnings(registry: Registry, subscriptions: Iterable[Subscribe]) -> list[str]:
    """Say which events are asked for that nobody knows."""
    events = [declaration for declaration in registry if declaration.kind is MessageKind.EVENT]
    tags = dict.fromkeys(declaration.tag for declaration in events)
    known = tags.keys() | {f"{declaration.category}.{declaration.tag}" for declaration in events}
    asked = [name for s in subscriptions if s.filters for name in s.filters.event_types or ()]
    return [
        f"--filter event_types: no known event is called {name!r}; there are {', '.join(tags)}"
        for name in dict.fromkeys(asked)
        if name not in known
    ]


async def _follow(
    options: argparse.Namespace, codec: Codec, subscriptions: list[Subscribe], tail: "Tail"
) -> None:
    from tachikoma_proto.session import ClientConfig

    async with connected(options, codec, ClientConfig(), tail.notice) as client:
        messages = client.messages()
        for subscription in subscriptions:
            await _subscribe(client, subscription)
        tail.notice(f"watching {', '.join(printable(s.topic) for s in subscriptions)}")
        try:
            await _show(messages, tail, options)
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


async def _show(
    messages: "EventStream[EventMessage]", tail: "Tail", options: argparse.Namespace
) -> None:
    from tachikoma_proto.client import (
        Disconnected,
        EventsMissed,
        Reconnected,
        SubscriptionLost,
        SubscriptionRestored,
    )

    shown = 0
    is_hint_due = not options.plugins
    async for message in messages:
        match message.payload:
            case Disconnected():
                pass  # the client's warning is shown
            case Reconnected(attempts=attempts, refused=refused):
                tail.clear()  # the end of a mission may be among what is missing
                without = f"; the server refuses {', '.join(refused)}" if refused else ""
                tail.notice(
                    f"connected again at attempt {attempts}; what was published in between "
                    f"is missing{without}"
                )
            case SubscriptionLost(topic=topic, message=reason):
                tail.clear()
                tail.notice(f"the server ended {printable(topic)}: {printable(reason)}")
            case SubscriptionRestored(topic=topic):
                tail.clear()
                tail.notice(f"{printable(topic)} is back; what was published in between is missing")
            case EventsMissed(count=missed):
                tail.clear()
                tail.notice(f"{missed} events came too fast, and are missing")
            case _:
                tail.show(message)
                if is_hint_due and isinstance(message.payload, UnknownEvent | UnknownMessage):
                    tail.notice(f"this message is not known; {PLUGINS_HINT}")
                    is_hint_due = False
                shown += 1
                if shown == options.count:
                    return
