"""The plan of the engine: the registry's messages, as tuples that the engine compiles.

Rules:

* The plan says everything that the engine knows of messages, envelopes included; no name of a
  message, and none of a field, is in C.
* What a codec's converter would do, the plan describes. What it cannot describe, it leaves to the
  converter: such a record has no members.
* It is made with every codec, in about a millisecond, and needs no cattrs.
* The texts in it are UTF-8 as they stand in a frame; numbers in the place of names are those of
  the enumerations in ``engine.h``.
"""

import datetime
import inspect
import json
import os
import time
from collections.abc import Iterable
from sys import intern
from typing import Any, Final, Generic, TypeAlias
from uuid import UUID, SafeUUID

import attrs

from tachikoma_proto.codec.engine.verdict import NO_ROOM, REFUSED, UNSURE
from tachikoma_proto.declare.declarations import MessageKind, Sender
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
    Shape,
    Text,
    Timestamp,
)
from tachikoma_proto.messages.envelope import (
    Envelope,
    IncomingMessage,
    OutgoingMessage,
    Position,
)
from tachikoma_proto.messages.unknown import UnknownEvent, UnknownMessage
from tachikoma_proto.registry.registry import Registry
from tachikoma_proto.wire.formats import utc_now

Tuple: TypeAlias = tuple[Any, ...]


MAX_MEMBERS: Final = 64
"""How many members a record may have, tags included, before it is left to the converter."""


class _Member:
    TAG: Final = 0
    REQUIRED: Final = 1
    DEFAULT: Final = 2
    FACTORY: Final = 3
    OPEN: Final = 4
    CONVERTED: Final = 5


class _Message:
    PLAIN: Final = 0
    KEEPALIVE: Final = 1
    EVENTS: Final = 2


_ROLES: Final = {"id": 1, "timestamp": 2, "reply_to": 3, "type": 4, "payload": 5}
"""The members of an envelope that the engine fills, or looks at, itself."""

_IN_ENVELOPE, _IN_INCOMING, _IN_OUTGOING = 1, 2, 4

_CONTAINERS: Final[dict[type, int]] = {tuple: 0, list: 1, frozenset: 2}

_ENVELOPE_ORDER: Final = ("id", "type", "timestamp", "reply_to", "payload", "position")
"""The members of envelopes as they are written."""


def make_plan(registry: Registry) -> Tuple:
    """Describe the messages of a registry.

    Args:
        registry: The messages.

    Returns:
        What ``Engine`` takes.
    """
    return _Planner(registry).plan()


def fills_slots(cls: type[Any]) -> bool:
    """Tell whether the constructor of a frozen attrs class does nothing but fill its slots.

    Converters of fields that may be left out do not count, where they leave None as it is: for such
    fields the class is called if they are there.

    Args:
        cls: The class.
    """
    hooks = ("__attrs_pre_init__", "__attrs_post_init__", "__attrs_init__")
    props = attrs.inspect(cls)
    bases = [base for base in cls.__mro__[:-1] if base is not Generic]
    return (
        props.is_slotted
        and props.is_frozen
        and props.added_init
        and cls.__dictoffset__ == 0
        and getattr(cls, "__new__", None) is object.__new__
        and type(cls).__call__ is type.__call__
        and not inspect.isabstract(cls)
        and not any(hasattr(cls, hook) for hook in hooks)
        and not any("__setattr__" in vars(base) and not attrs.has(base) for base in bases)
        and not any(
            a.validator or not a.init or (a.converter and not _keeps_none(a))
            for a in attrs.fields(cls)
        )
        and "_attrs_cached_hash" not in getattr(cls, "__slots__", ())
    )


