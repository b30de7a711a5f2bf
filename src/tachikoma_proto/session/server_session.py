"""``ServerSession``: a server's side of one connection, without I/O.

Rules:

* Before authentication only public commands pass; the others get ``auth_required``. So nobody
  subscribes, and no published event goes out, before it, unless the server requires none.
* The session answers the commands about itself; any other comes out as ``CommandReceived``.
* A bad frame is answered with its faults, and with its id where that could be read.
* Responses are always queued; no command is read while ``can_receive`` is false. Events never
  wait for the peer: a client that does not read them is disconnected.
* A subscription that resumes is registered, gets the events that it missed and is acknowledged in
  one step; what comes after it is published later. It waits before that while this process has
  yet to see what the client has, and while events of that log are held back.
* No position is told before all events up to it were queued. So where some of a log may be
  missing, the session gets nothing more of it, and is closed.
* Closing in order answers what was asked before, within a bounded time. A deadline that starts
  without a time at hand is due at once, and is set when ``handle_timeout`` brings the time.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import timedelta
from math import inf
from types import MappingProxyType
from typing import Any, Final, TypeAlias
from uuid import UUID

from attrs import define, field, frozen

from tachikoma_proto.codec.codec import Codec
from tachikoma_proto.declare.bases import Command, Event, Message, Response
from tachikoma_proto.declare.shapes import holds_secrets
from tachikoma_proto.errors import CommandError, ProtocolError
from tachikoma_proto.messages.commands import (
    Authenticate,
    GetSessionInfo,
    ListSubscriptions,
    Ping,
    Pong,
    Subscribe,
    SubscriptionFilters,
    Unsubscribe,
)
from tachikoma_proto.messages.envelope import IncomingMessage, Position
from tachikoma_proto.messages.record import Record
from tachikoma_proto.messages.responses import (
    AckResponse,
    AuthResponse,
    ErrorResponse,
    PongResponse,
    PositionUpdate,
    SessionInfoResponse,
    SubscriptionListResponse,
)
from tachikoma_proto.session.admission import Admission
from tachikoma_proto.session.base import (
    EVENT,
    INTERNAL_ERROR,
    NORMAL,
    POLICY_VIOLATION,
    SERVICE_RESTART,
    TRY_AGAIN_LATER,
    BaseSession,
    Keepalive,
    QueuedFrame,
    truncate_reason,
)
from tachikoma_proto.session.config import ServerConfig
from tachikoma_proto.session.events import (
    AuthenticationRequested,
    CommandReceived,
    ReauthenticationRequested,
    ServerSessionEvent,
    Subscribed,
    SubscriptionRequested,
)
from tachikoma_proto.session.history import TopicLog
from tachikoma_proto.session.logs import SessionLogger
from tachikoma_proto.session.metrics import Metrics
from tachikoma_proto.session.session import Identity, Publisher, Session
from tachikoma_proto.session.subscriptions import Subscription, SubscriptionIndex
from tachikoma_proto.wire.formats import format_timestamp, utc_now
from tachikoma_proto.wire.json_reader import Frame, size_of

BARE_PING: Final = '{"type":"ping"}'
"""The ping of a server; it has neither id nor timestamp."""

INTERNAL: Final = ErrorResponse(code="internal_error", message="internal error")
"""All that a client is told of the server's own failures."""

_UNSET: Final = -inf
"""A deadline that is to be set at the next ``handle_timeout``, which is due at once."""


@frozen(kw_only=True, eq=False)
class SessionContext:
    """What the sessions of one server share; the hub makes it.

    Attributes:
        codec: Reads and writes the frames.
        config: The limits of each session.
        metrics: Hooks for what happens; never raise.
        index: Who is subscribed to what.
        logs: The logs of the category topics, by their topics.
        replies: The response class that answers each command.
        public: The commands that need no authentication.
        publisher: What sessions offer as their ``server``.
        asks_permission: Whether subscriptions come out as ``SubscriptionRequested``.
        announces_subscriptions: Whether ``Subscribed`` comes out after each.
    """

    codec: Codec
    config: ServerConfig
    metrics: Metrics | None
    index: "SubscriptionIndex[ServerSession]"
    logs: Mapping[str, TopicLog]
    replies: Mapping[type[Message], type[Response] | None]
    public: frozenset[type[Command[Any]]]
    publisher: Publisher
    asks_permission: bool
    announces_subscriptions: bool

    def has_secrets(self, message: Message) -> bool:
        """Return whether a message has a secret field, at any depth."""
        return holds_secrets(type(message), self.codec.registry.records)


