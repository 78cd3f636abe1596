"""The oracle's ceiling on partitions of every kind: fitted on four fifths of the European street-view points.

The other fifth, drawn at random, is audited. Kinds of regions use countries and NUTS-3 regions, which cover 37
countries and not all of the points. Draws docs/images/ceilings.png and docs/images/partitions.png too.

Run: python -m benchmarks.partition_audit [--quick] [--json], then python -m benchmarks.readme
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.common import conditions, finish, parse_flags, shared_data
from benchmarks.partition_recipes import NUTS, street_view
from benchmarks.readme import ROOT, one_of_each_kind
from geocell.evaluation.audit import audit
from geocell.geo.countries import write_countries
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

BBOX = (34.0, -12.0, 71.5, 36.0)
WIDTH, COLOURS = 1152, 128  # of a picture
QUICK = ("h3", "kdtree", "s2", "quadtree")
STREETCLIP_DIM = 1024
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
    value = audit(partition, test, dim=STREETCLIP_DIM).to_dict()
    kept = {key: float(f"{value[key]:.5g}") if isinstance(value[key], float) else value[key] for key in KEPT}
    within = {f"within_{radius}": float(f"{share:.5g}") for radius, share in value["within"].items()}
    ends = dict(zip(("balscore_low", "balscore_high"), value["intervals"]["balscore"], strict=True))
    interval = {key: float(f"{end:.5g}") for key, end in ends.items()}
    shares = {**interval, **within}
    return {"partition": name, "kind": partition.kind, **kept, **shares, "advice": " ".join(value["advice"])}


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
    """Draw the ceilings and the maps, as small files."""
    from PIL import Image

    from geocell.plots import draw_audits, draw_cell_maps

    caption = f"Fitted on {n_train:,} street-view locations in Europe"
    images = ROOT / "docs" / "images"
    unnamed = [{**row, "partition": ""} for row in rows]  # so many labels would hide each other
    draw_audits(images / "ceilings.png", unnamed, caption=f"{caption}, audited on {n_test:,} others.")
    maps = images / "partitions.png"
    drawn = [row for row in one_of_each_kind(rows) if row["kind"] != "polygons"]  # eight maps in two rows
    panels = [(f"{row['kind']}: {row['n_cells']:,} cells", partitions[row["partition"]]) for row in drawn]
    draw_cell_maps(maps, panels, bbox=BBOX, caption=f"{caption}.")
    for picture in (maps, images / "ceilings.png"):
        with Image.open(picture) as image:  # a repository keeps every version: fewer pixels and a palette
            small = image.convert("RGB").resize(
                (WIDTH, round(image.height * WIDTH / image.width)), Image.Resampling.BOX
            )
            small.quantize(COLOURS, dither=Image.Dither.NONE).save(picture, optimize=True)


if __name__ == "__main__":
    main()
