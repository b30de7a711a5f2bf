"""Strict hooks: for leaves, optional values, arrays and maps, and for attrs classes.

cattrs coerces (``int("3")``, any iterable as a list); the contract does not. Each hook for a field
goes by the shape of its annotation, so that the converter cannot disagree with the rest of the
library about what an annotation means. The hooks for attrs classes are those that cattrs generates,
with a layer around them for three things that it does not do: it refuses what is no JSON object, it
checks tags that are there and writes them first, and it leaves out optional fields that are None
without changing the order of the others.

Rules:

* A structure hook takes what a JSON parser returns: builtins of exact types.
* An unstructure hook takes what the field may hold, and refuses what a peer could not read.
* An array is read from a JSON array only, a map from a JSON object only. A frozenset is written in
  the order of its items' text, so that equal messages have equal frames.
* Fields that a class does not have are ignored, or refused with ``forbid_extra_keys``.
* A tag may be missing from what is structured, since the class says it already; one that is there
  must agree with it. Tags are written in full, before the fields.
* A missing field is a ``KeyError``, as cattrs generates it.
* Classes are registered by class, since cattrs asks ``functools.singledispatch`` first, and a hook
"""

import json
from collections.abc import Callable, Mapping
from functools import cache
from types import MappingProxyType
from typing import Any, Final, Generic, TypeAlias, get_args, get_origin
from uuid import UUID

from cattrs import Converter
from cattrs.gen import make_dict_structure_fn, make_dict_unstructure_fn, override

from tachikoma_proto.declare.annotations import BUILTIN_LEAVES, is_array, is_map, shape_of
from tachikoma_proto.declare.bases import Command, Event, Message, Response
from tachikoma_proto.declare.shapes import (
    REFUSALS,
    TEXT_LEAF,
    Array,
    Boolean,
    Choice,
    Custom,
    FreeJson,
    Identifier,
    Integer,
    Leaf,
    Map,
    Maybe,
    Number,
    Shape,
    Text,
    Timestamp,
    leaves_in,
    log_mistake,
    recursive_in,
)
from tachikoma_proto.errors import RegistryError
from tachikoma_proto.registry.registry import Registry
from tachikoma_proto.wire.formats import (
    STANDARD,
    format_timestamp,
    format_uuid,
    parse_timestamp,
    parse_uuid,
    real_class,
)
from tachikoma_proto.wire.json_values import PLAIN, to_builtins

Structure: TypeAlias = Callable[[Any, Any], Any]
"""A structure hook: takes builtins and the type."""

Unstructure: TypeAlias = Callable[[Any], Any]
"""An unstructure hook: takes the value."""


_WITHOUT_HOOKS: Final = (object, Generic, Message, Command, Event, Response)
"""The bases for which no converter has hooks by class, so that none need be looked for."""


_PASSED_ON: Final = (*REFUSALS, RecursionError, MemoryError)
"""What a hook for a class may raise; whatever else its validators raise is logged."""


class Mismatch(ValueError):
    """A value is not what its place asks for.

    Args:
        expected: What should have stood there, as a noun phrase, without the value.
    """

    # Without a constructor of its own, which would take as long as all else about raising it.

    @property
    def expected(self) -> str:
        """What should have stood there, as a noun phrase."""
        expected: str = self.args[0]
        return expected

    def __str__(self) -> str:
        return f"expected {self.expected}"


