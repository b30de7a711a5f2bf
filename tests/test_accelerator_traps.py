"""What msgspec takes, or does, otherwise than the contract; what it is not given."""

import enum
import json
import linecache
import tracemalloc
from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

import pytest
from attrs import frozen
from hypothesis import given, strategies as st
from rig import ACK, ID, NOW, BuildRig, Part, agree, fast, plain, verdict

import tachikoma_proto as tp
from tachikoma_proto.specs import Sender


class TestTraps:
    """What msgspec takes, or does, otherwise than the contract."""

    @pytest.mark.parametrize(
        "frame",
        [
            ACK.replace('"success":true', '"success":false,"success":true'),
            ACK.replace('"success":true', '"success":true,"message":"x","message":"y"'),
            ACK.replace('"type":"ack"', '"type":"ack","type":"ack"'),
            ACK.replace('"success":true', '"success":true,"message":"\\u002c","success":true'),
            ACK.replace('"success":true', '"success":true,"message":"\\u002C","success":true'),
            ACK.replace('"success":true', '"success":true,"message":",","message":null'),
            ACK[:-1] + ',"payload":{"success":true}}',
            ACK[:-1] + ',"reply_to":null,"reply_to":null}',
        ],
    )
    def test_repeated_keys(self, frame: str) -> None:
        agree(Sender.SERVER, frame)
        with pytest.raises(tp.InvalidMessageError, match="stands once"):
            fast.decode_server_message(frame)

    @pytest.mark.parametrize("comma", [",", "\\u002c", "\\u002C", "\\\\u002c", '\\",'])
    def test_commas_in_text(self, comma: str) -> None:
        agree(Sender.SERVER, ACK.replace("true", f'true,"message":"a{comma}b{comma}"'))

    @pytest.mark.parametrize("number", ["-0", "-0.0", "0", "-0e0", "18446744073709551615", "1e2"])
    def test_numbers(self, number: str) -> None:
        usage = '"session_id":"%s","input_tokens":%s,"output_tokens":1,"total_cost":%s'
        for values in ((number, "1.5"), ("1", number)):
            payload = '{"category":"forge","event":"token_usage",%s}' % (usage % (ID, *values))
            frame = ACK.replace("ack", "event.forge").replace('{"success":true}', payload)
            agree(Sender.SERVER, frame)

    @pytest.mark.parametrize(
        "moment",
        [
            "2026-01-02T03:04:05Z",
            "2026-01-02T03:04:05.Z",
            "2026-01-02T03:04:05.999999999Z",
            "2026-01-02T03:04:05.1Z",
            "2026-01-02t03:04:05.1Z",
            "2026-01-02 03:04:05.1Z",
            "2026-01-02T03:04:05,1Z",
            "2026-01-02T03:04:60.1Z",
            "2026-W01-5T03:04:05.1Z",
            "2026-01-02T03:04:05.1+01:00",
            "2026-01-02T03:04:05.1+0100",
            "2026-01-02T03:04:05.1z",
            "2026-01-02T03:04:05.1 Z",
            "2026-01-02T03:04:05.123456HELLOZ",
            "2026-01-02T03:04:05.899Z\\u0000Z",
            "2026-01-02T24:00:00.0Z",
            "0001-01-01T00:00:00.0+01:00",
            "２026-01-02T03:04:05.1Z",
        ],
    )
    def test_times(self, moment: str) -> None:
        agree(Sender.SERVER, ACK.replace(NOW, moment))
        agree(Sender.CLIENT, f'{{"type":"ping","timestamp":"{moment}"}}')

    @given(st.text("0123456789-:.TZz+ ,W", max_size=32) | st.just(NOW), st.data())
    def test_any_time(self, text: str, data: st.DataObject) -> None:
        cut = data.draw(st.integers(0, len(NOW)))
        agree(Sender.SERVER, ACK.replace(NOW, NOW[:cut] + text + NOW[cut + len(text) :]))

    def test_unknown_fields_are_looked_into(self) -> None:
        for inside in ("1e999", '"\\ud800"', '{"a":1,"a":2}', "[" * 200 + "]" * 200, "1"):
            agree(Sender.SERVER, ACK[:-1] + f',"x":{inside}}}')

    def test_a_missing_tag_does_not_make_up_for_a_repeated_key(self) -> None:
        payload = f'"rig_id":"{ID}","at":"{NOW}"'
        frame = ACK.replace("ack", "event.rig")
        for tags in ('"event":"built"', '"category":"rig"', '"event":"lost"'):
            body = f'{{{tags},{payload},"at":"{NOW}"}}'
            agree(Sender.SERVER, frame.replace('{"success":true}', body))

    def test_size_is_counted_in_bytes(self) -> None:
        text = '{"type":"unsubscribe","payload":{"topic":"%s"}}' % ("é" * 100)
        for size in range(len(text) - 2, len(text.encode()) + 2):
            codecs = [tp.Codec(max_size=size, accelerated=on) for on in (False, True)]
            assert verdict(codecs[0], Sender.CLIENT, text) == verdict(
                codecs[1], Sender.CLIENT, text
            )


