"""What the fuzzer does with each frame; imported by the interpreter inside it."""

import os
import random
import sys
from pathlib import Path

import _engine

sys.modules["tachikoma_proto.codec._engine"] = _engine
sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

from engine import generate  # noqa: E402
from engine.agreement import Pair  # noqa: E402

from tachikoma_proto.codec.engine.verdict import Verdict  # noqa: E402

COMPARES = os.environ.get("FUZZ_COMPARE") == "1"

_registry = generate.extension(random.Random(2))
_pairs = [Pair(_registry), Pair(_registry, forbid_unknown_fields=True)]
_decoders = [
    decode
    for pair in _pairs
    for decode in (pair.engine.decode_command, pair.engine.decode_server_message)
]
_encoders = [pair.engine.encode_message for pair in _pairs for _ in range(2)]
_sides = ["client", "server"] * 2


def try_frame(kind: int, frame: bytes) -> None:
    """Read a frame, and write what came out; if nothing did, read it as a JSON object.

    Args:
        kind: Two bits for the side and the options, one for the form.
        frame: The frame.
    """
    number = kind & 3
    given: str | bytes = frame.decode(errors="surrogateescape") if kind & 4 else frame
    if COMPARES:
        _pairs[number // 2].check(_sides[number], given)
        return
    made = _decoders[number](given)
    if isinstance(made, Verdict):
        _pairs[number // 2].engine.read_object(given)
    else:
        _encoders[number](made)
