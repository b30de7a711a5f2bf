"""Strategies of hypothesis for the messages of a registry, made from their shapes.

Rules:

* Every value is one that can be written, and that a peer reads back as an equal one.
* What the shapes cannot say (the values of a ``Category.scalar``, what a validator refuses) comes
  from the author, as a mapping from types to strategies. It goes before all that is here.
* A strategy that is missing is found out when the strategy is made, not when a value is drawn.
"""

import math
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from functools import partial
from types import NoneType, UnionType
from typing import Any, Final, TypeAlias, TypeVar, Union, cast, get_args, get_origin

import attrs

from tachikoma_proto.declare.annotations import is_hashable, shape_of, without_alias
from tachikoma_proto.declare.bases import Command, Event, Response
from tachikoma_proto.declare.declarations import (
    EVENT_PREFIX,
    MessageDeclaration,
    MessageKind,
    Sender,
)
from tachikoma_proto.declare.narrowing import Narrowing, narrowing_of
from tachikoma_proto.declare.scalars import READY_MADE
from tachikoma_proto.declare.shapes import (
    REFUSALS,
    Array,
    Boolean,
    Choice,
    Custom,
    FreeJson,
    Identifier,
    Integer,
    Map,
    Maybe,
    Number,
    Record,
    RecordField,
    Shape,
    Text,
    Timestamp,
)
from tachikoma_proto.messages.envelope import IncomingMessage, OutgoingMessage
from tachikoma_proto.registry.registry import Registry
from tachikoma_proto.testing.needs_hypothesis import strategies as st
from tachikoma_proto.testing.source import Source, registry_of
from tachikoma_proto.wire.formats import STANDARD

M = TypeVar("M", bound="Command[Any] | Event | Response")

Types: TypeAlias = Mapping[Any, st.SearchStrategy[Any]]
"""Strategies by type: of declared scalars, and of any type or class whose own is not wanted."""

_ZONES: Final = [UTC, *(timezone(timedelta(minutes=m)) for m in (-11 * 60, -210, 345, 14 * 60))]
_CHARACTERS: Final = st.characters(codec="utf-8")
_TEXT: Final = st.text(_CHARACTERS)


def messages(
    cls: type[M], source: Source = None, *, types: Types | None = None
) -> st.SearchStrategy[M]:
    """Return a strategy for messages of a class.

    Args:
        cls: A class that the source holds.
        source: The category or the registry; the built-in messages if left out.
        types: Strategies for the values of declared scalars, and for any other type or class
            that needs another strategy than its shape gives.

    Returns:
        The strategy. Fields that have a default are sometimes left out.

    Raises:
        LookupError: The source does not hold the class, or ``types`` lacks a declared scalar.
    """
    return cast("st.SearchStrategy[M]", _Maker(registry_of(source), types).record(cls))


def envelopes(
    cls: type[M], source: Source = None, *, types: Types | None = None
) -> st.SearchStrategy[IncomingMessage[M] | OutgoingMessage[M]]:
    """Return a strategy for messages of a class, in the envelope of the side that sends them.

    Args:
        cls: A class that the source holds.
        source: As for :func:`messages`.
        types: As for :func:`messages`.

    Returns:
        A strategy for ``IncomingMessage`` of a command, ``OutgoingMessage`` of another class.

    Raises:
        LookupError: As for :func:`messages`.
    """
    registry = registry_of(source)
    declaration = registry.declaration_of(cls)
    if declaration is None:
        raise LookupError(f"{cls.__qualname__} is in no category of {registry!r}")
    return envelopes_of(declaration, registry, types)


def envelopes_of(
    declaration: MessageDeclaration, registry: Registry, types: Types | None = None
) -> st.SearchStrategy[IncomingMessage[Any] | OutgoingMessage[Any]]:
    """Return a strategy for what a declaration says, as :func:`envelopes` does for a class."""
    maybe_id, payload = st.none() | st.uuids(), _Maker(registry, types).record(declaration.cls)
    says = st.just(
        EVENT_PREFIX + declaration.category
        if declaration.kind is MessageKind.EVENT
        else declaration.message_type
    )
    if declaration.sender is Sender.CLIENT and declaration.kind is MessageKind.KEEPALIVE:
        return st.builds(IncomingMessage, type=says, payload=payload)
    if declaration.sender is Sender.CLIENT:
        times = st.none() | _TIMES
        return st.builds(IncomingMessage, id=maybe_id, type=says, timestamp=times, payload=payload)
    made = {"id": st.uuids(), "type": says, "timestamp": _TIMES, "payload": payload}
    return st.builds(OutgoingMessage, reply_to=maybe_id, **made)


def json_values() -> st.SearchStrategy[Any]:
    """Return a strategy for free JSON, as a field of type ``Json`` may hold it."""
    numbers = st.integers(-(2**63), 2**64 - 1) | _narrowed_floats(Narrowing(), math.inf)
    scalars = st.none() | st.booleans() | numbers | _TEXT
    return st.recursive(
        scalars,
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_TEXT, inner, max_size=4),
        max_leaves=10,
    )


# A year is left free at either end, so that every time has a place in UTC.
_TIMES: Final = st.datetimes(
    datetime(2, 1, 1), datetime(9998, 12, 31), timezones=st.sampled_from(_ZONES)
)

