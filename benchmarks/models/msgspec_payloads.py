"""The contract's payloads as msgspec Structs.

Rules:

* The tag is the struct's own (``tag_field``, ``tag``), so that it is checked and written and is
  no field. The category is a literal whose default is made, because ``omit_defaults``, which
  keeps None off the wire, would omit a plain default.
* ``gc=False``, as advised for structs that can be in no cycle. ``kw_only`` is not
  inherited; ``frozen`` is, but not to a type checker.
* ``Meta`` holds no bound above a signed 64-bit integer; ``__post_init__`` holds that of ``u64``.
"""
# ruff: noqa: D101

from typing import Annotated, Any, Literal, TypeAlias
from uuid import UUID

from msgspec import Meta, Struct, field

from benchmarks.bounds import F32_LIMIT, U32_MAX, U64_MAX

U32: TypeAlias = Annotated[int, Meta(ge=0, le=U32_MAX)]
U64: TypeAlias = Annotated[int, Meta(ge=0)]
F32: TypeAlias = Annotated[float, Meta(gt=-F32_LIMIT, lt=F32_LIMIT)]


def _mission() -> Literal["mission"]:
    return "mission"


def _forge() -> Literal["forge"]:
    return "forge"


def _system() -> Literal["system"]:
    return "system"


def _deploy() -> Literal["deploy"]:
    return "deploy"


def _subscription() -> Literal["subscription"]:
    return "subscription"


def _session() -> Literal["session"]:
    return "session"


def _check_u64(value: int) -> None:
    if value > U64_MAX:
        raise ValueError("not a u64")


class Base(Struct, frozen=True, omit_defaults=True, gc=False):
    pass


class MissionEventBase(Base, tag_field="event", frozen=True, kw_only=True):
    category: Literal["mission"] = field(default_factory=_mission)
    mission_id: UUID


class MissionCreated(MissionEventBase, tag="created", frozen=True, kw_only=True):
    name: str


class MissionStarted(MissionEventBase, tag="started", frozen=True, kw_only=True):
    pass


class MissionProgress(MissionEventBase, tag="progress", frozen=True, kw_only=True):
    current_spec: str
    completed_specs: U32
    total_specs: U32
    percentage: F32


class MissionCompleted(MissionEventBase, tag="completed", frozen=True, kw_only=True):
    success: bool
    duration_seconds: U64

    def __post_init__(self) -> None:
        _check_u64(self.duration_seconds)


class MissionFailed(MissionEventBase, tag="failed", frozen=True, kw_only=True):
    error: str


class MissionStatusChanged(MissionEventBase, tag="status_changed", frozen=True, kw_only=True):
    old_status: str
    new_status: str


class ForgeEventBase(Base, tag_field="event", frozen=True, kw_only=True):
    category: Literal["forge"] = field(default_factory=_forge)
    session_id: UUID


class ForgeStarted(ForgeEventBase, tag="started", frozen=True, kw_only=True):
    mission_id: UUID
    spec_id: str


class ForgeTokenUsage(ForgeEventBase, tag="token_usage", frozen=True, kw_only=True):
    input_tokens: U64
    output_tokens: U64
    total_cost: float

    def __post_init__(self) -> None:
        _check_u64(self.input_tokens)
        _check_u64(self.output_tokens)


class ForgeToolExecution(ForgeEventBase, tag="tool_execution", frozen=True, kw_only=True):
    tool_name: str
    status: str


class ForgeCompleted(ForgeEventBase, tag="completed", frozen=True, kw_only=True):
    success: bool


class ForgeLog(ForgeEventBase, tag="log", frozen=True, kw_only=True):
    level: str
    message: str


class SystemEventBase(Base, tag_field="event", frozen=True, kw_only=True):
    category: Literal["system"] = field(default_factory=_system)


class ServerStatus(SystemEventBase, tag="server_status", frozen=True, kw_only=True):
    status: str
    active_missions: U32
    active_sessions: U32


class Maintenance(SystemEventBase, tag="maintenance", frozen=True, kw_only=True):
    message: str
    starts_at: str
    duration_minutes: U32


class VersionUpdate(SystemEventBase, tag="version_update", frozen=True, kw_only=True):
    current_version: str
    new_version: str


class Ack(Base, frozen=True, kw_only=True):
    success: bool
    message: str | None = None


class Error(Base, frozen=True, kw_only=True):
    code: str
    message: str
    details: Any = None


class AuthResult(Base, frozen=True, kw_only=True):
    authenticated: bool
    user_id: UUID | None = None
    expires_at: str | None = None


class SubscriptionsResult(Base, frozen=True, kw_only=True):
    subscriptions: tuple[str, ...]


class SessionInfoResult(Base, frozen=True, kw_only=True):
    session_id: UUID
    authenticated: bool
    user_id: UUID | None = None
    subscriptions: tuple[str, ...]
    connected_at: str


class MissionStatusResult(Base, frozen=True, kw_only=True):
    mission_id: UUID
    status: str
    current_spec: str | None = None
    completed_specs: U32
    total_specs: U32
    percentage: F32
    error: str | None = None


class Pong(Base, frozen=True, kw_only=True):
    timestamp: str


class SubscriptionFilters(Base, frozen=True, kw_only=True):
    mission_id: UUID | None = None
    session_id: UUID | None = None
    event_types: tuple[str, ...] | None = None


class SubscriptionCommandBase(Base, tag_field="command", frozen=True, kw_only=True):
    category: Literal["subscription"] = field(default_factory=_subscription)


class Subscribe(SubscriptionCommandBase, tag="subscribe", frozen=True, kw_only=True):
    topic: str
    filters: SubscriptionFilters | None = None


class Unsubscribe(SubscriptionCommandBase, tag="unsubscribe", frozen=True, kw_only=True):
    topic: str


class ListSubscriptions(
    SubscriptionCommandBase, tag="list_subscriptions", frozen=True, kw_only=True
):
    pass


class MissionCommandBase(Base, tag_field="command", frozen=True, kw_only=True):
    category: Literal["mission"] = field(default_factory=_mission)
    mission_id: UUID


class GetMissionStatus(MissionCommandBase, tag="get_status", frozen=True, kw_only=True):
    pass


class StartMission(MissionCommandBase, tag="start", frozen=True, kw_only=True):
    pass


class PauseMission(MissionCommandBase, tag="pause", frozen=True, kw_only=True):
    pass


class ResumeMission(MissionCommandBase, tag="resume", frozen=True, kw_only=True):
    pass


class CancelMission(MissionCommandBase, tag="cancel", frozen=True, kw_only=True):
    pass


class SessionCommandBase(Base, tag_field="command", frozen=True, kw_only=True):
    category: Literal["session"] = field(default_factory=_session)


class Authenticate(SessionCommandBase, tag="authenticate", frozen=True, kw_only=True):
    token: str


class GetSessionInfo(SessionCommandBase, tag="get_info", frozen=True, kw_only=True):
    pass


class Ping(SessionCommandBase, tag="ping", frozen=True, kw_only=True):
    pass


class Rollout(Base, frozen=True, kw_only=True):
    updated: U32
    total: U32


class DeployEventBase(Base, tag_field="event", frozen=True, kw_only=True):
    category: Literal["deploy"] = field(default_factory=_deploy)
    deploy_id: UUID
    service: str


class DeployStarted(DeployEventBase, tag="started", frozen=True, kw_only=True):
    pass


class DeployProgress(DeployEventBase, tag="progress", frozen=True, kw_only=True):
    rollout: Rollout
    hosts: tuple[str, ...]
    note: str | None = None
