"""msgspec at its limit: one type of frame, and its payload one flat union.

Rules:

* It reads ``event.mission`` and nothing else, so there is no choice of a frame. It shows what
  that choice costs; it is no way to speak the whole contract.
"""

from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import msgspec

from benchmarks.cases import Case
from benchmarks.contestant import Contestant, Decode, Encode
from benchmarks.models.msgspec_frames import MissionFrame


class MsgspecFlat:
    """A Struct whose payload is the union of the mission events."""

    name = "msgspec, one flat union"
    version = msgspec.__version__
    note = "the limit case: an envelope of mission events only"
    strict = True
    typed = True
    whole = False
    refusals: tuple[type[Exception], ...] = (msgspec.DecodeError,)

    def __init__(self) -> None:
        self._read: Decode = msgspec.json.Decoder(MissionFrame).decode
        self._write: Encode = msgspec.json.Encoder().encode

    def decode(self, case: Case) -> Decode | None:
        """Give the decoder's ``decode`` if all frames are of mission events."""
        return self._read if case.types == {"event.mission"} else None

    def encode(self, case: Case) -> Encode | None:
        """Give the encoder's ``encode`` if all frames are of mission events."""
        return self._write if case.types == {"event.mission"} else None

    def send(self, case: Case) -> Encode | None:
        """Give a function that makes the envelope, and writes it."""
        write = self.encode(case)
        return write and (lambda message: write(_anew(message)))


def _anew(message: Any) -> Any:
    return msgspec.structs.replace(message, id=uuid4(), timestamp=datetime.now(UTC))


def make() -> Contestant:
    """Make the contestant."""
    return MsgspecFlat()
