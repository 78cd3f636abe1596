"""Locations: the means of their views, and what groups them by a column."""

import tracemalloc

import numpy as np

from geocell.features.locations import Locations
from tests.worlds import INFO


def views_of(n: int, dim: int, most: int) -> Locations:
    """Locations of 1 … `most` views each, whose rows are anywhere among features in float16."""
    rng = np.random.default_rng(0)
    offsets = np.concatenate(([0], np.cumsum(rng.integers(1, most + 1, n))))
    features = rng.normal(size=(offsets[-1], dim)).astype(np.float16)
    rows = rng.permutation(offsets[-1])
    ids = np.array([f"loc{i}" for i in range(n)], dtype=object)
    return Locations(ids, np.zeros((n, 2)), features, rows, offsets, INFO, {})


def test_means_of_views() -> None:
    locations = views_of(9000, 3, 5)
    views = locations.view_features().astype(np.float64)
    expected = np.array([part.mean(axis=0) for part in np.split(views, locations.offsets[1:-1])])
    np.testing.assert_allclose(locations.mean_features(), expected, rtol=1e-6, atol=1e-7)


def test_means_take_little_more_memory_than_they_are() -> None:
    locations = views_of(30_000, 64, 8)
    tracemalloc.start()
    means = locations.mean_features()
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert means.dtype == np.float32
    assert peak < 4 * means.nbytes  # all views in float64 would be nine times as much


def test_loaded_ones_hold_their_own_views_alone() -> None:
    everywhere = views_of(40, 3, 5)
    some = everywhere.take(np.array([31, 4, 17]))
    loaded = some.loaded()
    assert loaded.features.shape == (some.n_views, 3)
    assert np.array_equal(loaded.view_features(), some.view_features())
    assert np.array_equal(loaded.mean_features(), some.mean_features())
    assert loaded.ids.tolist() == some.ids.tolist()
