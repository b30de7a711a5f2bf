"""The example servers, each in a process of its own, as clients meet them over a socket.

They need what the library does not: where that is not installed they are skipped, unless
``ADAPTERS_REQUIRED`` is set, as in the tox environment that is there for them.
"""

import asyncio
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.request import urlopen
from uuid import uuid4

import pytest
from attrs import frozen
from websockets import ConnectionClosed, InvalidStatus, Origin
from websockets.asyncio.client import ClientConnection, connect as open_websocket

import tachikoma_proto as tp

EXAMPLES = Path(__file__).parent.parent / "examples"
NEEDS = {
    "aiohttp_server": ["aiohttp"],
    "starlette_server": ["starlette", "uvicorn"],
    "prometheus_metrics": ["prometheus_client"],
}
TOKEN = "t0ken-of-the-examples"
OURS = Origin("https://tachikoma.example")
PATIENCE = 30.0
CODEC = tp.Codec()

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGTERM to stop them")


@frozen
class Running:
    """A server that runs.

    Attributes:
        process: Its process.
        url: Where it listens.
        printed: What else it printed before it listened.
        log: What it writes to its standard error.
    """

    process: "subprocess.Popen[str]"
    url: str
    printed: list[str]
    log: Path

    def stop(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(PATIENCE)
        finally:
            self.process.kill()

    def check_log(self) -> None:
        """Hold that no traceback goes through the library or the example, nor any token."""
        text = self.log.read_text(encoding="utf-8")
        assert not [part for part in ("tachikoma_proto", str(EXAMPLES), TOKEN) if part in text]

    def client(self, token: str = TOKEN) -> tp.Client:
        return tp.connect(self.url, token=token, config=tp.ClientConfig(open_timeout=PATIENCE))

    def websocket(self, **options: Any) -> open_websocket:
        """Connect without the library: what it would never send has to be sent."""
        return open_websocket(self.url, open_timeout=PATIENCE, **options)


def start(name: str, log: Path) -> Running:
    for needed in NEEDS[name]:
        if find_spec(needed) is None:
            assert "ADAPTERS_REQUIRED" not in os.environ, f"{needed} is not installed"
            pytest.skip(f"{needed} is not installed")
    script = [sys.executable, str(EXAMPLES / f"{name}.py"), "--port", "0", "--origin", OURS]
    with log.open("w", encoding="utf-8") as errors:
        process = subprocess.Popen(
            script,
            env=os.environ | {"TACHIKOMA_TOKEN": TOKEN, "METRICS_PORT": "0"},
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
        )
    too_late = threading.Timer(PATIENCE, process.kill)
    too_late.start()
    assert process.stdout is not None
    with process.stdout:
        printed = []
        while (line := process.stdout.readline().strip()) and not line.startswith("ws://"):
            printed.append(line)
    too_late.cancel()
    assert line, log.read_text(encoding="utf-8")
    return Running(process, line, printed, log)


@pytest.fixture(scope="module", params=NEEDS)
def running(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Running]:
    """One of the servers, for all tests of this module that do not stop it."""
    started = start(request.param, tmp_path_factory.mktemp("adapters") / "log")
    yield started
    started.stop()
    started.check_log()


async def hear(websocket: ClientConnection) -> Any:
    """Give the payload of the next frame."""
    async with asyncio.timeout(PATIENCE):
        return CODEC.decode_server_message(await websocket.recv()).payload


async def ask(websocket: ClientConnection, frame: str | bytes) -> Any:
    await websocket.send(frame)
    return await hear(websocket)


async def refusal(websocket: ClientConnection, frame: str | bytes) -> str:
    """Send a frame, and give the code of the error that answers it."""
    error = await ask(websocket, frame)
    assert isinstance(error, tp.ErrorResponse)
    return error.code


async def authenticate(websocket: ClientConnection, token: str = TOKEN) -> bool:
    answer = await ask(websocket, CODEC.encode(tp.Authenticate(token=token)))
    assert isinstance(answer, tp.AuthResponse)
    return answer.authenticated


async def close_code(websocket: ClientConnection) -> int | None:
    """Wait until the server closes, and say with which code it did."""
    with pytest.raises(ConnectionClosed) as closed:
        await hear(websocket)
    return closed.value.rcvd.code if closed.value.rcvd else None


def test_an_example_server_answers_commands_and_pushes_events(running: Running) -> None:
    mission_id = uuid4()

    async def talk() -> None:
        async with running.client() as watcher, running.client() as client:
            events = watcher.events()
            await watcher.subscribe(tp.topics.mission(mission_id))
            await client.request(tp.StartMission(mission_id=uuid4()))  # of no concern to it
            assert (await client.request(tp.StartMission(mission_id=mission_id))).success
            async with asyncio.timeout(PATIENCE):
                assert await anext(events) == tp.MissionStarted(mission_id=mission_id)
            status = await client.request(tp.GetMissionStatus(mission_id=mission_id))
            assert status.status == "running"
            assert (await client.request(tp.GetSessionInfo())).authenticated
            with pytest.raises(tp.RemoteError, match="not_found"):
                await client.request(tp.GetMissionStatus(mission_id=uuid4()))

    asyncio.run(talk())


@pytest.mark.parametrize("token", ["wrong", f"{TOKEN} ", "", "tökèn"])
def test_an_example_server_refuses_a_wrong_token(running: Running, token: str) -> None:
    async def talk() -> None:
        with pytest.raises(tp.RemoteError) as refused:
            await running.client(token).__aenter__()
        assert refused.value.code == "auth_required"

    asyncio.run(talk())


def test_an_example_server_refuses_commands_before_authentication(running: Running) -> None:
    async def talk() -> None:
        async with running.websocket() as websocket:
            command = CODEC.encode(tp.StartMission(mission_id=uuid4()))
            assert await refusal(websocket, command) == "auth_required"
            assert not await authenticate(websocket, "wrong")
            assert await refusal(websocket, command) == "auth_required"
            assert await authenticate(websocket)
            assert await ask(websocket, command) == tp.AckResponse.ok()

    asyncio.run(talk())


def test_an_example_server_answers_bad_frames_and_keeps_the_connection(running: Running) -> None:
    async def talk() -> None:
        async with running.websocket() as websocket:
            assert await authenticate(websocket)
            assert await refusal(websocket, "{") == "invalid_message"
            assert await refusal(websocket, "") == "invalid_message"
            assert await refusal(websocket, b'\xff{"type":"ping"}') == "invalid_message"
            assert await refusal(websocket, '{"type":"nonsense"}') == "unknown_message"
            assert await refusal(websocket, " " * (64 * 1024 + 1)) == "message_too_large"
            assert isinstance(await ask(websocket, '{"type":"ping"}'), tp.PongResponse)
            assert isinstance(await ask(websocket, b'{"type":"ping"}'), tp.PongResponse)

    asyncio.run(talk())


def test_an_example_server_closes_with_1009_on_a_huge_frame(running: Running) -> None:
    async def talk() -> None:
        async with running.websocket() as websocket:
            assert await authenticate(websocket)
            await websocket.send(" " * (4 * 64 * 1024 + 1))
            assert await close_code(websocket) == 1009

    asyncio.run(talk())


def test_an_example_server_refuses_other_origins(running: Running) -> None:
    async def talk() -> None:
        async with running.websocket(origin=OURS) as websocket:
            assert await authenticate(websocket)
        with pytest.raises(InvalidStatus) as refused:
            await running.websocket(origin=Origin("https://evil.example"))
        assert refused.value.response.status_code == 403

    asyncio.run(talk())


def test_an_example_server_survives_a_client_that_vanishes(running: Running) -> None:
    async def talk() -> None:
        mission_id = uuid4()
        async with running.client() as client:
            async with running.websocket() as websocket:
                assert await authenticate(websocket)
                await ask(websocket, CODEC.encode(tp.Subscribe(topic=tp.topics.MISSIONS)))
                websocket.transport.abort()
            events = client.events()
            await client.subscribe(tp.topics.MISSIONS)
            await client.request(tp.StartMission(mission_id=mission_id))
            async with asyncio.timeout(PATIENCE):
                assert await anext(events) == tp.MissionStarted(mission_id=mission_id)

    asyncio.run(talk())


@pytest.mark.parametrize("name", NEEDS)
def test_an_example_server_closes_with_going_away_when_it_stops(name: str, tmp_path: Path) -> None:
    async def talk(running: Running) -> int:
        async with running.websocket() as websocket, running.websocket() as stranger:
            assert await authenticate(websocket)
            stopping = asyncio.create_task(asyncio.to_thread(running.stop))
            assert await close_code(websocket) == 1001
            assert await close_code(stranger) == 1001
            return await stopping

    running = start(name, tmp_path / "log")
    try:
        # uvicorn ends by the signal that stopped it, the others in peace
        assert asyncio.run(talk(running)) in (0, -signal.SIGTERM)
    finally:
        running.process.kill()
        running.process.wait()
    running.check_log()


def test_the_prometheus_example_exports_its_metrics(tmp_path: Path) -> None:
    async def talk() -> None:
        async with running.websocket() as websocket:
            assert await refusal(websocket, "{") == "invalid_message"
            assert figures()["tachikoma_sessions"] == 1
            websocket.transport.abort()
        async with asyncio.timeout(PATIENCE):
            while figures()["tachikoma_sessions"]:
                await asyncio.sleep(0.05)

    def figures() -> dict[str, float]:
        with urlopen(running.printed[0], timeout=PATIENCE) as page:
            lines = page.read().decode().splitlines()
        return {
            name: float(figure)
            for name, _, figure in (line.rpartition(" ") for line in lines if line[0] != "#")
        }

    running = start("prometheus_metrics", tmp_path / "log")
    try:
        asyncio.run(talk())
        counted = figures()
    finally:
        running.stop()
    assert counted["tachikoma_received_bytes_total"] == 1
    assert counted["tachikoma_sent_bytes_total"] > 50
    assert counted["tachikoma_queue_depth_count"] == 1
    assert counted['tachikoma_errors_total{code="invalid_message"}'] == 1
