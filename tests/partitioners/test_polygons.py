"""Polygon layers of any origin."""

from pathlib import Path
from typing import Any

import geopandas
import pytest
from shapely.geometry import box

from geocell.geo.countries import write_countries
from geocell.partitioners import Partition, PolygonsPartitioner

INSIDE = [[51.0, 9.0], [51.0, 9.5], [51.0, 11.0], [51.0, 13.0], [51.0, 13.5], [51.0, 31.0]]


@pytest.fixture
def layer(tmp_path: Path) -> Path:
    columns = {
        "adm1_code": ["D-3", "D-1", "D-2", "U-1"],
        "name": ["East", "West", None, "Far"],
        "adm0_a3": ["DEU", "DEU", "DEU", None],
    }
    shapes = [box(12, 50, 14, 52), box(8, 50, 10, 52), box(10, 50, 12, 52), box(30, 50, 32, 52)]
    geopandas.GeoDataFrame(columns, geometry=shapes, crs="EPSG:4326").to_file(tmp_path / "layer.gpkg")
    return tmp_path / "layer.gpkg"


def test_identifiers_names_and_parents_come_from_columns(layer: Path, tmp_path: Path) -> None:
    partition = PolygonsPartitioner(layer, "adm1_code", "name", "adm0_a3").fit(INSIDE)
    assert partition.names == ("D-1", "D-2", "D-3", "U-1")
    assert partition.labels == ("West", "D-2", "East", "Far")
    assert partition.ancestor_names == {"parent": ("", "DEU")}
    assert partition.ancestors["parent"].tolist() == [1, 1, 1, 0]
    assert partition.assign(INSIDE).tolist() == [0, 0, 1, 2, 2, 3]
    partition.save(tmp_path / "cells")
    again = Partition.load(tmp_path / "cells")
    assert again.ancestor_names == partition.ancestor_names
    assert again.labels == partition.labels
    assert again.parameters == {
        "shapes": "layer.gpkg", "id_column": "adm1_code", "name_column": "name", "parent_column": "adm0_a3",
        "snap_km": 50.0, "min_count": 1, "small": "merge", "centroid": "mean",
    }  # fmt: skip


def test_only_identifiers_are_needed(layer: Path) -> None:
    partition = PolygonsPartitioner(layer, id_column="adm1_code").fit(INSIDE)
    assert partition.labels == partition.names
    assert partition.ancestors == {}


def test_small_regions_merge_inside_their_parent(layer: Path) -> None:
    points = [[51.0, 9.0], [51.0, 9.5], [51.0, 13.9], [51.0, 30.1], [51.0, 30.1]]
    partition = PolygonsPartitioner(layer, "adm1_code", parent_column="adm0_a3", min_count=2).fit(points)
    assert partition.names == ("D-1", "U-1")
    assert partition.assign(points).tolist() == [0, 0, 0, 1, 1]


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"id_column": "ID"}, r"must have the columns ID and a geometry, got \['adm1_code'"),
        ({"id_column": "name"}, "must have an identifier in name for every region, and 1 lack one"),
        ({"id_column": "same"}, "every region once, got 4 rows of 1: name another column"),
        ({"id_column": "adm1_code", "parent_column": "region"}, "must have the columns adm1_code, region and a geo"),
    ],
)
def test_bad_columns(parameters: dict[str, str], message: str, layer: Path) -> None:
    geopandas.read_file(layer).assign(same="x").to_file(layer)
    with pytest.raises(ValueError, match=f"^PolygonsPartitioner: .*{message}"):
        PolygonsPartitioner(layer, **parameters).fit(INSIDE)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"id_column": ""}, "id_column must be the name of a column of the layer, got ''"),
        ({"id_column": None}, "id_column must be the name of a column of the layer, got None"),
        ({"id_column": "a", "name_column": 3}, "name_column must be the name of a column of the layer, got 3"),
        ({"id_column": "a", "parent_column": ""}, "parent_column must be the name of a column of the layer, got ''"),
    ],
)
def test_bad_parameters(parameters: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=f"^PolygonsPartitioner: {message}"):
        PolygonsPartitioner("layer.gpkg", **parameters)


def test_no_layer(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"none at .*: download one from Natural Earth, GADM or geoBoundaries"):
        PolygonsPartitioner(tmp_path / "layer.gpkg", "id").fit(INSIDE)


@pytest.mark.parametrize("km", [-1, float("inf"), float("nan"), 10**400, "5", True])
def test_a_distance_that_no_file_could_hold_is_refused(km: Any, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="snap_km must be a distance in km of at least 0"):
        PolygonsPartitioner(tmp_path / "layer.geojson", "name", snap_km=km)


def test_the_countries_of_this_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    places = [[48.8, 2.3], [50.1, 8.7], [-1.3, 36.8]]
    partitioner = PolygonsPartitioner("countries")
    partition = partitioner.fit(places)
    assert partition.names == ("DE", "FR", "KE")
    assert partition.labels == ("Germany", "France", "Kenya")
    assert partition.ancestor_names["parent"] == ("AF", "EU")
    assert partition.parameters["shapes"] == "countries"
    written = PolygonsPartitioner(write_countries(tmp_path / "c.json"), "iso_a2", "name", "continent").fit(places)
    assert written.sha256 == partition.sha256
    assert PolygonsPartitioner("countries", name_column="iso_a2").fit(places).labels == partition.names
    with pytest.raises(ValueError, match="countries must have the columns gid and a geometry, got"):
        PolygonsPartitioner("countries", "gid").fit(places)
    write_countries(tmp_path / "countries")
    with pytest.raises(ValueError, match="id_column must be the name of a column of the layer, got ''"):
        PolygonsPartitioner("countries")  # a file of that name is somebody's own layer


def test_a_damaged_layer_is_one_printable_sentence(tmp_path: Path) -> None:
    geometry = '{"type": "Polygon", "coordinates": [[[0, 0\u202e]]]}'
    (tmp_path / "a.geojson").write_text(f'{{"type": "FeatureCollection", "features": [{{"geometry": {geometry}}}]}}')
    with pytest.raises(ValueError, match="shapes must be GeoJSON, GPKG or a shapefile") as caught:
        PolygonsPartitioner(tmp_path / "a.geojson", id_column="a").fit([[0.0, 0.0]])
    assert str(caught.value).isprintable()
