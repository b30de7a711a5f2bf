"""``watch``: follow what a server publishes, as it comes.

Rules:

* The codec checks the topics and filters before anything is connected to.
* A server may know events that we do not: what is not known is shown, and may be asked for.
* A topic that was asked for and is refused ends the command. Where none was asked for, all known
  topics are tried, and one that is refused is reported and left out.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Final

import click

from tachikoma_proto.cli.arguments import make_command
from tachikoma_proto.cli.options import (
    PLUGINS_HINT,
    TOKEN_HINT,
    CliError,
    chosen_registry,
    completing,
    count as read_count,
    plugins_hint,
    plugins_option,
    subcommand,
)
from tachikoma_proto.cli.output import printable
from tachikoma_proto.cli.target import Target, need_websockets, target_options
from tachikoma_proto.codec.codec import Codec
from tachikoma_proto.declare.declarations import MessageKind
from tachikoma_proto.errors import ProtocolError, RemoteError
from tachikoma_proto.messages.commands import Subscribe
from tachikoma_proto.messages.unknown import UnknownEvent, UnknownMessage
from tachikoma_proto.registry.registry import Registry

if TYPE_CHECKING:
    from tachikoma_proto.cli.event_view import EventView
    from tachikoma_proto.client import Client
    from tachikoma_proto.client.streams import EventMessage, EventStream

_HELP: Final = """Follow the events that a server publishes.

