"""Frames of either side put together, and the errors that bad ones give."""

import json
from typing import Any

import pytest

import tachikoma_proto as tp

ID = "0190b5a4-7c3e-7d52-8f0a-1b2c3d4e5f60"
MISSION = "67e55044-10b1-426f-9247-bb680e5fe0c8"
NOW = "2026-01-02T03:04:05.123456Z"

codec = tp.Codec()
strict = tp.Codec(forbid_unknown_fields=True)


def from_client(**members: Any) -> str:
    return json.dumps({"id": ID, "type": "ping", "timestamp": NOW} | members)


def from_server(**members: Any) -> str:
    return json.dumps({"id": ID, "type": "ack", "timestamp": NOW} | members)


PROGRESS: dict[str, Any] = {
    "category": "mission",
    "event": "progress",
    "mission_id": MISSION,
    "current_spec": "330",
    "completed_specs": 3,
    "total_specs": 10,
    "percentage": 30.0,
}


def faults(error: tp.ProtocolError) -> list[str]:
    return [str(fault) for fault in error.errors]


def refused_command(frame: str, codec: tp.Codec = codec) -> tp.ProtocolError:
    with pytest.raises(tp.ProtocolError) as caught:
        codec.decode_command(frame)
    return caught.value


def refused_server_message(frame: str, codec: tp.Codec = codec) -> tp.ProtocolError:
    with pytest.raises(tp.ProtocolError) as caught:
        codec.decode_server_message(frame)
    return caught.value
