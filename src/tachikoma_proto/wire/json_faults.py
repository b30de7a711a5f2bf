"""What is wrong with a frame that the strict reader refused, and which ``id`` it has.

Rules:

* This is loaded when the first bad frame is met, and takes time in proportion to its size.
* The frame is not nested too deep: that was found out before.
"""

import json
from collections import Counter
from collections.abc import Iterator
from typing import Any, Final
from uuid import UUID

from tachikoma_proto.errors import FieldError, InvalidMessageError
from tachikoma_proto.wire.json_tokens import recover_id
from tachikoma_proto.wire.paths import Path, cap, is_text, render
from tachikoma_proto.wire.uuids import parse_uuid


def explain(text: str) -> InvalidMessageError:
    """Say what is wrong with a frame that the strict reader refused.

    Args:
        text: The frame; not nested too deep.

    Returns:
        The error, with every fault of the frame if it is JSON otherwise, or with the place
        where it stops being JSON.
    """
    try:
        value = _marking_decode(text)
    except json.JSONDecodeError as error:
        fault = FieldError("$", f"JSON text (RFC 8259); malformed at character {error.pos}")
        return InvalidMessageError(errors=[fault], message_id=recover_id(text))
    errors = cap(FieldError(render(path), what) for path, what in _faults(value, ()))
    return InvalidMessageError(errors=errors, message_id=_id_of(value))


class _Mark:
    """Stands in the tree for a value that is none."""

    def __init__(self, expected: str) -> None:
        self.expected = expected


class _Repeating(dict[str, Any]):
    """An object in which keys stand more than once."""

    repeated: frozenset[str] = frozenset()


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = _Repeating(pairs)
    if len(members) != len(pairs):
        counts = Counter(key for key, _ in pairs)
        members.repeated = frozenset(key for key, count in counts.items() if count > 1)
    return members


def _number(text: str) -> Any:
    number = float(text)
    return number if number - number == 0 else _Mark("a number that a double can hold")


def _constant(_: str) -> _Mark:
    return _Mark("a JSON value, which NaN and Infinity are not")


_marking_decode: Final = json.JSONDecoder(
    object_pairs_hook=_object, parse_constant=_constant, parse_float=_number, parse_int=_number
).decode


def _faults(value: Any, path: Path) -> Iterator[tuple[Path, str]]:
    if isinstance(value, _Mark):
        yield path, value.expected
    elif isinstance(value, str):
        if not is_text(value):
            yield path, "text without lone surrogates"
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _faults(item, (*path, index))
    elif isinstance(value, _Repeating):
        for key, item in value.items():
            if key in value.repeated:
                yield (*path, key), "a key that stands once in its object"
            if not is_text(key):
                yield path, "keys without lone surrogates"
            yield from _faults(item, (*path, key))


def _id_of(value: Any) -> UUID | None:
    if not isinstance(value, _Repeating) or "id" in value.repeated:
        return None
    message_id = value.get("id")
    return parse_uuid(message_id) if isinstance(message_id, str) else None
