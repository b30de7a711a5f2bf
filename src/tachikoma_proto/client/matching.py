"""Which subscriptions of this client an event belongs to.

A topic has one subscription on the wire, and several parts of a program may want different events
of it. So the client asks for what covers them all, and finds out itself who gets what.

Rules:

* Events that the registry knows are matched by the index that servers use, so both agree.
* Events that it does not know are matched by the members of their payload. Where even the topic
  is unknown (the server has an extension that this program lacks), an event of an unknown
  category is taken to belong to it, unless the topic names a key that the event does not have.
"""

from collections.abc import Collection, Hashable, Iterable, Iterator
from contextlib import suppress
from typing import Any, Generic, TypeVar

from tachikoma_proto.declare.bases import Event
from tachikoma_proto.declare.field_types import Json
from tachikoma_proto.errors import CommandError, RegistryError
from tachikoma_proto.messages.commands import SubscriptionFilters
from tachikoma_proto.messages.record import FILTERED
from tachikoma_proto.messages.unknown import UnknownEvent
from tachikoma_proto.registry.registry import Registry
from tachikoma_proto.session.subscriptions import SubscriptionIndex
from tachikoma_proto.wire.formats import parse_uuid

S = TypeVar("S", bound=Hashable)
"""Who subscribes."""


class TopicMatcher(Generic[S]):
    """Finds who gets an event.

    Args:
        registry: Which events there are.
    """

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._index: SubscriptionIndex[S] = SubscriptionIndex(registry)
        self._subscriptions: dict[S, tuple[str, SubscriptionFilters | None]] = {}
        self._topics = {c.topic for c in registry.categories.values()}

    def canonical(self, topic: str) -> str:
        """Return a topic as events have it, with UUIDs as they are written.

        A topic that no category of the registry has is returned as it is: the server may know it.
        """
        try:
            return self._index.canonical(topic)
        except CommandError:
            return topic

    def add(self, subscriber: S, topic: str, filters: SubscriptionFilters | None) -> None:
        """Add a subscriber.

        Args:
            subscriber: Who.
            topic: To what, and to all below it; in its canonical form.
            filters: What narrows it.
        """
        self._subscriptions[subscriber] = topic, filters
        with suppress(CommandError):  # no event that the registry knows goes there
            self._index.add(subscriber, topic, filters)

    def discard(self, subscriber: S) -> None:
        """Remove a subscriber, who may not be there."""
        self._subscriptions.pop(subscriber, None)
        self._index.discard(subscriber)

    def receivers(self, payload: object) -> Collection[S]:
        """Find who gets a payload.

        Args:
            payload: Whatever the server sent.
        """
        if not self._subscriptions:
            return ()
        if isinstance(payload, Event):
            try:
                return self._index.receivers(payload)
            except RegistryError:  # its category has no topic
                return ()
        if isinstance(payload, UnknownEvent):
            return [
                subscriber
                for subscriber, (topic, filters) in self._subscriptions.items()
                if self._is_below(payload, topic) and _passes(payload, filters)
            ]
        return ()

    def _is_below(self, event: UnknownEvent, topic: str) -> bool:
        category = self._registry.categories.get(event.category)
        first, _, key = topic.partition("/")
        if category is None:
            is_its = first not in self._topics
            values: Iterable[Json] = event.payload.values()
        else:
            is_its = first == category.topic
            values = [event.payload.get(category.key)] if category.key is not None else []
        if not is_its or not key:
            return is_its
        below = tuple(f"{text}/" for text in _texts(key))
        return any(f"{text}/".startswith(below) for value in values for text in _texts(value))


def covering(filters: Iterable[SubscriptionFilters | None]) -> SubscriptionFilters | None:
    """Return filters that let everything pass that any of the given ones does.

    Args:
        filters: At least one; None lets everything pass.
    """
    wanted_by = list(filters)
    if len(wanted_by) == 1:
        return wanted_by[0]
    given = [one or SubscriptionFilters() for one in wanted_by]
    types = [one.event_types for one in given]
    wanted: dict[str, Any] = {}
    for name in FILTERED:
        values = {getattr(one, name) for one in given}
        wanted[name] = values.pop() if len(values) == 1 else None
    if None not in types:
        wanted["event_types"] = tuple(
            dict.fromkeys(name for names in types for name in names or ())
        )
    cover = SubscriptionFilters(**wanted)
    return None if cover == SubscriptionFilters() else cover


def _passes(event: UnknownEvent, filters: SubscriptionFilters | None) -> bool:
    if filters is None:
        return True
    for name in FILTERED:
        wanted, value = getattr(filters, name), event.payload.get(name)
        if wanted is not None and not (isinstance(value, str) and parse_uuid(value) == wanted):
            return False
    names = filters.event_types
    return names is None or event.event in names or f"{event.category}.{event.event}" in names


def _texts(value: Json) -> Iterator[str]:
    """Return the texts that a key can have in a topic."""
    if isinstance(value, str):
        yield value
        uuid = parse_uuid(value)
        if uuid is not None:
            yield str(uuid)
    elif isinstance(value, int) and not isinstance(value, bool):
        yield str(value)
