"""What can be told of a frame without parsing it: how deep it is nested, and which ``id`` it has.

Rules:

* It never descends: nesting is counted over tokens, so a hostile frame costs no stack.
* No text is read twice, whatever it is: the time is in proportion to the size.
* An ``id`` is recovered only where it is plain which one it is.
"""

import re
from collections.abc import Iterator
from typing import Final
from uuid import UUID

from tachikoma_proto.wire.uuids import parse_uuid

# A string goes to its end or, where it has none, to the end of the text: no text is read twice.
_TOKEN: Final = re.compile(r'"[^"\\]*+(?:\\.[^"\\]*+)*+(?:"|\\?\Z)|[\[\]{}]', re.DOTALL)
_ID: Final = re.compile(r'"id"[ \t\r\n]*+:[ \t\r\n]*+"([^"\\]*+)"')
_ANY_ID_KEY: Final = re.compile(r'"id"[ \t\r\n]*+:')

_START: Final = 1024
"""How much of a frame that is too large is looked at."""


def is_too_deep(text: str, max_depth: int) -> bool:
    """Tell whether objects and arrays are nested deeper than allowed.

    Args:
        text: JSON, or what should be.
        max_depth: How many levels are allowed.
    """
    # To look for a character takes a fraction of the time that it takes to count it.
    has_arrays = "[" in text
    if not has_arrays and len(text) <= max_depth * len('{"":'):
        return False  # objects alone take more room: where they do not, it is no JSON
    if text.count("{") + (has_arrays and text.count("[")) <= max_depth:
        return False
    return any(depth > max_depth for _, depth in _tokens(text))


def recover_id(text: str) -> UUID | None:
    """Read the ``id`` of a frame that is not JSON.

    Args:
        text: The frame.

    Returns:
        The id; None if the frame has none, more than one, or one that is no UUID.
    """
    found: list[UUID | None] = []
    for token, depth in _tokens(text):
        if depth == 1 and _ANY_ID_KEY.match(text, token.start()):
            match = _ID.match(text, token.start())
            found.append(parse_uuid(match[1]) if match else None)
    return found[0] if len(found) == 1 else None


def recover_id_at_start(frame: str | bytes | bytearray | memoryview) -> UUID | None:
    """Read the ``id`` of a frame that is too large to be gone through.

    Args:
        frame: The frame.

    Returns:
        The id; None if there is none at the start, where everyone writes it.
    """
    start = frame[:_START]
    return recover_id(start if isinstance(start, str) else bytes(start).decode(errors="replace"))


def _tokens(text: str) -> Iterator[tuple[re.Match[str], int]]:
    """Go through strings and brackets with the depth at which each stands."""
    depth = 0
    for token in _TOKEN.finditer(text):
        first = text[token.start()]
        if first in "{[":
            depth += 1
        yield token, depth
        if first in "}]":
            depth -= 1
