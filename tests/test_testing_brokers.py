"""``check_broker``: what keeps the rules passes, and each broken rule is found and named."""

import asyncio
import re
from collections.abc import Awaitable, Callable, Collection, Sequence
from uuid import uuid4

import attrs
import pytest

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
from tachikoma_proto.testing import brokers as checks, check_broker


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("_PATIENCE", "_NOTICE"):
        monkeypatch.setattr(checks, name, 0.2)
    monkeypatch.setattr(checks, "_PAUSE", 0.01)


class Altered(BrokerConnection):
    """A connection that keeps the rules; those below each break one."""

    def __init__(self, broker: "Alterable", inner: BrokerConnection, deliver: Deliver) -> None:
        self.broker = broker
        self.inner = inner
        self.deliver = deliver
        self.ended = asyncio.get_running_loop().create_future()

    def altered(self, batch: Batch) -> Batch:
        return batch

    def pass_on(self, what: Batch | Gap) -> None:
        self.deliver(self.altered(what) if isinstance(what, Batch) else what)

    async def load(self, topic: str, limit: int) -> Batch:
        return self.altered(await self.inner.load(topic, limit))

    def append(
        self, topic: str, records: Sequence[Record], *, producer: str, sequence: int
    ) -> Awaitable[None] | None:
        return self.inner.append(topic, records, producer=producer, sequence=sequence)

    async def receive(self) -> None:
        await self.ended

    async def close(self) -> None:
        await self.inner.close()
        if not self.ended.done():
            self.ended.set_result(None)


class Alterable(Broker):
    """A ``MemoryBroker`` whose connections are altered, and can be lost."""

    def __init__(self, kind: type[Altered]) -> None:
        self.kind = kind
        self.inner = MemoryBroker()
        self.connections: list[Altered] = []

    async def connect(self, topics: Collection[str], deliver: Deliver) -> BrokerConnection:
        made: list[Altered] = []
        inner = await self.inner.connect(topics, lambda what: made[0].pass_on(what))
        made.append(self.kind(self, inner, deliver))
        self.connections += made
        return made[0]


async def lose_connections(broker: Broker) -> None:
    assert isinstance(broker, Alterable)
    for connection in broker.connections:
        await connection.inner.close()
        connection.ended.set_exception(BrokerError("lost"))


async def lose_logs(broker: Broker) -> None:
    assert isinstance(broker, Alterable)
    broker.inner = MemoryBroker()
    for connection in broker.connections:
        connection.deliver(Gap("missions"))


async def add_unreadable(broker: Broker, topic: str) -> None:
    assert isinstance(broker, Alterable)
    record = Record(topic, "rubbish", "", (), "rubbish")
    connection = await broker.inner.connect([topic], lambda _: None)
    connection.append(topic, [record], producer=uuid4().hex, sequence=1)


class Reading(Altered):
    """Makes None of what is no record."""

    def altered(self, batch: Batch) -> Batch:
        records = tuple(
            None if record is None or record.frame == "rubbish" else record
            for record in batch.records
        )
        return attrs.evolve(batch, records=records)


def test_what_keeps_the_rules_passes() -> None:
    check_broker(MemoryBroker)
    check_broker(
        lambda: Alterable(Reading),
        lose_connections=lose_connections,
        lose_logs=lose_logs,
        add_unreadable=add_unreadable,
    )


class FromZero(Altered):
    def altered(self, batch: Batch) -> Batch:
        return attrs.evolve(batch, offset=batch.offset - 1)


class LongEpoch(Altered):
    def altered(self, batch: Batch) -> Batch:
        return attrs.evolve(batch, epoch=batch.epoch * 3)


class EpochOfConnection(Altered):
    def altered(self, batch: Batch) -> Batch:
        return attrs.evolve(batch, epoch=str(self.broker.connections.index(self)))


class WithoutLimit(Altered):
    async def load(self, topic: str, limit: int) -> Batch:
        return await super().load(topic, 1000)


class TooLittle(Altered):
    async def load(self, topic: str, limit: int) -> Batch:
        return await super().load(topic, min(limit, 4))


class Backwards(Altered):
    def altered(self, batch: Batch) -> Batch:
        return attrs.evolve(batch, records=batch.records[::-1])


class Deaf(Altered):
    def pass_on(self, what: Batch | Gap) -> None:
        if isinstance(what, Batch) and what.offset != 3:
            super().pass_on(what)


class DeafToItself(Altered):
    is_appending = False

    def append(
        self, topic: str, records: Sequence[Record], *, producer: str, sequence: int
    ) -> Awaitable[None] | None:
        self.is_appending = True
        appended = super().append(topic, records, producer=producer, sequence=sequence)
        self.is_appending = False
        return appended

    def pass_on(self, what: Batch | Gap) -> None:
        if not self.is_appending:
            super().pass_on(what)


class Forgetful(Altered):
    def append(
        self, topic: str, records: Sequence[Record], *, producer: str, sequence: int
    ) -> Awaitable[None] | None:
        return super().append(topic, records, producer=uuid4().hex, sequence=1)


class OneProducer(Altered):
    def append(
        self, topic: str, records: Sequence[Record], *, producer: str, sequence: int
    ) -> Awaitable[None] | None:
        return super().append(topic, records, producer="p", sequence=sequence)