@define(eq=False)
class _Following:
    """How a session follows the logs that it has subscriptions in.

    It is apart from the session for the sake of sessions with many events: where an object has 30
    attributes or more, Python finds each of them more slowly.

    Attributes:
        waiting: The subscriptions that wait until they can be made, by their topics, and until
            when they wait for the log; infinite if they do not.
        told: The offset that the client was told last, by the topic of the log.
        position_deadline: When to tell the client how far they are.
        lost: The topics of the logs some of whose events may be missing.
        gap_delay: In how many seconds to close because of that.
        gap_deadline: When that is.
        holds: How many subscriptions were announced, and hold back events.
        held_from: The offset after which they are held back, by the topic of the log.
        held_size: How many bytes the events have that are held back.
        replayed_at_mark: How many replayed events were sent when the backlog was judged last.
    """

    waiting: dict[str, tuple[SubscriptionRequested, float]] = field(factory=dict)
    told: dict[str, int] = field(factory=dict)
    position_deadline: float = inf
    lost: set[str] = field(factory=set)
    gap_delay: float = 0.0
    gap_deadline: float = inf
    holds: int = 0
    held_from: dict[str, int] = field(factory=dict)
    held_size: int = 0
    replayed_at_mark: int = 0

    @property
    def next_timeout(self) -> float:
        """When something is due."""
        timeout = min(self.position_deadline, self.gap_deadline)
        if self.waiting:
            timeout = min(timeout, *(deadline for _, deadline in self.waiting.values()))
        return timeout


