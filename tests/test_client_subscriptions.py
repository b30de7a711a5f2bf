"""A client's subscriptions: after reconnects, refusals, timeouts, and shared by several streams."""

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Any
from uuid import UUID

import pytest
from attrs import frozen
from support.live import (
    MISSION,
    TOKEN,
    USER,
    cut,
    free_port,
    live,
    make_server,
    next_of,
    serving,
    soon,
    until,
)
from support.network import CODEC, SOON, Network, agree, client_of

import tachikoma_proto as tp

OTHER = UUID(int=8)
UPPER = "abcdef00-0000-4000-8000-0000000000ff".upper()
STARTED = tp.MissionStarted(mission_id=MISSION)
FAST = tp.ClientConfig(
    backoff_base=0.01, backoff_max=0.02, ping_interval=None, request_timeout=0.2, close_timeout=0.2
)


@frozen(kw_only=True)
class Probed(tp.Event):
    """An event of a category without a topic."""


Refusal = Callable[[tp.Command[Any]], tp.Response | None]


def failing(*codes: str | None) -> Refusal:
    """Answer subscriptions with these errors, in order, then with acks; None is an ack."""
    left = deque(codes)

    def answer(command: tp.Command[Any]) -> tp.Response | None:
        if isinstance(command, tp.Subscribe) and left and (code := left.popleft()) is not None:
            return tp.ErrorResponse(code=code, message="not now")
        return agree(command)

    return answer


class Subscribed:
    """A server's list of subscriptions, as its answers make it."""

    def __init__(self) -> None:
        self.topics: dict[str, tp.SubscriptionFilters | None] = {}
        self.is_silent = False
        self.refuses: dict[str, str] = {}

    def answer(self, command: tp.Command[Any]) -> tp.Response | None:
        match command:
            case tp.Subscribe(topic=topic, filters=filters):
                if topic in self.refuses:
                    return tp.ErrorResponse(code=self.refuses[topic], message="no")
                self.topics[topic] = filters
            case tp.Unsubscribe(topic=topic):
                if topic not in self.topics:
                    return tp.ErrorResponse.not_found("subscription")
                del self.topics[topic]
            case tp.ListSubscriptions():
                return tp.SubscriptionListResponse(subscriptions=tuple(self.topics))
        return None if self.is_silent else agree(command)


