"""Checks of a broker: that it keeps the rules of ``tachikoma_proto.brokers``.

::

    def test_the_broker_keeps_the_rules() -> None:
        check_broker(lambda: NotebookBroker(folder / uuid4().hex))

Rules:

* Each check has a broker of its own, and some connections to it that behave as servers do.
* What arrives twice does no harm. What is left out, changed, or in another order is a failure.
* All checks are made, and the error names every one that failed.
"""

import asyncio
import json
from collections.abc import Awaitable, Callable, Sequence
from typing import Final, TypeAlias
from uuid import UUID, uuid4

from tachikoma_proto.brokers.broker import Batch, Broker, BrokerConnection, Gap
from tachikoma_proto.errors import BrokerError
from tachikoma_proto.messages.record import FILTERED, Record

_TOPICS: Final[tuple[str, ...]] = ("missions", "forge_sessions", "system")
_TOPIC: Final = _TOPICS[0]

_PATIENCE: Final = 10.0
"""Within how many seconds a record arrives, and a broker that was lost is there again."""

_NOTICE: Final = 5.0
"""Within how many seconds a process notices that its connection or a log was lost."""

_PAUSE: Final = 0.2
"""How long to wait for what should not happen."""


def check_broker(
    make_broker: Callable[[], Broker],
    *,
    lose_connections: Callable[[Broker], Awaitable[None]] | None = None,
    lose_logs: Callable[[Broker], Awaitable[None]] | None = None,
    add_unreadable: Callable[[Broker, str], Awaitable[None]] | None = None,
) -> None:
    """Check that a broker keeps the rules of its interface.

    It runs an event loop of its own, so call it from a plain function. What the three last
    arguments are for is only checked if they are given.

    Args:
        make_broker: Returns a broker whose logs are empty, and keep 1,000 records or more. Called
            once for each check.
        lose_connections: Cuts all connections to the broker, which then accepts new ones.
        lose_logs: Lets the broker lose its logs, as a restart without a disk does.
        add_unreadable: Adds to the log of a topic something that is no record.

    Raises:
        AssertionError: The broker breaks rules. The text names the checks that failed.
    """
    checks: dict[str, _Check] = {
        "an empty log": _check_empty_log,
        "offsets and order": _check_order,
        "the limit of load": _check_limit,
        "retries": _check_retries,
        "topics and producers": _check_topics_and_producers,
        "what records hold": _check_contents,
        "large batches": _check_large_batches,
        "closing": _check_closing,
    }
    if lose_connections is not None:
        checks["lost connections"] = _LostConnections(lose_connections)
    if lose_logs is not None:
        checks["lost logs"] = _LostLogs(lose_logs)
    if add_unreadable is not None:
        checks["unreadable records"] = _UnreadableRecords(add_unreadable)
    failures = asyncio.run(_failures(make_broker, checks))
    if failures:
        head = f"{len(failures)} of {len(checks)} checks of the broker fail:"
        raise AssertionError("\n".join([head, *failures]))


