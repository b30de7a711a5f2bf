"""What the accelerator takes from the text of a frame: marks at known places, and its length.

Frames are made that have the marks in the wrong place, or something hidden where there is room.
"""

import json
from collections.abc import Iterator
from datetime import datetime
from uuid import UUID

import pytest
from attrs import frozen
from conformance import read
from hypothesis import given, strategies as st
from rig import (
    ANSWER,
    ID,
    MISSION,
    NOW,
    PAUSE,
    PAYLOAD,
    PROGRESS,
    REGISTRY,
    SPECS,
    STATUS,
    TAGS,
    TYPES,
    agree,
    plain,
    runner,
    surely,
    verdict,
)

import tachikoma_proto as tp
from tachikoma_proto.specs import Kind, MessageSpec, Sender
from tachikoma_proto.testing import messages

TIMES = [
    "2026-01-02T03:04:05Z",
    "2026-01-02T03:04:05.123Z",
    "2026-01-02T03:04:05.123456Z",
    "2026-01-02T03:04:05.123456499Z",
    "2026-01-02T03:04:05.123456500Z",
    "2026-12-31T23:59:59.999999999Z",
    "2026-01-02T03:04:05.1+00:00",
]
"""Forms that peers write."""

ODD_TIMES = [
    "2026-01-02 03:04:05.123456Z",
    "2026-01-02t03:04:05.123456Z",
    "2026-01-02T03:04:05.123456z",
    "2026-01-02T03:04:05.1234567Z",
    "2026-01-02T03:04:05.12345678Z",
    "2026-01-02T03:04:05.1234567890Z",
    "2026-01-02T03:04:05.123456+0000",
    "2026-01-02T03:04:05.12345\\u0036Z",
    "2026-01-02T03:04:05.12345678\\u0036Z",
    "2026-01-02T03:04:05.1\\u003612Z",
    "2026-01-02T03:04:05.123456\\u005a",
    "2026-01-02\\u005403:04:05.123456Z",
    "2026-01-02\\u002003:04:05.123456Z",
    "9999-12-31T23:59:59.999999999Z",
]


class TestTimes:
    @pytest.mark.parametrize("time", TIMES)
    @pytest.mark.parametrize("frame", [PROGRESS, ANSWER, STATUS])
    def test_of_a_server(self, frame: str, time: str) -> None:
        changed = frame.replace(NOW, time)
        assert surely(Sender.SERVER, changed) == read(plain, Sender.SERVER, changed)
        agree(Sender.SERVER, changed, like=changed)

    @pytest.mark.parametrize("time", TIMES)
    def test_of_a_client(self, time: str) -> None:
        for frame in (PAUSE, PAUSE.replace(f'"id":"{ID}",', ""), PAUSE.replace(",", ", ")):
            changed = frame.replace(NOW, time)
            assert surely(Sender.CLIENT, changed) == read(plain, Sender.CLIENT, changed)

    @pytest.mark.parametrize("time", [*TIMES, *ODD_TIMES])
    def test_in_other_places(self, time: str) -> None:
        for frame in (PROGRESS, ANSWER, STATUS):
            members = json.loads(frame)
            for name in ("id", "type", "timestamp", "payload"):
                moved = {key: members[key] for key in members if key != name}
                text = json.dumps({**moved, name: members[name]}, separators=(",", ":"))
                for spaced in (text, text.replace(":", " : "), text.replace(",", " ,")):
                    agree(Sender.SERVER, spaced.replace(NOW, time), like=frame)

    @pytest.mark.parametrize("time", ODD_TIMES)
    @pytest.mark.parametrize("text", ["T03:04:05.123456Z", "2026-01-02T03:04:05.123456Z"])
    def test_what_looks_like_one(self, time: str, text: str) -> None:
        """All that is looked for stands in the payload, at the place where it usually is."""
        at = PROGRESS.index("T03:04")
        for tags in (TAGS, '"event":"progress"', '"category":"mission"', '"x":1', ""):
            start = "{" + f'"payload":{{"current_spec":"{text}'
            padding = "x" * (at - start.index("T03:04"))
            inside = f'"payload":{{{TAGS},"mission_id":"{MISSION}"}}'
            payload = PAYLOAD.replace('"current_spec":"s",', "").replace(f"{TAGS},", f"{tags},")
            payload = f'"current_spec":"{padding}{text}",{inside},{payload[1:].lstrip(",")}'
            rest = f'"id":"{ID}","type":"event.mission","timestamp":"{time}"'
            frame = f'{{"payload":{{{payload},{rest}}}'
            assert json.loads(frame)
            agree(Sender.SERVER, frame, like=PROGRESS)


