"""The subcommand ``schema``: what it writes, and what it says of changes."""

import io
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import tachikoma_proto as tp
from tachikoma_proto import Registry, schema
from tachikoma_proto.cli import main

WRITTEN: dict[str, Callable[[], Any]] = {
    "json-schema": lambda: schema.json_schema(Registry()),
    "asyncapi": lambda: schema.asyncapi(Registry()),
    "typescript": lambda: schema.typescript(Registry()),
    "markdown": lambda: schema.markdown(Registry()),
}


def written(*arguments: str, **variables: str) -> bytes:
    command = [sys.executable, "-m", "tachikoma_proto", "schema", *arguments]
    environment = {**os.environ, **variables}
    return subprocess.run(command, check=True, capture_output=True, env=environment).stdout


@pytest.mark.parametrize("form", WRITTEN)
def test_schema_writes_a_format_the_same_on_every_run(form: str, tmp_path: Path) -> None:
    text = written("--format", form, PYTHONHASHSEED="1", PYTHONIOENCODING="ascii")
    assert text == written("--format", form, PYTHONHASHSEED="2")
    path = tmp_path / "out"
    assert main(["schema", "--format", form, "-o", str(path)]) == 0
    assert path.read_bytes() == text
    expected = WRITTEN[form]()
    found = text.decode()
    assert (json.loads(found) if isinstance(expected, dict) else found) == expected


def test_schema_writes_either_mode_and_servers(capsysbinary: Any) -> None:
    assert main(["schema", "--mode", "write"]) == 0
    assert json.loads(capsysbinary.readouterr().out) == schema.json_schema(Registry(), "write")
    assert main(["schema", "--format", "asyncapi", "--server", "wss://a.example"]) == 0
    document = json.loads(capsysbinary.readouterr().out)
    assert document["servers"]["server-1"]["host"] == "a.example"


@pytest.mark.parametrize(
    "arguments",
    [
        ["--format", "typescript", "--mode", "read"],
        ["--format", "markdown", "--server", "ws://a"],
        ["--check", "old.json", "--mode", "read"],
        ["--check", "old.json", "-o", "new.json"],
        ["--format", "asyncapi", "--server", "http://a"],
        ["--format", "yaml"],
        ["--mode", "both"],
        ["--check", "no-such-file.json"],
    ],
)
def test_schema_refuses_what_makes_no_sense(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["schema", *arguments]) == 2
    out, err = capsys.readouterr()
    assert not out
    assert "tachikoma-proto" in err


def old_schema(change: Any) -> str:
    document = json.loads(json.dumps(schema.json_schema(Registry())))
    change(document["$defs"])
    return json.dumps(document)


def test_schema_check_is_content_where_nothing_changed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for mode in ("read", "write"):
        path = tmp_path / f"{mode}.json"
        assert main(["schema", "--mode", mode, "-o", str(path)]) == 0
        assert main(["schema", "--check", str(path)]) == 0
        assert capsys.readouterr().out == "Nothing breaks.\n"


def test_schema_check_says_whom_a_change_breaks(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def without_a_field(definitions: Any) -> None:
        del definitions["StartMission"]["properties"]["mission_id"]
        definitions["StartMission"]["required"] = []

    old = io.TextIOWrapper(io.BytesIO(old_schema(without_a_field).encode()))
    monkeypatch.setattr(sys, "stdin", old)
    assert main(["schema", "--check", "-"]) == 1
    assert capsys.readouterr().out == (
        "mission_start $.payload.mission_id: an old client does not send it, "
        "and a new server requires it (breaks old clients, stored captures)\n"
    )


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"$comment": "mode: read", "$defs": {}}', "\0"])
def test_schema_check_refuses_another_file(
    text: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "old.json"
    path.write_text(text)
    assert main(["schema", "--check", str(path)]) == 2
    assert "is no JSON Schema that this command wrote" in capsys.readouterr().err


def test_the_markdown_page_has_every_message_and_field() -> None:
    page = schema.markdown(Registry())
    for declaration in Registry():
        assert declaration.message_type.removeprefix("event.") in page
    assert "### mission.progress" in page
    assert "| `completed_specs: u32` |  | How many specs are completed. |" in page
    assert "### ping (keepalive)" in page
    assert "`missions/<mission_id>`" in page


def test_the_markdown_page_marks_what_is_deprecated_and_keeps_to_its_cells() -> None:
    from attrs import frozen

    category = tp.Category("x")

    @category.event("e", deprecated="use f")
    @frozen(kw_only=True)
    class Old(tp.Event):
        """One | two.

        Attributes:
            a: Either | or.
        """

        a: int = 3

    page = schema.markdown(Registry([category]))
    assert "**Deprecated**: use f. One \\| two." in page
    assert "| `a?: int` | `3` | Either \\| or. |" in page
