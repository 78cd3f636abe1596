"""The atomic writer: a file appears complete or not at all."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from geocell.files.documents import json_pieces
from geocell.files.paths import is_local
from geocell.files.workspace import workspace


@contextmanager
def said_when_full(folder: Path) -> Iterator[None]:
    """Say in a sentence that the disk of a folder is full, where the block fails for that.

    safetensors (0.8) raises an error of its own instead of OSError.

    Raises:
        OSError: then.
    """
    try:
        yield
    except Exception as error:
        full = isinstance(error, OSError) and error.errno in {errno.ENOSPC, errno.EDQUOT}
        if not full and not (type(error).__name__ == "SafetensorError" and f"os error {errno.ENOSPC}" in str(error)):
            raise
        raise OSError(
            f"the disk of {folder} is full: make room and run the same command again; what was finished is kept, and "
            "nothing is half written.",
        ) from error


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """Yield a temporary path whose file becomes `path` when the block ends well, and vanishes when it does not.

    The temporary file has the name and suffix of `path`, in a private folder beside it. A link at `path` is replaced
    and not followed. Missing parent folders are made, and leftovers of killed processes with the same target removed.

    Args:
        path: the file, on this machine's file system; an existing one is replaced.

    Raises:
        IsADirectoryError: when there is a folder at `path`.
        OSError: when the disk is full; nothing is left behind then.
    """
    if path.is_dir() and not path.is_symlink():
        raise IsADirectoryError(f"expected a file to write, got the folder {path}: name a file in it.")
    target = Path(os.path.abspath(path))  # noqa: PTH100 - Path.absolute keeps "..", and has no name for "."
    with said_when_full(target.parent):
        target.parent.mkdir(parents=True, exist_ok=True)
        with workspace(target) as folder:
            temporary = folder / target.name
            yield temporary
            with temporary.open("rb") as file:
                os.fsync(file.fileno())
            temporary.replace(target)


def write_bytes(path: Path, parts: Iterable[bytes | memoryview]) -> None:
    """Write a file atomically: by rename, or as one object of an object store.

    Raises:
        IsADirectoryError: when there is a folder at `path`.
        OSError: when the disk is full; nothing is left behind then.
    """
    if not is_local(path):
        path.write_bytes(b"".join(parts))
        return
    with atomic_path(path) as temporary, temporary.open("wb") as file:
        for part in parts:
            file.write(part)


def write_text(path: Path, text: str) -> None:
    """Write a UTF-8 file atomically; see `write_bytes`."""
    write_bytes(path, [text.encode()])


def write_json(path: Path, value: object) -> None:
    """Write indented JSON atomically, a piece after the other; see `write_bytes`."""
    write_bytes(path, (text.encode() for text in json_pieces(value)))
