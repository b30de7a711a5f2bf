"""The registry: which messages there are, from the categories it is built of.

Rules:

* A registry is a value: built once, never changed. It seals the categories that it holds.
* It holds the built-in categories and those it is given, all in the same way.
* Clashes and fields that cannot be structured raise ``RegistryError`` when it is built.
* Whoever has to know which messages there are asks the registry, and nobody keeps a list.
"""

from collections.abc import Iterable, Iterator, Mapping
from types import MappingProxyType
from typing import Any, Final

from tachikoma_proto.declare.annotations import collect_records
from tachikoma_proto.declare.category import Category
from tachikoma_proto.declare.declarations import EVENT_PREFIX, Kind, MessageSpec, Scalar, Sender
from tachikoma_proto.declare.shapes import Records
from tachikoma_proto.errors import RegistryError
from tachikoma_proto.messages import BUILTIN_CATEGORIES
from tachikoma_proto.registry.topic_keys import key_reader


class Registry:
    """The messages of the built-in categories and of those given.

    Args:
        categories: Categories to add to the built-in ones.
        owners: Who brought a category, for errors and tables: the distribution of an installed
            one. The package of its messages where this does not say.

    Raises:
        RegistryError: A category, message type, tag, class or scalar is declared twice, or a
            field is of a type that cannot be structured, or is named as a tag, or the key of a
            category cannot be one.

    Attributes:
        categories: All categories by name, the built-in ones first.
        records: The fields of every message and of the classes nested in them.
        scalars: The types that categories declared as scalars of their own.

    Example::

        codec = Codec(Registry([deploy]))
    """

    def __init__(
        self,
        categories: Iterable[Category] = (),
        *,
        owners: Mapping[Category, str] | None = None,
    ) -> None:
        if isinstance(categories, Category):
            raise TypeError("a registry is made of categories: put the one into a list")
        self._owners: Final = owners or {}
        self.categories: Final = self._by_name((*BUILTIN_CATEGORIES, *categories))
        self._specs = tuple(s for category in self.categories.values() for s in category.specs)
        self._refuse_clashes()
        self.scalars: Final = self._collect_scalars()
        self.records: Final = collect_records((s.cls for s in self._specs), self.scalars)
        _refuse_fields_named_as_tags(self._specs, self.records)
        self._refuse_unfit_keys()
        self._by_class = {
            spec.cls: spec for spec in sorted(self._specs, key=_is_keepalive, reverse=True)
        }
        self._by_type = {
            (spec.sender, spec.message_type): spec
            for spec in self._specs
            if spec.kind is not Kind.EVENT
        }
        self._members = self._collect_members()
        for category in self.categories.values():
            category.seal()

    @classmethod
    def discover(cls) -> "Registry":
        """Build a registry of the built-in categories and of all installed ones.

        Installed are those that a distribution declares under the entry-point group
        ``tachikoma_proto.categories``.

        Raises:
            PluginError: One of them cannot be loaded.
            RegistryError: As for the constructor; it names the distributions.
        """
        from tachikoma_proto.registry.plugins import (
            installed_categories,  # costs importlib.metadata
        )

        plugins = installed_categories()
        return cls(
            [plugin.category for plugin in plugins],
            owners={plugin.category: plugin.distribution for plugin in plugins},
        )

    def __iter__(self) -> Iterator[MessageSpec]:
        """Go through all declared messages, category by category."""
        return iter(self._specs)

    def __repr__(self) -> str:
        return f"<Registry: {len(self._specs)} messages in {', '.join(self.categories)}>"

    def spec_of(self, cls: type) -> MessageSpec | None:
        """Find how a class was declared; None if no category holds it."""
        return self._by_class.get(cls)

    def spec_for(self, sender: Sender, message_type: str) -> MessageSpec | None:
        """Find what a side says with a message type; None if it is none or an event's."""
        return self._by_type.get((sender, message_type))

    def members(self, kind: Kind, category: str) -> Mapping[str, type[Any]]:
        """Give the classes of a category that are told apart by their tag, by tag.

        Args:
            kind: Commands or events.
            category: The category's name; one that is not held has no members.
        """
        return self._members.get((kind, category), {})

    def senders_of(self, message_type: str) -> list[Sender]:
        """Tell which side says a message type; none does if it is in no category.

        Where both do, as with a keepalive, the first is the side whose message it is.
        """
        if message_type.startswith(EVENT_PREFIX):
            return [Sender.SERVER]
        said = [sender for sender in Sender if (sender, message_type) in self._by_type]
        return sorted(said, key=lambda sender: _is_keepalive(self._by_type[sender, message_type]))

    def owner_of(self, category: Category) -> str:
        """Tell who brought a category: a distribution, or the package of its messages."""
        if category in self._owners:
            return self._owners[category]
        packages = dict.fromkeys(s.cls.__module__.partition(".")[0] for s in category.specs)
        return ", ".join(packages) or "a category without messages"

    def _collect_members(self) -> Mapping[tuple[Kind, str], Mapping[str, type[Any]]]:
        members: dict[tuple[Kind, str], dict[str, type[Any]]] = {}
        for spec in self._specs:
            members.setdefault((spec.kind, spec.category), {})[spec.tag] = spec.cls
        return {group: MappingProxyType(found) for group, found in members.items()}

    def _by_name(self, categories: Iterable[Category]) -> Mapping[str, Category]:
        by_name: dict[str, Category] = {}
        for category in categories:
            if category.name in by_name:
                owners = self.owner_of(by_name[category.name]), self.owner_of(category)
                raise _twice(f"category {category.name!r}", *owners)
            by_name[category.name] = category
        return MappingProxyType(by_name)

    def _refuse_clashes(self) -> None:
        taken: dict[tuple[object, ...], MessageSpec] = {}
        for spec in self._specs:
            if spec.kind is not Kind.EVENT and spec.message_type.startswith(EVENT_PREFIX):
                raise RegistryError(
                    f"message type {spec.message_type!r} of {spec.owner}: what starts with "
                    f"{EVENT_PREFIX!r} is for events; declare it with Category.event"
                )
            for claim, text in _claims(spec):
                other = taken.setdefault(claim, spec)
                if other is not spec:
                    raise _twice(text, self._source(other), self._source(spec))

    def _source(self, spec: MessageSpec) -> str:
        owner = self.owner_of(self.categories[spec.category])
        return f"{spec.owner} (category {spec.category!r} of {owner})"

    def _refuse_unfit_keys(self) -> None:
        for category in self.categories.values():
            events = [spec for spec in category.specs if spec.kind is Kind.EVENT]
            fields = [
                (spec, field)
                for spec in events
                for field in self.records[spec.cls]
                if field.name == category.key
            ]
            for spec, field in fields:
                if key_reader(field, self.scalars) is None:
                    raise RegistryError(
                        f"{spec.owner}.{field.name} cannot name a topic below "
                        f"{category.topic!r}: a key is a UUID, a string, an integer, or an enum "
                        "or a scalar that stands as one of those"
                    )
            if category.key is not None and events and not fields:
                raise RegistryError(
                    f"category {category.name!r} of {self.owner_of(category)}: none of its events "
                    f"has its key, the field {category.key!r}"
                )

    def _collect_scalars(self) -> Mapping[type, Scalar]:
        scalars: dict[type, Scalar] = {}
        owners: dict[type, str] = {}
        for category in self.categories.values():
            for scalar in category.scalars:
                if scalar.cls in scalars:
                    text = f"scalar {scalar.cls.__qualname__}"
                    raise _twice(text, owners[scalar.cls], self.owner_of(category))
                scalars[scalar.cls], owners[scalar.cls] = scalar, self.owner_of(category)
        return MappingProxyType(scalars)


