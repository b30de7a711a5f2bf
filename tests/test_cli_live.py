"""``demo``, ``watch`` and ``send``, as a user calls them, over real sockets."""

import asyncio
import json
import logging
import os
import re
import shlex
import signal
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

import tachikoma_proto as tp
from tachikoma_proto.cli import main
from tachikoma_proto.cli.output import brief, clock

pytest.importorskip("websockets")

from support.cli_process import (
    COMMAND,
    INTERRUPTIBLE,
    shown_on_a_terminal,
    started,
    wait_for,
    without_debug,
)
from support.cli_server import MISSION, OTHER, PATIENCE, TOKEN, ServerThread, progress, running
from support.cli_tls import server_context, write_certificate
from support.cli_vault import Box, FillVault, Lid, VaultOpened, vault
from websockets.exceptions import InvalidMessage
from websockets.sync.server import ServerConnection, serve as sync_serve

from tachikoma_proto.cli.demo.simulation import Mission, Simulation, Spec
from tachikoma_proto.cli.demo.transcript import Transcript
from tachikoma_proto.cli.options import CliError
from tachikoma_proto.cli.target import failure_reason
from tachikoma_proto.client.streams import (
    EventsMissed,
    Reconnected,
    SubscriptionLost,
    SubscriptionRestored,
)
from tachikoma_proto.testing import connect

