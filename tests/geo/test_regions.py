"""Polygons of others: what would end the process or fill the memory is refused before GEOS sees it."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import geopandas
import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from geocell.geo.regions import MAX_VERTICES, border_points, geometry_to_geojson, mended_regions, regions_from_geojson
from geocell.partitioners import PolygonsPartitioner

SQUARE = [[0, 0], [4, 0], [4, 4], [0, 4], [0, 0]]
HOLE = [[1, 1], [1, 2], [2, 2], [2, 1], [1, 1]]


def polygon(*rings: Any) -> dict[str, Any]:
    return {"type": "Polygon", "coordinates": list(rings)}


def multi(*polygons: Any) -> dict[str, Any]:
    return {"type": "MultiPolygon", "coordinates": list(polygons)}


def shifted(ring: Any, by: float) -> list[list[float]]:
    return [[x + by, y] for x, y in ring]


def test_coordinates_and_rings_stay_as_they_are() -> None:
    geometries = [polygon(SQUARE, HOLE), multi([SQUARE, HOLE], [shifted(SQUARE, 10)])]
    shapes = regions_from_geojson(geometries)
    assert [json.loads(json.dumps(geometry_to_geojson(shape)))["coordinates"] for shape in shapes] == [
        json.loads(json.dumps(geometry["coordinates"], default=float)) for geometry in geometries
    ]
    assert shapes[0].area == 15


@pytest.mark.parametrize("empty", [[], [[]], [[], SQUARE]])
def test_empty_parts_are_dropped(empty: Any) -> None:
    (shape,) = regions_from_geojson([multi(empty, [SQUARE], empty)])
    assert shape.geom_type == "MultiPolygon"
    assert len(shape.geoms) == 1
    assert shape.area == 16


@pytest.mark.parametrize(
    ("geometry", "message"),
    [
        (None, "region 0 must be a GeoJSON geometry"),
        ({}, "must be a Polygon or MultiPolygon, got None"),
        ({"type": "Point", "coordinates": [0, 0]}, "must be a Polygon or MultiPolygon"),
        ({"type": ["Polygon"], "coordinates": [SQUARE]}, "must be a Polygon or MultiPolygon"),
        (polygon(), "is empty"),
        (polygon([]), "is empty"),
        (multi(), "is empty"),
        (multi([[]], []), "is empty"),
        (polygon(SQUARE[:3]), "at least 4 points"),
        (polygon([[0, 0], [0, 0]]), "at least 4 points"),
        (polygon([*SQUARE[:-1], [0, 1]]), "closed rings"),
        (polygon([[0, 0], [3e6, 0], [3e6, 1], [0, 0]]), "within ±180"),
        (polygon([[0, 0], [0, 91], [1, 1], [0, 0]]), "within ±90"),
        (polygon([[0, 0], [float("nan"), 0], [1, 1], [0, 0]]), "finite"),
        (polygon([[0, 0], [float("inf"), 0], [1, 1], [0, 0]]), "finite"),
        (polygon([[0, 0], [10**400, 0], [1, 1], [0, 0]]), "at least 4 points"),
        (polygon([[0], [1], [1], [0]]), "at least 4 points"),
        (polygon([0, 1, 2, 0]), "at least 4 points"),
        (polygon([SQUARE]), "at least 4 points"),
        (polygon({"a": 1}), "lists of coordinates"),
        ({"type": "Polygon", "coordinates": "abc"}, "lists of coordinates"),
        ({"type": "GeometryCollection", "geometries": None}, "list of geometries"),
        (polygon([[0, 0], [4, 4], [4, 0], [0, 4], [0, 0]]), "valid polygons"),
    ],
)
def test_what_is_no_region_is_refused(geometry: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        regions_from_geojson([geometry])


def test_vertices_are_counted_before_arrays_are_made() -> None:
    with pytest.raises(ValueError, match="at most 9 vertices in all"):
        regions_from_geojson([polygon(SQUARE), polygon(SQUARE)], max_vertices=9)


def test_a_border_that_would_become_too_many_points_is_refused() -> None:
    zigzag = [[-170 + 340 * (i % 2), -80 + i / 100] for i in range(1200)]
    ring = [*zigzag, [171, zigzag[-1][1]], [171, -81], [-170, -81], zigzag[0]]
    with pytest.raises(ValueError, match=rf"at most {MAX_VERTICES:,} points 0\.02° apart|valid polygons"):
        regions_from_geojson([polygon(ring)])
    with pytest.raises(ValueError, match=rf"at most {MAX_VERTICES:,} points 0\.02° apart"):
        mended_regions(np.array([shapely.Polygon(ring)], dtype=object))


@settings(max_examples=40, deadline=None)
@given(
    st.lists(
        st.recursive(
            st.one_of(st.none(), st.floats(), st.integers(-200, 200), st.sampled_from([*SQUARE, SQUARE, HOLE])),
            lambda inner: st.lists(inner, max_size=5),
            max_leaves=20,
        ),
        max_size=4,
    ),
    st.sampled_from(["Polygon", "MultiPolygon"]),
)
def test_any_nesting_is_refused_or_becomes_valid_regions(coordinates: Any, kind: str) -> None:
    try:
        shapes = regions_from_geojson([{"type": kind, "coordinates": coordinates}])
    except ValueError:
        return
    assert shapely.is_valid(shapes).all()
    assert not shapely.is_empty(shapely.get_parts(shapes)).any()


def test_layers_are_mended_or_refused() -> None:
    bow_tie = shapely.Polygon([[0, 0], [4, 4], [4, 0], [0, 4]])
    with_empty = shapely.from_wkt("MULTIPOLYGON (EMPTY, ((0 0, 1 0, 1 1, 0 1, 0 0)))")
    assert shapely.is_empty(shapely.get_parts(with_empty)).any()
    mended = mended_regions(np.array([bow_tie, with_empty], dtype=object))
    assert shapely.area(mended).tolist() == [8.0, 1.0]
    assert not shapely.is_empty(shapely.get_parts(mended)).any()
    for shape, message in (
        (shapely.Point(0, 0), "must be a polygon, and 1 are not"),
        (None, "must be a polygon, and 1 are not"),
        (shapely.Polygon(), "with an area, and 1 are empty"),
        (shapely.Polygon([[0, 0], [1, 1], [2, 2]]), "with an area, and 1 have none"),
        (shapely.box(0, 0, 4e6, 4e6), "in degrees or name their coordinate system, got x from 0 to 4e"),
    ):
        with pytest.raises(ValueError, match=message):
            mended_regions(np.array([shape], dtype=object))


def test_border_points_are_close_to_each_other() -> None:
    shapes = np.array([shapely.box(0, 0, 1, 1), shapely.box(2, 0, 3, 1)], dtype=object)
    xy, region = border_points(shapes)
    steps = np.abs(np.diff(xy, axis=0)).sum(axis=1)[np.diff(region) == 0]
    assert steps.max() <= 0.02 + 1e-12
    assert np.bincount(region).tolist() == [201, 201]


RUN = """
import resource, sys
import numpy as np
from geocell.partitioners import Partition, PolygonsPartitioner
import geopandas, shapely, scipy.spatial
used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + (1 << 30), used + (1 << 30)))
points = np.array([[0.5, 0.5], [0.5, 5.0], [1.0, 1.0]])
for path in sys.argv[2:]:
    try:
        if sys.argv[1] == "load":
            cells = Partition.load(path)
        else:
            cells = PolygonsPartitioner(path, id_column="id").fit(points)
        cells.locate(points)
        print("fine", flush=True)
    except ValueError:
        print("refused", flush=True)
