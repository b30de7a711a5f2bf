"""What attrs validators leave of a type, as far as they can be said as bounds.

A schema that leaves out ``ge(0)`` or ``matches_re(…)`` promises more than a field takes, and a
strategy of hypothesis that does not know them gives up.

Rules:

* attrs has no public classes for its validators: they are told apart by what they hold.
* A validator that is not understood is an error that names the field. Who made that validator has
  to say which values it accepts.
"""

import math
import operator
from collections.abc import Callable, Mapping
from functools import reduce
from typing import Any, Final

import attrs

from tachikoma_proto.declare.frozen import frozen


@frozen(kw_only=True)
class Narrowing:
    """What validators leave of a type.

    Attributes:
        low: The smallest number, or None.
        high: The largest number, or None.
        above: The number below the smallest, or None.
        below: The number above the largest, or None.
        min_size: The least number of characters or items.
        max_size: The greatest number of characters or items, or None.
        pattern: The pattern of text, and how it is matched.
        options: The only values that are left, or None.
        items: What is left of the items of an array, or of the values of a map.
        keys: What is left of the keys of a map.
    """

    low: Any = None
    high: Any = None
    above: Any = None
    below: Any = None
    min_size: int = 0
    max_size: int | None = None
    pattern: tuple[Any, bool] | None = None
    options: Any = None
    items: "Narrowing | None" = None
    keys: "Narrowing | None" = None

    def bounds(self) -> tuple[Any, Any]:
        """Return the lowest and the highest bound, included or not, or None where there is none."""
        lows = [bound for bound in (self.low, self.above) if bound is not None]
        highs = [bound for bound in (self.high, self.below) if bound is not None]
        return max(lows, default=None), min(highs, default=None)

    def sizes(self, usual: int) -> tuple[int, int]:
        """Return the least and the greatest size.

        Args:
            usual: The greatest size where there is no reason for another.
        """
        most = self.min_size + usual
        return self.min_size, most if self.max_size is None else min(self.max_size, most)

    def integer_bounds(self, low: int, high: int) -> tuple[int, int]:
        """Return the smallest and the largest integer, both included.

        Args:
            low: The smallest that the type has.
            high: The largest that the type has.
        """
        lows = [low, *(math.ceil(n) for n in (self.low,) if n is not None)]
        lows += [math.floor(n) + 1 for n in (self.above,) if n is not None]
        highs = [high, *(math.floor(n) for n in (self.high,) if n is not None)]
        highs += [math.ceil(n) - 1 for n in (self.below,) if n is not None]
        return max(lows), min(highs)


def _both(first: Narrowing, second: Narrowing) -> Narrowing:
    """Return what two validators leave together."""
    chosen = {}
    for name in attrs.fields_dict(Narrowing):
        values = [v for v in (getattr(first, name), getattr(second, name)) if v is not None]
        choose = _STRICTER.get(name)
        if len(values) == 2 and choose is not None:
            chosen[name] = choose(values)
        elif values:
            chosen[name] = values[-1]
    return Narrowing(**chosen)


_STRICTER: Final[Mapping[str, Callable[[Any], Any]]] = {
    "low": max,
    "above": max,
    "min_size": max,
    "high": min,
    "below": min,
    "max_size": min,
}
"""What chooses among two bounds."""

_OPAQUE: Final = "a value that its validator accepts"


def expected_by(validator: Callable[..., Any], value: object) -> str:
    """Return what a validator expects, for an error.

    Args:
        validator: A field's validator.
        value: What it refused; only the type is looked at.

    Returns:
        A noun phrase with its bounds and its pattern, unless it asks for more than those.
    """
    try:
        left = narrowing_of(validator, "")
    except LookupError:
        return _OPAQUE
    noun, unit = ("string", "character") if isinstance(value, str) else ("value", "item")
    limits = [
        ("at least", left.low),
        ("more than", left.above),
        ("at most", left.high),
        ("less than", left.below),
        ("at least", left.min_size or None),
        ("at most", left.max_size),
    ]
    bounds = [(words, limit) for words, limit in limits if limit is not None]
    parts = [f"a {noun}"]
    if bounds:
        parts += ["of", " and ".join(f"{words} {limit}" for words, limit in bounds)]
    if left.min_size or left.max_size is not None:
        parts.append(unit if bounds[-1][1] == 1 else f"{unit}s")
    if left.pattern is not None:
        parts.append(f"that matches {left.pattern[0].pattern}")
    asks_for_more = any(part is not None for part in (left.options, left.items, left.keys))
    return _OPAQUE if asks_for_more or len(parts) == 1 else " ".join(parts)


def narrowing_of(validator: Callable[..., Any] | None, where: str) -> Narrowing:
    """Return what a validator leaves of a type.

    Args:
        validator: A field's validator; None leaves everything.
        where: The field, for the error.

    Raises:
        LookupError: The validator is not one that can be read.
    """
    if validator is None:
        return Narrowing()
    held: Any = validator
    is_of_attrs = type(validator).__module__.startswith("attr.")
    name = type(validator).__name__.strip("_") if is_of_attrs else ""
    if name == "AndValidator":
        return reduce(_both, (narrowing_of(each, where) for each in held._validators))
    if name == "OptionalValidator":
        return narrowing_of(held.validator, where)
    if name == "NumberValidator":
        bounds = {operator.ge: "low", operator.gt: "above", operator.le: "high"}
        field = bounds.get(held.compare_func, "below")
        return Narrowing(**{field: held.bound})
    if name == "MinLengthValidator":
        return Narrowing(min_size=held.min_length)
    if name == "MaxLengthValidator":
        return Narrowing(max_size=held.max_length)
    if name == "MatchesReValidator":
        return Narrowing(pattern=(held.pattern, "fullmatch" in held.match_func.__name__))
    if name == "InValidator":
        return Narrowing(options=held.options)
    if name == "DeepIterable":
        outer = narrowing_of(held.iterable_validator, where)
        return attrs.evolve(outer, items=narrowing_of(held.member_validator, where))
    if name == "DeepMapping":
        return attrs.evolve(
            narrowing_of(held.mapping_validator, where),
            items=narrowing_of(held.value_validator, where),
            keys=narrowing_of(held.key_validator, where),
        )
    if name in ("InstanceOfValidator", "IsCallableValidator"):
        return Narrowing()
    raise LookupError(
        f"{where} has a validator that cannot be read: pass types= with a strategy for the "
        "annotation of the field, or for its class"
    )
