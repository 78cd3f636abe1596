"""Clusters: how they are numbered, and what they are called."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from geocell.metrics.clusters import Clusters, clusters_text


@given(st.lists(st.sampled_from(["a", "b", "c", "d"]), min_size=1, max_size=20), st.data())
def test_clusters_are_the_locations_with_one_label(labels: list[str], data: st.DataObject) -> None:
    clusters = Clusters.of("column user", labels)
    assert len(clusters) == len(set(labels))
    for i, one in enumerate(labels):
        for j, other in enumerate(labels):
            assert (clusters.numbers[i] == clusters.numbers[j]) == (one == other)
    index = np.array(data.draw(st.lists(st.sampled_from(range(len(labels))), min_size=1)))
    taken = clusters.take(index)
    assert np.array_equal(taken.numbers, Clusters.of("", np.array(labels)[index]).numbers)
    assert (taken.drawn is None) == (len(set(np.array(labels)[index].tolist())) == len(index))


def test_places_are_clusters() -> None:
    clusters = Clusters.of_places([[50.0, 8.0], [40.0, 3.0], [50.001, 8.001]])
    assert (clusters.by, clusters.numbers.tolist(), clusters.text) == ("place", [1, 0, 1], "2 places")
    assert len(Clusters.of_places(np.empty((0, 2)))) == 0


@pytest.mark.parametrize("numbers", [[0, 2], [-1, 0], [1]])
def test_numbers_have_no_gap(numbers: list[int]) -> None:
    with pytest.raises(ValueError, match="clusters by place must be numbered from 0 without a gap"):
        Clusters("place", np.array(numbers))


@pytest.mark.parametrize(
    ("by", "n", "text"),
    [
        ("place", 1303, "1,303 places"), ("location", 1, "1 location"), ("country", 3, "3 countries"),
        ("cell:3", 40, "40 H3 cells of resolution 3"), ("column user", 7, "7 values of user"),
        ("buffer 50 km", 2, "2 groups of places within 50 km"), ("something", 2, "2 groups by something"),
        (None, None, "locations"),
    ],
)  # fmt: skip
def test_words(by: str | None, n: int | None, text: str) -> None:
    assert clusters_text(by, n) == text
