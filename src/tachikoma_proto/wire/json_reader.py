"""The strict JSON reader: a frame becomes one JSON object, or a precise error.

Rules (the standard module is laxer in each):

* A frame is UTF-8 text, without a byte order mark, of one JSON object and nothing after it.
* No ``NaN`` and no ``Infinity``; a number that overflows a double is refused, an integer too.
  ``-0`` is a float, as to every peer that has no negative zero among its integers.
* No lone surrogates, written raw or escaped; no raw control characters.
* A key stands once in its object, at every level.
* Size and nesting are checked before anything is parsed.

The fast path only finds out that something is wrong; :mod:`~tachikoma_proto.wire.json_faults` then
says what, everywhere in the frame, and reads the frame's ``id`` if that can be done.
"""

import json
from collections.abc import Callable
from typing import Any, Final, TypeAlias

from tachikoma_proto.errors import FieldError, InvalidMessageError, MessageTooLargeError
from tachikoma_proto.wire.json_tokens import is_too_deep, recover_id

Frame: TypeAlias = str | bytes | bytearray | memoryview
"""What a transport hands over: text, or its bytes in UTF-8."""

JsonObject: TypeAlias = dict[str, Any]

MAX_DEPTH: Final = 128
"""How deep objects and arrays may be nested; the frame itself is the first level."""


class Refused(Exception):
    """A value in the text is JSON to the standard module and not to us."""


def _object(pairs: list[tuple[str, Any]]) -> JsonObject:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise Refused
    return members


def _constant(_: str) -> Any:
    raise Refused


def _float(text: str) -> float:
    number = float(text)
    if number - number != 0:
        raise Refused
    return number


def _int(text: str) -> int | float:
    if len(text) > 308 and not _is_finite(text):
        raise Refused
    return -0.0 if text == "-0" else int(text)


def _is_finite(text: str) -> bool:
    """Tell whether a double can hold a number."""
    number = float(text)
    return number - number == 0


_REFUSED: Final = object()

_SPACE: Final = " \t\n\r"

SHORT: Final = 1024
"""Up to how many characters, where there are no arrays, it takes less time to count commas than to
look at each object."""

_Scan: TypeAlias = Callable[[str, int], tuple[Any, int]]


def _scanner(**hooks: Any) -> _Scan:
    decoder: Any = json.JSONDecoder(
        parse_constant=_constant, parse_float=_float, parse_int=_int, **hooks
    )
    scan: _Scan = decoder.scan_once
    return scan


_scan: Final = _scanner(object_pairs_hook=_object)
_scan_flat: Final = _scanner()


def _may_lack_members(value: Any, text: str) -> bool:
    """Tell whether a key of an object was repeated, which the standard scanner does not mind.

    Each member but the first of its object has a comma, and a member that was lost had one too.
    Other commas stand in arrays and in strings. So where there are no more than those of the frame
    and its payload, nothing was lost; else all have to be accounted for.
    """
    if type(value) is not dict:
        return True
    payload = value.get("payload")
    commas = text.count(",")
    if type(payload) is dict and commas == len(value) + len(payload) - 2 and payload:
        return False
    return "\\u002" in text or commas != _commas_in(value)  # some may be escaped


def _commas_in(value: Any) -> int:
    """Count the commas of a value's JSON text, of which none is escaped."""
    if type(value) is str:
        return value.count(",")
    if type(value) is dict:
        inside = sum(key.count(",") + _commas_in(item) for key, item in value.items())
    elif type(value) is list:
        inside = sum(_commas_in(item) for item in value)
    else:
        return 0
    return inside + len(value) - 1 if value else 0


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
    text = (
        frame
        if type(frame) is str and len(frame) <= max_size and frame.isascii()
        else _text_of(frame, max_size)
    )
    if is_too_deep(text, MAX_DEPTH):
        raise _invalid(f"at most {MAX_DEPTH} levels of nesting", text)
    value = _parse(text)
    if value is _REFUSED:
        raise _explain(text)
    if type(value) is not dict:
        raise _invalid("a JSON object", text)
    return value


def _parse(text: str) -> Any:
    """Parse as ``JSONDecoder.decode`` does, without looking for space where there is none."""
    start = 0 if text[:1] == "{" else len(text) - len(text.lstrip(_SPACE))
    try:
        is_flat = len(text) <= SHORT and "[" not in text
        value, end = (_scan_flat if is_flat else _scan)(text, start)
        if end != len(text) and text[end:].strip(_SPACE):
            return _REFUSED
        if is_flat and _may_lack_members(value, text):
            value, _ = _scan(text, start)
        if "\\" in text and ("\\ud" in text or "\\uD" in text):  # escapes of surrogates, perhaps
            json.dumps(value, ensure_ascii=False).encode()
    except (Refused, ValueError, StopIteration):
        return _REFUSED
    return value


def _text_of(frame: Frame, max_size: int) -> str:
    if isinstance(frame, str):
        is_measured = frame.isascii() or len(frame) > max_size
        _refuse_too_large(len(frame) if is_measured else _size_in_utf8(frame), max_size)
        return frame
    if not isinstance(frame, (bytes, bytearray, memoryview)):
        raise TypeError(f"a frame is str, bytes, bytearray or memoryview, not {type(frame)}")
    _refuse_too_large(memoryview(frame).nbytes, max_size)
    try:
        return bytes(frame).decode()
    except UnicodeDecodeError as error:
        at = error.start
    raise _invalid(f"UTF-8 text; malformed at byte {at}", bytes(frame).decode(errors="replace"))


def _size_in_utf8(text: str) -> int:
    try:
        return len(text.encode())
    except UnicodeEncodeError as error:
        at = error.start
    raise _invalid(f"text without lone surrogates; there is one at character {at}", text)


def _refuse_too_large(size: int, max_size: int) -> None:
    if size > max_size:
        raise MessageTooLargeError(f"the frame is larger than {max_size} bytes")


def _explain(text: str) -> InvalidMessageError:
    from tachikoma_proto.wire.json_faults import explain

    return explain(text)


def _invalid(expected: str, text: str) -> InvalidMessageError:
    return InvalidMessageError(errors=[FieldError("$", expected)], message_id=recover_id(text))
