"""The contract's frames as pydantic models.

Rules:

* An envelope is one generic model, with the type's literal and the payload as its parameters.
* Unions are discriminated by ``type`` (the frame) and ``event`` (the payload).
"""
# ruff: noqa: D101

from typing import Annotated, Generic, Literal, TypeAlias, TypeVar
from uuid import UUID

from pydantic import AwareDatetime, Field

from benchmarks.models.pydantic_payloads import (
    Ack,
    Authenticate,
    AuthResult,
    Base,
    CancelMission,
    DeployProgress,
    DeployStarted,
    Error,
    ForgeCompleted,
    ForgeLog,
    ForgeStarted,
    ForgeTokenUsage,
    ForgeToolExecution,
    GetMissionStatus,
    GetSessionInfo,
    ListSubscriptions,
    Maintenance,
    MissionCompleted,
    MissionCreated,
    MissionFailed,
    MissionProgress,
    MissionStarted,
    MissionStatusChanged,
    MissionStatusResult,
    PauseMission,
    Ping,
    Pong,
    ResumeMission,
    ServerStatus,
    SessionInfoResult,
    StartMission,
    Subscribe,
    SubscriptionsResult,
    Unsubscribe,
    VersionUpdate,
)

T = TypeVar("T")
P = TypeVar("P")

MissionEvent: TypeAlias = Annotated[
    MissionCreated
    | MissionStarted
    | MissionProgress
    | MissionCompleted
    | MissionFailed
    | MissionStatusChanged,
    Field(discriminator="event"),
]
ForgeEvent: TypeAlias = Annotated[
    ForgeStarted | ForgeTokenUsage | ForgeToolExecution | ForgeCompleted | ForgeLog,
    Field(discriminator="event"),
]
SystemEvent: TypeAlias = Annotated[
    ServerStatus | Maintenance | VersionUpdate, Field(discriminator="event")
]

DeployEvent: TypeAlias = Annotated[DeployStarted | DeployProgress, Field(discriminator="event")]


class Outgoing(Base, Generic[T, P]):
    id: UUID
    type: T
    timestamp: AwareDatetime
    reply_to: UUID | None = None
    payload: P


class Incoming(Base, Generic[T, P]):
    id: UUID | None = None
    type: T
    timestamp: AwareDatetime | None = None
    payload: P


ServerMessage: TypeAlias = Annotated[
    Outgoing[Literal["event.mission"], MissionEvent]
    | Outgoing[Literal["event.forge"], ForgeEvent]
    | Outgoing[Literal["event.system"], SystemEvent]
    | Outgoing[Literal["event.deploy"], DeployEvent]
    | Outgoing[Literal["ack"], Ack]
    | Outgoing[Literal["error"], Error]
    | Outgoing[Literal["auth_result"], AuthResult]
    | Outgoing[Literal["subscriptions_result"], SubscriptionsResult]
    | Outgoing[Literal["session_info_result"], SessionInfoResult]
    | Outgoing[Literal["mission_status_result"], MissionStatusResult]
    | Outgoing[Literal["pong"], Pong],
    Field(discriminator="type"),
]
ClientMessage: TypeAlias = Annotated[
    Incoming[Literal["subscribe"], Subscribe]
    | Incoming[Literal["unsubscribe"], Unsubscribe]
    | Incoming[Literal["list_subscriptions"], ListSubscriptions]
    | Incoming[Literal["mission_status"], GetMissionStatus]
    | Incoming[Literal["mission_start"], StartMission]
    | Incoming[Literal["mission_pause"], PauseMission]
    | Incoming[Literal["mission_resume"], ResumeMission]
    | Incoming[Literal["mission_cancel"], CancelMission]
    | Incoming[Literal["authenticate"], Authenticate]
    | Incoming[Literal["session_info"], GetSessionInfo]
    | Incoming[Literal["ping"], Ping],
    Field(discriminator="type"),
]
