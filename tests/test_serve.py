"""``serve`` and ``run``: real sockets, over each backend."""

import asyncio
import logging
import os
import re
import signal
import socket
import ssl
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, get_args

import pytest
from support.live import MISSION, OPEN, TOKEN, USER, handlers, live, make_server, records_of, until
from websockets import ConnectionClosed, InvalidStatus, Origin
from websockets.asyncio.client import connect as open_websocket, unix_connect
from websockets.client import ClientProtocol
from websockets.frames import Frame, Opcode
from websockets.protocol import State
from websockets.uri import parse_uri

import tachikoma_proto as tp
from tachikoma_proto.server.serving import Backend
from tachikoma_proto.transports.transport import (
    ConnectionRequest,
    Headers,
    encode_frames,
    is_origin_allowed,
    make_request,
)

CODEC = tp.Codec()
PING = CODEC.encode(tp.Ping())
STATUS = tp.GetMissionStatus(mission_id=MISSION)
BACKENDS: tuple[Backend, ...] = get_args(Backend)

for_each_backend = pytest.mark.parametrize("backend", BACKENDS)


@pytest.fixture(autouse=True)
def _backend_is_there(request: pytest.FixtureRequest) -> None:
    if "backend" in request.fixturenames:
        pytest.importorskip(request.getfixturevalue("backend"))


def local(server: tp.Server, backend: Backend, **options: Any) -> tp.serve:
    return tp.serve(server, "127.0.0.1", 0, backend=backend, **options)


def raw(url: str, **options: Any) -> open_websocket:
    """Connect without a client of ours."""
    return open_websocket(url, proxy=None, ping_interval=None, **options)


def fetch(url: str) -> tuple[int, str]:
    """Fetch a page as a health check does."""
    try:
        with urllib.request.urlopen(url.replace("ws", "http", 1)) as response:
            return response.status, response.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()


