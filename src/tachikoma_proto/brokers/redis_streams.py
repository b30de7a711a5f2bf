"""Logs as Redis Streams: the connection of ``RedisBroker``.

Pub/Sub forgets what is published while a reader is away, and does not say so. A stream keeps it.

Rules:

* One script assigns offsets and appends. Redis runs it as one step, so that offsets follow each
  other whoever appends, and an entry's id is its offset.
* A server that was restarted, or replaced by its replica, may have lost anything. Redis does not
  say so, but it has another run id or replication id then. The script compares them with those that
  it finds beside the log: if they differ, it empties the log, and a new life begins.
* Readers block on XREAD, on a connection of their own, and ask in the same round for the life and
  the end of each log. So whatever came was of that life, and what does not come is missed.
* All keys have one hash tag, so that they are on one node of a cluster.
* redis-py makes connections, and neither mends them nor repeats commands: the server does, which
  knows what may be repeated.
"""

import asyncio
import hashlib
import re
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any, Final, TypeAlias
from uuid import uuid4

from attrs import define, evolve, frozen
from redis.asyncio.connection import AbstractConnection, Connection, SSLConnection, parse_url
from redis.exceptions import NoScriptError, RedisError, ResponseError

from tachikoma_proto.brokers.broker import Batch, BrokerConnection, Deliver, Gap
from tachikoma_proto.errors import BrokerError
from tachikoma_proto.messages.record import Record

_OLDEST_VERSION: Final = (7, 0)

_BLOCK: Final = 1.0
"""For how many seconds a reader waits before it compares the ends of the logs."""

_MOST_READ: Final = 500
"""How many entries of a log one reply holds, so that neither side is busy with it for long."""

_PRODUCER_EXPIRES: Final = 3600
"""After how many seconds without an append it is forgotten what a producer has stored."""

_MOST_REDIRECTIONS: Final = 5

_CLOSED: Final = "the connection to Redis is closed"

_REDIRECTION: Final = re.compile(r"(?:MOVED )?\d+ (.*):(\d+)")
"""What a node of a cluster says of keys that are on another one; redis-py may keep the word."""

# KEYS: the log's state, the log, what the producer has stored. ARGV: the name of a new life, how
# many records to keep, the number of the first record, for how long to remember the producer, the
# records. Without records, there is no producer.
_SCRIPT: Final = b"""
local info = redis.call('INFO', 'server', 'replication')
local server = string.match(info, 'run_id:(%w+)')
local identity = server .. ' ' .. (string.match(info, 'master_replid:(%w+)') or '')

local state = redis.call('HMGET', KEYS[1], 'epoch', 'server', 'offset')
local epoch, offset = state[1], tonumber(state[3])
if state[2] ~= identity then
  epoch, offset = ARGV[1] .. '-' .. string.sub(server, 1, 40), 0
  redis.call('DEL', KEYS[1], KEYS[2])
  redis.call('HSET', KEYS[1], 'epoch', epoch, 'server', identity, 'offset', offset)
end

local count = #ARGV - 4
if count == 0 then return {epoch, offset} end

local first = tonumber(ARGV[3])
local last = first + count - 1
local known, stored = string.match(redis.call('GET', KEYS[3]) or '', '^(%S+) (%d+)$')
local skipped = 0
if known == epoch then
  skipped = math.max(0, tonumber(stored) - first + 1)
  last = math.max(last, tonumber(stored))
end
for i = 5 + skipped, #ARGV do
  offset = offset + 1
  redis.call('XADD', KEYS[2], 'MAXLEN', '~', ARGV[2], string.format('%.0f-0', offset),
             'record', ARGV[i])
end
redis.call('HSET', KEYS[1], 'offset', string.format('%.0f', offset))
redis.call('SET', KEYS[3], epoch .. ' ' .. string.format('%.0f', last), 'EX', ARGV[4])
return {epoch, offset}
"""
_SCRIPT_DIGEST: Final = hashlib.sha1(_SCRIPT, usedforsecurity=False).hexdigest()

_Command: TypeAlias = tuple[str | bytes | int, ...]
_Entries: TypeAlias = Sequence[tuple[bytes, Sequence[bytes]]]


