"""The index: who gets an event, found at the cost of the matches alone.

What a filter asks for is part of the place where a subscription stands, so nobody who does not
match is looked at: an event is looked up under its few topics and the few narrowings that let it
pass, however many subscriptions there are.
"""

from collections.abc import Collection, Hashable
from typing import Generic, TypeVar

from tachikoma_proto.declare.bases import Event
from tachikoma_proto.errors import CommandError
from tachikoma_proto.messages.commands import SubscriptionFilters
from tachikoma_proto.registry.registry import Registry
from tachikoma_proto.session.routes import Narrowing, Routes

S = TypeVar("S", bound=Hashable)
"""Who subscribes: a connection's session, a queue, a name."""


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
        self._routes = Routes(registry)
        # topic → narrowing → subscribers, a dict to keep their order
        self._places: dict[str, dict[Narrowing, dict[S, None]]] = {}
        self._held: dict[S, dict[str, frozenset[Narrowing]]] = {}

    def __len__(self) -> int:
        """How many subscriptions there are."""
        return sum(map(len, self._held.values()))

    def topics_of(self, subscriber: S) -> tuple[str, ...]:
        """Give the topics that somebody subscribes to, in the order of subscribing."""
        return tuple(self._held.get(subscriber, ()))

    def canonical(self, topic: str) -> str:
        """Give a topic as events have it: a UUID as it is written, whatever form it came in.

        Raises:
            CommandError: No category owns the topic; the code is ``not_found``.
        """
        return self._routes.canonical(topic)

    def add(self, subscriber: S, topic: str, filters: SubscriptionFilters | None = None) -> None:
        """Subscribe somebody; a subscription to the same topic is replaced.

        Args:
            subscriber: Who.
            topic: To what, and to all below it.
            filters: What narrows it.

        Raises:
            CommandError: No category owns the topic; the code is ``not_found``.
        """
        topic = self._routes.canonical(topic)
        narrowings = self._routes.narrowings(filters)
        self._leave(subscriber, topic)
        self._held.setdefault(subscriber, {})[topic] = narrowings
        for narrowing in narrowings:
            self._places.setdefault(topic, {}).setdefault(narrowing, {})[subscriber] = None

    def remove(self, subscriber: S, topic: str) -> None:
        """End a subscription.

        Raises:
            CommandError: There is none to that topic, or no such topic; the code is
                ``not_found``.
        """
        topic = self._routes.canonical(topic)
        held = self._held.get(subscriber, {})
        if topic not in held:
            raise CommandError("not_found", "subscription not found")
        self._leave(subscriber, topic)
        del held[topic]
        if not held:
            del self._held[subscriber]

    def discard(self, subscriber: S) -> None:
        """End all subscriptions of somebody, who may have none."""
        for topic in self.topics_of(subscriber):
            self.remove(subscriber, topic)

    def receivers(self, event: Event) -> Collection[S]:
        """Find who gets an event, each once.

        Args:
            event: The event.

        Returns:
            A copy, which does not change when somebody subscribes or leaves.

        Raises:
            EncodeError: No category of the registry holds its class as an event.
            RegistryError: Its category has no topic.
        """
        route = self._routes.of(event)
        found = []
        narrowings = None
        for topic in route.topics(event):
            places = self._places.get(topic)
            if places:
                if narrowings is None:
                    narrowings = tuple(route.narrowings(event))
                found += [places[narrowing] for narrowing in narrowings if narrowing in places]
        if len(found) == 1:
            return list(found[0])
        merged: dict[S, None] = {}
        for subscribers in found:
            merged |= subscribers
        return merged

    def _leave(self, subscriber: S, topic: str) -> None:
        """Take a subscription out of its places, and the places that it leaves empty."""
        for narrowing in self._held.get(subscriber, {}).get(topic, ()):
            places = self._places[topic]
            del places[narrowing][subscriber]
            if not places[narrowing]:
                del places[narrowing]
        if not self._places.get(topic, True):
            del self._places[topic]
