"""Topics: what a client subscribes to. A topic includes all topics below it."""

from typing import Final
from uuid import UUID

MISSIONS: Final = "missions"
"""The events of all missions."""

FORGE_SESSIONS: Final = "forge_sessions"
"""The events of all forge sessions."""

SYSTEM: Final = "system"
"""The events of the server itself."""


def mission(mission_id: UUID) -> str:
    """Return the topic of one mission's events: ``missions/<mission id>``."""
    return f"{MISSIONS}/{mission_id}"


def forge_session(session_id: UUID) -> str:
    """Return the topic of one forge session's events: ``forge_sessions/<session id>``."""
    return f"{FORGE_SESSIONS}/{session_id}"
