"""Which locations a head was trained on: one hash per location, so that scoring on them is noticed.

A hash is the first 8 bytes of the SHA-256 of a location's id and its coordinates rounded to 1e-6 degrees (0.1 m).
It cannot be read back, but whoever has a location's id and coordinates can tell whether it is among them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from geocell.features.locations import Locations
from geocell.files import DamagedFileError, said_when_full

TRAINED_ON_FILE = "trained_on.safetensors"

Keys = NDArray[np.uint64]

_TENSOR = "locations"
_COMPLETE = "complete"  # in the metadata, "false" when it is not


@dataclass(frozen=True, eq=False)
class TrainedOn:
    """The locations that a head is known to be trained on.

    Attributes:
        keys: (P,) uint64, the hash of each.
        complete: whether they are all. A head that started from one whose training locations are not known, or was
            averaged with such a one, has others too.
    """

    keys: Keys
    complete: bool = True


def location_keys(locations: Locations) -> Keys:
    """Return the (P,) uint64 hash of each location's id and coordinates."""
    return locations.hashes


def locations_sha256(locations: Locations) -> str:
    """Return one hash of a set of locations by id and coordinates, independent of their order."""
    return hashlib.sha256(np.sort(location_keys(locations)).astype("<u8").tobytes()).hexdigest()


def count_trained_on(known: TrainedOn | None, locations: Locations) -> int | None:
    """Return how many of the locations are among the training locations.

    Where not all training locations are known, it is how many are at least; None when that is none, or none are known.
    """
    if known is None:
        return None
    n = int(np.isin(location_keys(locations), known.keys).sum())
    return n if n or known.complete else None


def joined_training(parts: Sequence[TrainedOn | None]) -> TrainedOn | None:
    """Return what is known of the training locations of several heads; None where nothing is."""
    known = [part for part in parts if part is not None]
    if not known:
        return None
    complete = len(known) == len(parts) and all(part.complete for part in known)
    return TrainedOn(np.unique(np.concatenate([part.keys for part in known])), complete)


def write_trained_on(folder: Path, known: TrainedOn) -> None:
    """Write the keys, sorted, into the folder of a head."""
    from safetensors.numpy import save_file

    metadata = None if known.complete else {_COMPLETE: "false"}
    with said_when_full(folder):
        save_file({_TENSOR: np.sort(known.keys).view(np.int64)}, folder / TRAINED_ON_FILE, metadata)


def read_trained_on(folder: Path) -> TrainedOn | None:
    """Read the training locations in the folder of a head, None where they are not known.

    Raises:
        ValueError: when the file is damaged.
    """
    from safetensors import SafetensorError, safe_open

    path = folder / TRAINED_ON_FILE
    if not path.is_file():
        return None
    try:
        with safe_open(path, framework="numpy") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a mapping
    except (SafetensorError, ValueError, KeyError) as error:
        raise DamagedFileError(
            f"{path} must be a safetensors file, got a damaged one ({error}): copy it again."
        ) from error
    keys = tensors.get(_TENSOR)
    if set(tensors) != {_TENSOR} or keys is None or keys.dtype != np.int64 or keys.ndim != 1:
        raise DamagedFileError(f"{path} must hold one list of whole numbers, {_TENSOR!r}: copy it again.")
    return TrainedOn(keys.view(np.uint64), metadata.get(_COMPLETE) != "false")