class TestAReconnect:
    @live
    async def test_a_reconnect_subscribes_to_all_topics_at_once(self) -> None:
        network = Network()
        async with client_of(network) as client:
            for number in range(20):
                await client.subscribe(f"missions/{UUID(int=number)}")
            events = client.events()
            network.now.feed(None)
            await until(lambda: len(network.opened) == 2)
            second = network.now
            second.can_send.clear()
            await asyncio.sleep(0.01)
            second.can_send.set()
            await next_of(events, tp.Reconnected)
            assert len(second.commands) == 20

    @pytest.mark.parametrize("times", [1, 3])
    @live
    async def test_a_reconnect_retries_a_topic_after_an_internal_error(self, times: int) -> None:
        network = Network(agree, failing(*["internal_error"] * times))
        async with client_of(network) as client:
            await client.subscribe("missions")
            events = client.events()
            network.now.feed(None)
            reconnected = await next_of(events, tp.Reconnected)
            assert reconnected == tp.Reconnected(attempts=1, lost=("missions",))
            assert await soon(anext(events)) == tp.SubscriptionRestored("missions")
            assert network.now.commands == [tp.Subscribe(topic="missions")] * (times + 1)

    @live
    async def test_a_reconnect_does_not_wait_for_a_topic_that_keeps_failing(self) -> None:
        def broken(command: tp.Command[Any]) -> tp.Response | None:
            if command == tp.Subscribe(topic="system"):
                return tp.ErrorResponse(code="internal_error", message="")
            return agree(command)

        network = Network(agree, broken)
        async with client_of(network) as client:
            await client.subscribe("system")
            await client.subscribe("missions")
            network.now.feed(None)
            await until(lambda: len(network.opened) == 2)
            assert isinstance(await soon(client.request(tp.Ping())), tp.PongResponse)
            network.now.feed(CODEC.encode(STARTED))
            assert await next_of(client.events(), tp.MissionStarted) == STARTED

    @pytest.mark.parametrize(
        "refusal",
        [
            tp.ErrorResponse.not_found("topic"),
            tp.ErrorResponse.permission_denied(),
            tp.AckResponse.failure("no"),
        ],
    )
    @live
    async def test_a_reconnect_reports_and_keeps_refused_topics(self, refusal: tp.Response) -> None:
        network = Network(agree, lambda _: refusal, agree)
        async with client_of(network) as client:
            await client.subscribe("missions")
            events = client.events()
            network.now.feed(None)
            event = await next_of(events, tp.Reconnected)
            assert event == tp.Reconnected(1, lost=("missions",), refused=("missions",))
            network.now.feed(None)
            event = await next_of(events, tp.Reconnected)
            assert event == tp.Reconnected(1, lost=("missions",))
            assert network.now.commands == [tp.Subscribe(topic="missions")]

    @live
    async def test_a_topic_refused_after_a_reconnect_is_reported(self) -> None:
        network = Network(agree, failing("internal_error", "permission_denied"), agree)
        async with client_of(network) as client:
            await client.subscribe("missions")
            events = client.events()
            network.now.feed(None)
            lost = await next_of(events, tp.SubscriptionLost)
            assert lost == tp.SubscriptionLost("missions", "permission_denied", "not now")
            network.now.feed(None)
            assert (await next_of(events, tp.Reconnected)).refused == ()

    @live
    async def test_a_reconnect_leaves_out_topics_that_were_unsubscribed_meanwhile(self) -> None:
        server = Subscribed()
        network = Network(agree, server.answer)
        later = tp.ClientConfig(backoff_base=0.2, ping_interval=None)
        async with client_of(network, later) as client:
            await client.subscribe("missions")
            network.now.feed(None)
            await until(lambda: network.now.closed)
            answer = await soon(client.unsubscribe("missions"))
            assert answer == tp.AckResponse.ok()
            assert network.now.commands == [tp.Unsubscribe(topic="missions")]

    @live
    async def test_a_reconnect_forgets_topics_that_nobody_wants_any_more(self) -> None:
        network = Network()
        async with client_of(network) as client:
            async with client.subscription("missions"):
                network.now.feed(None)
                await until(lambda: client.state == "reconnecting")
            await until(lambda: client.state == "connected")
            assert client._parts is not None
            assert not client._parts[1]._topics
            assert not network.now.commands

    @live
    async def test_a_failed_reconnect_drops_the_events_that_it_received(self) -> None:
        def pushy(command: tp.Command[Any]) -> tp.Response | None:
            network.now.feed(CODEC.encode(STARTED), None)
            return None

        network = Network(agree, pushy, agree)
        async with client_of(network) as client:
            await client.subscribe("missions")
            events = client.events()
            network.now.feed(None)
            assert isinstance(await soon(anext(events)), tp.Disconnected)
            assert await soon(anext(events)) == tp.Reconnected(2, lost=("missions",))
            network.now.feed(CODEC.encode(STARTED))
            assert await soon(anext(events)) == STARTED

    @live
    async def test_events_of_a_new_connection_come_after_reconnected(self) -> None:
        def pushy(command: tp.Command[Any]) -> tp.Response | None:
            network.now.feed(CODEC.encode(STARTED))
            return agree(command)

        network = Network(agree, pushy)
        async with client_of(network) as client:
            await client.subscribe("missions")
            events = client.events()
            network.now.feed(None)
            taken = [await soon(anext(events)) for _ in range(3)]
            assert [type(one).__name__ for one in taken] == [
                "Disconnected",
                "Reconnected",
                "MissionStarted",
            ]

    @pytest.mark.parametrize(("rate", "burst", "topics"), [(200.0, 5, 60), (50.0, 1, 10)])
    @live
    async def test_a_reconnect_stays_within_the_rate_limit_of_the_server(
        self, rate: float, burst: int, topics: int
    ) -> None:
        port = free_port()
        config = tp.ClientConfig(backoff_base=0.01, backoff_max=0.05, open_timeout=1.0)
        generous, strict = tp.ServerConfig(), tp.ServerConfig(rate_limit=rate, rate_burst=burst)
        async with serving(make_server(config=generous), port) as url:
            client = await tp.connect(url, token=TOKEN, config=config).__aenter__()
            events = client.events()
            for number in range(topics):
                await client.subscribe(tp.topics.mission(UUID(int=number)))
        server = make_server(config=strict)
        async with serving(server, port):
            while True:
                if isinstance(event := await anext(events), tp.Reconnected):
                    break
            assert len(event.lost) == topics
            assert event.refused == ()
            (session,) = server.sessions
            assert len(session.subscriptions) == topics
            await client.close()

    @live
    async def test_a_reconnect_during_a_failing_permission_check_loses_no_topic(self) -> None:
        fails = 0

        def may_subscribe(_: tp.Session, __: str) -> bool:
            nonlocal fails
            if fails:
                fails -= 1
                raise ConnectionError("the database is away")
            return True

        server = make_server(may_subscribe=may_subscribe)
        async with (
            serving(server) as url,
            tp.connect(url, token=TOKEN, config=SOON) as client,
        ):
            await client.subscribe("missions")
            await client.subscribe("system")
            events = client.events()
            fails = 1
            cut(client)
            await next_of(events, tp.Reconnected)
            await until(
                lambda: [set(s.subscriptions) for s in server.sessions] == [{"missions", "system"}]
            )


