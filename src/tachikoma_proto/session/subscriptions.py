"""The subscription index: who gets an event, found at the cost of the matches alone.

A server with thousands of sessions publishes many events that concern few of them. So the index
never looks at a subscription that does not match: what a filter asks for is part of the key under
which a subscription is stored, and an event is looked up under its few topics and the few
combinations of values that let it pass. It is looked up by the text of its record, so that one
that another process published needs no class here.

Rules:

* An event goes to its category's topic and, where the category has a key, to each topic below it
  that the key names. Subscribing to a topic covers everything below it, by whole segments.
* All filters that are given must hold. An event without the field that a filter asks for does not
  pass.
* An event type that the registry does not hold is matched by its text: another process may.
"""

from collections.abc import Callable, Collection, Hashable, Iterable, Mapping
from itertools import accumulate, product
from operator import attrgetter
from types import MappingProxyType
from typing import Final, Generic, TypeAlias, TypeVar
from uuid import UUID

from attrs import frozen

from tachikoma_proto.declare.bases import Event
from tachikoma_proto.declare.declarations import MessageDeclaration, MessageKind
from tachikoma_proto.declare.shapes import Identifier, Shape, without_none
from tachikoma_proto.errors import CommandError, EncodeError, FieldError, RegistryError
from tachikoma_proto.messages.commands import SubscriptionFilters
from tachikoma_proto.messages.record import FILTERED, Record
from tachikoma_proto.registry.registry import Registry
from tachikoma_proto.registry.topic_keys import KeyOf, KeyParser, key_parser, key_reader

S = TypeVar("S", bound=Hashable)
"""Who subscribes: a connection's session, a queue, a name."""


Values: TypeAlias = tuple[int | None, ...]
"""Values of the fields in ``FILTERED``, None where anything will do. A UUID is its integer here,
which is found faster."""

_ANY: Final[Values] = (None,) * len(FILTERED)

_MAX_UNKNOWN_TYPES: Final = 100
"""How many event types that the registry does not hold a filter may name."""


@frozen(eq=False)
class _Route:
    """Where the events of one class go.

    Attributes:
        topic: The topic of its category.
        type: ``category.tag``.
        key_of: Returns the key that names the topic below.
        parse_key: Reads such a key from a topic; None if there is none.
        values_of: Returns the event's values of ``FILTERED``; None for those that it lacks.
    """

    topic: str
    type: str
    key_of: KeyOf
    parse_key: KeyParser | None
    values_of: Callable[[Event], tuple[UUID | None, ...]]


@frozen(eq=False)
class Subscription:
    """A subscription in an index.

    Attributes:
        topic: The topic, in the form that events have it.
        values: What an event must have in the fields that filters can ask for.
        types: Which types it may have, each ``category.tag``; None where any will do.
        start: After which offset of the topic's log its events come, or came.
        resumes: Whether it asked for positions.
    """

    topic: str
    values: Values = _ANY
    types: frozenset[str] | None = None
    start: int = 0
    resumes: bool = False

    @property
    def log(self) -> str:
        """The topic of the log in which its events are."""
        return self.topic.partition("/")[0]

    def matches(self, record: Record) -> bool:
        """Return whether an event is one that the subscription asks for."""
        topic = self.topic
        if topic != record.topic and topic not in _topics(record.topic, record.key):
            return False
        if self.types is not None and record.type not in self.types:
            return False
        return self.values == _ANY or all(
            wanted is None or (value is not None and value.int == wanted)
            for wanted, value in zip(self.values, record.values, strict=True)
        )


