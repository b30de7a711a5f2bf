"""Messages of one field, ``v``, of a type under test; each is read and written by its own codec."""

import enum
import json
from datetime import timedelta
from decimal import Decimal
from ipaddress import IPv4Address
from typing import Any
from uuid import UUID

import attrs
import pytest
from attrs import frozen

import tachikoma_proto as tp
from tachikoma_proto import F32, U32, Category, Codec, Registry

ID = "0190b5a4-7c3e-7d52-8f0a-1b2c3d4e5f60"
TIME = "2026-01-02T03:04:05Z"
ANY_UUID = UUID(ID)


class Color(enum.Enum):
    RED = "red"
    BLUE = "blue"


class Size(enum.StrEnum):
    SMALL = "small"
    LARGE = "large"


class OldSize(str, enum.Enum):  # noqa: UP042 - what is written in many code bases
    SMALL = "small"
    LARGE = "large"


class Level(enum.IntEnum):
    LOW = 1
    HIGH = 2


class Access(enum.Flag):
    READ = 1
    WRITE = 2


class Kelvin:
    def __init__(self, degrees: float) -> None:
        self.degrees = degrees

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Kelvin) and self.degrees == other.degrees

    def __hash__(self) -> int:
        return hash(self.degrees)


class Mixed(enum.Enum):
    ONE = 1
    TWO = "two"


@frozen(kw_only=True)
class Target:
    host: str
    port: U32
    weight: F32 = 1.0
    note: str | None = None


@frozen(kw_only=True)
class Tree:
    name: str
    children: "tuple[Tree, ...]" = ()


def scalars(category: Category) -> None:
    category.scalar(Decimal, wire=str, read=Decimal, write=str, expected="a decimal")
    category.scalar(IPv4Address, wire=str, read=IPv4Address, write=str, expected="an IPv4 address")
    category.scalar(
        timedelta,
        wire=int,
        read=lambda seconds: timedelta(seconds=seconds),
        write=lambda span: span // timedelta(seconds=1),
        expected="a time span in seconds",
    )
    category.scalar(
        Kelvin, wire=float, read=Kelvin, write=lambda held: held.degrees, expected="a temperature"
    )


def message_of(kind: Any, default: Any = attrs.NOTHING, **options: Any) -> Any:
    field = attrs.field(type=kind, default=default, **options)
    return attrs.make_class(
        "M", {"v": field}, bases=(tp.Response,), frozen=True, kw_only=True, slots=True
    )


def codec_of(cls: Any, *, accelerated: bool | None = None) -> Codec:
    category = Category("x")
    scalars(category)
    category.response("m")(cls)
    return Codec(Registry([category]), accelerated=accelerated)


def frame(payload: object) -> str:
    return json.dumps({"id": ID, "type": "m", "timestamp": TIME, "payload": payload})


def read(cls: Any, payload: object) -> Any:
    return codec_of(cls).decode_server_message(frame(payload)).payload


def faults(cls: Any, payload: object) -> list[tuple[str, str]]:
    with pytest.raises(tp.InvalidMessageError) as caught:
        codec_of(cls).decode_server_message(frame(payload))
    return [(fault.path, fault.expected) for fault in caught.value.errors]
