"""Folders of partitions, merging, recipes."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from geocell.geo.geodesy import distance_matrix_km, unit_vectors
from geocell.partitioners import (
    OUTSIDE,
    H3Partitioner,
    KDTreePartitioner,
    KMeansPartitioner,
    NUTSPartitioner,
    Partition,
    make_partitioner,
    partitioner_from_recipe,
)
from geocell.partitioners.centroids import means_of, medoid, radius_of
from geocell.partitioners.merging import merge_small_cells

POINTS = np.random.default_rng(0).uniform([40, 0], [55, 20], (60, 2))
RECIPES = Path(__file__).parents[2] / "partitions"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    H3Partitioner(resolution=2).fit(POINTS).save(tmp_path / "cells")
    return tmp_path / "cells"


def edit(path: Path, **changes: Any) -> None:
    value = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps({**value, **changes}), encoding="utf-8")


def test_outside_cannot_be_an_index() -> None:
    with pytest.raises(IndexError):
        np.zeros(3)[OUTSIDE]


# --- folders ---------------------------------------------------------------------------------------------------------


def test_geocell_info_alone_decodes_and_refuses_to_assign(folder: Path, tmp_path: Path) -> None:
    fitted = Partition.load(folder)
    (folder / "partition.json").unlink()
    partition = Partition.load(folder)
    assert partition.kind == "centroids"
    assert not partition.can_assign
    assert fitted.can_assign
    assert partition.centroids.tolist() == fitted.centroids.tolist()
    assert partition.names == fitted.names
    assert partition.counts.tolist() == fitted.counts.tolist()
    for method in (partition.assign, partition.locate):
        with pytest.raises(ValueError, match=r"can only decode: it came from geocell_info\.json alone"):
            method(POINTS)
    partition.save(tmp_path / "again")
    again = Partition.load(tmp_path / "again")
    assert again.kind == "centroids"
    assert again.sha256 == partition.sha256


def test_foreign_geocell_info(tmp_path: Path) -> None:
    cells = {"10": (1.0, 2.0)} | {str(i): (float(i), -float(i)) for i in range(10)}  # out of order, and "10" < "2"
    info = {key: {"centroid_lat": lat, "centroid_lon": lon} for key, (lat, lon) in cells.items()}
    (tmp_path / "geocell_info.json").write_text(json.dumps(info), encoding="utf-8")
    partition = Partition.load(tmp_path)
    assert partition.names == tuple(str(i) for i in range(11))
    assert partition.centroids[[2, 10]].tolist() == [[2.0, -2.0], [1.0, 2.0]]
    assert partition.counts.tolist() == [0] * 11
    assert np.isnan(partition.radius_km).all()
    partition.save(tmp_path / "again")
    written = json.loads((tmp_path / "again/geocell_info.json").read_text(encoding="utf-8"))
    assert list(written) == [str(i) for i in range(11)]
    assert set(written["0"]) == {"centroid_lat", "centroid_lon", "name"}  # what is not known is not written


@pytest.mark.parametrize(
    ("info", "message"),
    [
        ({}, 'exactly the keys "0" … "C-1", one per cell, got 0 keys'),
        ({"0": {}, "2": {}}, r"got 2 keys, among them \['2'\]"),
        ({"0": {}, "format": 1}, r"among them \['format'\]: keep anything else in partition\.json"),
        ({"0": {"centroid_lat": 1.0}}, "cell '0' lacks centroid_lat or centroid_lon"),
        ({"0": 5}, "cell '0' lacks centroid_lat or centroid_lon"),
        (
            {"0": {"centroid_lat": 91.0, "centroid_lon": 0.0}},
            r"centroids must be degrees \(lat, lon\), got \[91.0, 0.0\]",
        ),
        ({"0": {"centroid_lat": float("nan"), "centroid_lon": 0.0}}, "centroids must hold finite numbers, got nan"),
        ({"0": {"centroid_lat": None, "centroid_lon": 0.0}}, "centroids must hold finite numbers, got None"),
        ({"0": {"centroid_lat": 1, "centroid_lon": 2, "count": -3}}, "'count' must be an integer in .0, .*, got -3"),
        (
            {"0": {"centroid_lat": 1, "centroid_lon": 2, "radius_km": -5}},
            "'radius_km' must be a number in .0, .*, got -5",
        ),
        (
            {"0": {"centroid_lat": 1, "centroid_lon": 2, "count": 10**30}},
            "'count' must be an integer in",
        ),
        ({str(i): {"centroid_lat": 1, "centroid_lon": 2, "name": "a"} for i in (0, 1)}, "'a' comes more than once"),
    ],
)
def test_bad_geocell_info(info: dict[str, Any], message: str, tmp_path: Path) -> None:
    (tmp_path / "geocell_info.json").write_text(json.dumps(info), encoding="utf-8")
    with pytest.raises(ValueError, match=message):
        Partition.load(tmp_path)


def test_missing_folder(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"a partition needs the file geocell_info\.json"):
        Partition.load(tmp_path / "nowhere")


def test_changed_cells_are_refused(folder: Path) -> None:
    name = Partition.load(folder).names[0]
    edit(folder / "geocell_info.json", **{"0": {"centroid_lat": 1.0, "centroid_lon": 2.0, "name": name}})
    with pytest.raises(ValueError, match=r"the cells in .* must hash to \w{12}…, got \w{12}…: .* not of one partition"):
        Partition.load(folder)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"format": 2}, "format 2, and this geocell reads format 1"),
        ({"kind": "hexagons"}, r"kind h3, kmeans, .*, got kind 'hexagons': pass --partitioner module:attribute"),
        ({"parameters": []}, r"partition\.json must have an object as 'parameters', got list of 0: copy it again"),
        (
            {"assign": None},
            r"partition\.json must be a partition of kind 'h3', got something else or a damaged file .'assign' must",
        ),
        (
            {"assign": {"resolution": 2}},
            r"damaged file .'cells' is missing.: copy it again from its origin",
        ),
        (
            {"assign": {"resolution": 2, "cells": ["zz"]}},
            r"damaged file .*'zz'.*: copy it again",
        ),
        ({"fitted_on": [1]}, r"partition\.json must have an object as 'fitted_on', got list of 1: copy it again"),
    ],
)
def test_bad_partition_json(changes: dict[str, Any], message: str, folder: Path) -> None:
    edit(folder / "partition.json", **changes)
    with pytest.raises(ValueError, match=message):
        Partition.load(folder)


def test_class_of_raw_must_use_every_class(folder: Path) -> None:
    assign = json.loads((folder / "partition.json").read_text(encoding="utf-8"))["assign"]
    edit(folder / "partition.json", assign={**assign, "class_of_raw": [0] * len(assign["class_of_raw"])})
    with pytest.raises(ValueError, match=r"cell 1 of geocell_info\.json, .*, must be a cell with locations here"):
        Partition.load(folder)


def test_existing_folder_is_kept_unless_asked(folder: Path) -> None:
    other = KDTreePartitioner(max_count=20).fit(POINTS)
    with pytest.raises(FileExistsError, match="exists"):
        other.save(folder)
    assert Partition.load(folder).kind == "h3"
    other.save(folder, overwrite=True)
    assert Partition.load(folder).kind == "kdtree"


def test_a_partition_replaces_no_head_and_no_other_folder(folder: Path, tmp_path: Path) -> None:
    """Both have the files of a partition, and more."""
    other = KDTreePartitioner(max_count=20).fit(POINTS)
    for name in ("model.safetensors", "notes.txt"):
        (folder / name).write_text("precious")
        with pytest.raises(FileExistsError, match=f"would delete {name}"):
            other.save(folder, overwrite=True)
        assert Partition.load(folder).kind == "h3"
        (folder / name).unlink()
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "me.jpg").write_text("precious")
    with pytest.raises(FileExistsError, match=r"lacks geocell_info\.json, partition\.json"):
        other.save(tmp_path / "photos", overwrite=True)
    assert (tmp_path / "photos" / "me.jpg").read_text() == "precious"


def test_write_into_a_folder_with_other_files(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "head").mkdir()
    (tmp_path / "head/config.json").write_text("{}", encoding="utf-8")
    partition = Partition.load(folder)
    partition.write_into(tmp_path / "head")
    assert Partition.load(tmp_path / "head").sha256 == partition.sha256
    assert repr(partition) == f"<Partition h3: {len(partition)} cells, sha256 {partition.sha256[:12]}>"


def test_partition_needs_cells() -> None:
    with pytest.raises(ValueError, match="at least one cell and one row per cell"):
        Partition("centroids", (), (), np.empty((0, 2)), np.empty(0, dtype=np.int64), np.empty(0))


# --- merging and centroids -------------------------------------------------------------------------------------------


def line(*lons: float) -> np.ndarray:
    return unit_vectors([[0.0, lon] for lon in lons])


def test_smallest_goes_first_into_the_nearest() -> None:
    counts = np.array([5, 1, 2, 9])
    # 1 goes into 2, which is nearer than 0 and then large enough; nothing else is small.
    assert merge_small_cells(counts, line(0, 6, 10, 20), (), 3).tolist() == [0, 2, 2, 3]


def test_chains_end_in_a_cell_that_remains() -> None:
    counts = np.array([1, 2, 1, 9])
    assert merge_small_cells(counts, line(0, 1, 3, 10), (), 5).tolist() == [3, 3, 3, 3]


def test_equals_merge_into_the_lowest_index() -> None:
    assert merge_small_cells(np.array([4, 1, 4]), line(-1, 0, 1), (), 2).tolist() == [0, 0, 2]


def test_parent_comes_before_distance() -> None:
    counts, positions = np.array([4, 1, 4, 0, 0]), line(-9, 0, 1, 2, 80)
    assert merge_small_cells(counts, positions, [np.array([0, 0, 1, 0, 2])], 2).tolist() == [0, 0, 2, 0, 2]


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 4), st.floats(0, 90), st.integers(0, 3)), min_size=1, max_size=40), st.data())
def test_merging_laws(cells: list[tuple[int, float, int]], data: st.DataObject) -> None:
    counts = np.array([count for count, _, _ in cells])
    counts[0] += 1
    min_count = data.draw(st.integers(1, int(counts.sum())))
    fine = np.array([group for _, _, group in cells])
    families = data.draw(st.sampled_from([(), (fine,), (fine, fine // 2)]))
    into = merge_small_cells(counts, line(*(lon for _, lon, _ in cells)), families, min_count)
    assert (into[into] == into).all()
    assert np.bincount(into, weights=counts)[np.unique(into)].min() >= min_count
    assert (counts[np.unique(into)] > 0).all()


def test_many_small_cells_around_few_large_ones() -> None:
    counts = np.ones(2000, dtype=np.int64)
    counts[::100] = 50
    into = merge_small_cells(counts, line(*np.linspace(0, 40, 2000)), (), 2)
    totals = np.bincount(into, weights=counts)
    assert totals[np.unique(into)].min() >= 2
    assert totals.sum() == counts.sum()


def test_mean_without_direction_is_the_medoid() -> None:
    ring = np.array([[0.0, 0.0], [0.0, 90.0], [0.0, -180.0], [0.0, -90.0], [0.0, 10.0], [0.0, -170.0]])
    centroids = means_of(ring, np.zeros(6, dtype=np.int64), 1)
    radius = radius_of(ring, np.zeros(6, dtype=np.int64), centroids)
    assert centroids.tolist() in ring[:, None].tolist()
    assert radius[0] == pytest.approx(np.pi * 6371.0088)


def test_medoid_has_the_least_sum_of_distances() -> None:
    points = np.random.default_rng(7).normal([50, 10], [1, 2], (3000, 2))
    points[:40] += [8, 20]  # an outlying group that moves the mean
    sums = np.concatenate([distance_matrix_km(points[i : i + 500], points).sum(axis=1) for i in range(0, 3000, 500)])
    assert medoid(points).tolist() == points[sums.argmin()].tolist()
    assert medoid(np.array([[1.0, 2.0], [1.0, 2.0], [1.0, 5.0]])).tolist() == [1.0, 2.0]


def test_the_smallest_family_with_another_cell_takes_it_in() -> None:
    counts, positions = np.array([9, 9, 1, 9]), line(0, 5, 20, 21)
    fine, coarse = np.array([0, 1, 2, 3]), np.array([0, 0, 0, 1])
    assert merge_small_cells(counts, positions, (fine, coarse), 2).tolist() == [0, 1, 1, 3]
    assert merge_small_cells(counts, positions, (), 2).tolist() == [0, 1, 3, 3]


def test_drop_needs_a_cell_that_stays() -> None:
    with pytest.raises(ValueError, match="leave at least one cell, and the fullest of 2 has 1 locations, got 2"):
        H3Partitioner(resolution=5, min_count=2, small="drop").fit([[48.0, 11.0], [52.0, 13.0]])


# --- recipes ---------------------------------------------------------------------------------------------------------

PUBLISHED = {
    "h3_res4_eu": (H3Partitioner(resolution=4), 1898),
    "k500_eu": (KMeansPartitioner(k=500), 487),
    "k1000_eu": (KMeansPartitioner(k=1000), 957),
    "k2000_eu": (KMeansPartitioner(k=2000), 1792),
    "k4000_eu": (KMeansPartitioner(k=4000), 3180),
    "kdtree19_eu": (KDTreePartitioner(max_count=19), 5444),
    "kdtree39_eu": (KDTreePartitioner(max_count=39), 2059),
    "kdtree78_eu": (KDTreePartitioner(max_count=78), 1029),
    "kdtree155_eu": (KDTreePartitioner(max_count=155), 515),
    "nuts3_eu": (NUTSPartitioner(Path("nuts.geojson"), level=3), 1194),
}


def test_every_published_partition_has_a_recipe() -> None:
    import tomllib

    assert {path.parent.name for path in RECIPES.glob("*/recipe.toml")} >= set(PUBLISHED)
    for name, (partitioner, cells) in PUBLISHED.items():
        path = RECIPES / name / "recipe.toml"
        shapes = {"shapes": "nuts.geojson"} if name.startswith("nuts") else {}
        assert partitioner_from_recipe(path, **shapes) == partitioner
        assert tomllib.loads(path.read_text(encoding="utf-8"))["published"] == {"cells": cells}


def test_overrides_win() -> None:
    assert partitioner_from_recipe(RECIPES / "k500_eu/recipe.toml", k=7, seed=3) == KMeansPartitioner(k=7, seed=3)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('[partition]\nkind = "h3"\nresolutoin = 5\n', "has the parameters .*resolution.*, got also resolutoin"),
        ('[partition]\nkind = "hex"\n', "must be one of h3, kmeans, .*, got 'hex'"),
        ('[partition]\nkind = "kmeans"\n', "KMeansPartitioner needs the parameter k:"),
        (
            '[partition]\nkind = "h3"\nresolution = 99\n',
            r"H3Partitioner: resolution must be an integer in \[0, 15\], got 99",
        ),
        ('[partition]\nkind = "os:system"\n', "got 'os:system': a custom partitioner is named on the command line"),
        ("[partition]\nresolution = 5\n", r"must have a table \[partition\] with a kind"),
        ('[partition]\nkind = "h3"\n[fit]\nepochs = 3\n', "must have tables among partition, published, got fit"),
        ("", "got none"),
        ("[partition\n", "must be TOML, got a syntax error"),
    ],
)
def test_bad_recipe(text: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "recipe.toml").write_text(text, encoding="utf-8")
    with pytest.raises(ValueError, match=message) as caught:
        partitioner_from_recipe(tmp_path / "recipe.toml")
    assert str(caught.value).startswith(str(tmp_path / "recipe.toml"))


def test_no_recipe(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="a recipe must be a TOML file"):
        partitioner_from_recipe(tmp_path / "recipe.toml")


def test_make_partitioner() -> None:
    assert make_partitioner("h3", {"resolution": 3, "min_count": 2}) == H3Partitioner(resolution=3, min_count=2)
