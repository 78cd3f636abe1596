"""The folder of a quickstart: what a run makes in it, and when it may be continued or replaced."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from geocell.files import new_folder, read_json, require_new, write_json
from geocell.quickstart.streetclip_result import PARTS

KINDS = ("h3", "kmeans", "kdtree", "countries")
"""Names of the partitions."""

SUFFIX = "-refit"
"""What names of refitted heads end in."""

MARK = "quickstart.json"
STREETCLIP = "streetclip"
_MADE = (
    "world", "cache", "splits.json", "countries.geojson", "partitions", "heads", "scores.csv", "map.png", STREETCLIP,
)  # fmt: skip


def _temporary(names: Iterable[str]) -> tuple[str, ...]:
    """Return patterns of the locks and temporary folders that a killed run leaves beside what it was writing."""
    return tuple(pattern for name in names for pattern in (f".{name}.lock", f".{name}.*.geocell-tmp"))


_PARTS = (*_MADE, "world.part", *_temporary((*_MADE, MARK)))
"""Patterns of all that a run makes in its folder."""


def require_replaceable(out: Path) -> None:
    """Refuse to replace a folder that holds more than a run makes: the rest is somebody's own.

    Raises:
        FileExistsError: when it does.
    """
    require_new(out, True, (MARK,), _PARTS)
    heads = (*KINDS, *(f"{kind}{SUFFIX}" for kind in KINDS))
    for folder, names in (("heads", heads), ("partitions", KINDS), (STREETCLIP, PARTS)):
        require_new(out / folder, True, (), (*names, *_temporary(names)))


def claim(out: Path, settings: dict[str, Any], overwrite: bool) -> None:
    """Make `out` this quickstart's folder, or refuse.

    Args:
        out: the folder.
        settings: of the run, with which it is continued.
        overwrite: start again from nothing.

    Raises:
        FileExistsError: when it holds something else, a quickstart of other settings, or, with `overwrite`, a file that
            no run made.
    """
    mark = out / MARK
    ours = mark.is_file()
    if ours and overwrite:
        require_replaceable(out)
        with new_folder(out, overwrite=True, marks=(MARK,), parts=_PARTS) as empty:
            write_json(empty / MARK, settings)
        return
    if ours and read_json(mark, "a quickstart") != settings:
        raise FileExistsError(f"{out} holds a quickstart of other settings: name another folder, or pass --overwrite.")
    if not ours and out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise FileExistsError(f"{out} exists and is not a quickstart: name another folder.")
    out.mkdir(parents=True, exist_ok=True)
    write_json(mark, settings)
