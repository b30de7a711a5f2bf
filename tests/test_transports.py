"""The transports for Starlette and aiohttp, in their own servers, on real sockets."""

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, TypeAlias

import pytest
from support.live import MISSION, TOKEN, live, make_server, until
from websockets import ConnectionClosed, InvalidStatus, Origin
from websockets.asyncio.client import connect as open_websocket

import tachikoma_proto as tp
from tachikoma_proto.transports import Transport

CODEC = tp.Codec()


class Watched:
    """A server that keeps the transports that it was given."""

    def __init__(self, server: tp.Server) -> None:
        self.server = server
        self.transports: list[Any] = []

    async def handle(self, transport: Transport, /) -> None:
        self.transports.append(transport)
        await self.server.handle(transport)

    async def close(self) -> None:
        await self.server.close()


Serving: TypeAlias = Callable[[Watched], AbstractAsyncContextManager[str]]


@asynccontextmanager
async def starlette(server: Watched) -> AsyncIterator[str]:
    uvicorn = pytest.importorskip("uvicorn")
    applications = pytest.importorskip("starlette.applications")
    routing = pytest.importorskip("starlette.routing")
    from tachikoma_proto.transports.starlette import endpoint, lifespan

    app = applications.Starlette(
        routes=[routing.WebSocketRoute("/ws", endpoint(server))],
        lifespan=lifespan(server, handle_signals=False),
    )
    config = uvicorn.Config(app, log_level="error", ws="websockets-sansio", ws_ping_interval=None)
    running = uvicorn.Server(config)
    with socket.create_server(("127.0.0.1", 0)) as sock:
        task = asyncio.create_task(running.serve(sockets=[sock]))
        await until(lambda: running.started)
        yield f"ws://127.0.0.1:{sock.getsockname()[1]}/ws"
        running.should_exit = True
        await task


@asynccontextmanager
async def aiohttp(server: Watched) -> AsyncIterator[str]:
    web = pytest.importorskip("aiohttp.web")
    from tachikoma_proto.transports.aiohttp import setup

    app = web.Application()
    setup(app, server, path="/ws")
    runner = web.AppRunner(app)
    await runner.setup()
    with socket.create_server(("127.0.0.1", 0)) as sock:
        await web.SockSite(runner, sock).start()
        yield f"ws://127.0.0.1:{sock.getsockname()[1]}/ws"
        await runner.cleanup()


for_each_library = pytest.mark.parametrize("serving", [starlette, aiohttp])


def raw(url: str, **options: Any) -> open_websocket:
    return open_websocket(url, proxy=None, ping_interval=None, **options)


def socket_of(transport: Any) -> socket.socket:
    """Return the server's socket of a connection."""
    if hasattr(transport, "_websocket") and hasattr(transport._websocket, "_send"):
        from tachikoma_proto.transports.starlette import _find_socket_transport

        found = _find_socket_transport(transport._websocket._send)
        assert found is not None
    else:
        found = transport._transport
    sock: socket.socket = found.get_extra_info("socket")
    return sock


@for_each_library
@live
async def test_a_client_is_served(serving: Serving) -> None:
    watched = Watched(make_server())
    async with serving(watched) as url:
        async with tp.connect(url, token=TOKEN) as client:
            status = await client.request(tp.GetMissionStatus(mission_id=MISSION))
            assert status.mission_id == MISSION
            (session,) = watched.server.sessions
            assert str(session.remote_address).startswith("127.0.0.1:")
        await until(lambda: not watched.server.sessions)


@for_each_library
@live
async def test_the_application_closes_the_server_at_its_end(serving: Serving) -> None:
    watched = Watched(make_server())
    async with serving(watched) as url, raw(url) as websocket:
        await until(lambda: watched.server.sessions)
        closing = asyncio.create_task(watched.close())
        with pytest.raises(ConnectionClosed):
            await websocket.recv()
        assert websocket.close_code == 1001
        await closing
    assert watched.server.is_closing


@for_each_library
@live
async def test_how_the_client_closed_is_known(serving: Serving) -> None:
    watched = Watched(make_server())
    async with serving(watched) as url:
        async with raw(url) as websocket:
            await websocket.close(4321, "goodbye")
        await until(lambda: not watched.server.sessions and watched.transports)
        (transport,) = watched.transports
        assert (transport.close_code, transport.close_reason) == (4321, "goodbye")


@for_each_library
@live
async def test_the_handshake_is_known_and_other_origins_are_refused(serving: Serving) -> None:
    watched = Watched(make_server())
    async with serving(watched) as url:
        with pytest.raises(InvalidStatus, match="403"):
            await raw(url, origin=Origin("https://evil.example"))
        origin = Origin(url.replace("ws://", "http://").removesuffix("/ws"))
        headers = {"Cookie": "session=1"}
        async with raw(url + "?v=2", origin=origin, additional_headers=headers):
            await until(lambda: watched.transports)
            request = watched.transports[0].request
            assert (request.path, request.query) == ("/ws", {"v": "2"})
            assert request.cookies == {"session": "1"}


@for_each_library
@live
async def test_the_socket_of_a_client_that_does_not_read_is_closed_soon(serving: Serving) -> None:
    config = tp.ServerConfig(
        require_auth=False, max_pending=2, pending_grace=0.2, close_timeout=0.4
    )
    watched = Watched(make_server(config=config))
    async with serving(watched) as url:
        slow = await raw(url, max_queue=1, compression=None)
        await slow.send(CODEC.encode(tp.Subscribe(topic="missions")))
        await slow.recv()
        slow.transport.pause_reading()
        server_socket = socket_of(watched.transports[0])
        event = tp.MissionFailed(mission_id=MISSION, error="x" * 60_000)
        while watched.server.sessions:
            watched.server.publish(event)
            await asyncio.sleep(0.001)
        async with asyncio.timeout(2):
            await until(lambda: server_socket.fileno() == -1)
        slow.transport.abort()
        await slow.wait_closed()
