"""The file `partition.json`, which has what is needed to assign locations to the cells of `geocell_info.json`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from geocell.files import DamagedFileError, printable, read_json, reading, require_types
from geocell.partitioners.cells import INFO_FILE, Cells
from geocell.partitioners.kinds import KINDS, Kind, partitioner_type, rule_type
from geocell.partitioners.merging import Ints
from geocell.partitioners.rule import Bools, Rule
from geocell.partitioners.validation import integers, shown

PARTITION_FILE = "partition.json"
CENTROIDS_KIND = "centroids"

_TYPES: dict[str, type | tuple[type, ...]] = {
    "kind": str,
    "parameters": dict,
    "fitted_on": dict,
    "sha256": str,
    "assign": (dict, type(None)),
}


class PartitionFile(NamedTuple):
    """The content of `partition.json`; see `Partition` for the attributes."""

    kind: str
    parameters: dict[str, Any]
    fitted_on: dict[str, Any]
    sha256: str
    rule: Rule | None = None
    class_of_raw: Ints = np.empty(0, dtype=np.int64)
    unseen_raw: Bools = np.empty(0, dtype=np.bool_)
    made_by: type[Kind] | None = None


def read_partition_file(folder: Path, cells: Cells, partitioner: str | type[Kind] | None) -> PartitionFile | None:
    """Read and validate `partition.json`.

    Args:
        folder: of the partition.
        cells: of its `geocell_info.json`.
        partitioner: class or `module:attribute` of a custom kind.

    Returns:
        None when there is no such file.

    Raises:
        ImportError: when there is no such partitioner.
        ValueError: when the file is damaged, or of a kind that needs another partitioner.
    """
    path = folder / PARTITION_FILE
    if not path.is_file():
        return None
    value = read_json(path, "a partition")
    require_types(value, _TYPES, str(path))
    content = PartitionFile(value["kind"], value["parameters"], value["fitted_on"], value["sha256"])
    if content.kind == CENTROIDS_KIND:
        return content
    try:
        reader = rule_type(content.kind, partitioner)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error
    with reading(path, f"a partition of kind {shown(content.kind)}"):
        assign = value["assign"]
        if assign is None:
            raise ValueError("'assign' must be an object")
        rule = reader.from_json(assign, folder)
        last = len(rule.names) - 1
        class_of_raw = integers(assign, "class_of_raw", 0, last)
        unseen = np.zeros(last + 1, dtype=np.bool_)
        unseen[integers(assign, "unseen_raw", 0, last, least=0)] = True
        _require_named_cells(cells.names, rule.names, class_of_raw, unseen)
        return content._replace(
            rule=rule, class_of_raw=class_of_raw, unseen_raw=unseen, made_by=_custom(content.kind, partitioner)
        )


def _require_named_cells(names: Sequence[str], raw_names: Sequence[str], class_of_raw: Ints, unseen: Bools) -> None:
    """Refuse a class that is not called by a raw cell of its own with training locations."""
    if len(class_of_raw) != len(raw_names):
        raise ValueError(f"'class_of_raw' must give {len(raw_names)} raw cells a class, got {len(class_of_raw)}")
    raw = {name: i for i, name in enumerate(raw_names)}
    for cell, name in enumerate(names):
        i = raw.get(name, -1)
        if i < 0 or class_of_raw[i] != cell or unseen[i]:
            raise ValueError(f"cell {cell} of {INFO_FILE}, {shown(name)}, must be a cell with locations here")


def _custom(kind: str, partitioner: str | type[Kind] | None) -> type[Kind] | None:
    """Return the class of a custom kind of partition, None for one of this package."""
    if kind in KINDS or partitioner is None:
        return None
    return partitioner_type(partitioner) if isinstance(partitioner, str) else partitioner


def require_hash(folder: Path, found: str, written: str) -> None:
    """Refuse cells whose hash is not the one in `partition.json`.

    Raises:
        DamagedFileError: when it is another.
    """
    if found != written:
        raise DamagedFileError(
            f"the cells in {folder} must hash to {printable(written[:12])}…, got {found[:12]}…: {INFO_FILE} and "
            f"{PARTITION_FILE} are not of one partition, or one was changed; copy both from their origin."
        )