class TestOneTopic:
    @live
    async def test_calls_for_one_topic_take_effect_in_order(self) -> None:
        server = Subscribed()
        network = Network(server.answer)
        async with client_of(network) as client:
            await asyncio.gather(client.subscribe("missions"), client.unsubscribe("missions"))
            assert server.topics == {}
            await asyncio.gather(
                client.subscribe("missions"),
                client.unsubscribe("missions"),
                client.subscribe("missions"),
            )
            assert server.topics == {"missions": None}
            await asyncio.gather(
                client.unsubscribe("missions"),
                client.subscribe("missions"),
                client.unsubscribe("missions"),
            )
            network.now.feed(None)
            await until(lambda: len(network.opened) == 2)
            await client.request(tp.Ping())
            assert network.now.commands == [tp.Ping()]

    @pytest.mark.parametrize(
        "spelling", ["{0}", "{1}", "urn:uuid:{0}", "{{{0}}}", "{2}", "urn:uuid:{1}"]
    )
    @live
    async def test_spellings_of_one_topic_share_a_subscription(self, spelling: str) -> None:
        lower = UPPER.lower()
        other = "missions/" + spelling.format(lower, UPPER, lower.replace("-", ""))
        network = Network()
        async with client_of(network) as client:
            await client.subscribe(f"missions/{UPPER}")
            await client.subscribe(other)
            await client.unsubscribe(f"missions/{lower}")
            network.now.feed(None)
            await until(lambda: len(network.opened) == 2)
            await client.request(tp.Ping())
            assert network.now.commands == [tp.Ping()]

    @pytest.mark.parametrize("how", ["timeout", "cancelled"])
    @live
    async def test_a_cancelled_subscribe_leaves_no_subscription(self, how: str) -> None:
        server = Subscribed()
        network = Network(server.answer)
        async with client_of(network, FAST) as client:
            await client.subscribe("system")
            server.is_silent = True
            if how == "timeout":
                with pytest.raises(TimeoutError, match="no answer to Subscribe"):
                    await client.subscribe("missions")
            else:
                with pytest.raises(TimeoutError):
                    await asyncio.wait_for(client.subscribe("missions"), 0.01)
            server.is_silent = False
            await until(lambda: server.topics == {"system": None})
            network.now.feed(None)
            await until(lambda: len(network.opened) == 2)
            await client.request(tp.Ping())
            assert network.now.commands == [tp.Subscribe(topic="system"), tp.Ping()]

    @live
    async def test_a_subscribe_cancelled_while_the_server_decides_leaves_no_subscription(
        self,
    ) -> None:
        decided = asyncio.Event()

        async def may_subscribe(_: tp.Session, topic: str) -> bool:
            await asyncio.sleep(0.05)
            decided.set()
            return True

        server = make_server(may_subscribe=may_subscribe)
        async with serving(server) as url, tp.connect(url, token=TOKEN) as client:
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(client.subscribe("missions"), 0.01)
            await decided.wait()
            listed = await client.request(tp.ListSubscriptions())
            assert listed.subscriptions == ()

    @live
    async def test_a_cancelled_second_subscribe_keeps_the_first_filters(self) -> None:
        first = tp.SubscriptionFilters(event_types=("started",))
        server = Subscribed()
        network = Network(server.answer)
        async with client_of(network, FAST) as client:
            await client.subscribe("missions", filters=first)
            server.is_silent = True
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(client.subscribe("missions"), 0.01)
            assert tp.Subscribe(topic="missions") in network.now.commands
            server.is_silent = False
            await until(lambda: server.topics == {"missions": first})

    @live
    async def test_a_cancelled_unsubscribe_does_not_restore_the_subscription(self) -> None:
        server = Subscribed()
        network = Network(server.answer)
        async with client_of(network, FAST) as client:
            await client.subscribe("missions")
            server.is_silent = True
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(client.unsubscribe("missions"), 0.01)
            server.is_silent = False
            network.now.feed(None)
            await until(lambda: len(network.opened) == 2)
            await client.request(tp.Ping())
            assert network.now.commands == [tp.Ping()]

    @live
    async def test_an_unsubscribe_that_times_out_behind_another_change_is_still_made(self) -> None:
        server = Subscribed()
        network = Network(server.answer)
        async with client_of(network, FAST) as client:
            await client.subscribe("missions")
            server.is_silent = True
            changes = client.subscribe("missions"), client.unsubscribe("missions")
            outcomes = await asyncio.gather(*changes, return_exceptions=True)
            assert [type(one) for one in outcomes] == [TimeoutError, TimeoutError]
            server.is_silent = False
            await until(lambda: server.topics == {})

    @pytest.mark.parametrize("code", ["internal_error", "permission_denied"])
    @live
    async def test_refused_filters_leave_the_previous_ones(self, code: str) -> None:
        first = tp.SubscriptionFilters(event_types=("started",))
        server = Subscribed()
        network = Network(server.answer)
        async with client_of(network) as client:
            await client.subscribe("missions", filters=first)
            server.refuses["missions"] = code
            with pytest.raises(tp.RemoteError, match=code):
                await client.subscribe("missions")
            server.refuses.clear()
            network.now.feed(None)
            await until(lambda: len(network.opened) == 2)
            await client.request(tp.Ping())
            assert network.now.commands[0] == tp.Subscribe(topic="missions", filters=first)


