"""The cases: which frames are read and written.

Rules:

* A case is one or more frames from one side; its time is the time per frame.
* What varies in the batch varies by a fixed seed, so that every run measures the same frames.
"""

import json
import random
import re
from dataclasses import dataclass, replace
from typing import Any, Final, Literal, TypeAlias
from uuid import UUID

from benchmarks.samples import COMMANDS, EVENTS, EXTENSION, REJECTED, RESPONSES, JsonObject, to_text

Sender: TypeAlias = Literal["client", "server"]

Direction: TypeAlias = Literal["decode", "encode", "send", "memory"]
"""Reading a frame, writing a message in its envelope, writing a payload in a new one, or memory."""

BATCH_SIZE: Final = 1000
LARGE_SIZE: Final = 64 * 1024

ADDED: Final = "added"
"""The name of the field that is unknown."""

_WEIGHTS: Final = {
    "forge.log": 25,
    "mission.progress": 20,
    "forge.tool_execution": 15,
    "forge.token_usage": 10,
    "ack": 8,
    "mission_status_result": 6,
}
"""How often a message is in the batch; every other one counts once."""

_TYPE: Final = re.compile(r'"type": ?"([^"]*)"')

_LOG_LINE: Final = (
    "\x1b[32m✓\x1b[0m test läuft: \"src/größe.rs\"\t→ 'C:\\temp\\ビルド' in 1.20 s 🚀\r\n"
    "    running 12 tests of crate tachikoma_forge, target debug (unoptimised)\n"
)


@dataclass(frozen=True)
class Case:
    """Frames to read and to write.

    Attributes:
        name: What ``--only`` takes.
        title: What the report calls it.
        sender: Whose frames they are.
        texts: The frames.
        refused: Whether the frames must be refused; they are then read only.
        directions: What is measured.
        as_bytes: Whether the frames are read from bytes.
    """

    name: str
    title: str
    sender: Sender
    texts: tuple[str, ...]
    refused: bool = False
    directions: tuple[Direction, ...] = ("decode", "encode")
    as_bytes: bool = False

    @property
    def frames(self) -> tuple[str | bytes, ...]:
        """The frames in the form in which they are read."""
        return tuple(text.encode() for text in self.texts) if self.as_bytes else self.texts

    @property
    def types(self) -> frozenset[str]:
        """The message types that occur, also in a frame that is no JSON."""
        return frozenset(kind for text in self.texts for kind in _TYPE.findall(text)[:1])


def make_cases() -> list[Case]:
    """Make all cases, in the order of the report."""
    progress = EVENTS["mission.progress"]
    event = _single("event", "event (mission.progress)", "server", progress)
    large = _single("large", "large event (forge.log, 64 KiB)", "server", _large_event())
    return [
        event,
        *_layouts(event, progress),
        _single("command", "command (subscribe)", "client", COMMANDS["subscribe"]),
        _single(
            "response", "response (mission_status)", "server", RESPONSES["mission_status_result"]
        ),
        _single("extension", "extension's event (deploy.progress)", "server", EXTENSION),
        large,
        replace(
            large,
            name="large-bytes",
            title="large event, from bytes",
            directions=("decode",),
            as_bytes=True,
        ),
        Case("rejected", "rejected event", "server", (REJECTED,), True, ("decode",)),
        Case("malformed", "event cut short", "server", (REJECTED[:-20],), True, ("decode",)),
        Case("batch", f"batch of {BATCH_SIZE}, per frame", "server", _batch()),
    ]


def _layouts(event: Case, frame: JsonObject) -> list[Case]:
    """Make the cases of an event in other forms than the reference server's, and of its payload."""
    payload = frame["payload"]
    tags = {name: payload[name] for name in ("category", "event")}
    others = {name: value for name, value in payload.items() if name not in tags}

    def read(name: str, title: str, text: str, *, as_bytes: bool = False) -> Case:
        return replace(
            event,
            name=name,
            title=f"event, {title}",
            texts=(text,),
            directions=("decode",),
            as_bytes=as_bytes,
        )

    reverse = {**tags, **dict(reversed(others.items()))}
    return [
        replace(event, name="payload", title="event, in a new envelope", directions=("send",)),
        read("bytes", "from bytes", to_text(frame), as_bytes=True),
        read("spaced", "with white space", json.dumps(frame, ensure_ascii=False)),
        read("reversed", "fields reversed", to_text({**frame, "payload": reverse})),
        read("unknown", "an unknown field", to_text(_with(frame, payload={ADDED: "later"}))),
    ]


def samples() -> list[Case]:
    """Make a case of each message of the contract, for checking only."""
    server = {**EVENTS, **RESPONSES}
    return [
        *(_single(name, name, "server", frame) for name, frame in server.items()),
        *(_single(name, name, "client", frame) for name, frame in COMMANDS.items()),
    ]


def without_additions(frame: JsonObject) -> JsonObject:
    """Leave out of a frame, or of its payload, what no contestant knows."""
    return {
        name: without_additions(value) if name == "payload" else value
        for name, value in frame.items()
        if name != ADDED
    }


def _single(name: str, title: str, sender: Sender, frame: JsonObject) -> Case:
    return Case(name, title, sender, (to_text(frame),))


def _large_event() -> JsonObject:
    repeats = -(-LARGE_SIZE // len(_LOG_LINE.encode()))
    message = (_LOG_LINE * repeats).encode()[:LARGE_SIZE].decode(errors="ignore")
    return _with(EVENTS["forge.log"], payload={"message": message})


def _batch() -> tuple[str, ...]:
    source = random.Random(20260102)
    pool = {**EVENTS, **RESPONSES}
    weights = [_WEIGHTS.get(name, 1) for name in pool]
    chosen = source.choices(list(pool.values()), weights=weights, k=BATCH_SIZE)
    return tuple(to_text(_varied(frame, number, source)) for number, frame in enumerate(chosen))


def _varied(frame: JsonObject, number: int, source: random.Random) -> JsonObject:
    payload: JsonObject = {}
    for name in ("mission_id", "session_id"):
        if name in frame["payload"]:
            payload[name] = _uuid(source)
    if "percentage" in frame["payload"]:
        total = source.randint(10, 400)
        done = source.randint(0, total)
        payload |= {
            "completed_specs": done,
            "total_specs": total,
            "percentage": 100 * done / total,
        }
    if "level" in frame["payload"]:
        payload["message"] = f"line {number}: {'größer ' * source.randint(1, 20)}"
    moment = f"2026-01-02T03:{number // 60 % 60:02}:{number % 60:02}.{number:03}456Z"
    return _with(frame, id=_uuid(source), timestamp=moment, payload=payload)


def _uuid(source: random.Random) -> str:
    return str(UUID(int=source.getrandbits(128), version=4))


def _with(frame: JsonObject, *, payload: JsonObject, **members: Any) -> JsonObject:
    return {**frame, **members, "payload": {**frame["payload"], **payload}}
