"""Extensions as they are installed: the example from its wheel, and small ones beside it.

The library's wheel and the example's are built and installed into an environment of their own;
what they depend on is taken from the environment that runs this test. Everything then happens in
processes of that environment. The small distributions are what pip would have unpacked: a package
and a ``.dist-info`` folder, on ``PYTHONPATH``.
"""

import json
import os
import shutil
import subprocess
import sys
import sysconfig
import venv
from collections.abc import Sequence
from pathlib import Path
from textwrap import dedent

import pytest
from attrs import frozen

ROOT = Path(__file__).parent.parent
EXAMPLE = ROOT / "examples" / "tachikoma-deploy"
ID = "0190b5a4-7c3e-7d52-8f0a-1b2c3d4e5f60"


def run(
    command: Sequence[object], *, path: Sequence[Path] = (), stdin: str = ""
) -> "subprocess.CompletedProcess[str]":
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("PYTHON", "PYTEST"))}
    environment |= {"PYTHONPATH": os.pathsep.join(map(str, path)), "PYTHONUTF8": "1"}
    return subprocess.run(
        [str(part) for part in command],
        capture_output=True,
        text=True,
        encoding="utf-8",
        input=stdin,
        env=environment,
        check=False,
    )


def must(result: "subprocess.CompletedProcess[str]") -> str:
    assert result.returncode == 0, f"{result.args}\n{result.stdout}\n{result.stderr}"
    return result.stdout


@frozen
class Environment:
    """A virtual environment with wheels in it."""

    folder: Path

    @property
    def python(self) -> Path:
        return self.folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")

    def execute(
        self, script: str, *path: Path, arguments: Sequence[object] = ()
    ) -> "subprocess.CompletedProcess[str]":
        return run([self.python, "-W", "error", "-c", dedent(script), *arguments], path=path)

    def command(self, *arguments: object, path: Sequence[Path] = (), stdin: str = "") -> str:
        line = [self.python, "-W", "error", "-m", "tachikoma_proto", *arguments]
        return must(run(line, path=path, stdin=stdin))


def build(project: Path, work: Path) -> Path:
    """Build a wheel, from a copy, so that nothing is left in the project."""
    leave_out = shutil.ignore_patterns(
        "*.egg-info", "__pycache__", ".*", "build", "dist", "tests", "benchmarks", "examples"
    )
    source, wheels = work / "source", work / "wheels"
    shutil.copytree(project, source, ignore=leave_out)
    wheel = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "-w", wheels]
    attempt = run([*wheel, "--no-build-isolation", source])
    if attempt.returncode != 0:  # setuptools, or what it needs, is not here
        must(run([*wheel, source]))
    (built,) = wheels.glob("*.whl")
    return built


def environment_with(folder: Path, *wheels: Path) -> Environment:
    """Install wheels; what they depend on is what this test has, behind them on the path."""
    venv.create(folder, with_pip=False)
    environment = Environment(folder)
    install = [sys.executable, "-m", "pip", "--python", environment.python, "install", "--quiet"]
    must(run([*install, "--no-deps", "--no-index", *wheels]))
    script = "import sysconfig; print(sysconfig.get_path('purelib'))"
    site = Path(must(run([environment.python, "-c", script])).strip())
    (site / "dependencies.pth").write_text(sysconfig.get_path("purelib"), encoding="utf-8")
    return environment


@pytest.fixture(scope="session")
def library_wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(ROOT, tmp_path_factory.mktemp("library"))