@pytest.mark.parametrize(
    "wrong", [{"event_types": "started"}, {"mission_id": str(MISSION)}, {"event_types": (1,)}]
)
@live
async def test_filters_that_cannot_be_written_are_refused(wrong: dict[str, Any]) -> None:
    network = Network()
    async with client_of(network) as client:
        filters = tp.SubscriptionFilters(**wrong)
        with pytest.raises(tp.EncodeError):
            await client.subscribe("missions", filters=filters)
        with pytest.raises(tp.EncodeError):
            await client.subscription("missions", filters=filters).__aenter__()
        assert network.now.commands == []


class TestARefusal:
    @live
    async def test_a_subscribe_that_is_not_acknowledged_returns_the_answer(self) -> None:
        refusal = tp.AckResponse.failure("no")
        network = Network(lambda _: refusal, agree)
        async with client_of(network) as client:
            events = client.events()
            assert await client.subscribe("missions") == refusal
            network.now.feed(None)
            assert await next_of(events, tp.Reconnected) == tp.Reconnected(attempts=1)

    @live
    async def test_a_refused_unsubscribe_leaves_the_subscription(self) -> None:
        def answer(command: tp.Command[Any]) -> tp.Response | None:
            if isinstance(command, tp.Unsubscribe):
                return tp.ErrorResponse(code="internal_error", message="not now")
            return agree(command)

        network = Network(answer, agree)
        async with client_of(network) as client:
            events = client.events()
            await client.subscribe("missions")
            with pytest.raises(tp.RemoteError, match="internal_error"):
                await client.unsubscribe("missions")
            network.now.feed(None)
            assert (await next_of(events, tp.Reconnected)).lost == ("missions",)
            await client.unsubscribe("missions")
            assert network.now.commands[-1] == tp.Unsubscribe(topic="missions")

    @live
    async def test_a_cancelled_unsubscribe_of_an_unknown_topic_leaves_nothing(self) -> None:
        network = Network(agree, OSError("no route"), agree)
        config = tp.ClientConfig(backoff_base=0.05, backoff_max=0.05, ping_interval=None)
        async with client_of(network, config) as client:
            events = client.events()
            network.now.feed(None)
            await until(lambda: client.state == "reconnecting")
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(client.unsubscribe("missions"), 0.01)
            await next_of(events, tp.Reconnected)
            await client.request(tp.Ping())
            assert network.now.commands == [tp.Ping()]


