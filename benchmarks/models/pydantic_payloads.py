"""The contract's payloads as pydantic models.

Rules:

* ``strict`` and ``frozen`` for all; bounds by ``Field``.
* Tags are literals; the category has its only value as default.
"""
# ruff: noqa: D101

from typing import Annotated, Any, Literal, TypeAlias
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, FiniteFloat

from benchmarks.bounds import F32_LIMIT, U32_MAX, U64_MAX

U32: TypeAlias = Annotated[int, Field(ge=0, le=U32_MAX)]
U64: TypeAlias = Annotated[int, Field(ge=0, le=U64_MAX)]
F32: TypeAlias = Annotated[float, Field(gt=-F32_LIMIT, lt=F32_LIMIT, allow_inf_nan=False)]


class Base(BaseModel):
    model_config = ConfigDict(strict=True, frozen=True)


class MissionBase(Base):
    category: Literal["mission"] = "mission"


class MissionCreated(MissionBase):
    event: Literal["created"] = "created"
    mission_id: UUID
    name: str


class MissionStarted(MissionBase):
    event: Literal["started"] = "started"
    mission_id: UUID


class MissionProgress(MissionBase):
    event: Literal["progress"] = "progress"
    mission_id: UUID
    current_spec: str
    completed_specs: U32
    total_specs: U32
    percentage: F32


class MissionCompleted(MissionBase):
    event: Literal["completed"] = "completed"
    mission_id: UUID
    success: bool
    duration_seconds: U64


class MissionFailed(MissionBase):
    event: Literal["failed"] = "failed"
    mission_id: UUID
    error: str


class MissionStatusChanged(MissionBase):
    event: Literal["status_changed"] = "status_changed"
    mission_id: UUID
    old_status: str
    new_status: str


class ForgeBase(Base):
    category: Literal["forge"] = "forge"


class ForgeStarted(ForgeBase):
    event: Literal["started"] = "started"
    session_id: UUID
    mission_id: UUID
    spec_id: str


class ForgeTokenUsage(ForgeBase):
    event: Literal["token_usage"] = "token_usage"
    session_id: UUID
    input_tokens: U64
    output_tokens: U64
    total_cost: FiniteFloat


class ForgeToolExecution(ForgeBase):
    event: Literal["tool_execution"] = "tool_execution"
    session_id: UUID
    tool_name: str
    status: str


class ForgeCompleted(ForgeBase):
    event: Literal["completed"] = "completed"
    session_id: UUID
    success: bool


class ForgeLog(ForgeBase):
    event: Literal["log"] = "log"
    session_id: UUID
    level: str
    message: str


class SystemBase(Base):
    category: Literal["system"] = "system"


class ServerStatus(SystemBase):
    event: Literal["server_status"] = "server_status"
    status: str
    active_missions: U32
    active_sessions: U32


class Maintenance(SystemBase):
    event: Literal["maintenance"] = "maintenance"
    message: str
    starts_at: str
    duration_minutes: U32


class VersionUpdate(SystemBase):
    event: Literal["version_update"] = "version_update"
    current_version: str
    new_version: str


class Ack(Base):
    success: bool
    message: str | None = None


class Error(Base):
    code: str
    message: str
    details: Any = None


class AuthResult(Base):
    authenticated: bool
    user_id: UUID | None = None
    expires_at: str | None = None


class SubscriptionsResult(Base):
    subscriptions: tuple[str, ...]


class SessionInfoResult(Base):
    session_id: UUID
    authenticated: bool
    user_id: UUID | None = None
    subscriptions: tuple[str, ...]
    connected_at: str


class MissionStatusResult(Base):
    mission_id: UUID
    status: str
    current_spec: str | None = None
    completed_specs: U32
    total_specs: U32
    percentage: F32
    error: str | None = None


class Pong(Base):
    timestamp: str


class SubscriptionFilters(Base):
    mission_id: UUID | None = None
    session_id: UUID | None = None
    event_types: tuple[str, ...] | None = None


class SubscriptionBase(Base):
    category: Literal["subscription"] = "subscription"


class Subscribe(SubscriptionBase):
    command: Literal["subscribe"] = "subscribe"
    topic: str
    filters: SubscriptionFilters | None = None


class Unsubscribe(SubscriptionBase):
    command: Literal["unsubscribe"] = "unsubscribe"
    topic: str


class ListSubscriptions(SubscriptionBase):
    command: Literal["list_subscriptions"] = "list_subscriptions"


class GetMissionStatus(MissionBase):
    command: Literal["get_status"] = "get_status"
    mission_id: UUID


class StartMission(MissionBase):
    command: Literal["start"] = "start"
    mission_id: UUID


class PauseMission(MissionBase):
    command: Literal["pause"] = "pause"
    mission_id: UUID


class ResumeMission(MissionBase):
    command: Literal["resume"] = "resume"
    mission_id: UUID


class CancelMission(MissionBase):
    command: Literal["cancel"] = "cancel"
    mission_id: UUID


class SessionBase(Base):
    category: Literal["session"] = "session"


class Authenticate(SessionBase):
    command: Literal["authenticate"] = "authenticate"
    token: str


class GetSessionInfo(SessionBase):
    command: Literal["get_info"] = "get_info"


class Ping(SessionBase):
    command: Literal["ping"] = "ping"


class Rollout(Base):
    updated: U32
    total: U32


class DeployBase(Base):
    category: Literal["deploy"] = "deploy"


class DeployStarted(DeployBase):
    event: Literal["started"] = "started"
    deploy_id: UUID
    service: str


class DeployProgress(DeployBase):
    event: Literal["progress"] = "progress"
    deploy_id: UUID
    service: str
    rollout: Rollout
    hosts: tuple[str, ...]
    note: str | None = None