@pytest.fixture(scope="session")
def bare(library_wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Environment:
    """The library alone."""
    return environment_with(tmp_path_factory.mktemp("bare"), library_wheel)


@pytest.fixture(scope="session")
def extended(library_wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Environment:
    """The library and the example."""
    wheel = build(EXAMPLE, tmp_path_factory.mktemp("example"))
    return environment_with(tmp_path_factory.mktemp("extended"), library_wheel, wheel)


def distribution(folder: Path, name: str, code: str, *, target: str = "category") -> Path:
    """Lay out a distribution with one module and one entry point, as if installed."""
    module = name.replace("-", "_")
    metadata = folder / f"{module}-1.0.dist-info"
    metadata.mkdir(parents=True)
    (folder / f"{module}.py").write_text(dedent(code), encoding="utf-8")
    (metadata / "METADATA").write_text(
        f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n", encoding="utf-8"
    )
    (metadata / "entry_points.txt").write_text(
        f"[tachikoma_proto.categories]\n{module} = {module}:{target}\n", encoding="utf-8"
    )
    return folder


BACKUP = """
    from attrs import frozen
    from tachikoma_proto import AckResponse, Category, Command, U32

    category = Category("backup")

    @category.command("backup_start", tag="start")
    @frozen(kw_only=True)
    class StartBackup(Command[AckResponse]):
        keep: U32
"""

DISCOVER = """
    import tachikoma_proto as tp
    try:
        print(*tp.Registry.discover().categories)
    except (tp.RegistryError, tp.PluginError) as error:
        print(f"{type(error).__name__}: {error}")
        print(f"cause: {error.__cause__!r}")
"""


def test_the_example_extension_is_imported_from_its_wheel(extended: Environment) -> None:
    script = """
        import tachikoma_deploy, tachikoma_proto, tachikoma_proto.testing
        from importlib.resources import files
        for module in (tachikoma_proto, tachikoma_deploy):
            assert files(module).joinpath("py.typed").is_file()
            print(module.__file__)
    """
    for line in must(extended.execute(script)).splitlines():
        assert Path(line).resolve().is_relative_to(extended.folder.resolve())


def test_the_tests_of_the_example_extension_pass(extended: Environment, tmp_path: Path) -> None:
    shutil.copytree(EXAMPLE / "tests", tmp_path / "tests", ignore=shutil.ignore_patterns("__*"))
    shutil.copy(EXAMPLE / "pyproject.toml", tmp_path)
    pytest_here = [extended.python, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
    assert " passed" in must(run([*pytest_here, "--rootdir", tmp_path, tmp_path / "tests"]))


CONVERSATION = f"""
    import asyncio
    import tachikoma_proto as tp
    from tachikoma_deploy import DeployStarted, DeployStatus, StartDeploy, Target, Version
    from uuid import UUID
    from datetime import UTC, datetime

    server, client = tp.Codec(tp.Registry.discover()), tp.Codec(tp.Registry.discover())
    dispatcher: tp.Dispatcher[str] = tp.Dispatcher()
    deploy_id = UUID("{ID}")

    @dispatcher.handler(StartDeploy)
    async def start(command: StartDeploy, who: str) -> DeployStatus:
        assert who == "me"
        return DeployStatus(deploy_id=deploy_id, version=command.version, state="running")

    command = StartDeploy(
        mission_id=deploy_id,
        version=Version(1, 2, 3),
        environment="production",
        targets=(Target(host="a", port=1), Target(host="b", port=2, weight=0.5)),
        labels={{"team": "K\\u00e4se"}},
        ports={{"http": 80}},
        not_before=datetime(2026, 1, 2, tzinfo=UTC),
    )
    asked = client.encode(command, id=UUID(int=7))
    received = server.decode_command(asked)
    assert received.payload == command
    reply = asyncio.run(dispatcher.dispatch(received.payload, "me"))
    answered = client.decode_server_message(server.encode(reply, reply_to=received.id))
    assert answered.payload == reply
    assert answered.reply_to == UUID(int=7)
    event = DeployStarted(
        deploy_id=deploy_id, version=Version(1, 2, 3), started_at=datetime(2026, 1, 2, tzinfo=UTC)
    )
    pushed = server.encode(event)
    assert client.decode_server_message(pushed).payload == event
    print(asked, server.encode(reply), pushed, sep="\\n")
"""


@pytest.fixture(scope="session")
def frames(extended: Environment) -> list[str]:
    """A command, its response and an event of the example, after a whole conversation."""
    return must(extended.execute(CONVERSATION)).splitlines()


def test_a_server_and_a_client_exchange_messages_of_the_example_extension(
    frames: list[str],
) -> None:
    types = [json.loads(frame)["type"] for frame in frames]
    assert types == ["deploy_start", "deploy_status", "event.deploy"]


def test_a_client_without_the_extension_keeps_what_it_does_not_know(
    bare: Environment, frames: list[str]
) -> None:
    script = """
        import json, sys
        import tachikoma_proto as tp

        command, *answers = sys.argv[1:]
        codec = tp.Codec(tp.Registry.discover())
        for frame in answers:
            message = codec.decode_server_message(frame)
            assert json.loads(codec.encode_message(message)) == json.loads(frame)
            print(type(message.payload).__name__)
        try:
            codec.decode_command(command)
        except tp.UnknownMessageError as error:
            print(error.code, error.message_id)
    """
    printed = must(bare.execute(script, arguments=frames)).splitlines()
    assert printed == [
        "UnknownMessage",
        "UnknownEvent",
        "unknown_message 00000000-0000-0000-0000-000000000007",
    ]


def test_importing_the_library_loads_no_extension(extended: Environment) -> None:
    script = """
        import sys
        import tachikoma_proto as tp
        tp.Codec().decode_command('{"type":"ping"}')
        assert "tachikoma_deploy" not in sys.modules
        print(*tp.Registry().categories)
    """
    assert "deploy" not in must(extended.execute(script)).split()


def test_two_extensions_can_be_installed_side_by_side(
    extended: Environment, tmp_path: Path
) -> None:
    backup = distribution(tmp_path, "tachikoma-backup", BACKUP)
    categories = must(extended.execute(DISCOVER, backup)).split()
    assert categories[-2:] == ["backup", "deploy"], "in the order of the distributions' names"


@pytest.mark.parametrize(
    ("old", "new", "clash"),
    [
        ('Category("backup")', 'Category("deploy")', "category 'deploy'"),
        ('"backup_start"', '"deploy_start"', "message type 'deploy_start'"),
        ('"backup_start"', '"deploy_status"', "message type 'deploy_status'"),
    ],
    ids=["category", "command", "response"],
)
def test_clashing_extensions_are_both_named(
    extended: Environment, tmp_path: Path, old: str, new: str, clash: str
) -> None:
    backup = distribution(tmp_path, "tachikoma-backup", BACKUP.replace(old, new))
    printed = must(extended.execute(DISCOVER, backup))
    assert printed.startswith(f"RegistryError: {clash} is declared twice: by ")
    assert "tachikoma-backup" in printed
    assert "tachikoma-deploy" in printed


@pytest.mark.parametrize(
    ("code", "target", "fault", "cause"),
    [
        ("import nowhere_to_be_found\n", "category", "ModuleNotFoundError: No module", "Module"),
        ("1 / 0\n", "category", "ZeroDivisionError: division by zero", "ZeroDivisionError("),
        ("", "category", "AttributeError: module", "AttributeError("),
        ("category = 'deploy'\n", "category", "it is a str, not a Category", "None"),
        (BACKUP, "StartBackup", "it is a type, not a Category", "None"),
    ],
    ids=["missing-module", "raises", "missing-name", "str", "class"],
)
def test_a_broken_extension_is_named(
    bare: Environment, tmp_path: Path, code: str, target: str, fault: str, cause: str
) -> None:
    broken = distribution(tmp_path, "tachikoma-broken", code, target=target)
    error, raised_from = must(bare.execute(DISCOVER, broken)).splitlines()
    assert error.startswith(
        "PluginError: distribution tachikoma-broken, "
        f"entry point 'tachikoma_broken' = 'tachikoma_broken:{target}': {fault}"
    )
    assert raised_from.startswith(f"cause: {cause}")


def test_an_extension_with_an_unsupported_field_is_named(bare: Environment, tmp_path: Path) -> None:
    backup = distribution(tmp_path, "tachikoma-backup", BACKUP.replace("keep: U32", "keep: bytes"))
    printed = must(bare.execute(DISCOVER, backup))
    assert "RegistryError: tachikoma_backup.StartBackup.keep: bytes cannot be read" in printed


def test_the_command_line_knows_installed_extensions(
    extended: Environment, frames: list[str]
) -> None:
    rows = [json.loads(row) for row in extended.command("types", "--plugins", "--json").split("\n")
            if row]  # fmt: skip
    mine = {(row["type"], row["tag"]): row for row in rows if row["owner"] == "tachikoma-deploy"}
    assert set(mine) == {
        ("deploy_status", ""),
        ("deploy_start", "start"),
        ("deploy_cancel", "cancel"),
        ("event.deploy", "started"),
        ("event.deploy", "finished"),
    }
    start = mine["deploy_start", "start"]
    assert start["reply"] == "deploy_status"
    assert start["fields"][:4] == [
        "mission_id: uuid",
        "version: Version",
        'environment: "staging" | "production"',
        "targets: [{host: str, port: u32, weight?: f32}]",
    ]
    inspected = extended.command("inspect", "--plugins", "--json", stdin="\n".join(frames))
    *read, summary = [json.loads(line) for line in inspected.splitlines()]
    assert [line["class"] for line in read] == ["StartDeploy", "DeployStatus", "DeployStarted"]
    assert summary["summary"]["bad"] == 0


def test_the_command_line_names_a_broken_extension(bare: Environment, tmp_path: Path) -> None:
    broken = distribution(tmp_path, "tachikoma-broken", "1 / 0\n")
    line = [bare.python, "-m", "tachikoma_proto", "types", "--plugins"]
    result = run(line, path=[broken])
    assert result.returncode == 2
    assert result.stderr.startswith("tachikoma-proto: distribution tachikoma-broken, entry point")
    assert "Traceback" not in result.stderr
    without_plugins = run(line[:-1], path=[broken])
    assert without_plugins.returncode == 0
