"""The public names: ``__all__``, what type checkers see, and what is there agree."""

import ast
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

import tachikoma_proto as tp

# Section 3 of the design.
DESIGNED = """
Command Event Response
Subscribe Unsubscribe ListSubscriptions SubscriptionFilters GetMissionStatus StartMission
PauseMission ResumeMission CancelMission Authenticate GetSessionInfo Ping
MissionCreated MissionStarted MissionProgress MissionCompleted MissionFailed MissionStatusChanged
ForgeStarted ForgeTokenUsage ForgeToolExecution ForgeCompleted ForgeLog ServerStatus Maintenance
VersionUpdate
AckResponse ErrorResponse AuthResponse SubscriptionListResponse SessionInfoResponse
MissionStatusResponse PongResponse PositionUpdate
SubscriptionCommand MissionCommand SessionCommand MissionEvent ForgeEvent SystemEvent
UnknownMessage UnknownEvent Envelope OutgoingMessage IncomingMessage Category Registry Codec
Dispatcher Server ServerConfig Session Identity Client connect RemoteError
ProtocolError InvalidMessageError UnknownMessageError MessageTooLargeError RegistryError PluginError
message_types topics U32 U64 F32
""".split()

# What extensions need beside it, and who writes servers and clients.
ADDED = """
BrokerError MemoryBroker NatsBroker RedisBroker CommandError configure_converter make_converter
EncodeError
FieldError FloatRange IntRange Json Pong Position
TachikomaError secret
CallNext ConnectionRequest current_message current_session
ClientConfig ClientSession ConnectionLostError Disconnected EventsMissed EventStream Hub Metrics
Reconnected ServerSession SubscriptionLost SubscriptionRestored Transport
run serve
""".split()


def test_all_that_was_designed_is_there_and_little_more() -> None:
    assert set(tp.__all__) == {*DESIGNED, *ADDED}
    assert len(set(tp.__all__)) == len(tp.__all__)


def test_every_name_can_be_had_and_is_listed() -> None:
    for name in tp.__all__:
        assert getattr(tp, name) is not None
        assert name in dir(tp)
    namespace: dict[str, object] = {}
    exec("from tachikoma_proto import *", namespace)
    assert set(tp.__all__) <= set(namespace)


def test_type_checkers_see_the_same_names() -> None:
    assert tp.__file__ is not None
    tree = ast.parse(Path(tp.__file__).read_text(encoding="utf-8"))
    checks = [node for node in tree.body if isinstance(node, ast.If)]
    (checking,) = [check for check in checks if ast.unparse(check.test) == "TYPE_CHECKING"]
    seen = {
        alias.asname
        for node in checking.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    assert seen == set(tp.__all__)


def test_other_names_are_refused_as_by_any_module() -> None:
    assert not hasattr(tp, "nope")


def loaded_after(code: str) -> set[str]:
    code += "\nimport sys; print(*sys.modules)"
    command = [sys.executable, "-c", code]
    return set(subprocess.run(command, check=True, capture_output=True, text=True).stdout.split())


def test_importing_the_library_loads_nothing_that_it_does_not_need() -> None:
    loaded = loaded_after("import tachikoma_proto")
    assert not {"cattrs", "attrs", "tachikoma_proto.messages"} & loaded


def test_reading_a_frame_loads_nothing_that_it_does_not_need() -> None:
    code = "import tachikoma_proto as tp\n"
    code += 'assert tp.Codec(accelerated=False).decode_command(\'{"type":"ping"}\')'
    loaded = loaded_after(code)
    assert "cattrs" in loaded
    unneeded = {"dateutil", "msgspec", "importlib.metadata", "asyncio", "argparse", "hypothesis"}
    assert not unneeded & loaded


@pytest.mark.parametrize("package", ["nats", "redis"])
def test_a_broker_needs_its_package_when_it_is_made(package: str) -> None:
    name = f"{package.title()}Broker"
    code = f"import sys; sys.modules |= {{'{package}': None}}\n"
    code += "from tachikoma_proto import *\n"
    code += f"try: {name}('{package}://localhost')\n"
    code += f"except ImportError as error: assert 'tachikoma-proto[{package}]' in str(error)\n"
    code += "else: raise AssertionError"
    assert f"tachikoma_proto.brokers.{package}" in loaded_after(code)


def test_the_version_is_that_of_the_installed_distribution() -> None:
    assert tp.__version__ == version("tachikoma-proto")
