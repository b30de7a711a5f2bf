"""A client's streams of events: each its own, bounded, narrowed, and with the client's notices."""

import asyncio
import gc
import weakref
from typing import Any

import pytest
from support.live import MISSION, live, next_of, soon, until
from support.network import CODEC, SOON, Network, agree, client_of

import tachikoma_proto as tp

STARTED = tp.MissionStarted(mission_id=MISSION)
FAILED = tp.MissionFailed(mission_id=MISSION, error="")
UNKNOWN = (
    '{"id":"00000000-0000-4000-8000-000000000001","type":"event.mission",'
    '"timestamp":"2026-01-01T00:00:00Z","payload":{"category":"mission","event":"archived"}}'
)
SMALL = tp.ClientConfig(backoff_base=0.01, backoff_max=0.01, ping_interval=None, max_events=3)


def status(number: int) -> tp.ServerStatus:
    return tp.ServerStatus(status="", active_missions=number, active_sessions=0)


async def push(network: Network, client: tp.Client, *events: tp.Event) -> None:
    """Have events come, and wait until they are in the streams."""
    network.now.feed(*map(CODEC.encode, events))
    await client.request(tp.Ping())


async def rest(events: "tp.EventStream[Any]") -> list[Any]:
    """Take what a stream holds."""
    taken = []
    while True:
        try:
            taken.append(await asyncio.wait_for(anext(events), 0.01))
        except (TimeoutError, StopAsyncIteration):
            return taken


class TestEveryStream:
    @live
    async def test_gets_every_event(self) -> None:
        network = Network()
        async with client_of(network) as client:
            first, second, messages = client.events(), client.events(), client.messages()
            await push(network, client, STARTED, FAILED)
            assert await rest(first) == [STARTED, FAILED]
            assert await rest(second) == [STARTED, FAILED]
            assert [message.payload for message in await rest(messages)] == [STARTED, FAILED]

    @live
    async def test_starts_at_the_call(self) -> None:
        network = Network()
        async with client_of(network) as client:
            await push(network, client, STARTED)
            events = client.events()
            await push(network, client, FAILED)
            assert await rest(events) == [FAILED]

    @live
    async def test_loses_its_own_events_only(self) -> None:
        network = Network()
        async with client_of(network, SMALL) as client:
            slow, quick = client.events(), client.events()
            for number in range(5):
                await push(network, client, status(number))
                assert await soon(anext(quick)) == status(number)
            assert await rest(slow) == [*map(status, range(3)), tp.EventsMissed(2)]
            await push(network, client, status(6))
            assert await rest(slow) == [status(6)]

    @live
    async def test_shared_by_two_loops_gives_each_event_once(self) -> None:
        network = Network()
        async with client_of(network) as client:
            events = client.events()
            takers = [asyncio.create_task(rest(events)) for _ in range(2)]
            await push(network, client, *map(status, range(10)))
            taken = [one for part in await asyncio.gather(*takers) for one in part]
            assert sorted(one.active_missions for one in taken) == list(range(10))

    @live
    async def test_ends_with_aclose_and_no_other_does(self) -> None:
        network = Network()
        async with client_of(network) as client:
            ended, other = client.events(), client.events()
            waiting = asyncio.create_task(anext(ended))
            await push(network, client)
            await ended.aclose()
            with pytest.raises(StopAsyncIteration):
                await soon(waiting)
            await push(network, client, STARTED)
            assert await rest(ended) == []
            assert await rest(other) == [STARTED]

    @live
    async def test_that_is_dropped_is_gone(self) -> None:
        network = Network()
        async with client_of(network) as client:
            kept = client.events()
            dropped = weakref.ref(client.events())
            gc.collect()
            assert dropped() is None
            await push(network, client, STARTED)
            assert await rest(kept) == [STARTED]

    @live
    async def test_loses_nothing_to_a_timeout(self) -> None:
        network = Network()
        async with client_of(network) as client:
            events = client.events()
            for number in range(20):
                with pytest.raises(TimeoutError):
                    await asyncio.wait_for(anext(events), 0.001)
                await push(network, client, status(number))
                assert await soon(anext(events)) == status(number)

    @pytest.mark.parametrize("size", [2, 100])
    @live
    async def test_that_is_full_lets_others_run(self, size: int) -> None:
        network = Network()
        async with client_of(network) as client:
            events = client.events()
            await push(network, client, *map(status, range(size)))
            turns = 0

            async def other() -> None:
                nonlocal turns
                while True:
                    turns += 1
                    await asyncio.sleep(0)

            running = asyncio.create_task(other())
            for _ in range(size):
                await anext(events)
            running.cancel()
            assert turns >= size - 1

    @live
    async def test_ends_with_the_client(self) -> None:
        network = Network()
        async with client_of(network) as client:
            events = client.events()
            await push(network, client, STARTED)
        assert [event async for event in events] == [STARTED]
        assert [event async for event in client.events()] == []

    @live
    async def test_raises_what_ended_the_client(self) -> None:
        config = tp.ClientConfig(reconnect=False)
        network = Network()
        async with client_of(network, config) as client:
            events = client.events()
            await push(network, client, STARTED)
            network.now.feed(None)
            assert await soon(anext(events)) == STARTED
            assert await soon(anext(events)) == tp.Disconnected(1006)
            for stream in (events, client.events(), client.messages()):
                with pytest.raises(tp.ConnectionLostError):
                    await soon(anext(stream))
            assert client.state == "closed"

    @live
    async def test_belongs_to_the_event_loop_of_its_client(self) -> None:
        network = Network()
        async with client_of(network) as client:
            events = client.events()
            await push(network, client, STARTED)

            async def take() -> object:
                return await anext(events)

            for misuse in (take(), events.aclose()):
                with pytest.raises(RuntimeError, match="event loop of its client"):
                    await asyncio.to_thread(asyncio.run, misuse)
            assert await rest(events) == [STARTED]


