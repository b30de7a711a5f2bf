"""A client whose connections come, go and are in between: nothing hangs, nothing is left."""

import asyncio
import time
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest
from support.live import MISSION, current_connection, live, next_of, records_of, soon, until
from support.network import CODEC, SOON, Network, agree, client_of

import tachikoma_proto as tp
from tachikoma_proto.session import ClientSession

STARTED = CODEC.encode(tp.MissionStarted(mission_id=MISSION))


class TestALostConnection:
    @live
    async def test_a_retried_request_fails_at_most_once_after_a_lost_connection(self) -> None:
        network = Network()
        async with client_of(network) as client:
            network.now.feed(None)
            lost = 0
            while lost < 10:
                try:
                    await soon(client.request(tp.Ping()))
                    break
                except tp.ConnectionLostError:
                    lost += 1
        assert lost <= 1
        assert len(network.opened) == 2

    @pytest.mark.parametrize("turns", range(8))
    @live
    async def test_a_connection_that_ends_as_it_becomes_ready_is_not_used(self, turns: int) -> None:
        async def end_soon() -> None:
            for _ in range(turns):
                await asyncio.sleep(0)
            network.now.feed(None)

        def ending(command: tp.Command[Any]) -> tp.Response | None:
            tasks.append(asyncio.create_task(end_soon()))
            return agree(command)

        tasks: list[asyncio.Task[None]] = []
        network = Network(agree, ending, agree)
        async with client_of(network) as client:
            events = client.events()
            await client.subscribe("missions")
            network.now.feed(None)
            await until(lambda: len(network.opened) == 3)
            assert isinstance(await soon(client.request(tp.Ping())), tp.PongResponse)
            assert isinstance(await soon(anext(events)), tp.Disconnected)
            await next_of(events, tp.Reconnected)

    @pytest.mark.parametrize("has_begun", [False, True])
    @live
    async def test_a_client_reconnects_if_its_connection_task_is_cancelled(
        self, has_begun: bool
    ) -> None:
        network = Network()
        async with client_of(network) as client:
            if has_begun:
                await client.request(tp.Ping())
            current_connection(client)._task.cancel()
            await until(lambda: len(network.opened) == 2)
            assert isinstance(await soon(client.request(tp.Ping())), tp.PongResponse)

    @live
    async def test_a_connection_that_is_slow_to_close_delays_no_request(self) -> None:
        network = Network()
        async with client_of(network) as client:
            first = network.now
            first.can_close.clear()
            first.feed(None)
            await until(lambda: first.closed)
            assert isinstance(await soon(client.request(tp.Ping())), tp.PongResponse)
            assert not first.commands

    @live
    async def test_a_lost_connection_fails_requests_in_flight(self) -> None:
        network = Network(lambda _: None, agree)
        async with client_of(network) as client:
            asked = asyncio.create_task(client.request(tp.StartMission(mission_id=MISSION)))
            await until(lambda: network.now.commands)
            network.now.feed(ConnectionResetError("gone"))
            with pytest.raises(tp.ConnectionLostError, match="may have been carried out"):
                await soon(asked)
            await soon(client.request(tp.Ping()))
        assert [type(c) for t in network.opened for c in t.commands] == [tp.StartMission, tp.Ping]

    @live
    async def test_a_client_reconnects_if_its_transport_raises(self) -> None:
        network = Network()
        async with client_of(network) as client:
            network.now.feed(None)
            await until(lambda: len(network.opened) == 2)
            network.now.open_error = ConnectionResetError("at once")
            events = client.events()
            network.now.feed(None)
            await next_of(events, tp.Reconnected)


class TestWaitingRequests:
    @live
    async def test_waiting_requests_fail_when_the_client_is_closed(self) -> None:
        network = Network(agree, OSError("no route"))
        client = await client_of(network).__aenter__()
        network.now.feed(None)
        await until(lambda: network.now.closed)
        waiting = asyncio.create_task(client.request(tp.Ping()))
        await asyncio.sleep(0.02)
        await client.close()
        with pytest.raises(tp.ConnectionLostError, match="the client is closed"):
            await soon(waiting)

    @live
    async def test_waiting_requests_fail_when_the_client_gives_up(self) -> None:
        config = tp.ClientConfig(backoff_base=0.02, backoff_max=0.02, max_attempts=2)
        network = Network(agree, OSError("no route"))
        client = await client_of(network, config).__aenter__()
        network.now.feed(None)
        await until(lambda: network.now.closed)
        with pytest.raises(tp.ConnectionLostError, match=r"2 attempts .* the last with OSError"):
            await soon(client.request(tp.Ping()))
        with pytest.raises(tp.ConnectionLostError, match="2 attempts"):
            await soon(anext(client.events()))
        await client.close()

    @live
    async def test_a_request_without_a_connection_says_that_it_was_not_sent(self) -> None:
        network = Network(agree, OSError("no route"))
        async with client_of(network) as client:
            network.now.feed(None)
            await until(lambda: network.now.closed)
            with pytest.raises(TimeoutError, match=r"no connection within .* Ping was not sent"):
                await client.request(tp.Ping(), timeout=0.02)