_READY_MADE: Final[Mapping[Any, Callable[[Any, Any], st.SearchStrategy[Any]]]] = {
    Decimal: partial(st.decimals, allow_nan=False, allow_infinity=False, places=6),
    STANDARD.date: lambda low, high: st.dates(
        STANDARD.date.min if low is None else low, STANDARD.date.max if high is None else high
    ),
    timedelta: lambda low, high: st.timedeltas(
        timedelta.min if low is None else low, timedelta.max if high is None else high
    ),
}
"""What makes strategies for the scalars of ``READY_MADE`` between two bounds, by their class."""


class _Maker:
    """Makes strategies for one registry; each class has one, which may hold itself."""

    def __init__(self, registry: Registry, types: Types | None) -> None:
        self._registry = registry
        self._types: Types = {} if types is None else types
        self._made: dict[type, st.SearchStrategy[Any]] = {}

    def record(self, cls: type) -> st.SearchStrategy[Any]:
        if cls in self._types:
            return self._types[cls]
        if cls not in self._registry.records:
            raise LookupError(f"{cls.__qualname__} is in no category of {self._registry!r}")
        if cls not in self._made:
            self._made[cls] = st.deferred(lambda: made)
            fields = self._registry.records[cls]
            made = st.fixed_dictionaries(
                {f.name: self._field(cls, f) for f in fields if f.required},
                optional={f.name: self._field(cls, f) for f in fields if not f.required},
            ).map(lambda values: cls(**values))
            self._made[cls] = made
        return self._made[cls]

    def _field(self, cls: type, field: RecordField) -> st.SearchStrategy[Any]:
        attribute = attrs.fields_dict(cls)[field.name]
        where = f"{cls.__qualname__}.{field.name}"
        if is_hashable(attribute.type) and attribute.type in self._types:
            return self._types[attribute.type]
        strategy = self._of(attribute.type, narrowing_of(attribute.validator, where))
        if attribute.validator is None:
            return strategy
        return strategy.filter(partial(_accepts, cls, attribute))

    def _of(self, annotation: Any, narrowing: Narrowing) -> st.SearchStrategy[Any]:
        if is_hashable(annotation) and annotation in self._types:
            return self._types[annotation]
        aliased = without_alias(annotation, "an annotation")
        if aliased is not annotation:
            return self._of(aliased, narrowing)
        shape = shape_of(annotation, "an annotation", self._registry.scalars)
        arguments = get_args(annotation)
        if get_origin(annotation) in (Union, UnionType):
            (inner,) = (argument for argument in arguments if argument is not NoneType)
            return st.none() | self._of(inner, narrowing)
        if narrowing.options is not None:
            return st.sampled_from(list(narrowing.options))
        match shape:
            case Maybe(inner):  # with a range around it
                return st.none() | self._leaf(inner, narrowing)
            case Array(_, container):
                items = self._of(arguments[0], narrowing.items or Narrowing())
                least, most = narrowing.sizes(5)
                if container is frozenset:
                    return st.frozensets(items, min_size=least, max_size=most)
                return st.lists(items, min_size=least, max_size=most).map(container)
            case Map():
                least, most = narrowing.sizes(5)
                keys = self._of(arguments[0], narrowing.keys or Narrowing())
                values = self._of(arguments[1], narrowing.items or Narrowing())
                return st.dictionaries(keys, values, min_size=least, max_size=most)
            case Record(cls):
                return self.record(cls)
            case _:
                return self._leaf(shape, narrowing)

    def _leaf(self, shape: Shape, narrowing: Narrowing) -> st.SearchStrategy[Any]:
        match shape:
            case Text():
                return _narrowed_text(narrowing)
            case Boolean():
                return st.booleans()
            case Integer(_, _, low, high):
                return st.integers(*narrowing.integer_bounds(low, high))
            case Number(_, _, limit):
                return _narrowed_floats(narrowing, limit)
            case Identifier():
                return st.uuids()
            case Timestamp():
                return _TIMES
            case FreeJson():
                return json_values()
            case Choice():
                return st.sampled_from([value for _, value in shape.members])
            case Custom() if shape.scalar in READY_MADE:
                return _READY_MADE[shape.type](*narrowing.bounds())
            case _:
                name = getattr(shape, "name", str(shape))
                raise LookupError(f"{name} is a scalar of a category: pass types={{{name}: …}}")


def _narrowed_text(narrowing: Narrowing) -> st.SearchStrategy[str]:
    if narrowing.pattern is not None:
        pattern, is_full = narrowing.pattern
        return st.from_regex(pattern, fullmatch=is_full, alphabet=_CHARACTERS)
    return st.text(_CHARACTERS, min_size=narrowing.min_size, max_size=narrowing.max_size)


def _narrowed_floats(narrowing: Narrowing, limit: float) -> st.SearchStrategy[float]:
    """Return a strategy for finite floats between ``-limit`` and ``limit``."""
    above, below = narrowing.above, narrowing.below
    lows = [n for n in (narrowing.low, above) if n is not None]
    highs = [n for n in (narrowing.high, below) if n is not None]
    if math.isfinite(limit):
        lows, highs = [*lows, -limit], [*highs, limit]
    low, high = max(lows, default=None), min(highs, default=None)
    return st.floats(
        low,
        high,
        exclude_min=low is not None and low in (above, -limit) and low != narrowing.low,
        exclude_max=high is not None and high in (below, limit) and high != narrowing.high,
        allow_nan=False,
        allow_infinity=False,
    )


def _accepts(cls: type, attribute: "attrs.Attribute[Any]", value: Any) -> bool:
    """Return whether a field's validator accepts a value."""
    assert attribute.validator is not None
    try:
        attribute.validator(object.__new__(cls), attribute, value)
    except REFUSALS:
        return False
    return True
