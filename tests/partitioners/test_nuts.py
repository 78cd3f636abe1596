"""NUTS regions."""

import json
from collections.abc import Callable
from pathlib import Path

import geopandas
import numpy as np
import pandas as pd
import pytest
import shapely
from shapely.geometry import LineString, box

from geocell.geo.geodesy import distance_km
from geocell.partitioners import OUTSIDE, NUTSPartitioner, Partition

Regions = Callable[..., Path]

# Two regions of one country beside each other, one of another country to the east, and an island without locations.
THREE = {"XB2": box(12, 50, 14, 52), "XA2": box(10, 50, 12, 52), "XA1": box(8, 50, 10, 52), "XB9": box(30, 50, 32, 52)}
INSIDE = np.array([[51.0, 9.0], [51.0, 9.5], [51.0, 11.0], [51.0, 13.0], [51.0, 13.5]])


@pytest.fixture
def three(tmp_path: Path, regions: Regions) -> Path:
    return regions(tmp_path / "three.geojson", THREE)


def test_regions_with_locations_are_cells_in_the_order_of_their_codes(three: Path) -> None:
    partition = NUTSPartitioner(three).fit(INSIDE)
    assert partition.names == ("XA1", "XA2", "XB2")
    assert partition.labels == ("Region XA1", "Region XA2", "Region XB2")
    assert partition.counts.tolist() == [2, 1, 2]
    assert partition.assign(INSIDE).tolist() == [0, 0, 1, 2, 2]


def test_border_belongs_to_the_lowest_code(three: Path) -> None:
    assignment = NUTSPartitioner(three).fit(INSIDE).locate([[51.0, 10.0], [51.0, 12.0], [52.0, 12.0]])
    assert assignment.cells.tolist() == [0, 1, 1]
    assert not assignment.fallback.any()


def test_sea_is_snapped_up_to_a_distance(three: Path) -> None:
    partition = NUTSPartitioner(three, snap_km=50.0).fit(INSIDE)
    degree = float(distance_km([52.0, 9.0], [53.0, 9.0]))
    probes = [[52.0 + km / degree, 9.0] for km in (1.0, 49.9, 50.1)]
    assignment = partition.locate(probes)
    assert assignment.cells.tolist() == [0, 0, OUTSIDE]
    assert assignment.fallback.tolist() == [True, True, False]
    assert "within 50 km" in partition.outside_rule


def test_no_snapping(three: Path) -> None:
    assert NUTSPartitioner(three, snap_km=0).fit(INSIDE).assign([[52.001, 9.0]]).tolist() == [OUTSIDE]


def test_snapping_across_the_antimeridian(tmp_path: Path, regions: Regions) -> None:
    shapes = regions(tmp_path / "fiji.geojson", {"FJ1": box(177, -19, 180, -16), "FJ2": box(-170, -19, -169, -16)})
    partition = NUTSPartitioner(shapes).fit([[-17.0, 178.0], [-17.0, -169.5]])
    assignment = partition.locate([[-17.0, -179.8], [-17.0, 180.0], [-17.0, -180.0]])
    assert assignment.cells.tolist() == [0, 0, 0]
    assert assignment.fallback.tolist() == [True, False, False]


def test_region_without_locations_has_the_class_of_its_country(three: Path) -> None:
    partition = NUTSPartitioner(three).fit(INSIDE)
    assignment = partition.locate([[51.0, 31.0], [51.0, 11.9]])
    assert [partition.names[i] for i in assignment.cells] == ["XB2", "XA2"]
    assert assignment.fallback.tolist() == [True, False]


def test_small_regions_merge_inside_their_country(tmp_path: Path, regions: Regions) -> None:
    shapes = regions(tmp_path / "three.geojson", THREE)
    # The one location of XA2 is nearer to those of XB2 than to those of XA1.
    points = np.array([[51.0, 8.5], [51.0, 8.6], [51.0, 11.9], [51.0, 12.2], [51.0, 12.3]])
    partition = NUTSPartitioner(shapes, min_count=2).fit(points)
    assert partition.names == ("XA1", "XB2")
    assert partition.assign(points).tolist() == [0, 0, 0, 1, 1]


