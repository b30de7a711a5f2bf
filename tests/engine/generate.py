"""Extensions and frames by chance: any field that a message may have, in any layout, and spoilt.

Rules:

* All comes from a ``random.Random`` that the caller seeds, so that a failure can be had again.
* What is made is mostly good: frames that are refused at the first token show little.
"""

import enum
import json
import random
import types
from collections.abc import Callable
from datetime import date, datetime
from types import NoneType
from typing import Annotated, Any, Final, Literal, get_args
from uuid import UUID

import attrs

import tachikoma_proto as tp


class Colour(enum.Enum):
    RED = "red"
    GREEN = "grün"
    BLUE = 'b"lue'


class Level(enum.IntEnum):
    LOW = -1
    NONE = 0
    HIGH = 2**63


class Kind(enum.StrEnum):
    ONE = "one"
    TWO = "two"


@attrs.frozen(kw_only=True)
class Point:
    x: float
    y: tp.F32 = 0.5
    label: str | None = None


@attrs.frozen(kw_only=True)
class Even:
    """A class whose constructor does more than set fields."""

    number: int = attrs.field(validator=lambda _, __, value: _refuse(value % 2))
    doubled: int = 0

    def __attrs_post_init__(self) -> None:
        if self.doubled < 0:
            raise ValueError("negative")


@attrs.frozen(kw_only=True)
class Tree:
    name: str
    branches: "tuple[Tree, ...]" = ()
    best: "Tree | None" = None


def _upper(text: str) -> str:
    return text.upper()


@attrs.frozen(kw_only=True)
class Converted:
    word: str = attrs.field(converter=_upper)
    count: int = attrs.field(default=3)


def _upper_if_given(text: str | None) -> str | None:
    return text and text.upper()


def _refused_if_given(number: int | None) -> int | None:
    _refuse(number is not None and number % 2)
    return number


@attrs.frozen(kw_only=True)
class MaybeConverted:
    """A class whose constructor does more than set fields only for those that are given."""

    name: str
    word: str | None = attrs.field(default=None, converter=_upper_if_given)
    number: int | None = attrs.field(default=None, converter=_refused_if_given)


class Celsius(float):
    """A scalar of an extension's own."""


def _refuse(condition: object) -> None:
    if condition:
        raise ValueError("refused")


def _read_celsius(value: float) -> Celsius:
    _refuse(value < -273.15)
    return Celsius(value)


Percent = Annotated[int, tp.IntRange("percent", 0, 100)]
Signed = Annotated[int, tp.IntRange("signed", -128, 127)]
Below = Annotated[int, tp.IntRange("below", -1000, -10)]

LEAVES: Final[tuple[Any, ...]] = (
    str,
    bool,
    int,
    float,
    UUID,
    datetime,
    tp.U32,
    tp.U64,
    tp.F32,
    Percent,
    Signed,
    Below,
    Colour,
    Level,
    Kind,
    Literal["a", "ä", 1, 2],
    Celsius,
    date,
)

HASHABLE: Final = LEAVES

RECORDS: Final[tuple[Any, ...]] = (Point, Even, Tree, Converted, MaybeConverted)

NAMES: Final = tuple(
    "id type payload timestamp a b c name value größe very_long_name_of_a_field_that_goes_on "
    "x1 x2 x3 x4 x5 x6 x7 x8 x9 reply_to".split()
)


def annotation(source: random.Random, depth: int = 0) -> Any:
    """Draw the annotation of a field."""
    choice = source.randrange(12 if depth < 2 else 6)
    if choice < 5:
        return source.choice(LEAVES)
    if choice == 5:
        return tp.Json
    if choice == 6:
        return source.choice(RECORDS)
    if choice == 7:
        return frozenset[source.choice(HASHABLE)]  # type: ignore[misc]
    inner: Any = annotation(source, depth + 1)
    items: Any = tuple, list, dict
    if choice == 8:
        return items[0][inner, ...]
    if choice == 9:
        return items[1][inner]
    if choice == 10:
        return items[2][str, inner]
    return inner | None if inner is not Any else inner


def _field(source: random.Random, kind: Any) -> tuple[Any, Any]:
    if NoneType in get_args(kind):
        return kind, attrs.field(default=None)
    if source.random() < 0.35 and kind is not Any:
        return kind | None, attrs.field(default=None)
    if kind is str and source.random() < 0.3:
        return kind, attrs.field(default="left out")
    if source.random() < 0.1 and getattr(kind, "__origin__", None) is list:
        return kind, attrs.field(factory=list)
    if source.random() < 0.1 and kind is str:
        return kind, attrs.field(validator=attrs.validators.max_len(5))
    return kind, attrs.field()


