"""The page that ships is what its sources are built to.

It is built where npm has installed what is needed into ``web/dashboard``. Elsewhere this is
skipped, but for an environment with ``DASHBOARD_REQUIRED``, where that is an error.
"""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

import tachikoma_proto as tp
from tachikoma_proto import schema

WEB = Path(__file__).parents[1] / "web"
SOURCES = WEB / "dashboard"
SHIPPED = Path(tp.__path__[0]) / "dashboard" / "page"
NODE = shutil.which("node")

needs_npm = pytest.mark.skipif(
    not os.environ.get("DASHBOARD_REQUIRED")
    and (NODE is None or not (SOURCES / "node_modules").is_dir()),
    reason="Node, or npm install in web/dashboard, is missing",
)


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sources, with the client of today's messages."""
    folder = tmp_path_factory.mktemp("dashboard")
    ignored = shutil.ignore_patterns("node_modules", "tachikoma.ts")
    shutil.copytree(SOURCES, folder, ignore=ignored, dirs_exist_ok=True)
    (folder / "node_modules").symlink_to(SOURCES / "node_modules")
    client = schema.typescript(tp.Registry())
    (folder / "src" / "tachikoma.ts").write_text(client, encoding="utf-8")
    return folder


def node(folder: Path, program: str, *arguments: str) -> None:
    command = [NODE or "node", str(SOURCES / "node_modules" / program), *arguments]
    ended = subprocess.run(command, cwd=folder, capture_output=True, encoding="utf-8", timeout=120)
    assert ended.returncode == 0, ended.stdout + ended.stderr


@needs_npm
def test_the_sources_are_strictly_typed(sources: Path) -> None:
    node(sources, "typescript/bin/tsc")


@needs_npm
def test_the_shipped_page_is_what_its_sources_are_built_to(sources: Path, tmp_path: Path) -> None:
    node(sources, "vite/bin/vite.js", "build", "--outDir", str(tmp_path), "--emptyOutDir")
    built = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    shipped = {path.name: path.read_bytes() for path in SHIPPED.iterdir()}
    assert built.keys() == shipped.keys()
    differing = [name for name, content in built.items() if content != shipped[name]]
    assert differing == [], "build it anew: npm --prefix web/dashboard run build"


@pytest.mark.parametrize("folder", [WEB, SOURCES])
def test_what_npm_installs_comes_from_wherever_npm_is_told(folder: Path) -> None:
    assert '"resolved"' not in (folder / "package-lock.json").read_text(encoding="utf-8")
