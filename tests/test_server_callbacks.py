"""The functions of the user that a server calls: middleware, permissions, lifespans, threads."""

import asyncio
import functools
import logging
import threading
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

import pytest
from support.counting import Counting
from support.live import MISSION, OPEN, TOKEN, USER, live, make_server, until

import tachikoma_proto as tp
from tachikoma_proto.transports.memory import MemoryTransport, memory_pair
from tachikoma_proto.transports.transport import make_request

R = TypeVar("R", bound=tp.Response)
CODEC = tp.Codec()
START = tp.StartMission(mission_id=MISSION)
STARTED = tp.MissionStarted(mission_id=MISSION)
INTERNAL_ERROR = tp.ErrorResponse(code="internal_error", message="internal error")


class Peer:
    """The client's end of a connection to a server, without a client of ours."""

    def __init__(self, server: tp.Server, request: tp.ConnectionRequest | None = None) -> None:
        self.server_transport, self.transport = memory_pair(request)
        self.task = asyncio.create_task(server.handle(self.server_transport))

    async def send(self, command: tp.Command[Any]) -> None:
        await self.transport.send(CODEC.encode(command))

    async def receive(self) -> Any:
        async with asyncio.timeout(5):
            return CODEC.decode_server_message(await anext(self.transport)).payload

    async def request(self, command: tp.Command[Any]) -> Any:
        await self.send(command)
        return await self.receive()

    async def end(self) -> int | None:
        """Close the connection, and return the close code."""
        await self.transport.close()
        await self.task
        return self.server_transport.close_code

    async def closed(self) -> tuple[int | None, str]:
        """Wait until the server has closed the connection, and return how."""
        async for _ in self.transport:
            pass
        await self.task
        return self.transport.close_code, self.transport.close_reason


def dispatcher_of(handler: Callable[..., Any], **options: Any) -> tp.Dispatcher[tp.Session]:
    dispatcher: tp.Dispatcher[tp.Session] = tp.Dispatcher()
    dispatcher.handler(tp.StartMission, **options)(handler)
    return dispatcher


async def accept(_: tp.StartMission, __: tp.Session) -> tp.AckResponse:
    return tp.AckResponse.ok()


async def cancelled(*_: object) -> Any:
    """Wait for something that is cancelled, as a pool of connections may do to its users."""
    waiting = asyncio.get_running_loop().create_future()
    waiting.cancel()
    await waiting


class TestMiddleware:
    @live
    async def test_runs_around_handlers_in_the_order_of_registration(self) -> None:
        calls: list[str] = []

        def handle(_: tp.StartMission, __: tp.Session) -> tp.AckResponse:
            calls.append("handler")
            return tp.AckResponse.ok()

        dispatcher = dispatcher_of(handle)

        def register(name: str) -> None:
            @dispatcher.middleware
            async def note(
                command: tp.Command[R], session: tp.Session, call_next: tp.CallNext[R]
            ) -> R:
                calls.append(f"{name} before {type(command).__name__}")
                response = await call_next(command)
                calls.append(f"{name} after")
                return response

        register("outer")
        register("inner")
        peer = Peer(make_server(dispatcher, OPEN))
        assert await peer.request(START) == tp.AckResponse.ok()
        assert calls == [
            "outer before StartMission",
            "inner before StartMission",
            "handler",
            "inner after",
            "outer after",
        ]
        await peer.end()

    @pytest.mark.parametrize("how", ["nothing", "command", "both"])
    @live
    async def test_goes_on_however_it_calls(self, how: str) -> None:
        dispatcher = dispatcher_of(accept)

        @dispatcher.middleware
        async def go_on(
            command: tp.Command[R], session: tp.Session, call_next: tp.CallNext[R]
        ) -> R:
            match how:
                case "nothing":
                    return await call_next()
                case "command":
                    return await call_next(command)
                case _:
                    return await call_next(command, session)

        peer = Peer(make_server(dispatcher, OPEN))
        assert await peer.request(START) == tp.AckResponse.ok()
        await peer.end()

    @live
    async def test_may_refuse_and_may_raise(self) -> None:
        dispatcher = dispatcher_of(accept)
        errors: list[Exception] = [
            tp.CommandError("permission_denied", "no", details={"scope": "missions"}),
            ExceptionGroup("many", [ExceptionGroup("one", [tp.CommandError("busy", "later")])]),
            ExceptionGroup("two", [tp.CommandError("busy", "later"), ValueError("s3cret")]),
            KeyError("s3cret"),
        ]
        expected = [
            tp.ErrorResponse(code="permission_denied", message="no", details={"scope": "missions"}),
            tp.ErrorResponse(code="busy", message="later"),
            INTERNAL_ERROR,
            INTERNAL_ERROR,
        ]

        @dispatcher.middleware
        async def refuse(
            command: tp.Command[R], session: tp.Session, call_next: tp.CallNext[R]
        ) -> R:
            raise errors.pop(0)

        peer = Peer(make_server(dispatcher, OPEN))
        assert [await peer.request(START) for _ in range(4)] == expected
        await peer.end()

    def test_that_takes_other_arguments_is_refused(self) -> None:
        dispatcher: tp.Dispatcher[tp.Session] = tp.Dispatcher()
        with pytest.raises(tp.RegistryError, match="cannot be middleware"):
            dispatcher.middleware(accept)  # type: ignore[arg-type]


