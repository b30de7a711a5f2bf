"""``NatsBroker`` with a nats-server of its own: nothing lost or told so, whatever happens to it."""

import asyncio
import json
import traceback
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
from hypothesis import given, strategies as st
from support.brokers import frame_of, text_of
from support.live import live, soon, until
from support.nats_server import NatsServer, nats_cluster, nats_server, require_nats
from support.proxy import proxy

from tachikoma_proto.brokers import Batch, Broker, BrokerConnection, Gap, Record
from tachikoma_proto.errors import BrokerError
from tachikoma_proto.testing import check_broker

require_nats()

import nats  # noqa: E402
from nats.js.api import StreamConfig  # noqa: E402

from tachikoma_proto.brokers import NatsBroker, nats_streams  # noqa: E402

MISSION = UUID("67e55044-10b1-426f-9247-bb680e5fe0c8")
STREAM = "tachikoma-missions"


@pytest.fixture(scope="module")
def shared() -> Iterator[NatsServer]:
    """A server that stays, for tests that harm nothing but their streams."""
    with nats_server() as server:
        yield server


@pytest.fixture
def own() -> Iterator[NatsServer]:
    """A server for one test, which may do with it what it likes."""
    with nats_server() as server:
        yield server


_numbers = count(1)


@pytest.fixture
def prefix() -> str:
    """A prefix for the streams of one test."""
    return f"test{next(_numbers)}"


def record(text: str, topic: str = "missions") -> Record:
    return Record(topic, "mission.started", str(MISSION), (MISSION, None), frame_of(text))


def receiving(connection: BrokerConnection) -> asyncio.Future[None]:
    awaitable = connection.receive()
    assert awaitable is not None
    return asyncio.ensure_future(awaitable)


async def stored(
    connection: BrokerConnection,
    topic: str,
    records: list[Record],
    producer: str,
    sequence: int,
) -> None:
    storing = connection.append(topic, records, producer=producer, sequence=sequence)
    assert storing is not None
    await storing


class Process:
    """What a server process does with a broker, except that it does not reconnect by itself.

    Attributes:
        log: The texts of the records that it has, in order; None for what cannot be read.
        epoch: The epoch of the log.
        offset: The offset of the last of them.
        gaps: How many gaps it was told of.
    """

    def __init__(self, broker: NatsBroker, topic: str = "missions") -> None:
        self.log: list[str | None] = []
        self.epoch = ""
        self.offset = 0
        self.gaps = 0
        self._broker = broker
        self._topic = topic

    async def connect(self, limit: int = 1000) -> None:
        self.connection = await self._broker.connect([self._topic], self._deliver)
        try:
            await self.load(limit)
        except BrokerError:
            await self.connection.close()
            raise
        self.receiving = receiving(self.connection)

    async def load(self, limit: int = 1000) -> None:
        batch = await self.connection.load(self._topic, limit)
        self.epoch = batch.epoch
        self.offset = batch.offset - len(batch.records)
        self.log.clear()
        self._take(batch)

    def _deliver(self, news: Batch | Gap) -> None:
        assert news.topic == self._topic
        if isinstance(news, Gap):
            self.gaps += 1
        else:
            assert news.epoch == self.epoch
            self._take(news)

    def _take(self, batch: Batch) -> None:
        assert batch.offset == self.offset + len(batch.records)
        self.offset = batch.offset
        self.log += map(text_of, batch.records)

    async def append(self, *texts: object, producer: str = "p", sequence: int = 1) -> None:
        made = [record(str(text), self._topic) for text in texts]
        await stored(self.connection, self._topic, made, producer, sequence)

    async def lost(self) -> str:
        """Wait until the connection is lost; return what is said about it."""
        with pytest.raises(BrokerError) as raised:
            await self.receiving
        await self.connection.close()
        return str(raised.value)

    async def close(self) -> None:
        await self.connection.close()
        with suppress(BrokerError):
            await self.receiving


@asynccontextmanager
async def process(broker: NatsBroker, topic: str = "missions") -> AsyncIterator[Process]:
    made = Process(broker, topic)
    await made.connect()
    try:
        yield made
    finally:
        await made.close()


async def insist(action: Callable[[], Awaitable[None]]) -> None:
    """Do what may fail again and again; the test's patience is the limit."""
    while True:
        with suppress(BrokerError):
            await action()
            return
        await asyncio.sleep(0.1)


