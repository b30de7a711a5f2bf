"""Notices: what the library warns of while a subcommand talks to a server.

Rules:

* The error that ends the client is no notice: it is raised too, and who catches it says so.
"""

import logging
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from tachikoma_proto.cli.brief import printable

_ENDED: Final = "tachikoma_proto.client"
"""Whose errors end the client."""


def print_notice(text: str) -> None:
    """Say something on standard error."""
    print(f"tachikoma-proto: {text}", file=sys.stderr, flush=True)


@contextmanager
def noticing(notice: Callable[[str], object]) -> Iterator[None]:
    """Pass on what the library warns of while the block runs.

    Args:
        notice: Shows a line to the person.
    """
    handler = _Notices(notice)
    log = logging.getLogger("tachikoma_proto")
    log.addHandler(handler)
    try:
        yield
    finally:
        log.removeHandler(handler)


class _Notices(logging.Handler):
    def __init__(self, notice: Callable[[str], object]) -> None:
        super().__init__(logging.WARNING)
        self._notice = notice

    def emit(self, record: logging.LogRecord) -> None:
        """Show a record."""
        if record.name == _ENDED and record.levelno >= logging.ERROR:
            return
        self._notice(printable(record.getMessage()))
