"""Fits in this process and in worker processes."""

import signal
from concurrent.futures import Future
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

import pytest

from geocell.compute.signals import interrupted_by_signals
from geocell.sweeps import workers as pool
from geocell.sweeps.plan import SweepConfig
from geocell.sweeps.results import SweepResult
from geocell.sweeps.run import sweep
from tests.sweeps.sweep_worlds import SWEEP, run, weights

PARTLY = """
[sweep]
partitions = ["impossible", "coarse"]
[fit]
epochs = 2
[configs.ce]
[configs.late]
init = "ce"
[configs.wild]
lr = 1e9
haversine = 1e9
[configs.after]
init = "wild"
"""


@pytest.mark.slow
def test_what_cannot_be_fitted_does_not_stop_the_others(world: Path, tmp_path: Path) -> None:
    (world / "partly.toml").write_text(PARTLY)
    result = run(world, tmp_path / "here", recipe="partly.toml")
    assert set(result.finished) == {"coarse-ce-seed0", "coarse-late-seed0"}
    assert "k must be at most the number of distinct locations, 50, got 900" in result.failed["impossible-ce"]
    assert "must be finite" in result.failed["coarse-wild"]
    assert result.failed["coarse-after"] == "the fit it starts from failed: coarse-wild-seed0"
    assert "impossible-ce was not fitted: KMeansPartitioner" in result.text()
    assert [line["seeds"] for line in result.summary()[-4:]] == [1, 1, 0, 0]
    there = run(world, tmp_path / "there", SweepConfig(jobs=2, device="cpu"), "partly.toml")
    assert weights(tmp_path / "there") == weights(tmp_path / "here")
    assert there.failed == result.failed


def test_a_signal_that_another_library_takes_for_its_own_error_ends_the_sweep(
    world: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def lost(*_: object) -> None:
        try:
            signal.raise_signal(signal.SIGTERM)
        except KeyboardInterrupt:
            raise ValueError("could not determine the shape of an object") from None

    monkeypatch.setattr(pool, "make_head", lost)
    with pytest.raises(KeyboardInterrupt), interrupted_by_signals():
        run(world, tmp_path / "sweep")  # a second signal would end this process


def test_a_row_says_that_its_start_could_not_be_made(world: Path, tmp_path: Path) -> None:
    for name, table in (("first", '"impossible"'), ("second", '"coarse"\ninit = "first"')):
        (tmp_path / name).mkdir()
        (tmp_path / name / "recipe.toml").write_text(f"[head]\npartition = {table}\n[fit]\nepochs = 1\n")
    (tmp_path / "partitions").symlink_to(world / "partitions")
    for jobs in (1, 2):
        result = sweep(
            [tmp_path / "second" / "recipe.toml"],
            world / "cache",
            world / "splits.json",
            tmp_path / f"out{jobs}",
            SweepConfig(seeds=(0, 1), jobs=jobs, device="cpu"),
        )
        assert result.finished == {}
        assert "k must be at most" in result.failed["first"]
        assert result.failed["second"] == "the fit it starts from failed: first-seed1"


def test_a_killed_process_is_said_and_loses_nothing(
    world: Path, done: SweepResult, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Broken:
        def __init__(self, *_args: object, **_kwargs: object) -> None: ...

        def submit(self, *_args: object) -> Future[None]:
            future: Future[None] = Future()
            future.set_exception(BrokenProcessPool("gone"))
            return future

        def shutdown(self, **_kwargs: object) -> None: ...

    monkeypatch.setattr(pool, "ProcessPoolExecutor", Broken)
    (world / "more.toml").write_text(SWEEP.replace("seeds = [0, 1]", "seeds = [0, 1, 2]"))
    with pytest.raises(RuntimeError, match=r"process of the sweep was killed.*fewer --jobs.*finished fits are kept"):
        run(world, done.out, SweepConfig(jobs=2, device="cpu"), "more.toml")
    assert len(weights(done.out)) == 8
