"""What the recipes in partitions/ give on the shared street-view points: those of Europe for `_eu`, else the world's.

Run: python -m benchmarks.partition_recipes [--quick] [--json], then python -m benchmarks.readme
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.common import conditions, finish, parse_flags, shared_data
from benchmarks.readme import ROOT
from geocell.files import read_recipe_tables
from geocell.geo.countries import write_countries
from geocell.partitioners import PARTITIONERS, partitioner_from_recipe, read_partition_recipe
from geocell.partitioners.polygons import LayerPartitioner

NUTS = "NUTS_RG_20M_2021_4326_LEVL_3.geojson"
REGIONS = {"Europe": "streetview_europe.csv", "world": "streetview_world.csv"}


def street_view(region: str) -> NDArray[np.float64]:
    """Return the (P, 2) street-view points of "Europe" or the "world"."""
    return np.loadtxt(shared_data() / "points" / REGIONS[region], delimiter=",", skiprows=1)


def run(folder: Path, latlon: NDArray[np.float64], layers: dict[str, Path]) -> dict[str, Any]:
    """Return the row of one recipe on (P, 2) locations; `layers` has the boundary files by region."""
    recipe = folder / "recipe.toml"
    region = region_of(folder)
    kind, parameters = read_partition_recipe(recipe)
    needs_layer = issubclass(PARTITIONERS[kind], LayerPartitioner)
    partition = partitioner_from_recipe(recipe, **({"shapes": layers[region]} if needs_layer else {})).fit(latlon)
    published = read_recipe_tables(recipe, ("partition", "published")).get("published", {})
    return {
        "partition": folder.name,
        "kind": kind,
        "parameters": ", ".join(f"{name}={value}" for name, value in parameters.items() if "column" not in name),
        "region": region,
        "n_locations": len(latlon),
        "published_cells": published.get("cells", ""),
        "n_cells": len(partition),
        "count_min": int(partition.counts.min()),
        "count_median": float(np.median(partition.counts)),
        "count_max": int(partition.counts.max()),
        "n_outside": partition.fitted_on["n_outside"],
        "n_fallback": partition.fitted_on["n_fallback"],
    }


def region_of(folder: Path) -> str:
    """Return which points a recipe is for, by the end of its name."""
    return "Europe" if folder.name.endswith("_eu") else "world"


def main() -> None:
    """Run the recipes and report."""
    flags = parse_flags("cells that the recipes give")
    folders = sorted(path.parent for path in (ROOT / "partitions").glob("*/recipe.toml"))
    if flags.quick:
        folders = [folder for folder in folders if "semantic" not in folder.name and "k4000" not in folder.name]
    points = {region: street_view(region) for region in REGIONS}
    with tempfile.TemporaryDirectory() as scratch:
        layers = {
            "Europe": shared_data() / "nuts" / NUTS,
            "world": write_countries(Path(scratch) / "countries.geojson"),
        }
        rows = [{**run(f, points[region_of(f)], layers), **conditions("geocell-heads")} for f in folders]
    rows.sort(key=lambda row: (row["region"], row["kind"], row["n_cells"]))
    ratios = {r["partition"]: r["n_cells"] / r["published_cells"] for r in rows if r["published_cells"]}
    finish("partition_recipes", rows, {"cells here / published": ratios}, flags)


if __name__ == "__main__":
    main()
