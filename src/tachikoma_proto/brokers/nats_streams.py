"""Logs as streams of NATS JetStream: the connection of ``NatsBroker``.

Core NATS forgets what is published while a reader is away, and does not say so. A stream keeps it.

Rules:

* A topic's log is one stream, a record is one message, and its offset is the message's sequence.
* A producer has a subject of its own in each stream. The first record of a batch is stored only if
  what this producer stored last is what it believes, each other one only if it directly follows the
  one before. So a batch is stored in order and up to some record, whatever happens meanwhile, and
  one answer is enough for all. What was stored is then seen from the last message of the subject.
* Readers pull, without acknowledging. A sequence that was skipped is a gap: a stream that was
  trimmed goes on with what it still has, and does not say so.
* What a reader must notice without being told is looked up every few seconds: a server that does
  not answer, a stream that was deleted or replaced, a consumer that went away.
* The epoch is made of what changes with the life of a stream: when it was created, its description,
  and, where a lone server keeps it, the id which that server has from start to stop. A new life
  of a stream that has lost its end begins with a new description.
* nats-py makes connections, and does not mend them: the server does. What nats-py reports ends the
  connection, so that it never goes deaf.
"""

import asyncio
import base64
import hashlib
import json
import math
import re
import ssl
from collections.abc import Awaitable, Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from secrets import token_hex
from typing import Any, Final, TypeAlias

from attrs import define, evolve, field, frozen
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription
from nats.errors import Error as NatsError

from tachikoma_proto.brokers.broker import Batch, BrokerConnection, Deliver, Gap
from tachikoma_proto.errors import BrokerError
from tachikoma_proto.messages.record import Record

_Json: TypeAlias = dict[str, Any]

_LOOK_INTERVAL: Final = 2.0
"""After how many seconds a connection looks again whether its streams are what they were."""

_PULLED: Final = 500
"""For how many messages a reader asks at once; it asks again when it waits for no more."""

_CONSUMER_EXPIRES: Final = 30.0
"""After how many seconds the server forgets a consumer whose reader is gone."""

_LONGEST_TOKEN: Final = 128

_HEADERS_SIZE: Final = 512
"""What the headers of a message take at the most."""

_MOST_FAILURES: Final = 3
"""How often an append that stores nothing is tried, before the connection is given up."""

_STREAM_MISSING: Final = 10059
_STREAM_EXISTS: Final = 10058
_MESSAGE_MISSING: Final = 10037
_NOT_THE_LAST: Final = frozenset({10070, 10071})
"""Error codes of a condition on the last message that does not hold."""

_REQUIRED: Final[Mapping[str, object]] = {
    "retention": "limits",
    "discard": "old",
    "max_msgs_per_subject": -1,
    "no_ack": False,
    "sealed": False,
    "mirror": None,
    "sources": None,
    "subject_transform": None,
    "persist_mode": "default",
}
"""What the configuration of a stream must say, where it says anything about it."""

_LIFE: Final = re.compile(r"(?:, )?life [0-9a-f]{16}$")


@frozen
class Options:
    """How to connect, and what a stream is like that is created.

    Attributes:
        servers: The URLs of servers.
        user: The name to log in with.
        password: The password to log in with.
        token: The token to log in with.
        credentials: A file with a JWT and the seed of an NKey.
        tls: The context for TLS.
        prefix: Names the streams and subjects.
        created: The configuration of a stream that is created, but for its names.
        survives_restarts: Whether a lone server is trusted to lose nothing when it stops.
        timeout: After how many seconds without an answer a connection is taken to be lost.
    """

    servers: tuple[str, ...] = field(repr=False)  # a URL may hold a password
    user: str | None = field(repr=False)
    password: str | None = field(repr=False)
    token: str | None = field(repr=False)
    credentials: str | None
    tls: ssl.SSLContext | None
    prefix: str
    created: Mapping[str, object]
    survives_restarts: bool
    timeout: float


