"""Routes: where the events of a class go, and by what they can be filtered."""

from collections.abc import Callable, Iterator
from itertools import accumulate, product
from operator import attrgetter
from typing import Any, Final, TypeAlias
from uuid import UUID

import attrs
from attrs import frozen

from tachikoma_proto.declare.bases import Event
from tachikoma_proto.declare.declarations import MessageDeclaration, MessageKind
from tachikoma_proto.declare.shapes import Leaf, Shape, without_none
from tachikoma_proto.errors import CommandError, EncodeError, FieldError, RegistryError
from tachikoma_proto.messages.commands import SubscriptionFilters
from tachikoma_proto.registry.registry import Registry
from tachikoma_proto.registry.topic_keys import KeyOf, key_reader
from tachikoma_proto.wire.uuids import parse_uuid

Narrowing: TypeAlias = tuple[object, ...]
"""What an event must have for a filter to let it pass: a value for each filtered field, in the
order of ``FILTERED``, then the event's class; None where anything will do."""

FILTERED: Final = tuple(
    field.name
    for field in attrs.fields(SubscriptionFilters)
    if field.type == UUID | None  # the others do not name a field of the event
)
"""The fields of events that a filter can ask for."""

_EVERYTHING: Final[Narrowing] = (None,) * (len(FILTERED) + 1)


@frozen(eq=False)
class Route:
    """Where the events of one class go.

    Attributes:
        cls: The class.
        topic: The topic of its category.
        key_of: Gives the key that names the topic below; None if there is none.
        has_uuid_key: Whether that is a UUID.
        filtered: For each of ``FILTERED`` what gives the event's value; None if it has none.
    """

    cls: type[Event]
    topic: str
    key_of: KeyOf | None
    has_uuid_key: bool
    filtered: tuple[Callable[[Event], Any] | None, ...]

    def topics(self, event: Event) -> tuple[str, ...]:
        """Give the topics under which an event is found, from the widest down."""
        key = self.key_of(event) if self.key_of else ""
        if not key:
            return (self.topic,)
        if "/" not in key:
            return (self.topic, f"{self.topic}/{key}")
        return tuple(accumulate([self.topic, *key.split("/")], "{}/{}".format))

    def narrowings(self, event: Event) -> Iterator[Narrowing]:
        """Give all narrowings that let an event pass."""
        values = [(None, get(event)) if get else (None,) for get in self.filtered]
        return product(*values, (None, self.cls))


class Routes:
    """The routes of a registry's events.

    Args:
        registry: Which events there are.
    """

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        events = [declaration for declaration in registry if declaration.kind is MessageKind.EVENT]
        self._by_class = {
            declaration.cls: route
            for declaration in events
            if (route := _route(registry, declaration)) is not None
        }
        self._topics = {c.topic for c in registry.categories.values() if c.topic is not None}
        self._topics_of_uuids = {
            route.topic for route in self._by_class.values() if route.has_uuid_key
        }
        self._named: dict[str, list[type]] = {}
        for declaration in events:
            for name in (declaration.tag, f"{declaration.category}.{declaration.tag}"):
                self._named.setdefault(name, []).append(declaration.cls)

    def of(self, event: Event) -> Route:
        """Find the route of an event.

        Raises:
            EncodeError: No category of the registry holds its class as an event.
            RegistryError: Its category has no topic, so that nobody can subscribe to it.
        """
        route = self._by_class.get(type(event))
        if route is not None:
            return route
        declaration = self._registry.declaration_of(type(event))
        if declaration is None or declaration.kind is not MessageKind.EVENT:
            raise EncodeError(
                errors=[FieldError("$.payload", "an event that a category of the registry holds")]
            )
        raise RegistryError(
            f"{declaration.owner}: nobody can subscribe to it, since its category "
            f"{declaration.category!r} has no topic"
        )

    def canonical(self, topic: str) -> str:
        """Give a topic as events have it: a UUID as it is written, whatever form it came in.

        Args:
            topic: The topic.

        Raises:
            CommandError: No category owns it; the code is ``not_found``.
        """
        first, *below = topic.split("/")
        if first not in self._topics or not all(below):
            raise CommandError("not_found", "topic not found")
        key = parse_uuid(below[0]) if below and first in self._topics_of_uuids else None
        return topic if key is None else "/".join([first, str(key), *below[1:]])

    def narrowings(self, filters: SubscriptionFilters | None) -> frozenset[Narrowing]:
        """Give what the filters of a subscription let pass.

        An event type that the registry does not hold lets nothing pass.

        Args:
            filters: The filters; None lets everything pass.
        """
        if filters is None:
            return frozenset({_EVERYTHING})
        values = tuple(getattr(filters, name) for name in FILTERED)
        if filters.event_types is None:
            return frozenset({(*values, None)})
        classes = {cls for name in filters.event_types for cls in self._named.get(name, ())}
        return frozenset((*values, cls) for cls in classes)


def _route(registry: Registry, declaration: MessageDeclaration) -> Route | None:
    category = registry.categories[declaration.category]
    if category.topic is None:
        return None
    fields = {field.name: field for field in registry.records[declaration.cls]}
    key = fields.get(category.key) if category.key is not None else None
    return Route(
        cls=declaration.cls,
        topic=category.topic,
        key_of=key_reader(key, registry.scalars) if key is not None else None,
        has_uuid_key=key is not None and _is_uuid(key.shape),
        filtered=tuple(
            attrgetter(name) if name in fields and _is_uuid(fields[name].shape) else None
            for name in FILTERED
        ),
    )


def _is_uuid(shape: Shape) -> bool:
    inner = without_none(shape)
    return isinstance(inner, Leaf) and inner.type is UUID
