"""The subscriptions of a client, and how the server is kept in line with them.

The client's list and the server's can differ: a call may be cut short by a timeout, a server may
refuse for a moment or for good, connections come and go. So each topic records what is wanted and
what the server last acknowledged on this connection. Whatever makes the two differ is resolved in
one way: ask for what is wanted until the server has answered.

Rules:

* A topic is one however its UUID is spelled. It has one subscription on the wire, which covers
  all who want it: ``subscribe()``, and each stream of ``subscription()``.
* Changes to one topic are made one after the other, in the order in which they were called.
* A ``subscribe`` that is cut short was not made, and is taken back on the server. An
  ``unsubscribe`` that is cut short is made in the background.
* After a reconnect all topics are asked for again, no faster than the server's rate limit lets
  them pass. What the server refuses is reported and kept; what fails for another reason
  (``internal_error``) is asked for again until it is answered.
* A topic resumes only where the client has everything up to the position of its log, and nothing
  of what came later. Otherwise events would come twice, or in another order: it starts anew, and
  the streams are told that events may be missing.
* A position is asked for with every topic of a log of which one resumes, so that all events of
  that log can be put in their order.
"""

import asyncio
from collections import Counter, deque
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator, Set
from contextlib import asynccontextmanager
from typing import Any, Final, TypeAlias

from attrs import define, evolve, field

from tachikoma_proto.client.connection import ClientConnection
from tachikoma_proto.client.matching import TopicMatcher, covering
from tachikoma_proto.client.streams import (
    EventStream,
    EventStreams,
    SubscriptionLost,
    SubscriptionRestored,
)
from tachikoma_proto.connection.backoff import delays
from tachikoma_proto.declare.bases import Event
from tachikoma_proto.errors import ConnectionLostError, ProtocolError, RemoteError
from tachikoma_proto.messages.commands import (
    ListSubscriptions,
    Subscribe,
    Unsubscribe,
)
from tachikoma_proto.messages.envelope import Position
from tachikoma_proto.messages.responses import AckResponse
from tachikoma_proto.messages.unknown import UnknownEvent
from tachikoma_proto.session.config import ClientConfig
from tachikoma_proto.session.logs import client_logger as log

Change: TypeAlias = Subscribe | Unsubscribe

EXPLICIT: Final = "subscribe()"
"""The holder of a topic that ``subscribe()`` asked for; the others are streams."""

TRANSIENT: Final = frozenset({"internal_error", "rate_limited"})
"""The error codes after which asking again can help."""

_TRIES: Final = 4
"""How often a topic that resumes is asked for while everything else waits for it."""

_AT_ONCE: Final = 100
"""How many subscriptions may wait for their answers, until the server says that it is too much."""


@define(eq=False)
class _Topic:
    """A topic that somebody wants, or wanted.

    Attributes:
        name: The topic, in its canonical form.
        acknowledged: The last change that the server acknowledged on this connection; None if it
            is not known what the server has.
        holders: Who wants it, each with the subscription that it wants.
        start: Where the subscription on this connection began; None if the server gives no
            positions.
        since: Up to where everything came over the connections before; None if that is not known.
        is_missing: Whether the server lacks it after a transient error; once that is over,
            the streams are told.
        lock: Held by who changes it on the server.
        users: How many hold or want the lock.
        reconciling: Brings the server in line with what is wanted.
    """

    name: str
    acknowledged: Change | None
    holders: dict[object, Subscribe] = field(factory=dict)
    start: Position | None = None
    since: Position | None = None
    is_missing: bool = False
    lock: asyncio.Lock = field(factory=asyncio.Lock)
    users: int = 0
    reconciling: asyncio.Task[None] | None = None

    @property
    def log(self) -> str:
        """The topic of the category, along whose log positions count."""
        return self.name.partition("/")[0]

    def wanted(self, *more: tuple[object, Subscribe]) -> Change:
        """Return the command after which the server has what all holders want.

        Args:
            more: Further holders, each with the subscription that it wants.
        """
        wanted_by = {**self.holders, **dict(more)}.values()
        if not wanted_by:
            return Unsubscribe(topic=self.name)
        return Subscribe(
            topic=self.name,
            filters=covering(one.filters for one in wanted_by),
            resume=any(one.resume for one in wanted_by),
        )

    def is_settled(self, change: Change) -> bool:
        """Return whether the server has what a change asks for; positions do no harm."""
        has = self.acknowledged
        return change == has or (isinstance(has, Subscribe) and change == evolve(has, resume=None))

    def settle(self, change: Change, answer: AckResponse) -> None:
        """Record that the server has acknowledged a change."""
        position = answer.position
        if isinstance(change, Subscribe):
            self.acknowledged = evolve(change, since=None)
            self.start = position if position and position.topic == self.log else None
        else:
            self.unsettle()

    def unsettle(self) -> None:
        """Record that the server does not have the subscription."""
        self.acknowledged = Unsubscribe(topic=self.name)
        self.start = None


