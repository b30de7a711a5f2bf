"""Nothing is lost, or it is told: the specification of resuming, as a machine that does anything.

Several server processes follow one log each topic. They lag, get batches twice, restart, and find
that the log was trimmed or has begun a new life, perhaps from an older copy of itself. A client
subscribes to topics that overlap, with and without filters, moves between the processes, reads
slowly or not at all, and loses its connection anywhere, also while it resumes.

The client does what any client has to: while it resumes, it keeps what comes until all answers
are there, sorts that, drops what it had, and only then moves its position. That never goes back in
a life of a log, also if the client comes back to that life: a process may lag in either way. What
it then believes to have is compared with what was published. This holds:

* There is never a hole below ``recovered: true``.
* No event comes twice, and none out of order within the life of a topic's log.
* In the end the client has all that was published since its subscription started.
"""

from typing import Any, Final
from uuid import UUID

from attrs import define, evolve, field
from hypothesis import event, settings, strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
)

import tachikoma_proto as tp
from tachikoma_proto.messages.record import Record
from tachikoma_proto.session import Hub, ServerConfig, ServerSession, Subscribed

CODEC: Final = tp.Codec()
ONE, TWO = UUID(int=1), UUID(int=2)
TOPICS: Final = ("missions", f"missions/{ONE}", f"missions/{TWO}", "system")
LOGS: Final = ("missions", "system")
FILTERS: Final = (
    None,
    tp.SubscriptionFilters(mission_id=ONE),
    tp.SubscriptionFilters(event_types=("failed", "version_update")),
)
PROCESSES: Final = 3
TAIL: Final = 6
"""How many records the log elsewhere keeps."""

CONFIG: Final = ServerConfig(
    require_auth=False,
    max_pending=4,
    pending_grace=1.0,
    max_pending_bytes=20_000,
    ping_interval=None,
    history_events=8,
    history_age=20.0,
    replay_events=6,
    catch_up_timeout=2.0,
    position_interval=3.0,
    gap_spread=2.0,
    close_timeout=1.0,
)

LOG: Final = st.sampled_from(["missions", "missions", "missions", "system"])
NUMBERS: Final = st.integers(0, PROCESSES - 1)
KINDS: Final = ("one", "one", "one", "two", "failed", "unreadable")
READERS: Final = st.sampled_from([(), (0,), (1,), (2,), (0, 1), (1, 2), (0, 1, 2), (0, 1, 2)])
GO_ON: Final[dict[str, Any]] = {
    "log": LOG,
    "kinds": st.lists(st.sampled_from(KINDS), max_size=3),
    "readers": READERS,
    "count": st.sampled_from([1, 2, 5, 5, 5]),
    "again": st.integers(0, 2),
    "frames": st.sampled_from([0, 1, 2, 100]),
    "process": st.none() | st.integers(0, PROCESSES),
    "more": st.sampled_from([0, 1, 2, 100, 100, 100]),
}
Filters = tp.SubscriptionFilters


def log_of(topic: str) -> str:
    return topic.partition("/")[0]


def is_wanted(record: Record, topic: str, filters: Filters | None) -> bool:
    """Say again, by the words of the design, whether a subscription asks for an event."""
    if not f"{record.topic}/{record.key}/".startswith(f"{topic}/"):
        return False
    if filters is None:
        return True
    if filters.mission_id is not None and record.values[0] != filters.mission_id:
        return False
    return filters.event_types is None or record.type.split(".")[1] in filters.event_types


@define
class Log:
    """The log of a topic, as a broker keeps it; every life of it is remembered here."""

    topic: str
    life: int = 1
    records: list[Record | None] = field(factory=list)
    truth: dict[str, list[Record | None]] = field(factory=dict)

    @property
    def epoch(self) -> str:
        return f"life {self.life}"

    def append(self, record: Record | None) -> None:
        self.records.append(record)
        self.truth[self.epoch] = [*self.records]

    def begin_anew(self, kept: int) -> None:
        self.life += 1
        self.records = self.records[:kept]
        self.truth[self.epoch] = [*self.records]

    def tail(self, count: int = TAIL) -> list[Record | None]:
        return self.records[max(0, len(self.records) - count) :]


