"""One frame of every message of the contract, and frames that must be refused.

Rules:

* Frames are plain JSON objects, made without any of the contestants.
* Members stand in the order of the contract; tags are written in full, and first.
* A refusal differs from a good frame in one place; each stands for one rule of the contract.
  An unknown tag is none of them: a client that follows the contract keeps such an event.
"""

import json
from typing import Any, Final, TypeAlias

JsonObject: TypeAlias = dict[str, Any]

MESSAGE_ID: Final = "0190b5a4-7c3e-7d52-8f0a-1b2c3d4e5f60"
REPLY_TO: Final = "0190b5a4-7c3e-7d52-8f0a-000000000001"
TIMESTAMP: Final = "2026-01-02T03:04:05.123456Z"
MISSION_ID: Final = "67e55044-10b1-426f-9247-bb680e5fe0c8"
SESSION_ID: Final = "936da01f-9abd-4d9d-80c7-02af85c822a8"
DEPLOY_ID: Final = "b1e6c2d4-5f7a-4c38-9d0e-2a4b6c8d0e1f"
USER_ID: Final = "f47ac10b-58cc-4372-a567-0e02b2c3d479"

_MISSION: Final[JsonObject] = {"mission_id": MISSION_ID}
_FORGE: Final[JsonObject] = {"session_id": SESSION_ID}

_EVENTS: Final[dict[str, dict[str, JsonObject]]] = {
    "mission": {
        "created": {**_MISSION, "name": "Nightly build"},
        "started": {**_MISSION},
        "progress": {
            **_MISSION,
            "current_spec": "330-ws-message-types",
            "completed_specs": 3,
            "total_specs": 10,
            "percentage": 30.0,
        },
        "completed": {**_MISSION, "success": True, "duration_seconds": 5025},
        "failed": {**_MISSION, "error": "spec 331: the tests do not pass"},
        "status_changed": {**_MISSION, "old_status": "idle", "new_status": "running"},
    },
    "forge": {
        "started": {**_FORGE, **_MISSION, "spec_id": "330-ws-message-types"},
        "token_usage": {
            **_FORGE,
            "input_tokens": 48211,
            "output_tokens": 3120,
            "total_cost": 0.19143,
        },
        "tool_execution": {**_FORGE, "tool_name": "bash", "status": "succeeded"},
        "completed": {**_FORGE, "success": False},
        "log": {**_FORGE, "level": "info", "message": 'reading "src/läufer.rs" → 214 lines\n'},
    },
    "system": {
        "server_status": {"status": "healthy", "active_missions": 4, "active_sessions": 9},
        "maintenance": {
            "message": "Moving to a larger machine",
            "starts_at": "2026-03-01T02:00:00Z",
            "duration_minutes": 30,
        },
        "version_update": {"current_version": "0.4.1", "new_version": "0.5.0"},
    },
}

_RESPONSES: Final[dict[str, JsonObject]] = {
    "ack": {"success": True, "message": "mission paused"},
    "error": {
        "code": "invalid_message",
        "message": "the frame is not what the contract says",
        "details": {"errors": [{"path": "$.payload.total_specs", "expected": "u32"}]},
    },
    "auth_result": {
        "authenticated": True,
        "user_id": USER_ID,
        "expires_at": "2026-01-03T03:04:05Z",
    },
    "subscriptions_result": {"subscriptions": ["missions", f"forge_sessions/{SESSION_ID}"]},
    "session_info_result": {
        "session_id": SESSION_ID,
        "authenticated": True,
        "user_id": USER_ID,
        "subscriptions": ["missions", "system"],
        "connected_at": "2026-01-02T03:00:00Z",
    },
    "mission_status_result": {
        **_MISSION,
        "status": "running",
        "current_spec": "330-ws-message-types",
        "completed_specs": 3,
        "total_specs": 10,
        "percentage": 30.0,
    },
    "pong": {"timestamp": "2026-01-02T03:04:05Z"},
}

_COMMANDS: Final[dict[str, tuple[str, str, JsonObject]]] = {
    "subscribe": (
        "subscription",
        "subscribe",
        {
            "topic": f"missions/{MISSION_ID}",
            "filters": {"mission_id": MISSION_ID, "event_types": ["progress", "mission.failed"]},
        },
    ),
    "unsubscribe": ("subscription", "unsubscribe", {"topic": "missions"}),
    "list_subscriptions": ("subscription", "list_subscriptions", {}),
    "mission_status": ("mission", "get_status", _MISSION),
    "mission_start": ("mission", "start", _MISSION),
    "mission_pause": ("mission", "pause", _MISSION),
    "mission_resume": ("mission", "resume", _MISSION),
    "mission_cancel": ("mission", "cancel", _MISSION),
    "authenticate": ("session", "authenticate", {"token": "6b1f0c52d7e94a3f"}),
    "session_info": ("session", "get_info", {}),
    "ping": ("session", "ping", {}),
}


