"""A server over real sockets: many clients, and what each of them may do to it."""

import asyncio
import json
import logging
from typing import Any
from uuid import UUID, uuid4

import pytest
from attrs import frozen
from support.counting import Counting
from support.live import (
    MISSION,
    OPEN,
    TOKEN,
    USER,
    handlers,
    live,
    make_server,
    raw,
    records_of,
    serving,
    status_of,
    until,
)
from support.memory import MemoryTransport
from websockets.exceptions import ConnectionClosed

import tachikoma_proto as tp

CODEC = tp.Codec()


def progress(mission_id: UUID, done: int) -> tp.MissionProgress:
    return tp.MissionProgress(
        mission_id=mission_id,
        current_spec=str(done),
        completed_specs=done,
        total_specs=100,
        percentage=float(done),
    )


@live
async def test_each_of_many_clients_gets_its_own_events_and_responses() -> None:
    missions = [uuid4() for _ in range(10)]
    server = make_server()
    async with serving(server) as url, asyncio.TaskGroup() as group:

        async def follow(number: int) -> None:
            mine = missions[number % len(missions)]
            async with tp.connect(url, token=TOKEN) as client:
                if number % 2:
                    await client.subscribe(tp.topics.mission(mine))
                else:
                    filters = tp.SubscriptionFilters(mission_id=mine, event_types=("progress",))
                    await client.subscribe(tp.topics.MISSIONS, filters=filters)
                ready.release()
                wanted: list[tp.Event] = [progress(mine, done) for done in range(10)]
                if number % 2:
                    wanted.insert(0, tp.MissionStarted(mission_id=mine))
                events = client.events()
                assert [await anext(events) for _ in wanted] == wanted

        ready = asyncio.Semaphore(0)
        for number in range(40):
            group.create_task(follow(number))
        for _ in range(40):
            await ready.acquire()
        assert len(server.sessions) == 40
        for number, mission in enumerate(missions):
            started = tp.MissionStarted(mission_id=mission)
            assert server.publish(started) == (4 if number % 2 else 0)
            for done in range(10):
                assert server.publish(progress(mission, done)) == 4
            await asyncio.sleep(0)
    await until(lambda: not server.sessions)


@live
async def test_a_server_refuses_a_wrong_token() -> None:
    server = make_server()
    async with serving(server) as url:
        with pytest.raises(tp.RemoteError, match="the server refuses the token") as caught:
            async with tp.connect(url, token="wrong"):
                pass
        assert caught.value.code == "auth_required"
        async with tp.connect(url) as client:
            with pytest.raises(tp.RemoteError, match="Authentication required"):
                await client.subscribe(tp.topics.MISSIONS)
            assert server.publish(tp.MissionStarted(mission_id=MISSION)) == 0
            assert isinstance(await client.request(tp.Ping()), tp.PongResponse)


@live
async def test_a_server_closes_a_client_that_does_not_authenticate() -> None:
    server = make_server(config=tp.ServerConfig(auth_timeout=0.05))
    async with serving(server) as url, raw(url) as websocket:
        with pytest.raises(ConnectionClosed):
            await websocket.recv()
        assert (websocket.close_code, websocket.close_reason) == (1008, "not authenticated in time")


@live
async def test_frames_after_a_token_wait_for_its_check() -> None:
    async def check(token: str) -> tp.Identity:
        await asyncio.sleep(0.05)
        return tp.Identity(USER)

    async with serving(make_server(authenticate=check)) as url, raw(url) as websocket:
        await websocket.send(CODEC.encode(tp.Authenticate(token=TOKEN)))
        await websocket.send(CODEC.encode(tp.Subscribe(topic="missions")))
        answers = [CODEC.decode_server_message(await websocket.recv()) for _ in range(2)]
    assert answers[0].payload == tp.AuthResponse(authenticated=True, user_id=USER)
    assert answers[1].payload == tp.AckResponse.ok()


