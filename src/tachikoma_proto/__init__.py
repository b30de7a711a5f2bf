"""The typed messages of Tachikoma's WebSocket protocol.

Rules:

* Every public name is here, and is loaded when it is first used: importing the library is cheap,
  and what a program does not use costs it nothing.
* What is not here is internal, unless its module says otherwise.

Example::

    import tachikoma_proto as tp

    codec = tp.Codec()
    message = codec.decode_command(frame)
    reply = codec.encode(tp.AckResponse.ok(), reply_to=message.id)
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from tachikoma_proto.brokers.memory import (
        MemoryBroker as MemoryBroker,
    )
    from tachikoma_proto.brokers.nats import (
        NatsBroker as NatsBroker,
    )
    from tachikoma_proto.brokers.redis import (
        RedisBroker as RedisBroker,
    )
    from tachikoma_proto.client.client import (
        Client as Client,
        connect as connect,
    )
    from tachikoma_proto.client.streams import (
        Disconnected as Disconnected,
        EventsMissed as EventsMissed,
        EventStream as EventStream,
        Reconnected as Reconnected,
        SubscriptionLost as SubscriptionLost,
        SubscriptionRestored as SubscriptionRestored,
    )
    from tachikoma_proto.codec.codec import (
        Codec as Codec,
    )
    from tachikoma_proto.codec.converter import (
        configure_converter as configure_converter,
        make_converter as make_converter,
    )
    from tachikoma_proto.declare.bases import (
        Command as Command,
        Event as Event,
        Response as Response,
    )
    from tachikoma_proto.declare.category import (
        Category as Category,
    )
    from tachikoma_proto.declare.field_types import (
        F32 as F32,
        U32 as U32,
        U64 as U64,
        FloatRange as FloatRange,
        IntRange as IntRange,
        Json as Json,
        secret as secret,
    )
    from tachikoma_proto.errors import (
        BrokerError as BrokerError,
        CommandError as CommandError,
        ConnectionLostError as ConnectionLostError,
        EncodeError as EncodeError,
        FieldError as FieldError,
        InvalidMessageError as InvalidMessageError,
        MessageTooLargeError as MessageTooLargeError,
        PluginError as PluginError,
        ProtocolError as ProtocolError,
        RegistryError as RegistryError,
        RemoteError as RemoteError,
        TachikomaError as TachikomaError,
        UnknownMessageError as UnknownMessageError,
    )
    from tachikoma_proto.messages import message_types as message_types, topics as topics
    from tachikoma_proto.messages.commands import (
        Authenticate as Authenticate,
        CancelMission as CancelMission,
        GetMissionStatus as GetMissionStatus,
        GetSessionInfo as GetSessionInfo,
        ListSubscriptions as ListSubscriptions,
        MissionCommand as MissionCommand,
        PauseMission as PauseMission,
        Ping as Ping,
        Pong as Pong,
        ResumeMission as ResumeMission,
        SessionCommand as SessionCommand,
        StartMission as StartMission,
        Subscribe as Subscribe,
        SubscriptionCommand as SubscriptionCommand,
        SubscriptionFilters as SubscriptionFilters,
        Unsubscribe as Unsubscribe,
    )
    from tachikoma_proto.messages.envelope import (
        Envelope as Envelope,
        IncomingMessage as IncomingMessage,
        OutgoingMessage as OutgoingMessage,
        Position as Position,
    )
    from tachikoma_proto.messages.events import (
        ForgeCompleted as ForgeCompleted,
        ForgeEvent as ForgeEvent,
        ForgeLog as ForgeLog,
        ForgeStarted as ForgeStarted,
        ForgeTokenUsage as ForgeTokenUsage,
        ForgeToolExecution as ForgeToolExecution,
        Maintenance as Maintenance,
        MissionCompleted as MissionCompleted,
        MissionCreated as MissionCreated,
        MissionEvent as MissionEvent,
        MissionFailed as MissionFailed,
        MissionProgress as MissionProgress,
        MissionStarted as MissionStarted,
        MissionStatusChanged as MissionStatusChanged,
        ServerStatus as ServerStatus,
        SystemEvent as SystemEvent,
        VersionUpdate as VersionUpdate,
    )
    from tachikoma_proto.messages.responses import (
        AckResponse as AckResponse,
        AuthResponse as AuthResponse,
        ErrorResponse as ErrorResponse,
        MissionStatusResponse as MissionStatusResponse,
        PongResponse as PongResponse,
        PositionUpdate as PositionUpdate,
        SessionInfoResponse as SessionInfoResponse,
        SubscriptionListResponse as SubscriptionListResponse,
    )
    from tachikoma_proto.messages.unknown import (
        UnknownEvent as UnknownEvent,
        UnknownMessage as UnknownMessage,
    )
    from tachikoma_proto.registry.registry import (
        Registry as Registry,
    )
    from tachikoma_proto.server.dispatcher import (
        CallNext as CallNext,
        Dispatcher as Dispatcher,
        current_message as current_message,
        current_session as current_session,
    )
    from tachikoma_proto.server.server import (
        Server as Server,
    )
    from tachikoma_proto.server.serving import (
        run as run,
        serve as serve,
    )
    from tachikoma_proto.session.client_session import (
        ClientSession as ClientSession,
    )
    from tachikoma_proto.session.config import (
        ClientConfig as ClientConfig,
        ServerConfig as ServerConfig,
    )
    from tachikoma_proto.session.hub import (
        Hub as Hub,
    )
    from tachikoma_proto.session.metrics import (
        Metrics as Metrics,
    )
    from tachikoma_proto.session.server_session import (
        ServerSession as ServerSession,
    )
    from tachikoma_proto.session.session import (
        Identity as Identity,
        Session as Session,
    )
    from tachikoma_proto.transports.transport import (
        ConnectionRequest as ConnectionRequest,
        Transport as Transport,
    )

    __version__: str

_MODULES: Final = {
    "declare.bases": ("Command", "Event", "Response"),
    "declare.field_types": ("F32", "FloatRange", "IntRange", "Json", "U32", "U64", "secret"),
    "declare.category": ("Category",),
    "client.client": ("Client", "connect"),
    "client.streams": (
        "Disconnected",
        "EventStream",
        "EventsMissed",
        "Reconnected",
        "SubscriptionLost",
        "SubscriptionRestored",
    ),
    "codec.codec": ("Codec",),
    "codec.converter": ("configure_converter", "make_converter"),
    "server.dispatcher": ("CallNext", "Dispatcher", "current_message", "current_session"),
    "errors": (
        "BrokerError",
        "CommandError",
        "ConnectionLostError",
        "EncodeError",
        "FieldError",
        "InvalidMessageError",
        "MessageTooLargeError",
        "PluginError",
        "ProtocolError",
        "RegistryError",
        "RemoteError",
        "TachikomaError",
        "UnknownMessageError",
    ),
    "messages.commands": (
        "Authenticate",
        "CancelMission",
        "GetMissionStatus",
        "GetSessionInfo",
        "ListSubscriptions",
        "MissionCommand",
        "PauseMission",
        "Ping",
        "Pong",
        "ResumeMission",
        "SessionCommand",
        "StartMission",
        "Subscribe",
        "SubscriptionCommand",
        "SubscriptionFilters",
        "Unsubscribe",
    ),
    "brokers.memory": ("MemoryBroker",),
    "brokers.nats": ("NatsBroker",),
    "brokers.redis": ("RedisBroker",),
    "messages.envelope": (
        "Envelope",
        "IncomingMessage",
        "OutgoingMessage",
        "Position",
    ),
    "messages.events": (
        "ForgeCompleted",
        "ForgeEvent",
        "ForgeLog",
        "ForgeStarted",
        "ForgeTokenUsage",
        "ForgeToolExecution",
        "Maintenance",
        "MissionCompleted",
        "MissionCreated",
        "MissionEvent",
        "MissionFailed",
        "MissionProgress",
        "MissionStarted",
        "MissionStatusChanged",
        "ServerStatus",
        "SystemEvent",
        "VersionUpdate",
    ),
    "messages.responses": (
        "AckResponse",
        "AuthResponse",
        "ErrorResponse",
        "MissionStatusResponse",
        "PongResponse",
        "PositionUpdate",
        "SessionInfoResponse",
        "SubscriptionListResponse",
    ),
    "messages.unknown": (
        "UnknownEvent",
        "UnknownMessage",
    ),
    "session.metrics": ("Metrics",),
    "registry.registry": ("Registry",),
    "server.server": ("Server",),
    "server.serving": ("run", "serve"),
    "session.client_session": ("ClientSession",),
    "session.config": ("ClientConfig", "ServerConfig"),
    "session.hub": ("Hub",),
    "session.server_session": ("ServerSession",),
    "session.session": ("Identity", "Session"),
    "transports.transport": ("ConnectionRequest", "Transport"),
}
_SUBMODULES: Final = ("message_types", "topics")
_HOME: Final = {name: module for module, names in _MODULES.items() for name in names}

__all__ = [*_SUBMODULES, *_HOME]  # pyright: ignore[reportUnsupportedDunderAll]


if not TYPE_CHECKING:  # to which every name would be there otherwise, as Any

    def __getattr__(name: str) -> Any:
        if name == "__version__":
            return import_module("importlib.metadata").version("tachikoma-proto")
        if name in _SUBMODULES:
            return import_module(f"{__name__}.messages.{name}")
        if name not in _HOME:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        value = getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
        globals()[name] = value
        return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