class TestServing:
    @for_each_backend
    @live
    async def test_carries_commands_and_events(self, backend: Backend) -> None:
        server = make_server()
        async with (
            local(server, backend) as serving,
            tp.connect(serving.url, token=TOKEN) as client,
        ):
            status = await client.request(STATUS)
            assert status.mission_id == MISSION
            await client.subscribe("missions")
            assert server.publish(tp.MissionStarted(mission_id=MISSION)) == 1
            async for event in client.events():
                assert event == tp.MissionStarted(mission_id=MISSION)
                break
            (session,) = server.sessions
            assert str(session.remote_address).startswith("127.0.0.1:")
        assert not server.sessions

    @for_each_backend
    @live
    async def test_says_where_it_listens(self, backend: Backend) -> None:
        async with local(make_server(), backend, path="/ws") as serving:
            (sock,) = serving.sockets
            assert sock.getsockname() == ("127.0.0.1", serving.port)
            assert serving.addresses == (f"127.0.0.1:{serving.port}",)
            assert serving.url == f"ws://127.0.0.1:{serving.port}/ws"
        assert serving.sockets == ()

    @for_each_backend
    @live
    async def test_over_tls(self, backend: Backend, tmp_path: Path) -> None:
        certificate, key = tmp_path / "cert.pem", tmp_path / "key.pem"
        command = "openssl req -x509 -newkey rsa:2048 -nodes -days 1 -subj /CN=localhost"
        command += " -addext subjectAltName=IP:127.0.0.1"
        subprocess.run(
            [*command.split(), "-keyout", key, "-out", certificate], check=True, capture_output=True
        )
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, key)
        trusting = ssl.create_default_context(cafile=str(certificate))
        async with local(make_server(), backend, ssl=context) as serving:
            assert serving.url.startswith("wss://")
            async with tp.connect(serving.url, token=TOKEN, ssl=trusting) as client:
                for _ in range(20):
                    assert (await client.request(STATUS)).mission_id == MISSION

    @for_each_backend
    @live
    async def test_over_a_unix_socket(self, backend: Backend, tmp_path: Path) -> None:
        path = tmp_path / "tachikoma.sock"
        for _ in range(2):  # the second time over what the first one left behind
            server = make_server(config=OPEN)
            async with tp.serve(server, unix=path, backend=backend) as serving:
                assert serving.addresses == (str(path),)
                with pytest.raises(RuntimeError, match="at a port"):
                    _ = serving.url
                async with unix_connect(str(path)) as websocket:
                    await websocket.send(PING)
                    assert "pong" in str(await websocket.recv())
            assert not path.exists()
            with socket.socket(socket.AF_UNIX) as stale:
                stale.bind(str(path))

    @for_each_backend
    @live
    async def test_of_a_socket_that_is_given(self, backend: Backend) -> None:
        with socket.create_server(("127.0.0.1", 0)) as sock:
            async with tp.serve(make_server(config=OPEN), sock=sock, backend=backend) as serving:
                assert serving.port == sock.getsockname()[1]
                async with raw(serving.url) as websocket:
                    await websocket.send(PING)
                    assert "pong" in str(await websocket.recv())

    @for_each_backend
    @live
    async def test_ends_what_is_open_when_it_ends(self, backend: Backend) -> None:
        server = make_server(config=OPEN)
        async with local(server, backend) as serving:
            websocket = await raw(serving.url)
            await until(lambda: server.sessions)
        with pytest.raises(ConnectionClosed):
            await websocket.recv()
        assert (websocket.close_code, websocket.close_reason) == (1001, "the server shuts down")
        with pytest.raises(RuntimeError, match="stays closed"):
            await local(server, backend).__aenter__()

    @live
    async def test_chooses_a_backend(self) -> None:
        with pytest.raises(ValueError, match="no backend 'tornado'"):
            tp.serve(make_server(), backend="tornado")  # type: ignore[arg-type]
        with pytest.raises(TypeError, match="a sequence of origins"):
            tp.serve(make_server(), origins="https://tachikoma.example")
        async with (
            tp.serve(make_server(), "127.0.0.1", 0) as serving,
            tp.connect(serving.url, token=TOKEN),
        ):
            pass

    def test_without_a_backend_says_what_to_install(self) -> None:
        code = """if True:
            import sys
            sys.modules["picows"] = sys.modules["websockets"] = None
            import tachikoma_proto as tp
            config = tp.ServerConfig(require_auth=False)
            try:
                tp.serve(tp.Server(tp.Codec(), tp.Dispatcher(), config=config))
            except ImportError as error:
                print(error)
        """
        run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
        assert run.stdout == "serve needs websockets: pip install 'tachikoma-proto[websockets]'\n"


