"""The documentation is right: its code runs, its commands exist, its tables agree with the code."""

import configparser
import importlib.util
import json
import os
import re
import shlex
import socket
import subprocess
import sys
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import attrs
import pytest

import tachikoma_proto as tp
from tachikoma_proto import brokers, schema, session, testing, transports
from tachikoma_proto.declare.declarations import MessageKind
from tachikoma_proto.declare.shapes import describe_field
from tachikoma_proto.registry.registry import Registry

ROOT = Path(__file__).parent.parent
SOURCE = ROOT / "src" / "tachikoma_proto"
README = ROOT / "README.md"
DOCS = ROOT / "docs"
WIRE = DOCS / "reference" / "wire.md"
API = DOCS / "reference" / "api"
PAGES = [
    *sorted(ROOT.glob("*.md")),
    ROOT / "examples" / "README.md",
    *sorted(path for path in DOCS.rglob("*.md") if "_build" not in path.parts),
]
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def name_of(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


every_page = pytest.mark.parametrize("page", PAGES, ids=name_of)


def blocks(page: Path, language: str) -> list[str]:
    found = BLOCK.findall(page.read_text(encoding="utf-8"))
    return [text for name, text in found if name == language]


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


ALSO_NEEDED = {
    "docs/guides/several-processes.md": ("redis",),
    "docs/guides/transports.md": ("aiohttp", "starlette"),
}
"""What a page needs beyond the extras that every test environment has."""


@pytest.mark.parametrize("page", [page for page in PAGES if blocks(page, "python")], ids=name_of)
def test_the_python_of_a_page_runs_in_order_as_one_program(page: Path, tmp_path: Path) -> None:
    if not any(map(os.environ.get, ("ADAPTERS_REQUIRED", "BROKERS_REQUIRED"))):
        for module in ALSO_NEEDED.get(name_of(page), ()):
            pytest.importorskip(module)
    code = "\n".join(blocks(page, "python")).replace("8765", str(free_port()))
    script = tmp_path / "page.py"
    script.write_text(code, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-W", "error", str(script)], capture_output=True, text=True, cwd=tmp_path
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.skipif("DOCS_TYPES" not in os.environ, reason="takes long: tox -e types runs it")
def test_the_python_of_every_page_is_strictly_typed(tmp_path: Path) -> None:
    for page in PAGES:
        if code := "\n".join(blocks(page, "python")):
            name = re.sub(r"\W", "_", name_of(page).removesuffix(".md"))
            (tmp_path / f"{name}.py").write_text(code, encoding="utf-8")
    command = [sys.executable, "-m", "mypy", "--config-file", "pyproject.toml", str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


@every_page
def test_every_code_block_names_its_language(page: Path) -> None:
    fences = re.findall(r"^```(.*)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    assert all(fences[::2])
    assert not any(fences[1::2])


@every_page
def test_json_toml_and_shell_blocks_are_well_formed(page: Path) -> None:
    for text in blocks(page, "json"):
        json.loads(text)
    for text in blocks(page, "toml"):
        tomllib.loads(text)
    for language in ("sh", "console"):
        for text in blocks(page, language):
            script = re.sub(r"^\$ ", "", text, flags=re.MULTILINE)
            subprocess.run(["bash", "-n"], input=script, check=True, text=True)


def commands(page: Path) -> list[str]:
    """The commands of a page's console blocks, without prompts, comments and variables."""
    lines = "".join(blocks(page, "console")).replace("\\\n", " ").splitlines()
    parts = [part for line in lines for part in line.removeprefix("$ ").split(" && ")]
    without_comment = [part.partition(" #")[0].strip() for part in parts]
    return [re.sub(r"^(\w+=\S+ )+", "", part) for part in without_comment if part]


EXTRAS = configparser.ConfigParser()
EXTRAS.read(ROOT / "setup.cfg")
TOX = configparser.ConfigParser()
TOX.read(ROOT / "tox.ini")


def refuse_unknown_command(command: str) -> None:
    """Fail if a command of the docs names an extra, a file or a test that does not exist."""
    program, *arguments = shlex.split(command)
    program = program.removeprefix(".venv/bin/")
    match program:
        case "pip":
            for extras in re.findall(r"(?:\.|tachikoma-proto)\[([\w,-]+)\]", command):
                known = EXTRAS["options.extras_require"]
                assert set(extras.split(",")) <= set(known) | {"test"}, command
        case "tox":
            for environment in re.findall(r"-e (\S+)", command):
                for name in environment.split(","):
                    assert name in TOX["tox"]["env_list"].replace("\n", ",").replace(" ", "").split(
                        ","
                    ), command
        case "python" | "python3" if arguments[0] == "-m":
            assert (
                importlib.util.find_spec(arguments[1].partition(".")[0])
                or (ROOT / arguments[1].replace(".", "/")).exists()
            )
        case "python":
            assert (ROOT / arguments[0]).is_file(), command
        case "pytest":
            for target in [argument for argument in arguments if argument.endswith(".py")]:
                assert (ROOT / target).is_file(), command
            for path, test in re.findall(r"(\S+\.py)::(\S+)", command):
                assert f"def {test.rpartition('::')[2]}(" in (ROOT / path).read_text("utf-8")
        case "tachikoma-proto":
            done = run_command(*arguments[:1], "--help")
            options = [argument for argument in arguments if argument.startswith("--")]
            assert done.returncode == 0, command
            for option in options:
                assert option in done.stdout, command
        case "mypy" | "pyright" | "ruff" | "pre-commit" | "sphinx-build" | "git" | "cd":
            pass
        case _:
            raise AssertionError(f"the docs use a command that no test knows: {command}")


def run_command(*arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "tachikoma_proto", *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        env=os.environ | {"COLUMNS": "200"},
    )


@pytest.mark.parametrize("page", [page for page in PAGES if commands(page)], ids=name_of)
def test_the_commands_of_a_page_exist(page: Path) -> None:
    for command in commands(page):
        refuse_unknown_command(command)


NEEDS_NO_SERVER = ("demo", "inspect", "types")


@pytest.mark.parametrize(
    "command",
    sorted(
        {
            command.removeprefix(".venv/bin/")
            for page in PAGES
            for command in commands(page)
            if re.match(rf"(\.venv/bin/)?tachikoma-proto ({'|'.join(NEEDS_NO_SERVER)})\b", command)
            and "--dashboard" not in command
        }
    ),
)
def test_a_command_of_the_docs_that_needs_no_server_succeeds(command: str) -> None:
    done = run_command(*shlex.split(command)[1:])
    assert done.returncode == (1 if "faulty" in command else 0), done.stderr


def test_ci_runs_the_test_command_of_the_readme() -> None:
    (command,) = [
        text for text in blocks(README, "console") if text.strip().endswith(".venv/bin/tox")
    ]
    assert command.strip() in (ROOT / ".ci" / "run").read_text(encoding="utf-8")


def test_the_tables_of_the_wire_contract_are_those_of_the_registry() -> None:
    text = WIRE.read_text(encoding="utf-8")
    registry = Registry()
    records = registry.records
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


def test_the_frames_of_the_wire_contract_are_valid() -> None:
    codec = tp.Codec()
    for frame in blocks(WIRE, "json"):
        if "command" in json.loads(frame)["payload"]:
            codec.decode_command(frame)
        else:
            assert not isinstance(
                codec.decode_server_message(frame).payload, tp.UnknownMessage | tp.UnknownEvent
            )


def test_the_reference_documents_every_public_name_once() -> None:
    documented = []
    for page in sorted(API.glob("*.rst")):
        module = "tachikoma_proto"
        directives = r"^\.\. (current)?module:: (.+)$|^\.\. auto\w+:: ([\w.]+)$"
        for _, named, name in re.findall(directives, page.read_text("utf-8"), re.MULTILINE):
            module = named or module
            if name:
                documented.append((module == "tachikoma_proto.testing", name.rpartition(".")[2]))
    assert len(documented) == len(set(documented))
    names = [name for _, name in documented]
    modules = (tp, brokers, schema, session, testing, transports)
    public = {name for module in modules for name in module.__all__}
    assert set(names) >= public, "add the new names to a page in docs/reference/api"
    assert set(names) <= {*public, "aiohttp", "memory", "starlette", "sync"}, (
        "these names are gone: take them out of docs/reference/api"
    )


@pytest.mark.parametrize(
    ("page", "config"), [("limits.md", tp.ServerConfig), ("client.md", tp.ClientConfig)]
)
def test_the_guide_lists_every_field_of_the_configuration(page: str, config: type) -> None:
    text = (DOCS / "guides" / page).read_text(encoding="utf-8")
    rows = "\n".join(re.findall(r"^\| (`.+?) \|", text, re.MULTILINE))
    assert {field.name for field in attrs.fields(config)} <= set(re.findall(r"`(\w+)`", rows))


def test_the_guide_lists_every_metrics_hook() -> None:
    text = (DOCS / "guides" / "monitoring.md").read_text(encoding="utf-8")
    hooks = {name for name in vars(tp.Metrics) if not name.startswith("_")}
    assert hooks <= set(re.findall(r"`(\w+)\(", text))


def refused_annotations() -> list[tuple[str, str]]:
    """Each annotation that the guide calls refused, and what the error says of it."""
    guide = (DOCS / "guides" / "fields.md").read_text("utf-8")
    rows = re.findall(r"^\| `.+$", guide.partition("## What is refused")[2], re.MULTILINE)
    found = []
    for row in rows:
        _, written, said, *_ = re.split(r"(?<!\\)\|", row)
        annotations = re.findall(r"`([^`]+)`", written.partition(" without ")[0])
        found += [(text.replace("\\|", "|"), said.strip(" `")) for text in annotations]
    return found


@pytest.mark.parametrize(("annotation", "text"), refused_annotations())
def test_an_annotation_that_the_guide_calls_refused_is_refused(annotation: str, text: str) -> None:
    category = tp.Category("refused")
    code = f"@frozen(kw_only=True)\nclass Refused(tp.Event):\n    value: {annotation}\n"
    names: dict[str, Any] = {
        "Json": tp.Json,
        "Literal": Literal,
        "Sequence": Sequence,
        "frozen": attrs.frozen,
        "tp": tp,
        "__name__": __name__,
    }
    exec(code, names)
    category.event("refused")(names["Refused"])
    with pytest.raises(tp.RegistryError, match=re.escape(text)):
        tp.Registry([category])


ROOM_ROW = re.compile(r"^\| `(\w+)[/.]", re.MULTILINE)


def test_the_architecture_page_lists_every_room() -> None:
    text = (DOCS / "explanation" / "architecture.md").read_text(encoding="utf-8")
    rooms = {
        path.stem
        for path in SOURCE.iterdir()
        if (path.is_dir() or path.suffix == ".py") and not path.name.startswith("_")
    }
    assert rooms == set(ROOM_ROW.findall(text))


@every_page
def test_paths_of_the_repository_on_a_page_exist(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    for path in re.findall(r"`((?:src|tests|examples|docs|benchmarks)/[\w./-]+)`", text):
        assert path.startswith("docs/_build") or (ROOT / path).exists(), path


def test_modules_on_the_architecture_page_exist() -> None:
    text = (DOCS / "explanation" / "architecture.md").read_text(encoding="utf-8")
    modules = re.findall(r"`(\w+/[\w/]+\.py)`", text)
    assert modules
    assert not [module for module in modules if not (SOURCE / module).is_file()]