def configure_fields(converter: Converter, registry: Registry) -> None:
    """Give a converter the hooks for everything but classes that may stand in a field.

    Args:
        converter: What is configured.
        registry: Which scalars and enums there are.
    """

    def shape(annotation: Any) -> Shape | None:
        try:
            return shape_of(annotation, "an annotation", registry.scalars)
        except RegistryError:
            return None

    def is_field(annotation: Any) -> bool:
        return isinstance(shape(annotation), (Leaf, Maybe, Array, Map))

    @cache
    def structure_factory(annotation: Any, converter: Converter) -> Structure:
        return structure_hook(shape_of(annotation, "", registry.scalars), converter)

    @cache
    def unstructure_factory(annotation: Any, converter: Converter) -> Unstructure:
        return unstructure_hook(shape_of(annotation, "", registry.scalars), converter)

    converter.register_structure_hook_factory(is_array, _structure_any_array)
    converter.register_structure_hook_factory(is_map, _structure_any_map)
    converter.register_structure_hook_factory(is_field, structure_factory)
    converter.register_unstructure_hook_factory(is_field, unstructure_factory)
    leaves = (*BUILTIN_LEAVES, *leaves_in(registry.records))
    classes = [leaf.type for leaf in leaves if not isinstance(leaf, FreeJson)]
    for cls in dict.fromkeys((*classes, *registry.scalars)):
        if isinstance(cls, type) and get_origin(cls) is None:
            put_before_class_hooks(converter, cls, structure_factory, unstructure_factory)


def put_before_class_hooks(
    converter: Converter,
    cls: type,
    structure_factory: Callable[[Any, Converter], Structure],
    unstructure_factory: Callable[[Any, Converter], Unstructure],
) -> None:
    """Let the hooks of factories serve a class for which the converter has hooks by class.

    cattrs asks those first, and they serve subclasses as well: the one for ``str`` serves any enum
    that derives from it. So where one would be used, ours are registered by class, too; subclasses
    go on to the one that was there.

    Args:
        converter: What is configured; it has the factories already.
        cls: The class.
        structure_factory: Makes the structure hook; the same one each time.
        unstructure_factory: Makes the unstructure hook; the same one each time.
    """
    structure, structure_before = (
        structure_factory(cls, converter),
        converter.get_structure_hook(cls, cache_result=False),
    )
    if structure_before is not structure:

        def structure_exactly(value: Any, asked: Any) -> Any:
            if asked is cls or real_class(asked) is cls:
                return structure(value, asked)
            return structure_before(value, asked)

        converter.register_structure_hook(cls, structure_exactly)
    unstructure = unstructure_factory(cls, converter)
    if converter.get_unstructure_hook(cls, cache_result=False) is not unstructure:
        converter.register_unstructure_hook(cls, unstructure)


def configure_records(converter: Converter, registry: Registry) -> None:
    """Give a converter the hooks for messages and for the attrs classes nested in them.

    Args:
        converter: What is configured.
        registry: Which classes there are, and their tags.
    """
    recursive = recursive_in(registry.records)

    @cache
    def structure_factory(cls: Any, converter: Converter) -> Callable[[Any, Any], Any]:
        return _structure_record(registry, cls, converter)

    @cache
    def unstructure_factory(cls: Any, converter: Converter) -> Callable[[Any], Any]:
        return _unstructure_record(registry, recursive, cls, converter)

    def is_record(annotation: Any) -> bool:
        return isinstance(annotation, type) and annotation in registry.records

    converter.register_structure_hook_factory(is_record, structure_factory)
    converter.register_unstructure_hook_factory(is_record, unstructure_factory)
    for cls in registry.records:
        if not all(base in registry.records or base in _WITHOUT_HOOKS for base in cls.__mro__):
            put_before_class_hooks(converter, cls, structure_factory, unstructure_factory)


def tags_of(registry: Registry, cls: type) -> Mapping[str, str]:
    """Return the tags of a message class; none for a class that is only nested in messages."""
    declaration = registry.declaration_of(cls)
    return declaration.tags if declaration else {}


