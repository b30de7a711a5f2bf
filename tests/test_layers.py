"""Who may know whom: imports point up the list of the design, never down."""

import ast
from pathlib import Path

import pytest

import tachikoma_proto

# From the ground up; a module may import those of lines above its own, and of its own package.
LAYERS = """
errors instances
uuids timestamps
paths
base
shapes
specs fields
keys
category
messages
topics message_types
plugins
registry
generated
converter
json_tokens json_faults json_reader
accelerator
codec
subscriptions
dispatch
metrics
session
transport
link
server client
testing
cli
__main__
""".split("\n")

RANK = {name: rank for rank, line in enumerate(LAYERS) for name in line.split()}
ROOT = Path(tachikoma_proto.__path__[0])
MODULES = sorted(path for path in ROOT.rglob("*.py") if path != ROOT / "__init__.py")


def room(path: Path) -> str:
    return path.relative_to(ROOT).parts[0].removesuffix(".py")


def imported_rooms(path: Path) -> set[str]:
    names = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute, so that this test can read them"
            assert node.module is not None
            prefix = f"{node.module}." if node.module == "tachikoma_proto" else node.module
            names |= (
                {prefix + alias.name for alias in node.names} if prefix.endswith(".") else {prefix}
            )
    return {name.split(".")[1] for name in names if name.startswith("tachikoma_proto.")}


def test_every_room_has_its_place() -> None:
    assert {room(path) for path in MODULES} == set(RANK)


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_point_up(path: Path) -> None:
    own = room(path)
    below = {other for other in imported_rooms(path) if other != own and RANK[other] > RANK[own]}
    assert not below


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_file_is_one_room(path: Path) -> None:
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 300
