"""Rows of shards that are not complete yet."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from geocell.features import begin, write_shard
from geocell.features.partials import kept_rows, partial_path, read_partial, remove_partial, write_partial
from geocell.views import table_from_frame
from tests.features.test_opened import table
from tests.worlds import INFO

D = INFO.dim


def features(rows: int, bad: tuple[int, ...] = ()) -> np.ndarray:
    values = np.random.default_rng(0).normal(size=(rows, D)).astype(np.float32)
    values[list(bad)] = np.nan
    return values


@given(st.integers(1, 9), st.data())
def test_what_is_kept_is_read(tmp_path_factory: pytest.TempPathFactory, rows: int, data: st.DataObject) -> None:
    folder = tmp_path_factory.mktemp("cache")
    bad = data.draw(st.sets(st.integers(0, rows - 1)))
    write_partial(folder, 3, features(rows, tuple(bad)), dict.fromkeys(bad, "no such file"))
    found = read_partial(folder, 3, D)
    assert found is not None
    np.testing.assert_array_equal(found[0], features(rows, tuple(bad)).astype(np.float16))
    assert found[1] == dict.fromkeys(bad, "no such file")
    remove_partial(folder, 3)
    assert read_partial(folder, 3, D) is None
    assert list(folder.iterdir()) == []


def test_the_file_is_hidden_and_replaced(tmp_path: Path) -> None:
    for rows in (2, 5):
        write_partial(tmp_path, 0, features(rows), {})
    assert [path.name for path in tmp_path.iterdir()] == [".partial-00000.safetensors"]
    found = read_partial(tmp_path, 0, D)
    assert found is not None
    assert len(found[0]) == 5


def test_damaged_and_foreign_rows_are_none(tmp_path: Path) -> None:
    write_partial(tmp_path, 0, features(4), {})
    assert read_partial(tmp_path, 0, D + 1) is None
    path = partial_path(tmp_path, 0)
    whole = path.read_bytes()
    for content in (whole[:-1], whole[:-1] + bytes([whole[-1] ^ 1]), b"", b"x" * 100):
        path.write_bytes(content)
        assert read_partial(tmp_path, 0, D) is None


def test_removing_nothing_is_no_error(tmp_path: Path) -> None:
    remove_partial(tmp_path, 7)
    assert list(tmp_path.iterdir()) == []


def test_rows_of_complete_and_incomplete_shards_are_counted(tmp_path: Path) -> None:
    folder = tmp_path / "cache"
    manifest = begin(folder, table_from_frame(table(10)), INFO, 4)
    assert kept_rows(folder, manifest) == 0
    write_shard(folder, 0, features(4), {})
    write_partial(folder, 1, features(3), {})
    assert kept_rows(folder, manifest) == 7
    write_partial(folder, 2, features(4), {})  # its shard has two rows
    assert kept_rows(folder, manifest) == 9
    partial_path(folder, 1).write_bytes(b"x")
    assert kept_rows(folder, manifest) == 6
