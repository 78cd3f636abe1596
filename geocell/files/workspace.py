"""Temporary folders beside the file or folder that is being written, and what killed processes left of them.

A workspace of `result` is called `.result.XXXXXXXX.geocell-tmp`. Its process holds a lock on the folder for as long as
it lives, so a workspace that nobody holds is a leftover, whatever machine or container its process ran in.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

if sys.platform != "win32":  # which has no locks on folders: leftovers stay there
    import fcntl

_SUFFIX = ".geocell-tmp"
_RANDOM = 8
"""Characters that `tempfile.mkdtemp` puts into a name."""
_LONGEST = 200
"""Bytes of a name that a workspace repeats; most file systems allow 255 in all."""

_PER_WRITE = 64
"""Entries of a folder that are looked at per file that is written: all for every shard would be quadratic."""

_seen: dict[Path, tuple[int, list[str]]] = {}
"""Folder -> files that are written into it before it is looked through again, and what may be leftovers in it."""

OLD = "old"
"""Name inside a workspace of the previous result while the new one is moved into its place."""


@contextmanager
def workspace(target: Path) -> Iterator[Path]:
    """Yield an empty temporary folder beside `target` that is removed at the end; leftovers are removed first.

    Nobody but the user can enter the folder, so nobody can plant a link in it.

    Args:
        target: absolute path of what is written; its parent exists.
    """
    import shutil
    import tempfile

    if _is_due(target):
        remove_leftovers(target)
    while True:
        folder = Path(tempfile.mkdtemp(prefix=_prefix(target), suffix=_SUFFIX, dir=target.parent))
        try:
            lock = _lock(folder)
        except OSError:  # a file system without locks on folders (NFS, some of FUSE): leftovers stay, as on Windows
            lock = None
            break
        if lock is not None or sys.platform == "win32":
            break
        # Another process took the folder for a leftover in the instant before it was locked.
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        if lock is not None:
            os.close(lock)


@contextmanager
def scratch_folder(what: str) -> Iterator[Path]:
    """Yield an empty folder among the temporary files of this machine; those of killed processes are removed first.

    Args:
        what: it is for, a part of its name.
    """
    import tempfile

    user = os.getuid() if hasattr(os, "getuid") else 0
    with workspace(Path(tempfile.gettempdir()).resolve() / f"geocell-{what}-{user}") as folder:
        yield folder


def remove_leftovers(target: Path) -> None:
    """Remove workspaces of `target` whose processes are dead, and put back a previous result that one had moved."""
    import shutil

    prefix = _prefix(target)
    try:
        with os.scandir(target.parent) as entries:
            names = [entry.name for entry in entries]
    except OSError:
        return
    _seen[target.parent] = len(names) // _PER_WRITE, [name for name in names if name.endswith(_SUFFIX)]
    for folder in [target.parent / name for name in names if _is_workspace(name, prefix)]:
        try:
            lock = _lock(folder) if folder.lstat().st_uid == os.geteuid() else None
        except OSError:
            continue
        if lock is None:
            continue  # its process is at work, or it is not ours
        try:
            old = folder / OLD  # only folders are ever moved aside; a file of this name is one that was being written
            if old.is_dir() and not old.is_symlink() and not os.path.lexists(target):
                with suppress(OSError):
                    old.rename(target)
            shutil.rmtree(folder, ignore_errors=True)
        finally:
            os.close(lock)


def remove_leftovers_in(folder: Path) -> None:
    """Remove the leftovers of whatever was written into a folder; see `remove_leftovers`."""
    try:
        with os.scandir(folder) as entries:
            names = [entry.name for entry in entries if is_temporary(entry.name)]
    except OSError:
        return
    for name in sorted({name[1 : -len(_SUFFIX) - _RANDOM - 1] for name in names}):
        remove_leftovers(folder / name)


def is_temporary(name: str) -> bool:
    """Return whether a folder is called as workspaces are."""
    return name.startswith(".") and name.endswith(_SUFFIX) and name[: -len(_SUFFIX)][1:-_RANDOM].endswith(".")


def wait_for_lock(folder: Path) -> int | None:
    """Return a descriptor that holds the lock of an existing folder, after whoever holds it; None without such locks.

    Raises:
        FileNotFoundError: when there is no such folder.
    """
    while sys.platform != "win32":
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            locked, there = os.fstat(descriptor), folder.stat()  # it may have been replaced meanwhile
            if (locked.st_dev, locked.st_ino) == (there.st_dev, there.st_ino):
                return descriptor
        except FileNotFoundError:
            os.close(descriptor)
            raise
        except OSError:
            os.close(descriptor)
            return None
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)
    return None


def _is_due(target: Path) -> bool:
    """Return whether its folder is to be looked through: always, unless many files are written into a large one."""
    left, leftovers = _seen.pop(target.parent, (0, []))
    if left <= 0 or any(_is_workspace(name, _prefix(target)) for name in leftovers):
        return True
    _seen[target.parent] = left - 1, leftovers
    return False


def _prefix(target: Path) -> str:
    import hashlib

    name = os.fsencode(target.name)
    shown = target.name if len(name) <= _LONGEST else hashlib.sha256(name).hexdigest()
    return f".{shown}."


def _is_workspace(name: str, prefix: str) -> bool:
    """Return whether a name is prefix, random part and suffix alone: `run` must not take those of `run.v2`."""
    return is_temporary(name) and name.startswith(prefix) and len(name) == len(prefix) + _RANDOM + len(_SUFFIX)


def _lock(folder: Path) -> int | None:
    """Return a descriptor that holds the lock of a workspace, None when another process holds it or it is gone.

    Raises:
        OSError: when the file system has no locks on folders.
    """
    if sys.platform == "win32":
        return None
    try:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        locked, there = os.fstat(descriptor), folder.lstat()  # it may have been removed before it was locked
        if (locked.st_dev, locked.st_ino) == (there.st_dev, there.st_ino):
            return descriptor
    except (BlockingIOError, FileNotFoundError):
        pass
    except OSError:
        os.close(descriptor)
        raise
    os.close(descriptor)
    return None