def test_levels_are_prefixes_of_the_code(tmp_path: Path, regions: Regions) -> None:
    codes = ["DE111", "DE112", "DE211", "FR101"]
    shapes = regions(tmp_path / "four.geojson", {code: box(2 * i, 50, 2 * i + 2, 52) for i, code in enumerate(codes)})
    partition = NUTSPartitioner(shapes).fit([[51.0, 1.0], [51.0, 3.0], [51.0, 5.0], [51.0, 7.0]])
    assert partition.names == tuple(codes)
    assert partition.ancestor_names == {
        "level_0": ("DE", "FR"), "level_1": ("DE1", "DE2", "FR1"), "level_2": ("DE11", "DE21", "FR10"),
    }  # fmt: skip
    assert [groups.tolist() for groups in partition.ancestors.values()] == [[0, 0, 0, 1], [0, 0, 1, 2], [0, 0, 1, 2]]


def test_dropped_region_has_the_class_of_its_country(tmp_path: Path, regions: Regions) -> None:
    shapes = regions(tmp_path / "three.geojson", THREE)
    points = np.array([[51.0, 8.5], [51.0, 8.6], [51.0, 11.9], [51.0, 12.2], [51.0, 12.3]])
    partition = NUTSPartitioner(shapes, min_count=2, small="drop").fit(points)
    assert partition.names == ("XA1", "XB2")
    assert partition.counts.tolist() == [2, 2]
    assert partition.fitted_on["n_dropped"] == partition.fitted_on["n_fallback"] == 1
    assignment = partition.locate(points)
    assert assignment.cells.tolist() == [0, 0, 0, 1, 1]  # XB2 is nearer, but another country
    assert assignment.fallback.tolist() == [False, False, True, False, False]


def test_training_locations_outside_are_counted(three: Path) -> None:
    partition = NUTSPartitioner(three).fit(np.concatenate((INSIDE, [[52.1, 9.0], [10.0, 10.0], [0.0, 0.0]])))
    assert partition.fitted_on["n_locations"] == 8
    assert partition.fitted_on["n_fallback"] == 1
    assert partition.fitted_on["n_outside"] == 2
    assert partition.counts.sum() == 6
    with pytest.raises(ValueError, match="at least one location must be in a cell, got 1, all outside"):
        NUTSPartitioner(three).fit([[0.0, 0.0]])


def test_saved_partition_needs_no_boundary_file(three: Path, tmp_path: Path) -> None:
    partition = NUTSPartitioner(three).fit(INSIDE)
    partition.save(tmp_path / "cells")
    three.unlink()
    again = Partition.load(tmp_path / "cells")
    probes = np.random.default_rng(0).uniform([49, 7], [53, 15], (500, 2))
    assert again.assign(probes).tolist() == partition.assign(probes).tolist()
    assert again.labels == partition.labels
    assert again.parameters["shapes"] == "three.geojson"
    shapes = json.loads((tmp_path / "cells/cells.geojson").read_text(encoding="utf-8"))
    ring = shapes["features"][0]["geometry"]["coordinates"][0]
    ring[0][0] += 0.5
    ring[-1] = ring[0]
    (tmp_path / "cells/cells.geojson").write_text(json.dumps(shapes), encoding="utf-8")
    with pytest.raises(ValueError, match="must hash to"):
        Partition.load(tmp_path / "cells")


def test_projected_file_with_other_levels(three: Path, tmp_path: Path) -> None:
    table = geopandas.read_file(three)
    other = table.assign(LEVL_CODE=2, NUTS_ID=[code[:2] + "0" + code[2] for code in table["NUTS_ID"]])
    both = geopandas.GeoDataFrame(pd.concat([other, table], ignore_index=True), crs=table.crs).to_crs("EPSG:3035")
    both.drop(columns="NAME_LATN").to_file(tmp_path / "laea.gpkg")
    partition = NUTSPartitioner(tmp_path / "laea.gpkg").fit(INSIDE)
    assert partition.names == partition.labels == ("XA1", "XA2", "XB2")
    with pytest.raises(ValueError, match=r"must have regions of level 1, got levels 2, 3"):
        NUTSPartitioner(tmp_path / "laea.gpkg", level=1).fit(INSIDE)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            {"NUTS_ID": ["A1"], "geometry": [box(0, 0, 1, 1)]},
            r"must have the columns NUTS_ID, LEVL_CODE .* got \['NUTS_ID",
        ),
        (
            {"NUTS_ID": ["A1", "A1"], "LEVL_CODE": 3, "geometry": [box(0, 0, 1, 1)] * 2},
            "every region once, got 2 rows of 1",
        ),
        (
            {"NUTS_ID": ["A1"], "LEVL_CODE": 3, "geometry": [LineString([(0, 0), (1, 1)])]},
            "must be a polygon, and 1 are not",
        ),
        (
            {"NUTS_ID": ["A1"], "LEVL_CODE": 3, "geometry": [box(0, 0, 4e6, 4e6)]},
            "must be in degrees or name their coord",
        ),
    ],
)
def test_bad_boundary_file(content: dict[str, object], message: str, tmp_path: Path) -> None:
    geopandas.GeoDataFrame(content, crs="EPSG:4326").to_file(tmp_path / "bad.gpkg")
    with pytest.raises(ValueError, match=message):
        NUTSPartitioner(tmp_path / "bad.gpkg").fit(INSIDE)


