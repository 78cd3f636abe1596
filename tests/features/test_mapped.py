import copy
import shutil
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from geocell.features import FeatureCache, begin, finish, mapped, shard_path, write_shard
from geocell.features.mapped import MappedFeatures
from geocell.views import table_from_frame
from tests.features.test_opened import table
from tests.worlds import INFO

N, SHARD_ROWS = 23, 4


def make(folder: Path) -> tuple[FeatureCache, np.ndarray]:
    features = np.random.default_rng(0).normal(size=(N, 8)).astype(np.float16)
    features[[3, 17]] = np.nan
    manifest = begin(folder, table_from_frame(table(N)), INFO, SHARD_ROWS)
    for index in range(manifest.n_shards):
        first, last = manifest.shard_range(index)
        problems = {row - first: "truncated" for row in (3, 17) if first <= row < last}
        write_shard(folder, index, features[first:last], problems)
    return finish(folder), features


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[FeatureCache, np.ndarray]:
    return make(tmp_path_factory.mktemp("mapped") / "cache")


def opened(cache: FeatureCache) -> MappedFeatures:
    features = cache.locations().features
    assert isinstance(features, MappedFeatures)
    return features


@given(rows=st.lists(st.integers(0, N - 1), max_size=60), ordered=st.booleans())
def test_rows_are_those_of_the_array(made: tuple[FeatureCache, np.ndarray], rows: list[int], ordered: bool) -> None:
    cache, expected = made
    index = np.array(sorted(rows) if ordered else rows, dtype=np.int64)
    np.testing.assert_array_equal(opened(cache)[index], expected[index])
    np.testing.assert_array_equal(cache.take(index), expected[index])


def test_it_is_indexed_like_an_array(made: tuple[FeatureCache, np.ndarray]) -> None:
    cache, expected = made
    features, mask = opened(cache), np.arange(N) % 3 == 1
    assert (features.shape, len(features), features.ndim, features.dtype) == ((N, 8), N, 2, np.float16)
    for rows in (slice(None), slice(2, 11), slice(20, 3, -2), mask, [5, 1], 7, np.int64(22)):
        np.testing.assert_array_equal(features[rows], expected[rows])
    np.testing.assert_array_equal(np.asarray(features, dtype=np.float32), expected.astype(np.float32))
    np.testing.assert_array_equal(copy.deepcopy(features)[:], expected)
    for rows in ([N], [-1]):
        with pytest.raises(IndexError, match=r"rows must be in 0 … 22, got"):
            features[rows]
    with pytest.raises(IndexError, match=r"a mask of rows must have shape \(23,\), got \(4,\)"):
        features[mask[:4]]
    with pytest.raises(ValueError, match="become one array by copying"):
        np.array(features, copy=False)


def test_shards_are_read_only_and_few_stay_open(
    made: tuple[FeatureCache, np.ndarray], monkeypatch: pytest.MonkeyPatch
) -> None:
    cache, expected = made
    monkeypatch.setattr(mapped, "_OPEN", 2)
    monkeypatch.setattr(mapped, "_AT_ONCE", 0)
    features = opened(cache)
    for rows in (slice(None), slice(None, None, -1)):
        np.testing.assert_array_equal(features[rows], expected[rows])
    assert len(features._mapped) == 2
    with pytest.raises(ValueError, match="read-only"):
        features.shard(0)[0] = 1


def test_a_small_cache_is_mapped_at_once_and_outlives_its_folder(tmp_path: Path) -> None:
    cache, expected = make(tmp_path / "cache")
    locations = cache.locations()
    country = locations.columns["country"].tolist()
    locations = cache.locations()
    shutil.rmtree(tmp_path / "cache")
    np.testing.assert_array_equal(locations.features[:], expected)
    assert locations.columns["country"].tolist() == country


def test_a_replaced_shard_stays_or_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mapped, "_AT_ONCE", 0)
    cache, expected = make(tmp_path / "cache")
    features = opened(cache)
    np.testing.assert_array_equal(features[:SHARD_ROWS], expected[:SHARD_ROWS])
    for index in (0, 1):
        write_shard(tmp_path / "cache", index, np.zeros((SHARD_ROWS, 8)), {})
    np.testing.assert_array_equal(features[:SHARD_ROWS], expected[:SHARD_ROWS])
    with pytest.raises(ValueError, match="must stay as it is while it is read, and shard 1 was replaced"):
        features[:]


def test_a_truncated_shard_is_refused_before_it_is_mapped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mapped, "_AT_ONCE", 0)
    cache, _ = make(tmp_path / "cache")
    features, path = opened(cache), shard_path(tmp_path / "cache", 5)
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(ValueError, match="must hold 48 bytes of features, got 47"):
        features[:]
    path.unlink()
    with pytest.raises(ValueError, match=r"that cannot be read \(No such file or directory\)"):
        features[:]


def test_taking_rows_looks_at_their_shards_alone(
    made: tuple[FeatureCache, np.ndarray], monkeypatch: pytest.MonkeyPatch
) -> None:
    cache, expected = made
    looked: list[int] = []
    monkeypatch.setattr(mapped, "shard_version", lambda _, index: looked.append(index))
    monkeypatch.setattr(mapped, "shard_path", lambda folder, index: looked.append(index) or shard_path(folder, index))
    np.testing.assert_array_equal(cache.take(np.array([5, 6, 7])), expected[5:8])
    assert looked == [1]
