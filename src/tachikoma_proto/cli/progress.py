"""A progress bar for large input, on a terminal, by tqdm (the extra ``cli``).

Rules:

* The bar is on standard error, and only if that is a terminal.
* Without tqdm there is no bar, and a line that says how to get one.
"""

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import BinaryIO, Final

from attrs import frozen

LARGE: Final = 4 * 2**20
"""From how many bytes on the input is large."""


@frozen
class Progress:
    """What a subcommand says while it reads.

    Attributes:
    advance: Says that so many more bytes were read.
    say: Prints a line of the result.
    """

    advance: Callable[[int], object]
    say: Callable[[str], object]


@contextmanager
def progress(stream: BinaryIO, name: str) -> Iterator[Progress]:
    """Show how much of a stream was read, while the block runs.

    Args:
        stream: What is read; from a pipe it may be endless, and counts as large.
        name: What the bar calls it.
    """
    quiet = Progress(advance=lambda _: None, say=print)
    size = _size(stream) if sys.stderr.isatty() else 0
    if size is not None and size < LARGE:
        yield quiet
        return
    try:
        from tqdm import tqdm
    except ImportError:
        print("for a progress bar: pip install 'tachikoma-proto[cli]'", file=sys.stderr)
        yield quiet
        return
    # On the same terminal, a line has to go around the bar.
    say = partial(tqdm.write, file=sys.stdout) if sys.stdout.isatty() else print
    with tqdm(total=size, desc=Path(name).name, unit="B", unit_scale=True) as bar:
        yield Progress(advance=bar.update, say=say)


def _size(stream: BinaryIO) -> int | None:
    """How many bytes a stream has; None if that cannot be told beforehand."""
    if not stream.seekable():
        return None
    return os.fstat(stream.fileno()).st_size
