"""What serves the page: who is let in, what is relayed, and that the token stays where it is."""

import asyncio
import json
import re
import secrets
import signal
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen
from uuid import UUID

import pytest
from attrs import frozen

import tachikoma_proto as tp

pytest.importorskip("websockets")

from support.cli_process import INTERRUPTIBLE, started, without_debug
from support.live import MISSION, PATIENCE, TOKEN, live, make_server, serving, soon, until
from websockets.asyncio.client import ClientConnection, connect
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed, InvalidStatus

from tachikoma_proto.cli import main
from tachikoma_proto.cli.dashboard import make_dashboard
from tachikoma_proto.cli.target import Target
from tachikoma_proto.dashboard import Dashboard

MAX_PAGE = 150 * 1024
"""How many bytes a load of the page may have."""


class Answer:
    """What a request was answered with."""

    def __init__(self, data: bytes) -> None:
        head, _, self.body = data.partition(b"\r\n\r\n")
        status, *lines = head.decode().split("\r\n")
        self.status = int(status.split(" ")[1])
        self.headers = {
            name.lower(): value for name, _, value in (line.partition(": ") for line in lines)
        }


class Page:
    """A browser's view of the dashboard."""

    def __init__(self, dashboard: Dashboard) -> None:
        self.dashboard = dashboard

    @property
    def host(self) -> str:
        return self.dashboard.address.split("/")[2]

    @property
    def secret(self) -> str:
        return self.dashboard.address.partition("#")[2]

    async def get(self, path: str, *headers: str, host: str | None = None) -> Answer:
        reader, writer = await asyncio.open_connection("127.0.0.1", int(self.host.split(":")[1]))
        lines = [f"GET {path} HTTP/1.1", f"Host: {host or self.host}", *headers, "", ""]
        writer.write("\r\n".join(lines).encode())
        answer = Answer(await soon(reader.read()))
        writer.close()
        await writer.wait_closed()
        return answer

    async def start_session(self) -> str:
        answer = await self.get("/session", f"Authorization: Bearer {self.secret}")
        key: str = json.loads(answer.body)["key"]
        return key

    async def about(self, key: str) -> dict[str, Any]:
        answer = await self.get("/about", f"Authorization: Bearer {key}")
        found: dict[str, Any] = json.loads(answer.body)
        return found

    def socket(self, key: str, origin: str | None = "", **options: Any) -> connect:
        return connect(
            f"ws://{self.host}/socket",
            subprotocols=["tachikoma.dashboard", key],  # type: ignore[list-item]
            origin=f"http://{self.host}" if origin == "" else origin,  # type: ignore[arg-type]
            proxy=None,
            **options,
        )


@asynccontextmanager
async def page_of(url: str, token_file: str | None = None) -> AsyncIterator[Page]:
    """A dashboard of a server, with the token of the environment unless there is a file."""
    warnings: list[str] = []
    target = Target(url=url, token_file=token_file)
    open_server = target.opener(tp.Codec(), warnings.append)
    async with Dashboard(open_server, place=target.place, topics=["missions"]) as dashboard:
        yield Page(dashboard)
    assert warnings == []


