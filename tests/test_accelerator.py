"""The accelerator may only say yes: what it accepts, the converter accepts with an equal result.

Everything here compares a codec with the accelerator to one without.
"""

import enum
import json
import pickle
import subprocess
import sys
import weakref
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, Literal
from uuid import UUID

import attrs
import pytest
from attrs import field, frozen, validators
from hypothesis import given, strategies as st

import tachikoma_proto as tp
from tachikoma_proto.specs import Kind, MessageSpec, Sender
from tachikoma_proto.testing import envelopes

pytest.importorskip("msgspec")

ID = "0190b5a4-7c3e-7d52-8f0a-1b2c3d4e5f60"
NOW = "2026-01-02T03:04:05.123456Z"
VECTORS = [
    json.loads(line)
    for line in (Path(__file__).parent / "vectors.jsonl").read_text(encoding="utf-8").splitlines()
]

rig = tp.Category("rig", topic="rigs", key="rig_id")


class Mode(enum.Enum):
    FAST = "fast"
    SLOW = "slow"


class Level(enum.IntEnum):
    LOW = 1
    HIGH = 2


@frozen(kw_only=True)
class Part:
    name: str
    mass: float = 1.5
    made: datetime | None = None
    sizes: tuple[int, ...] = ()


@frozen(kw_only=True)
class Checked:
    even: tp.U32 = field(validator=validators.in_([0, 2, 4]))


@rig.command("rig_build", tag="build")
@frozen(kw_only=True)
class BuildRig(tp.Command[tp.AckResponse]):
    rig_id: UUID
    main: Part
    parts: tuple[Part, ...]
    spare: list[Part] = field(factory=list)
    mode: Mode = Mode.FAST
    level: Level = Level.LOW
    kind: Literal["a", "b"] = "a"
    due: datetime | None = None
    count: tp.U64 = 3
    checked: Checked | None = None
    notes: tp.Json | None = None
    ports: dict[str, tp.U32] | None = None


@rig.event("built")
@frozen(kw_only=True)
class RigBuilt(tp.Event):
    rig_id: UUID
    at: datetime
    nested: tuple[tuple[str, ...], ...] = ()


@rig.event("lost")
@frozen(kw_only=True)
class RigLost(tp.Event):
    labels: dict[str, str]


@rig.response("rig_result")
@frozen(kw_only=True)
class RigResult(tp.Response):
    note: str | None = None
    codes: tuple[int, ...] | None = None


REGISTRY = tp.Registry([rig])
plain = tp.Codec(REGISTRY, accelerated=False)
fast = tp.Codec(REGISTRY, accelerated=True)
SPECS = [spec for spec in REGISTRY if spec.kind is not Kind.KEEPALIVE]


def read(codec: tp.Codec, sender: Sender, frame: str | bytes) -> Any:
    is_client = sender is Sender.CLIENT
    return codec.decode_command(frame) if is_client else codec.decode_server_message(frame)


def verdict(codec: tp.Codec, sender: Sender, frame: str | bytes) -> Any:
    try:
        return read(codec, sender, frame)
    except tp.ProtocolError as error:
        return (type(error), error.errors, error.message_id)


def types_in(value: Any) -> Any:
    """The types of all values in a message: equal messages may differ in them, as 1 and 1.0 do."""
    if attrs.has(type(value)):
        return type(value), [types_in(getattr(value, f.name)) for f in attrs.fields(type(value))]
    if isinstance(value, (list, tuple)):
        return type(value), [types_in(item) for item in value]
    return type(value)


def agree(sender: Sender, frame: str | bytes) -> None:
    expected, found = verdict(plain, sender, frame), verdict(fast, sender, frame)
    if '"ping"' in str(frame) and sender is Sender.SERVER and not isinstance(expected, tuple):
        assert found.payload == expected.payload, "a bare ping is given an id by each reader"
        return
    assert found == expected
    assert types_in(found) == types_in(expected)


def surely(sender: Sender, frame: str) -> Any:
    """Read a frame with the accelerator alone."""
    from tachikoma_proto.accelerator import Accelerator

    def unsure(_: Any) -> None:
        pytest.fail(f"the accelerator is not sure of {frame}")

    accelerator = Accelerator(REGISTRY, max_size=2**20)
    is_client = sender is Sender.CLIENT
    make = accelerator.command_reader if is_client else accelerator.server_message_reader
    return make(unsure)(frame)


@pytest.mark.parametrize("vector", VECTORS, ids=[f"{v['label']}-{v['id']}" for v in VECTORS])
def test_vectors(vector: dict[str, Any]) -> None:
    for frame in (vector["frame"], vector["frame"].encode()):
        agree(Sender(vector["side"]), frame)


