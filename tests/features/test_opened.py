import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from geocell.features import FeatureCache, begin, finish, shard_path, write_shard
from geocell.features.manifest import CACHE_MARKS, CACHE_PARTS
from geocell.files import new_folder
from geocell.views import table_from_frame
from tests.elsewhere import packed, unpacked
from tests.worlds import INFO


def table(n: int = 10) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "image": [f"{i}.jpg" for i in range(n)],
            "lat": [float(i // 2) for i in range(n)],
            "lon": 1.0,
            "location": [f"L{i // 2}" for i in range(n)],
            "country": [f"C{i // 2}" for i in range(n)],
        }
    )


def fill(folder: Path, n: int = 10, shard_rows: int = 4, bad: tuple[int, ...] = ()) -> FeatureCache:
    manifest = begin(folder, table_from_frame(table(n)), INFO, shard_rows)
    for index in range(manifest.n_shards):
        first, last = manifest.shard_range(index)
        features = np.arange(first, last, dtype=np.float32)[:, None] * np.ones(8, np.float32)
        problems = {row - first: "truncated" for row in bad if first <= row < last}
        features[list(problems)] = np.nan
        write_shard(folder, index, features, problems)
    return finish(folder)


def test_rows_keep_their_features_and_status(tmp_path: Path) -> None:
    cache = fill(tmp_path / "c", bad=(0, 5))
    assert len(cache) == 10
    assert cache.views["status"].tolist() == ["truncated"] + ["ok"] * 4 + ["truncated"] + ["ok"] * 4
    assert cache.features[7].tolist() == [7.0] * 8
    assert np.isnan(cache.features[[0, 5]]).all()
    assert cache.encoder == INFO
    assert sorted(p.name for p in (tmp_path / "c").iterdir()) == [
        "cache.json",
        "features-00000.safetensors",
        "features-00001.safetensors",
        "features-00002.safetensors",
        "views.parquet",
    ]


def test_the_hash_of_features_is_of_every_number_and_every_fault(tmp_path: Path) -> None:
    hashes = [fill(tmp_path / str(i), bad=bad).features_sha256 for i, bad in enumerate([(), (), (5,)])]
    assert hashes[0] == hashes[1] != hashes[2]
    features = np.full((2, 8), 8.0, np.float32) + np.arange(2)[:, None]
    write_shard(tmp_path / "0", 2, features, {})
    assert FeatureCache.open(tmp_path / "0").features_sha256 == hashes[0]
    features[1, 7] += 1
    write_shard(tmp_path / "0", 2, features, {})
    assert FeatureCache.open(tmp_path / "0").features_sha256 != hashes[0]


def test_locations_are_ragged_and_skip_bad_views(tmp_path: Path) -> None:
    locations = fill(tmp_path / "c", bad=(0, 4, 5)).locations()
    assert locations.ids.tolist() == ["L0", "L1", "L3", "L4"]
    assert locations.rows.tolist() == [1, 2, 3, 6, 7, 8, 9]
    assert np.diff(locations.offsets).tolist() == [1, 2, 2, 2]
    assert locations.mean_features()[:, 0].tolist() == [1.0, 2.5, 6.5, 8.5]
    assert locations.latlon.tolist() == [[0, 1], [1, 1], [3, 1], [4, 1]]
    assert locations.columns["country"].tolist() == ["C0", "C1", "C3", "C4"]


def test_taking_locations(tmp_path: Path) -> None:
    locations = fill(tmp_path / "c").locations().take(np.array([3, 1]))
    assert locations.ids.tolist() == ["L3", "L1"]
    assert locations.rows.tolist() == [6, 7, 2, 3]
    assert locations.view_location.tolist() == [0, 0, 1, 1]
    assert locations.n_views == 4
    assert locations.view_features()[:, 0].tolist() == [6.0, 7.0, 2.0, 3.0]


def test_an_incomplete_cache_says_how_to_go_on(tmp_path: Path) -> None:
    fill(tmp_path / "c")
    shard_path(tmp_path / "c", 1).unlink()
    with pytest.raises(ValueError, match="got 2 of 3 shards: run the same `geocell encode` again"):
        FeatureCache.open(tmp_path / "c")
    with pytest.raises(FileNotFoundError, match=r"cache\.json"):
        FeatureCache.open(tmp_path)


