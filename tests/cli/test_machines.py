"""Flags that say which machines a command computes on."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from geocell.cli.app import main
from geocell.cli.machines import Machines
from geocell.compute import cluster
from geocell.compute.engines import is_here
from tests.elsewhere import Elsewhere, elsewhere
from tests.worlds import fit_by_command

# a process of its own: Ray starts servers on this machine and threads that outlive the test
SCRIPT = """
import sys
import ray
from geocell.cli.app import main
from geocell.compute import engines
from geocell.features import pieces, view_places

engines.ROWS = view_places.ROWS = pieces.PIECE = 16
ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, logging_level="ERROR",
         runtime_env={"env_vars": {"PYTHONPATH": sys.argv[1]}})
for words in sys.argv[2:]:
    assert main(words.split()) == 0, words
"""


def test_a_cluster_works_until_the_block_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    @contextmanager
    def fake(actors: int | None, *, gpus: bool) -> Iterator[Elsewhere]:
        asked.append((actors, gpus))
        with elsewhere() as engine:
            yield engine

    monkeypatch.setattr(cluster, "ray_cluster", fake)
    with Machines().at_work():
        assert is_here()
    with Machines("ray", 3).at_work(gpus=True):
        assert not is_here()
        assert sys.stdout is sys.stderr
    assert is_here()
    assert sys.stdout is not sys.stderr
    assert asked == [(3, True)]


@pytest.mark.parametrize("words", [["--actors", "2"], ["--engine", "ray", "--actors", "0"]])
def test_actors_are_those_of_a_cluster(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["partition", "h3", "--cache", "nowhere", "--out", "cells", *words]) == 2
    said = capsys.readouterr().err
    assert f"--actors is a number from 1 on beside --engine ray, got {words[-1]}" in said


@pytest.mark.slow
def test_a_cluster_that_reads_a_store_writes_the_same_bytes(tmp_path: Path) -> None:
    pytest.importorskip("ray")
    fit_by_command(tmp_path, 90, 6, "0.4 0.3 0.3", "--epochs 2")
    assert main(f"calibrate {tmp_path}/head --cache {tmp_path}/cache --splits {tmp_path}/splits.json".split()) == 0
    scores = f"score {tmp_path}/head --splits {tmp_path}/splits.json --device cpu"
    assert main(f"{scores} --cache {tmp_path}/cache --out {tmp_path}/here.json".split()) == 0
    store = f"--cache local://cache --splits {tmp_path}/splits.json --engine ray --actors 2"
    path = os.pathsep.join([*sys.path])
    done = subprocess.run(
        [
            *(sys.executable, "-W", "ignore", "-c", SCRIPT, path),
            f"partition kmeans --k 6 {store} --out {tmp_path}/there",
            f"{scores} {store.replace(f'--splits {tmp_path}/splits.json', '')} --out {tmp_path}/there.json",
        ],
        capture_output=True, text=True, cwd=tmp_path, env={**os.environ, "PYTHONPATH": path}, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    assert (tmp_path / "there.json").read_bytes() == (tmp_path / "here.json").read_bytes()
    for name in ("partition.json", "geocell_info.json"):
        assert (tmp_path / "there" / name).read_bytes() == (tmp_path / "cells" / name).read_bytes()