"""


def in_little_memory(how: str, paths: dict[str, Path]) -> dict[str, str]:
    """Return what a process says of each case that may take a gibibyte more than the libraries do.

    It must not end by a signal; the case after the last that it names ended it.
    """
    command = [sys.executable, "-c", RUN, how, *map(str, paths.values())]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{done.stdout.split()} of {list(paths)}: {done.stderr}"
    return dict(zip(paths, done.stdout.split(), strict=True))


FAR = polygon([[0, 0], [3e6, 0], [3e6, 1], [0, 1], [0, 0]])
DANGEROUS = {
    "empty part": (multi([[]], [SQUARE]), "fine"),
    "empty parts only": (multi([[]]), "refused"),
    "far away": (FAR, "refused"),
    "long border": (polygon([*([[-179, 0], [179, 1e-9]] * 50_000), [-179, 0]]), "refused"),
}


@pytest.mark.skipif(sys.platform != "linux", reason="reads the size of the process from /proc")
def test_dangerous_layers_end_no_process(tmp_path: Path) -> None:
    paths = {}
    for case, (geometry, _) in DANGEROUS.items():
        feature = {"type": "Feature", "properties": {"id": "a"}, "geometry": geometry}
        paths[case] = tmp_path / f"{case}.geojson"
        paths[case].write_text(json.dumps({"type": "FeatureCollection", "features": [feature]}))
    assert in_little_memory("fit", paths) == {case: expected for case, (_, expected) in DANGEROUS.items()}


@pytest.mark.skipif(sys.platform != "linux", reason="reads the size of the process from /proc")
def test_dangerous_regions_of_a_partition_end_no_process(tmp_path: Path) -> None:
    layer = geopandas.GeoDataFrame({"id": ["a"]}, geometry=[shapely.box(0, 0, 8, 8)], crs="EPSG:4326")
    layer.to_file(tmp_path / "layer.gpkg")
    cells = PolygonsPartitioner(tmp_path / "layer.gpkg", id_column="id").fit([[1.0, 1.0]])
    paths = {case: tmp_path / case for case in DANGEROUS}
    for case, (geometry, _) in DANGEROUS.items():
        cells.save(paths[case])
        path = paths[case] / "cells.geojson"
        value = json.loads(path.read_text())
        value["features"][0]["geometry"] = geometry
        path.write_text(json.dumps(value))
    assert set(in_little_memory("load", paths).values()) == {"refused"}


def test_a_layer_of_the_most_vertices_can_be_read_again() -> None:
    """Each vertex takes so many bytes and items of a cells.geojson, whose reader bounds both."""
    from geocell.files import documents
    from geocell.partitioners import polygon_rule

    n = 4000
    turn = np.linspace(0.0, 2.0 * np.pi, n, endpoint=False)
    ring = np.stack((10.123456789 * np.cos(turn), 10.123456789 * np.sin(turn)), axis=1).tolist()
    text = documents.json_text({"type": "Polygon", "coordinates": [[*ring, ring[0]]]})
    items = sum(text.count(character) for character in "[{,")
    assert MAX_VERTICES * items / n <= documents._MAX_ITEMS
    assert MAX_VERTICES * len(text) / n <= polygon_rule._MAX_SHAPES_BYTES
