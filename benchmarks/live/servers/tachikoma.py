"""The library itself: ``Server`` with a handler of one command."""

import asyncio
import socket
from typing import Final

from websockets.asyncio.server import serve as serve_websockets

import tachikoma_proto as tp
from benchmarks.live.work import PROGRESS

CONFIG: Final = tp.ServerConfig(
    require_auth=False,
    rate_limit=None,
    max_pending=10_000,
    ping_interval=3600.0,  # the driver takes whatever comes for a reply
)

dispatcher: tp.Dispatcher[tp.Session] = tp.Dispatcher()


@dispatcher.handler(tp.GetMissionStatus)
async def _status(command: tp.GetMissionStatus, _: tp.Session) -> tp.MissionStatusResponse:
    return tp.MissionStatusResponse(mission_id=command.mission_id, **PROGRESS)


async def serve(listening: socket.socket) -> None:
    """Serve a listening socket for good.

    Args:
        listening: The socket.
    """
    server = tp.Server(tp.Codec(), dispatcher, config=CONFIG)
    async with serve_websockets(server.handle, sock=listening, compression=None), server:
        await asyncio.get_running_loop().create_future()