@asynccontextmanager
async def operator(url: str) -> AsyncIterator[Any]:
    """JetStream as an operator uses it."""
    client = await nats.connect(url)
    try:
        yield client.jetstream()
    finally:
        await client.close()


def numbered(producer: str, n: int) -> list[str]:
    return [f"{producer}{i}" for i in range(n)]


# Names


@given(st.text(), st.text())
def test_no_two_topics_have_one_name(one: str, other: str) -> None:
    assert (nats_streams._token(one) == nats_streams._token(other)) == (one == other)


@given(st.text(max_size=300))
def test_names_are_one_safe_token(topic: str) -> None:
    token = nats_streams._token(topic)
    assert 0 < len(token) <= 128
    assert not set(token) - set("abcdefghijklmnopqrstuvwxyz0123456789_-=ABCDEF")


@pytest.mark.parametrize("topic", ["missions", "Sp ace.*>/\\é\n", "x" * 5000, "$JS.API"])
@live
async def test_any_topic_has_a_log(shared: NatsServer, prefix: str, topic: str) -> None:
    async with process(NatsBroker(shared.url, prefix=prefix), topic) as one:
        await one.append("a", "b", producer="p.*> \r\n")
        await until(lambda: one.offset == 2)
        assert one.log == ["a", "b"]


# The rules of all brokers


def test_it_keeps_the_rules(own: NatsServer) -> None:
    def make_broker() -> NatsBroker:
        return NatsBroker(own.url, prefix=uuid4().hex, survives_restarts=True)

    async def restart(_: Broker) -> None:
        own.kill()
        own.start()

    async def restart_without_files(_: Broker) -> None:
        own.kill()
        own.restore_files(None)
        own.start()

    async def add_rubbish(broker: Broker, topic: str) -> None:
        assert isinstance(broker, NatsBroker)
        async with operator(own.url) as jetstream:
            await jetstream.publish(f"{broker._options.prefix}.{topic}.stranger", b"rubbish")

    check_broker(
        make_broker,
        lose_connections=restart,
        lose_logs=restart_without_files,
        add_unreadable=add_rubbish,
    )


# Reading and writing


@live
async def test_all_processes_get_all_records_in_one_order(shared: NatsServer, prefix: str) -> None:
    broker = NatsBroker(shared.url, prefix=prefix)
    async with process(broker) as one, process(NatsBroker(shared.url, prefix=prefix)) as other:
        assert (one.epoch, one.offset, one.log) == (other.epoch, 0, [])
        assert len(one.epoch) <= 64
        assert one.epoch.isascii()
        await one.append("a", "b")
        await other.append("c", producer="q")
        await until(lambda: one.offset == other.offset == 3)
        assert one.log == other.log == ["a", "b", "c"]
        async with process(broker) as late:
            assert (late.epoch, late.offset, late.log) == (one.epoch, 3, ["a", "b", "c"])
    assert one.gaps == other.gaps == 0


@live
async def test_topics_have_logs_of_their_own(shared: NatsServer, prefix: str) -> None:
    broker = NatsBroker(shared.url, prefix=prefix)
    got: list[Batch | Gap] = []
    connection = await broker.connect(["missions", "system"], got.append)
    epochs = {(await connection.load(topic, 9)).epoch for topic in ("missions", "system")}
    task = receiving(connection)
    for topic in ("missions", "system"):
        await stored(connection, topic, [record("a", topic)], "p", 1)
    await until(lambda: len(got) == 2)
    assert sorted((batch.topic, batch.offset) for batch in got if isinstance(batch, Batch)) == [
        ("missions", 1),
        ("system", 1),
    ]
    assert len(epochs) == 2
    await connection.close()
    await task


@live
async def test_the_tail_is_loaded(shared: NatsServer, prefix: str) -> None:
    async with process(NatsBroker(shared.url, prefix=prefix)) as one:
        await one.append(*range(2500))
        for limit, first in ((0, 2500), (1, 2499), (1700, 800), (2500, 0), (2600, 0), (9999, 0)):
            await one.load(limit)
            assert one.log == [str(n) for n in range(first, 2500)]
            assert one.offset == 2500
        await one.append("more", sequence=2501)
        await until(lambda: one.offset == 2501)
        assert one.gaps == 0


