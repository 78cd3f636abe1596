"""The box, the proportions and the colours of maps."""

import numpy as np
import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st

from geocell.geo.maps import (
    ERROR_COLOURS,
    ERROR_KM,
    WORLD,
    boxes_within,
    count_range,
    error_class,
    extent,
    height_per_width,
    shapes_in,
    turns,
)


def test_a_map_has_its_true_shape_in_the_middle() -> None:
    assert height_per_width((-10.0, 0.0, 10.0, 20.0)) == pytest.approx(1.0)
    assert height_per_width((50.0, 0.0, 70.0, 20.0)) == pytest.approx(2.0)  # cos 60° is a half
    assert height_per_width(WORLD) == pytest.approx(145.0 / 360.0)
    assert extent([[10.0, 20.0]]) == (9.5, 19.5, 10.5, 20.5)


def test_a_box_goes_past_the_antimeridian_where_its_points_do() -> None:
    assert extent([[0.0, -170.0], [0.0, 170.0]], margin=0.1) == (-2.0, 168.0, 2.0, 192.0)
    assert extent([[0.0, -100.0], [0.0, 100.0]]) == (-9.6, 90.4, 9.6, 269.6)
    assert extent([[0.0, 179.9]]) == (-0.5, 179.4, 0.5, 180.0)
    assert extent([[0.0, -100.0], [0.0, 0.0], [0.0, 100.0]]) == WORLD


def test_the_world_has_the_poles_where_points_lie_there() -> None:
    around = [[0.0, -100.0], [0.0, 0.0], [0.0, 100.0]]
    assert extent([*around, [-60.0, 0.0]]) == WORLD
    assert extent([*around, [-77.8, 166.7]]) == (-90.0, -180.0, 85.0, 180.0)
    assert extent([*around, [89.0, 0.0]]) == (-60.0, -180.0, 90.0, 180.0)


POINTS = st.lists(st.tuples(st.floats(-90, 90), st.floats(-180, 180)), min_size=1, max_size=12)


@given(POINTS)
def test_every_point_lies_in_the_box(points: list[tuple[float, float]]) -> None:
    box = south, west, north, east = extent(points)
    lat, lon = np.array(points).T
    assert ((lat >= south) & (lat <= north)).all()
    moved = lon + turns(lon, box)
    assert ((moved >= west) & (moved <= east)).all()
    assert -180.0 <= west <= 180.0
    assert east - west <= 360.0
    assert east <= 180.0 or np.ptp(lon) > 180.0  # only where the other way around is longer
    assert sum(part[3] - part[1] for part in boxes_within(box)) == pytest.approx(east - west)


def test_shapes_past_the_antimeridian_are_in_one_piece() -> None:
    cut = shapely.MultiPolygon([shapely.box(170, -5, 180, 5), shapely.box(-180, -5, -175, 5)])
    shapes = np.array([cut, shapely.box(0, 0, 1, 1), shapely.box(-179, 2, -178, 3)], dtype=object)
    found = shapes_in(shapes, (-10.0, 172.0, 4.0, 200.0))
    assert found[0].equals(shapely.box(172, -5, 185, 4))
    assert found[0].geom_type == "Polygon"
    assert found[1].is_empty
    assert found[2].equals(shapely.box(181, 2, 182, 3))
    plain = shapes_in(shapes, (-10.0, 0.5, 10.0, 175.0))
    assert plain[0].equals(shapely.box(170, -5, 175, 5))
    assert plain[1].equals(shapely.box(0.5, 0, 1, 1))
    assert plain[2].is_empty


def test_errors_and_counts_have_classes() -> None:
    assert error_class([0.0, 25.0, 25.1, 200.0, 750.0, 751.0]).tolist() == [0, 0, 1, 1, 2, 3]
    assert len(ERROR_COLOURS) == len(ERROR_KM) + 1
    assert count_range(np.array([1, 2, 3])) == (1, 4, False)
    assert count_range(np.array([2] * 199 + [1000])) == (2, 8, True)
