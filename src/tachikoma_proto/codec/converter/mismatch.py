"""What a hook raises, on the way in and on the way out."""

from typing import Final

REFUSALS: Final = (ValueError, TypeError, ArithmeticError, LookupError, AssertionError)
"""How the code of others refuses a value: validators, the functions of a declared scalar, and
what cattrs generates, to which a missing field is a ``KeyError``."""


class Mismatch(ValueError):
    """A value is not what its place asks for.

    Args:
        expected: What should have stood there, as a noun phrase, without the value.
    """

    def __init__(self, expected: str) -> None:
        self.expected = expected  # ``args`` are set before
