"""Shapes: what may stand in a field of a message, as data.

Annotations are read once, when a registry is built, into shapes. Whoever walks messages goes by
shapes (the converter's hooks, the search for faults, the engine's plan, the schemas, the strategies
for tests), so that they cannot disagree about what a field is.

Rules:

* A shape is a leaf (read and written as one value), or is made of shapes: ``Maybe``, ``Array``,
  ``Map``. A ``Record`` stands for an attrs class, whose fields are in the registry's ``records``.
* A leaf's ``refusal`` is the one place that says which values of Python its field may hold: the
  converter asks it when it writes, and the registry when it checks defaults.
* ``expected`` is a noun phrase for errors: what should have stood there on the wire.
"""

import builtins
import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, ClassVar, Final, TypeAlias, get_origin
from uuid import UUID

import attrs

from tachikoma_proto.declare.frozen import frozen
from tachikoma_proto.wire.formats import STANDARD, format_timestamp
from tachikoma_proto.wire.json_values import find_json_faults, is_finite
from tachikoma_proto.wire.paths import is_text

REFUSALS: Final = (
    ValueError,
    TypeError,
    ArithmeticError,
    LookupError,
    AssertionError,
    AttributeError,
)
"""How code of others refuses a value: validators, converters, and the functions of a scalar.

Whatever else they raise is a mistake in them, which refuses the value, too, and is logged.
"""


def log_mistake(error: Exception, what: str) -> None:
    """Log that code of others failed where it could have refused a value.

    The record says what was raised and where, and nothing of the value or of the error's text,
    which may hold it.

    Args:
        error: What was raised.
        what: Whose code it is.
    """
    import logging
    import traceback

    logger = logging.getLogger("tachikoma_proto.codec")
    frames = traceback.extract_tb(error.__traceback__)
    place = f"{frames[-1].filename}:{frames[-1].lineno}" if frames else "an unknown place"
    logger.error("%s raised %s at %s; the value is refused", what, type(error).__name__, place)


@frozen
class ScalarDeclaration:
    """A type of an extension's own, read and written as one JSON value.

    Attributes:
        cls: The annotation that stands in fields: a class, a ``NewType``, or an alias such as
            ``set[str]``.
        wire: The annotation of the JSON value that stands for it on the wire.
        read: Makes a value from the wire's; one of ``REFUSALS`` refuses it.
        write: The reverse.
        expected: What the type is, as a noun phrase, for errors.
        runtime_class: The class whose instances are values of the type.
        schema: Keywords of JSON Schema that hold beside those of the wire's type.
    """

    cls: Any
    wire: Any
    read: Callable[[Any], Any]
    write: Callable[[Any], Any]
    expected: str
    runtime_class: type
    schema: Mapping[str, Any] = attrs.field(factory=dict, hash=False)

    @property
    def name(self) -> str:
        """What errors and tables call the type."""
        is_alias = get_origin(self.cls) is not None
        return str(self.cls) if is_alias else str(self.cls.__name__)


@frozen
class Leaf:
    """One value.

    Attributes:
        type: The annotation.
        name: What the contract calls the type, such as ``u32``.
    """

    type: Any
    name: str

    _expected: ClassVar[str] = ""

    @property
    def expected(self) -> str:
        """What should stand there on the wire, as a noun phrase."""
        return self._expected

    def refusal(self, value: Any) -> str | None:
        """Return what was expected instead of a value, or None if the field may hold it.

        Args:
            value: Any object of Python.
        """
        raise NotImplementedError


class Text(Leaf):
    """A string without lone surrogates."""

    __slots__ = ()

    _expected: ClassVar[str] = "a string"

    def refusal(self, value: Any) -> str | None:
        """Return what was expected instead of a value, or None if the field may hold it."""
        if not isinstance(value, str):
            return self.expected
        return None if value.isascii() or is_text(value) else "text without lone surrogates"


class Boolean(Leaf):
    """True or False."""

    __slots__ = ()

    _expected: ClassVar[str] = "a boolean"

    def refusal(self, value: Any) -> str | None:
        """Return what was expected instead of a value, or None if the field may hold it."""
        return None if value is True or value is False else self.expected


@frozen
class Integer(Leaf):
    """A whole number between two bounds, both included."""

    low: int
    high: int

    @property
    def expected(self) -> str:
        """What should stand there on the wire, as a noun phrase."""
        return f"an integer from {self.low} to {self.high}"

    def refusal(self, value: Any) -> str | None:
        """Return what was expected instead of a value, or None if the field may hold it."""
        is_integer = type(value) is int or (isinstance(value, int) and not isinstance(value, bool))
        return None if is_integer and self.low <= value <= self.high else self.expected


@frozen
class Number(Leaf):
    """A finite float between ``-limit`` and ``limit``, neither included; integers count."""

    limit: float

    @property
    def expected(self) -> str:
        """What should stand there on the wire, as a noun phrase."""
        return f"a finite number ({self.name})"

    def refusal(self, value: Any) -> str | None:
        """Return what was expected instead of a value, or None if the field may hold it."""
        if type(value) is not float:
            is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
            if not is_number or not is_finite(value):
                return self.expected
            value = float(value)
        return None if -self.limit < value < self.limit else self.expected