class TestFrames:
    @for_each_backend
    @live
    async def test_may_come_in_fragments(self, backend: Backend) -> None:
        async with (
            local(make_server(config=OPEN), backend) as serving,
            raw(serving.url) as websocket,
        ):
            await websocket.send([PING[:5], PING[5:20], PING[20:]])
            assert "pong" in str(await websocket.recv())
            await websocket.send([b'{"type":', '"ping", "é": 1}'.encode()])
            assert "pong" in str(await websocket.recv())
            await websocket.send([PING, ""])
            assert "pong" in str(await websocket.recv())

    @for_each_backend
    @live
    async def test_may_be_bytes_and_come_many_at_once(self, backend: Backend) -> None:
        config = tp.ServerConfig(require_auth=False, max_pending=10)
        async with (
            local(make_server(config=config), backend) as serving,
            raw(serving.url) as websocket,
        ):
            for _ in range(100):
                websocket.protocol.send_text(PING.encode())
                websocket.protocol.send_binary(PING.encode())
            websocket.protocol.send_ping(b"in between")
            websocket.send_data()
            for _ in range(200):
                assert "pong" in str(await websocket.recv())

    @for_each_backend
    @live
    async def test_that_do_not_fit_together_end_the_connection(self, backend: Backend) -> None:
        for frames in (
            [Frame(Opcode.CONT, b"{}")],
            [Frame(Opcode.TEXT, b"{", fin=False), Frame(Opcode.TEXT, b"}")],
        ):
            async with (
                local(make_server(config=OPEN), backend) as serving,
                raw(serving.url) as websocket,
            ):
                data = b"".join(frame.serialize(mask=True) for frame in frames)
                websocket.transport.write(data)
                with pytest.raises(ConnectionClosed):
                    await websocket.recv()
                assert websocket.close_code == 1002

    @pytest.mark.parametrize("is_fragmented", [True, False])
    @for_each_backend
    @live
    async def test_are_bounded(self, backend: Backend, is_fragmented: bool) -> None:
        async with (
            local(make_server(config=OPEN), backend, max_size=100_000) as serving,
            raw(serving.url) as websocket,
        ):
            await websocket.send('"' + "x" * 90_000 + '"')
            assert "message_too_large" in str(await websocket.recv())
            parts = ["x" * 60_000, "y" * 60_000]
            await websocket.send(parts if is_fragmented else "".join(parts))
            with pytest.raises(ConnectionClosed):
                await websocket.recv()
            assert websocket.close_code == 1009

    @for_each_backend
    @live
    async def test_are_not_compressed_and_never_logged(self, backend: Backend) -> None:
        with records_of("") as records:
            async with local(make_server(), backend) as serving:
                async with raw(serving.url, compression="deflate") as websocket:
                    assert websocket.response is not None
                    assert "Sec-WebSocket-Extensions" not in websocket.response.headers
                logging.getLogger("websockets.client").setLevel(logging.INFO)
                async with tp.connect(serving.url, token=TOKEN) as client:
                    await client.request(STATUS)
        assert records
        assert not [record for record in records if TOKEN in record or "mission_status" in record]

    @for_each_backend
    @live
    async def test_of_a_client_that_does_not_read_wait_for_nobody(self, backend: Backend) -> None:
        config = tp.ServerConfig(
            require_auth=False, max_pending=5, pending_grace=0.2, close_timeout=0.4
        )
        server = make_server(config=config)
        async with local(server, backend) as serving:
            slow = await raw(serving.url, max_queue=1)
            async with tp.connect(serving.url) as client:
                await slow.send(CODEC.encode(tp.Subscribe(topic="missions")))
                await slow.recv()
                await client.subscribe("missions")
                slow.transport.pause_reading()
                event = tp.MissionFailed(mission_id=MISSION, error="x" * 60_000)
                received = 0
                events = client.events()
                while len(server.sessions) == 2:
                    assert server.publish(event) >= 1
                    assert await anext(events) == event
                    received += 1
                    await asyncio.sleep(0.001)
                assert received > 5
            slow.transport.abort()
            await slow.wait_closed()


class TestHandshakes:
    @for_each_backend
    @live
    async def test_of_other_origins_are_refused(
        self, backend: Backend, caplog: pytest.LogCaptureFixture
    ) -> None:
        async def status(url: str, origin: str | None) -> int:
            try:
                given = None if origin is None else Origin(origin)
                async with raw(url, origin=given):
                    return 101
            except InvalidStatus as error:
                return error.response.status_code

        async with local(make_server(), backend) as serving:
            same = serving.url.replace("ws://", "http://")
            origins = [None, same, "https://evil.example", "null", same + ".evil.example"]
            assert [await status(serving.url, one) for one in origins] == [101, 101, 403, 403, 403]
        assert "refused the origin 'https://evil.example'" in caplog.text
        assert "None" not in caplog.text  # picows does not tell the address this early
        allowed = ["https://tachikoma.example", re.compile(r"https://\w+\.tachikoma\.example")]
        async with local(make_server(), backend, origins=allowed) as serving:
            origins = [
                None,
                "https://tachikoma.example",
                "https://a.tachikoma.example",
                "https://a.tachikoma.example.evil.example",
                serving.url.replace("ws://", "http://"),
            ]
            assert [await status(serving.url, one) for one in origins] == [101, 101, 101, 403, 403]
        async with local(make_server(), backend, origins=["*"]) as serving:
            assert await status(serving.url, "https://evil.example") == 101

    @for_each_backend
    @live
    async def test_go_to_one_path(self, backend: Backend) -> None:
        async with local(make_server(), backend, path="/ws") as serving:
            async with raw(serving.url + "?v=2"):
                pass
            with pytest.raises(InvalidStatus):
                await raw(serving.url + "/other")

    @for_each_backend
    @live
    async def test_may_authenticate(self, backend: Backend) -> None:
        async def by_header(request: tp.ConnectionRequest) -> tp.Identity | None:
            assert request.path == "/"
            is_known = request.headers.get("authorization") == f"Bearer {TOKEN}"
            return tp.Identity(MISSION) if is_known else None

        server = make_server(authenticate=None, authenticate_request=by_header)
        async with local(server, backend) as serving:
            headers = {"Authorization": f"Bearer {TOKEN}"}
            async with tp.connect(serving.url, additional_headers=headers) as client:
                info = await client.request(tp.GetSessionInfo())
                assert info.user_id == MISSION
            async with raw(serving.url) as websocket:
                with pytest.raises(ConnectionClosed):
                    await websocket.recv()
                assert websocket.close_code == 1008

    @for_each_backend
    @live
    async def test_beside_them_the_health_is_told(self, backend: Backend) -> None:
        running, may_end = asyncio.Event(), asyncio.Event()
        dispatcher = handlers()

        @dispatcher.handler(tp.StartMission)
        async def start(_: tp.StartMission, __: tp.Session) -> tp.AckResponse:
            running.set()
            await may_end.wait()
            return tp.AckResponse.ok()

        server = make_server(dispatcher, OPEN)
        async with local(server, backend) as serving:
            health = serving.url + "/healthz"
            assert await asyncio.to_thread(fetch, health) == (200, "ok\n")
            async with raw(serving.url) as websocket:
                await websocket.send(CODEC.encode(tp.StartMission(mission_id=MISSION)))
                await running.wait()
                closing = asyncio.create_task(serving.close())
                await until(lambda: server.is_closing)
                assert await asyncio.to_thread(fetch, health) == (503, "closing\n")
                with pytest.raises(InvalidStatus):
                    await raw(serving.url)
                may_end.set()
                assert '"ack"' in str(await websocket.recv())
                await closing