class Process:
    """A server process: a hub, and how far it has read the logs."""

    def __init__(self, number: int, clock: "Clock") -> None:
        self.number = number
        self.clock = clock
        self.announces = number == 1
        self.start()

    def start(self) -> None:
        self.sessions: list[ServerSession] = []
        self.to_release: list[ServerSession] = []
        self.hub = Hub(
            CODEC,
            CONFIG,
            announces_subscriptions=self.announces,
            clock=self.clock,
        )

    def load(self, log: Log) -> None:
        self.hub.load(log.topic, log.epoch, len(log.records), log.tail())

    def read(self, log: Log, count: int, again: int) -> None:
        """Read the next records, and some that were read already."""
        seen = self.hub.context.logs[log.topic].offset
        first = max(0, seen - again, len(log.records) - TAIL)
        last = min(len(log.records), max(seen, first) + count)
        records = log.records[first:last]
        if self.hub.deliver(log.topic, log.epoch, last, records) is None:
            self.load(log)

    def release(self) -> None:
        """Send the events that are held back."""
        for session in self.to_release:
            session.release_events()
        self.to_release.clear()

    def open(self, now: float) -> ServerSession:
        session = self.hub.open(now)
        session.on_subscribed = lambda _: self.to_release.append(session)
        self.sessions.append(session)
        return session


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@define
class Subscription:
    """What a client knows of a subscription of its own.

    Attributes:
        filters: What narrows it.
        start: After which position it has everything, as far as it knows; None if it has nothing.
    """

    filters: Filters | None
    start: tp.Position | None = None


class Client:
    """A client that resumes."""

    def __init__(self) -> None:
        self.wanted: dict[str, Subscription] = {}
        self.positions: dict[str, tp.Position] = {}
        self.reached: dict[tuple[str, str], int] = {}
        self.got: list[tuple[tp.Position, str]] = []
        self.session: ServerSession | None = None
        self.process: Process | None = None
        self.sent = 0
        self.unsent: list[str] = []
        self.asked: dict[UUID, str] = {}
        self.answers: dict[str, tp.AckResponse | None] = {}
        self.held: list[tuple[tp.Position, str | None]] | None = None

    @property
    def is_settled(self) -> bool:
        """Whether it has an answer to everything, so that its positions mean something."""
        return self.held is None and not self.asked

    # The connection.

    def connect(self, process: Process, now: float) -> None:
        self.process, self.session = process, process.open(now)
        self.held = []
        for topic in self.wanted:
            self.subscribe(topic)
        self.settle()

    def subscribe(self, topic: str) -> None:
        if self.held is None or self.wanted[topic].start is None:
            fields: dict[str, Any] = {"resume": True}
        else:
            fields = {"since": self.positions[log_of(topic)]}
        self.send(tp.Subscribe(topic=topic, filters=self.wanted[topic].filters, **fields), topic)

    def send(self, command: tp.Command[Any], topic: str) -> None:
        self.sent += 1
        message_id = UUID(int=self.sent)
        self.asked[message_id] = topic
        self.unsent.append(CODEC.encode(command, id=message_id))

    def lose_connection(self) -> None:
        if self.session is not None and self.process is not None:
            self.session.connection_lost()
            self.process.sessions.remove(self.session)
        self.session = self.process = self.held = None
        self.unsent.clear()
        self.asked.clear()
        self.answers.clear()

    def carry(self, count: int, now: float) -> None:
        """Carry all that is to be sent, and some of what is to be read."""
        session, process = self.session, self.process
        if session is None or process is None:
            return
        while self.unsent and session.can_receive:
            subscribed = session.receive(self.unsent.pop(0), now)
            if isinstance(subscribed, Subscribed):
                process.to_release.append(session)
        for _ in range(count):
            text = session.next_frame()
            if text is None:
                break
            self.read(CODEC.decode_server_message(text))
        if session.closing is not None:
            while session.closing.flush and (text := session.next_frame()) is not None:
                self.read(CODEC.decode_server_message(text))
            self.lose_connection()

    # What it reads.

    def read(self, message: tp.OutgoingMessage[Any]) -> None:
        payload = message.payload
        if isinstance(payload, tp.PositionUpdate):
            self.take(payload.position, None)
        elif isinstance(payload, tp.Event):
            assert message.position is not None, "all subscriptions asked for positions"
            name = payload.error if isinstance(payload, tp.MissionFailed) else None
            name = payload.name if isinstance(payload, tp.MissionCreated) else name
            name = payload.new_version if isinstance(payload, tp.VersionUpdate) else name
            assert name is not None
            self.take(message.position, name)
        else:
            assert message.reply_to is not None
            topic = self.asked.pop(message.reply_to)
            self.answered(topic, payload)

    def take(self, position: tp.Position, name: str | None) -> None:
        if self.held is not None:
            self.held.append((position, name))
            return
        if name is not None and self.is_new(position):
            self.got.append((position, name))
        self.move(position)

    def is_new(self, position: tp.Position) -> bool:
        """Return whether an event was not among those that it had."""
        return position.offset > self.reached.get((position.topic, position.epoch), 0)

    def move(self, position: tp.Position) -> tp.Position:
        """Move the position in a log, though not back in a life of it, and return it."""
        life = position.topic, position.epoch
        self.reached[life] = max(position.offset, self.reached.get(life, 0))
        moved = evolve(position, offset=self.reached[life])
        self.positions[position.topic] = moved
        return moved

    def answered(self, topic: str, answer: tp.AckResponse | tp.ErrorResponse) -> None:
        ack = answer if isinstance(answer, tp.AckResponse) else None
        if self.held is not None:
            self.answers[topic] = ack
            self.settle()
        elif topic in self.wanted:
            self.start(topic, ack)

    def start(self, topic: str, ack: tp.AckResponse | None) -> None:
        """Note where a subscription starts that is made while others go on."""
        if ack is None or ack.position is None:
            return
        log = ack.position.topic
        if any(log_of(name) == log and other.start for name, other in self.wanted.items()):
            assert ack.position.epoch == self.positions[log].epoch
        self.wanted[topic].start = self.move(ack.position)

    def settle(self) -> None:
        """Take what was kept, once all answers are there."""
        if self.held is None or self.asked:
            return
        held, self.held = self.held, None
        answers, self.answers = self.answers, {}
        for log in LOGS:
            acks = {topic: ack for topic, ack in answers.items() if log_of(topic) == log}
            told = [ack.position for ack in acks.values() if ack and ack.position]
            told += [position for position, _ in held if position.topic == log]
            assert len({position.epoch for position in told}) < 2, "one life in one connection"
            events = [(position, name) for position, name in held if position.topic == log]
            new = [(position, name) for position, name in events if self.is_new(position)]
            for topic, ack in acks.items():
                event(f"recovered: {ack and ack.recovered}")
                if ack is None:
                    self.wanted[topic].start = None
                elif not ack.recovered and ack.position is not None:
                    # What another process told it before is not promised again.
                    had = self.reached.get((log, ack.position.epoch), 0)
                    start = evolve(ack.position, offset=max(had, ack.position.offset))
                    self.wanted[topic].start = start
            for position, name in sorted(new, key=lambda each: each[0].offset):
                if name is not None:
                    self.got.append((position, name))
            for position in told:
                self.move(position)


