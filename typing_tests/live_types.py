"""Servers and clients as their users' type checkers see them."""

from collections.abc import AsyncIterator
from typing import assert_never, assert_type
from uuid import UUID

from attrs import frozen
from websockets.asyncio.client import ClientConnection
from websockets.asyncio.server import ServerConnection, serve

from tachikoma_proto import (
    AckResponse,
    Client,
    ClientConfig,
    ClientSession,
    Codec,
    Command,
    Disconnected,
    Dispatcher,
    Event,
    EventsMissed,
    EventStream,
    GetMissionStatus,
    Hub,
    Identity,
    Metrics,
    MissionFailed,
    MissionProgress,
    MissionStarted,
    MissionStatusResponse,
    Ping,
    PongResponse,
    Position,
    Reconnected,
    Response,
    Server,
    ServerConfig,
    ServerSession,
    Session,
    StartMission,
    SubscriptionFilters,
    SubscriptionLost,
    SubscriptionRestored,
    Transport,
    UnknownEvent,
    UnknownMessage,
    connect,
    sync,
    topics,
)
from tachikoma_proto.client import ClientState, Notice

mission = UUID(int=1)
dispatcher: Dispatcher[Session] = Dispatcher()


@dispatcher.handler(StartMission)
async def start(command: StartMission, session: Session) -> AckResponse:
    assert_type(session.id, UUID)
    assert_type(session.identity, Identity | None)
    assert_type(session.subscriptions, tuple[str, ...])
    return AckResponse.ok()


async def check_token(token: str) -> Identity | None:
    return Identity(mission) if token else None


async def a_server(codec: Codec) -> None:
    server = Server(codec, dispatcher, authenticate=check_token, config=ServerConfig())
    async with serve(server.handle, "localhost", 8765), server:
        assert_type(server.publish(MissionStarted(mission_id=mission)), int)
        assert_type(server.sessions, tuple[Session, ...])


async def a_client() -> None:
    async with connect("ws://localhost:8765", token="…", config=ClientConfig()) as client:
        assert_type(client, Client)
        assert_type(
            await client.request(GetMissionStatus(mission_id=mission)), MissionStatusResponse
        )
        assert_type(await client.request(Ping(), timeout=1.0), PongResponse)
        filters = SubscriptionFilters(event_types=("progress",))
        assert_type(await client.subscribe(topics.mission(mission), filters=filters), AckResponse)
        ack = await client.subscribe(topics.MISSIONS, resume=True)
        assert_type(ack.position, Position | None)
        async for event in client.events():
            assert_type(event, Event | UnknownEvent)
        assert_type(client.state, ClientState)


async def streams(client: Client) -> None:
    assert_type(client.events(), EventStream[Event | UnknownEvent])
    assert_type(client.events(MissionProgress), EventStream[MissionProgress | Notice])
    events = client.events(MissionProgress, MissionFailed)
    assert_type(events, EventStream[MissionProgress | MissionFailed | Notice])
    async for event in events:
        match event:
            case MissionProgress(percentage=percentage):
                assert_type(percentage, float)
            case MissionFailed(error=error):
                assert_type(error, str)
            case Disconnected(code=code, reason=reason):
                assert_type((code, reason), tuple[int, str])
            case Reconnected(attempts=attempts, lost=lost):
                assert_type((attempts, lost), tuple[int, tuple[str, ...]])
            case EventsMissed(count=count):
                assert_type(count, int)
            case SubscriptionLost(topic=topic) | SubscriptionRestored(topic=topic):
                assert_type(topic, str)
            case _:
                assert_never(event)
    await events.aclose()
    filters = SubscriptionFilters(mission_id=mission)
    async with client.subscription(topics.MISSIONS, filters=filters, resume=True) as own:
        assert_type(own, EventStream[Event | UnknownEvent])
    async for message in client.messages():
        assert_type(message.payload, Event | UnknownEvent | UnknownMessage)


def a_script() -> None:
    with sync.connect("ws://localhost:8765", token="…") as client:
        assert_type(client, sync.Client)
        assert_type(client.request(GetMissionStatus(mission_id=mission)), MissionStatusResponse)
        assert_type(client.subscribe(topics.MISSIONS, resume=True), AckResponse)
        assert_type(client.events(), sync.EventStream[Event | UnknownEvent])
        events = client.events(MissionProgress, MissionFailed)
        assert_type(events, sync.EventStream[MissionProgress | MissionFailed | Notice])
        assert_type(events.get(timeout=1.0), MissionProgress | MissionFailed | Notice)
        with client.subscription(topics.MISSIONS, resume=True) as own:
            for event in own:
                assert_type(event, Event | UnknownEvent)


@frozen(kw_only=True)
class Rocket(Response):
    name: str


@frozen(kw_only=True)
class Launch(Command[Rocket]):
    name: str


async def an_extensions_command(client: Client) -> None:
    assert_type(await client.request(Launch(name="x")), Rocket)


def connections_of_websockets_are_transports(
    server_side: ServerConnection, client_side: ClientConnection
) -> list[Transport]:
    return [server_side, client_side]


class Own:
    async def send(self, text: str, /) -> None: ...

    def __aiter__(self) -> AsyncIterator[str | bytes]:
        raise NotImplementedError

    async def close(self, code: int = 1000, reason: str = "") -> None: ...


async def open_own() -> Own:
    return Own()


own = Client(open_own, token=lambda: "…")


class Deaf:
    async def send(self, text: str, /) -> None: ...


async def open_deaf() -> Deaf:
    return Deaf()


def sessions_without_io(codec: Codec) -> None:
    session = Hub(codec).open(now=0.0)
    assert_type(session, ServerSession)
    assert_type(session.next_frame(), str | None)
    client = ClientSession(codec, now=0.0)
    assert_type(client.request(Ping()), UUID)


class Counted(Metrics):
    def error(self, code: str) -> None: ...


async def refused(codec: Codec, client: Client) -> None:
    Client(open_deaf)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    Server(codec, Dispatcher[int]())  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    await client.subscribe(topics.MISSIONS, resume="yes")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    client.events(AckResponse)  # type: ignore[type-var]  # pyright: ignore[reportCallIssue, reportArgumentType]
    await client.request(AckResponse.ok())  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    ServerConfig(max_pending="100")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