@pytest.mark.parametrize("spec", SPECS, ids=lambda spec: spec.cls.__name__)
@given(data=st.data())
def test_messages(spec: MessageSpec, data: st.DataObject) -> None:
    types = {Checked: st.builds(Checked, even=st.sampled_from([0, 2, 4]))}
    envelope: Any = data.draw(envelopes(spec.cls, REGISTRY, types=types))
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
FRAMES = [
    *(vector for vector in VECTORS if vector["verdict"] == "accept"),
    *(
        {"side": spec.sender.value, "frame": frame}
        for spec, frame in [
            (
                REGISTRY.spec_of(BuildRig),
                f'{{"type":"rig_build","id":"{ID}","payload":{{"rig_id":"{ID}",'
                '"main":{"name":"x,y"},"parts":[{"name":"a","sizes":[1,0]},'
                f'{{"name":"b","made":"{NOW}"}}],"level":2}}}}',
            ),
            (
                REGISTRY.spec_of(RigBuilt),
                f'{{"id":"{ID}","type":"event.rig","timestamp":"{NOW}","payload":{{'
                f'"category":"rig","event":"built","rig_id":"{ID}","at":"{NOW}",'
                '"nested":[["a,b"],[]]}}',
            ),
        ]
        if spec is not None
    ),
]


@st.composite
def mutated(draw: st.DrawFn) -> tuple[Sender, str]:
    """Good frames with pieces cut out, doubled, moved, or replaced."""
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
    return Sender(chosen["side"]), text


@given(mutated())
def test_mutated_frames(case: tuple[Sender, str]) -> None:
    sender, frame = case
    agree(sender, frame)


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

    agree(Sender(chosen["side"]), written(content))


ACK = f'{{"id":"{ID}","type":"ack","timestamp":"{NOW}","payload":{{"success":true}}}}'


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
    message: tp.MissionStarted | None = None
    high: Annotated[int, tp.IntRange("high", 2**63, 2**64 - 1)] = 2**63
    low: Annotated[int, tp.IntRange("low", -(10**30), 10**30)] = 0


@pytest.fixture(scope="module")
def registry() -> tp.Registry:
    odd = tp.Category("odd")
    odd.scalar(Named, wire=str, read=Named.__getitem__, write=lambda n: n.name, expected="one")
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

    def test_what_is_no_frame(self) -> None:
        for codec in (plain, fast):
            with pytest.raises(TypeError):
                codec.decode_command(list(b'{"type":"ping"}'))  # type: ignore[arg-type]


class TestSwitch:
    def test_it_comes_when_there_is_work_for_it(self) -> None:
        code = """
import sys, tachikoma_proto as tp
codec = tp.Codec()
for _ in range(15):
    codec.decode_command('{"type":"ping"}')
assert "msgspec" not in sys.modules
codec.decode_command('{"type":"ping"}')
assert "msgspec" in sys.modules
assert codec.decode_command('{"type":"ping"}').payload == tp.Ping()
assert '"payload":{"success":true}' in codec.encode(tp.AckResponse.ok())
"""
        subprocess.run([sys.executable, "-c", code], check=True)

    def test_without_msgspec(self) -> None:
        code = """
import sys
sys.modules["msgspec"] = None
import tachikoma_proto as tp
try:
    tp.Codec(accelerated=True)
except ImportError as error:
    assert "tachikoma-proto[fast]" in str(error)
else:
    raise AssertionError("insisted on, and not there")
codec = tp.Codec()
for _ in range(50):
    assert codec.decode_command('{"type":"ping"}').payload == tp.Ping()
"""
        subprocess.run([sys.executable, "-c", code], check=True)

    def test_with_a_msgspec_that_is_broken(self, tmp_path: Path) -> None:
        (tmp_path / "msgspec.py").write_text("raise ImportError('no such symbol')")
        code = f"""
import sys
sys.path.insert(0, {str(tmp_path)!r})
import tachikoma_proto as tp
codec = tp.Codec()
for _ in range(50):
    assert codec.decode_command('{{"type":"ping"}}').payload == tp.Ping()
"""
        subprocess.run([sys.executable, "-c", code], check=True)

    def test_off_is_off(self) -> None:
        code = """
import sys, tachikoma_proto as tp
codec = tp.Codec(accelerated=False)
for _ in range(100):
    codec.decode_command('{"type":"ping"}')
assert "msgspec" not in sys.modules
"""
        subprocess.run([sys.executable, "-c", code], check=True)