RUN = """
import logging, sys
import tachikoma_proto as tp
logging.basicConfig(level=logging.INFO)
server = tp.Server(tp.Codec(), tp.Dispatcher(), config=tp.ServerConfig(require_auth=False))
tp.run(server, "127.0.0.1", 0, backend=sys.argv[1])
print("in order")
"""


@pytest.mark.skipif(sys.platform == "win32", reason="there are no signals")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@for_each_backend
def test_a_server_that_runs_ends_in_order_at_a_signal(
    backend: Backend, number: signal.Signals
) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", RUN, backend],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ,
    )
    assert process.stdout is not None
    assert process.stderr is not None

    async def talk(url: str) -> int | None:
        async with raw(url) as websocket:
            await websocket.send(PING)
            assert "pong" in str(await websocket.recv())
            process.send_signal(number)
            with pytest.raises(ConnectionClosed):
                await websocket.recv()
            return websocket.close_code

    try:
        line = next(line for line in process.stderr if "listening at" in line)
        code = asyncio.run(talk(f"ws://{line.rpartition(' ')[2].strip()}"))
        output, errors = process.communicate(timeout=20)
    finally:
        process.kill()
    assert code == 1001
    assert (process.returncode, output) == (0, "in order\n")
    assert "Traceback" not in errors


@pytest.mark.parametrize(
    ("peername", "address"),
    [
        (("192.0.2.1", 80), "192.0.2.1:80"),
        (("2001:db8::1", 80, 0, 0), "[2001:db8::1]:80"),
        ("", None),
        (None, None),
    ],
)
def test_an_address_is_written_as_in_a_url(peername: object, address: str | None) -> None:
    assert make_request("/", [], peername).address == address


def test_a_request_keeps_what_was_repeated() -> None:
    request = make_request("/a%20b?x=1&x=2&empty=", [("Via", "1"), ("via", "2")], None)
    assert (request.path, dict(request.query)) == ("/a%20b", {"x": "2", "empty": ""})
    assert request.headers["VIA"] == "1, 2"
    assert list(request.headers) == ["via"]
    assert len(request.headers) == 1
    assert request.cookies == {}


def test_cookies_that_cannot_be_read_are_none() -> None:
    assert make_request("/", [("Cookie", "a=1"), ("cookie", "b=2")], None).cookies == {
        "a": "1",
        "b": "2",
    }
    for header in ("a/b=1", "a=1; <b>=2", "a b=1; expires"):
        assert make_request("/", [("Cookie", header)], None).cookies == {}


