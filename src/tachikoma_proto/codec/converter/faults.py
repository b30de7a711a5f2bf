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

from collections.abc import Callable, Iterable, Iterator
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
    Structure,
    structure_leaf,
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
from tachikoma_proto.wire.paths import Path, render

_CLIENT: Final = Sender.CLIENT
_EVENT: Final = MessageKind.EVENT

_FAULTY: Final = object()
"""Stands for a value that has a fault."""


class _Enough(Exception):
    """As many faults were found as one error reports."""


class _Faults(list[FieldError]):
    """The faults found so far."""

    __slots__ = ()

    def add(self, path: Path, expected: str) -> object:
        """Add a fault, and return what stands for the faulty value."""
        if len(self) >= MAX_REPORTED:
            raise _Enough
        self.append(FieldError(render(path), expected))
        return _FAULTY


_Check: TypeAlias = Callable[[Any, Path, _Faults], Any]
"""Structures a value, or adds its faults."""


_CheckedField: TypeAlias = tuple[str, Structure | None, _Check, bool, str]
"""How one field is checked: its name, its hook if it is a leaf, its check if it is more, whether it
is required, and what is expected. A leaf's hook needs no path unless it refuses."""


class DecodeFaults:
    """Finds what is wrong with frames that the hooks refused.

    Args:
        registry: Which messages there are.
        forbid_unknown_fields: Whether a field that a message does not have is a fault.
    """

    def __init__(self, registry: Registry, *, forbid_unknown_fields: bool = False) -> None:
        self._registry = registry
        self._forbids_unknown = forbid_unknown_fields
        self._incoming = self._checked(INCOMING)
        self._outgoing = self._checked(OUTGOING)
        self._records: dict[type, _Check] = {}

    def explain(self, frame: dict[str, Any], sender: Sender) -> ProtocolError:
        """Return the error that says everything that is wrong with a frame.

        Args:
            frame: The JSON object, which was refused.
            sender: Which side sent it.

        Returns:
            The error, with the frame's id where that can be read; without faults if none is found.
        """
        faults = _Faults()
        declaration = declared_as(self._registry, sender, frame)
        is_client = sender is _CLIENT
        is_incoming = is_client or _is_bare_keepalive(declaration, frame)
        envelope = self._incoming if is_incoming else self._outgoing
        members = self._fields(envelope, frame, (), faults)
        try:  # noqa: SIM105 - a context manager takes as long as five fields
            self._frame(frame, sender, declaration, is_incoming, faults)
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
            self._record(cls)(payload, (), faults)
        return InvalidMessageError(errors=faults)

    def _frame(
        self,
        frame: dict[str, Any],
        sender: Sender,
        declaration: MessageDeclaration | None,
        is_incoming: bool,
        faults: _Faults,
    ) -> None:
        """Add the faults of a frame but for those of its envelope."""
        message_type = frame.get("type")
        if not isinstance(message_type, str):
            return
        category = message_type.removeprefix(EVENT_PREFIX)
        is_known = declaration is not None
        if declaration is not None:
            self._payload(frame, declaration.cls, faults)
        elif sender is _CLIENT:
            faults.add(("type",), "the type of a command")
        elif message_type != category:
            is_known = self._event(frame, category, faults)
        if is_known and self._forbids_unknown:
            _unknown_fields(frame, IN_INCOMING if is_incoming else IN_OUTGOING, (), faults)

    def _payload(self, frame: dict[str, Any], cls: type, faults: _Faults) -> None:
        payload = frame.get("payload")
        if payload is not None or any(field.required for field in self._registry.records[cls]):
            self._record(cls)(payload, ("payload",), faults)

    def _event(self, frame: dict[str, Any], category: str, faults: _Faults) -> bool:
        """Add the faults of an event's payload, and return whether the event is known."""
        payload = frame.get("payload")
        if type(payload) is not dict:
            faults.add(("payload",), "an object with the tag of an event")
            return False
        if payload.get("category", category) != category:
            faults.add(("payload", "category"), "the category that the message type says")
            payload = {**payload, "category": category}  # that fault is reported
        tag = payload.get("event")
        members = self._registry.members(_EVENT, category)
        if not isinstance(tag, str):
            known = f" ({', '.join(members)})" if members else ""
            faults.add(("payload", "event"), f"the tag of an event{known}")
            return False
        if tag not in members:
            return False
        self._record(members[tag])(payload, ("payload",), faults)
        return True

    def _fields(
        self, fields: Iterable[_CheckedField], members: dict[str, Any], path: Path, faults: _Faults
    ) -> dict[str, Any]:
        """Structure the fields of an object that are there; add the faults of the others."""
        structured = {}
        for name, hook, check, is_required, expected in fields:
            if name not in members:
                if is_required:
                    faults.add((*path, name), f"{expected}; the field is missing")
            elif hook is None:
                structured[name] = check(members[name], (*path, name), faults)
            else:
                try:
                    structured[name] = hook(members[name], None)
                except Mismatch as mismatch:
                    structured[name] = faults.add((*path, name), mismatch.expected)
        return structured

    def _checked(self, fields: tuple[RecordField, ...]) -> list[_CheckedField]:
        return [
            (
                f.name,
                structure_leaf(f.shape) if isinstance(f.shape, Leaf) else None,
                self._check(f.shape),
                f.required,
                _expected(f.shape),
            )
            for f in fields
        ]

    def _record(self, cls: type) -> _Check:
        check = self._records.get(cls)
        if check is None:
            check = self._records[cls] = self._check_record(cls)
        return check

    def _check_record(self, cls: type) -> _Check:
        record_fields = self._registry.records[cls]
        tags = tuple(tags_of(self._registry, cls).items())
        known = frozenset({*dict(tags), *(field.name for field in record_fields)})
        fields = self._checked(record_fields)

        def check(value: Any, path: Path, faults: _Faults) -> Any:
            if type(value) is not dict:
                return faults.add(path, "an object")
            before = len(faults)
            for name, tag in tags:
                if value.get(name, tag) != tag:
                    faults.add((*path, name), f'"{tag}", which the message type says')
            if self._forbids_unknown:
                _unknown_fields(value, known, path, faults)
            structured = self._fields(fields, value, path, faults)
            return _FAULTY if len(faults) > before else _constructed(cls, structured, path, faults)

        return check

    def _check(self, shape: Shape) -> _Check:
        match shape:
            case Maybe(inner):
                check_inner = self._check(inner)
                return lambda v, path, faults: None if v is None else check_inner(v, path, faults)
            case Array(_, container, inner):
                return _check_array(container, self._check(inner))
            case Map(_, inner):
                return _check_map(self._check(inner))
            case Record(cls):
                return lambda value, path, faults: self._record(cls)(value, path, faults)
            case Leaf():
                return _check_leaf(shape)


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


