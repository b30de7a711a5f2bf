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
    Text,
    innermost,
    refusal_of,
)
from tachikoma_proto.errors import RegistryError
from tachikoma_proto.wire.formats import real_class
from tachikoma_proto.wire.paths import is_text

Scalars = Mapping[Any, ScalarDeclaration]
"""The scalars that categories declared, by annotation."""

_NEEDS_NO_DECLARATION: Final = "the type is read and written already, and needs no declaration"

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
        for field, attribute in zip(fields, attrs.fields(cls), strict=True):
            _refuse_unhashable_items(cls, field, records)
            _refuse_unfit_default(cls, field, attribute, records)
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
        f"{where}: {name_of(annotation)} is no scalar of the wire; use str, bool, int, float, U32, "
        "U64, F32, UUID, datetime, Json, an Enum or a Literal"
    )


def scalar_class(annotation: Any, where: str) -> type:
    """Return the class whose instances are the values of a type that is declared as a scalar.

    Args:
        annotation: What would stand in fields.
        where: What to call it in an error.

    Raises:
        RegistryError: It is read and written already, or is not a class, a ``NewType`` or an alias
            of a class, or ``isinstance`` does not tell its values.
    """
    if any(annotation is leaf.type for leaf in BUILTIN_LEAVES):
        raise RegistryError(f"{where}: {_NEEDS_NO_DECLARATION}")
    base = unaliased(annotation, where)
    cls = get_origin(base) or base
    special = (Annotated, Literal, Union, types.UnionType, types.NoneType)
    if not is_hashable(annotation) or not isinstance(cls, type) or cls in special:
        raise RegistryError(
            f"{where}: a scalar is a class, or a NewType or an alias of one, such as set[str]; "
            "unions, Literal, Annotated and other special forms are not: declare a class for the "
            "values, or a NewType of a class"
        )
    if attrs.has(cls):
        raise RegistryError(f"{where}: {_NEEDS_NO_DECLARATION}")
    try:
        isinstance(None, cls)
    except TypeError:
        raise RegistryError(
            f"{where}: isinstance() cannot tell its values, as with a TypedDict or a protocol that "
            "is not runtime_checkable; declare a class for them, or a NewType of a class"
        ) from None
    return cls


def shape_of(annotation: Any, where: str, scalars: Scalars) -> Shape:
    """Return the shape of an annotation.

    Args:
        annotation: The annotation, evaluated.
        where: What to call its place in an error.
        scalars: The scalars that categories declared.

    Raises:
        RegistryError: It has none.
    """
    try:
        return _shape_of(annotation, where, scalars)
    except RecursionError:
        raise _endless(annotation, where) from None


def _shape_of(annotation: Any, where: str, scalars: Scalars) -> Shape:
    annotation = real_class(annotation)
    for leaf in BUILTIN_LEAVES:  # none of which can be declared as a scalar
        if annotation is leaf.type:
            return leaf
    if is_hashable(annotation) and annotation in scalars:
        scalar = scalars[annotation]
        return Custom(annotation, scalar.name, leaf_of(scalar.wire, where), scalar)
    aliased = without_alias(annotation, where)
    if aliased is not annotation:
        return _shape_of(aliased, where, scalars)
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _annotated(annotation, arguments, where, scalars)
    if origin is Literal:
        pairs = [(value, value) for value in arguments]
        return Choice(annotation, *_choices(pairs, annotation, where))
    if origin in (Union, types.UnionType):
        return Maybe(_shape_of(_inner_of(arguments, annotation, where), where, scalars))
    if is_array(annotation):
        return Array(annotation, origin, _shape_of(arguments[0], where, scalars))
    if origin is dict and arguments and isinstance(_shape_of(arguments[0], where, scalars), Text):
        return Map(annotation, _shape_of(arguments[1], where, scalars))
    if isinstance(annotation, type) and issubclass(annotation, enum.Enum):
        return Choice(annotation, *_choices(_enum_pairs(annotation, where), annotation, where))
    if isinstance(annotation, type) and attrs.has(annotation):
        return Record(annotation)
    raise RegistryError(f"{where}: {name_of(annotation)} cannot be read from the wire; {_ADVICE}")


def is_array(annotation: Any) -> bool:
    """Return whether an annotation is of a container that stands as an array on the wire."""
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is tuple:
        return arguments[1:] == (Ellipsis,)
    return origin in (list, frozenset) and bool(arguments)


