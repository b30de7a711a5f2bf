"""What the accelerator takes from the text of a frame: marks at known places, and its length.

Frames are made that have the marks in the wrong place, or something hidden where there is room.
"""

import ctypes
import json
from array import array

import pytest
from conformance import read
from hypothesis import given, strategies as st
from rig import (
    ANSWER,
    ID,
    MISSION,
    NOW,
    ODD_TIMES,
    PAUSE,
    PAYLOAD,
    PROGRESS,
    REGISTRY,
    SPECS,
    STATUS,
    TAGS,
    TIMES,
    TYPES,
    agree,
    insertions,
    plain,
    runner,
    surely,
)

from tachikoma_proto.specs import Kind, MessageSpec, Sender
from tachikoma_proto.testing import messages


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

    @pytest.mark.parametrize("time", TIMES)
    def test_where_there_is_no_payload(self, time: str) -> None:
        for rest in ("", ',"payload":null', ',"payload":{}'):
            frame = f'{{"id":"{ID}","type":"ping","timestamp":"{time}"{rest}}}'
            assert surely(Sender.CLIENT, frame) == read(plain, Sender.CLIENT, frame)

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

    @pytest.mark.parametrize("time", ["2026-01-02 03:04:05Z", *ODD_TIMES])
    def test_what_looks_like_an_event_that_starts_with_text(self, time: str) -> None:
        tags = '"category":"system","event":"version_update"'
        start = '{"payload":{"current_version":"'
        head = f'{{"id":"{ID}","type":"event.system","timestamp":"{NOW}","payload":'
        good = f'{head}{{{tags},"current_version":"1","new_version":"2"}}}}'
        padding = "x" * (good.index("T03:04") - len(start))
        for own in (f"{tags},", '"event":"version_update",', '"category":"system",', ""):
            for identity in (ID, ID.replace("-", "")):
                frame = (
                    f'{start}{padding}T03:04:05.123456Z","payload":{{{tags}}},{own}'
                    f'"new_version":"2"}},"id":"{identity}","type":"event.system",'
                    f'"timestamp":"{time}"}}'
                )
                assert json.loads(frame)
                agree(Sender.SERVER, frame, like=good)


SHORT = ['"":0', '"a":1', '"x":null', '"category":"mission"', '"event":""', '"percentage":0']
IN_ENVELOPE = ['"reply_to":null', '"type":"ack"', f'"id":"{ID.replace("-", "")}"']


class TestRoom:
    """A frame is as short as can be, and something more is in it."""

    @pytest.mark.parametrize("mission", [MISSION, MISSION.replace("-", "")])
    @pytest.mark.parametrize("frame", [PROGRESS, STATUS, PAUSE])
    @pytest.mark.parametrize("time", TIMES[1:4])
    def test_for_a_short_member(self, time: str, frame: str, mission: str) -> None:
        side = Sender.CLIENT if frame is PAUSE else Sender.SERVER
        frame = frame.replace(NOW, time)
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


def views(frame: str) -> list[memoryview]:
    data = (frame + " " * (len(frame) % 2)).encode()
    folded = memoryview(data).cast("B", (2, len(data) // 2))
    foreign = memoryview((ctypes.c_uint8 * len(data)).from_buffer_copy(data))
    return [memoryview(data), memoryview(data[::-1])[::-1], folded, foreign]


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
            for view in views(PROGRESS):
                assert runner.decode_server_message(view) == plain.decode_server_message(PROGRESS)
            for view in views(PAUSE):
                assert runner.decode_command(view) == plain.decode_command(PAUSE)
        with pytest.raises(TypeError):
            runner.decode_server_message(array("B", PROGRESS.encode()))  # type: ignore[arg-type]
        agree(Sender.SERVER, "{}", like=PROGRESS)

    def test_times_are_not_rounded(self) -> None:
        for time in (*TIMES, *ODD_TIMES):
            agree(Sender.SERVER, PROGRESS.replace(NOW, time), like=PROGRESS)
