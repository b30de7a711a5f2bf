"""Commands: what a client asks for. ``Command[R]`` names the response that answers each."""

from typing import Never, TypeAlias
from uuid import UUID

from attrs import field

from tachikoma_proto.declare.bases import Command, Event
from tachikoma_proto.declare.declarations import Sender
from tachikoma_proto.declare.field_types import secret
from tachikoma_proto.declare.frozen import frozen
from tachikoma_proto.messages.categories import mission, session, subscription
from tachikoma_proto.messages.envelope import Position
from tachikoma_proto.messages.responses import (
    AckResponse,
    AuthResponse,
    MissionStatusResponse,
    PongResponse,
    SessionInfoResponse,
    SubscriptionListResponse,
)


@frozen(kw_only=True)
class SubscriptionFilters:
    """Narrow a subscription to some of a topic's events; all filters that are given must match.

    Attributes:
        mission_id: Only events of this mission.
        session_id: Only events of this forge session.
        event_types: Only these events, each a tag (``progress``) or ``category.tag``
            (``mission.progress``).
    """

    mission_id: UUID | None = None
    session_id: UUID | None = None
    event_types: tuple[str, ...] | None = None


def _true_or_none(resume: bool | None) -> bool | None:
    return None if resume is False else resume


@subscription.command("subscribe")
@frozen(kw_only=True)
class Subscribe(Command[AckResponse]):
    """``subscribe``: subscribe to the events of a topic and of all topics below it.

    Attributes:
        topic: Such as ``missions`` or ``missions/<mission id>``; see ``topics``.
        filters: Which of its events; all if left out.
        resume: True asks for positions with the events, so that the subscription can be resumed.
            False is the same as None, since the wire has no other word for it.
        since: Resume from this position: the events after it come before the ``ack``. It implies
            ``resume``.
    """

    topic: str
    filters: SubscriptionFilters | None = None
    resume: bool | None = field(default=None, converter=_true_or_none)
    since: Position | None = None


@subscription.command("unsubscribe")
@frozen(kw_only=True)
class Unsubscribe(Command[AckResponse]):
    """``unsubscribe``: end the subscription to a topic."""

    topic: str


@subscription.command("list_subscriptions")
@frozen(kw_only=True)
class ListSubscriptions(Command[SubscriptionListResponse]):
    """``list_subscriptions``: list the topics that this connection is subscribed to."""


@mission.command("mission_status", tag="get_status")
@frozen(kw_only=True)
class GetMissionStatus(Command[MissionStatusResponse]):
    """``mission_status``: get the status and the progress of a mission."""

    mission_id: UUID


@mission.command("mission_start", tag="start")
@frozen(kw_only=True)
class StartMission(Command[AckResponse]):
    """``mission_start``: start a mission."""

    mission_id: UUID


@mission.command("mission_pause", tag="pause")
@frozen(kw_only=True)
class PauseMission(Command[AckResponse]):
    """``mission_pause``: pause a mission."""

    mission_id: UUID


@mission.command("mission_resume", tag="resume")
@frozen(kw_only=True)
class ResumeMission(Command[AckResponse]):
    """``mission_resume``: resume a paused mission."""

    mission_id: UUID


@mission.command("mission_cancel", tag="cancel")
@frozen(kw_only=True)
class CancelMission(Command[AckResponse]):
    """``mission_cancel``: cancel a mission."""

    mission_id: UUID


@session.command("authenticate", public=True)
@frozen(kw_only=True)
class Authenticate(Command[AuthResponse]):
    """``authenticate``: authenticate this connection with a token.

    Attributes:
        token: The token, a secret; in no repr, log or error.
    """

    token: str = secret()


@session.command("session_info", tag="get_info")
@frozen(kw_only=True)
class GetSessionInfo(Command[SessionInfoResponse]):
    """``session_info``: get what the server knows about this connection."""


@session.keepalive("ping", sender=Sender.SERVER)
@session.command("ping", public=True)
@frozen(kw_only=True)
class Ping(Command[PongResponse], Event):
    """``ping``: check that the server is there.

    A server may send it as well, as a bare ``{"type":"ping"}``; so it is also an event.
    """


@session.keepalive("pong", sender=Sender.CLIENT)
@frozen(kw_only=True)
class Pong(Command[Never]):
    """A bare ``{"type":"pong"}`` from a client: the answer to a server's ping."""


SubscriptionCommand: TypeAlias = Subscribe | Unsubscribe | ListSubscriptions
"""Every command of the category ``subscription``."""

MissionCommand: TypeAlias = (
    GetMissionStatus | StartMission | PauseMission | ResumeMission | CancelMission
)
"""Every command of the category ``mission``."""

SessionCommand: TypeAlias = Authenticate | GetSessionInfo | Ping
"""Every command of the category ``session``, without the keepalive :class:`Pong`."""
