"""The registry: which messages there are, from the categories it is built from.

Everything that is declared meets here for the first time, so this is where clashes are found, and
where annotations become shapes. What passes works in every codec; what does not is refused now, and
never at a frame.

Rules:

* A registry is a value: built once, never changed. It seals the categories that it holds.
* It holds the built-in categories and those it is given, all in the same way.
* Whoever has to know which messages there are asks the registry; nobody keeps a list of their own.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping
from types import MappingProxyType
from typing import Any, Final

from tachikoma_proto.declare.annotations import collect_records
from tachikoma_proto.declare.category import Category
from tachikoma_proto.declare.declarations import (
    EVENT_PREFIX,
    MessageDeclaration,
    MessageKind,
    Sender,
)
from tachikoma_proto.declare.shapes import Records, ScalarDeclaration
from tachikoma_proto.errors import RegistryError
from tachikoma_proto.messages import BUILTIN_CATEGORIES
from tachikoma_proto.messages.envelope import Position
from tachikoma_proto.registry.topic_keys import key_reader


class Registry:
    """The messages of the built-in categories and of those given.

    Args:
        categories: Categories to add to the built-in ones.
        owners: Who brought a category, for errors and tables: the distribution of an installed
            one. The package of its messages where this does not say.

    Raises:
        RegistryError: A category, message type, tag, class or scalar is declared twice; a field
            is of a type that the wire does not have, has a default that it would refuse, or is
            named as a tag; a command names no response that a category holds; or the key of a
            category cannot be one.

    Attributes:
        categories: All categories by name, the built-in ones first.
        records: The fields of every message and of the classes nested in them.
        scalars: The types that categories declared as scalars of their own.
        by_class: How each class was declared.

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
        classes = (declaration.cls for declaration in self._declarations)
        self.records: Final = collect_records((*classes, Position), self.scalars)
        _refuse_fields_named_as_tags(self._declarations, self.records)
        self._refuse_unfit_keys()
        self._refuse_unknown_replies()
        by_class = {
            declaration.cls: declaration
            for declaration in sorted(self._declarations, key=_is_keepalive, reverse=True)
        }
        self.by_class: Final[Mapping[type, MessageDeclaration]] = MappingProxyType(by_class)
        self._by_type = {
            (declaration.sender, declaration.message_type): declaration
            for declaration in self._declarations
            if declaration.kind is not MessageKind.EVENT
        }
        self._members = self._collect_members()
        for category in self.categories.values():
            category.seal()

    @classmethod
    def discover(
        cls, *, only: Collection[str] | None = None, without: Collection[str] = ()
    ) -> "Registry":
        """Build a registry of the built-in categories and of the installed ones.

        Installed are those that a distribution declares under the entry-point group
        ``tachikoma_proto.categories``.

        Args:
            only: Which of them, by the name of their distribution or entry point; all if left out.
            without: Which to leave out; they are not imported.

        Raises:
            PluginError: One of them cannot be loaded, or ``only`` names one that is not installed.
            RegistryError: As for the constructor; it names the distributions.
        """
        from tachikoma_proto.registry.plugins import installed_categories  # imports metadata

        plugins = installed_categories(only, without)
        return cls(
            [plugin.category for plugin in plugins],
            owners={plugin.category: plugin.distribution for plugin in plugins},
        )

    def __reduce__(self) -> tuple[Any, ...]:
        added = [c for c in self.categories.values() if c not in BUILTIN_CATEGORIES]
        return _rebuilt, (type(self), added, dict(self._owners))

    def __iter__(self) -> Iterator[MessageDeclaration]:
        """Go through all declared messages, category by category."""
        return iter(self._declarations)

    def __repr__(self) -> str:
        return f"<Registry: {len(self._declarations)} messages in {', '.join(self.categories)}>"

    def declaration_of(self, cls: type) -> MessageDeclaration | None:
        """Return how a class was declared, or None if no category holds it."""
        return self.by_class.get(cls)

    def declaration_for(self, sender: Sender, message_type: str) -> MessageDeclaration | None:
        """Return the declaration for a sender and a message type, or None.

        Events share a message type, so there is none for that of an event.
        """
        return self._by_type.get((sender, message_type))

    def members(self, kind: MessageKind, category: str) -> Mapping[str, type[Any]]:
        """Return the classes of a category that their tag tells apart, by tag.

        Args:
            kind: Commands or events.
            category: The category's name; one that is not held has no members.
        """
        return self._members.get((kind, category), {})

    def senders_of(self, message_type: str) -> list[Sender]:
        """Return which sides send a message type; none if it is in no category.

        Where both do, as with a keepalive, the first is the side whose message it is.
        """
        if message_type.startswith(EVENT_PREFIX):
            return [Sender.SERVER]
        found = [sender for sender in Sender if (sender, message_type) in self._by_type]
        return sorted(found, key=lambda sender: _is_keepalive(self._by_type[sender, message_type]))

    def owner_of(self, category: Category) -> str:
        """Return who declared a category: a distribution, or the package of its messages."""
        if category in self._owners:
            return self._owners[category]
        packages = dict.fromkeys(d.cls.__module__.partition(".")[0] for d in category.declarations)
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
                if key_reader(field) is None:
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

    def _refuse_unknown_replies(self) -> None:
        responses = {d.cls for d in self._declarations if d.kind is MessageKind.RESPONSE}
        for declaration in self._declarations:
            reply = declaration.reply
            if reply is not None and reply not in responses:
                raise RegistryError(
                    f"{declaration.owner} is answered by {reply.__qualname__}, which no category "
                    "of this registry holds: declare it with Category.response"
                )

    def _collect_scalars(self) -> Mapping[Any, ScalarDeclaration]:
        scalars: dict[Any, ScalarDeclaration] = {}
        owners: dict[Any, str] = {}
        for category in self.categories.values():
            for scalar in category.scalars:
                if scalars.get(scalar.cls, scalar) is not scalar:  # a ready-made one is the same
                    text = f"scalar {scalar.name}"
                    raise _twice(text, owners[scalar.cls], self.owner_of(category))
                scalars[scalar.cls], owners[scalar.cls] = scalar, self.owner_of(category)
        return MappingProxyType(scalars)


def _rebuilt(
    cls: type[Registry], categories: list[Category], owners: Mapping[Category, str]
) -> Registry:
    return cls(categories, owners=owners)


def _twice(what: str, first: str, second: str) -> RegistryError:
    return RegistryError(f"{what} is declared twice: by {first} and by {second}")


def _is_keepalive(declaration: MessageDeclaration) -> bool:
    return declaration.kind is MessageKind.KEEPALIVE


def _claims(declaration: MessageDeclaration) -> Iterator[tuple[tuple[object, ...], str]]:
    """Go through what no other may declare. A keepalive may share a type with the other side."""
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
