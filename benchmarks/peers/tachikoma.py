"""tachikoma_proto: its codec, with the compiled engine.

Rules:

* One ``Codec``, and its public methods; nothing is prepared that a user would not prepare.
"""

from importlib.metadata import version
from operator import attrgetter
from typing import Any

from benchmarks.cases import Case
from benchmarks.contestant import Contestant, Decode, Encode, LeftOut
from benchmarks.models.tachikoma_extension import deploy
from tachikoma_proto import Codec, ProtocolError, Registry


class Tachikoma:
    """A codec of the library.

    Args:
        name: What the report calls it.
        note: How it works.
        codec: The codec.
    """

    strict = True
    typed = True
    whole = True
    refusals: tuple[type[Exception], ...] = (ProtocolError,)

    def __init__(self, name: str, note: str, codec: Codec) -> None:
        self.name = name
        self.note = note
        self.version = version("tachikoma-proto")
        self._codec = codec

    def decode(self, case: Case) -> Decode | None:
        """Give ``decode_command`` or ``decode_server_message``."""
        if case.sender == "client":
            return self._codec.decode_command
        return self._codec.decode_server_message

    def encode(self, case: Case) -> Encode | None:
        """Give ``encode_message``."""
        return self._codec.encode_message

    def send(self, case: Case) -> Encode | None:
        """Give a function that takes the payload out, and calls ``encode`` with it."""
        encode, payload_of = self._codec.encode, attrgetter("payload")

        def send(message: Any) -> str:
            return encode(payload_of(message))

        return send


def make() -> Contestant:
    """Make the contestant."""
    note = "the compiled engine, and the converter for what it hands back; every fault is reported"
    try:
        return Tachikoma("tachikoma_proto", note, Codec(Registry([deploy]), accelerated=True))
    except ImportError as error:
        raise LeftOut(f"tachikoma_proto is left out: {error}") from None