class _Planner:
    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._indices = {cls: index for index, cls in enumerate(registry.records)}
        self._records = [self._record(cls) for cls in registry.records]

    def plan(self) -> Tuple:
        envelope, incoming, outgoing = (
            self._add(self._envelope(cls, read_as_server))
            for cls, read_as_server in (
                (Envelope, False),
                (IncomingMessage, False),
                (OutgoingMessage, True),
            )
        )
        unknown = [self._add(_kept(cls)) for cls in (UnknownMessage, UnknownEvent)]
        client = incoming, False, tuple(self._messages(Sender.CLIENT))
        server = outgoing, True, (*self._messages(Sender.SERVER), *self._events())
        return (
            tuple(self._records),
            client,
            server,
            tuple(self._written()),
            (envelope, incoming, outgoing, *unknown),
            (UUID, SafeUUID.unknown),
            (
                REFUSALS,
                os.urandom,
                utc_now,
                vars(time),
                vars(datetime),
                "time",
                "datetime",
                UNSURE,
                REFUSED,
                NO_ROOM,
            ),
        )

    def _add(self, record: Tuple) -> int:
        self._records.append(record)
        return len(self._records) - 1

    def _messages(self, sender: Sender) -> Iterable[Tuple]:
        for spec in self._registry:
            if spec.sender is sender and spec.kind is not MessageKind.EVENT:
                is_keepalive = spec.kind is MessageKind.KEEPALIVE
                kind = _Message.KEEPALIVE if is_keepalive else _Message.PLAIN
                yield intern(spec.message_type), kind, self._indices[spec.cls], None, None

    def _events(self) -> Iterable[Tuple]:
        categories: dict[str, tuple[str, list[Tuple]]] = {}
        for spec in self._registry:
            if spec.kind is MessageKind.EVENT:
                _, events = categories.setdefault(spec.category, (spec.message_type, []))
                events.append((spec.tag, self._indices[spec.cls]))
        tags = [_member(name, _Member.TAG, ("text",), "") for name in ("category", "event")]
        record = self._add((object, False, tuple(tags), "{", ()))
        for category, (message_type, events) in categories.items():
            yield intern(message_type), _Message.EVENTS, record, category, tuple(events)

    def _written(self) -> Iterable[Tuple]:
        for cls, index in self._indices.items():
            spec = self._registry.declaration_of(cls)
            if spec is None:
                continue
            envelopes = _IN_ENVELOPE
            for sender, bit in ((Sender.CLIENT, _IN_INCOMING), (Sender.SERVER, _IN_OUTGOING)):
                said = self._registry.declaration_for(sender, spec.message_type)
                if spec.sender is sender or (said is not None and said.cls is cls):
                    envelopes |= bit
            yield (
                index,
                intern(spec.message_type),
                _quote(spec.message_type),
                envelopes,
                spec.sender is Sender.CLIENT,
                spec.kind is MessageKind.KEEPALIVE,
            )

    def _record(self, cls: type[Any]) -> Tuple:
        spec = self._registry.declaration_of(cls)
        tags = {} if spec is None else spec.tags
        fields = self._registry.records[cls]
        names = tuple(field.name for field in fields)
        # The engine compares a tag with the frame as it stands, without looking for escapes.
        is_escaped = any(_quote(tag) != f'"{tag}"' for tag in tags.values())
        if is_escaped or len(tags) + len(fields) > MAX_MEMBERS:
            return cls, False, None, "", names
        attributes = attrs.fields_dict(cls)
        members = [_member(name, _Member.TAG, ("text",), tag) for name, tag in tags.items()]
        for field in fields:
            kind, default = _default_of(attributes[field.name])
            members.append(_member(field.name, kind, self._shape(field.shape), default))
        return cls, fills_slots(cls), tuple(members), _opening(tags), names

    def _envelope(self, cls: type[Any], is_read_as_server: bool) -> Tuple:
        shapes: dict[str, Tuple] = {
            "id": ("uuid",),
            "type": ("type",),
            "timestamp": ("timestamp",),
            "reply_to": ("uuid",),
            "payload": ("payload",),
            "position": ("record", self._indices[Position]),
        }
        members = []
        for name in _wire_order(cls):
            shape, kind = shapes[name], _Member.REQUIRED
            is_optional = name in ("reply_to", "position")
            if is_optional or (name in ("id", "timestamp") and not is_read_as_server):
                shape, kind = ("maybe", shape), _Member.DEFAULT
            members.append(_member(name, kind, shape, None))
        return cls, fills_slots(cls), tuple(members), "{", tuple(_wire_order(cls))

    def _shape(self, shape: Shape) -> Tuple:
        match shape:
            case Maybe(inner):
                return "maybe", self._shape(inner)
            case Array(container=container, inner=inner):
                return "array", _CONTAINERS[container], self._shape(inner)
            case Map(inner=inner):
                return "map", self._shape(inner)
            case Record(cls):
                return "record", self._indices[cls]
            case Custom(wire=wire, scalar=scalar):
                return "custom", self._shape(wire), scalar.read, scalar.write, scalar.runtime_class
            case Choice(members=members):
                listed = tuple((wire, value, _quote(wire)) for wire, value in members)
                return "choice", shape.is_enum, listed
            case Integer(low=low, high=high):
                return "integer", *_bounds(low, high)
            case Number(limit=limit):
                return "number", limit
            case _:
                return _LEAVES.get(type(shape), ("unknown",))