@live
async def test_a_server_answers_garbage_and_keeps_the_connection() -> None:
    async with serving(make_server()) as url, raw(url, TOKEN) as websocket:
        bad: list[tuple[str | bytes, str]] = [
            ("", "invalid_message"),
            (b"\xff\xfe", "invalid_message"),
            ("[" * 1000, "invalid_message"),
            ('{"type":"nope"}', "unknown_message"),
            ('"' + "x" * 2**16 + '"', "message_too_large"),
        ]
        for frame, code in bad:
            await websocket.send(frame)
            answer = CODEC.decode_server_message(await websocket.recv()).payload
            assert isinstance(answer, tp.ErrorResponse)
            assert answer.code == code
        await websocket.send('{"id":"00000000-0000-0000-0000-000000000001","type":"mission_start"}')
        answer_to_id = json.loads(await websocket.recv())
        assert answer_to_id["reply_to"] == "00000000-0000-0000-0000-000000000001"
        await websocket.send(CODEC.encode(tp.GetMissionStatus(mission_id=MISSION)))
        assert CODEC.decode_server_message(await websocket.recv()).payload == status_of(MISSION)


@live
async def test_a_slow_client_is_disconnected_without_affecting_others() -> None:
    config = tp.ServerConfig(require_auth=False, max_pending=10, close_timeout=0.2)
    server = make_server(config=config)
    log = tp.ForgeLog(session_id=MISSION, level="info", message="x" * 50_000)
    async with (
        serving(server, close_timeout=0.2, compression=None) as url,
        raw(url) as slow,
        tp.connect(url) as quick,
    ):
        await slow.send(CODEC.encode(tp.Subscribe(topic="forge_sessions")))
        await slow.recv()
        await quick.subscribe(tp.topics.FORGE_SESSIONS)
        slow.transport.pause_reading()
        events = quick.events()
        published = 0
        while server.publish(log) == 2:
            published += 1
            assert await anext(events) == log
        for _ in range(50):
            assert server.publish(log) == 1
            assert await anext(events) == log
        assert await anext(events) == log  # the one that cut the other off
        await until(lambda: len(server.sessions) == 1)
        assert published >= 10
        slow.transport.abort()


@live
async def test_a_client_that_vanishes_leaves_no_session() -> None:
    server = make_server()
    async with serving(server) as url:
        async with raw(url, TOKEN) as websocket:
            await websocket.send(CODEC.encode(tp.Subscribe(topic="missions")))
            await websocket.recv()
            websocket.transport.abort()
            await until(lambda: not server.sessions)
        assert server.publish(tp.MissionStarted(mission_id=MISSION)) == 0


@live
async def test_a_server_pings_a_silent_client_and_disconnects_it() -> None:
    config = tp.ServerConfig(require_auth=False, ping_interval=0.05, pong_timeout=0.05)
    async with serving(make_server(config=config)) as url, raw(url) as websocket:
        assert json.loads(await websocket.recv()) == {"type": "ping"}
        await websocket.send('{"type":"pong"}')
        assert json.loads(await websocket.recv()) == {"type": "ping"}
        with pytest.raises(ConnectionClosed):
            await websocket.recv()
        assert websocket.close_code == 1011


async def says_yes(token: str) -> bool:
    return True


def does_not_wait(token: str) -> tp.Identity:
    return tp.Identity(USER)


@pytest.mark.parametrize(
    ("authenticate", "why"),
    [
        (says_yes, "authenticate failed: it has to return an Identity or None, not bool"),
        (does_not_wait, "authenticate failed: it has to be a coroutine function"),
    ],
)
@live
async def test_an_authenticator_with_a_wrong_result_lets_nobody_in(
    authenticate: Any, why: str
) -> None:
    with records_of("tachikoma_proto") as records:
        async with serving(make_server(authenticate=authenticate)) as url:
            with pytest.raises(tp.RemoteError, match="internal_error"):
                async with tp.connect(url, token=TOKEN):
                    pass
    assert any(why in record for record in records)


