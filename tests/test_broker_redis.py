"""``RedisBroker`` on real servers: what is lost is noticed, and nothing else is lost."""

import asyncio
import random
import re
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from support.brokers import frame_of, text_of
from support.cli_tls import KEY, write_certificate
from support.live import free_port, live, until
from support.redis_server import RedisServer, has_tls, redis_server, require_redis

require_redis()

from tachikoma_proto.brokers import (  # noqa: E402
    Batch,
    Broker,
    BrokerConnection,
    Deliver,
    Gap,
    Record,
    RedisBroker,
)
from tachikoma_proto.brokers.redis_streams import _StreamsConnection  # noqa: E402
from tachikoma_proto.errors import BrokerError  # noqa: E402
from tachikoma_proto.testing import check_broker  # noqa: E402

TOPICS = ("missions", "system")
PASSWORD = "pa55-w0rd"


@pytest.fixture(scope="module")
def server() -> Iterator[RedisServer]:
    """A server that the tests of this module share, each with a prefix of its own."""
    with redis_server() as shared:
        yield shared


@pytest.fixture
def prefix() -> str:
    return uuid4().hex


def record(text: str, topic: str = "missions") -> Record:
    return Record(topic, "mission.started", "", (None, None), frame_of(text))


class Received:
    """What a connection delivers."""

    def __init__(self) -> None:
        self.batches: list[Batch] = []
        self.gaps: list[str] = []

    def __call__(self, what: Batch | Gap) -> None:
        if isinstance(what, Gap):
            self.gaps.append(what.topic)
        else:
            self.batches.append(what)

    def texts(self, topic: str = "missions") -> list[str | None]:
        return [
            text_of(record)
            for batch in self.batches
            for record in batch.records
            if batch.topic == topic
        ]


@asynccontextmanager
async def connected(
    broker: Broker, deliver: Deliver = lambda _: None, limit: int = 100
) -> AsyncIterator[BrokerConnection]:
    """A connection with all logs loaded."""
    connection = await broker.connect(TOPICS, deliver)
    try:
        for topic in TOPICS:
            await connection.load(topic, limit)
        yield connection
    finally:
        await connection.close()


@asynccontextmanager
async def receiving(connection: BrokerConnection) -> "AsyncIterator[asyncio.Future[None]]":
    """Receive while the block runs; it closes the connection."""
    waiting = connection.receive()
    assert waiting is not None
    task = asyncio.ensure_future(waiting)
    try:
        yield task
    finally:
        await connection.close()
        await asyncio.wait([task])


async def append(
    connection: BrokerConnection, *texts: str, sequence: int, producer: str = "p"
) -> None:
    storing = connection.append(
        "missions", [record(text) for text in texts], producer=producer, sequence=sequence
    )
    assert storing is not None
    await storing


async def texts_of(broker: Broker, limit: int = 1000) -> list[str | None]:
    """What the log holds."""
    async with connected(broker) as connection:
        batch = await connection.load("missions", limit)
    return [text_of(record) for record in batch.records]


Harm = Callable[[RedisServer], None]


def flush(server: RedisServer) -> None:
    server.run("FLUSHALL")


def restart(server: RedisServer) -> None:
    server.kill()
    server.start()


def restart_from_disk(server: RedisServer) -> None:
    server.run("SAVE")
    restart(server)


def become_a_replica_and_a_primary_again(server: RedisServer) -> None:
    server.run("REPLICAOF", "127.0.0.1", free_port())
    server.run("REPLICAOF", "NO", "ONE")


