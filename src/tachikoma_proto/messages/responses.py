"""Responses: what a server answers, flat on the wire, with the constructors handlers want."""

from datetime import datetime
from uuid import UUID

import attrs

from tachikoma_proto.declare.bases import Response
from tachikoma_proto.declare.field_types import F32, U32, Json
from tachikoma_proto.declare.frozen import frozen
from tachikoma_proto.errors import CommandError, ProtocolError
from tachikoma_proto.messages.categories import mission, protocol, session, subscription
from tachikoma_proto.messages.envelope import Position
from tachikoma_proto.wire.formats import format_timestamp, read_text_time, utc_now


@protocol.response("ack")
@frozen(kw_only=True)
class AckResponse(Response):
    """``ack``: whether a command was carried out.

    Attributes:
        success: Whether it was.
        message: A sentence for a person.
        position: Where a subscription with ``resume`` stands in the log of its topic: the events
            after it will come.
        recovered: Whether every matching event after the ``since`` of the subscription was
            delivered before this answer.
    """

    success: bool
    message: str | None = None
    position: Position | None = None
    recovered: bool | None = None

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
    """``error``: a frame is invalid, or a command was refused.

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
        """Make the response to an invalid frame, or to a command that a handler refused.

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
        """Make the response to a client that has to authenticate first."""
        return cls(code="auth_required", message="Authentication required")

    @classmethod
    def invalid_message(cls, message: str = "Invalid message") -> "ErrorResponse":
        """Make the response to an invalid frame; ``message`` says why, without its content."""
        return cls(code="invalid_message", message=message)

    @classmethod
    def not_found(cls, resource: str) -> "ErrorResponse":
        """Say that something does not exist; ``resource`` names its kind, such as ``Mission``."""
        return cls(code="not_found", message=f"{resource} not found")

    @classmethod
    def permission_denied(cls) -> "ErrorResponse":
        """Make the response to a client that may not do what it asked for."""
        return cls(code="permission_denied", message="Permission denied")

    def with_details(self, details: Json) -> "ErrorResponse":
        """Return the same response with other details."""
        return attrs.evolve(self, details=details)


@session.response("auth_result")
@frozen(kw_only=True)
class AuthResponse(Response):
    """``auth_result``: the answer to ``authenticate``.

    Attributes:
        authenticated: Whether the token was accepted.
        user_id: The user that it belongs to.
        expires_at: Until when it is valid, as text.
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
    """``subscriptions_result``: the topics that the connection is subscribed to."""

    subscriptions: tuple[str, ...]


@session.response("session_info_result")
@frozen(kw_only=True)
class SessionInfoResponse(Response):
    """``session_info_result``: what the server knows about the connection.

    Attributes:
        session_id: The connection's id.
        authenticated: Whether a token was accepted.
        user_id: The user that it belongs to.
        subscriptions: The topics that it is subscribed to.
        connected_at: When it was opened, as text.
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
    """``mission_status_result``: the status and the progress of a mission.

    Attributes:
        mission_id: The mission.
        status: The status, in the server's words.
        current_spec: The spec that is running.
        completed_specs: How many specs are completed.
        total_specs: How many there are in all.
        percentage: The progress in percent.
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


@subscription.response("position")
@frozen(kw_only=True)
class PositionUpdate(Response):
    """``position``: all events up to a position were sent. It answers no command.

    It comes now and then to sessions that asked for positions, so that one whose filters let
    little through can still resume from a recent position.

    Attributes:
        position: The position.
    """

    position: Position
