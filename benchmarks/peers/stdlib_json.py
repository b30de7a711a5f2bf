"""The standard module alone: a frame is a dict, and nothing is checked.

Rules:

* It is the floor of whoever builds on it, and no contestant for the work itself.
* The encoder is made once, and writes as compactly as the contract's frames are.
"""

import json
import platform
from datetime import UTC, datetime
from uuid import uuid4

from benchmarks.cases import Case
from benchmarks.contestant import Contestant, Decode, Encode


class StdlibJson:
    """Dicts of the standard module."""

    name = "json"
    version = platform.python_version()
    note = "the standard module alone: dicts, no types, no checks"
    strict = False
    typed = False
    whole = True
    refusals: tuple[type[Exception], ...] = (json.JSONDecodeError,)

    def __init__(self) -> None:
        self._write: Encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode

    def decode(self, case: Case) -> Decode | None:
        """Give ``json.loads``."""
        return json.loads

    def encode(self, case: Case) -> Encode | None:
        """Give the encoder's ``encode``."""
        return self._write

    def send(self, case: Case) -> Encode | None:
        """Give a function that makes the envelope, and writes it."""
        write = self._write
        return lambda message: write(
            {**message, "id": str(uuid4()), "timestamp": datetime.now(UTC).isoformat()}
        )


def make() -> Contestant:
    """Make the contestant."""
    return StdlibJson()
