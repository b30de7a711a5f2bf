"""Every fault of a message, with its path: looked for after a hook has refused it.

A hook stops at the first thing that is wrong. These walks go over the shapes instead, and ask at
each leaf what the hooks ask. Each value is looked at once, so the time is in proportion to the size
of the frame, and no more faults are collected than an error reports.

Rules:

* The verdict is the hooks' alone: nothing here is asked about what they take.
* A record without a fault inside is constructed, since its validators may refuse it; the fault is
  then reported at the field whose validator refuses.
* A message type that is not known is one fault among the others; it decides the error's class.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from typing import Any, Final, TypeAlias
from uuid import UUID

import attrs

from tachikoma_proto.codec.converter.envelope import (
    IN_INCOMING,
    IN_OUTGOING,
    INCOMING,
    OUTGOING,
    declared_as,
    is_bare,
)
from tachikoma_proto.codec.converter.hooks import (
    Mismatch,
    structure_leaf,
    structure_optional,
    tags_of,
    to_container,
)
from tachikoma_proto.declare.declarations import (
    EVENT_PREFIX,
    MessageDeclaration,
    MessageKind,
    Sender,
)
from tachikoma_proto.declare.shapes import (
    TEXT_LEAF,
    Array,
    FreeJson,
    Leaf,
    Map,
    Maybe,
    Record,
    RecordField,
    Records,
    Shape,
)
from tachikoma_proto.errors import (
    MAX_REPORTED,
    FieldError,
    InvalidMessageError,
    ProtocolError,
    UnknownMessageError,
)
from tachikoma_proto.registry.registry import Registry
from tachikoma_proto.wire.json_values import find_json_faults
from tachikoma_proto.wire.paths import Path, render, step_of

_CLIENT: Final = Sender.CLIENT
_EVENT: Final = MessageKind.EVENT
_KEEPALIVE: Final = MessageKind.KEEPALIVE

_FAULTY: Final = object()
"""Stands for a value that has a fault."""


class _Enough(Exception):
    """As many faults were found as one error reports."""


class _Faults(list[FieldError]):
    """The faults found so far."""

    __slots__ = ()

    def add(self, path: str, expected: str) -> object:
        """Add a fault, and return what stands for the faulty value."""
        if len(self) >= MAX_REPORTED:
            raise _Enough
        self.append(FieldError(path, expected))
        return _FAULTY


_Check: TypeAlias = Callable[[Any, str, _Faults], Any]
"""Structures what stands at a path, or adds its faults."""

_How: TypeAlias = tuple[bool, Callable[..., Any]]
"""Whether a shape is one value, and its hook, which needs no path unless it refuses; otherwise its
check."""

_CheckedField: TypeAlias = tuple[str, str, bool, Callable[..., Any], str | None]
"""How one field is checked: its name, its step in a path, how its shape is, and what is said if it
is missing; None if it may be left out."""


class DecodeFaults:
    """Finds what is wrong with frames that the hooks refused.

    Args:
        registry: Which messages there are.
        forbid_unknown_fields: Whether a field that a message does not have is a fault.
    """

    def __init__(self, registry: Registry, *, forbid_unknown_fields: bool = False) -> None:
        self._registry = registry
        self._forbids_unknown = forbid_unknown_fields
        self._records: dict[type, _Check] = {}
        for cls in registry.records:
            self._records[cls] = self._check_record(cls, tags_of(registry, cls))
        self._incoming = self._checked(INCOMING)
        self._outgoing = self._checked(OUTGOING)
        # By category and tag, which are looked at before the rest of the payload.
        self._events = {
            category: {
                tag: self._check_record(cls, {})
                for tag, cls in registry.members(_EVENT, category).items()
            }
            for category in registry.categories
        }

    def explain(self, frame: dict[str, Any], sender: Sender) -> ProtocolError:
        """Return the error that says everything that is wrong with a frame.

        Args:
            frame: The JSON object, which was refused.
            sender: Which side sent it.

        Returns:
            The error, with the frame's id where that can be read; without faults if none is found.
        """
        faults = _Faults()
        is_client = sender is _CLIENT
        declaration = declared_as(self._registry, sender, frame)
        is_keepalive = declaration is not None and declaration.kind is _KEEPALIVE
        is_incoming = is_client or (is_keepalive and is_bare(frame))
        envelope = self._incoming if is_incoming else self._outgoing
        members = self._fields(envelope, frame, "$", faults)
        try:
            is_known = self._payload(frame, is_client, declaration, faults)
            if is_known and self._forbids_unknown:
                _unknown_fields(frame, IN_INCOMING if is_incoming else IN_OUTGOING, "$", faults)
        except _Enough:
            pass
        message_id = members.get("id")
        is_unknown = is_client and declaration is None and isinstance(frame.get("type"), str)
        return (UnknownMessageError if is_unknown else InvalidMessageError)(
            errors=faults, message_id=message_id if isinstance(message_id, UUID) else None
        )

    def explain_payload(self, payload: Any, cls: type) -> InvalidMessageError:
        """Return the error that says everything that is wrong with a payload.

        Args:
            payload: What was refused.
            cls: The message's class.
        """
        faults = _Faults()
        with suppress(_Enough):
            self._records[cls](payload, "$", faults)
        return InvalidMessageError(errors=faults)

    def _payload(
        self,
        frame: dict[str, Any],
        is_client: bool,
        declaration: MessageDeclaration | None,
        faults: _Faults,
    ) -> bool:
        """Add the faults of a frame's payload, and return whether the message is known."""
        payload = frame.get("payload")
        if declaration is not None:
            fields = self._registry.records[declaration.cls]
            if payload is not None or any(field.required for field in fields):
                self._records[declaration.cls](payload, "$.payload", faults)
            return True
        message_type = frame.get("type")
        if not isinstance(message_type, str):
            return False
        if is_client:
            faults.add("$.type", "the type of a command")
        elif message_type.startswith(EVENT_PREFIX):
            return self._event(payload, message_type.removeprefix(EVENT_PREFIX), faults)
        return False

    def _event(self, payload: Any, category: str, faults: _Faults) -> bool:
        """Add the faults of an event's payload, and return whether the event is known."""
        if type(payload) is not dict:
            faults.add("$.payload", "an object with the tag of an event")
            return False
        if payload.get("category", category) != category:
            faults.add("$.payload.category", "the category that the message type says")
        tag = payload.get("event")
        checks = self._events.get(category, {})
        if not isinstance(tag, str):
            known = f" ({', '.join(checks)})" if checks else ""
            faults.add("$.payload.event", f"the tag of an event{known}")
            return False
        check = checks.get(tag)
        if check is None:
            return False
        check(payload, "$.payload", faults)
        return True

    def _fields(
        self, fields: Iterable[_CheckedField], members: dict[str, Any], path: str, faults: _Faults
    ) -> dict[str, Any]:
        """Structure the fields of an object that are there; add the faults of the others."""
        structured = {}
        for name, step, is_value, structure, missing in fields:
            if name not in members:
                if missing is not None:
                    faults.add(path + step, missing)
            elif is_value:
                try:
                    structured[name] = structure(members[name], None)
                except Mismatch as mismatch:
                    structured[name] = faults.add(path + step, mismatch.expected)
            else:
                structured[name] = structure(members[name], path + step, faults)
        return structured

    def _checked(self, fields: tuple[RecordField, ...]) -> list[_CheckedField]:
        return [
            (
                field.name,
                step_of(field.name),
                *self._how(field.shape),
                f"{_expected(field.shape)}; the field is missing" if field.required else None,
            )
            for field in fields
        ]

    def _check_record(self, cls: type, fixed: Mapping[str, str]) -> _Check:
        """Return the check of a record, and of the tags that are fixed for it."""
        record_fields = self._registry.records[cls]
        tags = [(name, step_of(name), tag) for name, tag in fixed.items()]
        known = frozenset({*tags_of(self._registry, cls), *(field.name for field in record_fields)})
        fields = self._checked(record_fields)

        def check(value: Any, path: str, faults: _Faults) -> Any:
            if type(value) is not dict:
                return faults.add(path, "an object")
            before = len(faults)
            for name, step, tag in tags:
                if value.get(name, tag) != tag:
                    faults.add(path + step, f'"{tag}", which the message type says')
            if self._forbids_unknown:
                _unknown_fields(value, known, path, faults)
            structured = self._fields(fields, value, path, faults)
            return _FAULTY if len(faults) > before else _constructed(cls, structured, path, faults)

        return check

    def _how(self, shape: Shape) -> _How:
        match shape:
            case Leaf():
                return True, structure_leaf(shape)
            case Maybe(inner):
                is_value, structure = self._how(inner)
                if is_value:
                    return True, structure_optional(structure)
                return (
                    False,
                    lambda v, path, faults: None if v is None else structure(v, path, faults),
                )
            case Array(_, container, inner):
                return False, _check_array(container, self._how(inner))
            case Map(_, inner):
                return False, _check_map(self._how(inner))
            case Record(cls):
                records = self._records  # which it may not be among, yet: a class may hold itself
                return False, lambda value, path, faults: records[cls](value, path, faults)


