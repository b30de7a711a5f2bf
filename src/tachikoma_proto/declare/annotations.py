"""Annotations of message fields, read once into shapes.

Annotations are evaluated here and not by ``typing.get_type_hints``, because that looks names up in
the class first: in ``float: float`` under ``from __future__ import annotations``, it would find the
field and not the builtin.

Rules:

* An annotation without a shape is refused when the registry is built, never at a frame, with a text
  that says what to write instead.
* ``NewType`` and ``type`` aliases stand for what they name, unless a category declared them as
  scalars of their own.
* Every range that an ``Annotated`` names holds, also for what is inside of an ``Optional``.
* A field goes by one name, and what is left out of a frame is what it was: None for an optional
  field, the default for another. A default must be one that the field may hold, and must not be
  shared and mutable.
"""

import builtins
import enum
import inspect
import sys
import types
import typing
from collections.abc import Hashable, Iterable, Mapping
from typing import Annotated, Any, Final, Literal, NewType, Union, get_args, get_origin

import attrs

from tachikoma_proto.declare.field_types import FloatRange, IntRange, is_secret
from tachikoma_proto.declare.shapes import (
    REFUSALS,
    TEXT_LEAF,
    TIMESTAMP_LEAF,
    UUID_LEAF,
    Array,
    Boolean,
    Choice,
    Custom,
    FreeJson,
    Integer,
    Leaf,
    Map,
    Maybe,
    Number,
    Record,
    RecordField,
    Records,
    ScalarDeclaration,
    Shape,
    innermost,
    refusal_of,
)
from tachikoma_proto.errors import RegistryError
from tachikoma_proto.wire.formats import real_class
from tachikoma_proto.wire.paths import is_text

Scalars = Mapping[Any, ScalarDeclaration]
"""The scalars that categories declared, by annotation."""

BUILTIN_LEAVES: Final[tuple[Leaf, ...]] = (
    TEXT_LEAF,
    Boolean(bool, "bool"),
    Integer(int, "int", -(2**63), 2**64 - 1),
    Number(float, "f64", float("inf")),
    UUID_LEAF,
    TIMESTAMP_LEAF,
    FreeJson(Any, "json"),
)
"""The leaves that need no declaration."""

_ADVICE: Final = (
    "use str, bool, int, float, U32, U64, F32, UUID, datetime, Json, an Enum of strings or "
    "integers, a Literal, a frozen attrs class, tuple[X, ...], list[X], frozenset[X], "
    "dict[str, X], one of them with | None, or declare the type with Category.scalar"
)

_ALIAS: Final[Any] = getattr(typing, "TypeAliasType", None)
"""The class of what a ``type`` statement makes, which came with Python 3.12."""


def collect_records(classes: Iterable[type], scalars: Scalars) -> Records:
    """Read the fields of attrs classes and of every attrs class nested in them.

    Args:
        classes: Frozen attrs classes.
        scalars: The scalars that categories declared.

    Returns:
        The fields by class.

    Raises:
        RegistryError: A field's type or default does not fit the wire, or a class is not a frozen
            attrs class.
    """
    records: dict[type, tuple[RecordField, ...]] = {}
    waiting = list(classes)
    while waiting:
        cls = waiting.pop()
        if cls not in records:
            records[cls] = _fields_of(cls, scalars)
            shapes = (innermost(field.shape) for field in records[cls])
            waiting.extend(shape.type for shape in shapes if isinstance(shape, Record))
    for cls, fields in records.items():
        for field in fields:
            _refuse_unhashable_items(cls, field, records)
            _refuse_unfit_default(cls, field, records)
    return types.MappingProxyType(records)


def leaf_of(annotation: Any, where: str) -> Leaf:
    """Return the leaf of an annotation that stands for one JSON scalar.

    Args:
        annotation: Such as ``str`` or ``U32``.
        where: What to call it in an error.

    Raises:
        RegistryError: It is no scalar of the wire.
    """
    try:
        shape: Shape | None = shape_of(annotation, where, {})
    except RegistryError:
        shape = None
    if isinstance(shape, Leaf):
        return shape
    raise RegistryError(
        f"{where}: {_name(annotation)} is no scalar of the wire; use str, bool, int, float, U32, "
        "U64, F32, UUID, datetime, Json, an Enum or a Literal"
    )


