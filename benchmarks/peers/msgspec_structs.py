"""msgspec: frozen Structs in tagged unions, one typed decoder a side.

Rules:

* The frame is a union tagged by ``type``, the payload of an event a union tagged by ``event``.
  Both tags are on the wire where msgspec wants them, so a frame is read in a single pass. The
  other way, an envelope with a ``Raw`` payload and a decoder for each type, needs two passes and
  a step in Python between them; it was tried and is slower.
* ``Decoder`` and ``Encoder`` are made once. What is written is ``bytes``.
"""

from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import msgspec

from benchmarks.cases import Case
from benchmarks.contestant import Contestant, Decode, Encode
from benchmarks.models.msgspec_frames import ClientMessage, ServerMessage


class Msgspec:
    """Structs of msgspec."""

    name = "msgspec"
    version = msgspec.__version__
    note = "frozen Structs without GC; unions tagged by type and by event; one typed Decoder"
    strict = True
    typed = True
    whole = True
    refusals: tuple[type[Exception], ...] = (msgspec.DecodeError,)

    def __init__(self) -> None:
        self._server: Decode = msgspec.json.Decoder(ServerMessage).decode
        self._client: Decode = msgspec.json.Decoder(ClientMessage).decode
        self._write: Encode = msgspec.json.Encoder().encode

    def decode(self, case: Case) -> Decode | None:
        """Give the decoder's ``decode``."""
        return self._client if case.sender == "client" else self._server

    def encode(self, case: Case) -> Encode | None:
        """Give the encoder's ``encode``."""
        return self._write

    def send(self, case: Case) -> Encode | None:
        """Give a function that makes the envelope, and writes it."""
        write = self.encode(case)
        return write and (lambda message: write(_anew(message)))


def _anew(message: Any) -> Any:
    return msgspec.structs.replace(message, id=uuid4(), timestamp=datetime.now(UTC))


def make() -> Contestant:
    """Make the contestant."""
    return Msgspec()
