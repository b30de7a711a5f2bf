"""What the codec takes and gives."""

from typing import Any, assert_type
from uuid import UUID

import tachikoma_proto as tp
from tachikoma_proto import (
    AckResponse,
    Codec,
    Command,
    Event,
    IncomingMessage,
    MissionStarted,
    OutgoingMessage,
    Response,
    StartMission,
    UnknownEvent,
    UnknownMessage,
)

codec = Codec()
frame = b"{}"
mission = UUID(int=1)


def server_reads() -> None:
    message = codec.decode_command(frame)
    assert_type(message, IncomingMessage[Command[Any]])
    assert_type(message.id, UUID | None)
    assert_type(message.type, str)
    assert_type(message.payload, Command[Any])
    if isinstance(message.payload, StartMission):
        assert_type(message.payload.mission_id, UUID)


def client_reads() -> None:
    message = codec.decode_server_message(frame)
    assert_type(message, OutgoingMessage[Event | Response | UnknownEvent | UnknownMessage])
    assert_type(message.id, UUID)
    assert_type(message.reply_to, UUID | None)
    match message.payload:
        case AckResponse(success=success):
            assert_type(success, bool)
        case UnknownEvent() as unknown:
            assert_type(unknown.event, str)
        case _:
            pass


def either_writes() -> None:
    assert_type(codec.encode(StartMission(mission_id=mission)), str)
    assert_type(codec.encode(MissionStarted(mission_id=mission)), str)
    assert_type(codec.encode(AckResponse.ok(), reply_to=mission), str)
    assert_type(codec.encode_message(codec.decode_command(frame)), str)
    assert_type(codec.encode_message(codec.decode_server_message(frame)), str)


def all_kinds_of_frames(text: str, data: bytes, array: bytearray, view: memoryview) -> None:
    for one in (text, data, array, view):
        codec.decode_command(one)
        codec.decode_server_message(one)


def registries() -> None:
    assert_type(Codec(tp.Registry.discover()).registry, tp.Registry)
    assert_type(tp.topics.mission(mission), str)


def refused() -> None:
    codec.encode("ping")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    codec.decode_command(1)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