class TestHandlers:
    @live
    async def test_a_handler_that_raises_gives_an_internal_error(self) -> None:
        dispatcher: tp.Dispatcher[tp.Session] = tp.Dispatcher()

        @dispatcher.handler(tp.StartMission)
        async def start(_: tp.StartMission, __: tp.Session) -> tp.AckResponse:
            raise KeyError("what nobody else has to know")

        @dispatcher.handler(tp.PauseMission)
        def pause(_: tp.PauseMission, __: tp.Session) -> tp.AckResponse:
            raise tp.CommandError("not_found", "mission not found")

        async with serving(make_server(dispatcher)) as url, tp.connect(url, token=TOKEN) as client:
            with pytest.raises(tp.RemoteError) as caught:
                await client.request(tp.StartMission(mission_id=MISSION))
            assert (caught.value.code, caught.value.message) == ("internal_error", "internal error")
            assert caught.value.details is None
            with pytest.raises(tp.RemoteError, match="not_found: mission not found"):
                await client.request(tp.PauseMission(mission_id=MISSION))
            with pytest.raises(tp.RemoteError, match="unknown_message"):
                await client.request(tp.CancelMission(mission_id=MISSION))

    @live
    async def test_plain_handlers_answer_in_order(self) -> None:
        dispatcher: tp.Dispatcher[tp.Session] = tp.Dispatcher()
        tasks = set()

        @dispatcher.handler(tp.StartMission)
        def start(_: tp.StartMission, __: tp.Session) -> tp.AckResponse:
            tasks.add(asyncio.current_task())
            return tp.AckResponse.ok(str(len(tasks)))

        async with serving(make_server(dispatcher)) as url, tp.connect(url, token=TOKEN) as client:
            asked = (client.request(tp.StartMission(mission_id=MISSION)) for _ in range(3))
            answers = await asyncio.gather(*asked)
        assert [answer.message for answer in answers] == ["1", "1", "1"]

    @live
    async def test_coroutine_handlers_run_concurrently(self) -> None:
        dispatcher: tp.Dispatcher[tp.Session] = tp.Dispatcher()
        released = asyncio.Event()

        @dispatcher.handler(tp.StartMission)
        async def start(_: tp.StartMission, __: tp.Session) -> tp.AckResponse:
            await released.wait()
            return tp.AckResponse.ok("started")

        @dispatcher.handler(tp.PauseMission)
        async def pause(_: tp.PauseMission, __: tp.Session) -> tp.AckResponse:
            return tp.AckResponse.ok("paused")

        async with serving(make_server(dispatcher)) as url, tp.connect(url, token=TOKEN) as client:
            starting = asyncio.create_task(client.request(tp.StartMission(mission_id=MISSION)))
            paused = await client.request(tp.PauseMission(mission_id=MISSION))
            assert paused.message == "paused"
            assert not starting.done()
            released.set()
            assert (await starting).message == "started"

    @live
    async def test_no_more_handlers_run_than_max_running(self) -> None:
        dispatcher: tp.Dispatcher[tp.Session] = tp.Dispatcher()
        running = most = 0

        @dispatcher.handler(tp.StartMission)
        async def start(_: tp.StartMission, __: tp.Session) -> tp.AckResponse:
            nonlocal running, most
            running += 1
            most = max(most, running)
            await asyncio.sleep(0.01)
            running -= 1
            return tp.AckResponse.ok()

        config = tp.ServerConfig(require_auth=False, max_running=3)
        async with serving(make_server(dispatcher, config)) as url, tp.connect(url) as client:
            asked = [client.request(tp.StartMission(mission_id=MISSION)) for _ in range(20)]
            answers = await asyncio.gather(*asked)
        assert answers == [tp.AckResponse.ok()] * 20
        assert most == 3

    @live
    async def test_handlers_finish_after_the_client_has_disconnected(self) -> None:
        dispatcher: tp.Dispatcher[tp.Session] = tp.Dispatcher()
        finished = asyncio.Event()

        @dispatcher.handler(tp.StartMission)
        async def start(_: tp.StartMission, session: tp.Session) -> tp.AckResponse:
            await asyncio.sleep(0.05)
            finished.set()
            return tp.AckResponse.ok()

        async with serving(make_server(dispatcher)) as url:
            async with raw(url, TOKEN) as websocket:
                await websocket.send(CODEC.encode(tp.StartMission(mission_id=MISSION)))
                await asyncio.sleep(0.01)
                websocket.transport.abort()
            await finished.wait()

    @live
    async def test_handlers_receive_the_session(self) -> None:
        dispatcher: tp.Dispatcher[tp.Session] = tp.Dispatcher()

        @dispatcher.handler(tp.StartMission)
        def start(_: tp.StartMission, session: tp.Session) -> tp.AckResponse:
            session.data["count"] = session.data.get("count", 0) + 1
            assert session.identity == tp.Identity(USER)
            assert session.subscriptions == ("missions",)
            return tp.AckResponse.ok(f"{session.data['count']} {session.id}")

        async with serving(make_server(dispatcher)) as url, tp.connect(url, token=TOKEN) as client:
            await client.subscribe(tp.topics.MISSIONS)
            info = await client.request(tp.GetSessionInfo())
            for count in (1, 2):
                answer = await client.request(tp.StartMission(mission_id=MISSION))
                assert answer.message == f"{count} {info.session_id}"


