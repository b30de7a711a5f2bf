"""The synchronous client over real sockets: what scripts do with it, and that it leaves nothing."""

import asyncio
import gc
import signal
import sys
import threading
import time
from collections.abc import Iterator
from uuid import UUID

import pytest
from support.live import MISSION, TOKEN, USER, handlers, make_server, serving

import tachikoma_proto as tp
from tachikoma_proto import sync

STARTED = tp.MissionStarted(mission_id=MISSION)
FAILED = tp.MissionFailed(mission_id=MISSION, error="")
SOON = tp.ClientConfig(backoff_base=0.01, backoff_max=0.05)


class Running:
    """A server in another thread.

    Attributes:
        server: The server.
        url: Where it listens.
    """

    def __init__(self, server: tp.Server) -> None:
        self.server = server
        self.url = ""
        self._is_up = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()))
        self._thread.start()
        self._is_up.wait(10)

    async def _serve(self) -> None:
        self._loop, self._down = asyncio.get_running_loop(), asyncio.Event()
        async with serving(self.server) as self.url:
            self._is_up.set()
            await self._down.wait()

    def publish(self, *events: tp.Event) -> None:
        for event in events:
            self._loop.call_soon_threadsafe(self.server.publish, event)

    def cut(self) -> None:
        """Cut all connections."""

        def close() -> None:
            for session in self.server.sessions:
                session.close(1012, "back soon")

        self._loop.call_soon_threadsafe(close)

    def stop(self) -> None:
        self._loop.call_soon_threadsafe(self._down.set)
        self._thread.join(10)


@pytest.fixture
def running() -> Iterator[Running]:
    dispatcher = handlers()

    @dispatcher.handler(tp.StartMission)
    async def start(_: tp.StartMission, __: tp.Session) -> tp.AckResponse:
        await asyncio.sleep(0.5)
        return tp.AckResponse.ok()

    before = set(threading.enumerate())
    server = Running(make_server(dispatcher))
    yield server
    server.stop()
    gc.collect()
    assert set(threading.enumerate()) == before


def test_requests_are_answered(running: Running) -> None:
    with sync.connect(running.url, token=TOKEN) as client:
        status = client.request(tp.GetMissionStatus(mission_id=MISSION))
        assert status.mission_id == MISSION
        assert client.request(tp.GetSessionInfo()).user_id == USER
        assert client.state == "connected"
    assert str(client.state) == "closed"


def test_events_come_in_their_order(running: Running) -> None:
    with sync.connect(running.url, token=TOKEN) as client:
        with client.subscription(tp.topics.MISSIONS) as events:
            running.publish(STARTED, FAILED)
            assert next(events) == STARTED
            assert next(events) == FAILED
        assert list(events) == []
        all_events, failures, messages = (
            client.events(),
            client.events(tp.MissionFailed),
            client.messages(),
        )
        client.subscribe(tp.topics.mission(MISSION))
        running.publish(STARTED, FAILED)
        assert [next(all_events), next(all_events)] == [STARTED, FAILED]
        assert next(failures) == FAILED
        assert next(messages).payload == STARTED
        client.unsubscribe(tp.topics.mission(MISSION))
        assert client.request(tp.ListSubscriptions()).subscriptions == ()


def test_waiting_for_an_event_has_a_timeout_that_loses_nothing(running: Running) -> None:
    with (
        sync.connect(running.url, token=TOKEN) as client,
        client.subscription(tp.topics.MISSIONS) as events,
    ):
        with pytest.raises(TimeoutError, match=r"no event within 0\.01 s"):
            events.get(timeout=0.01)
        running.publish(STARTED)
        assert events.get(timeout=10) == STARTED


def test_a_lost_connection_is_opened_again(running: Running) -> None:
    with (
        sync.connect(running.url, token=TOKEN, config=SOON) as client,
        client.subscription(tp.topics.MISSIONS) as events,
    ):
        running.cut()
        assert next(events) == tp.Disconnected(1012, "back soon")
        assert isinstance(next(events), tp.Reconnected)
        running.publish(STARTED)
        assert next(events) == STARTED


def test_a_subscription_resumes_if_it_is_told_to(running: Running) -> None:
    with sync.connect(running.url, token=TOKEN, config=SOON) as client:
        all_events = client.events()
        client.subscribe(tp.topics.SYSTEM, resume=True)
        with client.subscription(tp.topics.MISSIONS, resume=True) as events:
            running.cut()
            running.publish(STARTED)
            assert [next(events) for _ in range(3)] == [
                tp.Disconnected(1012, "back soon"),
                tp.Reconnected(attempts=1),
                STARTED,
            ]
            assert [next(all_events) for _ in range(2)][1] == tp.Reconnected(attempts=1)