def message_class(source: random.Random, base: Any, name: str) -> type[Any]:
    """Draw a message class."""
    names = source.sample(NAMES, source.randint(0, 8))
    drawn = {n: _field(source, annotation(source)) for n in names}
    space: dict[str, Any] = {n: field for n, (_, field) in drawn.items()}
    space["__annotations__"] = {n: kind for n, (kind, _) in drawn.items()}
    space["__module__"] = __name__
    made = types.new_class(name, (base,), exec_body=lambda body: body.update(space))
    return attrs.frozen(kw_only=True)(made)


def extension(source: random.Random) -> tp.Registry:
    """Draw an extension: a category with commands, responses and events."""
    category = tp.Category("things", topic="things")
    category.scalar(Celsius, wire=float, read=_read_celsius, write=float, expected="a temperature")
    category.scalar(date)
    for number in range(3):
        answer = message_class(source, tp.Response, f"Answer{number}")
        category.response(f"answer_{number}")(answer)
        command = message_class(source, tp.Command[tp.AckResponse], f"Order{number}")
        category.command(f"order_{number}", tag=source.choice([None, f"tag {number}"]))(command)
        event = message_class(source, tp.Event, f"Happened{number}")
        category.event(f"happened_{number}")(event)
    return tp.Registry([category])


# ---- Values on the wire ----

TEXTS: Final = (
    "",
    "a",
    "hello world, this is a text of some length",
    'with "quotes" and \\ and /',
    "tab\tline\nreturn\r\x08\x0c",
    "\x00\x1f\x7f\x80",
    "größe",
    "ビルド🚀",
    "ÿĀ\uffff\U00010000",
    "2026-01-02T03:04:05Z",
    "67e55044-10b1-426f-9247-bb680e5fe0c8",
)
UUIDS: Final = (
    "67e55044-10b1-426f-9247-bb680e5fe0c8",
    "67E5504410B1426F9247BB680E5FE0C8",
    "urn:uuid:67e55044-10b1-426f-9247-bb680e5fe0c8",
    "{67e55044-10b1-426f-9247-BB680e5fe0c8}",
    "00000000-0000-0000-0000-000000000000",
)
BAD_UUIDS: Final = (
    "67e55044-10b1-426f-9247-bb680e5fe0c",
    "67e55044-10b1-426f-9247-bb680e5fe0cg",
    "67e5504410b1-426f-9247-bb680e5fe0c8a",
    "{67e5504410b1426f9247bb680e5fe0c8}",
    "67e55044-10b1-426f-9247-bb680e5fe0é",
)
TIMES: Final = (
    "2026-01-02T03:04:05Z",
    "2026-01-02T03:04:05.1z",
    "2026-01-02T03:04:05.123456789+00:00",
    "2026-01-02T00:04:05.120-00:00",
    "2024-02-29T23:59:60+05:30",
    "9999-12-31T23:59:59.999999Z",
    "0001-01-01T00:00:00Z",
    "1900-03-01T00:00:00+23:59",
)
BAD_TIMES: Final = (
    "2026-02-29T03:04:05Z",
    "2026-01-02 03:04:05Z",
    "2026-01-02T24:00:00Z",
    "2026-01-02T03:04:05",
    "2026-01-02T03:04Z",
    "2026-01-02T03:04:61Z",
    "0001-01-01T00:00:00+00:01",
    "9999-12-31T23:59:59-00:01",
    "0000-01-01T00:00:00Z",
    "2026-01-02T03:04:05.Z",
    "2026-01-02T03:04:05+0000",
    "2026-13-02T03:04:05Z",
)


class Raw(str):
    """JSON text that stands as it is."""


NUMBERS: Final = tuple(
    Raw(text)
    for text in [
        *(
            "0 -0 1 -1 7 100 127 -128 -500 255 4294967295 4294967296 9223372036854775807 "
            "-9223372036854775808 -9223372036854775809 18446744073709551615 18446744073709551616 "
            "99999999999999999999 1.0 -0.0 0.1 1.5e3 1E-7 1e16 123456789012345678 "
            "0.30000000000000004 3.4028235e38 3.4028235677973366e38 1e308 1.7976931348623157e308 "
            "1e309 -1e400 5e-324 1e-400 2.2250738585072014e-308 9007199254740993 "
            "9007199254740993.0 0.000001 123456.789012345678"
        ).split(),
        *("9" * 308, "9" * 309, "1" + "0" * 308, "0." + "0" * 50 + "1"),
    ]
)


