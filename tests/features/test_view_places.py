"""Where the views of a cache are."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import parquet

from geocell.features import FeatureCache, view_places, views_file
from geocell.features.view_places import group_runs, require_some
from geocell.features.views_writing import write_statuses
from tests.elsewhere import elsewhere
from tests.features.test_opened import fill


@pytest.mark.parametrize("rows", [3, 1 << 16])
def test_places_are_those_of_the_whole_table(tmp_path: Path, rows: int, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(tmp_path / "c", bad=(0, 4, 5))
    monkeypatch.setattr(views_file, "SLICE", rows)
    cache = FeatureCache.open(tmp_path / "c")
    places = cache.places()
    good = cache.views[cache.views["status"] == "ok"]
    codes, names = good["location"].factorize()
    assert len(places) == 4
    assert places.codes.tolist() == codes.tolist()
    assert places.view_latlon.tolist() == good[["lat", "lon"]].to_numpy().tolist()
    assert places.rows.tolist() == good.index.tolist()
    assert places.first.tolist() == good.index[~good["location"].duplicated()].tolist()
    assert places.latlon.tolist() == [[0, 1], [1, 1], [3, 1], [4, 1]]
    assert cache.location_names(places).texts() == names.tolist()
    assert np.array_equal(cache.locations().latlon, places.latlon)
    assert cache.problems() == {"truncated": 3}


def test_a_cache_without_a_good_view_has_no_place(tmp_path: Path) -> None:
    places = fill(tmp_path / "c", n=2, bad=(0, 1)).places()
    assert len(places) == 0
    with pytest.raises(ValueError, match="a view with features, got none"):
        require_some(places, tmp_path)


def test_statuses_that_are_written_again_do_not_matter(tmp_path: Path) -> None:
    cache = fill(tmp_path / "c", bad=(0, 4))
    write_statuses(tmp_path / "c", [(4, "truncated"), (7, "gone")], len(cache))
    assert cache.places().rows.tolist() == [1, 2, 3, 5, 6, 7, 8, 9]


def test_a_cache_is_opened_elsewhere_by_runs_of_row_groups(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(tmp_path / "c", bad=(0, 4, 5))
    table = parquet.read_table(tmp_path / "c" / "views.parquet")
    parquet.write_table(table, tmp_path / "c" / "views.parquet", row_group_size=2)
    here = FeatureCache.open(tmp_path / "c")
    monkeypatch.setattr(view_places, "ROWS", 3)
    assert group_runs(tmp_path / "c", 10) == [([0, 1], slice(0, 4)), ([2, 3], slice(4, 8)), ([4], slice(8, 10))]
    monkeypatch.chdir(tmp_path)
    with elsewhere() as engine:
        there = FeatureCache.open("c")
        places = there.places()
    assert engine.pieces == 6
    assert there.good.tolist() == here.good.tolist()
    assert places.codes.tolist() == here.places().codes.tolist()
    assert places.view_latlon.tolist() == here.places().view_latlon.tolist()
    table = table.set_column(table.column_names.index("status"), "status", pa.array(["ok"] * 9 + ["pending"]))
    parquet.write_table(table, tmp_path / "c" / "views.parquet", row_group_size=2)
    with elsewhere(), pytest.raises(ValueError, match="must be a finished cache, got pending views"):
        FeatureCache.open("c")