class ServerSession(Session, BaseSession[ServerSessionEvent]):
    """One connection of a server; ``Hub.open`` makes it.

    Args:
        context: What it shares with the other sessions.
        now: The present time in seconds, monotonic.
        remote_address: The address of the peer, if it is known.

    Attributes:
        log: Where log records about the session go.
        on_subscribed: Called with a ``Subscribed`` that comes out of no call, since the
            subscription had to wait; set by whoever does the I/O.

    Example::

        session = hub.open(now=0.0)
        session.receive('{"type":"ping"}', now=1.0)
        session.next_frame()  # the pong
    """

    def __init__(
        self, context: SessionContext, now: float, remote_address: str | None = None
    ) -> None:
        config = context.config
        Session.__init__(self, remote_address)
        keepalive = Keepalive(config.ping_interval, config.pong_timeout, now)
        BaseSession.__init__(self, context.metrics, keepalive)
        self.context = context
        self.log = SessionLogger(self)
        self._admission = Admission(context.codec, config, context.public, now)
        self._unanswered = 0
        self._tokens_refused = 0
        self._auth_deadline = now + config.auth_timeout if config.require_auth else inf
        self._auth_check_deadline = -inf
        self._draining: tuple[int, str] | None = None
        self._drain_deadline = inf
        self._backlog_deadline = inf
        self._max_pending = config.max_pending
        self._max_pending_bytes = config.max_pending_bytes
        self._held_events: list[QueuedFrame] | None = None
        self._following = _Following()
        self.on_subscribed: Callable[[Subscribed], object] = _nothing

    @property
    def server(self) -> Publisher:
        """The server, to publish events with."""
        return self.context.publisher

    @property
    def subscriptions(self) -> tuple[str, ...]:
        """The topics that the session is subscribed to, in the order of subscribing."""
        return self.context.index.topics_of(self)

    @property
    def next_timeout(self) -> float:
        """When ``handle_timeout`` is due, in seconds; infinite if never."""
        if self.closing is not None:
            return inf
        return min(
            super().next_timeout,
            max(self._auth_deadline, self._auth_check_deadline),
            self._drain_deadline,
            self._backlog_deadline,
            self._following.next_timeout,
        )

    @property
    def can_receive(self) -> bool:
        """Whether commands may be read, or the peer has to read what it asked for first."""
        queue, config = self._queue, self.context.config
        return (
            len(queue) - queue.events - queue.replayed < self._max_pending
            and queue.replayed < config.replay_events
            and queue.replayed_size < config.replay_bytes
        )

    def receive(self, frame: Frame, now: float) -> ServerSessionEvent | None:
        """Take in a frame from the client.

        Args:
            frame: The text, or its bytes in UTF-8.
            now: The present time in seconds.

        Returns:
            What the owner has to do; None if there is nothing.
        """
        if self.closing is not None:
            return None
        size = self._heard(frame, now)
        if self._draining is not None:
            return None
        is_authenticated = self._identity is not None
        try:
            message = self._admission.admit(frame, size, now, is_authenticated=is_authenticated)
        except ProtocolError as error:
            self._log_refusal(error, now)
            self._refuse(error, error.message_id)
            return None
        handle = SESSION_COMMANDS.get(type(message.payload))
        if handle is None:
            self._unanswered += 1
            return CommandReceived(message)
        try:
            return handle(self, message, now)
        except CommandError as error:
            self._refuse(error, message.id)
            return None

    def handle_timeout(self, now: float) -> None:
        """Do what is due.

        Args:
            now: The present time in seconds.
        """
        if self.closing is not None:
            return
        if now >= max(self._auth_deadline, self._auth_check_deadline):
            self._auth_deadline = inf
            expired = "authentication expired" if self._identity else "not authenticated in time"
            self.close(POLICY_VIOLATION, expired)
        if now >= self._drain_deadline:
            self._judge_draining(now)
        if now >= self._backlog_deadline:
            self._judge_backlog(now)
        if now >= self._following.gap_deadline:
            self._judge_gap(now)
        if now >= self._following.position_deadline:
            self._tell_positions(now)
        if self._following.waiting:
            self._judge_waiting(now)
        super().handle_timeout(now)

    def authenticated(
        self, message_id: UUID | None, identity: Identity | None, now: float
    ) -> ReauthenticationRequested | None:
        """Answer ``AuthenticationRequested``.

        Args:
            message_id: The id of the message that brought the token.
            identity: Who it belongs to; None if the token is not valid. A session that was
                authenticated before stays what it was then.
            now: The present time in seconds.

        Returns:
            What is left to decide before the client gets its answer: whether a session that was
            authenticated before may keep its subscriptions.
        """
        self._auth_check_deadline = -inf
        if identity is None or _seconds_left(identity) <= 0:
            self._refuse_token(message_id)
            return None
        previous, self._identity = self._identity, identity
        topics = self.subscriptions
        if topics and self.context.asks_permission:
            return ReauthenticationRequested(message_id, topics, previous)
        self._accept_identity(message_id, now)
        return None

    def identify(self, identity: Identity, now: float) -> bool:
        """Authenticate the session by what its handshake says; nothing is sent.

        Args:
            identity: Who it belongs to.
            now: The present time in seconds.

        Returns:
            Whether the identity is valid still.
        """
        seconds = _seconds_left(identity)
        if seconds <= 0:
            return False
        self._identity = identity
        self._auth_deadline = now + seconds
        self.on_timeout_changed()
        self.log.info("authenticated by its handshake")
        return True

    def decide_reauthentication(
        self, request: ReauthenticationRequested, allowed: Collection[str], now: float
    ) -> None:
        """Answer ``ReauthenticationRequested``: drop the topics that the identity may not have.

        The client is told of them by an ``error`` message of the code ``permission_denied``, with
        the topics in its details.

        Args:
            request: The session event.
            allowed: The topics that it may keep.
            now: The present time in seconds.
        """
        dropped = [
            topic
            for topic in request.topics
            if topic not in allowed and topic in self.subscriptions  # some may have ended meanwhile
        ]
        for topic in dropped:
            self.context.index.remove(self, topic)
        self._accept_identity(request.message_id, now)
        if dropped:
            self.log.info("%d subscriptions ended with the new identity", len(dropped))
            details = {"topics": list(dropped)}
            self._answer(ErrorResponse.permission_denied().with_details(details), None)

    def undo_reauthentication(self, request: ReauthenticationRequested) -> None:
        """Answer ``ReauthenticationRequested`` with ``internal_error``; all stays as it was."""
        self._identity = request.previous
        self.fail(request.message_id)

    def decide_subscription(
        self, request: SubscriptionRequested, allowed: bool
    ) -> Subscribed | None:
        """Answer ``SubscriptionRequested``.

        Args:
            request: The session event.
            allowed: Whether the session may subscribe.

        Returns:
            What the owner has to do; None if there is nothing.
        """
        if self.closing is not None:
            return None
        try:
            if not allowed:
                raise CommandError("permission_denied", "Permission denied")
            subscribed = self._subscribe(request)
        except CommandError as error:
            self.refuse(error, request.message_id)
            return None
        self._settle()
        return subscribed

    def reply(self, message: IncomingMessage[Command[Any]], response: Response) -> None:
        """Answer a command.

        A response that does not answer the command, or cannot be written, is a fault of the
        handler: it is logged, and the client gets ``internal_error``.

        Args:
            message: The message with the command.
            response: The response.
        """
        expected = self.context.replies.get(type(message.payload))
        if expected is not None and type(response) not in (expected, ErrorResponse):
            self.log.error(
                "message %s: the handler of %s returned %s instead of %s",
                message.id,
                message.type,
                type(response).__qualname__,
                expected.__qualname__,
            )
            response = INTERNAL
        self._answer(response, message.id)
        self._settle()

    def refuse(self, error: ProtocolError | CommandError, message_id: UUID | None) -> None:
        """Answer a command with an error.

        Args:
            error: What to tell the client.
            message_id: The id of the command's message, if it had one.
        """
        self._refuse(error, message_id)
        self._settle()

    def fail(self, message_id: UUID | None) -> None:
        """Answer a command with ``internal_error``, and nothing of what went wrong.

        Args:
            message_id: The id of the command's message, if it had one.
        """
        self._answer(INTERNAL, message_id)
        self._settle()

    def send(self, event: Event) -> bool:
        """Send an event to this session alone; return whether it was queued."""
        text = self.context.codec.encode(event)
        if self.closing is not None:
            return False
        self._put((text, size_of(text), EVENT))
        return self.closing is None

    def push(self, frame: QueuedFrame) -> bool:
        """Queue the frame of an event that was published.

        Args:
            frame: The frame; the same object for all sessions that receive it.

        Returns:
            Whether it was queued; False if the session is closing, or is disconnected since too
            much waits for it.
        """
        if self.closing is not None:
            return False
        if self._held_events is None:
            # As _put does it, but without its calls: this runs once for each receiver.
            queue = self._queue
            queue.frames.append(frame)
            queue.size += frame[1]
            queue.events += 1
            if queue.size > self._max_pending_bytes or queue.events > self._max_pending:
                return self._judge_queue()
            if self._metrics is not None:
                self._metrics.frame_queued(len(queue.frames))
            self.on_output()
            return True
        self._held_events.append(frame)
        self._following.held_size += frame[1]
        if self._following.held_size > self._max_pending_bytes:
            self._disconnect_slow_consumer()
        return self.closing is None

    def release_events(self) -> None:
        """Answer ``Subscribed``: queue the events that were held back, and hold back no more.

        Where several subscriptions were announced, they are held back until all are answered.
        """
        self._following.holds -= 1
        if self._following.holds > 0:
            return
        held, self._held_events, self._following.held_size = self._held_events, None, 0
        self._following.holds = 0
        for frame in held or ():
            self.push(frame)
        self._try_waiting()

    def subscribe(self, topic: str, filters: SubscriptionFilters | None = None) -> None:
        """Subscribe the session to a topic, without asking for a permission.

        A client that asked for positions goes on getting them.
        """
        if self.closing is None and self._draining is None:
            index = self.context.index
            topic = index.canonical(topic)
            replaced = index.subscriptions_of(self).get(topic)
            index.add(
                self,
                topic,
                filters,
                start=self._log_of(topic).offset,
                resumes=replaced is not None and replaced.resumes,
            )

    def unsubscribe(self, topic: str) -> None:
        """End a subscription of the session."""
        self.context.index.remove(self, topic)

    def close(self, code: int = NORMAL, reason: str = "") -> None:
        """Take no more commands and events, answer what was asked, and close."""
        self.context.index.discard(self)
        self.drain(code, reason)
        if self.closing is None and self._drain_deadline == inf:
            self._drain_deadline = _UNSET
            self.on_timeout_changed()

    def abort(self, code: int = INTERNAL_ERROR, reason: str = "") -> None:
        """Close the connection at once; the frames in the send queue are dropped."""
        BaseSession.abort(self, code, reason)

    def drain(self, code: int, reason: str) -> None:
        """Take no more commands, answer what was asked, and close; events come until then.

        Args:
            code: The close code.
            reason: Why, for a person; truncated to 123 bytes.
        """
        if self._draining is None:
            self._draining = code, truncate_reason(reason)
            for topic in tuple(self._following.waiting):
                self._finish_waiting(topic)
            self._close_if_settled()

    def lose(self, topic: str, delay: float) -> None:
        """Send no more events and positions of a log, since some may be missing, and close.

        Args:
            topic: The log's topic.
            delay: In how many seconds to close; the first call counts.
        """
        self._following.lost.add(topic)
        for subscription in self._subscriptions_in(topic):
            self.context.index.remove(self, subscription.topic)
        if self._following.gap_deadline == inf:
            self._following.gap_delay, self._following.gap_deadline = delay, _UNSET
            self.on_timeout_changed()

    def log_moved(self, log: TopicLog) -> None:
        """Look again whether a subscription that waits for a log can be made."""
        self._try_waiting()

    def _end(self, code: int, reason: str, *, flush: bool) -> None:
        super()._end(code, reason, flush=flush)
        self._held_events = None
        self.context.index.discard(self)
        for topic in self._following.waiting:
            self._log_of(topic).waiters.pop(self, None)
        self._following.waiting.clear()

    def _answer(self, response: Response, reply_to: UUID | None) -> None:
        if self.closing is not None:
            return
        try:
            text = self.context.codec.encode(response, reply_to=reply_to)
        except Exception:  # the response may be any object that a handler returned
            self.log.exception("a response cannot be encoded")
            response = INTERNAL
            text = self.context.codec.encode(response, reply_to=reply_to)
        if isinstance(response, ErrorResponse):
            self._count_error(response.code)
        self._send(text)

    def _refuse(self, error: ProtocolError | CommandError, message_id: UUID | None) -> None:
        self.log.debug("refused with %s", error.code)
        try:
            response = ErrorResponse.from_error(error)
        except Exception:  # an error that a handler raised may be made of anything
            self.log.exception("an error cannot be sent to the client")
            response = INTERNAL
        self._answer(response, message_id)

    def _log_refusal(self, error: ProtocolError, now: float) -> None:
        if self._admission.log_rate.take(now):
            paths = ascii([fault.path for fault in error.errors])
            self.log.info(
                "refused a frame: %s at %s",
                error.code,
                paths,
                extra={"error_code": error.code, "paths": paths},
            )

    def _refuse_token(self, message_id: UUID | None) -> None:
        self._tokens_refused += 1
        self.log.info("refused a token")
        if self._metrics is not None:
            self._metrics.authentication_failed()
        self._answer(AuthResponse(authenticated=False), message_id)
        if self._tokens_refused >= self.context.config.max_auth_attempts:
            self._settle()
            self.close(POLICY_VIOLATION, "too many tokens refused")
        else:
            self._settle()

    def _accept_identity(self, message_id: UUID | None, now: float) -> None:
        identity = self._identity
        assert identity is not None, "an identity is accepted before it is set"
        self._auth_deadline = now + _seconds_left(identity)
        self.on_timeout_changed()
        self.log.info("authenticated")
        expiry = None if identity.expires_at is None else format_timestamp(identity.expires_at)
        self._answer(
            AuthResponse(authenticated=True, user_id=identity.user_id, expires_at=expiry),
            message_id,
        )
        self._settle()

    def _settle(self) -> None:
        """Record that something the owner was asked to do is answered."""
        self._unanswered -= 1
        self._close_if_settled()

    def _close_if_settled(self) -> None:
        if self._draining is not None and self._unanswered <= 0:
            self._end(*self._draining, flush=True)

    def _judge_draining(self, now: float) -> None:
        if self._drain_deadline == _UNSET:
            self._drain_deadline = now + self.context.config.close_timeout
        elif self._draining is not None:
            self.log.warning("closed before %d commands were answered", self._unanswered)
            self._end(*self._draining, flush=True)

    def _judge_backlog(self, now: float) -> None:
        queue, limit = self._queue, self._max_pending
        is_too_much = self._backlog_deadline != _UNSET and queue.events_since_mark() > limit
        # What is replayed goes before it: a client that reads that gets the time for it.
        is_replaying = queue.replayed > 0 and queue.replayed_sent > self._following.replayed_at_mark
        if is_too_much and not is_replaying:
            self._disconnect_slow_consumer()
        elif queue.events > limit:
            queue.mark()
            self._following.replayed_at_mark = queue.replayed_sent
            self._backlog_deadline = now + self.context.config.pending_grace
        else:
            self._backlog_deadline = inf

    def _judge_gap(self, now: float) -> None:
        if self._following.gap_deadline == _UNSET:
            self._following.gap_deadline = now + self._following.gap_delay
        if now >= self._following.gap_deadline:
            self._following.gap_deadline = inf
            self.close(SERVICE_RESTART, "events may be missing")

    def _tell_positions(self, now: float) -> None:
        """Tell how far the logs are of which the client asked for positions, where it is due."""
        is_due, self._following.position_deadline = self._following.position_deadline != _UNSET, inf
        for topic in tuple(self._following.told):
            if not self.context.index.gets_positions(self, topic):
                del self._following.told[topic]
            elif is_due and self._held_events is None:
                self._tell_position(self._log_of(topic))
        if self._following.told:
            self._following.position_deadline = now + self.context.config.position_interval

    def _tell_position(self, log: TopicLog) -> None:
        if log.offset == self._following.told[log.topic]:
            return
        self._following.told[log.topic] = log.offset
        last = log.last
        has_last = last is not None and any(
            subscription.start < log.offset and subscription.matches(last)
            for subscription in self._subscriptions_in(log.topic)
        )
        if not has_last:
            self._send(self.context.codec.encode(PositionUpdate(position=log.position)))

    def _put(self, frame: QueuedFrame) -> None:
        super()._put(frame)
        if self._queue.size > self._max_pending_bytes or self._queue.events > self._max_pending:
            self._judge_queue()

    def _judge_queue(self) -> bool:
        """Disconnect a client for which too much waits; return whether the session is open."""
        if self._queue.size > self._max_pending_bytes:
            self._disconnect_slow_consumer()
        elif self._backlog_deadline == inf and self._queue.events > self._max_pending:
            self._backlog_deadline = _UNSET
            self.on_timeout_changed()
        self.on_output()
        return self.closing is None

    def _disconnect_slow_consumer(self) -> None:
        queue = self._queue
        self.log.warning(
            "disconnected, since the client does not read: %d frames of %d bytes wait",
            len(queue) + len(self._held_events or ()),
            queue.size + queue.replayed_size + self._following.held_size,
        )
        if self._metrics is not None:
            self._metrics.slow_consumer_disconnected()
        self.abort(TRY_AGAIN_LATER, "too slow")

    def _ping_frame(self) -> str:
        return BARE_PING

    # The commands that the session handles itself.

    def _on_authenticate(
        self, message: IncomingMessage[Command[Any]], now: float
    ) -> AuthenticationRequested:
        assert isinstance(message.payload, Authenticate)
        self._unanswered += 1
        self._auth_check_deadline = now + self.context.config.auth_timeout
        return AuthenticationRequested(message.id, message.payload.token, message)

    def _on_subscribe(
        self, message: IncomingMessage[Command[Any]], now: float
    ) -> SubscriptionRequested | Subscribed | None:
        command = message.payload
        assert isinstance(command, Subscribe)
        topic = self.context.index.canonical(command.topic)
        self._finish_waiting(topic)
        self._check_subscription_limit(topic)
        request = SubscriptionRequested(
            message.id,
            topic,
            command.filters,
            self._identity,
            message,
            resumes=bool(command.resume) or command.since is not None,
            since=command.since,
        )
        if self.context.asks_permission:
            self._unanswered += 1
            return request
        return self._subscribe(request)

    def _on_unsubscribe(self, message: IncomingMessage[Command[Any]], now: float) -> None:
        assert isinstance(message.payload, Unsubscribe)
        index = self.context.index
        topic = index.canonical(message.payload.topic)
        was_waiting = self._finish_waiting(topic)
        if not was_waiting or topic in self.subscriptions:
            index.remove(self, topic)
        self._answer(AckResponse.ok(), message.id)

    def _on_list(self, message: IncomingMessage[Command[Any]], now: float) -> None:
        self._answer(SubscriptionListResponse(subscriptions=self.subscriptions), message.id)

    def _on_info(self, message: IncomingMessage[Command[Any]], now: float) -> None:
        response = SessionInfoResponse(
            session_id=self.id,
            authenticated=self._identity is not None,
            user_id=self._identity.user_id if self._identity else None,
            subscriptions=self.subscriptions,
            connected_at=format_timestamp(self.connected_at) or "",
        )
        self._answer(response, message.id)

    def _on_ping(self, message: IncomingMessage[Command[Any]], now: float) -> None:
        self._answer(PongResponse.now(), message.id)

    def _on_pong(self, message: IncomingMessage[Command[Any]], now: float) -> None:
        """Take it as what every frame is: a sign of life."""

    # Subscriptions.

    def _check_subscription_limit(self, topic: str) -> None:
        limit = self.context.config.max_subscriptions
        topics = {*self.subscriptions, *self._following.waiting}
        if topic not in topics and len(topics) >= limit:
            raise CommandError("permission_denied", f"at most {limit} subscriptions")

    def _log_of(self, topic: str) -> TopicLog:
        return self.context.logs[topic.partition("/")[0]]

    def _subscriptions_in(self, log: str) -> list[Subscription]:
        """Return the session's subscriptions in a log, given by its topic."""
        own = self.context.index.subscriptions_of(self).values()
        return [subscription for subscription in own if subscription.log == log]

    def _subscribe(self, request: SubscriptionRequested) -> Subscribed | None:
        """Make a subscription, or wait until it can be made."""
        if request.resumes and self._draining is None:
            log = self._log_of(request.topic)
            is_behind = request.since is not None and log.is_behind(request.since)
            if is_behind or self._holds_events_of(log):
                self._finish_waiting(request.topic)
                self._unanswered += 1
                self._following.waiting[request.topic] = request, _UNSET if is_behind else inf
                log.waiters[self] = None
                self.on_timeout_changed()
                return None
        return self._make_subscription(request)

    def _make_subscription(self, request: SubscriptionRequested) -> Subscribed | None:
        """Register a subscription, replay what it missed, and acknowledge it, in one step."""
        topic, filters, since = request.topic, request.filters, request.since
        if self.context.asks_permission and self._identity != request.identity:
            raise CommandError("permission_denied", "Permission denied")
        self._check_subscription_limit(topic)
        index, log = self.context.index, self._log_of(topic)
        if not request.resumes:
            if self._draining is None:
                index.add(self, topic, filters, start=log.offset)
            self._answer(AckResponse.ok(), request.message_id)
            return self._announce(topic)
        if self._draining is not None or log.topic in self._following.lost:
            raise CommandError("internal_error", "the connection is being closed")
        missed = None
        if since is not None:
            missed = self._find_missed(log, since, index.select(topic, filters))
        start = log.offset if since is None or missed is None else since.offset
        index.add(self, topic, filters, start=start, resumes=True)
        self._replay(missed or ())
        recovered = None if since is None else missed is not None
        self._answer(
            AckResponse(success=True, position=log.position, recovered=recovered),
            request.message_id,
        )
        self._following.told[log.topic] = log.offset
        if self._following.position_deadline == inf:
            self._following.position_deadline = _UNSET
            self.on_timeout_changed()
        return None if recovered else self._announce(topic)

    def _find_missed(
        self, log: TopicLog, since: Position, wanted: Subscription
    ) -> list[QueuedFrame] | None:
        """Return what a subscription missed and the session did not get through another one."""
        others = self._subscriptions_in(log.topic)

        def is_missed(offset: int, record: Record) -> bool:
            return wanted.matches(record) and not any(
                offset > other.start and other.matches(record) for other in others
            )

        return log.replay(since, is_missed)

    def _replay(self, frames: Sequence[QueuedFrame]) -> None:
        if frames:
            self._queue.put_replayed(frames)
            if self._metrics is not None:
                self._metrics.frame_queued(len(self._queue))
            self.on_output()

    def _announce(self, topic: str) -> Subscribed | None:
        """Hold events back until the owner has sent what comes before them, if it wants to."""
        if not self.context.announces_subscriptions or self.closing is not None:
            return None
        self._following.holds += 1
        if self._held_events is None:
            self._held_events = []
            self._following.held_from = {
                log.topic: log.offset for log in self.context.logs.values()
            }
        return Subscribed(topic)

    # Subscriptions that wait.

    def _holds_events_of(self, log: TopicLog) -> bool:
        """Return whether events of a log may be held back."""
        return self._held_events is not None and self._following.held_from[log.topic] != log.offset

    def _judge_waiting(self, now: float) -> None:
        for topic, (request, deadline) in tuple(self._following.waiting.items()):
            if deadline == _UNSET:
                deadline = now + self.context.config.catch_up_timeout
            elif now >= deadline:
                deadline = inf
            self._following.waiting[topic] = request, deadline
        self._try_waiting()

    def _try_waiting(self) -> None:
        """Make the subscriptions that need not wait any more."""
        for topic, (request, deadline) in tuple(self._following.waiting.items()):
            log, since = self._log_of(topic), request.since
            is_behind = deadline < inf and since is not None and log.is_behind(since)
            if not is_behind and not self._holds_events_of(log):
                self._finish_waiting(topic, is_ready=True)

    def _finish_waiting(self, topic: str, *, is_ready: bool = False) -> bool:
        """Make a subscription that waited, or refuse it; return whether there was one."""
        waited = self._following.waiting.pop(topic, None)
        if waited is None:
            return False
        request = waited[0]
        log = self._log_of(topic)
        if not any(self._log_of(other) is log for other in self._following.waiting):
            log.waiters.pop(self, None)
        try:
            if not is_ready:
                raise CommandError("internal_error", "the subscription was not made any more")
            subscribed = self._make_subscription(request)
        except CommandError as error:
            self.refuse(error, request.message_id)
        else:
            self._settle()
            if subscribed is not None:
                self.on_subscribed(subscribed)
        return True


def _nothing(_: Subscribed) -> None:
    pass


def _seconds_left(identity: Identity) -> float:
    if identity.expires_at is None:
        return inf
    return (identity.expires_at - utc_now()) / timedelta(seconds=1)


SessionCommand: TypeAlias = Callable[
    [ServerSession, IncomingMessage[Command[Any]], float], ServerSessionEvent | None
]

SESSION_COMMANDS: Final[Mapping[type[Command[Any]], SessionCommand]] = MappingProxyType(
    {
        Authenticate: ServerSession._on_authenticate,
        Subscribe: ServerSession._on_subscribe,
        Unsubscribe: ServerSession._on_unsubscribe,
        ListSubscriptions: ServerSession._on_list,
        GetSessionInfo: ServerSession._on_info,
        Ping: ServerSession._on_ping,
        Pong: ServerSession._on_pong,
    }
)
"""The commands that a session handles itself, and how."""
