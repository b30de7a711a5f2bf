"""A client over real sockets: what it promises while servers come and go."""

import asyncio
import sys
from collections.abc import AsyncIterator
from uuid import UUID

import pytest
from attrs import frozen
from support.live import (
    MISSION,
    OPEN,
    TOKEN,
    USER,
    check_token,
    cut,
    free_port,
    live,
    make_server,
    next_of,
    serving,
    status_of,
    until,
)

import tachikoma_proto as tp
from tachikoma_proto.connection.backoff import delays

SOON = tp.ClientConfig(backoff_base=0.01, backoff_max=0.05)
STARTED = tp.MissionStarted(mission_id=MISSION)


class TestRequests:
    @live
    async def test_a_request_returns_the_response_of_its_command(self) -> None:
        async with serving(make_server()) as url, tp.connect(url, token=TOKEN) as client:
            asked = (client.request(tp.GetMissionStatus(mission_id=UUID(int=n))) for n in range(20))
            answers = await asyncio.gather(*asked)
        assert answers == [status_of(UUID(int=n)) for n in range(20)]

    @live
    async def test_a_request_times_out(self) -> None:
        dispatcher: tp.Dispatcher[tp.Session] = tp.Dispatcher()

        @dispatcher.handler(tp.StartMission)
        async def start(_: tp.StartMission, __: tp.Session) -> tp.AckResponse:
            await asyncio.sleep(0.1)
            return tp.AckResponse.ok()

        server = make_server(dispatcher)
        async with serving(server) as url, tp.connect(url, token=TOKEN) as client:
            with pytest.raises(TimeoutError, match=r"no answer to StartMission within 0.01 s"):
                await client.request(tp.StartMission(mission_id=MISSION), timeout=0.01)
            # The late answer is passed over, and the connection is as good as before.
            answer = await client.request(tp.StartMission(mission_id=MISSION))
            assert answer == tp.AckResponse.ok()

    @live
    async def test_a_request_that_cannot_be_encoded_is_not_sent(self) -> None:
        async with serving(make_server()) as url, tp.connect(url, token=TOKEN) as client:
            with pytest.raises(tp.EncodeError, match=r"\$.payload.mission_id"):
                await client.request(tp.StartMission(mission_id="7"))  # type: ignore[arg-type]

    @live
    async def test_a_request_that_is_too_large_raises(self) -> None:
        async with serving(make_server()) as url, tp.connect(url, token=TOKEN) as client:
            with pytest.raises(tp.RemoteError, match="message_too_large"):
                await client.subscribe("x" * 70_000)

    @live
    async def test_a_request_fails_when_the_client_is_closed(self) -> None:
        dispatcher: tp.Dispatcher[tp.Session] = tp.Dispatcher()
        started = asyncio.Event()

        @dispatcher.handler(tp.StartMission)
        async def start(_: tp.StartMission, __: tp.Session) -> tp.AckResponse:
            started.set()
            await asyncio.sleep(0.05)
            return tp.AckResponse.ok()

        async with serving(make_server(dispatcher)) as url:
            async with tp.connect(url, token=TOKEN) as client:
                asked = asyncio.create_task(client.request(tp.StartMission(mission_id=MISSION)))
                await started.wait()
            with pytest.raises(tp.ConnectionLostError, match="may have been carried out"):
                await asked
            with pytest.raises(tp.ConnectionLostError, match="the client is closed"):
                await client.request(tp.Ping())

    @pytest.mark.parametrize("timeout", [0, -1.0, float("nan")])
    @live
    async def test_a_request_refuses_a_timeout_that_is_not_above_zero(self, timeout: float) -> None:
        async with serving(make_server()) as url, tp.connect(url, token=TOKEN) as client:
            with pytest.raises(ValueError, match="timeout is a number of seconds above zero"):
                await client.request(tp.Ping(), timeout=timeout)

    @live
    async def test_a_request_from_another_event_loop_is_refused(self) -> None:
        async with serving(make_server()) as url, tp.connect(url, token=TOKEN) as client:

            def elsewhere() -> None:
                asyncio.run(client.request(tp.Ping()))

            with pytest.raises(RuntimeError, match="belongs to the event loop"):
                await asyncio.to_thread(elsewhere)

    @live
    async def test_a_request_needs_a_client_that_was_entered(self) -> None:
        client = tp.connect("ws://localhost:1")
        with pytest.raises(RuntimeError, match="not connected"):
            await client.request(tp.Ping())
        await client.close()


