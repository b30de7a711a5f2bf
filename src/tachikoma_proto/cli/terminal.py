"""Lines for a terminal, which are plain where there is none.

Rules:

* Colours are for a terminal only, and not if ``NO_COLOR`` is set.
* On a terminal a line is cut to its width; elsewhere it is whole.
"""

import os
from typing import Final, TextIO, TypeAlias

PLAIN: Final = ""
DIM: Final = "2"
RED: Final = "31"
GREEN: Final = "32"
YELLOW: Final = "33"
MAGENTA: Final = "35"
CYAN: Final = "36"

Piece: TypeAlias = tuple[str, str]
"""A part of a line, and the colour of it."""


class Paper:
    """What lines are laid out for.

    Args:
        stream: Where they will be written.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self.is_terminal: Final = stream.isatty()
        self._has_colours = (
            self.is_terminal and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
        )

    def line(self, *pieces: Piece) -> str:
        """Lay a line out.

        Args:
            pieces: Its parts, from left to right.
        """
        left = self.width
        shown = []
        for text, colour in pieces:
            part = text if left is None or len(text) <= left else f"{text[: max(left - 1, 0)]}…"
            if part and (left is None or left > 0):
                shown.append(self._coloured(part, colour))
            left = None if left is None else left - len(part)
        return "".join(shown)

    @property
    def width(self) -> int | None:
        """How many columns there are now; None for any number."""
        if not self.is_terminal:
            return None
        return os.get_terminal_size(self._stream.fileno()).columns or None

    def _coloured(self, text: str, colour: str) -> str:
        return f"\x1b[{colour}m{text}\x1b[0m" if colour and self._has_colours else text
