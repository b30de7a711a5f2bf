"""The server's side of a connection: who may say what, and what is answered.

Rules:

* Before authentication only public commands pass; the others get ``auth_required``. So nobody
  subscribes, and no event goes out, before it, unless the server requires none.
* The session answers the commands about itself; any other comes out as ``CommandReceived``.
* A bad frame is answered with its faults, and with its id where that could be read.
* Replies are always queued: who hands out commands listens no further while ``has_room`` is
  false. Events never wait: a session with too many of them in its queue is cut off.
"""

import logging
from datetime import timedelta
from math import inf
from typing import TYPE_CHECKING, Any
from uuid import UUID

from tachikoma_proto.declare.bases import Command, Event, Response
from tachikoma_proto.errors import CommandError, ProtocolError
from tachikoma_proto.messages.commands import Authenticate
from tachikoma_proto.messages.envelope import IncomingMessage
from tachikoma_proto.messages.responses import AuthResponse, ErrorResponse
from tachikoma_proto.session.answers import BARE_PING, INTERNAL, refusal
from tachikoma_proto.session.conversation import (
    NORMAL,
    POLICY_VIOLATION,
    TRY_AGAIN_LATER,
    Conversation,
    cut_reason,
)
from tachikoma_proto.session.gate import Gate
from tachikoma_proto.session.happenings import (
    AuthenticationRequested,
    CommandReceived,
    ServerHappening,
)
from tachikoma_proto.session.keepalive import Keepalive
from tachikoma_proto.session.own_commands import OWN_COMMANDS
from tachikoma_proto.session.session import Identity, Session
from tachikoma_proto.wire.json_reader import Frame
from tachikoma_proto.wire.timestamps import format_timestamp, utc_now

if TYPE_CHECKING:
    from tachikoma_proto.session.hub import Hub

log = logging.getLogger(__name__)


