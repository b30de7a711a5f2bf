import asyncio
import json
from pathlib import Path
from typing import assert_never
from uuid import UUID

import pytest
import tachikoma_proto as tp
from hypothesis import given
from hypothesis import strategies as st
from tachikoma_proto.testing import check_round_trip, check_vectors, messages

from tachikoma_deploy import (
    DeployEvent,
    DeployFinished,
    DeployStarted,
    DeployStatus,
    StartDeploy,
    Strategy,
    Target,
    Version,
    deploy,
)

MISSION = UUID("0190b5a4-7c3e-7d52-8f0a-1b2c3d4e5f60")
VECTORS = Path(__file__).parent / "vectors.jsonl"

parts = st.integers(0, 999_999_999)
versions = st.builds(Version, parts, parts, parts)


@pytest.fixture(scope="module")
def codec() -> tp.Codec:
    return tp.Codec(tp.Registry([deploy]))


def start(**changes: object) -> str:
    payload: dict[str, object] = {
        "mission_id": str(MISSION),
        "version": "1.2.3",
        "environment": "staging",
        "targets": [{"host": "a", "port": 1}, {"host": "b", "port": 2}],
        "labels": {},
        "ports": {"http": 80},
    }
    return json.dumps({"type": "deploy_start", "payload": payload | changes})


def test_every_message_comes_back() -> None:
    check_round_trip(deploy, types={Version: versions})


def test_the_frames_that_peers_rely_on(codec: tp.Codec) -> None:
    assert check_vectors(VECTORS, codec=codec) >= 10


@given(versions)
def test_a_version_is_the_text_that_it_writes(version: Version) -> None:
    assert Version.parse(str(version)) == version


@given(messages(StartDeploy, deploy, types={Version: versions}))
def test_messages_are_typed_all_the_way_down(command: StartDeploy) -> None:
    assert isinstance(command.version, Version)
    assert isinstance(command.strategy, Strategy)
    assert all(isinstance(target, Target) for target in command.targets)


def test_what_is_left_out_has_its_default(codec: tp.Codec) -> None:
    command = codec.decode_command(start()).payload
    assert isinstance(command, StartDeploy)
    assert command.strategy is Strategy.ROLLING
    assert command.dry_run is False
    assert command.not_before is None
    assert command.targets[0] == Target(host="a", port=1, weight=1.0)


@pytest.mark.parametrize(
    ("changes", "path", "expected"),
    [
        ({"version": "1.2"}, "$.payload.version", "a version such as 1.2.3"),
        ({"version": 1}, "$.payload.version", "a string"),
        ({"targets": [{"host": "a", "port": -1}]}, "$.payload.targets[0].port", "an integer"),
        ({"ports": {"http": True}}, "$.payload.ports.http", "an integer"),
        ({"strategy": "big-bang"}, "$.payload.strategy", 'one of "rolling", "blue-green"'),
        ({"environment": "moon"}, "$.payload.environment", 'one of "staging", "production"'),
        ({"not_before": "tomorrow"}, "$.payload.not_before", "an RFC 3339 date-time"),
    ],
)
def test_a_fault_has_its_place(
    codec: tp.Codec, changes: dict[str, object], path: str, expected: str
) -> None:
    with pytest.raises(tp.InvalidMessageError) as caught:
        codec.decode_command(start(**changes))
    (fault,) = caught.value.errors
    assert fault.path == path
    assert fault.expected.startswith(expected)


def test_a_server_answers_what_a_client_asks(codec: tp.Codec) -> None:
    dispatcher: tp.Dispatcher[list[str]] = tp.Dispatcher()

    @dispatcher.handler(StartDeploy)
    async def handle(command: StartDeploy, log: list[str]) -> DeployStatus:
        log.append(f"{command.version} to {command.environment}")
        return DeployStatus(deploy_id=MISSION, version=command.version, state="running")

    log: list[str] = []
    received = codec.decode_command(start())
    reply = asyncio.run(dispatcher.dispatch(received.payload, log))
    answer = codec.decode_server_message(codec.encode(reply, reply_to=received.id))
    assert answer.payload == DeployStatus(
        deploy_id=MISSION, version=Version(1, 2, 3), state="running"
    )
    assert log == ["1.2.3 to staging"]


def describe(event: DeployEvent) -> str:
    match event:
        case DeployStarted():
            return f"{event.version} is on its way"
        case DeployFinished():
            return event.outcome
        case _:
            assert_never(event)


@given(messages(DeployFinished, deploy, types={Version: versions}))
def test_a_match_over_the_events_is_exhaustive(event: DeployFinished) -> None:
    assert describe(event) in ("succeeded", "failed", "cancelled")
