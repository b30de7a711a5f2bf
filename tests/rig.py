"""A category with fields of many kinds, and two codecs to compare: with and without msgspec."""

import enum
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

import attrs
import pytest
from attrs import field, frozen, validators
from conformance import ACCEPTED, read

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


ACK = f'{{"id":"{ID}","type":"ack","timestamp":"{NOW}","payload":{{"success":true}}}}'

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
