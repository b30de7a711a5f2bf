"""cattrs as it comes: the preconfigured JSON converter and stock tagged unions.

Rules:

* ``make_converter`` of ``cattrs.preconf.json`` without detailed validation, and
  ``configure_tagged_union``; none of the contract's checks, so it coerces.
* Hooks for UUID, which that converter has none for, as the documentation registers them.
"""

from datetime import UTC, datetime
from functools import partial
from importlib.metadata import version
from typing import Any
from uuid import UUID, uuid4

from attrs import evolve
from cattrs.errors import BaseValidationError
from cattrs.preconf.json import JsonConverter, make_converter
from cattrs.strategies import configure_tagged_union

from benchmarks.cases import Case
from benchmarks.contestant import Contestant, Decode, Encode
from benchmarks.models import cattrs_frames as frames, cattrs_payloads as payloads

_TAGS: dict[type, str] = {
    payloads.MissionCreated: "created",
    payloads.MissionStarted: "started",
    payloads.MissionProgress: "progress",
    payloads.MissionCompleted: "completed",
    payloads.MissionFailed: "failed",
    payloads.MissionStatusChanged: "status_changed",
    payloads.ForgeStarted: "started",
    payloads.ForgeTokenUsage: "token_usage",
    payloads.ForgeToolExecution: "tool_execution",
    payloads.ForgeCompleted: "completed",
    payloads.ForgeLog: "log",
    payloads.ServerStatus: "server_status",
    payloads.Maintenance: "maintenance",
    payloads.VersionUpdate: "version_update",
    payloads.DeployStarted: "started",
    payloads.DeployProgress: "progress",
    payloads.Subscribe: "subscribe",
    payloads.Unsubscribe: "unsubscribe",
    payloads.ListSubscriptions: "list_subscriptions",
    payloads.GetMissionStatus: "get_status",
    payloads.StartMission: "start",
    payloads.PauseMission: "pause",
    payloads.ResumeMission: "resume",
    payloads.CancelMission: "cancel",
    payloads.Authenticate: "authenticate",
    payloads.GetSessionInfo: "get_info",
    payloads.Ping: "ping",
}
_TYPES: dict[type, str] = {
    frames.EventMission: "event.mission",
    frames.EventForge: "event.forge",
    frames.EventSystem: "event.system",
    frames.EventDeploy: "event.deploy",
    frames.Ack: "ack",
    frames.Error: "error",
    frames.AuthResult: "auth_result",
    frames.SubscriptionsResult: "subscriptions_result",
    frames.SessionInfoResult: "session_info_result",
    frames.MissionStatusResult: "mission_status_result",
    frames.Pong: "pong",
    frames.Subscribe: "subscribe",
    frames.Unsubscribe: "unsubscribe",
    frames.ListSubscriptions: "list_subscriptions",
    frames.MissionStatus: "mission_status",
    frames.MissionStart: "mission_start",
    frames.MissionPause: "mission_pause",
    frames.MissionResume: "mission_resume",
    frames.MissionCancel: "mission_cancel",
    frames.Authenticate: "authenticate",
    frames.SessionInfo: "session_info",
    frames.Ping: "ping",
}


class PlainCattrs:
    """attrs classes and a converter that is not told of the contract."""

    name = "cattrs, plain"
    version = version("cattrs")
    note = "the preconfigured JSON converter and stock tagged unions; coerces, checks no bounds"
    strict = False
    typed = True
    whole = True
    refusals: tuple[type[Exception], ...] = (ValueError, TypeError, KeyError, BaseValidationError)

    def __init__(self) -> None:
        converter = _make_converter()
        server: Any = frames.ServerMessage
        client: Any = frames.ClientMessage
        self._read_server: Decode = partial(converter.loads, cl=server)
        self._read_client: Decode = partial(converter.loads, cl=client)
        self._write_server: Encode = partial(converter.dumps, unstructure_as=server)
        self._write_client: Encode = partial(converter.dumps, unstructure_as=client)

    def decode(self, case: Case) -> Decode | None:
        """Give the converter's ``loads`` for the union of the side's frames."""
        return self._read_client if case.sender == "client" else self._read_server

    def encode(self, case: Case) -> Encode | None:
        """Give the converter's ``dumps`` for the union of the side's frames."""
        return self._write_client if case.sender == "client" else self._write_server

    def send(self, case: Case) -> Encode | None:
        """Give a function that makes the envelope, and writes it."""
        write = self._write_client if case.sender == "client" else self._write_server
        return lambda message: write(evolve(message, id=uuid4(), timestamp=datetime.now(UTC)))


def _make_converter() -> JsonConverter:
    converter = make_converter(detailed_validation=False, omit_if_default=True)
    converter.register_structure_hook(UUID, lambda value, _: UUID(value))
    converter.register_unstructure_hook(UUID, str)
    events = (frames.MissionEvent, frames.ForgeEvent, frames.SystemEvent, frames.DeployEvent)
    for union in events:
        configure_tagged_union(union, converter, _TAGS.__getitem__, tag_name="event")
    for union in (frames.SubscriptionCommand, frames.MissionCommand, frames.SessionCommand):
        configure_tagged_union(union, converter, _TAGS.__getitem__, tag_name="command")
    for union in (frames.ServerMessage, frames.ClientMessage):
        configure_tagged_union(union, converter, _TYPES.__getitem__, tag_name="type")
    return converter


def make() -> Contestant:
    """Make the contestant."""
    return PlainCattrs()
