"""Servers and clients on real sockets, and a check that nothing of them is left behind."""

import asyncio
import functools
import gc
import logging
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any, TypeVar
from uuid import UUID

from websockets.asyncio.client import ClientConnection as WebSocket, connect as open_websocket
from websockets.asyncio.server import serve

import tachikoma_proto as tp
from tachikoma_proto.client.connection import ClientConnection

T = TypeVar("T")

TOKEN = "s3cret-token"
USER = UUID(int=9)
MISSION = UUID(int=7)
PATIENCE = 60.0
"""After how many seconds a test is taken to hang; a cluster may take twenty to elect a leader."""

OPEN = tp.ServerConfig(require_auth=False)


def live(test: Callable[..., Awaitable[None]]) -> Callable[..., None]:
    """Run an asynchronous test, and hold that it leaves no task behind."""

    @functools.wraps(test)
    def run(*arguments: Any, **named: Any) -> None:
        async def main() -> None:
            async with asyncio.timeout(PATIENCE):
                await test(*arguments, **named)
            left = asyncio.all_tasks() - {asyncio.current_task()}
            assert not left, left

        asyncio.run(main())
        gc.collect()  # what was not closed warns now, and a warning is an error

    return run


async def check_token(token: str) -> tp.Identity | None:
    return tp.Identity(USER) if token == TOKEN else None


def status_of(mission_id: UUID) -> tp.MissionStatusResponse:
    return tp.MissionStatusResponse(
        mission_id=mission_id, status="running", completed_specs=1, total_specs=2, percentage=50.0
    )


def handlers() -> tp.Dispatcher[tp.Session]:
    dispatcher: tp.Dispatcher[tp.Session] = tp.Dispatcher()

    @dispatcher.handler(tp.GetMissionStatus)
    async def status(command: tp.GetMissionStatus, _: tp.Session) -> tp.MissionStatusResponse:
        return status_of(command.mission_id)

    return dispatcher


def make_server(
    dispatcher: tp.Dispatcher[tp.Session] | None = None,
    config: tp.ServerConfig | None = None,
    **options: Any,
) -> tp.Server:
    return tp.Server(
        options.pop("codec", None) or tp.Codec(),
        dispatcher or handlers(),
        authenticate=options.pop("authenticate", check_token),
        config=config or tp.ServerConfig(),
        **options,
    )


@asynccontextmanager
async def serving(server: tp.Server, port: int = 0, **options: Any) -> AsyncIterator[str]:
    """Serve on a loopback port, and give the URL."""
    async with serve(server.handle, "127.0.0.1", port, **options) as sockets, server:
        yield f"ws://127.0.0.1:{sockets.sockets[0].getsockname()[1]}"


@asynccontextmanager
async def raw(url: str, token: str | None = None, **options: Any) -> AsyncIterator[WebSocket]:
    """A connection without a client of ours, authenticated if a token is given."""
    async with open_websocket(url, proxy=None, **options) as websocket:
        if token is not None:
            await websocket.send(tp.Codec().encode(tp.Authenticate(token=token)))
            assert '"authenticated":true' in str(await websocket.recv())
        yield websocket


async def until(condition: Callable[[], object]) -> None:
    """Wait until something holds; the test's patience is the limit."""
    while not condition():
        await asyncio.sleep(0.005)


async def soon(awaitable: Awaitable[T]) -> T:
    """Wait for what should not take long."""
    return await asyncio.wait_for(awaitable, 2.0)


async def next_of(events: AsyncIterator[object], kind: type[T]) -> T:
    """Take events until one of a kind comes."""
    while True:
        event = await soon(anext(events))
        if isinstance(event, kind):
            return event


def current_connection(client: tp.Client) -> ClientConnection:
    """The connection that a client has at present."""
    assert client._parts is not None
    return client._parts[0]._current.result()


def cut(client: tp.Client) -> None:
    """Cut a client's connection, as a broken network does."""
    current_connection(client)._driver._transport.transport.abort()  # type: ignore[union-attr]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def records_of(name: str, level: int = logging.DEBUG) -> Iterator[list[str]]:
    """Keep the texts of what a logger and those below it log while the block runs."""
    texts: list[str] = []

    class Keep(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            texts.append(self.format(record))

    keep, logger = Keep(level), logging.getLogger(name)
    before = logger.level
    logger.addHandler(keep)
    logger.setLevel(level)
    try:
        yield texts
    finally:
        logger.removeHandler(keep)
        logger.setLevel(before)