class TestABlockedEventLoop:
    @live
    async def test_ends_no_request_whose_answer_came_in_time(self) -> None:
        network = Network()
        async with client_of(network) as client:
            asked = asyncio.create_task(client.request(tp.Ping(), timeout=0.05))
            await asyncio.sleep(0)
            time.sleep(0.1)
            assert isinstance(await asked, tp.PongResponse)

    @live
    async def test_ends_no_attempt_to_connect_that_was_answered_in_time(self) -> None:
        network = Network()
        config = tp.ClientConfig(open_timeout=0.05)
        client = client_of(network, config, token="t")
        entering = asyncio.create_task(client.__aenter__())
        await asyncio.sleep(0)
        time.sleep(0.1)
        await entering
        assert client.state == "connected"
        await client.close()


class TestClosing:
    @live
    async def test_a_client_can_be_closed_by_several_tasks_at_once(self) -> None:
        network = Network()
        patient = tp.ClientConfig(ping_interval=None, close_timeout=20.0)
        client = await client_of(network, patient).__aenter__()
        network.now.can_close.clear()
        first = asyncio.create_task(client.close())
        second = asyncio.create_task(client.close())
        await until(lambda: network.now.closed)
        first.cancel()
        network.now.can_close.set()
        await soon(second)
        assert network.now.closed == [(1000, "")]
        with pytest.raises(asyncio.CancelledError):
            await first

    @live
    async def test_a_client_can_be_closed_while_it_connects(self) -> None:
        network = Network(lambda _: None)
        client = client_of(network, token="t")
        entering = asyncio.create_task(client.__aenter__())
        await until(lambda: network.opened and network.now.commands)
        await client.close()
        with pytest.raises(tp.ConnectionLostError):
            await soon(entering)
        assert network.now.closed

    @live
    async def test_a_client_can_be_closed_while_it_reconnects(self) -> None:
        network = Network(agree, lambda _: None)
        client = await client_of(network, token="t").__aenter__()
        network.now.feed(None)
        await until(lambda: len(network.opened) == 2 and network.now.commands)
        await asyncio.gather(client.close(), client.close())
        assert all(transport.closed for transport in network.opened)

    @live
    async def test_a_closed_client_refuses_requests(self) -> None:
        network = Network()
        client = await client_of(network).__aenter__()
        closing = asyncio.create_task(client.close())
        await asyncio.sleep(0)
        with pytest.raises(tp.ConnectionLostError, match="the client is closed"):
            await soon(client.request(tp.Ping()))
        await closing
        assert not network.now.commands

    @live
    async def test_cancelling_a_client_that_connects_leaves_no_task(self) -> None:
        network = Network(lambda _: None)
        entering = asyncio.create_task(client_of(network, token="t").__aenter__())
        await until(lambda: network.opened and network.now.commands)
        entering.cancel()
        with pytest.raises(asyncio.CancelledError):
            await entering
        assert network.now.closed


@live
async def test_cancelling_all_tasks_ends_a_client_with_an_error() -> None:
    network = Network()
    client = await client_of(network).__aenter__()
    for task in asyncio.all_tasks() - {asyncio.current_task()}:
        task.cancel()
    await asyncio.sleep(0.01)
    with pytest.raises(tp.ConnectionLostError):
        await soon(client.request(tp.Ping()))
    await client.close()


@live
async def test_a_client_shows_its_token_in_no_error_and_no_log() -> None:
    given = iter(["first-s3cret"])

    def fresh() -> str:
        try:
            return next(given)
        except StopIteration:
            raise KeyError("second-s3cret") from None

    config = tp.ClientConfig(backoff_base=0.01, backoff_max=0.01, max_attempts=1)
    network = Network()
    with records_of("tachikoma_proto") as records:
        client = await tp.Client(network.open, token=fresh, config=config).__aenter__()
        events = client.events()
        network.now.feed(None)
        with pytest.raises(tp.ConnectionLostError, match="the last with KeyError") as caught:
            await next_of(events, tp.Reconnected)
        await client.close()
    assert "s3cret" not in "".join(records)
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None