def refuse_unfit_scalar(annotation: Any, where: str) -> None:
    """Refuse what cannot be declared as a scalar.

    Args:
        annotation: What would stand in fields.
        where: What to call it in an error.

    Raises:
        RegistryError: It is read and written already, or is not a class, a ``NewType`` or an alias
            of a class.
    """
    base = annotation
    while isinstance(base, NewType):
        base = base.__supertype__
    cls = get_origin(base) or base
    special = (Annotated, Literal, Union, types.UnionType, types.NoneType)
    if not is_hashable(annotation) or not isinstance(cls, type) or cls in special:
        raise RegistryError(
            f"{where}: a scalar is a class, a NewType, or an alias of a class such as set[str]; "
            "a union or another special form is not: declare its members, or make a NewType"
        )
    if any(annotation is leaf.type for leaf in BUILTIN_LEAVES) or attrs.has(cls):
        raise RegistryError(
            f"{where}: the type is read and written already, and needs no declaration"
        )


def shape_of(annotation: Any, where: str, scalars: Scalars) -> Shape:
    """Return the shape of an annotation.

    Args:
        annotation: The annotation, evaluated.
        where: What to call its place in an error.
        scalars: The scalars that categories declared.

    Raises:
        RegistryError: It has none.
    """
    annotation = real_class(annotation)
    if is_hashable(annotation) and annotation in scalars:
        scalar = scalars[annotation]
        return Custom(annotation, scalar.name, leaf_of(scalar.wire, where), scalar)
    aliased = without_alias(annotation)
    if aliased is not annotation:
        return shape_of(aliased, where, scalars)
    for leaf in BUILTIN_LEAVES:
        if annotation is leaf.type:
            return leaf
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _annotated(annotation, arguments, where, scalars)
    if origin is Literal:
        return Choice(annotation, *_choices([(value, value) for value in arguments], where))
    if origin in (Union, types.UnionType):
        return Maybe(shape_of(_inner_of(arguments, annotation, where), where, scalars))
    if is_array(annotation):
        return Array(annotation, origin, shape_of(arguments[0], where, scalars))
    if is_map(annotation):
        return Map(annotation, shape_of(arguments[1], where, scalars))
    if isinstance(annotation, type) and issubclass(annotation, enum.Enum):
        # By the public ``value``, which an enum may define itself; aliases are the same member.
        members = dict.fromkeys(annotation.__members__.values())
        pairs = [(member.value, member) for member in members]
        return Choice(annotation, *_choices(pairs, where))
    if isinstance(annotation, type) and attrs.has(annotation):
        return Record(annotation)
    raise RegistryError(f"{where}: {_name(annotation)} cannot be read from the wire; {_ADVICE}")


def is_array(annotation: Any) -> bool:
    """Return whether an annotation is of a container that stands as an array on the wire."""
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is tuple:
        return arguments[1:] == (Ellipsis,)
    return origin in (list, frozenset) and bool(arguments)


def is_map(annotation: Any) -> bool:
    """Return whether an annotation is of a dict with keys that are strings."""
    arguments = get_args(annotation)
    is_dict = get_origin(annotation) is dict and bool(arguments)
    return is_dict and without_alias(arguments[0]) is str


def is_frozen_attrs(cls: type) -> bool:
    """Return whether a class itself, not only a base of it, is a frozen attrs class."""
    return "__attrs_attrs__" in vars(cls) and attrs.inspect(cls).is_frozen


def evaluate(annotation: Any, cls: type, where: str) -> Any:
    """Evaluate an annotation that is a string, or has strings in it.

    Names are looked up as a type checker does: in the modules of the class and its bases, and among
    the types that are nested in the class; its fields and methods do not count.

    Args:
        annotation: The annotation.
        cls: The class in which it stands.
        where: What to call its place in an error.

    Raises:
        RegistryError: A name in it is not found, or it cannot be evaluated.
    """
    if not _is_deferred(annotation):
        return annotation
    nested = {name: value for name, value in vars(cls).items() if _is_annotation(value)}
    module = vars(sys.modules.get(cls.__module__, builtins))

    def holder() -> None: ...

    holder.__annotations__ = {"it": annotation}
    names = {**module, cls.__name__: cls}
    try:
        return typing.get_type_hints(holder, names, nested, include_extras=True)["it"]
    except NameError as error:
        name = error.name
    except (AttributeError, SyntaxError, TypeError) as error:
        raise RegistryError(f"{where}: an annotation cannot be evaluated: {error}") from None
    raise RegistryError(
        f"{where}: the name {name!r} in an annotation is not found; "
        "import it, or define it, at the top level of the module"
    )