class TestEvents:
    @live
    async def test_events_wait_in_a_stream_until_they_are_taken(self) -> None:
        server = make_server()
        async with serving(server) as url, tp.connect(url, token=TOKEN) as client:
            events = client.events()
            await client.subscribe(tp.topics.MISSIONS)
            for _ in range(3):
                server.publish(STARTED)
            await client.request(tp.Ping())
            taken = []
            async for event in events:
                taken.append(event)
                if len(taken) == 3:
                    break
            assert taken == [STARTED] * 3
            await client.unsubscribe(tp.topics.MISSIONS)
            assert server.publish(STARTED) == 0
            with pytest.raises(tp.RemoteError, match="not_found"):
                await client.unsubscribe(tp.topics.MISSIONS)

    @live
    async def test_streams_of_events_end_when_the_client_is_closed(self) -> None:
        async with serving(make_server()) as url:
            async with tp.connect(url, token=TOKEN) as client:
                taking = asyncio.create_task(_all(client.events()))
                await asyncio.sleep(0)
            assert await taking == []

    @live
    async def test_the_next_event_can_be_awaited_with_a_timeout(self) -> None:
        server = make_server()
        async with serving(server) as url, tp.connect(url, token=TOKEN) as client:
            await client.subscribe(tp.topics.MISSIONS)
            events = client.events()
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(anext(events), 0.01)
            server.publish(STARTED)
            assert await anext(events) == STARTED

    @live
    async def test_messages_yields_events_in_their_envelopes(self) -> None:
        server = make_server()
        async with serving(server) as url, tp.connect(url, token=TOKEN) as client:
            messages = client.messages()
            await client.subscribe(tp.topics.MISSIONS)
            server.publish(STARTED)
            message = await anext(messages)
            assert (message.type, message.payload) == ("event.mission", STARTED)

    @live
    async def test_events_over_max_events_are_counted_as_missed(self) -> None:
        server = make_server(config=OPEN)
        config = tp.ClientConfig(max_events=2)
        async with serving(server) as url, tp.connect(url, config=config) as client:
            events = client.events()
            await client.subscribe(tp.topics.MISSIONS)
            for _ in range(5):
                server.publish(STARTED)
            await client.request(tp.Ping())
            assert [await anext(events) for _ in range(3)] == [
                STARTED,
                STARTED,
                tp.EventsMissed(count=3),
            ]
            server.publish(STARTED)
            assert await anext(events) == STARTED


async def _all(events: AsyncIterator[object]) -> list[object]:
    return [event async for event in events]