@live
async def test_what_is_stored_already_is_not_stored_twice(shared: NatsServer, prefix: str) -> None:
    broker = NatsBroker(shared.url, prefix=prefix)
    async with process(broker) as one, process(broker) as other:
        await one.append("a", "b", "c")
        await one.append("a", "b", "c")
        await one.append("c", "d", sequence=3)
        await other.append("x", producer="q")
        await other.append("b", "c", "d", "e", sequence=2)
        await one.append("d", "e", "f", sequence=4)
        await until(lambda: one.offset == other.offset == 7)
        assert one.log == other.log == ["a", "b", "c", "d", "x", "e", "f"]


@live
async def test_producers_that_append_at_once_keep_their_order(
    shared: NatsServer, prefix: str
) -> None:
    broker = NatsBroker(shared.url, prefix=prefix)
    async with process(broker) as one, process(broker) as two, process(broker) as three:

        async def write(process: Process, name: str) -> None:
            for first in range(0, 3000, 300):
                made = numbered(name, 3000)[first : first + 300]
                await process.append(*made, producer=name, sequence=first + 1)

        await asyncio.gather(write(one, "a"), write(two, "b"), write(three, "c"))
        await until(lambda: one.offset == two.offset == three.offset == 9000)
        assert one.log == two.log == three.log
        for name in "abc":
            assert [f for f in one.log if f and f[0] == name] == numbered(name, 3000)
        assert one.log[:3000] != numbered("a", 3000)


@live
async def test_a_batch_is_stored_up_to_the_record_that_is_refused(
    shared: NatsServer, prefix: str
) -> None:
    async with operator(shared.url) as jetstream:
        await jetstream.add_stream(
            StreamConfig(
                name=f"{prefix}-missions", subjects=[f"{prefix}.missions.*"], max_msg_size=1000
            )
        )
    async with process(NatsBroker(shared.url, prefix=prefix)) as one:
        for _ in range(2):
            with pytest.raises(BrokerError, match="maximum"):
                await one.append("a", "b", "x" * 1000, "c", "d")
        await one.append("c", "d", sequence=3)  # what could not be stored was given up
        await until(lambda: one.offset == 4)
        assert one.log == ["a", "b", "c", "d"]


@live
async def test_a_record_that_is_too_large_harms_no_others(shared: NatsServer, prefix: str) -> None:
    async with process(NatsBroker(shared.url, prefix=prefix)) as one:
        with pytest.raises(BrokerError, match="max_payload"):
            await one.append("a", "x" * 2_000_000)
        await one.append("a")
        await until(lambda: one.log == ["a"])


@live
async def test_what_is_no_record_counts_and_is_none(shared: NatsServer, prefix: str) -> None:
    async with process(NatsBroker(shared.url, prefix=prefix)) as one:
        await one.append("a")
        async with operator(shared.url) as jetstream:
            await jetstream.publish(f"{prefix}.missions.stranger", b"rubbish")
            await jetstream.publish(f"{prefix}.missions.p", record("b", "system").to_bytes())
        await one.append("c", sequence=2)
        await until(lambda: one.offset == 4)
        assert one.log == ["a", None, None, "c"]
        await one.load()
        assert one.log == ["a", None, None, "c"]


# Connections that end


@live
async def test_a_connection_that_is_cut_is_noticed_and_nothing_is_lost(own: NatsServer) -> None:
    broker = NatsBroker(own.url)
    async with proxy(own.port) as between, process(broker) as other:
        one = Process(NatsBroker(f"nats://127.0.0.1:{between.port}"))
        await one.connect()
        await one.append("a")
        await until(lambda: one.offset == 1)
        epoch = one.epoch
        between.hold_answers()
        appending = asyncio.create_task(one.append("b", "c", sequence=2))
        await until(lambda: other.offset == 3)
        between.cut()
        with pytest.raises(BrokerError):
            await soon(appending)
        assert "unexpected EOF" in await soon(one.lost())
        with pytest.raises(BrokerError):
            await one.append("b", "c", sequence=2)
        between.release_answers()
        await other.append("x", producer="q")
        await one.connect()
        assert (one.epoch, one.log) == (epoch, ["a", "b", "c", "x"])
        await one.append("b", "c", "d", sequence=2)
        await until(lambda: one.offset == 5)
        assert one.log == ["a", "b", "c", "x", "d"]
        await one.close()


