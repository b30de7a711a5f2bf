"""Deployments for Tachikoma: the category ``deploy``.

The entry point names ``deploy``. Its messages are declared when this package is imported.
"""

from tachikoma_deploy.category import deploy
from tachikoma_deploy.messages import (
    CancelDeploy,
    DeployCommand,
    DeployEvent,
    DeployFinished,
    DeployStarted,
    DeployStatus,
    StartDeploy,
    Strategy,
    Target,
)
from tachikoma_deploy.version import Version

__all__ = [
    "CancelDeploy",
    "DeployCommand",
    "DeployEvent",
    "DeployFinished",
    "DeployStarted",
    "DeployStatus",
    "StartDeploy",
    "Strategy",
    "Target",
    "Version",
    "deploy",
]
