"""A broker for tests that fails as brokers over a network do, on demand; frames for its records."""

import asyncio
import json
from collections.abc import Collection, Sequence

from tachikoma_proto.brokers import (
    Batch,
    Broker,
    BrokerConnection,
    Deliver,
    Gap,
    MemoryBroker,
    Record,
)
from tachikoma_proto.errors import BrokerError


def frame_of(text: str) -> str:
    """A frame that holds a text."""
    return json.dumps({"text": text}, ensure_ascii=False)


def text_of(record: Record | None) -> str | None:
    """What the frame of a record holds."""
    return None if record is None else json.loads(record.frame)["text"]


class FlakyBroker(Broker):
    """Logs in memory behind something like a network.

    Attributes:
        is_down: Whether nobody can connect.
        latency: How many seconds an append takes.
        answers: Whether the answer of an append arrives; without, it is stored and then fails.
        stores: Whether appends are stored; without, they fail and nothing is stored.
        appended: How many records each append had.
        max_record_size: How many bytes a record may have.
    """

    def __init__(self) -> None:
        self.is_down = False
        self.latency = 0.0
        self.answers = True
        self.stores = True
        self.appended: list[int] = []
        self.max_record_size: int | None = None
        self.connections: set[FlakyConnection] = set()
        self._logs = MemoryBroker()

    async def connect(self, topics: Collection[str], deliver: Deliver) -> BrokerConnection:
        await asyncio.sleep(0)
        if self.is_down:
            raise BrokerError("the broker is down")
        connection = FlakyConnection(self, deliver)
        connection.inner = await self._logs.connect(topics, connection.arrived.put_nowait)
        self.connections.add(connection)
        return connection

    def break_connections(self) -> None:
        """Lose all connections."""
        for connection in self.connections:
            connection.broken.set()

    def restart_empty(self) -> None:
        """Lose all connections, and all that was stored."""
        self._logs = MemoryBroker()
        self.break_connections()


class FlakyConnection(BrokerConnection):
    inner: BrokerConnection

    def __init__(self, broker: FlakyBroker, deliver: Deliver) -> None:
        self._broker = broker
        self.max_record_size = broker.max_record_size
        self._deliver = deliver
        self.arrived: asyncio.Queue[Batch | Gap] = asyncio.Queue()
        self.broken = asyncio.Event()

    async def load(self, topic: str, limit: int) -> Batch:
        await asyncio.sleep(0)
        return await self.inner.load(topic, limit)

    async def append(
        self, topic: str, records: Sequence[Record], *, producer: str, sequence: int
    ) -> None:
        await asyncio.sleep(self._broker.latency)
        if self.broken.is_set():
            raise BrokerError("the connection is lost")
        limit = self._broker.max_record_size
        if limit is not None and any(len(record.to_bytes()) > limit for record in records):
            raise BrokerError("a record is too large")
        self._broker.appended.append(len(records))
        if self._broker.stores:
            self.inner.append(topic, records, producer=producer, sequence=sequence)
        if not (self._broker.answers and self._broker.stores):
            raise BrokerError("no answer")

    async def receive(self) -> None:
        while not self.broken.is_set():
            arriving = asyncio.ensure_future(self.arrived.get())
            breaking = asyncio.ensure_future(self.broken.wait())
            try:
                await asyncio.wait({arriving, breaking}, return_when=asyncio.FIRST_COMPLETED)
                if arriving.done():
                    self._deliver(arriving.result())
            finally:
                arriving.cancel()
                breaking.cancel()
        raise BrokerError("the connection is lost")

    async def close(self) -> None:
        self._broker.connections.discard(self)
        await self.inner.close()
