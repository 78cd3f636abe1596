"""Fitting the heads of a sweep: sequentially in this process, or in parallel in worker processes."""

from __future__ import annotations

import contextlib
import hashlib
import io
import multiprocessing
from collections.abc import Collection, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from geocell.compute.parent_process import end_with_parent, interrupts_blocked
from geocell.compute.signals import raise_lost_interrupt
from geocell.evaluation.clusters import clusters_of
from geocell.evaluation.score import score
from geocell.features import FeatureCache
from geocell.features.locations import Locations
from geocell.files import canonical_json
from geocell.heads.head import load_head
from geocell.metrics.clusters import Clusters
from geocell.partitioners.base import Partition
from geocell.splits.leaks import count_at_training_coordinates, shared_coordinates_remark
from geocell.splits.splits import Splits
from geocell.sweeps.plan import Fit, SweepConfig
from geocell.training.fit import fit_head


@dataclass(frozen=True)
class Setup:
    """What all fits of a sweep share; it can be pickled for worker processes.

    Attributes:
        cache: folder of the feature cache.
        splits: path of splits.json.
        out: folder of the sweep.
        config: how it is run.
        threads: of torch, per process.
        stream: whether the features stay on disk, because a fit streams them.
    """

    cache: Path
    splits: Path
    out: Path
    config: SweepConfig
    threads: int
    stream: bool = False

    def folder(self, fit: Fit) -> Path:
        """Return where the head of a fit is."""
        return self.out / "heads" / fit.name

    def partition(self, fit: Fit) -> Path:
        """Return where the partition of a fit is."""
        return self.out / "partitions" / fit.row.partition.name


@dataclass(frozen=True, eq=False)
class Data:
    """The locations of a sweep.

    Attributes:
        train: training locations.
        val: validation locations; None where the splits have none.
        test: the locations that are scored.
        cache_sha256: hash of the features of the whole cache.
        test_name: name of the split that is scored.
        clusters: which of the scored locations were drawn together; places when omitted.
    """

    train: Locations
    val: Locations | None
    test: Locations
    cache_sha256: str
    test_name: str = "test"
    clusters: Clusters | None = None

    @classmethod
    def from_cache(cls, setup: Setup) -> Data:
        """Read the cache and select its splits."""
        cache = FeatureCache.open(setup.cache)
        locations = cache.locations(in_memory=not setup.stream)
        splits = Splits.load(setup.splits)
        val = splits.select(locations, "val") if splits.ids.get("val") else None
        test = splits.select(locations, setup.config.split)
        clusters, train = clusters_of(test, None, splits), splits.select(locations, "train")
        return cls(train, val, test, cache.features_sha256, setup.config.split, clusters)

    @property
    def parts(self) -> list[Locations]:
        """Training, validation and scored locations, without those that do not exist."""
        return [part for part in (self.train, self.val, self.test) if part is not None]

    @property
    def remarks(self) -> list[str]:
        """What a reader of the scores must know about the locations."""
        parts = {"val": self.val, self.test_name: self.test}
        found = (
            shared_coordinates_remark(part.latlon, self.train.latlon, name)
            for name, part in parts.items()
            if part is not None and name != "train"
        )
        return [remark for remark in found if remark]

    def locations_sha256(self) -> str:
        """Return a hash of the locations in their roles, and of the encoder."""
        content = [self.train.encoder.to_dict(), *([*part.ids.tolist(), part.latlon.tolist()] for part in self.parts)]
        return hashlib.sha256(canonical_json(content).encode()).hexdigest()

    def features_sha256(self) -> str:
        """Return a hash of the features and of their assignment to locations."""
        digest = hashlib.sha256(self.cache_sha256.encode())
        for part in self.parts:
            digest.update(f"{part.n_views} {len(part)}".encode())
            digest.update(part.rows.tobytes() + part.offsets.tobytes())
        return digest.hexdigest()