def _frame(message_type: str, payload: JsonObject, **more: str) -> JsonObject:
    envelope = {"id": MESSAGE_ID, "type": message_type, "timestamp": TIMESTAMP, **more}
    return {**envelope, "payload": payload}


EVENTS: Final[dict[str, JsonObject]] = {
    f"{category}.{tag}": _frame(f"event.{category}", {"category": category, "event": tag, **fields})
    for category, events in _EVENTS.items()
    for tag, fields in events.items()
}
"""A frame of each event, by ``category.tag``."""

RESPONSES: Final[dict[str, JsonObject]] = {
    message_type: _frame(message_type, payload, reply_to=REPLY_TO)
    for message_type, payload in _RESPONSES.items()
}
"""A frame of each response, by message type."""

COMMANDS: Final[dict[str, JsonObject]] = {
    message_type: _frame(message_type, {"category": category, "command": tag, **fields})
    for message_type, (category, tag, fields) in _COMMANDS.items()
}
"""A frame of each command, by message type."""


EXTENSION: Final[JsonObject] = _frame(
    "event.deploy",
    {
        "category": "deploy",
        "event": "progress",
        "deploy_id": DEPLOY_ID,
        "service": "forge-runner",
        "rollout": {"updated": 3, "total": 12},
        "hosts": ["forge-03.example", "forge-04.example", "forge-11.example"],
        "note": "draining forge-05",
    },
)
"""A frame of an event that an extension adds to the contract."""


def to_text(frame: JsonObject) -> str:
    """Write a frame as the reference server does: compact, and not escaped beyond need."""
    return json.dumps(frame, ensure_ascii=False, separators=(",", ":"))


def _spoilt(frame: JsonObject, place: str, value: object) -> str:
    whole: JsonObject = json.loads(json.dumps(frame))
    *above, last = place.split(".")
    inner = whole
    for name in above:
        inner = inner[name]
    inner[last] = value
    return to_text(whole)


_PROGRESS: Final = EVENTS["mission.progress"]
_HUGE: Final = _spoilt(_PROGRESS, "payload.percentage", 12.25).replace("12.25", "1e999")

REJECTED: Final = _spoilt(_PROGRESS, "payload.total_specs", "10")
"""The frame whose refusal is timed: an integer that came as a string."""

REFUSALS: Final[dict[str, str]] = {
    "a u32 as a string": REJECTED,
    "a u32 as a float": _spoilt(_PROGRESS, "payload.total_specs", 10.0),
    "a u32 as a bool": _spoilt(_PROGRESS, "payload.total_specs", True),
    "a u32 too large": _spoilt(_PROGRESS, "payload.total_specs", 2**32),
    "a u32 too small": _spoilt(_PROGRESS, "payload.total_specs", -1),
    "a u64 too large": _spoilt(EVENTS["mission.completed"], "payload.duration_seconds", 2**64),
    "an f32 too large": _spoilt(_PROGRESS, "payload.percentage", 1e39),
    "an f32 that overflows": _HUGE,
    "an f32 as a string": _spoilt(_PROGRESS, "payload.percentage", "30.0"),
    "NaN": _HUGE.replace("1e999", "NaN"),
    "an f64 that overflows": _spoilt(
        EVENTS["forge.token_usage"], "payload.total_cost", 12.25
    ).replace("12.25", "1e999"),
    "a string as an integer": _spoilt(_PROGRESS, "payload.current_spec", 330),
    "a bool as an integer": _spoilt(EVENTS["mission.completed"], "payload.success", 1),
    "a UUID that is none": _spoilt(_PROGRESS, "payload.mission_id", "mission-1"),
    "a timestamp without an offset": _spoilt(_PROGRESS, "timestamp", TIMESTAMP[:-1]),
    "a timestamp that is a number": _spoilt(_PROGRESS, "timestamp", 1767323045),
    "a missing field": to_text(_PROGRESS).replace('"total_specs":10,', ""),
    "a tag that is no string": _spoilt(_PROGRESS, "payload.event", 3),
    "a category that disagrees with the type": _spoilt(_PROGRESS, "payload.category", "forge"),
    "an optional string as an integer": _spoilt(RESPONSES["ack"], "payload.message", 1),
}
"""Frames from a server that a strict contestant refuses, by what is wrong with them."""
