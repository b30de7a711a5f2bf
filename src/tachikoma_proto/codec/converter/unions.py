"""Tagged unions: which class of a category a payload is, by its tag.

cattrs' own strategy ``configure_tagged_union`` tells the members apart. The thin layer around it is
there for what the strategy leaves open: it raises a bare ``KeyError`` for an unknown tag and a
``TypeError`` for one that is no string, and it knows nothing of the second tag, ``category``, which
must agree where it is given.

Rules:

* A category's commands are one union and its events another, with the tags of the registry.
* The unions that users write (``MissionEvent``, a part of it, or one across categories) are read by
  the same tags. Across categories the payload must have both tags.
"""

from collections.abc import Callable, Mapping
from types import NoneType, UnionType
from typing import Any, Final, Union, get_args, get_origin

from attrs import frozen
from cattrs import Converter
from cattrs.strategies import configure_tagged_union

from tachikoma_proto.codec.converter.hooks import Mismatch
from tachikoma_proto.declare.declarations import MessageKind
from tachikoma_proto.registry.registry import Registry

_TAGGED: Final = (MessageKind.COMMAND, MessageKind.EVENT)


class UnknownTag(Mismatch):
    """The tags are well formed, and the tag is none of the union's."""


@frozen
class Tagged:
    """Stands for the union of all commands, or all events, of a category.

    Attributes:
        kind: Commands or events.
        category: The category's name.
    """

    kind: MessageKind
    category: str


def configure_unions(converter: Converter, registry: Registry) -> None:
    """Give a converter the hooks for the unions of a registry's categories.

    Args:
        converter: What is configured; it has hooks for the member classes.
        registry: Which categories there are, and their members.
    """
    strategies: dict[Tagged, Any] = {}

    def structure_tagged(union: Tagged, converter: Converter) -> Callable[[Any, Any], Any]:
        members = registry.members(union.kind, union.category)
        if union not in strategies:
            strategies[union] = _configure_strategy(converter, union, members)
        stock = strategies[union]
        structure_member = converter.get_structure_hook(stock)
        expected = f"one of {', '.join(sorted(members))}"

        tag_field = union.kind.value

        def structure(value: Any, _: Any) -> Any:
            tag = value.get(tag_field) if type(value) is dict else None
            if type(tag) is not str or tag not in members:
                read_tag(value, union)
                raise UnknownTag(expected)
            return structure_member(value, stock)

        return structure

    def is_union(annotation: Any) -> bool:
        return bool(_unions_of(registry, annotation))

    def structure_union(annotation: Any, converter: Converter) -> Callable[[Any, Any], Any]:
        return _structure_union(annotation, _unions_of(registry, annotation), converter)

    def unstructure_union(annotation: Any, converter: Converter) -> Callable[[Any], Any]:
        members = get_args(annotation)

        def unstructure(value: Any) -> Any:
            if type(value) not in members:
                raise Mismatch("a message of the union")
            return converter.unstructure(value)

        return unstructure

    converter.register_structure_hook_factory(lambda t: isinstance(t, Tagged), structure_tagged)
    converter.register_structure_hook_factory(is_union, structure_union)
    converter.register_unstructure_hook_factory(is_union, unstructure_union)


def read_tag(value: Any, union: Tagged) -> str:
    """Return the tag of a payload.

    Args:
        value: The payload.
        union: What it should be a member of.

    Raises:
        Mismatch: It is no object, has no tag, or names another category.
    """
    if type(value) is not dict:
        raise Mismatch("an object")
    tag = value.get(union.kind.value)
    if type(tag) is not str or value.get("category", union.category) != union.category:
        raise Mismatch("an object with the tags of its category")
    return tag


def _configure_strategy(
    converter: Converter, union: Tagged, members: Mapping[str, type[Any]]
) -> type:
    """Configure cattrs' strategy, and return the type under which its hooks are registered.

    That is a class of its own with the members as ``__args__``, which is all that the strategy asks
    of a union: a ``Union`` of one member would be that member.
    """
    tags = {cls: tag for tag, cls in members.items()}
    stock = type(f"{union.category}_{union.kind.value}s", (), {"__args__": tuple(tags)})
    configure_tagged_union(stock, converter, tags.__getitem__, union.kind.value)
    return stock


def _structure_union(
    annotation: Any, unions: tuple[Tagged, ...], converter: Converter
) -> Callable[[Any, Any], Any]:
    structures = {union: converter.get_structure_hook(union) for union in unions}
    members = get_args(annotation)
    may_be_none = NoneType in members
    names = ", ".join(f"{union.category} {union.kind.value}s" for union in unions)

    def union_of(value: Any) -> Tagged:
        if len(unions) == 1:
            return unions[0]
        if type(value) is dict:
            for union in unions:
                if value.get("category") == union.category and union.kind.value in value:
                    return union
        raise Mismatch(f"an object with both tags of one of: {names}")

    def structure(value: Any, _: Any) -> Any:
        if value is None and may_be_none:
            return None
        message = structures[union_of(value)](value, None)
        if type(message) not in members:
            raise UnknownTag("the tag of a member of the union")
        return message

    return structure


def _unions_of(registry: Registry, annotation: Any) -> tuple[Tagged, ...]:
    """Return of which unions an annotation is a part; none if it is no union of messages."""
    if get_origin(annotation) not in (Union, UnionType):
        return ()
    classes = [cls for cls in get_args(annotation) if cls is not NoneType]
    declarations = [registry.declaration_of(c) if isinstance(c, type) else None for c in classes]
    found = [d for d in declarations if d is not None and d.kind in _TAGGED]
    if len(found) < max(2, len(classes)):
        return ()
    return tuple(dict.fromkeys(Tagged(d.kind, d.category) for d in found))