@frozen
class Known:
    """The last record that a process knows to be in a log, and what identifies it.

    Attributes:
        epoch: The life of the log.
        offset: The record's offset.
        message_id: The id of its message; None if that is not known.
    """

    epoch: str
    offset: int
    message_id: str | None


async def open_connection(
    options: Options, known: dict[str, Known], topics: Collection[str], deliver: Deliver
) -> BrokerConnection:
    """Connect, and create the streams that are missing.

    Args:
        options: How to connect.
        known: What this process knows to be in the logs, from this connection and earlier ones.
        topics: The topics whose logs are wanted.
        deliver: Is called with what the logs get.

    Raises:
        BrokerError: NATS cannot be reached, or a stream is not fit for a log.
    """
    logs = {topic: _Log.named(topic, options.prefix) for topic in topics}
    connection = _NatsConnection(_JetStream(options), options, known, logs, deliver)
    try:
        await connection.open()
    except BaseException:
        await connection.close()
        raise
    return connection


@define(eq=False)
class _Log:
    """One topic's log, as one connection has it."""

    topic: str
    stream: str
    subject: str
    reader: "_Reader | None" = None
    stored: dict[str, "_Stored"] = field(factory=dict)
    """What each producer has stored last; None of what is not certain."""
    appending: asyncio.Lock = field(factory=asyncio.Lock)

    @classmethod
    def named(cls, topic: str, prefix: str) -> "_Log":
        name = _token(topic)
        return cls(topic, f"{prefix}-{name}", f"{prefix}.{name}")


@frozen
class _Stored:
    """The last record of a producer in a log; zeros if there is none."""

    number: int
    offset: int