@live
async def test_many_responses_disconnect_nobody() -> None:
    config = tp.ServerConfig(require_auth=False, max_pending=4)
    async with serving(make_server(config=config)) as url, raw(url) as websocket:
        for _ in range(500):
            await websocket.send(CODEC.encode(tp.Ping()))
        for _ in range(500):
            answer = CODEC.decode_server_message(await websocket.recv())
            assert isinstance(answer.payload, tp.PongResponse)


class TestClosing:
    @live
    async def test_closing_a_server_answers_received_commands_first(self) -> None:
        dispatcher: tp.Dispatcher[tp.Session] = tp.Dispatcher()
        started = asyncio.Event()

        @dispatcher.handler(tp.StartMission)
        async def start(_: tp.StartMission, __: tp.Session) -> tp.AckResponse:
            started.set()
            await asyncio.sleep(0.05)
            return tp.AckResponse.ok()

        server = make_server(dispatcher)
        async with serving(server) as url, raw(url, TOKEN) as websocket:
            await websocket.send(CODEC.encode(tp.Subscribe(topic="missions")))
            await websocket.recv()
            await websocket.send(CODEC.encode(tp.StartMission(mission_id=MISSION)))
            await started.wait()
            closing = asyncio.create_task(server.close())
            assert server.publish(tp.MissionStarted(mission_id=MISSION)) == 1
            frames = [frame async for frame in websocket]
            await closing
            payloads = [CODEC.decode_server_message(frame).payload for frame in frames]
            assert payloads == [tp.MissionStarted(mission_id=MISSION), tp.AckResponse.ok()]
            assert websocket.close_code == 1001
            assert not server.sessions
            async with raw(url) as late:
                with pytest.raises(ConnectionClosed):
                    await late.recv()
                assert late.close_code == 1001
            await server.close()

    @live
    async def test_closing_a_server_cancels_handlers_that_do_not_end(self) -> None:
        dispatcher: tp.Dispatcher[tp.Session] = tp.Dispatcher()
        started = asyncio.Event()

        @dispatcher.handler(tp.StartMission)
        async def start(_: tp.StartMission, __: tp.Session) -> tp.AckResponse:
            started.set()
            await asyncio.Event().wait()
            return tp.AckResponse.ok()

        server = make_server(dispatcher)
        async with serving(server) as url, raw(url, TOKEN) as websocket:
            await websocket.send(CODEC.encode(tp.StartMission(mission_id=MISSION)))
            await started.wait()
            await server.close(timeout=0.05)
            (frame,) = [frame async for frame in websocket]
            answer = CODEC.decode_server_message(frame).payload
            assert isinstance(answer, tp.ErrorResponse)
            assert answer.code == "internal_error"
            assert websocket.close_code == 1001

    @live
    async def test_a_handler_cannot_wait_for_its_server_to_close(self) -> None:
        dispatcher: tp.Dispatcher[tp.Session] = tp.Dispatcher()

        @dispatcher.handler(tp.StartMission)
        async def start(_: tp.StartMission, __: tp.Session) -> tp.AckResponse:
            with pytest.raises(RuntimeError, match="a handler cannot wait"):
                await server.close()
            return tp.AckResponse.ok()

        server = make_server(dispatcher)
        async with serving(server) as url, tp.connect(url, token=TOKEN) as client:
            answer = await client.request(tp.StartMission(mission_id=MISSION))
            assert answer == tp.AckResponse.ok()


vault = tp.Category("vault")


@vault.command("vault_open", tag="open")
@frozen(kw_only=True)
class OpenVault(tp.Command[tp.AckResponse]):
    key: str = tp.secret()


