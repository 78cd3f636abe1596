"""Fixtures of the tests of sweeps."""

from pathlib import Path

import pytest

from geocell.sweeps.results import SweepResult
from tests.sweeps.sweep_worlds import make_world, run


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a cache, splits, partitions and a sweep file."""
    return make_world(tmp_path_factory.mktemp("world"))


@pytest.fixture(scope="module")
def done(world: Path, tmp_path_factory: pytest.TempPathFactory) -> SweepResult:
    return run(world, tmp_path_factory.mktemp("sweep") / "out")
