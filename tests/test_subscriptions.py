"""Which event goes to whom."""

import enum
from typing import Any
from uuid import UUID

import pytest
from attrs import NOTHING, field, frozen
from hypothesis import given, strategies as st

import tachikoma_proto as tp
from tachikoma_proto.session.subscriptions import SubscriptionIndex

ONE, TWO = UUID(int=1), UUID(int=2)
Filters = tp.SubscriptionFilters


def progress(mission_id: UUID = ONE) -> tp.MissionProgress:
    return tp.MissionProgress(
        mission_id=mission_id, current_spec="a", completed_specs=1, total_specs=2, percentage=50.0
    )


def index_of(*categories: tp.Category) -> SubscriptionIndex[str]:
    return SubscriptionIndex(tp.Registry(categories))


def receivers(
    event: tp.Event, topic: str, filters: Filters | None = None, *categories: tp.Category
) -> list[str]:
    index = index_of(*categories)
    index.add("me", topic, filters)
    return list(index.receivers(event))


@pytest.mark.parametrize(
    ("topic", "event", "is_covered"),
    [
        (tp.topics.MISSIONS, tp.MissionStarted(mission_id=ONE), True),
        (tp.topics.mission(ONE), tp.MissionStarted(mission_id=ONE), True),
        (tp.topics.mission(TWO), tp.MissionStarted(mission_id=ONE), False),
        (tp.topics.FORGE_SESSIONS, tp.ForgeCompleted(session_id=ONE, success=True), True),
        (tp.topics.forge_session(ONE), tp.ForgeCompleted(session_id=ONE, success=True), True),
        (tp.topics.MISSIONS, tp.ForgeCompleted(session_id=ONE, success=True), False),
        (
            tp.topics.SYSTEM,
            tp.ServerStatus(status="up", active_missions=0, active_sessions=0),
            True,
        ),
    ],
)
def test_a_subscription_to_a_topic_includes_its_subtopics(
    topic: str, event: tp.Event, is_covered: bool
) -> None:
    assert bool(receivers(event, topic)) is is_covered


@pytest.mark.parametrize(
    "topic",
    [
        "",
        "nope",
        "mission",
        "missions/",
        "missions//a",
        "/missions",
        "missions/not-a-uuid",
        tp.topics.mission(ONE)[:-1],
        tp.topics.mission(ONE) + "/log",
        "missions/None",
        "system/x",
        "MISSIONS",
    ],
)
def test_subscribing_to_a_topic_that_no_event_can_go_to_is_not_found(topic: str) -> None:
    with pytest.raises(tp.CommandError, match="topic not found") as caught:
        index_of().add("me", topic)
    assert caught.value.code == "not_found"


@pytest.mark.parametrize(
    ("filters", "passes"),
    [
        (Filters(), True),
        (Filters(mission_id=ONE), True),
        (Filters(mission_id=TWO), False),
        (Filters(session_id=ONE), False),  # the event has no such field
        (Filters(event_types=("progress",)), True),
        (Filters(event_types=("mission.progress", "mission.failed")), True),
        (Filters(event_types=("forge.progress", "started", "nonsense")), False),
        (Filters(event_types=()), False),
        (Filters(mission_id=ONE, event_types=("progress",)), True),
        (Filters(mission_id=TWO, event_types=("progress",)), False),
        (Filters(mission_id=ONE, event_types=("failed",)), False),
    ],
)
def test_an_event_has_to_match_all_filters(filters: Filters, passes: bool) -> None:
    assert bool(receivers(progress(), tp.topics.MISSIONS, filters)) is passes


def test_an_event_reaches_a_session_with_overlapping_subscriptions_once() -> None:
    index = index_of()
    index.add("both", tp.topics.MISSIONS)
    index.add("both", tp.topics.mission(ONE))
    index.add("wide", tp.topics.MISSIONS, Filters(event_types=("progress", "mission.progress")))
    assert list(index.receivers(progress())) == ["both", "wide"]


def test_a_second_subscription_to_a_topic_replaces_the_first() -> None:
    index = index_of()
    index.add("me", tp.topics.MISSIONS)
    index.add("me", tp.topics.MISSIONS, Filters(mission_id=TWO))
    assert index.topics_of("me") == (tp.topics.MISSIONS,)
    assert not index.receivers(progress(ONE))
    assert list(index.receivers(progress(TWO))) == ["me"]