@live
async def test_a_client_can_be_entered_again_after_it_failed_to_connect() -> None:
    network = Network(OSError("not yet"), agree)
    client = client_of(network)
    with pytest.raises(OSError, match="not yet"):
        await client.__aenter__()
    with pytest.raises(RuntimeError, match="not connected"):
        client.events()
    async with client:
        await soon(client.request(tp.Ping()))


class TestRareEnds:
    @live
    async def test_an_answer_to_a_request_cancelled_just_before_is_ignored(self) -> None:
        network = Network(lambda command: agree(command) if isinstance(command, tp.Ping) else None)
        async with client_of(network) as client:
            waiting = asyncio.create_task(client.request(tp.StartMission(mission_id=MISSION)))
            await until(lambda: network.now.sent)
            asked = CODEC.decode_command(network.now.sent[0]).id
            network.now.feed(CODEC.encode(tp.AckResponse.ok(), reply_to=asked))
            waiting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await waiting
            assert isinstance(await soon(client.request(tp.Ping())), tp.PongResponse)
            assert len(network.opened) == 1

    @live
    async def test_a_connection_that_opens_after_the_client_was_closed_is_closed(self) -> None:
        network, may_open = Network(), asyncio.Event()

        async def open_transport() -> tp.Transport:
            await may_open.wait()
            return await network.open()

        client = tp.Client(open_transport, token="t")
        entering = asyncio.create_task(client.__aenter__())
        await asyncio.sleep(0)
        closing = asyncio.create_task(client.close())
        await asyncio.sleep(0)
        may_open.set()
        await soon(closing)
        with pytest.raises(tp.ConnectionLostError, match="the client is closed"):
            await soon(entering)
        await until(lambda: network.now.closed)
        assert not network.now.commands  # the token least of all
        await until(lambda: asyncio.all_tasks() == {asyncio.current_task()})

    @live
    async def test_a_connection_that_insists_on_opening_does_not_outlive_its_client(self) -> None:
        network, may_open = Network(), asyncio.Event()
        may_open.set()

        async def open_transport() -> tp.Transport:
            while not may_open.is_set():
                with suppress(asyncio.CancelledError):
                    await may_open.wait()
            return await network.open()

        with records_of("tachikoma_proto") as records:
            client = await tp.Client(open_transport, config=SOON, token="t").__aenter__()
            may_open.clear()
            network.now.feed(None)
            await asyncio.sleep(0.03)
            closing = asyncio.create_task(client.close())
            await asyncio.sleep(0)
            may_open.set()
            await soon(closing)
        await until(lambda: network.now.closed)
        assert not network.now.commands
        assert client.state == "closed"
        assert "for good" not in "".join(records)

    @live
    async def test_a_connection_that_fails_is_logged_and_opened_again(
        self, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        receive, failures = ClientSession.receive, ["broken"]

        def failing(session: ClientSession, frame: str | bytes, now: float) -> Any:
            if failures:
                raise ZeroDivisionError(failures.pop())
            return receive(session, frame, now)

        monkeypatch.setattr(ClientSession, "receive", failing)
        network = Network()
        async with client_of(network) as client:
            network.now.feed(STARTED)
            await until(lambda: len(network.opened) == 2)
            assert isinstance(await soon(client.request(tp.Ping())), tp.PongResponse)
        assert "a connection failed" in caplog.text
        assert "ZeroDivisionError: broken" in caplog.text

    @live
    async def test_a_client_that_fails_ends_and_says_so(
        self, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        def broken(_: float, __: float) -> Iterator[float]:
            yield 0.0
            raise ZeroDivisionError("broken")

        monkeypatch.setattr("tachikoma_proto.client.reconnector.delays", broken)
        network = Network(agree, OSError("no route"))
        async with client_of(network) as client:
            events = client.events()
            network.now.feed(None)
            with pytest.raises(tp.ConnectionLostError, match="failed: ZeroDivisionError"):
                await next_of(events, tp.Reconnected)
            with pytest.raises(tp.ConnectionLostError, match="failed: ZeroDivisionError"):
                await soon(client.request(tp.Ping()))
            assert client.state == "closed"
        assert "the connection is lost for good" in caplog.text
