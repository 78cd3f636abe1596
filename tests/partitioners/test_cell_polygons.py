"""The cells of every kind as polygons: valid, on the earth, where `locate` says they are, tiling it where they do."""

import json
from pathlib import Path

import geopandas
import numpy as np
import pytest
import shapely
from shapely.geometry import box

from geocell.geo.geodesy import EARTH_RADIUS_KM, latlon_from_unit
from geocell.geo.shapes import areas_km2
from geocell.partitioners import (
    H3AdaptivePartitioner,
    H3Partitioner,
    KDTreePartitioner,
    KMeansPartitioner,
    NUTSPartitioner,
    Partition,
    Partitioner,
    PolygonsPartitioner,
    QuadtreePartitioner,
    S2Partitioner,
    SemanticPartitioner,
)
from geocell.partitioners.cell_polygons import cell_polygons, class_areas_km2, class_polygons, export_cells
from geocell.partitioners.rule import canonical_latlon
from tests.partitioners.conftest import write_regions

SPHERE_KM2 = 4 * np.pi * EARTH_RADIUS_KM**2
TILING = ("kdtree", "kdtree at Fiji", "kmeans", "kmeans of two")


def cloud(n: int, seed: int) -> np.ndarray:
    """Half of the places anywhere, half in Fiji, Chukotka and at the poles."""
    rng = np.random.default_rng(seed)
    anywhere = latlon_from_unit(rng.normal(size=(n // 2, 3)))
    special = np.array([[-17.0, 180.0], [66.0, -180.0], [88.0, 0.0], [-89.0, 0.0]])[rng.integers(0, 4, n - n // 2)]
    near = special + rng.normal(scale=1.0, size=special.shape)
    return np.concatenate((anywhere, np.stack((np.clip(near[:, 0], -90, 90), (near[:, 1] + 180) % 360 - 180), axis=1)))


POINTS = cloud(600, seed=0)


@pytest.fixture(scope="module")
def shapes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Boxes of 30° that tile the earth but for its last column, in countries of 6."""
    boxes = {
        f"{chr(65 + i)}X{j}": box(-180 + 30 * i, -90 + 30 * j, -150 + 30 * i, -60 + 30 * j)
        for i in range(11)
        for j in range(6)
    }
    return write_regions(tmp_path_factory.mktemp("shapes") / "world.geojson", boxes)


def partitioners(shapes: Path) -> dict[str, Partitioner]:
    return {
        "h3": H3Partitioner(resolution=2, min_count=2),
        "h3 dropped": H3Partitioner(resolution=1, min_count=4, small="drop"),
        "h3-adaptive": H3AdaptivePartitioner(max_count=20, min_resolution=0, max_resolution=3, min_count=3),
        "s2": S2Partitioner(max_count=10, min_count=3),
        "s2 whole faces": S2Partitioner(max_count=200, min_level=0),
        "quadtree": QuadtreePartitioner(max_count=10, min_count=3),
        "quadtree median": QuadtreePartitioner(max_count=10, split_at="median"),
        "kdtree": KDTreePartitioner(max_count=10, min_count=8),
        "kdtree at Fiji": KDTreePartitioner(max_count=3),
        "kmeans": KMeansPartitioner(k=60, min_count=5),
        "kmeans of two": KMeansPartitioner(k=2),
        "kmeans dropped": KMeansPartitioner(k=60, min_count=9, small="drop"),
        "nuts": NUTSPartitioner(shapes, min_count=5, snap_km=0),
        "polygons": PolygonsPartitioner(shapes, id_column="NUTS_ID", parent_column="COUNTRY", min_count=3),
        "semantic": SemanticPartitioner(
            shapes, id_column="NUTS_ID", parent_column="COUNTRY", max_count=20, min_count=4
        ),
    }


@pytest.mark.parametrize("name", partitioners(Path()))
def test_polygons_are_where_locate_says(name: str, shapes: Path) -> None:
    points = POINTS[POINTS[:, 0] < -10] if name == "kdtree at Fiji" else POINTS
    partition = partitioners(shapes)[name].fit(points)
    table = cell_polygons(partition)
    polygons = table.geometry.to_numpy()
    assert len(table) == len(partition)
    assert table.crs == "EPSG:4326"
    assert shapely.is_valid(polygons).all()
    assert not shapely.is_empty(polygons).any()
    assert np.isin(shapely.get_type_id(polygons), (3, 6)).all()
    west, south, east, north = table.total_bounds
    assert west >= -180
    assert south >= -90
    assert east <= 180
    assert north <= 90

    probes = canonical_latlon(np.concatenate((cloud(3000, seed=1), points)))
    probes = probes[np.abs(probes[:, 0]) < 90]  # a pole is on the border of all cells around it
    found = partition.locate(probes)
    sure = np.where((found.cells >= 0) & ~found.fallback, found.cells, -1)
    probe, cell = shapely.STRtree(polygons).query(shapely.points(probes[:, ::-1]), predicate="intersects")
    inside = np.full(len(probes), -1)
    inside[probe] = cell
    differs = np.flatnonzero(inside != sure)
    borders = shapely.boundary(polygons)
    for i in differs:  # on a border, but for the rim of a cell that is made of small hexagons
        cells = [c for c in (inside[i], sure[i]) if c >= 0]
        reach = 0.05 * np.sqrt(table.area_km2[cells].max()) / 111 if name == "h3-adaptive" else 2e-3
        assert min(shapely.distance(borders[c], shapely.Point(probes[i, ::-1])) for c in cells) < reach
    assert len(differs) < 0.01 * len(probes)
    assert (sure >= 0).mean() > 0.3

    areas = class_areas_km2(partition)
    np.testing.assert_allclose(areas, table.area_km2, rtol=0.03 if name == "h3-adaptive" else 1e-4)
    overlap = np.abs(areas_km2(np.array([shapely.union_all(polygons)]))[0] - table.area_km2.sum())
    assert overlap < (1e-3 if name == "h3-adaptive" else 1e-5) * table.area_km2.sum()
    if name in TILING:
        assert table.area_km2.sum() == pytest.approx(SPHERE_KM2, rel=1e-9)


def test_h3_cells_have_their_area() -> None:
    import h3

    partition = H3Partitioner(resolution=4).fit(POINTS)
    exact = [h3.cell_area(name, unit="km^2") for name in partition.names]
    error = np.abs(class_areas_km2(partition) / exact - 1)
    assert error[np.abs(partition.centroids[:, 0]) < 80].max() < 2e-4
    assert error.max() < 0.01  # sides near a pole stray as far, of cells as small


def test_the_table_says_what_the_partition_does() -> None:
    partition = KMeansPartitioner(k=20, min_count=5).fit(POINTS)
    table = cell_polygons(partition)
    assert list(table.columns) == ["cell", "name", "label", "count", "lat", "lon", "radius_km", "area_km2", "geometry"]
    assert table["cell"].tolist() == list(range(len(partition)))
    assert tuple(table["name"]) == partition.names
    assert table["count"].tolist() == partition.counts.tolist()
    assert table[["lat", "lon"]].to_numpy().tolist() == partition.centroids.tolist()


def test_export_writes_what_other_programs_read(tmp_path: Path) -> None:
    partition = KDTreePartitioner(max_count=50).fit(POINTS)
    table = cell_polygons(partition)
    for name in ("cells.geojson", "deep/cells.parquet"):
        out = export_cells(partition, tmp_path / name)
        read = geopandas.read_parquet(out) if name.endswith("parquet") else geopandas.read_file(out)
        assert read.crs == "EPSG:4326"
        assert read["name"].tolist() == table["name"].tolist()
        assert read["count"].tolist() == table["count"].tolist()
        assert shapely.equals(read.geometry.to_numpy(), table.geometry.to_numpy()).all()
        first = out.read_bytes()
        assert export_cells(partition, out).read_bytes() == first
        assert [path.name for path in out.parent.iterdir() if path.is_file()] == [out.name]
    collection = json.loads((tmp_path / "cells.geojson").read_text())
    assert collection["type"] == "FeatureCollection"
    assert "crs" not in collection
    assert len(collection["features"]) == len(partition)
    rings = [ring for f in collection["features"] for ring in shapely.get_parts(shapely.geometry.shape(f["geometry"]))]
    assert all(part.exterior.is_ccw for part in rings)
    with pytest.raises(ValueError, match=r"\.geojson or \.parquet file, got 'cells\.shp'"):
        export_cells(partition, tmp_path / "cells.shp")


def test_a_partition_that_only_decodes_has_no_shapes(tmp_path: Path) -> None:
    KDTreePartitioner(max_count=50).fit(POINTS).save(tmp_path / "cells")
    (tmp_path / "cells/partition.json").unlink()
    partition = Partition.load(tmp_path / "cells")
    for function in (class_polygons, class_areas_km2, cell_polygons):
        with pytest.raises(ValueError, match="can only decode"):
            function(partition)


def test_a_cell_whose_locations_all_lie_beside_its_region_is_empty(tmp_path: Path) -> None:
    layer = write_regions(tmp_path / "two.geojson", {"AX1": box(0, 50, 1, 51), "BX1": box(5, 50, 5.0001, 50.0001)})
    both = [[50.5, 0.5], [50.0, 5.2], [50.1, 5.3]]
    partition = SemanticPartitioner(layer, id_column="NUTS_ID", max_count=1, min_count=1).fit(both)
    table = cell_polygons(partition)
    assert shapely.is_valid(table.geometry.to_numpy()).all()
    assert table.is_empty.sum() == len(partition) - 2
