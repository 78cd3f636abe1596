"""The names of the files of a combination, and `combination.json`, which says how many members it has."""

from __future__ import annotations

from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from geocell.features.neighbours import NEIGHBOURS_FILE
from geocell.files import DamagedFileError, read_json, require_types
from geocell.heads.calibration import CALIBRATION_FILE
from geocell.heads.card_file import PICTURE_FILE, SCORES_FILE
from geocell.heads.folder import HEAD_FILES
from geocell.heads.hashes import COMBINATION_FILE, HASHES_FILE, POOL_FILE
from geocell.heads.trained_on import TRAINED_ON_FILE
from geocell.heads.zero_shot_folder import MARKS
from geocell.hub.client import CARD_FILE
from geocell.partitioners.base import PARTITION_FILE
from geocell.partitioners.cells import INFO_FILE
from geocell.partitioners.polygon_rule import SHAPES_FILE

MAX_MEMBERS = 64
_MAX_BYTES = 1 << 20

COMBINATION_MARKS = (COMBINATION_FILE, POOL_FILE, INFO_FILE)
"""The files of every combination, by which its folder is known before it is replaced."""

OWN_FILES = (
    COMBINATION_FILE, POOL_FILE, INFO_FILE, PARTITION_FILE, SHAPES_FILE, SCORES_FILE, "scores-*.json", TRAINED_ON_FILE,
    CALIBRATION_FILE, NEIGHBOURS_FILE, HASHES_FILE, CARD_FILE, PICTURE_FILE,
)  # fmt: skip
"""Names and patterns of the files of a combination beside its members' folders."""

COMBINATION_PARTS = (*OWN_FILES, "[0-9]*")
"""Patterns of all that the folder of a combination may hold."""

MEMBER_FILES = (
    *(n for n in HEAD_FILES if n not in {SCORES_FILE, "scores-*.json", CARD_FILE, PICTURE_FILE, NEIGHBOURS_FILE}),
    *MARKS,
)
"""Names of the files of each member that a combination needs, a head or a zero-shot classifier, in the folder `0`, …"""

_TYPES: dict[str, type | tuple[type, ...]] = {
    "format": int,
    "library": str,
    "version": str,
    "members": list,
    "n_candidates": int,
    "partition_sha256": str,
    "pooling": dict,
    "record": dict,
}


def read_combination_file(folder: Path) -> dict[str, Any]:
    """Read `combination.json`: exactly its keys, every value of its type.

    Raises:
        FileNotFoundError: when it is missing.
        ValueError: when it is damaged, or of another format.
    """
    path = folder / COMBINATION_FILE
    value = read_json(path, "a combination", max_bytes=_MAX_BYTES)
    if set(value) != set(_TYPES):
        raise DamagedFileError(
            f"{path} must have the keys {', '.join(sorted(_TYPES))}, got {', '.join(sorted(value))}: make the "
            "combination again."
        )
    require_types(value, _TYPES, str(path))
    if not 2 <= len(value["members"]) <= MAX_MEMBERS or not all(isinstance(sha, str) for sha in value["members"]):
        raise DamagedFileError(
            f"{path} must list the hashes of 2 to {MAX_MEMBERS} members, got {len(value['members'])}: make the "
            "combination again."
        )
    return value


def combination_files(folder: Path) -> list[str]:
    """Return the names and patterns of the files of a combination, those of its members too, by `combination.json`.

    Raises:
        ValueError: when `combination.json` is damaged.
    """
    n_members = len(read_combination_file(folder)["members"])
    return [*OWN_FILES, *(f"{number}/{name}" for number in range(n_members) for name in MEMBER_FILES)]


def files_in(folder: Path) -> dict[str, Path]:
    """Return name -> file of what belongs to the head or the combination in a folder; `0/config.json` of a member.

    Raises:
        ValueError: when `combination.json` is damaged.
    """
    patterns = combination_files(folder) if (folder / COMBINATION_FILE).is_file() else HEAD_FILES
    found = {path.relative_to(folder).as_posix(): path for path in sorted(folder.glob("*")) if path.is_file()}
    for name in dict.fromkeys(pattern.rpartition("/")[0] for pattern in patterns if "/" in pattern):
        found |= {f"{name}/{path.name}": path for path in sorted((folder / name).glob("*")) if path.is_file()}
    return {name: path for name, path in found.items() if any(fnmatchcase(name, pattern) for pattern in patterns)}


def is_of_combination(name: str) -> bool:
    """Return whether a name in a repository, `0/config.json` say, may be that of a file of a combination."""
    folder, _, file = name.rpartition("/")
    if folder and not (folder.isdecimal() and len(folder) <= len(str(MAX_MEMBERS))):
        return False
    return any(fnmatchcase(file, pattern) for pattern in (MEMBER_FILES if folder else OWN_FILES))
