"""Questions that the tests of both sides of a connection ask."""

from typing import Any

from tachikoma_proto.session import BaseSession


def close_code(session: BaseSession[Any]) -> int | None:
    """With which code the connection is to be closed; None if it is not."""
    return session.closing.code if session.closing else None
