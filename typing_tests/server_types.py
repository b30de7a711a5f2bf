"""What surrounds handlers, and what serves, as their users' type checkers see it."""

import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeVar, assert_type
from uuid import UUID

from aiohttp import web
from starlette.applications import Starlette
from starlette.routing import WebSocketRoute

import tachikoma_proto as tp
from tachikoma_proto.connection.captures import CapturedFrame
from tachikoma_proto.testing import RecordingSession, connect
from tachikoma_proto.transports import aiohttp, starlette

R = TypeVar("R", bound=tp.Response)

mission = UUID(int=1)
dispatcher: tp.Dispatcher[tp.Session] = tp.Dispatcher()


@dispatcher.middleware
async def timed(command: tp.Command[R], session: tp.Session, call_next: tp.CallNext[R]) -> R:
    assert_type(await call_next(), R)
    assert_type(await call_next(command), R)
    return await call_next(command, session)


@dispatcher.middleware
async def of_any_context(command: tp.Command[R], _: object, call_next: tp.CallNext[R]) -> R:
    return await call_next(command)


@dispatcher.handler(tp.StartMission)
async def start(command: tp.StartMission, session: tp.Session) -> tp.AckResponse:
    assert_type(session.send(tp.MissionStarted(mission_id=mission)), bool)
    assert_type(session.server.publish(tp.MissionStarted(mission_id=mission)), int)
    session.subscribe(tp.topics.MISSIONS, tp.SubscriptionFilters(mission_id=mission))
    session.unsubscribe(tp.topics.MISSIONS)
    session.close(4000, "enough")
    session.abort(4000, "enough")
    assert_type(session.remote_address, str | None)
    assert_type(session.data, dict[str, Any])
    assert_type(tp.current_message(), tp.IncomingMessage[tp.Command[Any]])
    assert_type(tp.current_session(), tp.Session)
    raise tp.CommandError("not_found", "mission not found", details={"hint": 1})


@dispatcher.handler(tp.PauseMission, in_thread=True)
def pause(command: tp.PauseMission, session: tp.Session) -> tp.AckResponse:
    time.sleep(1)
    return tp.AckResponse.ok()


async def by_token(token: str) -> tp.Identity | None:
    return tp.Identity(mission, scopes=frozenset({"missions"})) if token else None


async def by_cookie(request: tp.ConnectionRequest) -> tp.Identity | None:
    assert_type(request.path, str)
    assert_type(request.address, str | None)
    assert_type(request.headers["user-agent"], str)
    assert_type(request.cookies, dict[str, str])
    return None


def may_subscribe(session: tp.Session, topic: str) -> bool:
    return session.identity is not None and "missions" in session.identity.scopes


async def may_subscribe_later(session: tp.Session, topic: str) -> bool:
    return True


async def snapshot(session: tp.Session, topic: str) -> None:
    session.send(tp.MissionStarted(mission_id=mission))


@asynccontextmanager
async def lifespan(session: tp.Session) -> AsyncGenerator[None]:
    yield


def keep(frame: CapturedFrame) -> None: ...


async def a_server() -> None:
    server = tp.Server(
        tp.Codec(),
        dispatcher,
        authenticate=by_token,
        authenticate_request=by_cookie,
        may_subscribe=may_subscribe,
        on_subscribe=snapshot,
        session_lifespan=lifespan,
        record=Path("capture.jsonl"),
    )
    tp.Server(tp.Codec(), dispatcher, may_subscribe=may_subscribe_later, record=keep)
    async with tp.serve(server, "127.0.0.1", 8765, origins=["https://a.example"]) as serving:
        assert_type(serving.url, str)
        assert_type(serving.port, int)
        assert_type(serving.addresses, tuple[str, ...])
    await server.close(timeout=1.0, spread=5.0)
    async with connect(server, token="…") as client:
        assert_type(client, tp.Client)
    Starlette(
        routes=[WebSocketRoute("/ws", starlette.endpoint(server))],
        lifespan=starlette.lifespan(server),
    )
    aiohttp.setup(web.Application(), server, path="/ws")
    aiohttp.handler(server, origins=["*"])


async def a_handler_alone() -> None:
    session = RecordingSession(tp.Identity(mission))
    assert_type(await start(tp.StartMission(mission_id=mission), session), tp.AckResponse)
    assert_type(session.published, list[tp.Event])
    assert_type(session.closed, tuple[int, str] | None)


def main() -> None:
    tp.run(tp.Server(tp.Codec(), dispatcher), "127.0.0.1", 8765, unix="/run/tachikoma.sock")


async def answers_otherwise(
    command: tp.Command[R], session: tp.Session, call_next: tp.CallNext[R]
) -> tp.AckResponse:
    return tp.AckResponse.ok()


async def takes_other_sessions(command: tp.Command[R], _: int, call_next: tp.CallNext[R]) -> R:
    return await call_next(command)


def refused(server: tp.Server) -> None:
    dispatcher.middleware(answers_otherwise)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    dispatcher.middleware(takes_other_sessions)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    tp.serve(server, backend="tornado")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    tp.Server(tp.Codec(), dispatcher, may_subscribe=lambda session: True)  # type: ignore[arg-type, misc]  # pyright: ignore[reportArgumentType]
    tp.Server(tp.Codec(), dispatcher, authenticate=by_cookie)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
