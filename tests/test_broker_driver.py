"""Servers on a broker: nothing is lost, or it is told, whatever the broker does."""

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any
from uuid import UUID

import pytest
from attrs import frozen
from support.brokers import FlakyBroker, FlakyConnection
from support.live import OPEN, live, make_server, soon, until

import tachikoma_proto as tp
from tachikoma_proto.brokers import Gap
from tachikoma_proto.server import broker_driver
from tachikoma_proto.testing import connect

QUICK = tp.ClientConfig(backoff_base=0.01, backoff_max=0.05)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(broker_driver, "_BACKOFF", (0.01, 0.05))
    monkeypatch.setattr(broker_driver, "_START_TIMEOUT", 0.2)


def server_on(
    broker: FlakyBroker | None,
    config: tp.ServerConfig = OPEN,
    metrics: tp.Metrics | None = None,
) -> tp.Server:
    return make_server(broker=broker, config=config, metrics=metrics)


class Numbers(AsyncIterator[int]):
    """The numbers of the missions that are started, from a stream of events."""

    def __init__(self, events: AsyncIterator[object]) -> None:
        self._events = events

    async def __anext__(self) -> int:
        while True:
            event = await anext(self._events)
            if isinstance(event, tp.MissionStarted):
                return event.mission_id.int


@asynccontextmanager
async def reader_of(server: tp.Server) -> AsyncIterator[Numbers]:
    """What a client of a server gets."""
    async with connect(server, config=QUICK) as client:
        events = client.events(tp.MissionStarted)
        await client.subscribe(tp.topics.MISSIONS)
        yield Numbers(events)


def started(number: int) -> tp.MissionStarted:
    return tp.MissionStarted(mission_id=UUID(int=number))


async def take(numbers: AsyncIterator[int], count: int) -> list[int]:
    return [await soon(anext(numbers)) for _ in range(count)]


async def nothing_more(numbers: AsyncIterator[int]) -> None:
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(anext(numbers), 0.05)


@live
async def test_an_event_reaches_the_clients_of_every_process_in_one_order() -> None:
    broker = FlakyBroker()
    async with (
        server_on(broker) as one,
        server_on(broker) as other,
        reader_of(one) as first,
        reader_of(other) as second,
    ):
        assert [one.publish(started(1)), other.publish(started(2))] == [0, 0]
        seen = await take(first, 2)
        assert sorted(seen) == [1, 2]
        assert await take(second, 2) == seen


@live
async def test_without_a_broker_an_event_is_queued_at_once() -> None:
    async with server_on(None) as server, reader_of(server) as numbers:
        assert server.broker_connected
        assert server.publish(started(1)) == 1
        assert await take(numbers, 1) == [1]
        await server.flush()


@live
async def test_what_is_published_while_the_broker_is_away_arrives_later_once_and_in_order() -> None:
    broker = FlakyBroker()
    async with server_on(broker) as server, reader_of(server) as numbers:
        server.publish(started(1))
        assert await take(numbers, 1) == [1]
        broker.is_down = True
        broker.break_connections()
        await until(lambda: not server.broker_connected)
        for number in range(2, 10):
            server.publish(started(number))
        await nothing_more(numbers)
        broker.is_down = False
        assert await take(numbers, 8) == list(range(2, 10))
        assert server.broker_connected


@live
async def test_an_append_whose_answer_is_lost_is_not_stored_twice() -> None:
    broker = FlakyBroker()
    async with (
        server_on(broker) as server,
        server_on(broker) as other,
        reader_of(server) as numbers,
        reader_of(other) as others,
    ):
        broker.answers = False
        for number in range(5):
            server.publish(started(number))
        await until(lambda: len(broker.appended) == 2)
        broker.answers = True
        await server.flush()
        server.publish(started(5))
        assert await take(numbers, 6) == list(range(6))
        assert await take(others, 6) == list(range(6))
        await nothing_more(others)


