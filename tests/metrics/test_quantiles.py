"""Quantiles of the distance against sorting by hand."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from geocell.metrics.quantiles import QUANTILES, distance_quantiles


@given(st.lists(st.floats(0.0, 20_015.0), min_size=1, max_size=40))
def test_they_are_those_of_the_sorted_distances(distances: list[float]) -> None:
    ordered = sorted(distances)
    found = distance_quantiles(distances)
    assert tuple(found) == QUANTILES
    for share, value in found.items():
        rank = share * (len(ordered) - 1)
        low, high = ordered[math.floor(rank)], ordered[math.ceil(rank)]
        assert value == pytest.approx(low + (rank - math.floor(rank)) * (high - low), rel=1e-9, abs=1e-9)
    assert found[0.5] == pytest.approx(float(np.median(distances)), rel=1e-12)