class _Table(Generic[S]):
    """Subscribers, found by what an event has."""

    def __init__(self) -> None:
        # topic → type → values → subscribers, a dict to keep their order
        self.by_topic: dict[str, dict[str | None, dict[Values, dict[S, None]]]] = {}

    def add(self, subscriber: S, subscription: Subscription) -> None:
        """Add a subscriber under all that its subscription asks for."""
        for event_type in _types_of(subscription):
            by_type = self.by_topic.setdefault(subscription.topic, {})
            by_values = by_type.setdefault(event_type, {})
            by_values.setdefault(subscription.values, {})[subscriber] = None

    def remove(self, subscriber: S, subscription: Subscription) -> None:
        """Remove a subscriber, and the entries that are empty then."""
        topic, values = subscription.topic, subscription.values
        for event_type in _types_of(subscription):
            by_type = self.by_topic[topic]
            by_values = by_type[event_type]
            del by_values[values][subscriber]
            if not by_values[values]:
                del by_values[values]
            if not by_values:
                del by_type[event_type]
            if not by_type:
                del self.by_topic[topic]

    def find(self, record: Record) -> Collection[S]:
        """Return the subscribers that get the event of a record, each once."""
        found = []
        combinations = None
        for topic in _topics(record.topic, record.key):
            by_type = self.by_topic.get(topic)
            if by_type is None:
                continue
            for event_type in (None, record.type):
                by_values = by_type.get(event_type)
                if by_values is None:
                    continue
                if len(by_values) == 1 and _ANY in by_values:
                    found.append(by_values[_ANY])
                    continue
                if combinations is None:
                    combinations = _combinations(record.values)
                found += [by_values[values] for values in combinations if values in by_values]
        if len(found) == 1:
            return list(found[0])
        merged: dict[S, None] = {}
        for subscribers in found:
            merged |= subscribers
        return merged


