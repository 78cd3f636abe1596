"""Cells from tables of polygons and back: what a partition says of its cells makes the same cells again."""

from typing import Any

import geopandas
import numpy as np
import pytest
import shapely
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from geocell.partitioners import H3Partitioner, KDTreePartitioner, KMeansPartitioner, Partition, S2Partitioner
from geocell.partitioners.cell_polygons import class_polygons
from tests.partitioners.contract import Points, clouds

KINDS = (
    H3Partitioner(resolution=3),
    KDTreePartitioner(max_count=3),
    S2Partitioner(max_count=3, max_level=8),
)


@settings(max_examples=20, deadline=None)
@given(points=clouds, kind=st.sampled_from(KINDS), seed=st.integers(0, 99))
def test_round_trip(points: Points, kind: Any, seed: int) -> None:
    partition = kind.fit(points)
    assume(not shapely.is_empty(class_polygons(partition)).any())
    once = Partition.from_geopandas(partition.to_geopandas())
    by_name = np.argsort(np.array(partition.names, dtype=object), kind="stable")
    assert list(once.names) == [partition.names[i] for i in by_name]
    assert list(once.labels) == [partition.labels[i] for i in by_name]
    for name in ("centroids", "counts", "radius_km"):
        np.testing.assert_array_equal(getattr(once, name), getattr(partition, name)[by_name])
    twice = Partition.from_geopandas(once.to_geopandas().sample(frac=1.0, random_state=seed))
    assert twice.sha256 == once.sha256


def test_locations_are_assigned_as_before() -> None:
    rng = np.random.default_rng(0)
    points, probes = (np.stack((rng.uniform(40, 60, n), rng.uniform(0, 20, n)), axis=1) for n in (300, 2000))
    for kind in (KDTreePartitioner(max_count=20), KMeansPartitioner(k=9, seed=0)):
        partition = kind.fit(points)
        again = Partition.from_geopandas(partition.to_geopandas())
        before = np.array(partition.names, dtype=object)[partition.assign(probes)]
        after = np.array(again.names, dtype=object)[again.assign(probes)]
        assert (before == after).mean() > 0.998  # the borders of K-Means are drawn to within 0.1 km


def test_a_layer_without_centroids_and_its_folder(tmp_path: Any) -> None:
    boxes = [shapely.box(2, 50, 4, 52), shapely.box(0, 50, 2, 52)]
    layer = geopandas.GeoDataFrame({"code": ["b", "a"], "title": ["B", None]}, geometry=boxes, crs="EPSG:4326")
    partition = Partition.from_geopandas(layer.to_crs("EPSG:3857"), id_column="code", name_column="title")
    assert (partition.names, partition.labels) == (("a", "b"), ("a", "B"))
    assert partition.assign([[51.0, 1.0], [51.0, 3.0], [0.0, 0.0]]).tolist()[:2] == [0, 1]
    assert partition.locate([[51.0, -0.1]]).fallback.tolist() == [True]
    assert partition.assign(partition.centroids).tolist() == [0, 1]
    assert partition.counts.tolist() == [0, 0]
    partition.save(tmp_path / "cells")
    assert Partition.load(tmp_path / "cells").sha256 == partition.sha256


def test_centroids_alone_are_points() -> None:
    centroids = np.array([[10.0, 20.0], [30.0, 40.0]])
    partition = Partition("centroids", ("a", "b"), ("a", "b"), centroids, np.zeros(2, np.int64), np.full(2, np.nan))
    table = partition.to_geopandas()
    assert [(point.y, point.x) for point in table.geometry] == [(10.0, 20.0), (30.0, 40.0)]
    assert table["area_km2"].isna().all()
    with pytest.raises(ValueError, match="the table: every region must be a polygon, and 2 are not"):
        Partition.from_geopandas(table)


def test_bad_tables() -> None:
    table = KDTreePartitioner(max_count=2).fit([[50.0, 1.0], [51.0, 2.0], [52.0, 3.0]]).to_geopandas()
    bad: dict[str, Any] = {
        "must have at least one row and the columns 'name' and 'label'": table.drop(columns="name"),
        "got 0 rows": table.head(0),
        "must name every region once": table.assign(name="a"),
        "must have an identifier in name for every region, and 2 lack one": table.assign(name=None),
        "'count' must be an integer in .*; correct or drop that column": table.assign(count=-1),
        r"centroids must be degrees \(lat, lon\)": table.assign(lat=95.0),
        "centroids must hold finite numbers": table.assign(lat="x"),
        "regions must be in degrees or name their coordinate system": table.to_crs("EPSG:3857").set_crs(
            None, allow_override=True
        ),
    }
    for sentence, layer in bad.items():
        with pytest.raises(ValueError, match=sentence):
            Partition.from_geopandas(layer)
    with pytest.raises(TypeError, match="must be a GeoDataFrame, got int"):
        Partition.from_geopandas(3)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="snap_km must be a distance in km of at least 0"):
        Partition.from_geopandas(table, snap_km=-1.0)