class _Process:
    """What a server process does with a connection, and what it then has of the logs."""

    connection: BrokerConnection

    def __init__(self, broker: Broker) -> None:
        self.epochs: dict[str, str] = {}
        self.offsets: dict[str, int] = {}
        self.logs: dict[str, list[Record | None]] = {}
        self.receiving: asyncio.Future[None] | None = None
        self._broker = broker
        self._producer = uuid4().hex
        self._sequences: dict[str, int] = dict.fromkeys(_TOPICS, 1)
        self._faults: list[str] = []
        self._gaps: set[str] = set()

    async def open(self) -> None:
        self.connection = await self._broker.connect(_TOPICS, self._deliver)
        for topic in _TOPICS:
            await self.load(topic)
        receiving = self.connection.receive()
        self.receiving = None if receiving is None else asyncio.ensure_future(receiving)

    async def load(self, topic: str = _TOPIC, limit: int = 1000) -> Batch:
        batch = await self.connection.load(topic, limit)
        _expect(batch.topic == topic, f"load returns a batch of {batch.topic!r}")
        _expect(
            0 < len(batch.epoch) <= 64 and batch.epoch.isascii(), f"the epoch is {batch.epoch!r}"
        )
        _expect(
            len(batch.records) == min(limit, batch.offset),
            f"load returns {len(batch.records)} of {batch.offset} records if {limit} are wanted",
        )
        self.epochs[topic], self.offsets[topic] = batch.epoch, batch.offset
        self.logs[topic] = list(batch.records)
        self._gaps.discard(topic)
        return batch

    def _deliver(self, what: Batch | Gap) -> None:
        if isinstance(what, Gap):
            self._gaps.add(what.topic)
        elif what.topic in self.logs:
            offset, log = self.offsets[what.topic], self.logs[what.topic]
            known = len(what.records) - (what.offset - offset)
            if what.epoch != self.epochs[what.topic]:
                self._faults.append("another epoch is delivered, without a gap")
            elif known < 0:
                self._faults.append(f"offset {offset - known + 1} is delivered after {offset}")
            elif known < len(what.records):
                log += what.records[known:]
                self.offsets[what.topic] = what.offset

    async def append(self, *texts: str, topic: str = _TOPIC) -> None:
        """Append records, as the next ones of this process."""
        records = [_record(text, topic) for text in texts]
        await self.append_as(self._producer, self._sequences[topic], records)
        self._sequences[topic] += len(records)

    async def append_as(self, producer: str, sequence: int, records: Sequence[Record]) -> None:
        topic = records[0].topic
        storing = self.connection.append(topic, records, producer=producer, sequence=sequence)
        if storing is not None:
            await storing

    async def wait_for(self, *texts: str | None, topic: str = _TOPIC) -> None:
        """Hold that a log comes to have these records; None for one that cannot be read."""
        deadline = asyncio.get_running_loop().time() + _PATIENCE
        while (
            self.offsets[topic] < len(texts)
            and not self.has_noticed
            and asyncio.get_running_loop().time() < deadline
        ):
            await asyncio.sleep(0.005)
        self.expect(*texts, topic=topic)

    def expect(self, *texts: str | None, topic: str = _TOPIC) -> None:
        """Hold that a log has these records now."""
        _expect(not self._faults, "; ".join(self._faults))
        _expect(not self._gaps, f"there is a gap in {', '.join(sorted(self._gaps))}")
        _expect(not self.has_noticed, f"receive has ended: {self.receiving!r}")
        found = [_text_of(record) for record in self.logs[topic]]
        _expect(
            found == list(texts) and self.offsets[topic] == len(texts),
            f"the log of {topic} ends at {self.offsets[topic]} and has {_short(found)}, "
            f"where {len(texts)} were expected: {_short(texts)}",
        )

    @property
    def has_noticed(self) -> bool:
        """Whether something was lost: there is a gap, or nothing is received any more."""
        return bool(self._gaps) or (self.receiving is not None and self.receiving.done())

    async def wait_until_noticed(self) -> None:
        """Hold that a loss is noticed in time."""
        deadline = asyncio.get_running_loop().time() + _NOTICE
        while not self.has_noticed:
            _expect(
                asyncio.get_running_loop().time() < deadline,
                f"nothing was noticed for {_NOTICE:.0f} seconds",
            )
            await asyncio.sleep(0.005)
        if self.receiving is not None and self.receiving.done():
            error = self.receiving.exception()
            _expect(isinstance(error, BrokerError), f"receive ended with {error!r}")

    async def close(self) -> None:
        await self.connection.close()
        if self.receiving is not None:
            await asyncio.wait([self.receiving], timeout=_NOTICE)
            _expect(self.receiving.done(), "receive goes on after the connection was closed")


class _Bench:
    """A broker, and the processes that were connected to it."""

    def __init__(self, broker: Broker) -> None:
        self.broker = broker
        self._processes: list[_Process] = []

    async def open(self) -> _Process:
        process = _Process(self.broker)
        await process.open()
        self._processes.append(process)
        return process

    async def open_again(self) -> _Process:
        """Open one more, when the broker may not be back yet."""
        deadline = asyncio.get_running_loop().time() + _PATIENCE
        while True:
            try:
                return await self.open()
            except BrokerError:
                if asyncio.get_running_loop().time() > deadline:
                    raise
            await asyncio.sleep(0.05)

    async def close(self) -> None:
        for process in self._processes:
            await process.close()


