"""The accelerator may only say yes: what it accepts, the converter accepts with an equal result.

Everything here compares a codec with the accelerator to one without.
"""

import json
import pickle
import weakref
from datetime import datetime
from typing import Any
from uuid import UUID

import attrs
import pytest
from conformance import IDS, VECTORS, read
from hypothesis import given, strategies as st
from rig import (
    ACK,
    FRAMES,
    ID,
    NOW,
    REGISTRY,
    SPECS,
    TYPES,
    BuildRig,
    Checked,
    Part,
    RigBuilt,
    agree,
    fast,
    plain,
    surely,
)

import tachikoma_proto as tp
from tachikoma_proto.specs import MessageSpec, Sender
from tachikoma_proto.testing import envelopes


@pytest.mark.parametrize("vector", VECTORS, ids=IDS)
def test_vectors(vector: dict[str, Any]) -> None:
    for frame in (vector["frame"], vector["frame"].encode()):
        agree(Sender(vector["side"]), frame)


@pytest.mark.parametrize("spec", SPECS, ids=lambda spec: spec.cls.__name__)
@given(data=st.data())
def test_messages(spec: MessageSpec, data: st.DataObject) -> None:
    envelope: Any = data.draw(envelopes(spec.cls, REGISTRY, types=TYPES))
    text = plain.encode_message(envelope)
    assert json.loads(fast.encode_message(envelope)) == json.loads(text)
    agree(spec.sender, text)
    agree(spec.sender, fast.encode_message(envelope).encode())
    agree(spec.sender, json.dumps(json.loads(text), indent=1))


PIECES = """
{ } [ ] " : , \\ - 0 null true 1 -0 1e999 NaN "id" "type" \\ud800 é 4294967296 1.0 \\u002c \\u002C
"payload" "command" "event" "category" \x00 ,"success":true ,"type":"ack" ,"x":1 Z . T 60 +00:00
"""
TOKENS = st.sampled_from([*PIECES.split(), " ", "\n"])


@st.composite
def mutated(draw: st.DrawFn) -> tuple[Sender, str, str]:
    """Good frames with pieces cut out, doubled, moved, or replaced, and as they were."""
    chosen = draw(st.sampled_from(FRAMES))
    text: str = chosen["frame"]
    for _ in range(draw(st.integers(1, 3))):
        marks = [0, *(i for i, c in enumerate(text) if c in '",:{}[]'), len(text)]
        start, end = sorted((draw(st.sampled_from(marks)), draw(st.sampled_from(marks))))
        piece = draw(st.just("") | st.just(text[start:end] * 2) | TOKENS)
        if draw(st.booleans()):
            text = text[:start] + piece + text[end:]
        else:
            text = text[:end] + text[start:end] + text[end:]
        text = text[:5000]
    return Sender(chosen["side"]), text, chosen["frame"]


@given(mutated())
def test_mutated_frames(case: tuple[Sender, str, str]) -> None:
    sender, frame, good = case
    agree(sender, frame, like=good)


@given(st.data())
def test_frames_with_members_repeated_moved_or_added(data: st.DataObject) -> None:
    """Repeated keys are what msgspec overlooks: here each frame has some, in every place."""
    chosen = data.draw(st.sampled_from(FRAMES))
    content = json.loads(chosen["frame"])

    def written(value: Any) -> str:
        if isinstance(value, dict):
            members = [f"{json.dumps(key)}:{written(item)}" for key, item in value.items()]
            extra = data.draw(st.lists(st.sampled_from([*members, '"x":1']), max_size=1))
            dropped = data.draw(st.lists(st.sampled_from(members), max_size=1)) if members else []
            kept = [member for member in members if member not in dropped]
            return "{" + ",".join(data.draw(st.permutations(kept + extra))) + "}"
        if isinstance(value, list):
            return "[" + ",".join(map(written, value)) + "]"
        return json.dumps(value)

    agree(Sender(chosen["side"]), written(content), like=chosen["frame"])


@pytest.mark.parametrize(
    ("sender", "frame"),
    [
        (Sender.CLIENT, '{"type":"ping"}'),
        (Sender.CLIENT, FRAMES[-2]["frame"]),
        (Sender.SERVER, FRAMES[-1]["frame"]),
        (Sender.SERVER, ACK),
        (Sender.SERVER, ACK.replace(NOW, "2026-01-02T03:04:05.123456789Z")),
        (Sender.SERVER, ACK.replace('"success"', '"message":null,"success"')),
    ],
)
def test_it_says_yes_where_it_should(sender: Sender, frame: str) -> None:
    assert surely(sender, frame) == read(plain, sender, frame)


def test_it_says_yes_to_every_builtin_message_as_we_write_it() -> None:
    plain_frames = [v for v in VECTORS if v["label"].endswith("/plain")]
    assert len(plain_frames) > 20
    for vector in plain_frames:
        if '"details":{' not in vector["frame"]:
            sender = Sender(vector["side"])
            assert surely(sender, vector["frame"]) == read(plain, sender, vector["frame"])


def test_what_it_makes_is_no_different() -> None:
    frame = plain.encode(RigBuilt(rig_id=UUID(ID), at=datetime.fromisoformat(NOW)))
    message = surely(Sender.SERVER, frame)
    made: Any
    for made, cls in ((message, tp.OutgoingMessage), (message.payload, RigBuilt)):
        assert type(made) is cls
        assert hash(made) == hash(attrs.evolve(made))
        assert pickle.loads(pickle.dumps(made)) == made
        assert weakref.ref(made)() is made
        assert not hasattr(made, "__dict__")
        with pytest.raises(attrs.exceptions.FrozenInstanceError):
            setattr(made, attrs.fields(cls)[0].name, None)


def test_constructors_that_do_more_are_called() -> None:
    command = BuildRig(rig_id=UUID(ID), main=Part(name="x"), parts=(), checked=Checked(even=2))
    text = plain.encode(command)
    assert surely(Sender.CLIENT, text).payload == command
    agree(Sender.CLIENT, text.replace('"even":2', '"even":3'))
