"""What can be said about deployments."""

import enum
from datetime import datetime
from typing import Literal, TypeAlias
from uuid import UUID

from attrs import frozen
from tachikoma_proto import F32, U32, AckResponse, Command, Event, Response

from tachikoma_deploy.category import deploy
from tachikoma_deploy.version import Version


class Strategy(enum.Enum):
    """How the new version takes the place of the old one."""

    ROLLING = "rolling"
    BLUE_GREEN = "blue-green"


@frozen(kw_only=True)
class Target:
    """Where a version goes.

    Attributes:
        host: The machine.
        port: Where its agent listens.
        weight: Its share of the traffic.
    """

    host: str
    port: U32
    weight: F32 = 1.0


@deploy.response("deploy_status")
@frozen(kw_only=True)
class DeployStatus(Response):
    """``deploy_status``: what became of a deployment so far."""

    deploy_id: UUID
    version: Version
    state: Literal["waiting", "running", "done"]


@deploy.command("deploy_start", tag="start")
@frozen(kw_only=True)
class StartDeploy(Command[DeployStatus]):
    """``deploy_start``: bring the result of a mission to its targets.

    Attributes:
        mission_id: The mission.
        version: What its result is called.
        environment: Where to.
        targets: To which machines, in this order.
        labels: For people.
        ports: The ports of its services, by name.
        strategy: How.
        dry_run: Only say what would be done.
        not_before: From when on; at once if left out.
    """

    mission_id: UUID
    version: Version
    environment: Literal["staging", "production"]
    targets: tuple[Target, ...]
    labels: dict[str, str]
    ports: dict[str, U32]
    strategy: Strategy = Strategy.ROLLING
    dry_run: bool = False
    not_before: datetime | None = None


@deploy.command("deploy_cancel", tag="cancel")
@frozen(kw_only=True)
class CancelDeploy(Command[AckResponse]):
    """``deploy_cancel``: give a deployment up."""

    deploy_id: UUID
    reason: str | None = None


@deploy.event("started")
@frozen(kw_only=True)
class DeployStarted(Event):
    """``deploy.started``: a deployment is on its way."""

    deploy_id: UUID
    version: Version
    started_at: datetime


@deploy.event("finished")
@frozen(kw_only=True)
class DeployFinished(Event):
    """``deploy.finished``: a deployment came to its end."""

    deploy_id: UUID
    outcome: Literal["succeeded", "failed", "cancelled"]
    finished_at: datetime
    seconds_by_host: dict[str, float]


DeployCommand: TypeAlias = StartDeploy | CancelDeploy
"""Every command of the category, for exhaustive ``match``."""

DeployEvent: TypeAlias = DeployStarted | DeployFinished
"""Every event of the category, for exhaustive ``match``."""
