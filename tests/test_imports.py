"""Rooms and floors: a module imports from its own room and from lower floors alone, and no two modules need each other.

Imports inside functions and those for type checkers count like all others: they are dependencies all the same.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

import geocell

PACKAGE = Path(geocell.__file__).parent

# From the bottom up. Rooms of one floor do not know each other.
FLOORS: tuple[tuple[str, ...], ...] = (
    ("_version", "files"),
    ("compute", "display", "geo", "hub"),
    ("images", "metrics"),
    ("encoders", "partitioners", "views"),
    ("features", "imagetext"),
    ("decoders", "encoding", "plots", "splits", "uncertainty", "zeroshot"),
    ("heads",),
    ("training",),
    ("evaluation",),
    ("prediction", "pretraining"),
    ("reports",),
    ("exporting", "publishing", "reporting"),
    ("demo", "sweeps"),
    ("quickstart",),
    ("cli",),
    ("__main__",),
)
FLOOR_OF = {room: floor for floor, rooms in enumerate(FLOORS) for room in rooms}


def module_of(path: Path, package: Path) -> str:
    parts = path.relative_to(package.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imports_of(path: Path, modules: set[str]) -> Iterator[tuple[str, int]]:
    """Yield every module of the package that a file imports anywhere in it, and the line."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            for alias in node.names:
                if alias.name in modules:
                    yield alias.name, node.lineno
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno} imports relatively: name the module"
            for alias in node.names:
                inner = f"{node.module}.{alias.name}"
                if inner in modules:
                    yield inner, node.lineno
                elif node.module in modules:
                    yield str(node.module), node.lineno


def upward_imports(package: Path) -> list[str]:
    """Return a sentence for every import from the same floor's other rooms, or from above."""
    paths = {module_of(path, package): path for path in package.rglob("*.py")}
    found = []
    for module, path in sorted(paths.items()):
        parts = module.split(".")
        if len(parts) == 1:
            continue  # the root names the public names of all rooms
        here = parts[1]
        assert here in FLOOR_OF, f"the room {here} has no floor: add it to FLOORS"
        for other, line in imports_of(path, set(paths)):
            there = other.split(".")[1] if "." in other else "the root"
            if there != here and FLOOR_OF.get(there, len(FLOORS)) >= FLOOR_OF[here]:
                found.append(f"{module}:{line} imports {other}, which is not below it")
    return found


def circles(package: Path) -> list[list[str]]:
    """Return every set of modules that need each other, however far round."""
    paths = {module_of(path, package): path for path in package.rglob("*.py")}
    graph = {m: {other for other, _ in imports_of(p, set(paths)) if other != m} for m, p in paths.items()}
    graph.pop(package.name, None)  # the root's lazy names
    return [sorted(part) for part in components(graph) if len(part) > 1]


def components(graph: Mapping[str, set[str]]) -> list[set[str]]:
    """Return the strongly connected components of a graph (Tarjan 1972)."""
    index: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    found: list[set[str]] = []

    def visit(node: str) -> None:
        index[node] = low[node] = len(index)
        stack.append(node)
        for other in graph.get(node, ()):
            if other not in graph:
                continue
            if other not in index:
                visit(other)
                low[node] = min(low[node], low[other])
            elif other in stack:
                low[node] = min(low[node], index[other])
        if low[node] == index[node]:
            part: set[str] = set()
            while node not in part:
                part.add(stack.pop())
            found.append(part)

    for node in graph:
        if node not in index:
            visit(node)
    return found


def test_imports_run_down() -> None:
    assert upward_imports(PACKAGE) == []


def test_no_two_modules_need_each_other() -> None:
    assert circles(PACKAGE) == []


def test_the_floors_hold_every_room_and_are_those_of_the_design() -> None:
    rooms = {path.name for path in PACKAGE.iterdir() if path.is_dir() and path.name != "__pycache__"}
    assert {room for floor in FLOORS for room in floor} == rooms | {"_version", "__main__"}
    rows = re.findall(r"^\| (\d+) \| (.*?) \|", (PACKAGE.parent / "docs/design.md").read_text(encoding="utf-8"), re.M)
    design = [(int(floor), room.removesuffix(".py")) for floor, names in rows for room in re.findall(r"`(\w+)", names)]
    assert sorted(design) == sorted((floor, room) for room, floor in FLOOR_OF.items())


def test_every_room_says_what_it_is_for() -> None:
    for room in (path for path in PACKAGE.iterdir() if path.is_dir() and path.name != "__pycache__"):
        docstring = ast.get_docstring(ast.parse((room / "__init__.py").read_text(encoding="utf-8")))
        assert docstring, f"geocell/{room.name}/__init__.py has no docstring"


def plant(root: Path, files: Mapping[str, str]) -> Path:
    package = root / "geocell"
    for name, text in {"__init__.py": "", **files}.items():
        path = package / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        (path.parent / "__init__.py").touch()
    return package


UPWARD = {
    "at the top": "from geocell.heads.head import Head\n",
    "inside a function": "def f():\n    from geocell.heads.head import Head\n    return Head\n",
    "for type checkers": (
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from geocell.heads.head import Head\n"
    ),
    "of a module": "import geocell.heads.head\n",
    "of a module by name": "from geocell.heads import head\n",
    "of the root": "import geocell\n",
}


@pytest.mark.parametrize("text", UPWARD.values(), ids=UPWARD.keys())
def test_an_upward_import_is_found(tmp_path: Path, text: str) -> None:
    package = plant(tmp_path, {"geo/a.py": text, "heads/head.py": "Head = object\n"})
    (sentence,) = upward_imports(package)
    assert sentence.startswith("geocell.geo.a:")


@pytest.mark.parametrize(
    "text", ["from geocell.geo.b import B\n", "def f():\n    from geocell.geo import b\n    return b\n"]
)
def test_a_circle_is_found(tmp_path: Path, text: str) -> None:
    package = plant(
        tmp_path, {"geo/a.py": text, "geo/b.py": "from geocell.geo.c import C\n", "geo/c.py": "import geocell.geo.a\n"}
    )
    assert circles(package) == [["geocell.geo.a", "geocell.geo.b", "geocell.geo.c"]]


def test_a_room_on_the_same_floor_is_not_below(tmp_path: Path) -> None:
    package = plant(tmp_path, {"geo/a.py": "from geocell.hub.b import B\n", "hub/b.py": "B = 1\n"})
    assert len(upward_imports(package)) == 1
