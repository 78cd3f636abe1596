"""Whether a cache is still the one that was opened: another one may have taken its place, with other views."""

from __future__ import annotations

from pathlib import Path

from geocell.features.manifest import MANIFEST_FILE
from geocell.files import is_local

Stamp = tuple[int, ...] | None


def stamp_of(folder: Path) -> Stamp:
    """Return what is the same for as long as a cache is not replaced; None on an object store."""
    if not is_local(folder):
        return None
    try:
        place, manifest = folder.stat(), (folder / MANIFEST_FILE).stat()
    except OSError:
        return ()
    return place.st_dev, place.st_ino, manifest.st_ino, manifest.st_mtime_ns


def require_in_place(folder: Path, stamp: Stamp) -> None:
    """Refuse what was read of a cache that took the place of the one with this stamp.

    Raises:
        ValueError: when another one did.
    """
    if stamp != stamp_of(folder):
        raise ValueError(f"{folder} was replaced by another cache while it was read: run the command again.")
