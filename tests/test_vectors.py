"""The conformance vectors: frames with the verdicts of the compiled reference, or ours.

``vectors.jsonl`` holds them; a null in ``canonical`` is None, which we do not write.
"""

import json
from typing import Any

import pytest
from support.conformance import IDS, VECTORS, read

import tachikoma_proto as tp
from tachikoma_proto.declare.declarations import Sender


def without_nulls(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: without_nulls(item) for key, item in value.items() if item is not None}
    return value


@pytest.fixture(scope="module")
def codec() -> tp.Codec:
    return tp.Codec()


@pytest.mark.parametrize("vector", VECTORS, ids=IDS)
def test_a_conformance_vector_gets_its_verdict(codec: tp.Codec, vector: dict[str, Any]) -> None:
    if vector["verdict"] == "reject":
        with pytest.raises(tp.ProtocolError) as caught:
            read(codec, Sender(vector["side"]), vector["frame"])
        assert caught.value.errors, "an error says where, and what was expected"
        return
    message = read(codec, Sender(vector["side"]), vector["frame"])
    text = codec.encode_message(message)
    written = json.loads(text)
    canonical = vector["canonical"]
    assert written["type"] == canonical["type"]
    assert written.get("id") == canonical["id"]
    assert without_nulls(written["payload"]) == without_nulls(canonical["payload"])
    assert read(codec, Sender(vector["side"]), text) == message, (
        "what was accepted is read again as the same"
    )


def test_there_are_conformance_vectors_of_both_verdicts() -> None:
    assert len(VECTORS) >= 934
    assert {v["verdict"] for v in VECTORS} == {"accept", "reject"}