@define
class _Restoring:
    """How the subscribing over a new connection goes.

    Attributes:
        logs: The logs of which a topic resumes.
        resumed: The topics that came without a hole.
        refused: The topics that the server refused.
        tries: How often a topic failed.
    """

    logs: Set[str]
    resumed: set[str] = field(factory=set)
    refused: list[str] = field(factory=list)
    tries: Counter[str] = field(factory=Counter)

    def may_try(self, topic: str, since: Position | None) -> bool:
        """Return whether to ask for a topic at once again, though the server failed."""
        self.tries[topic] += 1
        return since is not None and self.tries[topic] < _TRIES


class Subscriptions:
    """All subscriptions of one client.

    Args:
        matcher: Finds the streams that an event goes to.
        streams: The client's streams.
        request: Sends a command over the present connection, or over the next.
        config: How the client behaves.
    """

    def __init__(
        self,
        matcher: TopicMatcher[EventStream[Any]],
        streams: EventStreams,
        request: Callable[[Change], Awaitable[AckResponse]],
        config: ClientConfig,
    ) -> None:
        self._matcher = matcher
        self._streams = streams
        self._request = request
        self._config = config
        self._topics: dict[str, _Topic] = {}
        self._connection: ClientConnection | None = None
        self._lost: ClientConnection | None = None  # whose positions are not yet the topics' own
        self._checked = 0  # how many authentications the subscriptions have outlived
        self._without_positions: set[str] = set()  # logs with a subscription without positions
        self._tasks: set[asyncio.Task[None]] = set()

    async def subscribe(self, wanted: Subscribe) -> AckResponse:
        """Subscribe to a topic for the streams of ``events()``."""
        async with self._changing(wanted.topic) as entry:
            answer = await self._change(entry, entry.wanted((EXPLICIT, wanted)))
            if answer.success:
                self._add_holder(entry, EXPLICIT, wanted)
            return answer

    async def unsubscribe(self, topic: str) -> AckResponse:
        """Take back what ``subscribe`` did; if that is cut short, it is done in the background."""
        try:
            return await self._unsubscribe(topic)
        except (TimeoutError, asyncio.CancelledError):
            entry = self._topics.get(self._matcher.canonical(topic))
            if entry is not None:
                entry.holders.pop(EXPLICIT, None)
                self._reconcile_soon(entry)
            raise

    async def _unsubscribe(self, topic: str) -> AckResponse:
        async with self._changing(topic) as entry:
            if EXPLICIT not in entry.holders:
                if entry.holders:
                    raise RemoteError("not_found", "subscription not found")
                return await self._change(entry, entry.wanted())
            wanted = entry.holders.pop(EXPLICIT)
            change = entry.wanted()
            if entry.holders and entry.is_settled(change):
                return AckResponse.ok()
            try:
                answer = await self._change(entry, change)
            except RemoteError as error:
                if error.code == "not_found" and not entry.holders:
                    entry.unsettle()  # it is another connection by now
                    return AckResponse.ok()
                entry.holders[EXPLICIT] = wanted
                raise
            self._reconcile_soon(entry)
            return answer

    @asynccontextmanager
    async def stream(self, wanted: Subscribe) -> AsyncIterator[EventStream[Event | UnknownEvent]]:
        """Subscribe to a topic for a stream of its own, while the block runs."""
        topic = self._matcher.canonical(wanted.topic)
        stream = self._streams.open_for(topic, wanted.filters)
        try:
            async with self._changing(topic) as entry:
                change = entry.wanted((stream, wanted))
                if not entry.is_settled(change):
                    answer = await self._change(entry, change)
                    if not answer.success:
                        raise _refusal(answer)
                self._add_holder(entry, stream, wanted)
            try:
                yield stream
            finally:
                del entry.holders[stream]
                reconciling = self._reconcile_soon(entry)
        finally:
            self._streams.close(stream)
        if reconciling is not None:
            await asyncio.wait((reconciling,), timeout=self._config.request_timeout)

    async def restore(
        self, connection: ClientConnection, progressed: Callable[[], object]
    ) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Subscribe to all that is wanted over a new connection.

        Args:
            connection: The connection, on which nothing is subscribed.
            progressed: Called whenever the server has answered with more than that it is busy.

        Returns:
            The topics on which events may be missing, and those of them that the server refused.

        Raises:
            ConnectionLostError: The connection ended meanwhile.
        """
        self._keep_positions()
        self._forget_connection()
        self._connection, self._checked = connection, connection.authentications
        for entry in tuple(self._topics.values()):
            entry.is_missing = False  # what it was missing before is told as lost, or resumed
            self._forget_if_unused(entry)  # streams may have ended without a connection
        entries = [entry for entry in self._topics.values() if entry.holders]
        restoring = _Restoring(
            {e.log for e in entries if any(h.resume for h in e.holders.values())}
        )
        waiting, at_once, pauses = deque(entries), _AT_ONCE, delays(0.1, 2.0)
        for entry in entries:
            entry.users += 1
        try:
            while waiting:
                batch = [waiting.popleft() for _ in range(min(at_once, len(waiting)))]
                again = await self._restore(connection, batch, restoring)
                waiting.extend(again)
                if len(again) < len(batch):
                    pauses = delays(0.1, 2.0)
                    progressed()
                if again:
                    at_once = max(1, len(batch) - len(again))
                    await asyncio.sleep(next(pauses))
                else:
                    at_once *= 2
        finally:
            for entry in entries:
                entry.users -= 1
        for entry in entries:
            if entry.name not in restoring.refused:
                self._reconcile_soon(entry)
        incomplete = self._streams.overflowed
        lost = (e.name for e in entries if e.name not in restoring.resumed or e.log in incomplete)
        return tuple(lost), tuple(restoring.refused)

    async def _restore(
        self, connection: ClientConnection, entries: list[_Topic], restoring: _Restoring
    ) -> list[_Topic]:
        """Subscribe to topics; note how that went, and return those to ask for again."""
        changes = [self._resuming(entry, restoring.logs) for entry in entries]
        asked = [_ask(change, connection.request) for change in changes]
        answers = await asyncio.gather(*asked, return_exceptions=True)
        again = []
        for entry, change, answer in zip(entries, changes, answers, strict=True):
            since = change.since if isinstance(change, Subscribe) else None
            match answer:
                case AckResponse(success=True):
                    self._settle(entry, change, answer)
                    if since is not None and _is_recovered(since, answer):
                        restoring.resumed.add(entry.name)
                case RemoteError(code="rate_limited"):
                    again.append(entry)
                case RemoteError(code="internal_error") if restoring.may_try(entry.name, since):
                    again.append(entry)
                case RemoteError(code="internal_error") | ProtocolError():
                    entry.is_missing = True
                case AckResponse() | RemoteError():
                    code = answer.code if isinstance(answer, RemoteError) else "not acknowledged"
                    _log_refusal(entry, code)
                    restoring.refused.append(entry.name)
                case _:
                    raise answer
        return again

    def _resuming(self, entry: _Topic, logs: Set[str]) -> Change:
        """Return the command that subscribes to a topic over a new connection."""
        change = entry.wanted()
        if not isinstance(change, Subscribe) or entry.log not in logs:
            return change
        is_whole = change.resume and entry.since == self._streams.positions.of(entry.log)
        return evolve(change, resume=True, since=entry.since if is_whole else None)

    def connection_lost(self) -> None:
        """Note that the server has no subscriptions of this client any more."""
        self._lost = self._connection
        self._forget_connection()

    def _forget_connection(self) -> None:
        self._connection = None
        for entry in self._topics.values():
            entry.acknowledged = Unsubscribe(topic=entry.name)

    def _keep_positions(self) -> None:
        """Record up to where each topic came over the connection that was lost.

        Nothing changes after a connection that was lost before the client had reconnected.
        """
        if self._lost is not None:
            is_checked = self._lost.authentications == self._checked
            for entry in self._topics.values():
                latest = self._streams.positions.of(entry.log)
                if entry.start is not None:
                    is_same = latest is not None and latest.epoch == entry.start.epoch
                    entry.since = latest if is_same and is_checked else None
                elif entry.log in self._without_positions:
                    entry.since = None
        self._lost = None
        self._without_positions.clear()
        for entry in self._topics.values():
            entry.start = None

    def check_soon(self) -> None:
        """Find out which subscriptions a new authentication has ended, and ask for them again."""
        if self._connection is None:
            return
        if self._acknowledged():
            self._start(self._check(self._connection))
        else:
            self._checked = self._connection.authentications

    async def close(self) -> None:
        """End what goes on in the background."""
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)

    async def _check(self, connection: ClientConnection) -> None:
        known, authentications = self._acknowledged(), connection.authentications
        pauses = self._pauses()
        while True:
            try:
                async with asyncio.timeout(self._config.request_timeout):
                    listed = await connection.request(ListSubscriptions())
                break
            except ConnectionLostError:
                return
            except (RemoteError, ProtocolError, TimeoutError) as error:
                log.warning("cannot list the subscriptions: %s", _name_of(error))
                if isinstance(error, RemoteError) and error.code not in TRANSIENT:
                    return
            await asyncio.sleep(next(pauses))
        there = {self._matcher.canonical(topic) for topic in listed.subscriptions}
        for entry in known:
            if entry in self._acknowledged() and entry.name not in there:
                entry.unsettle()
                entry.is_missing = True
                self._reconcile_soon(entry)
        if connection is self._connection:
            self._checked = max(self._checked, authentications)

    def _acknowledged(self) -> list[_Topic]:
        """Return the topics that are wanted, and that the server has as far as is known."""
        return [
            entry
            for entry in self._topics.values()
            if entry.holders and isinstance(entry.acknowledged, Subscribe)
        ]

    @asynccontextmanager
    async def _changing(self, topic: str) -> AsyncIterator[_Topic]:
        """Hold the lock of a topic, so that its changes are made one after the other."""
        name = self._matcher.canonical(topic)
        entry = self._topics.get(name)
        if entry is None:
            entry = self._topics[name] = _Topic(name, acknowledged=Unsubscribe(topic=name))
        entry.users += 1
        try:
            try:
                async with asyncio.timeout(self._config.request_timeout):
                    await entry.lock.acquire()
            except TimeoutError:
                raise TimeoutError("an earlier change of the subscription takes too long") from None
            try:
                yield entry
            finally:
                entry.lock.release()
        finally:
            entry.users -= 1
            self._forget_if_unused(entry)

    def _add_holder(self, entry: _Topic, holder: object, wanted: Subscribe) -> None:
        entry.holders[holder] = wanted
        self._reconcile_soon(entry)  # others may have left while the server was asked

    async def _change(self, entry: _Topic, change: Change) -> AckResponse:
        try:
            answer = await _ask(change, self._request)
        except (asyncio.CancelledError, TimeoutError, ProtocolError):
            entry.acknowledged = None  # the server may have made it, or may be about to
            self._reconcile_soon(entry)
            raise
        if answer.success:
            self._settle(entry, change, answer)
            self._tell_restored(entry)
        return answer

    def _settle(self, entry: _Topic, change: Change, answer: AckResponse) -> None:
        before = entry.start
        entry.settle(change, answer)
        if isinstance(change, Unsubscribe):
            return
        if entry.start is None:
            self._without_positions.add(entry.log)
        elif before is not None and before.epoch != entry.start.epoch:
            entry.is_missing = True  # what came between the two is not known

    def _reconcile_soon(self, entry: _Topic) -> asyncio.Task[None] | None:
        """Bring the server in line with what is wanted, in the background, where it is not.

        While there is no connection, nothing is to be done: the next one starts with it.
        """
        if entry.reconciling is None and self._connection is not None:
            if not entry.is_settled(entry.wanted()):
                task = self._start(self._reconcile(entry, self._connection))
                entry.reconciling = None if task.done() else task  # where tasks start eagerly
            else:
                self._forget_if_unused(entry)
        return entry.reconciling

    async def _reconcile(self, entry: _Topic, connection: ClientConnection) -> None:
        pauses = self._pauses()
        refused: Change | None = None
        entry.users += 1
        try:
            while connection is self._connection:
                async with entry.lock:
                    change = entry.wanted()
                    if change == refused or entry.is_settled(change):
                        return
                    answer = await self._attempt(change, connection)
                    if isinstance(answer, AckResponse):
                        self._settle(entry, change, answer)
                        self._tell_restored(entry)
                    elif isinstance(answer, ConnectionLostError):
                        return
                    elif not isinstance(answer, RemoteError) or answer.code in TRANSIENT:
                        log.warning(
                            "cannot change the subscription to %s now: %s",
                            ascii(entry.name),
                            _name_of(answer),
                        )
                    elif isinstance(change, Unsubscribe):
                        entry.unsettle()  # the server has none
                    else:
                        refused = change
                        self._tell_lost(entry, answer)
                if change != refused and not entry.is_settled(change):
                    await asyncio.sleep(next(pauses))
        finally:
            entry.reconciling = None
            entry.users -= 1
            self._forget_if_unused(entry)

    async def _attempt(
        self, change: Change, connection: ClientConnection
    ) -> AckResponse | Exception:
        """Ask the server for a change, and return its answer or what went wrong."""
        try:
            async with asyncio.timeout(self._config.request_timeout):
                answer = await _ask(change, connection.request)
        except (ConnectionLostError, RemoteError, ProtocolError, TimeoutError) as error:
            return error
        return answer if answer.success else _refusal(answer)

    def _tell_restored(self, entry: _Topic) -> None:
        if entry.is_missing and entry.holders:
            self._streams.tell(SubscriptionRestored(topic=entry.name))
        entry.is_missing = False

    def _tell_lost(self, entry: _Topic, error: RemoteError) -> None:
        _log_refusal(entry, error.code)
        entry.is_missing = False
        if not isinstance(entry.acknowledged, Subscribe):  # else the server keeps what it had
            lost = SubscriptionLost(topic=entry.name, code=error.code, message=error.message)
            self._streams.tell(lost)

    def _pauses(self) -> Iterator[float]:
        return delays(self._config.backoff_base, self._config.backoff_max)

    def _start(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    def _forget_if_unused(self, entry: _Topic) -> None:
        is_used = entry.holders or entry.users or entry.reconciling
        if not is_used and self._topics.get(entry.name) is entry:
            del self._topics[entry.name]


async def _ask(change: Change, request: Callable[[Change], Awaitable[AckResponse]]) -> AckResponse:
    """Ask for a change; a server that forbids what it does not know is asked without positions."""
    try:
        return await request(change)
    except RemoteError as error:
        if error.code != "invalid_message" or not isinstance(change, Subscribe):
            raise
        if not change.resume:
            raise
        plain = evolve(change, resume=None, since=None)
    return await request(plain)


def _is_recovered(since: Position, answer: AckResponse) -> bool:
    """Return whether all that followed a position in its log has come."""
    position = answer.position
    return (
        answer.recovered is True
        and position is not None
        and (position.topic, position.epoch) == (since.topic, since.epoch)
    )


def _refusal(answer: AckResponse) -> RemoteError:
    return RemoteError("permission_denied", answer.message or "the server refused")


def _log_refusal(entry: _Topic, code: str) -> None:
    log.warning("the subscription to %s is refused: %s", ascii(entry.name), ascii(code))


def _name_of(error: Exception) -> str:
    return ascii(error.code) if isinstance(error, RemoteError) else type(error).__qualname__