@live
async def test_a_publish_that_timed_out_may_have_been_stored(own: NatsServer) -> None:
    one = Process(NatsBroker(own.url, timeout=0.5))
    await one.connect()
    await one.append("a")
    own.pause()
    with pytest.raises(BrokerError, match="does not answer"):
        await one.append("b", "c", sequence=2)
    await one.connection.close()
    with suppress(BrokerError):
        await one.receiving
    own.resume()  # it still gets what was sent
    async with process(NatsBroker(own.url)) as other:
        await until(lambda: other.offset == 3)
    await one.connect()
    await one.append("b", "c", "d", sequence=2)
    await until(lambda: one.offset == 4)
    assert one.log == ["a", "b", "c", "d"]
    await one.close()


@live
async def test_a_publish_that_is_stored_after_it_was_repeated_is_not_stored_twice(
    own: NatsServer,
) -> None:
    """Two connections send the same records while the server does not look."""
    broker = NatsBroker(own.url, timeout=1.0)
    async with process(broker) as one, process(broker) as two, process(broker) as reader:
        await one.append("a", "b")
        await two.append("a", "b")  # so that it knows what is stored
        own.pause()
        attempts = [
            asyncio.create_task(one.append("c", "d", "e", sequence=3)),
            asyncio.create_task(two.append("c", "d", "e", "f", sequence=3)),
        ]
        await asyncio.sleep(0.1)
        own.resume()
        await asyncio.gather(*attempts)
        await until(lambda: reader.offset >= 6)
        await asyncio.sleep(0.1)
        assert reader.log == ["a", "b", "c", "d", "e", "f"]


@live
async def test_a_server_that_does_not_answer_is_noticed_without_writing(own: NatsServer) -> None:
    one = Process(NatsBroker(own.url, timeout=0.5))
    await one.connect()
    own.pause()
    assert "does not answer" in await asyncio.wait_for(one.lost(), 4.0)
    with pytest.raises(BrokerError):
        await one.connect()
    own.resume()
    await one.connect()
    await one.close()


@live
async def test_a_connection_closes_though_the_server_does_not_read(own: NatsServer) -> None:
    one = Process(NatsBroker(own.url, timeout=0.5))
    await one.connect()
    own.pause()
    with pytest.raises(BrokerError):
        await one.append(*["x" * 500_000] * 40)  # more than the sockets take
    await asyncio.wait_for(one.close(), 3.0)
    own.resume()
    await one.connect()
    await one.append("a", sequence=41)
    await until(lambda: one.log[-1:] == ["a"])
    await one.close()


@live
async def test_a_closed_connection_receives_nothing_more(shared: NatsServer, prefix: str) -> None:
    broker = NatsBroker(shared.url, prefix=prefix)
    async with process(broker) as other:
        one = Process(broker)
        await one.connect()
        await one.connection.close()
        await soon(one.receiving)
        await other.append("a")
        await until(lambda: other.offset == 1)
        assert one.offset == 0
        with pytest.raises(BrokerError):
            await one.append("a")
        with pytest.raises(BrokerError):
            await one.load()
        await one.connection.close()


# The life of a log


@live
async def test_a_killed_server_is_noticed_and_begins_a_new_life(own: NatsServer) -> None:
    one = Process(NatsBroker(own.url))
    await one.connect()
    await one.append(*range(10))
    await until(lambda: one.offset == 10)
    epoch = one.epoch
    own.kill()
    await soon(one.lost())
    with pytest.raises(BrokerError, match="no connection to NATS"):
        await one.connect()
    own.start()
    async with process(NatsBroker(own.url)) as other:
        await one.connect()
        assert one.epoch == other.epoch != epoch
        assert one.offset == 10
        await one.append("more", sequence=11)
        await until(lambda: other.offset == 11)
    await one.close()


@live
async def test_a_server_that_is_trusted_goes_on_after_a_restart(own: NatsServer) -> None:
    one = Process(NatsBroker(own.url, survives_restarts=True))
    await one.connect()
    await one.append(*range(10))
    await until(lambda: one.offset == 10)
    epoch = one.epoch
    for restart in (own.kill, own.stop):
        restart()
        await soon(one.lost())
        own.start()
        await one.connect()
        assert (one.epoch, one.offset) == (epoch, 10)
    await one.append("9", "more", sequence=10)
    await until(lambda: one.offset == 11)
    assert one.log[-2:] == ["9", "more"]
    await one.close()


