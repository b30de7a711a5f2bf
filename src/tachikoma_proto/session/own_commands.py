"""The commands that a server's session answers itself: about its subscriptions and about itself."""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from tachikoma_proto.declare.bases import Command, Response
from tachikoma_proto.errors import CommandError
from tachikoma_proto.messages.commands import (
    GetSessionInfo,
    ListSubscriptions,
    Ping,
    Pong,
    Subscribe,
    Unsubscribe,
)
from tachikoma_proto.messages.responses import (
    AckResponse,
    PongResponse,
    SessionInfoResponse,
    SubscriptionListResponse,
)
from tachikoma_proto.wire.timestamps import format_timestamp

if TYPE_CHECKING:
    from tachikoma_proto.session.server_session import ServerSession


def _subscribe(session: "ServerSession", command: Subscribe) -> AckResponse:
    limit = session.hub.config.max_subscriptions
    topic = session.hub.index.canonical(command.topic)
    if topic not in session.subscriptions and len(session.subscriptions) >= limit:
        raise CommandError("permission_denied", f"at most {limit} subscriptions")
    if not session.hub.allows(session, topic):
        raise CommandError("permission_denied", "Permission denied")
    session.hub.index.add(session, topic, command.filters)
    return AckResponse.ok()


def _unsubscribe(session: "ServerSession", command: Unsubscribe) -> AckResponse:
    session.hub.index.remove(session, command.topic)
    return AckResponse.ok()


def _list(session: "ServerSession", _: ListSubscriptions) -> SubscriptionListResponse:
    return SubscriptionListResponse(subscriptions=session.subscriptions)


def _info(session: "ServerSession", _: GetSessionInfo) -> SessionInfoResponse:
    return SessionInfoResponse(
        session_id=session.id,
        authenticated=session.identity is not None,
        user_id=session.identity.user_id if session.identity else None,
        subscriptions=session.subscriptions,
        connected_at=format_timestamp(session.connected_at) or "",
    )


def _ping(_: "ServerSession", __: Ping) -> PongResponse:
    return PongResponse.now()


def _pong(_: "ServerSession", __: Pong) -> None:
    """Take it as what every frame is: a sign of life."""


Answer: TypeAlias = "Callable[[ServerSession, Any], Response | None]"
"""Carries a command out; raises ``CommandError`` if it cannot be; None is no answer."""

OWN_COMMANDS: Final[Mapping[type[Command[Any]], Answer]] = MappingProxyType(
    {
        Subscribe: _subscribe,
        Unsubscribe: _unsubscribe,
        ListSubscriptions: _list,
        GetSessionInfo: _info,
        Ping: _ping,
        Pong: _pong,
    }
)
"""What is answered here, and how."""
