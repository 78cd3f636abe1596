"""Prediction files are scored with the few packages that docs/scores.md names, and all others blocked."""

import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).parents[1]
DEPENDENCIES = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["dependencies"]
MODULES = {"pillow": "PIL", "pyyaml": "yaml", "scikit-learn": "sklearn"}
RUN = """
import sys
class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in sys.argv[1].split():
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
sys.meta_path.insert(0, Blocked())
from geocell.cli.app import main
for line in sys.argv[2:]:
    try:
        status = main(line.split())
    except SystemExit as left:
        status = left.code or 0
    print("\\n\\f", status, flush=True)
"""


def light() -> list[Requirement]:
    """Return the packages that docs/scores.md says to install."""
    text = (ROOT / "docs/scores.md").read_text(encoding="utf-8")
    commands = re.findall(r"^pip install (.*)$", text, re.MULTILINE)
    assert commands[0] == "--no-deps geocell-heads"
    return [Requirement(word.strip('"')) for word in commands[1].split()]


def run(*commands: str) -> tuple[list[str], list[int], str]:
    """Run commands in a new process; return what each printed and its status, and the errors of all."""
    kept = {requirement.name for requirement in light()}
    names = [name for name in (Requirement(text).name for text in DEPENDENCIES) if name not in kept]
    blocked = " ".join(MODULES.get(name, name) for name in names)
    assert "torch" in blocked
    assert "geopandas" in blocked
    command = [sys.executable, "-c", RUN, blocked, *commands]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    printed, *rest = re.split(r"\n\f (\d+)\n", done.stdout)
    return [printed, *rest[1:-1:2]], [int(status) for status in rest[::2]], done.stderr


@pytest.fixture
def tables(tmp_path: Path) -> tuple[str, str]:
    (tmp_path / "t.csv").write_text("id,lat,lon\n" + "".join(f"{i},{40 + i},{i}\n" for i in range(12)))
    (tmp_path / "p.csv").write_text("id,lat,lon\n" + "".join(f"{i},{40.3 + i},{i}\n" for i in range(12)))
    return str(tmp_path / "p.csv"), str(tmp_path / "t.csv")


def test_the_packages_are_those_of_the_library() -> None:
    needed = {requirement.name: requirement for requirement in map(Requirement, DEPENDENCIES)}
    for requirement in light():
        assert str(requirement.specifier) == str(needed[requirement.name].specifier)


def test_scores_and_comparisons(tables: tuple[str, str]) -> None:
    p, t = tables
    commands = [f"score --predictions {p} --truth {t}", f"compare --predictions {p} {p} --truth {t}"]
    (*texts, score, comparison), statuses, errors = run(*commands, *(f"{command} --json" for command in commands))
    assert statuses == [0] * 4, errors
    assert all("balscore" in text for text in texts)
    assert json.loads(score)["n_locations"] == json.loads(comparison)["n_locations"] == 12


def test_help_is_complete() -> None:
    (everything, of_score), statuses, errors = run("--help", "score --help")
    assert statuses == [0, 0], errors
    assert "fit-head" in everything
    assert "--predictions" in of_score


LACKING = {
    "score head --cache cache": "torch",
    "encode t.csv --out cache": "tqdm",
    "partition h3 --table {t} --out cells": "h3",
    "quickstart out": "pillow",
    "score --predictions {t}.parquet --truth {t}": "pyarrow",
}


def test_other_commands_say_what_they_lack(tables: tuple[str, str], tmp_path: Path) -> None:
    (tmp_path / "t.csv.parquet").write_bytes(b"PAR1")
    _, statuses, errors = run(*(command.format(t=tables[1]) for command in LACKING))
    assert statuses == [1] * len(LACKING)
    sentences = [
        f"geocell: this command needs {package}, which is not installed: run `pip install geocell-heads`"
        for package in LACKING.values()
    ]
    assert [line[: len(sentence)] for line, sentence in zip(errors.splitlines(), sentences, strict=True)] == sentences
