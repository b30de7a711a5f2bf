"""Resuming: what is published while a client has no connection comes later, or is told as lost."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import suppress
from math import inf
from typing import Any, Final
from uuid import UUID

import pytest
from hypothesis import given, settings, strategies as st
from support.live import (
    MISSION,
    OPEN,
    current_connection,
    cut,
    free_port,
    live,
    make_server,
    next_of,
    serving,
    soon,
    until,
)
from support.logs import LogServer, passes
from support.network import CODEC

import tachikoma_proto as tp
from tachikoma_proto.client.positions import Positions, in_order

OTHER = UUID(int=8)
MINE, THEIRS = tp.topics.mission(MISSION), tp.topics.mission(OTHER)
AGAIN = tp.Reconnected(attempts=1)
LOST = tp.Reconnected(attempts=1, lost=("missions",))
QUICK = tp.ClientConfig(backoff_base=0.01, backoff_max=0.05)


def created(name: str, mission_id: UUID = MISSION) -> tp.MissionCreated:
    return tp.MissionCreated(mission_id=mission_id, name=name)


def client_of(server: LogServer, **changes: Any) -> tp.Client:
    settings = {"backoff_base": 0.01, "backoff_max": 0.01, "ping_interval": None, **changes}
    token = settings.pop("token", None)
    config = tp.ClientConfig(close_timeout=0.2, open_timeout=3.0, request_timeout=0.5, **settings)
    return tp.Client(server.open, token=token, config=config)


async def taken(events: AsyncIterator[object], count: int) -> list[Any]:
    """The next events, each by its name, without the losses of connections."""
    found: list[Any] = []
    while len(found) < count:
        event = await soon(anext(events))
        if not isinstance(event, tp.Disconnected):
            found.append(event.name if isinstance(event, tp.MissionCreated) else event)
    return found


async def nothing_comes(events: AsyncIterator[object]) -> bool:
    try:
        await asyncio.wait_for(anext(events), 0.05)
    except TimeoutError:
        return True
    return False


async def reconnected(server: LogServer, client: tp.Client) -> None:
    """Cut the connection, and wait for the next."""
    count = len(server.opened)
    server.cut()
    await until(lambda: len(server.opened) > count and client.state == "connected")


class TestResuming:
    @live
    async def test_events_published_without_a_connection_come_after_the_reconnect(self) -> None:
        server = LogServer()
        async with (
            client_of(server) as client,
            client.subscription("missions", resume=True) as events,
        ):
            server.publish(created("before"))
            assert await taken(events, 1) == ["before"]
            server.cut()
            server.publish(created("meanwhile"), created("and then"))
            assert isinstance(await soon(anext(events)), tp.Disconnected)
            assert await taken(events, 3) == [AGAIN, "meanwhile", "and then"]
            server.publish(created("after"))
            assert await taken(events, 1) == ["after"]

    @live
    async def test_events_that_are_not_asked_for_again_are_lost_and_said_to_be(self) -> None:
        server = LogServer()
        async with client_of(server) as client, client.subscription("missions") as events:
            assert server.subscribed == [tp.Subscribe(topic="missions")]
            server.cut()
            server.publish(created("meanwhile"))
            assert await taken(events, 1) == [LOST]
            assert server.subscribed == [tp.Subscribe(topic="missions")]
            assert await nothing_comes(events)

    @pytest.mark.parametrize("moved_by", ["ack", "event", "position"])
    @live
    async def test_a_subscription_resumes_from_its_last_position(self, moved_by: str) -> None:
        server = LogServer()
        server.publish(created("long ago"))
        failures = tp.SubscriptionFilters(event_types=("failed",))
        failure = tp.MissionFailed(mission_id=MISSION, error="")
        async with client_of(server) as client:
            ack = await client.subscribe("missions", filters=failures, resume=True)
            assert ack == tp.AckResponse(success=True, position=server.at(1))
            assert server.subscribed == [
                tp.Subscribe(topic="missions", filters=failures, resume=True)
            ]
            events = client.events()
            if moved_by == "event":
                server.publish(failure)
                assert await soon(anext(events)) == failure
            elif moved_by == "position":
                server.publish(created("filtered out"))
                server.send_position()
                await client.request(tp.Ping())
            server.cut()
            assert await taken(events, 1) == [AGAIN]
            position = server.at(1 if moved_by == "ack" else 2)
            assert server.subscribed == [
                tp.Subscribe(topic="missions", filters=failures, resume=True, since=position)
            ]

    @live
    async def test_a_subscription_made_by_subscribe_resumes_too(self) -> None:
        server = LogServer()
        async with client_of(server) as client:
            events = client.events(tp.MissionCreated)
            await client.subscribe("missions", resume=True)
            server.cut()
            server.publish(created("meanwhile"))
            assert await taken(events, 2) == [AGAIN, "meanwhile"]

    @live
    async def test_events_that_nobody_here_knows_count_as_others_do(self) -> None:
        server = LogServer()
        async with (
            client_of(server) as client,
            client.subscription("missions", resume=True) as events,
        ):
            for _ in range(2):
                unknown = CODEC.encode_message(
                    tp.OutgoingMessage(
                        type="event.mission", payload=created(""), position=server.at(1)
                    )
                ).replace('"created"', '"cloned"')
                server.now.feed(unknown)
            assert isinstance(await soon(anext(events)), tp.UnknownEvent)
            assert await nothing_comes(events), "it comes once"
            server.cut()
            await next_of(events, tp.Reconnected)
            (subscribe,) = server.subscribed
            assert subscribe.since == server.at(1)


class TestTheOrder:
    @live
    async def test_events_of_several_topics_come_in_the_order_of_their_log(self) -> None:
        server = LogServer()
        async with client_of(server) as client:
            events = client.events()
            await client.subscribe(MINE, resume=True)
            await client.subscribe(THEIRS, resume=True)
            server.cut()
            server.publish(created("1"), created("2", OTHER), created("3"), created("4", OTHER))
            server.meanwhile.extend([lambda: None, lambda: server.publish(created("5"))])
            # What the server sends: 1 and 3 for the first topic, 5 as it happens, then 2 and 4.
            assert await taken(events, 6) == [AGAIN, "1", "2", "3", "4", "5"]

    @live
    async def test_events_that_match_several_topics_come_once(self) -> None:
        server = LogServer()
        async with client_of(server) as client:
            events = client.events()
            await client.subscribe("missions", resume=True)
            await client.subscribe(MINE, resume=True)
            server.cut()
            server.publish(created("1"), created("2", OTHER))
            twice = CODEC.encode_message(
                tp.OutgoingMessage(
                    type="event.mission", payload=created("1"), position=server.at(1)
                )
            )
            server.meanwhile.extend([lambda: None, lambda: server.now.feed(twice)])
            assert await taken(events, 3) == [AGAIN, "1", "2"]
            assert await nothing_comes(events)

    @live
    async def test_all_topics_of_a_log_tell_their_positions_where_one_resumes(self) -> None:
        server = LogServer()
        async with client_of(server) as client:
            events = client.events()
            await client.subscribe("missions")
            await client.subscribe("system")
            await client.subscribe(MINE, resume=True)
            server.cut()
            server.publish(created("1"))
            server.meanwhile.extend(
                [lambda: None, lambda: server.publish(created("2", OTHER)), lambda: None]
            )
            again = tp.Reconnected(attempts=1, lost=("missions", "system"))
            assert await taken(events, 3) == [again, "1", "2"]
            assert server.subscribed == [
                tp.Subscribe(topic="missions", resume=True),
                tp.Subscribe(topic="system"),
                tp.Subscribe(topic=MINE, resume=True, since=server.at(0)),
            ]

    def test_events_keep_the_places_of_their_log_among_the_others(self) -> None:
        def message(topic: str, offset: int) -> tp.OutgoingMessage[Any]:
            position = tp.Position(topic=topic, epoch="e", offset=offset) if topic else None
            return tp.OutgoingMessage(type=f"{topic}{offset}", payload=None, position=position)

        came = [("a", 3), ("b", 7), ("", 0), ("a", 1), ("b", 6), ("a", 2), ("", 1)]
        ordered = in_order([message(*one) for one in came])
        assert [one.type for one in ordered] == ["a1", "b6", "0", "a2", "b7", "a3", "1"]

    def test_a_position_never_goes_back_within_an_epoch(self) -> None:
        positions = Positions()

        def at(epoch: str, offset: int) -> tp.Position:
            return tp.Position(topic="missions", epoch=epoch, offset=offset)

        for position, latest in [
            (at("a", 5), at("a", 5)),
            (at("a", 4), at("a", 5)),
            (at("b", 1), at("b", 1)),
            (at("b", 2), at("b", 2)),
        ]:
            positions.move(position)
            assert positions.of("missions") == latest
        assert positions.has(at("b", 2))
        assert positions.has(at("a", 2))
        assert positions.of("system") is None


class TestWhatIsLost:
    @pytest.mark.parametrize("loss", ["trimmed", "begun anew"])
    @live
    async def test_a_server_that_cannot_resume_is_told_of_and_resumed_from_there(
        self, loss: str
    ) -> None:
        server = LogServer()
        async with (
            client_of(server) as client,
            client.subscription("missions", resume=True) as events,
        ):
            for number in range(3):
                server.publish(created(f"before {number}"))
            await taken(events, 3)
            server.cut()
            server.publish(created("meanwhile"))
            server.trim() if loss == "trimmed" else server.begin_anew()
            assert await taken(events, 1) == [LOST]
            server.publish(created("after"))
            assert await taken(events, 1) == ["after"]
            server.cut()
            server.publish(created("then"))
            assert await taken(events, 2) == [AGAIN, "then"]

    @live
    async def test_a_server_that_claims_to_resume_another_life_of_the_log_is_not_believed(
        self,
    ) -> None:
        server = LogServer()
        async with (
            client_of(server) as client,
            client.subscription("missions", resume=True) as events,
        ):
            server.cut()
            server.begin_anew()
            answer = server.answer

            def claiming(command: tp.Command[Any]) -> tp.Response | None:
                response = answer(command)
                if isinstance(response, tp.AckResponse):
                    return tp.AckResponse(success=True, position=response.position, recovered=True)
                return response

            server.answer = claiming  # type: ignore[method-assign]
            assert await taken(events, 1) == [LOST]

    @live
    async def test_a_server_without_the_feature_is_asked_no_more_of_it(self) -> None:
        server = LogServer()
        server.knows_positions = False
        async with (
            client_of(server) as client,
            client.subscription("missions", resume=True) as events,
        ):
            for _ in range(2):
                server.cut()
                assert await taken(events, 1) == [LOST]
                assert server.subscribed == [tp.Subscribe(topic="missions", resume=True)]
            server.knows_positions = True
            server.cut()
            assert await taken(events, 1) == [LOST]
            server.cut()
            server.publish(created("meanwhile"))
            assert await taken(events, 2) == [AGAIN, "meanwhile"]

    @live
    async def test_a_server_that_loses_the_feature_is_not_asked_from_an_old_position(self) -> None:
        server = LogServer()
        async with (
            client_of(server) as client,
            client.subscription("missions", resume=True) as events,
        ):
            server.knows_positions = False
            server.cut()
            assert await taken(events, 1) == [LOST]
            server.publish(created("without a position"))
            assert await taken(events, 1) == ["without a position"]
            server.knows_positions = True
            server.cut()
            assert await taken(events, 1) == [LOST]
            assert await nothing_comes(events), "it was there before"

    @live
    async def test_a_server_that_forbids_what_it_does_not_know_is_asked_without(self) -> None:
        server = LogServer()
        server.is_strict = True
        plain, resuming = (tp.Subscribe(topic="missions", resume=one) for one in (None, True))
        async with (
            client_of(server) as client,
            client.subscription("missions", resume=True) as events,
        ):
            assert server.subscribed == [resuming, plain]
            server.publish(created("before"))
            assert await taken(events, 1) == ["before"]
            server.cut()
            assert await taken(events, 1) == [LOST]
            server.is_strict = False
            server.cut()
            assert await taken(events, 1) == [LOST]
            server.is_strict = True
            server.cut()
            assert await taken(events, 1) == [LOST]
            assert [one.resume for one in server.subscribed] == [True, None]
            async with client.subscription("missions", resume=True):
                assert len(server.subscribed) == 2, "the server has it, as far as it can"

    @live
    async def test_an_invalid_subscription_is_refused_as_ever(self) -> None:
        server = LogServer()
        async with client_of(server) as client:
            server.faults.extend(["invalid_message", "invalid_message"])
            with pytest.raises(tp.RemoteError, match="invalid_message"):
                await client.subscribe("missions", resume=True)
            server.faults.append("invalid_message")
            with pytest.raises(tp.RemoteError, match="invalid_message"):
                await client.subscribe("missions")
            assert [one.resume for one in server.subscribed] == [True, None, None]

    @live
    async def test_more_events_than_there_is_room_for_are_told_as_lost(self) -> None:
        server = LogServer()
        async with (
            client_of(server, max_events=3) as client,
            client.subscription("missions", resume=True) as events,
        ):
            server.cut()
            server.publish(*(created(f"{number}") for number in range(5)))
            assert await taken(events, 5) == [LOST, "0", "1", "2", tp.EventsMissed(count=2)]
            server.cut()
            server.publish(created("then"))
            assert await taken(events, 2) == [AGAIN, "then"]

    @live
    async def test_a_log_that_begins_anew_under_a_connection_is_told(self) -> None:
        server = LogServer()
        only = tp.SubscriptionFilters(event_types=("created",))
        async with (
            client_of(server) as client,
            client.subscription("missions", filters=only, resume=True) as events,
        ):
            server.publish(created("before"))
            assert await taken(events, 1) == ["before"]
            server.begin_anew()
            async with client.subscription("missions", resume=True):
                assert await taken(events, 1) == [tp.SubscriptionRestored("missions")]
            server.begin_anew()
            server.publish(created("in the third life"))
            assert await taken(events, 1) == ["in the third life"]
            server.cut()
            assert await taken(events, 1) == [LOST]


class TestAttempts:
    @live
    async def test_an_attempt_that_breaks_leaves_the_position_where_it_was(self) -> None:
        server = LogServer()
        async with client_of(server) as client:
            events = client.events()
            await client.subscribe(MINE, resume=True)
            await client.subscribe(THEIRS, resume=True)
            server.cut()
            server.publish(created("1"), created("2", OTHER), created("3"))
            server.faults.extend(["", "hang up", "hang up"])
            assert await taken(events, 4) == [tp.Reconnected(3), "1", "2", "3"]
            assert {one.since for one in server.subscribed} == {server.at(0)}

    @pytest.mark.parametrize("turns", range(6))
    @live
    async def test_a_connection_that_ends_as_it_becomes_ready_leaves_no_hole(
        self, turns: int
    ) -> None:
        server = LogServer()

        async def cut_soon() -> None:
            for _ in range(turns):
                await asyncio.sleep(0)
            server.cut()

        async with (
            client_of(server) as client,
            client.subscription("missions", resume=True) as events,
        ):
            server.meanwhile.append(lambda: cutting.append(asyncio.create_task(cut_soon())))
            cutting: list[asyncio.Task[None]] = []
            server.cut()
            server.publish(created("1"))
            await until(lambda: len(server.opened) == 3 and client.state == "connected")
            server.publish(created("2"))
            found: list[Any] = []
            while found[-1:] != ["2"]:
                found += await taken(events, 1)
            assert [one for one in found if isinstance(one, str)] == ["1", "2"]
            assert not any(one.lost for one in found if isinstance(one, tp.Reconnected))

    @pytest.mark.parametrize("code", ["rate_limited", "internal_error"])
    @live
    async def test_a_topic_that_fails_for_a_moment_is_resumed_nevertheless(self, code: str) -> None:
        server = LogServer()
        async with client_of(server) as client:
            events = client.events()
            await client.subscribe(MINE, resume=True)
            await client.subscribe(THEIRS, resume=True)
            server.cut()
            server.publish(created("1"), created("2", OTHER), created("3"))
            server.faults.extend([code, "", code])
            assert await taken(events, 4) == [AGAIN, "1", "2", "3"]
            assert [(one.topic, one.since) for one in server.subscribed] == [
                (MINE, server.at(0)),
                (THEIRS, server.at(0)),
                (MINE, server.at(0)),
                (MINE, server.at(0)),
            ]

    @live
    async def test_a_topic_that_keeps_failing_is_lost_and_told_when_it_is_back(self) -> None:
        server = LogServer()
        async with client_of(server) as client:
            events = client.events()
            await client.subscribe(MINE, resume=True)
            server.cut()
            server.publish(created("1"))
            server.faults.extend(["internal_error"] * 6)
            assert await taken(events, 2) == [
                tp.Reconnected(1, lost=(MINE,)),
                tp.SubscriptionRestored(MINE),
            ]
            assert server.subscribed[-1].since is None, "its events would come out of order"
            server.cut()
            server.publish(created("2"))
            assert await taken(events, 2) == [AGAIN, "2"]

    @live
    async def test_a_topic_that_is_refused_resumes_with_the_next_connection(self) -> None:
        server = LogServer()
        async with client_of(server) as client:
            events = client.events()
            await client.subscribe("missions", resume=True)
            server.cut()
            server.publish(created("1"))
            server.faults.append("not_found")
            refused = tp.Reconnected(1, lost=("missions",), refused=("missions",))
            assert await taken(events, 1) == [refused]
            server.cut()
            server.publish(created("2"))
            assert await taken(events, 3) == [AGAIN, "1", "2"]

    @live
    async def test_a_refused_topic_does_not_resume_once_others_went_on(self) -> None:
        server = LogServer()
        async with client_of(server) as client:
            events = client.events()
            await client.subscribe(MINE, resume=True)
            await client.subscribe(THEIRS, resume=True)
            server.cut()
            server.publish(created("1"), created("2", OTHER))
            server.faults.append("permission_denied")
            refused = tp.Reconnected(1, lost=(MINE,), refused=(MINE,))
            assert await taken(events, 2) == [refused, "2"]
            server.cut()
            server.publish(created("3"), created("4", OTHER))
            assert await taken(events, 2) == [tp.Reconnected(1, lost=(MINE,)), "4"]

    @live
    async def test_a_process_that_lags_sends_nothing_twice(self) -> None:
        server = LogServer()
        async with client_of(server) as client:
            events = client.events()
            await client.subscribe("missions", resume=True)
            server.publish(created("1"), created("2"))
            assert await taken(events, 2) == ["1", "2"]
            server.lag = 2
            server.cut()
            assert await taken(events, 1) == [LOST], "it cannot know what it has not seen"
            async with client.subscription(MINE, resume=True) as mine:
                server.catch_up()
                server.publish(created("3"))
                assert await taken(events, 1) == ["3"]
                assert await taken(mine, 1) == ["3"]


class TestSeveralSubscriptions:
    @live
    async def test_streams_of_a_topic_resume_together_if_one_of_them_wants_to(self) -> None:
        server = LogServer()
        async with (
            client_of(server) as client,
            client.subscription("missions") as first,
            client.subscription("missions", resume=True) as second,
        ):
            async with client.subscription("missions", resume=True):
                assert server.subscribed == [
                    tp.Subscribe(topic="missions"),
                    tp.Subscribe(topic="missions", resume=True),
                ]
            server.cut()
            server.publish(created("meanwhile"))
            assert await taken(first, 2) == await taken(second, 2) == [AGAIN, "meanwhile"]

    @live
    async def test_a_topic_that_nobody_wants_to_resume_any_more_does_not(self) -> None:
        server = LogServer()
        async with client_of(server) as client, client.subscription("missions") as events:
            async with client.subscription("missions", resume=True):
                pass
            assert [one.resume for one in server.subscribed] == [None, True]
            server.cut()
            assert await taken(events, 1) == [LOST]
            assert server.subscribed == [tp.Subscribe(topic="missions")]

    @live
    async def test_subscriptions_with_different_starts_resume_from_where_both_are(self) -> None:
        server = LogServer()
        async with client_of(server) as client:
            events = client.events()
            await client.subscribe(MINE, resume=True)
            server.publish(created("1"), created("2", OTHER))
            await client.subscribe(THEIRS, resume=True)
            assert await taken(events, 1) == ["1"]
            server.cut()
            server.publish(created("3"), created("4", OTHER))
            assert await taken(events, 3) == [AGAIN, "3", "4"]
            assert {one.since for one in server.subscribed} == {server.at(2)}

    @live
    async def test_a_subscription_that_changes_its_filters_resumes_from_there(self) -> None:
        server = LogServer()
        failures = tp.SubscriptionFilters(event_types=("failed",))
        async with client_of(server) as client:
            events = client.events()
            await client.subscribe("missions", filters=failures, resume=True)
            server.publish(created("filtered out"))
            await client.subscribe("missions", resume=True)
            server.cut()
            server.publish(created("meanwhile"))
            assert await taken(events, 2) == [AGAIN, "meanwhile"]
            assert server.subscribed[-1].since == server.at(1)

    @live
    async def test_a_subscription_that_is_made_anew_starts_anew(self) -> None:
        server = LogServer()
        async with client_of(server) as client:
            events = client.events()
            await client.subscribe("missions", resume=True)
            server.publish(created("1"))
            await client.unsubscribe("missions")
            server.publish(created("2"))
            await client.subscribe("missions", resume=True)
            server.cut()
            server.publish(created("3"))
            assert await taken(events, 3) == ["1", AGAIN, "3"]

    @live
    async def test_a_subscription_that_is_made_after_a_reconnect_resumes_at_the_next(self) -> None:
        server = LogServer()
        async with client_of(server) as client:
            events = client.events()
            await reconnected(server, client)
            await client.subscribe("missions", resume=True)
            server.publish(created("1"))
            server.cut()
            server.publish(created("2"))
            assert await taken(events, 4) == [AGAIN, "1", AGAIN, "2"]


class TestAFreshToken:
    """A server may end subscriptions when a token permits less, and says so only if asked."""

    @live
    async def test_a_subscription_that_outlives_a_fresh_token_resumes(self) -> None:
        server = LogServer()
        async with client_of(server, token="t") as client:
            events = client.events()
            await client.subscribe("missions", resume=True)
            await client.request(tp.Authenticate(token="t"))
            await until(lambda: tp.ListSubscriptions() in server.now.commands)
            await client.request(tp.Ping())
            server.cut()
            server.publish(created("meanwhile"))
            assert await taken(events, 2) == [AGAIN, "meanwhile"]

    @live
    async def test_a_subscription_that_a_fresh_token_may_have_ended_does_not_resume(self) -> None:
        server = LogServer()
        async with client_of(server, token="t") as client:
            events = client.events()
            await client.subscribe(MINE, resume=True)
            await client.subscribe(THEIRS, resume=True)
            answer = server.answer

            def ending(command: tp.Command[Any]) -> tp.Response | None:
                if isinstance(command, tp.Authenticate) and len(server.opened) == 1:
                    del server.subscriptions[MINE]
                return None if isinstance(command, tp.ListSubscriptions) else answer(command)

            server.now._answer = ending
            await client.request(tp.Authenticate(token="t"))
            server.publish(created("1"), created("2", OTHER))
            assert await taken(events, 1) == ["2"]
            server.cut()
            assert await taken(events, 1) == [tp.Reconnected(1, lost=(MINE, THEIRS))]

    @live
    async def test_a_subscription_that_a_fresh_token_has_ended_does_not_resume(self) -> None:
        server = LogServer()
        async with client_of(server, token="t") as client:
            events = client.events()
            await client.subscribe(MINE, resume=True)
            await client.subscribe(THEIRS, resume=True)
            del server.subscriptions[MINE]
            server.faults.append("permission_denied")
            await client.request(tp.Authenticate(token="t"))
            assert await taken(events, 1) == [tp.SubscriptionLost(MINE, "permission_denied", "")]
            server.publish(created("1"), created("2", OTHER))
            assert await taken(events, 1) == ["2"]
            server.cut()
            server.publish(created("3"), created("4", OTHER))
            assert await taken(events, 2) == [tp.Reconnected(1, lost=(MINE,)), "4"]

    @live
    async def test_a_subscription_that_is_back_just_as_the_connection_breaks_is_told_of(
        self,
    ) -> None:
        server = LogServer()
        async with client_of(server, token="t") as client:
            events = client.events()
            await client.subscribe(MINE, resume=True)
            del server.subscriptions[MINE]
            send = server.now.send

            async def breaking(text: str) -> None:
                await send(text)
                if isinstance(server.now.commands[-1], tp.Subscribe):
                    server.subscriptions = {}
                    raise OSError("the connection breaks")

            server.meanwhile.append(lambda: server.publish(created("in the hole")))
            server.now.send = breaking  # type: ignore[method-assign]
            await client.request(tp.Authenticate(token="t"))
            assert await taken(events, 2) == [tp.SubscriptionRestored(MINE), AGAIN]
            server.publish(created("after"))
            assert await taken(events, 1) == ["after"]

    @live
    async def test_a_subscription_after_a_fresh_token_needs_no_proof(self) -> None:
        server = LogServer()
        async with client_of(server, token="t") as client:
            events = client.events()
            await client.request(tp.Authenticate(token="t"))
            await client.subscribe("missions", resume=True)
            assert current_connection(client).authentications == 2
            server.cut()
            server.publish(created("meanwhile"))
            assert await taken(events, 2) == [AGAIN, "meanwhile"]


class TestServers:
    """The same with servers on real sockets."""

    @live
    async def test_a_client_moves_between_two_processes_and_misses_nothing(self) -> None:
        broker, port = tp.MemoryBroker(), free_port()
        first, second = (make_server(config=OPEN, broker=broker) for _ in range(2))
        config = tp.ClientConfig(backoff_base=0.05, backoff_max=0.05)
        async with second:
            async with serving(first, port) as url:
                client = await tp.connect(url, config=config).__aenter__()
                block = client.subscription(MINE, resume=True)
                events = await block.__aenter__()
                second.publish(created("1"))
                assert await taken(events, 1) == ["1"]
            second.publish(created("2"))
            second.publish(created("3", OTHER))
            second.publish(created("4"))
            async with serving(second, port):
                found = await taken(events, 3)
                assert isinstance(found[0], tp.Reconnected)
                assert (found[0].lost, found[1:]) == ((), ["2", "4"])
                await block.__aexit__(None, None, None)
                await client.close()

    @live
    async def test_a_client_of_a_server_that_begins_anew_is_told_so(self) -> None:
        port = free_port()
        async with serving(make_server(config=OPEN), port) as url:
            client = await tp.connect(url, config=QUICK).__aenter__()
            events = client.events()
            await client.subscribe("missions", resume=True)
        server = make_server(config=OPEN)
        async with serving(server, port):
            assert (await next_of(events, tp.Reconnected)).lost == ("missions",)
            server.publish(created("1"))
            assert await taken(events, 1) == ["1"]
            cut(client)
            await until(lambda: client.state != "connected")
            server.publish(created("2"))
            assert await taken(events, 2) == [AGAIN, "2"]
            await client.close()

    @live
    async def test_a_client_whose_filters_let_little_through_resumes_from_a_late_position(
        self,
    ) -> None:
        config = tp.ServerConfig(require_auth=False, history_events=2, position_interval=0.02)
        server = make_server(config=config)
        failures = tp.SubscriptionFilters(event_types=("failed",))
        async with (
            serving(server) as url,
            tp.connect(url, config=QUICK) as client,
            client.subscription("missions", filters=failures, resume=True) as events,
        ):
            for number in range(10):
                server.publish(created(f"{number}"))
            await asyncio.sleep(0.1)
            await client.request(tp.GetMissionStatus(mission_id=MISSION))
            cut(client)
            assert await taken(events, 1) == [AGAIN]

    @live
    async def test_snapshots_are_sent_only_where_a_topic_did_not_resume(self) -> None:
        async def snapshot(session: tp.Session, topic: str) -> None:
            session.send(created(f"snapshot of {topic}"))

        server = make_server(config=OPEN, on_subscribe=snapshot)
        async with serving(server) as url, tp.connect(url, config=QUICK) as client:
            events = client.events()
            await client.subscribe("missions", resume=True)
            await client.subscribe("system")
            assert await taken(events, 2) == ["snapshot of missions", "snapshot of system"]
            cut(client)
            await until(lambda: client.state != "connected")
            server.publish(created("1"))
            again = tp.Reconnected(attempts=1, lost=("system",))
            assert await taken(events, 3) == [again, "1", "snapshot of system"]


# Whatever happens, a stream has every event once and in order, or was told that some are missing.

MISSIONS: Final = (MISSION, OTHER)
TOPICS: Final = ("missions", MINE)
FILTERS: Final = (None, tp.SubscriptionFilters(event_types=("created",)))
FAULTS: Final = st.sampled_from(
    ["", "", "internal_error", "rate_limited", "permission_denied", "invalid_message", "hang up"]
)
PUBLISHED: Final = st.lists(st.sampled_from(MISSIONS), min_size=1, max_size=6)
ENTER: Final = st.tuples(
    st.just("enter"), st.sampled_from(TOPICS), st.sampled_from(FILTERS), st.sampled_from([1, 1, 0])
)
STEPS: Final = st.lists(
    st.one_of(
        st.tuples(st.just("publish"), PUBLISHED),
        ENTER,
        st.tuples(st.just("leave"), st.integers(0, 5)),
        st.tuples(st.just("cut"), PUBLISHED, st.lists(FAULTS, max_size=4), st.integers(0, 3)),
        st.tuples(st.just("cut"), PUBLISHED, st.just([]), st.just(0)),
        st.tuples(st.just("publish while it subscribes"), PUBLISHED),
        st.sampled_from(
            [("position",), ("trim",), ("begin anew",), ("forget",), ("forbid",), ("wait",)]
        ),
    ),
    min_size=3,
    max_size=12,
)


class Reader:
    """A stream, with all that came out of it.

    Attributes:
        due: The numbers of the events that have to come, or have to be told as lost.
        came: The numbers of those that came.
        told: What the notices excuse: events after the first number, up to the second.
    """

    def __init__(self, topic: str, filters: tp.SubscriptionFilters | None, block: Any) -> None:
        self.topic, self.filters, self.block = topic, filters, block
        self.due: list[int] = []
        self.came: list[int] = []
        self.told: list[tuple[int, float]] = []

    async def start(self, order: dict[tp.Event, int]) -> None:
        self._events = await self.block.__aenter__()
        self._task = asyncio.create_task(self._take(order))

    async def stop(self) -> None:
        await self.block.__aexit__(None, None, None)
        await self._task

    async def _take(self, order: dict[tp.Event, int]) -> None:
        async for event in self._events:
            if event in order:
                self.came.append(order[event])
            else:
                self._heard(event, len(order))

    def _heard(self, notice: tp.Event, published: int) -> None:
        """Note what a notice excuses: what was published before, or also what follows."""
        latest = self.came[-1] if self.came else 0
        match notice:
            case tp.Reconnected(refused=topics) if self.topic in topics:
                self.told.append((latest, inf))  # until it says otherwise
            case tp.SubscriptionLost(topic=self.topic):
                self.told.append((latest, inf))
            case tp.SubscriptionRestored(topic=self.topic):  # it was away since the notice before
                self.told.append((self.told[-1][0] if self.told else latest, published))
            case tp.Reconnected(lost=topics):
                if self.told and self.told[-1][1] == inf:
                    self.told[-1] = self.told[-1][0], published
                if self.topic in topics:
                    self.told.append((latest, published))
            case tp.EventsMissed():
                self.told.append((latest, published))
            case _:
                pass

    def check(self, *, is_ended: bool) -> None:
        assert self.came == sorted(set(self.came)), "an event came twice, or out of order"
        end = self.due[-1] if not is_ended else self.came[-1] if self.came else 0
        missing = {number for number in self.due if number <= end} - set(self.came)
        for first, last in self.told:
            missing -= {number for number in missing if first < number <= last}
        assert not missing, f"{missing} are missing, and nobody was told"


class History:
    """A client, its readers, and all that was published."""

    def __init__(self, server: LogServer, client: tp.Client) -> None:
        self.server, self.client = server, client
        self.readers: list[Reader] = []
        self.left: list[Reader] = []
        self.order: dict[tp.Event, int] = {}

    def publish(self, mission_ids: list[UUID]) -> None:
        for mission_id in mission_ids:
            number = len(self.order) + 1
            event: tp.Event = created(f"{number}", mission_id)
            if number % 3 == 0:
                event = tp.MissionFailed(mission_id=mission_id, error=f"{number}")
            self.order[event] = number
            for reader in self.readers:
                if passes(event, reader.topic, reader.filters):
                    reader.due.append(number)
            self.server.publish(event)

    async def step(self, step: tuple[Any, ...]) -> None:
        server = self.server
        match step:
            case ("publish", mission_ids):
                self.publish(mission_ids)
            case ("enter", topic, filters, resume):
                block = self.client.subscription(topic, filters=filters, resume=bool(resume))
                reader = Reader(topic, filters, block)
                with suppress(tp.RemoteError, tp.ConnectionLostError, TimeoutError):
                    await reader.start(self.order)
                    self.readers.append(reader)
            case ("leave", number):
                if self.readers:
                    reader = self.readers.pop(number % len(self.readers))
                    await reader.stop()
                    self.left.append(reader)
            case ("cut", mission_ids, faults, lag):
                server.faults = deque(faults)
                server.lag = lag
                server.knows_positions, server.is_strict = True, False
                server.cut()
                self.publish(mission_ids)
                await asyncio.sleep(0.002)
            case ("publish while it subscribes", mission_ids):
                server.meanwhile.append(lambda: self.publish(mission_ids))
            case ("position",):
                server.send_position()
            case ("trim",):
                server.trim()
            case ("begin anew",):
                server.cut()
                server.begin_anew()
            case ("forget",):
                server.knows_positions = False
                server.cut()
            case ("forbid",):
                server.is_strict = True
                server.cut()
            case _:
                await asyncio.sleep(0.01)

    async def end(self) -> None:
        """Let the client find its way, and see that what is published then comes."""
        server = self.server
        server.faults.clear()
        server.meanwhile.clear()
        server.lag = 0
        server.cut()  # what was refused is asked for again
        wanted = {reader.topic for reader in self.readers}
        async with asyncio.timeout(5):
            while self.client.state != "connected" or server.subscriptions.keys() != wanted:
                await asyncio.sleep(0.002)
        server.catch_up()
        await asyncio.sleep(0.005)  # so that the streams have room
        self.publish([*MISSIONS] * 2)
        async with asyncio.timeout(5):
            while not all(reader.due[-1] in reader.came for reader in self.readers):
                await asyncio.sleep(0.002)
        for reader in self.readers:
            reader.check(is_ended=False)
        for reader in self.left:
            reader.check(is_ended=True)
        for reader in self.readers:
            await reader.stop()


async def play(
    first: list[tuple[Any, ...]], steps: list[tuple[Any, ...]], repeats: bool = False
) -> None:
    server = LogServer()
    server.repeats = repeats
    async with client_of(server, backoff_base=0.001, backoff_max=0.002, max_events=8) as client:
        history = History(server, client)
        for step in first + steps:
            await history.step(step)
        await history.end()


@settings(max_examples=100, deadline=None)
@given(st.lists(ENTER, min_size=1, max_size=3), STEPS, st.booleans())
def test_nothing_comes_twice_or_out_of_order_or_is_missing_untold(
    first: list[tuple[Any, ...]], steps: list[tuple[Any, ...]], repeats: bool
) -> None:
    asyncio.run(play(first, steps, repeats))
