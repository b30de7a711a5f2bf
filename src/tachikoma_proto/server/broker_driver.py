"""The broker driver: runs a hub on a broker, on asyncio.

It is the one place that writes to a broker and reads from it: what all brokers need beside their
logs (an outbox, batches, reconnecting, what to do about gaps) is here, once.

Rules:

* ``publish`` never waits. What cannot be stored at once waits in the outbox of its topic, in order;
  when the outboxes are full, ``publish`` raises ``BrokerError``. Nothing is dropped silently.
* One append at a time is under way for each topic. What is published meanwhile goes into the next
  one, so batches grow with the load, and an event that comes alone does not wait.
* Events are delivered from the broker's log alone, those of this process included, so that all
  processes deliver in one order.
* A record of ours that comes back is stored, whatever became of its append: it is not sent again,
  not even to a log that has begun a new life since.
* The driver loads a log when it connects and after a gap; the hub decides what was lost. What is
  delivered while a log is being loaded waits until it is.
* What the broker could never store is refused when it is published; if it was published before that
  was known, it is dropped with a log record, so that it does not hold up the others for good.
* What a broker raises ends the connection; the next one is made after growing delays. So does a
  ``CancelledError`` of its own, which would otherwise end the task of the driver that waits for it.
"""

import asyncio
import inspect
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Collection, Coroutine
from contextlib import asynccontextmanager
from functools import partial
from itertools import islice
from time import monotonic
from typing import Any, Final
from uuid import uuid4

from tachikoma_proto.brokers.broker import Batch, Broker, BrokerConnection, Gap
from tachikoma_proto.connection.backoff import delays
from tachikoma_proto.errors import BrokerError
from tachikoma_proto.messages.record import Record
from tachikoma_proto.session.hub import Hub
from tachikoma_proto.session.logs import server_logger as log
from tachikoma_proto.wire.json_reader import size_of

_MAX_BATCH: Final = 500
"""How many records are appended at once, at the most."""

_MAX_EXPECTED: Final = 10_000
"""How many records are waited for to come back, to tell how long they took."""

_TIMEOUT: Final = 10.0
"""How many seconds connecting, loading a log or an append may take."""

_START_TIMEOUT: Final = 2.0
"""How many seconds a server waits for its broker before it serves without."""

_BACKOFF: Final = (0.1, 5.0)
"""The first delay before connecting again, and the longest, in seconds."""


class _Outbox:
    """What was published to one topic and is not stored yet.

    Attributes:
        topic: The topic.
        records: The records, in order, each with its size.
        stored: How many records were stored before these, or dropped.
        dropped: How many of those were dropped.
        returned: How many of the first came back from the log, so that they are stored.
        appending: The append that is under way.
        expected: What has yet to come back from the log, and when it was published.
    """

    __slots__ = ("appending", "dropped", "expected", "records", "returned", "stored", "topic")

    def __init__(self, topic: str) -> None:
        self.topic = topic
        self.records: deque[tuple[Record, int]] = deque()
        self.stored = self.dropped = 0
        self.returned = 0
        self.appending: asyncio.Task[None] | None = None
        self.expected: deque[tuple[Record, float]] = deque(maxlen=_MAX_EXPECTED)

    @property
    def sequence(self) -> int:
        """The number of the first record, for the broker."""
        return self.stored - self.dropped + 1


