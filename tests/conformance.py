"""The conformance vectors, and how a frame of either side is read."""

import json
from pathlib import Path
from typing import Any

import tachikoma_proto as tp
from tachikoma_proto.specs import Sender

VECTORS: list[dict[str, Any]] = [
    json.loads(line)
    for line in (Path(__file__).parent / "vectors.jsonl").read_text(encoding="utf-8").splitlines()
]
IDS = [f"{vector['label']}-{vector['id']}" for vector in VECTORS]
ACCEPTED = [vector for vector in VECTORS if vector["verdict"] == "accept"]


def read(codec: tp.Codec, sender: Sender, frame: str | bytes) -> Any:
    is_client = sender is Sender.CLIENT
    return codec.decode_command(frame) if is_client else codec.decode_server_message(frame)
