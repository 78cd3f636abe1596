"""The oracle's ceiling on partitions of every kind: fitted on four fifths of the European street-view points.

The other fifth, drawn at random, is audited. Kinds of regions use countries and NUTS-3 regions, which cover 37
countries and not all of the points. Draws results/partition_audit.png and docs/images/partitions.png too.

Run: python -m benchmarks.partition_audit [--quick] [--json]
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.common import RESULTS, conditions, finish, parse_flags, shared_data
from benchmarks.partition_recipes import NUTS, street_view
from benchmarks.readme import ROOT
from geocell.outlines import write_countries
from geocell.partitioners import Partition, make_partitioner
from geocell.partitioners.polygons import LayerPartitioner

NUTS_COLUMNS = {"id_column": "NUTS_ID", "name_column": "NAME_LATN", "parent_column": "CNTR_CODE"}
COUNTRY_COLUMNS = {"id_column": "iso_a2", "name_column": "name", "parent_column": "continent"}
CASES: tuple[tuple[str, dict[str, Any]], ...] = (
    *(("h3", {"resolution": r}) for r in (2, 3, 4)),
    ("h3", {"resolution": 4, "min_count": 5}),
    *(("h3-adaptive", {"max_count": n, "min_count": n // 4}) for n in (400, 100, 40)),
    *(("s2", {"max_count": n, "min_count": n // 4}) for n in (400, 100, 40)),
    *(("quadtree", {"max_count": n, "min_count": n // 4}) for n in (400, 100, 40)),
    *(("kdtree", {"max_count": n}) for n in (155, 78, 39, 19)),
    *(("kmeans", {"k": k}) for k in (500, 1000, 2000, 4000)),
    ("kmeans", {"k": 2000, "min_count": 5}),
    ("nuts", {}),
    ("nuts", {"min_count": 10}),
    ("polygons", COUNTRY_COLUMNS),
    ("semantic", {**NUTS_COLUMNS, "max_count": 60, "min_count": 30}),
    ("semantic", {**NUTS_COLUMNS, "max_count": 30, "min_count": 10}),
)
"""Kind and what differs from its defaults."""

DRAWN = (
    "h3 resolution=4 min_count=5",
    "h3-adaptive max_count=100 min_count=25",
    "s2 max_count=100 min_count=25",
    "quadtree max_count=100 min_count=25",
    "kdtree max_count=39",
    "kmeans k=1000",
    "nuts min_count=10",
    "semantic max_count=60 min_count=30",
)
"""What the map picture shows; eight maps in two rows."""

BBOX = (34.0, -12.0, 71.5, 36.0)
QUICK = ("h3", "kdtree", "s2", "quadtree")
KEPT = (
    "n_cells", "count_min", "count_median", "count_max", "n_single", "count_gini", "weight_min", "weight_max",
    "radius_km_median", "area_km2_median", "n_parameters", "n_locations", "fallback", "outside", "median_km", "mean_km",
    "balscore",
)  # fmt: skip


def label(kind: str, parameters: dict[str, Any]) -> str:
    """Return the name of a case: its kind and the parameters that are numbers."""
    return " ".join([kind, *(f"{name}={value}" for name, value in parameters.items() if isinstance(value, int))])


def halves(latlon: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return four fifths to fit on and a fifth to audit."""
    order = np.random.default_rng(0).permutation(len(latlon))
    return latlon[order[len(order) // 5 :]], latlon[order[: len(order) // 5]]


def fitted(kind: str, parameters: dict[str, Any], train: NDArray[np.float64], layers: dict[str, Path]) -> Partition:
    """Return the partition of a case."""
    layer = {}
    if kind in ("nuts", "polygons", "semantic"):
        layer = {"shapes": layers["countries" if kind == "polygons" else "nuts"]}
    partitioner = make_partitioner(kind, {**parameters, **layer})
    assert bool(layer) == isinstance(partitioner, LayerPartitioner)  # noqa: S101 - a slip of this script
    return partitioner.fit(train, source="street-view points of Europe")


def row_of(name: str, partition: Partition, test: NDArray[np.float64]) -> dict[str, Any]:
    """Return what is kept of an audit; shares are fractions."""
    value = partition.audit(test).to_dict()
    kept = {key: float(f"{value[key]:.5g}") if isinstance(value[key], float) else value[key] for key in KEPT}
    within = {f"within_{radius}": float(f"{share:.5g}") for radius, share in value["within"].items()}
    return {"partition": name, "kind": partition.kind, **kept, **within, "advice": " ".join(value["advice"])}


def main() -> None:
    """Audit, report and draw."""
    flags = parse_flags("the oracle's ceiling on partitions of every kind")
    train, test = halves(street_view("Europe"))
    partitions: dict[str, Partition] = {}
    rows = []
    with tempfile.TemporaryDirectory() as scratch:
        layers = {
            "nuts": shared_data() / "nuts" / NUTS,
            "countries": write_countries(Path(scratch) / "countries.geojson"),
        }
        for kind, parameters in CASES:
            if flags.quick and kind not in QUICK:
                continue
            name, start = label(kind, parameters), time.perf_counter()
            partitions[name] = fitted(kind, parameters, train, layers)
            seconds = round(time.perf_counter() - start, 2)
            rows.append({**row_of(name, partitions[name], test), "fit_s": seconds, **conditions("geocell-heads")})
    if not flags.quick:
        draw(rows, partitions, len(train), len(test))
    finish("partition_audit", rows, {row["partition"]: row["balscore"] for row in rows}, flags)


def draw(rows: list[dict[str, Any]], partitions: dict[str, Partition], n_train: int, n_test: int) -> None:
    """Draw the ceilings and the maps."""
    from PIL import Image

    from geocell.maps import draw_audits, draw_cell_maps

    caption = f"Fitted on {n_train:,} street-view locations in Europe"
    named = [{**row, "partition": row["partition"].split(" ", 1)[-1]} for row in rows]
    draw_audits(RESULTS / "partition_audit.png", named, "What an oracle reaches", f"{caption}, audited on {n_test:,}.")
    maps = ROOT / "docs" / "images" / "partitions.png"
    titles = {name: f"{partitions[name].kind}: {len(partitions[name]):,} cells" for name in DRAWN}
    draw_cell_maps(maps, [(titles[name], partitions[name]) for name in DRAWN], bbox=BBOX, caption=f"{caption}.")
    with Image.open(maps) as picture:  # in 128 colours a third of the bytes
        picture.convert("RGB").quantize(128, dither=Image.Dither.NONE).save(maps, optimize=True)


if __name__ == "__main__":
    main()