class BrokerDriver:
    """Stores what a server publishes, and gives its hub what the broker's logs get.

    Args:
        broker: The broker.
        hub: Gets the records of all processes.
    """

    def __init__(self, broker: Broker, hub: Hub) -> None:
        self._broker = broker
        self._hub = hub
        self._config = hub.context.config
        self._metrics = hub.context.metrics
        self._producer = uuid4().hex
        self._outboxes = {topic: _Outbox(topic) for topic in hub.topics}
        self._depth = 0
        self._size = 0
        self._queued = 0
        self._is_closed = False
        self._max_record_size: int | None = None  # of the last connection
        self._flushing: list[asyncio.Future[None]] = []
        self._tasks: set[asyncio.Task[None]] = set()
        # Of one event loop:
        self._loop: asyncio.AbstractEventLoop | None = None
        self._supervisor: asyncio.Task[None] | None = None
        self._ready: asyncio.Future[None] | None = None
        # Of one connection:
        self._connection: BrokerConnection | None = None
        self._is_connected = False
        self._is_immediate = False  # whether it stores and delivers within ``append``
        self._broken: asyncio.Future[Exception] | None = None
        self._loading: dict[str, list[Batch | Gap]] = {}

    @property
    def is_connected(self) -> bool:
        """Whether what is published is stored now."""
        return self._is_connected

    async def start(self) -> None:
        """Connect; a broker that does not answer is waited for no longer than a moment."""
        loop = asyncio.get_running_loop()
        if self._is_closed:
            return
        if self._loop is not loop:  # a server may serve a second loop after the first has ended
            self._loop = loop
            await self._disconnect()
            self._ready = loop.create_future()
            self._supervisor = asyncio.create_task(self._supervise())
        if self._ready is not None and not self._ready.done():
            await asyncio.wait({self._ready}, timeout=_START_TIMEOUT)
            self._set_ready()

    def publish(self, record: Record) -> int:
        """Store a record, or put it into the outbox.

        Args:
            record: The record, of one of the hub's topics.

        Returns:
            For how many sessions it was queued at once.

        Raises:
            BrokerError: Too much waits to be stored, or the server is closed.
        """
        outbox = self._outboxes[record.topic]
        self._queued = 0
        if self._is_immediate and self._connection is not None:
            self._connection.append(
                record.topic, (record,), producer=self._producer, sequence=outbox.stored + 1
            )
            outbox.stored += 1  # and none is ever dropped
            return self._queued
        size = size_of(record.frame)
        if self._is_closed:
            raise BrokerError("the server is closed: the event was not published")
        if self._depth >= self._config.max_outbox or (
            self._size + size > self._config.max_outbox_bytes
        ):
            raise BrokerError(
                f"the event was not published: {self._depth} events of {self._size} bytes wait "
                "for the broker already"
            )
        if self._is_too_large(record, size):
            raise BrokerError(
                "the event was not published: the broker takes records of at most "
                f"{self._max_record_size} bytes"
            )
        outbox.records.append((record, size))
        self._depth += 1
        self._size += size
        if self._metrics is not None:
            outbox.expected.append((record, monotonic()))
            self._metrics.outbox_depth(self._depth)
        if outbox.appending is None:
            self._write(outbox)
        return self._queued

    async def flush(self) -> None:
        """Wait until all that was published so far is stored.

        Raises:
            BrokerError: The server is closed meanwhile, and some of it will not be.
            RuntimeError: Some of it waits, and nothing stores it: the server was not opened in
                this event loop.
        """
        targets = [(box, box.stored + len(box.records)) for box in self._outboxes.values()]
        while any(outbox.stored < target for outbox, target in targets):
            if self._is_closed:
                raise BrokerError(f"the server was closed before {self._depth} events were stored")
            if not self._is_of_this_loop():
                raise RuntimeError(
                    "the server is not open in this event loop, so nothing stores what was "
                    "published: use 'async with server'"
                )
            waiting = asyncio.get_running_loop().create_future()
            self._flushing.append(waiting)
            await waiting

    async def close(self, timeout: float) -> None:
        """Store what waits, and end the connection.

        Args:
            timeout: How many seconds storing may take.
        """
        if self._is_closed:
            return
        try:
            async with asyncio.timeout(timeout):
                if self._is_of_this_loop():
                    await self.flush()
        except TimeoutError:
            pass  # logged below
        except BrokerError:
            return  # it was closed meanwhile
        if self._depth:
            log.error("the server ends before %d events were stored", self._depth)
        self._is_closed = True
        self._wake()
        if self._supervisor is not None:
            await _cancel({self._supervisor})
        await self._disconnect()

    def _is_of_this_loop(self) -> bool:
        return self._loop is asyncio.get_running_loop()

    async def _supervise(self) -> None:
        """Keep a connection; return once there is one that cannot be lost."""
        pauses = delays(*_BACKOFF)
        while True:
            started_at = monotonic()
            try:
                connection = await self._connect()
                receiving = connection.receive()
                if receiving is None:
                    self._is_immediate = True
                    return
                error = await self._until_broken(receiving)
            except asyncio.CancelledError:
                await self._disconnect()  # not later: the event loop may end without close()
                raise
            except Exception as failure:  # noqa: BLE001 - whatever a broker raises; logged below
                error = failure
            await self._disconnect()
            # What is no BrokerError is a fault of the broker's code, and needs its traceback.
            log.warning(
                "the broker is away, %d events wait: %s",
                self._depth,
                error,
                exc_info=None if isinstance(error, (BrokerError, TimeoutError)) else error,
            )
            if monotonic() - started_at > _BACKOFF[1]:
                pauses = delays(*_BACKOFF)
            await asyncio.sleep(next(pauses))

    async def _connect(self) -> BrokerConnection:
        self._broken = broken = asyncio.get_running_loop().create_future()
        self._loading = {topic: [] for topic in self._outboxes}

        def deliver(what: Batch | Gap) -> None:
            if self._broken is broken:  # else it is of a connection that was given up
                self._take(what)

        async with _limit("connecting"):
            connection = await self._broker.connect(tuple(self._outboxes), deliver)
        self._connection = connection
        for topic in self._outboxes:
            await self._load(connection, topic)
        self._max_record_size = connection.max_record_size
        for outbox in self._outboxes.values():
            self._drop_too_large(outbox)
        self._is_connected = True
        log.info("connected to the broker")
        if self._metrics is not None:
            self._metrics.broker_connected(True)
        for outbox in self._outboxes.values():
            self._write(outbox)
        self._set_ready()
        return connection

    def _set_ready(self) -> None:
        """Have nobody wait for the first connection any longer."""
        if self._ready is not None and not self._ready.done():
            self._ready.set_result(None)

    def _is_too_large(self, record: Record, size: int) -> bool:
        """Return whether the broker could never store a record, given the size of its frame."""
        limit = self._max_record_size
        # A record has the frame, and the key again, which may be three times as long as ASCII.
        return limit is not None and size * 5 > limit and len(record.to_bytes()) > limit

    def _drop_too_large(self, outbox: _Outbox) -> None:
        """Drop what was published before it was known how much the broker takes."""
        kept = [one for one in outbox.records if not self._is_too_large(*one)]
        count = len(outbox.records) - len(kept)
        if count:
            self._count_dropped(count, "are larger than the broker takes", outbox.topic)
            self._depth -= count
            outbox.stored += count
            outbox.dropped += count
            outbox.records = deque(kept)
            self._size = sum(size for box in self._outboxes.values() for _, size in box.records)
            self._wake()

    def _count_dropped(self, count: int, why: str, topic: str) -> None:
        log.error("%d events of %s are dropped: they %s", count, ascii(topic), why)
        if self._metrics is not None:
            self._metrics.records_dropped(count)

    async def _until_broken(self, receiving: Awaitable[None]) -> Exception:
        """Receive until the connection ends, and return why."""
        assert self._broken is not None
        task: asyncio.Future[None] = asyncio.ensure_future(receiving)
        task.add_done_callback(self._break_if_failed)
        try:
            await asyncio.wait((task, self._broken), return_when=asyncio.FIRST_COMPLETED)
        finally:
            await _cancel((task,))
        if self._broken.done():
            return self._broken.result()
        return BrokerError("the broker ended the connection")

    async def _disconnect(self) -> None:
        connection, self._connection, self._broken = self._connection, None, None
        was_connected, self._is_connected = self._is_connected, False
        self._is_immediate = False
        if was_connected and self._metrics is not None:
            self._metrics.broker_connected(False)
        await _cancel(self._tasks)
        for outbox in self._outboxes.values():
            outbox.appending = None  # a task that is cancelled before it begins does not say so
        if connection is not None:
            try:
                async with _limit("closing"):
                    await connection.close()
            except Exception:  # noqa: BLE001 - whatever a broker raises
                log.exception("the connection to the broker could not be closed")

    async def _load(self, connection: BrokerConnection, topic: str) -> None:
        """Set a log by what the broker has of it."""
        async with _limit("loading a log"):
            batch = await connection.load(topic, self._config.history_events)
        self._note_returned(batch)
        outbox = self._outboxes[topic]
        if outbox.appending is None:
            self._remove(outbox, outbox.returned)
        if self._hub.load(topic, batch.epoch, batch.offset, batch.records):
            outbox.expected.clear()
            if self._metrics is not None:
                self._metrics.broker_gap(topic)
        for what in self._loading.pop(topic, ()):
            self._take(what)

    def _take(self, what: Batch | Gap) -> None:
        """Take in what a log got."""
        topic = what.topic
        if topic in self._loading:
            self._loading[topic].append(what)
        elif isinstance(what, Batch):
            if not self._is_immediate:
                self._note_returned(what)
            queued = self._hub.deliver(topic, what.epoch, what.offset, what.records)
            if queued is None:
                self._load_again(topic)
            else:
                self._queued += queued
        else:
            self._load_again(topic)

    def _load_again(self, topic: str) -> None:
        connection = self._connection
        if connection is not None:
            self._loading[topic] = []
            self._start(self._load(connection, topic))

    def _note_returned(self, batch: Batch) -> None:
        """Find the records of ours in a batch, and count those that cannot be read."""
        outbox = self._outboxes[batch.topic]
        records, expected = outbox.records, outbox.expected
        dropped = 0
        for record in batch.records:
            if record is None:
                dropped += 1
                continue
            if outbox.returned < len(records) and records[outbox.returned][0].frame == record.frame:
                outbox.returned += 1
            if expected and expected[0][0].frame == record.frame:
                _, published_at = expected.popleft()
                if self._metrics is not None:
                    self._metrics.broker_lag(monotonic() - published_at)
        if dropped:
            self._count_dropped(dropped, "cannot be read", batch.topic)

    def _write(self, outbox: _Outbox) -> None:
        """Append what waits, unless an append is under way."""
        while self._is_connected and outbox.records and outbox.appending is None:
            assert self._connection is not None
            batch = [record for record, _ in islice(outbox.records, _MAX_BATCH)]
            try:
                storing = self._connection.append(
                    outbox.topic, batch, producer=self._producer, sequence=outbox.sequence
                )
            except Exception as error:  # noqa: BLE001 - whatever a broker raises
                self._break(error)
                return
            if storing is None:
                self._remove(outbox, len(batch))
            else:
                appending = self._start(self._append(outbox, storing, len(batch)))
                if not appending.done():  # as it may be where tasks start eagerly
                    outbox.appending = appending
                if inspect.iscoroutine(storing):  # the task may be cancelled before it awaits it
                    appending.add_done_callback(partial(_closed, storing))

    async def _append(self, outbox: _Outbox, storing: Awaitable[None], count: int) -> None:
        broken = self._broken
        try:
            async with _limit("storing events"):
                await storing
            if self._broken is broken:  # else it is of a connection that was given up
                self._remove(outbox, count)
        finally:
            if self._broken is broken:
                outbox.appending = None
        self._write(outbox)

    def _remove(self, outbox: _Outbox, count: int) -> None:
        """Remove records that are stored from an outbox."""
        for _ in range(count):
            _, size = outbox.records.popleft()
            self._size -= size
        self._depth -= count
        outbox.stored += count
        outbox.returned = max(0, outbox.returned - count)
        if self._flushing:
            self._wake()

    def _wake(self) -> None:
        """Have those that flush look again."""
        flushing, self._flushing = self._flushing, []
        for waiting in flushing:
            if not waiting.done():
                waiting.set_result(None)

    def _break(self, error: Exception) -> None:
        if self._broken is not None and not self._broken.done():
            self._broken.set_result(error)

    def _start(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Run something beside the reader; what it raises ends the connection."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        task.add_done_callback(self._break_if_failed)
        return task

    def _break_if_failed(self, task: asyncio.Future[None]) -> None:
        error = None if task.cancelled() else task.exception()
        if isinstance(error, Exception):
            self._break(error)


async def _cancel(tasks: Collection[asyncio.Future[None]]) -> None:
    """Cancel tasks, and wait until they have ended; those of an earlier event loop have."""
    own = [task for task in tasks if task.get_loop() is asyncio.get_running_loop()]
    for task in own:
        task.cancel()
    if own:
        _, left = await asyncio.wait(own, timeout=_TIMEOUT)
        for task in left:
            log.error("the broker goes on, although it was cancelled: %r", task)


def _closed(storing: Coroutine[Any, Any, None], _: object) -> None:
    storing.close()


@asynccontextmanager
async def _limit(what: str) -> AsyncIterator[None]:
    """Limit how long a broker may take, and take it as a failure if it lets itself be cancelled."""
    try:
        async with asyncio.timeout(_TIMEOUT):
            yield
    except TimeoutError:
        raise BrokerError(f"{what} took longer than {_TIMEOUT:.0f} s") from None
    except asyncio.CancelledError as error:
        task = asyncio.current_task()
        if task is not None and task.cancelling():
            raise
        raise BrokerError(f"{what} was cancelled, and not by the server") from error
