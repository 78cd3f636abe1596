"""Large tables of views are what the whole table is."""

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from geocell.features import begin, discard_cache
from geocell.views import ColumnNames, StoredViews, open_views, read_views, reading, stored, storing
from geocell.views import table as tables
from tests.worlds import INFO

pytestmark = pytest.mark.skipif(int(pd.__version__.split(".")[0]) < 3, reason="texts are objects before pandas 3")

ROWS = 40


@pytest.fixture(autouse=True)
def small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (stored, storing, reading, tables):
        monkeypatch.setattr(module, "PIECE", 7)
    monkeypatch.setattr(reading, "LARGE_ROWS", 0)
    monkeypatch.setattr(reading, "LARGE_BYTES", 0)


def frame(**columns: object) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    lat, lon = np.round(rng.uniform(-90, 90, ROWS // 2), 5), np.round(rng.uniform(-180, 180, ROWS // 2), 5)
    whole = pd.DataFrame(
        {
            "image": [f"a/{row}.jpg" for row in range(ROWS)],
            "location_id": [f"é{row // 2}" for row in range(ROWS)],
            "lat": np.repeat(lat, 2),
            "lon": np.repeat(lon, 2),
            "heading": np.arange(ROWS),
            "note": [None if row < 20 else f"n{row}" for row in range(ROWS)],
            "seen": pd.date_range("2020-01-01", periods=ROWS).as_unit("us"),
            "day": rng.integers(0, 2, ROWS).astype(bool),
        }
    )
    changed = whole.assign(**columns)  # type: ignore[arg-type]
    return changed[[name for name in changed if changed[name].notna().any()]]


def at(row: int, value: object, values: Any) -> list[Any]:
    changed = list(values)
    changed[row] = value
    return changed


CASES: dict[str, dict[str, Any]] = {
    "as it is": {},
    "no ids": {"location_id": None},
    "gaps": {
        "image": at(3, None, frame()["image"]),
        "lat": at(30, None, frame()["lat"]),
        "heading": at(9, None, range(ROWS)),
    },
    "numbers as ids": {"location_id": at(39, None, np.arange(ROWS) // 2)},
    "fractions as ids": {"location_id": at(39, 0.5, np.arange(ROWS) // 2)},
    "reserved names": {"status": "x", "problem": 3.0},
    "text as degrees": {"lat": [str(x) for x in frame()["lat"]]},
    "commas": {name: [str(x).replace(".", ",") for x in frame()[name]] for name in ("lat", "lon")},
    "mixed": {"note": [["a"], 7] * 20},
    "whole numbers after none": {"heading": [None] * 21 + list(range(19)), "location_id": [None] * 14 + [7] * 26},
    "bools after none": {"day": [None] * 21 + [True] * 19},
    "beyond 2^63": {"heading": [2**63 + 1] * 14 + [1] * 26},
    "bad degrees": {"lat": at(30, "north", [str(x) for x in frame()["lat"]])},
    "out of range": {"lat": at(30, 91.0, frame()["lat"]), "lon": at(2, 100.0, frame()["lon"])},
    "swapped": {"lat": at(30, 91.0, [1.0] * ROWS), "lon": [2.0] * ROWS},
    "loose": {"lon": at(31, 7.0, frame()["lon"])},
    "two columns": {"latitude": at(33, 7.0, frame()["lat"])},
    "no position": {"lat": [np.nan] * 39 + [None], "heading": "x"},
}


def read(function: Any, path: Path) -> Any:
    try:
        return function(path, ColumnNames())
    except ValueError as error:
        return str(error)


def written(path: Path, whole: pd.DataFrame) -> Path:
    """Write a table as CSV or Parquet; skip where no Parquet file can hold it."""
    if path.suffix == ".csv":
        whole.to_csv(path, index=False)
        return path
    try:
        whole.to_parquet(path)
    except Exception as error:
        pytest.skip(f"no Parquet file holds these: {error}")
    return path


@pytest.mark.parametrize("suffix", ["parquet", "csv"])
@pytest.mark.parametrize("name", CASES)
def test_a_table_in_pieces_is_the_whole_table(tmp_path: Path, name: str, suffix: str) -> None:
    path = written(tmp_path / f"t.{suffix}", frame(**CASES[name]))
    there, expected = read(open_views, path), read(read_views, path)
    if isinstance(expected, str):
        assert there == expected
        return
    assert len(there) == len(expected) == ROWS
    assert there.sha256 == expected.sha256
    assert there.source == expected.source
    assert list(there.references()) == list(expected.references())
    assert there.frame.astype(str).equals(expected.frame.astype(str))
    for first, last in ((0, ROWS), (5, 9), (6, 21), (35, 40)):
        assert there.shard_rows(first, last) == expected.shard_rows(first, last)
    caches = []
    for table in (expected, there):
        begin(tmp_path / "c", table, INFO)
        assert begin(tmp_path / "c", expected, INFO).table_sha256 == expected.sha256
        caches.append({p.name: p.read_bytes() for p in (tmp_path / "c").iterdir()})
        discard_cache(tmp_path / "c")
    assert caches[0] == caches[1]
    if name not in {"mixed", "reserved names", "bools after none", "beyond 2^63"}:
        assert isinstance(there, StoredViews)


@pytest.mark.parametrize("suffix", ["parquet", "csv"])
@pytest.mark.parametrize("name", CASES)
def test_places_and_some_columns_are_those_of_the_whole_table(tmp_path: Path, name: str, suffix: str) -> None:
    path = written(tmp_path / f"t.{suffix}", frame(**CASES[name]))
    only = ["note", "day", "lat", "problem"]
    there, expected = read(partial(open_views, only=only), path), read(read_views, path)
    if isinstance(expected, str):
        assert there == expected
        return
    assert there.names == expected.names
    rows = expected.places.rows
    for field in ("good", "codes", "view_latlon", "first", "rows", "latlon"):
        np.testing.assert_array_equal(getattr(there.places, field), getattr(expected.places, field))
    assert there.location_ids.texts() == expected.location_ids.texts()
    assert [there.location_ids.name(code) for code in there.location_ids.codes] == expected.frame["location"][
        rows
    ].tolist()
    for column in set(only) & set(expected.names):
        for chosen in (rows, expected.places.first, rows[:0], rows[-1:]):
            values, right = there.take(column, chosen), expected.take(column, chosen)
            assert values.isna().tolist() == right.isna().tolist()
            assert values.dropna().tolist() == right.dropna().tolist()
    if name not in {"mixed", "reserved names", "bools after none"}:
        assert isinstance(there, StoredViews)
        assert "image" not in there.open().schema_arrow.names
        with pytest.raises(KeyError, match="image"):
            there.take("image", rows)


def test_several_files_with_splits_are_one_table(tmp_path: Path) -> None:
    for part, rows in (("train", slice(0, 30)), ("test", slice(30, 40))):
        frame().iloc[rows].to_parquet(tmp_path / f"{part}-0.parquet", row_group_size=4)
    there, expected = open_views(tmp_path), read_views(tmp_path)
    assert isinstance(there, StoredViews)
    assert there.sha256 == expected.sha256
    assert there.frame["split"].tolist() == ["test"] * 10 + ["train"] * 30


def test_columns_of_images_become_references(tmp_path: Path) -> None:
    frame(image=[{"bytes": b"x", "path": None}] * ROWS).to_parquet(tmp_path / "t.parquet")
    there, expected = open_views(tmp_path / "t.parquet"), read_views(tmp_path / "t.parquet")
    assert isinstance(there, StoredViews)
    assert there.sha256 == expected.sha256
    assert there.images == expected.images
    assert list(there.references())[8] == "t.parquet::8"


def test_small_tables_stay_in_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    frame().to_parquet(tmp_path / "t.parquet")
    monkeypatch.setattr(reading, "LARGE_ROWS", ROWS)
    assert not isinstance(open_views(tmp_path / "t.parquet"), StoredViews)
    monkeypatch.setattr(reading, "LARGE_ROWS", ROWS - 1)
    assert isinstance(open_views(tmp_path / "t.parquet"), StoredViews)
