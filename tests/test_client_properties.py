"""Whatever is done to subscriptions, client and server agree in the end on what is wanted.

Several topics are subscribed to, unsubscribed from and streamed in any order, at once or one after
the other, while the server refuses, fails, stays silent or hangs up.
"""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from typing import Any, Final, TypeAlias

from hypothesis import given, settings, strategies as st
from support.live import MISSION
from support.network import Answering, agree

import tachikoma_proto as tp

TOPICS: Final = ("missions", f"missions/{MISSION}", "system")
FILTERS: Final = (
    None,
    tp.SubscriptionFilters(mission_id=MISSION),
    tp.SubscriptionFilters(event_types=("started",)),
    tp.SubscriptionFilters(event_types=("failed", "started")),
)
CONFIG: Final = tp.ClientConfig(
    request_timeout=0.05,
    open_timeout=1.0,
    backoff_base=0.001,
    backoff_max=0.002,
    ping_interval=None,
    close_timeout=0.1,
)

Change: TypeAlias = tuple[Any, ...]
Steps: TypeAlias = list[tuple[list[str], list[Change], bool]]

CHANGES: Final = st.one_of(
    st.tuples(st.just("subscribe"), st.sampled_from(TOPICS), st.sampled_from(FILTERS)),
    st.tuples(st.just("unsubscribe"), st.sampled_from(TOPICS)),
    st.tuples(st.just("enter"), st.sampled_from(TOPICS), st.sampled_from(FILTERS)),
    st.tuples(st.just("leave"), st.integers(0, 5)),
)
FAULTS: Final = st.sampled_from(
    ["", "internal_error", "rate_limited", "permission_denied", "silent", "hang up"]
)
STEPS: Final = st.lists(
    st.tuples(
        st.lists(FAULTS, max_size=3),
        st.lists(CHANGES, min_size=1, max_size=4),
        st.booleans(),
    ),
    min_size=1,
    max_size=5,
)
"""Each step: the faults of the next answers, changes at once, and whether the connection is cut."""


class Server:
    """A server whose subscriptions end with their connection."""

    def __init__(self) -> None:
        self.faults: list[str] = []
        self.topics: dict[str, tp.SubscriptionFilters | None] = {}
        self.transport: Answering | None = None

    async def open(self) -> tp.Transport:
        self.topics = {}
        self.transport = Answering(self.answer)
        return self.transport

    def answer(self, command: tp.Command[Any]) -> tp.Response | None:
        fault = ""
        if self.faults and isinstance(command, tp.Subscribe | tp.Unsubscribe):
            fault = self.faults.pop(0)
        if fault == "hang up":
            self.cut()
            return None
        if fault not in ("", "silent"):
            return tp.ErrorResponse(code=fault, message="")
        match command:
            case tp.Subscribe(topic=topic, filters=filters):
                self.topics[topic] = filters
            case tp.Unsubscribe(topic=topic):
                if topic not in self.topics:
                    return tp.ErrorResponse.not_found("subscription")
                del self.topics[topic]
        return None if fault == "silent" else agree(command)

    def cut(self) -> None:
        assert self.transport is not None
        self.transport.feed(None)


class Model:
    """What is wanted, by the outcomes of the calls.

    Attributes:
        explicit: The topics that ``subscribe`` asked for.
        streams: The streams that are open, each with its topic, filters and context manager.
    """

    def __init__(self, client: tp.Client) -> None:
        self.client = client
        self.explicit: dict[str, tp.SubscriptionFilters | None] = {}
        self.streams: list[tuple[str, Any, AbstractAsyncContextManager[Any]]] = []

    async def run(self, change: Change) -> None:
        match change:
            case ("subscribe", topic, filters):
                if await outcome(self.client.subscribe(topic, filters=filters)) is None:
                    self.explicit[topic] = filters
            case ("unsubscribe", topic):
                error = await outcome(self.client.unsubscribe(topic))
                if not isinstance(error, tp.RemoteError):
                    self.explicit.pop(topic, None)
            case ("enter", topic, filters):
                block = self.client.subscription(topic, filters=filters)
                if await outcome(block.__aenter__()) is None:
                    self.streams.append((topic, filters, block))
            case ("leave", number):
                if self.streams:
                    *_, block = self.streams.pop(number % len(self.streams))
                    await block.__aexit__(None, None, None)

    def wants(self) -> dict[str, set[Any]]:
        wanted: dict[str, set[Any]] = {}
        for topic, filters in self.explicit.items():
            wanted.setdefault(topic, set()).add(filters)
        for topic, filters, _ in self.streams:
            wanted.setdefault(topic, set()).add(filters)
        return wanted


async def outcome(call: Awaitable[object]) -> Exception | None:
    try:
        await call
    except (tp.RemoteError, tp.ConnectionLostError, TimeoutError) as error:
        return error
    return None


def covers(has: tp.SubscriptionFilters | None, wanted: set[Any]) -> bool:
    """Tell whether filters let everything pass that is wanted, and are as narrow as they can be."""
    if None in wanted or len({one.mission_id for one in wanted}) > 1:
        ids = None
    else:
        ids = next(iter(wanted)).mission_id
    types = None
    if None not in wanted and all(one.event_types for one in wanted):
        types = {name for one in wanted for name in one.event_types}
    has = has or tp.SubscriptionFilters()
    return has.mission_id == ids and (set(has.event_types) if has.event_types else None) == types


async def agreed(server: Server, model: Model, is_connected: Callable[[], bool]) -> bool:
    wanted = model.wants()
    return (
        is_connected()
        and server.topics.keys() == wanted.keys()
        and all(covers(server.topics[topic], wanted[topic]) for topic in wanted)
    )


async def play(steps: Steps) -> None:
    server = Server()
    async with tp.Client(server.open, config=CONFIG) as client:
        model = Model(client)
        for faults, changes, is_cut in steps:
            server.faults = list(faults)
            await asyncio.gather(*map(model.run, changes))
            if is_cut:
                server.cut()
                await asyncio.sleep(0.001)
        server.faults = []
        if any("permission_denied" in faults for faults, *_ in steps):
            server.cut()  # what was refused is asked for again at the next reconnect
            await asyncio.sleep(0.005)
        async with asyncio.timeout(5):
            while not await agreed(server, model, lambda: client.state == "connected"):
                await asyncio.sleep(0.002)


@settings(max_examples=60, deadline=None)
@given(STEPS)
def test_client_and_server_agree_in_the_end(
    steps: Steps,
) -> None:
    asyncio.run(play(steps))
