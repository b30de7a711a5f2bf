"""A handler is held to its command, to that command's reply, and to the context."""

from collections.abc import Awaitable, Callable
from typing import assert_type
from uuid import UUID

from tachikoma_proto import (
    AckResponse,
    Dispatcher,
    GetMissionStatus,
    MissionStatusResponse,
    PauseMission,
    Ping,
    PongResponse,
    StartMission,
)


class Connection:
    """Any class may be the context."""


class Special(Connection):
    """And a handler may be content with less than it is given."""


dispatcher: Dispatcher[Special] = Dispatcher()
mission = UUID(int=1)


def accepted() -> None:
    @dispatcher.handler(StartMission)
    async def start(command: StartMission, context: Special) -> AckResponse:
        assert_type(command.mission_id, UUID)
        return AckResponse.ok()

    @dispatcher.handler(PauseMission)
    def pause(command: PauseMission, context: Special) -> AckResponse:
        return AckResponse.ok()

    @dispatcher.handler(Ping)
    async def ping(command: Ping, context: Connection) -> PongResponse:
        return PongResponse.now()

    handlers_come_back(start, pause)


def handlers_come_back(
    start: Callable[[StartMission, Special], Awaitable[AckResponse]],
    pause: Callable[[PauseMission, Special], AckResponse],
) -> None: ...


async def the_reply_is_inferred(context: Special) -> None:
    assert_type(
        await dispatcher.dispatch(GetMissionStatus(mission_id=mission), context),
        MissionStatusResponse,
    )
    assert_type(await dispatcher.dispatch(StartMission(mission_id=mission), context), AckResponse)
    assert_type(await dispatcher.dispatch(Ping(), context), PongResponse)


def another_command() -> None:
    @dispatcher.handler(StartMission)  # type: ignore[arg-type]  # pyright: ignore[reportCallIssue, reportArgumentType]
    async def handle(command: PauseMission, context: Special) -> AckResponse:
        return AckResponse.ok()


def another_command_to_a_plain_function() -> None:
    @dispatcher.handler(StartMission)  # type: ignore[arg-type]  # pyright: ignore[reportCallIssue, reportArgumentType]
    def handle(command: PauseMission, context: Special) -> AckResponse:
        return AckResponse.ok()


def another_reply() -> None:
    @dispatcher.handler(StartMission)  # type: ignore[arg-type]  # pyright: ignore[reportCallIssue, reportArgumentType]
    async def handle(command: StartMission, context: Special) -> PongResponse:
        return PongResponse.now()


def another_reply_of_a_plain_function() -> None:
    @dispatcher.handler(StartMission)  # type: ignore[arg-type]  # pyright: ignore[reportCallIssue, reportArgumentType]
    def handle(command: StartMission, context: Special) -> PongResponse:
        return PongResponse.now()


def no_reply() -> None:
    @dispatcher.handler(StartMission)  # type: ignore[arg-type]  # pyright: ignore[reportCallIssue, reportArgumentType]
    async def handle(command: StartMission, context: Special) -> None: ...


def another_context() -> None:
    @dispatcher.handler(StartMission)  # type: ignore[arg-type]  # pyright: ignore[reportCallIssue, reportArgumentType]
    async def handle(command: StartMission, context: int) -> AckResponse:
        return AckResponse.ok()


def no_command() -> None:
    dispatcher.handler(AckResponse)  # type: ignore[type-var]  # pyright: ignore[reportArgumentType]


async def another_context_in_dispatch() -> None:
    ping = Ping()
    await dispatcher.dispatch(ping, Connection())  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