class AllOrNothing(Altered):
    """Takes a batch as stored if its first record is."""

    stored: dict[tuple[str, str], int] = {}  # noqa: RUF012 - all connections share it

    def append(
        self, topic: str, records: Sequence[Record], *, producer: str, sequence: int
    ) -> Awaitable[None] | None:
        name = (self.broker.inner._epoch, producer + topic)
        if sequence <= self.stored.get(name, 0):
            return None
        self.stored[name] = sequence + len(records) - 1
        return super().append(topic, records, producer=producer, sequence=sequence)


class OneTopic(Altered):
    async def load(self, topic: str, limit: int) -> Batch:
        return attrs.evolve(await super().load("missions", limit), topic=topic)


class Ascii(Altered):
    def altered(self, batch: Batch) -> Batch:
        records = [
            record and attrs.evolve(record, key=record.key.encode("ascii", "ignore").decode())
            for record in batch.records
        ]
        return attrs.evolve(batch, records=tuple(records))


class Short(Altered):
    def append(
        self, topic: str, records: Sequence[Record], *, producer: str, sequence: int
    ) -> Awaitable[None] | None:
        if sum(len(record.frame.encode()) for record in records) > 65536:
            raise BrokerError("too large")
        return super().append(topic, records, producer=producer, sequence=sequence)


class Endless(Altered):
    async def close(self) -> None:
        await self.inner.close()


class ClosedTwice(Altered):
    async def close(self) -> None:
        self.ended.set_result(None)
        await self.inner.close()


class OpenForAppends(Altered):
    def append(
        self, topic: str, records: Sequence[Record], *, producer: str, sequence: int
    ) -> Awaitable[None] | None:
        vars(self.inner)["_is_closed"] = False
        return self.inner.append(topic, records, producer=producer, sequence=sequence)


class OpenForReading(Altered):
    async def close(self) -> None:
        if not self.ended.done():
            self.ended.set_result(None)


@pytest.mark.parametrize(
    ("kind", "failed"),
    [
        (FromZero, "an empty log"),
        (LongEpoch, "an empty log"),
        (EpochOfConnection, "an empty log"),
        (WithoutLimit, "the limit of load"),
        (TooLittle, "the limit of load"),
        (Backwards, "offsets and order"),
        (Deaf, "offsets and order"),
        (DeafToItself, "offsets and order"),
        (Forgetful, "retries"),
        (AllOrNothing, "retries"),
        (OneProducer, "topics and producers"),
        (OneTopic, "topics and producers"),
        (Ascii, "what records hold"),
        (Short, "large batches"),
        (Endless, "closing"),
        (ClosedTwice, "closing"),
        (OpenForAppends, "closing"),
        (OpenForReading, "closing"),
    ],
)
def test_a_broken_rule_is_found(kind: type[Altered], failed: str) -> None:
    with pytest.raises(
        AssertionError, match=rf"of 8 checks of the broker fail:\n(.*\n)*  {failed}:"
    ):
        check_broker(lambda: Alterable(kind))


async def do_nothing(*_: object) -> None:
    pass


class EndsWithAnother(Altered):
    async def receive(self) -> None:
        try:
            await super().receive()
        except BrokerError:
            raise ConnectionResetError from None


class NewEpochs(Altered):
    def altered(self, batch: Batch) -> Batch:
        return attrs.evolve(batch, epoch=str(len(self.broker.connections)))


class SameEpochs(Altered):
    def altered(self, batch: Batch) -> Batch:
        return attrs.evolve(batch, epoch="epoch")


class Skipping(Reading):
    """Leaves out what is no record."""

    def altered(self, batch: Batch) -> Batch:
        records = [record for record in super().altered(batch).records if record is not None]
        return attrs.evolve(batch, records=tuple(records))


Harm = Callable[..., Awaitable[None]]


@pytest.mark.parametrize(
    ("kind", "harm", "do_harm"),
    [
        (Altered, "lose_connections", do_nothing),
        (Altered, "lose_connections", lose_logs),
        (EndsWithAnother, "lose_connections", lose_connections),
        (NewEpochs, "lose_connections", lose_connections),
        (Altered, "lose_logs", do_nothing),
        (Altered, "lose_logs", lose_connections),
        (SameEpochs, "lose_logs", lose_logs),
        (Altered, "add_unreadable", add_unreadable),
        (Skipping, "add_unreadable", add_unreadable),
    ],
)
def test_what_is_done_to_a_broker_shows_broken_rules(
    kind: type[Altered], harm: str, do_harm: Harm
) -> None:
    name = {
        "lose_connections": "lost connections",
        "lose_logs": "lost logs",
        "add_unreadable": "unreadable records",
    }[harm]
    head = r"\d of 9" if kind is NewEpochs else "1 of 9"
    with pytest.raises(
        AssertionError, match=re.compile(rf"{head} checks .* fail:\n(.*\n)*  {name}:")
    ):
        check_broker(lambda: Alterable(kind), **{harm: do_harm})


def test_every_failure_is_told() -> None:
    class Away(Broker):
        async def connect(self, topics: Collection[str], deliver: Deliver) -> BrokerConnection:
            raise BrokerError("away")

    with pytest.raises(AssertionError) as caught:
        check_broker(Away)
    text = str(caught.value)
    assert text.startswith("8 of 8 checks of the broker fail:")
    assert text.count("BrokerError('away')") == 8
