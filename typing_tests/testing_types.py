"""The helpers for tests keep the types of what they make up."""

from typing import assert_type

from hypothesis.strategies import SearchStrategy

from tachikoma_proto import IncomingMessage, OutgoingMessage, StartMission
from tachikoma_proto.testing import check_vectors, envelopes, messages


def strategies() -> None:
    assert_type(messages(StartMission), SearchStrategy[StartMission])
    assert_type(
        envelopes(StartMission),
        SearchStrategy[IncomingMessage[StartMission] | OutgoingMessage[StartMission]],
    )


def vectors() -> None:
    assert_type(check_vectors("vectors.jsonl"), int)
    assert_type(check_vectors(iter(["{}"])), int)


def another_class() -> None:
    messages(int)  # type: ignore[type-var]  # pyright: ignore[reportArgumentType]