class TestHandlers:
    def test_are_judged_by_their_own_signature(self) -> None:
        def injecting(function: Callable[..., Any]) -> Callable[..., Any]:
            @functools.wraps(function)
            async def call(command: Any, session: Any) -> Any:
                return await function(command, session, "database")

            return call

        @injecting
        async def with_database(
            _: tp.StartMission, __: tp.Session, database: str
        ) -> tp.AckResponse:
            return tp.AckResponse.ok(database)

        dispatcher = dispatcher_of(with_database)
        response = asyncio.run(dispatcher.dispatch(START, None))  # type: ignore[arg-type]
        assert response == tp.AckResponse.ok("database")

        def dropping(function: Callable[..., Any]) -> Callable[..., Any]:
            @functools.wraps(function)
            def call(command: Any) -> Any:
                return function(command, None)

            return call

        with pytest.raises(tp.RegistryError, match="cannot handle a command"):
            dispatcher_of(dropping(accept))

    @live
    async def test_know_their_message_and_session(self) -> None:
        seen: list[object] = []

        async def handle(command: tp.StartMission, session: tp.Session) -> tp.AckResponse:
            await asyncio.sleep(0)
            assert tp.current_session() is session
            seen.append(tp.current_message().payload)
            return tp.AckResponse.ok()

        peer = Peer(make_server(dispatcher_of(handle), OPEN))
        assert await peer.request(START) == tp.AckResponse.ok()
        assert seen == [START]
        await peer.end()
        with pytest.raises(RuntimeError, match="no message"):
            tp.current_message()
        with pytest.raises(RuntimeError, match="no session"):
            tp.current_session()

    @live
    async def test_may_block_in_threads(self) -> None:
        threads: list[threading.Thread] = []

        def handle(command: tp.StartMission, session: tp.Session) -> tp.AckResponse:
            threads.append(threading.current_thread())
            time.sleep(0.05)
            return tp.AckResponse.ok(str(tp.current_message().type))

        peer = Peer(make_server(dispatcher_of(handle, in_thread=True), OPEN))
        await peer.send(START)
        await until(lambda: threads)
        assert isinstance(await peer.request(tp.Ping()), tp.PongResponse)  # the loop is free
        assert await peer.receive() == tp.AckResponse.ok("mission_start")
        assert threads[0] is not threading.current_thread()
        await peer.end()

    def test_that_are_coroutines_run_in_no_thread(self) -> None:
        with pytest.raises(tp.RegistryError, match="plain function"):
            dispatcher_of(accept, in_thread=True)

    @live
    async def test_that_take_too_long_are_cancelled(self, caplog: pytest.LogCaptureFixture) -> None:
        async def handle(_: tp.StartMission, __: tp.Session) -> tp.AckResponse:
            await asyncio.Event().wait()
            return tp.AckResponse.ok()

        config = tp.ServerConfig(require_auth=False, handler_timeout=0.02)
        peer = Peer(make_server(dispatcher_of(handle), config))
        assert await peer.request(START) == INTERNAL_ERROR
        await peer.end()
        assert "it took longer than 0.02 s" in caplog.text

    @pytest.mark.parametrize("is_cancelled", [True, False])
    @live
    async def test_of_a_client_that_is_gone_are_cancelled_if_the_server_says_so(
        self, is_cancelled: bool
    ) -> None:
        outcome: list[str] = []
        may_end = asyncio.Event()

        async def handle(_: tp.StartMission, __: tp.Session) -> tp.AckResponse:
            outcome.append("started")
            try:
                await may_end.wait()
            except asyncio.CancelledError:
                outcome.append("cancelled")
                raise
            outcome.append("done")
            return tp.AckResponse.ok()

        config = tp.ServerConfig(require_auth=False, cancel_on_disconnect=is_cancelled)
        peer = Peer(make_server(dispatcher_of(handle), config))
        await peer.send(START)
        await until(lambda: outcome)
        await peer.transport.close()
        await asyncio.sleep(0.05)
        may_end.set()
        await peer.task
        assert outcome == ["started", "cancelled" if is_cancelled else "done"]

    @live
    async def test_that_fail_are_logged_with_what_they_were_doing(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        async def handle(_: tp.StartMission, __: tp.Session) -> tp.AckResponse:
            raise LookupError("no database")

        peer = Peer(make_server(dispatcher_of(handle)))
        assert (await peer.request(tp.Authenticate(token=TOKEN))).authenticated
        assert await peer.request(START) == INTERNAL_ERROR
        await peer.end()
        (record,) = [one for one in caplog.records if one.levelno == logging.ERROR]
        assert record.name == "tachikoma_proto.server"
        fields = vars(record)
        assert fields["message_type"] == "mission_start"
        assert fields["message_id"] is not None
        assert fields["user_id"] == USER
        assert fields["remote_address"] == "memory"
        assert fields["session_id"] is not None


class TestPermissions:
    @live
    async def test_may_be_looked_up_without_blocking(self) -> None:
        async def may_subscribe(session: tp.Session, topic: str) -> bool:
            await asyncio.sleep(0.01)
            assert tp.current_session() is session
            assert isinstance(tp.current_message().payload, tp.Subscribe)
            return topic == "missions"

        peer = Peer(make_server(config=OPEN, may_subscribe=may_subscribe))
        assert await peer.request(tp.Subscribe(topic="missions")) == tp.AckResponse.ok()
        denied = await peer.request(tp.Subscribe(topic="system"))
        assert denied == tp.ErrorResponse.permission_denied()
        await peer.end()

    @pytest.mark.parametrize("is_async", [True, False])
    @live
    async def test_that_cannot_be_looked_up_cost_nobody_a_subscription(
        self, is_async: bool
    ) -> None:
        is_broken = False

        def look_up(session: tp.Session, topic: str) -> bool:
            if is_broken:
                raise ConnectionRefusedError("s3cret database")
            return True

        async def look_up_later(session: tp.Session, topic: str) -> bool:
            await asyncio.sleep(0)
            return look_up(session, topic)

        server = make_server(may_subscribe=look_up_later if is_async else look_up)
        peer = Peer(server)
        assert (await peer.request(tp.Authenticate(token=TOKEN))).authenticated
        assert await peer.request(tp.Subscribe(topic="missions")) == tp.AckResponse.ok()
        is_broken = True
        assert await peer.request(tp.Subscribe(topic="system")) == INTERNAL_ERROR
        assert await peer.request(tp.Subscribe(topic="missions")) == INTERNAL_ERROR
        assert await peer.request(tp.Authenticate(token=TOKEN)) == INTERNAL_ERROR
        (session,) = server.sessions
        assert session.subscriptions == ("missions",)
        assert session.identity == tp.Identity(USER)
        assert server.publish(STARTED) == 1
        assert await peer.receive() == STARTED
        await peer.end()

    @live
    async def test_whose_lookup_is_cancelled_cost_nobody_a_subscription(self) -> None:
        is_broken = False

        async def may_subscribe(session: tp.Session, topic: str) -> bool:
            if is_broken:
                await cancelled()
            return True

        peer = Peer(make_server(may_subscribe=may_subscribe))
        assert (await peer.request(tp.Authenticate(token=TOKEN))).authenticated
        assert await peer.request(tp.Subscribe(topic="missions")) == tp.AckResponse.ok()
        is_broken = True
        assert await peer.request(tp.Subscribe(topic="system")) == INTERNAL_ERROR
        assert await peer.request(tp.Authenticate(token=TOKEN)) == INTERNAL_ERROR
        listed = await peer.request(tp.ListSubscriptions())
        assert listed == tp.SubscriptionListResponse(subscriptions=("missions",))
        await peer.end()

    @live
    async def test_may_be_refused_in_the_words_of_the_server(self) -> None:
        async def may_subscribe(session: tp.Session, topic: str) -> bool:
            raise ExceptionGroup("lookup", [tp.CommandError("busy", "try later")])

        async def authenticate(token: str) -> tp.Identity:
            raise ExceptionGroup("lookup", [tp.CommandError("busy", "try later")])

        server = make_server(config=OPEN, may_subscribe=may_subscribe, authenticate=authenticate)
        peer = Peer(server)
        refused = tp.ErrorResponse(code="busy", message="try later")
        assert await peer.request(tp.Subscribe(topic="missions")) == refused
        assert await peer.request(tp.Authenticate(token=TOKEN)) == refused
        await peer.end()

    @live
    async def test_that_are_no_truth_values_are_a_fault_of_the_server(self) -> None:
        server = make_server(config=OPEN, may_subscribe=lambda session, topic: "yes")
        peer = Peer(server)
        assert await peer.request(tp.Subscribe(topic="missions")) == INTERNAL_ERROR
        await peer.end()

    @live
    async def test_given_to_a_session_that_has_closed_register_nothing(self) -> None:
        asked, answer = asyncio.Event(), asyncio.Event()

        async def may_subscribe(session: tp.Session, topic: str) -> bool:
            asked.set()
            await answer.wait()
            return True

        server = make_server(config=OPEN, may_subscribe=may_subscribe)
        peer = Peer(server)
        await peer.send(tp.Subscribe(topic="missions"))
        await asked.wait()
        server.sessions[0].abort(4000, "enough")
        answer.set()
        assert await peer.closed() == (4000, "enough")
        assert len(server._hub.index) == 0


class TestSnapshots:
    @live
    async def test_go_out_before_later_events(self) -> None:
        published = asyncio.Event()

        async def on_subscribe(session: tp.Session, topic: str) -> None:
            await published.wait()
            assert session.send(tp.MissionCreated(mission_id=MISSION, name="snapshot"))

        server = make_server(config=OPEN, on_subscribe=on_subscribe)
        peer = Peer(server)
        assert await peer.request(tp.Subscribe(topic="missions")) == tp.AckResponse.ok()
        assert server.publish(STARTED) == 1
        published.set()
        assert await peer.receive() == tp.MissionCreated(mission_id=MISSION, name="snapshot")
        assert await peer.receive() == STARTED
        await peer.end()

    @live
    async def test_that_fail_leave_the_subscription(self, caplog: pytest.LogCaptureFixture) -> None:
        def on_subscribe(session: tp.Session, topic: str) -> None:
            raise KeyError("snapshot")

        server = make_server(
            config=OPEN, on_subscribe=on_subscribe, may_subscribe=lambda session, topic: True
        )
        peer = Peer(server)
        assert await peer.request(tp.Subscribe(topic="missions")) == tp.AckResponse.ok()
        assert server.publish(STARTED) == 1
        assert await peer.receive() == STARTED
        assert "on_subscribe failed" in caplog.text
        await peer.end()

    @live
    async def test_that_are_cancelled_leave_the_subscription(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        server = make_server(config=OPEN, on_subscribe=cancelled)
        peer = Peer(server)
        assert await peer.request(tp.Subscribe(topic="missions")) == tp.AckResponse.ok()
        assert server.publish(STARTED) == 1
        assert await peer.receive() == STARTED
        assert "on_subscribe failed" in caplog.text
        await peer.end()


class TestSessions:
    @live
    async def test_are_surrounded_by_their_lifespan(self) -> None:
        calls: list[str] = []

        @asynccontextmanager
        async def lifespan(session: tp.Session) -> AsyncIterator[None]:
            session.data["database"] = "open"
            calls.append("entered")
            session.subscribe("missions")
            yield
            calls.append("left")

        server = make_server(config=OPEN, session_lifespan=lifespan)
        peer = Peer(server)
        listed = await peer.request(tp.ListSubscriptions())
        assert listed.subscriptions == ("missions",)
        assert server.sessions[0].data == {"database": "open"}
        assert calls == ["entered"]
        server.sessions[0].unsubscribe("missions")
        assert (await peer.request(tp.ListSubscriptions())).subscriptions == ()
        await peer.end()
        assert calls == ["entered", "left"]

    @live
    async def test_whose_lifespan_fails_are_closed(self, caplog: pytest.LogCaptureFixture) -> None:
        @asynccontextmanager
        async def lifespan(session: tp.Session) -> AsyncIterator[None]:
            if session.identity is None:
                raise KeyError("no database")
            yield

        peer = Peer(make_server(config=OPEN, session_lifespan=lifespan))
        assert await peer.closed() == (1011, "internal error")
        assert "session_lifespan failed" in caplog.text

    @live
    async def test_end_although_their_lifespan_fails_at_the_end(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        @asynccontextmanager
        async def lifespan(session: tp.Session) -> AsyncIterator[None]:
            yield
            raise KeyError("no database")

        peer = Peer(make_server(config=OPEN, session_lifespan=lifespan))
        await peer.end()
        assert "session_lifespan failed when it was left" in caplog.text

    @pytest.mark.parametrize("at_the_end", [False, True])
    @live
    async def test_end_although_what_their_lifespan_waits_for_is_cancelled(
        self, caplog: pytest.LogCaptureFixture, at_the_end: bool
    ) -> None:
        @asynccontextmanager
        async def lifespan(session: tp.Session) -> AsyncIterator[None]:
            if not at_the_end:
                await cancelled()
            yield
            await cancelled()

        peer = Peer(make_server(config=OPEN, session_lifespan=lifespan))
        if at_the_end:
            await peer.end()
        else:
            assert await peer.closed() == (1011, "internal error")
        assert "session_lifespan failed when it was" in caplog.text

    @pytest.mark.parametrize("at_the_end", [False, True])
    @live
    async def test_end_with_the_server_although_their_lifespan_does_not(
        self, at_the_end: bool
    ) -> None:
        was_cancelled = False

        @asynccontextmanager
        async def lifespan(session: tp.Session) -> AsyncIterator[None]:
            nonlocal was_cancelled
            try:
                if not at_the_end:
                    await asyncio.Event().wait()
                yield
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                was_cancelled = True
                raise

        config = tp.ServerConfig(require_auth=False, close_timeout=0.1)
        server = make_server(config=config, session_lifespan=lifespan)
        peer = Peer(server)
        await until(lambda: server.sessions)
        await asyncio.sleep(0.01)
        await server.close(timeout=0.05)
        assert not server.sessions
        assert was_cancelled
        assert (await peer.closed())[0] == 1001

    @live
    async def test_are_limited_in_number(self, caplog: pytest.LogCaptureFixture) -> None:
        config = tp.ServerConfig(require_auth=False, max_connections=1)
        server = make_server(config=config)
        peer = Peer(server)
        await peer.request(tp.Ping())
        assert await Peer(server).closed() == (1013, "too many connections")
        (record,) = (record for record in caplog.records if record.levelname == "WARNING")
        assert record.getMessage() == "refused a connection from memory: there are 1 already"
        assert vars(record)["remote_address"] == "memory"
        await peer.end()
        again = Peer(server)
        await again.request(tp.Ping())
        await again.end()

    @live
    async def test_closed_by_a_handler_wait_for_others_only_so_long(self) -> None:
        async def handle(_: tp.StartMission, session: tp.Session) -> tp.AckResponse:
            session.close(4003, "enough")
            await asyncio.sleep(0.3)
            return tp.AckResponse.ok()

        config = tp.ServerConfig(require_auth=False, close_timeout=0.1)
        peer = Peer(make_server(dispatcher_of(handle), config))
        await peer.send(START)
        async with asyncio.timeout(0.25):
            async for _ in peer.transport:
                pass
        assert peer.transport.close_code == 4003
        await peer.task

    @live
    async def test_say_how_they_ended(self, caplog: pytest.LogCaptureFixture) -> None:
        caplog.set_level(logging.INFO)
        counting = Counting()
        server = make_server(config=OPEN, metrics=counting)
        peer = Peer(server)
        await peer.request(tp.Ping())
        await peer.transport.close(4001, "goodbye")
        await peer.task
        peer = Peer(server)
        await peer.request(tp.Ping())
        server.sessions[0].close(4002, "enough")
        await peer.closed()
        ends = [vars(record) for record in caplog.records if hasattr(record, "close_code")]
        assert [(end["close_code"], end["close_reason"], end["ended_by"]) for end in ends] == [
            (4001, "goodbye", "client"),
            (4002, "enough", "server"),
        ]
        assert all(end["duration"] >= 0 for end in ends)
        assert counting.close_codes == [4001, 4002]

    @live
    async def test_log_refused_frames_but_not_without_end(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level(logging.INFO)
        peer = Peer(make_server(config=OPEN))
        refused_frame = '{"type":"subscribe","payload":{"topic":"s3cret","filters":1}}'
        for _ in range(100):
            await peer.transport.send(refused_frame)
            await peer.receive()
        await peer.end()
        refused = [one for one in caplog.records if "refused a frame" in one.getMessage()]
        assert 1 <= len(refused) <= 20
        assert "invalid_message at ['$.payload.filters']" in refused[0].getMessage()
        assert "s3cret" not in caplog.text


class TestHandshakes:
    @live
    async def test_authenticate_a_session(self) -> None:
        async def by_cookie(request: tp.ConnectionRequest) -> tp.Identity | None:
            assert request.path == "/ws"
            assert request.query == {"v": "2"}
            assert request.headers["User-Agent"] == request.headers["user-agent"] == "test"
            assert request.address == "192.0.2.7:5000"
            assert tp.current_session().identity is None
            if request.cookies.get("session") == TOKEN:
                return tp.Identity(USER, scopes={"missions"})
            return None

        def request(cookie: str) -> tp.ConnectionRequest:
            headers = [("User-Agent", "test"), ("Cookie", cookie)]
            return make_request("/ws?v=2", headers, ("192.0.2.7", 5000))

        server = make_server(authenticate=None, authenticate_request=by_cookie)
        good = request(f"theme=dark; session={TOKEN}")
        assert TOKEN not in repr(good)
        peer = Peer(server, good)
        info = await peer.request(tp.GetSessionInfo())
        assert (info.authenticated, info.user_id) == (True, USER)
        assert server.sessions[0].identity == tp.Identity(USER, scopes=frozenset({"missions"}))
        await peer.end()
        assert await Peer(server, request("session=wrong")).closed() == (1008, "not authenticated")

    @live
    async def test_without_an_identity_leave_it_to_a_token(self) -> None:
        async def nobody(request: tp.ConnectionRequest) -> tp.Identity | None:
            return None

        peer = Peer(make_server(authenticate_request=nobody))
        assert await peer.request(tp.GetSessionInfo()) == tp.ErrorResponse.auth_required()
        assert (await peer.request(tp.Authenticate(token=TOKEN))).authenticated
        await peer.end()

    @live
    async def test_that_cannot_be_looked_up_close_the_connection(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        async def broken(request: tp.ConnectionRequest) -> tp.Identity | None:
            raise KeyError(TOKEN)

        peer = Peer(make_server(authenticate_request=broken))
        assert await peer.closed() == (1011, "internal error")
        assert "authenticate_request failed: KeyError" in caplog.text
        assert TOKEN not in caplog.text

    @live
    async def test_whose_lookup_is_cancelled_close_the_connection(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        peer = Peer(make_server(authenticate_request=cancelled))
        assert await peer.closed() == (1011, "internal error")
        assert "authenticate_request failed: what it waited for was cancelled" in caplog.text

    @live
    async def test_whose_identity_has_expired_are_none(self) -> None:
        async def expired(request: tp.ConnectionRequest) -> tp.Identity | None:
            return tp.Identity(USER, datetime.now(UTC) - timedelta(seconds=1))

        server = make_server(authenticate=None, authenticate_request=expired)
        assert await Peer(server).closed() == (1008, "not authenticated")


class TestScopes:
    def test_are_a_set_of_strings(self) -> None:
        assert tp.Identity(USER, scopes=["a", "b"]).scopes == {"a", "b"}
        with pytest.raises(TypeError, match="not one string"):
            tp.Identity(USER, scopes="admin")


class TestExpiry:
    @live
    async def test_leaves_the_commands_that_run_their_response(self) -> None:
        running, may_end = asyncio.Event(), asyncio.Event()

        async def handle(_: tp.StartMission, __: tp.Session) -> tp.AckResponse:
            running.set()
            await may_end.wait()
            return tp.AckResponse.ok()

        async def soon(token: str) -> tp.Identity:
            return tp.Identity(USER, datetime.now(UTC) + timedelta(seconds=0.1))

        peer = Peer(make_server(dispatcher_of(handle), authenticate=soon))
        assert (await peer.request(tp.Authenticate(token=TOKEN))).authenticated
        await peer.send(START)
        await running.wait()
        await asyncio.sleep(0.2)
        may_end.set()
        assert await peer.receive() == tp.AckResponse.ok()
        assert await peer.closed() == (1008, "authentication expired")


class TestBusyServers:
    @live
    async def test_answer_pings_and_notice_who_leaves(self) -> None:
        may_end = asyncio.Event()

        async def handle(_: tp.StartMission, __: tp.Session) -> tp.AckResponse:
            await may_end.wait()
            return tp.AckResponse.ok()

        config = tp.ServerConfig(require_auth=False, max_running=1, cancel_on_disconnect=True)
        server = make_server(dispatcher_of(handle), config)
        peer = Peer(server)
        for _ in range(3):
            await peer.send(START)
        assert isinstance(await peer.request(tp.Ping()), tp.PongResponse)
        await peer.end()
        assert not server.sessions

    @live
    async def test_that_read_nothing_still_ping(self) -> None:
        may_end = asyncio.Event()

        async def handle(_: tp.StartMission, __: tp.Session) -> tp.AckResponse:
            await may_end.wait()
            return tp.AckResponse.ok()

        config = tp.ServerConfig(
            require_auth=False, max_running=1, max_pending=1, ping_interval=0.02, pong_timeout=0.02
        )
        peer = Peer(make_server(dispatcher_of(handle), config))
        for _ in range(3):
            await peer.send(START)
        for _ in range(3):
            assert await peer.receive() == tp.Ping()
        may_end.set()
        responses = 0
        while responses < 3:
            responses += await peer.receive() == tp.AckResponse.ok()
        await peer.end()

    @live
    async def test_change_no_identity_before_the_commands_that_came_first(self) -> None:
        may_end = asyncio.Event()
        users: list[tp.Identity | None] = []

        async def handle(_: tp.StartMission, session: tp.Session) -> tp.AckResponse:
            users.append(session.identity)
            await may_end.wait()
            return tp.AckResponse.ok()

        config = tp.ServerConfig(require_auth=False, max_running=1)
        peer = Peer(make_server(dispatcher_of(handle), config))
        await peer.send(START)
        await peer.send(START)
        await peer.send(tp.Authenticate(token=TOKEN))
        await asyncio.sleep(0.02)
        may_end.set()
        await peer.receive()
        await peer.receive()
        assert (await peer.receive()).authenticated
        assert users == [None, None]
        await peer.end()


class TestClosing:
    @live
    async def test_does_not_wait_for_the_task_that_handled(self) -> None:
        server = make_server(config=OPEN)
        server_transport, transport = memory_pair()
        goes_on = asyncio.Event()

        async def serve() -> None:
            await server.handle(server_transport)
            await goes_on.wait()

        task = asyncio.create_task(serve())
        await until(lambda: server.sessions)
        async with asyncio.timeout(2):
            await server.close(timeout=0.5)
        assert transport.close_code == 1001
        goes_on.set()
        await task

    @live
    async def test_does_not_wait_for_a_handler_that_will_not_end(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        may_end = asyncio.Event()

        async def handle(_: tp.StartMission, __: tp.Session) -> tp.AckResponse:
            while not may_end.is_set():
                try:
                    await may_end.wait()
                except asyncio.CancelledError:
                    continue
            return tp.AckResponse.ok()

        config = tp.ServerConfig(require_auth=False, close_timeout=0.1)
        server = make_server(dispatcher_of(handle), config)
        peer = Peer(server)
        await peer.send(START)
        await until(lambda: server.sessions)
        await asyncio.sleep(0.01)
        async with asyncio.timeout(4):
            await server.close(timeout=0.05)
        assert "a handler goes on" in caplog.text
        may_end.set()
        await peer.task

    @live
    async def test_is_spread_over_some_seconds(self) -> None:
        server = make_server(config=OPEN)
        peers = [Peer(server) for _ in range(5)]
        await until(lambda: len(server.sessions) == 5)
        closing = asyncio.create_task(server.close(spread=0.5))
        await asyncio.sleep(0.25)
        open_ones = [peer for peer in peers if peer.transport.close_code is None]
        assert 0 < len(open_ones) < 5
        await closing
        assert [await peer.closed() for peer in peers] == [(1001, "the server shuts down")] * 5

    def test_and_handling_belong_to_one_event_loop(self) -> None:
        async def main() -> None:
            server = make_server(config=OPEN)
            peer = Peer(server)
            await peer.request(tp.Ping())

            async def elsewhere() -> None:
                with pytest.raises(RuntimeError, match="another event loop"):
                    await server.handle(MemoryTransport())
                with pytest.raises(RuntimeError, match="another event loop"):
                    await server.close()

            await asyncio.to_thread(asyncio.run, elsewhere())
            await peer.end()

        asyncio.run(main())


class TestBlockedEventLoops:
    @live
    async def test_do_not_end_a_check_that_was_done_in_time(self) -> None:
        async def authenticate(token: str) -> tp.Identity:
            await asyncio.sleep(0.02)
            return tp.Identity(USER)

        async def may_subscribe(session: tp.Session, topic: str) -> bool:
            await asyncio.sleep(0.02)
            return True

        async def handle(_: tp.StartMission, __: tp.Session) -> tp.AckResponse:
            await asyncio.sleep(0.02)
            return tp.AckResponse.ok()

        config = tp.ServerConfig(auth_timeout=0.1, handler_timeout=0.1)
        server = make_server(
            dispatcher_of(handle), config, authenticate=authenticate, may_subscribe=may_subscribe
        )
        peer = Peer(server)
        answers = []
        for command in (tp.Authenticate(token=TOKEN), tp.Subscribe(topic="missions"), START):
            await peer.send(command)
            await asyncio.sleep(0.01)
            time.sleep(0.2)
            answers.append(await peer.receive())
        assert answers[0].authenticated
        assert answers[1:] == [tp.AckResponse.ok(), tp.AckResponse.ok()]
        await peer.end()

    @live
    async def test_refuse_no_token_that_came_in_time(self) -> None:
        peer = Peer(make_server(config=tp.ServerConfig(auth_timeout=0.05)))
        await asyncio.sleep(0.01)
        await peer.send(tp.Authenticate(token=TOKEN))
        time.sleep(0.1)
        assert (await peer.receive()).authenticated
        await peer.end()

    @live
    async def test_count_no_pong_as_missing_that_came_in_time(self) -> None:
        config = tp.ServerConfig(require_auth=False, ping_interval=0.02, pong_timeout=0.05)
        peer = Peer(make_server(config=config))
        assert await peer.receive() == tp.Ping()
        await peer.transport.send('{"type":"pong"}')
        time.sleep(0.2)
        assert await peer.receive() == tp.Ping()
        await peer.end()
