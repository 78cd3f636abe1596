"""Names of images for readers elsewhere: absolute paths of this machine without what tells its folders."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

_URL = re.compile(r"file:(//)?(?=[/~])", re.IGNORECASE)


def shortened(locations: Iterable[str]) -> Callable[[str], str]:
    """Return what leaves the folder that all absolute paths share out of a text, and writes `~` for the home folder.

    Names below one folder stay different from each other. Relative paths, other ids and URLs of other machines stay as
    they are.

    Args:
        locations: names of locations: an id, a path, or several paths with commas between them.
    """
    folders = [os.path.dirname(path) for text in locations for path in absolute_paths(text)]  # noqa: PTH120 - text
    shared = _below(os.path.commonpath(folders)) if folders else ""
    home = _below(str(Path.home()))
    if home.startswith(shared):  # of several users, or of the root: the home folder is the longer one
        shared = ""

    rules = [
        (re.compile(rf"(?<![^\s'\"(])(?:file://)?{re.escape(folder)}"), instead)  # where a path begins
        for folder, instead in ((shared, ""), (home, "~/"))
        if folder.strip(os.sep)
    ]

    def short(text: str) -> str:
        for pattern, instead in rules:
            text = pattern.sub(instead, text)
        return text

    return short


def absolute_paths(location: str) -> Iterator[str]:
    """Yield the absolute paths of this machine that name a location."""
    for name in location.split(", "):
        path = _URL.sub("", name)
        if os.path.isabs(path):  # noqa: PTH117 - text in, text out
            yield path


def _below(folder: str) -> str:
    return f"{folder.rstrip(os.sep)}{os.sep}"
