"""mashumaro: dataclasses with its orjson mixin and discriminators.

Rules:

* Frames are read by ``from_json`` of the base that knows all subclasses, and written by
  ``to_jsonb``, both generated when the classes are made. What is written is ``bytes``.
* Strictness is not mashumaro's own: it is in functions given as strategies.
"""

from dataclasses import replace
from datetime import UTC, datetime
from importlib.metadata import version
from operator import methodcaller
from uuid import uuid4

import orjson
from mashumaro.exceptions import (
    InvalidFieldValue,
    MissingDiscriminatorError,
    MissingField,
    SuitableVariantNotFoundError,
)

from benchmarks.cases import Case
from benchmarks.contestant import Contestant, Decode, Encode
from benchmarks.models.mashumaro_frames import ClientMessage, ServerMessage


class Mashumaro:
    """Dataclasses of mashumaro."""

    name = "mashumaro"
    version = version("mashumaro")
    note = "dataclasses with the orjson mixin and discriminators; strict by strategies in Python"
    strict = True
    typed = True
    whole = True
    refusals: tuple[type[Exception], ...] = (
        InvalidFieldValue,
        MissingDiscriminatorError,
        MissingField,
        SuitableVariantNotFoundError,
        orjson.JSONDecodeError,
    )

    def __init__(self) -> None:
        self._write = methodcaller("to_jsonb")

    def decode(self, case: Case) -> Decode | None:
        """Give the base class's ``from_json``."""
        return ClientMessage.from_json if case.sender == "client" else ServerMessage.from_json

    def encode(self, case: Case) -> Encode | None:
        """Give the message's ``to_jsonb``."""
        return self._write

    def send(self, case: Case) -> Encode | None:
        """Give a function that makes the envelope, and writes it."""
        write = self._write
        return lambda message: write(replace(message, id=uuid4(), timestamp=datetime.now(UTC)))


def make() -> Contestant:
    """Make the contestant."""
    return Mashumaro()
