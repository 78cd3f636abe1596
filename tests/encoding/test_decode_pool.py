import errno
import os
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from PIL import Image

from geocell.encoding import decode_pool as pool
from geocell.encoding.decode_pool import PROCESS_ROWS, Batch, DecodePool, default_workers
from geocell.encoding.worker import WorkerProcess
from geocell.files import TooManyOpenError
from geocell.images.loading import Loader
from geocell.images.sources import FileImages
from tests.encoding.tiny import SMALL, Trapped, noise

N, SIZE = 23, 4


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for row in range(N):
        noise(seed=row).save(tmp_path / f"{row}.png")
    return tmp_path


def plan(known: dict[int, str] | None = None) -> list[Batch]:
    starts = range(0, N, SIZE)
    names = [f"{row}.png" for row in range(N)]
    problems = [
        {row - start: text for row, text in (known or {}).items() if 0 <= row - start < SIZE} for start in starts
    ]
    return [Batch(0, s, names[s : s + SIZE], p, N) for s, p in zip(starts, problems, strict=True)]


def run(folder: Path, workers: int, transform: object = SMALL, known: dict[int, str] | None = None) -> np.ndarray:
    rows = []
    loader = Loader.from_probe(FileImages(str(folder)), transform)
    with DecodePool(loader, workers=workers, batch_size=SIZE, image_timeout=30) as pool:
        for batch, pixels in pool.batches(plan(known)):
            assert len(pixels) == len(batch.good())
            rows.append(pixels.copy())
    return np.concatenate(rows)


@pytest.mark.parametrize("workers", [0, 1, 3])
def test_batches_come_in_order_whoever_decodes(folder: Path, workers: int) -> None:
    np.testing.assert_array_equal(run(folder, workers), np.stack([SMALL(noise(seed=row)) for row in range(N)]))


def test_rows_with_known_problems_are_not_read(folder: Path) -> None:
    (folder / "5.png").unlink()
    whole = np.stack([SMALL(noise(seed=row)) for row in range(N) if row not in (5, 22)])
    np.testing.assert_array_equal(run(folder, 0, known={5: "no position", 22: "no position"}), whole)


def test_a_process_that_somebody_ends_costs_no_image(folder: Path) -> None:
    loader = Loader.from_probe(FileImages(str(folder)), SMALL)
    with DecodePool(loader, workers=2, batch_size=SIZE, image_timeout=30) as pool:
        for batch, pixels in pool.batches(plan()):
            assert batch.problems == {}
            np.testing.assert_array_equal(pixels[0], SMALL(noise(seed=batch.first)))
            for lane in pool._lanes:
                if lane.process is not None and batch.first == SIZE:
                    lane.process.kill()


def test_a_transform_that_other_processes_can_not_load(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Trapped, "__module__", "nowhere")
    monkeypatch.setitem(sys.modules, "nowhere", sys.modules[run.__module__])
    monkeypatch.setattr(sys.modules[run.__module__], "Trapped", Trapped)
    with pytest.raises(ValueError, match=r"got: ModuleNotFoundError: .*nowhere.* pass workers=0"):
        run(folder, 2, Trapped())


@dataclass(frozen=True)
class Fated:
    """A transform for which the processes that load it have fates, one after the other.

    Attributes:
        folder: where processes note that they load it.
        fates: `loads`; `hangs` or `dies` as it is loaded; `dies later`, with the first image. The last one is repeated.
    """

    folder: str
    fates: tuple[str, ...]

    def __call__(self, image: Image.Image) -> np.ndarray:
        if getattr(self, "fate", "") == "dies later":
            os._exit(9)
        return SMALL(image)

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        number = 0
        while (Path(self.folder) / f"process {number}").exists():
            number += 1
        (Path(self.folder) / f"process {number}").touch()
        self.__dict__["fate"] = self.fates[min(number, len(self.fates) - 1)]
        if self.__dict__["fate"] == "hangs":
            time.sleep(3600)
        if self.__dict__["fate"] == "dies":
            os._exit(9)


def test_processes_that_hang_as_they_load(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pool, "LOADING_TIMEOUT", 1.0)
    with pytest.raises(ValueError, match=r"able to load Fated\(.*got: no answer within 1 s.* pass workers=0"):
        run(folder, 2, Fated(str(folder), ("hangs",)))


