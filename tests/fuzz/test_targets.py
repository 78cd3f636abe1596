"""Every reader of the package has a target, whose valid files are read; what is mutated is small and committed."""

import ast
import re
from pathlib import Path

import pytest

import geocell
from fuzz import readers as uses
from fuzz.targets import RELEASED, SEEDS, TARGETS

PACKAGE = Path(geocell.__file__).parent
READER = re.compile(r"(read|load|open|parse)_[a-z]\w*|read|load|open")

ELSEWHERE = {
    "cli": "files, by the readers of the other rooms; `labels` is a target",
    "compute": "the machine's own files",
    "encoders": "names of encoders; their folder is the target `encoder`",
    "exporting": "what was just written; its manifest is a target",
    "geo": "data of this package",
    "hub": "the Hub",
    "imagetext": "models by name, whose files transformers reads",
    "prediction": "load_head and load_encoder",
    "quickstart": "what it wrote itself",
    "training": "blocks of caches; the state of a fit is a target",
    "demo": "heads, caches and uploads, by the readers of the other rooms",
}
"""Rooms whose readers need no target -> what they read."""


def readers() -> set[str]:
    """Return `room/module.py:name` of every public function and method that is called like a reader."""
    found = set()
    for path in PACKAGE.rglob("*.py"):
        module = path.relative_to(PACKAGE).as_posix()
        if module.split("/")[0] in ELSEWHERE or module.count("/") != 1:
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef) and READER.fullmatch(node.name):
                found.add(f"{module}:{node.name}")
    return found


def names_in(node: ast.AST) -> set[str]:
    """Return every name and attribute in a piece of code."""
    return {getattr(part, "id", "") or getattr(part, "attr", "") for part in ast.walk(node)} | {
        alias.name for part in ast.walk(node) if isinstance(part, ast.ImportFrom) for alias in part.names
    }


def reached() -> set[str]:
    """Return the names that targets call, and those that functions of such names call, and so on."""
    bodies: dict[str, set[str]] = {}
    for path in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef | ast.ClassDef):
                bodies.setdefault(node.name, set()).update(names_in(node))
    found: set[str] = set()
    new = names_in(ast.parse(Path(uses.__file__).read_text(encoding="utf-8")))
    while new:
        found |= new
        new = set().union(*(bodies.get(name, set()) for name in new)) - found
    return found


def test_every_reader_has_a_target() -> None:
    """By names alone: one that shares its name with another reader is not noticed."""
    known = reached()
    assert sorted(reader for reader in readers() if reader.split(":")[1] not in known) == []
    assert "read_of_a_new_room" not in known


@pytest.mark.parametrize("name", TARGETS)
def test_a_target_has_files_to_mutate(name: str) -> None:
    assert TARGETS[name].mutable()
    assert set(TARGETS[name].mutable()) <= set(TARGETS[name].contents())
    assert TARGETS[name].seed.is_relative_to(SEEDS) or TARGETS[name].seed.is_relative_to(RELEASED)


def test_the_seeds_are_small() -> None:
    assert sum(path.stat().st_size for path in SEEDS.rglob("*") if path.is_file()) < 100_000
