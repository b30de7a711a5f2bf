"""The command ``tachikoma-proto``, as a user calls it."""

import importlib.metadata
import json
import os
import re
import shlex
import subprocess
import sys

import click
import pytest
from attrs import frozen
from support.cli_process import shown_on_a_terminal

import tachikoma_proto as tp
from tachikoma_proto.cli import main
from tachikoma_proto.cli.app import COMMANDS, commands
from tachikoma_proto.codec.engine.load import has_engine

COMMAND = [sys.executable, "-m", "tachikoma_proto"]


def refused(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    """Give what is said of arguments that are wrong."""
    assert main(arguments) == 2
    out, err = capsys.readouterr()
    assert out == ""
    return err


class TestTypes:
    def test_types_has_a_row_for_every_message(self, capsys: pytest.CaptureFixture[str]) -> None:
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
                "resume?: bool",
                "since?: {topic: str, epoch: str, offset: u64}",
            ],
            "reply": "ack",
            "owner": "tachikoma_proto",
            "deprecated": "",
        } in rows
        (authenticate,) = [row for row in rows if row["type"] == "authenticate"]
        assert authenticate["fields"] == ["token: str (secret)"]

    def test_types_in_a_pipe_is_an_aligned_table(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert main(["types"]) == 0
        head, *rows = capsys.readouterr().out.splitlines()
        assert head.split() == "type direction category tag fields reply owner".split()
        assert len({row.index("from ") for row in rows}) == 1, "columns are aligned"

    def test_types_on_80_columns_puts_wide_cells_below_their_row(self) -> None:
        status, shown = shown_on_a_terminal([*COMMAND, "types"], columns=80)
        head, *lines = shown.splitlines()
        assert status == 0
        assert head.split() == "type direction category tag".split()
        assert max(map(len, [head, *lines])) <= 80
        found = lines.index("subscribe              from client  subscription  subscribe")
        assert lines[found + 1 : found + 4] == [
            "    topic: str, filters?: {mission_id?: uuid, session_id?: uuid, event_types?:",
            "        [str]}, resume?: bool, since?: {topic: str, epoch: str, offset: u64}",
            "    reply: ack; owner: tachikoma_proto",
        ]

    def test_types_on_a_wide_terminal_is_the_table(
        self, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert main(["types"]) == 0
        status, shown = shown_on_a_terminal([*COMMAND, "types"], columns=400)
        assert (status, shown) == (0, capsys.readouterr().out)

    def test_types_shows_what_is_deprecated(
        self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        deploy = tp.Category("deploy", topic="deploys")

        @deploy.event("started", deprecated="use begun")
        @frozen(kw_only=True)
        class DeployStarted(tp.Event):
            target: str

        monkeypatch.setattr(tp.Registry, "discover", lambda: tp.Registry([deploy]))
        assert main(["types", "--plugins"]) == 0
        head, *_, last = capsys.readouterr().out.splitlines()
        assert head.endswith("  deprecated")
        assert last.endswith("  use begun")
        assert main(["types", "--plugins", "--json"]) == 0
        assert json.loads(capsys.readouterr().out.splitlines()[-1])["deprecated"] == "use begun"


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
    def test_a_token_as_an_argument_is_refused(
        self, arguments: list[str], capsys: pytest.CaptureFixture[str]
    ) -> None:
        err = refused(arguments, capsys)
        assert err.splitlines()[-1].endswith(
            "a token is never an argument: other users can see the arguments of a process; "
            "a token goes into the variable TACHIKOMA_TOKEN, or a file and --token-file"
        )
        assert "s3cr3t" not in err
        assert "--token]" not in err, "it is hidden"

    @pytest.mark.parametrize(
        ("arguments", "shown"),
        [
            (["watch", "ws://h", "--tok", "s3cr3t"], "no such option: --tok"),
            (["send", "ws://h", "--tok=s3cr3t", "ping"], "no such option: --tok"),
            (["watch", "ws://h", "-ts3cr3t"], "no such option: -t\n"),
            (["-ts3cr3t", "watch", "ws://h"], "no such option: -t\n"),
            (["s3cr3t", "watch", "ws://h"], "there is no such command; there are demo, inspect, "),
            (["watch", "s3cr3t"], "a URL begins with ws:// or wss://"),
            (["watch", "ws://h", "s3cr3t", "s3cr3t=="], "unexpected arguments: 2 not shown\n"),
            (["watch", "ws://h", "mission_id=s3cr3t"], "unexpected arguments: mission_id\n"),
            (["watch", "ws://h", "--header", "s3cr3t"], "a header is given as 'NAME: VALUE'"),
            (["watch", "ws://h", "--header", "X: s3cr3t\n"], "a header is given as "),
            (["watch", "ws://h", "--origin", "s3cr3t"], "an origin is a scheme and a host"),
            (["watch", "ws://h", "--count", "s3cr3t"], "expected a whole number above 0"),
            (["send", "ws://h", "--timeout", "s3cr3t"], "expected a number above 0"),
            (["demo", "--speed", "1", "--pl"], "no such option: --pl; is it --plugins?"),
            (["inspect", "--bad", "s3cr3t"], "no such option: --bad; is it "),
            (["inspect", "--from", "s3cr3t"], "'--from': expected client or server\n"),
            (["inspect", "--mission", "s3cr3t"], "'--mission': expected a UUID\n"),
            (["inspect", "--since", "s3cr3t"], "'--since': expected a time such as "),
            (["completion", "s3cr3t"], "expected bash or zsh or fish\n"),
        ],
    )
    def test_unknown_options_and_values_are_refused_without_being_shown(
        self, arguments: list[str], shown: str, capsys: pytest.CaptureFixture[str]
    ) -> None:
        err = refused(arguments, capsys)
        assert shown in err
        assert "s3cr3t" not in err

    @pytest.mark.parametrize(
        ("option", "command"),
        [("--json", "inspect"), ("--plugins", "demo"), ("--topic", "watch"), ("--cafile", "watch")],
    )
    def test_an_option_before_its_command_is_told_where_to_go(
        self, option: str, command: str, capsys: pytest.CaptureFixture[str]
    ) -> None:
        err = refused([option, "types"], capsys)
        text = f"error: {option} goes after the command: tachikoma-proto {command} {option}\n"
        assert err.endswith(text)

    def test_missing_arguments_are_named(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert refused(["send"], capsys).endswith("missing argument 'URL'\n")
        assert refused(["send", "ws://h"], capsys).endswith("missing argument 'TYPE'\n")
        assert refused(["inspect", "--from"], capsys).endswith("requires an argument\n")


class TestVersion:
    def test_version_is_that_of_the_distribution(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert main(["--version"]) == 0
        version = importlib.metadata.version("tachikoma-proto")
        how = "compiled engine" if has_engine() else "converter alone"
        assert capsys.readouterr().out == f"tachikoma-proto {version} ({how})\n"

    def test_version_says_that_there_is_no_compiled_engine(
        self, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setitem(sys.modules, "tachikoma_proto.codec._engine", None)
        assert main(["--version"]) == 0
        assert capsys.readouterr().out.endswith(" (converter alone)\n")

    def test_version_of_a_package_that_is_not_installed_is_an_error(
        self, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def version(name: str) -> str:
            raise importlib.metadata.PackageNotFoundError(name)

        monkeypatch.setattr(importlib.metadata, "version", version)
        assert "the package is not installed" in refused(["--version"], capsys)


class TestHelp:
    @pytest.mark.parametrize("command", COMMANDS)
    def test_help_has_examples_that_parse_and_exit_statuses(
        self, command: str, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert main([command, "--help"]) == 0
        out = capsys.readouterr().out
        examples, _, statuses = out.partition("Examples:")[2].partition("Exit status:")
        calls = [shlex.split(line.partition(" >")[0]) for line in examples.splitlines() if line]
        assert calls
        for program, name, *arguments in calls:
            assert (program, name) == ("tachikoma-proto", command)
            context = commands.get_command(click.Context(commands), command)
            assert context is not None
            context.make_context(command, arguments)
        shown = [line.split()[0] for line in statuses.splitlines() if line]
        assert shown in (["0", "1", "2", "130"], ["0", "2", "130"], ["2", "130"])

    def test_help_lists_every_command(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert main(["-h"]) == 0
        out = capsys.readouterr().out
        for command in COMMANDS:
            assert re.search(rf"^  {command} +[A-Z].+\.$", out, re.MULTILINE)
        assert "1    a frame was bad, or the server refused" in out

    def test_no_arguments_are_a_missing_command(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert refused([], capsys).endswith("error: missing command\n")


class TestCompletion:
    def complete(self, *words: str) -> list[str]:
        environment = os.environ | {
            "_TACHIKOMA_PROTO_COMPLETE": "bash_complete",
            "COMP_WORDS": shlex.join(["tachikoma-proto", *words]),
            "COMP_CWORD": str(len(words)),
        }
        done = subprocess.run(COMMAND, env=environment, check=True, capture_output=True, text=True)
        assert done.stderr == ""
        return [line.partition(",")[2] for line in done.stdout.split()]

    @pytest.mark.parametrize(
        ("words", "found"),
        [
            (["ins"], ["inspect"]),
            (["inspect", "--fr"], ["--from"]),
            (["inspect", "--from", ""], ["client", "server"]),
            (["inspect", "--type", "mission.st"], ["mission.started", "mission.status_changed"]),
            (["watch", "ws://h", "--topic", "m"], ["missions"]),
            (["send", "ws://h", "mission_s"], ["mission_status", "mission_start"]),
            (["send", "ws://h", "subscribe", ""], ["topic=", "filters=", "resume=", "since="]),
            (["send", "ws://h", "authenticate", ""], []),
            (["completion", ""], ["bash", "zsh", "fish"]),
            (["no_such_command", "--v"], ["--version", "--verbose"]),
            (["watch", "--tok"], ["--token-file"]),
        ],
    )
    def test_completion_offers_options_and_values(self, words: list[str], found: list[str]) -> None:
        assert self.complete(*words) == found

    @pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
    def test_completion_prints_the_script_of_a_shell(
        self, shell: str, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert main(["completion", shell]) == 0
        out = capsys.readouterr().out
        assert f"_TACHIKOMA_PROTO_COMPLETE={shell}_complete" in out
        if shell == "bash":
            subprocess.run(["bash", "-n"], input=out, text=True, check=True)


@pytest.mark.parametrize("library", ["click", "rich"])
def test_without_the_extra_the_command_says_what_to_install(
    library: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, library, None)
    for arguments in (["types"], ["--help"], ["--version"], []):
        err = refused(arguments, capsys)
        assert err == (
            f"tachikoma-proto: the command needs {library}: pip install 'tachikoma-proto[cli]'\n"
        )


def test_printing_the_version_imports_little() -> None:
    code = "import sys, tachikoma_proto.cli as c; c.main(['--version']); print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    loaded = done.stdout.splitlines()[-1].split()
    assert not {"asyncio", "cattrs", "rich.console", "tachikoma_proto.registry"} & set(loaded)


def test_the_package_can_be_run_as_a_module() -> None:
    done = subprocess.run([*COMMAND, "--help"], check=True, capture_output=True, text=True)
    assert "inspect" in done.stdout
    assert "Read captured frames" in done.stdout


class TestClosedStreams:
    def run(self, command: str) -> "subprocess.CompletedProcess[str]":
        script = f"{shlex.join(COMMAND)} {command}"
        return subprocess.run(["sh", "-c", script], capture_output=True, text=True)

    def test_closed_standard_input_is_an_error(self) -> None:
        done = self.run("inspect <&-")
        assert (done.returncode, done.stdout) == (2, "")
        assert done.stderr == "tachikoma-proto: standard input is closed\n"

    def test_closed_standard_error_sends_errors_nowhere_else(self) -> None:
        done = self.run("inspect /nowhere/at/all 2>&-")
        assert (done.returncode, done.stdout) == (2, ""), "what belongs there goes nowhere else"

    def test_closed_standard_output_is_an_error(self) -> None:
        assert self.run("types >&-").returncode == 2
