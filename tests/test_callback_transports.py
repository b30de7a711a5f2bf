"""The connection driver over a transport with callbacks, whatever that transport does."""

import asyncio
import sys
from collections.abc import Sequence
from typing import Any

import pytest
from support.live import MISSION, OPEN, TOKEN, USER, live, make_server, records_of, until

import tachikoma_proto as tp
from tachikoma_proto.connection.driver import ConnectionDriver, eager_starter
from tachikoma_proto.transports.transport import CallbackTransport, FrameReceiver

CODEC = tp.Codec()
PING = CODEC.encode(tp.Ping())
AUTHENTICATE = CODEC.encode(tp.Authenticate(token=TOKEN))
SUBSCRIBE = CODEC.encode(tp.Subscribe(topic="missions"))


class Callbacks:
    """A transport with callbacks, that keeps what it is told and fails when it should.

    Attributes:
        sent: What was written.
        calls: The other calls, in order.
        receiver: Whom to give frames.
        takes_more: What ``write`` returns.
        write_error: What ``write`` raises.
        abort_error: What ``abort`` raises.
    """

    def __init__(self) -> None:
        self.sent: list[str] = []
        self.calls: list[object] = []
        self.receiver: FrameReceiver | None = None
        self.takes_more = True
        self.write_error: Exception | None = None
        self.abort_error: Exception | None = None

    def start(self, receiver: FrameReceiver, /) -> None:
        self.receiver = receiver

    def feed(self, *frames: str | bytes) -> None:
        """Have frames arrive together."""
        assert self.receiver is not None
        self.receiver.frames_received(frames)

    def drained(self) -> None:
        """Take frames again."""
        assert self.receiver is not None
        self.takes_more = True
        self.receiver.can_write()

    def lost(self) -> None:
        assert self.receiver is not None
        self.receiver.transport_lost()

    def write(self, texts: Sequence[str], /) -> bool:
        if self.write_error is not None:
            raise self.write_error
        self.sent.extend(texts)
        return self.takes_more

    def pause_reading(self) -> None:
        self.calls.append("pause")

    def resume_reading(self) -> None:
        self.calls.append("resume")

    async def close(self, code: int = 1000, reason: str = "") -> None:
        self.calls.append(code)

    def abort(self) -> None:
        self.calls.append("abort")
        if self.abort_error is not None:
            raise self.abort_error


class Served:
    """A server with one connection over callbacks."""

    def __init__(self, server: tp.Server, transport: Callbacks | None = None) -> None:
        self.server = server
        self.transport = transport or Callbacks()
        self.task = asyncio.create_task(server.handle(self.transport))

    async def started(self) -> None:
        await until(lambda: self.transport.receiver)

    async def end(self) -> None:
        self.transport.lost()
        await self.gone()

    async def gone(self) -> None:
        await self.task
        assert not self.server.sessions


def test_the_transport_of_these_tests_has_callbacks() -> None:
    assert isinstance(Callbacks(), CallbackTransport)


class TestReading:
    @live
    async def test_frames_that_arrive_while_one_is_handled_wait_in_order(self) -> None:
        may_answer = asyncio.Event()

        async def check(token: str) -> tp.Identity:
            await may_answer.wait()
            return tp.Identity(USER)

        served = Served(make_server(authenticate=check))
        await served.started()
        served.transport.feed(AUTHENTICATE, PING)
        served.transport.feed(AUTHENTICATE, SUBSCRIBE)
        await asyncio.sleep(0)
        assert served.transport.sent == []
        may_answer.set()
        await until(lambda: len(served.transport.sent) == 4)
        kinds = [type(CODEC.decode_server_message(text).payload) for text in served.transport.sent]
        assert kinds == [tp.AuthResponse, tp.PongResponse, tp.AuthResponse, tp.AckResponse]
        assert served.transport.calls == []  # so few need no pause
        await served.end()

    @live
    async def test_a_transport_with_many_unread_frames_is_paused_once(self) -> None:
        may_answer = asyncio.Event()

        async def check(token: str) -> tp.Identity:
            await may_answer.wait()
            return tp.Identity(USER)

        served = Served(make_server(authenticate=check))
        await served.started()
        served.transport.feed(AUTHENTICATE)
        for _ in range(20):
            served.transport.feed(PING)
        assert served.transport.calls == ["pause"]
        may_answer.set()
        await until(lambda: len(served.transport.sent) == 21)
        assert served.transport.calls == ["pause", "resume"]
        await served.end()

    @live
    async def test_a_connection_that_is_lost_while_a_frame_is_handled_ends(self) -> None:
        async def check(token: str) -> tp.Identity:
            await asyncio.Event().wait()
            raise AssertionError("never")

        served = Served(make_server(authenticate=check))
        await served.started()
        served.transport.feed(AUTHENTICATE, PING)
        await asyncio.sleep(0)
        await served.end()
        assert served.transport.sent == []