def json_value(source: random.Random, depth: int = 0) -> Any:
    """Draw free JSON."""
    choice = source.randrange(8 if depth < 3 else 5)
    if choice == 0:
        return source.choice([None, True, False])
    if choice < 3:
        return source.choice(NUMBERS)
    if choice < 5:
        return source.choice(TEXTS)
    if choice == 5:
        return [json_value(source, depth + 1) for _ in range(source.randrange(4))]
    names = source.sample(TEXTS + NAMES, source.randrange(4 if source.random() < 0.9 else 14))
    return {name: json_value(source, depth + 1) for name in names}


def odd_value(source: random.Random) -> Any:
    """Draw a value that is mostly not what is asked for."""
    kinds: tuple[tuple[Any, ...], ...] = (NUMBERS, BAD_UUIDS, BAD_TIMES, TEXTS, (None,))
    return source.choice([json_value(source), *(source.choice(kind) for kind in kinds)])


_MAKERS: Final[dict[str, Callable[[random.Random], Any]]] = {
    "Text": lambda s: s.choice(TEXTS),
    "Boolean": lambda s: s.random() < 0.5,
    "Identifier": lambda s: s.choice(UUIDS),
    "Timestamp": lambda s: s.choice(TIMES),
    "FreeJson": json_value,
    "Number": lambda s: s.choice([s.random() * 100, s.choice(NUMBERS), s.randrange(1000)]),
}


def wire_value(source: random.Random, shape: Any, registry: tp.Registry, depth: int = 0) -> Any:
    """Draw what may stand on the wire for a shape, spoilt now and then."""
    name = type(shape).__name__
    if source.random() < 0.02:
        return odd_value(source)
    if name in _MAKERS:
        return _MAKERS[name](source)
    if name == "Maybe":
        is_none = source.random() < 0.3 or depth > 4
        return None if is_none else wire_value(source, shape.inner, registry, depth)
    if name == "Integer":
        low, high = max(shape.low, -(2**63)), min(shape.high, 2**64 - 1)
        return source.choice([low, high, source.randint(low, high), source.choice(NUMBERS)])
    if name == "Choice":
        return source.choice([wire for wire, _ in shape.members])
    if name == "Custom":
        if shape.scalar.cls is date:
            return source.choice(["2026-01-02", "2024-02-29", "2026-02-30", "26-01-02"])
        return wire_value(source, shape.wire, registry, depth)
    count = 0 if depth > 4 else source.randrange(4)
    if name == "Array":
        items = [wire_value(source, shape.inner, registry, depth + 1) for _ in range(count)]
        if shape.container is frozenset and source.random() < 0.9:
            items = [item for i, item in enumerate(items) if item not in items[:i]]
        return items
    if name == "Map":
        keys = source.sample(TEXTS + NAMES, count)
        return {key: wire_value(source, shape.inner, registry, depth + 1) for key in keys}
    return record_value(source, shape.type, registry, depth + 1)


def record_value(source: random.Random, cls: type, registry: tp.Registry, depth: int = 0) -> Any:
    """Draw the JSON object of an attrs class."""
    members: dict[str, Any] = {}
    for field in registry.records[cls]:
        if source.random() < (0.99 if field.required else 0.6):
            members[field.name] = wire_value(source, field.shape, registry, depth)
    if source.random() < 0.1:
        members["added later"] = json_value(source)
    return members


def frame(source: random.Random, registry: tp.Registry) -> tuple[str, str]:
    """Draw a frame: which side sent it, and its text."""
    declaration = source.choice(list(registry))
    tags = {k: v for k, v in declaration.tags.items() if k == "event" or source.random() < 0.8}
    members = list({**tags, **record_value(source, declaration.cls, registry)}.items())
    if source.random() < 0.3:
        source.shuffle(members)
    payload = dict(members)
    if source.random() < 0.02:
        payload["category"] = source.choice(TEXTS)
    frame: dict[str, Any] = {
        "id": source.choice(UUIDS),
        "type": declaration.message_type,
        "timestamp": source.choice(TIMES),
    }
    side = declaration.sender.value
    if source.random() < 0.4:
        frame["reply_to"] = source.choice([None, *UUIDS])
    if payload or source.random() < 0.5:
        frame["payload"] = payload
    if source.random() < 0.2:
        frame["position"] = {
            "topic": "things",
            "epoch": source.choice(["e", "é", "x" * 64, "x" * 65]),
            "offset": source.choice(NUMBERS[:12]),
        }
    for name in ("id", "timestamp"):
        if source.random() < (0.3 if side == "client" else 0.02):
            del frame[name]
    if source.random() < 0.05:
        frame[source.choice(["extra", "größe"])] = json_value(source)
    if source.random() < 0.03:
        frame[source.choice(["id", "timestamp", "payload", "type"])] = odd_value(source)
    if source.random() < 0.3:
        items = list(frame.items())
        source.shuffle(items)
        frame = dict(items)
    return side, to_text(source, frame)


# ---- One good frame of each message ----

