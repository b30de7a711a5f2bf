"""The dispatcher: a command goes to its handler, and the handler's reply comes back."""

import asyncio
from collections.abc import Awaitable
from uuid import UUID

import pytest

import tachikoma_proto as tp
from tachikoma_proto.declare.bases import R

MISSION = UUID(int=7)


def run(awaitable: Awaitable[object]) -> object:
    async def main() -> object:
        return await awaitable

    return asyncio.run(main())


def test_dispatch_calls_plain_and_async_handlers() -> None:
    dispatcher: tp.Dispatcher[list[str]] = tp.Dispatcher()

    @dispatcher.handler(tp.StartMission)
    async def start(command: tp.StartMission, seen: list[str]) -> tp.AckResponse:
        await asyncio.sleep(0)
        seen.append(f"start {command.mission_id.int}")
        return tp.AckResponse.ok()

    @dispatcher.handler(tp.ListSubscriptions)
    def subscriptions(_: tp.ListSubscriptions, seen: list[str]) -> tp.SubscriptionListResponse:
        seen.append("list")
        return tp.SubscriptionListResponse(subscriptions=("missions",))

    seen: list[str] = []
    assert (
        run(dispatcher.dispatch(tp.StartMission(mission_id=MISSION), seen)) == tp.AckResponse.ok()
    )
    reply = run(dispatcher.dispatch(tp.ListSubscriptions(), seen))
    assert reply == tp.SubscriptionListResponse(subscriptions=("missions",))
    assert seen == ["start 7", "list"]
    assert dict(dispatcher.handlers) == {
        tp.StartMission: start,
        tp.ListSubscriptions: subscriptions,
    }


def test_an_overridden_call_wraps_every_command() -> None:
    class Noting(tp.Dispatcher[list[str]]):
        def call(self, command: tp.Command[R], context: list[str]) -> R | Awaitable[R]:
            context.append(type(command).__name__)
            return super().call(command, context)

    dispatcher = Noting()

    @dispatcher.handler(tp.Ping)
    def ping(_: tp.Ping, seen: list[str]) -> tp.PongResponse:
        return tp.PongResponse.now()

    seen: list[str] = []
    assert isinstance(run(dispatcher.dispatch(tp.Ping(), seen)), tp.PongResponse)
    assert seen == ["Ping"]


def test_dispatching_a_command_without_a_handler_raises_unknown_message() -> None:
    dispatcher: tp.Dispatcher[None] = tp.Dispatcher()
    with pytest.raises(tp.UnknownMessageError) as caught:
        run(dispatcher.dispatch(tp.Ping(), None))
    assert tp.ErrorResponse.from_error(caught.value).code == "unknown_message"


def test_a_second_handler_for_a_command_is_refused() -> None:
    dispatcher: tp.Dispatcher[None] = tp.Dispatcher()

    def first(_: tp.Ping, __: None) -> tp.PongResponse:
        return tp.PongResponse.now()

    def second(_: tp.Ping, __: None) -> tp.PongResponse:
        return tp.PongResponse.now()

    register = dispatcher.handler(tp.Ping)
    assert register(first) is first
    with pytest.raises(
        tp.RegistryError, match=r"Ping is handled twice: by .*first and by .*second"
    ):
        register(second)
    with pytest.raises(tp.RegistryError, match="handled twice"):
        register(first)


def test_a_handler_that_cannot_be_called_with_a_command_is_refused() -> None:
    dispatcher: tp.Dispatcher[None] = tp.Dispatcher()
    for no_command in (tp.MissionStarted, tp.AckResponse, "ping", run):
        with pytest.raises(tp.RegistryError, match="for the class of a command, not for"):
            dispatcher.handler(no_command)  # type: ignore[type-var, arg-type]

    def one(_: tp.Ping) -> tp.PongResponse:
        return tp.PongResponse.now()

    for no_handler in (one, None, lambda: None):
        with pytest.raises(tp.RegistryError, match="cannot handle a command"):
            dispatcher.handler(tp.Ping)(no_handler)  # type: ignore[arg-type]
    assert not dispatcher.handlers


def test_dispatch_does_not_catch_what_a_handler_raises() -> None:
    dispatcher: tp.Dispatcher[None] = tp.Dispatcher()

    @dispatcher.handler(tp.CancelMission)
    async def cancel(_: tp.CancelMission, __: None) -> tp.AckResponse:
        raise tp.CommandError("not_found", "mission not found")

    with pytest.raises(tp.CommandError) as caught:
        run(dispatcher.dispatch(tp.CancelMission(mission_id=MISSION), None))
    assert tp.ErrorResponse.from_error(caught.value) == tp.ErrorResponse.not_found("mission")
