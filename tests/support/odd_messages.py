"""A category that is hard to describe: odd names and texts, and fields of every kind."""

import enum
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any, Literal
from uuid import UUID, uuid4

import attrs
from attrs import frozen, validators

import tachikoma_proto as tp

odd = tp.Category("odd-one", topic="odd-ones", key="key")
odd.scalar(Decimal)
odd.scalar(date)


class Level(enum.IntEnum):
    """How loud: */ ends a comment, @see begins a tag, and `${x}` is a template."""

    LOW = 1
    HIGH = 2


class Mixed(enum.Enum):
    ONE = 1
    TWO = 'two "quoted" \\ and \u2028'


@frozen(kw_only=True)
class Node:
    name: str = attrs.field(validator=[validators.min_len(1), validators.max_len(9)])
    weight: float = 1.0
    children: "tuple[Node, ...]" = ()
    by_name: "dict[str, Node | None]" = attrs.field(factory=dict)


def named(name: str, base: Any, **fields: Any) -> Any:
    made = {key: attrs.field(type=kind) for key, kind in fields.items()}
    return attrs.make_class(name, made, bases=(base,), frozen=True, kw_only=True, slots=True)


# Names that TypeScript, the runtime, the generated file or another category have, too.
Error = odd.event("error")(named("Error", tp.Event, key=UUID))
Subscription = odd.event("sub scription")(named("Subscription", tp.Event, key=UUID))
Promise = odd.event('pro"mise')(named("Promise", tp.Event, key=UUID))
Lower = odd.event("ünïcode")(named("string", tp.Event, key=UUID))
MissionEvent = odd.event("event")(named("MissionEvent", tp.Event, key=UUID))
Equal: Any = odd.response("odd-response")(named("AckResponse", tp.Response))


@odd.command("odd.command", tag="*/", deprecated="use something */ else")
@frozen(kw_only=True)
class Everything(tp.Command["Equal"]):
    """Takes everything.

    It is described
    in two paragraphs */ of text.

    Attributes:
        level: Of a :class:`Level`; `*/`.
        node: One
            of them.
    """

    level: Level
    node: Node
    mixed: Mixed = Mixed.ONE
    price: Decimal | None = None
    day: date = date(2026, 1, 2)
    at: datetime | None = None
    one: Literal["a", "b"] = "a"
    number: Literal[1, 2] = 1
    numbers: tuple[int | None, ...] = (1, None)
    unique: frozenset[Level] = frozenset({Level.HIGH, Level.LOW})
    free: tp.Json = None
    nested: dict[str, tuple[float, ...]] = attrs.field(factory=dict)
    default: bool = False
    root: Node = attrs.field(factory=lambda: Node(name="root"))
    id: UUID = attrs.field(default=UUID(int=7))
    since: datetime = datetime(2026, 1, 2, tzinfo=UTC)
    made: UUID = attrs.field(factory=uuid4)
    later: tp.U32 = attrs.field(default=attrs.Factory(lambda self: self.number, takes_self=True))
    converted: float = attrs.field(default=1, converter=float)
    secret: str | None = tp.secret(default=None)


@odd.event("every", deprecated="use nothing")
@frozen(kw_only=True)
class Every(tp.Event):
    key: UUID
    node: Node
    level: Level = Level.LOW
    nothing: str | None = None
