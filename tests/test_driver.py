"""The connection driver: whatever a transport does, the connection ends and nothing is left."""

import asyncio
import contextlib
import sys
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from support.live import MISSION, OPEN, TOKEN, USER, live, make_server, records_of, until
from support.memory import MemoryTransport

import tachikoma_proto as tp
from tachikoma_proto.session import ServerSession

CODEC = tp.Codec()
PING = CODEC.encode(tp.Ping())
SUBSCRIBE = CODEC.encode(tp.Subscribe(topic="missions"))
STARTED = tp.MissionStarted(mission_id=MISSION)


def payloads(transport: MemoryTransport) -> list[object]:
    return [CODEC.decode_server_message(text).payload for text in transport.sent]


class Served:
    """A server with one connection in memory."""

    def __init__(self, server: tp.Server, transport: MemoryTransport | None = None) -> None:
        self.server = server
        self.transport = transport or MemoryTransport()
        self.task = asyncio.create_task(server.handle(self.transport))

    async def end(self) -> None:
        """End the connection from the other side, and see that nothing is left of it."""
        self.transport.feed(None)
        await self.gone()

    async def gone(self) -> None:
        await self.task
        assert not self.server.sessions
        assert len(self.server._hub.index) == 0


def closing_soon(**limits: float) -> tp.ServerConfig:
    config = {"require_auth": False, "close_timeout": 0.2, **limits}
    return tp.ServerConfig(**config)  # type: ignore[arg-type]


class TestTheOtherSideEndsIt:
    @live
    async def test_a_driver_ends_when_the_peer_closes_in_order(self) -> None:
        served = Served(make_server(config=OPEN))
        served.transport.feed(SUBSCRIBE)
        await until(lambda: served.transport.sent)
        await served.end()
        assert served.transport.closed == [(1000, "")]

    @pytest.mark.parametrize("when", ["reading", "at once"])
    @live
    async def test_a_driver_ends_when_the_connection_breaks(self, when: str) -> None:
        served = Served(make_server(config=OPEN))
        if when == "reading":
            served.transport.feed(SUBSCRIBE, ConnectionResetError("gone"))
        else:
            served.transport.open_error = ConnectionResetError("gone")
        await served.gone()

    @live
    async def test_a_driver_ends_when_the_connection_breaks_while_sending(self) -> None:
        served = Served(make_server(config=OPEN))
        served.transport.send_error = BrokenPipeError("gone")
        served.transport.feed(SUBSCRIBE)
        await served.gone()

    @live
    async def test_a_driver_ends_when_closing_the_transport_fails(self) -> None:
        served = Served(make_server(config=OPEN))
        served.transport.close_error = RuntimeError("closed twice")
        await served.end()
        assert len(served.transport.closed) == 2


