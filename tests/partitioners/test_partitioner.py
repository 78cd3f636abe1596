"""What the partitioners of all kinds share."""

from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from geocell.partitioners import H3Partitioner, KDTreePartitioner, NUTSPartitioner
from geocell.partitioners.kdtree import KDTreeRule
from geocell.partitioners.partitioner import places_sha256, sorted_places


def test_drop_needs_a_cell_that_stays() -> None:
    with pytest.raises(ValueError, match="leave at least one cell, and the fullest of 2 has 1 locations, got 2"):
        H3Partitioner(resolution=5, min_count=2, small="drop").fit([[48.0, 11.0], [52.0, 13.0]])


@given(st.lists(st.tuples(st.integers(-90, 90), st.integers(-180, 180)), min_size=1, max_size=20), st.randoms())
def test_places_have_one_order_and_one_hash(latlon: list[tuple[int, int]], random: Random) -> None:
    shuffled = random.sample(latlon, len(latlon))
    assert [tuple(row) for row in sorted_places(np.array(shuffled, dtype=float)).tolist()] == sorted(latlon)
    assert places_sha256(np.array(latlon, dtype=float)) == places_sha256(np.array(shuffled, dtype=float))


def test_the_hash_is_of_every_place() -> None:
    assert places_sha256(np.array([[1.0, 2.0]])) != places_sha256(np.array([[1.0, 2.0], [1.0, 2.0]]))
    assert places_sha256(np.array([[1.0, 180.0]])) == places_sha256(np.array([[1.0, -180.0]]))


def test_paths_are_recorded_by_their_names() -> None:
    assert NUTSPartitioner(Path("/somewhere/nuts.geojson"), level=3).parameters["shapes"] == "nuts.geojson"
    assert list(H3Partitioner(resolution=3).parameters) == ["resolution", "min_count", "small", "centroid"]


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"min_count": 0}, "min_count must be an integer of at least 1, got 0"),
        ({"small": "keep"}, "small must be one of merge, drop, got 'keep'"),
        ({"centroid": "median"}, "centroid must be one of mean, cell, medoid, got 'median'"),
    ],
)
def test_parameters_of_every_kind(parameters: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=f"^H3Partitioner: {message}"):
        H3Partitioner(resolution=3, **parameters)


def test_fitting_needs_a_location_and_as_many_as_a_cell_must_have() -> None:
    with pytest.raises(ValueError, match="at least one location, got none"):
        H3Partitioner(resolution=3).fit(np.empty((0, 2)))
    with pytest.raises(ValueError, match="min_count must be at most the number of locations, 1, got 2"):
        H3Partitioner(resolution=3, min_count=2).fit([[48.0, 11.0]])


def test_a_rule_of_ones_own_is_the_one_that_is_fitted() -> None:
    class Northern(KDTreePartitioner):
        kind = "northern"

        def make_rule(self, latlon: np.ndarray) -> KDTreeRule:
            return super().make_rule(latlon[latlon[:, 0] > 0])

    points = np.array([[-40.0, 1.0], [-30.0, 1.0], [-20.0, 1.0], [40.0, 1.0], [50.0, 1.0]])
    assert KDTreePartitioner(max_count=1).fit(points).counts.tolist() == [1, 1, 1, 1, 1]
    assert Northern(max_count=1).fit(points).counts.tolist() == [4, 1]