class TestWriting:
    @pytest.mark.parametrize(
        "part",
        [
            Part(name="x", mass=float("nan")),
            Part(name="\ud800"),
            Part(name="x", sizes=(2**64,)),
            Part(name="x", sizes=[1]),  # type: ignore[arg-type]
            Part(name=1),  # type: ignore[arg-type]
            Part(name="x", mass=3),
            Part(name="x", made=datetime(2026, 1, 2)),
        ],
    )
    def test_what_the_converter_refuses_or_changes(self, part: Part) -> None:
        command = BuildRig(rig_id=UUID(ID), main=part, parts=())

        def written(codec: tp.Codec) -> Any:
            try:
                return json.loads(codec.encode(command, id=UUID(ID)))["payload"]
            except tp.EncodeError as error:
                return error.errors

        assert written(fast) == written(plain)

    def test_a_type_that_is_not_the_payloads(self) -> None:
        for envelope in (
            tp.OutgoingMessage(type="pong", payload=tp.AckResponse.ok()),
            tp.IncomingMessage(type="pong", payload=tp.Ping()),
            tp.OutgoingMessage(type="ping", payload=tp.Ping()),
        ):
            results = []
            for codec in (plain, fast):
                try:
                    results.append(json.loads(codec.encode_message(envelope)))
                except tp.EncodeError as error:
                    results.append(error.errors)
            assert results[0] == results[1]


class Grade(enum.Enum):
    GOOD = "good"

    @classmethod
    def _missing_(cls, value: object) -> "Grade":
        return cls.GOOD


class Access(enum.IntFlag):
    READ = 1
    WRITE = 2


class Huge(enum.Enum):
    LARGE = 2**63


class Named(enum.Enum):
    ONE = "1"


class Binary(enum.Enum):
    ZERO = b"\x00"


@frozen(kw_only=True)
class Node:
    next: "Node | None" = None
    kids: "tuple[Node, ...]" = ()


@frozen(kw_only=True)
class Odd(tp.Event):
    """Fields of which the accelerator must not be sure."""

    node: Node
    grade: Grade = Grade.GOOD
    access: Access = Access.READ
    huge: Huge = Huge.LARGE
    named: Named = Named.ONE
    binary: Binary | None = None
    message: tp.MissionStarted | None = None
    high: Annotated[int, tp.IntRange("high", 2**63, 2**64 - 1)] = 2**63
    low: Annotated[int, tp.IntRange("low", -(10**30), 10**30)] = 0


@pytest.fixture(scope="module")
def registry() -> tp.Registry:
    odd = tp.Category("odd")
    odd.scalar(Named, wire=str, read=Named.__getitem__, write=lambda n: n.name, expected="one")
    odd.scalar(
        Binary,
        wire=str,
        read=lambda text: Binary(text.encode()),
        write=lambda value: value.value.decode(),
        expected="binary",
    )
    odd.event("odd")(Odd)
    return tp.Registry([odd])


class TestOddFields:
    @pytest.mark.parametrize(
        "members",
        [
            '"grade":"bad"',
            '"access":3',
            '"huge":9223372036854775808',
            '"named":"ONE"',
            '"binary":"\\u0000"',
            '"named":"1"',
            f'"message":{{"mission_id":"{ID}","event":"started"}}',
            f'"message":{{"mission_id":"{ID}","event":"failed"}}',
            '"high":1',
            '"low":-1000000000000000000000',
        ],
    )
    def test_both_ways_agree(self, registry: tp.Registry, members: str) -> None:
        one, other = (tp.Codec(registry, accelerated=on) for on in (False, True))
        frame = ACK.replace("ack", "event.odd").replace(
            '{"success":true}', f'{{"event":"odd","node":{{"kids":[{{}}]}},{members}}}'
        )
        expected = verdict(one, Sender.SERVER, frame)
        assert verdict(other, Sender.SERVER, frame) == expected
        if not isinstance(expected, tuple):
            texts = [codec.encode_message(expected) for codec in (one, other)]
            assert json.loads(texts[0]) == json.loads(texts[1])

    def test_what_is_nested_too_deep(self, registry: tp.Registry) -> None:
        for codec in (tp.Codec(registry, accelerated=on) for on in (False, True)):
            for start in ('{"id":', '{"type":', '{"payload":{"topic":', '{"x":'):
                for depth in (500, 1100, 100_000):
                    with pytest.raises(tp.ProtocolError, match="levels of nesting"):
                        codec.decode_command(start + "[" * depth)
            node = Node()
            for _ in range(3000):
                node = Node(next=node)
            with pytest.raises(tp.EncodeError):
                codec.encode(Odd(node=node))

    def test_a_frame_that_is_too_large_is_not_copied(self) -> None:
        codec = tp.Codec(max_size=1000, accelerated=True)
        large = b" " * 10_000_000
        tracemalloc.start()
        with pytest.raises(tp.MessageTooLargeError):
            codec.decode_command(large)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert peak < 1_000_000

    def test_codecs_leave_nothing_behind_in_the_cache_of_lines(self) -> None:
        before = len(linecache.cache)
        for _ in range(3):
            tp.Codec(accelerated=True)
        assert len(linecache.cache) - before < 50

    def test_what_is_no_frame(self) -> None:
        for codec in (plain, fast):
            with pytest.raises(TypeError):
                codec.decode_command(list(b'{"type":"ping"}'))  # type: ignore[arg-type]