def _structure_record(
    registry: Registry, cls: Any, converter: Converter
) -> Callable[[Any, Any], Any]:
    # An override for each field, so that no mark in an annotation can rename one.
    overrides: Any = {field.name: override() for field in registry.records[cls]}
    structure_fields: Any = make_dict_structure_fn(
        cls, converter, _cattrs_forbid_extra_keys=False, **overrides
    )
    # Detailed validation gathers whatever is raised.
    passed_on = Exception if converter.detailed_validation else _PASSED_ON
    tags = tuple(tags_of(registry, cls).items())
    known = {*tags_of(registry, cls), *overrides}
    forbids_unknown = converter.forbid_extra_keys

    def structure(value: Any, _: Any) -> Any:
        if type(value) is not dict:
            raise Mismatch("an object")
        for name, tag in tags:
            if value.get(name, tag) != tag:
                raise Mismatch(f'"{tag}" as {name}, which the message type says')
        if forbids_unknown and not known.issuperset(value):
            raise Mismatch("no unknown field")
        try:
            return structure_fields(value, cls)
        except passed_on:
            raise
        except Exception as error:  # noqa: BLE001 - it is a validator's or a converter's
            log_mistake(error, f"the construction of {cls.__qualname__}")
            raise Mismatch(f"a valid {cls.__name__}") from None

    return structure


def _unstructure_record(
    registry: Registry, recursive: set[type], cls: Any, converter: Converter
) -> Callable[[Any], Any]:
    record_fields = registry.records[cls]
    # Where a class holds itself, cattrs would go by the class of the value, which is too lax.
    overrides: Any = {
        field.name: override(
            unstruct_hook=unstructure_hook(field.shape, converter) if cls in recursive else None
        )
        for field in record_fields
    }
    unstructure_fields = make_dict_unstructure_fn(
        cls, converter, _cattrs_omit_if_default=False, **overrides
    )
    tags = dict(tags_of(registry, cls))
    optional = [field.name for field in record_fields if isinstance(field.shape, Maybe)]

    def unstructure(value: Any) -> dict[str, Any]:
        if type(value) is not cls:
            raise Mismatch(f"an instance of {cls.__qualname__}")
        fields: dict[str, Any] = unstructure_fields(value)
        members = {**tags, **fields} if tags else fields
        for name in optional:
            if members[name] is None:
                del members[name]
        return members

    return unstructure


def structure_hook(shape: Shape, converter: Converter) -> Structure:
    """Return the hook that structures a shape.

    Args:
        shape: The shape.
        converter: Has the hooks for classes.
    """
    match shape:
        case Maybe(inner):
            return structure_optional(structure_hook(inner, converter))
        case Array(_, container, inner):
            return _structure_array(container, structure_hook(inner, converter))
        case Map(_, inner):
            return _structure_map(structure_hook(inner, converter))
        case Leaf():
            return structure_leaf(shape)
        case _:
            return _structure_nested(shape.type, converter)


def unstructure_hook(shape: Shape, converter: Converter) -> Unstructure:
    """Return the hook that unstructures a shape.

    Args:
        shape: The shape.
        converter: Has the hooks for classes.
    """
    match shape:
        case Maybe(inner):
            unstructure_inner = unstructure_hook(inner, converter)
            return lambda value: None if value is None else unstructure_inner(value)
        case Array():
            return _unstructure_array(shape, unstructure_hook(shape.inner, converter))
        case Map(_, inner):
            return _unstructure_map(unstructure_hook(inner, converter))
        case Text():
            return _unstructure_text(shape)
        case Boolean():
            return _unstructure_boolean(shape.expected)
        case Identifier():
            return _unstructure_uuid(shape.expected)
        case Timestamp():
            return _unstructure_timestamp(shape)
        case Leaf():
            return _unstructure_leaf(shape)
        case _:
            return _unstructure_nested(shape.type, converter)


def structure_optional(structure_inner: Structure) -> Structure:
    """Return the hook that takes None, too.

    Args:
        structure_inner: The hook for what else may stand there.
    """

    def structure(value: Any, _: Any) -> Any:
        return None if value is None else structure_inner(value, None)

    return structure


