"""tachikoma_proto without its engine: cattrs and the standard library alone.

Rules:

* One ``Codec``, and its public methods; nothing is prepared that a user would not prepare.
"""

from importlib.metadata import version

from benchmarks.cases import Case
from benchmarks.contestant import Contestant, Decode, Encode
from tachikoma_proto import Codec, ProtocolError


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


def make() -> Contestant:
    """Make the contestant."""
    note = "strict JSON reader and cattrs hooks; every fault of a frame is reported"
    return Tachikoma("tachikoma_proto", note, Codec(accelerated=False))
