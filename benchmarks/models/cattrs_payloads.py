"""The contract's payloads as attrs classes for plain cattrs.

Rules:

* The tags ``event`` and ``command`` belong to the converter's tagged unions and are no fields.
* ``category`` is a field without a default: ``omit_if_default``, which keeps None off the wire,
  would omit one.
* Numbers have no bounds: a plain converter knows none.
"""
# ruff: noqa: D101

from typing import Any, Literal
from uuid import UUID

from attrs import frozen


@frozen(kw_only=True)
class MissionEvent:
    category: Literal["mission"]
    mission_id: UUID


@frozen(kw_only=True)
class MissionCreated(MissionEvent):
    name: str


@frozen(kw_only=True)
class MissionStarted(MissionEvent):
    pass


@frozen(kw_only=True)
class MissionProgress(MissionEvent):
    current_spec: str
    completed_specs: int
    total_specs: int
    percentage: float


@frozen(kw_only=True)
class MissionCompleted(MissionEvent):
    success: bool
    duration_seconds: int


@frozen(kw_only=True)
class MissionFailed(MissionEvent):
    error: str


@frozen(kw_only=True)
class MissionStatusChanged(MissionEvent):
    old_status: str
    new_status: str


@frozen(kw_only=True)
class ForgeEvent:
    category: Literal["forge"]
    session_id: UUID


@frozen(kw_only=True)
class ForgeStarted(ForgeEvent):
    mission_id: UUID
    spec_id: str


@frozen(kw_only=True)
class ForgeTokenUsage(ForgeEvent):
    input_tokens: int
    output_tokens: int
    total_cost: float


@frozen(kw_only=True)
class ForgeToolExecution(ForgeEvent):
    tool_name: str
    status: str


@frozen(kw_only=True)
class ForgeCompleted(ForgeEvent):
    success: bool


@frozen(kw_only=True)
class ForgeLog(ForgeEvent):
    level: str
    message: str


@frozen(kw_only=True)
class SystemEvent:
    category: Literal["system"]


@frozen(kw_only=True)
class ServerStatus(SystemEvent):
    status: str
    active_missions: int
    active_sessions: int


@frozen(kw_only=True)
class Maintenance(SystemEvent):
    message: str
    starts_at: str
    duration_minutes: int


@frozen(kw_only=True)
class VersionUpdate(SystemEvent):
    current_version: str
    new_version: str


@frozen(kw_only=True)
class Ack:
    success: bool
    message: str | None = None


@frozen(kw_only=True)
class Error:
    code: str
    message: str
    details: Any = None


@frozen(kw_only=True)
class AuthResult:
    authenticated: bool
    user_id: UUID | None = None
    expires_at: str | None = None


@frozen(kw_only=True)
class SubscriptionsResult:
    subscriptions: tuple[str, ...]


@frozen(kw_only=True)
class SessionInfoResult:
    session_id: UUID
    authenticated: bool
    user_id: UUID | None = None
    subscriptions: tuple[str, ...]
    connected_at: str


@frozen(kw_only=True)
class MissionStatusResult:
    mission_id: UUID
    status: str
    current_spec: str | None = None
    completed_specs: int
    total_specs: int
    percentage: float
    error: str | None = None


@frozen(kw_only=True)
class Pong:
    timestamp: str


@frozen(kw_only=True)
class SubscriptionFilters:
    mission_id: UUID | None = None
    session_id: UUID | None = None
    event_types: tuple[str, ...] | None = None


@frozen(kw_only=True)
class SubscriptionCommand:
    category: Literal["subscription"]


@frozen(kw_only=True)
class Subscribe(SubscriptionCommand):
    topic: str
    filters: SubscriptionFilters | None = None


@frozen(kw_only=True)
class Unsubscribe(SubscriptionCommand):
    topic: str


@frozen(kw_only=True)
class ListSubscriptions(SubscriptionCommand):
    pass


@frozen(kw_only=True)
class MissionCommand:
    category: Literal["mission"]
    mission_id: UUID


@frozen(kw_only=True)
class GetMissionStatus(MissionCommand):
    pass


@frozen(kw_only=True)
class StartMission(MissionCommand):
    pass


@frozen(kw_only=True)
class PauseMission(MissionCommand):
    pass


@frozen(kw_only=True)
class ResumeMission(MissionCommand):
    pass


@frozen(kw_only=True)
class CancelMission(MissionCommand):
    pass


@frozen(kw_only=True)
class SessionCommand:
    category: Literal["session"]


@frozen(kw_only=True)
class Authenticate(SessionCommand):
    token: str


@frozen(kw_only=True)
class GetSessionInfo(SessionCommand):
    pass


@frozen(kw_only=True)
class Ping(SessionCommand):
    pass


@frozen(kw_only=True)
class Rollout:
    updated: int
    total: int


@frozen(kw_only=True)
class DeployEvent:
    category: Literal["deploy"]
    deploy_id: UUID
    service: str


@frozen(kw_only=True)
class DeployStarted(DeployEvent):
    pass


@frozen(kw_only=True)
class DeployProgress(DeployEvent):
    rollout: Rollout
    hosts: tuple[str, ...]
    note: str | None = None
