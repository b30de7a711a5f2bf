"""The contract's frames as dataclasses for mashumaro.

Rules:

* A frame is a subclass that its ``type`` selects (``Discriminator`` in the configuration of the
  base); the payload of an event is a union selected by ``event``.
"""
# ruff: noqa: D101, D106

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from mashumaro.mixins.orjson import DataClassORJSONMixin
from mashumaro.types import Discriminator

from benchmarks.models import mashumaro_payloads as payloads
from benchmarks.models.mashumaro_strictness import Strict


@dataclass(frozen=True, kw_only=True)
class ServerMessage(DataClassORJSONMixin):
    id: UUID
    timestamp: datetime
    reply_to: UUID | None = None

    class Config(Strict):
        discriminator = Discriminator(field="type", include_subtypes=True)


@dataclass(frozen=True, kw_only=True)
class ClientMessage(DataClassORJSONMixin):
    id: UUID | None = None
    timestamp: datetime | None = None

    class Config(Strict):
        discriminator = Discriminator(field="type", include_subtypes=True)


@dataclass(frozen=True, kw_only=True)
class EventMission(ServerMessage):
    type: Literal["event.mission"] = "event.mission"
    payload: Annotated[
        payloads.MissionCreated
        | payloads.MissionStarted
        | payloads.MissionProgress
        | payloads.MissionCompleted
        | payloads.MissionFailed
        | payloads.MissionStatusChanged,
        Discriminator(field="event", include_supertypes=True),
    ]


@dataclass(frozen=True, kw_only=True)
class EventForge(ServerMessage):
    type: Literal["event.forge"] = "event.forge"
    payload: Annotated[
        payloads.ForgeStarted
        | payloads.ForgeTokenUsage
        | payloads.ForgeToolExecution
        | payloads.ForgeCompleted
        | payloads.ForgeLog,
        Discriminator(field="event", include_supertypes=True),
    ]


@dataclass(frozen=True, kw_only=True)
class EventSystem(ServerMessage):
    type: Literal["event.system"] = "event.system"
    payload: Annotated[
        payloads.ServerStatus | payloads.Maintenance | payloads.VersionUpdate,
        Discriminator(field="event", include_supertypes=True),
    ]


@dataclass(frozen=True, kw_only=True)
class EventDeploy(ServerMessage):
    type: Literal["event.deploy"] = "event.deploy"
    payload: Annotated[
        payloads.DeployStarted | payloads.DeployProgress,
        Discriminator(field="event", include_supertypes=True),
    ]


@dataclass(frozen=True, kw_only=True)
class Ack(ServerMessage):
    type: Literal["ack"] = "ack"
    payload: payloads.Ack


@dataclass(frozen=True, kw_only=True)
class Error(ServerMessage):
    type: Literal["error"] = "error"
    payload: payloads.Error


@dataclass(frozen=True, kw_only=True)
class AuthResult(ServerMessage):
    type: Literal["auth_result"] = "auth_result"
    payload: payloads.AuthResult


@dataclass(frozen=True, kw_only=True)
class SubscriptionsResult(ServerMessage):
    type: Literal["subscriptions_result"] = "subscriptions_result"
    payload: payloads.SubscriptionsResult


@dataclass(frozen=True, kw_only=True)
class SessionInfoResult(ServerMessage):
    type: Literal["session_info_result"] = "session_info_result"
    payload: payloads.SessionInfoResult


@dataclass(frozen=True, kw_only=True)
class MissionStatusResult(ServerMessage):
    type: Literal["mission_status_result"] = "mission_status_result"
    payload: payloads.MissionStatusResult


@dataclass(frozen=True, kw_only=True)
class Pong(ServerMessage):
    type: Literal["pong"] = "pong"
    payload: payloads.Pong


@dataclass(frozen=True, kw_only=True)
class Subscribe(ClientMessage):
    type: Literal["subscribe"] = "subscribe"
    payload: payloads.Subscribe


@dataclass(frozen=True, kw_only=True)
class Unsubscribe(ClientMessage):
    type: Literal["unsubscribe"] = "unsubscribe"
    payload: payloads.Unsubscribe


@dataclass(frozen=True, kw_only=True)
class ListSubscriptions(ClientMessage):
    type: Literal["list_subscriptions"] = "list_subscriptions"
    payload: payloads.ListSubscriptions


@dataclass(frozen=True, kw_only=True)
class MissionStatus(ClientMessage):
    type: Literal["mission_status"] = "mission_status"
    payload: payloads.GetMissionStatus


@dataclass(frozen=True, kw_only=True)
class MissionStart(ClientMessage):
    type: Literal["mission_start"] = "mission_start"
    payload: payloads.StartMission


@dataclass(frozen=True, kw_only=True)
class MissionPause(ClientMessage):
    type: Literal["mission_pause"] = "mission_pause"
    payload: payloads.PauseMission


@dataclass(frozen=True, kw_only=True)
class MissionResume(ClientMessage):
    type: Literal["mission_resume"] = "mission_resume"
    payload: payloads.ResumeMission


@dataclass(frozen=True, kw_only=True)
class MissionCancel(ClientMessage):
    type: Literal["mission_cancel"] = "mission_cancel"
    payload: payloads.CancelMission


@dataclass(frozen=True, kw_only=True)
class Authenticate(ClientMessage):
    type: Literal["authenticate"] = "authenticate"
    payload: payloads.Authenticate


@dataclass(frozen=True, kw_only=True)
class SessionInfo(ClientMessage):
    type: Literal["session_info"] = "session_info"
    payload: payloads.GetSessionInfo


@dataclass(frozen=True, kw_only=True)
class Ping(ClientMessage):
    type: Literal["ping"] = "ping"
    payload: payloads.Ping