def is_map(annotation: Any) -> bool:
    """Return whether an annotation is of a dict with keys that are strings."""
    if get_origin(annotation) is not dict or not get_args(annotation):
        return False
    try:
        return isinstance(shape_of(get_args(annotation)[0], "a key", {}), Text)
    except RegistryError:
        return False


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
    return _evaluated(annotation, {**_module_of(cls), cls.__name__: cls}, nested, where)


def _evaluated(annotation: Any, names: dict[str, Any], nested: dict[str, Any], where: str) -> Any:
    """Evaluate an annotation, or what a function returns, as far as it consists of strings."""

    def holder() -> None: ...

    try:
        if isinstance(annotation, types.FunctionType):
            annotation = annotation()
        if not _is_deferred(annotation):
            return annotation
        holder.__annotations__ = {"it": annotation}
        return typing.get_type_hints(holder, names, nested, include_extras=True)["it"]
    except NameError as error:
        name = error.name
    except RecursionError:
        raise
    except Exception as error:  # noqa: BLE001 - an annotation is any expression
        raise RegistryError(f"{where}: an annotation cannot be evaluated: {error}") from None
    raise RegistryError(
        f"{where}: the name {name!r} in an annotation is not found; "
        "import it, or define it, at the top level of the module"
    )


def _module_of(definition: Any) -> dict[str, Any]:
    """Return the names of the module in which a class or an alias is defined."""
    return vars(sys.modules.get(definition.__module__, builtins))


def unaliased(annotation: Any, where: str) -> Any:
    """Return what a ``NewType`` or an alias names in the end.

    Args:
        annotation: The annotation.
        where: What to call its place in an error.

    Raises:
        RegistryError: What it names cannot be evaluated, or it is an alias of itself.
    """
    try:
        named = without_alias(annotation, where)
        return named if named is annotation else unaliased(named, where)
    except RecursionError:
        raise _endless(annotation, where) from None


def _endless(annotation: Any, where: str) -> RegistryError:
    return RegistryError(
        f"{where}: {name_of(annotation)} is an alias of itself, and has no end; use a frozen attrs "
        "class for what holds more of its kind, or Json"
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
        if _is_deferred(attribute.type):
            owner = next(
                (base for base in cls.__mro__ if attribute.name in inspect.get_annotations(base)),
                cls,
            )
            resolved = evaluate(attribute.type, owner, where)
            object.__setattr__(attribute, "type", resolved)
    cls.__attrs_types_resolved__ = cls  # type: ignore[attr-defined]


def _is_deferred(annotation: object) -> bool:
    """Return whether an annotation, or a part of one, is still a string."""
    if isinstance(annotation, (str, typing.ForwardRef)):
        return True
    origin, parts = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _is_deferred(parts[0])
    return origin is not Literal and any(map(_is_deferred, parts))


def _is_annotation(value: object) -> bool:
    """Return whether a member of a class is a type, or an alias of one, and no field or method."""
    is_alias = _ALIAS is not None and isinstance(value, _ALIAS)
    return isinstance(value, (type, NewType)) or is_alias or get_origin(value) is not None


def without_alias(annotation: Any, where: str) -> Any:
    """Return what a ``NewType`` or a ``type`` alias names; another annotation as it is.

    Args:
        annotation: The annotation.
        where: What to call its place in an error.

    Raises:
        RegistryError: What it names cannot be evaluated.
    """
    if isinstance(annotation, NewType):
        return _evaluated(annotation.__supertype__, _module_of(annotation), {}, where)
    origin = get_origin(annotation)
    alias = annotation if origin is None else origin
    if _ALIAS is None or not isinstance(alias, _ALIAS):
        return annotation
    named = _evaluated(lambda: alias.__value__, _module_of(alias), {}, where)
    if origin is None:
        return named
    # What it names may have its parameters in another order than the alias, or lack some.
    given = dict(zip(alias.__type_params__, get_args(annotation), strict=False))
    if isinstance(named, typing.TypeVar):
        return given.get(named, named)
    parameters = getattr(named, "__parameters__", ())
    arguments = tuple(given.get(parameter, parameter) for parameter in parameters)
    return _evaluated(lambda: named[arguments], {}, {}, where) if arguments else named


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
        if mark is IntRange or mark is FloatRange:
            raise RegistryError(f"{where}: {mark.__name__} is a class; make an instance of it")
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
        f"{where}: {name_of(annotation)} is a union, and nothing on the wire tells its members "
        "apart; give each its own optional field, or make each a message with a tag"
    )


