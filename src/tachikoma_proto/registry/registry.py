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
from tachikoma_proto.declare.declarations import (
    EVENT_PREFIX,
    MessageDeclaration,
    MessageKind,
    Scalar,
    Sender,
)
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
        self._declarations = tuple(
            s for category in self.categories.values() for s in category.declarations
        )
        self._refuse_clashes()
        self.scalars: Final = self._collect_scalars()
        self.records: Final = collect_records((s.cls for s in self._declarations), self.scalars)
        _refuse_fields_named_as_tags(self._declarations, self.records)
        self._refuse_unfit_keys()
        self._by_class = {
            declaration.cls: declaration
            for declaration in sorted(self._declarations, key=_is_keepalive, reverse=True)
        }
        self._by_type = {
            (declaration.sender, declaration.message_type): declaration
            for declaration in self._declarations
            if declaration.kind is not MessageKind.EVENT
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

    def __iter__(self) -> Iterator[MessageDeclaration]:
        """Go through all declared messages, category by category."""
        return iter(self._declarations)

    def __repr__(self) -> str:
        return f"<Registry: {len(self._declarations)} messages in {', '.join(self.categories)}>"

    def declaration_of(self, cls: type) -> MessageDeclaration | None:
        """Find how a class was declared; None if no category holds it."""
        return self._by_class.get(cls)

    def declaration_for(self, sender: Sender, message_type: str) -> MessageDeclaration | None:
        """Find what a side says with a message type; None if it is none or an event's."""
        return self._by_type.get((sender, message_type))

    def members(self, kind: MessageKind, category: str) -> Mapping[str, type[Any]]:
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
        packages = dict.fromkeys(s.cls.__module__.partition(".")[0] for s in category.declarations)
        return ", ".join(packages) or "a category without messages"

    def _collect_members(self) -> Mapping[tuple[MessageKind, str], Mapping[str, type[Any]]]:
        members: dict[tuple[MessageKind, str], dict[str, type[Any]]] = {}
        for declaration in self._declarations:
            members.setdefault((declaration.kind, declaration.category), {})[declaration.tag] = (
                declaration.cls
            )
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
        taken: dict[tuple[object, ...], MessageDeclaration] = {}
        for declaration in self._declarations:
            if declaration.kind is not MessageKind.EVENT and declaration.message_type.startswith(
                EVENT_PREFIX
            ):
                raise RegistryError(
                    f"message type {declaration.message_type!r} of {declaration.owner}: "
                    f"what starts with {EVENT_PREFIX!r} is for events; use Category.event"
                )
            for claim, text in _claims(declaration):
                other = taken.setdefault(claim, declaration)
                if other is not declaration:
                    raise _twice(text, self._source(other), self._source(declaration))

    def _source(self, declaration: MessageDeclaration) -> str:
        owner = self.owner_of(self.categories[declaration.category])
        return f"{declaration.owner} (category {declaration.category!r} of {owner})"

    def _refuse_unfit_keys(self) -> None:
        for category in self.categories.values():
            events = [
                declaration
                for declaration in category.declarations
                if declaration.kind is MessageKind.EVENT
            ]
            fields = [
                (declaration, field)
                for declaration in events
                for field in self.records[declaration.cls]
                if field.name == category.key
            ]
            for declaration, field in fields:
                if key_reader(field, self.scalars) is None:
                    raise RegistryError(
                        f"{declaration.owner}.{field.name} cannot name a topic below "
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


def _is_keepalive(declaration: MessageDeclaration) -> bool:
    return declaration.kind is MessageKind.KEEPALIVE


def _claims(declaration: MessageDeclaration) -> Iterator[tuple[tuple[object, ...], str]]:
    """What a declaration takes for itself. A keepalive may go by a type of the other side's."""
    if declaration.kind is MessageKind.EVENT:
        yield (
            ("tag", declaration.kind, declaration.category, declaration.tag),
            f"event {declaration.category}.{declaration.tag}",
        )
    else:
        yield (
            ("type", declaration.sender, declaration.message_type),
            f"message type {declaration.message_type!r}",
        )
    if declaration.kind is MessageKind.COMMAND:
        yield (
            ("tag", declaration.kind, declaration.category, declaration.tag),
            f"command {declaration.category}.{declaration.tag}",
        )
    if declaration.kind in (MessageKind.COMMAND, MessageKind.RESPONSE):
        yield ("type", declaration.message_type), f"message type {declaration.message_type!r}"
    if declaration.kind is not MessageKind.KEEPALIVE:
        yield ("class", declaration.cls), f"class {declaration.owner}"


def _refuse_fields_named_as_tags(
    declarations: Iterable[MessageDeclaration], records: Records
) -> None:
    for declaration in declarations:
        for field in records[declaration.cls]:
            if field.name in declaration.tags:
                raise RegistryError(
                    f"{declaration.owner}.{field.name}: the payload's {field.name!r} is the tag "
                    "that tells which message it is; give the field another name"
                )