def _fields_of(cls: type, scalars: Scalars) -> tuple[RecordField, ...]:
    where = f"{cls.__module__}.{cls.__qualname__}"
    if not is_frozen_attrs(cls):
        raise RegistryError(f"{where} is not a frozen attrs class: decorate it with @attrs.frozen")
    if not attrs.inspect(cls).added_init:
        raise RegistryError(f"{where} has a constructor of its own, which cannot be called for it")
    _resolve(cls, where)
    return tuple(_field_of(attribute, where, scalars) for attribute in attrs.fields(cls))


def _resolve(cls: type, where: str) -> None:
    """Evaluate the annotations of a class in place, as ``attrs.resolve_types`` does."""
    for attribute in attrs.fields(cls):
        owner = next(
            (base for base in cls.__mro__ if attribute.name in inspect.get_annotations(base)), cls
        )
        resolved = evaluate(attribute.type, owner, where)
        object.__setattr__(attribute, "type", resolved)
    cls.__attrs_types_resolved__ = cls  # type: ignore[attr-defined]


def _is_deferred(annotation: object) -> bool:
    """Return whether an annotation, or a part of one, is still a string."""
    if isinstance(annotation, (str, typing.ForwardRef)):
        return True
    if get_origin(annotation) is Annotated:
        return _is_deferred(get_args(annotation)[0])
    is_literal = get_origin(annotation) is Literal
    return not is_literal and any(_is_deferred(part) for part in get_args(annotation))


def _is_annotation(value: object) -> bool:
    """Return whether a member of a class is a type, or an alias of one, and no field or method."""
    is_alias = _ALIAS is not None and isinstance(value, _ALIAS)
    return isinstance(value, (type, NewType)) or is_alias or get_origin(value) is not None


def without_alias(annotation: Any) -> Any:
    """Return what a ``NewType`` or a ``type`` alias names; another annotation as it is.

    Args:
        annotation: The annotation.
    """
    if isinstance(annotation, NewType):
        return annotation.__supertype__
    if _ALIAS is None:
        return annotation
    if isinstance(annotation, _ALIAS):
        return annotation.__value__
    origin = get_origin(annotation)
    return origin.__value__[get_args(annotation)] if isinstance(origin, _ALIAS) else annotation


def _field_of(attribute: "attrs.Attribute[Any]", where: str, scalars: Scalars) -> RecordField:
    where = f"{where}.{attribute.name}"
    if not attribute.init or attribute.alias != attribute.name:
        raise RegistryError(
            f"{where}: a field goes by one name, on the wire and to the constructor; "
            "it takes no init=False, no alias and no leading underscore"
        )
    shape = shape_of(attribute.type, where, scalars)
    if isinstance(shape, Maybe) and attribute.default is not None:
        raise RegistryError(
            f"{where}: None is not written, so what is left out must be None again: "
            "give the optional field the default None"
        )
    return RecordField(
        name=attribute.name,
        shape=shape,
        required=attribute.default is attrs.NOTHING,
        secret=is_secret(attribute.metadata),
    )


def _annotated(annotation: Any, arguments: tuple[Any, ...], where: str, scalars: Scalars) -> Shape:
    base, *marks = arguments
    if not is_hashable(annotation):
        raise RegistryError(f"{where}: the marks of an Annotated must be hashable")
    shape = shape_of(base, where, scalars)
    for mark in marks:
        if isinstance(mark, (IntRange, FloatRange)):
            shape = _narrowed(shape, mark, annotation, where)
    return shape


def _narrowed(shape: Shape, mark: IntRange | FloatRange, annotation: Any, where: str) -> Shape:
    """Return a shape with one more range, which holds beside those that it has."""
    if isinstance(shape, Maybe):
        return Maybe(_narrowed(shape.inner, mark, annotation, where))
    narrowed: Integer | Number
    if isinstance(shape, Integer) and isinstance(mark, IntRange):
        low, high = max(shape.low, mark.low), min(shape.high, mark.high)
        narrowed = Integer(annotation, mark.name, low, high)
        is_empty = not low <= high
    elif isinstance(shape, Number) and isinstance(mark, FloatRange):
        narrowed = Number(annotation, mark.name, min(shape.limit, mark.limit))
        is_empty = not narrowed.limit > 0
    else:
        wanted = "int" if isinstance(mark, IntRange) else "float"
        raise RegistryError(
            f"{where}: the {type(mark).__name__} {mark.name!r} is for {wanted} or {wanted} | None; "
            f"the items of a container are marked inside: tuple[Annotated[{wanted}, …], ...]"
        )
    if is_empty:
        raise RegistryError(f"{where}: no value is in the range {mark.name!r}")
    return narrowed


