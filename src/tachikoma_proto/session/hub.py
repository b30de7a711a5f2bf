"""``Hub``: what the sessions of one server share, and how an event gets to them.

Rules:

* The hub owns the context of its sessions; sessions know the context, not the hub.
* An event is encoded once, however many sessions receive it; and its position is put into the
  frame once, however many of them asked for it.
* Each category topic has a log. Either the hub numbers its events itself (``publish``), or the
  log is kept elsewhere, for several processes (``load`` and ``deliver``).
* What leaves events out is never passed over. Where the log may have lost some, the sessions that
  subscribed to them get no more of that log, and are closed; so their clients learn of it.
"""

import time
from collections.abc import Callable, Sequence
from uuid import uuid4

from tachikoma_proto.codec.codec import Codec
from tachikoma_proto.declare.bases import Event
from tachikoma_proto.declare.declarations import MessageKind
from tachikoma_proto.errors import EncodeError, FieldError
from tachikoma_proto.messages.record import Record
from tachikoma_proto.session.base import EVENT
from tachikoma_proto.session.config import ServerConfig
from tachikoma_proto.session.history import TopicLog
from tachikoma_proto.session.logs import server_logger
from tachikoma_proto.session.metrics import Metrics, guarded
from tachikoma_proto.session.server_session import ServerSession, SessionContext
from tachikoma_proto.session.session import Publisher
from tachikoma_proto.session.subscriptions import SubscriptionIndex
from tachikoma_proto.wire.json_reader import size_of


