"""The house: imports point down, files stay small, and functions do one thing."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

REPO = Path(__file__).parents[1]
SRC = REPO / "src" / "stretto"
FLOORS = (
    ("errors",),  # below its neighbours, so that they can raise
    ("events", "config", "forbidding"),
    ("prompts", "memory"),
    ("agents",),
    ("graphs",),
    ("engine", "telemetry"),
    ("chat",),
    ("server", "cli", "testing"),
)
FLOOR = {room: floor for floor, rooms in enumerate(FLOORS) for room in rooms}
TOP = len(FLOORS)  # the facade and __main__
MAX_FILE_LINES = 250
MAX_FUNCTION_LINES = 40
Function = ast.FunctionDef | ast.AsyncFunctionDef


def source_files() -> Iterator[Path]:
    # rglob does not walk into the linked rooms on every Python, so they are named by entry.
    for entry in sorted(SRC.iterdir()):
        yield from sorted(entry.rglob("*.py")) if entry.is_dir() else [entry]


MODULES = [path for path in source_files() if path.suffix == ".py"]
NAMES = [path.relative_to(SRC).as_posix() for path in MODULES]


def room_of(dotted: str) -> str:
    return dotted.split(".")[1] if "." in dotted else ""


def imports(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            # `from stretto import agents` imports the room, so each name is looked at too.
            named = node.module or ""
            yield from (f"{named}.{alias.name}" for alias in node.names)


def breaches(tree: ast.AST, room: str) -> list[str]:
    """List the imports of a module in ``room`` that do not point down."""
    wrong: list[str] = []
    for target in imports(tree):
        if target.split(".")[0] != "stretto":
            continue
        mine, theirs = FLOOR.get(room, TOP), FLOOR.get(room_of(target), TOP)
        if room_of(target) != room and theirs >= mine and mine != TOP:
            wrong.append(target)
    return wrong


def too_long(tree: ast.AST) -> list[str]:
    """List the functions above the limit; a docstring does not count."""
    wrong: list[str] = []
    for node in ast.walk(tree):
        if not isinstance(node, Function):
            continue
        lines = (node.end_lineno or node.lineno) - node.lineno + 1
        if ast.get_docstring(node, clean=False) is not None:
            lines -= (node.body[0].end_lineno or 0) - node.body[0].lineno + 1
        if lines > MAX_FUNCTION_LINES:
            wrong.append(f"{node.name}: {lines} lines")
    return wrong


@pytest.mark.parametrize("path", MODULES, ids=NAMES)
def test_imports_point_down(path: Path) -> None:
    room = path.relative_to(SRC).parts[0].removesuffix(".py")
    assert breaches(ast.parse(path.read_text(encoding="utf-8")), room) == []


@pytest.mark.parametrize("path", MODULES, ids=NAMES)
def test_a_file_is_short(path: Path) -> None:
    lines = len(path.read_text(encoding="utf-8").splitlines())
    assert lines <= MAX_FILE_LINES


@pytest.mark.parametrize("path", MODULES, ids=NAMES)
def test_a_function_is_short(path: Path) -> None:
    assert too_long(ast.parse(path.read_text(encoding="utf-8"))) == []


def test_every_room_is_looked_at() -> None:
    rooms = {name.partition("/")[0].removesuffix(".py") for name in NAMES}
    assert {"errors", "events", "config", "agents", "graphs", "memory"} <= rooms
    assert rooms <= FLOOR.keys() | {"__init__", "__main__"}


@pytest.mark.parametrize(
    ("line", "room", "wrong"),
    [
        ("from stretto.graphs import spec", "memory", ["stretto.graphs.spec"]),
        ("from stretto import graphs", "memory", ["stretto.graphs"]),
        ("import stretto.graphs.spec", "agents", ["stretto.graphs.spec"]),
        ("from stretto.prompts.load import x", "memory", ["stretto.prompts.load.x"]),
        ("from stretto import Engine", "engine", ["stretto.Engine"]),
        ("from stretto.memory.item import Item", "memory", []),
        ("from stretto.errors import Fault", "memory", []),
        ("from stretto.server import app", "__init__", []),
    ],
)
def test_an_import_that_does_not_point_down_is_found(
    line: str, room: str, wrong: list[str]
) -> None:
    assert breaches(ast.parse(line), room) == wrong


@pytest.mark.parametrize(("lines", "found"), [(39, []), (40, ["f: 41 lines"])])
def test_a_long_function_is_found_and_its_docstring_is_free(lines: int, found: list[str]) -> None:
    text = 'def f():\n    """One.\n\n    Two.\n    """\n' + "    pass\n" * lines
    assert too_long(ast.parse(text)) == found
