"""The one reading of what torchrun says to its processes."""

import ast
from pathlib import Path

import pytest

import geocell
from geocell.compute.ranks import local_process_count, local_rank, process_count, process_rank

VARIABLES = {"RANK": "3", "WORLD_SIZE": "8", "LOCAL_RANK": "1", "LOCAL_WORLD_SIZE": "2"}


def test_a_process_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    assert (process_rank(), process_count(), local_rank(), local_process_count()) == (0, 1, None, 1)


def test_one_of_several(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in VARIABLES.items():
        monkeypatch.setenv(name, value)
    assert (process_rank(), process_count(), local_rank(), local_process_count()) == (3, 8, 1, 2)


@pytest.mark.parametrize(
    ("name", "value", "call"),
    [("RANK", "-1", process_rank), ("WORLD_SIZE", "0", process_count), ("LOCAL_RANK", "x", local_rank)],
)
def test_other_values_are_refused_by_name(monkeypatch: pytest.MonkeyPatch, name: str, value: str, call: object) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(ValueError, match=rf"{name} must be an integer.*'{value}'"):
        call()


def test_no_other_module_reads_them_or_counts_cores() -> None:
    """A process has one rank and one number of usable cores, whoever asks."""
    forbidden = {"os.cpu_count", "os.sched_getaffinity", "multiprocessing.cpu_count"}
    package = Path(geocell.__file__).parent
    for path in package.rglob("*.py"):
        if path.relative_to(package).as_posix() in {"compute/ranks.py", "compute/cores.py"}:
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Attribute):
                assert ast.unparse(node) not in forbidden, f"{path}:{node.lineno} counts cores itself"
            reads = (isinstance(node, ast.Subscript) and ast.unparse(node.value) == "os.environ") or (
                isinstance(node, ast.Call) and ast.unparse(node.func) in {"os.environ.get", "os.getenv"}
            )
            if reads:
                assert not set(VARIABLES) & {c.value for c in ast.walk(node) if isinstance(c, ast.Constant)}, path