def _is_bare_keepalive(declaration: MessageDeclaration | None, frame: dict[str, Any]) -> bool:
    if declaration is None or declaration.kind is not MessageKind.KEEPALIVE:
        return False
    return is_bare(frame)


def _check_leaf(leaf: Leaf) -> _Check:
    structure = structure_leaf(leaf)

    def check(value: Any, path: Path, faults: _Faults) -> Any:
        try:
            return structure(value, None)
        except Mismatch as mismatch:
            return faults.add(path, mismatch.expected)

    return check


def _check_array(container: Any, check_item: _Check) -> _Check:
    def check(value: Any, path: Path, faults: _Faults) -> Any:
        if type(value) is not list:
            return faults.add(path, "an array")
        before = len(faults)
        items = [check_item(item, (*path, index), faults) for index, item in enumerate(value)]
        if len(faults) > before:
            return _FAULTY
        try:
            return to_container(container, items)
        except Mismatch as mismatch:
            return faults.add(path, mismatch.expected)

    return check


def _check_map(check_item: _Check) -> _Check:
    def check(value: Any, path: Path, faults: _Faults) -> Any:
        if type(value) is not dict:
            return faults.add(path, "an object")
        return {key: check_item(item, (*path, key), faults) for key, item in value.items()}

    return check


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
    members: dict[str, Any], known: frozenset[str], path: Path, faults: _Faults
) -> None:
    for key in members:
        if key not in known:
            faults.add((*path, key), "no such field")


def _constructed(cls: type[Any], fields: dict[str, Any], path: Path, faults: _Faults) -> Any:
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
            faults.add((*path, attribute.name), refusal)
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
    instance: Any, attribute: "attrs.Attribute[Any]", path: Path, faults: _Faults
) -> None:
    if attribute.validator is None:
        return
    try:
        attribute.validator(instance, attribute, getattr(instance, attribute.name))
    except Exception:  # noqa: BLE001 - as above
        faults.add((*path, attribute.name), "a value that its validator accepts")
