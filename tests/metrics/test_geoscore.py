"""GeoScore against the formula, answer by answer."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from geocell.metrics.geoscore import geoscore, geoscore_points

DISTANCES = st.lists(st.floats(0.0, 20_015.0), min_size=1, max_size=30)


@given(DISTANCES)
def test_it_is_the_mean_of_the_formula(distances: list[float]) -> None:
    total, whole = 0.0, 0
    for d in distances:
        points = 5000.0 * math.e ** (-d / 1492.7)
        total, whole = total + points, whole + int(points + 0.5)
    assert geoscore(distances) == pytest.approx(total / len(distances), rel=1e-12, abs=1e-9)
    assert geoscore(distances, rounded=True) == pytest.approx(whole / len(distances), abs=1.0 / len(distances))
    assert abs(geoscore(distances, rounded=True) - geoscore(distances)) <= 0.5 + 1e-9


def test_known_points() -> None:
    assert geoscore_points([0.0, 1492.7]) == pytest.approx([5000.0, 5000.0 / math.e])
    assert geoscore_points([0.0, 1492.7, 20_000.0], rounded=True).tolist() == [5000.0, 1839.0, 0.0]


@given(st.floats(0.0, 20_000.0), st.floats(0.1, 100.0))
def test_farther_is_less(distance: float, more: float) -> None:
    near, far = geoscore_points(np.array([distance, distance + more]))
    assert near > far
