"""Strategies of hypothesis for the messages of a registry, made from their shapes.

Rules:

* Every value is one that can be written, and that a peer reads back as an equal one.
* What the shapes cannot say (the values of a ``Category.scalar``, what a validator refuses) comes
  from the author, as a mapping from types to strategies. It goes before all that is here.
* A strategy that is missing is found out when the strategy is made, not when a value is drawn.
"""

import enum
import math
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta, timezone
from typing import Any, Final, Literal, TypeAlias, TypeVar, cast, get_args, get_origin
from uuid import UUID

from tachikoma_proto.codec.converter.scalars import JSON_INTEGER
from tachikoma_proto.declare.annotations import bounds_of
from tachikoma_proto.declare.bases import Command, Event, Response
from tachikoma_proto.declare.declarations import (
    EVENT_PREFIX,
    MessageDeclaration,
    MessageKind,
    Sender,
)
from tachikoma_proto.declare.field_types import IntRange
from tachikoma_proto.declare.shapes import Array, Leaf, Map, Maybe, Record, Shape
from tachikoma_proto.messages.envelope import IncomingMessage, OutgoingMessage
from tachikoma_proto.registry.registry import Registry
from tachikoma_proto.testing.needs_hypothesis import strategies as st
from tachikoma_proto.testing.source import Source, registry_of

M = TypeVar("M", bound="Command[Any] | Event | Response")

Types: TypeAlias = Mapping[Any, st.SearchStrategy[Any]]
"""Strategies by type: of declared scalars, and of any type or class whose own is not wanted."""

_ZONES: Final = [UTC, *(timezone(timedelta(minutes=m)) for m in (-11 * 60, -210, 345, 14 * 60))]
_TEXT: Final = st.text(st.characters(codec="utf-8"))


def messages(
    cls: type[M], source: Source = None, *, types: Types | None = None
) -> st.SearchStrategy[M]:
    """Make up messages of a class.

    Args:
        cls: A class that the source holds.
        source: The category or the registry; the built-in messages if left out.
        types: Strategies for the values of declared scalars, and for any other type or class
            that needs another strategy than its shape gives.

    Returns:
        The strategy. Fields that have a default are left out at times.

    Raises:
        LookupError: The source does not hold the class, or ``types`` lacks a declared scalar.
    """
    return cast("st.SearchStrategy[M]", _Maker(registry_of(source), types).record(cls))


def envelopes(
    cls: type[M], source: Source = None, *, types: Types | None = None
) -> st.SearchStrategy[IncomingMessage[M] | OutgoingMessage[M]]:
    """Make up messages of a class in the envelope of the side that says them.

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
    """Make up what a declaration says, as :func:`envelopes` does of a class."""
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
    """Make up free JSON, as a field of type ``Json`` may hold it."""
    scalars = st.none() | st.booleans() | _integers(JSON_INTEGER) | _floats(math.inf) | _TEXT
    return st.recursive(
        scalars,
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_TEXT, inner, max_size=4),
        max_leaves=10,
    )


def _integers(bounds: IntRange) -> st.SearchStrategy[int]:
    return st.integers(bounds.low, bounds.high)


def _floats(limit: float) -> st.SearchStrategy[float]:
    if math.isinf(limit):
        return st.floats(allow_nan=False, allow_infinity=False)
    return st.floats(-limit, limit, exclude_min=True, exclude_max=True)


# A year is left free at either end, so that every time has a place in UTC.
_TIMES: Final = st.datetimes(
    datetime(2, 1, 1), datetime(9998, 12, 31), timezones=st.sampled_from(_ZONES)
)

_LEAVES: Final[Types] = {
    str: _TEXT,
    bool: st.booleans(),
    int: _integers(JSON_INTEGER),
    float: _floats(math.inf),
    UUID: st.uuids(),
    datetime: _TIMES,
    Any: json_values(),
}


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
                {field.name: self._shape(field.shape) for field in fields if field.required},
                optional={f.name: self._shape(f.shape) for f in fields if not f.required},
            ).map(lambda values: cls(**values))
            self._made[cls] = made
        return self._made[cls]

    def _shape(self, shape: Shape) -> st.SearchStrategy[Any]:
        match shape:
            case Maybe(inner):
                return st.none() | self._shape(inner)
            case Array(kind, inner):
                items = self._shape(inner)
                container = get_origin(kind)
                if container is frozenset:
                    return st.frozensets(items, max_size=5)
                return st.lists(items, max_size=5).map(container)
            case Map(_, inner):
                return st.dictionaries(_TEXT, self._shape(inner), max_size=5)
            case Record(cls):
                return self.record(cls)
            case Leaf(kind):
                return self._leaf(kind)

    def _leaf(self, kind: Any) -> st.SearchStrategy[Any]:
        if kind in self._types:
            return self._types[kind]
        if kind in self._registry.scalars:
            name = kind.__qualname__
            raise LookupError(f"{name} is a scalar of a category: pass types={{{name}: …}}")
        if get_origin(kind) is Literal:
            return st.sampled_from(get_args(kind))
        if isinstance(kind, type) and issubclass(kind, enum.Enum):
            return st.sampled_from(kind)
        bounds = bounds_of(kind)
        if bounds is None:
            return _LEAVES[kind]
        return _integers(bounds) if isinstance(bounds, IntRange) else _floats(bounds.limit)