DEMO = [*COMMAND, "demo", "--speed", "1000"]
ESCAPE = "\x1b["


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """A token, and no proxy between here and the loopback address."""
    for name in ("http_proxy", "https_proxy", "all_proxy", "ws_proxy", "socks_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    for name in ("NO_COLOR", "PYTHONUNBUFFERED"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("TACHIKOMA_TOKEN", TOKEN)


@pytest.fixture
def server() -> Iterator[ServerThread]:
    with running() as server:
        yield server


class TestDemo:
    def test_the_demo_shows_both_directions_typed_and_ends_by_itself(self) -> None:
        done = subprocess.run(DEMO, capture_output=True, text=True, timeout=PATIENCE)
        assert (done.returncode, without_debug(done.stderr)) == (0, [])
        assert ESCAPE not in done.stdout
        lines = done.stdout.splitlines()
        assert re.match(r" 0\.\d{3} client → server session_info  +GetSessionInfo\(\)", lines[2])
        assert "server → client ↳ error" in lines[3]
        assert "code='auth_required'" in lines[3]
        classes = {line[47:].partition("(")[0] for line in lines[2:]}
        events = "MissionCreated MissionStarted MissionProgress MissionStatusChanged"
        events += " MissionCompleted MissionFailed ForgeStarted ForgeLog ForgeTokenUsage"
        events += " ForgeToolExecution ForgeCompleted ServerStatus"
        commands = "Authenticate GetSessionInfo Subscribe StartMission PauseMission ResumeMission"
        commands += " CancelMission GetMissionStatus Ping ListSubscriptions Unsubscribe"
        assert {*events.split(), *commands.split()} <= classes
        assert "Authenticate(token=***)" in done.stdout
        assert re.search(r"MissionProgress\(mission_id=\w{4}…, current_spec='310'", done.stdout)
        assert lines[-1].startswith("all as it should be, in ")

    def test_the_demo_on_a_terminal_has_colours_and_keeps_to_the_width(self) -> None:
        status, shown = shown_on_a_terminal(DEMO, columns=80)
        assert status == 0, shown
        assert f"{ESCAPE}36mclient → server" in shown
        assert f"{ESCAPE}31m↳ error" in shown
        lines = [re.sub(r"\x1b\[\d+m", "", line) for line in without_debug(shown)]
        assert max(len(line) for line in lines[2:-3]) == 80
        assert any(line.endswith("…") for line in lines)

    def test_the_demo_has_no_colours_with_no_color(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("NO_COLOR", "1")
        status, shown = shown_on_a_terminal(DEMO, columns=200)
        assert status == 0, shown
        assert ESCAPE not in shown

    def test_the_demo_reports_an_event_that_is_missing(
        self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        publish = tp.Server.publish

        def lossy(server: tp.Server, event: tp.Event) -> int:
            return 0 if isinstance(event, tp.MissionFailed) else publish(server, event)

        monkeypatch.setattr(tp.Server, "publish", lossy)
        assert main(["demo", "--speed", "1000"]) == 1
        assert "every event arrived, in order" in capsys.readouterr().err

    def test_the_demo_reports_that_it_took_too_long(
        self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        monkeypatch.setattr("tachikoma_proto.cli.demo.performance.TIMEOUT", 0.1)
        monkeypatch.setattr(tp.Server, "publish", lambda *_: 0)
        assert main(["demo", "--speed", "1000"]) == 1
        assert capsys.readouterr().err == "tachikoma-proto: it took too long\n"

    def test_the_demo_reports_a_wrong_reply(
        self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        monkeypatch.setattr("hmac.compare_digest", lambda *_: True)
        assert main(["demo", "--speed", "1000"]) == 1
        assert "a wrong token is refused" in capsys.readouterr().err

    @pytest.mark.parametrize(
        ("answer", "text"),
        [
            (Mission("any", (Spec("1"),)), "GetMissionStatus is refused"),
            (tp.CommandError("invalid", "no"), "GetMissionStatus is refused with not_found"),
        ],
    )
    def test_the_demo_reports_a_command_that_is_not_refused_as_it_should_be(
        self,
        answer: Mission | tp.CommandError,
        text: str,
        monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        def mission(*_: object) -> Mission:
            if isinstance(answer, Exception):
                raise answer
            return answer

        monkeypatch.setattr(Simulation, "_mission", mission)
        assert main(["demo", "--speed", "1000"]) == 1
        assert capsys.readouterr().err.endswith(f"not as expected: {text}\n")

    def test_the_demo_raises_what_goes_wrong_as_it_shows_a_message(
        self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        def broken(*_: object) -> None:
            raise CliError("it cannot be shown")

        monkeypatch.setattr(Transcript, "_write", broken)
        assert main(["demo", "--speed", "1000"]) == 2
        assert "tachikoma-proto: it cannot be shown" in capsys.readouterr().err

    def test_the_simulated_missions_refuse_what_their_status_does_not_allow(self) -> None:
        async def outcomes() -> list[tp.AckResponse]:
            simulation = Simulation(tp.Codec(), TOKEN, UUID(int=1), step=0.001)
            async with simulation, connect(simulation.server, token=TOKEN) as client:
                simulation.create_missions()
                one = next(iter(simulation.missions))
                commands = [
                    tp.PauseMission(mission_id=one),
                    tp.ResumeMission(mission_id=one),
                    tp.CancelMission(mission_id=one),
                    tp.StartMission(mission_id=one),
                    tp.StartMission(mission_id=one),
                    tp.CancelMission(mission_id=one),
                    tp.CancelMission(mission_id=one),
                ]
                return [await client.request(command) for command in commands]

        *refused, started, again, cancelled, late = asyncio.run(outcomes())
        assert refused == [tp.AckResponse.failure("the mission is created")] * 3
        assert (started.success, again.success, cancelled.success) == (True, False, True)
        assert late == tp.AckResponse.failure("the mission is cancelled")

    def test_a_simulated_mission_that_fails_by_mistake_is_raised(self) -> None:
        async def broken() -> None:
            raise ZeroDivisionError("broken")

        async def run() -> None:
            async with Simulation(tp.Codec(), TOKEN, UUID(int=1), step=0) as simulation:
                simulation.create_missions()
                mission = next(iter(simulation.missions.values()))
                mission.task = asyncio.create_task(broken())
                await asyncio.wait((mission.task,))

        with pytest.raises(ZeroDivisionError, match="broken"):
            asyncio.run(run())

    def test_the_demo_can_be_interrupted(self) -> None:
        process = started("demo", "--speed", "0.1", program=INTERRUPTIBLE)
        wait_for(process.stdout, "ForgeStarted")
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=PATIENCE)
        assert (process.returncode, without_debug(err)) == (130, [])

    def test_the_reader_of_the_demos_output_may_go_away(self) -> None:
        slow = [*COMMAND, "demo", "--speed", "0.1"]
        with subprocess.Popen(slow, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
            assert process.stdout is not None
            assert process.stderr is not None
            process.stdout.readline()
            process.stdout.close()
            assert without_debug(process.stderr.read().decode()) == []
        assert process.returncode == 141


class TestWatch:
    def test_watch_in_a_pipe_prints_plain_lines(
        self, server: ServerThread, capsys: pytest.CaptureFixture[str]
    ) -> None:
        server.publish(progress(), tp.MissionFailed(mission_id=MISSION, error="bad\x1b[2J"), to=3)
        assert main(["watch", server.url, "--count", "2"]) == 0
        out, err = capsys.readouterr()
        first, second = out.splitlines()
        assert re.match(
            r"\d{4}-\d\d-\d\dT\S+Z  event.mission   MissionProgress\(mission_id=67", first
        )
        assert (
            r"MissionFailed(mission_id=67e55044-10b1-426f-9247-bb680e5fe0c8, error='bad\x1b[2J')"
            in second
        )
        assert ESCAPE not in out
        assert err == "tachikoma-proto: watching missions, forge_sessions, system\n"

    def test_watch_with_json_prints_frames(
        self, server: ServerThread, capsys: pytest.CaptureFixture[str]
    ) -> None:
        server.publish(progress(), tp.MissionStarted(mission_id=MISSION))
        assert main(["watch", server.url, "--json", "--topic", "missions", "--count", "2"]) == 0
        first, second = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
        assert tp.Codec().decode_server_message(json.dumps(first)).payload == progress()
        assert second["payload"] == {
            "category": "mission",
            "event": "started",
            "mission_id": str(MISSION),
        }

    def test_watch_passes_filters_on(
        self, server: ServerThread, capsys: pytest.CaptureFixture[str]
    ) -> None:
        wanted = tp.MissionCompleted(mission_id=MISSION, success=True, duration_seconds=1)
        server.publish(progress(OTHER), tp.MissionStarted(mission_id=MISSION), progress(), wanted)
        filters = [f"mission_id={MISSION}", "event_types=progress,failed", "event_types=completed"]
        command = ["watch", server.url, "--topic", "missions", "--count", "2"]
        for one in filters:
            command += ["--filter", one]
        assert main(command) == 0
        first, second = capsys.readouterr().out.splitlines()
        assert "MissionProgress(mission_id=67e5" in first
        assert "MissionCompleted(mission_id=67e5" in second

    @pytest.mark.parametrize(
        ("filters", "fault"),
        [
            (["mission_id=7"], "--filter mission_id: expected a UUID\n"),
            (
                ["mission_id=7", "session_id=7"],
                "--filter mission_id: expected a UUID\n  --filter session_id: expected a UUID\n",
            ),
            (["event_types=[7]"], "--filter event_types[0]: expected a string\n"),
            (["mission_id.x=7"], "--filter mission_id: it has no fields of its own"),
            (["color=red"], "--filter: no field 'color'; there are mission_id, "),
            ([f"mission_id={MISSION}"] * 2, "--filter mission_id: it is given twice\n"),
            (["progress"], "--filter is given as NAME=VALUE; one has no '='\n"),
        ],
    )
    def test_watch_refuses_bad_filters_before_it_connects(
        self, filters: list[str], fault: str, capsys: pytest.CaptureFixture[str]
    ) -> None:
        given = [part for one in filters for part in ("--filter", one)]
        assert main(["watch", "ws://localhost:1", *given]) == 2
        assert capsys.readouterr().err.startswith(f"tachikoma-proto: {fault}")

    def test_watch_refuses_a_topic_that_is_no_text(
        self, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert main(["watch", "ws://localhost:1", "--topic", "\udcff"]) == 2
        assert capsys.readouterr().err.startswith("tachikoma-proto: --topic: expected ")

    @pytest.mark.parametrize("option", [[], ["--plugins"]])
    def test_watch_warns_of_event_types_that_nobody_knows(
        self, server: ServerThread, option: list[str], capsys: pytest.CaptureFixture[str]
    ) -> None:
        server.publish(progress(), to=3)
        names = "event_types=progres,mission.progress,forge.created,progress"
        assert main(["watch", server.url, "--filter", names, "--count", "1", *option]) == 0
        *warnings, _ = capsys.readouterr().err.splitlines()
        head = "tachikoma-proto: --filter event_types: no known event is called"
        hint = "" if option else "; --plugins knows the messages of installed extensions"
        assert len(warnings) == 2
        assert warnings[0].startswith(f"{head} 'progres'; there are created, started, progress, ")
        assert warnings[1].startswith(f"{head} 'forge.created'; ")
        assert all(line.endswith(f"version_update{hint}") for line in warnings)

    def test_watch_ends_if_the_server_does_not_know_the_topic(
        self, server: ServerThread, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert main(["watch", server.url, "--topic", "weather"]) == 2
        err = capsys.readouterr().err
        assert err == "tachikoma-proto: weather cannot be watched: not_found: topic not found\n"

    def test_watch_survives_a_restart_of_the_server(self) -> None:
        with running() as server:
            process = started("watch", server.url, "--topic", "missions", "--count", "2")
            server.publish(tp.MissionCreated(mission_id=MISSION, name="first"))
            wait_for(process.stdout, "name='first'")  # it is flushed at once
        with running(server.port) as server:
            server.publish(tp.MissionCreated(mission_id=MISSION, name="second"))
            out, err = process.communicate(timeout=PATIENCE)
        assert process.returncode == 0
        assert "name='second'" in out
        assert "tachikoma-proto: the connection was lost" in err
        assert "tachikoma-proto: connected again at attempt" in err

    def test_watch_shows_what_was_published_while_it_was_not_connected(self) -> None:
        with running() as server:
            process = started("watch", server.url, "--topic", "missions", "--count", "2")
            server.publish(tp.MissionCreated(mission_id=MISSION, name="first"))
            wait_for(process.stdout, "name='first'")
            server.cut_and_publish(tp.MissionCreated(mission_id=MISSION, name="second"))
            out, err = process.communicate(timeout=PATIENCE)
        assert process.returncode == 0
        assert "name='second'" in out
        assert "tachikoma-proto: connected again at attempt 1\n" in err

    def test_watch_ends_if_its_token_is_no_longer_valid(self, tmp_path: Path) -> None:
        file = tmp_path / "token"
        file.write_text(TOKEN)
        with running() as server:
            process = started("watch", server.url, "--token-file", str(file))
            wait_for(process.stderr, "watching")
            file.write_text("wr0ng")
        with running(server.port):
            _, err = process.communicate(timeout=PATIENCE)
        assert process.returncode == 2
        assert "tachikoma-proto: the server no longer accepts the token: auth_required" in err
        assert "wr0ng" not in err
        assert "no longer takes the token" not in err, "it is said once"

    def test_watch_reports_topics_that_are_refused_after_a_reconnect(self) -> None:
        with running() as server:
            process = started("watch", server.url, "--count", "1")
            wait_for(process.stderr, "watching missions, forge_sessions, system")
        with running(server.port, refused_topics={"system"}):
            wait_for(process.stderr, "the server refuses system")
        with running(server.port) as server:
            wait_for(process.stderr, "connected again")
            server.publish(progress(), to=3)
            out, _ = process.communicate(timeout=PATIENCE)
        assert process.returncode == 0
        assert "MissionProgress" in out

    @pytest.mark.parametrize(
        ("notice", "text"),
        [
            (EventsMissed(count=3), "3 events came too fast, and are missing"),
            (
                SubscriptionLost(topic="system", code="x", message="not\x1bnow"),
                r"the server ended system: not\x1bnow",
            ),
            (SubscriptionRestored(topic="system"), "system is back; events may be missing"),
            (Reconnected(attempts=2), "connected again at attempt 2"),
            (
                Reconnected(attempts=2, lost=("missions", "system"), refused=("system",)),
                "connected again at attempt 2; events may be missing on missions, system; "
                "the server refuses system",
            ),
        ],
    )
    def test_watch_reports_the_notices_of_the_client(
        self,
        server: ServerThread,
        notice: tp.Event,
        text: str,
        monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        messages = tp.Client.messages

        def with_notice(client: tp.Client) -> AsyncIterator[tp.OutgoingMessage[Any]]:
            stream = messages(client)  # opened at the call, as the real one is

            async def noticing() -> AsyncIterator[tp.OutgoingMessage[Any]]:
                yield tp.OutgoingMessage(type="client", payload=notice)
                async for message in stream:
                    yield message

            return noticing()

        monkeypatch.setattr(tp.Client, "messages", with_notice)
        server.publish(progress(), to=3)
        assert main(["watch", server.url, "--count", "1"]) == 0
        out, err = capsys.readouterr()
        assert f"tachikoma-proto: {text}\n" in err
        assert len(out.splitlines()) == 1, "a notice is no event"

    def test_watch_can_be_interrupted(self, server: ServerThread) -> None:
        process = started("watch", server.url, program=INTERRUPTIBLE)
        wait_for(process.stderr, "watching")
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=PATIENCE)
        assert (process.returncode, out, without_debug(err)) == (130, "", [])

    def test_watch_on_a_terminal_shows_missions_as_bars(self, server: ServerThread) -> None:
        server.publish(
            tp.MissionCreated(mission_id=MISSION, name="rename"),
            progress(),
            progress(OTHER, 55.0),
            progress(percentage=80.0),
            tp.MissionFailed(mission_id=MISSION, error="no"),
            tp.MissionCompleted(mission_id=OTHER, success=True, duration_seconds=1),
            to=3,
        )
        status, shown = shown_on_a_terminal(
            [*COMMAND, "watch", server.url, "--count", "6"], columns=100
        )
        assert status == 0, shown
        plain = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", shown)
        for bar in ("rename +3/10 +330 +[━╸╺]+ +30%", "16fd2706 .*55%", "rename .*80%"):
            assert re.search(bar, plain), shown
        assert "\x1b[?25h" in shown, "the cursor is shown again"
        assert "MissionProgress" not in shown
        assert f"{ESCAPE}31mevent.mission" in shown

    def test_watch_on_a_terminal_shortens_times_and_ids(
        self, server: ServerThread, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("NO_COLOR", "1")
        server.publish(tp.MissionFailed(mission_id=MISSION, error=f"{OTHER} is late"), to=3)
        command = [*COMMAND, "watch", server.url, "--count", "1"]
        status, shown = shown_on_a_terminal(command, columns=120)
        assert status == 0, shown
        line = r"\d\d:\d\d:\d\d\.\d{3}  event\.mission   "
        line += r"MissionFailed\(mission_id=67e5…, error='16fd… is late'\)"
        assert re.search(line, shown), shown

    def test_times_on_a_terminal_are_local(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("TZ", "XYZ-05:30")
        time.tzset()
        try:
            assert clock(datetime(2026, 1, 2, 3, 4, 5, 678_999, UTC)) == "08:34:05.678"
            far = datetime.max.replace(tzinfo=timezone(timedelta(0)))
            assert clock(far) == "23:59:59.999"
        finally:
            monkeypatch.undo()
            time.tzset()

    def test_ids_in_unknown_messages_are_shortened_too(self) -> None:
        unknown = {"payload": {"id": str(MISSION), "number": 7}}
        assert brief(unknown, shortens_ids=True) == "{'payload': {'id': '67e5…', 'number': 7}}"
        assert brief(unknown) == repr(unknown)


class TestSend:
    def test_send_prints_the_typed_reply(
        self, server: ServerThread, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert main(["send", server.url, "mission_status", f"mission_id={MISSION}"]) == 0
        assert capsys.readouterr().out == (
            f"MissionStatusResponse(mission_id={MISSION}, status='running', completed_specs=3, "
            "total_specs=10, percentage=30.0)\n"
        )

    @pytest.mark.parametrize(
        ("fields", "status", "reply"),
        [
            (
                ["mission_pause", f"mission_id={MISSION}"],
                1,
                {
                    "type": "ack",
                    "payload": {"success": False, "message": "the mission is completed"},
                },
            ),
            (
                ["mission_status", f"mission_id={OTHER}"],
                1,
                {"type": "error", "payload": {"code": "not_found", "message": "mission not found"}},
            ),
            (
                ["subscribe", "topic=missions", "filters.event_types=progress,failed"],
                0,
                {"type": "ack", "payload": {"success": True}},
            ),
            (
                ["subscribe", "topic=system", 'filters={"event_types":["server_status"]}'],
                0,
                {"type": "ack", "payload": {"success": True}},
            ),
        ],
    )
    def test_send_with_json_prints_the_reply_as_json(
        self,
        server: ServerThread,
        capsys: pytest.CaptureFixture[str],
        fields: list[str],
        status: int,
        reply: Any,
    ) -> None:
        assert main(["send", server.url, "--json", *fields]) == status
        assert json.loads(capsys.readouterr().out) == reply

    @pytest.mark.parametrize(
        ("given", "fault"),
        [
            (["weather"], "there is no command 'weather'; there are subscribe, "),
            (["weather"], "ping; --plugins knows the messages of installed extensions\n"),
            (["mission_status", "mission_id=7"], "mission_status cannot be sent:\n  $.payload."),
            (["pong"], "there is no command 'pong'"),
            (["mission_status"], "$.payload.mission_id: expected a UUID"),
            (["mission_status", "mission_id=7"], "$.payload.mission_id: expected a UUID"),
            (["mission_status", "id=7"], "$.payload: no field 'id'; there are mission_id"),
            (["ping", "x=1"], "$.payload: no field 'x'; there are none"),
            (["subscribe", "topic.x=1"], "$.payload.topic: it has no fields"),
            (["subscribe", "topic=a", "topic=b"], "$.payload.topic: it is given twice"),
            (["subscribe", "topic=a", "filters=7"], "$.payload.filters: expected an object"),
            (["authenticate", f"token={TOKEN}"], "$.payload.token is secret"),
            (["authenticate", TOKEN], "a field is given as FIELD=VALUE"),
        ],
    )
    def test_send_refuses_bad_commands_before_it_connects(
        self, given: list[str], fault: str, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert main(["send", "ws://localhost:1", *given]) == 2
        out, err = capsys.readouterr()
        assert out == ""
        assert fault in err
        assert TOKEN not in err


def test_send_reports_a_reply_that_cannot_be_read(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("TACHIKOMA_TOKEN")
    codec = tp.Codec()

    def acknowledge(websocket: ServerConnection) -> None:
        for frame in websocket:
            request = codec.decode_command(frame)
            websocket.send(codec.encode(tp.AckResponse.ok(), reply_to=request.id))

    with sync_serve(acknowledge, "127.0.0.1", 0) as listener:
        thread = threading.Thread(target=listener.serve_forever)
        thread.start()
        port = listener.socket.getsockname()[1]
        try:
            assert main(["send", f"ws://127.0.0.1:{port}", "ping"]) == 2
        finally:
            listener.shutdown()
            thread.join(PATIENCE)
    assert "the reply cannot be read: " in capsys.readouterr().err


def untrusted(text: str) -> ssl.SSLCertVerificationError:
    error = ssl.SSLCertVerificationError(1, f"certificate verify failed: {text} (_ssl.c:1)")
    error.verify_message = text
    return error


class TestConnecting:
    """What ``watch`` and ``send`` do with the server and the token."""

    @pytest.mark.parametrize("command", [["watch"], ["send", "ping"]])
    def test_a_server_that_does_not_run_cannot_be_connected_to(
        self, command: list[str], capsys: pytest.CaptureFixture[str]
    ) -> None:
        with running() as server:
            url = server.url
        name, *more = command
        assert main([name, f"{url}/?key=k3y", *more]) == 2
        err = capsys.readouterr().err
        assert err == f"tachikoma-proto: cannot connect to {url}/: Connection refused\n"

    @pytest.mark.parametrize("command", [["watch"], ["send", "ping"]])
    def test_a_refused_token_is_reported(
        self,
        server: ServerThread,
        command: list[str],
        monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        monkeypatch.setenv("TACHIKOMA_TOKEN", "wr0ng")
        name, *more = command
        assert main([name, server.url, *more]) == 2
        err = capsys.readouterr().err
        assert err == f"tachikoma-proto: {server.url}: the server refuses the token\n"

    def test_a_token_file_is_read(
        self,
        server: ServerThread,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        monkeypatch.setenv("TACHIKOMA_TOKEN", "wr0ng")
        file = tmp_path / "token"
        file.write_text(f"{TOKEN}\n")
        command = ["send", server.url, "session_info", "--token-file", str(file)]
        assert main(command) == 0
        assert "authenticated=True" in capsys.readouterr().out
        file.write_text("\n")
        assert main(command) == 2
        assert capsys.readouterr().err == f"tachikoma-proto: there is no token in {file}\n"
        file.write_text(f"USER=me\nTOKEN={TOKEN}\n")
        assert main(command) == 2
        err = capsys.readouterr().err
        assert (
            err == f"tachikoma-proto: {file} holds more than one line, and so more than a token\n"
        )
        file.write_bytes(b"s3cr3t\xff")
        assert main(command) == 2
        assert capsys.readouterr().err == f"tachikoma-proto: {file} is not UTF-8 text\n"

    def test_the_end_of_the_line_is_no_part_of_a_token(
        self,
        server: ServerThread,
        monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        command = ["send", server.url, "session_info"]
        monkeypatch.setenv("TACHIKOMA_TOKEN", f"{TOKEN}\n")
        assert main(command) == 0
        assert "authenticated=True" in capsys.readouterr().out
        monkeypatch.setenv("TACHIKOMA_TOKEN", "s3cr3t\udcff")
        assert main(command) == 2
        err = capsys.readouterr().err
        assert err == "tachikoma-proto: the variable TACHIKOMA_TOKEN is not UTF-8 text\n"

    def test_without_a_token_commands_that_need_one_fail(
        self,
        server: ServerThread,
        monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        monkeypatch.delenv("TACHIKOMA_TOKEN")
        assert main(["send", server.url, "ping"]) == 0
        assert main(["send", server.url, "session_info"]) == 1
        assert "code='auth_required'" in capsys.readouterr().out
        assert main(["watch", server.url]) == 2
        assert "auth_required" in capsys.readouterr().err

    @pytest.mark.parametrize("url", ["localhost:1", "http://localhost", "ws://", "ws://[h"])
    def test_a_url_is_that_of_a_websocket(
        self, url: str, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert main(["send", url, "ping"]) == 2
        assert "a URL begins with ws:// or wss://" in capsys.readouterr().err

    @pytest.mark.parametrize("url", ["ws://h:99999", "ws://h:x", "wss://h:0", "ws://h:-1"])
    def test_a_port_is_from_1_to_65535(self, url: str, capsys: pytest.CaptureFixture[str]) -> None:
        assert main(["watch", url]) == 2
        err = capsys.readouterr().err
        assert err.endswith("the port of a URL is a number from 1 to 65535\n")

    def test_a_server_without_tls_is_reported(
        self, server: ServerThread, capsys: pytest.CaptureFixture[str]
    ) -> None:
        url = server.url.replace("ws://", "wss://")
        assert main(["send", url, "ping"]) == 2
        err = capsys.readouterr().err
        assert err.startswith(f"tachikoma-proto: cannot connect to {url}: ")
        assert err.endswith("; is it a wss:// server?\n")
        assert "Error" not in err

    @pytest.mark.parametrize(
        ("error", "scheme", "words"),
        [
            (ConnectionResetError(), "wss", "the connection was reset; is it a wss:// server?"),
            (
                ConnectionResetError(104, "Connection reset by peer"),
                "wss",
                "Connection reset by peer; is it a wss:// server?",
            ),
            (ConnectionResetError(), "ws", "the connection was reset"),
            (BrokenPipeError(), "ws", "the connection ended before it was open"),
            (EOFError(), "ws", "the connection ended before it was open"),
            (TimeoutError(), "ws", "it took too long"),
            (OSError(), "ws", "unknown reason (OSError)"),
            (OSError("bad\x1b"), "ws", r"bad\x1b"),
            (
                InvalidMessage("did not receive a valid HTTP response"),
                "ws",
                "did not receive a valid HTTP response; is it a ws:// server?",
            ),
            (
                ssl.SSLError(1, "[SSL: X] (_ssl.c:1)"),
                "wss",
                "no TLS: it failed; is it a wss:// server?",
            ),
            (
                untrusted("self-signed certificate"),
                "wss",
                "the server's certificate is not trusted: self-signed certificate",
            ),
        ],
    )
    def test_failures_to_connect_are_put_into_words(
        self, error: Exception, scheme: str, words: str
    ) -> None:
        assert failure_reason(error, f"{scheme}://localhost") == words


class TestTokens:
    """Where a token may come from."""

    ARGUMENTS = ("session_info", "--token-file")

    def send(self, server: ServerThread, path: str, **options: Any) -> str:
        done = subprocess.run(
            [*COMMAND, "send", server.url, *self.ARGUMENTS, path],
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            **options,
        )
        assert done.returncode == 0, done.stderr
        out: str = done.stdout
        return out

    @pytest.fixture(autouse=True)
    def _no_variable(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delenv("TACHIKOMA_TOKEN")

    @pytest.mark.parametrize("path", ["/dev/stdin", "-", "/dev/fd/0", "/proc/self/fd/0"])
    def test_a_token_can_come_from_standard_input(self, server: ServerThread, path: str) -> None:
        assert "authenticated=True" in self.send(server, path, input=f"{TOKEN}\n")

    def test_a_token_can_come_from_a_redirected_file(
        self, server: ServerThread, tmp_path: Path
    ) -> None:
        file = tmp_path / "token"
        file.write_text(TOKEN)
        for path in ("/dev/stdin", "-"):
            with file.open() as stdin:
                assert "authenticated=True" in self.send(server, path, stdin=stdin)

    def test_a_token_can_come_from_a_process_substitution(self, server: ServerThread) -> None:
        ours, theirs = os.pipe()
        os.write(theirs, TOKEN.encode())
        os.close(theirs)
        try:
            assert "authenticated=True" in self.send(server, f"/dev/fd/{ours}", pass_fds=[ours])
        finally:
            os.close(ours)

    def test_a_token_can_come_from_a_named_pipe(self, server: ServerThread, tmp_path: Path) -> None:
        pipe = tmp_path / "token"
        os.mkfifo(pipe)
        writer = threading.Thread(target=lambda: pipe.write_text(TOKEN))
        writer.start()
        assert "authenticated=True" in self.send(server, str(pipe))
        writer.join(PATIENCE)

    def test_a_byte_order_mark_is_no_part_of_a_token(
        self, server: ServerThread, tmp_path: Path
    ) -> None:
        file = tmp_path / "token"
        file.write_text(f"{TOKEN}\r\n", encoding="utf-8-sig")
        assert "authenticated=True" in self.send(server, str(file))

    def test_a_token_from_a_pipe_is_used_for_every_connection(self) -> None:
        with running() as server:
            process = subprocess.Popen(
                [*COMMAND, "watch", server.url, "--token-file", "/dev/stdin", "--count", "1"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
            assert process.stdin is not None
            process.stdin.write(TOKEN)
            process.stdin.close()
            process.stdin = None
            wait_for(process.stderr, "watching")
        with running(server.port) as server:
            server.publish(progress(), to=3)
            out, _ = process.communicate(timeout=PATIENCE)
        assert process.returncode == 0
        assert "MissionProgress" in out

    @pytest.mark.parametrize(
        ("path", "fault"), [("/nowhere/at/all", "No such file"), ("/", "Is a directory")]
    )
    def test_a_token_file_that_is_none_is_an_error(
        self, server: ServerThread, path: str, fault: str, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert main(["send", server.url, *self.ARGUMENTS, path]) == 2
        assert fault in capsys.readouterr().err


class TestTls:
    @pytest.fixture
    def server(self, tmp_path: Path) -> Iterator[ServerThread]:
        with running(tls=server_context(tmp_path)) as server:
            yield server

    def test_cafile_is_trusted(
        self, server: ServerThread, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        cafile = str(write_certificate(tmp_path))
        assert main(["send", server.url, "ping", "--cafile", cafile]) == 0
        assert capsys.readouterr().out.startswith("PongResponse(")
        server.publish(progress(), to=3)
        assert main(["watch", server.url, "--count", "1", "--cafile", cafile]) == 0

    def test_without_cafile_a_self_signed_certificate_is_not_trusted(
        self, server: ServerThread, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert main(["send", server.url, "ping"]) == 2
        err = capsys.readouterr().err
        assert "the server's certificate is not trusted: self-signed certificate" in err

    @pytest.mark.parametrize(
        ("content", "fault"),
        [(None, "No such file"), ("", "holds no certificates in PEM"), ("x", "holds no ")],
    )
    def test_cafile_must_hold_certificates(
        self,
        server: ServerThread,
        tmp_path: Path,
        content: str | None,
        fault: str,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        cafile = tmp_path / "empty.pem"
        if content is not None:
            cafile.write_text(content)
        assert main(["send", server.url, "ping", "--cafile", str(cafile)]) == 2
        assert fault in capsys.readouterr().err

    def test_cafile_is_for_wss_only(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        cafile = str(write_certificate(tmp_path))
        assert main(["send", "ws://localhost:1", "ping", "--cafile", cafile]) == 2
        assert capsys.readouterr().err.endswith("error: --cafile is for wss:// URLs\n")


class TestRequestHeaders:
    def test_headers_and_origin_are_sent(self, server: ServerThread) -> None:
        options = ["--header", "X-Team: tachikoma", "--header", "X-Team:9", "--header", "X-None:"]
        options += ["--origin", "https://tachikoma.example"]
        assert main(["send", server.url, "ping", *options]) == 0
        (request,) = server.requests
        assert request.headers.get_all("X-Team") == ["tachikoma", "9"]
        assert request.headers["X-None"] == ""
        assert request.headers["Origin"] == "https://tachikoma.example"

    def test_credentials_in_a_header_are_warned_of(
        self, server: ServerThread, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert main(["send", server.url, "ping", "--header", "Cookie: s3cr3t=1"]) == 0
        (request,) = server.requests
        assert request.headers["Cookie"] == "s3cr3t=1"
        assert capsys.readouterr().err == (
            "tachikoma-proto: other users can see the arguments of a process, and so the header "
            "Cookie\n"
        )

    def test_a_password_in_the_url_is_warned_of(
        self, server: ServerThread, capsys: pytest.CaptureFixture[str]
    ) -> None:
        url = server.url.replace("://", "://me:s3cr3t@")
        assert main(["send", url, "ping"]) == 0
        (request,) = server.requests
        assert request.headers["Authorization"].startswith("Basic ")
        err = capsys.readouterr().err
        assert "and so the password in the URL" in err
        assert "s3cr3t" not in err

    @pytest.mark.parametrize(
        "header", ["", "X", ": x", "X Y: z", "X: a\r\nY: b", "X: \x00", "X: ü", "X\n: y"]
    )
    def test_a_header_has_a_name_and_printable_text(
        self, header: str, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert main(["send", "ws://localhost:1", "ping", "--header", header]) == 2
        assert "a header is given as 'NAME: VALUE'" in capsys.readouterr().err

    @pytest.mark.parametrize("origin", ["", "host", "https://", "https://a b", "https://a/", "x:y"])
    def test_an_origin_is_a_scheme_and_a_host(
        self, origin: str, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert main(["send", "ws://localhost:1", "ping", "--origin", origin]) == 2
        assert "an origin is a scheme and a host" in capsys.readouterr().err


class TestRefusedTopics:
    def test_watch_without_topics_leaves_out_a_refused_one(
        self, capsys: pytest.CaptureFixture[str]
    ) -> None:
        with running(refused_topics={"forge_sessions"}) as server:
            server.publish(progress(), to=2)
            assert main(["watch", server.url, "--count", "1"]) == 0
        out, err = capsys.readouterr()
        assert "MissionProgress" in out
        assert err.splitlines() == [
            "tachikoma-proto: forge_sessions cannot be watched: permission_denied: "
            "Permission denied",
            "tachikoma-proto: watching missions, system",
        ]

    def test_watch_ends_if_a_topic_that_was_asked_for_is_refused(
        self, capsys: pytest.CaptureFixture[str]
    ) -> None:
        with running(refused_topics={"system"}) as server:
            topics = ["--topic", "missions", "--topic", "system"]
            assert main(["watch", server.url, *topics]) == 2
        assert "system cannot be watched: permission_denied" in capsys.readouterr().err

    def test_watch_ends_if_a_topic_is_not_acknowledged(
        self,
        server: ServerThread,
        monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        answers = iter([tp.AckResponse.failure("not\x1bnow"), tp.AckResponse(success=False)])

        async def subscribe(*_: object, **__: object) -> tp.AckResponse:
            return next(answers)

        monkeypatch.setattr(tp.Client, "subscribe", subscribe)
        for reason in (r"not\x1bnow", "refused"):
            assert main(["watch", server.url, "--topic", "missions"]) == 2
            err = capsys.readouterr().err
            assert err == f"tachikoma-proto: missions cannot be watched: {reason}\n"

    def test_watch_ends_if_every_topic_is_refused(self, capsys: pytest.CaptureFixture[str]) -> None:
        with running(refused_topics={"missions", "forge_sessions", "system"}) as server:
            assert main(["watch", server.url]) == 2
        assert "the server refuses every topic" in capsys.readouterr().err

    def test_watch_without_topics_leaves_out_those_that_the_server_lacks(
        self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        registry = tp.Registry([vault])
        monkeypatch.setattr(tp.Registry, "discover", lambda: registry)
        with running() as server:
            server.publish(progress(), to=3)
            assert main(["watch", "--plugins", server.url, "--count", "1"]) == 0
        err = capsys.readouterr().err
        assert "vaults cannot be watched: not_found" in err
        assert err.endswith("watching missions, forge_sessions, system\n")


class TestVerbosity:
    @pytest.mark.parametrize(
        ("before", "after", "shown"),
        [
            ([], [], ["warning"]),
            (["-v"], [], ["warning", "info"]),
            ([], ["-v"], ["warning", "info"]),
            (["--verbose"], ["--verbose"], ["warning", "info", "debug"]),
            (["-vv"], [], ["warning", "info", "debug"]),
        ],
    )
    def test_verbose_shows_more_of_the_librarys_log(
        self,
        before: list[str],
        after: list[str],
        shown: list[str],
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        log = logging.getLogger("tachikoma_proto")
        handlers: tp.Dispatcher[tp.Session] = tp.Dispatcher()

        @handlers.handler(tp.PauseMission)
        def pause(_: tp.PauseMission, __: tp.Session) -> tp.AckResponse:
            for name in ("warning", "info", "debug"):
                getattr(log.getChild("test"), name)(f"at the level {name}")
            return tp.AckResponse.ok()

        with running(handlers=handlers) as server:
            fields = [f"mission_id={MISSION}"]
            assert main([*before, "send", *after, server.url, "mission_pause", *fields]) == 0
        lines = [line for line in capsys.readouterr().err.splitlines() if "at the level" in line]
        assert lines == [f"tachikoma-proto: at the level {name}" for name in shown]
        assert log.level == logging.NOTSET, "it is as it was"


class TestNarrowTerminals:
    """Nothing is wider than a terminal of 40 columns, and it is still of use."""

    def lines_of(self, shown: str) -> list[str]:
        plain = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", shown)
        return [line for line in re.split(r"[\r\n]+", plain) if not line.startswith("Executing <")]

    def test_the_demo_fits_40_columns(self) -> None:
        status, shown = shown_on_a_terminal(DEMO, columns=40)
        assert status == 0, shown
        lines = [line for line in self.lines_of(shown) if re.match(r" \d+\.\d{3} [→←] ", line)]
        assert max(map(len, lines)) == 40
        assert any("→ GetSessionInfo()" in line for line in lines)
        assert any("← ErrorResponse(code='auth" in line for line in lines)

    def test_watch_fits_40_columns(self, server: ServerThread) -> None:
        failed = tp.MissionFailed(mission_id=OTHER, error="no")
        server.publish(
            tp.MissionCreated(mission_id=MISSION, name="rename it all"), failed, progress(), to=3
        )
        command = [*COMMAND, "watch", server.url, "--count", "3"]
        status, shown = shown_on_a_terminal(command, columns=40)
        assert status == 0, shown
        lines = self.lines_of(shown)
        assert any(re.match(r"\d\d:\d\d:\d\d  MissionFailed\(", line) for line in lines), shown
        bars = [line for line in lines if re.match(r"rename it a(…|ll) 3/10", line)]
        assert bars, shown
        assert all(line.rstrip().endswith("30%") and len(line) <= 40 for line in bars)

    @pytest.mark.parametrize(
        "command", ["", "demo", "inspect", "types", "watch", "send", "dashboard"]
    )
    def test_help_fits_40_columns(self, command: str) -> None:
        status, shown = shown_on_a_terminal([*COMMAND, *command.split(), "--help"], columns=40)
        assert status == 0, shown
        head, _, examples = shown.partition("Examples:")
        _, _, end = examples.partition("Exit status:")
        assert max(map(len, (head + end).splitlines())) <= 40, "only examples are whole"

    def test_types_fits_40_columns(self) -> None:
        status, shown = shown_on_a_terminal([*COMMAND, "types"], columns=40)
        assert status == 0, shown
        lines = shown.splitlines()
        assert max(map(len, lines)) <= 40
        found = lines.index("mission_status")
        assert lines[found + 1 : found + 5] == [
            "    from client, mission.get_status",
            "    mission_id: uuid",
            "    reply: mission_status_result; owner:",
            "        tachikoma_proto",
        ]


class TestExtensions:
    """What ``--plugins`` adds, for a category whose fields are of many kinds."""

    @pytest.fixture
    def vault_server(self, monkeypatch: pytest.MonkeyPatch) -> Iterator[ServerThread]:
        registry = tp.Registry([vault])
        monkeypatch.setattr(tp.Registry, "discover", lambda: registry)
        handlers: tp.Dispatcher[tp.Session] = tp.Dispatcher()

        @handlers.handler(FillVault)
        def fill(command: FillVault, _: tp.Session) -> tp.AckResponse:
            return tp.AckResponse.ok(repr(command))

        with running(handlers=handlers, registry=registry) as server:
            yield server

    def test_send_reads_values_by_the_types_of_fields(
        self, vault_server: ServerThread, capsys: pytest.CaptureFixture[str]
    ) -> None:
        given = ["name=7", "count=7", "lid=shut", "sizes=[1,2]", "labels=a,b", 'labels=["c,d"]']
        given += ["due=2026-01-02T03:04:05Z", "box.name=true", 'notes={"a":[null]}']
        command = ["send", "--plugins", "--json", vault_server.url, "vault_fill", *given]
        assert main(command) == 0
        wanted = FillVault(
            name="7",
            count=7,
            lid=Lid.SHUT,
            sizes=(1, 2),
            labels=("a", "b", "c,d"),
            due=datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC),
            box=Box(name="true"),
            notes={"a": [None]},
        )
        assert json.loads(capsys.readouterr().out)["payload"]["message"] == repr(wanted)

    @pytest.mark.parametrize(
        ("given", "fault"),
        [
            ("count=many", "$.payload.count: expected an integer from 0 to 4294967295"),
            ("lid=ajar", "$.payload.lid: expected "),
            ("notes={", "$.payload.notes: expected JSON"),
            ("box.code=hush", "$.payload.box.code is secret"),
            ('box={"name":"a","code":"hush"}', "$.payload.box is secret"),
        ],
    )
    def test_send_refuses_bad_values_and_secrets(
        self,
        given: str,
        fault: str,
        vault_server: ServerThread,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        command = ["send", "--plugins", vault_server.url, "vault_fill", "name=a", given]
        assert main(command) == 2
        err = capsys.readouterr().err
        assert fault in err
        assert "hush" not in err

    @pytest.mark.parametrize("option", ["--json", "--plugins"])
    def test_watch_masks_secrets_of_extensions(
        self, option: str, vault_server: ServerThread, capsys: pytest.CaptureFixture[str]
    ) -> None:
        vault_server.publish(VaultOpened(box=Box(name="a", code="hush")), to=4)
        assert main(["watch", "--plugins", vault_server.url, "--count", "1", option]) == 0
        out, err = capsys.readouterr()
        assert "hush" not in out
        assert "***" in out
        assert err.endswith("watching missions, forge_sessions, system, vaults\n")

    def test_watch_shows_what_it_does_not_know_with_a_hint(
        self, vault_server: ServerThread, capsys: pytest.CaptureFixture[str]
    ) -> None:
        vault_server.publish(*[VaultOpened(box=Box(name="a"))] * 2)
        assert main(["watch", vault_server.url, "--topic", "vaults", "--count", "2"]) == 0
        out, err = capsys.readouterr()
        assert "UnknownEvent(type='event.vault', category='vault'" in out
        assert err.count("; --plugins knows the messages of installed extensions\n") == 1

    def test_plugins_is_not_hinted_at_where_it_is_given(
        self, vault_server: ServerThread, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert main(["send", "--plugins", vault_server.url, "weather"]) == 2
        assert capsys.readouterr().err.endswith(", ping, vault_fill\n")


def test_the_readmes_examples_run(server: ServerThread, capsys: pytest.CaptureFixture[str]) -> None:
    readme = Path(__file__).parent.parent / "README.md"
    (block,) = re.findall(r"^```sh\n(.*?)^```$", readme.read_text(), re.MULTILINE | re.DOTALL)
    watch, *sends = [
        shlex.split(line.replace("ws://localhost:8765", server.url))[1:]
        for line in block.splitlines()
        if line.startswith("tachikoma-proto ")
    ]
    server.publish(progress())
    assert main([*watch, "--count", "1"]) == 0
    for send in sends:
        assert main(send) == 0
    assert "MissionStatusResponse" in capsys.readouterr().out


@pytest.mark.parametrize(
    "command",
    [
        ["demo"],
        ["demo", "--dashboard"],
        ["watch", "ws://h"],
        ["send", "ws://h", "ping"],
        ["dashboard", "ws://h"],
    ],
)
def test_commands_that_connect_say_that_websockets_is_missing(
    command: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "websockets.asyncio.client", None)
    assert main(command) == 2
    err = capsys.readouterr().err
    assert err == "tachikoma-proto: this needs websockets: pip install 'tachikoma-proto[cli]'\n"


def test_types_imports_nothing_of_the_network() -> None:
    code = "import sys, tachikoma_proto.cli as c; c.main(['types']); print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    loaded = done.stdout.splitlines()[-1].split()
    costly = {"asyncio", "importlib.metadata", "ssl", "tachikoma_proto.client"}
    assert not {*costly, "websockets"} & set(loaded)
