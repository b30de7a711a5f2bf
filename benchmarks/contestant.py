"""What a contestant is.

Rules:

* A contestant hands out an operation for a case, or None for what it cannot do; what its
  documentation says to make once, it made before.
* It reads ``str``, which is what a text frame arrives as, or ``bytes`` where a case says so, and
  writes what it writes by nature, ``str`` or ``bytes``.
* ``Contestant`` is all that the runner knows of it.
"""

from collections.abc import Callable
from typing import Any, Protocol, TypeAlias

from benchmarks.cases import Case

Decode: TypeAlias = Callable[[Any], object]
Encode: TypeAlias = Callable[[Any], "str | bytes"]


class LeftOut(Exception):
    """A contestant cannot take part here; the text says why."""


class Contestant(Protocol):
    """One way to read and to write the contract's messages.

    Attributes:
        name: What the report calls it.
        version: Of the library that does the work.
        note: How it does it, in a sentence; for the report.
        strict: Whether it refuses what the contract refuses.
        typed: Whether it gives a class for each message, and UUID and datetime.
        whole: Whether it takes all messages of the contract.
        refusals: What it raises for a frame that it refuses.
    """

    name: str
    version: str
    note: str
    strict: bool
    typed: bool
    whole: bool
    refusals: tuple[type[Exception], ...]

    def decode(self, case: Case) -> Decode | None:
        """Give the operation that reads a frame of a case."""

    def encode(self, case: Case) -> Encode | None:
        """Give the operation that writes a message that ``decode`` gave."""

    def send(self, case: Case) -> Encode | None:
        """Give the operation that puts its payload into a new envelope, and writes that."""