def test_no_repr_of_a_request_shows_what_may_be_a_credential() -> None:
    request = make_request("/ws?token=s3cret", {"Authorization": "s3cret"}, None)
    assert "s3cret" not in repr(request)
    assert repr(Headers({"Authorization": "s3cret"})) == "<Headers authorization>"


def test_origins_are_a_sequence() -> None:
    with pytest.raises(TypeError, match="sequence of origins"):
        is_origin_allowed(ConnectionRequest(), "https://example.com")


@pytest.mark.parametrize("size", [0, 1, 125, 126, 65_535, 65_536, 70_000])
def test_frames_of_every_size_are_read_by_another_library(size: int) -> None:
    texts = ["x" * size, "é" * (size // 2), "last"]
    reader = ClientProtocol(parse_uri("ws://example.com"), state=State.OPEN)
    reader.receive_data(encode_frames(texts))
    frames = [event for event in reader.events_received() if isinstance(event, Frame)]
    assert [bytes(frame.data).decode() for frame in frames] == texts
    assert {(frame.opcode, frame.fin) for frame in frames} == {(Opcode.TEXT, True)}


def test_a_unix_socket_that_cannot_be_bound_is_named(tmp_path: Path) -> None:
    async def start(path: str) -> None:
        async with tp.serve(make_server(), unix=path):
            raise AssertionError("it listens")

    path = str(tmp_path / "nowhere" / "socket")
    with pytest.raises(OSError, match=f"cannot bind {re.escape(repr(path))}"):
        asyncio.run(start(path))


def test_no_other_file_is_removed_for_a_unix_socket(tmp_path: Path) -> None:
    async def start(path: str) -> None:
        async with tp.serve(make_server(), unix=path):
            raise AssertionError("it listens")

    path = tmp_path / "file"
    path.write_text("precious")
    with pytest.raises(OSError, match="cannot bind"):
        asyncio.run(start(str(path)))
    assert path.read_text() == "precious"


@for_each_backend
@live
async def test_many_frames_that_come_before_the_server_is_ready_are_kept(backend: Backend) -> None:
    entered = asyncio.Event()

    @asynccontextmanager
    async def lifespan(_: tp.Session) -> AsyncIterator[None]:
        await entered.wait()
        yield

    server = make_server(config=OPEN, session_lifespan=lifespan)
    async with local(server, backend) as serving, raw(serving.url) as websocket:
        for _ in range(200):
            websocket.protocol.send_text(PING.encode())
        websocket.send_data()
        await until(lambda: server._connections)
        await asyncio.sleep(0.02)
        websocket.protocol.send_text(PING.encode())
        websocket.send_data()
        entered.set()
        for _ in range(201):
            assert "pong" in str(await websocket.recv())


@for_each_backend
@live
async def test_frames_wait_in_the_network_while_a_token_is_checked(backend: Backend) -> None:
    checked = asyncio.Event()

    async def check(token: str) -> tp.Identity:
        await checked.wait()
        return tp.Identity(USER)

    server = make_server(authenticate=check)
    async with local(server, backend) as serving, raw(serving.url) as websocket:
        await websocket.send(CODEC.encode(tp.Authenticate(token=TOKEN)))
        for _ in range(100):
            await websocket.send(PING)
            await asyncio.sleep(0)
        checked.set()
        assert "authenticated" in str(await websocket.recv())
        for _ in range(100):
            assert "pong" in str(await websocket.recv())


@for_each_backend
@live
async def test_a_client_that_reads_slowly_gets_every_event(backend: Backend) -> None:
    server = make_server(config=OPEN)
    async with (
        local(server, backend) as serving,
        raw(serving.url, max_queue=1, compression=None) as websocket,
    ):
        await websocket.send(CODEC.encode(tp.Subscribe(topic="missions")))
        await websocket.recv()
        websocket.transport.pause_reading()
        for number in range(200):
            server.publish(tp.MissionFailed(mission_id=MISSION, error=f"{number} " + "x" * 60_000))
            await asyncio.sleep(0)
        websocket.transport.resume_reading()
        for number in range(200):
            event: Any = CODEC.decode_server_message(await websocket.recv()).payload
            assert event.error.startswith(f"{number} ")
