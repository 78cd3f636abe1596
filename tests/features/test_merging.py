from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from geocell.encoders.info import NOT_PINNED
from geocell.encoding import encode
from geocell.features import FeatureCache, begin, finish, merge_caches, verify_cache, write_shard
from geocell.views import table_from_frame
from tests.encoding.tiny import TinyEncoder
from tests.worlds import INFO, make_photos


def fill(folder: Path, first: int, n: int, lat: float = 1.0, info: object = INFO) -> FeatureCache:
    rows = range(first, first + n)
    frame = pd.DataFrame({"image": [f"{r}.jpg" for r in rows], "lat": lat, "lon": [float(r // 2) for r in rows]})
    frame["location"] = [f"L{r // 2}" for r in rows]
    manifest = begin(folder, table_from_frame(frame), info, 3)
    for index in range(manifest.n_shards):
        start, stop = manifest.shard_range(index)
        features = np.arange(first + start, first + stop)[:, None] * np.ones(8)
        problems = {0: "truncated"} if index == 1 else {}
        features[list(problems)] = np.nan
        write_shard(folder, index, features, problems)
    return finish(folder)


def test_rows_follow_each_other(tmp_path: Path) -> None:
    a, b = fill(tmp_path / "a", 0, 7), fill(tmp_path / "b", 7, 4)
    merged = merge_caches([tmp_path / "a", tmp_path / "b"], tmp_path / "c", shard_rows=4)
    np.testing.assert_array_equal(merged.features, np.concatenate([a.features, b.features]))
    assert merged.views["status"].tolist() == a.views["status"].tolist() + b.views["status"].tolist()
    assert merged.views["image"].tolist() == [f"{r}.jpg" for r in range(11)]
    assert merged.locations().ids.tolist() == ["L0", "L1", "L2", "L3", "L4"]
    assert verify_cache(tmp_path / "c") == []


def test_what_does_not_belong_together(tmp_path: Path) -> None:
    fill(tmp_path / "a", 0, 4)
    fill(tmp_path / "far", 0, 4, lat=2.0)
    with pytest.raises(ValueError, match=r"must have one coordinate in all caches, got views of 'L[01]' 55\.6 km"):
        merge_caches([tmp_path / "a", tmp_path / "far"], tmp_path / "c")
    fill(tmp_path / "other", 4, 4, info=replace(INFO, revision="2"))
    with pytest.raises(ValueError, match=r"must share one encoder; .*revision='1'.*revision='2'"):
        merge_caches([tmp_path / "a", tmp_path / "other"], tmp_path / "c")
    fill(tmp_path / "half", 4, 4, info=replace(INFO, dtype="bfloat16"))
    with pytest.raises(ValueError, match=r"one arithmetic, got float32 in .*bfloat16 in"):
        merge_caches([tmp_path / "a", tmp_path / "half"], tmp_path / "c")
    with pytest.raises(ValueError, match="at least two caches, got 1"):
        merge_caches([tmp_path / "a"], tmp_path / "c")
    with pytest.raises(ValueError, match=r"takes every cache once, got .*a twice"):
        merge_caches([tmp_path / "a", str(tmp_path / "far" / ".." / "a")], tmp_path / "c")
    assert not (tmp_path / "c").exists()


def test_a_cache_whose_encoder_is_not_pinned_joins_no_two_revisions(tmp_path: Path) -> None:
    named = replace(INFO, revision=NOT_PINNED, processor=NOT_PINNED)
    fill(tmp_path / "named", 0, 2, info=named)
    fill(tmp_path / "one", 2, 2)
    fill(tmp_path / "two", 4, 2, info=replace(INFO, revision="2"))
    with pytest.raises(ValueError, match=r"one and .*two must share one encoder; .*revision='1'.*revision='2'"):
        merge_caches([tmp_path / "named", tmp_path / "one", tmp_path / "two"], tmp_path / "c")
    assert merge_caches([tmp_path / "named", tmp_path / "one"], tmp_path / "c").encoder == INFO
    fill(tmp_path / "also", 6, 2, info=named)
    assert merge_caches([tmp_path / "named", tmp_path / "also"], tmp_path / "d").encoder == named


def test_damage_of_every_kind_is_told(tmp_path: Path) -> None:
    fill(tmp_path / "a", 0, 7)
    assert verify_cache(tmp_path / "a") == []
    views = tmp_path / "a" / "views.parquet"
    frame, kept = pd.read_parquet(views), views.read_bytes()
    frame.assign(status="ok").to_parquet(views)
    assert "the status of row 3 must be 'truncated' as its shard says, got 'ok'" in verify_cache(tmp_path / "a")[0]
    frame.iloc[:5].to_parquet(views)
    assert "must have 7 views, got 5" in verify_cache(tmp_path / "a")[0]
    views.write_bytes(kept[:200] + bytes([kept[200] ^ 255]) + kept[201:])
    assert "views.parquet must be a readable Parquet file" in verify_cache(tmp_path / "a")[0]
    views.write_bytes(kept)
    (tmp_path / "a" / "features-00001.safetensors").unlink()
    shard = tmp_path / "a" / "features-00002.safetensors"
    shard.write_bytes(shard.read_bytes()[:-2] + b"zz")
    damages = verify_cache(tmp_path / "a")
    assert len(damages) == 2
    assert "features-00001.safetensors is missing" in damages[0]
    assert "must have the checksum" in damages[1]


def test_a_cache_is_read_from_another_file_system(tmp_path: Path) -> None:
    pytest.importorskip("upath")
    import fsspec

    local = fill(tmp_path / "a", 0, 7)
    memory = fsspec.filesystem("memory")
    for path in local.folder.iterdir():
        memory.pipe(f"/bucket/a/{path.name}", path.read_bytes())
    for place in ("memory://bucket/a", Path("memory://bucket/a"), local.folder.as_uri()):
        cache = FeatureCache.open(place)
        np.testing.assert_array_equal(cache.features, local.features)
        np.testing.assert_array_equal(cache.take(np.array([6, 0, 3])), local.features[[6, 0, 3]])
        assert cache.n_bytes == local.n_bytes
        assert verify_cache(place) == []
        assert cache.locations().ids.tolist() == local.locations().ids.tolist()


def test_a_cache_is_encoded_onto_another_file_system(tmp_path: Path) -> None:
    pytest.importorskip("upath")
    table = make_photos(tmp_path, 5, 2)
    local = encode(table, TinyEncoder(), tmp_path / "c", batch_size=3, shard_rows=3)
    place = "memory://encoded/c"
    remote = encode(table, TinyEncoder(), place, batch_size=3, shard_rows=3)
    np.testing.assert_array_equal(remote.features, local.features)
    damaged = remote.folder / "features-00001.safetensors"
    kept = damaged.read_bytes()
    damaged.write_bytes(kept[:-1] + b"z")
    assert "must have the checksum" in verify_cache(place)[0]
    damaged.unlink()
    encode(table, TinyEncoder(), place, batch_size=3, shard_rows=3)
    assert damaged.read_bytes() == kept
    assert verify_cache(place) == []