class TestWriting:
    @live
    async def test_frames_wait_while_the_transport_takes_none(self) -> None:
        served = Served(make_server(config=OPEN))
        await served.started()
        served.transport.takes_more = False
        served.transport.feed(PING)
        served.transport.feed(PING, PING)
        assert len(served.transport.sent) == 1
        served.transport.drained()
        assert len(served.transport.sent) == 3
        await served.end()

    @live
    async def test_no_more_is_read_while_responses_are_not_taken(self) -> None:
        served = Served(make_server(config=tp.ServerConfig(require_auth=False, max_pending=2)))
        await served.started()
        served.transport.takes_more = False
        served.transport.feed(*[PING] * 30)
        await asyncio.sleep(0)
        served.transport.feed(*[PING] * 5)
        assert len(served.transport.sent) == 2  # as many as were pending at the first flush
        assert served.transport.calls == ["pause"]
        served.transport.drained()
        await until(lambda: len(served.transport.sent) == 35)
        assert served.transport.calls == ["pause", "resume"]
        await served.end()

    @live
    async def test_much_text_is_written_in_several_calls(self) -> None:
        served = Served(make_server(config=OPEN))
        await served.started()
        served.transport.feed(SUBSCRIBE)
        served.transport.takes_more = False
        event = tp.MissionFailed(mission_id=MISSION, error="x" * 40_000)
        for _ in range(4):
            served.server.publish(event)
        await until(lambda: len(served.transport.sent) > 1)
        assert len(served.transport.sent) == 3  # the answer, and as much as one call takes
        served.transport.drained()
        assert len(served.transport.sent) == 5
        await served.end()

    @live
    async def test_a_transport_that_cannot_write_ends_the_connection(self) -> None:
        served = Served(make_server(config=OPEN))
        await served.started()
        served.transport.write_error = BrokenPipeError("gone")
        with records_of("tachikoma_proto") as records:
            served.transport.feed(PING)
            await served.gone()
        assert any("lost while writing" in record for record in records)
        assert served.transport.sent == []


class TestTheEnd:
    @live
    async def test_what_was_queued_is_written_before_the_connection_is_closed(self) -> None:
        served = Served(make_server(config=OPEN))
        await served.started()
        served.transport.takes_more = False
        served.transport.feed(PING)
        served.transport.feed(PING)
        closing = asyncio.create_task(served.server.close())
        await asyncio.sleep(0.01)
        assert served.transport.calls == []
        served.transport.drained()
        await closing
        assert len(served.transport.sent) == 2
        assert served.transport.calls == [1001]
        await served.gone()

    @live
    async def test_a_peer_that_reads_nothing_does_not_hold_up_the_end(self) -> None:
        served = Served(make_server(config=tp.ServerConfig(require_auth=False, close_timeout=0.1)))
        await served.started()
        served.transport.takes_more = False
        served.transport.feed(PING)
        served.transport.feed(PING)
        with records_of("tachikoma_proto") as records:
            await served.server.close()
            await served.gone()
        assert len(served.transport.sent) == 1
        assert any("did not read what was sent" in record for record in records)

    @live
    async def test_a_connection_is_aborted_when_its_task_is_cancelled(self) -> None:
        served = Served(make_server(config=OPEN))
        await served.started()
        served.transport.abort_error = RuntimeError("closed twice")
        served.task.cancel()
        with records_of("tachikoma_proto") as records, pytest.raises(asyncio.CancelledError):
            await served.task
        assert served.transport.calls == ["abort"]
        assert any("could not be aborted" in record for record in records)
        assert not served.server.sessions


def new_session() -> Any:
    """A session that a driver may run without a server's connection."""
    server = make_server(config=OPEN)
    return server._hub.open(asyncio.get_running_loop().time(), None)


