"""Records as bytes, and the logs of ``MemoryBroker``."""

from uuid import UUID

import pytest
from hypothesis import given, strategies as st
from support.brokers import frame_of, text_of
from support.live import live

from tachikoma_proto.brokers import Batch, Gap, MemoryBroker, Record
from tachikoma_proto.errors import BrokerError
from tachikoma_proto.messages.record import FILTERED

MISSION = UUID("67e55044-10b1-426f-9247-bb680e5fe0c8")

texts = st.text(st.characters(exclude_categories=["Cs"]), min_size=1)
records = st.builds(
    Record,
    topic=texts,
    type=texts,
    key=texts | st.just(""),
    values=st.tuples(*[st.uuids() | st.none() for _ in FILTERED]),
    frame=st.builds(frame_of, texts),
)


def record(text: str, topic: str = "missions") -> Record:
    return Record(topic, "mission.started", str(MISSION), (MISSION, None), frame_of(text))


@given(records)
def test_a_record_survives_as_bytes(record: Record) -> None:
    assert Record.from_bytes(record.to_bytes()) == record


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"2 " + record("a").to_bytes()[2:],
        b"1 {}\n{}",
        b'1 {"topic":"missions"}\n{}',
        b'1 {"topic":"missions","type":3}\n{}',
        b'1 {"topic":"missions","type":"a.b","mission_id":"x"}\n{}',
        b'1 {"topic":"missions","type":"a.b"}\n',
        b'1 {"topic":"missions","type":"a.b"}\n{',
        b'1 {"topic":"missions","type":"a.b"}\n[{}]',
        b'1 {"topic":"missions","type":"a.b"}\n{"a":',
        b'1 {"topic":"missions","type":"a.b"}\n{}\n',
        b'1 {"topic":"missions","type":"a.b"}\n\xff',
        b'1 ["topic","type"]\n{}',
        b"1 " + b"[" * 100_000,
        b"1 not json\n{}",
    ],
)
def test_what_is_no_record_of_this_version_is_none(data: bytes) -> None:
    assert Record.from_bytes(data) is None


@given(st.binary())
def test_no_bytes_are_fatal(data: bytes) -> None:
    Record.from_bytes(data)
    Record.from_bytes(b"1 " + data)


@live
async def test_servers_that_share_a_memory_broker_get_all_records_in_order() -> None:
    broker = MemoryBroker()
    one: list[Batch | Gap] = []
    other: list[Batch | Gap] = []
    first = await broker.connect(["missions"], one.append)
    second = await broker.connect(["missions", "system"], other.append)
    empty = await first.load("missions", 10)
    assert (empty.offset, empty.records) == (0, ())
    await second.load("missions", 10)
    assert first.append("missions", [record("a")], producer="p", sequence=1) is None
    assert second.append("missions", [record("b")], producer="q", sequence=1) is None
    expected: list[Batch | Gap] = [
        Batch("missions", empty.epoch, 1, (record("a"),)),
        Batch("missions", empty.epoch, 2, (record("b"),)),
    ]
    assert one == other == expected


@live
async def test_a_server_that_opens_later_loads_the_last_records() -> None:
    broker = MemoryBroker(max_records=3)
    first = await broker.connect(["missions"], lambda _: None)
    first.append("missions", [record(text) for text in "abcde"], producer="p", sequence=1)
    second = await broker.connect(["missions"], lambda _: None)
    assert [*map(text_of, (await second.load("missions", 9)).records)] == ["c", "d", "e"]
    assert [*map(text_of, (await second.load("missions", 1)).records)] == ["e"]
    assert (await second.load("missions", 0)).records == ()
    assert (await second.load("missions", 9)).offset == 5


@live
async def test_what_is_stored_already_is_not_stored_twice() -> None:
    got: list[Batch | Gap] = []
    connection = await MemoryBroker().connect(["missions"], got.append)
    await connection.load("missions", 1)
    connection.append("missions", [record("a"), record("b")], producer="p", sequence=1)
    connection.append("missions", [record("b"), record("c")], producer="p", sequence=2)
    connection.append("missions", [record("a")], producer="p", sequence=1)
    texts = [text_of(r) for batch in got if isinstance(batch, Batch) for r in batch.records]
    assert texts == ["a", "b", "c"]


@live
async def test_a_closed_connection_receives_nothing_more() -> None:
    broker = MemoryBroker()
    got: list[Batch | Gap] = []
    closed = await broker.connect(["missions"], got.append)
    await closed.load("missions", 1)
    assert closed.receive() is None
    await closed.close()
    other = await broker.connect(["missions"], lambda _: None)
    other.append("missions", [record("a")], producer="p", sequence=1)
    assert got == []
    with pytest.raises(BrokerError):
        closed.append("missions", [record("a")], producer="p", sequence=1)


def test_the_bound_of_a_log_is_checked() -> None:
    with pytest.raises(ValueError, match="max_records"):
        MemoryBroker(max_records=-1)
