"""Recording: what passes over a connection, in a file that ``inspect`` reads."""

import asyncio
import json
import logging
from collections.abc import Sequence
from pathlib import Path

import pytest
from support.live import MISSION, TOKEN, handlers, live, make_server, serving

import tachikoma_proto as tp
from tachikoma_proto import sync
from tachikoma_proto.connection.captures import CapturedFrame
from tachikoma_proto.connection.recording import Recorder
from tachikoma_proto.declare.declarations import Sender
from tachikoma_proto.server.serving import Backend
from tachikoma_proto.testing import connect
from tachikoma_proto.transports.transport import CallbackTransport, FrameReceiver

STATUS = tp.GetMissionStatus(mission_id=MISSION)


def lines(path: Path) -> list[CapturedFrame]:
    text = path.read_text("utf-8")
    assert TOKEN not in text
    return [CapturedFrame.from_record(json.loads(line)) for line in text.splitlines()]


def types(frames: list[CapturedFrame]) -> list[tuple[str, str]]:
    return [(frame.sender.value, json.loads(frame.frame or "{}")["type"]) for frame in frames]


CONVERSATION = [
    ("client", "authenticate"),
    ("server", "auth_result"),
    ("client", "mission_status"),
    ("server", "mission_status_result"),
]


@live
async def test_a_server_records_each_session(tmp_path: Path) -> None:
    path = tmp_path / "capture.jsonl"
    server = make_server(record=path)
    for _ in range(2):
        async with connect(server, token=TOKEN) as client:
            await client.request(STATUS)
    await server.close()
    frames = lines(path)
    assert types(frames) == CONVERSATION * 2
    assert len({frame.session for frame in frames}) == 2
    assert frames[0].masked == ("$.payload.token",)
    assert frames == sorted(frames, key=lambda frame: frame.time)


@pytest.mark.parametrize("backend", ["picows", "websockets"])
@live
async def test_a_server_on_a_socket_and_its_client_record_the_same(
    backend: Backend, tmp_path: Path
) -> None:
    pytest.importorskip(backend)
    ours, theirs = tmp_path / "server.jsonl", tmp_path / "client.jsonl"
    server = make_server(record=str(ours))
    async with (
        tp.serve(server, "127.0.0.1", 0, backend=backend) as serving,
        tp.connect(serving.url, token=TOKEN, record=theirs) as client,
    ):
        await client.request(STATUS)
    assert types(lines(ours)) == types(lines(theirs)) == CONVERSATION
    assert [frame.frame for frame in lines(ours)] == [frame.frame for frame in lines(theirs)]


@live
async def test_frames_go_to_a_function(tmp_path: Path) -> None:
    frames: list[CapturedFrame] = []
    server = make_server(record=frames.append)
    async with connect(server, token=TOKEN) as client:
        await client.request(STATUS)
    assert types(frames) == CONVERSATION


@live
async def test_a_recording_that_fails_breaks_no_connection(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    server = make_server(handlers(), record=tmp_path)
    async with connect(server, token=TOKEN) as client:
        assert (await client.request(STATUS)).mission_id == MISSION
    errors = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert [record.getMessage() for record in errors] == ["recording failed, and has stopped"]


@live
async def test_a_client_that_cannot_enter_leaves_no_file_open(tmp_path: Path) -> None:
    path = tmp_path / "capture.jsonl"
    async with serving(make_server()) as url:
        with pytest.raises(tp.RemoteError):
            await tp.connect(url, token="wrong", record=path).__aenter__()
    assert types(lines(path)) == CONVERSATION[:2]


class Callbacks:
    """A callback transport that notes what is asked of it."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.receiver: FrameReceiver | None = None

    def start(self, receiver: FrameReceiver, /) -> None:
        self.receiver = receiver

    def write(self, texts: Sequence[str], /) -> bool:
        self.calls += texts
        return False

    def pause_reading(self) -> None:
        self.calls.append("pause")

    def resume_reading(self) -> None:
        self.calls.append("resume")

    async def close(self, code: int = 1000, reason: str = "") -> None:
        self.calls.append(f"close {code} {reason}")

    def abort(self) -> None:
        self.calls.append("abort")


class Receiver:
    """Notes what a callback transport delivers."""

    def __init__(self) -> None:
        self.calls: list[str | bytes] = []

    def frames_received(self, frames: Sequence[str | bytes]) -> None:
        self.calls += frames

    def can_write(self) -> None:
        self.calls.append("can write")

    def transport_lost(self) -> None:
        self.calls.append("lost")


@live
async def test_a_recorded_callback_transport_does_all_that_it_did() -> None:
    frames: list[CapturedFrame] = []
    log = logging.getLogger("tachikoma_proto.server")
    inner, receiver = Callbacks(), Receiver()
    recorder = Recorder(frames.append, tp.Registry(), 1000, log)
    recorded = recorder.wrap(inner, Sender.SERVER)
    assert isinstance(recorded, CallbackTransport)
    recorded.start(receiver)
    assert inner.receiver is not None
    inner.receiver.frames_received(['{"type":"ping"}'])
    assert not recorded.write(['{"type":"pong"}'])
    inner.receiver.can_write()
    recorded.pause_reading()
    recorded.resume_reading()
    await recorded.close(1001, "bye")
    recorded.abort()
    inner.receiver.transport_lost()
    assert receiver.calls == ['{"type":"ping"}', "can write", "lost"]
    assert inner.calls == ['{"type":"pong"}', "pause", "resume", "close 1001 bye", "abort"]
    assert types(frames) == [("client", "ping"), ("server", "pong")]


def test_a_script_records_too(tmp_path: Path) -> None:
    path = tmp_path / "capture.jsonl"

    def script(url: str) -> None:
        with sync.connect(url, token=TOKEN, record=path) as client:
            client.request(STATUS)

    async def main() -> None:
        async with serving(make_server()) as url:
            await asyncio.to_thread(script, url)

    asyncio.run(main())
    assert types(lines(path)) == CONVERSATION
