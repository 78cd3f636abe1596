"""The box, the proportions and the colours of maps."""

import numpy as np
import pytest

from geocell.geo.maps import ERROR_COLOURS, ERROR_KM, WORLD, count_range, error_class, extent, height_per_width


def test_a_map_has_its_true_shape_in_the_middle() -> None:
    assert height_per_width((-10.0, 0.0, 10.0, 20.0)) == pytest.approx(1.0)
    assert height_per_width((50.0, 0.0, 70.0, 20.0)) == pytest.approx(2.0)  # cos 60° is a half
    assert height_per_width(WORLD) == pytest.approx(145.0 / 360.0)
    assert extent([[0.0, -170.0], [0.0, 170.0]]) == WORLD
    assert extent([[10.0, 20.0]]) == (9.5, 19.5, 10.5, 20.5)


def test_errors_and_counts_have_classes() -> None:
    assert error_class([0.0, 25.0, 25.1, 200.0, 750.0, 751.0]).tolist() == [0, 0, 1, 1, 2, 3]
    assert len(ERROR_COLOURS) == len(ERROR_KM) + 1
    assert count_range(np.array([1, 2, 3])) == (1, 4, False)
    assert count_range(np.array([2] * 199 + [1000])) == (2, 8, True)
