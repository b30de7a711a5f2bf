"""Log records of a session: each says which session, from where, and whose it is.

Rules:

* Logger names are stable: ``tachikoma_proto.server`` and ``tachikoma_proto.client``.
* A record has ``session_id``, ``remote_address`` and ``user_id`` as attributes, for structured
  logs, and the same in its text, for people.
"""

import logging
from collections.abc import MutableMapping
from typing import Any, Final, TypeAlias

from tachikoma_proto.session.session import Session

server_logger: Final = logging.getLogger("tachikoma_proto.server")
client_logger: Final = logging.getLogger("tachikoma_proto.client")


Logger: TypeAlias = "logging.Logger | logging.LoggerAdapter[logging.Logger]"


class SessionLogger(logging.LoggerAdapter[logging.Logger]):
    """Logs what happens to one session of a server.

    Args:
        session: The session.
    """

    def __init__(self, session: Session) -> None:
        super().__init__(server_logger)
        self._session = session

    def process(
        self, msg: Any, kwargs: MutableMapping[str, Any]
    ) -> tuple[Any, MutableMapping[str, Any]]:
        """Add the session to a record."""
        session = self._session
        user_id = session.identity.user_id if session.identity else None
        extra = {
            "session_id": session.id,
            "remote_address": session.remote_address,
            "user_id": user_id,
            **(kwargs.get("extra") or {}),
        }
        address = f" from {session.remote_address}" if session.remote_address else ""
        user = f", user {user_id}" if user_id else ""
        prefix = f"session {session.id}{address}{user}: ".replace("%", "%%")
        return f"{prefix}{msg}", {**kwargs, "extra": extra}
