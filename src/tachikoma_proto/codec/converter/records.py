"""Hooks for attrs classes: cattrs' generated ones, with the tags of messages around them.

The layer around what cattrs generates is there for three things that it does not do: it refuses
what is no JSON object, it checks tags that are there and writes them first, and it leaves out
optional fields that are None without changing the order of the others.

Rules:

* Fields that a class does not have are ignored, or refused with ``forbid_extra_keys``.
* A tag may be missing from what is structured, since the class says it already; one that is there
  must agree with it. Tags are written in full, before the fields.
* A missing field is a ``KeyError``, as cattrs generates it.
"""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from cattrs import Converter
from cattrs.gen import make_dict_structure_fn, make_dict_unstructure_fn, override

from tachikoma_proto.codec.converter.fields import Mismatch, unstructure_hook
from tachikoma_proto.declare.shapes import Maybe, recursive_in
from tachikoma_proto.registry.registry import Registry

_BY_CLASS = (str, bytes, int, float)
"""The classes for which cattrs itself has hooks by class, which serve subclasses, too."""


def configure_records(converter: Converter, registry: Registry) -> None:
    """Give a converter the hooks for messages and for the attrs classes nested in them.

    Args:
        converter: What is configured.
        registry: Which classes there are, and their tags.
    """
    recursive = recursive_in(registry.records)
    structure_factory = partial(_structure_record, registry)
    unstructure_factory = partial(_unstructure_record, registry, recursive)

    def is_record(annotation: Any) -> bool:
        return isinstance(annotation, type) and annotation in registry.records

    converter.register_structure_hook_factory(is_record, structure_factory)
    converter.register_unstructure_hook_factory(is_record, unstructure_factory)
    scalars = [cls for cls in registry.scalars if isinstance(cls, type)]
    for cls in registry.records:
        if issubclass(cls, (*_BY_CLASS, *scalars)):
            converter.register_structure_hook(cls, structure_factory(cls, converter))
            converter.register_unstructure_hook(cls, unstructure_factory(cls, converter))


def tags_of(registry: Registry, cls: type) -> Mapping[str, str]:
    """Return the tags of a message class; none for a class that is only nested in messages."""
    declaration = registry.declaration_of(cls)
    return declaration.tags if declaration else {}


def _structure_record(
    registry: Registry, cls: Any, converter: Converter
) -> Callable[[Any, Any], Any]:
    # An override for each field, so that no mark in an annotation can rename one.
    overrides: Any = {field.name: override() for field in registry.records[cls]}
    structure_fields = make_dict_structure_fn(
        cls, converter, _cattrs_forbid_extra_keys=False, **overrides
    )
    tags = tags_of(registry, cls)
    known = {*tags, *overrides}
    forbids_unknown = converter.forbid_extra_keys

    def structure(value: Any, _: Any) -> Any:
        if type(value) is not dict:
            raise Mismatch("an object")
        for name, tag in tags.items():
            if value.get(name, tag) != tag:
                raise Mismatch(f'"{tag}" as {name}, which the message type says')
        if forbids_unknown and not known.issuperset(value):
            raise Mismatch("no unknown field")
        return structure_fields(value, cls)

    return structure


def _unstructure_record(
    registry: Registry, recursive: set[type], cls: Any, converter: Converter
) -> Callable[[Any], Any]:
    fields = registry.records[cls]
    # Where a class holds itself, cattrs would go by the class of the value, which is too lax.
    overrides: Any = {
        field.name: override(
            unstruct_hook=unstructure_hook(field.shape, converter) if cls in recursive else None
        )
        for field in fields
    }
    unstructure_fields = make_dict_unstructure_fn(
        cls, converter, _cattrs_omit_if_default=False, **overrides
    )
    tags = dict(tags_of(registry, cls))
    optional = [field.name for field in fields if isinstance(field.shape, Maybe)]

    def unstructure(value: Any) -> dict[str, Any]:
        if type(value) is not cls:
            raise Mismatch(f"an instance of {cls.__qualname__}")
        members = {**tags, **unstructure_fields(value)}
        for name in optional:
            if members[name] is None:
                del members[name]
        return members

    return unstructure
