"""The strict JSON reader: a frame becomes one JSON object, or a precise error.

The standard module parses; it is laxer than the contract in several places, so hooks and checks
around it refuse what it would let pass. They only find out *that* something is wrong. The text is
then parsed once more, with marks in the place of what the contract forbids, so that every fault is
reported with its path.

Rules:

* A frame is UTF-8 text, without a byte order mark, of one JSON object and nothing after it.
* No ``NaN`` and no ``Infinity``; a number that overflows a double is refused, an integer too.
  ``-0`` is a float, as to every peer that has no negative zero among its integers.
* No lone surrogates, written raw or escaped; no raw control characters.
* A key stands once in its object, at every level.
* Size and nesting are checked before anything is parsed. Nesting is counted over tokens, so a
  hostile frame costs no stack, and no text is read twice.
* The ``id`` of a frame that is not JSON is recovered only where it is plain which one it is.
"""

import json
import re
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any, Final, TypeAlias
from uuid import UUID

from tachikoma_proto.errors import FieldError, InvalidMessageError, MessageTooLargeError
from tachikoma_proto.wire.formats import parse_uuid
from tachikoma_proto.wire.paths import Path, cap, is_text, render

Frame: TypeAlias = str | bytes | bytearray | memoryview
"""What a transport hands over: text, or its bytes in UTF-8."""

JsonObject: TypeAlias = dict[str, Any]

MAX_DEPTH: Final = 128
"""How deep objects and arrays may be nested; the frame itself is the first level."""

_SPACE: Final = " \t\n\r"

_START: Final = 1024
"""How much of a frame that is too large is searched for its ``id``."""

# Compiled when they are needed, for a frame that is refused or deep.
# A string goes to its end or, where it has none, to the end of the text: no text is read twice.
_TOKEN: Final = r'(?s:"[^"\\]*+(?:\\.[^"\\]*+)*+(?:"|\\?\Z)|[\[\]{}])'
_ID: Final = r'"id"[ \t\r\n]*+:(?:[ \t\r\n]*+"([^"\\]*+)")?'


_NO_OBJECT: Final = FieldError("$", "a JSON object")


class _Refused(ValueError):
    """A value in the text is JSON to the standard module and not to the contract."""


def read_object(frame: Frame, max_size: int) -> JsonObject:
    """Read a frame.

    Args:
        frame: The text, or its bytes in UTF-8.
        max_size: How many bytes the frame may have in UTF-8.

    Returns:
        The JSON object, of builtins; numbers are finite, text is free of surrogates.

    Raises:
        InvalidMessageError: The frame is not one JSON object that keeps the rules above.
        MessageTooLargeError: It is larger than ``max_size``.
        TypeError: It is neither text nor bytes, which is the caller's mistake.
    """
    is_usual = type(frame) is str and len(frame) <= max_size and frame.isascii()
    text: Any = frame if is_usual else _text_of(frame, max_size)
    if is_too_deep(text):
        raise _invalid(f"at most {MAX_DEPTH} levels of nesting", text)
    malformed_at: int | None = None
    try:
        start = 0 if text[:1] == "{" else len(text) - len(text.lstrip(_SPACE))
        value, end = _scan(text, start)
        if end != len(text) and text[end:].strip(_SPACE):
            raise _Refused
        if "\\" in text and ("\\ud" in text or "\\uD" in text):  # escapes of surrogates, perhaps
            json.dumps(value, ensure_ascii=False).encode()
    except StopIteration as stop:  # raised below, so that the error carries nothing of this one
        malformed_at = stop.value
    except json.JSONDecodeError as error:
        malformed_at = error.pos
    except ValueError:
        pass
    else:
        if type(value) is dict:
            return value
        raise InvalidMessageError(errors=[_NO_OBJECT])
    raise _explain(text) if malformed_at is None else _malformed(text, malformed_at)


def is_too_deep(text: str) -> bool:
    """Return whether objects and arrays are nested deeper than ``MAX_DEPTH``.

    Args:
        text: JSON, or what should be.
    """
    # Counting characters is much cheaper than going through tokens, and mostly enough.
    arrays = text.count("[") if "[" in text else 0
    if text.count("{") + arrays <= MAX_DEPTH:
        return False
    return any(depth > MAX_DEPTH for _, depth in _tokens(text))


def recover_id(text: str) -> UUID | None:
    """Read the ``id`` of a frame that is not JSON.

    Args:
        text: The frame.

    Returns:
        The id; None if the frame has none, more than one, or one that is no UUID.
    """
    found: list[UUID | None] = []
    member = re.compile(_ID)
    last = text.rfind('"id"')
    if last == 1 and text[0] == "{":  # where every peer writes it, and nowhere else
        match = member.match(text, last)
        return parse_uuid(match[1] or "") if match else None
    for token, depth in _tokens(text):
        if token.start() > last:
            break
        match = member.match(text, token.start()) if depth == 1 else None
        if match is not None:
            found.append(parse_uuid(match[1] or ""))
    return found[0] if len(found) == 1 else None


