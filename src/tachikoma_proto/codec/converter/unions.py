"""The tagged unions: which class of a category a payload is, by its tag.

Rules:

* A category's commands, and its events, are each one tagged union. The strategy knows it as
  ``Tagged(kind, category)`` and takes its members from the registry.
* The unions that users write (``MissionEvent``, or a part of it) are read by the same tag.
* In a payload of such a union the tag is needed. The category may be left out.
"""

from collections.abc import Callable, Mapping
from types import UnionType
from typing import Any, Union, get_args, get_origin

from attrs import frozen
from cattrs import Converter

from tachikoma_proto.codec.converter.mismatch import Mismatch
from tachikoma_proto.declare.declarations import MessageKind
from tachikoma_proto.registry.registry import Registry


@frozen
class Tagged:
    """The tagged union of all commands, or all events, of a category.

    Attributes:
        kind: Commands or events.
        category: The category's name.
    """

    kind: MessageKind
    category: str


class UnknownTag(Mismatch):
    """The tags are well formed, and the tag is none of the union's."""


def configure_tagged_unions(converter: Converter, registry: Registry) -> None:
    """Give a converter the hooks for the unions of a registry's categories.

    Args:
        converter: What is configured; it has hooks for the member classes.
        registry: Which categories there are, and their members.
    """

    def is_whole(kind: Any) -> bool:
        return isinstance(kind, Tagged)

    def read_whole(kind: Tagged, converter: Converter) -> Callable[[Any, Any], Any]:
        return _reader(converter, kind, registry.members(kind.kind, kind.category))

    def is_part(kind: Any) -> bool:
        return _union_of(registry, kind) is not None

    def read_part(kind: Any, converter: Converter) -> Callable[[Any, Any], Any]:
        union = _union_of(registry, kind)
        assert union is not None, "asked for by is_part only"
        members = registry.members(union.kind, union.category)
        chosen = {tag: cls for tag, cls in members.items() if cls in get_args(kind)}
        return _reader(converter, union, chosen)

    converter.register_structure_hook_factory(is_whole, read_whole)
    converter.register_structure_hook_factory(is_part, read_part)
    converter.register_unstructure_hook_func(is_part, converter.unstructure)


def read_tag(value: Any, tag_field: str, category: str) -> str:
    """Find out which member of a category a payload is.

    Args:
        value: The payload.
        tag_field: The name of its tag.
        category: The category's name, which the payload may repeat.

    Raises:
        Mismatch: It is no object, has no tag, or names another category.
    """
    if type(value) is not dict:
        raise Mismatch("an object")
    tag = value.get(tag_field)
    if type(tag) is not str or value.get("category", category) != category:
        raise Mismatch("an object with the tags of its category")
    return tag


def _reader(
    converter: Converter, union: Tagged, members: Mapping[str, type[Any]]
) -> Callable[[Any, Any], Any]:
    tag_field, category = union.kind.value, union.category
    expected = f"one of {', '.join(sorted(members))}"
    hooks: dict[str, Callable[[Any, Any], Any]] = {}

    def read(value: Any, _: Any) -> Any:
        tag: Any = value.get(tag_field) if type(value) is dict else None
        hook = hooks.get(tag)
        if hook is None:
            tag = read_tag(value, tag_field, category)
            if tag not in members:
                raise UnknownTag(expected)
            hook = hooks[tag] = converter.get_structure_hook(members[tag])
        return hook(value, None)  # which looks at the tags, the category among them

    return read


def _union_of(registry: Registry, kind: Any) -> Tagged | None:
    """Tell of which category's union a type is a part."""
    if get_origin(kind) not in (Union, UnionType):
        return None
    declarations = [registry.declaration_of(cls) for cls in get_args(kind)]
    groups = {
        Tagged(declaration.kind, declaration.category) if declaration and declaration.tag else None
        for declaration in declarations
    }
    return groups.pop() if len(groups) == 1 else None