_PLAIN: Final[dict[str, Any]] = {
    "Text": "text",
    "Boolean": True,
    "Identifier": UUIDS[0],
    "Timestamp": TIMES[0],
    "FreeJson": {"a": [1, None], "b": "c"},
    "Number": 12.5,
}


def plain_value(shape: Any, registry: tp.Registry, depth: int = 0) -> Any:
    """Return a good value of a shape, always the same."""
    name = type(shape).__name__
    if name in _PLAIN:
        return _PLAIN[name]
    if name == "Integer":
        return max(shape.low, min(8, shape.high))
    if name == "Choice":
        return shape.members[0][0]
    if name == "Custom":
        is_date = shape.scalar.cls is date
        return "2026-01-02" if is_date else plain_value(shape.wire, registry)
    if name == "Maybe":
        return plain_value(shape.inner, registry, depth) if depth < 3 else None
    if name == "Array":
        return [plain_value(shape.inner, registry, depth + 1)] if depth < 3 else []
    if name == "Map":
        return {"key": plain_value(shape.inner, registry, depth + 1)}
    fields = registry.records[shape.type]
    return {f.name: plain_value(f.shape, registry, depth + 1) for f in fields}


def plain_frames(registry: tp.Registry) -> list[tuple[str, str]]:
    """Return a good frame of each message, compact: which side sent it, and its text."""
    frames = []
    for declaration in registry:
        fields = registry.records[declaration.cls]
        payload = {**declaration.tags, **{f.name: plain_value(f.shape, registry) for f in fields}}
        frame = {
            "id": UUIDS[0],
            "type": declaration.message_type,
            "timestamp": TIMES[0],
            "payload": payload,
        }
        if declaration.kind.value == "keepalive":
            frame = {"type": declaration.message_type}
        elif declaration.kind.value == "response":
            frame = {**frame, "reply_to": UUIDS[4]}
        text = json.dumps(frame, ensure_ascii=False, separators=(",", ":"))
        frames.append((declaration.sender.value, text))
    return frames


# ---- Layouts ----


def to_text(source: random.Random, value: Any) -> str:
    """Write JSON in a layout by chance."""
    spaced = source.random() < 0.3
    escaped = source.random() < 0.2

    def space() -> str:
        return source.choice(["", " ", "\n", "\t", " \r\n  "]) if spaced else ""

    def string(text: str) -> str:
        written = json.dumps(text, ensure_ascii=source.random() < 0.2)
        if escaped and text and source.random() < 0.5:
            at = source.randrange(len(text))
            if ord(text[at]) < 0x10000:
                start, end = (
                    json.dumps(part, ensure_ascii=False) for part in (text[:at], text[at + 1 :])
                )
                digits = f"{ord(text[at]):04x}"
                written = f"{start[:-1]}\\u{source.choice([digits, digits.upper()])}{end[1:]}"
        return written

    def write(value: Any) -> str:
        if isinstance(value, Raw):
            return value
        if isinstance(value, str):
            return string(value)
        if isinstance(value, dict):
            parts = [
                f"{space()}{string(k)}{space()}:{space()}{write(v)}{space()}"
                for k, v in value.items()
            ]
            if parts and source.random() < 0.005:
                parts.append(parts[0])
            return "{" + (",".join(parts) or space()) + "}"
        if isinstance(value, list):
            parts = [f"{space()}{write(v)}{space()}" for v in value]
            return "[" + (",".join(parts) or space()) + "]"
        return json.dumps(value)

    return space() + write(value) + space()


PIECES: Final = (
    *(
        '{ } [ ] " : , \\ - 0 null true 1 -0 1e999 NaN "id" "type" \\ud800 é 4294967296 1.0 '
        '"payload" "command" "event" "category" "a":1, \\n 🚀 "reply_to":null, "payload":{}, '
        "\\u0065 1e5"
    ).split(),
    *(" ", "\n", "\x00", "\ud800", "\u2028"),
)


def spoil(source: random.Random, text: str, others: Callable[[], str]) -> str:
    """Change a text in up to three places."""
    for _ in range(source.randint(1, 3)):
        start = source.randint(0, len(text))
        end = min(len(text), start + source.randint(0, source.choice([1, 4, 40])))
        choice = source.randrange(6)
        if choice == 0:
            piece = ""
        elif choice == 1:
            piece = text[start:end] * 2
        elif choice == 2:
            other = others()
            at = source.randint(0, len(other))
            piece = other[at : at + source.randint(1, 60)]
        elif choice == 3:
            piece = chr(source.choice([source.randrange(128), source.randrange(0x110000)]))
        else:
            piece = source.choice(PIECES)
            end = end if choice == 4 else start
        text = text[:start] + piece + text[end:]
    return text