def test_a_process_that_hangs_as_it_loads_is_replaced(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kill = WorkerProcess.kill

    def kill_and_be_patient(process: WorkerProcess) -> None:
        monkeypatch.setattr(pool, "LOADING_TIMEOUT", 60.0)
        kill(process)

    monkeypatch.setattr(pool, "LOADING_TIMEOUT", 1.0)
    monkeypatch.setattr(WorkerProcess, "kill", kill_and_be_patient)
    rows = run(folder, 1, Fated(str(folder), ("hangs", "loads")))
    np.testing.assert_array_equal(rows, np.stack([SMALL(noise(seed=row)) for row in range(N)]))


@pytest.mark.timeout(60)
def test_an_image_is_tried_again_though_the_next_process_dies_as_it_loads(folder: Path) -> None:
    rows = run(folder, 1, Fated(str(folder), ("dies later", "dies", "loads")))
    np.testing.assert_array_equal(rows, np.stack([SMALL(noise(seed=row)) for row in range(N)]))


def test_processes_that_the_system_does_not_start(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: object, **__: object) -> None:
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    monkeypatch.setattr("geocell.encoding.worker.subprocess.Popen", refused)
    with pytest.raises(ValueError, match="must be able to start, got: Too many open files: pass fewer workers"):
        run(folder, 2)


@dataclass(frozen=True)
class Starved(FileImages):
    """Reads images until the process has no descriptor left."""

    last: str = "9.png"

    def read(self, reference: str) -> bytes:
        if reference == self.last:
            raise OSError("download failed") from OSError(errno.EMFILE, os.strerror(errno.EMFILE))
        return super().read(reference)


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.timeout(60)
def test_too_many_open_files_are_no_problem_of_an_image(folder: Path, workers: int) -> None:
    loader = Loader.from_probe(Starved(str(folder)), SMALL)
    done = []
    with (
        DecodePool(loader, workers=workers, batch_size=SIZE, image_timeout=30) as pool,
        pytest.raises(TooManyOpenError, match=r"^9\.png must be opened, and too many files are open already"),
    ):
        for batch, _ in pool.batches(plan()):
            assert not batch.problems
            done.append(batch.first)
    assert done == [0, 4]  # nothing from the batch of image 9 on


@pytest.mark.timeout(60)
def test_batches_before_a_failure_come_whole_though_it_happens_first(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("geocell.encoding.decode_pool.usable_cores", lambda: 2)  # the second meets image 9
    loader = Loader.from_probe(Starved(str(folder)), SMALL)
    read, failed = FileImages.read, threading.Event()

    def last_of_all(self: FileImages, reference: str) -> bytes:
        if reference == "0.png":
            assert failed.wait(30)
        return read(self, reference)

    fail = DecodePool._fail

    def told(self: DecodePool, *args: Any) -> None:
        fail(self, *args)
        failed.set()

    monkeypatch.setattr(FileImages, "read", last_of_all)
    monkeypatch.setattr(DecodePool, "_fail", told)
    done = []
    with DecodePool(loader, workers=0, batch_size=SIZE, image_timeout=30) as pool, pytest.raises(TooManyOpenError):
        for batch, pixels in pool.batches(plan()):
            assert len(pixels) == SIZE
            done.append(batch.first)
    assert done == [0, 4]


@pytest.mark.parametrize("workers", [0, 1])
@pytest.mark.timeout(60)
def test_an_image_that_could_not_be_opened_does_not_take_too_long_later(
    folder: Path, monkeypatch: pytest.MonkeyPatch, workers: int
) -> None:
    fail, failed = DecodePool._fail, threading.Event()

    def told(self: DecodePool, *args: Any) -> None:
        fail(self, *args)
        failed.set()

    monkeypatch.setattr(DecodePool, "_fail", told)
    clock = SimpleNamespace(monotonic=lambda: 100.0 if failed.is_set() else 0.0)
    monkeypatch.setattr("geocell.encoding.decode_pool.time", clock)
    loader, batches, done = Loader.from_probe(Starved(str(folder)), SMALL), plan(), []
    with (
        DecodePool(loader, workers=workers, batch_size=SIZE, image_timeout=30) as pool,
        pytest.raises(TooManyOpenError),
    ):
        for batch, _ in pool.batches(batches):
            assert failed.wait(30)
            pool._watch()  # as it does while a batch before that of the image is waited for
            done.append(batch.first)
    assert done == [0, 4]
    assert 1 not in batches[2].problems  # image 9


def test_processes_of_one_machine_share_its_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("geocell.encoding.decode_pool.usable_cores", lambda: 16)
    assert default_workers(PROCESS_ROWS, FileImages()) == 16
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "4")
    assert default_workers(PROCESS_ROWS, FileImages()) == 4
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "32")
    assert default_workers(PROCESS_ROWS, FileImages()) == 1


def test_the_lanes_end_with_the_pool(folder: Path) -> None:
    before = set(threading.enumerate())
    run(folder, 2)
    for lane in set(threading.enumerate()) - before:  # which the pool waits for, but not for ever
        lane.join(60)
    assert set(threading.enumerate()) <= before
