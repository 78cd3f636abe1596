"""What the rules of all kinds share."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from geocell.geo.geodesy import distance_km
from geocell.partitioners import OUTSIDE
from geocell.partitioners.rule import canonical_latlon, level_of, workers_for


def test_outside_cannot_be_an_index() -> None:
    with pytest.raises(IndexError):
        np.zeros(3)[OUTSIDE]


def test_levels_are_ascending_groups() -> None:
    level = level_of([30, 10, 30, 9], name=lambda group: f"g{group}")
    assert level.names == ("g9", "g10", "g30")
    assert level.groups.tolist() == [2, 1, 2, 0]


@given(st.lists(st.tuples(st.floats(-90, 90), st.floats(-180, 180)), min_size=1, max_size=20))
def test_canonical_coordinates_are_the_same_places_in_one_form(latlon: list[tuple[float, float]]) -> None:
    given_ = np.array(latlon)
    found = canonical_latlon(given_)
    assert distance_km(given_, found).max() < 1e-6
    assert ((found[:, 1] >= -180) & (found[:, 1] < 180)).all()
    assert not np.signbit(found[found == 0]).any()
    np.testing.assert_array_equal(canonical_latlon(found), found)


def test_poles_and_the_antimeridian_have_one_longitude() -> None:
    found = canonical_latlon(np.array([[90.0, 5.0], [-90.0, -7.0], [3.0, 180.0], [-0.0, -0.0]]))
    assert found.tolist() == [[90.0, 0.0], [-90.0, 0.0], [3.0, -180.0], [0.0, 0.0]]


def test_trees_are_queried_on_the_usable_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not on all cores of the machine, of which a container may have few."""
    monkeypatch.setattr("geocell.partitioners.rule.usable_cores", lambda: 3)
    assert (workers_for(10), workers_for(1_000_000)) == (1, 3)
