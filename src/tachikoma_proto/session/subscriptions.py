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

K = TypeVar("K", bound=Hashable)

Narrowing: TypeAlias = tuple[object, ...]
"""What an event must have for a filter to let it pass: a value for each field in ``FILTERED``,
then ``category.tag``; None where anything will do."""

_EVERYTHING: Final[frozenset[Narrowing]] = frozenset({(None,) * (len(FILTERED) + 1)})

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
        narrowings: What an event must have, in one of these ways.
        start: After which offset of the topic's log its events come, or came.
        resumes: Whether it asked for positions.
    """

    topic: str
    narrowings: frozenset[Narrowing]
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
        return self.narrowings is _EVERYTHING or not self.narrowings.isdisjoint(
            _narrowings(record.values, record.type)
        )


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
        # topic → subscribers, a dict to keep their order
        self._unfiltered: dict[str, dict[S, None]] = {}
        # topic → narrowing → subscribers
        self._filtered: dict[str, dict[Narrowing, dict[S, None]]] = {}
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

    def resuming(self, log: str) -> Mapping[S, int]:
        """Return who gets positions with the events of a log, which changes as they subscribe.

        Args:
            log: The topic of a category.
        """
        return self._resuming[log]

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
                filters name too many event types that the registry does not hold.
        """
        topic = self.canonical(topic)
        return Subscription(topic, self._narrow(topic, filters), start, resumes)

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
        topic, log = subscription.topic, subscription.log
        self._remove_subscriber(subscriber, topic)
        self._subscriptions.setdefault(subscriber, {})[topic] = subscription
        if subscription.narrowings is _EVERYTHING:
            self._unfiltered.setdefault(topic, {})[subscriber] = None
        else:
            for narrowing in subscription.narrowings:
                by_narrowing = self._filtered.setdefault(topic, {})
                by_narrowing.setdefault(narrowing, {})[subscriber] = None
        if resumes:
            self._resuming[log][subscriber] = self._resuming[log].get(subscriber, 0) + 1

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
        self._remove_subscriber(subscriber, topic)
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
        return self.receivers_of(self.record(event, ""))

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

    def receivers_of(self, record: Record) -> Collection[S]:
        """Return the subscribers that get the event of a record, each once.

        Args:
            record: The record; its class need not be known.

        Returns:
            A copy, which does not change when somebody subscribes or unsubscribes.
        """
        topics = _topics(record.topic, record.key)
        found = [self._unfiltered[topic] for topic in topics if topic in self._unfiltered]
        if self._filtered:
            narrowings = None
            for topic in topics:
                by_narrowing = self._filtered.get(topic)
                if by_narrowing is not None:
                    if narrowings is None:
                        narrowings = tuple(_narrowings(record.values, record.type))
                    found += filter(None, map(by_narrowing.get, narrowings))
        if len(found) == 1:
            return list(found[0])
        merged: dict[S, None] = {}
        for subscribers in found:
            merged |= subscribers
        return merged

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

    def _narrow(self, topic: str, filters: SubscriptionFilters | None) -> frozenset[Narrowing]:
        """Return what the filters of a subscription let pass."""
        if filters is None:
            return _EVERYTHING
        values = tuple(getattr(filters, name) for name in FILTERED)
        if filters.event_types is None:
            types: Iterable[str | None] = (None,)
        else:
            types = self._types(self._categories[topic.partition("/")[0]], filters.event_types)
        narrowings = frozenset((*values, each) for each in types)
        return _EVERYTHING if narrowings == _EVERYTHING else narrowings

    def _types(self, categories: Collection[str], names: Iterable[str]) -> set[str]:
        """Return what event types a filter names: by a tag, or by ``category.tag``."""
        names = list(map(str, names))  # what is no text is refused when it is sent
        types = {name for name in names if name.partition(".")[0] in categories}
        below = {f"{category}.{name}" for name in names for category in categories}
        types |= {each for each in below if each in self._event_types or each.count(".") == 1}
        if len(types - self._event_types) > _MAX_UNKNOWN_TYPES:
            raise CommandError(
                "permission_denied", f"at most {_MAX_UNKNOWN_TYPES} unknown event types"
            )
        return types

    def _remove_subscriber(self, subscriber: S, topic: str) -> None:
        """Remove a subscriber from a topic, and the entries that are empty then."""
        subscription = self._subscriptions.get(subscriber, _NONE).get(topic)
        if subscription is None:
            return
        if subscription.resumes:
            resuming = self._resuming[subscription.log]
            resuming[subscriber] -= 1
            if not resuming[subscriber]:
                del resuming[subscriber]
        if subscription.narrowings is _EVERYTHING:
            _take_out(self._unfiltered, topic, subscriber)
            return
        by_narrowing = self._filtered.get(topic, {})
        for narrowing in subscription.narrowings:
            _take_out(by_narrowing, narrowing, subscriber)
        if not by_narrowing:
            self._filtered.pop(topic, None)


_NONE: Final[Mapping[str, Subscription]] = MappingProxyType({})
"""The subscriptions of somebody who has none."""


def _take_out(subscribers: dict[K, dict[S, None]], key: K, subscriber: S) -> None:
    """Remove a subscriber, and the entry if it is empty then."""
    del subscribers[key][subscriber]
    if not subscribers[key]:
        del subscribers[key]


def _topics(topic: str, key: str) -> tuple[str, ...]:
    """Return the topics that an event goes to, the category's first."""
    if not key:
        return (topic,)
    if "/" not in key:
        return (topic, f"{topic}/{key}")
    return tuple(accumulate([topic, *key.split("/")], "{}/{}".format))


def _narrowings(values: tuple[UUID | None, ...], event_type: str) -> Iterable[Narrowing]:
    """Return all narrowings that let an event pass."""
    given = [(None,) if value is None else (None, value) for value in values]
    return product(*given, (None, event_type))


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