class TestTheDriver:
    @pytest.mark.parametrize("waits", [False, True])
    @live
    async def test_what_a_handler_of_events_raises_is_raised_by_run(self, waits: bool) -> None:
        async def fail_later() -> None:
            raise ZeroDivisionError("late")

        def on_event(_: object) -> Any:
            if waits:
                return fail_later()
            raise ZeroDivisionError("at once")

        transport = Callbacks()
        driver = ConnectionDriver(transport, new_session(), on_event, 0.1)
        running = asyncio.create_task(driver.run())
        await until(lambda: transport.receiver)
        transport.feed(CODEC.encode(tp.StartMission(mission_id=MISSION)))
        with pytest.raises(ZeroDivisionError):
            await running
        assert driver.end is not None
        assert (driver.end.code, driver.end.by_peer) == (1011, False)

    @live
    async def test_a_session_that_is_closed_already_never_starts_its_transport(self) -> None:
        transport, session, told = Callbacks(), new_session(), []
        session.close(4001, "too late")
        driver = ConnectionDriver(transport, session, told.append, 0.1, lambda: told.append("end"))
        await driver.run()
        assert transport.receiver is None
        assert transport.calls == [4001]
        assert told == ["end"]


class TestStartingTasks:
    @live
    async def test_a_task_factory_is_respected(self) -> None:
        made: list[str] = []

        def factory(loop: Any, coroutine: Any, **options: Any) -> Any:
            made.append(coroutine.__name__)
            return asyncio.Task(coroutine, loop=loop, **options)

        async def work() -> None:
            made.append("worked")

        loop = asyncio.get_running_loop()
        loop.set_task_factory(factory)
        await eager_starter(loop)(work())
        loop.set_task_factory(None)
        assert made == ["work", "worked"]

    @live
    async def test_a_first_step_runs_at_once_within_a_task_and_outside_one(self) -> None:
        steps: list[object] = []

        async def work(name: str) -> None:
            steps.append((name, asyncio.current_task() is outer))
            await asyncio.sleep(0)
            steps.append(f"{name} ended")

        outer = asyncio.current_task()
        loop = asyncio.get_running_loop()
        start = eager_starter(loop)
        tasks = [start(work("inside"))]
        assert steps == [("inside", False)]
        assert asyncio.current_task() is outer
        loop.call_soon(lambda: tasks.append(start(work("outside"))))
        await until(lambda: len(tasks) == 2)
        await asyncio.gather(*tasks)
        assert sorted(map(str, steps[1:])) == [
            "('outside', False)",
            "inside ended",
            "outside ended",
        ]

    @pytest.mark.skipif(sys.version_info >= (3, 12), reason="every event loop has eager tasks")
    @live
    async def test_an_event_loop_of_another_kind_gets_ordinary_tasks(self) -> None:
        class OtherLoop:
            def get_task_factory(self) -> None:
                return None

            def create_task(self, coroutine: Any) -> "asyncio.Task[None]":
                return asyncio.get_running_loop().create_task(coroutine)

        async def work() -> None:
            steps.append("worked")

        steps: list[str] = []
        loop: Any = OtherLoop()
        task = eager_starter(loop)(work())
        assert steps == []
        await task
        assert steps == ["worked"]


class TestRefusing:
    @live
    async def test_a_transport_that_cannot_be_refused_in_order_is_logged(self) -> None:
        class Broken(Callbacks):
            async def close(self, code: int = 1000, reason: str = "") -> None:
                raise BrokenPipeError("gone")

        served = Served(make_server(config=tp.ServerConfig(require_auth=False, max_connections=1)))
        await served.started()
        assert repr(served.server) == "<Server of 1 sessions>"
        refused = Broken()
        with records_of("tachikoma_proto") as records:
            await served.server.handle(refused)
        assert refused.receiver is None
        assert any("could not be refused in order" in record for record in records)
        await served.end()

    @live
    async def test_a_request_of_an_unknown_library_is_not_needed(self) -> None:
        class Unknown(Callbacks):
            request = object()
            remote_address = ("192.0.2.1", 80)

        served = Served(make_server(config=OPEN), Unknown())
        await served.started()
        (session,) = served.server.sessions
        assert session.remote_address == "192.0.2.1:80"
        await served.end()