class SubscriptionIndex(Generic[S]):
    """Who subscribes to what.

    Args:
        registry: Which events there are, and where they go.

    Example::

        index: SubscriptionIndex[str] = SubscriptionIndex(Registry())
        index.add("me", topics.MISSIONS)
        assert list(index.receivers(MissionStarted(mission_id=m))) == ["me"]
    """

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        events = [declaration for declaration in registry if declaration.kind is MessageKind.EVENT]
        self._routes = {
            declaration.cls: route
            for declaration in events
            if (route := _route(registry, declaration)) is not None
        }
        self._categories: dict[str, list[str]] = {}
        for category in registry.categories.values():
            if category.topic is not None:
                self._categories.setdefault(category.topic, []).append(category.name)
        self._key_parsers: dict[str, list[KeyParser]] = {}
        for route in self._routes.values():
            if route.parse_key is not None:
                self._key_parsers.setdefault(route.topic, []).append(route.parse_key)
        self._event_types = {f"{event.category}.{event.tag}" for event in events}
        # Who gets positions stands apart, so that publishing need not ask each of them.
        self._plain: _Table[S] = _Table()
        self._positioned: _Table[S] = _Table()
        self._subscriptions: dict[S, dict[str, Subscription]] = {}
        # topic of a log → how many subscriptions with positions each subscriber has in it
        self._resuming: dict[str, dict[S, int]] = {topic: {} for topic in self._categories}

    def __len__(self) -> int:
        """Return how many subscriptions there are."""
        return sum(map(len, self._subscriptions.values()))

    @property
    def topics(self) -> tuple[str, ...]:
        """The topics of the registry's categories."""
        return tuple(self._categories)

    def topics_of(self, subscriber: S) -> tuple[str, ...]:
        """Return the topics that a subscriber is subscribed to, in the order of subscribing."""
        return tuple(self._subscriptions.get(subscriber, ()))

    def subscriptions_of(self, subscriber: S) -> Mapping[str, Subscription]:
        """Return the subscriptions of a subscriber by their topics, in the order of subscribing."""
        return self._subscriptions.get(subscriber, _NONE)

    def subscribers_in(self, log: str) -> list[S]:
        """Return all who have a subscription in a log.

        Args:
            log: The topic of a category.
        """
        return [
            subscriber
            for subscriber, own in self._subscriptions.items()
            if any(subscription.log == log for subscription in own.values())
        ]

    def gets_positions(self, subscriber: S, log: str) -> bool:
        """Return whether a subscriber gets positions with the events of a log.

        Args:
            subscriber: The subscriber.
            log: The topic of a category.
        """
        return subscriber in self._resuming[log]

    def canonical(self, topic: str) -> str:
        """Return a topic in the form that events have it, whatever form its UUID is written in.

        Raises:
            CommandError: No event can ever go to the topic; the code is ``not_found``.
        """
        first, has_key, key = topic.partition("/")
        if first in self._categories:
            if not has_key:
                return first
            if all(key.split("/")):
                for parse in self._key_parsers.get(first, ()):
                    canonical = parse(key)
                    if canonical is not None:
                        return f"{first}/{canonical}"
        raise CommandError("not_found", "topic not found")

    def select(
        self,
        topic: str,
        filters: SubscriptionFilters | None = None,
        *,
        start: int = 0,
        resumes: bool = False,
    ) -> Subscription:
        """Return a subscription without adding it.

        Args:
            topic: The topic; everything below it is covered, too.
            filters: What narrows the subscription.
            start: After which offset of the topic's log its events come.
            resumes: Whether it asks for positions.

        Raises:
            CommandError: No event can ever go to the topic; the code is ``not_found``. Or the
                filters are not what their fields hold, or name too many event types that the
                registry does not hold.
        """
        topic = self.canonical(topic)
        if filters is None:
            return Subscription(topic, start=start, resumes=resumes)
        given = [getattr(filters, name) for name in FILTERED]
        names = filters.event_types
        if not all(value is None or isinstance(value, UUID) for value in given) or not all(
            isinstance(name, str) for name in names or ()
        ):
            raise CommandError("invalid_message", "the filters are not what their fields hold")
        values = tuple([None if value is None else value.int for value in given])
        types = None
        if names is not None:
            types = self._types(self._categories[topic.partition("/")[0]], names)
        return Subscription(topic, values, types, start, resumes)

    def add(
        self,
        subscriber: S,
        topic: str,
        filters: SubscriptionFilters | None = None,
        *,
        start: int = 0,
        resumes: bool = False,
    ) -> None:
        """Add a subscription; one to the same topic is replaced.

        Args:
            subscriber: Who subscribes.
            topic: As for ``select``, like the others.
            filters: What narrows the subscription.
            start: After which offset of the topic's log its events come.
            resumes: Whether it asks for positions.

        Raises:
            CommandError: As for ``select``.
        """
        subscription = self.select(topic, filters, start=start, resumes=resumes)
        topic = subscription.topic
        own = self._subscriptions.setdefault(subscriber, {})
        if topic in own:
            self._take_out(subscriber, own[topic])
        if resumes:
            self._count_resuming(subscriber, subscription, 1)
        self._table_of(subscriber, subscription).add(subscriber, subscription)
        own[topic] = subscription

    def remove(self, subscriber: S, topic: str) -> None:
        """Remove a subscription.

        Raises:
            CommandError: There is none to that topic, or no such topic; the code is
                ``not_found``.
        """
        topic = self.canonical(topic)
        own = self._subscriptions.get(subscriber, {})
        if topic not in own:
            raise CommandError("not_found", "subscription not found")
        self._take_out(subscriber, own[topic])
        del own[topic]
        if not own:
            del self._subscriptions[subscriber]

    def discard(self, subscriber: S) -> None:
        """Remove all subscriptions of a subscriber, who may have none."""
        for topic in self.topics_of(subscriber):
            self.remove(subscriber, topic)

    def receivers(self, event: Event) -> Collection[S]:
        """Return the subscribers that get an event, each once.

        Args:
            event: The event.

        Returns:
            A copy, which does not change when somebody subscribes or unsubscribes.

        Raises:
            EncodeError: No category of the registry holds its class as an event.
            RegistryError: Its category has no topic.
        """
        plain, positioned = self.receivers_of(self.record(event, ""))
        return [*plain, *positioned] if positioned else plain

    def record(self, event: Event, frame: str) -> Record:
        """Return the record of an event, which says where it goes.

        Args:
            event: The event.
            frame: The frame that its receivers get.

        Raises:
            EncodeError: No category of the registry holds its class as an event.
            RegistryError: Its category has no topic.
        """
        route = self._routes.get(type(event)) or self._refuse(event)
        return Record(route.topic, route.type, route.key_of(event), route.values_of(event), frame)

    def receivers_of(self, record: Record) -> tuple[Collection[S], Collection[S]]:
        """Return the subscribers that get the event of a record, each once.

        Args:
            record: The record; its class need not be known.

        Returns:
            Those that get it without its position, and those that get it with that: copies, which
            do not change when somebody subscribes or unsubscribes.
        """
        plain, positioned = self._plain, self._positioned
        return (
            plain.find(record) if plain.by_topic else (),
            positioned.find(record) if positioned.by_topic else (),
        )

    def _refuse(self, event: Event) -> _Route:
        declaration = self._registry.declaration_of(type(event))
        if declaration is None or declaration.kind is not MessageKind.EVENT:
            raise EncodeError(
                errors=[FieldError("$.payload", "an event that a category of the registry holds")]
            )
        raise RegistryError(
            f"{declaration.owner}: nobody can subscribe to it, since its category "
            f"{declaration.category!r} has no topic"
        )

    def _types(self, categories: Collection[str], names: Iterable[str]) -> frozenset[str]:
        """Return what event types a filter names: by a tag, or by ``category.tag``."""
        types = {name for name in names if name.partition(".")[0] in categories}
        below = {f"{category}.{name}" for name in names for category in categories}
        types |= {each for each in below if each in self._event_types or each.count(".") == 1}
        if len(types - self._event_types) > _MAX_UNKNOWN_TYPES:
            raise CommandError(
                "permission_denied", f"at most {_MAX_UNKNOWN_TYPES} unknown event types"
            )
        return frozenset(types)

    def _table_of(self, subscriber: S, subscription: Subscription) -> _Table[S]:
        is_positioned = self.gets_positions(subscriber, subscription.log)
        return self._positioned if is_positioned else self._plain

    def _take_out(self, subscriber: S, subscription: Subscription) -> None:
        """Remove a subscription from its table."""
        self._table_of(subscriber, subscription).remove(subscriber, subscription)
        if subscription.resumes:
            self._count_resuming(subscriber, subscription, -1)

    def _count_resuming(self, subscriber: S, subscription: Subscription, by: int) -> None:
        """Count a subscription that resumes, which is in no table now.

        With the first of a log, and without the last, the others there change their table.
        """
        resuming = self._resuming[subscription.log]
        others = [
            other
            for topic, other in self._subscriptions[subscriber].items()
            if other.log == subscription.log and topic != subscription.topic
        ]
        count = resuming.get(subscriber, 0)
        changes = count == 0 or count + by == 0
        for other in others if changes else ():
            self._table_of(subscriber, other).remove(subscriber, other)
        resuming[subscriber] = count + by
        if not resuming[subscriber]:
            del resuming[subscriber]
        for other in others if changes else ():
            self._table_of(subscriber, other).add(subscriber, other)


