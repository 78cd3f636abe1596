"""What a command imports before it answers: of the heavy libraries, those alone that it computes with."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import geocell as gc
from geocell.cli.commands import GROUPS, Command, Family

HEAVY = frozenset(("torch", "transformers", "geopandas", "pandas", "scipy", "sklearn", "matplotlib", "pyarrow", "h3"))
NAMED = {name: command for commands in GROUPS.values() for name, command in commands.items()}

HELP = [
    "--help",
    "--version",
    "split --help",
    "score --help",
    "predict --help",
    "encode --help",
    "partition h3 --help",
    "fit-head --help",
]
# The heavy libraries that a command may import; all others are blocked, so that it fails if it asks for one.
WORK: dict[str, set[str]] = {
    "split CACHE --out s.json": {"pyarrow", "scipy"},
    "split table.csv --out s.json": {"pandas", "pyarrow", "scipy"},
    "score --predictions answers.csv --truth answers.csv": {"scipy"},
    "cache info CACHE": {"pyarrow"},
}

_BLOCKED = """
import sys
class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {blocked!r}:
            raise AssertionError(f"{{name}} is imported")
sys.meta_path.insert(0, Blocked())
from geocell.cli import main
for line in sys.argv[1:]:
    status = main(line.split())
    if status:
        raise SystemExit(status)
    print("<end>")
"""


def run(lines: list[str], allowed: set[str], folder: Path) -> subprocess.CompletedProcess[str]:
    """Run commands in a process of their own, to which some of the heavy libraries are not there."""
    code = _BLOCKED.format(blocked=HEAVY - allowed)
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    command = [sys.executable, "-c", code, *lines]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, env=environment, check=False)


def test_help_imports_nothing_heavy(tmp_path: Path) -> None:
    done = run(HELP, set(), tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    printed = done.stdout.split("<end>\n")
    assert (len(printed), printed[-1]) == (len(HELP) + 1, "")
    assert all(printed[:-1])


@pytest.mark.parametrize("line", WORK)
def test_a_command_imports_only_what_it_computes_with(line: str, tmp_path: Path) -> None:
    points = np.random.default_rng(0).uniform(40, 60, (40, 2)).tolist()
    rows = [f"{i},{lat},{lon}" for i, (lat, lon) in enumerate(points)]
    (tmp_path / "answers.csv").write_text("\n".join(["id,lat,lon", *rows]) + "\n")
    (tmp_path / "table.csv").write_text("\n".join(["image,lat,lon", *rows]) + "\n")
    if "CACHE" in line:
        table = gc.read_views(tmp_path / "table.csv", images_optional=True)
        gc.import_features(np.ones((40, 4), np.float32), tmp_path / "CACHE", table=table, encoder="made")
    done = run([line], WORK[line], tmp_path)
    assert done.returncode == 0, done.stderr


def test_a_blocked_library_is_noticed(tmp_path: Path) -> None:
    (tmp_path / "answers.csv").write_text("id,lat,lon\na,1,2\n")
    done = run(["score --predictions answers.csv --truth answers.csv"], set(), tmp_path)
    assert done.returncode != 0
    assert "is imported" in done.stderr


@pytest.mark.parametrize("name", NAMED)
def test_the_sentence_of_a_command_is_that_of_its_docstring(name: str) -> None:
    command = NAMED[name]
    found = command.load()
    if isinstance(command, Family):
        assert all(callable(part) for part in found.values())
        assert command.summary.endswith(".")
    else:
        assert isinstance(command, Command)
        assert (found.__doc__ or "").split("\n", maxsplit=1)[0].strip() == command.summary
