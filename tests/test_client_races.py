"""A client whose connections come, go and are in between: nothing hangs, nothing is left."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from support.live import MISSION, live, records_of, until
from support.memory import MemoryTransport

import tachikoma_proto as tp
from tachikoma_proto.client.events import EventQueue

CODEC = tp.Codec()
SOON = tp.ClientConfig(
    backoff_base=0.01, backoff_max=0.01, ping_interval=None, close_timeout=0.2, open_timeout=1.0
)
STARTED = CODEC.encode(tp.MissionStarted(mission_id=MISSION))

Answer = Callable[[tp.Command[tp.Response]], tp.Response | None]


def agree(command: tp.Command[tp.Response]) -> tp.Response | None:
    match command:
        case tp.Authenticate():
            return tp.AuthResponse(authenticated=True)
        case tp.Ping():
            return tp.PongResponse.now()
        case _:
            return tp.AckResponse.ok()


class Answering(MemoryTransport):
    """The other side in memory: it answers each command as it is told, or not at all."""

    def __init__(self, answer: Answer) -> None:
        super().__init__()
        self._answer = answer
        self.commands: list[tp.Command[tp.Response]] = []

    async def send(self, text: str, /) -> None:
        await super().send(text)
        message = CODEC.decode_command(text)
        self.commands.append(message.payload)
        answer = self._answer(message.payload)
        if answer is not None:
            self.feed(CODEC.encode(answer, reply_to=message.id))


class Network:
    """Opens a transport each time; the last one is used again and again.

    Attributes:
        opened: The transports that were opened.
    """

    def __init__(self, *answers: Answer | Exception) -> None:
        self._answers = list(answers) or [agree]
        self.opened: list[Answering] = []

    async def open(self) -> tp.Transport:
        answer = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        if isinstance(answer, Exception):
            raise answer
        transport = Answering(answer)
        self.opened.append(transport)
        return transport

    @property
    def now(self) -> Answering:
        return self.opened[-1]


def client_of(network: Network, config: tp.ClientConfig = SOON, **options: str) -> tp.Client:
    return tp.Client(network.open, config=config, token=options.get("token"))


async def soon(awaitable: Awaitable[object]) -> object:
    return await asyncio.wait_for(awaitable, 2.0)


class TestALostConnection:
    @live
    async def test_is_asked_once_at_most_by_who_tries_again(self) -> None:
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

    @pytest.mark.parametrize("has_begun", [False, True])
    @live
    async def test_whose_task_is_cancelled_is_one_as_well(self, has_begun: bool) -> None:
        network = Network()
        async with client_of(network) as client:
            if has_begun:
                await client.request(tp.Ping())
            assert client._keeper is not None
            client._keeper._standing.result()._task.cancel()
            await until(lambda: len(network.opened) == 2)
            assert isinstance(await soon(client.request(tp.Ping())), tp.PongResponse)

    @live
    async def test_that_is_slow_to_close_keeps_nobody(self) -> None:
        network = Network()
        async with client_of(network) as client:
            first = network.now
            first.can_close.clear()
            first.feed(None)
            await until(lambda: first.closed)
            assert isinstance(await soon(client.request(tp.Ping())), tp.PongResponse)
            assert not first.commands

    @live
    async def test_fails_what_waits_for_an_answer(self) -> None:
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
    async def test_whose_iteration_raises_is_one_as_well(self) -> None:
        network = Network()
        async with client_of(network) as client:
            network.now.feed(None)
            await until(lambda: len(network.opened) == 2)
            network.now.open_error = ConnectionResetError("at once")
            network.now.feed(None)
            assert isinstance(await soon(anext(client.events())), tp.Reconnected)


class TestWaitingRequests:
    @live
    async def test_end_with_the_client(self) -> None:
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
    async def test_end_when_it_gives_up(self) -> None:
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
    async def test_say_that_they_were_not_sent(self) -> None:
        network = Network(agree, OSError("no route"))
        async with client_of(network) as client:
            network.now.feed(None)
            await until(lambda: network.now.closed)
            with pytest.raises(TimeoutError, match=r"no connection within .* Ping was not sent"):
                await client.request(tp.Ping(), timeout=0.02)


class TestClosing:
    @live
    async def test_by_several_at_once_is_done_once(self) -> None:
        network = Network()
        client = await client_of(network).__aenter__()
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
    async def test_while_it_connects(self) -> None:
        network = Network(lambda _: None)
        client = client_of(network, token="t")
        entering = asyncio.create_task(client.__aenter__())
        await until(lambda: network.opened and network.now.commands)
        await client.close()
        with pytest.raises(tp.ConnectionLostError):
            await soon(entering)
        assert network.now.closed

    @live
    async def test_while_it_reconnects(self) -> None:
        network = Network(agree, lambda _: None)
        client = await client_of(network, token="t").__aenter__()
        network.now.feed(None)
        await until(lambda: len(network.opened) == 2 and network.now.commands)
        await asyncio.gather(client.close(), client.close())
        assert all(transport.closed for transport in network.opened)

    @live
    async def test_takes_no_more_requests(self) -> None:
        network = Network()
        client = await client_of(network).__aenter__()
        closing = asyncio.create_task(client.close())
        await asyncio.sleep(0)
        with pytest.raises(tp.ConnectionLostError, match="the client is closed"):
            await soon(client.request(tp.Ping()))
        await closing
        assert not network.now.commands

    @live
    async def test_by_cancelling_what_enters_leaves_nothing(self) -> None:
        network = Network(lambda _: None)
        entering = asyncio.create_task(client_of(network, token="t").__aenter__())
        await until(lambda: network.opened and network.now.commands)
        entering.cancel()
        with pytest.raises(asyncio.CancelledError):
            await entering
        assert network.now.closed


@live
async def test_who_cancels_all_tasks_gets_an_error_and_not_a_freeze() -> None:
    network = Network()
    client = await client_of(network).__aenter__()
    for task in asyncio.all_tasks() - {asyncio.current_task()}:
        task.cancel()
    await asyncio.sleep(0.01)
    with pytest.raises(tp.ConnectionLostError):
        await soon(client.request(tp.Ping()))
    await client.close()


class TestSubscribingAgain:
    @live
    async def test_asks_for_all_topics_at_once(self) -> None:
        network = Network()
        async with client_of(network) as client:
            for number in range(20):
                await client.subscribe(f"missions/{number}")
            network.now.feed(None)
            await until(lambda: len(network.opened) == 2)
            second = network.now
            second.can_send.clear()
            await asyncio.sleep(0.01)
            second.can_send.set()
            assert await soon(anext(client.events())) == tp.Reconnected(attempts=1)
            assert len(second.commands) == 20

    @live
    async def test_tries_again_after_a_passing_refusal(self) -> None:
        busy = iter([tp.ErrorResponse(code="internal_error", message=""), tp.AckResponse.ok()])
        network = Network(agree, lambda _: next(busy))
        async with client_of(network) as client:
            await client.subscribe("missions")
            network.now.feed(None)
            assert await soon(anext(client.events())) == tp.Reconnected(attempts=2)
            assert network.now.commands == [tp.Subscribe(topic="missions")]

    @pytest.mark.parametrize(
        "refusal", [tp.ErrorResponse.not_found("topic"), tp.AckResponse.failure("no")]
    )
    @live
    async def test_names_what_is_refused(self, refusal: tp.Response) -> None:
        network = Network(agree, lambda _: refusal)
        async with client_of(network) as client:
            await client.subscribe("missions")
            network.now.feed(None)
            event = await soon(anext(client.events()))
            assert event == tp.Reconnected(attempts=1, refused=("missions",))
            network.now.feed(None)
            event = await soon(anext(client.events()))
            assert event == tp.Reconnected(attempts=1)

    @live
    async def test_passes_over_what_is_unsubscribed_meanwhile(self) -> None:
        def forgetful(command: tp.Command[tp.Response]) -> tp.Response | None:
            if isinstance(command, tp.Unsubscribe):
                return tp.ErrorResponse.not_found("subscription")
            return agree(command)

        network = Network(agree, forgetful)
        later = tp.ClientConfig(backoff_base=0.2, ping_interval=None)
        async with client_of(network, later) as client:
            await client.subscribe("missions")
            network.now.feed(None)
            await until(lambda: network.now.closed)
            answer = await soon(client.unsubscribe("missions"))
            assert answer == tp.AckResponse.ok()
            assert network.now.commands == [tp.Unsubscribe(topic="missions")]

    @live
    async def test_drops_the_events_of_an_attempt_that_fails(self) -> None:
        def pushy(_: tp.Command[tp.Response]) -> tp.Response | None:
            network.now.feed(STARTED)
            return tp.ErrorResponse(code="internal_error", message="")

        network = Network(agree, pushy, agree)
        async with client_of(network) as client:
            await client.subscribe("missions")
            network.now.feed(None)
            events = client.events()
            assert await soon(anext(events)) == tp.Reconnected(attempts=2)
            network.now.feed(STARTED)
            assert await soon(anext(events)) == tp.MissionStarted(mission_id=MISSION)


@live
async def test_a_token_is_in_no_error_and_no_record() -> None:
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
        network.now.feed(None)
        with pytest.raises(tp.ConnectionLostError, match="the last with KeyError") as caught:
            await soon(anext(client.events()))
        await client.close()
    assert "s3cret" not in "".join(records)
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None


@live
async def test_a_first_entry_that_fails_may_be_followed_by_another() -> None:
    network = Network(OSError("not yet"), agree)
    client = client_of(network)
    with pytest.raises(OSError, match="not yet"):
        await client.__aenter__()
    with pytest.raises(RuntimeError, match="not connected"):
        client.events()
    async with client:
        await soon(client.request(tp.Ping()))


def pushed(number: int) -> tp.OutgoingMessage[tp.ServerStatus]:
    status = tp.ServerStatus(status="", active_missions=number, active_sessions=0)
    return tp.OutgoingMessage(type="event.system", payload=status)


@live
async def test_the_clients_own_words_need_little_room() -> None:
    queue = EventQueue(limit=2)
    for number in range(100):
        queue.put(pushed(number))
        queue.hold()
        queue.put(pushed(number))
        queue.release(tp.Reconnected(attempts=1, refused=(str(number),)))
    queue.end(None)
    said = []
    while (message := await queue.get()) is not None:
        said.append(message.payload)
    assert len(said) <= 6
    missed = sum(word.count for word in said if isinstance(word, tp.EventsMissed))
    reconnections = [word for word in said if isinstance(word, tp.Reconnected)]
    assert missed + sum(isinstance(word, tp.ServerStatus) for word in said) == 200
    assert sum(word.attempts for word in reconnections) == 100


@live
async def test_what_is_missed_while_connecting_is_told_after_it() -> None:
    queue = EventQueue(limit=1)
    queue.hold()
    for number in range(3):
        queue.put(pushed(number))
    queue.release(tp.Reconnected(attempts=1))
    queue.end(None)
    said = []
    while (message := await queue.get()) is not None:
        said.append(message.payload)
    assert said == [tp.Reconnected(attempts=1), pushed(0).payload, tp.EventsMissed(count=2)]