class TestClosing:
    @live
    async def test_closing_sends_queued_frames_first(self) -> None:
        served = Served(make_server(config=OPEN))
        served.transport.feed(PING)
        await until(lambda: served.transport.sent)
        served.transport.can_send.clear()
        served.transport.feed(PING, PING)
        await asyncio.sleep(0.01)
        closing = asyncio.create_task(served.server.close())
        await asyncio.sleep(0.01)
        assert not served.transport.closed
        served.transport.can_send.set()
        await closing
        assert len(served.transport.sent) == 3
        assert served.transport.closed == [(1001, "the server shuts down")]
        await served.gone()

    @live
    async def test_closing_ends_within_the_close_timeout(self) -> None:
        served = Served(make_server(config=closing_soon()))
        served.transport.can_send.clear()
        served.transport.can_close.clear()
        served.transport.feed(PING)
        await asyncio.sleep(0.01)
        await served.server.close()
        assert [code for code, _ in served.transport.closed] == [1001, 1001]
        await served.gone()

    @live
    async def test_closing_does_not_wait_for_a_transport_that_will_not_be_cancelled(self) -> None:
        class Stubborn(MemoryTransport):
            def abort(self) -> None:
                self.closed.append((1006, "aborted"))
                may_end.set()

            async def close(self, code: int = 1000, reason: str = "") -> None:
                self.closed.append((code, reason))
                while not may_end.is_set():
                    with contextlib.suppress(asyncio.CancelledError):
                        await may_end.wait()

        may_end = asyncio.Event()
        served = Served(make_server(config=closing_soon()), Stubborn())
        await until(lambda: served.server.sessions)
        async with asyncio.timeout(2):
            await served.server.close()
        await served.gone()
        assert [code for code, _ in served.transport.closed] == [1001, 1006]

    @live
    async def test_closing_does_not_keep_calling_handle_timeout(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        ticks = 0
        tick = ServerSession.handle_timeout

        def counted(session: ServerSession, now: float) -> None:
            nonlocal ticks
            ticks += 1
            tick(session, now)

        monkeypatch.setattr(ServerSession, "handle_timeout", counted)
        served = Served(make_server(config=closing_soon(ping_interval=0.01, pong_timeout=0.01)))
        served.transport.can_close.clear()
        await served.gone()
        assert ticks == 2  # one pings, one aborts


class TestTime:
    @live
    async def test_an_expired_authentication_ends_the_connection(self) -> None:
        async def check(token: str) -> tp.Identity:
            return tp.Identity(USER, datetime.now(UTC) + timedelta(seconds=0.05))

        served = Served(make_server(authenticate=check))
        served.transport.feed(CODEC.encode(tp.Authenticate(token=TOKEN)), SUBSCRIBE)
        await served.gone()
        assert served.transport.closed == [(1008, "authentication expired")]

    @live
    async def test_time_in_which_nothing_was_read_does_not_count_as_silence(self) -> None:
        async def check(token: str) -> tp.Identity:
            await asyncio.sleep(0.1)
            return tp.Identity(USER)

        config = tp.ServerConfig(ping_interval=0.03, pong_timeout=0.03)
        served = Served(make_server(authenticate=check, config=config))
        served.transport.feed(CODEC.encode(tp.Authenticate(token=TOKEN)))
        await until(lambda: served.transport.sent)
        assert not served.transport.closed
        await served.end()

    @live
    async def test_closing_does_not_wait_for_an_authenticator(self) -> None:
        checking = asyncio.Event()

        async def check(token: str) -> tp.Identity:
            checking.set()
            await asyncio.Event().wait()
            raise AssertionError("never")

        served = Served(make_server(authenticate=check))
        served.transport.feed(CODEC.encode(tp.Authenticate(token=TOKEN)))
        await checking.wait()
        started = asyncio.get_running_loop().time()
        await served.server.close(timeout=0.01)
        assert asyncio.get_running_loop().time() - started < 4  # auth_timeout is 5
        await served.gone()

    @live
    async def test_an_authenticator_times_out(self) -> None:
        async def check(token: str) -> tp.Identity:
            await asyncio.Event().wait()
            raise AssertionError("never")

        config = tp.ServerConfig(require_auth=False, auth_timeout=0.02)
        served = Served(make_server(authenticate=check, config=config))
        served.transport.feed(CODEC.encode(tp.Authenticate(token=TOKEN)), PING)
        await until(lambda: len(served.transport.sent) == 2)
        error, pong = payloads(served.transport)
        assert isinstance(error, tp.ErrorResponse)
        assert error.code == "internal_error"
        assert isinstance(pong, tp.PongResponse)
        await served.end()


class TestAPeerThatDoesNotRead:
    @live
    async def test_no_commands_are_read_from_a_peer_that_does_not_read_responses(self) -> None:
        served = Served(make_server(config=tp.ServerConfig(require_auth=False, max_pending=2)))
        served.transport.can_send.clear()
        served.transport.feed(*[PING] * 10)
        await asyncio.sleep(0.02)
        (session,) = served.server.sessions
        assert isinstance(session, tp.ServerSession)
        assert 1 <= session.pending <= 2
        served.transport.can_send.set()
        await until(lambda: len(served.transport.sent) == 10)
        await served.end()

    @live
    async def test_a_peer_that_never_reads_is_disconnected(self) -> None:
        config = closing_soon(max_pending=1, ping_interval=0.02, pong_timeout=0.02)
        served = Served(make_server(config=config))
        served.transport.can_send.clear()
        served.transport.feed(*[PING] * 3)
        await served.gone()
        assert served.transport.closed[0] == (1011, "keepalive timeout")

    @live
    async def test_a_peer_that_reads_slowly_is_kept(self) -> None:
        config = closing_soon(max_pending=1, ping_interval=0.1, pong_timeout=0.1)
        served = Served(make_server(config=config))
        served.transport.can_send.clear()
        served.transport.feed(*[PING] * 10)
        for number in range(1, 11):
            await asyncio.sleep(0.05)
            served.transport.can_send.set()
            await until(lambda: len(served.transport.sent) >= number)  # noqa: B023 - at once
            served.transport.can_send.clear()
            served.transport.feed('{"type":"pong"}')
        assert not served.transport.closed
        served.transport.can_send.set()
        await served.end()

    @live
    async def test_a_ping_is_sent_before_queued_frames(self) -> None:
        config = closing_soon(ping_interval=0.05, pong_timeout=5.0)
        served = Served(make_server(config=config))
        served.transport.feed(SUBSCRIBE)
        await until(lambda: served.transport.sent)
        served.transport.can_send.clear()
        for _ in range(5):
            served.server.publish(STARTED)
        await asyncio.sleep(0.1)
        served.transport.can_send.set()
        await until(lambda: len(served.transport.sent) == 7)
        assert served.transport.sent[2] == '{"type":"ping"}'
        await served.end()


class TestHandlers:
    @live
    async def test_many_handlers_that_publish_at_once_disconnect_nobody(self) -> None:
        dispatcher: tp.Dispatcher[tp.Session] = tp.Dispatcher()
        released = asyncio.Event()

        @dispatcher.handler(tp.StartMission)
        async def start(_: tp.StartMission, __: tp.Session) -> tp.AckResponse:
            await released.wait()
            return tp.AckResponse.ok()

        served = Served(make_server(dispatcher, OPEN))
        commands = [CODEC.encode(tp.StartMission(mission_id=UUID(int=n))) for n in range(100)]
        served.transport.feed(SUBSCRIBE, *commands)
        await until(lambda: served.transport.sent)
        await asyncio.sleep(0.02)
        served.transport.can_send.clear()
        released.set()
        await asyncio.sleep(0.02)
        assert served.server.publish(STARTED) == 1
        served.transport.can_send.set()
        await until(lambda: len(served.transport.sent) == 102)
        await served.end()

    @live
    async def test_no_handler_starts_after_handlers_were_cancelled(self) -> None:
        dispatcher: tp.Dispatcher[tp.Session] = tp.Dispatcher()
        begun = 0

        @dispatcher.handler(tp.StartMission)
        async def start(_: tp.StartMission, __: tp.Session) -> tp.AckResponse:
            nonlocal begun
            begun += 1
            await asyncio.Event().wait()
            return tp.AckResponse.ok()

        config = tp.ServerConfig(require_auth=False, max_running=1)
        served = Served(make_server(dispatcher, config))
        served.transport.feed(*[CODEC.encode(tp.StartMission(mission_id=MISSION))] * 3)
        await until(lambda: begun)
        await served.server.close(timeout=0.02)
        await served.gone()
        assert begun == 1
        # The first was cancelled; the others waited for their turn.
        assert (
            payloads(served.transport)
            == [tp.ErrorResponse(code="internal_error", message="internal error")] * 3
        )

    @live
    async def test_handlers_end_with_the_task_that_serves_the_connection(self) -> None:
        dispatcher: tp.Dispatcher[tp.Session] = tp.Dispatcher()
        begun, ended = asyncio.Event(), asyncio.Event()

        @dispatcher.handler(tp.StartMission)
        async def start(_: tp.StartMission, __: tp.Session) -> tp.AckResponse:
            begun.set()
            try:
                await asyncio.Event().wait()
            finally:
                ended.set()
            return tp.AckResponse.ok()

        served = Served(make_server(dispatcher, OPEN))
        served.transport.feed(CODEC.encode(tp.StartMission(mission_id=MISSION)))
        await begun.wait()
        served.task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await served.task
        assert ended.is_set()
        assert not served.server.sessions

    @pytest.mark.skipif(sys.version_info < (3, 12), reason="tasks do not begin at once")
    @live
    async def test_handlers_answer_with_an_eager_task_factory(self) -> None:
        factory = getattr(asyncio, "eager_task_factory")  # noqa: B009 - not there in 3.11
        asyncio.get_running_loop().set_task_factory(factory)
        dispatcher: tp.Dispatcher[tp.Session] = tp.Dispatcher()

        @dispatcher.handler(tp.StartMission)
        async def start(_: tp.StartMission, __: tp.Session) -> tp.AckResponse:
            return tp.AckResponse.ok()

        served = Served(make_server(dispatcher, OPEN))
        served.transport.feed(*[CODEC.encode(tp.StartMission(mission_id=MISSION))] * 3)
        await until(lambda: len(served.transport.sent) == 3)
        await served.end()

    @live
    async def test_an_awaitable_returned_by_a_plain_handler_is_awaited(self) -> None:
        dispatcher: tp.Dispatcher[tp.Session] = tp.Dispatcher()
        soon = asyncio.get_running_loop().create_future()

        @dispatcher.handler(tp.StartMission)
        def start(_: tp.StartMission, __: tp.Session) -> "asyncio.Future[tp.AckResponse]":
            return soon

        served = Served(make_server(dispatcher, OPEN))
        served.transport.feed(CODEC.encode(tp.StartMission(mission_id=MISSION)), PING)
        await until(lambda: len(served.transport.sent) == 1)
        soon.set_result(tp.AckResponse.ok("waited"))
        await until(lambda: len(served.transport.sent) == 2)
        assert payloads(served.transport)[1] == tp.AckResponse.ok("waited")
        await served.end()

    @live
    async def test_a_cancelled_handler_that_did_not_start_is_answered(self) -> None:
        dispatcher: tp.Dispatcher[tp.Session] = tp.Dispatcher()

        @dispatcher.handler(tp.StartMission)
        async def start(_: tp.StartMission, __: tp.Session) -> tp.AckResponse:
            raise AssertionError("it began")

        server = make_server(dispatcher, OPEN)
        served = Served(server)
        await until(lambda: server.sessions)
        (connection,) = server._connections
        loop = asyncio.get_running_loop()

        def cancelled_at_once(coroutine: Any) -> "asyncio.Task[None]":
            loop.call_soon(connection.cancel_handlers)
            return loop.create_task(coroutine)

        # As in a loop whose tasks begin later: what cancels runs before what begins the handler.
        connection._start_task = cancelled_at_once
        served.transport.feed(CODEC.encode(tp.StartMission(mission_id=MISSION)))
        await until(lambda: served.transport.sent)
        assert payloads(served.transport) == [
            tp.ErrorResponse(code="internal_error", message="internal error")
        ]
        await served.end()

    @pytest.mark.parametrize("is_plain", [True, False])
    @pytest.mark.parametrize(
        "error",
        [
            asyncio.CancelledError(),
            tp.ProtocolError("no", errors=["text"]),  # type: ignore[list-item]
            ExceptionGroup("many", [ValueError("one")]),
        ],
        ids=repr,
    )
    @live
    async def test_a_command_is_answered_whatever_its_handler_raises(
        self, error: BaseException, is_plain: bool
    ) -> None:
        dispatcher: tp.Dispatcher[tp.Session] = tp.Dispatcher()

        def raises(_: tp.StartMission, __: tp.Session) -> tp.AckResponse:
            raise error

        async def raises_later(_: tp.StartMission, session: tp.Session) -> tp.AckResponse:
            return raises(_, session)

        dispatcher.handler(tp.StartMission)(raises if is_plain else raises_later)
        served = Served(make_server(dispatcher, OPEN))
        served.transport.feed(CODEC.encode(tp.StartMission(mission_id=MISSION)), PING)
        await until(lambda: len(served.transport.sent) == 2)
        codes = [getattr(payload, "code", None) for payload in payloads(served.transport)]
        assert sorted(codes, key=str) == [None, "internal_error"]
        await served.server.close(timeout=1.0)
        await served.gone()

    @live
    async def test_a_reply_whose_attributes_raise_is_an_internal_error(self) -> None:
        class Odd(dict[str, object]):
            def items(self) -> Any:
                raise RuntimeError("do not look")

        dispatcher: tp.Dispatcher[tp.Session] = tp.Dispatcher()

        @dispatcher.handler(tp.StartMission)
        async def start(_: tp.StartMission, __: tp.Session) -> tp.AckResponse:
            return tp.AckResponse(success=Odd())  # type: ignore[arg-type]

        served = Served(make_server(dispatcher, OPEN))
        served.transport.feed(CODEC.encode(tp.StartMission(mission_id=MISSION)))
        await until(lambda: served.transport.sent)
        await served.server.close(timeout=1.0)
        await served.gone()

    @live
    async def test_a_handler_in_a_thread_cannot_publish(self) -> None:
        dispatcher: tp.Dispatcher[tp.Session] = tp.Dispatcher()

        @dispatcher.handler(tp.StartMission)
        async def start(_: tp.StartMission, session: tp.Session) -> tp.AckResponse:
            with pytest.raises(RuntimeError, match="call_soon_threadsafe"):
                await asyncio.to_thread(session.server.publish, STARTED)
            return tp.AckResponse.ok()

        served = Served(make_server(dispatcher, OPEN))
        served.transport.feed(CODEC.encode(tp.StartMission(mission_id=MISSION)))
        await until(lambda: served.transport.sent)
        assert payloads(served.transport) == [tp.AckResponse.ok()]
        await served.end()

    @live
    async def test_a_handler_that_cancels_itself_is_logged(self) -> None:
        dispatcher: tp.Dispatcher[tp.Session] = tp.Dispatcher()

        @dispatcher.handler(tp.StartMission)
        async def start(_: tp.StartMission, __: tp.Session) -> tp.AckResponse:
            raise asyncio.CancelledError

        served = Served(make_server(dispatcher, OPEN))
        with records_of("tachikoma_proto") as records:
            served.transport.feed(CODEC.encode(tp.StartMission(mission_id=MISSION)))
            await until(lambda: served.transport.sent)
        assert any("failed" in record and "CancelledError" in record for record in records)
        await served.end()

    @live
    async def test_a_handler_that_closes_its_session_is_answered(self) -> None:
        dispatcher: tp.Dispatcher[tp.Session] = tp.Dispatcher()

        @dispatcher.handler(tp.StartMission)
        async def start(_: tp.StartMission, session: tp.Session) -> tp.AckResponse:
            session.close(4001, "enough")
            assert session.server.publish(STARTED) == 0
            return tp.AckResponse.ok()

        served = Served(make_server(dispatcher, OPEN))
        command = CODEC.encode(tp.StartMission(mission_id=MISSION))
        served.transport.feed(SUBSCRIBE, command)
        await served.gone()
        assert payloads(served.transport) == [tp.AckResponse.ok()] * 2
        assert served.transport.closed == [(4001, "enough")]


@live
async def test_a_server_that_shuts_down_reads_no_more_commands() -> None:
    checking, checked = asyncio.Event(), asyncio.Event()

    async def check(token: str) -> tp.Identity:
        checking.set()
        await checked.wait()
        return tp.Identity(USER)

    served = Served(make_server(authenticate=check, config=OPEN))
    served.transport.feed(CODEC.encode(tp.Authenticate(token=TOKEN)), SUBSCRIBE)
    await checking.wait()
    closing = asyncio.create_task(served.server.close())
    await asyncio.sleep(0)
    checked.set()
    await closing
    await served.gone()
    assert payloads(served.transport) == [tp.AuthResponse(authenticated=True, user_id=USER)]