def make_head(fit: Fit, setup: Setup, data: Data) -> None:
    """Fit, score and save one head; its folder appears complete."""
    partition = Partition.load(setup.partition(fit))
    init = None if fit.init is None else load_head(setup.folder(fit.init))
    with contextlib.redirect_stderr(io.StringIO()):  # the progress bar of the sweep is enough
        head = fit_head(data.train, data.val, partition, fit.config, init=init)
    if head.training["interrupted"]:
        raise KeyboardInterrupt
    shared = 0 if data.val is None else count_at_training_coordinates(data.val.latlon, data.train.latlon)
    head = replace(head, training={**head.training, "n_val_at_training_coordinates": shared})
    scores = score(head, data.test, setup.config.decode, setup.config.split, cluster=data.clusters)
    shared = count_at_training_coordinates(data.test.latlon, data.train.latlon)
    scores = replace(scores, n_at_training_coordinates=shared)
    # A folder that appeared meanwhile holds the same head, written by a worker of a killed run.
    head.save(setup.folder(fit), scores, overwrite=True)


Ended = tuple[Fit, str | None]
"""A fit that has ended, and the reason when it failed."""


def _reason(error: BaseException) -> str:
    return str(error) or type(error).__name__


def _start_failed(fit: Fit, failed: set[str]) -> str | None:
    """Return why a fit cannot start, when the one that it starts from failed."""
    return f"the fit it starts from failed: {fit.init.name}" if fit.init and fit.init.name in failed else None


def run_here(fits: Sequence[Fit], setup: Setup, data: Data, lost: Collection[str] = ()) -> Iterator[Ended]:
    """Make the heads sequentially; yield each fit when it has ended.

    Args:
        fits: each after the one that it starts from, if that is still to be made.
        setup: what they share.
        data: the locations.
        lost: names of fits that are not made because they have no partition.
    """
    failed = set(lost)
    for fit in fits:
        reason = _start_failed(fit, failed)
        if reason is None:
            try:
                make_head(fit, setup, data)
            except (ValueError, OSError, MemoryError, RuntimeError) as error:
                raise_lost_interrupt()
                reason = _reason(error)
        if reason is not None:
            failed.add(fit.name)
        yield fit, reason


_here: dict[str, tuple[Setup, Data]] = {}
"""What a worker process keeps between fits."""


def _initialize(setup: Setup) -> None:
    end_with_parent()
    torch.set_num_threads(setup.threads)
    _here["sweep"] = setup, Data.from_cache(setup)


def _make_head_in_worker(fit: Fit) -> None:
    make_head(fit, *_here["sweep"])


def run_in_processes(fits: Sequence[Fit], setup: Setup, jobs: int, lost: Collection[str] = ()) -> Iterator[Ended]:
    """Make heads in parallel, each worker with its own copy of the locations; yield each fit when it has ended.

    Args:
        fits: see `run_here`.
        setup: what they share.
        jobs: number of workers.
        lost: see `run_here`.

    Raises:
        RuntimeError: when a worker is killed, usually because memory ran out; finished heads are kept.
    """
    context = multiprocessing.get_context("spawn")  # a fork after torch has threads can hang
    others = set(multiprocessing.active_children())
    pool = ProcessPoolExecutor(jobs, mp_context=context, initializer=_initialize, initargs=(setup,))
    try:
        yield from _schedule(list(fits), pool, lost)
    except BrokenProcessPool as error:
        raise RuntimeError(
            "a worker process of the sweep was killed, perhaps because memory ran out: run the same command with fewer "
            "--jobs; the finished fits are kept."
        ) from error
    except BaseException:
        for process in set(multiprocessing.active_children()) - others:
            process.terminate()  # an interrupt must not wait for the fits, which may take minutes
        raise
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _schedule(waiting: list[Fit], pool: ProcessPoolExecutor, lost: Collection[str]) -> Iterator[Ended]:
    """Submit each fit once the fit that it starts from has ended; yield each fit when it has ended."""
    running: dict[Future[None], Fit] = {}
    unfinished, failed = {fit.name for fit in waiting}, set(lost)
    while waiting or running:
        for fit in [fit for fit in waiting if fit.init is None or fit.init.name not in unfinished]:
            waiting.remove(fit)
            reason = _start_failed(fit, failed)
            if reason is None:
                with interrupts_blocked():
                    running[pool.submit(_make_head_in_worker, fit)] = fit
            else:
                unfinished.remove(fit.name)
                failed.add(fit.name)
                yield fit, reason
        for future in wait(running, return_when=FIRST_COMPLETED).done:
            fit, error = running.pop(future), future.exception()
            if error is not None and not isinstance(error, (ValueError, OSError, MemoryError, RuntimeError)):
                raise error
            if isinstance(error, BrokenProcessPool):
                raise error
            unfinished.remove(fit.name)
            if error is not None:
                failed.add(fit.name)
            yield fit, None if error is None else _reason(error)