_Check: TypeAlias = Callable[[_Bench], Awaitable[None]]


async def _failures(make_broker: Callable[[], Broker], checks: dict[str, _Check]) -> list[str]:
    failures = []
    for name, check in checks.items():
        bench = _Bench(make_broker())
        try:
            try:
                await check(bench)
            finally:
                await bench.close()
        except AssertionError as error:
            failures.append(f"  {name}: {error}")
        except Exception as error:  # noqa: BLE001 - whatever it is, the check fails by its name
            failures.append(f"  {name}: {error!r}")
    return failures


async def _check_empty_log(bench: _Bench) -> None:
    first, second = await bench.open(), await bench.open()
    for topic in _TOPICS:
        first.expect(topic=topic)
        _expect(first.epochs[topic] == second.epochs[topic], "two connections see different epochs")
    await asyncio.sleep(_PAUSE)
    first.expect()


async def _check_order(bench: _Bench) -> None:
    first, second = await bench.open(), await bench.open()
    await first.append("a")
    await second.append("b", "c")
    await first.append("d")
    for process in (first, second):
        await process.wait_for(*"abcd")

    async def append_some(process: _Process, name: str) -> None:
        for number in range(20):
            await process.append(f"{name}{number}", f"{name}{number}'")

    await asyncio.gather(append_some(first, "e"), append_some(second, "f"))
    late = await bench.open()
    texts = [_text_of(record) for record in late.logs[_TOPIC]]
    for process in (first, second, late):
        await process.wait_for(*texts)
    for name in "ef":
        expected = [f"{name}{number}{end}" for number in range(20) for end in ("", "'")]
        found = [text for text in texts if text is not None and text.startswith(name)]
        _expect(found == expected, f"records of one process are in the order {_short(found)}")
    _expect(late.epochs == first.epochs, "the epoch has changed, though nothing was lost")


async def _check_limit(bench: _Bench) -> None:
    writer, reader = await bench.open(), await bench.open()
    await writer.append(*"abcde")
    await reader.wait_for(*"abcde")
    for limit, expected in {0: "", 1: "e", 3: "cde", 5: "abcde", 1000: "abcde"}.items():
        batch = await reader.load(limit=limit)
        found = [_text_of(record) for record in batch.records]
        _expect(
            batch.offset == 5 and found == list(expected),
            f"load returns {found!r} up to {batch.offset}, not {[*expected]!r}, with limit {limit}",
        )
    await writer.append("f")
    await reader.wait_for(*"abcdef")


async def _check_retries(bench: _Bench) -> None:
    first, second = await bench.open(), await bench.open()
    a, b, c, d, e = (_record(text) for text in "abcde")
    await first.append_as("p", 1, [a, b])
    await first.append_as("p", 1, [a, b])
    await first.append_as("p", 2, [b, c])  # the first is stored already
    await second.append_as("p", 1, [a, b, c])  # over another connection
    await first.append_as("p", 2, [b])
    await first.append_as("p", 3, [c])
    await second.append_as("p", 4, [d])
    await first.append_as("p", 1, [a, b, c, d, e])
    for process in (first, second):
        await process.wait_for(*"abcde")
    await asyncio.sleep(_PAUSE)
    first.expect(*"abcde")


async def _check_topics_and_producers(bench: _Bench) -> None:
    first, second = await bench.open(), await bench.open()
    for producer in "pq":
        for topic in _TOPICS:
            await first.append_as(producer, 1, [_record(producer + topic, topic)])
    for process in (first, second):
        for topic in _TOPICS:
            await process.wait_for("p" + topic, "q" + topic, topic=topic)


