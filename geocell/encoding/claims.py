"""Claims on shards: processes that fill one cache share its shards, and never write the same one."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import BaseFileLock, FileLock, Timeout

from geocell.compute.ranks import process_count, process_rank
from geocell.features import require_cache_or_nothing, shard_path
from geocell.features.manifest import CLAIMS
from geocell.features.partials import remove_partial
from geocell.files import is_local, remove_leftovers

_PATIENCE_SECONDS = 300.0  # writing the table of a hundred million views takes its time


@contextmanager
def cache_lock(folder: Path) -> Iterator[None]:
    """Hold the lock under which a cache is created and finished; wait for another holder.

    Raises:
        FileExistsError: when `folder` is not a cache, or another process keeps the lock.
    """
    require_cache_or_nothing(folder)
    if is_local(folder):
        remove_leftovers(folder.resolve())  # a cache that a killed process had discarded
    folder.mkdir(parents=True, exist_ok=True)
    if not is_local(folder):  # an object store has no locks
        yield
        return
    try:
        with FileLock(folder / ".lock", timeout=_PATIENCE_SECONDS) as lock:
            try:
                for name in ("cache.json", "views.parquet", *_shards_with_leftovers(folder)):
                    remove_leftovers(folder / name)  # of a process that was killed while it wrote
                yield
            finally:
                _remove_held(lock)
    except Timeout as error:
        raise FileExistsError(
            f"{folder} is being created or finished by another process: wait for it, or name another --out."
        ) from error


def _shards_with_leftovers(folder: Path) -> set[str]:
    """Return the shards that a temporary folder beside them belongs to, of one that is written or was.

    A process that is killed right after it wrote a shard leaves one that nobody meets again: the shard is complete.
    """
    suffix = ".safetensors"
    return {path.name[1:].split(f"{suffix}.")[0] + suffix for path in folder.glob(f".features-*{suffix}.*")}


def _remove_held(lock: BaseFileLock) -> None:
    """Remove the file of a lock that is held, as the last thing that is done under it.

    A process that opened the file before and waits acquires the lock of an unlinked file; filelock (from 4.0) detects
    that and opens the path again. So two processes never hold locks of an old and a new file at once.
    """
    with suppress(OSError):  # a file that is open can't be removed on Windows, and may stay
        Path(lock.lock_file).unlink()


class Claims:
    """Shards claimed by this process: it holds the lock of each, so others skip them."""

    def __init__(self, folder: Path) -> None:
        """Start without claims."""
        self._folder, self._held = folder, dict[int, BaseFileLock]()
        self._locks = folder / CLAIMS

    def take(self, index: int) -> bool:
        """Claim a shard and return whether no other process has it."""
        lock = FileLock(self._locks / f"{index:05d}", timeout=0)
        try:
            self._locks.mkdir(exist_ok=True)
            lock.acquire()
        except (Timeout, FileNotFoundError):  # the latter: another process has just finished and removed the folder
            return False
        self._held[index] = lock
        return True

    def remove_leftovers(self, index: int) -> None:
        """Remove temporary files that a killed process left of a claimed shard."""
        remove_leftovers(shard_path(self._folder, index))

    def give_back(self, index: int) -> None:
        """Release a shard."""
        self._held.pop(index).release()

    def close(self) -> None:
        """Release all shards."""
        for index in list(self._held):
            self.give_back(index)

    def remove(self) -> None:
        """Remove lock files that no process holds, once the cache is complete."""
        with suppress(OSError):  # other processes do the same, or still hold locks
            for path in self._locks.iterdir():
                with suppress(Timeout, FileNotFoundError), FileLock(path, timeout=0) as lock:
                    _remove_held(lock)
            self._locks.rmdir()


class RankClaims(Claims):
    """Claims by rank, where there are no locks: each process of a group has its own shards."""

    def __init__(self) -> None:
        """Start without claims."""
        self._rank, self._world = process_rank(), process_count()

    def take(self, index: int) -> bool:
        """Return whether a shard belongs to this process."""
        return index % self._world == self._rank

    def remove_leftovers(self, index: int) -> None:
        """Do nothing."""

    def give_back(self, index: int) -> None:
        """Do nothing."""

    def close(self) -> None:
        """Do nothing."""

    def remove(self) -> None:
        """Do nothing."""


def remove_rests(folder: Path) -> None:
    """Remove what killed processes left in a cache whose shards are complete: lock files, and first rows of shards.

    What another process holds is left to it.
    """
    if not is_local(folder):
        return
    claims = Claims(folder)
    rests = (re.match(r"\.{1,2}partial-(\d{5,9})\.", path.name) for path in folder.glob(".*"))
    for index in sorted({int(found[1]) for found in rests if found}):
        if claims.take(index):
            remove_partial(folder, index)
            claims.give_back(index)
    if (folder / CLAIMS).is_dir():
        claims.remove()


def require_alone(folder: Path) -> None:
    """Refuse to re-encode shards of an object store by several processes: none sees which ones the others did.

    Raises:
        ValueError: when this process is one of several, and `folder` is on an object store.
    """
    if not is_local(folder) and process_count() > 1:
        raise ValueError(
            f"one process at a time can encode again in {folder}, which is on an object store, got {process_count()}: "
            "run --retry on one device."
        )


def claims_of(folder: Path) -> Claims:
    """Return the claims of this process on the shards of a cache."""
    return Claims(folder) if is_local(folder) else RankClaims()
