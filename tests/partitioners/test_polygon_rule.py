"""The rule of regions: containment, snapping, and the file of their polygons."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from shapely.geometry import box

from geocell.geo.geodesy import EARTH_RADIUS_KM
from geocell.partitioners.polygon_rule import SHAPES_FILE, PolygonRule
from geocell.partitioners.rule import OUTSIDE

KM_PER_DEGREE = np.pi * EARTH_RADIUS_KM / 180


def rule(snap_km: float = 50.0, parents: tuple[str, ...] = ("P", "P", "Q")) -> PolygonRule:
    shapes = np.array([box(0, 0, 10, 10), box(10, 0, 20, 10), box(170, 0, 180, 10)])
    return PolygonRule(("a", "b", "c"), ("West", "East", "Far"), shapes, snap_km, parents)


@given(st.floats(0, 10), st.floats(0, 20))
def test_a_location_is_in_the_box_that_holds_it(lat: float, lon: float) -> None:
    found = rule().locate(np.array([[lat, lon]]))
    assert found.cells.tolist() == [0 if lon <= 10 else 1]
    assert found.fallback.tolist() == [False]


def test_snapping_ends_at_its_distance() -> None:
    south = np.array([[-40.0, 0.0], [-60.0, 0.0]]) / KM_PER_DEGREE
    assert rule(50.0).locate(south).cells.tolist() == [0, OUTSIDE]
    assert rule(50.0).locate(south).fallback.tolist() == [True, False]
    assert rule(0.0).locate(south).cells.tolist() == [OUTSIDE, OUTSIDE]


def test_a_border_of_two_regions_snaps_to_the_lowest() -> None:
    south = np.array([[-20.0 / KM_PER_DEGREE, lon] for lon in (9.9, 10.0, 10.1)])
    assert rule().locate(south).cells.tolist() == [0, 0, 1]
    turned = PolygonRule(("a", "b"), ("East", "West"), rule().shapes[[1, 0]], 50.0)
    assert turned.locate(south).cells.tolist() == [1, 0, 0]


def test_the_antimeridian_is_the_border_of_a_region_that_ends_there() -> None:
    found = rule(0.0).locate(np.array([[5.0, -180.0], [5.0, -179.0]]))
    assert found.cells.tolist() == [2, OUTSIDE]


def test_anchors_lie_in_their_regions() -> None:
    assert rule().locate(rule().anchors).cells.tolist() == [0, 1, 2]


def test_parents_are_the_level_and_the_families() -> None:
    assert rule().levels["parent"].names == ("P", "Q")
    assert [family.tolist() for family in rule().families] == [[0, 0, 1]]
    assert rule(parents=()).levels == {}


def test_what_is_written_is_read(tmp_path: Path) -> None:
    moved = rule().shapes.copy()
    moved[0] = box(0, 0, 10, 10.5)
    other = PolygonRule(rule().codes, rule().titles, moved, 50.0)
    rule().write_files(tmp_path)
    again = PolygonRule.from_json(rule().to_json(), tmp_path)
    assert (again.codes, again.titles, again.parents, again.snap_km) == (
        ("a", "b", "c"), ("West", "East", "Far"), ("P", "P", "Q"), 50.0,
    )  # fmt: skip
    assert again.to_json() == rule().to_json()
    assert again.to_json()["shapes_sha256"] != other.to_json()["shapes_sha256"]
    (tmp_path / SHAPES_FILE).unlink()
    with pytest.raises(FileNotFoundError, match=r"cells\.geojson"):
        PolygonRule.from_json(rule().to_json(), tmp_path)