async def _check_contents(bench: _Bench) -> None:
    first, second = await bench.open(), await bench.open()
    none, ids = (None,) * len(FILTERED), tuple(UUID(int=n) for n in range(len(FILTERED)))
    records = [
        Record(_TOPIC, "mission.ünïcødé", "a/b/{c}//d ☃", none, '{"text":"☃ 🤖"}'),
        Record(_TOPIC, "mission.started", "", ids, '{"text":""}'),
        Record(_TOPIC, "mission.log", "\n\r\n\0", none, '{\n\r\n\t"text":"\\u0000" \n }'),
    ]
    await first.append_as("p", 1, records)
    await second.wait_for(*map(_text_of, records))
    late = await bench.open()
    for process in (second, late):
        _expect(
            process.logs[_TOPIC] == records,
            f"records came as {process.logs[_TOPIC]!r}, and were {records!r}",
        )


async def _check_large_batches(bench: _Bench) -> None:
    first, second = await bench.open(), await bench.open()
    texts = [f"{number} {'x' * 300}" for number in range(900)] + ["☃" * 100_000]
    await first.append(*texts[:600])
    await first.append(*texts[600:])
    late = await bench.open()
    for process in (first, second, late):
        await process.wait_for(*texts)


async def _check_closing(bench: _Bench) -> None:
    closed, other = await bench.open(), await bench.open()
    await other.append("a")
    await closed.wait_for("a")
    await closed.close()
    await closed.connection.close()
    if closed.receiving is not None:
        error = closed.receiving.exception()
        _expect(error is None, f"receive raised {error!r} when the connection was closed")
    await other.append("b")
    await other.wait_for("a", "b")
    await asyncio.sleep(_PAUSE)
    _expect(closed.offsets[_TOPIC] == 1, "a closed connection delivers")
    try:
        await closed.append("c")
    except BrokerError:
        other.expect("a", "b")
    else:
        _expect(False, "a closed connection appends")


class _LostConnections:
    def __init__(self, lose_connections: Callable[[Broker], Awaitable[None]]) -> None:
        self._lose_connections = lose_connections

    async def __call__(self, bench: _Bench) -> None:
        process = await bench.open()
        await process.append_as("p", 1, [_record("a"), _record("b")])
        await process.wait_for("a", "b")
        await self._lose_connections(bench.broker)
        await process.wait_until_noticed()
        _expect(process.receiving is not None and process.receiving.done(), "receive goes on")
        await process.close()
        again = await bench.open_again()
        _expect(again.epochs == process.epochs, "the epoch has changed, though nothing was lost")
        await again.append_as("p", 2, [_record("b"), _record("c")])
        await again.wait_for("a", "b", "c")


class _LostLogs:
    def __init__(self, lose_logs: Callable[[Broker], Awaitable[None]]) -> None:
        self._lose_logs = lose_logs

    async def __call__(self, bench: _Bench) -> None:
        process = await bench.open()
        await process.append_as("p", 1, [_record("a"), _record("b")])
        await process.wait_for("a", "b")
        await self._lose_logs(bench.broker)
        await process.wait_until_noticed()
        await process.close()
        again = await bench.open_again()
        _expect(
            again.epochs[_TOPIC] != process.epochs[_TOPIC], "the log was lost, but not its epoch"
        )
        again.expect()
        await again.append_as("p", 2, [_record("b"), _record("c")])
        await again.wait_for("b", "c")


class _UnreadableRecords:
    def __init__(self, add_unreadable: Callable[[Broker, str], Awaitable[None]]) -> None:
        self._add_unreadable = add_unreadable

    async def __call__(self, bench: _Bench) -> None:
        process = await bench.open()
        await process.append("a")
        await self._add_unreadable(bench.broker, _TOPIC)
        await process.wait_for("a", None)
        await process.append("b")
        late = await bench.open()
        for reader in (process, late):
            await reader.wait_for("a", None, "b")


def _record(text: str, topic: str = _TOPIC) -> Record:
    frame = json.dumps({"text": text}, ensure_ascii=False)
    return Record(topic, "mission.started", "key", (None,) * len(FILTERED), frame)


def _text_of(record: Record | None) -> str | None:
    return None if record is None else json.loads(record.frame)["text"]


def _expect(condition: bool, text: str) -> None:
    if not condition:
        raise AssertionError(text)


def _short(texts: Sequence[str | None]) -> str:
    """Return some texts in one line."""
    shown = [None if text is None else text[:20] for text in texts[:10]]
    return f"{shown}{' and more' if len(texts) > len(shown) else ''}"