async def open_connection(
    options: "ConnectionOptions",
    keys: "Keys",
    max_records: int,
    deliver: Deliver,
) -> BrokerConnection:
    """Connect a server process: one connection for commands, one for reading.

    Raises:
        BrokerError: Redis cannot be reached, or is too old.
    """
    commands = _Commands(options)
    try:
        for _ in range(_MOST_REDIRECTIONS):
            await commands.open()
            elsewhere = await _check_server(commands, keys)
            if elsewhere is None:
                break
            await commands.close()
            commands = _Commands(elsewhere)
        else:
            raise BrokerError("the nodes of the Redis cluster refer to each other in a circle")
        reader = _Commands(commands.options)
        await reader.open()
    except BaseException:
        await commands.close()
        raise
    return _StreamsConnection(keys, max_records, commands, reader, deliver)


async def _check_server(commands: "_Commands", keys: "Keys") -> "ConnectionOptions | None":
    """Check the version; return how to connect to the node with the keys if it is another."""
    (info,) = await commands.run(("INFO", "server"))
    fields = dict(line.split(":", 1) for line in info.decode().splitlines() if ":" in line)
    version = fields.get("redis_version", "none")
    if tuple(int(part) for part in version.split(".") if part.isdigit()) < _OLDEST_VERSION:
        raise BrokerError(f"RedisBroker needs Redis 7.0 or newer; the server has {version}")
    (reply,) = await commands.ask(("HMGET", keys.state(""), "epoch"))
    if isinstance(reply, ResponseError) and (moved := _REDIRECTION.fullmatch(str(reply))):
        return commands.options.at(moved[1], int(moved[2]))
    _refuse_error(reply)
    return None


@define
class _Cursor:
    """How far a log has been read, and where it ended when that was last asked."""

    epoch: str
    offset: int
    end: int


