"""Folders that appear whole or not at all, and the lock of a folder that a command works on."""

from __future__ import annotations

import errno
import os
import shutil
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TypeVar

from geocell.files.workspace import (
    OLD,
    is_temporary,
    remove_leftovers,
    remove_leftovers_in,
    wait_for_lock,
    workspace,
)

T = TypeVar("T")

_READS = 100
"""How often a folder is read again that was replaced meanwhile."""

_AT_FDCWD, _RENAME_EXCHANGE = -100, 2  # linux/fcntl.h, linux/fs.h


def require_new(path: Path, overwrite: bool, marks: Sequence[str] = (), parts: Sequence[str] = ()) -> None:
    """Refuse to write over an existing output unless asked, and over anything but an artefact of the same kind at all.

    Args:
        path: the output; a previous result that a killed process had moved aside is put back first.
        overwrite: whether the user asked to replace it.
        marks: for a folder, the files that every artefact of this kind has.
        parts: for a folder, patterns of all that such an artefact may hold beside its marks; without them, anything.

    Raises:
        FileExistsError: when `path` exists (an empty folder does not count), and `overwrite` is false or it is
            something else.
    """
    remove_leftovers(_resolved(path))
    empty_folder = path.is_dir() and not any(path.iterdir())
    if not path.exists() or empty_folder:
        return
    if not overwrite:
        raise FileExistsError(f"{path} exists: name another --out, or pass --overwrite to replace it.")
    if marks or parts:
        _require_same_kind(path, marks, parts)


def _require_same_kind(path: Path, marks: Sequence[str], parts: Sequence[str]) -> None:
    if not path.is_dir():
        raise FileExistsError(f"expected a folder to replace at {path}, got a file: name another --out.")
    lacking = [name for name in marks if not (path / name).is_file()]
    if lacking:
        raise FileExistsError(
            f"--overwrite replaces only a result of the same command, with {', '.join(marks)} in it, and {path} lacks "
            f"{', '.join(lacking)}: name another --out. Nothing was changed."
        )
    allowed = (*marks, *parts)
    found = (p.name for p in path.iterdir() if not is_temporary(p.name))
    foreign = sorted(name for name in found if not any(fnmatchcase(name, a) for a in allowed))
    if parts and foreign:
        raise FileExistsError(
            f"replacing {path} would delete {', '.join(foreign[:3])}{' …' if len(foreign) > 3 else ''} in it, which "
            "this command did not write: move it elsewhere, or name another --out. Nothing was changed."
        )


@contextmanager
def new_folder(
    path: Path, *, overwrite: bool = False, marks: Sequence[str], parts: Sequence[str] = ()
) -> Iterator[Path]:
    """Yield a temporary folder that becomes `path` when the block ends well, and vanishes when it does not.

    Readers find the old folder or the new one at every moment where the file system can exchange two names (Linux);
    elsewhere the old one is moved aside for an instant, and a process killed in it is made good by the next call.

    Args:
        path: the folder to make; where it is a link, the folder that it leads to.
        overwrite: whether to replace an existing folder, which must be an artefact of the same kind.
        marks: the files that every artefact of this kind has.
        parts: patterns of all that such an artefact may hold; without them, anything.

    Raises:
        FileExistsError: see `require_new`.
        ValueError: when `path` is the working directory, one above it, or where a disk is mounted.
    """
    target = _resolved(path)
    if _is_fixed(target):
        raise ValueError(f"expected a folder of its own to write, got {path}: name a new folder in it.")
    require_new(path, overwrite, marks, parts)
    target.parent.mkdir(parents=True, exist_ok=True)
    with workspace(target) as temporary:
        made = temporary / "new"
        made.mkdir()
        yield made
        require_new(path, overwrite, marks, parts)  # another process may have written there since
        if target.exists() or not _renamed(made, target):
            with held_folder(target):
                require_new(path, overwrite, marks, parts)  # or in this instant
                _replace(made, target, temporary / OLD)


@contextmanager
def changed_folder(path: Path) -> Iterator[Path]:
    """Yield a folder with the same files that takes the place of `path` when the block ends well, as `new_folder` does.

    Its files are links to those of `path`: the block replaces or removes them, as `write_bytes` does, and writes into
    none. One process at a time changes a folder, the others wait. The working directory, a folder above it and one
    where a disk is mounted can't be replaced, and are yielded themselves.

    Args:
        path: an existing folder; where it is a link, the folder that it leads to.
    """
    target = _resolved(path)
    remove_leftovers(target)
    with held_folder(target):
        if _is_fixed(target):
            remove_leftovers_in(target)
            yield target
            return
        with workspace(target) as temporary:
            made = temporary / "new"
            _link_tree(target, made)
            yield made
            _replace(made, target, temporary / OLD)