class Identifier(Leaf):
    """A UUID."""

    __slots__ = ()

    _expected: ClassVar[str] = "a UUID"

    def refusal(self, value: Any) -> str | None:
        """Return what was expected instead of a value, or None if the field may hold it."""
        return None if isinstance(value, UUID) else self.expected


class Timestamp(Leaf):
    """An aware time."""

    __slots__ = ()

    _expected: ClassVar[str] = "an RFC 3339 date-time with an offset"

    def refusal(self, value: Any) -> str | None:
        """Return what was expected instead of a value, or None if the field may hold it."""
        if isinstance(value, STANDARD.datetime) and format_timestamp(value) is not None:
            return None
        return "a datetime with a time zone, of the years 1 to 9999 in UTC"


class FreeJson(Leaf):
    """Any JSON."""

    __slots__ = ()

    _expected: ClassVar[str] = "a JSON value"

    def refusal(self, value: Any) -> str | None:
        """Return what was expected instead of a value, or None if the field may hold it."""
        fault = next(find_json_faults(value, ()), None)
        return None if fault is None else fault.expected


@frozen
class Choice(Leaf):
    """A member of an enum, or one of the values of a ``Literal``.

    Attributes:
        members: What stands on the wire, a string or an integer, with the value that it means.
    """

    members: tuple[tuple[str | int, Any], ...]

    @property
    def expected(self) -> str:
        """What should stand there on the wire, as a noun phrase."""
        return f"one of {', '.join(quoted(wire) for wire, _ in self.members)}"

    @property
    def is_enum(self) -> bool:
        """Whether the values are members of an enum, which are told apart by identity."""
        return isinstance(self.type, type)

    def wire_of(self, value: Any) -> str | int | None:
        """Return what stands for a value on the wire, or None if it is none of the members."""
        for wire, member in self.members:
            if value is member or (
                not self.is_enum and type(value) is type(member) and value == member
            ):
                return wire
        return None

    def refusal(self, value: Any) -> str | None:
        """Return what was expected instead of a value, or None if the field may hold it."""
        if self.wire_of(value) is not None:
            return None
        return f"a member of {self.type.__qualname__}" if self.is_enum else self.expected


@frozen
class Custom(Leaf):
    """A value of a type that a category declared as a scalar.

    Attributes:
        wire: What stands for it on the wire.
        scalar: The declaration.
    """

    wire: Leaf
    scalar: ScalarDeclaration

    @property
    def expected(self) -> str:
        """What should stand there on the wire, as a noun phrase."""
        return self.scalar.expected

    def refusal(self, value: Any) -> str | None:
        """Return what was expected instead of a value, or None if the field may hold it."""
        if not isinstance(value, self.scalar.runtime_class):
            return self.expected
        try:
            written = self.scalar.write(value)
        except (*REFUSALS, RecursionError):
            return self.expected
        except Exception as error:  # noqa: BLE001 - it is not our code
            log_mistake(error, f"what writes {self.name}")
            return self.expected
        return self.wire.refusal(written)


@frozen
class Maybe:
    """A value or None; None is not written."""

    inner: "Shape"


@frozen
class Array:
    """A JSON array of one kind of item.

    Attributes:
        type: The annotation.
        container: What holds the items in Python: ``tuple``, ``list`` or ``frozenset``.
        inner: The items' shape.
    """

    type: Any
    container: builtins.type[Any]
    inner: "Shape"

    @property
    def accepted(self) -> tuple[builtins.type[Any], ...]:
        """The classes that the field may hold."""
        return (frozenset, set) if self.container is frozenset else (tuple, list)


@frozen
class Map:
    """A JSON object of free keys and one kind of value."""

    type: Any
    inner: "Shape"


@frozen
class Record:
    """A JSON object with the fields of an attrs class."""

    type: type


Shape: TypeAlias = Leaf | Maybe | Array | Map | Record


@frozen(kw_only=True)
class RecordField:
    """One field of an attrs class.

    Attributes:
        name: Its name in Python and on the wire.
        shape: What stands in it.
        required: Whether it has no default.
        secret: Whether no repr, log or error may show its value.
    """

    name: str
    shape: Shape
    required: bool = True
    secret: bool = False


Records: TypeAlias = Mapping[type, tuple[RecordField, ...]]
"""The fields of each attrs class that is a message or stands in one."""

UUID_LEAF: Final = Identifier(UUID, "uuid")
TIMESTAMP_LEAF: Final = Timestamp(STANDARD.datetime, "timestamp")
TEXT_LEAF: Final = Text(str, "str")


def quoted(value: str | int) -> str:
    """Return a value of an enum or a ``Literal`` as errors and tables show it."""
    return f'"{value}"' if isinstance(value, str) else str(value)


