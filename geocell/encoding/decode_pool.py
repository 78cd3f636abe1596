"""Parallel decoding in order, with bounded memory and a watchdog: no image can hang or end a run.

A *lane* decodes one image at a time: a thread that decodes itself, or one that drives a worker process. Pixels are
written into slots of a ring of batch buffers. While the consumer waits for a batch, the watchdog checks the lanes: an
image that exceeds `image_timeout` becomes a row with that reason, and its lane is replaced; a process that is not ready
after `LOADING_TIMEOUT` is killed, and counts as one that died.
"""

from __future__ import annotations

import mmap
import os
import pickle
import queue
import threading
import time
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geocell.compute.cores import usable_cores
from geocell.compute.ranks import local_process_count
from geocell.encoding.worker import READY, WorkerProcess, shared_file
from geocell.files import TooManyOpenError
from geocell.images.loading import Loader
from geocell.images.sources import ImageSource

AHEAD = 3
"""Batch buffers: one that the encoder reads, and others that are filled meanwhile."""
THREADS = 4
"""Maximum of decoding threads: Pillow releases the GIL while decoding, and more threads only wait for it."""
PROCESS_ROWS = 4096
"""Smaller tables are decoded by threads."""
LOADING_TIMEOUT = 120.0
"""Seconds that a worker process may take to start: imports from a network disk are slow."""
_TICK_SECONDS = 0.1
_CLOSE_SECONDS = 1.0
_STARTS = 3  # consecutive processes that die or hang before they are ready


@dataclass
class Batch:
    """Consecutive rows of one shard.

    Attributes:
        shard: index of the shard.
        first: row of the shard of its first image.
        references: of the images.
        problems: row of the batch -> why it has no pixels; those known from the table to begin with.
    """

    shard: int
    first: int
    references: Sequence[str]
    problems: dict[int, str]
    buffer: int = -1
    pending: int = 0
    failure: Exception | None = None  # that the batches before it do not share

    def good(self) -> list[int]:
        """Return the rows of the batch that have pixels."""
        return [row for row in range(len(self.references)) if row not in self.problems]


@dataclass
class _Job:
    batch: Batch
    row: int
    attempts: int = 0
    resolved: bool = False


@dataclass
class _Lane:
    thread: threading.Thread = field(init=False)
    job: _Job | None = None
    since: float = 0.0  # when its job began, or the loading of its process
    given_up: bool = False
    starts: int = 0  # of processes since one was ready
    process: WorkerProcess | None = None
    loading: bool = False  # whether its process is not ready yet
    overdue: bool = False  # whether it was ended for that


