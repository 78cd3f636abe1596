"""Paths of this machine and URLs of object stores, used the same way."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, cast


def as_place(path: Path | str) -> Path:
    """Return a path; for a URL such as `s3://bucket/folder` one of universal_pathlib, which is used the same way.

    Raises:
        ImportError: when universal_pathlib or the library of the URL's scheme is not installed.
    """
    scheme = re.match(r"([a-z][a-z0-9+.-]+):/+(.*)", str(path))  # a Path has made one slash of two
    if scheme is None:
        return Path(path)
    if scheme[1] == "file":
        return Path("/", scheme[2])
    try:
        from upath import UPath
    except ImportError as error:
        raise ImportError(f'{path} needs universal_pathlib: run `pip install "geocell-heads[remote]"`.') from error
    place: Any = UPath(f"{scheme[1]}://{scheme[2]}")
    return cast("Path", place)


def is_local(path: Path) -> bool:
    """Return whether a path is one of this machine's file system."""
    return isinstance(path, Path)