@pytest.mark.parametrize("form", [str(ONE).upper(), ONE.hex, f"{{{ONE}}}", f"urn:uuid:{ONE}"])
def test_a_topic_may_hold_a_uuid_in_any_form(form: str) -> None:
    index = index_of()
    one = UUID(int=0xAB)
    form = form.replace(str(ONE), str(one)).replace(str(ONE).upper(), str(one).upper())
    form = form.replace(ONE.hex, one.hex)
    index.add("me", f"missions/{form}")
    assert index.topics_of("me") == (tp.topics.mission(one),)
    assert list(index.receivers(progress(one))) == ["me"]
    index.remove("me", f"missions/{str(one).upper()}")
    assert len(index) == 0


def test_unsubscribing_from_a_topic_without_subscription_is_not_found() -> None:
    index = index_of()
    index.add("other", tp.topics.MISSIONS)
    with pytest.raises(tp.CommandError, match="subscription not found") as caught:
        index.remove("me", tp.topics.MISSIONS)
    assert caught.value.code == "not_found"
    index.discard("me")


class Stage(enum.Enum):
    TEST = "test"


def keyed(kind: object, value: object) -> tuple[tp.Category, tp.Event]:
    category = tp.Category("deploy", topic="deploys", key="deploy_id")

    default: Any = None if kind == str | None else NOTHING

    @category.event("started")
    @frozen(kw_only=True)
    class Started(tp.Event):
        deploy_id: kind = field(default=default)  # type: ignore[valid-type]

    return category, Started(deploy_id=value)


@pytest.mark.parametrize(
    ("kind", "value", "topic"),
    [
        (UUID, ONE, f"deploys/{ONE}"),
        (str, "north", "deploys/north"),
        (tp.U32, 7, "deploys/7"),
        (Stage, Stage.TEST, "deploys/test"),
        (str | None, "north", "deploys/north"),
        (str, "eu/north", "deploys/eu/north"),
        (str, "eu/north", "deploys/eu"),
    ],
)
def test_events_of_an_extension_go_to_the_topic_of_their_key(
    kind: object, value: object, topic: str
) -> None:
    category, event = keyed(kind, value)
    assert receivers(event, topic, None, category) == ["me"]
    assert receivers(event, "deploys", None, category) == ["me"]


class Level(enum.IntEnum):
    LOW = 1


class Path(enum.Enum):
    BUILD = "ci/build"


@pytest.mark.parametrize(
    ("kind", "value", "reachable", "unreachable"),
    [
        (UUID, ONE, [ONE.hex], ["x", f"{ONE}/x"]),
        (str, "north", ["north", "north/x", "é"], ["", "a//b", "a/", "\ud800"]),
        (
            tp.U32,
            7,
            ["7", "0", "4294967295"],
            ["-1", "4294967296", "07", "7.0", "x", "٧", "9" * 5000],
        ),
        (int, 7, ["-7"], ["-0", "+7", " 7", "1_0"]),
        (Stage, Stage.TEST, ["test"], ["TEST", "Stage.TEST", "live", "test/x"]),
        (Level, Level.LOW, ["1"], ["2", "LOW"]),
        (Path, Path.BUILD, ["ci", "ci/build"], ["c", "build", "ci/buil"]),
        (str | None, "north", ["None"], []),
    ],
)
def test_a_topic_below_exists_if_the_key_of_an_event_can_be_that(
    kind: object, value: object, reachable: list[str], unreachable: list[str]
) -> None:
    category, _ = keyed(kind, value)
    index = index_of(category)
    for key in reachable:
        index.add("me", f"deploys/{key}")
    assert len(index) == len(reachable)
    for key in unreachable:
        with pytest.raises(tp.CommandError, match="topic not found"):
            index.add("me", f"deploys/{key}")
    assert len(index) == len(reachable)


