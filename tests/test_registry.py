"""The registry: a value made of categories."""

from uuid import UUID

import pytest
from attrs import frozen

import tachikoma_proto as tp
from tachikoma_proto.declare.declarations import MessageKind, Sender


@frozen(kw_only=True)
class Launched(tp.Response):
    rocket: UUID


@frozen(kw_only=True)
class Launch(tp.Command[Launched]):
    rocket: UUID


@frozen(kw_only=True)
class LiftOff(tp.Event):
    rocket: UUID


def space() -> tp.Category:
    category = tp.Category("space", topic="rockets", key="rocket")
    category.response("space_launched")(Launched)
    category.command("space_launch", tag="launch", public=True)(Launch)
    category.event("lift_off")(LiftOff)
    return category


def test_a_codec_reads_and_writes_an_added_category() -> None:
    codec = tp.Codec(tp.Registry([space()]))
    rocket = UUID(int=1)
    for payload in (Launch(rocket=rocket), Launched(rocket=rocket), LiftOff(rocket=rocket)):
        text = codec.encode(payload)
        read = codec.decode_command if isinstance(payload, Launch) else codec.decode_server_message
        assert read(text).payload == payload
    assert isinstance(
        tp.Codec().decode_server_message(codec.encode(LiftOff(rocket=rocket))).payload,
        tp.UnknownEvent,
    ), "a registry without the category does not know it"


def test_a_registry_finds_declarations_by_class_and_by_type() -> None:
    registry = tp.Registry([space()])
    declaration = registry.declaration_of(Launch)
    assert declaration is not None
    assert (declaration.kind, declaration.sender, declaration.public) == (
        MessageKind.COMMAND,
        Sender.CLIENT,
        True,
    )
    assert declaration.tags == {"category": "space", "command": "launch"}
    assert declaration.reply is Launched
    assert registry.declaration_for(Sender.CLIENT, "space_launch") is declaration
    assert registry.declaration_for(Sender.SERVER, "space_launch") is None
    assert registry.members(MessageKind.EVENT, "space") == {"lift_off": LiftOff}
    assert registry.senders_of("event.space") == [Sender.SERVER]
    assert registry.senders_of("ping") == [Sender.CLIENT, Sender.SERVER]
    assert registry.senders_of("nope") == []
    assert tp.Registry().declaration_of(Launch) is None


def test_category_decorators_return_the_class_unchanged() -> None:
    assert tp.Category("a").command("a_launch")(Launch) is Launch
    assert tp.Category("b").event("lift_off")(LiftOff) is LiftOff
    assert tp.Category("c").response("launched")(Launched) is Launched


def test_the_tag_of_a_command_defaults_to_its_type() -> None:
    category = tp.Category("a")
    category.command("a_launch")(Launch)
    (declaration,) = category.declarations
    assert declaration.tag == "a_launch"


def test_declaring_a_category_changes_no_other_registry() -> None:
    space()
    assert "space" not in tp.Registry().categories


def test_a_registry_seals_its_categories() -> None:
    category = space()
    tp.Registry([category])
    with pytest.raises(
        tp.RegistryError, match=r"event 'event\.space' of category 'space' comes too"
    ):
        category.event("landed")(LiftOff)


def test_the_built_in_categories_are_sealed_from_the_start() -> None:
    from tachikoma_proto.messages.categories import mission

    with pytest.raises(tp.RegistryError, match="make a category of your own"):
        mission.event("launched")(LiftOff)


def test_every_built_in_command_declares_its_reply() -> None:
    replies = {s.message_type: s.reply for s in tp.Registry() if s.kind is MessageKind.COMMAND}
    assert replies["subscribe"] is tp.AckResponse
    assert replies["mission_status"] is tp.MissionStatusResponse
    assert all(isinstance(reply, type) for reply in replies.values())


@pytest.mark.parametrize(
    ("name", "topic", "key", "text"),
    [
        ("", None, None, "the category '' is not a name"),
        ("a b", None, None, "the category 'a b' is not a name"),
        ("a/b", None, None, "the category 'a/b' is not a name"),
        ("a", "x/y", None, "the topic 'x/y' is not a name"),
        ("a", None, "id", "has a key but no topic"),
    ],
)
def test_a_category_with_an_invalid_name_topic_or_key_is_refused(
    name: str, topic: str | None, key: str | None, text: str
) -> None:
    with pytest.raises(tp.RegistryError, match=text):
        tp.Category(name, topic=topic, key=key)


def test_a_registry_that_cannot_be_built_seals_nothing() -> None:
    category = space()
    with pytest.raises(tp.RegistryError, match="declared twice"):
        tp.Registry([category, space()])
    category.event("landed")(LiftOff)


def test_a_secret_field_shows_in_no_repr() -> None:
    @frozen(kw_only=True)
    class Login(tp.Event):
        key: str = tp.secret()
        old_key: str | None = tp.secret(default=None)

    assert repr(Login(key="s3cret")).endswith("Login(key=***, old_key=***)")
    with pytest.raises(TypeError, match="leave repr out"):
        tp.secret(repr=True)


@pytest.mark.parametrize("kind", [float, bool, tuple[str, ...], dict[str, str], tp.Json])
def test_a_key_whose_type_cannot_stand_in_a_topic_is_refused(kind: object) -> None:
    space = tp.Category("space", topic="rockets", key="rocket")

    @space.event("started")
    @frozen(kw_only=True)
    class Started(tp.Event):
        rocket: kind  # type: ignore[valid-type]

    with pytest.raises(tp.RegistryError, match=r"Started.rocket cannot name a topic below"):
        tp.Registry([space])


def test_a_registry_of_a_bare_category_raises_type_error() -> None:
    with pytest.raises(TypeError, match="put the one into a list"):
        tp.Registry(tp.Category("space"))  # type: ignore[arg-type]


def test_a_key_that_no_event_has_is_refused() -> None:
    space = tp.Category("space", topic="rockets", key="rokcet")

    @space.event("started")
    @frozen(kw_only=True)
    class Started(tp.Event):
        rocket: str

    with pytest.raises(tp.RegistryError, match=r"none of its events has its key.*'rokcet'"):
        tp.Registry([space])
