"""Locations: the means of their views, and what groups them by a column."""

import tracemalloc
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from geocell.encoding import import_features
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


def test_pooled_ones_have_the_same_means_of_one_view_each() -> None:
    some = views_of(40, 3, 5).take(np.array([31, 4, 17]))
    pooled = some.pooled()
    assert some.n_views > pooled.n_views == 3
    assert np.array_equal(pooled.mean_features(), some.mean_features())
    assert np.array_equal(pooled.take(np.array([2, 0])).view_features(), some.mean_features()[[2, 0]])
    assert pooled.ids.tolist() == some.ids.tolist()


def test_loaded_ones_hold_their_own_views_alone() -> None:
    everywhere = views_of(40, 3, 5)
    some = everywhere.take(np.array([31, 4, 17]))
    loaded = some.loaded()
    assert loaded.features.shape == (some.n_views, 3)
    assert np.array_equal(loaded.view_features(), some.view_features())
    assert np.array_equal(loaded.mean_features(), some.mean_features())
    assert loaded.ids.tolist() == some.ids.tolist()


def test_locations_of_arrays_are_those_of_a_cache(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    ids = ["b", "a", "b", "c", "a", "b"]
    degrees = np.array([[10.0, 20.0]] * 6) + [[ord(i)] for i in ids] * np.array([[0.1, -0.2]])
    features = rng.normal(size=(6, 8)).astype(np.float32)
    ours = Locations.from_arrays(features, degrees, ids, encoder="mine", columns={"country": list("xyxzyx")})
    table = pd.DataFrame({"lat": degrees[:, 0], "lon": degrees[:, 1], "location": ids, "country": list("xyxzyx")})
    theirs = import_features(features, tmp_path / "cache", table=table, encoder="mine").locations()
    assert ours.ids.tolist() == theirs.ids.tolist() == ["b", "a", "c"]
    assert ours.encoder == theirs.encoder
    for name in ("latlon", "rows", "offsets", "features"):
        np.testing.assert_array_equal(getattr(ours, name), getattr(theirs, name))
    assert ours.columns["country"].tolist() == theirs.columns["country"].tolist() == ["x", "y", "z"]
    assert len(Locations.from_arrays(features, degrees, encoder=INFO)) == 6


def test_bad_arrays() -> None:
    good = {"features": np.zeros((2, 3)), "latlon": [[0.0, 0.0]] * 2, "encoder": "mine"}
    for change, sentence in (
        ({"features": np.zeros(3)}, r"floats of shape \(N, D\), got float64 \(3,\)"),
        ({"features": np.zeros((2, 3), int)}, "floats of shape"),
        ({"features": np.full((2, 3), 1e9)}, "finite and within ±65,504, got others in row 0"),
        ({"features": np.zeros((0, 3)), "latlon": np.empty((0, 2))}, "one row of each, from one row on"),
        ({"latlon": [[91.0, 0.0]] * 2}, "must be degrees"),
        ({"latlon": [[1.0, 0.0]]}, "got 2 of features and {'latlon': 1}"),
        ({"ids": ["a"]}, "{'ids': 1}"),
        ({"columns": {"c": [1, 2, 3]}}, "{'c': 3}"),
        ({"encoder": INFO}, "the encoder tiny must give 8 features, got 3"),
    ):
        with pytest.raises(ValueError, match=sentence):
            Locations.from_arrays(**{**good, **change})  # type: ignore[arg-type]


@pytest.mark.parametrize("missing", [None, float("nan"), pd.NA, pd.NaT, ""])
def test_views_without_an_id_are_not_one_location(missing: object) -> None:
    with pytest.raises(ValueError, match=r"every view needs the id of its location, got .* in row 2: leave it out"):
        Locations.from_arrays(np.ones((4, 2)), np.zeros((4, 2)), ["a", "a", missing, missing], encoder="e")


def test_views_of_one_location_lie_together() -> None:
    latlon = [[48.86, 2.35], [48.86, 2.36], [35.68, 139.69], [10.0, 10.0]]
    with pytest.raises(ValueError, match=r"must lie within 1 km, got [\d.]+ km from the middle of location 'a' in row"):
        Locations.from_arrays(np.ones((4, 2)), latlon, ["a", "b", "a", "c"], encoder="e")
    assert len(Locations.from_arrays(np.ones((4, 2)), latlon, ["a", "a", "b", "c"], encoder="e")) == 3


def test_they_show_themselves() -> None:
    locations = Locations.from_arrays(np.zeros((3, 2)), [[1.0, 2.0]] * 3, ["<a", "<a", "b"], encoder="a<b")
    page = locations._repr_html_()
    assert "3, 1.5 per location, at most 2" in page
    assert "a&lt;b, unknown, D=2" in page
    assert "<svg" in page
    assert "<svg" not in locations.take(np.empty(0, np.int64))._repr_html_()
