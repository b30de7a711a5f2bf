"""What every message is made of: three bases, bounded scalars, marks for fields.

Rules:

* A message is a frozen attrs class, keyword-only, with slots, and hashable where its fields are.
* ``R`` of ``Command[R]`` is the response class that answers the command. It is there for type
  checkers and for whoever asks the registry; nothing of it is on the wire.
* A bounded scalar is a plain ``int`` or ``float`` to a type checker and at run time. Its bounds
  are the wire's, and are held when a message is read and when it is written.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Annotated, Any, Final, Generic, TypeAlias, TypeVar, get_args, get_origin

from attrs import frozen


class Message:
    """What commands, events, responses and envelopes are; it can be referred to weakly."""

    __slots__ = ("__weakref__",)


class Response(Message):
    """Base of what a server answers: flat on the wire, without a tag."""

    __slots__ = ()


R = TypeVar("R", bound=Response)
"""The response that answers a command."""


class Command(Message, Generic[R]):
    """Base of what a client asks for; ``class StartMission(Command[AckResponse])``."""

    __slots__ = ()


class Event(Message):
    """Base of what a server pushes to those who subscribed."""

    __slots__ = ()


@frozen
class IntRange:
    """The bounds of an integer field, both included.

    Attributes:
        name: What the wire's contract calls the type, such as ``u32``.
        low: The smallest value.
        high: The largest value.
    """

    name: str
    low: int
    high: int


@frozen
class FloatRange:
    """The bound of a float field.

    Attributes:
        name: What the wire's contract calls the type, such as ``f32``.
        limit: Every value lies between ``-limit`` and ``limit``, neither included.
    """

    name: str
    limit: float


def unmarked(annotation: Any) -> Any:
    """Give the type that an annotation marks; the annotation itself if it has no marks."""
    return get_args(annotation)[0] if get_origin(annotation) is Annotated else annotation


def bounds_of(annotation: Any) -> IntRange | FloatRange | None:
    """Find the bounds of an annotation; None if it is not a bounded scalar."""
    if get_origin(annotation) is Annotated:
        base, *marks = get_args(annotation)
        for mark in marks:
            if (base, type(mark)) in ((int, IntRange), (float, FloatRange)):
                bounds: IntRange | FloatRange = mark
                return bounds
    return None


U32: TypeAlias = Annotated[int, IntRange("u32", 0, 2**32 - 1)]
"""An unsigned integer of 32 bits."""

U64: TypeAlias = Annotated[int, IntRange("u64", 0, 2**64 - 1)]
"""An unsigned integer of 64 bits."""

F32: TypeAlias = Annotated[float, FloatRange("f32", 2.0**128 - 2.0**103)]
"""A float whose nearest value in 32 bits is finite. Its own digits are kept, not rounded."""

Json: TypeAlias = Any
"""Any JSON value: None, bool, int, float, str, list and dict with str keys."""

SECRET: Final[Mapping[str, bool]] = MappingProxyType({"tachikoma_proto.secret": True})
"""Metadata of a field that no repr, log or error may show.

Give it to the field with a repr that hides it::

    token: str = field(repr=masked, metadata=SECRET)
"""


def masked(_: object) -> str:
    """Stand for a secret in a repr."""
    return "***"
