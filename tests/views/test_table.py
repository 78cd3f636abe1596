"""The table of views: problems, texts and its hash."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from geocell.encoding import encode
from geocell.images.sources import FileImages
from geocell.views import ColumnNames, read_views, table_from_frame
from geocell.views.table import make_table
from tests.encoding.tiny import TinyEncoder
from tests.worlds import make_image, write_csv


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([("a", "", 10.0), ("b", 1, 10), ("c", 120, 45)], r"look swapped.*\[120.0, 45.0\] in row 2"),
        ([("a", "", 10.0), ("b", 1, 10), ("c", 100, 200)], r"\[100.0, 200.0\] in row 2"),
        ([("a", "", 10.0), ("b", 1, 10), ("c", "inf", 20)], r"\[inf, 20.0\] in row 2"),
    ],
)
def test_errors_name_the_row_of_the_table(tmp_path: Path, rows: list[tuple[object, ...]], message: str) -> None:
    text = "\n".join(",".join(map(str, row)) for row in [("image", "lat", "lon"), *rows])
    with pytest.raises(ValueError, match=message):
        read_views(write_csv(tmp_path / "t.csv", text + "\n"))


def test_our_own_columns_are_not_shadowed() -> None:
    frame = pd.DataFrame({"image": ["a"], "lat": [1], "lon": [2], "status": ["x"], "problem": ["y"]})
    out = table_from_frame(frame).frame
    assert out["problem"].tolist() == [""]
    assert out[["input_status", "input_problem"]].to_numpy().tolist() == [["x", "y"]]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("image,lat\na,1\n", r"a column for lon .*--lon-column"),
        ("lat,lon\n1,2\n", "a column for image"),
        ("image,lat,lon\n", "at least one row"),
        ("", "empty file"),
        ("image,lat,lon\na,91,2\n", r"\[91.0, 2.0\] in row 0"),
        ("image,lat,lon\na,120,45\nb,100,30\n", "look swapped"),
        ("image,lat,lon\na,,2\n", r"a view with a position, got 1 without \(the first: no position\)"),
        ("image,lat,lon\na,north,2\n", "lat must be degrees, got 'north' in row 0"),
        ("image,lat,lon,location\na,1,2,x\nb,3,2,x\n", "within 1 km, got 111"),
        ("image,lat,lon\na,48,11,90\nb,50,12,0\n", "more fields than the header"),
        ("image,lat,latitude,lon\na,1,2,3\n", r"one column for lat, got 'lat' and 'latitude', which differ: name one"),
        ("image,lat,lat,lon\na,1,2,3\n", "the column 'lat' is there twice: rename or drop one"),
    ],
)
def test_bad_tables_are_one_sentence(tmp_path: Path, text: str, message: str) -> None:
    path = write_csv(tmp_path / "t.csv", text)
    with pytest.raises(ValueError, match=message):
        read_views(path)


def test_features_need_no_images(tmp_path: Path) -> None:
    table = read_views(write_csv(tmp_path / "t.csv", "lat,lon\n1,2\n3,4\n"), images_optional=True)
    assert table.frame["image"].tolist() == ["row 0", "row 1"]


def test_every_column_is_in_the_hash() -> None:
    frame = pd.DataFrame({"image": ["a", "b"], "lat": [1.0, 2], "lon": 0.0, "split": ["train", "test"]})
    swapped = frame.assign(split=["test", "train"])
    assert table_from_frame(frame).sha256 == table_from_frame(frame.copy()).sha256
    assert table_from_frame(frame).sha256 != table_from_frame(swapped).sha256


@given(st.lists(st.tuples(st.floats(-90, 90), st.floats(-180, 180)), min_size=1, max_size=20), st.data())
def test_rows_with_problems_are_kept_and_never_looked_at(
    latlon: list[tuple[float, float]], data: st.DataObject
) -> None:
    bad = data.draw(st.lists(st.booleans(), min_size=len(latlon), max_size=len(latlon)).filter(lambda b: not all(b)))
    frame = pd.DataFrame({"image": [str(i) for i in range(len(latlon))], "lat": 0.0, "lon": 0.0})
    frame[["lat", "lon"]] = np.where(np.array(bad)[:, None], np.nan, np.array(latlon))
    table = make_table(frame, FileImages(), "t", ColumnNames(), problems=["lost" if b else "" for b in bad])
    assert table.frame["image"].tolist() == frame["image"].tolist()
    assert (table.frame["problem"] == "lost").tolist() == bad
    np.testing.assert_array_equal(table.frame.loc[~np.array(bad), ["lat", "lon"]], np.array(latlon)[~np.array(bad)])
    assert (table.frame["location"] == "").tolist() == bad


def test_one_hash_for_every_form_of_nan() -> None:
    hashes = set()
    for nan in (0x7FF8000000000000, 0xFFF8000000000000, 0x7FF0000000000001):
        heading = np.array([nan, 0], np.uint64).view(np.float64)
        frame = pd.DataFrame({"image": ["a", "b"], "lat": [1.0, 2.0], "lon": [3.0, 4.0], "heading": heading})
        hashes.add(table_from_frame(frame).sha256)
    assert len(hashes) == 1


def test_two_columns_of_one_coordinate_are_no_question_when_one_is_named_or_they_agree(tmp_path: Path) -> None:
    path = write_csv(tmp_path / "t.csv", "image,lat,latitude,lon\na,1,2,3\n")
    assert read_views(path, ColumnNames(lat_column="latitude")).frame["lat"].tolist() == [2.0]
    path = write_csv(tmp_path / "t.csv", "image,lat,latitude,lon\na,1,1,3\n")
    assert read_views(path).frame["lat"].tolist() == [1.0]


def test_a_row_that_lacks_something_is_a_row_with_the_reason(tmp_path: Path) -> None:
    rows = ["a.jpg,1,2,x", "b,,2,x", "c,1, ,x", ",1,2,x", "d,1,2,", "e,NA,null,"]
    path = write_csv(tmp_path / "t.csv", "\n".join(["image,lat,lon,location", *rows]) + "\n")
    frame = read_views(path).frame
    problems = ["", "no position", "no position", "no image", "no location id", "no position"]
    assert frame["problem"].tolist() == problems
    assert frame["image"].tolist() == ["a.jpg", "b", "c", "", "d", "e"]
    make_image(tmp_path / "a.jpg", 1)
    cache = encode(path, TinyEncoder(), tmp_path / "c")
    assert cache.views["status"].tolist() == ["ok", *problems[1:]]
