"""Places against comparing all pairs."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from geocell.metrics.places import place_clusters

HUNDREDTHS = st.tuples(st.integers(-300, 300), st.integers(-300, 300))


@given(st.lists(st.tuples(HUNDREDTHS, st.floats(-0.0049, 0.0049)), min_size=1, max_size=25))
def test_two_locations_are_one_place_when_their_rounded_coordinates_agree(
    rows: list[tuple[tuple[int, int], float]],
) -> None:
    latlon = np.array([(lat / 100 + off, lon / 100 - off) for (lat, lon), off in rows])
    places = place_clusters(latlon)
    for i, (a, _) in enumerate(rows):
        for j, (b, _) in enumerate(rows):
            assert (places[i] == places[j]) == (a == b)
    assert sorted(set(places.tolist())) == list(range(len({cell for cell, _ in rows})))


def test_the_antimeridian_and_the_poles_are_one_place() -> None:
    assert len(set(place_clusters([[10.0, 180.0], [10.0, -180.0], [10.0, 179.999]]).tolist())) == 1
    assert len(set(place_clusters([[90.0, 0.0], [90.0, 77.0]]).tolist())) == 1
    assert len(set(place_clusters([[89.0, 0.0], [89.0, 77.0]]).tolist())) == 2


def test_the_order_of_the_rows_does_not_number_the_places() -> None:
    latlon = np.array([[50.0, 8.0], [40.0, 3.0], [50.001, 8.001]])
    assert place_clusters(latlon).tolist() == [1, 0, 1]
    assert place_clusters(latlon[::-1]).tolist() == [1, 0, 1]


def test_invalid_coordinates_are_refused() -> None:
    with pytest.raises(ValueError, match="locations"):
        place_clusters([[95.0, 0.0]])
