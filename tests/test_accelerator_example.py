"""The example extension is read and written alike with the accelerator and without."""

import importlib
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings, strategies as st
from rig import both_the_same, insertions, verdict

import tachikoma_proto as tp
from tachikoma_proto.testing import envelopes

SOURCE = Path(__file__).parent.parent / "examples" / "tachikoma-deploy" / "src"

parts = st.integers(0, 999_999_999)


@pytest.fixture(scope="module")
def example() -> Any:
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(SOURCE))
        return importlib.import_module("tachikoma_deploy")


@pytest.fixture(scope="module")
def codecs(example: Any) -> list[tp.Codec]:
    registry = tp.Registry([example.deploy])
    return [tp.Codec(registry, accelerated=on) for on in (False, True)]


@settings(max_examples=400)
@given(data=st.data())
def test_the_messages_of_the_example(example: Any, codecs: list[tp.Codec], data: Any) -> None:
    plain, fast = codecs
    spec = data.draw(st.sampled_from([s for s in plain.registry if s.category == "deploy"]))
    types = {example.Version: st.builds(example.Version, parts, parts, parts)}
    envelope = data.draw(envelopes(spec.cls, plain.registry, types=types))
    text = plain.encode_message(envelope)
    assert json.loads(fast.encode_message(envelope)) == json.loads(text)
    members = [f"{json.dumps(name)}:0" for name in (*json.loads(text)["payload"], "", "x")]
    changed = data.draw(st.sampled_from(list(insertions(text, members))))
    start, end = sorted((data.draw(st.integers(0, len(text))), data.draw(st.integers(0, 400))))
    for frame in (text, text.encode(), text.replace(",", ", "), changed, text[:start] + text[end:]):
        expected, found = (verdict(codec, spec.sender, frame) for codec in codecs)
        both_the_same(found, expected, spec.sender, frame)