def without_none(shape: Shape) -> Shape:
    """Return what stands in a shape where it is not None."""
    return shape.inner if isinstance(shape, Maybe) else shape


def leaves_in(records: Records) -> Iterator[Leaf]:
    """Go through the leaves that stand in fields, however deep; some come more than once.

    Args:
        records: The fields by class.
    """
    for fields in records.values():
        for field in fields:
            shape = innermost(field.shape)
            if isinstance(shape, Leaf):
                yield shape


def innermost(shape: Shape) -> Leaf | Record:
    """Return the leaf or the record that stands in a shape."""
    while isinstance(shape, (Maybe, Array, Map)):
        shape = shape.inner
    return shape


def nested_below(cls: type, records: Records) -> set[type]:
    """Return the classes that stand in a class, however deep.

    Args:
        cls: The class.
        records: The fields by class.
    """
    seen: set[type] = set()
    waiting = [cls]
    while waiting:
        for field in records[waiting.pop()]:
            shape = innermost(field.shape)
            if isinstance(shape, Record) and shape.type not in seen:
                seen.add(shape.type)
                waiting.append(shape.type)
    return seen


def recursive_in(records: Records) -> set[type]:
    """Return the classes that stand in themselves, however deep.

    Args:
        records: The fields by class.
    """
    return {cls for cls in records if cls in nested_below(cls, records)}


def holds_secrets(cls: type, records: Records) -> bool:
    """Return whether a class has a secret field, itself or in a class nested in it.

    Args:
        cls: The class.
        records: The fields by class.
    """
    classes = {cls, *nested_below(cls, records)}
    return any(field.secret for one in classes for field in records[one])


def holds_floats(cls: type, records: Records) -> bool:
    """Return whether there may be a float in a class, itself or in a class nested in it.

    Args:
        cls: The class.
        records: The fields by class.
    """
    classes = {cls, *nested_below(cls, records)}
    leaves = leaves_in({one: records[one] for one in classes})
    wires = (leaf.wire if isinstance(leaf, Custom) else leaf for leaf in leaves)
    return any(isinstance(wire, (Number, FreeJson)) for wire in wires)


def depth_of(shape: Shape, records: Records) -> float:
    """Return how many levels of objects and arrays a shape may have; infinity if no limit is set.

    Args:
        shape: The shape.
        records: The fields by class.
    """
    known: dict[type, float] = dict.fromkeys(recursive_in(records), math.inf)

    def depth(shape: Shape) -> float:
        match shape:
            case Custom():
                return depth(shape.wire)
            case Leaf():
                return math.inf if isinstance(shape, FreeJson) else 0
            case Maybe():
                return depth(shape.inner)
            case Array() | Map():
                return 1 + depth(shape.inner)
            case Record(cls):
                if cls not in known:
                    fields = (depth(field.shape) for field in records[cls])
                    known[cls] = 1 + max(fields, default=0)
                return known[cls]

    return depth(shape)


def refusal_of(shape: Shape, value: Any, records: Records) -> str | None:
    """Return what was expected instead of a value, or None if a field of a shape may hold it.

    Args:
        shape: The shape.
        value: Any object of Python.
        records: The fields by class.
    """

    def first(pairs: Iterable[tuple[Shape, Any]]) -> str | None:
        refusals = (refusal_of(inner, item, records) for inner, item in pairs)
        return next((refusal for refusal in refusals if refusal), None)

    match shape:
        case Leaf():
            return shape.refusal(value)
        case Maybe(inner):
            return None if value is None else refusal_of(inner, value, records)
        case Array(_, container, inner):
            if not isinstance(value, shape.accepted):
                return f"a {container.__name__}"
            return first((inner, item) for item in value)
        case Map(_, inner):
            if not isinstance(value, dict):
                return "a dict"
            return first(pair for k, v in value.items() for pair in ((TEXT_LEAF, k), (inner, v)))
        case Record(cls):
            if type(value) is not cls:
                return f"an instance of {cls.__qualname__}"
            return first((field.shape, getattr(value, field.name)) for field in records[cls])


def describe_field(field: RecordField, records: Records) -> str:
    """Name a field as the contract's tables do: ``topic: str``, ``message?: str``.

    Args:
        field: The field.
        records: Where the fields of nested classes are found.
    """
    shape = without_none(field.shape)
    secret = " (secret)" if field.secret else ""
    return f"{field.name}{'' if field.required else '?'}: {_describe(shape, records)}{secret}"


def _describe(shape: Shape, records: Records) -> str:
    match shape:
        case Leaf():
            return shape.name
        case Maybe(inner):
            return f"{_describe(inner, records)} | null"
        case Array(_, _, inner):
            return f"[{_describe(inner, records)}]"
        case Map(_, inner):
            return f"{{str: {_describe(inner, records)}}}"
        case Record(cls):
            if cls not in records:  # it is being described already, and holds itself
                return cls.__name__
            others = {other: fields for other, fields in records.items() if other is not cls}
            return "{" + ", ".join(describe_field(f, others) for f in records[cls]) + "}"