class _JetStream:
    """A connection of nats-py, with requests that end when it does."""

    def __init__(self, options: Options) -> None:
        self.timeout = options.timeout
        self.failure: BrokerError | None = None
        self.news = asyncio.Event()
        """Set when a reader has something, or the connection has ended."""
        self._options = options
        self._client = Client()
        self._subscriptions: set[Subscription] = set()
        self._inbox = ""
        self._requests = 0
        self._waiting: dict[str, asyncio.Future[Any]] = {}
        self._reported: Exception | None = None
        self._open = False

    async def connect(self) -> None:
        options = self._options
        try:
            async with asyncio.timeout(self.timeout * len(options.servers)):
                await self._client.connect(
                    [*options.servers],
                    name="tachikoma_proto",
                    allow_reconnect=False,
                    max_reconnect_attempts=1,  # of each server, in this one call
                    reconnect_time_wait=0,
                    connect_timeout=math.ceil(self.timeout),
                    flush_timeout=self.timeout,
                    user=options.user,
                    password=options.password,
                    token=options.token,
                    user_credentials=options.credentials,
                    tls=options.tls,
                    error_cb=self._on_error,
                    closed_cb=self._on_closed,
                )
        except (NatsError, OSError, EOFError, ValueError) as error:
            reason = self._reported or error
            raise BrokerError(f"no connection to NATS: {_text(reason)}") from reason
        except ImportError as error:
            raise BrokerError("credentials need nkeys: pip install 'nats-py[nkeys]'") from error
        self._open = True
        self._inbox = self.new_inbox()
        await self.subscribe(f"{self._inbox}.*", self._on_answer)

    @property
    def server_id(self) -> str:
        """The id that the server has from its start to its stop."""
        server_id = self._client._server_info.get("server_id")
        if not isinstance(server_id, str) or not server_id:
            raise BrokerError("the NATS server does not say its id")
        return server_id

    @property
    def max_payload(self) -> int:
        """The size of a message, headers included, that the server accepts."""
        return self._client.max_payload

    def new_inbox(self) -> str:
        return self._client.new_inbox()

    @contextmanager
    def waiting(self, name: str) -> Iterator[asyncio.Future[Any]]:
        """A future that fails when the connection does."""
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._waiting[name] = future
        try:
            yield future
        finally:
            del self._waiting[name]
            if not future.cancel() and not future.cancelled():
                future.exception()  # nobody waits for it any more

    async def subscribe(
        self, subject: str, callback: Callable[[Msg], Awaitable[None]]
    ) -> Subscription:
        with self._reporting(subject):
            # Readers ask for a bounded number of messages, however large these are.
            made = await self._client.subscribe(subject, cb=callback, pending_bytes_limit=0)
        self._subscriptions.add(made)
        return made

    async def unsubscribe(self, subscription: Subscription) -> None:
        self._subscriptions.discard(subscription)
        with self._reporting(subscription.subject):
            await subscription.unsubscribe()

    async def publish(
        self, subject: str, payload: bytes, reply: str = "", headers: dict[str, str] | None = None
    ) -> None:
        with self._reporting(subject):
            await self._client.publish(subject, payload, reply, headers)

    async def request(
        self, subject: str, payload: bytes, headers: dict[str, str] | None = None
    ) -> _Json:
        """Send a message to JetStream, and return what is answered, an error included."""
        self._requests += 1
        reply = f"{self._inbox}.{self._requests}"
        with self.waiting(reply) as answer, self._reporting(subject):
            # Not within the timeout: nats-py swallows a cancellation while it flushes.
            await self._client.publish(subject, payload, reply, headers)
            async with asyncio.timeout(self.timeout):
                message: Msg = await answer
        if message.headers and message.headers.get("Status") == "503":
            raise BrokerError(f"nobody answers to {subject}: JetStream is off, or has no leader")
        try:
            value = json.loads(message.data)
        except ValueError:
            value = None
        if not isinstance(value, dict):
            raise BrokerError(f"what answers to {subject} is not JetStream")
        return value

    async def find(self, subject: str, body: _Json | None = None, *, missing: int) -> _Json | None:
        """Call JetStream's API; None if its answer is the error ``missing``."""
        payload = b"" if body is None else json.dumps(body).encode()
        answer = await self.request(f"$JS.API.{subject}", payload)
        if "error" not in answer:
            return answer
        if answer["error"].get("err_code") == missing:
            return None
        raise BrokerError(f"{subject}: {_description(answer)}")

    async def call(self, subject: str, body: _Json | None = None) -> _Json:
        """Call JetStream's API."""
        answer = await self.find(subject, body, missing=0)
        assert answer is not None
        return answer

    def fail(self, failure: BrokerError) -> None:
        """End the connection: whoever waits for it gets a ``BrokerError``."""
        if self.failure is None:
            self.failure = failure
        for answer in self._waiting.values():
            if not answer.done():
                answer.set_exception(BrokerError(str(self.failure)))
        self.news.set()

    async def close(self) -> None:
        self._open = False
        self.fail(BrokerError("the connection is closed"))
        closing = asyncio.ensure_future(self._client.close())
        await asyncio.wait([closing], timeout=1.0)
        # What the server has not taken keeps nats-py from closing, and from ending its tasks.
        writer = getattr(self._client._transport, "_io_writer", None)
        if writer is not None:
            writer.transport.abort()
        # The last two are nats-py's where it did not come to connect.
        with suppress(NatsError, OSError, AssertionError, AttributeError):
            await closing
        for subscription in {*self._subscriptions, *self._client._subs.values()}:
            subscription._stop_processing()
        for _ in range(3):
            await asyncio.sleep(0)  # its tasks end, now that they are cancelled

    @contextmanager
    def _reporting(self, subject: str) -> Iterator[None]:
        if self.failure is not None:
            raise BrokerError(str(self.failure))
        try:
            yield
        except TimeoutError as error:  # nats-py's is one, too
            raise BrokerError(f"NATS does not answer to {subject}") from error
        except (NatsError, OSError) as error:
            raise BrokerError(f"{subject}: {_text(error)}") from error

    async def _on_answer(self, message: Msg) -> None:
        answer = self._waiting.get(message.subject)
        if answer is not None and not answer.done():
            answer.set_result(message)

    async def _on_error(self, error: Exception) -> None:
        self._reported = error
        if self._open:
            failure = BrokerError(f"the connection to NATS has failed: {_text(error)}")
            failure.__cause__ = error
            self.fail(failure)

    async def _on_closed(self) -> None:
        if self._open:
            self.fail(BrokerError("the connection to NATS is lost"))


