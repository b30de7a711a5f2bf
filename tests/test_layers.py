"""Rooms import only from rooms above them, and there is no circle of imports within one."""

import ast
from pathlib import Path

import pytest

import tachikoma_proto

# In the order of the architecture page. A room may import from rooms of lines above its own.
ROOMS = """
errors
wire
declare
messages
registry
codec
schema
session
brokers transports
connection
server client
testing sync
dashboard
cli
__main__
""".strip().split("\n")

RANK = {name: rank for rank, line in enumerate(ROOMS) for name in line.split()}
ROOT = Path(tachikoma_proto.__path__[0])
MODULES = sorted(path for path in ROOT.rglob("*.py") if path != ROOT / "__init__.py")


def module_name(path: Path) -> str:
    parts = path.relative_to(ROOT.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


NAMES = {module_name(path): path for path in MODULES}


def room(name: str) -> str:
    return name.split(".")[1]


def imported_modules(path: Path) -> set[str]:
    """Every module of ours that a module imports, ``TYPE_CHECKING`` and functions included."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute, so that this test can read them"
            assert node.module is not None
            for alias in node.names:
                full = f"{node.module}.{alias.name}"
                found.add(full if full in NAMES else node.module)
    return {name for name in found if name.startswith("tachikoma_proto.")}


def test_every_room_is_in_the_list() -> None:
    assert {room(name) for name in NAMES} <= set(RANK)


@pytest.mark.parametrize("name", NAMES)
def test_a_module_imports_only_from_rooms_above(name: str) -> None:
    others = {other for other in imported_modules(NAMES[name]) if room(other) != room(name)}
    assert not {other for other in others if RANK[room(other)] >= RANK[room(name)]}


def test_no_module_imports_itself_through_others() -> None:
    graph = {name: imported_modules(path) & set(NAMES) for name, path in NAMES.items()}
    finished: set[str] = set()

    def visit(name: str, above: tuple[str, ...]) -> None:
        assert name not in above, f"a circle: {' -> '.join([*above, name])}"
        if name not in finished:
            for other in graph[name]:
                visit(other, (*above, name))
            finished.add(name)

    for name in graph:
        visit(name, ())