class TestRules:
    def test_it_keeps_the_rules_of_brokers(self, server: RedisServer) -> None:
        prefixes: dict[Broker, str] = {}

        def make() -> Broker:
            name = uuid4().hex
            broker = RedisBroker(server.url, prefix=name)
            prefixes[broker] = name
            return broker

        async def lose_connections(_: Broker) -> None:
            assert server.kill_clients("xread")
            server.kill_clients("evalsha")
            server.kill_clients("hmget")

        async def add_unreadable(broker: Broker, topic: str) -> None:
            tag = f"{{{prefixes[broker]}}}"
            offset = server.run("HINCRBY", f"{tag}:state:{topic}", "offset", 1)
            server.run("XADD", f"{tag}:log:{topic}", f"{offset}-0", "record", "no record")

        check_broker(make, lose_connections=lose_connections, add_unreadable=add_unreadable)

    @pytest.mark.parametrize(
        "harm", [flush, restart, restart_from_disk, become_a_replica_and_a_primary_again]
    )
    def test_lost_logs_are_noticed(self, harm: Harm) -> None:
        with redis_server() as server:

            async def lose_logs(_: Broker) -> None:
                harm(server)

            check_broker(lambda: RedisBroker(server.url, prefix=uuid4().hex), lose_logs=lose_logs)

    @live
    async def test_an_older_snapshot_is_a_new_life(self) -> None:
        with redis_server() as server:
            broker, received = RedisBroker(server.url), Received()
            async with (
                connected(broker, received) as connection,
                receiving(connection) as task,
            ):
                await append(connection, "a", "b", sequence=1)
                server.run("SAVE")
                await append(connection, "c", "d", sequence=3)
                await until(lambda: received.texts() == [*"abcd"])
                old = received.batches[-1].epoch
                restart(server)
                await asyncio.wait([task])
                assert isinstance(task.exception(), BrokerError)
            async with connected(broker, received) as connection, receiving(connection):
                batch = await connection.load("missions", 10)
                assert (batch.offset, batch.records) == (0, ())
                assert batch.epoch != old
                await append(connection, "d", "e", sequence=4)  # as if "d" had not been answered
                await until(lambda: received.texts()[4:] == ["d", "e"])
                assert received.batches[-1].offset == 2

    @live
    async def test_a_replica_that_takes_over_is_a_new_life(self) -> None:
        with redis_server() as primary, redis_server() as replica:
            replica.run("REPLICAOF", "127.0.0.1", primary.port)
            await until(lambda: replica.run("ROLE")[3] == "connected")
            async with connected(RedisBroker(primary.url)) as connection:
                await append(connection, "a", sequence=1)
                old = await connection.load("missions", 1)
            await until(lambda: replica.run("EXISTS", "{tachikoma}:log:missions"))
            with pytest.raises(BrokerError, match="read only replica"):
                await texts_of(RedisBroker(replica.url))
            primary.kill()
            replica.run("REPLICAOF", "NO", "ONE")
            async with connected(RedisBroker(replica.url)) as connection:
                new = await connection.load("missions", 1)
                assert (new.offset, new.records) == (0, ())
                assert new.epoch != old.epoch


