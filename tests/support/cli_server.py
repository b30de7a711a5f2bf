"""A server in a thread of its own, for tests of the command line's client."""

import asyncio
import ssl
import threading
from collections.abc import Container, Iterator
from contextlib import contextmanager
from uuid import UUID

from websockets.asyncio.server import serve
from websockets.http11 import Request

import tachikoma_proto as tp

TOKEN = "s3cr3t-t0ken"
MISSION = UUID("67e55044-10b1-426f-9247-bb680e5fe0c8")
OTHER = UUID("16fd2706-8baf-433b-82eb-8c7fada847da")
PATIENCE = 30.0
"""After how many seconds a test is taken to hang."""


class ServerThread:
    """A server on a loopback port.

    Attributes:
        requests: The requests that opened connections.
    """

    def __init__(
        self,
        port: int,
        handlers: tp.Dispatcher[tp.Session],
        codec: tp.Codec,
        *,
        tls: ssl.SSLContext | None = None,
        refused_topics: Container[str] = (),
    ) -> None:
        self.port = port
        self.requests: list[Request] = []
        self.server = tp.Server(
            codec,
            handlers,
            authenticate=_check_token,
            may_subscribe=lambda _, topic: topic not in refused_topics,
        )
        self._tls = tls
        self._serving = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()))

    @property
    def url(self) -> str:
        return f"{'wss' if self._tls else 'ws'}://127.0.0.1:{self.port}"

    def start(self) -> None:
        self._thread.start()
        assert self._serving.wait(PATIENCE)

    def stop(self) -> None:
        self._loop.call_soon_threadsafe(self._stopped.set)
        self._thread.join(PATIENCE)
        assert not self._thread.is_alive()

    def publish(self, *events: tp.Event, to: int = 1) -> None:
        """Publish events as soon as somebody has so many subscriptions."""

        async def wait_and_publish() -> None:
            async with asyncio.timeout(PATIENCE):
                while not any(len(s.subscriptions) == to for s in self.server.sessions):
                    await asyncio.sleep(0.005)
            for event in events:
                self.server.publish(event)

        asyncio.run_coroutine_threadsafe(wait_and_publish(), self._loop)

    def cut_and_publish(self, *events: tp.Event) -> None:
        """Close all connections, and publish before anybody comes back."""

        def close() -> None:
            for session in self.server.sessions:
                session.close(1012, "back soon")
            for event in events:
                self.server.publish(event)

        self._loop.call_soon_threadsafe(close)

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._stopped = asyncio.Event()
        async with (
            serve(
                self.server.handle,
                "127.0.0.1",
                self.port,
                ssl=self._tls,
                process_request=lambda _, request: self.requests.append(request),
            ) as listener,
            self.server,
        ):
            self.port = next(iter(listener.sockets)).getsockname()[1]
            self._serving.set()
            await self._stopped.wait()


@contextmanager
def running(
    port: int = 0,
    handlers: tp.Dispatcher[tp.Session] | None = None,
    registry: tp.Registry | None = None,
    tls: ssl.SSLContext | None = None,
    refused_topics: Container[str] = (),
) -> Iterator[ServerThread]:
    """Serve while the block runs."""
    server = ServerThread(
        port,
        handlers or _handlers(),
        tp.Codec(registry),
        tls=tls,
        refused_topics=refused_topics,
    )
    server.start()
    try:
        yield server
    finally:
        server.stop()


def progress(mission_id: UUID = MISSION, percentage: float = 30.0) -> tp.MissionProgress:
    return tp.MissionProgress(
        mission_id=mission_id,
        current_spec="330",
        completed_specs=3,
        total_specs=10,
        percentage=percentage,
    )


async def _check_token(token: str) -> tp.Identity | None:
    return tp.Identity(UUID(int=9)) if token == TOKEN else None


def _handlers() -> tp.Dispatcher[tp.Session]:
    dispatcher: tp.Dispatcher[tp.Session] = tp.Dispatcher()

    @dispatcher.handler(tp.GetMissionStatus)
    def status(command: tp.GetMissionStatus, _: tp.Session) -> tp.MissionStatusResponse:
        if command.mission_id != MISSION:
            raise tp.CommandError("not_found", "mission not found")
        return tp.MissionStatusResponse(
            mission_id=MISSION,
            status="running",
            completed_specs=3,
            total_specs=10,
            percentage=30.0,
        )

    @dispatcher.handler(tp.PauseMission)
    def pause(_: tp.PauseMission, __: tp.Session) -> tp.AckResponse:
        return tp.AckResponse.failure("the mission is completed")

    return dispatcher
