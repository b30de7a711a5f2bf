"""The conformance vectors, frames that are a little off them, and how one is read."""

import json
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

import tachikoma_proto as tp
from tachikoma_proto.declare.declarations import Sender

VECTORS_PATH = Path(__file__).parents[1] / "vectors.jsonl"

VECTORS: list[dict[str, Any]] = [
    json.loads(line)
    for line in (Path(__file__).parent.parent / "vectors.jsonl")
    .read_text(encoding="utf-8")
    .splitlines()
]
IDS = [f"{vector['label']}-{vector['id']}" for vector in VECTORS]
ACCEPTED = [vector for vector in VECTORS if vector["verdict"] == "accept"]


def read(codec: tp.Codec, sender: Sender, frame: str | bytes) -> Any:
    is_client = sender is Sender.CLIENT
    return codec.decode_command(frame) if is_client else codec.decode_server_message(frame)


PIECES = """
{ } [ ] " : , \\ - 0 null true 1 -0 1e999 NaN "id" "type" \\ud800 é 4294967296 1.0
"payload" "command" "event" "category" \x00
"""
TOKENS = st.sampled_from([*PIECES.split(), " ", "\n"])


@st.composite
def mutated_frames(draw: st.DrawFn) -> tuple[Sender, str]:
    """Frames of the vectors with a piece cut out, doubled, or replaced."""
    vector = draw(st.sampled_from(VECTORS))
    text: str = vector["frame"][:2000]
    for _ in range(draw(st.integers(1, 3))):
        start = draw(st.integers(0, len(text)))
        end = draw(st.integers(start, min(len(text), start + 40)))
        piece = draw(st.just("") | st.just(text[start:end] * 2) | TOKENS)
        text = text[:start] + piece + text[end:]
    return Sender(vector["side"]), text