@contextmanager
def held_folder(path: Path) -> Iterator[None]:
    """Hold a folder while a few files in it are written; wait for another process that does so.

    The lock is on the folder itself, and nobody holds it longer than such writing takes. Where the file system has no
    locks on folders nothing is held.
    """
    lock = wait_for_lock(_resolved(path))
    try:
        yield
    finally:
        if lock is not None:
            os.close(lock)


def discard_folder(path: Path, last: str) -> None:
    """Remove a folder at once, or, where it can't be moved (see `changed_folder`), what is in it.

    A process that is killed leaves all of it, none, or in the latter case what has `last` in it.

    Args:
        path: an existing folder.
        last: the file that is removed after all others.
    """
    target = _resolved(path)
    if _is_fixed(target):
        for entry in sorted(target.iterdir(), key=lambda entry: (entry.name == last, entry.name)):
            shutil.rmtree(entry) if entry.is_dir() and not entry.is_symlink() else entry.unlink()
        return
    with workspace(target) as temporary:
        target.rename(temporary / "discarded")


def _is_fixed(target: Path) -> bool:
    return target == Path.cwd() or target in Path.cwd().parents or target.is_mount()


def _link_tree(origin: Path, made: Path) -> None:
    """Make a folder whose files are links to those of another one, and copies where there are no such links.

    Temporary folders in it are left out: whoever holds the folder knows that nobody writes there.
    """
    made.mkdir()
    with os.scandir(origin) as entries:
        for entry in sorted(entries, key=lambda entry: entry.name):
            if is_temporary(entry.name):
                continue
            if entry.is_dir(follow_symlinks=False):
                _link_tree(Path(entry.path), made / entry.name)
                continue
            try:
                os.link(entry.path, made / entry.name, follow_symlinks=False)
            except (OSError, NotImplementedError):
                shutil.copy2(entry.path, made / entry.name, follow_symlinks=False)
    shutil.copystat(origin, made)
    with suppress(OSError):  # another user's folder stays his, where that may be said
        status = origin.stat()
        os.chown(made, status.st_uid, status.st_gid)


def _renamed(made: Path, target: Path) -> bool:
    """Give a folder a name, and return whether it was free."""
    try:
        made.rename(target)
    except OSError as error:
        if error.errno not in {errno.EEXIST, errno.ENOTEMPTY}:
            raise
        return False
    return True


def _replace(made: Path, target: Path, old: Path) -> None:
    if _exchange(made, target):
        return
    target.rename(old)
    try:
        made.rename(target)
    except BaseException:
        if not target.exists():
            old.rename(target)
        raise


def _exchange(a: Path, b: Path) -> bool:
    """Exchange two names in one step, and return whether this system and file system could (renameat2(2))."""
    if sys.platform != "linux":
        return False
    import ctypes

    rename = getattr(ctypes.CDLL(None), "renameat2", None)
    return rename is not None and rename(_AT_FDCWD, os.fsencode(a), _AT_FDCWD, os.fsencode(b), _RENAME_EXCHANGE) == 0


def _resolved(path: Path) -> Path:
    return Path(os.path.realpath(path))


def read_folder(folder: Path, read: Callable[[Path], T]) -> T:
    """Return what `read` makes of a folder; again when the folder was replaced while it was read.

    Args:
        folder: an artefact that another process may overwrite.
        read: reads it, without effects.

    Raises:
        OSError: what `read` raises, and where the folder is replaced faster than it can be read.
    """
    for _ in range(_READS):
        before = _identity(folder)
        try:
            value = read(folder)
        except (OSError, ValueError):
            if before == _identity(folder):
                raise
            continue
        if before == _identity(folder):
            return value
    raise OSError(f"{folder} was replaced {_READS} times while it was read: try again when nothing writes it.")


def _identity(folder: Path) -> tuple[int, ...] | None:
    try:
        status = folder.stat()
    except (OSError, NotImplementedError):  # gone, or an object store
        return None
    return status.st_dev, status.st_ino, status.st_mtime_ns


@contextmanager
def folder_lock(path: Path) -> Iterator[None]:
    """Hold the lock of an output folder while a command works on it; a process that is killed lets it go.

    The lock is a hidden file beside the folder, which is removed at the end.

    Raises:
        FileExistsError: when another process holds it.
    """
    from filelock import FileLock, Timeout

    target = _resolved(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(target.with_name(f".{target.name}.lock"), timeout=0) as lock:
            try:
                yield
            finally:
                # Removed under the lock: filelock sees that a name it waited for is gone, and opens it again.
                with suppress(OSError):
                    Path(lock.lock_file).unlink()
    except Timeout as error:
        raise FileExistsError(
            f"another process is writing {path}: wait until it has finished, or name another --out."
        ) from error
