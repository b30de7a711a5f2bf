"""``MemoryBroker``: the logs of one process, in memory."""

from collections import deque
from collections.abc import Collection, Sequence
from uuid import uuid4

from tachikoma_proto.brokers.broker import Batch, Broker, BrokerConnection, Deliver
from tachikoma_proto.errors import BrokerError
from tachikoma_proto.messages.record import Record


class MemoryBroker(Broker):
    """Passes events between the servers of one process, and keeps the last of them.

    A server without a broker has one of its own. Give the same one to several servers in one event
    loop, such as one for each port, and they share their events.

    Args:
        max_records: How many records each log keeps, for servers that open later.

    Raises:
        ValueError: ``max_records`` is negative.
    """

    def __init__(self, *, max_records: int = 1000) -> None:
        if max_records < 0:
            raise ValueError(f"max_records is a number of records, not {max_records}")
        self._max_records = max_records
        self._epoch = uuid4().hex
        self._logs: dict[str, _Log] = {}

    async def connect(self, topics: Collection[str], deliver: Deliver) -> BrokerConnection:
        """Connect a server."""
        logs = {
            topic: self._logs.setdefault(topic, _Log(self._epoch, self._max_records))
            for topic in topics
        }
        return _MemoryConnection(logs, deliver)


class _Log:
    """One topic's log, and who is told of its records."""

    def __init__(self, epoch: str, max_records: int) -> None:
        self.epoch = epoch
        self.offset = 0
        self.records: deque[Record] = deque(maxlen=max_records)
        self.sequences: dict[str, int] = {}
        self.listeners: tuple[Deliver, ...] = ()


class _MemoryConnection(BrokerConnection):
    def __init__(self, logs: dict[str, _Log], deliver: Deliver) -> None:
        self._logs = logs
        self._deliver = deliver
        self._is_closed = False

    async def load(self, topic: str, limit: int) -> Batch:
        log = self._logs[topic]
        if not any(one is self._deliver for one in log.listeners):
            log.listeners = (*log.listeners, self._deliver)
        first = max(0, len(log.records) - limit)
        return Batch(topic, log.epoch, log.offset, tuple(log.records)[first:])

    def append(
        self, topic: str, records: Sequence[Record], *, producer: str, sequence: int
    ) -> None:
        if self._is_closed:
            raise BrokerError("the connection is closed")
        log = self._logs[topic]
        stored = log.sequences.get(producer, 0) + 1 - sequence
        if stored > 0:
            records = records[stored:]
        if not records:
            return
        log.sequences[producer] = sequence + max(0, stored) + len(records) - 1
        log.offset += len(records)
        log.records.extend(records)
        batch = Batch(topic, log.epoch, log.offset, tuple(records))
        for deliver in log.listeners:
            deliver(batch)

    def receive(self) -> None:
        """Nothing is to be done: who appends records delivers them."""

    async def close(self) -> None:
        for log in self._logs.values():
            log.listeners = tuple(one for one in log.listeners if one is not self._deliver)
        self._is_closed = True
