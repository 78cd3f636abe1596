"""The table of cells and its file `geocell_info.json`: all that is needed to decode."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from geocell.files import read_json
from geocell.geo.geodesy import Floats, as_latlon
from geocell.partitioners.merging import Ints

INFO_FILE = "geocell_info.json"


class Cells(NamedTuple):
    """C cells; row i is class i.

    Attributes:
        names: (C,) names: the H3 index or NUTS code, say.
        labels: (C,) names for people: the same, or the region's name.
        centroids: (C, 2) degrees (lat, lon).
        counts: (C,) number of training locations, 0 where a foreign file does not say.
        radius_km: (C,) distance from the centroid to the farthest training location, NaN where a foreign file does
            not say.
    """

    names: tuple[str, ...]
    labels: tuple[str, ...]
    centroids: Floats
    counts: Ints
    radius_km: Floats


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
    """Read and check `geocell_info.json`, ours or anybody's: only the centroids are required.

    Raises:
        FileNotFoundError: when it is missing.
        ValueError: when the keys are not "0" … "C-1", a centroid is missing or not a place, or a name comes twice.
    """
    path = folder / INFO_FILE
    info = read_json(path, "a partition", versioned=False)
    keys = [str(i) for i in range(len(info))]
    if not keys or set(info) != set(keys):
        odd = sorted(set(info) - set(keys))[:3]
        raise ValueError(
            f'{path} must have exactly the keys "0" … "C-1", one per cell, got {len(info)} keys'
            f"{f', among them {odd}' if odd else ''}: keep anything else in partition.json."
        )
    cells = [info[key] for key in keys]
    names = tuple(str(_optional(cell, "name", key)) for key, cell in zip(keys, cells, strict=True))
    if len(set(names)) != len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"{path} must name every cell once, got {twice!r} more than once.")
    try:
        centroids = as_latlon([_centroid(cell, key) for key, cell in zip(keys, cells, strict=True)], "centroids")
        counts = np.array([int(_optional(cell, "count", 0)) for cell in cells], dtype=np.int64)
        radius = np.array([float(_optional(cell, "radius_km", np.nan)) for cell in cells])
    except (OverflowError, TypeError, ValueError) as error:
        reason = str(error).removesuffix(".")
        raise ValueError(
            f"{path} must give every cell a place in degrees and plain numbers, got something else ({reason}): mend "
            "it, or copy it again from its origin."
        ) from error
    negative = [*counts[counts < 0].tolist(), *radius[radius < 0].tolist()]
    if negative:
        raise ValueError(f"{path} must give counts and radii of at least 0, got {negative[0]:g}: mend it.")
    labels = tuple(str(_optional(cell, "label", name)) for cell, name in zip(cells, names, strict=True))
    return Cells(names, labels, centroids, counts, radius)


def _optional(cell: object, key: str, default: object) -> Any:  # noqa: ANN401 - a JSON value
    return cell.get(key, default) if isinstance(cell, Mapping) else default


def _centroid(cell: object, key: str) -> tuple[float, float]:
    if not isinstance(cell, Mapping) or not {"centroid_lat", "centroid_lon"} <= set(cell):
        raise ValueError(f"cell {key!r} lacks centroid_lat or centroid_lon.")
    return float(cell["centroid_lat"]), float(cell["centroid_lon"])