URL is the server's, ws://… or wss://…. On a terminal each mission that runs has a progress bar. A
connection that is lost is opened again.
"""


def _topics(ctx: click.Context) -> Iterator[tuple[str, str]]:
    for category in chosen_registry(bool(ctx.params.get("plugins"))).categories.values():
        if category.topic is not None:
            yield category.topic, f"events of the category {category.name}"


@subcommand(
    help=_HELP,
    short_help="Follow the events that a server publishes.",
    examples=[
        "watch ws://localhost:8765",
        "watch ws://localhost:8765 --topic missions --filter event_types=progress,failed",
        "watch wss://tachikoma.example --token-file token --json --count 10",
    ],
    statuses={1: ""},
)
@target_options
@click.option(
    "--topic",
    "topics",
    multiple=True,
    metavar="TOPIC",
    shell_complete=completing(_topics),
    help="Such as missions or missions/UUID; may be given several times.  [default: all]",
)
@click.option(
    "--filter",
    "filters",
    multiple=True,
    metavar="NAME=VALUE",
    help="mission_id=UUID, session_id=UUID or event_types=progress,completed; may be given "
    "several times, and all must hold.",
)
@plugins_option
@click.option("--json", "as_json", is_flag=True, help="One frame a line, as JSON.")
@click.option("--count", type=read_count, metavar="N", help="End after this many events.")
def command(
    *,
    target: Target,
    topics: Sequence[str],
    filters: Sequence[str],
    plugins: bool,
    as_json: bool,
    count: int | None,
) -> int:
    """Follow the events."""
    need_websockets()
    import asyncio

    from tachikoma_proto.cli.event_view import make_view

    codec = Codec(chosen_registry(plugins))
    subscriptions = _subscriptions(codec.registry, topics, filters)
    with make_view(codec, as_json=as_json) as view:
        for warning in _warnings(codec.registry, subscriptions):
            view.notify(f"{warning}{plugins_hint(plugins)}")
        hint = "" if plugins else PLUGINS_HINT
        watch = _Watch(view, subscriptions, must_have_all=bool(topics), count=count, hint=hint)
        asyncio.run(watch.follow(target, codec))
    return 0


def _subscriptions(
    registry: Registry, topics: Sequence[str], filters: Sequence[str]
) -> list[Subscribe]:
    if not all("=" in given for given in filters):
        raise CliError("--filter is given as NAME=VALUE; one has no '='")
    all_topics = [category.topic for category in registry.categories.values() if category.topic]
    fields = [f"filters.{given}" for given in filters]
    return [
        make_command(registry, Subscribe, [f"topic={topic}", *fields], _option)
        for topic in topics or all_topics
    ]


def _option(path: str) -> str:
    """Return the option that gave the value at a path, since the user wrote no command."""
    name = path.removeprefix("$.payload.").replace("filters", "filter", 1)
    return f"--{name.replace('.', ' ', 1)}"


def _warnings(registry: Registry, subscriptions: Iterable[Subscribe]) -> list[str]:
    """Say which events are asked for that no category has."""
    events = [declaration for declaration in registry if declaration.kind is MessageKind.EVENT]
    tags = dict.fromkeys(declaration.tag for declaration in events)
    known = tags.keys() | {f"{declaration.category}.{declaration.tag}" for declaration in events}
    asked = [name for s in subscriptions if s.filters for name in s.filters.event_types or ()]
    return [
        f"--filter event_types: no known event is called {name!r}; there are {', '.join(tags)}"
        for name in dict.fromkeys(asked)
        if name not in known
    ]


class _Watch:
    """Follows topics.

    Args:
        view: Shows what comes.
        subscriptions: What to subscribe to.
        must_have_all: Whether one that is refused ends it.
        count: After how many events it ends.
        hint: What to say once where a message is not known; empty for nothing.
    """

    def __init__(
        self,
        view: "EventView",
        subscriptions: Sequence[Subscribe],
        *,
        must_have_all: bool,
        count: int | None,
        hint: str,
    ) -> None:
        self._view = view
        self._subscriptions = subscriptions
        self._must_have_all = must_have_all
        self._count = count
        self._hint = hint

    async def follow(self, target: Target, codec: Codec) -> None:
        """Connect, subscribe, and show what comes.

        Raises:
            CliError: The server cannot be reached, or refuses.
        """
        from tachikoma_proto.session import ClientConfig

        async with target.connected(codec, ClientConfig(), self._view.notify) as client:
            messages = client.messages()
            watched = await self._subscribe(client)
            self._view.notify(f"watching {_listed(watched)}")
            try:
                await self._show(messages)
            except RemoteError as error:
                text = f"the server no longer accepts the token: {printable(str(error))}"
                raise CliError(text) from None

    async def _subscribe(self, client: "Client") -> list[str]:
        """Subscribe, and return the topics that were not refused."""
        watched, refusal = [], ""
        for subscription in self._subscriptions:
            refusal = await _refusal(client, subscription)
            if not refusal:
                watched.append(subscription.topic)
            elif self._must_have_all:
                raise CliError(refusal)
            else:
                self._view.notify(refusal)
        if not watched:
            raise CliError(f"the server refuses every topic; the last: {refusal}")
        return watched

    async def _show(self, messages: "EventStream[EventMessage]") -> None:
        from tachikoma_proto.client import (
            Disconnected,
            EventsMissed,
            Reconnected,
            SubscriptionLost,
            SubscriptionRestored,
        )

        view, shown = self._view, 0
        async for message in messages:
            # What is missing may be the end of a mission that has a bar: bars are cleared.
            match message.payload:
                case Disconnected():
                    pass  # the client's warning is shown
                case Reconnected(attempts=attempts, lost=lost, refused=refused):
                    view.clear()
                    holes = f"; events may be missing on {_listed(lost)}" if lost else ""
                    refusals = f"; the server refuses {_listed(refused)}" if refused else ""
                    view.notify(f"connected again at attempt {attempts}{holes}{refusals}")
                case SubscriptionLost(topic=topic, message=reason):
                    view.clear()
                    view.notify(f"the server ended {printable(topic)}: {printable(reason)}")
                case SubscriptionRestored(topic=topic):
                    view.clear()
                    view.notify(f"{printable(topic)} is back; events may be missing")
                case EventsMissed(count=missed):
                    view.clear()
                    view.notify(f"{missed} events came too fast, and are missing")
                case payload:
                    view.show(message)
                    if self._hint and isinstance(payload, UnknownEvent | UnknownMessage):
                        view.notify(f"this message is not known; {self._hint}")
                        self._hint = ""
                    shown += 1
                    if shown == self._count:
                        return


def _listed(topics: Iterable[str]) -> str:
    return ", ".join(map(printable, topics))


async def _refusal(client: "Client", subscription: Subscribe) -> str:
    """Subscribe, and say why the server refuses; nothing if it does not.

    Raises:
        CliError: It refuses everything, since there is no token.
    """
    topic = printable(subscription.topic)
    try:
        ack = await client.subscribe(subscription.topic, filters=subscription.filters, resume=True)
    except (RemoteError, ProtocolError) as error:
        text = f"{topic} cannot be watched: {printable(str(error))}"
        if error.code == "auth_required":
            raise CliError(f"{text} ({TOKEN_HINT})") from None
        return text
    if not ack.success:
        return f"{topic} cannot be watched: {printable(ack.message or 'refused')}"
    return ""
