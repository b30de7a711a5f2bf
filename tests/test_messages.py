"""The messages themselves: constructors, text times, secrets, topics."""

import copy
import logging
import pickle
from datetime import UTC, datetime
from uuid import UUID

import attrs
import pytest

import tachikoma_proto as tp

MISSION = UUID("67e55044-10b1-426f-9247-bb680e5fe0c8")


def test_there_are_eleven_commands_fourteen_events_and_eight_responses() -> None:
    kinds = [declaration.kind.value for declaration in tp.Registry()]
    assert {kind: kinds.count(kind) for kind in sorted(set(kinds))} == {
        "command": 11,
        "event": 14,
        "keepalive": 2,
        "response": 8,
    }


@pytest.mark.parametrize("cls", list(dict.fromkeys(s.cls for s in tp.Registry())))
def test_every_message_is_frozen_slotted_keyword_only_and_documented(cls: type) -> None:
    props = attrs.inspect(cls)
    assert props.is_frozen
    assert props.is_slotted
    assert all(field.kw_only for field in attrs.fields(cls))
    assert cls.__doc__


def test_equal_messages_are_equal_and_hash_alike() -> None:
    one, other = tp.StartMission(mission_id=MISSION), tp.StartMission(mission_id=MISSION)
    assert one == other
    assert one != tp.StartMission(mission_id=UUID(int=1))
    assert len({one, other}) == 1
    assert hash(tp.SubscriptionFilters(event_types=("a",)))
    for copied in (copy.deepcopy(one), pickle.loads(pickle.dumps(one))):
        assert copied == one
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        one.mission_id = MISSION  # type: ignore[misc]


class TestSecrets:
    secret = "s3cr3t-t0ken-value"

    def test_the_repr_of_authenticate_hides_the_token(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        command = tp.Authenticate(token=self.secret)
        message = tp.Codec().decode_command(tp.Codec().encode(command))
        logging.getLogger("test").warning("%s %r", command, message)
        assert self.secret not in repr(command) + str(command) + repr(message) + caplog.text
        assert repr(command) == "Authenticate(token=***)"

    def test_a_secret_is_in_its_field_and_in_the_frame(self) -> None:
        command = tp.Authenticate(token=self.secret)
        assert command.token == self.secret
        assert self.secret in tp.Codec().encode(command)


class TestConstructors:
    def test_ack_constructors(self) -> None:
        assert tp.AckResponse.ok() == tp.AckResponse(success=True)
        assert tp.AckResponse.ok("started") == tp.AckResponse(success=True, message="started")
        assert tp.AckResponse.failure("no") == tp.AckResponse(success=False, message="no")

    @pytest.mark.parametrize(
        ("response", "code"),
        [
            (tp.ErrorResponse.auth_required(), "auth_required"),
            (tp.ErrorResponse.invalid_message("no type"), "invalid_message"),
            (tp.ErrorResponse.not_found("mission"), "not_found"),
            (tp.ErrorResponse.permission_denied(), "permission_denied"),
        ],
    )
    def test_error_response_constructors_have_the_texts_of_the_reference(
        self, response: tp.ErrorResponse, code: str
    ) -> None:
        assert response.code == code
        assert response.message
        assert response.details is None
        detailed = response.with_details({"a": [1]})
        assert detailed.details == {"a": [1]}
        assert attrs.evolve(detailed, details=None) == response

    def test_an_error_response_from_a_protocol_error_lists_its_faults(self) -> None:
        error = tp.InvalidMessageError(errors=[tp.FieldError("$.id", "a UUID")])
        assert tp.ErrorResponse.from_error(error) == tp.ErrorResponse(
            code="invalid_message",
            message="$.id: expected a UUID",
            details={"errors": [{"path": "$.id", "expected": "a UUID"}]},
        )
        own = tp.CommandError("rate_limited", "slow down")
        assert tp.ErrorResponse.from_error(own) == tp.ErrorResponse(
            code="rate_limited", message="slow down"
        )

    def test_pong_now_has_the_present_time(self) -> None:
        before = datetime.now(UTC)
        assert before <= tp.PongResponse.now().timestamp_datetime <= datetime.now(UTC)


class TestTextTimes:
    def test_text_times_stay_text_and_are_parsed_by_a_property(self) -> None:
        text = "1 March 2026 02:00"
        event = tp.Maintenance(message="upgrade", starts_at=text, duration_minutes=30)
        assert event.starts_at == text
        assert event.starts_at_datetime == datetime(2026, 3, 1, 2, tzinfo=UTC)

    def test_a_missing_text_time_is_parsed_as_none(self) -> None:
        assert tp.AuthResponse(authenticated=False).expires_at_datetime is None
        good = tp.AuthResponse(authenticated=True, expires_at="2026-01-02T04:04:05Z")
        assert good.expires_at_datetime == datetime(2026, 1, 2, 4, 4, 5, tzinfo=UTC)

    def test_a_text_time_that_cannot_be_parsed_raises_invalid_message(self) -> None:
        info = tp.SessionInfoResponse(
            session_id=MISSION, authenticated=False, subscriptions=(), connected_at="just now"
        )
        with pytest.raises(tp.InvalidMessageError) as caught:
            _ = info.connected_at_datetime
        assert str(caught.value) == "$.payload.connected_at: expected a date and a time"


def test_topic_constants_are_the_topics_of_the_categories() -> None:
    categories = tp.Registry().categories
    assert tp.topics.MISSIONS == categories["mission"].topic == "missions"
    assert tp.topics.FORGE_SESSIONS == categories["forge"].topic == "forge_sessions"
    assert tp.topics.SYSTEM == categories["system"].topic == "system"
    assert tp.topics.mission(MISSION) == f"missions/{MISSION}"
    assert tp.topics.forge_session(MISSION) == f"forge_sessions/{MISSION}"


def test_message_type_constants_are_the_types_of_the_registry() -> None:
    constants = {
        value
        for name, value in vars(tp.message_types).items()
        if name.isupper() and name != "EVENT_PREFIX"
    }
    assert constants == {declaration.message_type for declaration in tp.Registry()}
    assert tp.message_types.event("deploy") == "event.deploy"
    assert tp.message_types.is_event(tp.message_types.EVENT_FORGE)
    assert not tp.message_types.is_event("eventual")


def test_every_error_survives_pickle_and_copy() -> None:
    error = tp.UnknownMessageError(errors=[tp.FieldError("$.type", "x")], message_id=MISSION)
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is tp.UnknownMessageError
    assert vars(again) == vars(error)
    assert str(again) == str(error)
