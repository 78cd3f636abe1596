"""Every reader of the package has a target, whose valid files are read; what is mutated is small and committed."""

import ast
import re
import sys
from pathlib import Path
from types import FrameType

import pytest

import geocell
from fuzz.targets import RELEASED, SEEDS, TARGETS
from fuzz.worker import put

PACKAGE = Path(geocell.__file__).parent
READER = re.compile(r"(read|load|open|parse)_[a-z]\w*|read|load|open")

ELSEWHERE = {
    "cli": "files, by the readers of the other rooms; `labels` is a target",
    "compute": "the machine's own files",
    "encoders": "names of encoders; their folder is the target `encoder`",
    "geo": "data of this package",
    "hub": "the Hub",
    "imagetext": "models by name, whose files transformers reads",
    "prediction": "load_head and load_encoder",
    "quickstart": "what it wrote itself",
    "training": "blocks of caches; the state of a fit is a target",
    "demo": "heads, caches and uploads, by the readers of the other rooms",
}
"""Rooms whose readers need no target -> what they read."""

UNREAD = {
    "encoding/multi_device.py:parse_devices": "a flag",
    "exporting/graph.py:open_written": "what was just written",
    "heads/loading.py:load_head_like": "one of the readers of heads",
    "images/downloads.py:read": "a server",
    "images/parquet_rows.py:open_remote": "a store",
    "pretraining/captions.py:read_places": "columns of a table that was read",
    "pretraining/clip_model.py:load": "a model of transformers, as the target `encoder`",
    "pretraining/trainer.py:load_state": "the tensors of a state that was read",
}
"""Functions that need no target -> what they read."""


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


@pytest.fixture(scope="module")
def called(tmp_path_factory: pytest.TempPathFactory) -> set[str]:
    """Read the valid files of every target; return the readers of the package that were called."""
    seen: set[str] = set()

    def note(frame: FrameType, event: str, _argument: object) -> None:
        if event == "call" and frame.f_code.co_filename.startswith(str(PACKAGE)):
            seen.add(f"{Path(frame.f_code.co_filename).relative_to(PACKAGE).as_posix()}:{frame.f_code.co_name}")

    for name, target in TARGETS.items():
        folder = tmp_path_factory.mktemp(name)
        for file, content in target.contents().items():
            put(folder / "in" / file, content)
        (folder / "out").mkdir()
        before = sys.gettrace()  # of coverage, say
        sys.settrace(note)
        try:
            target.read(folder / "in", folder / "out")  # which raises where valid files are refused
        finally:
            sys.settrace(before)
    return seen


@pytest.mark.slow
@pytest.mark.filterwarnings("default")
def test_every_reader_has_a_target(called: set[str]) -> None:
    assert sorted(readers() - called - set(UNREAD)) == []
    assert set(UNREAD) <= readers()


@pytest.mark.parametrize("name", TARGETS)
def test_a_target_has_files_to_mutate(name: str) -> None:
    assert TARGETS[name].mutable()
    assert set(TARGETS[name].mutable()) <= set(TARGETS[name].contents())
    assert TARGETS[name].seed.is_relative_to(SEEDS) or TARGETS[name].seed.is_relative_to(RELEASED)


def test_the_seeds_are_small() -> None:
    assert sum(path.stat().st_size for path in SEEDS.rglob("*") if path.is_file()) < 100_000
