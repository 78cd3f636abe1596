"""What a notebook shows of a partition."""

from __future__ import annotations

import numpy as np

from geocell.display import Display, TextTable, km_text
from geocell.files import counted
from geocell.geo.gazetteer import place_names
from geocell.geo.maps import COLOURS, count_range
from geocell.geo.thumbnails import Marks, map_svg
from geocell.partitioners.cells import HasCells

_FULLEST = 5
_DOT = (2.5, 7.0)  # pixels of a centroid: of thousands, and of few


def partition_display(partition: HasCells, sha256: str) -> Display:
    """Return kind and size of a partition, its fullest cells, and a map of its centroids."""
    counts, radii = partition.counts, partition.radius_km[np.isfinite(partition.radius_km)]
    known = bool(counts.any())
    facts = [
        ("cells", f"{len(partition.names):,}"),
        ("training locations", f"{int(counts.sum()):,}" if known else "unknown"),
        ("in a cell", f"{counts.min():,} to {counts.max():,}, median {np.median(counts):,g}" if known else ""),
        ("radius", f"median {km_text(float(np.median(radii)))}, largest {km_text(radii.max())}" if len(radii) else ""),
        ("parameters", ", ".join(f"{name} {value}" for name, value in partition.parameters.items())),
        ("assigns locations", "" if partition.rule is not None else "no: only the centroids are known"),
        ("sha256", sha256[:12]),
    ]
    fullest = np.argsort(-counts, kind="stable")[: _FULLEST if known else 0]
    named = [
        partition.names[i]
        if partition.labels[i] == partition.names[i]
        else f"{partition.names[i]}, {partition.labels[i]}"
        for i in fullest.tolist()
    ]
    towns = place_names(partition.centroids[fullest])
    placed = any(towns)
    rows = [
        (name, *([town] if placed else []), f"{n:,}")
        for name, town, n in zip(named, towns, counts[fullest].tolist(), strict=True)
    ]
    header = ("fullest cells", *(["near"] if placed else []), "locations")
    table = TextTable(header, rows, n_left=1 + placed, total=len(rows))
    title = f"Partition {partition.kind}: {counted(len(partition.names), 'cell')}"
    return Display(title, facts, [table], partition_map(partition))


def partition_map(partition: HasCells) -> str:
    """Return a small map of the centroids of a partition, coloured by training locations, as `<svg>`."""
    counts = np.maximum(partition.counts, 1)
    shown = count_range(counts)
    share = np.log(counts / shown.low) / np.log(shown.high / shown.low)
    level = np.clip((share * len(COLOURS)).astype(np.int64), 0, len(COLOURS) - 1)
    if not partition.counts.any():
        level = np.full_like(level, len(COLOURS) - 2)
    size = float(np.clip(120.0 / np.sqrt(len(counts)), *_DOT))
    dots = [Marks(partition.centroids[level == i], COLOURS[i], size) for i in np.unique(level).tolist()]
    ground = [Marks(partition.centroids, "#5b5f66", size + 1.0)]  # a thin line around the palest ones
    return map_svg([*ground, *dots], label=f"map of {counted(len(counts), 'centroid')}")