def test_a_topic_of_a_scalar_exists_if_the_scalar_reads_it() -> None:
    category = tp.Category("deploy", topic="deploys", key="version")

    class Version(tuple[int, ...]):
        __slots__ = ()

    category.scalar(
        Version,
        wire=str,
        read=lambda text: Version(map(int, text.split("."))),
        write=lambda version: ".".join(map(str, version)),
        expected="a version",
    )

    @category.event("released")
    @frozen(kw_only=True)
    class Released(tp.Event):
        version: Version

    index = index_of(category)
    index.add("me", "deploys/1.02")
    assert index.topics_of("me") == ("deploys/1.2",)
    with pytest.raises(tp.CommandError, match="topic not found"):
        index.add("me", "deploys/latest")


@pytest.mark.parametrize(("kind", "value"), [(str | None, None), (str, "")])
def test_an_event_without_a_key_goes_to_the_category_topic_only(
    kind: object, value: object
) -> None:
    category, event = keyed(kind, value)
    assert receivers(event, "deploys", None, category) == ["me"]


def test_a_scalar_key_stands_in_a_topic_as_on_the_wire() -> None:
    category = tp.Category("deploy", topic="deploys", key="version")

    class Scalar:
        def __init__(self, text: str) -> None:
            self.text = text

    category.scalar(
        Scalar, wire=str, read=Scalar, write=lambda scalar: scalar.text, expected="a version"
    )

    @category.event("released")
    @frozen(kw_only=True)
    class Released(tp.Event):
        version: Scalar

    assert receivers(Released(version=Scalar("1.2")), "deploys/1.2", None, category) == ["me"]


def test_two_categories_may_share_a_topic() -> None:
    audit = tp.Category("audit", topic="missions", key="mission_id")

    @audit.event("viewed")
    @frozen(kw_only=True)
    class Viewed(tp.Event):
        mission_id: UUID

    assert receivers(Viewed(mission_id=ONE), tp.topics.mission(ONE), None, audit) == ["me"]
    only_viewed = Filters(event_types=("audit.viewed",))
    assert receivers(progress(), tp.topics.MISSIONS, only_viewed, audit) == []


def test_filters_apply_to_fields_of_extensions() -> None:
    audit = tp.Category("audit", topic="audit")

    @audit.event("viewed")
    @frozen(kw_only=True)
    class Viewed(tp.Event):
        mission_id: UUID | None = None
        session_id: str = ""

    filters = Filters(mission_id=ONE)
    assert receivers(Viewed(mission_id=ONE), "audit", filters, audit) == ["me"]
    assert receivers(Viewed(), "audit", filters, audit) == []
    assert receivers(Viewed(), "audit", Filters(session_id=ONE), audit) == []


def test_publishing_an_event_that_no_topic_or_category_holds_is_refused() -> None:
    quiet = tp.Category("quiet")

    @quiet.event("said")
    @frozen(kw_only=True)
    class Said(tp.Event):
        pass

    index = index_of(quiet)
    with pytest.raises(tp.RegistryError, match=r"Said: nobody can subscribe to it.*'quiet'"):
        index.receivers(Said())
    with pytest.raises(tp.EncodeError, match="an event that a category of the registry holds"):
        index_of().receivers(Said())
    with pytest.raises(tp.EncodeError, match="an event that a category of the registry holds"):
        index_of().receivers(tp.Ping())


def test_an_event_type_that_another_process_knows_is_matched_by_its_text() -> None:
    index = index_of()
    record = index.record(progress(), "")
    record.type = "mission.archived"
    index.add("by tag", "missions", Filters(event_types=("archived",)))
    index.add("by both", "missions", Filters(event_types=("mission.archived",)))
    index.add("another", "missions", Filters(event_types=("forge.archived",)))
    assert set(index.receivers_of(record)[0]) == {"by tag", "by both"}


def test_a_filter_names_only_so_many_types_that_nobody_knows() -> None:
    index = index_of()
    names = tuple(f"type_{number}" for number in range(101))
    index.add("me", "missions", Filters(event_types=(*names[1:], "started", "progress")))
    with pytest.raises(tp.CommandError) as caught:
        index.add("me", "missions", Filters(event_types=names))
    assert caught.value.code == "permission_denied"


