"""Every public class survives pickle, copy and deepcopy."""

import copy
import pickle
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import attrs
import pytest
from attrs import frozen

import tachikoma_proto as tp
from tachikoma_proto.session import events as session_events

ID = UUID("67e55044-10b1-426f-9247-bb680e5fe0c8")
TIME = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)

WAYS: list[Callable[[Any], Any]] = [
    copy.copy,
    copy.deepcopy,
    *(
        lambda value, protocol=protocol: pickle.loads(pickle.dumps(value, protocol))
        for protocol in range(pickle.HIGHEST_PROTOCOL + 1)
    ),
]
ways = pytest.mark.parametrize(
    "again", WAYS, ids=["copy", "deepcopy", *(f"pickle-{n}" for n in range(6))]
)


class OwnError(tp.CommandError):
    """With a constructor of its own."""

    def __init__(self, mission: UUID) -> None:
        super().__init__("not_found", f"mission {mission} not found", {"id": str(mission)})
        self.mission = mission


class OwnLostError(tp.ConnectionLostError):
    """With a constructor of its own, that passes nothing on as it was given."""

    def __init__(self, url: str, *, attempts: int) -> None:
        super().__init__(f"lost {url}")
        self.url = url
        self.attempts = attempts


class OwnProtocolError(tp.ProtocolError):
    """With an error code of its own."""

    default_code = "too_early"


class SlottedError(tp.RegistryError):
    """With a slot."""

    __slots__ = ("place",)

    def __init__(self, place: str) -> None:
        super().__init__("wrong", place)
        self.place = place


ERRORS: list[Exception] = [
    tp.TachikomaError("wrong"),
    tp.TachikomaError(),
    tp.ProtocolError("wrong", code="mine", message_id=ID),
    tp.InvalidMessageError(errors=[tp.FieldError("$.id", "a UUID")]),
    tp.UnknownMessageError(errors=[tp.FieldError("$.type", "the type of a command")]),
    tp.MessageTooLargeError(),
    tp.CommandError("not_found", "mission not found", details={"id": [1]}),
    tp.RemoteError("not_found", "mission not found", {"id": 1}),
    tp.EncodeError(errors=[tp.FieldError("$", "less")]),
    tp.ConnectionLostError("gone"),
    tp.ConnectionLostError(111, "refused"),
    tp.BrokerError("away"),
    tp.RegistryError("declared twice"),
    tp.PluginError("broken"),
    OwnError(ID),
    OwnLostError("ws://localhost", attempts=3),
    OwnProtocolError("later", message_id=ID),
    SlottedError("here"),
]


@ways
@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
def test_an_error_survives_with_everything_that_it_says(error: Any, again: Any) -> None:
    error.add_note("while deploying")
    found = again(error)
    assert type(found) is type(error)
    assert found is not error
    assert (str(found), found.args, vars(found)) == (str(error), error.args, vars(error))
    assert found.__notes__ == error.__notes__
    if isinstance(error, SlottedError):
        assert found.place == "here"
    if isinstance(error, OSError):
        assert (found.errno, found.strerror) == (error.errno, error.strerror)
    assert isinstance(found, type(error))
    error.__notes__.clear()


def test_every_error_is_tried() -> None:
    errors = {
        value
        for name in tp.__all__
        if isinstance(value := getattr(tp, name), type) and issubclass(value, Exception)
    }
    assert errors <= {type(error) for error in ERRORS}


def values_of(cls: type[Any]) -> Any:
    from hypothesis import Phase, find, settings

    from tachikoma_proto.testing import messages

    quickly = settings(phases=[Phase.generate], database=None, derandomize=True)
    return find(messages(cls), lambda _: True, settings=quickly)


@ways
def test_every_message_survives(again: Any) -> None:
    for cls in {declaration.cls for declaration in tp.Registry()}:
        message = values_of(cls)
        assert again(message) == message
        assert repr(again(message)) == repr(message)


VALUES: list[Any] = [
    tp.Envelope(id=ID, type="ping", timestamp=TIME, payload=tp.Ping()),
    tp.IncomingMessage(type="ping", payload=tp.Ping()),
    tp.OutgoingMessage(
        id=ID,
        type="ack",
        timestamp=TIME,
        payload=tp.AckResponse.ok(),
        reply_to=ID,
        position=tp.Position(topic="missions", epoch="e", offset=1),
    ),
    tp.UnknownMessage(type="later", members={"payload": {"a": [1]}}),
    tp.UnknownEvent(type="event.x", category="x", event="y", members={"payload": {"event": "y"}}),
    tp.Codec().decode_server_message(
        f'{{"id":"{ID}","type":"later","timestamp":"2026-01-02T03:04:05Z","payload":{{"a":1}}}}'
    ),
    tp.SubscriptionFilters(mission_id=ID, event_types=("progress",)),
    tp.FieldError("$.id", "a UUID"),
    tp.IntRange("percent", 0, 100),
    tp.FloatRange("unit", 1.0),
    tp.ServerConfig(max_pending=7),
    tp.ClientConfig(),
    tp.Identity(user_id=ID),
    tp.Reconnected(attempts=3),
    *(
        member
        for member in (getattr(session_events, name) for name in dir(session_events))
        if isinstance(member, type)
        and attrs.has(member)
        and not any(field.default is attrs.NOTHING for field in attrs.fields(member))
    ),
]


@ways
@pytest.mark.parametrize("value", VALUES, ids=lambda value: getattr(type(value), "__name__", ""))
def test_a_value_survives_as_an_equal_one(value: Any, again: Any) -> None:
    value = value() if isinstance(value, type) else value
    found = again(value)
    assert type(found) is type(value)
    assert found == value
    assert repr(found) == repr(value)


@frozen(kw_only=True)
class Paid(tp.Event):
    amount: Decimal


def paid() -> tp.Category:
    category = tp.Category("billing", topic="billing")
    category.scalar(Decimal)
    category.event("paid")(Paid)
    return category


@ways
@pytest.mark.parametrize("is_sealed", [False, True])
def test_a_category_survives_with_what_it_declares(again: Any, is_sealed: bool) -> None:
    category = paid()
    if is_sealed:
        tp.Registry([category])
    found = again(category)
    assert (found.name, found.topic, found.key) == ("billing", "billing", None)
    assert found.declarations == category.declarations
    assert found.scalars == category.scalars
    if not is_sealed:
        assert tp.Registry([found]).declaration_of(Paid) is not None


@ways
def test_a_registry_and_a_codec_survive_and_read_the_same(again: Any) -> None:
    codec = tp.Codec(tp.Registry([paid()]), max_size=500, forbid_unknown_fields=True)
    text = codec.encode(Paid(amount=Decimal("1.50")))
    found = again(codec)
    assert (found.max_size, found.forbid_unknown_fields) == (500, True)
    assert found.decode_server_message(text) == codec.decode_server_message(text)
    registry = again(codec.registry)
    assert [declaration.cls for declaration in registry] == [d.cls for d in codec.registry]
    assert tp.Codec(registry).decode_server_message(text).payload == Paid(amount=Decimal("1.5"))
    assert again(tp.Codec()).decode_command('{"type":"ping"}').payload == tp.Ping()
