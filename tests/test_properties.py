"""What holds for all messages and for all bytes."""

import json
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given, strategies as st
from support.conformance import ACCEPTED, mutated_frames, read

import tachikoma_proto as tp
from tachikoma_proto.declare.declarations import MessageDeclaration, MessageKind, Sender
from tachikoma_proto.testing import messages

codec = tp.Codec()
SPECS = [
    declaration for declaration in codec.registry if declaration.kind is not MessageKind.KEEPALIVE
]


def decode(sender: Sender, frame: str | bytes) -> Any:
    return read(codec, sender, frame)


@pytest.mark.parametrize("declaration", SPECS, ids=lambda declaration: declaration.cls.__name__)
@given(data=st.data())
def test_every_message_is_decoded_as_it_was_encoded(
    declaration: MessageDeclaration, data: st.DataObject
) -> None:
    message = data.draw(messages(declaration.cls))
    text = codec.encode(message)
    for frame in (text, text.encode()):
        read = decode(declaration.sender, frame)
        assert read.payload == message
        assert type(read.payload) is declaration.cls
    assert codec.encode_message(read) == text


@given(st.binary(max_size=200) | st.text(max_size=200))
def test_decoding_any_bytes_raises_a_protocol_error_or_nothing(frame: bytes | str) -> None:
    for sender in Sender:
        with suppress(tp.ProtocolError):
            decode(sender, frame)


@given(mutated_frames())
def test_decoding_a_mutated_frame_raises_a_protocol_error_or_nothing(
    case: tuple[Sender, str],
) -> None:
    sender, frame = case
    try:
        message = decode(sender, frame)
    except tp.ProtocolError as error:
        assert 1 <= len(error.errors) <= 100, error  # noqa: PT017 - either outcome is fine
        assert all(fault.path.startswith("$") and fault.expected for fault in error.errors)  # noqa: PT017
        return
    assert decode(sender, codec.encode_message(message)) == message


MEMBERS = ["id", "type", "timestamp", "reply_to", "payload"]
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-3, 2**65)
    | st.floats(allow_nan=False)
    | st.sampled_from(["", "x", "mission", "progress", "2026-01-02T03:04:05Z"]),
    lambda inner: (
        st.lists(inner, max_size=2)
        | st.dictionaries(st.sampled_from([*MEMBERS, "event", "command", "category", "x"]), inner)
    ),
    max_leaves=8,
)


@given(st.sampled_from(ACCEPTED), st.data())
def test_decoding_a_frame_with_other_values_raises_a_protocol_error_or_nothing(
    vector: dict[str, Any], data: st.DataObject
) -> None:
    frame = json.loads(vector["frame"])
    where = frame
    if isinstance(frame.get("payload"), dict) and data.draw(st.booleans()):
        where = frame["payload"]
    where[data.draw(st.sampled_from([*where, *MEMBERS]))] = data.draw(JSON)
    sender = Sender(vector["side"])
    try:
        message = decode(sender, json.dumps(frame))
    except tp.ProtocolError:
        return
    assert decode(sender, codec.encode_message(message)) == message
