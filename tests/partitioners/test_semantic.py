"""Semantic cells."""

import json
from pathlib import Path

import geopandas
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial import cKDTree
from shapely.geometry import box

from geocell.geo.geodesy import distance_km, distance_matrix_km, unit_vectors
from geocell.partitioners import OUTSIDE, Partition, SemanticPartitioner, semantic
from geocell.partitioners.rule import BLOCK
from geocell.partitioners.semantic import voronoi_centres

TOWNS = np.array([[50.5, 8.5], [51.5, 8.6], [50.6, 9.6], [51.4, 10.8]])


@pytest.fixture
def layer(tmp_path: Path) -> Path:
    columns = {"id": ["A1", "A2", "B1"], "name": ["West", "East", "Far"], "country": ["A", "A", "B"]}
    shapes = [box(8, 50, 10, 52), box(10, 50, 12, 52), box(12, 50, 14, 52)]
    geopandas.GeoDataFrame(columns, geometry=shapes, crs="EPSG:4326").to_file(tmp_path / "layer.gpkg")
    return tmp_path / "layer.gpkg"


def around(towns: np.ndarray, n: int) -> np.ndarray:
    rng = np.random.default_rng(0)
    return np.concatenate([rng.normal(town, 0.02, (n, 2)) for town in towns])


def fit(layer: Path, points: np.ndarray, min_count: int, max_count: int) -> Partition:
    return SemanticPartitioner(layer, "id", "name", "country", max_count=max_count, min_count=min_count).fit(points)


def test_towns_of_a_crowded_region_are_its_cells(layer: Path, tmp_path: Path) -> None:
    points = around(TOWNS, 40)
    partition = fit(layer, points, 10, 60)
    assert partition.names == ("A1/0", "A1/1", "A1/2", "A2")
    assert partition.labels == ("West 1", "West 2", "West 3", "East")
    assert partition.counts.tolist() == [40, 40, 40, 40]
    assert distance_km(partition.centroids, TOWNS[[0, 2, 1, 3]]).max() < 2
    assert partition.ancestor_names == {"parent": ("A",), "region": ("A1", "A2")}
    assert partition.ancestors["region"].tolist() == [0, 0, 0, 1]
    partition.save(tmp_path / "cells")
    written = json.loads((tmp_path / "cells/partition.json").read_text(encoding="utf-8"))
    assert list(written["assign"]["split"]) == ["A1"]


def test_a_place_belongs_to_its_region_before_the_nearest_centre(layer: Path) -> None:
    partition = fit(layer, around(TOWNS, 40), 10, 60)
    places = [[51.4, 9.99], [51.4, 10.01], [49.9, 8.5], [51.0, 15.9], [51.0, 20.0]]
    assignment = partition.locate(places)
    assert assignment.cells[:3].tolist() == [1, 3, 0]
    assert assignment.cells[4] == OUTSIDE
    assert assignment.fallback.tolist() == [False, False, True, False, False]
    assert assignment.cells[3] == OUTSIDE  # farther than snap_km from the last region
    unseen = partition.locate([[51.0, 13.0]])  # a region without locations
    assert unseen.fallback.tolist() == [True]


def test_cells_without_structure_are_halved(layer: Path) -> None:
    grid = np.stack(np.meshgrid(np.linspace(50.05, 51.95, 20), np.linspace(8.05, 9.95, 20)), axis=-1).reshape(-1, 2)
    partition = fit(layer, grid, 1, 60)
    assert partition.counts.max() <= 60
    assert len(partition) >= 7


def test_coinciding_locations_are_one_cell(layer: Path) -> None:
    points = np.concatenate((np.repeat([[51.0, 9.0]], 50, axis=0), np.repeat([[51.5, 9.0]], 50, axis=0)))
    partition = fit(layer, points, 1, 10)
    assert partition.counts.tolist() == [50, 50]
    assert len(fit(layer, points[:50], 1, 10)) == 1


def test_small_cells_merge_in_their_region_then_in_its_parent(layer: Path) -> None:
    points = np.concatenate((around(TOWNS[:3], 40), around(TOWNS[3:], 5), around(np.array([[51.4, 12.2]]), 30)))
    partition = fit(layer, points, 10, 60)
    assert partition.names == ("A1/0", "A1/1", "A1/2", "B1")
    assert partition.counts.tolist() == [40, 45, 40, 30]  # B1 is nearer to those of A2, but another country


