"""Running out of open files: the fault of a process or machine, and not of the file that it was about to read."""

from __future__ import annotations

import errno
import sys
from pathlib import Path

if sys.platform != "win32":
    import resource  # at once: a process that has no file left can import nothing

_USUAL = 4096  # descriptors that are advised where the limit is less


class TooManyOpenError(OSError):
    """A file could not be opened because too many are open; nothing is known about the file itself."""


def is_out_of_files(error: BaseException, path: Path | None = None) -> bool:
    """Return whether an error says that too many files are open.

    Args:
        error: raised when a file was opened.
        path: the file, where safetensors was to open it: it says (0.8) that there is none.
    """
    if path is not None and isinstance(error, FileNotFoundError):
        try:
            path.open("rb").close()
        except OSError as reason:
            error = reason
    return isinstance(error, OSError) and error.errno in {errno.EMFILE, errno.ENFILE}


def too_many_open(path: object) -> TooManyOpenError:
    """Return the error of a file that could not be opened because too many are."""
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0] if sys.platform != "win32" else 0
    may = f", of which this process may have {limit:,}" if limit > 0 else ""
    return TooManyOpenError(
        f"{path} must be opened, and too many files are open already{may}: raise the limit, with "
        f"`ulimit -n {max(_USUAL, 4 * limit)}` say, and run the same command again."
    )


def require_open_files(error: BaseException, path: object) -> None:
    """Raise `TooManyOpenError` where an error, or one that it was raised from, says that too many files are open.

    Args:
        error: raised as a file was read, by whatever read it: a store, a download, a source of somebody else.
        path: the file.
    """
    cause: BaseException | None = error
    while cause is not None:
        if is_out_of_files(cause):
            raise too_many_open(path) from error
        cause = cause.__cause__ or (None if cause.__suppress_context__ else cause.__context__)
