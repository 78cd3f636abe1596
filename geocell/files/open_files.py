"""Running out of open files: the fault of a process or machine, and not of the file that it was about to read."""

from __future__ import annotations

import errno
import sys
from pathlib import Path

if sys.platform != "win32":
    import resource  # at once: a process that has no file left can import nothing

_USUAL = 4096  # descriptors that are advised where the limit is less


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


def too_many_open(path: object) -> OSError:
    """Return the error of a file that could not be opened because too many are."""
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0] if sys.platform != "win32" else 0
    may = f", of which this process may have {limit:,}" if limit > 0 else ""
    return OSError(
        f"{path} must be opened, and too many files are open already{may}: raise the limit, with "
        f"`ulimit -n {max(_USUAL, 4 * limit)}` say, and run the same command again."
    )
