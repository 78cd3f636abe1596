"""The manifest of a cache; creating and resuming a cache."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from filelock import FileLock

from geocell.features import FeatureCache, begin, discard_cache, finish, verify_cache
from geocell.views import table_from_frame
from tests.features.test_opened import fill, table
from tests.worlds import INFO


def change_manifest(**values: object) -> Callable[[Path], None]:
    def spoil(folder: Path) -> None:
        path = folder / "cache.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | values))

    return spoil


def test_another_encoder_or_table_is_refused_with_both_sides(tmp_path: Path) -> None:
    fill(tmp_path / "c")
    other = type(INFO)(**{**INFO.to_dict(), "revision": "2"})
    with pytest.raises(ValueError, match=r"this run: revision='2'; the cache .*: revision='1'"):
        begin(tmp_path / "c", table_from_frame(table()), other)
    same = type(INFO)(**{**INFO.to_dict(), "dtype": "bfloat16", "source": "elsewhere"})
    assert begin(tmp_path / "c", table_from_frame(table()), same).encoder == INFO
    with pytest.raises(ValueError, match=r"10 rows, hash .*6 rows, hash"):
        begin(tmp_path / "c", table_from_frame(table(6)), INFO)


def test_other_folders_are_not_written_into(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("x")
    with pytest.raises(FileExistsError, match="not a feature cache"):
        begin(tmp_path, table_from_frame(table()), INFO)


def test_somebody_s_table_is_not_taken_for_a_cache_that_was_begun(tmp_path: Path) -> None:
    (tmp_path / "views.parquet").write_bytes(b"mine")
    with pytest.raises(FileExistsError, match="not a feature cache"):
        begin(tmp_path, table_from_frame(table()), INFO)
    assert (tmp_path / "views.parquet").read_bytes() == b"mine"


def test_a_cache_that_was_killed_as_it_began_is_taken_up(tmp_path: Path) -> None:
    whole = fill(tmp_path / "whole")
    begin(tmp_path / "c", table_from_frame(table()), INFO, 4)
    (tmp_path / "c" / "views.parquet").unlink()  # which is written after cache.json
    assert fill(tmp_path / "c").views.equals(whole.views)


@pytest.mark.parametrize("rows", [0, -1, True, 2.0, "10", 10**12, 2**70, None, [10]])
@pytest.mark.parametrize("key", ["rows", "shard_rows"])
def test_sizes_of_a_manifest_are_checked_before_memory_is_taken(tmp_path: Path, key: str, rows: object) -> None:
    folder = tmp_path / "c"
    fill(folder)
    change_manifest(**{key: rows})(folder)
    for read in (FeatureCache.open, verify_cache, finish):
        try:
            value = read(folder)
        except ValueError:
            continue
        assert value, "a shard of another size is a damage"


def test_a_cache_is_discarded_and_nothing_else(tmp_path: Path) -> None:
    discard_cache(tmp_path / "none")
    cache = fill(tmp_path / "cache")
    (cache.folder / ".claims").mkdir()
    claim = FileLock(cache.folder / ".claims" / "features-00001.lock")
    with claim, pytest.raises(FileExistsError, match="another process is filling"):
        discard_cache(cache.folder)
    assert len(FeatureCache.open(cache.folder)) == 10
    (cache.folder / "mine.txt").write_text("precious")
    with pytest.raises(FileExistsError, match=r"would delete mine\.txt"):
        discard_cache(cache.folder)
    assert len(FeatureCache.open(cache.folder)) == 10
    (cache.folder / "mine.txt").unlink()
    discard_cache(cache.folder)
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "photo.jpg").write_text("precious")
    with pytest.raises(FileExistsError, match=r"lacks cache\.json"):
        discard_cache(tmp_path / "other")
    assert (tmp_path / "other" / "photo.jpg").read_text() == "precious"


def test_a_run_that_was_killed_before_its_manifest_leaves_no_cache_to_discard(tmp_path: Path) -> None:
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache" / ".lock").touch()
    discard_cache(tmp_path / "cache")
    assert [path.name for path in (tmp_path / "cache").iterdir()] == [".lock"]
    assert len(fill(tmp_path / "cache")) == 10
