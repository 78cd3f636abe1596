"""A stored table of views: what another process gets, and what is read of it at once."""

import pickle
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from geocell.images.downloads import DownloadConfig
from geocell.images.sources import FileImages
from geocell.views import StoredViews, open_views
from tests.views.test_storing import frame, small_pieces

__all__ = ["small_pieces"]

pytestmark = pytest.mark.skipif(int(pd.__version__.split(".")[0]) < 3, reason="texts are objects before pandas 3")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    frame().to_csv(tmp_path / "t.csv", index=False)
    return tmp_path / "t.csv"


@pytest.mark.parametrize("only", [None, ["note"]])
def test_another_process_reads_the_table_itself(path: Path, only: list[str] | None) -> None:
    there = open_views(path, only=only)
    assert isinstance(there, StoredViews)
    again = pickle.loads(pickle.dumps(there))  # noqa: S301
    assert isinstance(again, StoredViews)
    assert again.open().schema_arrow == there.open().schema_arrow
    assert again.open().read().equals(there.open().read())
    assert again.places.codes.tolist() == there.places.codes.tolist()
    if only is None:
        assert again.sha256 == there.sha256


def test_columns_that_are_not_wanted_are_not_kept(path: Path) -> None:
    there = open_views(path, only=["note", "nothing"])
    assert isinstance(there, StoredViews)
    assert there.open().schema_arrow.names == ["location", "lat", "lon", "note"]
    assert there.names == ["image", "location", "lat", "lon", "problem", "heading", "note", "seen", "day"]


def test_rows_are_taken_without_the_others(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    there = open_views(path)
    assert there.take("note", np.array([3, 20, 21, 39])).fillna("").tolist() == ["", "n20", "n21", "n39"]
    assert there.take("problem", np.array([3, 20])).tolist() == ["", ""]


@pytest.mark.parametrize("row", [0, 20, 39])
def test_downloads_are_for_urls_of_usable_views(tmp_path: Path, row: int) -> None:
    def downloads(table: pd.DataFrame) -> object:
        table.to_csv(tmp_path / "t.csv", index=False)
        there = open_views(tmp_path / "t.csv")
        assert isinstance(there, StoredViews)
        assert isinstance(there.images, FileImages)
        return there.images.downloads

    table = frame()
    assert downloads(table) is None
    table.loc[row, "image"] = "https://host/a.jpg"
    assert downloads(table) == DownloadConfig()
    table.loc[row, "lat"] = np.nan
    assert downloads(table) is None
