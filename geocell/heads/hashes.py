"""`hashes.json` in the folder of a head: the SHA-256 of every file that its answers depend on.

It stands beside `config.json` and not in it, so that every reader of format 1 reads the folder. A folder without it was
written before there were hashes, and loads unchecked.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from geocell.features.neighbours import NEIGHBOURS_FILE
from geocell.features.training_places import PLACES_FILE
from geocell.files import FORMAT, DamagedFileError, missing, read_json, require_types, write_json
from geocell.heads.calibration import CALIBRATION_FILE
from geocell.heads.config_file import CONFIG_FILE, HISTORY_FILE
from geocell.heads.trained_on import TRAINED_ON_FILE
from geocell.partitioners.base import PARTITION_FILE
from geocell.partitioners.cells import INFO_FILE
from geocell.partitioners.polygon_rule import SHAPES_FILE
from geocell.uncertainty.region_model import REGION_FILE

HASHES_FILE = "hashes.json"
WEIGHTS_FILE = "model.safetensors"
OFFSETS_FILE = "offsets.safetensors"
COMBINATION_FILE = "combination.json"
POOL_FILE = "pool.safetensors"

HASHED_FILES = (
    CONFIG_FILE, WEIGHTS_FILE, OFFSETS_FILE, INFO_FILE, PARTITION_FILE, SHAPES_FILE, TRAINED_ON_FILE, HISTORY_FILE,
    CALIBRATION_FILE, NEIGHBOURS_FILE, PLACES_FILE, COMBINATION_FILE, POOL_FILE, REGION_FILE,
)  # fmt: skip
"""What is hashed where it is there. Scores and the card are not: they are written again later."""

_OPTIONAL = {TRAINED_ON_FILE, HISTORY_FILE, NEIGHBOURS_FILE, PLACES_FILE}
"""May be removed: the head answers the same without, but for the decoders that need them."""


def file_sha256(source: Path | bytes) -> str:
    """Return the SHA-256 of a file or of its content."""
    if isinstance(source, bytes):
        return hashlib.sha256(source).hexdigest()
    with source.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def hashes_of(files: Mapping[str, Path | bytes]) -> dict[str, object]:
    """Return the content of `hashes.json` for files by name."""
    return {"format": FORMAT, "sha256": {name: file_sha256(files[name]) for name in HASHED_FILES if name in files}}


def write_hashes(folder: Path) -> None:
    """Write `hashes.json` for the files in a folder."""
    files: dict[str, Path | bytes] = {name: folder / name for name in HASHED_FILES if (folder / name).is_file()}
    write_json(folder / HASHES_FILE, hashes_of(files))


def read_hashes(folder: Path) -> dict[str, Any] | None:
    """Return the content of `hashes.json` in a folder; None where there is none.

    Raises:
        ValueError: when it is damaged.
    """
    path = folder / HASHES_FILE
    if not path.is_file():
        return None
    value: dict[str, Any] = read_json(path, "the list of hashes")
    require_types(value, {"sha256": dict}, str(path))
    return value


def replaced_hash(hashes: Mapping[str, Any], folder: Path, name: str) -> dict[str, Any]:
    """Return the content of `hashes.json` with the hash of one file as it is now, and the others as they were.

    A file that is gone has none.
    """
    written = dict(hashes["sha256"])
    if (folder / name).is_file():
        written[name] = file_sha256(folder / name)
    else:
        written.pop(name, None)
    return {**hashes, "sha256": written}


def why_not_hashed(folder: Path) -> str:
    """Return a sentence when a folder has no hashes, else ""."""
    if (folder / HASHES_FILE).is_file():
        return ""
    return f"{folder} is not hashed: it has no {HASHES_FILE}, so whether its files are as written was not checked."


def check_hashes(folder: Path) -> None:
    """Check every file against `hashes.json`; a folder without it passes.

    Raises:
        FileNotFoundError: when a hashed file is missing.
        ValueError: when a file is not the one that was written, or has no hash.
    """
    value = read_hashes(folder)
    if value is None:
        return
    written = value["sha256"]
    for name in HASHED_FILES:
        file = folder / name
        if not file.is_file():
            if name in written and name not in _OPTIONAL:
                raise missing(file, "a partition" if name in {INFO_FILE, SHAPES_FILE} else "a head")
            continue
        if name not in written:
            raise DamagedFileError(
                f"{file} must have a hash in {HASHES_FILE} and has none: it belongs to another head; remove it, or "
                "copy the whole folder again from its origin."
            )
        found = file_sha256(file)
        if found != written[name]:
            raise DamagedFileError(
                f"{file} must have the sha256 {_short(written[name])} of {HASHES_FILE}, got {_short(found)}: it was "
                f"changed, or is of another head; copy the whole folder again from its origin, or remove {HASHES_FILE} "
                "to load it unchecked."
            )


def _short(value: object) -> str:
    return f"{value[:12]}…" if isinstance(value, str) and len(value) > 12 else repr(value)