class TestReading:
    @live
    async def test_what_a_proxy_hides_is_noticed(self, server: RedisServer, prefix: str) -> None:
        """As if the server had been replaced by one with an older snapshot, behind a proxy."""
        broker, received = RedisBroker(server.url, prefix=prefix), Received()
        async with connected(broker, received) as connection, receiving(connection):
            await append(connection, "a", "b", sequence=1)
            await until(lambda: received.texts() == ["a", "b"])
            server.run("HSET", f"{{{prefix}}}:state:missions", "offset", 1)
            await until(lambda: received.gaps == ["missions"])
            await asyncio.sleep(1.2)
            assert received.gaps == ["missions"]

    @live
    async def test_a_log_with_a_gap_is_read_again_once_it_is_loaded(
        self, server: RedisServer, prefix: str
    ) -> None:
        broker, received = RedisBroker(server.url, prefix=prefix), Received()
        async with connected(broker, received) as connection, receiving(connection):
            await append(connection, "a", sequence=1)
            await until(lambda: received.texts() == ["a"])
            epoch = received.batches[0].epoch
            server.run("DEL", f"{{{prefix}}}:state:missions")
            await append(connection, "b", sequence=2)
            await until(lambda: received.gaps == ["missions"])
            await append(connection, "c", sequence=3)
            await connection.append(  # type: ignore[misc]
                "system", [record("other", "system")], producer="p", sequence=1
            )
            await until(lambda: received.texts("system") == ["other"])
            assert received.texts() == ["a"]
            batch = await connection.load("missions", 10)
            assert [*map(text_of, batch.records)] == ["b", "c"]
            assert batch.offset == 2
            assert batch.epoch != epoch
            await append(connection, "d", sequence=4)
            await until(lambda: received.texts() == ["a", "d"])
            assert received.gaps == ["missions"]

    @live
    async def test_a_log_that_is_loaded_anew_in_time_has_no_gap(
        self, server: RedisServer, prefix: str
    ) -> None:
        broker, received = RedisBroker(server.url, prefix=prefix), Received()
        async with connected(broker, received) as connection, receiving(connection):
            await append(connection, "a", "b", sequence=1)
            await until(lambda: received.texts() == ["a", "b"])
            server.run("DEL", f"{{{prefix}}}:state:missions")  # the reader is waiting
            batch = await connection.load("missions", 10)
            await append(connection, "c", sequence=3)
            await until(lambda: received.texts() == ["a", "b", "c"])
            assert received.batches[-1].epoch == batch.epoch
            assert received.batches[-1].offset == 1
            assert not received.gaps

    @live
    async def test_a_life_that_ends_while_it_is_loaded_is_not_mixed_with_the_next(
        self, server: RedisServer, prefix: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        broker = RedisBroker(server.url, prefix=prefix)
        async with connected(broker) as connection, connected(broker) as other:
            await append(connection, "a", "b", sequence=1)
            read_tail = _StreamsConnection._tail

            async def begin_another(self: _StreamsConnection, *arguments: Any) -> Any:
                monkeypatch.undo()
                server.run("DEL", f"{{{prefix}}}:state:missions")
                await append(other, "c", "d", "e", sequence=1)
                return await read_tail(self, *arguments)

            monkeypatch.setattr(_StreamsConnection, "_tail", begin_another)
            batch = await connection.load("missions", 10)
            assert [*map(text_of, batch.records)] == ["c", "d", "e"]
            assert batch == await other.load("missions", 10)

    @live
    async def test_all_logs_may_have_gaps(self, server: RedisServer, prefix: str) -> None:
        broker, received = RedisBroker(server.url, prefix=prefix), Received()
        async with connected(broker, received) as connection, receiving(connection) as task:
            for topic in TOPICS:
                server.run("DEL", f"{{{prefix}}}:state:{topic}")
            await until(lambda: sorted(received.gaps) == sorted(TOPICS))
            busy = time.process_time()
            await asyncio.sleep(1.2)
            assert time.process_time() - busy < 0.3
            await connection.load("missions", 10)
            await append(connection, "a", sequence=1)
            await until(lambda: received.texts() == ["a"])
            assert not task.done()

    @live
    async def test_without_a_log_a_lost_connection_is_noticed(self, server: RedisServer) -> None:
        connection = await RedisBroker(server.url).connect(TOPICS, lambda _: None)
        async with receiving(connection) as task:
            await asyncio.sleep(1.2)
            assert server.kill_clients("hmget")
            await asyncio.wait([task], timeout=5)
            assert isinstance(task.exception(), BrokerError)

    @live
    async def test_records_that_were_trimmed_too_early_are_a_gap(
        self, server: RedisServer, prefix: str
    ) -> None:
        broker, received = RedisBroker(server.url, prefix=prefix), Received()
        async with connected(broker, received) as connection:
            await append(connection, *"abcd", sequence=1)
            server.run("XTRIM", f"{{{prefix}}}:log:missions", "MAXLEN", 2)
            async with receiving(connection):
                await until(lambda: received.gaps == ["missions"])
                batch = await connection.load("missions", 10)
                assert [*map(text_of, batch.records)] == ["c", "d"]
                assert batch.offset == 4

    @live
    async def test_records_that_are_gone_altogether_are_a_gap(
        self, server: RedisServer, prefix: str
    ) -> None:
        broker, received = RedisBroker(server.url, prefix=prefix), Received()
        async with connected(broker, received) as connection:
            await append(connection, *"abcd", sequence=1)
            server.run("DEL", f"{{{prefix}}}:log:missions")
            async with receiving(connection):
                await until(lambda: received.gaps == ["missions"])
                batch = await connection.load("missions", 10)
                assert (batch.offset, batch.records) == (4, ())
                await append(connection, "e", sequence=5)
                await until(lambda: received.texts() == ["e"])

    @live
    async def test_a_record_of_another_topic_is_unreadable(
        self, server: RedisServer, prefix: str
    ) -> None:
        broker = RedisBroker(server.url, prefix=prefix)
        async with connected(broker) as connection:
            storing = connection.append(
                "missions", [record("a", "system"), record("b")], producer="p", sequence=1
            )
            assert storing is not None
            await storing
            assert (await connection.load("missions", 9)).records == (None, record("b"))

    @live
    async def test_long_logs_are_loaded_and_read_in_parts(
        self, server: RedisServer, prefix: str
    ) -> None:
        texts = [str(number) for number in range(2345)]
        broker, received = RedisBroker(server.url, prefix=prefix), Received()
        async with connected(broker, received) as connection:
            await append(connection, *texts, sequence=1)
            assert await texts_of(broker, 2000) == texts[345:]
            assert await texts_of(broker, 9999) == texts
            async with receiving(connection):
                await until(lambda: received.texts() == texts)
                assert len(received.batches) == 5

    @live
    async def test_a_log_keeps_about_as_many_records_as_it_should(
        self, server: RedisServer, prefix: str
    ) -> None:
        broker = RedisBroker(server.url, prefix=prefix, max_records=300)
        async with connected(broker) as connection:
            for number in range(20):
                texts = [str(number * 100 + place) for place in range(100)]
                await append(connection, *texts, sequence=number * 100 + 1)
        assert 300 <= server.run("XLEN", f"{{{prefix}}}:log:missions") <= 500
        kept = await texts_of(broker)
        assert kept == [str(number) for number in range(2000 - len(kept), 2000)]


class TestAppending:
    @live
    async def test_a_cut_connection_fails_and_what_is_repeated_is_stored_once(
        self, server: RedisServer, prefix: str
    ) -> None:
        broker = RedisBroker(server.url, prefix=prefix)
        async with connected(broker) as connection:
            await append(connection, "a", "b", sequence=1)
            assert server.kill_clients("evalsha")
            with pytest.raises(BrokerError, match="Redis: "):
                await append(connection, "c", sequence=3)
            with pytest.raises(BrokerError, match="closed"):
                await append(connection, "c", sequence=3)
        async with connected(broker) as connection:
            await append(connection, "b", "c", sequence=2)
        assert await texts_of(broker) == ["a", "b", "c"]

    @live
    async def test_a_slow_server_only_delays(self, server: RedisServer, prefix: str) -> None:
        broker, received = RedisBroker(server.url, prefix=prefix), Received()
        async with connected(broker, received) as connection, receiving(connection) as task:
            server.run("CLIENT", "PAUSE", 1500, "ALL")
            await append(connection, "a", sequence=1)
            await until(lambda: received.texts() == ["a"])
            sleeping = asyncio.to_thread(server.run, "DEBUG", "SLEEP", "1.5")
            appending = append(connection, "b", sequence=2)
            await asyncio.gather(sleeping, appending)
            await until(lambda: received.texts() == ["a", "b"])
            assert not task.done()
            assert not received.gaps

    @live
    async def test_a_server_that_does_not_answer_is_given_up(self) -> None:
        with redis_server() as server:
            broker, received = RedisBroker(server.url, timeout=0.5), Received()
            async with connected(broker, received) as connection:
                async with receiving(connection) as task:
                    await append(connection, "a", sequence=1)
                    server.pause()
                    with pytest.raises(BrokerError, match="does not answer"):
                        await append(connection, "b", sequence=2)
                    await asyncio.wait([task])
                    with pytest.raises(BrokerError, match="does not answer"):
                        task.result()
                    with pytest.raises(BrokerError):
                        await broker.connect(TOPICS, received)
                server.resume()  # and it stores what had been sent
                await until(lambda: server.run("XLEN", "{tachikoma}:log:missions") == 2)
            async with connected(broker) as connection:
                await append(connection, "b", "c", sequence=2)
            assert await texts_of(broker) == ["a", "b", "c"]

    @live
    async def test_the_script_may_be_forgotten(self, server: RedisServer, prefix: str) -> None:
        broker = RedisBroker(server.url, prefix=prefix)
        async with connected(broker) as connection:
            server.run("SCRIPT", "FLUSH")
            await append(connection, "a", sequence=1)
        assert await texts_of(broker) == ["a"]

    @live
    async def test_what_producers_have_stored_is_forgotten_after_an_hour(
        self, server: RedisServer, prefix: str
    ) -> None:
        async with connected(RedisBroker(server.url, prefix=prefix)) as connection:
            await append(connection, "a", sequence=1)
        (key,) = server.run("KEYS", f"{{{prefix}}}:producer:*")
        assert 3500 < server.run("TTL", key) <= 3600

    @live
    async def test_an_error_of_redis_leaves_the_connection_usable(
        self, server: RedisServer, prefix: str
    ) -> None:
        broker, key = RedisBroker(server.url, prefix=prefix), f"{{{prefix}}}:log:missions"
        async with connected(broker) as connection:
            server.run("SET", key, "text")
            with pytest.raises(BrokerError, match="WRONGTYPE"):
                await append(connection, "a", sequence=1)
            server.run("DEL", key)
            await append(connection, "a", sequence=1)
            await append(connection, sequence=2)  # nothing to append
        assert await texts_of(broker) == ["a"]

    @live
    async def test_closing_ends_what_is_under_way(self) -> None:
        with redis_server() as server:
            async with connected(RedisBroker(server.url, timeout=15)) as connection:
                async with receiving(connection):
                    server.pause()
                    appending = asyncio.ensure_future(append(connection, "a", sequence=1))
                    waiting = asyncio.ensure_future(connection.load("system", 1))
                    await asyncio.sleep(0.1)
                    async with asyncio.timeout(2):
                        await connection.close()
                        await asyncio.wait([appending, waiting])
                for done in (appending, waiting):
                    with pytest.raises(BrokerError, match="closed"):
                        done.result()

    @live
    async def test_a_cancelled_append_ends_the_connection(
        self, server: RedisServer, prefix: str
    ) -> None:
        """Or the next command would take the reply to this one for its own."""
        async with connected(RedisBroker(server.url, prefix=prefix)) as connection:
            appending = asyncio.ensure_future(append(connection, "a", sequence=1))
            await asyncio.sleep(0)
            appending.cancel()
            await asyncio.wait([appending])
            with pytest.raises(BrokerError, match="closed"):
                await connection.load("missions", 1)

    @live
    async def test_nothing_is_lost_or_doubled_while_connections_are_cut(
        self, server: RedisServer, prefix: str
    ) -> None:
        """Two writers repeat what failed, as servers do; a reader reconnects."""
        broker, total, seed = RedisBroker(server.url, prefix=prefix), 600, random.randrange(2**32)
        chance = random.Random(seed)
        got: list[str | None] = []
        offset = 0

        def deliver(what: Batch | Gap) -> None:
            nonlocal offset
            assert isinstance(what, Batch), what
            new = what.offset - offset
            assert new <= len(what.records), (seed, "a hole")
            if new > 0:
                got.extend(map(text_of, what.records[-new:]))
                offset = what.offset

        async def read() -> None:
            while len(got) < 2 * total:
                async with connected(broker) as connection:
                    connection._deliver = deliver  # type: ignore[attr-defined]
                    deliver(await connection.load("missions", 5000))
                    waiting = connection.receive()
                    assert waiting is not None
                    with pytest.raises(BrokerError):
                        await waiting

        async def write(name: str) -> None:
            sequence = 1
            while sequence <= total:
                try:
                    async with connected(broker) as connection:
                        while sequence <= total:
                            count = min(chance.randint(1, 30), total + 1 - sequence)
                            numbers = range(sequence, sequence + count)
                            texts = [f"{name}{number}" for number in numbers]
                            await append(connection, *texts, sequence=sequence, producer=name)
                            sequence += count
                            await asyncio.sleep(0.002)
                except BrokerError:
                    continue

        async def cut() -> None:
            while True:
                await asyncio.sleep(chance.uniform(0.03, 0.2))
                await asyncio.to_thread(server.run, "CLIENT", "KILL", "TYPE", "normal")

        cutting = asyncio.create_task(cut())
        reading = asyncio.create_task(read())
        await asyncio.gather(write("p"), write("q"))
        await until(lambda: len(got) >= 2 * total)
        await asyncio.wait([reading])
        cutting.cancel()
        await asyncio.wait([cutting])
        assert len(got) == 2 * total, seed
        for name in "pq":
            expected = [f"{name}{number}" for number in range(1, total + 1)]
            assert [text for text in got if text and text.startswith(name)] == expected, seed


@asynccontextmanager
async def answering(answer: Callable[[bytes], bytes]) -> AsyncIterator[str]:
    """Something that answers commands, and the address of it."""
    serving = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        serving.append(task)
        while line := await reader.readline():
            words = []
            for _ in range(int(line[1:])):
                size = int((await reader.readline())[1:])
                words.append((await reader.readexactly(size + 2))[:-2])
            writer.write(answer(words[0].upper()))
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield "{}:{}".format(*server.sockets[0].getsockname())
    await asyncio.gather(*serving)


GUIDE = Path(__file__).parents[1] / "docs" / "guides" / "several-processes.md"
(RULE,) = re.findall("ACL SETUSER .+", GUIDE.read_text("utf-8"))
RIGHTS = re.findall(r"\+\w+", RULE)


class TestConnecting:
    @live
    async def test_nobody_there(self) -> None:
        with pytest.raises(BrokerError, match="Redis: "):
            await RedisBroker(f"redis://127.0.0.1:{free_port()}").connect(TOPICS, print)

    @live
    async def test_a_wrong_password_is_refused_and_not_told(self) -> None:
        url = f"redis://:{PASSWORD}@127.0.0.1:{{port}}"
        with redis_server("--requirepass", PASSWORD, url=url) as server:
            await (await RedisBroker(server.url).connect(TOPICS, print)).close()
            for wrong in (f":{PASSWORD}x@", f"somebody:{PASSWORD}@", ""):
                with pytest.raises(BrokerError) as caught:
                    await RedisBroker(f"redis://{wrong}127.0.0.1:{server.port}").connect(
                        TOPICS, print
                    )
                assert "auth" in str(caught.value).lower() or "pass" in str(caught.value).lower()
                assert PASSWORD not in str(caught.value)
                assert caught.value.__cause__ is None
                assert caught.value.__suppress_context__

    @pytest.mark.parametrize(
        "answer",
        [
            b"-ERR unknown command 'AUTH', with args beginning with: 'user' '%s' \r\n",
            b"-ERR unknown command `HELLO`, with args beginning with: `3` `AUTH` `u` `%s`\r\n",
        ],
    )
    @live
    async def test_arguments_that_redis_repeats_are_not_told(self, answer: bytes) -> None:
        async with answering(lambda _: answer % PASSWORD.encode()) as address:
            with pytest.raises(BrokerError, match="unknown command") as caught:
                await RedisBroker(f"redis://user:{PASSWORD}@{address}").connect(TOPICS, print)
        assert PASSWORD not in str(caught.value)

    @pytest.mark.parametrize(
        ("version", "told"),
        [("6.2.14", "6.2.14"), ("7.0.0", None), ("8.0-rc1", None), ("", "none")],
    )
    @live
    async def test_redis_is_new_enough(self, version: str, told: str | None) -> None:
        def answer(command: bytes) -> bytes:
            if command != b"INFO":
                return b"*1\r\n$-1\r\n" if command == b"HMGET" else b"+OK\r\n"
            text = f"# Server\r\nredis_version:{version}\r\n" if version else "# Server\r\n"
            return f"${len(text)}\r\n{text}\r\n".encode()

        async with answering(answer) as address:
            broker = RedisBroker(f"redis://{address}")
            if told is None:
                await (await broker.connect(TOPICS, print)).close()
            else:
                with pytest.raises(BrokerError, match=f"needs Redis 7.0 or newer.* {told}$"):
                    await broker.connect(TOPICS, print)

    @pytest.mark.parametrize(
        "answer",
        [b"HTTP/1.1 400 Bad Request\r\n\r\n", b"*x\r\n", b"$x\r\n", b"\r\n", b"-LOADING busy\r\n"],
    )
    @live
    async def test_what_is_no_redis_is_refused(self, answer: bytes) -> None:
        async with answering(lambda _: answer) as address:
            with pytest.raises(BrokerError, match="Redis: "):
                await RedisBroker(f"redis://{address}").connect(TOPICS, print)

    @pytest.mark.parametrize(
        "url",
        [
            "",
            "localhost",
            "http://localhost",
            f"redis://:{PASSWORD}#@host",
            f"redis://a:{PASSWORD}/@h",
        ],
    )
    def test_a_url_of_something_else_is_refused(self, url: str) -> None:
        with pytest.raises(ValueError, match="redis://") as caught:
            RedisBroker(url)
        assert PASSWORD not in str(caught.value)
        assert caught.value.__suppress_context__

    def test_arguments_are_checked(self) -> None:
        with pytest.raises(ValueError, match="prefix"):
            RedisBroker("redis://host", prefix="a{b")
        with pytest.raises(ValueError, match="prefix"):
            RedisBroker("redis://host", prefix="")
        with pytest.raises(ValueError, match="max_records"):
            RedisBroker("redis://host", max_records=0)
        with pytest.raises(ValueError, match="timeout"):
            RedisBroker("redis://host", timeout=0)
        with pytest.raises(TypeError, match="colour"):
            RedisBroker("redis://host", colour="red")
        with pytest.raises(TypeError, match="colour"):
            RedisBroker("redis://host?colour=red")

    def test_a_user_needs_the_rights_in_the_guide(self, server: RedisServer) -> None:
        server.run("ACL", "SETUSER", "few", "on", f">{PASSWORD}", "~{t-*}:*", *RIGHTS)
        server.run("ACL", "LOG", "RESET")
        url = server.url.replace("//", f"//few:{PASSWORD}@")
        check_broker(lambda: RedisBroker(url, prefix=f"t-{uuid4().hex}"))
        refused = server.run("ACL", "LOG")
        assert not [entry for entry in refused if "client|setinfo" not in str(entry)]

    @pytest.mark.parametrize("right", RIGHTS)
    @live
    async def test_a_user_with_fewer_rights_is_told(
        self, server: RedisServer, right: str, prefix: str
    ) -> None:
        rights = [name for name in RIGHTS if name != right]
        server.run("ACL", "SETUSER", prefix, "on", f">{PASSWORD}", "~*", *rights)
        server.run("SCRIPT", "FLUSH")

        async def use() -> None:
            url = server.url.replace("//", f"//{prefix}:{PASSWORD}@")
            async with connected(RedisBroker(url, prefix=prefix)) as connection:
                await append(connection, "a", sequence=1)
                await connection.load("missions", 1)
                waiting = connection.receive()
                assert waiting is not None
                await waiting

        with pytest.raises(BrokerError, match=r"permissions|can't run this command"):
            await use()

    @live
    async def test_keys_of_others_are_refused(self, server: RedisServer, prefix: str) -> None:
        server.run("ACL", "SETUSER", prefix, "on", f">{PASSWORD}", "~{t-*}:*", *RIGHTS)
        url = server.url.replace("//", f"//{prefix}:{PASSWORD}@")
        with pytest.raises(BrokerError, match="permissions"):
            await RedisBroker(url).connect(TOPICS, print)

    @pytest.mark.skipif(not has_tls(), reason="redis-server was built without TLS")
    def test_tls_is_used_and_certificates_are_checked(self, tmp_path: Path) -> None:
        certificate, key = write_certificate(tmp_path), tmp_path / "key.pem"
        key.write_text(KEY)
        files = ("--tls-cert-file", str(certificate), "--tls-key-file", str(key))
        ports = ("--port", "0", "--tls-port", "{port}", "--tls-auth-clients", "no")
        url = f"rediss://127.0.0.1:{{port}}?ssl_ca_certs={certificate}"
        with redis_server(*ports, *files, url=url) as server:
            check_broker(lambda: RedisBroker(server.url, prefix=uuid4().hex))
            without_authority = server.url.partition("?")[0]
            of_another_host = server.url.replace("127.0.0.1", "127.0.0.2")
            for refused in (without_authority, of_another_host):
                with pytest.raises(BrokerError, match="CERTIFICATE_VERIFY_FAILED"):
                    asyncio.run(RedisBroker(refused).connect(TOPICS, print))

    def test_the_node_of_a_cluster_that_has_the_keys_is_found(self) -> None:
        options = ("--cluster-enabled", "yes", "--cluster-port")
        port, other = str(free_port()), str(free_port())
        with redis_server(*options, other) as first, redis_server(*options, port) as second:
            second.run("CLUSTER", "ADDSLOTSRANGE", 0, 16383)
            first.run("CLUSTER", "MEET", "127.0.0.1", second.port, port)
            for node in (first, second):
                while "cluster_state:ok" not in node.run("CLUSTER", "INFO"):
                    time.sleep(0.01)
            check_broker(lambda: RedisBroker(first.url, prefix=uuid4().hex))
            assert second.run("DBSIZE") > 0
            assert first.run("DBSIZE") == 0
