"""Events: what a server pushes to its subscribers."""

from datetime import datetime
from typing import TypeAlias
from uuid import UUID

from tachikoma_proto.declare.bases import Event
from tachikoma_proto.declare.field_types import F32, U32, U64
from tachikoma_proto.declare.frozen import frozen
from tachikoma_proto.messages.categories import forge, mission, system
from tachikoma_proto.wire.formats import read_text_time


@mission.event("created")
@frozen(kw_only=True)
class MissionCreated(Event):
    """``mission.created``: a mission was created."""

    mission_id: UUID
    name: str


@mission.event("started")
@frozen(kw_only=True)
class MissionStarted(Event):
    """``mission.started``: a mission was started."""

    mission_id: UUID


@mission.event("progress")
@frozen(kw_only=True)
class MissionProgress(Event):
    """``mission.progress``: a mission made progress.

    Attributes:
        mission_id: The mission.
        current_spec: The spec that is running.
        completed_specs: How many specs are completed.
        total_specs: How many there are in all.
        percentage: The progress in percent.
    """

    mission_id: UUID
    current_spec: str
    completed_specs: U32
    total_specs: U32
    percentage: F32


@mission.event("completed")
@frozen(kw_only=True)
class MissionCompleted(Event):
    """``mission.completed``: a mission has ended.

    Attributes:
        mission_id: The mission.
        success: Whether it succeeded.
        duration_seconds: How many seconds it took.
    """

    mission_id: UUID
    success: bool
    duration_seconds: U64


@mission.event("failed")
@frozen(kw_only=True)
class MissionFailed(Event):
    """``mission.failed``: a mission failed; ``error`` says why."""

    mission_id: UUID
    error: str


@mission.event("status_changed")
@frozen(kw_only=True)
class MissionStatusChanged(Event):
    """``mission.status_changed``: the status of a mission changed."""

    mission_id: UUID
    old_status: str
    new_status: str


@forge.event("started")
@frozen(kw_only=True)
class ForgeStarted(Event):
    """``forge.started``: a forge session started to work on a spec of a mission."""

    session_id: UUID
    mission_id: UUID
    spec_id: str


@forge.event("token_usage")
@frozen(kw_only=True)
class ForgeTokenUsage(Event):
    """``forge.token_usage``: how many tokens a forge session has used so far.

    Attributes:
        session_id: The forge session.
        input_tokens: Tokens read by the model.
        output_tokens: Tokens written by it.
        total_cost: What they cost.
    """

    session_id: UUID
    input_tokens: U64
    output_tokens: U64
    total_cost: float


@forge.event("tool_execution")
@frozen(kw_only=True)
class ForgeToolExecution(Event):
    """``forge.tool_execution``: a forge session used a tool."""

    session_id: UUID
    tool_name: str
    status: str


@forge.event("completed")
@frozen(kw_only=True)
class ForgeCompleted(Event):
    """``forge.completed``: a forge session has ended."""

    session_id: UUID
    success: bool


@forge.event("log")
@frozen(kw_only=True)
class ForgeLog(Event):
    """``forge.log``: a line of a forge session's log."""

    session_id: UUID
    level: str
    message: str


@system.event("server_status")
@frozen(kw_only=True)
class ServerStatus(Event):
    """``system.server_status``: the status of the server, and how busy it is."""

    status: str
    active_missions: U32
    active_sessions: U32


@system.event("maintenance")
@frozen(kw_only=True)
class Maintenance(Event):
    """``system.maintenance``: a maintenance of the server is planned.

    Attributes:
        message: A sentence for a person.
        starts_at: From when, as text.
        duration_minutes: For how long, in minutes.
    """

    message: str
    starts_at: str
    duration_minutes: U32

    @property
    def starts_at_datetime(self) -> datetime:
        """``starts_at`` as an aware time, leniently.

        Raises:
            InvalidMessageError: No time can be made out.
        """
        return read_text_time(self.starts_at, "starts_at")


@system.event("version_update")
@frozen(kw_only=True)
class VersionUpdate(Event):
    """``system.version_update``: there is a new version of the server."""

    current_version: str
    new_version: str


MissionEvent: TypeAlias = (
    MissionCreated
    | MissionStarted
    | MissionProgress
    | MissionCompleted
    | MissionFailed
    | MissionStatusChanged
)
"""Every event of the category ``mission``."""

ForgeEvent: TypeAlias = (
    ForgeStarted | ForgeTokenUsage | ForgeToolExecution | ForgeCompleted | ForgeLog
)
"""Every event of the category ``forge``."""

SystemEvent: TypeAlias = ServerStatus | Maintenance | VersionUpdate
"""Every event of the category ``system``."""
