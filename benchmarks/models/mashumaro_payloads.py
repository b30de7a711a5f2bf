"""The contract's payloads as dataclasses for mashumaro.

Rules:

* Tags are literals with a default. The dataclasses have no slots: mashumaro's discriminated
  unions do not work with them.
"""
# ruff: noqa: D101

from dataclasses import dataclass
from typing import Any, Literal
from uuid import UUID

from mashumaro.mixins.orjson import DataClassORJSONMixin

from benchmarks.models.mashumaro_strictness import F32, U32, U64, Strict


@dataclass(frozen=True, kw_only=True)
class Base(DataClassORJSONMixin):
    Config = Strict


@dataclass(frozen=True, kw_only=True)
class MissionEvent(Base):
    category: Literal["mission"] = "mission"
    mission_id: UUID


@dataclass(frozen=True, kw_only=True)
class MissionCreated(MissionEvent):
    event: Literal["created"] = "created"
    name: str


@dataclass(frozen=True, kw_only=True)
class MissionStarted(MissionEvent):
    event: Literal["started"] = "started"


@dataclass(frozen=True, kw_only=True)
class MissionProgress(MissionEvent):
    event: Literal["progress"] = "progress"
    current_spec: str
    completed_specs: U32
    total_specs: U32
    percentage: F32


@dataclass(frozen=True, kw_only=True)
class MissionCompleted(MissionEvent):
    event: Literal["completed"] = "completed"
    success: bool
    duration_seconds: U64


@dataclass(frozen=True, kw_only=True)
class MissionFailed(MissionEvent):
    event: Literal["failed"] = "failed"
    error: str


@dataclass(frozen=True, kw_only=True)
class MissionStatusChanged(MissionEvent):
    event: Literal["status_changed"] = "status_changed"
    old_status: str
    new_status: str


@dataclass(frozen=True, kw_only=True)
class ForgeEvent(Base):
    category: Literal["forge"] = "forge"
    session_id: UUID


@dataclass(frozen=True, kw_only=True)
class ForgeStarted(ForgeEvent):
    event: Literal["started"] = "started"
    mission_id: UUID
    spec_id: str


@dataclass(frozen=True, kw_only=True)
class ForgeTokenUsage(ForgeEvent):
    event: Literal["token_usage"] = "token_usage"
    input_tokens: U64
    output_tokens: U64
    total_cost: float


@dataclass(frozen=True, kw_only=True)
class ForgeToolExecution(ForgeEvent):
    event: Literal["tool_execution"] = "tool_execution"
    tool_name: str
    status: str


@dataclass(frozen=True, kw_only=True)
class ForgeCompleted(ForgeEvent):
    event: Literal["completed"] = "completed"
    success: bool


@dataclass(frozen=True, kw_only=True)
class ForgeLog(ForgeEvent):
    event: Literal["log"] = "log"
    level: str
    message: str


@dataclass(frozen=True, kw_only=True)
class SystemEvent(Base):
    category: Literal["system"] = "system"


@dataclass(frozen=True, kw_only=True)
class ServerStatus(SystemEvent):
    event: Literal["server_status"] = "server_status"
    status: str
    active_missions: U32
    active_sessions: U32


@dataclass(frozen=True, kw_only=True)
class Maintenance(SystemEvent):
    event: Literal["maintenance"] = "maintenance"
    message: str
    starts_at: str
    duration_minutes: U32


@dataclass(frozen=True, kw_only=True)
class VersionUpdate(SystemEvent):
    event: Literal["version_update"] = "version_update"
    current_version: str
    new_version: str


@dataclass(frozen=True, kw_only=True)
class Ack(Base):
    success: bool
    message: str | None = None


@dataclass(frozen=True, kw_only=True)
class Error(Base):
    code: str
    message: str
    details: Any = None


@dataclass(frozen=True, kw_only=True)
class AuthResult(Base):
    authenticated: bool
    user_id: UUID | None = None
    expires_at: str | None = None


@dataclass(frozen=True, kw_only=True)
class SubscriptionsResult(Base):
    subscriptions: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class SessionInfoResult(Base):
    session_id: UUID
    authenticated: bool
    user_id: UUID | None = None
    subscriptions: tuple[str, ...]
    connected_at: str


@dataclass(frozen=True, kw_only=True)
class MissionStatusResult(Base):
    mission_id: UUID
    status: str
    current_spec: str | None = None
    completed_specs: U32
    total_specs: U32
    percentage: F32
    error: str | None = None


@dataclass(frozen=True, kw_only=True)
class Pong(Base):
    timestamp: str


@dataclass(frozen=True, kw_only=True)
class SubscriptionFilters(Base):
    mission_id: UUID | None = None
    session_id: UUID | None = None
    event_types: tuple[str, ...] | None = None


@dataclass(frozen=True, kw_only=True)
class SubscriptionCommand(Base):
    category: Literal["subscription"] = "subscription"


@dataclass(frozen=True, kw_only=True)
class Subscribe(SubscriptionCommand):
    command: Literal["subscribe"] = "subscribe"
    topic: str
    filters: SubscriptionFilters | None = None


@dataclass(frozen=True, kw_only=True)
class Unsubscribe(SubscriptionCommand):
    command: Literal["unsubscribe"] = "unsubscribe"
    topic: str


@dataclass(frozen=True, kw_only=True)
class ListSubscriptions(SubscriptionCommand):
    command: Literal["list_subscriptions"] = "list_subscriptions"


@dataclass(frozen=True, kw_only=True)
class MissionCommand(Base):
    category: Literal["mission"] = "mission"
    mission_id: UUID


@dataclass(frozen=True, kw_only=True)
class GetMissionStatus(MissionCommand):
    command: Literal["get_status"] = "get_status"


@dataclass(frozen=True, kw_only=True)
class StartMission(MissionCommand):
    command: Literal["start"] = "start"


@dataclass(frozen=True, kw_only=True)
class PauseMission(MissionCommand):
    command: Literal["pause"] = "pause"


@dataclass(frozen=True, kw_only=True)
class ResumeMission(MissionCommand):
    command: Literal["resume"] = "resume"


@dataclass(frozen=True, kw_only=True)
class CancelMission(MissionCommand):
    command: Literal["cancel"] = "cancel"


@dataclass(frozen=True, kw_only=True)
class SessionCommand(Base):
    category: Literal["session"] = "session"


@dataclass(frozen=True, kw_only=True)
class Authenticate(SessionCommand):
    command: Literal["authenticate"] = "authenticate"
    token: str


@dataclass(frozen=True, kw_only=True)
class GetSessionInfo(SessionCommand):
    command: Literal["get_info"] = "get_info"


@dataclass(frozen=True, kw_only=True)
class Ping(SessionCommand):
    command: Literal["ping"] = "ping"


@dataclass(frozen=True, kw_only=True)
class Rollout(Base):
    updated: U32
    total: U32


@dataclass(frozen=True, kw_only=True)
class DeployEvent(Base):
    category: Literal["deploy"] = "deploy"
    deploy_id: UUID
    service: str


@dataclass(frozen=True, kw_only=True)
class DeployStarted(DeployEvent):
    event: Literal["started"] = "started"


@dataclass(frozen=True, kw_only=True)
class DeployProgress(DeployEvent):
    event: Literal["progress"] = "progress"
    rollout: Rollout
    hosts: tuple[str, ...]
    note: str | None = None
