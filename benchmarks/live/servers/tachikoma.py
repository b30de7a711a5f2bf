"""The library itself: ``Server`` with a handler of one command."""

import asyncio
import socket
from typing import Final

import tachikoma_proto as tp
from benchmarks.live.work import PROGRESS
from tachikoma_proto.server.serving import Backend

CONFIG: Final = tp.ServerConfig(
    require_auth=False,
    rate_limit=None,
    max_pending=10_000,
    ping_interval=3600.0,  # the driver takes whatever comes for a reply
)


async def _status(command: tp.GetMissionStatus, _: tp.Session) -> tp.MissionStatusResponse:
    return tp.MissionStatusResponse(mission_id=command.mission_id, **PROGRESS)


def _plain_status(command: tp.GetMissionStatus, _: tp.Session) -> tp.MissionStatusResponse:
    return tp.MissionStatusResponse(mission_id=command.mission_id, **PROGRESS)


def _start(command: tp.StartMission, session: tp.Session) -> tp.AckResponse:
    session.server.publish(tp.MissionStarted(mission_id=command.mission_id))
    return tp.AckResponse.ok()


async def serve(listening: socket.socket, backend: Backend, handler: str) -> None:
    """Serve a listening socket for good.

    Args:
        listening: The socket.
        backend: What carries the frames.
        handler: Whether the handler is a ``coroutine`` or a ``plain`` function.
    """
    dispatcher: tp.Dispatcher[tp.Session] = tp.Dispatcher()
    dispatcher.handler(tp.StartMission)(_start)
    if handler == "plain":
        dispatcher.handler(tp.GetMissionStatus)(_plain_status)
    else:
        dispatcher.handler(tp.GetMissionStatus)(_status)
    server = tp.Server(tp.Codec(), dispatcher, config=CONFIG)
    async with tp.serve(server, sock=listening, backend=backend):
        await asyncio.get_running_loop().create_future()
