"""The command ``tachikoma-proto``, as a user calls it."""

import importlib.metadata
import io
import json
import os
import pty
import subprocess
import sys
import termios
from pathlib import Path
from typing import Any

import pytest
from support.cli_process import shown_on_a_terminal

import tachikoma_proto as tp
from tachikoma_proto.cli import main
from tachikoma_proto.cli.capture import lines
from tachikoma_proto.cli.progress import LARGE

GOOD = '{"type":"ping"}'
BAD = '{"type":"unsubscribe","payload":{"topic":5}}'
COMMAND = [sys.executable, "-m", "tachikoma_proto"]


@pytest.fixture
def capture(tmp_path: Path) -> Path:
    return tmp_path / "capture.jsonl"


def read_terminal(terminal: int) -> bytes:
    try:
        return os.read(terminal, 2**16)
    except OSError:  # how Linux says that the other end is closed
        return b""


def refused(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    """Give what is said of arguments that are wrong."""
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 2
    out, err = capsys.readouterr()
    assert out == ""
    return err


def inspect_json(path: Path, capsys: pytest.CaptureFixture[str], *more: str) -> list[Any]:
    main(["inspect", "--json", *more, str(path)])
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


class TestInspect:
    def test_good_frames_are_shown_typed(
        self, capture: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        capture.write_text(f"{GOOD}\n\n{tp.Codec().encode(tp.AckResponse.ok())}\r\n")
        assert main(["inspect", str(capture)]) == 0
        out = capsys.readouterr().out
        assert "     1  client  ping                    Ping()" in out
        assert "     3  server  ack                     AckResponse(success=True, " in out
        assert "2 frames, 2 read, 0 bad" in out

    def test_bad_frames_are_shown_with_their_faults(
        self, capture: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        capture.write_text(f"{BAD}\nnonsense\n{BAD}\n{GOOD}")
        assert main(["inspect", str(capture)]) == 1
        out = capsys.readouterr().out
        assert "     1  client  unsubscribe             BAD invalid_message" in out
        assert "          $.payload.topic: expected a string" in out
        assert "     2  ?       -                       BAD invalid_message" in out
        assert "4 frames, 1 read, 3 bad" in out
        assert "client  unsubscribe       2    2" in out
        assert "invalid_message  $.payload.topic: expected a string" in out

    def test_only_bad_frames(self, capture: Path, capsys: pytest.CaptureFixture[str]) -> None:
        capture.write_text(f"{GOOD}\n{BAD}\n")
        main(["inspect", "--bad-only", str(capture)])
        out = capsys.readouterr().out
        assert "Ping()" not in out
        assert "unsubscribe" in out

    def test_several_files_and_standard_input(
        self, capture: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        capture.write_text(GOOD)
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(BAD.encode())))
        assert main(["inspect", str(capture), "-"]) == 1
        out = capsys.readouterr().out
        assert f"{capture}:1  client  ping" in out
        assert "-:1  client  unsubscribe" in out
        assert "2 frames, 1 read, 1 bad" in out

    def test_for_machines(self, capture: Path, capsys: pytest.CaptureFixture[str]) -> None:
        capture.write_text(f"{GOOD}\n{BAD}\n")
        good, bad, summary = inspect_json(capture, capsys)
        assert good == {
            "source": None,
            "line": 1,
            "sender": "client",
            "type": "ping",
            "class": "Ping",
            "message": {"type": "ping", "payload": {"category": "session", "command": "ping"}},
        }
        assert bad["error"] == {
            "code": "invalid_message",
            "message": "$.payload.topic: expected a string",
            "message_id": None,
            "errors": [{"path": "$.payload.topic", "expected": "a string"}],
        }
        assert (summary["summary"]["frames"], summary["summary"]["bad"]) == (2, 1)

    def test_who_sent_a_frame(self, capture: Path, capsys: pytest.CaptureFixture[str]) -> None:
        unknown = '"id":"0190b5a4-7c3e-7d52-8f0a-1b2c3d4e5f60","timestamp":"2026-01-02T03:04:05Z"'
        frames = [GOOD, '{"type":"pong"}', tp.Codec().encode(tp.PongResponse.now())]
        frames += [f'{{"type":"event.weather","payload":{{"event":"rain"}},{unknown}}}']
        frames += [f'{{"type":"brand_new",{unknown}}}', '{"type":"brand_new"}']
        capture.write_text("\n".join(frames))
        *found, _ = inspect_json(capture, capsys)
        assert [(one["sender"], one.get("class")) for one in found] == [
            ("client", "Ping"),
            ("client", "Pong"),
            ("server", "PongResponse"),
            ("server", "UnknownEvent"),
            (None, "UnknownMessage"),
            (None, None),
        ]

    def test_who_sent_it_may_be_said(
        self, capture: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        capture.write_text(GOOD)
        (found, _) = inspect_json(capture, capsys, "--from", "server")
        assert (found["sender"], found["class"]) == ("server", "Ping")
        capture.write_text('{"type":"brand_new"}')
        (found, _) = inspect_json(capture, capsys, "--from", "client")
        assert found["error"]["code"] == "unknown_message"

    @pytest.mark.parametrize("options", [[], ["--json"]])
    def test_secrets_are_masked(
        self, capture: Path, capsys: pytest.CaptureFixture[str], options: list[str]
    ) -> None:
        capture.write_text(tp.Codec().encode(tp.Authenticate(token="s3cr3t-t0ken")))
        assert main(["inspect", *options, str(capture)]) == 0
        out = capsys.readouterr().out
        assert "s3cr3t" not in out
        assert "***" in out

    def test_a_line_over_the_limit_takes_no_more_memory_than_the_limit(
        self, capture: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        capture.write_bytes(b"x" * 300_000 + b"\n" + GOOD.encode())
        with capture.open("rb") as stream:
            found = list(lines(stream, 1000))
        assert [(number, size) for number, _, size in found] == [(1, 300_001), (2, len(GOOD))]
        assert len(found[0][1]) <= 1003
        large, good, _ = inspect_json(capture, capsys, "--max-size", "1000")
        assert large["error"]["code"] == "message_too_large"
        assert good["class"] == "Ping"

    def test_a_frame_of_just_the_limit_is_read(
        self, capture: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        capture.write_bytes(GOOD.encode() + b"\r\n")
        good, _ = inspect_json(capture, capsys, "--max-size", str(len(GOOD)))
        assert good["class"] == "Ping"

    def test_made_up_types_and_faults_are_not_counted_apart_without_end(
        self, capture: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        frames = [f'{{"type":"made_up_{i}"}}' for i in range(500)]
        frames += [f'{{"type":"ping","k{i}":1,"k{i}":2}}' for i in range(500)]
        capture.write_text("\n".join(frames))
        *_, summary = inspect_json(capture, capsys)
        assert len(summary["summary"]["types"]) == 1
        assert len(summary["summary"]["faults"]) <= 201

    def test_a_file_that_is_not_there(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert main(["inspect", "/nowhere/at/all"]) == 2
        assert "No such file" in capsys.readouterr().err

    def test_wrong_usage(self) -> None:
        with pytest.raises(SystemExit) as caught:
            main(["inspect", "--from", "nobody"])
        assert caught.value.code == 2

    def test_the_reader_of_the_output_may_go_away(self, capture: Path) -> None:
        capture.write_text(f"{GOOD}\n" * 20_000)
        with subprocess.Popen(
            [*COMMAND, "inspect", str(capture)], stdout=subprocess.PIPE, stderr=subprocess.PIPE
        ) as process:
            assert process.stdout is not None
            assert process.stderr is not None
            process.stdout.readline()
            process.stdout.close()
            assert process.stderr.read() == b""
        assert process.returncode == 141

    def test_a_bar_on_a_terminal_when_the_input_is_large(self, capture: Path) -> None:
        bad = BAD.replace("5", "[" + "5," * 50_000 + "5]")
        frames = LARGE // len(bad) + 1
        capture.write_text(f"{bad}\n" * frames)
        terminal, inside = pty.openpty()
        termios.tcsetwinsize(inside, (25, 80))
        result = capture.with_suffix(".out")
        with result.open("wb") as out:
            process = subprocess.Popen(
                [*COMMAND, "inspect", str(capture)], stdout=out, stderr=inside
            )
        os.close(inside)
        shown = b"".join(iter(lambda: read_terminal(terminal), b""))
        os.close(terminal)
        assert process.wait() == 1
        assert b"100%" in shown, "tqdm shows how far it is"
        assert f"{frames} frames, 0 read, {frames} bad".encode() in result.read_bytes()

    def test_no_bar_for_small_input_or_without_a_terminal(self, capture: Path) -> None:
        capture.write_text(GOOD)
        done = subprocess.run([*COMMAND, "inspect", str(capture)], check=True, capture_output=True)
        assert done.stderr == b""


class TestTypes:
    def test_every_message_has_its_row(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert main(["types", "--json"]) == 0
        rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
        assert len(rows) == len(list(tp.Registry()))
        assert {
            "type": "subscribe",
            "direction": "from client",
            "category": "subscription",
            "tag": "subscribe",
            "fields": [
                "topic: str",
                "filters?: {mission_id?: uuid, session_id?: uuid, event_types?: [str]}",
            ],
            "reply": "ack",
            "owner": "tachikoma_proto",
        } in rows
        (authenticate,) = [row for row in rows if row["type"] == "authenticate"]
        assert authenticate["fields"] == ["token: str (secret)"]

    def test_the_table(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert main(["types"]) == 0
        head, *rows = capsys.readouterr().out.splitlines()
        assert head.split() == "type direction category tag fields reply owner".split()
        assert len({row.index("from ") for row in rows}) == 1, "columns are aligned"

    def test_on_a_terminal_it_keeps_to_the_width(self) -> None:
        status, shown = shown_on_a_terminal([*COMMAND, "types"], columns=80)
        head, *lines = shown.splitlines()
        assert status == 0
        assert head.split() == "type direction category tag".split()
        assert max(map(len, [head, *lines])) <= 80
        found = lines.index("subscribe              from client  subscription  subscribe")
        assert lines[found + 1 : found + 4] == [
            "    topic: str, filters?: {mission_id?: uuid, session_id?: uuid, event_types?:",
            "        [str]}",
            "    reply: ack; owner: tachikoma_proto",
        ]

    def test_on_a_wide_terminal_it_is_the_table(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert main(["types"]) == 0
        status, shown = shown_on_a_terminal([*COMMAND, "types"], columns=400)
        assert (status, shown) == (0, capsys.readouterr().out)


class TestArguments:
    """What is true of the arguments of every subcommand."""

    @pytest.mark.parametrize(
        "arguments",
        [
            ["--token", "s3cr3t", "watch", "ws://h"],
            ["watch", "ws://h", "--token", "s3cr3t"],
            ["watch", "ws://h", "--token=s3cr3t"],
            ["watch", "ws://h", "--token"],
            ["watch", "--token", "s3cr3t"],
            ["send", "ws://h", "--token", "s3cr3t", "ping"],
            ["send", "ws://h", "ping", "--token=s3cr3t"],
        ],
    )
    def test_a_token_is_none(
        self, arguments: list[str], capsys: pytest.CaptureFixture[str]
    ) -> None:
        err = refused(arguments, capsys)
        assert err.splitlines()[-1].endswith(
            "a token is never an argument: other users can see the arguments of a process; "
            "a token goes into the variable TACHIKOMA_TOKEN, or a file and --token-file"
        )
        assert "s3cr3t" not in err
        assert "--token " not in err, "it is hidden"

    @pytest.mark.parametrize(
        ("arguments", "shown"),
        [
            (["watch", "ws://h", "--tok", "s3cr3t"], "--tok, 1 not shown"),
            (["send", "ws://h", "--tok=s3cr3t", "ping"], "--tok"),
            (["watch", "ws://h", "s3cr3t", "s3cr3t=="], "2 not shown"),
            (["watch", "ws://h", "mission_id=s3cr3t"], "mission_id"),
            (["demo", "--token", "s3cr3t"], "--token, 1 not shown"),
            (["demo", "--speed", "1", "--pl"], "--pl"),
            (["inspect", "--bad", "s3cr3t"], "--bad"),
        ],
    )
    def test_none_is_abbreviated_and_what_is_not_known_is_not_shown(
        self, arguments: list[str], shown: str, capsys: pytest.CaptureFixture[str]
    ) -> None:
        err = refused(arguments, capsys)
        assert err.endswith(f"error: unrecognized arguments: {shown}\n")
        assert "s3cr3t" not in err

    def test_which_are_missing(self, capsys: pytest.CaptureFixture[str]) -> None:
        err = refused(["send"], capsys)
        assert err.endswith("the following arguments are required: URL, TYPE\n")


class TestVersion:
    def test_it_is_the_distributions(self, capsys: pytest.CaptureFixture[str]) -> None:
        with pytest.raises(SystemExit) as caught:
            main(["--version"])
        assert caught.value.code == 0
        version = importlib.metadata.version("tachikoma-proto")
        assert capsys.readouterr().out == f"tachikoma-proto {version}\n"

    def test_there_is_none_of_what_is_not_installed(
        self, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def version(name: str) -> str:
            raise importlib.metadata.PackageNotFoundError(name)

        monkeypatch.setattr(importlib.metadata, "version", version)
        assert "it is not installed" in refused(["--version"], capsys)


def test_it_is_a_module_too() -> None:
    done = subprocess.run([*COMMAND, "--help"], check=True, capture_output=True, text=True)
    assert "inspect" in done.stdout
    assert "read captured frames" in done.stdout