def find_encode_faults(
    shape: Shape, value: Any, path: Path, records: Records
) -> Iterator[FieldError]:
    """Find every fault of a value that should be written.

    Args:
        shape: What it should be.
        value: What it is.
        path: Where it stands.
        records: The fields by class.
    """
    match shape:
        case FreeJson():
            yield from find_json_faults(value, path)
        case Leaf():
            refusal = shape.refusal(value)
            if refusal is not None:
                yield FieldError(render(path), refusal)
        case Maybe(inner):
            if value is not None:
                yield from find_encode_faults(inner, value, path, records)
        case Array(_, container, inner):
            if not isinstance(value, shape.accepted):
                yield FieldError(render(path), f"a {container.__name__}")
                return
            for index, item in enumerate(value):
                yield from find_encode_faults(inner, item, (*path, index), records)
        case Map(_, inner):
            if not isinstance(value, dict):
                yield FieldError(render(path), "a dict")
                return
            for key, item in value.items():
                refusal = TEXT_LEAF.refusal(key)
                if refusal is None:
                    yield from find_encode_faults(inner, item, (*path, key), records)
                else:
                    yield FieldError(render(path), f"keys that are each {refusal}")
        case Record(cls):
            if type(value) is not cls:
                yield FieldError(render(path), f"an instance of {cls.__qualname__}")
                return
            yield from find_field_encode_faults(records[cls], value, path, records)


