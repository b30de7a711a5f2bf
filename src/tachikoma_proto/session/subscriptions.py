"""The subscription index: who gets an event, found at the cost of the matches alone.

A server with thousands of sessions publishes many events that concern few of them. So the index
never looks at a subscription that does not match: what a filter asks for is part of the key under
which a subscription is stored, and an event is looked up under its few topics and the few
combinations of values that let it pass.

Rules:

* An event goes to its category's topic and, where the category has a key, to each topic below it
  that the key names. Subscribing to a topic covers everything below it, by whole segments.
* All filters that are given must hold. An event without the field that a filter asks for does not
  pass; an event type that the registry does not hold lets nothing pass.
"""

from collections.abc import Callable, Collection, Hashable, Iterator
from itertools import accumulate, product
from operator import attrgetter
from typing import Any, Final, Generic, TypeAlias, TypeVar

from attrs import frozen

from tachikoma_proto.declare.bases import Event
from tachikoma_proto.declare.declarations import MessageDeclaration, MessageKind
from tachikoma_proto.declare.shapes import Identifier, Shape, without_none
from tachikoma_proto.errors import CommandError, EncodeError, FieldError, RegistryError
from tachikoma_proto.messages.commands import SubscriptionFilters
from tachikoma_proto.messages.record import FILTERED
from tachikoma_proto.registry.registry import Registry
from tachikoma_proto.registry.topic_keys import KeyOf, KeyParser, key_parser, key_reader

S = TypeVar("S", bound=Hashable)
"""Who subscribes: a connection's session, a queue, a name."""

Narrowing: TypeAlias = tuple[object, ...]
"""What an event must have for a filter to let it pass: a value for each field in ``FILTERED``,
then the event's class; None where anything will do."""

_EVERYTHING: Final[Narrowing] = (None,) * (len(FILTERED) + 1)


@frozen(eq=False)
class _Route:
    """Where the events of one class go.

    Attributes:
        cls: The class.
        topic: The topic of its category.
        key_of: Returns the key that names the topic below; None if there is none.
        parse_key: Reads such a key from a topic; None if there is none.
        filtered: For each of ``FILTERED`` what returns the event's value; None if it has none.
    """

    cls: type[Event]
    topic: str
    key_of: KeyOf | None
    parse_key: KeyParser | None
    filtered: tuple[Callable[[Event], Any] | None, ...]

    def topics(self, event: Event) -> tuple[str, ...]:
        """Return the topics that an event goes to, the category's first."""
        key = self.key_of(event) if self.key_of else ""
        if not key:
            return (self.topic,)
        if "/" not in key:
            return (self.topic, f"{self.topic}/{key}")
        return tuple(accumulate([self.topic, *key.split("/")], "{}/{}".format))

    def narrowings(self, event: Event) -> Iterator[Narrowing]:
        """Return all narrowings that let an event pass."""
        values = [(None, get(event)) if get else (None,) for get in self.filtered]
        return product(*values, (None, self.cls))


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
        self._topics = {c.topic for c in registry.categories.values() if c.topic is not None}
        self._key_parsers: dict[str, list[KeyParser]] = {}
        for route in self._routes.values():
            if route.parse_key is not None:
                self._key_parsers.setdefault(route.topic, []).append(route.parse_key)
        self._event_types: dict[str, list[type]] = {}
        for declaration in events:
            for name in (declaration.tag, f"{declaration.category}.{declaration.tag}"):
                self._event_types.setdefault(name, []).append(declaration.cls)
        # topic → narrowing → subscribers, a dict to keep their order
        self._subscribers: dict[str, dict[Narrowing, dict[S, None]]] = {}
        self._subscriptions: dict[S, dict[str, frozenset[Narrowing]]] = {}

    def __len__(self) -> int:
        """Return how many subscriptions there are."""
        return sum(map(len, self._subscriptions.values()))

    def topics_of(self, subscriber: S) -> tuple[str, ...]:
        """Return the topics that a subscriber is subscribed to, in the order of subscribing."""
        return tuple(self._subscriptions.get(subscriber, ()))

    def canonical(self, topic: str) -> str:
        """Return a topic in the form that events have it, whatever form its UUID is written in.

        Raises:
            CommandError: No event can ever go to the topic; the code is ``not_found``.
        """
        first, has_key, key = topic.partition("/")
        if first in self._topics:
            if not has_key:
                return first
            if all(key.split("/")):
                for parse in self._key_parsers.get(first, ()):
                    canonical = parse(key)
                    if canonical is not None:
                        return f"{first}/{canonical}"
        raise CommandError("not_found", "topic not found")

    def add(self, subscriber: S, topic: str, filters: SubscriptionFilters | None = None) -> None:
        """Add a subscription; one to the same topic is replaced.

        Args:
            subscriber: Who subscribes.
            topic: The topic; everything below it is covered, too.
            filters: What narrows the subscription.

        Raises:
            CommandError: No event can ever go to the topic; the code is ``not_found``.
        """
        topic = self.canonical(topic)
        narrowings = self._narrowings(filters)
        self._remove_subscriber(subscriber, topic)
        self._subscriptions.setdefault(subscriber, {})[topic] = narrowings
        for narrowing in narrowings:
            self._subscribers.setdefault(topic, {}).setdefault(narrowing, {})[subscriber] = None

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
        route = self._routes.get(type(event)) or self._refuse(event)
        found = []
        narrowings = None
        for topic in route.topics(event):
            by_narrowing = self._subscribers.get(topic)
            if by_narrowing:
                if narrowings is None:
                    narrowings = tuple(route.narrowings(event))
                found += [by_narrowing[key] for key in narrowings if key in by_narrowing]
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

    def _narrowings(self, filters: SubscriptionFilters | None) -> frozenset[Narrowing]:
        """Return what the filters of a subscription let pass; None lets everything pass."""
        if filters is None:
            return frozenset({_EVERYTHING})
        values = tuple(getattr(filters, name) for name in FILTERED)
        if filters.event_types is None:
            return frozenset({(*values, None)})
        classes = {cls for name in filters.event_types for cls in self._event_types.get(name, ())}
        return frozenset((*values, cls) for cls in classes)

    def _remove_subscriber(self, subscriber: S, topic: str) -> None:
        """Remove a subscriber from a topic, and the entries that are empty then."""
        for narrowing in self._subscriptions.get(subscriber, {}).get(topic, ()):
            by_narrowing = self._subscribers[topic]
            del by_narrowing[narrowing][subscriber]
            if not by_narrowing[narrowing]:
                del by_narrowing[narrowing]
        if not self._subscribers.get(topic, True):
            del self._subscribers[topic]


def _route(registry: Registry, declaration: MessageDeclaration) -> _Route | None:
    category = registry.categories[declaration.category]
    if category.topic is None:
        return None
    fields = {field.name: field for field in registry.records[declaration.cls]}
    key = fields.get(category.key) if category.key is not None else None
    return _Route(
        cls=declaration.cls,
        topic=category.topic,
        key_of=key_reader(key) if key is not None else None,
        parse_key=key_parser(key) if key is not None else None,
        filtered=tuple(
            attrgetter(name) if name in fields and _is_uuid(fields[name].shape) else None
            for name in FILTERED
        ),
    )


def _is_uuid(shape: Shape) -> bool:
    return isinstance(without_none(shape), Identifier)