class _Reader:
    """Reads a stream from some sequence on, and notices when one is missing.

    Attributes:
        epoch: The life of the log that it reads.
        gap: Whether a sequence is missing, or the stream itself.
        last_id: The id of the last message that was taken; None before the first.
    """

    def __init__(self, jetstream: _JetStream, log: _Log, epoch: str, first: int) -> None:
        self.epoch = epoch
        self.gap = False
        self.last_id: str | None = None
        self._jetstream = jetstream
        self._topic = log.topic
        self._stream = log.stream
        self._inbox = jetstream.new_inbox()
        self._subscription: Subscription | None = None
        self._consumer = ""
        self._awaited = 0
        self._next = first
        self._records: list[Record | None] = []
        self._last: Msg | None = None
        self._end = 0
        self._loading: asyncio.Future[None] | None = None
        self._overdue = 0

    async def load(self, end: int) -> Batch:
        """Begin, and return what there is up to the sequence ``end``, and perhaps a little more."""
        config = {
            "deliver_policy": "by_start_sequence",
            "opt_start_seq": self._next,
            "ack_policy": "none",
            "replay_policy": "instant",
            "inactive_threshold": nanoseconds(_CONSUMER_EXPIRES),
            "mem_storage": True,
            "num_replicas": 1,
        }
        self._end = end
        with self._jetstream.waiting(self._inbox) as loading:
            if self._next <= end:
                self._loading = loading
            self._subscription = await self._jetstream.subscribe(self._inbox, self._on_message)
            answer = await self._jetstream.call(
                f"CONSUMER.CREATE.{self._stream}", {"stream_name": self._stream, "config": config}
            )
            self._consumer = str(answer["name"])
            await self._pull()
            await self._pull()
            while self._loading is not None:
                before = self._next
                done, _ = await asyncio.wait([loading], timeout=self._jetstream.timeout)
                if done:
                    loading.result()
                    self._loading = None
                elif self._next == before:
                    raise BrokerError(f"NATS does not send what {self._stream} holds")
        return self.take() or Batch(self._topic, self.epoch, self._next - 1, ())

    def take(self) -> Batch | None:
        """Return what was read since the last call, if anything."""
        if not self._records or self._loading is not None:
            return None
        batch = Batch(self._topic, self.epoch, self._next - 1, tuple(self._records))
        self._records.clear()
        if self._last is not None:
            self.last_id = (self._last.headers or {}).get("Nats-Msg-Id", "")
        return batch

    def compare(self, epoch: str | None, last: int) -> None:
        """Compare what was read with what the server says of the stream, every few seconds.

        Args:
            epoch: The stream's present life; None if it is gone.
            last: The stream's last sequence.
        """
        if epoch != self.epoch or self._overdue == self._next:
            self._end_with_gap()
        self._overdue = self._next if last >= self._next else 0

    async def stop(self) -> None:
        """Read no more."""
        with suppress(BrokerError):
            if self._subscription is not None:
                await self._jetstream.unsubscribe(self._subscription)
            if self._consumer:
                subject = f"$JS.API.CONSUMER.DELETE.{self._stream}.{self._consumer}"
                await self._jetstream.publish(subject, b"")

    async def _pull(self) -> None:
        subject = f"$JS.API.CONSUMER.MSG.NEXT.{self._stream}.{self._consumer}"
        self._awaited += _PULLED
        await self._jetstream.publish(subject, b'{"batch":%d}' % _PULLED, self._inbox)

    def _end_with_gap(self) -> None:
        self.gap = True
        if self._loading is not None and not self._loading.done():
            self._loading.set_exception(BrokerError(f"{self._stream} went away"))
        self._jetstream.news.set()

    async def _on_message(self, message: Msg) -> None:
        if self.gap:
            return
        if not message.reply:  # a status, such as 409: the consumer was deleted
            self._end_with_gap()
            return
        sequence, pending = _position(message.reply)
        self._awaited -= 1
        if sequence > self._next:
            if self._loading is None:
                self._end_with_gap()
                return
            self._records.clear()  # the tail begins after what is missing
            self._last = None
            self._next = sequence
        if sequence == self._next:
            record = Record.from_bytes(message.data)
            readable = record is not None and record.topic == self._topic
            self._records.append(record if readable else None)
            self._next += 1
            self._last = message
        if self._loading is None:
            self._jetstream.news.set()
        elif self._next > self._end or pending == 0:
            if self._next <= self._end:  # what was the last is missing
                self._records.clear()
                self._last = None
                self._next = self._end + 1
            if not self._loading.done():
                self._loading.set_result(None)
        if self._awaited <= _PULLED:
            await self._pull()