class TestNarrowing:
    @live
    async def test_lets_some_classes_pass_and_notices_always(self) -> None:
        network = Network()
        async with client_of(network) as client:
            failures = client.events(tp.MissionFailed)
            both = client.events(tp.MissionFailed, tp.MissionStarted)
            unknown = client.events(tp.UnknownEvent)
            await push(network, client, STARTED, FAILED, status(1))
            network.now.feed(UNKNOWN)
            await client.request(tp.Ping())
            network.now.feed(None)
            assert await soon(anext(failures)) == FAILED
            assert [await soon(anext(both)) for _ in range(2)] == [STARTED, FAILED]
            assert isinstance(await soon(anext(unknown)), tp.UnknownEvent)
            for stream in (failures, both, unknown):
                assert isinstance(await soon(anext(stream)), tp.Disconnected)
                assert isinstance(await soon(anext(stream)), tp.Reconnected)

    @live
    async def test_leaves_room_for_what_is_wanted(self) -> None:
        network = Network()
        async with client_of(network, SMALL) as client:
            events = client.events(tp.MissionFailed)
            await push(network, client, *[STARTED] * 10, FAILED)
            assert await rest(events) == [FAILED]

    @pytest.mark.parametrize("wrong", [tp.AckResponse, int, "MissionStarted", STARTED, None])
    @live
    async def test_takes_classes_of_events(self, wrong: Any) -> None:
        async with client_of(Network()) as client:
            with pytest.raises(TypeError, match="classes of events"):
                client.events(wrong)


