"""The benchmark of what tells other regions apart."""

import numpy as np
import pytest

from benchmarks.doubt import dealt, threshold_of, weighted_auroc
from benchmarks.protocol import places_of
from geocell.uncertainty.out_of_region import auroc
from tests.worlds import make_locations


def test_weights_are_repeated_locations() -> None:
    rng = np.random.default_rng(0)
    here, there = rng.integers(0, 6, 9).astype(float), rng.integers(2, 8, 7).astype(float)
    ones = weighted_auroc(here, there, np.ones((1, 9)), np.ones((1, 7)))
    assert ones == pytest.approx([auroc(here, there)])
    w, v = rng.integers(0, 4, (3, 9)), rng.integers(1, 3, (3, 7))
    expected = [auroc(np.repeat(here, a), np.repeat(there, b)) for a, b in zip(w, v, strict=True)]
    assert weighted_auroc(here, there, w.astype(float), v.astype(float)) == pytest.approx(expected)


def test_the_threshold_leaves_5_percent() -> None:
    assert threshold_of(np.arange(1.0, 100.0)) == 95.0
    assert threshold_of(np.arange(5.0)) == 4.0


@pytest.mark.parametrize("kind", ["location", "place", "mixed"])
def test_no_location_is_in_two_parts_and_no_place_both_known_and_asked(kind: str) -> None:
    latlon = np.round(np.random.default_rng(0).uniform(40, 42, (80, 2)))
    locations = make_locations(latlon, np.zeros((80, 3)))
    places = places_of(locations)
    asked = []
    for parts in dealt(locations, 0, kind):
        assert sorted(np.concatenate(parts)) == list(range(80))
        train, val, test = (set(places[part]) for part in parts)
        asked += parts[2].tolist()
        if kind != "location":
            assert not test & (train | val)
        assert kind != "place" or not train & val
    assert sorted(asked) == list(range(80))
