"""Free JSON: what may stand in a field of type ``Json``, and in a payload that is parsed already.

Rules:

* JSON is None, bool, int, float, str, list, tuple, and dict with str keys. Subclasses of int, float
  and str count as what they are on the wire: an ``IntEnum`` is an integer.
* Numbers are finite and fit a double; text and keys are free of lone surrogates.
* A fault deep inside has its path; that of a key says that it is a key's.
"""

import math
from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType
from typing import Any, Final

from tachikoma_proto.errors import FieldError
from tachikoma_proto.wire.json_reader import MAX_DEPTH
from tachikoma_proto.wire.paths import Path, is_text, render

_JSON: Final = "JSON: None, bool, int, float, str, list, or dict with str keys"


def find_json_faults(value: Any, path: Path) -> Iterator[FieldError]:
    """Find every place where a value is not JSON.

    Args:
        value: Any object.
        path: Where it stands.
    """
    if value is None or isinstance(value, bool):
        return
    if isinstance(value, str):
        if not is_text(value):
            yield FieldError(render(path), "text without lone surrogates")
    elif isinstance(value, (int, float)):
        if not is_finite(value):
            yield FieldError(render(path), "a finite number")
    elif len(path) >= MAX_DEPTH and isinstance(value, (list, tuple, dict)):
        yield FieldError(render(path), f"at most {MAX_DEPTH} levels of nesting")
    elif isinstance(value, (list, tuple)):
        for index, item in enumerate(value):
            yield from find_json_faults(item, (*path, index))
    elif isinstance(value, dict):
        for key, item in value.items():
            if not isinstance(key, str):
                yield FieldError(render(path), f"keys that are strings, not {type(key).__name__}")
            elif not is_text(key):
                yield FieldError(render(path), "keys without lone surrogates")
            else:
                yield from find_json_faults(item, (*path, key))
    else:
        yield FieldError(render(path), _JSON)


def is_finite(number: float) -> bool:
    """Return whether a number is finite and fits a double."""
    try:
        return math.isfinite(number)
    except OverflowError:
        return False


def to_builtins(value: Any) -> Any:
    """Return JSON as the exact builtins that a JSON encoder writes.

    Args:
        value: JSON, in which :func:`find_json_faults` finds no fault.
    """
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, (list, tuple)):
        return [to_builtins(item) for item in value]
    if isinstance(value, dict):
        return {str.__str__(key): to_builtins(item) for key, item in value.items()}
    for builtin, convert in PLAIN.items():
        if isinstance(value, builtin):
            return convert(value)
    raise TypeError(f"{type(value).__name__} is not JSON")


PLAIN: Final[Mapping[type, Callable[[Any], Any]]] = MappingProxyType(
    {str: str.__str__, int: int.__int__, float: float.__float__}
)
"""What makes the builtin of an instance of a subclass. Not ``str(value)``, which asks the subclass:
an enum's would give its name."""