def test_no_boundary_file(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"must be a boundary file, and there is none at .*nuts\.geojson"):
        NUTSPartitioner(tmp_path / "nuts.geojson").fit(INSIDE)
    (tmp_path / "nuts.geojson").write_text("not a map", encoding="utf-8")
    with pytest.raises(ValueError, match="shapes must be GeoJSON, GPKG or a shapefile"):
        NUTSPartitioner(str(tmp_path / "nuts.geojson")).fit(INSIDE)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"shapes": 3}, "shapes must be the path of a boundary file, got 3"),
        ({"shapes": "a", "level": 4}, r"level must be an integer in \[0, 3\], got 4"),
        ({"shapes": "a", "snap_km": -1.0}, "snap_km must be a distance in km of at least 0, got -1.0"),
        ({"shapes": "a", "snap_km": float("nan")}, "snap_km must be a distance in km of at least 0, got nan"),
    ],
)
def test_bad_parameters(parameters: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=f"^NUTSPartitioner: {message}"):
        NUTSPartitioner(**parameters)


def test_european_street_view(shared_data: Path, tmp_path: Path) -> None:
    shapes = shared_data / "nuts/NUTS_RG_20M_2021_4326_LEVL_3.geojson"
    points = np.loadtxt(shared_data / "points/streetview_europe.csv", delimiter=",", skiprows=1)
    partition = NUTSPartitioner(shapes).fit(points)
    assignment = partition.locate(points)
    inside = assignment.cells != OUTSIDE
    assert partition.fitted_on["n_outside"] == (~inside).sum() > 0
    assert partition.fitted_on["n_fallback"] == assignment.fallback.sum() > 0
    assert list(partition.names) == sorted(partition.names)
    assert np.bincount(assignment.cells[inside]).tolist() == partition.counts.tolist()

    sample = np.random.default_rng(0).choice(len(points), 400, replace=False)
    table = geopandas.read_file(shapes).set_index("NUTS_ID").sort_index()
    for row in sample:  # against the plain loop over polygons
        containing = table.index[table.intersects(shapely.Point(points[row][::-1]))]
        if len(containing):
            assert partition.names[assignment.cells[row]] == containing[0]
        else:
            assert assignment.fallback[row] or not inside[row]

    partition.save(tmp_path / "cells")
    again = Partition.load(tmp_path / "cells")
    assert again.sha256 == partition.sha256
    assert again.assign(points[sample]).tolist() == assignment.cells[sample].tolist()


def test_levels_that_are_no_numbers_are_said(tmp_path: Path) -> None:
    table = {"NUTS_ID": ["A1"], "LEVL_CODE": ["three"], "geometry": [box(0, 0, 1, 1)]}
    geopandas.GeoDataFrame(table, crs="EPSG:4326").to_file(tmp_path / "text.gpkg")
    with pytest.raises(ValueError, match="must have regions of level 3, got levels 'three'"):
        NUTSPartitioner(tmp_path / "text.gpkg").fit([[0.5, 0.5]])


def test_levels_that_are_lists_are_said(three: Path) -> None:
    layer = json.loads(three.read_text())
    layer["features"][1]["properties"]["LEVL_CODE"] = [3, 3]
    three.write_text(json.dumps(layer))
    with pytest.raises(ValueError, match=r"must have regions of level 3, got levels array\(\[3, 3\]"):
        NUTSPartitioner(three).fit(INSIDE)