@pytest.mark.parametrize("storage", ["file", "memory"])
@live
async def test_a_log_that_was_lost_begins_a_new_life(own: NatsServer, storage: Any) -> None:
    one = Process(NatsBroker(own.url, storage=storage, survives_restarts=True))
    await one.connect()
    await one.append(*range(10))
    await until(lambda: one.offset == 10)
    epoch = one.epoch
    own.kill()
    if storage == "file":
        own.restore_files(None)
    await soon(one.lost())
    own.start()
    await one.connect()
    assert one.epoch != epoch
    assert (one.offset, one.log) == (0, [])
    await one.append("more", sequence=11)
    await until(lambda: one.offset == 1)
    await one.close()


async def lose_the_end(own: NatsServer, one: Process, other: Process) -> str:
    """Both know ten records; one alone knows five more, which are lost. Return the epoch."""
    await one.connect()
    await other.connect()
    await one.append(*range(10))
    await until(lambda: one.offset == other.offset == 10)
    await other.close()
    own.stop()
    await one.lost()
    older = own.copy_files("older")
    own.start()
    await one.connect()
    epoch = one.epoch
    await one.append(*range(10, 15), sequence=11)
    await until(lambda: one.offset == 15)
    own.kill()
    await one.lost()
    own.restore_files(older)
    own.start()
    return epoch


@pytest.mark.parametrize("appended", [0, 3, 5, 8])
@live
async def test_a_log_that_lost_its_end_begins_a_new_life_for_all(
    own: NatsServer, appended: int
) -> None:
    """Also if it has grown again meanwhile, and who comes first has not seen what was lost."""
    one = Process(NatsBroker(own.url, survives_restarts=True))
    other = Process(NatsBroker(own.url, survives_restarts=True))
    epoch = await lose_the_end(own, one, other)
    await other.connect()
    assert (other.epoch, other.offset) == (epoch, 10)
    if appended:
        await other.append(*[f"x{n}" for n in range(appended)], producer="q")
    await one.connect()
    assert one.epoch != epoch
    assert one.offset == 10 + appended
    await until(lambda: other.gaps == 1)
    await other.load()
    assert (other.epoch, other.log) == (one.epoch, one.log)
    await one.close()
    await other.close()
    await one.connect()
    await other.connect()
    assert one.epoch == other.epoch
    await one.append("y", sequence=16)
    await until(lambda: other.log[-1:] == ["y"])
    await one.close()
    await other.close()


@live
async def test_what_was_stored_but_never_read_is_missed_too(own: NatsServer) -> None:
    broker = NatsBroker(own.url, survives_restarts=True)
    connection = await broker.connect(["missions"], lambda _: None)
    epoch = (await connection.load("missions", 9)).epoch
    await connection.close()
    own.stop()
    older = own.copy_files("older")
    own.start()
    connection = await broker.connect(["missions"], lambda _: None)
    assert (await connection.load("missions", 9)).epoch == epoch
    await stored(connection, "missions", [record("a")], "p", 1)
    await connection.close()
    own.kill()
    own.restore_files(older)
    own.start()
    connection = await broker.connect(["missions"], lambda _: None)
    assert (await connection.load("missions", 9)).epoch != epoch
    await connection.close()


@live
async def test_a_deleted_stream_is_a_gap_and_comes_again(shared: NatsServer, prefix: str) -> None:
    async with process(NatsBroker(shared.url, prefix=prefix)) as one:
        await one.append("a")
        await until(lambda: one.offset == 1)
        epoch = one.epoch
        async with operator(shared.url) as jetstream:
            await jetstream.delete_stream(f"{prefix}-missions")
        await until(lambda: one.gaps == 1)
        await one.load()
        assert one.epoch != epoch
        assert (one.offset, one.log) == (0, [])
        await one.append("b", sequence=2)
        await until(lambda: one.log == ["b"])


@live
async def test_a_stream_that_was_replaced_is_a_gap(shared: NatsServer, prefix: str) -> None:
    broker = NatsBroker(shared.url, prefix=prefix)
    async with process(broker) as one:
        epoch = one.epoch
        async with operator(shared.url) as jetstream:
            await jetstream.delete_stream(f"{prefix}-missions")
            async with process(broker) as other:
                await other.append("a")
        await until(lambda: one.gaps == 1)
        await one.load()
        assert one.epoch == other.epoch != epoch
        assert one.log == ["a"]


