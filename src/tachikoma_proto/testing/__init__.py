"""Help for tests: generated messages, checks of frames, servers without sockets, brokers.

Rules:

* What fails raises ``AssertionError`` with everything that is wrong, not only the first.
* Messages are generated from the registry, so they fit the declarations.
* Only what generates messages needs hypothesis: ``pip install 'tachikoma-proto[testing]'``.

Example::

    from hypothesis import given
    from tachikoma_proto.testing import check_round_trip, check_vectors, messages

    def test_every_message_comes_back() -> None:
        check_round_trip(deploy, types={Version: versions})

    def test_the_frames_that_peers_rely_on() -> None:
        check_vectors(Path(__file__).parent / "vectors.jsonl", deploy)

    @given(messages(StartDeploy, deploy, types={Version: versions}))
    def test_my_own_rule(command: StartDeploy) -> None: ...
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

from tachikoma_proto.testing.source import Source
from tachikoma_proto.testing.vectors import check_vectors

if TYPE_CHECKING:
    from tachikoma_proto.testing.brokers import check_broker
    from tachikoma_proto.testing.round_trip import check_round_trip
    from tachikoma_proto.testing.servers import RecordingSession, connect
    from tachikoma_proto.testing.strategies import Types, envelopes, json_values, messages

__all__ = [
    "RecordingSession",
    "Source",
    "Types",
    "check_broker",
    "check_round_trip",
    "check_vectors",
    "connect",
    "envelopes",
    "json_values",
    "messages",
]

_MODULES: Final = {
    "RecordingSession": "servers",
    "check_broker": "brokers",
    "connect": "servers",
    "check_round_trip": "round_trip",
    "Types": "strategies",
    "envelopes": "strategies",
    "json_values": "strategies",
    "messages": "strategies",
}


if not TYPE_CHECKING:  # to which every name would be there otherwise, as Any

    def __getattr__(name: str) -> Any:
        if name not in _MODULES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
