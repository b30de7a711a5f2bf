"""The server's side of a connection: who may say what, and what is answered.

Rules:

* Before authentication only public commands pass; the others get ``auth_required``. So nobody
  subscribes, and no event goes out, before it, unless the server requires none.
* The session answers the commands about itself; any other comes out as ``CommandReceived``.
* A bad frame is answered with its faults, and with its id where that could be read.
* Replies are always queued: who hands out commands listens no further while ``has_room`` is
  false. Events never wait: a session whose queue is full is cut off.
"""

import logging
from datetime import timedelta
from math import inf
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

from tachikoma_proto.base import Command, Event, Response
from tachikoma_proto.errors import EncodeError, MessageTooLargeError, ProtocolError
from tachikoma_proto.json_reader import Frame
from tachikoma_proto.json_tokens import recover_id_at_start
from tachikoma_proto.messages.commands import Authenticate, Pong
from tachikoma_proto.messages.envelope import IncomingMessage
from tachikoma_proto.messages.responses import AuthResponse, ErrorResponse
from tachikoma_proto.session.conversation import (
    NORMAL,
    POLICY_VIOLATION,
    TRY_AGAIN_LATER,
    Conversation,
)
from tachikoma_proto.session.happenings import (
    AuthenticationRequested,
    CommandReceived,
    ServerHappening,
)
from tachikoma_proto.session.keepalive import Keepalive
from tachikoma_proto.session.own_commands import OWN_COMMANDS
from tachikoma_proto.session.rate import TokenBucket
from tachikoma_proto.session.session import Identity, Session
from tachikoma_proto.timestamps import format_timestamp, utc_now

if TYPE_CHECKING:
    from tachikoma_proto.session.hub import Hub

log = logging.getLogger(__name__)

BARE_PING: Final = '{"type":"ping"}'
"""What a silent client is asked; it has neither id nor time."""

