"""The contract's frames as attrs classes for plain cattrs.

Rules:

* A frame is a member of a union tagged by ``type``; its payload is one of a union tagged by
  ``event`` or ``command``. All of them are ``configure_tagged_union`` as it comes.
"""
# ruff: noqa: D101

from datetime import datetime
from typing import TypeAlias
from uuid import UUID

from attrs import frozen

from benchmarks.models import cattrs_payloads as payloads

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
SubscriptionCommand: TypeAlias = (
    payloads.Subscribe | payloads.Unsubscribe | payloads.ListSubscriptions
)
MissionCommand: TypeAlias = (
    payloads.GetMissionStatus
    | payloads.StartMission
    | payloads.PauseMission
    | payloads.ResumeMission
    | payloads.CancelMission
)
SessionCommand: TypeAlias = payloads.Authenticate | payloads.GetSessionInfo | payloads.Ping


@frozen(kw_only=True)
class Outgoing:
    id: UUID
    timestamp: datetime
    reply_to: UUID | None = None


@frozen(kw_only=True)
class Incoming:
    id: UUID | None = None
    timestamp: datetime | None = None


@frozen(kw_only=True)
class EventMission(Outgoing):
    payload: MissionEvent


@frozen(kw_only=True)
class EventForge(Outgoing):
    payload: ForgeEvent


@frozen(kw_only=True)
class EventSystem(Outgoing):
    payload: SystemEvent


@frozen(kw_only=True)
class EventDeploy(Outgoing):
    payload: DeployEvent


@frozen(kw_only=True)
class Ack(Outgoing):
    payload: payloads.Ack


@frozen(kw_only=True)
class Error(Outgoing):
    payload: payloads.Error


@frozen(kw_only=True)
class AuthResult(Outgoing):
    payload: payloads.AuthResult


@frozen(kw_only=True)
class SubscriptionsResult(Outgoing):
    payload: payloads.SubscriptionsResult


@frozen(kw_only=True)
class SessionInfoResult(Outgoing):
    payload: payloads.SessionInfoResult


@frozen(kw_only=True)
class MissionStatusResult(Outgoing):
    payload: payloads.MissionStatusResult


@frozen(kw_only=True)
class Pong(Outgoing):
    payload: payloads.Pong


@frozen(kw_only=True)
class Subscribe(Incoming):
    payload: SubscriptionCommand


@frozen(kw_only=True)
class Unsubscribe(Incoming):
    payload: SubscriptionCommand


@frozen(kw_only=True)
class ListSubscriptions(Incoming):
    payload: SubscriptionCommand


@frozen(kw_only=True)
class MissionStatus(Incoming):
    payload: MissionCommand


@frozen(kw_only=True)
class MissionStart(Incoming):
    payload: MissionCommand


@frozen(kw_only=True)
class MissionPause(Incoming):
    payload: MissionCommand


@frozen(kw_only=True)
class MissionResume(Incoming):
    payload: MissionCommand


@frozen(kw_only=True)
class MissionCancel(Incoming):
    payload: MissionCommand


@frozen(kw_only=True)
class Authenticate(Incoming):
    payload: SessionCommand


@frozen(kw_only=True)
class SessionInfo(Incoming):
    payload: SessionCommand


@frozen(kw_only=True)
class Ping(Incoming):
    payload: SessionCommand


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
