"""What the example servers share: missions that can be started, and who may start them.

Nothing here knows what carries the frames. Each server beside it adds a WebSocket library, and
all of them take the same options; the token stands in the environment, where ``ps`` shows it to
nobody.
"""

import argparse
import hmac
import os
import socket
from collections.abc import Sequence
from hashlib import sha256
from typing import Final
from uuid import UUID

from attrs import frozen

import tachikoma_proto as tp

USER: Final = UUID("3f0c8a52-93d4-4f0e-9a53-5b1d2c7e8f90")
"""Whose the token is; a real server looks that up."""

CONFIG: Final = tp.ServerConfig()

MAX_FRAME: Final = 4 * CONFIG.max_message_size
"""What the WebSocket library refuses unread, with close code 1009. What is smaller than this and
larger than ``max_message_size`` is answered with an error, and the connection stays."""


@frozen
class Options:
    """What the command line and the environment say.

    Attributes:
        host: Where to listen.
        port: On which port; 0 takes a free one.
        origins: The web pages that may connect, such as ``https://tachikoma.example``.
        token: What a client has to show.
    """

    host: str
    port: int
    origins: Sequence[str]
    token: str

    def listen(self) -> socket.socket:
        """Open the listening socket, and print its address for whoever started the server."""
        listener = socket.create_server((self.host, self.port))
        print(f"ws://{self.host}:{listener.getsockname()[1]}", flush=True)
        return listener


def read_options(description: str | None) -> Options:
    """Read the command line and the environment.

    Args:
        description: What the server is; its module's docstring.
    """
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8765)
    parser.add_argument("--origin", dest="origins", action="append", default=[])
    given = parser.parse_args()
    token = os.environ.get("TACHIKOMA_TOKEN")
    if not token:
        parser.error("put the token that clients have to show into TACHIKOMA_TOKEN")
    return Options(given.host, given.port, given.origins, token)


def make_server(token: str, metrics: tp.Metrics | None = None) -> tp.Server:
    """Make a server of missions.

    Args:
        token: What a client has to show.
        metrics: Told what happens.
    """
    dispatcher: tp.Dispatcher[tp.Session] = tp.Dispatcher()
    running: set[UUID] = set()
    expected = _digest(token)

    async def check_token(given: str) -> tp.Identity | None:
        # Digests are of one length, so that the time tells nothing of the token's, either.
        return tp.Identity(USER) if hmac.compare_digest(_digest(given), expected) else None

    @dispatcher.handler(tp.StartMission)
    async def start(command: tp.StartMission, session: tp.Session) -> tp.AckResponse:
        if command.mission_id in running:
            return tp.AckResponse.failure("it runs already")
        running.add(command.mission_id)
        session.server.publish(tp.MissionStarted(mission_id=command.mission_id))
        return tp.AckResponse.ok()

    @dispatcher.handler(tp.GetMissionStatus)
    async def status(command: tp.GetMissionStatus, session: tp.Session) -> tp.MissionStatusResponse:
        if command.mission_id not in running:
            raise tp.CommandError("not_found", "mission not found")
        return tp.MissionStatusResponse(
            mission_id=command.mission_id,
            status="running",
            completed_specs=0,
            total_specs=1,
            percentage=0.0,
        )

    return tp.Server(
        tp.Codec(), dispatcher, authenticate=check_token, config=CONFIG, metrics=metrics
    )


def _digest(token: str) -> bytes:
    return sha256(token.encode()).digest()