def _structure_nested(cls: type, converter: Converter) -> Structure:
    """Return what gets the hook of a class when it is first used: a class may hold itself."""
    hook: Structure | None = None

    def structure(value: Any, _: Any) -> Any:
        nonlocal hook
        if hook is None:
            hook = converter.get_structure_hook(cls)
        return hook(value, cls)

    return structure


def _unstructure_nested(cls: type, converter: Converter) -> Unstructure:
    hook: Unstructure | None = None

    def unstructure(value: Any) -> Any:
        nonlocal hook
        if hook is None:
            hook = converter.get_unstructure_hook(cls)
        return hook(value)

    return unstructure


def structure_leaf(leaf: Leaf) -> Structure:
    """Return the hook that structures a leaf.

    Args:
        leaf: The leaf.
    """
    match leaf:
        case Text() | Boolean():
            return _exactly(str if isinstance(leaf, Text) else bool, leaf.expected)
        case Integer():
            return _structure_number(leaf, int)
        case Number():
            return _structure_number(leaf, float)
        case Identifier():
            return _structure_text(parse_uuid, leaf.expected)
        case Timestamp():
            return _structure_text(parse_timestamp, leaf.expected)
        case FreeJson():
            return lambda value, _: value
        case Choice():
            return _structure_choice(leaf)
        case Custom():
            return _structure_custom(leaf)
        case _:
            raise TypeError(f"no hook for {leaf!r}")


def _exactly(cls: type, expected: str) -> Structure:
    def structure(value: Any, _: Any) -> Any:
        if type(value) is cls:
            return value
        raise Mismatch(expected)

    return structure


def _structure_number(leaf: Integer | Number, cls: type[int] | type[float]) -> Structure:
    refusal, expected = leaf.refusal, leaf.expected

    def structure(value: Any, _: Any) -> Any:
        if type(value) is cls and refusal(value) is None:
            return value
        if type(value) is int and refusal(value) is None:
            return cls(value)
        raise Mismatch(expected)

    return structure


def _structure_text(parse: Callable[[str], Any], expected: str) -> Structure:
    def structure(value: Any, _: Any) -> Any:
        parsed = parse(value) if type(value) is str else None
        if parsed is None:
            raise Mismatch(expected)
        return parsed

    return structure


def _structure_choice(leaf: Choice) -> Structure:
    # Keyed by type too: to Python True, 1 and 1.0 are the same key.
    members = {(type(wire), wire): value for wire, value in leaf.members}
    expected = leaf.expected

    def structure(value: Any, _: Any) -> Any:
        key = type(value), value
        if type(value) in (str, int) and key in members:
            return members[key]
        raise Mismatch(expected)

    return structure


def _structure_custom(leaf: Custom) -> Structure:
    structure_wire, read = structure_leaf(leaf.wire), leaf.scalar.read
    cls, expected = leaf.scalar.runtime_class, leaf.expected

    def structure(value: Any, _: Any) -> Any:
        wire = structure_wire(value, None)
        try:
            made = read(wire)
        except REFUSALS:
            raise Mismatch(expected) from None
        except (RecursionError, MemoryError):
            raise
        except Exception as error:  # noqa: BLE001 - it is not our code
            log_mistake(error, f"what reads {leaf.name}")
            raise Mismatch(expected) from None
        if not isinstance(made, cls):
            raise Mismatch(expected)
        return made

    return structure


def _unstructure_leaf(leaf: Leaf) -> Unstructure:
    refuse, convert, plain = leaf.refusal, _to_wire(leaf), _PLAIN_CLASSES.get(type(leaf))

    def unstructure(value: Any) -> Any:
        refusal = refuse(value)
        if refusal is not None:
            raise Mismatch(refusal)
        return value if type(value) is plain else convert(value)

    return unstructure


_PLAIN_CLASSES: Final[Mapping[type[Leaf], type]] = MappingProxyType({Integer: int, Number: float})
"""The class of what stands on the wire as it is."""


