"""What fields are made of: bounded numbers, free JSON, secrets.

Rules:

* A bounded number is a plain ``int`` or ``float`` to a type checker and at run time. Its bounds
  hold when a message is read and when it is written.
* Where a field has several ranges, all of them hold.
* A secret field shows in no repr, log or error.
"""

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, Final, TypeAlias

import attrs

from tachikoma_proto.declare.frozen import frozen
from tachikoma_proto.errors import RegistryError

__all__ = ["F32", "U32", "U64", "FloatRange", "IntRange", "Json", "is_secret", "masked", "secret"]


@frozen
class IntRange:
    """The bounds of an integer field, both included.

    Attributes:
        name: What the contract calls the type, such as ``u32``.
        low: The smallest value.
        high: The largest value.

    Example::

        percent: Annotated[int, IntRange("percent", 0, 100)]
    """

    name: str
    low: int
    high: int

    def __attrs_post_init__(self) -> None:
        if not all(type(bound) is int for bound in (self.low, self.high)):
            raise RegistryError(f"the bounds of IntRange {self.name!r} must be integers")


@frozen
class FloatRange:
    """The bound of a float field.

    Attributes:
        name: What the contract calls the type, such as ``f32``.
        limit: Every value lies between ``-limit`` and ``limit``, neither included.
    """

    name: str
    limit: float

    def __attrs_post_init__(self) -> None:
        if type(self.limit) not in (int, float) or math.isnan(self.limit):
            raise RegistryError(f"the limit of FloatRange {self.name!r} must be a number")


U32: TypeAlias = Annotated[int, IntRange("u32", 0, 2**32 - 1)]
"""An unsigned integer of 32 bits."""

U64: TypeAlias = Annotated[int, IntRange("u64", 0, 2**64 - 1)]
"""An unsigned integer of 64 bits."""

F32: TypeAlias = Annotated[float, FloatRange("f32", 2.0**128 - 2.0**103)]
"""A float whose nearest value in 32 bits is finite. Its own digits are kept, not rounded."""

Json: TypeAlias = Any
"""Any JSON value: None, bool, int, float, str, list, and dict with str keys."""

_SECRET: Final = "tachikoma_proto.secret"


def masked(_: object) -> str:
    """Return what a repr shows in place of a secret."""
    return "***"


def is_secret(metadata: Mapping[Any, Any]) -> bool:
    """Return whether a field was made with :func:`secret`.

    Args:
        metadata: The field's metadata.
    """
    return metadata.get(_SECRET) is True


if TYPE_CHECKING:
    from attrs import field as secret
else:

    def secret(*, repr: bool = False, metadata: Mapping[Any, Any] | None = None, **options: Any):
        """Declare a field that no repr, log or error shows; otherwise ``attrs.field``.

        Args:
            repr: Left out: the repr shows ``***``.
            metadata: As for ``attrs.field``.
            options: As for ``attrs.field``, such as ``default``.

        Raises:
            TypeError: A repr of one's own is asked for, which could show the secret.

        Example::

            token: str = secret()
        """
        if repr is not False:
            raise TypeError("a secret field has no repr of its own: leave repr out")
        marked = {**(metadata or {}), _SECRET: True}
        return attrs.field(repr=masked, metadata=marked, **options)