def test_pending_views_are_not_a_finished_cache(tmp_path: Path) -> None:
    manifest = begin(tmp_path / "c", table_from_frame(table(4)), INFO, 4)
    write_shard(tmp_path / "c", 0, np.zeros((4, 8), np.float32), {})
    assert manifest.missing(tmp_path / "c") == []
    with pytest.raises(ValueError, match="pending views"):
        FeatureCache.open(tmp_path / "c")
    assert finish(tmp_path / "c").good.all()


def test_unexplained_nan_and_overflow_are_refused(tmp_path: Path) -> None:
    for value in (np.nan, 1e6):
        with pytest.raises(ValueError, match="in row 1 of shard 0"):
            write_shard(tmp_path, 0, np.array([[1.0], [value]]), {})
    assert list(tmp_path.iterdir()) == []


def test_damage_is_named(tmp_path: Path) -> None:
    fill(tmp_path / "a")
    shard_path(tmp_path / "a", 2).write_bytes(b"broken")
    with pytest.raises(ValueError, match=r"features-00002\.safetensors must be a shard of a cache"):
        _ = FeatureCache.open(tmp_path / "a").features
    fill(tmp_path / "b")
    write_shard(tmp_path / "b", 1, np.zeros((3, 8)), {})
    with pytest.raises(ValueError, match=r"of shape \(4, 8\), got \(3, 8\)"):
        _ = FeatureCache.open(tmp_path / "b").features
    manifest = json.loads((tmp_path / "b" / "cache.json").read_text())
    del manifest["rows"]
    (tmp_path / "b" / "cache.json").write_text(json.dumps(manifest))
    with pytest.raises(ValueError, match="must have the keys"):
        FeatureCache.open(tmp_path / "b")


def test_a_cache_without_a_good_view_has_no_locations(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="a view with features, got none"):
        fill(tmp_path / "c", n=2, bad=(0, 1)).locations()


def test_it_shows_itself_and_not_every_row(tmp_path: Path) -> None:
    cache = fill(tmp_path / "cache", bad=(3, 7))
    assert repr(cache) == f"<FeatureCache {cache.folder}: 10 views (2 without features), tiny D=8>"
    page = cache._repr_html_()
    assert "8 of 10 with features" in page
    assert "and 5 more" in page
    assert "<svg" in page
    assert f"{cache.views['status'][3]}</td>" in page


@pytest.mark.parametrize("how", ["features", "take", "problems", "column_names", "features_sha256"])
def test_features_of_a_cache_that_took_the_place_are_refused(tmp_path: Path, how: str) -> None:
    fill(tmp_path / "c", bad=(1,))
    cache = FeatureCache.open(tmp_path / "c")
    finish(tmp_path / "c")  # nothing to do, and nothing changes
    assert len(cache.take(np.arange(4))) == 4
    with new_folder(tmp_path / "c", overwrite=True, marks=CACHE_MARKS, parts=CACHE_PARTS) as other:
        fill(other, bad=(3,))
    with pytest.raises(ValueError, match=r"c was replaced by another cache while it was read: run the command again"):
        _ = {"take": lambda: cache.take(np.arange(2)), "problems": cache.problems}.get(
            how, lambda: getattr(cache, how)
        )()
    assert np.isnan(FeatureCache.open(tmp_path / "c").take(np.arange(4))[3]).all()


@pytest.mark.parametrize("in_memory", [True, False])
def test_another_process_in_another_folder_reads_the_same_features(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, in_memory: bool
) -> None:
    fill(tmp_path / "c", bad=(3,))
    monkeypatch.chdir(tmp_path)
    features = FeatureCache.open("c").locations(in_memory=in_memory).features
    rows = np.array([0, 7, 2])
    expected = features[rows]
    content = packed(features)
    assert len(content) < 4000  # no feature is in it
    (tmp_path / "other").mkdir()
    monkeypatch.chdir(tmp_path / "other")
    np.testing.assert_array_equal(unpacked(content)[rows], expected)


def test_a_cache_that_was_replaced_on_the_way_is_refused(tmp_path: Path) -> None:
    features = fill(tmp_path / "c").locations(in_memory=False).features
    content = packed(features)
    shutil.rmtree(tmp_path / "c")
    fill(tmp_path / "c", n=4)
    with pytest.raises(ValueError, match="was replaced by another cache while it was read: run the command again"):
        unpacked(content)