_LEAVES: Final[dict[type[Any], Tuple]] = {
    Text: ("text",),
    Boolean: ("boolean",),
    Identifier: ("uuid",),
    Timestamp: ("timestamp",),
    FreeJson: ("json",),
}


def _member(name: str, kind: int, shape: Tuple, default: Any) -> Tuple:
    role = _ROLES.get(name, 0)
    return name, kind, role, shape, default, f",{_quote(name)}:"


def _default_of(attribute: "attrs.Attribute[Any]") -> tuple[int, Any]:
    default: Any = attribute.default
    if default is attrs.NOTHING:
        return _Member.REQUIRED, None
    if attribute.converter is not None and _keeps_none(attribute):
        return _Member.CONVERTED, None
    if isinstance(default, attrs.Factory):  # type: ignore[arg-type]
        return (_Member.OPEN, None) if default.takes_self else (_Member.FACTORY, default.factory)
    return _Member.DEFAULT, default


def _keeps_none(attribute: "attrs.Attribute[Any]") -> bool:
    """Tell whether the default of a field is None, and its converter leaves that as it is."""
    converter: Any = attribute.converter
    if attribute.default is not None or isinstance(converter, attrs.Converter):
        return False
    return converter(None) is None  # which does not raise: the registry tried


def _kept(cls: type[Any]) -> Tuple:
    """Describe a class that holds what is unknown: all its fields are given."""
    names = tuple(attribute.name for attribute in attrs.fields(cls))
    members = tuple(_member(name, _Member.REQUIRED, ("json",), None) for name in names)
    return cls, fills_slots(cls), members, "{", names


def _wire_order(cls: type[Any]) -> list[str]:
    names = {attribute.name for attribute in attrs.fields(cls)}
    return [name for name in _ENVELOPE_ORDER if name in names]


def _bounds(low: int, high: int) -> Tuple:
    """Give the magnitudes of the integers below zero, and the others, that have 64 bits."""
    below: Tuple = max(1, -high), min(-low, 2**63)
    others: Tuple = max(0, low), min(high, 2**64 - 1)
    return (
        *(below if below[0] <= below[1] else (None, None)),
        *(others if others[0] <= others[1] else (None, None)),
    )


def _opening(tags: Any) -> str:
    return "{" + ",".join(f"{_quote(name)}:{_quote(tag)}" for name, tag in tags.items())


_quote: Final = json.JSONEncoder(ensure_ascii=False).encode
"""Writes a name, or a value of an enum or a ``Literal``, as it stands in a frame."""