class _StreamsConnection(BrokerConnection):
    def __init__(
        self,
        keys: "Keys",
        max_records: int,
        commands: "_Commands",
        reader: "_Commands",
        deliver: Deliver,
    ) -> None:
        self._keys = keys
        self._max_records = max_records
        self._commands = commands
        self._reader = reader
        self._deliver = deliver
        self._cursors: dict[str, _Cursor] = {}
        self._is_loaded = asyncio.Event()

    async def load(self, topic: str, limit: int) -> Batch:
        while True:
            epoch, offset = await self._run_script(topic)
            records = await self._tail(topic, epoch, offset, limit)
            if records is not None:
                self._cursors[topic] = _Cursor(epoch, offset, offset)
                self._is_loaded.set()
                return Batch(topic, epoch, offset, tuple(records))

    async def _tail(
        self, topic: str, epoch: str, offset: int, limit: int
    ) -> list[Record | None] | None:
        """Return the records up to an offset; None if the log has begun a new life."""
        records: list[Record | None] = []  # from the last one back
        while (missing := min(limit, offset) - len(records)) > 0:
            end, count = offset - len(records), min(missing, _MOST_READ)
            entries, (current,) = await self._commands.run(
                ("XREVRANGE", self._keys.log(topic), end, "-", "COUNT", count),
                ("HMGET", self._keys.state(topic), "epoch"),
            )
            if current != epoch.encode():
                return None
            found = _follow(entries, range(end, 0, -1), topic)
            records += found
            if len(found) < count:
                break  # what comes before was trimmed
        return records[::-1]

    async def append(
        self, topic: str, records: Sequence[Record], *, producer: str, sequence: int
    ) -> None:
        if records:
            data = [record.to_bytes() for record in records]
            await self._run_script(topic, data, producer, sequence)

    async def _run_script(
        self, topic: str, records: Sequence[bytes] = (), producer: str = "", sequence: int = 0
    ) -> tuple[str, int]:
        """Append records, if there are any; return the log's life and its last offset."""
        keys = [self._keys.state(topic), self._keys.log(topic)]
        if records:
            keys.append(self._keys.producer(topic, producer))
        life = uuid4().hex[:16]
        settings = (life, self._max_records, sequence, _PRODUCER_EXPIRES)
        arguments: _Command = (len(keys), *keys, *settings, *records)
        (reply,) = await self._commands.ask(("EVALSHA", _SCRIPT_DIGEST, *arguments))
        if isinstance(reply, NoScriptError):
            (reply,) = await self._commands.ask(("EVAL", _SCRIPT, *arguments))
        _refuse_error(reply)
        epoch, offset = reply
        return epoch.decode(), offset

    async def receive(self) -> None:
        try:
            while not self._reader.is_closed:
                self._is_loaded.clear()
                if self._cursors:
                    await self._read(dict(self._cursors))
                else:
                    await self._wait_for_a_log()
        except BrokerError:
            if not self._reader.is_closed:
                raise

    async def _wait_for_a_log(self) -> None:
        try:
            await asyncio.wait_for(self._is_loaded.wait(), _BLOCK)
        except TimeoutError:
            # Any command will do: it fails if the connection is lost.
            await self._reader.run(("HMGET", self._keys.state(""), "epoch"))

    async def _read(self, cursors: Mapping[str, _Cursor]) -> None:
        """Deliver what the logs get next; give up after a while."""
        logs = [self._keys.log(topic) for topic in cursors]
        after = [cursor.offset for cursor in cursors.values()]
        waiting = ("COUNT", _MOST_READ, "BLOCK", int(_BLOCK * 1000))
        streams, *states = await self._reader.run(
            ("XREAD", *waiting, "STREAMS", *logs, *after),
            *(("HMGET", self._keys.state(topic), "epoch", "offset") for topic in cursors),
            blocks_for=_BLOCK,
        )
        entries_of = {key.decode(): entries for key, entries in streams or ()}
        for topic, log, state in zip(cursors, logs, states, strict=True):
            cursor = cursors[topic]
            if self._cursors.get(topic) is cursor:  # it was not loaded anew meanwhile
                self._take(topic, cursor, entries_of.get(log, ()), state)

    def _take(
        self, topic: str, cursor: _Cursor, entries: _Entries, state: Sequence[bytes | None]
    ) -> None:
        """Deliver entries that follow a cursor.

        Args:
            topic: The log's topic.
            cursor: How far it was read before.
            entries: What came. If the cursor is short of its end, something has to come.
            state: The log's life and its last offset, asked for after the entries.
        """
        epoch, end = state
        last = cursor.offset + len(entries)
        records = _follow(entries, range(cursor.offset + 1, last + 1), topic)
        is_trimmed = len(records) < len(entries) or (not entries and cursor.end > cursor.offset)
        if is_trimmed or epoch != cursor.epoch.encode() or not end or int(end) < last:
            del self._cursors[topic]
            self._deliver(Gap(topic))
            return
        cursor.offset, cursor.end = last, int(end)
        if records:
            self._deliver(Batch(topic, cursor.epoch, last, tuple(records)))

    async def close(self) -> None:
        self._is_loaded.set()
        await asyncio.gather(self._reader.close(), self._commands.close())