_NONE: Final[Mapping[str, Subscription]] = MappingProxyType({})
"""The subscriptions of somebody who has none."""


def _types_of(subscription: Subscription) -> Iterable[str | None]:
    """Return the types under which a subscription is stored; None stands for any."""
    return (None,) if subscription.types is None else subscription.types


def _topics(topic: str, key: str) -> tuple[str, ...]:
    """Return the topics that an event goes to, the category's first."""
    if not key:
        return (topic,)
    if "/" not in key:
        return (topic, f"{topic}/{key}")
    return tuple(accumulate([topic, *key.split("/")], "{}/{}".format))


def _combinations(values: tuple[UUID | None, ...]) -> tuple[Values, ...]:
    """Return all values that a filter can ask for and an event with these values has."""
    return tuple(product(*[(None,) if value is None else (None, value.int) for value in values]))


def _route(registry: Registry, declaration: MessageDeclaration) -> _Route | None:
    category = registry.categories[declaration.category]
    if category.topic is None:
        return None
    fields = {field.name: field for field in registry.records[declaration.cls]}
    key = fields.get(category.key) if category.key is not None else None
    has_uuid = tuple(name in fields and _is_uuid(fields[name].shape) for name in FILTERED)
    return _Route(
        topic=category.topic,
        type=f"{declaration.category}.{declaration.tag}",
        key_of=(key_reader(key) if key is not None else None) or _no_key,
        parse_key=key_parser(key) if key is not None else None,
        values_of=_values_reader(has_uuid),
    )


def _no_key(event: Event) -> str:
    return ""


def _values_reader(has_uuid: tuple[bool, ...]) -> Callable[[Event], tuple[UUID | None, ...]]:
    """Return what reads the values of ``FILTERED``; plain where there is one, as mostly."""
    if not any(has_uuid):
        nothing = (None,) * len(FILTERED)
        return lambda event: nothing
    if sum(has_uuid) == 1:
        index = has_uuid.index(True)
        get = attrgetter(FILTERED[index])
        before, after = (None,) * index, (None,) * (len(FILTERED) - index - 1)
        return lambda event: (*before, get(event), *after)
    getters = [
        attrgetter(name) if has else None for name, has in zip(FILTERED, has_uuid, strict=True)
    ]
    return lambda event: tuple([get(event) if get else None for get in getters])


def _is_uuid(shape: Shape) -> bool:
    return isinstance(without_none(shape), Identifier)