class ServerSession(Session, Conversation[ServerHappening]):
    """One connection of a server; made by ``Hub.open``.

    Args:
        hub: What it shares with the other sessions.
        now: The present time in seconds, monotonic.

    Example::

        session = hub.open(now=0.0)
        session.receive('{"type":"ping"}', now=1.0)
        session.take()  # the pong
    """

    def __init__(self, hub: "Hub", now: float) -> None:
        config = hub.config
        Session.__init__(self)
        keepalive = Keepalive(config.ping_interval, config.pong_timeout, now)
        Conversation.__init__(self, hub.metrics, keepalive)
        self.hub = hub
        self._gate = Gate(hub, now)
        self._unanswered = 0
        self._parting: tuple[int, str] | None = None
        self._tokens_refused = 0
        self._auth_deadline = now + config.auth_timeout if config.require_auth else inf

    @property
    def subscriptions(self) -> tuple[str, ...]:
        """The topics that it subscribes to, in the order of subscribing."""
        return self.hub.index.topics_of(self)

    @property
    def deadline(self) -> float:
        """When ``tick`` wants to be called, in seconds; infinite if never."""
        return min(super().deadline, self._auth_deadline) if self.closing is None else inf

    @property
    def has_room(self) -> bool:
        """Whether the peer reads its answers fast enough to be listened to."""
        return self.pending - self._outbox.events < self.hub.config.max_pending

    def receive(self, frame: Frame, now: float) -> ServerHappening | None:
        """Take in a frame from the client.

        Args:
            frame: The text, or its bytes in UTF-8.
            now: The present time in seconds.

        Returns:
            What somebody else has to do; None if there is nothing.
        """
        if self.closing is not None:
            return None
        size = self._heard(frame, now)
        if self._parting is not None:
            return None
        try:
            is_known = self._identity is not None
            message = self._gate.read(frame, size, now, is_authenticated=is_known)
            happening = self._carry_out(message)
        except ProtocolError as error:
            self._refuse(error, error.message_id)
            return None
        if happening is not None:
            self._unanswered += 1
        return happening

    def tick(self, now: float) -> None:
        """Do what is due.

        Args:
            now: The present time in seconds.
        """
        if now >= self._auth_deadline:
            late = "authentication expired" if self._identity else "not authenticated in time"
            self.shut(POLICY_VIOLATION, late)
        super().tick(now)

    def authenticated(self, message_id: UUID | None, identity: Identity | None, now: float) -> None:
        """Say whose token it was.

        Args:
            message_id: The id of the message that brought the token.
            identity: Who it is; None if the token is not good. A session that is authenticated
                already stays what it was then. One that is authenticated again keeps the
                subscriptions that the new identity may have.
            now: The present time in seconds.
        """
        expires_at = identity.expires_at if identity else None
        left = inf if expires_at is None else (expires_at - utc_now()) / timedelta(seconds=1)
        if identity is None or left <= 0:
            self._refuse_token(message_id)
            return
        self._identity = identity
        self._leave_what_is_not_allowed()
        self._auth_deadline = now + left
        log.info("session %s: authenticated as user %s", self.id, identity.user_id)
        expiry = None if expires_at is None else format_timestamp(expires_at)
        self._answer(
            AuthResponse(authenticated=True, user_id=identity.user_id, expires_at=expiry),
            message_id,
        )
        self._settle()

    def reply(self, message: IncomingMessage[Command[Any]], response: Response) -> None:
        """Answer a command.

        A response that is not the command's, or cannot be written, is this side's mistake: it is
        logged, and the client gets ``internal_error``.

        Args:
            message: The message with the command.
            response: The answer.
        """
        expected = self.hub.replies.get(type(message.payload))
        if expected is not None and type(response) not in (expected, ErrorResponse):
            log.error(
                "session %s: %s is answered with %s, not with %s",
                self.id,
                message.type,
                type(response).__qualname__,
                expected.__qualname__,
            )
            response = INTERNAL
        self._answer(response, message.id)
        self._settle()

    def refuse(self, error: ProtocolError | CommandError, message_id: UUID | None) -> None:
        """Answer a command that could not be carried out.

        Args:
            error: What the client is told of it.
            message_id: The id of its message, if it had one.
        """
        self._refuse(error, message_id)
        self._settle()

    def fail(self, message_id: UUID | None) -> None:
        """Answer a command that this side failed to carry out: ``internal_error``, and no more.

        Args:
            message_id: The id of its message, if it had one.
        """
        self._answer(INTERNAL, message_id)
        self._settle()

    def publish(self, event: Event) -> int:
        """Give an event to every session of the hub that subscribed to it."""
        return self.hub.publish(event)

    def push(self, text: str) -> bool:
        """Queue an event's frame, or cut the session off if its events are not read.

        Args:
            text: The frame.

        Returns:
            Whether it was queued.
        """
        if self.closing is not None:
            return False
        if self._outbox.events >= self.hub.config.max_pending:
            log.warning("session %s: cut off, since it does not read", self.id)
            self.shut(TRY_AGAIN_LATER, "too slow", drains=False)
            return False
        self._say(text, True)
        return True

    def close(self, code: int = NORMAL, reason: str = "") -> None:
        """Take no more commands and no more events, answer what was asked, and close."""
        self.hub.index.discard(self)
        self.part(code, reason)

    def part(self, code: int, reason: str) -> None:
        """Take no more commands, answer what was asked, and close; events come until then.

        Args:
            code: The close code.
            reason: Why, for a person; cut at 123 bytes.
        """
        if self._parting is None:
            self._parting = code, cut_reason(reason)
            self._close_if_settled()

    def shut(self, code: int = NORMAL, reason: str = "", *, drains: bool = True) -> None:
        """Have the connection closed now; it gets no event from now on."""
        super().shut(code, reason, drains=drains)
        self.hub.index.discard(self)

    def _carry_out(self, message: IncomingMessage[Command[Any]]) -> ServerHappening | None:
        command = message.payload
        if isinstance(command, Authenticate):
            return AuthenticationRequested(message.id, command.token)
        own = OWN_COMMANDS.get(type(command))
        if own is None:
            return CommandReceived(message)
        try:
            response = own(self, command)
        except CommandError as error:
            self._refuse(error, message.id)
        else:
            if response is not None:
                self._answer(response, message.id)
        return None

    def _answer(self, response: Response, reply_to: UUID | None) -> None:
        try:
            text = self.hub.codec.encode(response, reply_to=reply_to)
        except Exception:
            log.exception("session %s: an answer cannot be written", self.id)
            response = INTERNAL
            text = self.hub.codec.encode(response, reply_to=reply_to)
        if isinstance(response, ErrorResponse):
            self._was_told(response.code)
        if self.closing is None:
            self._say(text)

    def _refuse_token(self, message_id: UUID | None) -> None:
        self._tokens_refused += 1
        log.info("session %s: a token was refused", self.id)
        self._answer(AuthResponse(authenticated=False), message_id)
        if self._tokens_refused >= self.hub.config.max_auth_attempts:
            self.shut(POLICY_VIOLATION, "too many tokens refused")
        self._settle()

    def _refuse(self, error: ProtocolError | CommandError, message_id: UUID | None) -> None:
        log.debug("session %s: refused with %s", self.id, error.code)
        self._answer(refusal(error), message_id)

    def _settle(self) -> None:
        """Note that something which had come out is answered."""
        self._unanswered -= 1
        self._close_if_settled()

    def _close_if_settled(self) -> None:
        if self._parting is not None and self._unanswered <= 0:
            self.shut(*self._parting)

    def _leave_what_is_not_allowed(self) -> None:
        for topic in self.subscriptions:
            is_allowed = self.hub.allows(self, topic)
            if not is_allowed and topic in self.subscriptions:  # to be asked may have ended it
                self.hub.index.remove(self, topic)

    def _ping(self) -> str:
        return BARE_PING