class TestReconnecting:
    @live
    async def test_a_reconnect_subscribes_again_and_is_reported(self) -> None:
        port = free_port()
        config = tp.ClientConfig(backoff_base=0.01, backoff_max=0.05)
        first = make_server()
        filters = tp.SubscriptionFilters(event_types=("started",))
        async with serving(first, port) as url:
            client = await tp.connect(url, token=TOKEN, config=config).__aenter__()
            events = client.events()
            await client.subscribe(tp.topics.MISSIONS, filters=filters)
            await client.subscribe(tp.topics.SYSTEM)
            await client.unsubscribe(tp.topics.SYSTEM)
            first.publish(STARTED)
            assert await anext(events) == STARTED
        waiting = asyncio.create_task(client.request(tp.GetMissionStatus(mission_id=MISSION)))
        await asyncio.sleep(0.05)
        second = make_server()
        async with serving(second, port):
            assert await waiting == status_of(MISSION)
            lost = await anext(events)
            assert lost == tp.Disconnected(1001, "the server shuts down")
            reconnected = await anext(events)
            assert isinstance(reconnected, tp.Reconnected)
            assert reconnected.attempts >= 1
            assert reconnected.lost == ("missions",)
            assert reconnected.refused == ()
            (session,) = second.sessions
            assert session.identity == tp.Identity(USER)
            assert session.subscriptions == ("missions",)
            assert second.publish(tp.MissionFailed(mission_id=MISSION, error="")) == 0
            assert second.publish(STARTED) == 1
            assert await anext(events) == STARTED
            await client.close()

    @live
    async def test_a_reconnect_sends_no_command_twice(self) -> None:
        port = free_port()
        calls = 0
        dispatcher: tp.Dispatcher[tp.Session] = tp.Dispatcher()
        called = asyncio.Event()

        @dispatcher.handler(tp.StartMission)
        async def start(_: tp.StartMission, __: tp.Session) -> tp.AckResponse:
            nonlocal calls
            calls += 1
            called.set()
            await asyncio.sleep(0.01)
            return tp.AckResponse.ok()

        async with serving(make_server(dispatcher), port) as url:
            client = tp.connect(url, token=TOKEN, config=SOON)
            async with client:
                asked = asyncio.create_task(client.request(tp.StartMission(mission_id=MISSION)))
                await called.wait()
                events = client.events()
                cut(client)
                with pytest.raises(tp.ConnectionLostError, match="may have been carried out"):
                    await asked
                await next_of(events, tp.Reconnected)
                await client.request(tp.Ping())
        assert calls == 1

    @live
    async def test_a_client_gives_up_when_its_token_is_refused(self) -> None:
        port = free_port()
        users = {TOKEN: tp.Identity(USER)}

        async def check(token: str) -> tp.Identity | None:
            return users.get(token)

        async with (
            serving(make_server(authenticate=check), port) as url,
            tp.connect(url, token=TOKEN, config=SOON) as client,
        ):
            users.clear()
            cut(client)
            with pytest.raises(tp.RemoteError, match="the server refuses the token"):
                await _all(client.events())
            with pytest.raises(tp.RemoteError, match="the server refuses the token"):
                await client.request(tp.Ping())

    @live
    async def test_a_reconnect_asks_for_a_fresh_token(self) -> None:
        given: list[str] = []

        async def fresh() -> str:
            given.append(TOKEN)
            return TOKEN

        async with (
            serving(make_server()) as url,
            tp.connect(url, token=fresh, config=SOON) as client,
        ):
            events = client.events()
            cut(client)
            await next_of(events, tp.Reconnected)
            assert given == [TOKEN, TOKEN]

    @live
    async def test_a_client_gives_up_after_max_attempts(self) -> None:
        config = tp.ClientConfig(backoff_base=0.01, backoff_max=0.01, max_attempts=2)
        async with serving(make_server()) as url:
            client = await tp.connect(url, token=TOKEN, config=config).__aenter__()
        with pytest.raises(tp.ConnectionLostError, match="2 attempts to open it failed"):
            await _all(client.events())
        with pytest.raises(tp.ConnectionLostError, match="2 attempts to open it failed"):
            await client.request(tp.Ping())
        await client.close()

    @live
    async def test_a_client_may_be_told_not_to_reconnect(self) -> None:
        config = tp.ClientConfig(reconnect=False)
        async with serving(make_server()) as url:
            client = await tp.connect(url, token=TOKEN, config=config).__aenter__()
        with pytest.raises(tp.ConnectionLostError, match="the connection was lost"):
            await _all(client.events())
        await client.close()

    @live
    async def test_a_reconnect_names_refused_topics_and_retries_them(self) -> None:
        port = free_port()
        deploy = tp.Category("deploy", topic="deploys")

        @deploy.event("started")
        @frozen(kw_only=True)
        class DeployStarted(tp.Event):
            pass

        codec = tp.Codec(tp.Registry([deploy]))
        async with serving(make_server(codec=codec), port) as url:
            client = tp.connect(url, token=TOKEN, codec=codec, config=SOON)
            await client.__aenter__()
            await client.subscribe("deploys")
            await client.subscribe(tp.topics.MISSIONS)
            events = client.events()
        async with serving(make_server(), port):
            event = await next_of(events, tp.Reconnected)
            assert event.refused == ("deploys",)
        async with serving(make_server(codec=codec), port):
            event = await next_of(events, tp.Reconnected)
            assert event.refused == ()
            await client.close()

    @live
    async def test_a_client_reconnects_when_the_server_is_silent(self) -> None:
        async with asyncio.timeout(10):
            opened = 0

            class Silent:
                def __init__(self) -> None:
                    self.closed = asyncio.Event()

                async def send(self, text: str, /) -> None:
                    pass

                def __aiter__(self) -> AsyncIterator[str | bytes]:
                    return self

                async def __anext__(self) -> str | bytes:
                    await self.closed.wait()
                    raise StopAsyncIteration

                async def close(self, code: int = 1000, reason: str = "") -> None:
                    self.closed.set()

            async def open_transport() -> tp.Transport:
                nonlocal opened
                opened += 1
                return Silent()

            config = tp.ClientConfig(
                ping_interval=0.01, pong_timeout=0.01, backoff_base=0.01, backoff_max=0.01
            )
            async with tp.Client(open_transport, config=config):
                await until(lambda: opened == 3)


