"""Columns of the table of views that are read when they are asked for."""

import pickle
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyarrow import parquet

from geocell.features import FeatureCache, view_columns, views_file
from geocell.features.manifest import CACHE_MARKS, CACHE_PARTS
from geocell.features.view_columns import ViewColumns, read_view_rows
from geocell.features.views_file import VIEWS_FILE, ViewsFile
from geocell.files import new_folder
from tests.features.test_opened import fill


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> FeatureCache:
    return fill(tmp_path_factory.mktemp("caches") / "c", bad=(3,))


@given(rows=st.lists(st.integers(0, 9), max_size=12))
def test_rows_come_in_the_order_in_which_they_are_asked_for(cache: FeatureCache, rows: list[int]) -> None:
    found = read_view_rows(cache.folder, 10, ["status", "lat"], np.array(rows, dtype=np.int64)).to_pandas()
    expected = cache.views[["status", "lat"]].iloc[rows].reset_index(drop=True)
    assert found["status"].tolist() == expected["status"].tolist()
    assert found["lat"].tolist() == expected["lat"].tolist()


@given(
    sizes=st.lists(st.integers(0, 4), min_size=1, max_size=8).filter(any),
    piece=st.integers(1, 9),
    data=st.data(),
)
def test_row_groups_without_a_row_are_not_read(sizes: list[int], piece: int, data: st.DataObject) -> None:
    n = sum(sizes)
    rows = data.draw(st.lists(st.integers(0, n - 1), max_size=6))
    table = pa.table({"location": [f"l{row}" for row in range(n)], "n": np.arange(n)})
    read: list[int] = []

    class Noting(ViewsFile):
        def tables(self, names: Any = None, groups: Any = None) -> Any:
            read.extend(groups)
            return super().tables(names, groups)

    with TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        with parquet.ParquetWriter(f"{folder}/{VIEWS_FILE}", table.schema) as writer:
            for first, size in zip(np.cumsum([0, *sizes]), sizes, strict=False):
                writer.write_table(table.slice(first, size))
        patch.setattr(views_file, "SLICE", piece)
        patch.setattr(view_columns, "ViewsFile", Noting)
        found = read_view_rows(Path(folder), n, ["n", "location"], np.array(rows, dtype=np.int64))
        with ViewsFile(Path(folder) / VIEWS_FILE) as views:
            written = views.group_rows
    assert found.column("n").to_pylist() == rows
    assert found.column("location").to_pylist() == [f"l{row}" for row in rows]
    of_row = np.repeat(np.arange(len(written)), written)
    assert read == (sorted(set(of_row[rows].tolist())) if rows else [int(np.argmax(written))])


def test_a_column_is_read_once_and_taken_with_the_locations(
    cache: FeatureCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    columns = ViewColumns(cache.folder, 10, ["country", "lat"], np.arange(10), cache.stamp)
    assert list(columns) == ["country", "lat"]
    assert "heading" not in columns
    assert columns["country"].tolist() == cache.views["country"].tolist()
    assert columns["country"].dtype == object
    taken = columns.take(np.array([7, 2]))
    assert taken["lat"].tolist() == [3.0, 1.0]
    monkeypatch.setattr("geocell.features.view_columns.VIEWS_FILE", "none")
    assert taken["country"].tolist() == ["C3", "C1"]
    with pytest.raises(KeyError, match="heading"):
        taken["heading"]


def test_locations_on_the_disk_read_no_column_that_nobody_asks_for(tmp_path: Path) -> None:
    locations = fill(tmp_path / "c").locations(in_memory=False).take(np.array([3, 1]))
    path = tmp_path / "c" / VIEWS_FILE
    path.rename(tmp_path / "elsewhere")
    assert list(locations.columns) == ["country"]
    (tmp_path / "elsewhere").rename(path)
    assert locations.columns["country"].tolist() == ["C3", "C1"]


def test_columns_of_a_cache_that_took_the_place_are_refused(tmp_path: Path) -> None:
    locations = fill(tmp_path / "c").locations(in_memory=False).take(np.array([3, 1]))
    again = pickle.loads(pickle.dumps(locations.columns))  # noqa: S301
    assert again["country"].tolist() == ["C3", "C1"]
    with new_folder(tmp_path / "c", overwrite=True, marks=CACHE_MARKS, parts=CACHE_PARTS) as other:
        fill(other)
    with pytest.raises(ValueError, match=r"c was replaced by another cache while it was read"):
        _ = locations.columns["country"]