class Hub:
    """The sessions of one server, without I/O.

    Args:
        codec: Reads and writes their frames.
        config: The limits of each session; the defaults if left out.
        metrics: Hooks for what happens.
        publisher: What sessions offer as their ``server``; the hub itself if left out.
        asks_permission: Whether a session asks its owner before it subscribes, with
            ``SubscriptionRequested``; otherwise everyone may subscribe to everything.
        announces_subscriptions: Whether a session tells its owner of each subscription, with
            ``Subscribed``.
        clock: Returns the time in seconds, monotonic: how old events are.

    Attributes:
        context: What the sessions share.
        index: Who is subscribed to what.
    """

    def __init__(
        self,
        codec: Codec,
        config: ServerConfig | None = None,
        *,
        metrics: Metrics | None = None,
        publisher: Publisher | None = None,
        asks_permission: bool = False,
        announces_subscriptions: bool = False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        config = config or ServerConfig()
        self.index: SubscriptionIndex[ServerSession] = SubscriptionIndex(codec.registry)
        epoch = uuid4().hex
        self._logs = {topic: TopicLog(topic, epoch, config, clock) for topic in self.index.topics}
        reserve = max((log.reserve for log in self._logs.values()), default=0)
        self._max_frame = codec.max_size - reserve
        commands = [
            declaration
            for declaration in codec.registry
            if declaration.kind in (MessageKind.COMMAND, MessageKind.KEEPALIVE)
        ]
        self.context = SessionContext(
            codec=codec,
            config=config,
            metrics=guarded(metrics),
            index=self.index,
            logs=self._logs,
            replies={
                declaration.cls: declaration.reply
                for declaration in commands
                if declaration.kind is MessageKind.COMMAND
            },
            public=frozenset(declaration.cls for declaration in commands if declaration.public),
            publisher=publisher or self,
            asks_permission=asks_permission,
            announces_subscriptions=announces_subscriptions,
        )

    @property
    def topics(self) -> tuple[str, ...]:
        """The topics of the registry's categories; each has a log."""
        return self.index.topics

    def open(self, now: float, remote_address: str | None = None) -> ServerSession:
        """Return a new session.

        Args:
            now: The present time in seconds, monotonic.
            remote_address: The address of the peer, if it is known.
        """
        return ServerSession(self.context, now, remote_address)

    def publish(self, event: Event, /) -> int:
        """Send an event to every session that subscribed to it, as the next one of its log.

        It is for a hub that numbers its events itself: not one whose logs are kept elsewhere.

        Args:
            event: The event.

        Returns:
            For how many sessions it was queued.

        Raises:
            EncodeError: A peer could not read it, or no category of the registry holds it.
            RegistryError: Its category has no topic.
        """
        record = self.record(event)
        return self._deliver(self._logs[record.topic], record)

    def record(self, event: Event) -> Record:
        """Return the record of an event: encoded, and with all that is needed to find who gets it.

        Args:
            event: The event.

        Raises:
            EncodeError: A peer could not read it; or no category of the registry holds it; or its
                frame has no room for a position within the codec's ``max_size``.
            RegistryError: Its category has no topic.
        """
        text = self.context.codec.encode(event)
        if len(text) * 4 > self._max_frame and size_of(text) > self._max_frame:
            raise EncodeError(
                errors=[FieldError("$", f"at most {self._max_frame} bytes, without its position")]
            )
        return self.index.record(event, text)

    def load(self, topic: str, epoch: str, offset: int, records: Sequence[Record | None]) -> bool:
        """Take in the last events of a log that is kept elsewhere.

        Where they follow what the hub has, they are delivered as by ``deliver``. Otherwise some
        may be missing: the log starts anew from these, and the sessions that have a subscription
        in it get no more of its events, and are closed with 1012 within ``gap_spread`` seconds.

        Args:
            topic: The log's topic; one of ``topics``.
            epoch: The life of the log; at most 64 ASCII characters.
            offset: The offset of the last record; 0 if the log is empty.
            records: The last records, in order; None for one that cannot be read.

        Returns:
            Whether events may be missing that the hub or a session should have had.

        Raises:
            ValueError: The epoch or the offset cannot be one.
        """
        log = self._logs[topic]
        if offset >= log.offset and self.deliver(topic, epoch, offset, records) is not None:
            return False
        was_used = log.offset > 0
        log.restart(epoch, offset, records)
        sessions = self.index.subscribers_in(topic)
        pause = self.context.config.gap_spread / max(1, len(sessions))
        for number, session in enumerate(sessions):
            session.lose(topic, number * pause)
        if sessions:
            server_logger.warning(
                "events of %s may be missing: %d sessions are closed", topic, len(sessions)
            )
        log.wake()
        return was_used or bool(sessions)

    def deliver(
        self, topic: str, epoch: str, offset: int, records: Sequence[Record | None]
    ) -> int | None:
        """Send the next events of a log that is kept elsewhere to the sessions that get them.

        What the hub has already is dropped.

        Args:
            topic: The log's topic; one of ``topics``.
            epoch: The life of the log.
            offset: The offset of the last record.
            records: The records, in order; None for one that cannot be read.

        Returns:
            For how many sessions they were queued, in all; None if they are of another life of the
            log or do not follow what the hub has, so that it has to be loaded again.
        """
        log = self._logs[topic]
        known = log.offset - offset + len(records)
        if epoch != log.epoch or known < 0:
            return None
        if known == 0 and len(records) == 1:
            return self._deliver(log, records[0])
        return sum([self._deliver(log, record) for record in records[known:]])

    def _deliver(self, log: TopicLog, record: Record | None) -> int:
        """Add the next event to a log, and queue it for the sessions that get it."""
        count = 0
        if record is None or record.topic != log.topic:
            log.append(None, 0)
        else:
            text = record.frame
            size = size_of(text)
            log.append(record, size)
            plain, positioned = self.index.receivers_of(record)
            if plain:
                frame = (text, size, EVENT)
                for session in plain:
                    count += session.push(frame)
            if positioned:
                more = log.with_position(text, log.offset)
                frame = (more, size + len(more) - len(text), EVENT)
                for session in positioned:
                    count += session.push(frame)
        if log.waiters:
            log.wake()
        return count