@live
async def test_a_full_outbox_refuses_an_event_and_keeps_the_others() -> None:
    broker = FlakyBroker()
    config = tp.ServerConfig(require_auth=False, max_outbox=3)
    async with server_on(broker, config=config) as server, reader_of(server) as numbers:
        broker.is_down = True
        broker.break_connections()
        await until(lambda: not server.broker_connected)
        for number in range(3):
            server.publish(started(number))
        with pytest.raises(tp.BrokerError, match="3 events of"):
            server.publish(started(3))
        broker.is_down = False
        await server.flush()
        server.publish(started(4))
        assert await take(numbers, 4) == [0, 1, 2, 4]


@live
async def test_an_outbox_is_bounded_in_bytes_as_well() -> None:
    broker = FlakyBroker()
    broker.is_down = True
    config = tp.ServerConfig(require_auth=False, max_outbox_bytes=1000)
    async with server_on(broker, config=config) as server:
        fits = 0
        with pytest.raises(tp.BrokerError, match="wait for the broker"):  # noqa: PT012
            while fits < 100:
                server.publish(started(fits))
                fits += 1
        assert fits == 4
        broker.is_down = False
        await server.flush()


@live
async def test_what_is_published_before_the_server_is_opened_is_stored_then() -> None:
    broker = FlakyBroker()
    server = server_on(broker)
    async with server_on(broker) as other, reader_of(other) as numbers:
        server.publish(started(1))
        async with server:
            assert await take(numbers, 1) == [1]


@live
async def test_flushing_a_server_that_is_not_open_here_is_refused_when_something_waits() -> None:
    server = server_on(FlakyBroker())
    await soon(server.flush())
    server.publish(started(1))
    with pytest.raises(RuntimeError, match="not open in this event loop"):
        await soon(server.flush())
    async with server:
        await soon(server.flush())


def test_a_server_of_an_earlier_event_loop_is_not_open_in_the_next_one() -> None:
    broker = FlakyBroker()
    broker.is_down = True
    server = server_on(broker)

    async def serve() -> None:
        await server.__aenter__()
        server.publish(started(1))

    asyncio.run(serve())
    with pytest.raises(RuntimeError, match="not open in this event loop"):
        asyncio.run(soon(server.flush()))


@live
async def test_closing_a_server_that_was_never_open_says_at_once_what_is_lost(
    caplog: pytest.LogCaptureFixture,
) -> None:
    server = server_on(FlakyBroker())
    server.publish(started(1))
    await asyncio.wait_for(server.close(), 1.0)
    assert "the server ends before 1 events were stored" in caplog.text
    with pytest.raises(tp.BrokerError, match="before 1 events were stored"):
        await soon(server.flush())


@live
async def test_a_server_starts_without_its_broker_and_finds_it_later() -> None:
    broker = FlakyBroker()
    broker.is_down = True
    async with server_on(broker) as server:
        assert not server.broker_connected
        server.publish(started(1))
        broker.is_down = False
        await server.flush()
        async with reader_of(server) as numbers:
            server.publish(started(2))
            assert await take(numbers, 1) == [2]