def _unstructure_text(leaf: Text) -> Unstructure:
    def unstructure(value: Any) -> str:
        if type(value) is str and value.isascii():
            return value
        refusal = leaf.refusal(value)
        if refusal is not None:
            raise Mismatch(refusal)
        return str.__str__(value)

    return unstructure


def _unstructure_boolean(expected: str) -> Unstructure:
    def unstructure(value: Any) -> bool:
        if value is True or value is False:
            return value
        raise Mismatch(expected)

    return unstructure


def _unstructure_uuid(expected: str) -> Unstructure:
    def unstructure(value: Any) -> str:
        if isinstance(value, UUID):
            return format_uuid(value)
        raise Mismatch(expected)

    return unstructure


def _unstructure_timestamp(leaf: Timestamp) -> Unstructure:
    """Return the hook that writes a time; to ask for a refusal first would format it twice."""

    def unstructure(value: Any) -> str:
        text = format_timestamp(value) if isinstance(value, STANDARD.datetime) else None
        if text is None:
            raise Mismatch(leaf.refusal(value) or leaf.expected)
        return text

    return unstructure


def _to_wire(leaf: Leaf) -> Unstructure:
    """Return what makes the wire's value from one that the leaf does not refuse."""
    match leaf:
        case Integer():
            return PLAIN[int]
        case Number():
            return float
        case Identifier():
            return format_uuid
        case Timestamp():
            return format_timestamp
        case Choice():
            return leaf.wire_of
        case Custom():
            write, wire_to_wire = leaf.scalar.write, _to_wire(leaf.wire)
            return lambda value: wire_to_wire(write(value))
        case _:
            return to_builtins


def to_container(container: Any, items: list[Any]) -> Any:
    """Put items into the container of an array.

    Args:
        container: ``tuple``, ``list`` or ``frozenset``.
        items: What goes into it.

    Raises:
        Mismatch: Items of a frozenset are equal, or a scalar of a category has no hash.
    """
    try:
        made = container(items)
    except TypeError:
        raise Mismatch("an array of items that have a hash") from None
    if len(made) != len(items):
        raise Mismatch("an array without repeated items")
    return made


def _structure_array(container: Any, structure_item: Structure) -> Structure:
    def structure_array(value: Any, _: Any) -> Any:
        if type(value) is not list:
            raise Mismatch("an array")
        return to_container(container, [structure_item(item, None) for item in value])

    return structure_array


def _structure_any_array(annotation: Any, converter: Converter) -> Structure:
    """Return the hook for an array of what no message holds, such as a union of messages."""
    item = get_args(annotation)[0]
    return _structure_array(
        get_origin(annotation), lambda value, _: converter.structure(value, item)
    )


def _structure_any_map(annotation: Any, converter: Converter) -> Structure:
    item = get_args(annotation)[1]
    return _structure_map(lambda value, _: converter.structure(value, item))


def _unstructure_array(shape: Array, unstructure_item: Unstructure) -> Unstructure:
    is_frozenset, expected = shape.container is frozenset, f"a {shape.container.__name__}"
    accepted = shape.accepted

    def unstructure_array(value: Any) -> list[Any]:
        if not isinstance(value, accepted):
            raise Mismatch(expected)
        items = [unstructure_item(item) for item in value]
        return sorted(items, key=json.dumps) if is_frozenset else items

    return unstructure_array


def _structure_map(structure_item: Structure) -> Structure:
    def structure_map(value: Any, _: Any) -> dict[str, Any]:
        if type(value) is not dict:
            raise Mismatch("an object")
        return {key: structure_item(item, None) for key, item in value.items()}

    return structure_map


def _unstructure_map(unstructure_item: Unstructure) -> Unstructure:
    unstructure_key = _unstructure_text(TEXT_LEAF)

    def unstructure_map(value: Any) -> dict[str, Any]:
        if not isinstance(value, dict):
            raise Mismatch("a dict")
        return {unstructure_key(key): unstructure_item(item) for key, item in value.items()}

    return unstructure_map