class _NatsConnection(BrokerConnection):
    def __init__(
        self,
        jetstream: _JetStream,
        options: Options,
        known: dict[str, Known],
        logs: dict[str, _Log],
        deliver: Deliver,
    ) -> None:
        self._jetstream = jetstream
        self._options = options
        self._known = known
        self._logs = logs
        self._deliver = deliver
        self._looking: asyncio.Task[None] | None = None
        self._closed = False

    async def open(self) -> None:
        await self._jetstream.connect()
        sizes = [self._jetstream.max_payload]
        for log in self._logs.values():
            limit = int((await self._stream(log))["config"].get("max_msg_size", -1))
            sizes += [limit] if limit > 0 else []
        self.max_record_size = min(sizes) - _HEADERS_SIZE
        self._looking = asyncio.create_task(self._look())
        self._looking.add_done_callback(self._on_looked)

    async def load(self, topic: str, limit: int) -> Batch:
        log = self._logs[topic]
        if log.reader is not None:
            old, log.reader = log.reader, None
            await old.stop()
        info = await self._stream(log)
        epoch = self._epoch(info)
        known = self._known.get(topic)
        if known is not None and known.epoch == epoch and not await self._holds(log, info, known):
            await self._begin_life(log, info)
            info = await self._stream(log)
            epoch = self._epoch(info)
        state = info["state"]
        end = int(state["last_seq"])
        first = max(int(state["first_seq"]), end - limit + 1, 1)
        reader = _Reader(self._jetstream, log, epoch, first)
        try:
            batch = await reader.load(end)
        except BaseException:
            await reader.stop()
            raise
        log.reader = reader
        self._jetstream.news.set()  # it may have read more already, or have missed something
        self._know(topic, Known(epoch, batch.offset, reader.last_id))
        return evolve(batch, records=batch.records[max(0, len(batch.records) - limit) :])

    async def append(
        self, topic: str, records: Sequence[Record], *, producer: str, sequence: int
    ) -> None:
        log = self._logs[topic]
        payloads = [record.to_bytes() for record in records]
        largest = max(map(len, payloads), default=0) + _HEADERS_SIZE
        if largest > self._jetstream.max_payload:
            raise BrokerError(f"a record needs {largest} bytes, more than NATS' max_payload allows")
        async with log.appending:
            await self._append(log, payloads, _token(producer), sequence)

    async def receive(self) -> None:
        while True:
            await self._jetstream.news.wait()
            self._jetstream.news.clear()
            for log in self._logs.values():
                await self._receive(log)
            if self._closed:
                return
            if self._jetstream.failure is not None:
                raise BrokerError(str(self._jetstream.failure)) from self._jetstream.failure

    async def close(self) -> None:
        self._closed = True
        if self._looking is not None:
            self._looking.cancel()
            await asyncio.wait([self._looking])
        for log in self._logs.values():
            if log.reader is not None:
                await log.reader.stop()
        await self._jetstream.close()

    async def _receive(self, log: _Log) -> None:
        reader = log.reader
        if reader is None:
            return
        batch = reader.take()
        if batch is not None:
            self._know(log.topic, Known(batch.epoch, batch.offset, reader.last_id))
            self._deliver(batch)
        if reader.gap and log.reader is reader:
            log.reader = None
            await reader.stop()
            self._deliver(Gap(log.topic))

    async def _look(self) -> None:
        """See every few seconds whether the streams are what they were."""
        while self._jetstream.failure is None:
            await asyncio.sleep(_LOOK_INTERVAL)
            for log in self._logs.values():
                reader = log.reader
                if reader is None:
                    continue
                info = await self._jetstream.find(
                    f"STREAM.INFO.{log.stream}", missing=_STREAM_MISSING
                )
                if info is None:
                    reader.compare(None, 0)
                else:
                    reader.compare(self._epoch(info), int(info["state"]["last_seq"]))

    def _on_looked(self, looking: asyncio.Task[None]) -> None:
        if not looking.cancelled() and (error := looking.exception()) is not None:
            failure = BrokerError(f"JetStream says nothing of its streams: {error}")
            failure.__cause__ = error
            self._jetstream.fail(failure)

    async def _stream(self, log: _Log) -> _Json:
        """Return what the server says of a log's stream, and create it if it is missing."""
        for _ in range(3):
            info = await self._jetstream.find(f"STREAM.INFO.{log.stream}", missing=_STREAM_MISSING)
            if info is not None:
                fault = _fault(info["config"], f"{log.subject}.*")
                if fault:
                    raise BrokerError(f"the stream {log.stream} is not fit for a log: {fault}")
                return info
            config = {
                "name": log.stream,
                "description": f"Events of tachikoma_proto: {log.topic[:100]}",
                "subjects": [f"{log.subject}.*"],
                **self._options.created,
            }
            # Another process may create it at the same time.
            await self._jetstream.find(
                f"STREAM.CREATE.{log.stream}", config, missing=_STREAM_EXISTS
            )
        raise BrokerError(f"the stream {log.stream} was created, but is not there")

    def _epoch(self, info: _Json) -> str:
        life = [info["created"], info["config"].get("description", "")]
        clustered = (info.get("cluster") or {}).get("name")  # newer servers name themselves leaders
        if not self._options.survives_restarts and not clustered:
            life.append(self._jetstream.server_id)
        return hashlib.sha256(json.dumps(life).encode()).hexdigest()[:32]

    async def _holds(self, log: _Log, info: _Json, known: Known) -> bool:
        """Whether a log still has what this process knows to have been in it."""
        state = info["state"]
        if int(state["last_seq"]) < known.offset:
            return False
        if known.message_id is None or int(state["first_seq"]) > known.offset:
            return True  # as far as can be seen
        found = await self._jetstream.find(
            f"STREAM.MSG.GET.{log.stream}", {"seq": known.offset}, missing=_MESSAGE_MISSING
        )
        return found is None or _message_id(found) == known.message_id

    async def _begin_life(self, log: _Log, info: _Json) -> None:
        config = dict(info["config"])
        description = _LIFE.sub("", config.get("description", ""))
        config["description"] = f"{description}, life {token_hex(8)}"
        await self._jetstream.call(f"STREAM.UPDATE.{log.stream}", config)

    async def _append(
        self, log: _Log, payloads: Sequence[bytes], producer: str, sequence: int
    ) -> None:
        end = sequence + len(payloads)
        # What an attempt stores that fails or is cancelled is not known: so it is not kept then.
        stored = log.stored.pop(producer, None) or await self._stored(log, producer)
        number = max(sequence, stored.number + 1)
        failures = 0
        while number < end:
            chunk = payloads[number - sequence :][: 1 if failures else None]
            answer = await self._store(log, producer, number, chunk, stored.offset)
            before = number
            error = answer.get("error")
            if error is None:
                number += len(chunk)
            elif error.get("err_code") not in _NOT_THE_LAST or failures == _MOST_FAILURES:
                raise BrokerError(f"{log.stream} does not store a record: {_description(answer)}")
            if error is None and not answer.get("duplicate"):
                stored = _Stored(number - 1, int(answer["seq"]))
            else:
                # Another producer's record came between, or an earlier attempt was stored late.
                stored = await self._stored(log, producer)
                number = max(number, stored.number + 1)
            failures = 0 if number > before else failures + 1
        log.stored[producer] = stored
        if (
            log.reader is not None and stored.offset
        ):  # it must not be lost before it is read, either
            message_id = f"{producer}:{stored.number}"
            self._know(log.topic, Known(log.reader.epoch, stored.offset, message_id))

    def _know(self, topic: str, new: Known) -> None:
        old = self._known.get(topic)
        if old is None or old.epoch != new.epoch or old.offset < new.offset:
            self._known[topic] = new

    async def _store(
        self, log: _Log, producer: str, number: int, payloads: Sequence[bytes], after: int
    ) -> _Json:
        subject = f"{log.subject}.{producer}"
        headers = {
            "Nats-Msg-Id": f"{producer}:{number}",
            "Nats-Expected-Last-Subject-Sequence": str(after),
        }
        for payload in payloads[:-1]:
            await self._jetstream.publish(subject, payload, headers=headers)
            headers = {
                "Nats-Msg-Id": f"{producer}:{number + 1}",
                "Nats-Expected-Last-Msg-Id": f"{producer}:{number}",
            }
            number += 1
        return await self._jetstream.request(subject, payloads[-1], headers)

    async def _stored(self, log: _Log, producer: str) -> _Stored:
        """Look up what a producer has stored last."""
        found = await self._jetstream.find(
            f"STREAM.MSG.GET.{log.stream}",
            {"last_by_subj": f"{log.subject}.{producer}"},
            missing=_MESSAGE_MISSING,
        )
        if found is None:
            return _Stored(0, 0)
        name, _, number = _message_id(found).rpartition(":")
        ours = name == producer and number.isdecimal()
        return _Stored(int(number) if ours else 0, int(found["message"]["seq"]))


