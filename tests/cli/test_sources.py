"""Where the locations of commands come from."""

from pathlib import Path

import numpy as np
import pytest

from geocell.cli.sources import Source, cache_locations
from geocell.encoding import import_features
from geocell.splits.draw import make_splits
from geocell.views import ColumnNames, read_views
from tests.worlds import INFO

N, VIEWS = 12, 3


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    """Return a cache of locations with three views each, the views of a location far apart, and splits beside it."""
    rng = np.random.default_rng(0)
    latlon = np.stack((rng.uniform(40, 60, N), rng.uniform(0, 20, N)), axis=1)
    rows = [
        f"v{view}-{place},{latlon[place, 0]:.5f},{latlon[place, 1]:.5f},loc{place},{'AB'[place % 2]}"
        for view in range(VIEWS)
        for place in range(N)
    ]
    (tmp_path / "photos.csv").write_text("\n".join(["image,lat,lon,location,country", *rows]) + "\n")
    table = read_views(tmp_path / "photos.csv", images_optional=True)
    features = rng.normal(size=(N * VIEWS, INFO.dim)).astype(np.float32)
    np.save(tmp_path / "features.npy", features)
    import_features(tmp_path / "features.npy", tmp_path / "cache", table=table, encoder=INFO)
    locations = cache_locations(tmp_path / "cache", None, "all")
    make_splits(locations.ids, locations.latlon, (0.5, 0.25, 0.25), seed=1).save(tmp_path / "splits.json")
    return tmp_path / "cache"


@pytest.mark.parametrize("split", ["train", "val", "test"])
def test_places_of_a_split_are_those_of_its_locations(cache: Path, split: str) -> None:
    places = Source(cache, cache.parent / "splits.json", split).places(ColumnNames())
    chosen = cache_locations(cache, cache.parent / "splits.json", split)
    assert 0 < len(chosen) < N
    np.testing.assert_array_equal(places.latlon, chosen.latlon)
    assert places.countries is not None
    assert list(places.countries) == list(chosen.columns["country"])


def test_places_without_splits_are_all(cache: Path) -> None:
    places = Source(cache).places(ColumnNames())
    np.testing.assert_array_equal(places.latlon, cache_locations(cache, None, "all").latlon)
    assert len(places.latlon) == N
    assert places.dim == INFO.dim