class _Commands:
    """A connection of redis-py: commands go out, and their replies come back in order."""

    def __init__(self, options: "ConnectionOptions") -> None:
        self.options = options
        self.is_closed = False
        self._redis = options.make()
        self._is_usable = True
        self._one_at_a_time = asyncio.Lock()
        self._limit: asyncio.Timeout | None = None

    async def open(self) -> None:
        """Connect, authenticate, and choose the database."""
        async with self._use(0):
            await self._redis.connect()  # type: ignore[no-untyped-call]

    async def run(self, *commands: _Command, blocks_for: float = 0) -> list[Any]:
        """Return the replies to commands, which are sent together.

        Args:
            commands: The commands.
            blocks_for: For how many seconds they may block.

        Raises:
            BrokerError: One of them failed, or the connection.
        """
        replies = await self.ask(*commands, blocks_for=blocks_for)
        for reply in replies:
            _refuse_error(reply)
        return replies

    async def ask(self, *commands: _Command, blocks_for: float = 0) -> list[Any]:
        """Return the replies to commands, errors among them, as ``run`` does otherwise."""
        async with self._use(blocks_for):
            packed = self._redis.pack_commands(commands)
            await self._redis.send_packed_command(packed, check_health=False)
            return [await self._reply() for _ in commands]

    async def _reply(self) -> Any:
        try:
            return await self._redis.read_response(disconnect_on_error=False)
        except ResponseError as error:
            return error

    @asynccontextmanager
    async def _use(self, longer: float) -> AsyncIterator[None]:
        """Have the connection for oneself; after a failure, nobody can use it again."""
        async with self._one_at_a_time:
            if not self._is_usable:
                raise BrokerError(_CLOSED)
            self._is_usable = False
            try:
                async with asyncio.timeout(self.options.timeout + longer) as self._limit:
                    yield
                self._is_usable = not self.is_closed
            except TimeoutError:
                text = _CLOSED if self.is_closed else "Redis does not answer in time"
                raise BrokerError(text) from None
            except (RedisError, OSError, EOFError, ValueError) as error:
                raise BrokerError(_describe(error)) from None
            finally:
                self._limit = None
                if not self._is_usable and not self.is_closed:
                    await self._redis.disconnect(nowait=True)

    async def close(self) -> None:
        """Close the connection; who waits for a reply gets an error."""
        self.is_closed = True
        self._is_usable = False
        if self._limit is not None and not self._limit.expired():
            self._limit.reschedule(0)
        async with self._one_at_a_time:
            with suppress(RedisError):  # it was not closed in order, within the time limit
                await self._redis.disconnect()


@frozen
class Keys:
    """The names of keys. The braces are the hash tag, which puts them on one node of a cluster."""

    prefix: str

    def state(self, topic: str) -> str:
        """Return that of a log's life and end."""
        return f"{{{self.prefix}}}:state:{topic}"

    def log(self, topic: str) -> str:
        """Return that of a log."""
        return f"{{{self.prefix}}}:log:{topic}"

    def producer(self, topic: str, producer: str) -> str:
        """Return that of what a producer has stored in a log."""
        return f"{{{self.prefix}}}:producer:{producer}:{topic}"


@frozen
class ConnectionOptions:
    """How to make connections of redis-py."""

    connection_class: type[AbstractConnection]
    arguments: Mapping[str, Any]
    timeout: float

    @classmethod
    def read(cls, url: str, options: Mapping[str, object], timeout: float) -> "ConnectionOptions":
        """Read a URL; the arguments and the errors are those of ``RedisBroker``."""
        try:
            arguments: dict[str, Any] = {**options, **parse_url(url)}
        except ValueError:  # whose text may quote the password
            raise ValueError("url is a valid URL of redis://, rediss:// or unix://") from None
        connection_class = arguments.pop("connection_class", Connection)
        if issubclass(connection_class, SSLConnection):
            arguments.setdefault("ssl_check_hostname", True)
        arguments |= {
            "decode_responses": False,
            "health_check_interval": 0,
            "protocol": 2,
            "socket_connect_timeout": timeout,
            "socket_timeout": None,
        }
        made = cls(connection_class, arguments, timeout)
        made.make()  # so that an unknown option is an error at once
        return made

    def at(self, host: str, port: int) -> "ConnectionOptions":
        """Return them for another node of a cluster; without a host, it is on the same one."""
        place = {"host": host or self.arguments.get("host", "localhost"), "port": port}
        return evolve(self, arguments={**self.arguments, **place})

    def make(self) -> AbstractConnection:
        """Return a connection, which is not open yet."""
        return self.connection_class(**self.arguments)


def _follow(entries: _Entries, expected: range, topic: str) -> list[Record | None]:
    """Return the records of entries, up to the first one that has not the expected offset."""
    records: list[Record | None] = []
    for (entry, fields), offset in zip(entries, expected, strict=False):
        if entry != b"%d-0" % offset:
            break
        record = Record.from_bytes(fields[1])
        records.append(record if record is not None and record.topic == topic else None)
    return records


def _refuse_error(reply: object) -> None:
    if isinstance(reply, ResponseError):
        raise BrokerError(_describe(reply))


def _describe(error: BaseException) -> str:
    """Return what Redis or redis-py says, without the arguments that Redis may repeat."""
    text = str(error).partition(", with args")[0]
    return f"Redis: {text or type(error).__name__}"
