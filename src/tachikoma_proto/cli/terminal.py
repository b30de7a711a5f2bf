"""What is written to a terminal: lines with colours that fit its width; plain lines elsewhere.

Rules:

* Colours are for a terminal only, and not if ``NO_COLOR`` is set.
* The width is the terminal's own; ``COLUMNS`` counts where it has none.
* rich is imported when something is written to a terminal, or for a table.
"""

import os
import shutil
from collections.abc import Sequence
from functools import cached_property
from io import StringIO
from typing import TYPE_CHECKING, Final, TextIO, TypeAlias

if TYPE_CHECKING:
    from rich.console import Console

Piece: TypeAlias = tuple[str, str]
"""A part of a line, and its style: one of rich's, or an empty string."""

NARROW: Final = 72
"""Below how many columns there is no room for more than what matters most."""

_ANY_WIDTH: Final = 100_000


def terminal_width(stream: TextIO) -> int:
    """Return how many columns a terminal has now.

    Args:
        stream: The terminal; for what is none, that is what ``COLUMNS`` says, or 80.
    """
    try:
        columns = os.get_terminal_size(stream.fileno()).columns
    except (OSError, ValueError):
        columns = 0
    return columns or shutil.get_terminal_size().columns


class LineWriter:
    """Writes lines to a stream.

    Args:
        stream: Where to.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self.is_terminal: Final = stream.isatty()

    def write(self, *pieces: Piece, is_cut: bool = True) -> None:
        """Write a line, at once.

        Args:
            pieces: Its parts, from left to right.
            is_cut: Whether it is cut to the terminal's width.
        """
        if not self.is_terminal:
            print("".join(text for text, _ in pieces), file=self._stream, flush=True)
            return
        from rich.text import Text

        self.fit()
        line = Text.assemble(*pieces)
        if is_cut:
            self.console.print(line, no_wrap=True, overflow="ellipsis")
        else:
            self.console.print(line, soft_wrap=True)

    @cached_property
    def console(self) -> "Console":
        """The terminal, as wide as it was when :meth:`fit` was called last."""
        return make_console(self._stream, terminal_width(self._stream))

    def fit(self) -> None:
        """Make the console as wide as the terminal is now."""
        self.console.width = terminal_width(self._stream)

    @property
    def width(self) -> int | None:
        """How many columns there are now; None for any number."""
        return terminal_width(self._stream) if self.is_terminal else None

    @property
    def is_narrow(self) -> bool:
        """Whether there are few columns."""
        width = self.width
        return width is not None and width < NARROW


def make_console(stream: TextIO, width: int | None = None) -> "Console":
    """Return a console that shows text as it is, with colours only where they are wanted.

    Args:
        stream: Where it writes to.
        width: How many columns it has; as many as the terminal has if left out.
    """
    from rich.console import Console

    return Console(
        file=stream,
        width=width,
        color_system=None if os.environ.get("NO_COLOR") else "auto",
        highlight=False,
        markup=False,
        emoji=False,
    )


def table(head: Sequence[str], rows: Sequence[Sequence[object]], width: int | None = None) -> str:
    """Return a table in columns, numbers to the right.

    Args:
        head: The columns' names.
        rows: The cells; each row has as many as there are columns.
        width: How many columns of a terminal there are: cells are wrapped to fit. None for any
            number.
    """
    from rich.table import Table
    from rich.text import Text

    laid_out = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="")
    for place, name in enumerate(head):
        is_number = bool(rows) and all(isinstance(row[place], int) for row in rows)
        laid_out.add_column(name, justify="right" if is_number else "left", overflow="fold")
    for row in rows:
        laid_out.add_row(*(Text(str(cell)) for cell in row))
    text = StringIO()
    make_console(text, width or _ANY_WIDTH).print(laid_out)
    return "\n".join(line.rstrip() for line in text.getvalue().splitlines())