@live
async def test_another_description_is_a_new_life(shared: NatsServer, prefix: str) -> None:
    async with process(NatsBroker(shared.url, prefix=prefix)) as one:
        await one.append("a")
        epoch = one.epoch
        async with operator(shared.url) as jetstream:
            info = await jetstream.stream_info(f"{prefix}-missions")
            await jetstream.update_stream(info.config, description="restored from a backup")
        await until(lambda: one.gaps == 1)
        await one.load()
        assert one.epoch != epoch
        assert one.log == ["a"]


@live
async def test_a_cluster_that_loses_its_leader_loses_nothing() -> None:
    with nats_cluster() as servers:
        broker = NatsBroker([server.url for server in servers], replicas=3, timeout=1.0)
        one = Process(broker)
        await insist(one.connect)  # the servers elect a leader first
        epoch = one.epoch
        texts = numbered("a", 3000)

        async def append(first: int) -> None:
            if one.receiving.done():
                await one.connect(5000)
            try:
                await one.append(*texts[first : first + 50], sequence=first + 1)
            except BrokerError:
                await one.close()
                raise

        async def write() -> None:
            for first in range(0, len(texts), 50):
                await insist(partial(append, first))

        writing = asyncio.create_task(write())
        await until(lambda: one.offset > 500)
        async with operator(servers[0].url) as jetstream:
            leader = (await jetstream.stream_info(STREAM)).cluster.leader
        servers[int(leader[1:])].kill()
        await writing
        await until(lambda: one.offset == 3000)
        assert (one.epoch, one.gaps) == (epoch, 0)
        assert one.log == texts
        await one.close()


# Gaps


@live
async def test_a_reader_that_falls_behind_a_trimmed_log_has_a_gap(own: NatsServer) -> None:
    broker = NatsBroker(own.url, max_records=100)
    async with proxy(own.port) as between, process(broker) as writer:
        async with process(NatsBroker(f"nats://127.0.0.1:{between.port}")) as one:
            await writer.append("first")
            await until(lambda: one.offset == 1)
            between.hold_answers()
            for first in range(2, 5000, 500):
                await writer.append(*range(500), sequence=first)
            between.release_answers()
            await until(lambda: one.gaps == 1)
            assert one.offset < 4900  # what came in order before was delivered
            await one.load()
            assert (one.offset, one.log) == (5001, [str(n) for n in range(400, 500)])
        assert one.gaps == 1


@live
async def test_the_producer_of_what_was_trimmed_appends_on(shared: NatsServer, prefix: str) -> None:
    broker = NatsBroker(shared.url, prefix=prefix, max_records=10)
    async with process(broker) as one, process(broker) as other:
        await one.append("a", "b")
        for n in range(1, 21):
            await other.append(n, producer="q", sequence=n)
            await until(lambda n=n: one.offset == other.offset == n + 2)  # type: ignore[misc]
        await one.append("b", "c", "d", sequence=2)  # b is long gone, but its id is still known
        await until(lambda: one.offset == other.offset == 24)
        assert one.log[-2:] == other.log[-2:] == ["c", "d"]


@live
async def test_a_purged_log_is_a_gap(shared: NatsServer, prefix: str) -> None:
    async with process(NatsBroker(shared.url, prefix=prefix)) as one:
        await one.append(*range(5))
        await until(lambda: one.offset == 5)
        async with operator(shared.url) as jetstream:
            await jetstream.purge_stream(f"{prefix}-missions")
            await one.load()
            assert (one.offset, one.log) == (5, [])
            await jetstream.purge_stream(f"{prefix}-missions", seq=10)  # moves the end, too
        await until(lambda: one.gaps == 1)
        await one.load()
        assert (one.offset, one.log) == (9, [])
        await one.append("more", sequence=6)
        await until(lambda: one.log == ["more"])


@live
async def test_a_deleted_message_is_never_passed_over(shared: NatsServer, prefix: str) -> None:
    async with process(NatsBroker(shared.url, prefix=prefix)) as one:
        await one.append(*range(6))
        await until(lambda: one.offset == 6)
        async with operator(shared.url) as jetstream:
            await jetstream.delete_msg(f"{prefix}-missions", 3)
            await one.load()
            assert (one.offset, one.log) == (6, ["3", "4", "5"])
            await jetstream.delete_msg(f"{prefix}-missions", 6)
            await one.load()
            assert (one.offset, one.log) == (6, [])
        await one.append("6", sequence=7)
        await until(lambda: one.offset == 7)
        assert one.log == ["6"]