def _enum_pairs(cls: type[enum.Enum], where: str) -> list[tuple[Any, enum.Enum]]:
    """Return the members of an enum, each after its value.

    It is the public ``value``, which an enum may define itself. Aliases are the same member, which
    only its identity tells: members may be equal to others, or have no hash.
    """
    members = {id(member): member for member in cls.__members__.values()}.values()
    try:
        return [(member.value, member) for member in members]
    except Exception as error:
        raise RegistryError(
            f"{where}: the value of a member of {name_of(cls)} cannot be had: {error!r}"
        ) from error


def _choices(
    pairs: list[tuple[Any, Any]], annotation: Any, where: str
) -> tuple[str, tuple[tuple[str | int, Any], ...]]:
    """Check what stands for the members of an enum or a literal on the wire, and name it all."""
    wires = [wire for wire, _ in pairs]
    if not wires or not all(_is_wire_value(wire) for wire in wires):
        raise RegistryError(
            f"{where}: an enum or a literal must be of strings or integers of 64 bits, which "
            f"{name_of(annotation)} is not; declare the enum with Category.scalar, and write a "
            "literal None as | None, True and False as bool"
        )
    if len(set(wires)) < len(wires):
        raise RegistryError(
            f"{where}: two members of {name_of(annotation)} have the same value on the wire; give "
            "each its own"
        )
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
            is_by_fields = attrs.inspect(inner_cls).hashability.value != "leave_alone"
            if inner_cls in seen or not is_by_fields:
                return None
            hashed = {
                attribute.name
                for attribute in attrs.fields(inner_cls)
                if (attribute.eq if attribute.hash is None else attribute.hash)
            }
            inside = (
                _unhashable_in(field.shape, records, seen | {inner_cls})
                for field in records[inner_cls]
                if field.name in hashed
            )
            return next((f"{inner_cls.__qualname__}, in which {i}" for i in inside if i), None)
        case _:
            return None


def _has_hash(cls: type) -> bool:
    return issubclass(cls, Hashable)


def _refuse_unfit_default(
    cls: type, field: RecordField, attribute: "attrs.Attribute[Any]", records: Records
) -> None:
    default: Any = attribute.default
    converter: Any = attribute.converter
    where = _place(cls, field)
    if default is attrs.NOTHING or _takes_self(default) or _takes_self(converter):
        return
    is_shared = not isinstance(default, attrs.Factory) and converter is None  # type: ignore[arg-type]
    if is_shared and not is_hashable(default) and not isinstance(default, enum.Enum):
        raise RegistryError(
            f"{where}: the default is mutable, and every message would share it; "
            f"use field(factory={type(default).__name__})"
        )
    try:
        if isinstance(default, attrs.Factory):  # type: ignore[arg-type]
            default = default.factory()  # pyright: ignore[reportAttributeAccessIssue]
        if isinstance(converter, attrs.Converter):
            default = converter(default, None, attribute)  # type: ignore[operator]
        elif converter is not None:
            default = converter(default)
    except Exception as error:
        raise RegistryError(f"{where}: its default cannot be made: {error!r}") from error
    expected = refusal_of(field.shape, default, records)
    if expected is None and attribute.validator is not None:
        expected = _refusal_of_validator(cls, attribute, default)
    if expected is not None:
        is_for_none = default is None and not isinstance(field.shape, Maybe)
        advice = "; for None, annotate the field with | None" if is_for_none else ""
        raise RegistryError(
            f"{where}: the field would refuse its own default, which must be {expected}{advice}"
        )


def _takes_self(factory_or_converter: Any) -> bool:
    """Return whether what makes a value looks at the other fields, which are not known here."""
    return bool(getattr(factory_or_converter, "takes_self", False))


def _refusal_of_validator(cls: type, attribute: "attrs.Attribute[Any]", value: Any) -> str | None:
    assert attribute.validator is not None
    try:
        attribute.validator(object.__new__(cls), attribute, value)
    except AttributeError:  # it looks at other fields
        return None
    except Exception:  # noqa: BLE001 - it is not our code
        from tachikoma_proto.declare.narrowing import expected_by

        return expected_by(attribute.validator, value)
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


def name_of(annotation: object) -> str:
    """Return what errors call an annotation.

    Args:
        annotation: The annotation.
    """
    if isinstance(annotation, str):
        return repr(annotation)
    if isinstance(annotation, type) and get_origin(annotation) is None:
        return annotation.__qualname__
    return str(annotation)
