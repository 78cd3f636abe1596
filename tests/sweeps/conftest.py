"""Fixtures of the tests of sweeps."""

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from geocell.sweeps.results import SweepResult
from tests.sweeps.sweep_worlds import make_world, run


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a cache, splits, partitions and a sweep file; tests add files of their own."""
    return make_world(tmp_path_factory.mktemp("world"))


@pytest.fixture(scope="session")
def swept(world: Path, tmp_path_factory: pytest.TempPathFactory) -> SweepResult:
    """A sweep of the world that nothing is written into."""
    return run(world, tmp_path_factory.mktemp("swept") / "out")


@pytest.fixture(scope="module")
def done(swept: SweepResult, tmp_path_factory: pytest.TempPathFactory) -> SweepResult:
    """The sweep of the world, as a copy for each module."""
    return replace(swept, out=shutil.copytree(swept.out, tmp_path_factory.mktemp("sweep") / "out"))