class TestNotices:
    @live
    async def test_say_how_the_connection_ended(self) -> None:
        network = Network()
        async with client_of(network) as client:
            events = client.events()
            network.now.close_code = 1012
            network.now.close_reason = "back soon"
            network.now.feed(None)
            assert await soon(anext(events)) == tp.Disconnected(1012, "back soon")
            await next_of(events, tp.Reconnected)
            network.now.feed(ConnectionResetError("gone"))
            assert await soon(anext(events)) == tp.Disconnected(1006, "")

    @live
    async def test_say_that_the_client_gave_the_connection_up(self) -> None:
        config = tp.ClientConfig(
            ping_interval=0.01, pong_timeout=0.01, backoff_base=0.01, backoff_max=0.01
        )
        network = Network(lambda _: None)
        async with client_of(network, config) as client:
            lost = await soon(anext(client.events()))
            assert isinstance(lost, tp.Disconnected)
            assert lost.code == 1011
            assert lost.reason

    @live
    async def test_need_little_room(self) -> None:
        network = Network()
        async with client_of(network, SMALL) as client:
            events = client.events()
            await push(network, client, *map(status, range(3)))
            for number in range(2, 22):
                network.now.feed(None)
                await until(lambda number=number: len(network.opened) == number)  # type: ignore[misc]
                await push(network, client, status(0))
            taken = await rest(events)
            assert taken[:3] == [*map(status, range(3))]
            assert len(taken) <= 6
            (missed,) = [one for one in taken if isinstance(one, tp.EventsMissed)]
            (reconnected,) = [one for one in taken if isinstance(one, tp.Reconnected)]
            assert (missed.count, reconnected.attempts) == (20, 20)

    @live
    async def test_of_what_was_missed_while_connecting_come_after_it(self) -> None:
        def pushy(command: tp.Command[Any]) -> tp.Response | None:
            network.now.feed(*map(CODEC.encode, map(status, range(5))))
            return agree(command)

        network = Network(agree, pushy)
        async with client_of(network, SMALL) as client:
            await client.subscribe("system")
            events = client.events()
            network.now.feed(None)
            await next_of(events, tp.Reconnected)
            assert await rest(events) == [*map(status, range(3)), tp.EventsMissed(2)]

    @live
    async def test_agree_with_the_state(self) -> None:
        network = Network(agree, OSError("no route"), OSError("no route"), agree)
        states: list[str] = []

        async def token() -> str:
            states.append(client.state)
            return "t"

        client = client_of(network, token=token)
        assert client.state == "new"
        await client.__aenter__()
        assert str(client.state) == "connected"
        events = client.events()
        network.now.feed(None)
        assert isinstance(await soon(anext(events)), tp.Disconnected)
        assert str(client.state) == "reconnecting"
        assert await soon(anext(events)) == tp.Reconnected(3)
        assert str(client.state) == "connected"
        assert states == ["connecting", "reconnecting"]
        await client.close()
        assert str(client.state) == "closed"


class TestAnotherEventLoop:
    @pytest.mark.parametrize(
        "use",
        [
            lambda client: client.close(),
            lambda client: client.request(tp.Ping()),
            lambda client: client.subscribe("missions"),
            lambda client: client.unsubscribe("missions"),
            lambda client: client.__aexit__(None, None, None),
            lambda client: anext(client.events()),
            lambda client: anext(client.messages()),
            lambda client: client.subscription("missions").__aenter__(),
        ],
    )
    @live
    async def test_is_refused_and_harms_nothing(self, use: Any) -> None:
        async with client_of(Network()) as client:

            async def misuse() -> None:
                await use(client)

            with pytest.raises(RuntimeError, match="event loop"):
                await soon(asyncio.to_thread(asyncio.run, misuse()))
            assert isinstance(await soon(client.request(tp.Ping())), tp.PongResponse)
            assert client.state == "connected"

    def test_that_comes_after_the_first_has_ended_is_refused(self) -> None:
        network = Network()

        async def enter() -> tp.Client:
            return await client_of(network, SOON).__aenter__()

        async def close(client: tp.Client) -> None:
            await asyncio.wait_for(client.close(), 1.0)

        client = asyncio.run(enter())
        with pytest.raises(RuntimeError, match="event loop"):
            asyncio.run(close(client))
