"""Versions: three numbers, in order."""

import re
from dataclasses import dataclass
from typing import Final

_VERSION: Final = re.compile(r"(0|[1-9][0-9]{0,8})\.(0|[1-9][0-9]{0,8})\.(0|[1-9][0-9]{0,8})")


@dataclass(frozen=True, order=True, slots=True)
class Version:
    """A version such as ``1.2.3``.

    Attributes:
        major: Grows with what breaks.
        minor: Grows with what is new.
        patch: Grows with what is mended.
    """

    major: int
    minor: int
    patch: int

    @classmethod
    def parse(cls, text: str) -> "Version":
        """Read a version.

        Raises:
            ValueError: The text is none.
        """
        match = _VERSION.fullmatch(text)
        if match is None:
            raise ValueError("not a version")
        return cls(int(match[1]), int(match[2]), int(match[3]))

    def __str__(self) -> str:
        """Write it as it is read."""
        return f"{self.major}.{self.minor}.{self.patch}"
