"""The recipes in partitions/: all of them are measured, and what was measured is what they give."""

import csv
from pathlib import Path

import pytest

from benchmarks.common import read_results
from benchmarks.partition_recipes import NUTS, region_of, run, street_view
from geocell.partitioners import PARTITIONERS, partitioner_from_recipe, read_partition_recipe
from geocell.partitioners.polygons import LayerPartitioner

ROOT = Path(__file__).parents[2]
FOLDERS = sorted(path.parent for path in (ROOT / "partitions").glob("*/recipe.toml"))


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_recipes_are_partitioners(folder: Path, tmp_path: Path) -> None:
    kind, parameters = read_partition_recipe(folder / "recipe.toml")
    layer = issubclass(PARTITIONERS[kind], LayerPartitioner)
    partitioner = partitioner_from_recipe(folder / "recipe.toml", **({"shapes": tmp_path} if layer else {}))
    assert partitioner.kind == kind
    assert {name: getattr(partitioner, name) for name in parameters} == parameters
    assert folder.name.endswith(("_eu", "_world"))
    assert [path.name for path in folder.iterdir() if path.suffix == ".py"] == []


def test_every_kind_has_a_recipe_and_every_recipe_a_result() -> None:
    assert {read_partition_recipe(folder / "recipe.toml")[0] for folder in FOLDERS} == set(PARTITIONERS)
    rows = read_results("partition_recipes")
    assert sorted(row["partition"] for row in rows) == [folder.name for folder in FOLDERS]
    for row in rows:
        kind, parameters = read_partition_recipe(ROOT / "partitions" / row["partition"] / "recipe.toml")
        assert row["kind"] == kind
        stated = dict(text.split("=") for text in row["parameters"].split(", ") if text)
        assert stated == {name: str(value) for name, value in parameters.items() if "column" not in name}


@pytest.mark.parametrize("name", ["h3_res4_eu", "kdtree155_eu", "nuts3_eu", "quadtree_world", "s2_world"])
def test_results_are_what_the_recipes_give(name: str, shared_data: Path) -> None:
    folder = ROOT / "partitions" / name
    layers = {"Europe": shared_data / "nuts" / NUTS}
    row = run(folder, street_view(region_of(folder)), layers)
    measured = next(row for row in read_results("partition_recipes") if row["partition"] == name)
    assert {key: str(value) for key, value in row.items()} == {key: measured[key] for key in row}


def test_results_are_written_as_a_table() -> None:
    with (ROOT / "benchmarks/results/partition_recipes.csv").open(newline="", encoding="utf-8") as file:
        header = next(csv.reader(file))
    assert header[:3] == ["partition", "kind", "parameters"]
    assert {"published_cells", "n_cells", "n_locations", "cpu"} <= set(header)