INTERNAL: Final = ErrorResponse(code="internal_error", message="internal error")
"""What a client is told of this side's mistakes."""


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
        self._rate = TokenBucket(config.rate_limit, config.rate_burst, now)
        self._is_listening = True
        self._tokens_refused = 0
        self._auth_deadline = now + config.auth_timeout if config.require_auth else inf

    @property
    def deadline(self) -> float:
        """When ``tick`` wants to be called, in seconds; infinite if never."""
        return min(self._keepalive.deadline, self._auth_deadline)

    @property
    def has_room(self) -> bool:
        """Whether the peer reads fast enough to be listened to.

        Half of the queue is kept for events, so that many answers cut nobody off.
        """
        return self.pending * 2 < self.hub.config.max_pending

    def receive(self, frame: Frame, now: float) -> ServerHappening | None:
        """Take in a frame from the client.

        Args:
            frame: The text, or its bytes in UTF-8.
            now: The present time in seconds.

        Returns:
            What somebody else has to do; None if there is nothing.
        """
        if self.closing is not None or not self._is_listening:
            return None
        size = self._heard(frame, now)
        try:
            return self._carry_out(self._read(frame, size, now))
        except ProtocolError as error:
            self.refuse(error, error.message_id)
        return None

    def tick(self, now: float) -> None:
        """Do what is due.

        Args:
            now: The present time in seconds.
        """
        if now >= self._auth_deadline:
            late = "authentication expired" if self._identity else "not authenticated in time"
            self.close(POLICY_VIOLATION, late)
        super().tick(now)

    def authenticated(self, message_id: UUID | None, identity: Identity | None, now: float) -> None:
        """Say whose token it was.

        Args:
            message_id: The id of the message that brought the token.
            identity: Who it is; None if the token is not good. A session that is authenticated
                already stays what it was then; one that becomes somebody else's begins without
                subscriptions.
            now: The present time in seconds.
        """
        expires_at = identity.expires_at if identity else None
        left = inf if expires_at is None else (expires_at - utc_now()) / timedelta(seconds=1)
        if identity is None or left <= 0:
            self._refuse_token(message_id)
            return
        if self._identity is not None and self._identity.user_id != identity.user_id:
            self._leave_topics()
        self._identity = identity
        self._is_listening = True
        self._tokens_refused = 0
        self._auth_deadline = now + left
        log.info("session %s: authenticated as user %s", self.id, identity.user_id)
        expiry = None if expires_at is None else format_timestamp(expires_at)
        self._answer(
            AuthResponse(authenticated=True, user_id=identity.user_id, expires_at=expiry),
            message_id,
        )

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

    def refuse(self, error: ProtocolError, message_id: UUID | None) -> None:
        """Answer a frame that could not be read, or a command that could not be carried out.

        Args:
            error: What the client is told of it.
            message_id: The id of its message, if it had one.
        """
        log.debug("session %s: refused with %s", self.id, error.code)
        self._answer(ErrorResponse.from_error(error), message_id)

    def fail(self, message_id: UUID | None) -> None:
        """Answer a command that this side failed to carry out: ``internal_error``, and no more.

        Args:
            message_id: The id of its message, if it had one.
        """
        self._answer(INTERNAL, message_id)

    def stop_listening(self) -> None:
        """Take in no more frames; what was said before is still answered."""
        self._is_listening = False

    def publish(self, event: Event) -> int:
        """Give an event to every session of the hub that subscribed to it."""
        return self.hub.publish(event)

    def push(self, text: str) -> bool:
        """Queue an event's frame, or cut the session off if its queue is full.

        Args:
            text: The frame.

        Returns:
            Whether it was queued.
        """
        if self.closing is not None:
            return False
        if len(self._outbox) >= self.hub.config.max_pending:
            log.warning("session %s: cut off, since it does not read", self.id)
            self.close(TRY_AGAIN_LATER, "too slow", drains=False)
            return False
        self._say(text)
        return True

    def close(self, code: int = NORMAL, reason: str = "", *, drains: bool = True) -> None:
        """Have the connection closed; it gets no event from now on."""
        Conversation.close(self, code, reason, drains=drains)
        self._leave_topics()

    def topics_changed(self) -> None:
        """Take over from the index what the session subscribes to."""
        self._topics = self.hub.index.topics_of(self)

    def _read(self, frame: Frame, size: int, now: float) -> IncomingMessage[Command[Any]]:
        config = self.hub.config
        is_in_time = self._rate.take(now)
        if size > config.max_message_size:
            raise MessageTooLargeError(
                f"the frame is larger than {config.max_message_size} bytes",
                message_id=recover_id_at_start(frame),
            )
        message = self.hub.codec.decode_command(frame)
        if not is_in_time and not isinstance(message.payload, Pong):
            raise ProtocolError("too many messages", code="rate_limited", message_id=message.id)
        is_let_in = self._identity is not None or not config.require_auth
        if not is_let_in and type(message.payload) not in self.hub.public:
            raise ProtocolError(
                "authentication required", code="auth_required", message_id=message.id
            )
        return message

    def _carry_out(self, message: IncomingMessage[Command[Any]]) -> ServerHappening | None:
        command = message.payload
        if isinstance(command, Authenticate):
            return AuthenticationRequested(message.id, command.token)
        own = OWN_COMMANDS.get(type(command))
        if own is None:
            return CommandReceived(message)
        try:
            response = own(self, command)
        except ProtocolError as error:
            self.refuse(error, message.id)
        except Exception:
            log.exception("session %s: %s failed", self.id, message.type)
            self.fail(message.id)
        else:
            if response is not None:
                self._answer(response, message.id)
        return None

    def _answer(self, response: Response, reply_to: UUID | None) -> None:
        try:
            text = self.hub.codec.encode(response, reply_to=reply_to)
        except EncodeError as error:
            log.error("session %s: an answer cannot be written: %s", self.id, error)
            response = INTERNAL
            text = self.hub.codec.encode(response, reply_to=reply_to)
        if isinstance(response, ErrorResponse):
            self._metrics.error(response.code)
        if self.closing is None:
            self._say(text)

    def _refuse_token(self, message_id: UUID | None) -> None:
        self._tokens_refused += 1
        log.info("session %s: a token was refused", self.id)
        self._answer(AuthResponse(authenticated=False), message_id)
        if self._tokens_refused >= self.hub.config.max_auth_attempts:
            self.close(POLICY_VIOLATION, "too many tokens refused")

    def _leave_topics(self) -> None:
        self.hub.index.discard(self)
        self._topics = ()

    def _ask(self) -> None:
        self._say(BARE_PING)
