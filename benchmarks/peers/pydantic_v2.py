"""pydantic: strict, frozen models in discriminated unions.

Rules:

* A ``TypeAdapter`` of each union, made once, as the chapter on performance says; frames are read
  by ``validate_json`` and written by ``model_dump_json``.
* ``exclude_none`` when writing, since None is not on the wire.
"""

from datetime import UTC, datetime
from operator import methodcaller
from typing import Any
from uuid import uuid4

import pydantic
from pydantic import TypeAdapter, ValidationError

from benchmarks.cases import Case
from benchmarks.contestant import Contestant, Decode, Encode
from benchmarks.models.pydantic_frames import ClientMessage, ServerMessage


class Pydantic:
    """Models of pydantic."""

    name = "pydantic"
    version = pydantic.VERSION
    note = "strict, frozen models; unions discriminated by type and by event; TypeAdapter"
    strict = True
    typed = True
    whole = True
    refusals: tuple[type[Exception], ...] = (ValidationError,)

    def __init__(self) -> None:
        self._server: TypeAdapter[Any] = TypeAdapter(ServerMessage)
        self._client: TypeAdapter[Any] = TypeAdapter(ClientMessage)
        self._write = methodcaller("model_dump_json", exclude_none=True)

    def decode(self, case: Case) -> Decode | None:
        """Give the adapter's ``validate_json``."""
        return (self._client if case.sender == "client" else self._server).validate_json

    def encode(self, case: Case) -> Encode | None:
        """Give the model's ``model_dump_json``."""
        return self._write

    def send(self, case: Case) -> Encode | None:
        """Give a function that makes the envelope, and writes it."""
        write = self._write
        return lambda message: write(_anew(message))


def _anew(message: Any) -> Any:
    return message.model_copy(update={"id": uuid4(), "timestamp": datetime.now(UTC)})


def make() -> Contestant:
    """Make the contestant."""
    return Pydantic()