def recover_id_at_start(frame: Frame) -> UUID | None:
    """Read the ``id`` of a frame that is too large to be searched.

    Args:
        frame: The frame.

    Returns:
        The id; None if there is none at the start, where every peer writes it.
    """
    start = frame[:_START]
    return recover_id(start if isinstance(start, str) else bytes(start).decode(errors="replace"))


def size_of(frame: Frame) -> int:
    """Return how many bytes a frame has in UTF-8; a lone surrogate counts as three."""
    if isinstance(frame, str):
        return len(frame) if frame.isascii() else len(frame.encode(errors="surrogatepass"))
    return frame.nbytes if isinstance(frame, memoryview) else len(frame)


def _text_of(frame: Frame, max_size: int) -> str:
    if isinstance(frame, str):
        if len(frame) > max_size or size_of(frame) > max_size:
            raise _too_large(max_size)
        _refuse_surrogates(frame)
        return frame
    if not isinstance(frame, (bytes, bytearray, memoryview)):
        raise TypeError(f"a frame is str, bytes, bytearray or memoryview, not {type(frame)}")
    if size_of(frame) > max_size:
        raise _too_large(max_size)
    try:
        return bytes(frame).decode()
    except UnicodeDecodeError as error:
        at = error.start
    raise _invalid(f"UTF-8 text; malformed at byte {at}", bytes(frame).decode(errors="replace"))


def _refuse_surrogates(text: str) -> None:
    if text.isascii():
        return
    try:
        text.encode()
    except UnicodeEncodeError as error:
        at = error.start
    else:
        return
    raise _invalid(f"text without lone surrogates; there is one at character {at}", text)


def _too_large(max_size: int) -> MessageTooLargeError:
    return MessageTooLargeError(f"the frame is larger than {max_size} bytes")


def _invalid(expected: str, text: str) -> InvalidMessageError:
    return InvalidMessageError(errors=[FieldError("$", expected)], message_id=recover_id(text))


def _object(pairs: list[tuple[str, Any]]) -> JsonObject:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise _Refused
    return members


def _constant(_: str) -> Any:
    raise _Refused


def _float(text: str) -> float:
    number = float(text)
    if number - number != 0:
        raise _Refused
    return number


def _int(text: str) -> int | float:
    if len(text) > 308:
        _float(text)
    return -0.0 if text == "-0" else int(text)


def _scanner() -> Callable[[str, int], tuple[Any, int]]:
    decoder: Any = json.JSONDecoder(
        object_pairs_hook=_object, parse_constant=_constant, parse_float=_float, parse_int=_int
    )
    scan: Callable[[str, int], tuple[Any, int]] = decoder.scan_once
    return scan


_scan: Final = _scanner()


def _tokens(text: str) -> Iterator[tuple[re.Match[str], int]]:
    """Go through strings and brackets with the depth at which each stands."""
    depth = 0
    for token in re.finditer(_TOKEN, text):
        first = text[token.start()]
        if first in "{[":
            depth += 1
        yield token, depth
        if first in "}]":
            depth -= 1


def _malformed(text: str, at: int) -> InvalidMessageError:
    return _invalid(f"JSON text (RFC 8259); malformed at character {at}", text)


def _explain(text: str) -> InvalidMessageError:
    """Return the error with every fault of a text, or with the place where it stops being JSON."""
    try:
        value = _marking_decode(text)
    except json.JSONDecodeError as error:
        return _malformed(text, error.pos)
    errors = cap(FieldError(render(path), what) for path, what in _faults(value, ()))
    return InvalidMessageError(errors=errors, message_id=_id_of(value))


class _Mark:
    """Stands in the tree for a value that the contract forbids."""

    def __init__(self, expected: str) -> None:
        self.expected = expected


class _Repeating(dict[str, Any]):
    """An object, with the keys that stand in it more than once."""

    repeated: frozenset[str] = frozenset()


def _marked_object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = _Repeating(pairs)
    if len(members) != len(pairs):
        counts = Counter(key for key, _ in pairs)
        members.repeated = frozenset(key for key, count in counts.items() if count > 1)
    return members


def _marked_number(text: str) -> Any:
    number = float(text)
    return number if number - number == 0 else _Mark("a number that a double can hold")


def _marked_constant(_: str) -> _Mark:
    return _Mark("a JSON value, which NaN and Infinity are not")


_marking_decode: Final = json.JSONDecoder(
    object_pairs_hook=_marked_object,
    parse_constant=_marked_constant,
    parse_float=_marked_number,
    parse_int=_marked_number,
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
            if not (type(item) is str and item.isascii()):  # as most are
                yield from _faults(item, (*path, key))


def _id_of(value: Any) -> UUID | None:
    if not isinstance(value, _Repeating) or "id" in value.repeated:
        return None
    message_id = value.get("id")
    return parse_uuid(message_id) if isinstance(message_id, str) else None