def insertions(frame: str, members: list[str]) -> Iterator[str]:
    """Put each member into each object of a frame, at each place."""
    for place, character in enumerate(frame):
        for member in members:
            if character == "{":
                yield f"{frame[: place + 1]}{member},{frame[place + 1 :]}"
            elif character in ",}" and frame[place - 1] != "{":
                yield f"{frame[:place]},{member}{frame[place:]}"


SHORT = ['"":0', '"a":1', '"x":null', '"category":"mission"', '"event":""', '"percentage":0']
IN_ENVELOPE = ['"reply_to":null', '"type":"ack"', f'"id":"{ID.replace("-", "")}"']


class TestRoom:
    """A frame is as short as can be, and something more is in it."""

    @pytest.mark.parametrize("mission", [MISSION, MISSION.replace("-", "")])
    @pytest.mark.parametrize("frame", [PROGRESS, STATUS, PAUSE])
    def test_for_a_short_member(self, frame: str, mission: str) -> None:
        side = Sender.CLIENT if frame is PAUSE else Sender.SERVER
        for identity in (ID, ID.replace("-", "")):
            shortened = frame.replace(MISSION, mission).replace(f'"{ID}"', f'"{identity}"')
            for changed in insertions(shortened, SHORT + IN_ENVELOPE):
                agree(side, changed, like=frame)

    def test_where_a_tag_is_missing(self) -> None:
        for missing in ('"category":"mission",', '"event":"progress",', f"{TAGS},"):
            for changed in insertions(PROGRESS.replace(missing, ""), SHORT):
                agree(Sender.SERVER, changed, like=PROGRESS)
            for changed in insertions(ANSWER.replace(missing, ""), SHORT):
                agree(Sender.SERVER, changed)
        for missing in ('"category":"mission",', '"command":"pause",'):
            for changed in insertions(PAUSE.replace(missing, ""), SHORT):
                agree(Sender.CLIENT, changed)

    def test_where_there_is_no_id(self) -> None:
        usual = PAUSE.index('"timestamp"')
        for members in ('"type":"mission_pause",', '"type":"mission_pause",' * 2):
            padding = " " * (usual - len("{" + members))
            frame = "{" + members + padding + PAUSE[usual:]
            agree(Sender.CLIENT, frame)
            agree(Sender.CLIENT, frame.replace(NOW, TIMES[3]).replace("   ", "", 1))

    @pytest.mark.parametrize("spec", SPECS, ids=lambda spec: spec.cls.__name__)
    @given(data=st.data())
    def test_in_any_message(self, spec: MessageSpec, data: st.DataObject) -> None:
        text = plain.encode(data.draw(messages(spec.cls, REGISTRY, types=TYPES)))
        members = json.loads(text)["payload"] or {"x": 0}
        names = st.sampled_from([*members, "", "x", "reply_to", "payload"])
        values = st.sampled_from(["0", "null", '""', "true", f'"{ID}"', '{"":0}', "[]"])
        member = f"{json.dumps(data.draw(names))}:{data.draw(values)}"
        changed = data.draw(st.sampled_from(list(insertions(text, [member]))))
        agree(spec.sender, changed, like=text)


class TestExpected:
    """After two events of a kind one more is looked for."""

    @pytest.mark.parametrize("spec", SPECS, ids=lambda spec: spec.cls.__name__)
    @given(data=st.data())
    def test_whatever_comes_next(self, spec: MessageSpec, data: st.DataObject) -> None:
        if spec.kind is Kind.EVENT:
            one = plain.encode(data.draw(messages(spec.cls, REGISTRY, types=TYPES)))
            other = data.draw(st.sampled_from([s for s in SPECS if s.sender is Sender.SERVER]))
            for cls in (spec.cls, other.cls, spec.cls):
                frame = plain.encode(data.draw(messages(cls, REGISTRY, types=TYPES)))
                agree(Sender.SERVER, frame, like=one)

    def test_what_is_no_text(self) -> None:
        for _ in range(3):
            agree(Sender.SERVER, PROGRESS.encode(), like=PROGRESS)
            assert read(runner, Sender.SERVER, memoryview(PROGRESS.encode()))  # type: ignore[arg-type]
        agree(Sender.SERVER, "{}", like=PROGRESS)

    def test_times_are_not_rounded(self) -> None:
        for time in (*TIMES, *ODD_TIMES):
            agree(Sender.SERVER, PROGRESS.replace(NOW, time), like=PROGRESS)


@frozen(kw_only=True)
class Odd(tp.Response):
    payload: str


@frozen(kw_only=True)
class Linked(tp.Response):
    first: str
    reply_to: str


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