def _twice(what: str, first: str, second: str) -> RegistryError:
    return RegistryError(f"{what} is declared twice: by {first} and by {second}")


def _is_keepalive(spec: MessageSpec) -> bool:
    return spec.kind is Kind.KEEPALIVE


def _claims(spec: MessageSpec) -> Iterator[tuple[tuple[object, ...], str]]:
    """What a declaration takes for itself. A keepalive may go by a type of the other side's."""
    if spec.kind is Kind.EVENT:
        yield ("tag", spec.kind, spec.category, spec.tag), f"event {spec.category}.{spec.tag}"
    else:
        yield ("type", spec.sender, spec.message_type), f"message type {spec.message_type!r}"
    if spec.kind is Kind.COMMAND:
        yield ("tag", spec.kind, spec.category, spec.tag), f"command {spec.category}.{spec.tag}"
    if spec.kind in (Kind.COMMAND, Kind.RESPONSE):
        yield ("type", spec.message_type), f"message type {spec.message_type!r}"
    if spec.kind is not Kind.KEEPALIVE:
        yield ("class", spec.cls), f"class {spec.owner}"


def _refuse_fields_named_as_tags(specs: Iterable[MessageSpec], records: Records) -> None:
    for spec in specs:
        for field in records[spec.cls]:
            if field.name in spec.tags:
                raise RegistryError(
                    f"{spec.owner}.{field.name}: the payload's {field.name!r} is the tag that "
                    "tells which message it is; give the field another name"
                )