@pytest.mark.parametrize("is_async", [False, True])
def test_a_token_function_may_take_its_time(running: Running, is_async: bool) -> None:
    threads = []

    def token() -> str:
        threads.append(threading.current_thread())
        time.sleep(0.01)
        return TOKEN

    async def waiting() -> str:
        threads.append(threading.current_thread())
        await asyncio.sleep(0.01)
        return TOKEN

    with sync.connect(running.url, token=waiting if is_async else token) as client:
        client.request(tp.Ping())
    assert threading.main_thread() not in threads


def test_a_token_function_in_the_event_loop_cannot_use_the_client(running: Running) -> None:
    refusals: list[str] = []
    is_open = False

    async def token() -> str:
        if is_open:
            with pytest.raises(RuntimeError) as refusal:
                client.request(tp.Ping())
            refusals.append(str(refusal.value))
        return TOKEN

    with sync.connect(running.url, token=token, config=SOON) as client:
        is_open = True
        events = client.events()
        running.cut()
        while not isinstance(next(events), tp.Reconnected):
            pass
    assert refusals == ["the synchronous client cannot be used in its own event loop"]


def test_a_stream_of_a_closed_client_is_at_its_end(running: Running) -> None:
    with sync.connect(running.url, token=TOKEN) as client:
        events = client.events()
    for _ in range(2):
        assert list(events) == []
        with pytest.raises(StopIteration):
            events.get(timeout=0.01)


def test_what_goes_wrong_is_raised_and_leaves_nothing(running: Running) -> None:
    with pytest.raises(tp.RemoteError, match="refuses the token"):
        sync.connect(running.url, token="wrong").__enter__()
    with sync.connect(running.url, token=TOKEN) as client:
        with pytest.raises(tp.RemoteError, match="not_found"):
            client.subscribe("nowhere")
        with (
            pytest.raises(tp.RemoteError, match="not_found"),
            client.subscription("nowhere"),
        ):
            pytest.fail("it is not entered")
        with pytest.raises(TimeoutError, match="no answer to StartMission"):
            client.request(tp.StartMission(mission_id=UUID(int=1)), timeout=0.01)
        with pytest.raises(RuntimeError, match="entered once"):
            client.__enter__()
    with pytest.raises(tp.ConnectionLostError, match="closed"):
        client.request(tp.Ping())
    client.close()


def test_a_client_that_is_not_entered_says_so() -> None:
    client = sync.connect("ws://127.0.0.1:1")
    with pytest.raises(RuntimeError, match="not connected"):
        client.request(tp.Ping())
    client.close()


def test_closing_releases_what_waits_in_other_threads(running: Running) -> None:
    client = sync.connect(running.url, token=TOKEN).__enter__()
    ended: list[object] = []

    def take() -> None:
        ended.append(list(client.events()))

    def ask() -> None:
        with pytest.raises(tp.ConnectionLostError):
            client.request(tp.StartMission(mission_id=MISSION))
        ended.append("request")

    threads = [threading.Thread(target=take), threading.Thread(target=ask)]
    for thread in threads:
        thread.start()
    time.sleep(0.1)
    client.close()
    for thread in threads:
        thread.join(10)
    assert sorted(map(str, ended)) == ["[]", "request"]


def test_several_threads_share_a_client(running: Running) -> None:
    answers = []
    with sync.connect(running.url, token=TOKEN) as client:

        def ask(number: int) -> None:
            answer = client.request(tp.GetMissionStatus(mission_id=UUID(int=number)))
            answers.append(answer.mission_id)

        threads = [threading.Thread(target=ask, args=(number,)) for number in range(20)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(10)
    assert sorted(answers) == [UUID(int=number) for number in range(20)]


def test_a_stream_that_is_closed_or_dropped_is_gone(running: Running) -> None:
    with sync.connect(running.url, token=TOKEN) as client:
        kept, closed = client.events(), client.events()
        client.events()
        closed.close()
        client.subscribe(tp.topics.MISSIONS)
        running.publish(STARTED)
        assert next(kept) == STARTED
        assert list(closed) == []
        assert client._client._parts is not None
        assert len(client._client._parts[2]._streams) <= 2


@pytest.fixture
def interruptible() -> Iterator[None]:
    """Have SIGINT interrupt, which does not where it is ignored, as in the jobs of a script."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGINT to send to oneself")
def test_ctrl_c_ends_what_waits(running: Running, interruptible: None) -> None:
    with sync.connect(running.url, token=TOKEN) as client:
        main = threading.main_thread().ident
        timer = threading.Timer(0.1, signal.pthread_kill, (main, signal.SIGINT))
        timer.start()
        with pytest.raises(KeyboardInterrupt):
            next(client.events())
        timer.join()
        assert isinstance(client.request(tp.Ping()), tp.PongResponse)
