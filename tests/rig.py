"""A category with fields of many kinds, and two codecs to compare: with and without msgspec."""

import enum
from collections.abc import Iterator
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

import attrs
import pytest
from attrs import field, frozen, validators
from conformance import ACCEPTED, read
from hypothesis import strategies as st

import tachikoma_proto as tp
from tachikoma_proto.specs import Kind, Sender

pytest.importorskip("msgspec")

ID = "0190b5a4-7c3e-7d52-8f0a-1b2c3d4e5f60"
NOW = "2026-01-02T03:04:05.123456Z"

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
runner = tp.Codec(REGISTRY, accelerated=True)
"""Reads what came before again: of events it expects more of the same."""

picky, picky_fast, picky_runner = (
    tp.Codec(REGISTRY, accelerated=on, forbid_unknown_fields=True) for on in (False, True, True)
)
"""The same, and they refuse what is unknown."""

TYPES = {Checked: st.builds(Checked, even=st.sampled_from([0, 2, 4]))}
"""How to make what has a validator."""

SPECS = [spec for spec in REGISTRY if spec.kind is not Kind.KEEPALIVE]


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


def agree(sender: Sender, frame: str | bytes, *, like: str = "") -> None:
    """Both ways of reading a frame come to the same, and so do they after frames like it."""
    for slow, calm, prepared in ((plain, fast, runner), (picky, picky_fast, picky_runner)):
        calm.decode_server_message(ACK)  # no event is expected after it
        for _ in range(3 if like else 0):
            verdict(prepared, sender, like)
        expected = verdict(slow, sender, frame)
        both_the_same(verdict(calm, sender, frame), expected, sender, frame)
        both_the_same(verdict(prepared, sender, frame), expected, sender, frame)


def both_the_same(found: Any, expected: Any, sender: Sender, frame: str | bytes) -> None:
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


ACK = f'{{"id":"{ID}","type":"ack","timestamp":"{NOW}","payload":{{"success":true}}}}'

MISSION = "67e55044-10b1-426f-9247-bb680e5fe0c8"
TAGS = '"category":"mission","event":"progress"'
PAYLOAD = (
    f'{{{TAGS},"mission_id":"{MISSION}","current_spec":"s","completed_specs":3,"total_specs":5,'
    '"percentage":7}'
)
PROGRESS = f'{{"id":"{ID}","type":"event.mission","timestamp":"{NOW}","payload":{PAYLOAD}}}'
ANSWER = PROGRESS.replace('"payload"', f'"reply_to":"{ID}","payload"')
STATUS = ANSWER.replace("event.mission", "mission_status_result").replace(
    f"{TAGS},", '"status":"running",'
)
PAUSE = f'{{"id":"{ID}","type":"mission_pause","timestamp":"{NOW}","payload":' + (
    f'{{"category":"mission","command":"pause","mission_id":"{MISSION}"}}}}'
)

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

FRAMES = [
    *ACCEPTED,
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


def insertions(frame: str, members: list[str]) -> Iterator[str]:
    """Put each member into each object of a frame, at each place."""
    for place, character in enumerate(frame):
        for member in members:
            if character == "{":
                yield f"{frame[: place + 1]}{member},{frame[place + 1 :]}"
            elif character in ",}" and frame[place - 1] != "{":
                yield f"{frame[:place]},{member}{frame[place:]}"
