"""Bounds that validators of attrs set, as keywords of JSON Schema.

Rules:

* What a validator leaves open, or what no keyword can say, is left out: a schema may promise more
  than a field takes, but never refuses what it takes.
* A regular expression is passed on only where every dialect reads it as Python does.
"""

import re
from typing import Any, Final

import attrs

from tachikoma_proto.declare.narrowing import Narrowing, narrowing_of
from tachikoma_proto.declare.shapes import Array, Integer, Map, Number, RecordField, Shape, Text

# No classes such as \d, which are Unicode's in Python alone, no lookaround and no named groups.
_PORTABLE: Final = re.compile(r"(?:[^\\(.]|\\[^A-Za-z0-9\n]|\\x[0-9A-Fa-f]{2}|\((?!\?)|\(\?:)+")
_POSSESSIVE: Final = re.compile(r"(?<!\\)[*+?}]\+")

_MAX_OPTIONS: Final = 100


def validated_bounds(cls: type, field: RecordField) -> Narrowing:
    """Return what the validators of a field leave of its type; all of it where they cannot be read.

    Args:
        cls: The class that has the field.
        field: The field.
    """
    attribute = attrs.fields_dict(cls)[field.name]
    try:
        return narrowing_of(attribute.validator, field.name)
    except LookupError:
        return Narrowing()


def keywords_of(shape: Shape, narrowing: Narrowing) -> dict[str, Any]:
    """Return the keywords that say what validators leave of a shape.

    Args:
        shape: What stands in the field, where it is not None.
        narrowing: What they leave.
    """
    match shape:
        case Text():
            found = _sizes(narrowing, "minLength", "maxLength")
            pattern = _pattern_of(narrowing)
            return {**found, **({"pattern": pattern} if pattern else {}), **_options(narrowing)}
        case Integer(_, _, low, high):
            low, high = narrowing.integer_bounds(low, high)
            return {"minimum": low, "maximum": high, **_options(narrowing)}
        case Number():
            limits = {
                "minimum": narrowing.low,
                "maximum": narrowing.high,
                "exclusiveMinimum": narrowing.above,
                "exclusiveMaximum": narrowing.below,
            }
            return {name: limit for name, limit in limits.items() if limit is not None}
        case Array():
            return _sizes(narrowing, "minItems", "maxItems")
        case Map():
            return _sizes(narrowing, "minProperties", "maxProperties")
        case _:
            return {}


def _sizes(narrowing: Narrowing, least: str, most: str) -> dict[str, int]:
    found = {least: narrowing.min_size} if narrowing.min_size else {}
    return found if narrowing.max_size is None else {**found, most: narrowing.max_size}


def _options(narrowing: Narrowing) -> dict[str, Any]:
    options = list(narrowing.options or ())
    kinds = {type(option) for option in options}
    if kinds not in ({str}, {int}) or len(options) > _MAX_OPTIONS:
        return {}
    return {"enum": sorted(options)}


def _pattern_of(narrowing: Narrowing) -> str | None:
    if narrowing.pattern is None:
        return None
    compiled, is_full = narrowing.pattern
    text = compiled.pattern
    if not is_full or compiled.flags & ~(re.UNICODE | re.ASCII):
        return None
    if not _PORTABLE.fullmatch(text) or _POSSESSIVE.search(text):
        return None
    return f"^(?:{text})$"
