"""Hooks for attrs classes: generated, with tags checked and written for messages.

Rules:

* Fields that a class does not have are ignored, or refused, as the converter was told.
* A tag may be missing from what is read, since the class says it already; one that is there
  must agree. Tags are written in full, before the fields.
* A field that is None is not written.
"""

from collections.abc import Callable, Container, Mapping
from functools import partial
from typing import Any

from cattrs import Converter
from cattrs.gen import make_dict_structure_fn, make_dict_unstructure_fn, override

from tachikoma_proto.codec.converter.mismatch import Mismatch
from tachikoma_proto.codec.converter.record_reading import can_generate, make_record_reader
from tachikoma_proto.declare.shapes import Maybe, Shape, holding_themselves
from tachikoma_proto.registry.registry import Registry


def configure_records(
    converter: Converter, registry: Registry, *, forbid_unknown_fields: bool = False
) -> None:
    """Give a converter the hooks for messages and for the attrs classes nested in them.

    Args:
        converter: What is configured.
        registry: Which classes there are, and their tags.
        forbid_unknown_fields: Whether a field that a class does not have is refused.
    """
    is_record = registry.records.__contains__
    recursive = holding_themselves(registry.records)
    reader = partial(_reader, registry, recursive, forbid_unknown_fields)
    writer = partial(_writer, registry, recursive)
    converter.register_structure_hook_factory(_class_that(is_record), reader)
    converter.register_unstructure_hook_factory(_class_that(is_record), writer)


def tags_of(registry: Registry, cls: type) -> Mapping[str, str]:
    """Give the tags of a message class; none for a class that is only nested in messages."""
    declaration = registry.declaration_of(cls)
    return declaration.tags if declaration else {}


def _class_that(predicate: Callable[[type], bool]) -> Callable[[Any], bool]:
    return lambda kind: isinstance(kind, type) and predicate(kind)


def _reader(
    registry: Registry,
    recursive: Container[type],
    forbid_unknown_fields: bool,
    cls: Any,
    converter: Converter,
) -> Callable[[Any, Any], Any]:
    fields, tags = registry.records[cls], tags_of(registry, cls)
    if can_generate(cls) and cls not in recursive:
        return make_record_reader(
            cls, fields, converter, tags=tags, forbid_unknown_fields=forbid_unknown_fields
        )
    # An override for each field, so that no mark in an annotation can rename one.
    plain: Any = {field.name: override() for field in fields}
    read_fields = make_dict_structure_fn(cls, converter, _cattrs_detailed_validation=False, **plain)
    known = {*tags, *(field.name for field in fields)}

    def read(value: Any, kind: Any) -> Any:
        if type(value) is not dict:
            raise Mismatch("an object")
        for name, tag in tags.items():
            if value.get(name, tag) != tag:
                raise Mismatch("the tag that the message type says")
        if forbid_unknown_fields and not known.issuperset(value):
            raise Mismatch("no unknown field")
        return read_fields(value, kind)

    return read


def _writer(
    registry: Registry, recursive: Container[type], cls: Any, converter: Converter
) -> Callable[[Any], Any]:
    # A hook for each field: where cattrs does not get one, it goes by the type of the value.
    find_hook = partial(_late_hook if cls in recursive else _hook, converter)
    overrides: Any = {
        field.name: override(
            omit_if_default=isinstance(field.shape, Maybe), unstruct_hook=find_hook(field.shape)
        )
        for field in registry.records[cls]
    }
    write_fields = make_dict_unstructure_fn(cls, converter, **overrides)
    tags = dict(tags_of(registry, cls))

    def write(value: Any) -> Any:
        if type(value) is not cls:
            raise Mismatch(f"an instance of {cls.__qualname__}")
        return {**tags, **write_fields(value)}

    return write


def _hook(converter: Converter, shape: Shape) -> Callable[[Any], Any]:
    """Find the hook that writes a shape; None is left out before it is called."""
    if isinstance(shape, Maybe):
        return _hook(converter, shape.inner)
    return converter.get_unstructure_hook(shape.type)


def _late_hook(converter: Converter, shape: Shape) -> Callable[[Any], Any]:
    """Find the hook when it is needed, since a class that holds itself has none before."""

    def write(value: Any) -> Any:
        return _hook(converter, shape)(value)

    return write