def _token(text: str) -> str:
    """Return a text as one token of a subject, the same for no two texts."""
    token = re.sub(
        r"[^a-z0-9_-]", lambda found: "".join(f"={b:02X}" for b in found[0].encode()), text
    )
    if not 0 < len(token) <= _LONGEST_TOKEN:
        token = f"{token[:40]}=={hashlib.sha256(text.encode()).hexdigest()[:40]}"
    return token


def nanoseconds(seconds: float) -> int:
    """Return a time as JetStream says it."""
    return round(seconds * 1_000_000_000)


def _position(reply: str) -> tuple[int, int]:
    """Return the sequence of a message, and how many are to follow, from its reply subject."""
    tokens = reply.split(".")
    # $JS.ACK[.domain.account].stream.consumer.delivered.sequence.consumer sequence.time.pending
    first = 5 if len(tokens) == 9 else 7
    return int(tokens[first]), int(tokens[first + 3])


def _message_id(found: _Json) -> str:
    """Return the id of a message that JetStream's API has found."""
    for line in base64.b64decode(found["message"].get("hdrs", "")).decode().splitlines():
        name, _, value = line.partition(":")
        if name.lower() == "nats-msg-id":
            return value.strip()
    return ""


def _fault(config: _Json, subject: str) -> str:
    """Return what makes a stream unfit for a log; empty if nothing does."""
    for name, value in _REQUIRED.items():
        if (config.get(name) or value) != value:
            return f"{name} is {json.dumps(config[name])}"
    if not any(_covers(pattern, subject) for pattern in config.get("subjects") or ()):
        return f"its subjects do not cover {subject}"
    return ""


def _covers(pattern: str, subject: str) -> bool:
    """Whether a pattern of subjects covers another one, which ends with a wildcard."""
    tokens, others = pattern.split("."), subject.split(".")
    if tokens[-1] == ">" and len(tokens) <= len(others):
        tokens[-1:] = ["*"] * (len(others) - len(tokens) + 1)
    if len(tokens) != len(others):
        return False
    return all(token in ("*", other) for token, other in zip(tokens, others, strict=True))


def _description(answer: _Json) -> str:
    return str(answer["error"].get("description", "unknown error"))


def _text(error: Exception) -> str:
    """Return what an error says, if it is of a kind that never says a password."""
    text = str(error).removeprefix("nats: ") if isinstance(error, NatsError | OSError) else ""
    return text or type(error).__name__
