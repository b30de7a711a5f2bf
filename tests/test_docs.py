"""README and docs keep what they promise: every Python block runs, in order, in one namespace."""

import json
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tachikoma_proto.declare.annotations import collect_records
from tachikoma_proto.declare.declarations import MessageKind
from tachikoma_proto.declare.shapes import describe_field
from tachikoma_proto.registry.registry import Registry

ROOT = Path(__file__).parent.parent
README = ROOT / "README.md"
PAGES = [README, *sorted((ROOT / "docs").glob("*.md"))]
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def blocks(page: Path, language: str) -> list[str]:
    found = BLOCK.findall(page.read_text(encoding="utf-8"))
    return [text for name, text in found if name == language]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_python_blocks_run(page: Path, tmp_path: Path) -> None:
    code = "\n".join(blocks(page, "python"))
    script = tmp_path / "page.py"
    script.write_text(code, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-W", "error", str(script)], capture_output=True, text=True, cwd=tmp_path
    )
    assert done.returncode == 0, done.stderr


def test_every_block_says_its_language() -> None:
    for page in PAGES:
        fences = re.findall(r"^```(.*)$", page.read_text(encoding="utf-8"), re.MULTILINE)
        assert all(fences[::2]), page
        assert not any(fences[1::2]), page


def test_the_readmes_commands_run() -> None:
    set_up, _, usage = blocks(README, "console")
    commands = [set_up.rpartition(" && ")[2].removeprefix(".venv/bin/"), *usage.splitlines()]
    for command in commands:
        program, *arguments = shlex.split(command)
        assert program == "tachikoma-proto"
        done = subprocess.run(
            [sys.executable, "-m", "tachikoma_proto", *arguments], cwd=ROOT, capture_output=True
        )
        assert done.returncode == (1 if "faulty" in command else 0), done.stderr


def test_ci_calls_the_readmes_test_command() -> None:
    (command,) = [text for text in blocks(README, "console") if "tox" in text]
    assert command.strip() in (ROOT / ".ci" / "run").read_text(encoding="utf-8")


def test_the_readmes_tables_are_the_registrys() -> None:
    text = README.read_text(encoding="utf-8")
    registry = Registry()
    records = collect_records(declaration.cls for declaration in registry)
    for declaration in registry:
        fields = ", ".join(describe_field(field, records) for field in records[declaration.cls])
        reply = registry.declaration_of(declaration.reply) if declaration.reply else None
        row = {
            MessageKind.COMMAND: f"| `{declaration.message_type}` | {declaration.category} "
            f"| `{declaration.tag}` | {fields} | `{reply.message_type if reply else ''}` |",
            MessageKind.EVENT: f"| `{declaration.message_type}` | `{declaration.tag}` | {fields} |",
            MessageKind.RESPONSE: f"| `{declaration.message_type}` | {fields} |",
            MessageKind.KEEPALIVE: f'`{{"type":"{declaration.message_type}"}}`',
        }[declaration.kind]
        assert row.replace("|  |", "| |") in text, declaration


CONTESTANTS = (
    "tachikoma_proto",
    "pydantic",
    "msgspec",
    "mashumaro",
    "cattrs, plain",
)


def speed_row(row: dict[str, Any], strict: set[str]) -> str:
    """A row of the README's table; the fastest of those that do the same work is in bold."""
    figures = {name: row["figures"].get(name) for name in CONTESTANTS}
    times = {name: figure["value"] for name, figure in figures.items() if figure}
    fastest = min(strict & set(times), key=lambda name: times[name])
    cells = []
    for name in CONTESTANTS:
        time = times.get(name)
        if time is None:
            cells.append("accepts")
            continue
        text = f"{time:.0f}" if time >= 100 else f"{time:.1f}" if time >= 10 else f"{time:.2f}"
        cells.append(f"**{text}**" if name == fastest else text)
    return f"| {row['title']}: {row['direction']} | {' | '.join(cells)} |"


def test_the_readmes_figures_are_those_of_the_last_whole_run() -> None:
    report = json.loads((ROOT / "docs" / "benchmarks.json").read_text(encoding="utf-8"))
    text = README.read_text(encoding="utf-8")
    strict = {contestant["name"] for contestant in report["contestants"] if contestant["strict"]}
    assert report["date"] in text
    assert report["python"] in text
    for row in report["rows"]:
        if row["unit"] == "us":
            assert speed_row(row, strict) in text