def test_centres_cover_all_locations() -> None:
    points = np.random.default_rng(3).normal([50, 10], 1, (2000, 2))
    centres = voronoi_centres(points[np.lexsort(points.T)], 20, 100)
    counts = np.bincount(distance_matrix_km(points, centres).argmin(axis=1), minlength=len(centres))
    assert counts.min() > 0
    assert counts.max() <= 100
    assert centres.tolist() == sorted(centres.tolist())


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10**6), k=st.integers(1, 18), decimals=st.sampled_from([0, 12]))
def test_the_nearest_of_few_centres_is_that_of_a_tree(seed: int, k: int, decimals: int) -> None:
    rng = np.random.default_rng(seed)
    points = rng.normal([0, 0], 4, (400, 2)).round(decimals)  # whole degrees: many points between two centres
    centres = rng.normal([0, 0], 4, (k, 2)).round(decimals)
    expected = cKDTree(unit_vectors(centres)).query(unit_vectors(points))[1]
    assert semantic._nearest(unit_vectors(points), centres).tolist() == expected.tolist()


def test_the_nearest_centres_of_many_points() -> None:
    points = np.random.default_rng(1).uniform([-80, -180], [80, 180], (2 * BLOCK + 7, 2))
    expected = cKDTree(unit_vectors(points[:5])).query(unit_vectors(points))[1]
    assert np.array_equal(semantic._nearest(unit_vectors(points), points[:5]), expected)


@pytest.mark.parametrize("decimals", [1, 12])
def test_centres_are_those_of_a_tree_to_the_bit(decimals: int, monkeypatch: pytest.MonkeyPatch) -> None:
    points = around(TOWNS, 300).round(decimals)
    places = points[np.lexsort(points.T[::-1])]
    ours = voronoi_centres(places, 8, 20)
    monkeypatch.setattr(semantic, "_MAX_LEAF", 0)
    assert len(ours) > 16
    assert ours.tolist() == voronoi_centres(places, 8, 20).tolist()


@pytest.mark.parametrize("n", [1, 3, 70_000])
def test_members_are_the_rows_of_each_group(n: int) -> None:
    groups = np.random.default_rng(n).integers(0, n, 200)
    groups[0] = n - 1
    members = semantic._members(groups, np.bincount(groups, minlength=n))
    assert len(members) == n
    for group in {0, n // 2, *groups.tolist()}:
        assert members[group].tolist() == np.flatnonzero(groups == group).tolist()


def test_names_that_would_meet_are_refused(tmp_path: Path) -> None:
    columns = {"id": ["A", "A/0"]}
    shapes = [box(8, 50, 10, 52), box(10, 50, 12, 52)]
    geopandas.GeoDataFrame(columns, geometry=shapes, crs="EPSG:4326").to_file(tmp_path / "layer.gpkg")
    with pytest.raises(ValueError, match="id must not hold both X and X/0"):
        SemanticPartitioner(tmp_path / "layer.gpkg", "id", max_count=60, min_count=10).fit(around(TOWNS, 40))


@pytest.mark.parametrize("value", [0, 2.5, None])
def test_bad_max_count(value: int, layer: Path) -> None:
    with pytest.raises(ValueError, match=r"^SemanticPartitioner: max_count must be an integer of at least 1, got"):
        SemanticPartitioner(layer, "id", max_count=value)


def test_european_street_view(shared_data: Path) -> None:
    shapes = shared_data / "nuts/NUTS_RG_20M_2021_4326_LEVL_3.geojson"
    points = np.loadtxt(shared_data / "points/streetview_europe.csv", delimiter=",", skiprows=1)[::8]
    kind = SemanticPartitioner(shapes, "NUTS_ID", "NAME_LATN", "CNTR_CODE", min_count=30, max_count=60)
    partition = kind.fit(points)
    assert partition.counts.min() >= 30
    assert any("/" in name for name in partition.names)
    assert partition.sha256 == kind.fit(points[::-1]).sha256
    names = partition.ancestor_names["parent"]
    countries = [names[i] for i in partition.ancestors["parent"]]
    assert countries == [name[:2] for name in partition.names]
