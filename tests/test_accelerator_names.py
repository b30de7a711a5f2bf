"""Messages with the names of members of the envelope, short ones, and a category with one event."""

from datetime import datetime
from uuid import UUID

import pytest
from attrs import frozen
from rig import ID, NOW, ODD_TIMES, insertions, verdict

import tachikoma_proto as tp
from tachikoma_proto.specs import Sender


@frozen(kw_only=True)
class Odd(tp.Response):
    payload: str


@frozen(kw_only=True)
class Linked(tp.Response):
    first: str
    reply_to: str


@frozen(kw_only=True)
class Short(tp.Response):
    a_name_that_is_long: str


@frozen(kw_only=True)
class Go(tp.Command[Short]):
    a_name_that_is_long: str


@frozen(kw_only=True)
class Clock(tp.Response):
    name: str


@frozen(kw_only=True)
class Timed(tp.Event):
    timestamp: str


@pytest.fixture(scope="module")
def odd() -> list[tp.Codec]:
    category = tp.Category("odd")
    category.response("odd_Z")(Odd)
    category.response("linked")(Linked)
    category.response("T03:04:05.123456Z")(Clock)
    category.response("ok")(Short)
    category.command("go", tag="g")(Go)
    category.event("timed")(Timed)
    return [tp.Codec(tp.Registry([category]), accelerated=on) for on in (False, True, True)]


class TestNames:
    """Fields with the names of members of the envelope, and a category with one event."""

    def test_good_frames(self, odd: list[tp.Codec]) -> None:
        for message in (Odd(payload=NOW), Linked(first=NOW, reply_to=ID), Timed(timestamp=NOW)):
            for codec in odd:
                text = codec.encode(message, reply_to=UUID(ID))
                for frame in (text, text.replace(",", ", "), text):
                    assert codec.decode_server_message(frame).payload == message

    @pytest.mark.parametrize("time", ODD_TIMES)
    def test_marks_in_the_payload(self, odd: list[tp.Codec], time: str) -> None:
        tags = '"category":"odd","event":"timed"'
        for good, start, rest in (
            (
                Linked(first=NOW, reply_to=ID),
                '{"payload":{"first":"',
                f'","reply_to":"{ID}"}},"reply_to":"{ID}","type":"linked","id":"{ID}",',
            ),
            (
                Timed(timestamp=NOW),
                '{"payload":{"timestamp":"',
                f'","payload":{{{tags}}}}},"type":"event.odd","id":"{ID}",',
            ),
        ):
            usual = odd[0].encode(good, reply_to=UUID(ID), timestamp=datetime.fromisoformat(NOW))
            padding = "x" * (usual.index("T03:04") - len(start))
            frame = f'{start}{padding}T03:04:05.123456Z{rest}"timestamp":"{time}"}}'
            like = usual.replace(f'"reply_to":"{ID}",', "", isinstance(good, Timed))
            for _ in range(3):
                odd[1].decode_server_message(like)  # the other expects nothing
            for text in (frame, frame.replace("T03", " 03", 1)):
                expected, *found = (verdict(codec, Sender.SERVER, text) for codec in odd)
                assert found == [expected, expected]

    @pytest.mark.parametrize("time", ODD_TIMES)
    def test_times_that_are_none(self, odd: list[tp.Codec], time: str) -> None:
        clock = f'{{"id":"{ID}","timestamp":"{time}","type":"T03:04:05.123456Z","payload":'
        pong = f'{{"id":"{ID}","time\\u0073tamp":"{time}","type":"pong", "payload":'
        for frame in (f'{clock}{{"name":"x"}}}}', f'{pong}{{"timestamp":"{NOW}"}}}}'):
            expected, *found = (verdict(codec, Sender.SERVER, frame) for codec in odd)
            assert found == [expected, expected]

    def test_for_a_short_type(self, odd: list[tp.Codec]) -> None:
        texts = [
            odd[0].encode(Short(a_name_that_is_long=""), reply_to=UUID(ID)),
            odd[0].encode(Go(a_name_that_is_long="")),
        ]
        for text, side in zip(texts, (Sender.SERVER, Sender.CLIENT), strict=True):
            for changed in insertions(text, ['"type":"go"', '"type":"ok"', '"id":null']):
                expected, *found = (verdict(codec, side, changed) for codec in odd)
                assert found == [expected, expected]