def _inner_of(arguments: tuple[Any, ...], annotation: Any, where: str) -> Any:
    rest = [argument for argument in arguments if argument is not types.NoneType]
    if len(rest) == 1 and len(arguments) == 2:
        return rest[0]
    raise RegistryError(
        f"{where}: {_name(annotation)} is a union, and nothing on the wire tells its members "
        "apart; give each its own optional field, or make each a message with a tag"
    )


def _choices(
    pairs: list[tuple[Any, Any]], where: str
) -> tuple[str, tuple[tuple[str | int, Any], ...]]:
    """Check what stands for the members of an enum or a literal on the wire, and name it all."""
    wires = [wire for wire, _ in pairs]
    if not wires or not all(_is_wire_value(wire) for wire in wires):
        raise RegistryError(
            f"{where}: an enum or a literal must be of strings or integers of 64 bits"
        )
    if len(set(wires)) < len(wires):
        raise RegistryError(f"{where}: two members of the enum have the same value on the wire")
    name = " | ".join(f'"{wire}"' if isinstance(wire, str) else str(wire) for wire in wires)
    return name, tuple(pairs)


def _is_wire_value(value: object) -> bool:
    if type(value) is str:
        return is_text(value)
    return type(value) is int and -(2**63) <= value < 2**64


def _refuse_unhashable_items(cls: type, field: RecordField, records: Records) -> None:
    shape = field.shape
    while not isinstance(shape, (Leaf, Record)):
        if isinstance(shape, Array) and shape.container is frozenset:
            culprit = _unhashable_in(shape.inner, records, frozenset())
            if culprit is not None:
                raise RegistryError(
                    f"{_place(cls, field)}: a frozenset holds hashable items only, "
                    f"and {culprit} has no hash; use a tuple"
                )
        shape = shape.inner


def _unhashable_in(shape: Shape, records: Records, seen: frozenset[type]) -> str | None:
    """Return the name of what has no hash in a shape, or None if all of it has one."""
    match shape:
        case Maybe(inner):
            return _unhashable_in(inner, records, seen)
        case Array(_, container, inner):
            return "a list" if container is list else _unhashable_in(inner, records, seen)
        case Map():
            return "a dict"
        case FreeJson():
            return "free JSON"
        case Custom():
            return None if _has_hash(shape.scalar.runtime_class) else shape.name
        case Record(inner_cls):
            if not _has_hash(inner_cls):
                return inner_cls.__qualname__
            if inner_cls in seen or not attrs.inspect(inner_cls).added_eq:
                return None
            inside = (
                _unhashable_in(field.shape, records, seen | {inner_cls})
                for field in records[inner_cls]
            )
            return next((f"{inner_cls.__qualname__}, in which {i}" for i in inside if i), None)
        case _:
            return None


def _has_hash(cls: type) -> bool:
    return issubclass(cls, Hashable)


def _refuse_unfit_default(cls: type, field: RecordField, records: Records) -> None:
    attribute = attrs.fields_dict(cls)[field.name]
    default: Any = attribute.default
    is_factory = isinstance(default, attrs.Factory)  # type: ignore[arg-type]
    if default is attrs.NOTHING or attribute.converter is not None:
        return
    if is_factory and default.takes_self:
        return
    where = _place(cls, field)
    if is_factory:
        try:
            default = default.factory()
        except Exception as error:
            raise RegistryError(f"{where}: the factory of its default fails: {error!r}") from error
    elif not is_hashable(default):
        raise RegistryError(
            f"{where}: the default is mutable, and every message would share it; "
            f"use field(factory={type(default).__name__})"
        )
    refusal = refusal_of(field.shape, default, records)
    if refusal is None and attribute.validator is not None and default is not None:
        refusal = _refusal_of_validator(cls, attribute, default)
    if refusal is not None:
        raise RegistryError(f"{where}: the field would refuse its own default: not {refusal}")


def _refusal_of_validator(cls: type, attribute: "attrs.Attribute[Any]", value: Any) -> str | None:
    assert attribute.validator is not None
    try:
        attribute.validator(object.__new__(cls), attribute, value)
    except AttributeError:  # it looks at other fields, which are not known here
        return None
    except REFUSALS:
        return "a value that its validator accepts"
    return None


def _place(cls: type, field: RecordField) -> str:
    return f"{cls.__module__}.{cls.__qualname__}.{field.name}"


def is_hashable(value: object) -> bool:
    """Return whether a value has a hash."""
    try:
        hash(value)
    except TypeError:
        return False
    return True


def _name(annotation: object) -> str:
    return annotation.__qualname__ if isinstance(annotation, type) else str(annotation)