@live
async def test_a_consumer_that_was_deleted_is_a_gap(shared: NatsServer, prefix: str) -> None:
    async with process(NatsBroker(shared.url, prefix=prefix)) as one:
        async with operator(shared.url) as jetstream:
            (consumer,) = await jetstream.consumers_info(f"{prefix}-missions")
            await jetstream.delete_consumer(f"{prefix}-missions", consumer.name)
        await until(lambda: one.gaps == 1)
        await one.load()
        await one.append("a")
        await until(lambda: one.log == ["a"])


@live
async def test_a_reader_that_gets_nothing_for_long_still_reads(
    shared: NatsServer, prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(nats_streams, "_CONSUMER_EXPIRES", 1.0)
    async with process(NatsBroker(shared.url, prefix=prefix)) as one:
        await asyncio.sleep(4.0)
        await one.append("a")
        await until(lambda: one.log == ["a"])
        assert one.gaps == 0


# Streams that exist, and what is refused


@live
async def test_a_stream_that_exists_is_taken_as_it_is(shared: NatsServer, prefix: str) -> None:
    async with operator(shared.url) as jetstream:
        await jetstream.add_stream(
            StreamConfig(name=f"{prefix}-missions", subjects=[f"{prefix}.>"], max_msgs=7)
        )
        async with process(NatsBroker(shared.url, prefix=prefix)) as one:
            for n in range(1, 21):
                await one.append(n, sequence=n)
                await until(lambda n=n: one.offset == n)  # type: ignore[misc]
        info = await jetstream.stream_info(f"{prefix}-missions")
        assert (info.config.max_msgs, info.state.messages) == (7, 7)


@pytest.mark.parametrize(
    ("config", "fault"),
    [
        ({"retention": "workqueue"}, 'retention is "workqueue"'),
        ({"discard": "new"}, 'discard is "new"'),
        ({"max_msgs_per_subject": 1}, "max_msgs_per_subject is 1"),
        ({"no_ack": True}, "no_ack is true"),
        ({"subjects": ["{prefix}.missions"]}, "subjects do not cover {prefix}.missions.*"),
        ({"subjects": ["{prefix}.missions.p"]}, "subjects do not cover"),
        ({"subjects": ["{prefix}.missions.*.>"]}, "subjects do not cover"),
        ({"subjects": [], "mirror": {"name": "another"}}, "mirror is"),
    ],
)
@live
async def test_a_stream_that_is_not_fit_is_refused(
    shared: NatsServer, prefix: str, config: dict[str, Any], fault: str
) -> None:
    config = {"name": f"{prefix}-missions", "subjects": ["{prefix}.missions.*"], **config}
    config["subjects"] = [subject.format(prefix=prefix) for subject in config["subjects"]]
    client = await nats.connect(shared.url)
    await client.request(
        f"$JS.API.STREAM.CREATE.{prefix}-missions", json.dumps(config).encode(), timeout=5
    )
    await client.close()
    with pytest.raises(BrokerError) as raised:
        await NatsBroker(shared.url, prefix=prefix).connect(["missions"], lambda _: None)
    assert f"{prefix}-missions is not fit for a log" in str(raised.value)
    assert fault.format(prefix=prefix) in str(raised.value)


@pytest.mark.parametrize(
    ("pattern", "covers"),
    [
        ("a.b.*", True),
        ("a.*.*", True),
        ("a.b.>", True),
        ("a.>", True),
        (">", True),
        ("a.b.c", False),
        ("a.b", False),
        ("b.>", False),
        ("a.b.*.>", False),
        ("a.b.*.*", False),
    ],
)
def test_subjects_that_cover_others(pattern: str, covers: bool) -> None:
    assert nats_streams._covers(pattern, "a.b.*") == covers


def everything_said(error: BaseException) -> str:
    return "".join(traceback.format_exception(error)) + repr(error)


@live
async def test_who_may_not_connect_is_told_without_the_password() -> None:
    with nats_server("--user", "tachikoma", "--pass", "s3cret") as server:
        wrong = f"127.0.0.1:{server.port}"
        for broker in (
            NatsBroker(f"nats://tachikoma:wr0ng@{wrong}"),
            NatsBroker(server.url, user="tachikoma", password="wr0ng"),
            NatsBroker(server.url, token="wr0ng"),
            NatsBroker(server.url),
        ):
            with pytest.raises(BrokerError, match=r"(?i)authorization") as raised:
                await broker.connect(["missions"], lambda _: None)
            assert "wr0ng" not in everything_said(raised.value) + repr(broker._options)
        async with process(NatsBroker(f"nats://tachikoma:s3cret@{wrong}")) as one:
            await one.append("a")
        async with process(NatsBroker(server.url, user="tachikoma", password="s3cret")) as one:
            assert one.log == ["a"]


@live
async def test_who_may_not_use_jetstream_is_told_at_once(tmp_path: Path) -> None:
    config = tmp_path / "nats.conf"
    config.write_text(
        'authorization: { users: [{ user: u, password: p, permissions: { publish: "none" } }] }'
    )
    with nats_server("-c", str(config)) as server:
        broker = NatsBroker(server.url, user="u", password="p")
        with pytest.raises(BrokerError, match="permissions violation"):
            await soon(broker.connect(["missions"], lambda _: None))


@live
async def test_these_permissions_are_enough(tmp_path: Path) -> None:
    """Those that the guide names."""
    api = "STREAM.INFO.* STREAM.CREATE.* STREAM.UPDATE.* STREAM.MSG.GET.*".split()
    api += "CONSUMER.CREATE.* CONSUMER.DELETE.*.* CONSUMER.MSG.NEXT.*.*".split()
    allowed = json.dumps(["tachikoma.>", *(f"$JS.API.{subject}" for subject in api)])
    config = tmp_path / "nats.conf"
    config.write_text(
        "authorization: { users: [{ user: u, password: p, permissions: "
        f'{{ publish: {allowed}, subscribe: "_INBOX.>" }} }}] }}'
    )
    with nats_server("-c", str(config)) as server:
        broker = NatsBroker(server.url, user="u", password="p", survives_restarts=True)
        one, other = Process(broker), Process(broker)
        await lose_the_end(server, one, other)
        await one.connect()
        await one.append("more", sequence=16)
        await until(lambda: one.log[-1:] == ["more"])
        await one.close()


@live
async def test_credentials_that_cannot_be_used_are_refused(tmp_path: Path) -> None:
    broker = NatsBroker("nats://127.0.0.1:1", credentials=tmp_path / "none.creds")
    with pytest.raises(BrokerError):
        await broker.connect(["missions"], lambda _: None)


@live
async def test_one_server_of_several_is_enough(shared: NatsServer, prefix: str) -> None:
    for _ in range(4):  # they are tried in any order
        broker = NatsBroker(["127.0.0.1:1", shared.url], prefix=prefix)
        async with process(broker) as one:
            assert one.gaps == 0
    with pytest.raises(BrokerError, match="no connection to NATS"):
        await NatsBroker(["127.0.0.1:1"]).connect(["missions"], lambda _: None)


@pytest.mark.parametrize(
    "arguments",
    [
        {"servers": []},
        {"servers": "http://localhost"},
        {"servers": "nats://user:s3cret@"},
        {"servers": "nats://user:s3#cret@localhost:4222"},
        {"prefix": "a.b"},
        {"prefix": ""},
        {"storage": "tape"},
        {"max_records": 0},
        {"replicas": 0},
        {"duplicate_window": 0},
        {"timeout": 0},
        {"timeout": float("inf")},
    ],
)
def test_arguments_are_checked(arguments: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(arguments))) as raised:
        NatsBroker(**arguments)
    assert "s3" not in everything_said(raised.value)


@live
async def test_a_server_without_jetstream_is_refused(tmp_path: Path) -> None:
    import subprocess

    from support.live import free_port
    from support.nats_server import NATS_SERVER

    assert NATS_SERVER is not None
    port = free_port()
    running = subprocess.Popen(
        [NATS_SERVER, "-a", "127.0.0.1", "-p", str(port)], stderr=subprocess.DEVNULL
    )
    try:
        broker = NatsBroker(f"nats://127.0.0.1:{port}")
        text = "no connection"
        while "no connection" in text:  # until it has started
            with pytest.raises(BrokerError) as raised:
                await broker.connect(["missions"], lambda _: None)
            text = str(raised.value)
            await asyncio.sleep(0.05)
        assert "JetStream is off" in text
    finally:
        running.kill()
        running.wait()


def test_a_sequence_is_found_in_either_form_of_a_reply() -> None:
    assert nats_streams._position("$JS.ACK.s.c.1.17.3.1700000000000000000.4") == (17, 4)
    assert nats_streams._position("$JS.ACK.hub.abc.s.c.1.17.3.1700000000000000000.4.rnd") == (17, 4)
