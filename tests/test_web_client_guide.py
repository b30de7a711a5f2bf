"""The guide from an empty folder to a typed web page, followed as a reader would.

What is checked with the tools of the web runs where ``npm install`` has put them into ``web/``.
Elsewhere it is skipped, but for an environment with ``WEB_REQUIRED``, where that is an error.
"""

import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("websockets")

from support.cli_process import wait_for
from support.cli_server import PATIENCE
from support.live import free_port

ROOT = Path(__file__).parents[1]
GUIDE = ROOT / "docs" / "guides" / "web-client.md"
WEB = ROOT / "web"
NODE = shutil.which("node")

FILE = re.compile(r"into `([\w/.]+)`[^\n]*(?:\n[^`\n][^\n]*)*\n\n```\w+\n(.*?)^```$", re.M | re.S)

needs_web = pytest.mark.skipif(
    not os.environ.get("WEB_REQUIRED") and (NODE is None or not (WEB / "node_modules").is_dir()),
    reason="Node, or npm install in web/, is missing",
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The files of the guide, with the extension as if it were installed."""
    for name, content in FILE.findall(GUIDE.read_text(encoding="utf-8")):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(content, encoding="utf-8")
    about = tomllib.loads((tmp_path / "extension" / "pyproject.toml").read_text(encoding="utf-8"))
    project = about["project"]
    metadata = tmp_path / "extension" / f"tachikoma_backup-{project['version']}.dist-info"
    metadata.mkdir()
    head = f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n"
    (metadata / "METADATA").write_text(head, encoding="utf-8")
    lines = [
        line
        for group, points in project["entry-points"].items()
        for line in (f"[{group}]", *(f"{name} = {value}" for name, value in points.items()))
    ]
    (metadata / "entry_points.txt").write_text("\n".join(lines), encoding="utf-8")
    return tmp_path


def environment(folder: Path) -> dict[str, str]:
    path = [str(folder / "extension"), os.environ.get("PYTHONPATH", "")]
    return os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, path))}


def command(folder: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    line = [sys.executable, "-W", "error", "-m", "tachikoma_proto", *arguments]
    return subprocess.run(
        line, cwd=folder, env=environment(folder), capture_output=True, text=True, timeout=PATIENCE
    )


@pytest.fixture
def url(folder: Path) -> Iterator[str]:
    """The URL of the guide's server, which runs."""
    port = free_port()
    server = folder / "server.py"
    server.write_text(server.read_text("utf-8").replace("8765", str(port)), encoding="utf-8")
    process = subprocess.Popen(
        [sys.executable, "-W", "error", str(server)],
        env=environment(folder),
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        wait_for(process.stderr, "listening")
        yield f"ws://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.communicate(timeout=PATIENCE)


def test_the_server_of_the_guide_answers_and_lets_its_page_in(folder: Path, url: str) -> None:
    sent = ["send", "--plugins", url, "backup_start", "paths=/etc,/home"]
    for origin in ([], ["--origin", "http://localhost:5173"]):
        done = command(folder, *sent, *origin)
        assert done.returncode == 0, done.stderr
        assert done.stdout.startswith("BackupResult(backup_id=")
    assert command(folder, *sent, "--origin", "http://localhost:5174").returncode == 2


def test_the_extension_of_the_guide_is_listed(folder: Path) -> None:
    assert "backup_start" in command(folder, "types", "--plugins").stdout


@needs_web
@pytest.mark.parametrize("compiler", ["typescript-5", "typescript-7"])
def test_the_page_of_the_guide_is_typed(compiler: str, folder: Path) -> None:
    page = folder / "page"
    options = ["--format", "typescript", "--plugins", "-o", "page/tachikoma.ts"]
    written = command(folder, "schema", *options)
    assert written.returncode == 0, written.stderr

    def compile_page() -> "subprocess.CompletedProcess[str]":
        tsc = WEB / "node_modules" / compiler / "bin" / "tsc"
        return subprocess.run(
            [NODE or "node", str(tsc)], cwd=page, capture_output=True, text=True, timeout=120
        )

    done = compile_page()
    assert done.returncode == 0, done.stdout
    main = page / "main.ts"
    main.write_text(main.read_text("utf-8").replace("paths:", "path:"), encoding="utf-8")
    assert "'path' does not exist in type 'StartBackup'" in compile_page().stdout
