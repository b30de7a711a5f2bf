"""Versions: three numbers, in order."""

import re
from dataclasses import dataclass
from typing import ClassVar, Final

_NUMBER: Final = "(0|[1-9][0-9]{0,8})"


@dataclass(frozen=True, order=True, slots=True)
class Version:
    """A version such as ``1.2.3``.

    Attributes:
        major: Grows with what breaks.
        minor: Grows with what is new.
        patch: Grows with what is mended.
        PATTERN: How one is written, as a regular expression.
    """

    PATTERN: ClassVar[str] = rf"{_NUMBER}\.{_NUMBER}\.{_NUMBER}"

    major: int
    minor: int
    patch: int

    @classmethod
    def parse(cls, text: str) -> "Version":
        """Read a version.

        Raises:
            ValueError: The text is none.
        """
        match = re.fullmatch(cls.PATTERN, text)
        if match is None:
            raise ValueError("not a version")
        return cls(int(match[1]), int(match[2]), int(match[3]))

    def __str__(self) -> str:
        """Write it as it is read."""
        return f"{self.major}.{self.minor}.{self.patch}"
