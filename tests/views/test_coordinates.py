"""Coordinates: their canonical form, and how they are read."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from geocell.views import coordinate_numbers, latlon_keys, rounded_latlon
from geocell.views.coordinates import degrees, has_commas, require_latlon


def test_keys_have_no_negative_zero() -> None:
    assert latlon_keys(np.array([[-0.0, 1e-9], [-1e-9, 2.0]])) == ["0.000000,0.000000", "0.000000,2.000000"]


def test_one_place_has_one_key() -> None:
    keys = latlon_keys(np.array([[10.0, 180.0], [10.0, -180.0], [90.0, 5.0], [90.0, -77.0]]))
    assert keys[0] == keys[1]
    assert keys[2] == keys[3]


DEGREES = st.tuples(
    st.floats(-90, 90) | st.integers(-90_000_000, 90_000_000).map(lambda n: n / 1e6),
    st.floats(-180, 180) | st.integers(-180_000_000, 180_000_000).map(lambda n: n / 1e6),
)


@given(st.lists(DEGREES | st.sampled_from([(90.0, 3.0), (-90.0, 4.0), (0.0, -180.0), (0.0, 180.0)]), min_size=1))
def test_numbers_of_coordinates_are_equal_and_ordered_as_rounded_degrees(places: list[tuple[float, float]]) -> None:
    latlon = np.array(places)
    numbers, rounded = coordinate_numbers(latlon), rounded_latlon(latlon).view(np.complex128)[:, 0]
    assert (np.sign(numbers[:, None] - numbers) == np.sign(rank(rounded)[:, None] - rank(rounded))).all()


def rank(values: NDArray[np.complex128]) -> NDArray[np.int64]:
    """Return the place of each among the distinct values."""
    return np.unique(values, return_inverse=True)[1]


@pytest.mark.parametrize(
    ("texts", "commas"),
    [
        (["48,137", "-11,5", "7"], True),
        (["48,137", "11.5"], False),
        (["1,234,567"], False),
        (["1000,5"], False),
        ([48.5, 11.0], False),
    ],
)
def test_commas_are_points_where_all_numbers_have_them(texts: list[object], commas: bool) -> None:
    assert has_commas(pd.Series(texts)) == commas


def test_degrees_are_numbers_and_what_is_none_is_named() -> None:
    good = np.array([0, 2])
    values = pd.Series([" 48,5", "north", "-7"])
    assert degrees(values, "lat", "t.csv", good, True)[good].tolist() == [48.5, -7.0]
    with pytest.raises(ValueError, match=r"t.csv: lat must be degrees, got 'north' in row 1\."):
        degrees(values, "lat", "t.csv", np.arange(3), True)


def test_coordinates_that_look_swapped_are_named() -> None:
    found = {"lat": "x", "lon": "y"}
    with pytest.raises(ValueError, match=r"'x' and 'y' are \[120.0, 45.0\] in row 1; .* --lat-column y --lon-column x"):
        require_latlon(np.array([[1.0, 2.0], [120.0, 45.0]]), found, "t")
    with pytest.raises(ValueError, match=r"t: coordinates .*\[120.0, 100.0\] in row 0"):
        require_latlon(np.array([[120.0, 100.0]]), found, "t")
