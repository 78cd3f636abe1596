"""Columns of the table of views that are read when they are asked for."""

import pickle
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from geocell.features import FeatureCache
from geocell.features.manifest import CACHE_MARKS, CACHE_PARTS
from geocell.features.view_columns import ViewColumns, read_view_rows
from geocell.features.views_file import VIEWS_FILE
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
