"""The images of a cache: found where it was made, or where somebody says they are."""

from pathlib import Path

import pytest

from geocell.encoding import import_features
from geocell.features import FeatureCache
from geocell.features.images import cache_images
from geocell.views import read_views
from tests.worlds import INFO, make_photos


@pytest.fixture
def cache(tmp_path: Path) -> FeatureCache:
    import numpy as np

    table = read_views(make_photos(tmp_path, 3, 1))
    np.save(tmp_path / "features.npy", np.ones((3, INFO.dim), np.float32))
    return import_features(tmp_path / "features.npy", tmp_path / "cache", table=table, encoder=INFO)


def test_they_are_read_by_the_names_in_the_cache(cache: FeatureCache, tmp_path: Path) -> None:
    images = cache_images(cache)
    for name in cache.views["image"]:
        assert images.read(name) == (tmp_path / name).read_bytes()


def test_they_may_have_moved(cache: FeatureCache, tmp_path: Path) -> None:
    moved = tmp_path / "elsewhere"
    moved.mkdir()
    (tmp_path / "photos.csv").rename(moved / "photos.csv")
    (tmp_path / "img").rename(moved / "img")
    with pytest.raises(
        FileNotFoundError, match=r"photos.csv, which it was made of, is not here: name .* with --images"
    ):
        cache_images(cache)
    name = cache.views["image"][0]
    assert cache_images(cache, moved / "photos.csv").read(name) == (moved / name).read_bytes()
    with pytest.raises(FileNotFoundError):
        cache_images(cache, tmp_path / "nowhere.csv")
