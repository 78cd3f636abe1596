import errno
import json
import struct
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from safetensors import safe_open

from geocell.features import shard_path, shards, write_shard
from geocell.features.shards import check_shard, read_header, read_rows, read_shard
from geocell.files import as_place


def make(folder: Path) -> np.ndarray:
    features = np.random.default_rng(0).normal(size=(6, 5)).astype(np.float32)
    features[2] = np.nan
    write_shard(folder, 3, features, {2: "no such file — weg"})
    return features.astype(np.float16)


def test_safetensors_reads_what_is_written(tmp_path: Path) -> None:
    features = make(tmp_path)
    with safe_open(shard_path(tmp_path, 3), framework="numpy") as shard:
        np.testing.assert_array_equal(shard.get_tensor("features"), features)
        assert set(shard.metadata()) == {"problems", "sha256"}
    header = check_shard(shard_path(tmp_path, 3), (6, 5))
    assert header.problems == {2: "no such file — weg"}
    assert header.offset % 8 == 0


def test_rows_are_read_alone(tmp_path: Path) -> None:
    features = make(tmp_path)
    np.testing.assert_array_equal(read_rows(shard_path(tmp_path, 3), (6, 5), np.array([5, 0, 5])), features[[5, 0, 5]])


def test_every_changed_byte_is_noticed(tmp_path: Path) -> None:
    make(tmp_path)
    path = shard_path(tmp_path, 3)
    whole = path.read_bytes()
    for position in range(0, len(whole), 3):
        path.write_bytes(whole[:position] + bytes([whole[position] ^ 1]) + whole[position + 1 :])
        with pytest.raises(ValueError, match=r"features-00003\.safetensors must"):
            check_shard(path, (6, 5))
    path.write_bytes(whole[:-1])
    with pytest.raises(ValueError, match="must hold 60 bytes of features, got 59"):
        read_shard(path, np.empty((6, 5), np.float16))


@pytest.mark.parametrize(
    ("metadata", "said"),
    [
        ({"problems": "{}"}, "got a header without 'sha256'"),
        ({"problems": "[]", "sha256": "0"}, "got a header whose problems cannot be read"),
        ({"problems": '{"2": "x"}', "sha256": "0"}, "got a header with problems of rows beyond its 2"),
        ({"problems": 3, "sha256": "0"}, "got a header without 'problems'"),
        ("none", "got a header without '__metadata__'"),
    ],
)
def test_a_safetensors_file_of_others_is_refused_in_words(tmp_path: Path, metadata: object, said: str) -> None:
    tensor = {"dtype": "F16", "shape": [2, 5], "data_offsets": [0, 20]}
    header = json.dumps({"__metadata__": metadata, "features": tensor}).encode()
    path = shard_path(tmp_path, 0)
    path.write_bytes(struct.pack("<Q", len(header)) + header + bytes(20))
    with pytest.raises(ValueError, match=rf"features-00000\.safetensors must be a shard of a cache, {said}: remove it"):
        read_header(path)


def test_a_full_disk_leaves_nothing_half_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make(tmp_path)
    before = shard_path(tmp_path, 3).read_bytes()

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="is full: make room and run the same command again"):
        write_shard(tmp_path, 3, np.zeros((6, 5)), {})
    assert [p.name for p in tmp_path.iterdir()] == ["features-00003.safetensors"]
    assert shard_path(tmp_path, 3).read_bytes() == before
    assert read_header(shard_path(tmp_path, 3)).shape == (6, 5)


@pytest.mark.parametrize("changes", [{"sha256": "\ud800"}, {"problems": r'{"0": "\ud800"}'}])
def test_half_of_a_surrogate_pair_in_a_header_is_refused(tmp_path: Path, changes: dict[str, str]) -> None:
    write_shard(tmp_path, 0, np.ones((1, 2), np.float16), {})
    content = shard_path(tmp_path, 0).read_bytes()
    (length,) = struct.unpack("<Q", content[:8])
    header = json.loads(content[8 : 8 + length])
    header["__metadata__"] |= changes
    text = json.dumps(header).encode()
    shard_path(tmp_path, 0).write_bytes(struct.pack("<Q", len(text)) + text + content[8 + length :])
    with pytest.raises(ValueError, match="must be a shard of a cache, got a header whose"):
        read_header(shard_path(tmp_path, 0))


@given(rows=st.lists(st.integers(0, 99), max_size=30), gap=st.sampled_from([0, 10, 60, 1000]))
def test_rows_of_an_object_store_are_read_by_ranges(rows: list[int], gap: int) -> None:
    folder = as_place("memory://ranges/cache")
    features = np.arange(500, dtype=np.float16).reshape(100, 5)
    write_shard(folder, 0, features, {})
    ranges: list[tuple[int, int]] = []

    def cat_ranges(paths: list[str], starts: list[int], ends: list[int]) -> list[bytes]:
        ranges.extend(zip(starts, ends, strict=True))
        return [folder.fs.cat_file(path, s, e) for path, s, e in zip(paths, starts, ends, strict=True)]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(shards, "_GAP", gap)
        patch.setattr(type(folder.fs), "cat_ranges", staticmethod(cat_ranges))
        found = read_rows(shard_path(folder, 0), (100, 5), np.array(rows, dtype=np.int64))
    np.testing.assert_array_equal(found, features[rows])
    width, offset = 10, read_header(shard_path(folder, 0)).offset
    runs = [[row] for row in sorted(set(rows))[:1]]
    for row in sorted(set(rows))[1:]:
        if (row - runs[-1][-1] - 1) * width > gap:
            runs.append([])
        runs[-1].append(row)
    assert ranges == [(offset + run[0] * width, offset + (run[-1] + 1) * width) for run in runs]
