"""The contract's frames as msgspec Structs.

Rules:

* A frame is a struct tagged by ``type``; the payload of an event is a union of structs tagged by
  ``event``. Both are the wire's own tags, so one typed decoder reads a frame in one pass.
"""
# ruff: noqa: D101

from datetime import datetime
from typing import Annotated, Generic, Literal, TypeAlias, TypeVar
from uuid import UUID

from msgspec import Meta

from benchmarks.models import msgspec_payloads as payloads
from benchmarks.models.msgspec_payloads import Base

Timestamp: TypeAlias = Annotated[datetime, Meta(tz=True)]

MissionEvent: TypeAlias = (
    payloads.MissionCreated
    | payloads.MissionStarted
    | payloads.MissionProgress
    | payloads.MissionCompleted
    | payloads.MissionFailed
    | payloads.MissionStatusChanged
)
ForgeEvent: TypeAlias = (
    payloads.ForgeStarted
    | payloads.ForgeTokenUsage
    | payloads.ForgeToolExecution
    | payloads.ForgeCompleted
    | payloads.ForgeLog
)
SystemEvent: TypeAlias = payloads.ServerStatus | payloads.Maintenance | payloads.VersionUpdate
DeployEvent: TypeAlias = payloads.DeployStarted | payloads.DeployProgress

P = TypeVar("P")


class Outgoing(Base, Generic[P], tag_field="type", frozen=True, kw_only=True):
    id: UUID
    timestamp: Timestamp
    reply_to: UUID | None = None
    payload: P


class Incoming(Base, Generic[P], tag_field="type", frozen=True, kw_only=True):
    id: UUID | None = None
    timestamp: Timestamp | None = None
    payload: P


class EventMission(Outgoing[MissionEvent], tag="event.mission", frozen=True, kw_only=True):
    pass


class EventForge(Outgoing[ForgeEvent], tag="event.forge", frozen=True, kw_only=True):
    pass


class EventSystem(Outgoing[SystemEvent], tag="event.system", frozen=True, kw_only=True):
    pass


class EventDeploy(Outgoing[DeployEvent], tag="event.deploy", frozen=True, kw_only=True):
    pass


class Ack(Outgoing[payloads.Ack], tag="ack", frozen=True, kw_only=True):
    pass


class Error(Outgoing[payloads.Error], tag="error", frozen=True, kw_only=True):
    pass


class AuthResult(Outgoing[payloads.AuthResult], tag="auth_result", frozen=True, kw_only=True):
    pass


class SubscriptionsResult(
    Outgoing[payloads.SubscriptionsResult], tag="subscriptions_result", frozen=True, kw_only=True
):
    pass


class SessionInfoResult(
    Outgoing[payloads.SessionInfoResult], tag="session_info_result", frozen=True, kw_only=True
):
    pass


class MissionStatusResult(
    Outgoing[payloads.MissionStatusResult], tag="mission_status_result", frozen=True, kw_only=True
):
    pass


class Pong(Outgoing[payloads.Pong], tag="pong", frozen=True, kw_only=True):
    pass


class Subscribe(Incoming[payloads.Subscribe], tag="subscribe", frozen=True, kw_only=True):
    pass


class Unsubscribe(Incoming[payloads.Unsubscribe], tag="unsubscribe", frozen=True, kw_only=True):
    pass


class ListSubscriptions(
    Incoming[payloads.ListSubscriptions], tag="list_subscriptions", frozen=True, kw_only=True
):
    pass


class MissionStatus(
    Incoming[payloads.GetMissionStatus],
    tag="mission_status",
    frozen=True,
    kw_only=True,
):
    pass


class MissionStart(Incoming[payloads.StartMission], tag="mission_start", frozen=True, kw_only=True):
    pass


class MissionPause(Incoming[payloads.PauseMission], tag="mission_pause", frozen=True, kw_only=True):
    pass


class MissionResume(
    Incoming[payloads.ResumeMission], tag="mission_resume", frozen=True, kw_only=True
):
    pass


class MissionCancel(
    Incoming[payloads.CancelMission], tag="mission_cancel", frozen=True, kw_only=True
):
    pass


class Authenticate(Incoming[payloads.Authenticate], tag="authenticate", frozen=True, kw_only=True):
    pass


class SessionInfo(Incoming[payloads.GetSessionInfo], tag="session_info", frozen=True, kw_only=True):
    pass


class Ping(Incoming[payloads.Ping], tag="ping", frozen=True, kw_only=True):
    pass


ServerMessage: TypeAlias = (
    EventMission
    | EventForge
    | EventSystem
    | EventDeploy
    | Ack
    | Error
    | AuthResult
    | SubscriptionsResult
    | SessionInfoResult
    | MissionStatusResult
    | Pong
)
ClientMessage: TypeAlias = (
    Subscribe
    | Unsubscribe
    | ListSubscriptions
    | MissionStatus
    | MissionStart
    | MissionPause
    | MissionResume
    | MissionCancel
    | Authenticate
    | SessionInfo
    | Ping
)


class MissionFrame(Base, frozen=True, kw_only=True):
    """The limit case: one type of frame, one union, nothing else to choose from."""

    id: UUID
    type: Literal["event.mission"]
    timestamp: Timestamp
    reply_to: UUID | None = None
    payload: MissionEvent
