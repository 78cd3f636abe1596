"""Which locations a head was trained on: one hash per location, so that scoring on them is noticed.

A hash is the first 8 bytes of the SHA-256 of a location's id and its coordinates rounded to 1e-6 degrees (0.1 m).
It cannot be read back, but whoever has a location's id and coordinates can tell whether it is among them.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from geocell.features.locations import Locations
from geocell.files import DamagedFileError

TRAINED_ON_FILE = "trained_on.safetensors"

Keys = NDArray[np.uint64]

_TENSOR = "locations"


def location_keys(locations: Locations) -> Keys:
    """Return the (P,) uint64 hash of each location's id and coordinates."""
    degrees = np.round(locations.latlon, 6) + 0.0  # no negative zero
    digests = (
        hashlib.sha256(f"{name}\0{lat:.6f},{lon:.6f}".encode(errors="surrogatepass")).digest()[:8]
        for name, (lat, lon) in zip(locations.ids.tolist(), degrees.tolist(), strict=True)
    )
    return np.frombuffer(b"".join(digests), dtype="<u8").astype(np.uint64)


def locations_sha256(locations: Locations) -> str:
    """Return one hash of a set of locations by id and coordinates, independent of their order."""
    return hashlib.sha256(np.sort(location_keys(locations)).astype("<u8").tobytes()).hexdigest()


def count_trained_on(keys: Keys | None, locations: Locations) -> int | None:
    """Return how many of the locations are among the training locations; None where these are not known."""
    return None if keys is None else int(np.isin(location_keys(locations), keys).sum())


def joined_keys(parts: list[Keys | None]) -> Keys | None:
    """Return the keys of several heads as one set; None where none are known."""
    known = [part for part in parts if part is not None]
    return np.unique(np.concatenate(known)) if known else None


def write_keys(folder: Path, keys: Keys) -> None:
    """Write the keys, sorted, into the folder of a head."""
    from safetensors.numpy import save_file

    save_file({_TENSOR: np.sort(keys).view(np.int64)}, folder / TRAINED_ON_FILE)


def read_keys(folder: Path) -> Keys | None:
    """Read the keys in the folder of a head, None where there are none.

    Raises:
        ValueError: when the file is damaged.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    path = folder / TRAINED_ON_FILE
    if not path.is_file():
        return None
    try:
        tensors = load_file(path)
    except (SafetensorError, ValueError, KeyError) as error:
        raise DamagedFileError(
            f"{path} must be a safetensors file, got a damaged one ({error}): copy it again."
        ) from error
    keys = tensors.get(_TENSOR)
    if set(tensors) != {_TENSOR} or keys is None or keys.dtype != np.int64 or keys.ndim != 1:
        raise DamagedFileError(f"{path} must hold one list of whole numbers, {_TENSOR!r}: copy it again.")
    return keys.view(np.uint64)
