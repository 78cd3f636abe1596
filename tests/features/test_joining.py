"""Caches of several encoders as one: features of the same views side by side."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from geocell.cli import main
from geocell.encoders.info import EncoderInfo
from geocell.encoding import import_features
from geocell.features import FeatureCache, join_caches, write_shard
from geocell.features.joining import part_of
from geocell.features.views_writing import write_views
from geocell.views import read_views
from tests.worlds import write_csv

INFOS = [EncoderInfo(name, "1", "mean", dim, 32, "none") for name, dim in (("b", 4), ("a", 3))]
ROWS = [f"v{i}.jpg,{45 + (i // 2) / 10},7,loc{i // 2}" for i in range(9)]


def make_cache(folder: Path, info: EncoderInfo, seed: int, rows: list[str] = ROWS) -> np.ndarray:
    lines = ["file_name,latitude,longitude,location", *rows]
    table = read_views(write_csv(folder.with_suffix(".csv"), "\n".join(lines) + "\n"), images_optional=True)
    features = np.random.default_rng(seed).normal(size=(len(rows), info.dim)).astype(np.float16)
    np.save(folder.with_suffix(".npy"), features)
    import_features(folder.with_suffix(".npy"), folder, table=table, encoder=info)
    return features


def test_features_of_the_same_views_stand_side_by_side(tmp_path: Path) -> None:
    order = np.random.default_rng(3).permutation(len(ROWS))
    first = make_cache(tmp_path / "b", INFOS[0], 0)
    second = make_cache(tmp_path / "a", INFOS[1], 1, [ROWS[i] for i in order])
    joined = join_caches([tmp_path / "b", tmp_path / "a"], tmp_path / "both", shard_rows=4)
    assert (joined.encoder.name, joined.encoder.dim) == ("a + b", 7)
    assert joined.views["image"].tolist() == FeatureCache.open(tmp_path / "b").views["image"].tolist()
    expected = np.concatenate((second[np.argsort(order)], first), axis=1)
    assert joined.take(np.arange(9)) == pytest.approx(expected)
    again = FeatureCache.open(tmp_path / "both", verify=True).locations(in_memory=False)
    parts = [INFOS[1], INFOS[0]]
    for number, width in enumerate((slice(0, 3), slice(3, 7))):
        part = part_of(again, parts, number)
        assert (part.dim, part.encoder) == (parts[number].dim, parts[number])
        assert part.view_features() == pytest.approx(expected[again.rows][:, width])
        assert part.mean_features() == pytest.approx(again.mean_features()[:, width])


def test_a_view_without_features_of_one_encoder_has_none(tmp_path: Path) -> None:
    make_cache(tmp_path / "b", INFOS[0], 0)
    make_cache(tmp_path / "a", INFOS[1], 1)
    cache = FeatureCache.open(tmp_path / "a")
    broken = cache.take(np.arange(9))
    broken[5] = np.nan
    write_shard(tmp_path / "a", 0, broken, {5: "broken"})
    views = cache.views.copy()
    views.loc[5, "status"] = "broken"
    write_views(tmp_path / "a", views)
    joined = join_caches([tmp_path / "b", tmp_path / "a"], tmp_path / "both")
    assert joined.views["status"].tolist()[5] == "broken"
    assert np.isnan(joined.take(np.array([5]))).all()
    assert joined.locations().n_views == 8


def test_what_cannot_be_joined(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    make_cache(tmp_path / "b", INFOS[0], 0)
    make_cache(tmp_path / "a", INFOS[1], 1, ROWS[:-1])
    make_cache(tmp_path / "c", INFOS[0], 1)
    with pytest.raises(ValueError, match=r"hold the same views, and 1 of 9 views of .*b are not in .*a, v8\.jpg say"):
        join_caches([tmp_path / "b", tmp_path / "a"], tmp_path / "both")
    with pytest.raises(ValueError, match="hold the same views, and 0 of 8 views"):
        join_caches([tmp_path / "a", tmp_path / "b"], tmp_path / "both")
    with pytest.raises(ValueError, match="different encoders are joined, got b twice"):
        join_caches([tmp_path / "b", tmp_path / "c"], tmp_path / "both")
    with pytest.raises(ValueError, match="joining needs the caches of at least two encoders, got 1"):
        join_caches([tmp_path / "b"], tmp_path / "both")
    assert not (tmp_path / "both").exists()
    assert main(["cache", "join", str(tmp_path / "b"), "--out", str(tmp_path / "both")]) == 2
    assert "expected the folders of two caches or more, got 1" in capsys.readouterr().err


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    make_cache(tmp_path / "b", INFOS[0], 0)
    make_cache(tmp_path / "a", replace(INFOS[1], name="z"), 1)
    assert main(["cache", "join", str(tmp_path / "b"), str(tmp_path / "a"), "--out", str(tmp_path / "both")]) == 0
    assert "b + z, 7 features" in capsys.readouterr().out


@pytest.mark.parametrize("shard_rows", [0, -1])
def test_sizes_that_no_cache_has_replace_nothing(tmp_path: Path, shard_rows: int) -> None:
    make_cache(tmp_path / "b", INFOS[0], 0)
    make_cache(tmp_path / "a", INFOS[1], 1)
    whole = join_caches([tmp_path / "b", tmp_path / "a"], tmp_path / "both").features
    with pytest.raises(ValueError, match=rf"must have positive rows and shard_rows, got \(9, {shard_rows}\)"):
        join_caches([tmp_path / "b", tmp_path / "a"], tmp_path / "both", shard_rows=shard_rows, overwrite=True)
    assert np.array_equal(FeatureCache.open(tmp_path / "both").features, whole)