def find_field_encode_faults(
    fields: Iterable[RecordField], instance: Any, path: Path, records: Records
) -> Iterator[FieldError]:
    """Find every fault of the fields of an instance that should be written.

    Args:
        fields: The fields.
        instance: What they are fields of.
        path: Where it stands.
        records: The fields by class.
    """
    for field in fields:
        value = getattr(instance, field.name)
        yield from find_encode_faults(field.shape, value, (*path, field.name), records)


def _check_array(container: Any, how: _How) -> _Check:
    def check(value: Any, path: str, faults: _Faults) -> Any:
        if type(value) is not list:
            return faults.add(path, "an array")
        before = len(faults)
        items = list(_items(enumerate(value), how, path, faults))
        if len(faults) > before:
            return _FAULTY
        try:
            return to_container(container, items)
        except Mismatch as mismatch:
            return faults.add(path, mismatch.expected)

    return check


def _check_map(how: _How) -> _Check:
    def check(value: Any, path: str, faults: _Faults) -> Any:
        if type(value) is not dict:
            return faults.add(path, "an object")
        return dict(zip(value, _items(value.items(), how, path, faults), strict=True))

    return check


def _items(
    items: Iterable[tuple[str | int, Any]], how: _How, path: str, faults: _Faults
) -> Iterator[Any]:
    """Structure the items of an array or a map; add their faults."""
    is_value, structure = how
    for step, item in items:
        if is_value:
            try:
                structured = structure(item, None)
            except Mismatch as mismatch:
                structured = faults.add(path + step_of(step), mismatch.expected)
        else:
            structured = structure(item, path + step_of(step), faults)
        yield structured


def _expected(shape: Shape) -> str:
    match shape:
        case Leaf():
            return shape.expected
        case Array():
            return "an array"
        case Maybe(inner):
            return _expected(inner)
        case _:
            return "an object"


def _unknown_fields(
    members: dict[str, Any], known: frozenset[str], path: str, faults: _Faults
) -> None:
    for key in members:
        if key not in known:
            faults.add(path + step_of(key), "no such field")


def _constructed(cls: type[Any], fields: dict[str, Any], path: str, faults: _Faults) -> Any:
    """Construct a record, or add the fault of the field whose converter or validator refuses."""
    try:
        return cls(**fields)
    except Exception:  # noqa: BLE001 - the hook has logged it if it was no refusal
        pass
    before = len(faults)
    instance = object.__new__(cls)
    for attribute in attrs.fields(cls):
        refusal = _refusal_of_field(instance, attribute, fields)
        if refusal is not None:
            faults.add(path + step_of(attribute.name), refusal)
    if len(faults) == before:
        for attribute in attrs.fields(cls):
            _validate_field(instance, attribute, path, faults)
    if len(faults) == before:
        faults.add(path, f"a valid {cls.__name__}")
    return _FAULTY


def _refusal_of_field(
    instance: Any, attribute: "attrs.Attribute[Any]", fields: dict[str, Any]
) -> str | None:
    """Set a field as the constructor does; return what was expected instead if that fails."""
    default: Any = attribute.default
    converter: Any = attribute.converter
    expected = "a value, since its default cannot be made"
    try:
        if attribute.name in fields:
            value = fields[attribute.name]
        elif isinstance(default, attrs.Factory):  # type: ignore[arg-type]
            value = default.factory(instance) if default.takes_self else default.factory()
        else:
            value = default
        expected = "a value that its converter accepts"
        if isinstance(converter, attrs.Converter):
            value = converter(value, instance, attribute)  # type: ignore[operator]
        elif converter is not None:
            value = converter(value)
    except Exception:  # noqa: BLE001 - as above
        return expected
    object.__setattr__(instance, attribute.name, value)
    return None


def _validate_field(
    instance: Any, attribute: "attrs.Attribute[Any]", path: str, faults: _Faults
) -> None:
    if attribute.validator is None:
        return
    value = getattr(instance, attribute.name)
    try:
        attribute.validator(instance, attribute, value)
    except Exception:  # noqa: BLE001 - as above
        from tachikoma_proto.declare.narrowing import expected_by

        faults.add(path + step_of(attribute.name), expected_by(attribute.validator, value))