@pytest.mark.parametrize("wrong", [{"mission_id": str(ONE)}, {"event_types": (1,)}])
def test_filters_of_other_types_than_their_fields_are_refused(wrong: Any) -> None:
    with pytest.raises(tp.CommandError) as caught:
        index_of().add("me", "missions", Filters(**wrong))
    assert caught.value.code == "invalid_message"


# The same by going through all subscriptions: what the index is measured against.

NAMES = st.sampled_from(["a", "b", "c"])
IDS = st.sampled_from([ONE, TWO, UUID(int=3)])
TOPICS = st.sampled_from(["missions", "forge_sessions", "system"]) | st.builds(
    "{}/{}".format, st.sampled_from(["missions", "forge_sessions"]), IDS
)
EVENTS = st.one_of(
    st.builds(progress, IDS),
    st.builds(tp.MissionStarted, mission_id=IDS),
    st.builds(tp.ForgeStarted, session_id=IDS, mission_id=IDS, spec_id=st.just("s")),
    st.builds(tp.ForgeCompleted, session_id=IDS, success=st.booleans()),
    st.just(tp.VersionUpdate(current_version="1", new_version="2")),
)
TYPES = st.sampled_from(["progress", "started", "mission.started", "forge.started", "none"])
FILTERS = st.none() | st.builds(
    Filters,
    mission_id=st.none() | IDS,
    session_id=st.none() | IDS,
    event_types=st.none() | st.lists(TYPES, max_size=3).map(tuple),
)
STEPS = st.lists(
    st.tuples(st.sampled_from(["add", "resume"]), NAMES, TOPICS, FILTERS)
    | st.tuples(st.just("remove"), NAMES, TOPICS, st.none())
    | st.tuples(st.just("discard"), NAMES, TOPICS, st.none()),
    max_size=30,
)


def is_received(event: tp.Event, topic: str, filters: Filters | None) -> bool:
    declaration = tp.Registry().declaration_of(type(event))
    assert declaration is not None
    category = tp.Registry().categories[declaration.category]
    own = f"{category.topic}/{getattr(event, category.key)}" if category.key else category.topic
    if not f"{own}/".startswith(f"{topic}/"):
        return False
    if filters is None:
        return True
    names = filters.event_types
    return (
        (
            names is None
            or declaration.tag in names
            or f"{declaration.category}.{declaration.tag}" in names
        )
        and filters.mission_id in (None, getattr(event, "mission_id", None))
        and filters.session_id in (None, getattr(event, "session_id", None))
    )


@given(steps=STEPS, event=EVENTS)
def test_the_subscription_index_finds_the_same_sessions_as_a_search(
    steps: list[tuple[str, str, str, Filters | None]], event: tp.Event
) -> None:
    index = index_of()
    model: dict[str, dict[str, Filters | None]] = {}
    resuming: set[tuple[str, str]] = set()
    for step, name, topic, filters in steps:
        held = model.setdefault(name, {})
        resuming -= {(name, one) for one in (held if step == "discard" else (topic,))}
        if step in ("add", "resume"):
            index.add(name, topic, filters, resumes=step == "resume")
            held[topic] = filters
            resuming |= {(name, topic)} if step == "resume" else set()
        elif step == "discard":
            index.discard(name)
            held.clear()
        elif topic in held:
            index.remove(name, topic)
            del held[topic]
        else:
            with pytest.raises(tp.CommandError):
                index.remove(name, topic)
    found = list(index.receivers(event))
    assert len(found) == len(set(found))
    assert set(found) == {
        name
        for name, held in model.items()
        if any(is_received(event, topic, filters) for topic, filters in held.items())
    }
    record = index.record(event, "")
    positioned = {name for name, topic in resuming if topic.partition("/")[0] == record.topic}
    without, with_position = index.receivers_of(record)
    assert set(with_position) == set(found) & positioned
    assert set(without) == set(found) - positioned
    assert set(found) == {
        name
        for name in model
        if any(own.matches(record) for own in index.subscriptions_of(name).values())
    }
    assert len(index) == sum(map(len, model.values()))
    for name, held in model.items():
        assert set(index.topics_of(name)) == set(held)
        index.discard(name)
    assert not index._plain.by_topic
    assert not index._positioned.by_topic
    assert not index._subscriptions