class TestAFreshAuthentication:
    @live
    async def test_a_token_that_permits_less_is_reported_as_subscription_lost(self) -> None:
        allowed = {"missions", "system"}
        server = make_server(may_subscribe=lambda _, topic: topic in allowed)
        async with serving(server) as url, tp.connect(url, token=TOKEN, config=SOON) as client:
            events = client.events()
            await client.subscribe("missions")
            await client.subscribe("system")
            allowed.remove("system")
            await client.request(tp.Authenticate(token=TOKEN))
            lost = await next_of(events, tp.SubscriptionLost)
            assert (lost.topic, lost.code) == ("system", "permission_denied")
            allowed.add("system")
            cut(client)
            assert (await next_of(events, tp.Reconnected)).refused == ()
            (session,) = server.sessions
            assert set(session.subscriptions) == {"missions", "system"}
            assert session.identity == tp.Identity(USER)

    @live
    async def test_a_topic_dropped_by_a_failing_permission_check_is_restored(self) -> None:
        server = Subscribed()
        network = Network(server.answer)
        async with client_of(network, token="t") as client:
            events = client.events()
            await client.subscribe("missions")
            await client.subscribe("system")
            del server.topics["missions"]
            await client.request(tp.Authenticate(token="t"))
            assert await soon(anext(events)) == tp.SubscriptionRestored("missions")
            assert set(server.topics) == {"missions", "system"}

    @pytest.mark.parametrize(
        ("codes", "lists"),
        [
            (["internal_error", "rate_limited"], 3),
            (["permission_denied"], 1),
            (["not_found", "internal_error"], 1),
        ],
    )
    @live
    async def test_a_list_of_subscriptions_is_asked_for_again_where_that_can_help(
        self, codes: list[str], lists: int, caplog: pytest.LogCaptureFixture
    ) -> None:
        server, left = Subscribed(), deque(codes)

        def answer(command: tp.Command[Any]) -> tp.Response | None:
            if isinstance(command, tp.ListSubscriptions) and left:
                return tp.ErrorResponse(code=left.popleft(), message="no")
            return server.answer(command)

        network = Network(answer)
        async with client_of(network, token="t") as client:
            events = client.events()
            await client.subscribe("missions")
            server.topics.clear()
            await client.request(tp.Authenticate(token="t"))
            if lists > len(codes):
                assert await soon(anext(events)) == tp.SubscriptionRestored("missions")
            else:
                await until(lambda: "cannot list the subscriptions" in caplog.text)
                await asyncio.sleep(0.03)
            assert network.now.commands.count(tp.ListSubscriptions()) == lists
        assert caplog.text.count("cannot list the subscriptions") == min(lists, len(codes))

    @live
    async def test_a_list_of_subscriptions_is_not_asked_for_over_a_lost_connection(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        server = Subscribed()

        def silent(command: tp.Command[Any]) -> tp.Response | None:
            return None if isinstance(command, tp.ListSubscriptions) else server.answer(command)

        network = Network(silent, server.answer)
        async with client_of(network, token="t") as client:
            events = client.events()
            await client.subscribe("missions")
            await client.request(tp.Authenticate(token="t"))
            await until(lambda: tp.ListSubscriptions() in network.now.commands)
            network.now.feed(None)
            assert (await next_of(events, tp.Reconnected)).lost == ("missions",)
            assert tp.ListSubscriptions() not in network.now.commands
        assert "cannot list" not in caplog.text


class TestStreamsOfASubscription:
    @live
    async def test_streams_of_one_topic_share_a_subscription(self) -> None:
        server = Subscribed()
        network = Network(server.answer)
        async with client_of(network) as client:
            async with client.subscription("missions") as first:
                async with client.subscription("missions") as second:
                    network.now.feed(CODEC.encode(STARTED))
                    assert await soon(anext(first)) == STARTED
                    assert await soon(anext(second)) == STARTED
                assert server.topics == {"missions": None}
                network.now.feed(CODEC.encode(STARTED))
                assert await soon(anext(first)) == STARTED
                with pytest.raises(StopAsyncIteration):
                    await anext(second)
            assert server.topics == {}
            assert network.now.commands == [
                tp.Subscribe(topic="missions"),
                tp.Unsubscribe(topic="missions"),
            ]

    @live
    async def test_streams_of_one_topic_in_two_spellings_share_a_subscription(self) -> None:
        mission_id = UUID(UPPER)
        server = Subscribed()
        network = Network(server.answer)
        async with client_of(network) as client:
            async with (
                client.subscription(f"missions/{UPPER}") as first,
                client.subscription(tp.topics.mission(mission_id)) as second,
            ):
                assert list(server.topics) == [tp.topics.mission(mission_id)]
                started = tp.MissionStarted(mission_id=mission_id)
                network.now.feed(CODEC.encode(started))
                assert await soon(anext(first)) == await soon(anext(second)) == started
            assert server.topics == {}

    @live
    async def test_streams_of_one_topic_apply_their_own_filters(self) -> None:
        failed = tp.MissionFailed(mission_id=MISSION, error="")
        elsewhere = tp.MissionStarted(mission_id=OTHER)
        server = make_server()
        async with serving(server) as url, tp.connect(url, token=TOKEN) as client:
            only_failed = tp.SubscriptionFilters(mission_id=MISSION, event_types=("failed",))
            only_started = tp.SubscriptionFilters(event_types=("mission.started",))
            async with (
                client.subscription("missions", filters=only_failed) as failures,
                client.subscription("missions", filters=only_started) as starts,
            ):
                for event in (STARTED, failed, elsewhere):
                    server.publish(event)
                assert server.publish(tp.MissionCreated(mission_id=MISSION, name="")) == 0
                assert await soon(anext(failures)) == failed
                assert [await soon(anext(starts)) for _ in range(2)] == [STARTED, elsewhere]

    @live
    async def test_streams_of_one_topic_subscribe_with_filters_that_cover_all(self) -> None:
        filters = tp.SubscriptionFilters
        server = Subscribed()
        network = Network(server.answer)
        async with client_of(network) as client:
            one = filters(mission_id=MISSION, event_types=("failed",))
            two = filters(mission_id=MISSION, event_types=("started", "failed"))
            async with client.subscription("missions", filters=one):
                async with client.subscription("missions", filters=two):
                    both = filters(mission_id=MISSION, event_types=("failed", "started"))
                    assert server.topics == {"missions": both}
                    async with client.subscription("missions", filters=filters(mission_id=OTHER)):
                        assert server.topics == {"missions": None}
                    await until(lambda: server.topics == {"missions": both})
                assert server.topics == {"missions": one}
            assert server.topics == {}

    @live
    async def test_a_stream_and_subscribe_do_not_end_each_other(self) -> None:
        server = Subscribed()
        network = Network(server.answer)
        async with client_of(network) as client:
            await client.subscribe("missions")
            async with client.subscription("missions"):
                await client.unsubscribe("missions")
                with pytest.raises(tp.RemoteError, match="not_found"):
                    await client.unsubscribe("missions")
                assert server.topics == {"missions": None}
                await client.subscribe("missions")
            assert server.topics == {"missions": None}
            await client.unsubscribe("missions")
            assert server.topics == {}

    @live
    async def test_streams_survive_a_reconnect_with_notices_of_their_topic(self) -> None:
        server = Subscribed()
        network = Network(server.answer)
        async with client_of(network) as client:
            await client.subscribe("system")
            async with client.subscription("missions") as events:
                network.now.feed(None)
                assert isinstance(await soon(anext(events)), tp.Disconnected)
                assert await soon(anext(events)) == tp.Reconnected(1, lost=("missions",))
                network.now.feed(CODEC.encode(STARTED))
                assert await soon(anext(events)) == STARTED

    @pytest.mark.parametrize(
        "refusal", [tp.ErrorResponse.not_found("topic"), tp.AckResponse.failure("no")]
    )
    @live
    async def test_a_refused_stream_leaves_no_subscription(self, refusal: tp.Response) -> None:
        network = Network(lambda _: refusal, agree)
        async with client_of(network) as client:
            with pytest.raises(tp.RemoteError):
                async with client.subscription("missions"):
                    pytest.fail("it is not entered")
            network.now.feed(None)
            await until(lambda: len(network.opened) == 2)
            await client.request(tp.Ping())
            assert network.now.commands == [tp.Ping()]

    @live
    async def test_a_stream_can_end_without_a_connection(self) -> None:
        network = Network(agree, OSError("no route"))
        async with client_of(network) as client, client.subscription("missions"):
            network.now.feed(None)
            await until(lambda: client.state == "reconnecting")

    @live
    async def test_a_stream_that_ends_while_another_begins_is_not_asked_for(self) -> None:
        started = tp.SubscriptionFilters(event_types=("started",))
        server = Subscribed()
        network = Network(server.answer)
        async with client_of(network) as client:
            wide = client.subscription("missions")
            narrow = client.subscription("missions", filters=started)
            await wide.__aenter__()
            server.topics.clear()
            network.now.feed(None)
            await until(lambda: client.state == "reconnecting")
            entering = asyncio.create_task(narrow.__aenter__())
            await asyncio.sleep(0)
            await wide.__aexit__(None, None, None)
            await soon(entering)
            await until(lambda: server.topics == {"missions": started})
            await narrow.__aexit__(None, None, None)
            assert server.topics == {}

    @live
    async def test_streams_of_a_topic_end_with_the_client(self) -> None:
        network = Network()
        async with client_of(network) as client, client.subscription("missions") as events:
            await client.close()
            with pytest.raises(StopAsyncIteration):
                await soon(anext(events))

    @pytest.mark.parametrize("topic", ["deploys", f"deploys/{MISSION}", f"deploys/{UPPER}"])
    @live
    async def test_a_stream_of_an_unknown_topic_yields_unknown_events(self, topic: str) -> None:
        ids = topic.partition("/")[2].lower() or str(OTHER)
        frame = (
            '{"id":"00000000-0000-4000-8000-000000000001","type":"event.deploy",'
            '"timestamp":"2026-01-01T00:00:00Z","payload":{"category":"deploy",'
            f'"event":"begun","deploy_id":"{ids}"}}}}'
        )
        network = Network()
        async with (
            client_of(network) as client,
            client.subscription(topic) as events,
            client.subscription("missions") as missions,
            client.subscription(f"deploys/{UUID(int=77)}") as others,
        ):
            network.now.feed(frame, CODEC.encode(STARTED))
            assert await soon(anext(missions)) == STARTED
            event = await soon(anext(events))
            assert isinstance(event, tp.UnknownEvent)
            assert event.category == "deploy"
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(anext(others), 0.01)

    @pytest.mark.parametrize(
        ("topic", "filters", "comes"),
        [
            ("missions", None, True),
            ("missions", tp.SubscriptionFilters(mission_id=MISSION), True),
            ("missions", tp.SubscriptionFilters(mission_id=OTHER), False),
            ("missions", tp.SubscriptionFilters(session_id=MISSION), False),
            ("missions", tp.SubscriptionFilters(event_types=("archived",)), True),
            ("missions", tp.SubscriptionFilters(event_types=("mission.archived",)), True),
            ("missions", tp.SubscriptionFilters(event_types=("started",)), False),
            (f"missions/{MISSION}", None, True),
            (f"missions/{OTHER}", None, False),
            ("system", None, False),
            ("deploys", None, False),
        ],
    )
    @live
    async def test_a_stream_yields_unknown_events_of_a_known_category(
        self, topic: str, filters: tp.SubscriptionFilters | None, comes: bool
    ) -> None:
        frame = (
            '{"id":"00000000-0000-4000-8000-000000000001","type":"event.mission",'
            '"timestamp":"2026-01-01T00:00:00Z","payload":{"category":"mission",'
            f'"event":"archived","mission_id":"{str(MISSION).upper()}"}}}}'
        )
        network = Network()
        async with (
            client_of(network) as client,
            client.subscription(topic, filters=filters) as events,
        ):
            all_events = client.events()
            network.now.feed(frame)
            event = await soon(anext(all_events))
            assert isinstance(event, tp.UnknownEvent)
            if comes:
                assert await soon(anext(events)) == event
            else:
                with pytest.raises(TimeoutError):
                    await asyncio.wait_for(anext(events), 0.01)

    @pytest.mark.parametrize(
        ("topic", "value", "comes"),
        [
            ("deploys/7", "7", True),
            ("deploys/8", "7", False),
            ("deploys/1", "true", False),
            ("deploys/7", "7.5", False),
            ("deploys/None", "null", False),
            ("deploys/eu", '"eu/west"', True),
            ("deploys/eu", '"europe"', False),
        ],
    )
    @live
    async def test_a_stream_yields_unknown_events_by_the_texts_that_a_key_can_have(
        self, topic: str, value: str, comes: bool
    ) -> None:
        frame = (
            '{"id":"00000000-0000-4000-8000-000000000001","type":"event.deploy",'
            '"timestamp":"2026-01-01T00:00:00Z","payload":{"category":"deploy",'
            f'"event":"begun","deploy_id":{value}}}}}'
        )
        network = Network()
        async with client_of(network) as client, client.subscription(topic) as events:
            all_events = client.events()
            network.now.feed(frame)
            event = await soon(anext(all_events))
            assert isinstance(event, tp.UnknownEvent)
            if comes:
                assert await soon(anext(events)) == event
            else:
                with pytest.raises(TimeoutError):
                    await asyncio.wait_for(anext(events), 0.01)

    @live
    async def test_a_stream_yields_no_events_that_have_no_topic(self) -> None:
        nameless = tp.Category("probe")
        nameless.event("probed")(Probed)
        codec = tp.Codec(tp.Registry([nameless]))
        network = Network()
        async with (
            client_of(network, codec=codec) as client,
            client.subscription("missions") as missions,
        ):
            all_events = client.events()
            unknown = '{"id":"00000000-0000-4000-8000-000000000001","type":"later"'
            unknown += ',"timestamp":"2026-01-01T00:00:00Z","payload":{}}'
            network.now.feed(codec.encode(Probed()), unknown, CODEC.encode(STARTED))
            assert await soon(anext(all_events)) == Probed()
            assert await soon(anext(missions)) == STARTED