class TestConnecting:
    @live
    async def test_connecting_to_a_closed_port_fails_at_once(self) -> None:
        with pytest.raises(OSError, match=r"[Cc]onnect"):
            async with tp.connect(f"ws://127.0.0.1:{free_port()}"):
                pass

    @live
    async def test_connecting_to_a_silent_server_times_out(self) -> None:
        async def check(token: str) -> tp.Identity | None:
            await asyncio.sleep(60)
            return await check_token(token)

        config = tp.ClientConfig(open_timeout=0.1)
        server_config = tp.ServerConfig(auth_timeout=0.5)
        async with serving(make_server(authenticate=check, config=server_config)) as url:
            with pytest.raises(TimeoutError, match=r"no connection within 0.1 s"):
                async with tp.connect(url, token=TOKEN, config=config):
                    pass

    @live
    async def test_connecting_to_a_server_that_closes_raises(self) -> None:
        server = make_server()
        async with serving(server) as url:
            await server.close()
            with pytest.raises(tp.ConnectionLostError, match="before it was ready"):
                async with tp.connect(url, token=TOKEN):
                    pass

    @live
    async def test_connecting_to_this_machine_uses_no_proxy(self) -> None:
        nowhere = f"http://127.0.0.1:{free_port()}"
        with pytest.MonkeyPatch.context() as patch:
            for name in ("http_proxy", "https_proxy", "all_proxy"):
                patch.setenv(name, nowhere)
            patch.delenv("no_proxy", raising=False)
            async with serving(make_server()) as url, tp.connect(url, token=TOKEN) as client:
                await client.request(tp.Ping())

    @live
    async def test_a_client_cannot_be_entered_twice(self) -> None:
        async with serving(make_server()) as url, tp.connect(url, token=TOKEN) as client:
            with pytest.raises(RuntimeError, match="entered once"):
                await client.__aenter__()

    def test_connect_refuses_wrong_arguments(self) -> None:
        with pytest.raises(ValueError, match="begins with ws:// or wss://"):
            tp.connect("http://tachikoma.example")
        with pytest.raises(TypeError, match="a token is text"):
            tp.connect("wss://tachikoma.example", token=b"s3cret")  # type: ignore[arg-type]

    @pytest.mark.parametrize(
        ("url", "is_overheard"),
        [
            ("ws://tachikoma.example/", True),
            ("ws://10.0.0.1:80", True),
            ("wss://tachikoma.example/", False),
            ("ws://localhost:8765", False),
            ("ws://127.0.0.1:8765", False),
            ("ws://[::1]:8765", False),
        ],
    )
    def test_connect_warns_of_a_token_without_encryption(
        self, url: str, is_overheard: bool, caplog: pytest.LogCaptureFixture
    ) -> None:
        tp.connect(url, token=TOKEN)
        assert ("use wss://" in caplog.text) is is_overheard
        assert TOKEN not in caplog.text


def test_backoff_delays_grow_up_to_the_maximum() -> None:
    waits = delays(1.0, 5.0)
    for longest in (1.0, 2.0, 4.0, 5.0, 5.0):
        assert longest / 2 <= next(waits) <= longest


def test_connect_says_that_websockets_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "websockets.asyncio.client", None)
    with pytest.raises(ImportError, match=r"pip install 'tachikoma-proto\[websockets\]'"):
        tp.connect("ws://127.0.0.1:1")
