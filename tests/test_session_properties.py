"""What holds for sessions whatever comes: nothing raises, nothing is left without an answer."""

from hypothesis import given, strategies as st
from support.conformance import ACCEPTED, VECTORS, mutated_frames

import tachikoma_proto as tp
from tachikoma_proto.declare.declarations import Sender
from tachikoma_proto.session import AuthenticationRequested, CommandReceived

CODEC = tp.Codec()
FRAMES = (
    mutated_frames().map(lambda case: case[1])
    | st.sampled_from(VECTORS).map(lambda vector: str(vector["frame"]))
    | st.binary(max_size=50)
    | st.text(max_size=50)
)
CONFIG = tp.ServerConfig(require_auth=False, max_message_size=1000, rate_limit=5, rate_burst=5)


@given(st.lists(FRAMES, max_size=10), st.booleans())
def test_a_server_session_answers_every_frame_once(
    frames: list[str | bytes], opens_up: bool
) -> None:
    config = CONFIG if opens_up else tp.ServerConfig(rate_limit=None)
    session = tp.Hub(CODEC, config).open(now=0.0)
    for now, frame in enumerate(frames):
        event = session.receive(frame, float(now))
        match event:
            case CommandReceived(message):
                session.refuse(tp.UnknownMessageError(), message.id)
            case AuthenticationRequested(message_id):
                session.authenticated(message_id, None, float(now))
        text = session.next_frame()
        assert session.next_frame() is None
        if text is None:
            assert CODEC.decode_command(frame).payload == tp.Pong()
        else:
            answer = CODEC.decode_server_message(text)
            assert isinstance(answer.payload, tp.Response)
            assert not isinstance(answer.payload, tp.UnknownMessage)
    assert session.closing is None


@given(st.lists(FRAMES, max_size=10))
def test_a_client_session_survives_every_frame(frames: list[str | bytes]) -> None:
    session = tp.ClientSession(CODEC, now=0.0)
    asked = session.request(tp.Ping())
    session.next_frame()
    for frame in frames:
        session.receive(frame, 0.0)
    assert session.closing is None
    answer = tp.PongResponse.now()
    event = session.receive(CODEC.encode(answer, reply_to=asked), 0.0)
    assert event is not None


def test_a_server_session_reads_what_its_codec_reads() -> None:
    for vector in ACCEPTED:
        if vector["side"] == Sender.CLIENT.value:
            config = tp.ServerConfig(require_auth=False, max_message_size=2**20)
            session = tp.Hub(CODEC, config).open(now=0.0)
            event = session.receive(vector["frame"], 0.0)
            if isinstance(event, CommandReceived):
                assert event.message == CODEC.decode_command(vector["frame"])
            while (text := session.next_frame()) is not None:
                answer = CODEC.decode_server_message(text).payload
                refusal = isinstance(answer, tp.ErrorResponse) and answer.code
                assert refusal in (False, "not_found")
