"""One type in a field, held against every way that a message can take.

A message of each kind is declared with the type alone, optional, in an array and in a map. Every
value must come back from each codec, each converter and each helper as it was. Whatever else stands
in the field, on the wire or in Python, is read and written, or refused with the library's errors.
"""

import json
import math
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Optional
from uuid import UUID

import attrs
from attrs import frozen
from cattrs import Converter

import tachikoma_proto as tp
from tachikoma_proto.codec.converter import configure_converter, make_converter
from tachikoma_proto.declare.shapes import describe_field
from tachikoma_proto.testing import Types, check_round_trip

ID = UUID("0190b5a4-7c3e-7d52-8f0a-1b2c3d4e5f60")
TIME = "2026-01-02T03:04:05Z"

WRONG_WIRES: tuple[Any, ...] = (
    None, True, False, 0, 1, -1, 2**31, 2**63, 2**64, 10**400, 0.0, 1.0, -0.5, 1e308, "", "a", "1",
    "\ud800", "RED", "x" * 5000, "2026-01-01", "NaN", [], [None], [[]], ["a"], [1, 1], [[1], [1]],
    [{}], {}, {"": None}, {"a": 1}, {"v": {"v": {}}},
)  # fmt: skip
"""What may stand on the wire where something else is expected."""


class Unhashable:
    """Without a hash."""

    __hash__ = None  # type: ignore[assignment]


WRONG_VALUES: tuple[Any, ...] = (
    *WRONG_WIRES, (), (1,), b"", bytearray(), object(), object, Unhashable(), math.nan, math.inf,
    {1: 2}, {None: 1}, {1, 2}, frozenset({1}), 1j, iter(()), len, Exception, ID, [Unhashable()],
    {"a": Unhashable()}, range(2),
)  # fmt: skip
"""What may stand in a field in Python where something else is expected."""


@frozen(kw_only=True)
class Done(tp.Response):
    """Answers the commands under test."""


class Declared:
    """A command, an event and a response with a type in their fields.

    Args:
        kind: The annotation.
        scalars: Declares the scalars that it needs.

    Raises:
        RegistryError: The type is refused.
    """

    def __init__(self, kind: Any, scalars: Callable[[tp.Category], object] | None = None) -> None:
        category = tp.Category("tried", topic="tried")
        if scalars is not None:
            scalars(category)
        optional: Any = Optional[kind]  # noqa: UP045 - ``|`` is not for every annotation
        fields = {
            "v": attrs.field(type=kind),
            "maybe": attrs.field(type=optional, default=None),
            "many": attrs.field(type=tuple[kind, ...], default=()),
            "named": attrs.field(type=dict[str, kind], factory=dict),
        }

        def make(name: str, base: Any) -> Any:
            return attrs.make_class(
                name, dict(fields), bases=(base,), frozen=True, kw_only=True, slots=True
            )

        self.command = make("TryIt", tp.Command[Done])
        self.event = make("WasTried", tp.Event)
        self.response = make("Tried", tp.Response)
        category.response("tried_done")(Done)
        category.command("tried_try", tag="try")(self.command)
        category.event("was")(self.event)
        category.response("tried_result")(self.response)
        self.category = category
        self.registry = tp.Registry([category])

    @property
    def classes(self) -> Iterator[tuple[type[Any], str, dict[str, str]]]:
        """The classes, each with its message type and tags."""
        for cls in (self.command, self.event, self.response):
            declaration = self.registry.declaration_of(cls)
            assert declaration is not None
            yield cls, declaration.message_type, dict(declaration.tags)

    @property
    def codecs(self) -> Iterator[tp.Codec]:
        """The codecs that must agree."""
        yield tp.Codec(self.registry, accelerated=False)
        yield tp.Codec(self.registry)
        yield tp.Codec(self.registry, forbid_unknown_fields=True)


