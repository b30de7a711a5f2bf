"""Messages are plain typed classes, and a category's union is matched exhaustively."""

from typing import assert_never, assert_type
from uuid import UUID

import tachikoma_proto as tp
from tachikoma_proto import (
    MissionCommand,
    MissionCompleted,
    MissionCreated,
    MissionEvent,
    MissionFailed,
    MissionProgress,
    MissionStarted,
    MissionStatusChanged,
    StartMission,
    brokers,
    testing,
)

mission = UUID(int=1)


def a_name_that_does_not_exist_is_an_error() -> None:
    _ = tp.MisionProgress  # type: ignore[attr-defined]  # pyright: ignore
    _ = brokers.RedisBrocker  # type: ignore[attr-defined]  # pyright: ignore
    _ = testing.mesages  # type: ignore[attr-defined]  # pyright: ignore
    assert_type(tp.__version__, str)


def bounded_scalars_are_plain(progress: MissionProgress, done: MissionCompleted) -> None:
    assert_type(progress.completed_specs, int)
    assert_type(progress.percentage, float)
    assert_type(done.duration_seconds, int)


def optionals_and_arrays(filters: tp.SubscriptionFilters, info: tp.SessionInfoResponse) -> None:
    assert_type(filters.event_types, tuple[str, ...] | None)
    assert_type(info.user_id, UUID | None)
    assert_type(info.subscriptions, tuple[str, ...])


def every_event_of_a_mission(event: MissionEvent) -> str:
    match event:
        case MissionCreated(name=name):
            return name
        case MissionStarted() | MissionCompleted():
            return "on its way"
        case MissionProgress(percentage=percentage):
            return f"{percentage} %"
        case MissionFailed(error=error):
            return error
        case MissionStatusChanged():
            return event.new_status
        case _:
            assert_never(event)


def an_event_is_forgotten(event: MissionEvent) -> str:
    match event:
        case MissionCreated() | MissionStarted() | MissionCompleted() | MissionProgress():
            return "on its way"
        case MissionFailed():
            return "over"
        case _:
            assert_never(event)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


def every_command_of_a_mission(command: MissionCommand) -> UUID:
    return command.mission_id


def another_type() -> None:
    StartMission(mission_id="m")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


def another_type_in_a_bounded_scalar() -> None:
    MissionCompleted(mission_id=mission, success=True, duration_seconds=1.5)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


def an_unknown_field() -> None:
    StartMission(mission_id=mission, force=True)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]


def a_missing_field() -> None:
    StartMission()  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]


def by_position() -> None:
    StartMission(mission)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]


def a_frozen_field(command: StartMission) -> None:
    command.mission_id = mission  # type: ignore[misc]  # pyright: ignore[reportAttributeAccessIssue]