class DecodePool:
    """Fills batches with pixels."""

    def __init__(self, loader: Loader, *, workers: int, batch_size: int, image_timeout: float) -> None:
        """Start the lanes.

        Args:
            loader: loads the pixels of references.
            workers: worker processes; 0 decodes in threads of this process.
            batch_size: images per batch at most.
            image_timeout: seconds that one image may take.
        """
        self._loader, self._timeout = loader, image_timeout
        self._batch_size = batch_size
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._changed = threading.Condition()
        self._failure: Exception | None = None
        self._closed = False
        size = AHEAD * batch_size * int(np.prod(loader.shape)) * np.dtype(loader.dtype).itemsize
        self._file = shared_file(size)
        memory = mmap.mmap(self._file.fileno(), size)
        self._slots = np.frombuffer(memory, dtype=loader.dtype).reshape(-1, *loader.shape)
        self._free = deque(range(AHEAD))
        self._target = self._serve_by_process if workers else self._serve_by_thread
        self._lanes: list[_Lane] = []
        for _ in range(workers or max(min(THREADS, usable_cores()), loader.source.at_once)):
            self._add_lane()

    def __enter__(self) -> DecodePool:
        """Return the pool."""
        return self

    def __exit__(self, *_: object) -> None:
        """End all lanes."""
        self._closed = True
        for lane in self._lanes:
            self._jobs.put(None)
            if lane.process is not None:
                lane.process.kill()
        for lane in self._lanes:
            lane.thread.join(_CLOSE_SECONDS)
        self._file.close()

    def batches(self, plan: Iterable[Batch]) -> Iterator[tuple[Batch, NDArray[Any]]]:
        """Yield every batch of a plan in order with the (B', *S) pixels of its good rows.

        The pixels are valid until the next batch is asked for.
        """
        waiting: deque[Batch] = deque()
        remaining = iter(plan)
        exhausted = False
        while True:
            while self._free and not exhausted:
                batch = next(remaining, None)
                if batch is None:
                    exhausted = True
                else:
                    waiting.append(batch)
                    self._dispatch(batch)
            if not waiting:
                return
            batch = waiting.popleft()
            self._wait(batch)
            start = batch.buffer * self._batch_size
            pixels = self._slots[start : start + len(batch.references)]
            yield batch, pixels[batch.good()] if batch.problems else pixels
            self._free.append(batch.buffer)

    def _dispatch(self, batch: Batch) -> None:
        batch.buffer = self._free.popleft()
        jobs = [_Job(batch, row) for row in batch.good()]
        batch.pending = len(jobs)
        for job in jobs:
            self._jobs.put(job)

    def _wait(self, batch: Batch) -> None:
        with self._changed:
            while batch.pending:
                failure = batch.failure or self._failure
                if failure is not None:
                    raise failure
                self._changed.wait(_TICK_SECONDS)
                self._watch()

    def _watch(self) -> None:
        """Kill processes that are not ready in time; replace lanes whose image takes too long."""
        now = time.monotonic()
        for lane in list(self._lanes):
            if lane.loading and lane.process is not None and now - lane.since > LOADING_TIMEOUT:
                lane.overdue = True
                lane.process.kill()  # its lane notices, and starts another
            job = lane.job
            if job is None or job.resolved or now - lane.since <= self._timeout:
                continue
            lane.given_up = True
            if lane.process is not None:
                lane.process.kill()
                lane.process.wait()  # it must not write into a slot that another image receives
            self._resolve(job, f"took longer than {self._timeout:g} s")
            self._lanes.remove(lane)
            self._add_lane()

    def _resolve(self, job: _Job, problem: str, pixels: NDArray[Any] | None = None) -> None:
        """Record the result of a job once: an abandoned lane may finish late."""
        with self._changed:
            if job.resolved:
                return
            job.resolved = True
            if pixels is not None:
                self._slots[self._slot(job)] = pixels
            if problem:
                job.batch.problems[job.row] = problem
            job.batch.pending -= 1
            if not job.batch.pending:
                self._changed.notify_all()

    def _slot(self, job: _Job) -> int:
        return job.batch.buffer * self._batch_size + job.row

    def _add_lane(self) -> None:
        lane = _Lane()
        # a daemon: a thread that is blocked in the kernel must not keep the interpreter alive
        lane.thread = threading.Thread(target=self._target, args=(lane,), name="decode", daemon=True)
        self._lanes.append(lane)
        lane.thread.start()

    def _serve_by_thread(self, lane: _Lane) -> None:
        while not (lane.given_up or self._closed) and (job := self._jobs.get()) is not None:
            lane.since, lane.job = time.monotonic(), job
            try:
                pixels, problem = self._loader(job.batch.references[job.row])
            except TooManyOpenError as error:
                lane.job = None  # nobody is at it: it does not take too long
                self._fail(error, job)
                return
            self._resolve(job, problem, pixels)
            lane.job = None

    def _serve_by_process(self, lane: _Lane) -> None:
        retry: _Job | None = None
        while not (lane.given_up or self._closed):
            lane.starts += 1
            try:
                lane.process = WorkerProcess(self._loader, self._file.fileno(), self._slots.nbytes)
            except OSError as error:  # too many processes or open files: without lanes the jobs would wait forever
                reason = error.strerror or str(error)
                self._fail(_unable(f"start, got: {reason}: pass fewer workers, or workers=0 to decode in threads."))
                return
            lane.since, lane.overdue, lane.loading = time.monotonic(), False, True
            try:
                self._converse(lane, lane.process, retry)
            except TooManyOpenError as error:
                failed, lane.job = lane.job, None
                self._fail(error, failed)
                return
            except (EOFError, OSError, pickle.UnpicklingError):  # the process died
                if lane.starts >= _STARTS:
                    late = f"no answer within {LOADING_TIMEOUT:g} s"
                    self._fail_to_load(late if lane.overdue else f"it ended with status {lane.process.wait()}")
                    return
                if lane.job is not None:  # else it died before it tried `retry`, which is still pending
                    retry = self._after_death(lane, lane.process)
            else:
                return
            finally:
                lane.loading = False
                lane.process.close()

    def _converse(self, lane: _Lane, process: WorkerProcess, job: _Job | None) -> None:
        """Send jobs to a process until there are no more, starting with `job`."""
        greeting = process.greet()
        if greeting != READY:
            self._fail_to_load(greeting)
            return
        lane.starts, lane.loading = 0, False
        job = job or self._jobs.get()
        while job is not None:
            lane.since, lane.job = time.monotonic(), job
            problem = process.ask((self._slot(job), job.batch.references[job.row]))
            self._resolve(job, problem)
            lane.job = None
            job = None if lane.given_up or self._closed else self._jobs.get()

    def _after_death(self, lane: _Lane, process: WorkerProcess) -> _Job | None:
        """Return the job to retry after its process died; record the reason the second time."""
        job, lane.job = lane.job, None
        if job is None or job.resolved or self._closed:
            return None
        job.attempts += 1
        if job.attempts < 2:
            return job
        self._resolve(job, f"the process that decoded it died (status {process.wait()})")
        return None

    def _fail_to_load(self, greeting: str) -> None:
        demand = f"load {self._loader.transform!r}, got: {greeting}. Define the encoder's transform in a module"
        self._fail(_unable(f"{demand} that can be imported, or pass workers=0 to decode in threads."))

    def _fail(self, failure: Exception, job: _Job | None = None) -> None:
        """Raise in the consumer what a lane can't go on after: with a job, when its batch is asked for.

        Lanes take jobs in order, so others already have the earlier ones: the batches before that one come whole.
        """
        with self._changed:
            if job is None:
                self._failure = self._failure or failure
            else:
                job.batch.failure = job.batch.failure or failure
            self._changed.notify_all()


def _unable(demand: str) -> ValueError:
    return ValueError(f"worker processes must be able to {demand}")


def default_workers(rows: int, source: ImageSource) -> int:
    """Return how many worker processes decode a table: one per core, shared with the other encoders of this machine.

    Zero for small tables, where starting processes costs more, and where threads wait for downloads.
    """
    if rows < PROCESS_ROWS or source.at_once != 1 or not hasattr(os, "fork"):
        return 0
    return max(1, usable_cores() // local_process_count())