class Resuming(RuleBasedStateMachine):
    """The machine; what it may do are its rules."""

    def __init__(self) -> None:
        super().__init__()
        self.clock = Clock()
        self.logs = {topic: Log(topic) for topic in LOGS}
        for log in self.logs.values():
            log.truth[log.epoch] = []
        self.processes = [Process(number, self.clock) for number in range(PROCESSES)]
        self.client = Client()
        self.published = 0

    @initialize(
        wanted=st.dictionaries(st.sampled_from(TOPICS), st.sampled_from(FILTERS), min_size=1),
        process=NUMBERS,
    )
    def begin(self, wanted: dict[str, Filters | None], process: int) -> None:
        for each in self.processes:
            for log in self.logs.values():
                each.load(log)
        self.client.wanted = {topic: Subscription(filters) for topic, filters in wanted.items()}
        self.client.connect(self.processes[process], self.clock.now)
        self.carry(100)

    def go_on(
        self,
        log: str,
        kinds: list[str],
        readers: tuple[int, ...],
        count: int,
        again: int,
        frames: int,
        process: int | None,
        more: int,
    ) -> None:
        """Publish, let processes read it, let the client read, and perhaps move elsewhere."""
        for kind in kinds:
            self.logs[log].append(self.make_record(log, kind))
        for number in readers:
            self.processes[number].read(self.logs[log], count, again)
        self.carry(frames)
        if process is not None:
            self.client.lose_connection()
            if process in range(PROCESSES):
                self.client.connect(self.processes[process], self.clock.now)
                self.carry(more)

    # Every rule is as likely as the others, and some take no part in a run. What all the others
    # need is one rule, therefore, and there are several of it.

    @rule(**GO_ON)
    def go_on_1(self, **what: Any) -> None:
        self.go_on(**what)

    @rule(**GO_ON)
    def go_on_2(self, **what: Any) -> None:
        self.go_on(**what)

    @rule(**GO_ON)
    def go_on_3(self, **what: Any) -> None:
        self.go_on(**what)

    def make_record(self, log: str, kind: str) -> Record | None:
        self.published += 1
        name = f"event {self.published}"
        published: tp.Event = tp.MissionCreated(mission_id=TWO if kind == "two" else ONE, name=name)
        if kind == "failed":
            published = tp.MissionFailed(mission_id=ONE, error=name)
        if log == "system":
            published = tp.VersionUpdate(current_version="", new_version=name)
        return None if kind == "unreadable" else self.processes[0].hub.record(published)

    # What happens to the log.

    @rule(log=LOG, kept=st.integers(0, 8), readers=READERS)
    @precondition(lambda self: self.published % 4 == 3)  # not all the time
    def begin_a_new_life(self, log: str, kept: int, readers: tuple[int, ...]) -> None:
        self.logs[log].begin_anew(kept)
        for number in readers:
            self.processes[number].read(self.logs[log], 1, 0)

    # What happens to processes.

    @rule(number=NUMBERS, is_in_order=st.booleans())
    def restart(self, number: int, is_in_order: bool) -> None:
        process = self.processes[number]
        for session in [*process.sessions] if is_in_order else ():
            session.drain(1001, "restart")
        self.look_at_end()
        if self.client.process is process:
            self.client.lose_connection()
        process.start()
        for log in self.logs.values():
            process.load(log)

    @rule(seconds=st.sampled_from([0.5, 1.0, 3.0, 15.0]), releases=st.booleans())
    def wait(self, seconds: float, releases: bool) -> None:
        """Let time pass, in which the process may have sent what comes before held events."""
        self.clock.now += seconds
        session = self.client.session
        for _ in range(3):
            if session is not None and session.next_timeout <= self.clock.now:
                session.handle_timeout(self.clock.now)
        if releases and self.client.process is not None:
            self.client.process.release()
        self.look_at_end()

    def look_at_end(self) -> None:
        if self.client.session is not None and self.client.session.closing is not None:
            self.client.carry(0, self.clock.now)

    # What the client does.

    @rule(
        topic=st.sampled_from(TOPICS),
        filters=st.sampled_from(FILTERS),
        ends=st.sampled_from([False, False, True]),
    )
    def change(self, topic: str, filters: Filters | None, ends: bool) -> None:
        """Subscribe to a topic, perhaps once more and with other filters, or unsubscribe."""
        client = self.client
        if not client.is_settled or (ends and topic not in client.wanted):
            return
        if ends:
            del client.wanted[topic]
        else:
            client.wanted[topic] = Subscription(filters)
        if client.session is not None:
            if ends:
                client.send(tp.Unsubscribe(topic=topic), topic)
            else:
                client.subscribe(topic)
            self.carry(0)

    def carry(self, frames: int) -> None:
        self.client.carry(frames, self.clock.now)

    # What holds.

    @invariant()
    def no_event_comes_twice_or_out_of_order(self) -> None:
        names = [name for _, name in self.client.got]
        assert len(names) == len(set(names))
        for log, epoch in self.client.reached:
            offsets = [
                position.offset
                for position, _ in self.client.got
                if (position.topic, position.epoch) == (log, epoch)
            ]
            assert offsets == sorted(offsets)

    @invariant()
    def there_is_no_hole(self) -> None:
        if self.client.is_settled:
            for topic, subscription in self.client.wanted.items():
                if subscription.start is not None:
                    position = self.client.positions[log_of(topic)]
                    assert subscription.start.epoch == position.epoch
                    self.check_complete(topic, subscription.start, position.offset)

    def check_complete(self, topic: str, start: tp.Position, until: int) -> None:
        """Check that the client has all that a subscription promised, up to an offset."""
        filters = self.client.wanted[topic].filters
        got = {
            position.offset
            for position, _ in self.client.got
            if (position.topic, position.epoch) == (start.topic, start.epoch)
        }
        for offset, record in enumerate(self.logs[start.topic].truth[start.epoch], 1):
            if record is not None and start.offset < offset <= until:
                assert offset in got or not is_wanted(record, topic, filters)

    def teardown(self) -> None:
        """Let everything be read, and see that nothing is missing."""
        self.restart(0, False)
        self.client.lose_connection()
        self.client.connect(self.processes[0], self.clock.now)
        for _ in range(20):
            self.carry(100)
        assert self.client.session is not None
        assert self.client.is_settled
        for topic, subscription in self.client.wanted.items():
            log = self.logs[log_of(topic)]
            assert subscription.start is not None
            assert subscription.start.epoch == log.epoch
            self.check_complete(topic, subscription.start, len(log.records))


TestResuming = Resuming.TestCase
TestResuming.settings = settings(max_examples=300, stateful_step_count=40)
