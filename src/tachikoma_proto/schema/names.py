"""Names of definitions: stable, telling, and different from each other.

Rules:

* A payload, a record or an enum goes by its class's name, a scalar by its type's.
* What is built in keeps that name, whatever is installed beside it. Where classes of extensions
  have equal names, each has its category's before it; a number follows where that is not enough.
* A frame is named after its payload: ``StartMissionFrame``. A keepalive of a class that is a
  message in its own right too is a ``PingKeepaliveFrame``.
"""

import re
from collections import Counter
from collections.abc import Iterator
from typing import Any, Final, TypeGuard

from tachikoma_proto.declare.declarations import MessageDeclaration
from tachikoma_proto.declare.shapes import Choice, Custom, Leaf, Record, innermost
from tachikoma_proto.messages import BUILTIN_CATEGORIES
from tachikoma_proto.messages.envelope import Position
from tachikoma_proto.registry.registry import Registry

CLIENT_MESSAGE: Final = "ClientMessage"
SERVER_MESSAGE: Final = "ServerMessage"
UNKNOWN_MESSAGE: Final = "UnknownMessageFrame"
UNKNOWN_EVENT: Final = "UnknownEventFrame"
UUID: Final = "uuid"
TIMESTAMP: Final = "timestamp"

RESERVED: Final = (CLIENT_MESSAGE, SERVER_MESSAGE, UNKNOWN_MESSAGE, UNKNOWN_EVENT, UUID, TIMESTAMP)
"""The names of definitions that are no class."""


class Names:
    """The names of everything that a registry's schemas define.

    Args:
        registry: Which messages there are.
        reserved: Names that are taken by what surrounds the definitions.
        are_frames_named: Whether frames have definitions, too.
    """

    def __init__(
        self,
        registry: Registry,
        reserved: tuple[str, ...] = RESERVED,
        *,
        are_frames_named: bool = True,
    ) -> None:
        self._taken = set(reserved)
        self._are_frames_named = are_frames_named
        self._names: dict[Any, str] = {}
        self._leaves: dict[Any, Choice | Custom] = {}
        found = self._by_category(registry)
        built_in = {category.name for category in BUILTIN_CATEGORIES}
        counts = Counter(
            base for key, (base, category) in found.items() if category not in built_in
        )
        own = [key for key, (_, category) in found.items() if category in built_in]
        for key in (*own, *(key for key in found if key not in own)):
            base, category = found[key]
            is_equal = category not in built_in and (counts[base] > 1 or base in self._taken)
            self._names[key] = self.claim(_pascal(category) + base if is_equal else base)

    def of(self, cls: Any) -> str:
        """Return the name of a payload, a record, an enum, or a scalar's type.

        Args:
            cls: The class, or the annotation of a scalar.
        """
        return self._names[cls]

    def frame(self, declaration: MessageDeclaration) -> str:
        """Return the name of a message's frame.

        Args:
            declaration: The message's.
        """
        return self._names[declaration]

    @property
    def classes(self) -> list[type]:
        """The payloads and records, in the order of their declarations."""
        return [key for key in self._names if isinstance(key, type) and key not in self._leaves]

    @property
    def leaves(self) -> list[Choice | Custom]:
        """The enums and scalars, in the order of their first use."""
        return list(self._leaves.values())

    def claim(self, wanted: str) -> str:
        """Return a name that nothing has yet, and take it: the one wanted, or with a number.

        Args:
            wanted: The name that would be best.
        """
        name, number = wanted, 2
        while name in self._taken:
            name, number = f"{wanted}{number}", number + 1
        self._taken.add(name)
        return name

    def _by_category(self, registry: Registry) -> dict[Any, tuple[str, str]]:
        """Return the wanted name and the category of what is to be named, by what it is."""
        found: dict[Any, tuple[str, str]] = {}
        for declaration in registry:
            for key, base in self._in_class(declaration.cls, registry, set()):
                found.setdefault(key, (base, declaration.category))
            if not self._are_frames_named:
                continue
            first = registry.declaration_of(declaration.cls)
            kind = "Frame" if first is declaration else "KeepaliveFrame"
            found[declaration] = (
                _identifier(declaration.cls.__name__) + kind,
                declaration.category,
            )
        for key, base in self._in_class(Position, registry, set()):
            found.setdefault(key, (base, BUILTIN_CATEGORIES[0].name))
        return found

    def _in_leaf(self, leaf: Leaf) -> Iterator[tuple[Any, str]]:
        if isinstance(leaf, Custom):
            yield from self._in_leaf(leaf.wire)
        if is_named(leaf):
            self._leaves.setdefault(leaf.type, leaf)
            name = leaf.name if isinstance(leaf, Custom) else leaf.type.__name__
            yield leaf.type, _identifier(name)

    def _in_class(
        self, cls: type, registry: Registry, seen: set[type]
    ) -> Iterator[tuple[Any, str]]:
        if cls in seen:
            return
        seen.add(cls)
        yield cls, _identifier(cls.__name__)
        for field in registry.records[cls]:
            shape = innermost(field.shape)
            if isinstance(shape, Record):
                yield from self._in_class(shape.type, registry, seen)
            else:
                yield from self._in_leaf(shape)


def is_named(shape: Leaf) -> TypeGuard[Choice | Custom]:
    """Return whether a leaf has a definition of its own: an enum, or a scalar of a category."""
    return isinstance(shape, Custom) or (isinstance(shape, Choice) and shape.is_enum)


def category_name(category: str) -> str:
    """Return a category's name as it stands in names of definitions.

    Args:
        category: The wire's name for it.
    """
    return _pascal(category)


def _pascal(category: str) -> str:
    return "".join(part[:1].upper() + part[1:] for part in re.split(r"[-_]+", category))


def _identifier(name: str) -> str:
    return re.sub(r"\W+", "_", name).strip("_") or "_"
