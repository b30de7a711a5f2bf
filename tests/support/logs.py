"""A server with a log, as small as can be: what clients resume on."""

from collections import deque
from collections.abc import Callable
from typing import Any

from attrs import frozen

import tachikoma_proto as tp
from support.network import CODEC, Answering, agree


@frozen
class _Subscription:
    """A subscription of the present connection; it has what lies after its start."""

    filters: tp.SubscriptionFilters | None
    has_positions: bool
    start: int


class LogServer:
    """A server whose only log is that of the missions.

    Each connection reaches a process that may lag behind the others, and may not know the feature.

    Attributes:
        epoch: The life of the log.
        records: The events of this life.
        trimmed: How many of the first of them are no longer kept.
        seen: How many of them the process of the present connection has seen.
        lag: How many the process of the next connection lacks.
        knows_positions: Whether the process knows the feature at all.
        repeats: Whether what two subscriptions missed is sent for each, which no server should do.
        is_strict: Whether the process refuses what it does not know.
        faults: What becomes of the next subscribes: an error code, ``silent``, ``hang up``, or
            nothing.
        meanwhile: What happens before the next answers to subscribes.
        opened: The connections.
    """

    def __init__(self) -> None:
        self.epoch = "life-1"
        self.records: list[tp.Event] = []
        self.trimmed = self.seen = self.lag = 0
        self.knows_positions, self.is_strict, self.repeats = True, False, False
        self.faults: deque[str] = deque()
        self.meanwhile: deque[Callable[[], object]] = deque()
        self.opened: list[Answering] = []
        self.subscriptions: dict[str, _Subscription] = {}

    # What a client sees.

    async def open(self) -> tp.Transport:
        self.subscriptions = {}
        self.seen = max(0, len(self.records) - self.lag)
        self.opened.append(Answering(self.answer))
        return self.now

    def answer(self, command: tp.Command[Any]) -> tp.Response | None:
        match command:
            case tp.Subscribe():
                if self.meanwhile:
                    self.meanwhile.popleft()()
                fault = self.faults.popleft() if self.faults else ""
                if fault == "hang up":
                    self.cut()
                elif fault and fault != "silent":
                    return tp.ErrorResponse(code=fault, message="")
                return self._subscribe(command) if not fault else None
            case tp.Unsubscribe(topic=topic):
                if self.subscriptions.pop(topic, None) is None:
                    return tp.ErrorResponse.not_found("subscription")
            case tp.ListSubscriptions():
                return tp.SubscriptionListResponse(subscriptions=tuple(self.subscriptions))
        return agree(command)

    def _subscribe(self, command: tp.Subscribe) -> tp.Response:
        has_positions = bool(command.resume or command.since)
        if self.is_strict and has_positions:
            fault = {"errors": [{"path": "$.payload.resume", "expected": "no such field"}]}
            return tp.ErrorResponse.invalid_message().with_details(fault)
        start, recovered = self.seen, None
        if self.knows_positions and command.since is not None:
            since = command.since
            recovered = since.epoch == self.epoch and self.trimmed <= since.offset <= self.seen
            start = since.offset if recovered else self.seen
        had = [(topic, one) for topic, one in self.subscriptions.items()]
        self.subscriptions[command.topic] = _Subscription(command.filters, has_positions, start)
        for offset in range(start + 1, self.seen + 1):
            event = self.records[offset - 1]
            was_sent = any(
                offset > one.start and passes(event, topic, one.filters) for topic, one in had
            )
            if passes(event, command.topic, command.filters) and (self.repeats or not was_sent):
                self._send(offset)
        if not (has_positions and self.knows_positions):
            return tp.AckResponse.ok()
        return tp.AckResponse(success=True, position=self.at(self.seen), recovered=recovered)

    def _send(self, offset: int) -> None:
        event = self.records[offset - 1]
        has_positions = any(one.has_positions for one in self.subscriptions.values())
        position = self.at(offset) if has_positions and self.knows_positions else None
        message = tp.OutgoingMessage(type="event.mission", payload=event, position=position)
        self.now.feed(CODEC.encode_message(message))

    # What a test does.

    @property
    def now(self) -> Answering:
        """The present connection."""
        return self.opened[-1]

    @property
    def subscribed(self) -> list[tp.Subscribe]:
        """The subscribes of the present connection."""
        return [one for one in self.now.commands if isinstance(one, tp.Subscribe)]

    def at(self, offset: int) -> tp.Position:
        return tp.Position(topic="missions", epoch=self.epoch, offset=offset)

    def publish(self, *events: tp.Event) -> None:
        """Publish in any process; that of the connection sees as many events as before."""
        for event in events:
            self.records.append(event)
            self.catch_up(1)

    def catch_up(self, count: int | None = None) -> None:
        for _ in range(len(self.records) - self.seen if count is None else count):
            self.seen += 1
            event = self.records[self.seen - 1]
            if any(
                passes(event, topic, one.filters) and self.seen > one.start
                for topic, one in self.subscriptions.items()
            ):
                self._send(self.seen)

    def send_position(self) -> None:
        """Send the position without an event, as servers do now and then."""
        if self.knows_positions and any(one.has_positions for one in self.subscriptions.values()):
            self.now.feed(CODEC.encode(tp.PositionUpdate(position=self.at(self.seen))))

    def cut(self) -> None:
        """End the connection."""
        self.subscriptions = {}
        self.now.feed(None)

    def trim(self) -> None:
        """Keep none of the events that there are."""
        self.trimmed = len(self.records)

    def begin_anew(self) -> None:
        """Lose the log, and begin another."""
        life = int(self.epoch.removeprefix("life-"))
        self.epoch, self.records, self.trimmed, self.seen = f"life-{life + 1}", [], 0, 0


def passes(event: tp.Event, topic: str, filters: tp.SubscriptionFilters | None) -> bool:
    """Tell whether an event of a mission belongs to a subscription."""
    mission_id: Any = getattr(event, "mission_id")  # noqa: B009 - of any mission event
    tag = type(event).__name__.removeprefix("Mission").lower()
    wanted = filters or tp.SubscriptionFilters()
    return (
        topic in ("missions", f"missions/{mission_id}")
        and wanted.mission_id in (None, mission_id)
        and (wanted.event_types is None or tag in wanted.event_types)
    )
