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
sys.exit(main(sys.argv[2:]))
"""


def light() -> list[Requirement]:
    """Return the packages that docs/scores.md says to install."""
    text = (ROOT / "docs/scores.md").read_text(encoding="utf-8")
    commands = re.findall(r"^pip install (.*)$", text, re.MULTILINE)
    assert commands[0] == "--no-deps geocell-heads"
    return [Requirement(word.strip('"')) for word in commands[1].split()]


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    kept = {requirement.name for requirement in light()}
    names = [name for name in (Requirement(text).name for text in DEPENDENCIES) if name not in kept]
    blocked = " ".join(MODULES.get(name, name) for name in names)
    assert "torch" in blocked
    assert "geopandas" in blocked
    command = [sys.executable, "-c", RUN, blocked, *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.fixture
def tables(tmp_path: Path) -> tuple[str, str]:
    (tmp_path / "t.csv").write_text("id,lat,lon\n" + "".join(f"{i},{40 + i},{i}\n" for i in range(12)))
    (tmp_path / "p.csv").write_text("id,lat,lon\n" + "".join(f"{i},{40.3 + i},{i}\n" for i in range(12)))
    return str(tmp_path / "p.csv"), str(tmp_path / "t.csv")


def test_the_packages_are_those_of_the_library() -> None:
    needed = {requirement.name: requirement for requirement in map(Requirement, DEPENDENCIES)}
    for requirement in light():
        assert str(requirement.specifier) == str(needed[requirement.name].specifier)


@pytest.mark.parametrize("form", [(), ("--json",)], ids=["text", "json"])
def test_scores_and_comparisons(tables: tuple[str, str], form: tuple[str, ...]) -> None:
    p, t = tables
    for arguments in (["score", "--predictions", p], ["compare", "--predictions", p, p]):
        done = run(*arguments, "--truth", t, *form)
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout)["n_locations"] == 12 if form else "balscore" in done.stdout


def test_help_is_complete() -> None:
    done = run("--help")
    assert done.returncode == 0, done.stderr
    assert "fit-head" in done.stdout
    assert "--predictions" in run("score", "--help").stdout


@pytest.mark.parametrize(
    ("command", "package"),
    [
        ("score head --cache cache", "torch"),
        ("encode t.csv --out cache", "tqdm"),
        ("partition h3 --table {t} --out cells", "h3"),
        ("quickstart out", "pillow"),
        ("score --predictions {t}.parquet --truth {t}", "pyarrow"),
    ],
)
def test_other_commands_say_what_they_lack(tables: tuple[str, str], command: str, package: str, tmp_path: Path) -> None:
    (tmp_path / "t.csv.parquet").write_bytes(b"PAR1")
    done = run(*command.format(t=tables[1]).split())
    assert done.returncode == 1
    sentence = f"geocell: this command needs {package}, which is not installed: run `pip install geocell-heads`"
    assert done.stderr.startswith(sentence)
    assert done.stderr.count("\n") == 1