@pytest.fixture(autouse=True)
def _token(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TACHIKOMA_TOKEN", TOKEN)


async def refused_socket(page: Page, key: str, **options: Any) -> int:
    """The status that answers a handshake."""
    with pytest.raises(InvalidStatus) as caught:
        async with page.socket(key, **options):
            pass
    return caught.value.response.status_code


class TestFiles:
    @live
    async def test_the_page_has_all_that_it_refers_to_and_is_small(self) -> None:
        async with page_of("ws://127.0.0.1:1") as page:
            index = await page.get("/")
            names = re.findall(rb'(?:src|href)="\./([^"]+)"', index.body)
            assert len(names) == 3
            answers = [index] + [await page.get(f"/{name.decode()}") for name in names]
        assert {answer.status for answer in answers} == {200}
        assert [answer.headers["content-type"] for answer in answers] == [
            "text/html; charset=utf-8",
            "image/svg+xml",
            "text/javascript; charset=utf-8",
            "text/css; charset=utf-8",
        ]
        assert sum(len(answer.body) + 1024 for answer in answers) < MAX_PAGE

    @live
    async def test_the_page_may_use_nothing_but_what_is_served_here(self) -> None:
        async with page_of("ws://127.0.0.1:1") as page:
            answer = await page.get("/")
        assert answer.headers["content-security-policy"] == (
            f"default-src 'none'; base-uri 'none'; connect-src 'self' ws://{page.host}; "
            "form-action 'none'; frame-ancestors 'none'; img-src 'self'; "
            "require-trusted-types-for 'script'; script-src 'self'; style-src 'self'; "
            "trusted-types 'none'"
        )
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["x-frame-options"] == "DENY"
        assert answer.headers["cross-origin-resource-policy"] == "same-origin"
        assert answer.headers["referrer-policy"] == "no-referrer"
        assert "server" not in answer.headers

    @live
    async def test_nothing_else_is_served(self) -> None:
        async with page_of("ws://127.0.0.1:1") as page:
            for path in ("/nothing", "/../access.py", "/page/index.html", "//index.html"):
                assert (await page.get(path)).status == 404

    def test_the_files_ship_with_the_package(self) -> None:
        folder = Path(tp.__path__[0]) / "dashboard" / "page"
        names = {"dashboard.css", "dashboard.js", "icon.svg", "index.html", "licenses.txt"}
        assert {path.name for path in folder.iterdir()} == names


class TestAccess:
    @live
    async def test_the_secret_in_the_address_can_be_used_once(self) -> None:
        async with page_of("ws://127.0.0.1:1") as page:
            secret = page.secret
            key = await page.start_session()
            assert (await page.get("/session", f"Authorization: Bearer {secret}")).status == 401
            assert secret not in page.dashboard.address
            assert await page.start_session() != key
            for one in (key, await page.start_session()):
                assert (await page.about(one))["server"] == "ws://127.0.0.1:1"

    @live
    async def test_whoever_shows_the_address_learns_when_there_is_a_new_one(self) -> None:
        addresses: list[str] = []

        async def never() -> ClientConnection:
            raise AssertionError

        dashboard = Dashboard(
            never, place="", topics=(), on_opened=lambda: addresses.append(dashboard.address)
        )
        async with dashboard:
            page = Page(dashboard)
            await page.start_session()
            assert addresses == [dashboard.address]
            await page.get("/session", "Authorization: Bearer wrong")
            assert len(addresses) == 1

    @live
    async def test_neither_a_wrong_secret_nor_a_wrong_key_is_taken(self) -> None:
        async with page_of("ws://127.0.0.1:1") as page:
            key = await page.start_session()
            wrong = ["", "Bearer", "Bearer ", f"Bearer {key}x", f"Basic {key}", key, "Bearer \xff"]
            for authorization in [*wrong, f"Bearer {secrets.token_urlsafe(32)}"]:
                for path in ("/session", "/about"):
                    answer = await page.get(path, f"Authorization: {authorization}")
                    assert (answer.status, key.encode() in answer.body) == (401, False)
            for path in ("/session", "/about"):
                assert (await page.get(path)).status == 401
            assert (await page.get("/session", f"Authorization: Bearer {key}")).status == 401
            assert (await page.get("/about", f"Authorization: Bearer {page.secret}")).status == 401
            assert await refused_socket(page, "wrong") == 401
            assert await refused_socket(page, page.secret) == 401

    @live
    async def test_a_host_of_another_name_is_refused(self) -> None:
        async with page_of("ws://127.0.0.1:1") as page:
            key, port = await page.start_session(), page.host.split(":")[1]
            proof = f"Authorization: Bearer {key}"
            for host in (f"attacker.example:{port}", "127.0.0.1", "127.0.0.1:1", f"[::1]:{port}"):
                for path in ("/", "/about"):
                    assert (await page.get(path, proof, host=host)).status == 421
            twice = await page.get("/about", proof, f"Host: {page.host}")
            assert twice.status != 200
            assert (await page.get("/about", proof, host=f"localhost:{port}")).status == 200

    @live
    async def test_other_pages_are_refused_even_with_the_key(self) -> None:
        async with serving(make_server()) as url, page_of(url) as page:
            key, port = await page.start_session(), page.host.split(":")[1]
            proof = f"Authorization: Bearer {key}"
            others = [f"http://127.0.0.1:{int(port) - 1}", "http://attacker.example", "null"]
            others += [f"http://localhost:{port}", f"https://{page.host}", "http://127.0.0.1"]
            for origin in others:
                assert (await page.get("/about", proof, f"Origin: {origin}")).status == 403
                assert await refused_socket(page, key, origin=origin) == 403
            assert await refused_socket(page, key, origin=None) == 403
            for site in ("cross-site", "same-site", "none"):
                assert (await page.get("/about", proof, f"Sec-Fetch-Site: {site}")).status == 403
            own = (f"Origin: http://{page.host}", "Sec-Fetch-Site: same-origin")
            assert (await page.get("/about", proof, *own)).status == 200


class TestRelay:
    @live
    async def test_commands_replies_and_events_pass_and_the_token_does_not(self) -> None:
        server, codec = make_server(), tp.Codec()
        async with serving(server) as url, page_of(url) as page:
            key = await page.start_session()
            async with page.socket(key) as socket:
                assert socket.subprotocol == "tachikoma.dashboard"
                received = []
                for command in (
                    tp.GetSessionInfo(),
                    tp.GetMissionStatus(mission_id=MISSION),
                    tp.Subscribe(topic="missions"),
                ):
                    await socket.send(codec.encode(command))
                    received.append(str(await soon(socket.recv())))
                server.publish(tp.MissionStarted(mission_id=MISSION))
                received.append(str(await soon(socket.recv())))
        info, status, ack, event = [codec.decode_server_message(one).payload for one in received]
        assert isinstance(info, tp.SessionInfoResponse)
        assert info.authenticated
        assert isinstance(status, tp.MissionStatusResponse)
        assert ack == tp.AckResponse.ok()
        assert event == tp.MissionStarted(mission_id=MISSION)
        assert TOKEN not in "".join(received)
        assert "auth_result" not in "".join(received)

    @live
    async def test_what_the_server_refuses_is_told_to_the_page(self, tmp_path: Path) -> None:
        path = tmp_path / "token"
        path.write_text("wrong")
        async with serving(make_server()) as url, page_of(url, str(path)) as page:
            key = await page.start_session()
            assert (await page.about(key))["failure"] is None
            assert await refused_socket(page, key) == 502
            assert (await page.about(key))["failure"] == "the server refuses the token"
            path.write_text(f"{TOKEN}\n")  # which is read again for each connection
            async with page.socket(key):
                assert (await page.about(key))["failure"] is None
            path.unlink()
            assert await refused_socket(page, key) == 502
            failure = (await page.about(key))["failure"]
            assert failure == f"cannot connect to {url}: No such file or directory"

    @live
    async def test_a_server_that_is_not_there_is_told_to_the_page(self) -> None:
        async with serving(make_server()) as url:
            pass
        async with page_of(url) as page:
            key = await page.start_session()
            assert await refused_socket(page, key) == 502
            about = await page.about(key)
        assert about == {
            "server": url,
            "topics": ["missions"],
            "failure": f"cannot connect to {url}: Connection refused",
        }

    @live
    async def test_what_comes_before_the_answer_to_the_token_does_not_count(self) -> None:
        answers = [tp.AuthResponse(authenticated=True), tp.ErrorResponse.permission_denied()]

        async def handle(websocket: ServerConnection) -> None:
            asked = tp.Codec().decode_command(await websocket.recv())
            await websocket.send('{"type":"ping"}')
            await websocket.send(tp.Codec().encode(answers.pop(), reply_to=asked.id))
            await websocket.wait_closed()

        async with serve(handle, "127.0.0.1", 0) as listener:
            url = f"ws://127.0.0.1:{listener.sockets[0].getsockname()[1]}"
            async with page_of(url) as page:
                key = await page.start_session()
                assert await refused_socket(page, key) == 502
                why = "the server refuses the token: Permission denied"
                assert (await page.about(key))["failure"] == why
                async with page.socket(key):
                    assert (await page.about(key))["failure"] is None

    @pytest.mark.parametrize("answer", ["rubbish", None, "close"])
    def test_a_server_that_does_not_answer_the_token_is_given_up(
        self, answer: str | None, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("tachikoma_proto.dashboard.relay.OPEN_TIMEOUT", 0.1)

        async def handle(websocket: ServerConnection) -> None:
            await websocket.recv()
            if answer == "close":
                return
            if answer is not None:
                await websocket.send(answer)
            await websocket.wait_closed()

        @live
        async def run() -> None:
            async with serve(handle, "127.0.0.1", 0) as listener:
                url = f"ws://127.0.0.1:{listener.sockets[0].getsockname()[1]}"
                async with page_of(url) as page:
                    key = await page.start_session()
                    assert await refused_socket(page, key) == 502
                    failure = (await page.about(key))["failure"]
                assert failure == "the server did not answer the token"

        run()

    @live
    async def test_the_server_is_named_without_its_secrets(self) -> None:
        async with page_of("ws://127.0.0.1:1/path?key=s3cr3t") as page:
            key = await page.start_session()
            assert (await page.about(key))["server"] == "ws://127.0.0.1:1/path"

    @live
    async def test_without_a_token_none_is_sent(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delenv("TACHIKOMA_TOKEN")
        server = make_server(config=tp.ServerConfig(require_auth=False))
        async with serving(server) as url, page_of(url) as page:
            key = await page.start_session()
            async with page.socket(key) as socket:
                await socket.send(tp.Codec().encode(tp.GetSessionInfo()))
                assert '"authenticated":false' in str(await soon(socket.recv()))

    @live
    async def test_the_end_of_the_servers_connection_reaches_the_page(self) -> None:
        server = make_server()
        async with serving(server) as url, page_of(url) as page:
            key = await page.start_session()
            async with page.socket(key) as socket:
                (session,) = server.sessions
                session.close(1012, "restart")
                with pytest.raises(ConnectionClosed):
                    await soon(socket.recv())
                assert (socket.close_code, socket.close_reason) == (1012, "restart")
            await until(lambda: not server.sessions)
            async with page.socket(key) as socket:
                (session,) = server.sessions
                session.abort()
                with pytest.raises(ConnectionClosed):
                    await soon(socket.recv())
                lost = (1014, "the connection was lost")
                assert (socket.close_code, socket.close_reason) in (lost, (1011, ""))

    @live
    async def test_the_end_of_the_pages_connection_reaches_the_server(self) -> None:
        server = make_server()
        async with serving(server) as url, page_of(url) as page:
            key = await page.start_session()
            async with page.socket(key):
                assert len(server.sessions) == 1
            await until(lambda: not server.sessions)
            async with page.socket(key) as socket:
                socket.transport.abort()
                await until(lambda: not server.sessions)

    @live
    async def test_a_page_that_leaves_while_the_server_is_connected_to_leaves_nothing(self) -> None:
        server = make_server()
        may_go_on, connections = asyncio.Event(), []

        async with serving(server) as url:
            open_server = Target(url=url).opener(tp.Codec(), print)

            async def open_slowly() -> ClientConnection:
                connections.append(await open_server())
                await may_go_on.wait()
                return connections[0]

            async with Dashboard(open_slowly, place=url, topics=()) as dashboard:
                page = Page(dashboard)
                key = await page.start_session()
                opening = asyncio.create_task(page.socket(key).__aenter__())
                await until(lambda: connections)
                opening.cancel()
                await asyncio.wait((opening,))
                may_go_on.set()
                await soon(connections[0].wait_closed())
            await until(lambda: not server.sessions)

    @live
    async def test_a_page_that_does_not_read_is_disconnected_by_the_server(self) -> None:
        disconnected: list[None] = []

        class Noting(tp.Metrics):
            def slow_consumer_disconnected(self) -> None:
                disconnected.append(None)

        config = tp.ServerConfig(max_pending_bytes=2**20)
        server, codec = make_server(config=config, metrics=Noting()), tp.Codec()
        event = tp.MissionFailed(mission_id=MISSION, error=secrets.token_hex(100_000))
        async with tp.serve(server, "127.0.0.1", 0) as listener, page_of(listener.url) as page:
            key = await page.start_session()
            async with page.socket(key, max_queue=1) as deaf, page.socket(key) as other:
                for socket in (deaf, other):
                    await socket.send(codec.encode(tp.Subscribe(topic="missions")))
                    await soon(socket.recv())
                received = 0
                while not disconnected:
                    server.publish(event)
                    await soon(other.recv())
                    received += 1
                    assert received < 500, "what waits for the page is bounded"
                server.publish(event)
                assert codec.decode_server_message(await soon(other.recv())).payload == event
                deaf.transport.abort()

    @live
    async def test_leaving_the_block_ends_all_connections(self) -> None:
        server = make_server()
        async with serving(server) as url:
            async with page_of(url) as page:
                socket = await page.socket(await page.start_session())
            await soon(socket.wait_closed())
            assert socket.close_code == 1001
            await until(lambda: not server.sessions)


class TestCommand:
    @pytest.mark.parametrize(
        "command", [["dashboard", "ws://127.0.0.1:1"], ["demo", "--dashboard"]]
    )
    def test_it_prints_the_address_and_serves_until_interrupted(self, command: list[str]) -> None:
        process = started(*command, program=INTERRUPTIBLE)
        assert process.stdout is not None
        address = process.stdout.readline().strip()
        url, _, secret = address.partition("#")
        try:
            with urlopen(url, timeout=PATIENCE) as answer:
                assert b"dashboard.js" in answer.read()
            session = Request(f"{url}session", headers={"Authorization": f"Bearer {secret}"})
            with urlopen(session, timeout=PATIENCE) as answer:
                assert "key" in json.load(answer)
        finally:
            process.send_signal(signal.SIGINT)
            out, err = process.communicate(timeout=PATIENCE)
        assert (process.returncode, out) == (130, "")
        (line,) = without_debug(err)
        next_address = re.escape(url) + r"#[\w-]{43}"
        told = "tachikoma-proto: the page was opened; to open it once more: "
        assert re.fullmatch(told + next_address, line)
        assert secret not in line

    def test_the_demo_waits_for_its_page_and_goes_on_with_new_missions(self) -> None:
        process = started("demo", "--dashboard", "--speed", "50", program=INTERRUPTIBLE)
        assert process.stdout is not None
        url, _, secret = process.stdout.readline().strip().partition("#")
        try:
            session = Request(f"{url}session", headers={"Authorization": f"Bearer {secret}"})
            with urlopen(session, timeout=PATIENCE) as answer:
                key = json.load(answer)["key"]
            steer_the_demo(url.removeprefix("http://").rstrip("/"), key)
        finally:
            process.send_signal(signal.SIGINT)
            process.communicate(timeout=PATIENCE)

    def test_a_port_that_is_taken_is_an_error(self, capsys: pytest.CaptureFixture[str]) -> None:
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = str(taken.getsockname()[1])
            assert main(["dashboard", "ws://127.0.0.1:1", "--port", port]) == 2
        assert "address already in use" in capsys.readouterr().err.lower()

    @pytest.mark.parametrize("port", ["65536", "-1", "x", "", "٣"])
    def test_a_port_is_a_number(self, port: str, capsys: pytest.CaptureFixture[str]) -> None:
        assert main(["dashboard", "ws://127.0.0.1:1", f"--port={port}"]) == 2
        assert "expected a number from 0 to 65535" in capsys.readouterr().err

    def test_the_demo_takes_a_port_for_its_page_alone(
        self, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert main(["demo", "--port", "1"]) == 2
        assert capsys.readouterr().err == "tachikoma-proto: --port is for --dashboard\n"

    @live
    async def test_the_page_subscribes_to_the_topics_of_extensions_too(self) -> None:
        vaults = tp.Category("vault", topic="vaults")

        @vaults.event("opened")
        @frozen(kw_only=True)
        class VaultOpened(tp.Event):
            vault_id: UUID

        async def never() -> ClientConnection:
            raise AssertionError

        async with make_dashboard(never, "", tp.Registry([vaults]), 0) as dashboard:
            page = Page(dashboard)
            about = await page.about(await page.start_session())
        assert about["topics"] == ["missions", "forge_sessions", "system", "vaults"]

    def test_a_token_that_cannot_be_read_is_an_error_at_once(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        path = tmp_path / "token"
        path.write_text("")
        assert main(["dashboard", "ws://127.0.0.1:1", "--token-file", str(path)]) == 2
        assert capsys.readouterr().err == f"tachikoma-proto: there is no token in {path}\n"


@live
async def steer_the_demo(host: str, key: str) -> None:
    """Start and steer the demo's missions until there are new ones; then come again."""
    codec = tp.Codec()

    def open_socket() -> connect:
        protocols: Any = ["tachikoma.dashboard", key]
        origin: Any = f"http://{host}"
        return connect(f"ws://{host}/socket", subprotocols=protocols, origin=origin, proxy=None)

    async with open_socket() as page:
        for topic in ("missions", "forge_sessions", "system"):
            await page.send(codec.encode(tp.Subscribe(topic=topic)))
        missions: dict[UUID, str] = {}
        async for frame in page:
            match codec.decode_server_message(frame).payload:
                case tp.MissionCreated(mission_id=mission_id, name=name):
                    missions[mission_id] = name
                    if len(missions) == 3:
                        for other in list(missions)[1:]:
                            await page.send(codec.encode(tp.StartMission(mission_id=other)))
                case tp.ForgeLog(message="this will take a year"):
                    cancelled = list(missions)[2]
                    await page.send(codec.encode(tp.CancelMission(mission_id=cancelled)))
                case tp.ForgeLog(message="the migration wants to be looked at"):
                    # It waits while it runs, and so can be resumed.
                    waiting = next(iter(missions))
                    await page.send(codec.encode(tp.ResumeMission(mission_id=waiting)))
                case tp.AckResponse(success=success, message=message):
                    assert success, message
            if len(missions) == 6:
                break
    async with open_socket() as page:
        await page.send(codec.encode(tp.Subscribe(topic="missions")))
        await page.send(codec.encode(tp.Subscribe(topic="system")))
        found: dict[UUID, str] = {}
        async for frame in page:
            match codec.decode_server_message(frame).payload:
                case tp.MissionStatusChanged(mission_id=mission_id, new_status=status):
                    found.setdefault(mission_id, status)
                case tp.ServerStatus():
                    break
    assert list(found) == list(missions)
    assert list(found.values())[:3] == ["completed", "failed", "cancelled"]