def check_every_path(
    kind: Any,
    pairs: Iterable[tuple[Any, Any]],
    *,
    scalars: Callable[[tp.Category], object] | None = None,
    types: Types | None = None,
) -> None:
    """Check that a type works wherever messages go.

    Args:
        kind: The annotation.
        pairs: Values on the wire, as they are written, and in Python.
        scalars: Declares the scalars that the type needs.
        types: Strategies that it needs.

    Raises:
        AssertionError: A value does not come back as it was.
    """
    declared, pairs = Declared(kind, scalars), list(pairs)
    own = Converter()
    configure_converter(own, declared.registry)
    for codec in declared.codecs:
        assert codec.decode_command('{"type":"ping"}').payload == tp.Ping()
        for cls, message_type, tags in declared.classes:
            for wire, value in pairs:
                message = cls(v=value, maybe=value, many=(value,), named={"a": value})
                payload = {**tags, **_everywhere(wire)}
                _check_message(codec, message, message_type, payload)
                short = {**tags, "v": wire, "many": [], "named": {}}
                _check_message(codec, cls(v=value), message_type, short)
            if not codec.forbid_unknown_fields and cls is not declared.event:
                _check_wrong(codec, cls, message_type, tags, is_lax=scalars is not None)
    for converter in (make_converter(declared.registry), own):
        for cls, _, tags in declared.classes:
            for wire, value in pairs:
                message = cls(v=value, maybe=value, many=(value,), named={"a": value})
                _check_converter(converter, message, {**tags, **_everywhere(wire)})
    for fields in declared.registry.records.values():
        assert all(describe_field(field, declared.registry.records) for field in fields)
    check_round_trip(declared.category, types=types, examples=5)


def _everywhere(wire: Any) -> dict[str, Any]:
    return {"v": wire, "maybe": wire, "many": [wire], "named": {"a": wire}}


def _check_message(codec: tp.Codec, message: Any, message_type: str, payload: Any) -> None:
    cls = type(message)
    text = codec.encode(message)
    assert json.loads(text)["payload"] == payload
    assert repr(json.loads(text)["payload"]) == repr(payload)
    read: Any = codec.decode_command if issubclass(cls, tp.Command) else codec.decode_server_message
    _assert_same(read(text).payload, message)
    assert codec.encode_message(read(text)) == text
    assert codec.unstructure(message) == payload
    if issubclass(cls, tp.Command):
        _assert_same(codec.structure_command(message_type, payload), message)


def _check_converter(converter: Converter, message: Any, payload: Any) -> None:
    cls = type(message)
    _assert_same(converter.structure(payload, cls), message)
    assert converter.unstructure(message) == payload
    fields = {"m": attrs.field(type=cls), "n": attrs.field(type=int)}
    holder = attrs.make_class("Holder", fields)
    held: Any = converter.structure({"m": payload, "n": 1}, holder)
    _assert_same(held.m, message)
    assert converter.unstructure(held) == {"m": payload, "n": 1}


def _assert_same(found: Any, expected: Any) -> None:
    assert found == expected
    assert type(found.v) is type(expected.v)
    for item in found.many:
        assert type(item) is type(expected.v)


def _assert_has_places(errors: tuple[tp.FieldError, ...]) -> None:
    assert errors
    assert all(fault.path.startswith("$.payload") for fault in errors)


def _check_wrong(
    codec: tp.Codec, cls: type[Any], message_type: str, tags: dict[str, str], *, is_lax: bool
) -> None:
    is_command = issubclass(cls, tp.Command)
    read: Any = codec.decode_command if is_command else codec.decode_server_message
    frame: dict[str, Any] = {"id": str(ID), "type": message_type, "timestamp": TIME}
    for wire in WRONG_WIRES:
        payload = {**tags, **_everywhere(wire)}
        try:
            message = read(json.dumps({**frame, "payload": payload}))
            if is_command:
                codec.structure_command(message_type, payload)
            codec.encode_message(message)
        except tp.ProtocolError as error:
            _assert_has_places(error.errors)
    for value in WRONG_VALUES:
        everywhere = {"v": value, "maybe": value, "many": (value,), "named": {"a": value}}
        for fields in ({"v": value}, everywhere, {"v": value, "many": value, "named": value}):
            message = cls(**fields)
            try:
                text = codec.encode(message)
            except tp.EncodeError as error:
                _assert_has_places(error.errors)
                continue
            try:
                read(text)
            except tp.ProtocolError:
                assert is_lax  # what a scalar writes, it may refuse
