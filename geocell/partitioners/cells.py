"""The table of cells and its file `geocell_info.json`, which is all that decoding needs."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np

from geocell.files import DamagedFileError, read_json, reading
from geocell.geo.geodesy import Floats, as_latlon
from geocell.partitioners.merging import Ints
from geocell.partitioners.rule import Bools, Rule
from geocell.partitioners.validation import number, numbers, texts, whole

INFO_FILE = "geocell_info.json"

_MAX_COUNT = 2**53
_MAX_RADIUS_KM = 1e6  # of a foreign file, on whatever sphere


class Cells(NamedTuple):
    """C cells; row i is class i.

    Attributes:
        names: (C,) names: the H3 index or NUTS code, say.
        labels: (C,) human-readable names: the same, or the region's name.
        centroids: (C, 2) degrees (lat, lon).
        counts: (C,) number of training locations, 0 where a foreign file has none.
        radius_km: (C,) distance from the centroid to the farthest training location, NaN where a foreign file
            has none.
    """

    names: tuple[str, ...]
    labels: tuple[str, ...]
    centroids: Floats
    counts: Ints
    radius_km: Floats


class HasCells(Protocol):
    """What tables and maps of cells need of a partition; see `geocell.partitioners.base.Partition`."""

    @property
    def kind(self) -> str:
        """Kind of its partitioner."""
        ...

    @property
    def names(self) -> tuple[str, ...]:
        """(C,) names."""
        ...

    @property
    def labels(self) -> tuple[str, ...]:
        """(C,) human-readable names."""
        ...

    @property
    def centroids(self) -> Floats:
        """(C, 2) degrees."""
        ...

    @property
    def counts(self) -> Ints:
        """(C,) training locations."""
        ...

    @property
    def radius_km(self) -> Floats:
        """(C,) distance from the centroid to the farthest training location."""
        ...

    @property
    def parameters(self) -> dict[str, Any]:
        """Of the partitioner."""
        ...

    @property
    def rule(self) -> Rule | None:
        """Assigns locations to raw cells; None for a partition that only decodes."""
        ...

    @property
    def class_of_raw(self) -> Ints:
        """(R,) class of every raw cell."""
        ...

    @property
    def unseen_raw(self) -> Bools:
        """(R,) raw cells without a training location."""
        ...


def cells_to_info(cells: Cells) -> dict[str, dict[str, Any]]:
    """Return the content of `geocell_info.json`: top-level keys are exactly "0" … "C-1"."""
    info: dict[str, dict[str, Any]] = {}
    for i, (lat, lon) in enumerate(cells.centroids.tolist()):
        cell: dict[str, Any] = {"centroid_lat": lat, "centroid_lon": lon, "name": cells.names[i]}
        if cells.labels[i] != cells.names[i]:
            cell["label"] = cells.labels[i]
        if cells.counts[i] > 0:
            cell["count"] = int(cells.counts[i])
        if np.isfinite(cells.radius_km[i]):
            cell["radius_km"] = float(cells.radius_km[i])
        info[str(i)] = cell
    return info


def read_cells(folder: Path) -> Cells:
    """Read and validate `geocell_info.json`. Only the centroids are required, so that foreign files can be read.

    Raises:
        FileNotFoundError: when it is missing.
        DamagedFileError: when the keys are not "0" … "C-1", a centroid is missing or no coordinate, a number or text is
            something else, or a name comes twice.
    """
    path = folder / INFO_FILE
    info = read_json(path, "a partition", versioned=False)
    keys = [str(i) for i in range(len(info))]
    if not keys or set(info) != set(keys):
        odd = [key[:40] for key in sorted(set(info) - set(keys))[:3]]
        raise DamagedFileError(
            f'{path} must have exactly the keys "0" … "C-1", one per cell, got {len(info)} keys'
            f"{f', among them {odd}' if odd else ''}: keep anything else in partition.json."
        )
    cells = [info[key] for key in keys]
    with reading(path, "the cells of a partition"):
        return checked_cells(cells, keys)


def checked_cells(cells: Sequence[object], keys: Sequence[str]) -> Cells:
    """Return cells from the values of `geocell_info.json`.

    Args:
        cells: (C,) mappings.
        keys: (C,) names of them for messages, which are their names where they have none.

    Raises:
        ValueError: when a centroid is missing or no coordinate, a number or text is something else, or a name comes
            twice.
    """
    places, names, labels, counts, radii = [], [], [], [], []
    for key, cell in zip(keys, cells, strict=True):
        if not isinstance(cell, Mapping) or not {"centroid_lat", "centroid_lon"} <= set(cell):
            raise ValueError(f"cell {key!r} lacks centroid_lat or centroid_lon")
        places.append([cell["centroid_lat"], cell["centroid_lon"]])
        names.append(_text(cell, "name", key))
        labels.append(_text(cell, "label", names[-1]))
        count = cell.get("count", 0)
        if isinstance(count, float) and count.is_integer():
            count = int(count)
        counts.append(whole({"count": count}, "count", 0, _MAX_COUNT))
        radii.append(number(cell, "radius_km", 0.0, _MAX_RADIUS_KM) if "radius_km" in cell else math.nan)
    if len(set(names)) != len(names):
        ((twice, _),) = Counter(names).most_common(1)
        raise ValueError(f"every cell must have a name of its own, and {twice!r} comes more than once")
    centroids = as_latlon(numbers(places, "centroids", 2), "centroids")
    return Cells(tuple(names), tuple(labels), centroids, np.array(counts, dtype=np.int64), np.array(radii))


def _text(cell: Mapping[str, Any], key: str, default: str) -> str:
    text = cell.get(key, default)
    text = str(text) if isinstance(text, int) else text  # somebody's index of a cell, say
    (checked,) = texts([text], f"every {key!r}")
    checked.encode()  # a lone surrogate is no text
    return checked