@live
async def test_a_server_logs_no_secret() -> None:
    quiet = logging.getLogger("quiet")
    quiet.setLevel(logging.INFO)
    registry = tp.Registry([vault])
    dispatcher: tp.Dispatcher[tp.Session] = tp.Dispatcher()

    @dispatcher.handler(OpenVault)
    async def open_vault(command: OpenVault, _: tp.Session) -> tp.AckResponse:
        raise KeyError(command.key)

    async def check(token: str) -> tp.Identity | None:
        users = {"another-s3cret": tp.Identity(USER)}
        return users[token]

    server = make_server(dispatcher, codec=tp.Codec(registry), authenticate=check)
    with records_of("") as records:
        async with serving(server, logger=quiet) as url:
            with pytest.raises(tp.RemoteError, match="internal_error"):
                async with tp.connect(url, token=TOKEN):
                    pass
            codec = tp.Codec(registry)
            async with tp.connect(url, token="another-s3cret", codec=codec) as client:
                with pytest.raises(tp.RemoteError, match="internal_error"):
                    await client.request(OpenVault(key="s3cret-key"))
    text = "\n".join(records)
    assert "authenticate failed: KeyError" in text
    assert "the handler of vault_open failed: KeyError" in text
    assert "s3cret" not in text


@live
async def test_metrics_count_what_happens_to_a_server() -> None:
    counting = Counting()
    server = make_server(config=OPEN, metrics=counting)
    async with serving(server) as url, raw(url) as websocket:
        await websocket.send("nonsense")
        await websocket.recv()
        await until(lambda: counting.sent)
    assert (counting.opened, counting.closed) == (1, 1)
    assert counting.received == [8]
    assert counting.errors == ["invalid_message"]


def test_a_server_without_a_way_to_authenticate_is_refused() -> None:
    with pytest.raises(ValueError, match="nothing to authenticate with"):
        tp.Server(tp.Codec(), tp.Dispatcher())


def test_a_handler_for_a_command_of_the_session_is_refused() -> None:
    dispatcher: tp.Dispatcher[tp.Session] = tp.Dispatcher()

    @dispatcher.handler(tp.Ping)
    def ping(_: tp.Ping, __: tp.Session) -> tp.PongResponse:
        return tp.PongResponse.now()

    with pytest.raises(tp.RegistryError, match="Ping has a handler, but the session answers it"):
        make_server(dispatcher)


def test_a_handler_for_a_command_that_the_codec_does_not_know_is_refused() -> None:
    dispatcher: tp.Dispatcher[tp.Session] = tp.Dispatcher()

    @dispatcher.handler(OpenVault)
    async def open_vault(command: OpenVault, _: tp.Session) -> tp.AckResponse:
        return tp.AckResponse.ok()

    with pytest.raises(tp.RegistryError, match="OpenVault has a handler, but the server's codec"):
        make_server(dispatcher)
    make_server(dispatcher, codec=tp.Codec(tp.Registry([vault])))


@live
async def test_a_wrong_handler_registered_later_is_refused_at_the_next_connection() -> None:
    dispatcher = handlers()
    server = make_server(dispatcher)

    @dispatcher.handler(OpenVault)
    async def open_vault(command: OpenVault, _: tp.Session) -> tp.AckResponse:
        return tp.AckResponse.ok()

    with pytest.raises(tp.RegistryError, match="codec does not know it"):
        await server.handle(MemoryTransport())


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"codec": tp.Codec}, "codec is a Codec, not <class"),
        ({"dispatcher": tp.Dispatcher}, "dispatcher is a Dispatcher, not <class"),
        ({"config": tp.ClientConfig()}, "config is a ServerConfig, not ClientConfig"),
    ],
)
def test_a_server_refuses_arguments_of_other_types(options: Any, text: str) -> None:
    given: dict[str, Any] = {"codec": tp.Codec(), "dispatcher": tp.Dispatcher(), **options}
    with pytest.raises(TypeError, match=text):
        tp.Server(given.pop("codec"), given.pop("dispatcher"), **given)


@live
async def test_publishing_from_another_thread_is_refused() -> None:
    server = make_server(config=OPEN)
    assert server.publish(tp.MissionStarted(mission_id=MISSION)) == 0
    async with serving(server) as url, tp.connect(url) as client:
        events = client.events()
        await client.subscribe(tp.topics.MISSIONS)
        event = tp.MissionStarted(mission_id=MISSION)
        with pytest.raises(RuntimeError, match="call_soon_threadsafe"):
            await asyncio.to_thread(server.publish, event)
        loop = asyncio.get_running_loop()
        await asyncio.to_thread(loop.call_soon_threadsafe, server.publish, event)
        assert await anext(events) == event


@live
async def test_a_closed_server_cannot_be_entered_again() -> None:
    server = make_server()
    async with server:
        pass
    with pytest.raises(RuntimeError, match="stays closed"):
        async with server:
            pass
