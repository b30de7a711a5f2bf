"""Responses: what a server answers, flat on the wire, with the constructors handlers want."""

from datetime import datetime
from uuid import UUID

import attrs
from attrs import frozen

from tachikoma_proto.declare.bases import Response
from tachikoma_proto.declare.field_types import F32, U32, Json
from tachikoma_proto.errors import CommandError, ProtocolError
from tachikoma_proto.messages.categories import mission, protocol, session, subscription
from tachikoma_proto.wire.formats import format_timestamp, read_text_time, utc_now


@protocol.response("ack")
@frozen(kw_only=True)
class AckResponse(Response):
    """``ack``: the command was carried out, or was not.

    Attributes:
        success: Whether it was.
        message: A sentence for a person.
    """

    success: bool
    message: str | None = None

    @classmethod
    def ok(cls, message: str | None = None) -> "AckResponse":
        """Say that the command was carried out."""
        return cls(success=True, message=message)

    @classmethod
    def failure(cls, message: str) -> "AckResponse":
        """Say that the command was not carried out, and why."""
        return cls(success=False, message=message)


@protocol.response("error")
@frozen(kw_only=True)
class ErrorResponse(Response):
    """``error``: the frame or the command could not be dealt with.

    Attributes:
        code: For machines: ``auth_required``, ``invalid_message``, ``not_found``,
            ``permission_denied``, ``unknown_message``, ``message_too_large``, ``rate_limited``,
            ``internal_error``, or one of the server's own.
        message: For a person.
        details: Any JSON.
    """

    code: str
    message: str
    details: Json | None = None

    @classmethod
    def from_error(cls, error: ProtocolError | CommandError) -> "ErrorResponse":
        """Answer a frame that could not be read, or a command that a handler refused.

        The faults go into ``details`` as ``{"errors": [{"path": …, "expected": …}]}``. Send it
        with ``reply_to=error.message_id``, which is the frame's own id where it could be read.

        Args:
            error: What decoding, dispatching or a handler raised.
        """
        if isinstance(error, CommandError):
            return cls(code=error.code, message=error.message, details=error.details)
        faults = [{"path": fault.path, "expected": fault.expected} for fault in error.errors]
        return cls(
            code=error.code, message=error.message, details={"errors": faults} if faults else None
        )

    @classmethod
    def auth_required(cls) -> "ErrorResponse":
        """Refuse what only an authenticated client may ask for."""
        return cls(code="auth_required", message="Authentication required")

    @classmethod
    def invalid_message(cls, message: str = "Invalid message") -> "ErrorResponse":
        """Refuse a frame; ``message`` says why and holds nothing of the frame."""
        return cls(code="invalid_message", message=message)

    @classmethod
    def not_found(cls, resource: str) -> "ErrorResponse":
        """Say that something does not exist; ``resource`` names its kind, as in ``mission``."""
        return cls(code="not_found", message=f"{resource} not found")

    @classmethod
    def permission_denied(cls) -> "ErrorResponse":
        """Refuse what this client may not ask for."""
        return cls(code="permission_denied", message="Permission denied")

    def with_details(self, details: Json) -> "ErrorResponse":
        """Give the same response with other details."""
        return attrs.evolve(self, details=details)


@session.response("auth_result")
@frozen(kw_only=True)
class AuthResponse(Response):
    """``auth_result``: the answer to ``authenticate``.

    Attributes:
        authenticated: Whether the token was good.
        user_id: Whose token it was.
        expires_at: Until when it is good, as text.
    """

    authenticated: bool
    user_id: UUID | None = None
    expires_at: str | None = None

    @property
    def expires_at_datetime(self) -> datetime | None:
        """``expires_at`` as an aware time, leniently.

        Raises:
            InvalidMessageError: No time can be made out.
        """
        return None if self.expires_at is None else read_text_time(self.expires_at, "expires_at")


@subscription.response("subscriptions_result")
@frozen(kw_only=True)
class SubscriptionListResponse(Response):
    """``subscriptions_result``: the topics that the connection subscribes to."""

    subscriptions: tuple[str, ...]


@session.response("session_info_result")
@frozen(kw_only=True)
class SessionInfoResponse(Response):
    """``session_info_result``: what the server knows of the connection.

    Attributes:
        session_id: The connection's id.
        authenticated: Whether a token was accepted.
        user_id: Whose.
        subscriptions: The topics that it subscribes to.
        connected_at: Since when it stands, as text.
    """

    session_id: UUID
    authenticated: bool
    user_id: UUID | None = None
    subscriptions: tuple[str, ...]
    connected_at: str

    @property
    def connected_at_datetime(self) -> datetime:
        """``connected_at`` as an aware time, leniently.

        Raises:
            InvalidMessageError: No time can be made out.
        """
        return read_text_time(self.connected_at, "connected_at")


@mission.response("mission_status_result")
@frozen(kw_only=True)
class MissionStatusResponse(Response):
    """``mission_status_result``: how far a mission is.

    Attributes:
        mission_id: The mission.
        status: What it is doing, as the server calls it.
        current_spec: The spec at work.
        completed_specs: How many specs are done.
        total_specs: How many there are.
        percentage: How much is done, in percent.
        error: Why it failed.
    """

    mission_id: UUID
    status: str
    current_spec: str | None = None
    completed_specs: U32
    total_specs: U32
    percentage: F32
    error: str | None = None


@session.response("pong")
@frozen(kw_only=True)
class PongResponse(Response):
    """``pong``: the answer to ``ping``.

    Attributes:
        timestamp: The server's time, as text.
    """

    timestamp: str

    @classmethod
    def now(cls) -> "PongResponse":
        """Answer with the present time, as RFC 3339."""
        return cls(timestamp=format_timestamp(utc_now()) or "")

    @property
    def timestamp_datetime(self) -> datetime:
        """``timestamp`` as an aware time, leniently.

        Raises:
            InvalidMessageError: No time can be made out.
        """
        return read_text_time(self.timestamp, "timestamp")