@live
async def test_only_the_start_waits_for_a_broker_that_is_away(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    broker = FlakyBroker()
    broker.is_down = True
    async with server_on(broker) as server:
        monkeypatch.setattr(broker_driver, "_START_TIMEOUT", 60.0)
        async with connect(server) as client:
            assert (await soon(client.request(tp.Ping()))).timestamp


@live
async def test_subscribers_from_before_the_broker_was_found_have_to_start_anew() -> None:
    broker = FlakyBroker()
    broker.is_down = True
    config = tp.ServerConfig(require_auth=False, gap_spread=0.05)
    async with server_on(broker, config=config) as server, connect(server, config=QUICK) as client:
        events = client.events(tp.MissionStarted)
        await client.subscribe(tp.topics.MISSIONS)
        broker.is_down = False
        assert isinstance(await soon(anext(events)), tp.Disconnected)
        again = await soon(anext(events))
        assert isinstance(again, tp.Reconnected)
        assert again.lost == (tp.topics.MISSIONS,)


@live
async def test_events_that_come_together_are_stored_together() -> None:
    broker = FlakyBroker()
    broker.latency = 0.01
    async with server_on(broker) as server, reader_of(server) as numbers:
        for number in range(1000):
            server.publish(started(number))
        assert await take(numbers, 1000) == list(range(1000))
        assert len(broker.appended) <= 4


@live
async def test_flush_waits_until_all_is_stored() -> None:
    broker = FlakyBroker()
    broker.latency = 0.05
    async with server_on(broker) as server:
        server.publish(started(1))
        server.publish(started(2))
        await server.flush()
        assert sum(broker.appended) == 2
        await server.flush()


@live
async def test_closing_stores_what_waits() -> None:
    broker = FlakyBroker()
    broker.latency = 0.05
    async with server_on(broker) as other, reader_of(other) as numbers:
        async with server_on(broker) as server:
            server.publish(started(1))
        assert await take(numbers, 1) == [1]


@live
async def test_closing_without_the_broker_ends_in_time_and_says_what_is_lost(
    caplog: pytest.LogCaptureFixture,
) -> None:
    broker = FlakyBroker()
    broker.is_down = True
    server = server_on(broker)
    async with server:
        server.publish(started(1))
        flushing = asyncio.create_task(server.flush())
        await asyncio.sleep(0)
        await server.close(timeout=0.1)
        with pytest.raises(tp.BrokerError, match="before 1 events were stored"):
            await flushing
        with pytest.raises(tp.BrokerError, match="closed"):
            server.publish(started(2))
    assert "the server ends before 1 events were stored" in caplog.text


@live
async def test_two_calls_may_close_a_server_that_is_without_its_broker() -> None:
    broker = FlakyBroker()
    broker.is_down = True
    async with server_on(broker) as server:
        server.publish(started(1))
        await soon(asyncio.gather(server.close(timeout=0.5), server.close(timeout=0.05)))


@pytest.mark.parametrize("turns", range(12))
@live
async def test_what_is_published_just_as_the_broker_is_lost_is_stored_later(turns: int) -> None:
    """In one of these turns the append is cancelled before it has begun."""
    broker = FlakyBroker()
    async with server_on(broker) as server, reader_of(server) as numbers:
        (connection,) = broker.connections
        broker.break_connections()
        for _ in range(turns):
            await asyncio.sleep(0)
        server.publish(started(1))
        await until(lambda: broker.connections and connection not in broker.connections)
        server.publish(started(2))
        assert await take(numbers, 2) == [1, 2]


@live
async def test_a_log_that_was_lost_is_told_to_its_subscribers() -> None:
    broker = FlakyBroker()
    gaps: list[str] = []

    class Gaps(tp.Metrics):
        def broker_gap(self, topic: str) -> None:
            gaps.append(topic)

    config = tp.ServerConfig(require_auth=False, gap_spread=0.05)
    async with (
        server_on(broker, config=config, metrics=Gaps()) as server,
        connect(server, config=QUICK) as client,
    ):
        events = client.events(tp.MissionStarted)
        await client.subscribe(tp.topics.MISSIONS)
        server.publish(started(1))
        assert await soon(anext(events)) == started(1)
        broker.restart_empty()
        lost = await soon(anext(events))
        assert isinstance(lost, tp.Disconnected)
        assert lost.code == 1012
        again = await soon(anext(events))
        assert isinstance(again, tp.Reconnected)
        assert again.lost == (tp.topics.MISSIONS,)
        assert gaps == [tp.topics.MISSIONS]
        server.publish(started(2))
        assert await soon(anext(events)) == started(2)


@live
async def test_an_event_that_came_back_is_not_stored_in_a_new_log_again() -> None:
    broker = FlakyBroker()
    async with server_on(broker) as server:
        broker.answers = False
        server.publish(started(1))
        await until(lambda: broker.appended)
        broker.restart_empty()
        broker.answers = True
        await server.flush()
        assert sum(broker.appended) == 1


@live
async def test_records_that_cannot_be_read_are_counted_and_the_others_delivered() -> None:
    dropped: list[int] = []

    class Dropped(tp.Metrics):
        def records_dropped(self, count: int) -> None:
            dropped.append(count)

    broker = FlakyBroker()
    async with server_on(broker, metrics=Dropped()) as server, reader_of(server) as numbers:
        (connection,) = broker.connections
        inner = connection.inner
        inner.append("missions", [None], producer="x", sequence=1)  # type: ignore[list-item]
        server.publish(started(1))
        assert await take(numbers, 1) == [1]
        assert dropped == [1]


@live
async def test_what_the_broker_could_never_store_is_refused() -> None:
    broker = FlakyBroker()
    broker.max_record_size = 1000
    async with server_on(broker) as server, reader_of(server) as numbers:
        server.publish(started(1))
        with pytest.raises(tp.BrokerError, match="at most 1000 bytes"):
            server.publish(tp.MissionFailed(mission_id=UUID(int=2), error="x" * 1000))
        server.publish(started(3))
        assert await take(numbers, 2) == [1, 3]


@live
async def test_a_record_may_be_too_large_by_its_key() -> None:
    """The key is in the record twice, and once of it as ASCII."""
    notes = tp.Category("note", topic="notes", key="name")

    @notes.event("written")
    @frozen(kw_only=True)
    class NoteWritten(tp.Event):
        name: str

    broker = FlakyBroker()
    broker.max_record_size = 10_000
    codec = tp.Codec(tp.Registry([notes]))
    async with make_server(codec=codec, broker=broker, config=OPEN) as server:
        await until(lambda: server.broker_connected)
        with pytest.raises(tp.BrokerError, match="at most 10000 bytes"):
            server.publish(NoteWritten(name="é" * 1500))
        server.publish(started(1))
        await soon(server.flush())


@live
async def test_what_turns_out_too_large_later_does_not_hold_up_the_others(
    caplog: pytest.LogCaptureFixture,
) -> None:
    dropped: list[int] = []

    class Dropped(tp.Metrics):
        def records_dropped(self, count: int) -> None:
            dropped.append(count)

    broker = FlakyBroker()
    broker.is_down = True
    broker.max_record_size = 1000
    async with server_on(broker, metrics=Dropped()) as server:
        server.publish(started(1))
        server.publish(tp.MissionFailed(mission_id=UUID(int=2), error="x" * 1000))
        server.publish(started(3))
        flushing = asyncio.create_task(server.flush())
        await asyncio.sleep(0)
        broker.is_down = False
        await soon(flushing)
        assert sum(broker.appended) == 2
        assert dropped == [1]
        assert "1 events of 'missions' are dropped: they are larger" in caplog.text


@live
async def test_a_fault_of_the_broker_s_code_is_logged_and_does_not_end_the_server(
    caplog: pytest.LogCaptureFixture,
) -> None:
    class Faulty(FlakyBroker):
        faults = 2

        async def connect(self, topics, deliver):  # type: ignore[no-untyped-def]
            if self.faults:
                self.faults -= 1
                raise ZeroDivisionError("a fault")
            return await super().connect(topics, deliver)

    async with server_on(Faulty()) as server:
        server.publish(started(1))
        await server.flush()
    assert caplog.text.count("\nZeroDivisionError: a fault") == 2


@pytest.mark.parametrize("method", ["connect", "load", "append", "receive"])
@live
async def test_what_a_broker_waits_for_may_be_cancelled(
    monkeypatch: pytest.MonkeyPatch, method: str
) -> None:
    """It is a failure as others are, and not the end of whoever called the broker."""
    broker = FlakyBroker()
    failures = 1

    async def cancelled(*arguments: Any, **named: Any) -> Any:
        nonlocal failures
        if failures:
            failures -= 1
            future = asyncio.get_running_loop().create_future()
            future.cancel()
            await future
        return await works(*arguments, **named)

    owner = broker if method == "connect" else FlakyConnection
    works = getattr(owner, method)
    monkeypatch.setattr(owner, method, cancelled)
    async with server_on(broker) as server, reader_of(server) as numbers:
        server.publish(started(1))
        await soon(server.flush())
        assert await take(numbers, 1) == [1]


@live
async def test_a_load_after_a_gap_that_is_cancelled_does_not_leave_a_server_deaf(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    broker = FlakyBroker()
    config = tp.ServerConfig(require_auth=False, gap_spread=0.01)
    async with server_on(broker, config=config) as server, reader_of(server) as numbers:
        (connection,) = broker.connections

        async def cancelled(*arguments: Any) -> Any:
            raise asyncio.CancelledError

        monkeypatch.setattr(connection, "load", cancelled)
        connection.arrived.put_nowait(Gap(tp.topics.MISSIONS))
        await until(lambda: broker.connections and connection not in broker.connections)
        server.publish(started(1))
        assert await take(numbers, 1) == [1]


@pytest.mark.parametrize("method", ["receive", "append"])
@live
async def test_a_broker_that_holds_out_against_being_cancelled_keeps_no_server_open(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, method: str
) -> None:
    monkeypatch.setattr(broker_driver, "_TIMEOUT", 0.1)
    is_over = asyncio.Event()

    async def hold_out(*_: object, **__: object) -> None:
        while not is_over.is_set():
            with suppress(asyncio.CancelledError):
                await is_over.wait()

    monkeypatch.setattr(FlakyConnection, method, hold_out)
    async with server_on(FlakyBroker()) as server:
        server.publish(started(1))
        await soon(server.close(timeout=0.05))
    is_over.set()
    await until(lambda: len(asyncio.all_tasks()) == 1)
    assert "goes on, although it was cancelled" in caplog.text


@pytest.mark.skipif(sys.version_info < (3, 12), reason="eager tasks are new in Python 3.12")
@live
async def test_a_broker_that_stores_at_once_is_appended_to_again_by_eager_tasks(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    factory = getattr(asyncio, "eager_task_factory")  # noqa: B009 - not there in 3.11
    asyncio.get_running_loop().set_task_factory(factory)

    async def append(connection: FlakyConnection, *arguments: Any, **named: Any) -> None:
        connection.inner.append(*arguments, **named)

    monkeypatch.setattr(FlakyConnection, "append", append)
    async with server_on(FlakyBroker()) as server, reader_of(server) as numbers:
        for number in range(3):
            server.publish(started(number))
        assert await take(numbers, 3) == [0, 1, 2]


@live
async def test_metrics_tell_how_the_broker_is() -> None:
    seen: list[tuple[str, object]] = []

    class Seen(tp.Metrics):
        def broker_connected(self, is_connected: bool) -> None:
            seen.append(("connected", is_connected))

        def outbox_depth(self, depth: int) -> None:
            seen.append(("depth", depth))

        def broker_lag(self, seconds: float) -> None:
            seen.append(("lag", 0 <= seconds < 10))

    broker = FlakyBroker()
    async with server_on(broker, metrics=Seen()) as server:
        server.publish(started(1))
        server.publish(started(2))
        await server.flush()
        await until(lambda: seen.count(("lag", True)) == 2)
        broker.break_connections()
        await until(lambda: ("connected", False) in seen)
        await until(lambda: seen.count(("connected", True)) == 2)
    assert seen[:3] == [("connected", True), ("depth", 1), ("depth", 2)]
    assert seen[-1] == ("connected", False)


def test_a_broker_that_is_none_is_refused() -> None:
    with pytest.raises(TypeError, match="broker is a Broker"):
        make_server(broker="redis://localhost")


@pytest.mark.parametrize("broker", [None, FlakyBroker()], ids=["without a broker", "with one"])
def test_a_server_serves_one_event_loop_after_another(broker: FlakyBroker | None) -> None:
    server = server_on(broker)

    async def main() -> None:
        async with connect(server) as client:
            events = client.events(tp.MissionStarted)
            await client.subscribe(tp.topics.MISSIONS)
            server.publish(started(1))
            assert await soon(anext(events)) == started(1)
            server.publish(started(2))

    for _ in range(2):
        asyncio.run(main())
        assert broker is None or not broker.connections, "it is closed in its own event loop"
    asyncio.run(server.close())
