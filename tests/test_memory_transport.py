"""The transport in memory behaves as a connection of sockets does."""

import asyncio

import pytest
from support.live import live

from tachikoma_proto.transports.memory import _MAX_UNREAD, memory_pair


@live
async def test_a_sender_waits_while_too_much_is_unread() -> None:
    server, client = memory_pair()
    for number in range(_MAX_UNREAD):
        await server.send(str(number))
    sending = asyncio.create_task(server.send("one more"))
    await asyncio.sleep(0)
    assert not sending.done()
    assert await anext(client) == "0"
    await sending
    assert [await anext(client) for _ in range(_MAX_UNREAD)][-1] == "one more"


@live
async def test_a_sender_that_waits_is_told_that_the_connection_closes() -> None:
    server, client = memory_pair()
    for number in range(_MAX_UNREAD):
        await server.send(str(number))
    sending = asyncio.create_task(server.send("one more"))
    await asyncio.sleep(0)
    await client.close(4001, "enough")
    with pytest.raises(ConnectionResetError):
        await sending


@pytest.mark.parametrize("closes", ["server", "client"])
@live
async def test_either_end_may_close_and_both_know_how(closes: str) -> None:
    server, client = memory_pair()
    await server.send("before")
    await (server if closes == "server" else client).close(4001, "enough")
    await server.close(4002, "too late")
    for end in (server, client):
        assert (end.close_code, end.close_reason) == (4001, "enough")
        with pytest.raises(ConnectionResetError):
            await end.send("after")
    assert [frame async for frame in client] == ["before"]


@live
async def test_frames_on_the_way_are_lost_when_it_is_aborted() -> None:
    server, client = memory_pair()
    await server.send("lost")
    client.abort()
    assert [frame async for frame in client] == []
    assert (server.close_code, client.close_code) == (1006, 1006)


@live
async def test_an_abort_does_not_change_how_it_was_closed() -> None:
    server, client = memory_pair()
    await server.close(4001, "enough")
    client.abort()
    assert (client.close_code, client.close_reason) == (4001, "enough")


@live
async def test_its_repr_says_whether_it_is_open() -> None:
    server, client = memory_pair()
    assert repr(server) == "<MemoryTransport, open>"
    await client.close(4001)
    assert repr(server) == "<MemoryTransport, closed with 4001>"
