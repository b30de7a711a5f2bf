"""JSON paths to the place of a fault, as in ``$.payload.targets[1].port``."""

import json
from collections.abc import Iterable
from itertools import islice
from typing import Final, TypeAlias

from tachikoma_proto.errors import MAX_REPORTED, FieldError

Path: TypeAlias = tuple[str | int, ...]
"""The keys and indices from the frame's root to a value."""

MAX_KEY: Final = 64
"""How many characters of a key a path shows: a key comes from the peer, and may be long."""


def render(path: Path) -> str:
    """Write a path.

    Args:
        path: Keys and indices. A key that is no plain name is quoted as JSON in ASCII, and cut
            where it is long.

    Returns:
        The path, starting with ``$``.
    """
    return "$" + "".join(map(step_of, path))


def step_of(step: str | int) -> str:
    """Write one step of a path.

    Args:
        step: A key or an index.
    """
    if isinstance(step, int):
        return f"[{step}]"
    if len(step) <= MAX_KEY and step.isascii() and step.isidentifier():
        return f".{step}"
    shown = step if len(step) <= MAX_KEY else step[:MAX_KEY] + "…"
    return f"[{json.dumps(shown)}]"


def cap(errors: Iterable[FieldError]) -> list[FieldError]:
    """Return the first faults, as many as one error reports."""
    return list(islice(errors, MAX_REPORTED))


def is_text(text: str) -> bool:
    """Return whether text is free of lone surrogates, so that UTF-8 can encode it."""
    if text.isascii():
        return True
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
