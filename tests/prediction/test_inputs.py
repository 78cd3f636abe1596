"""What is asked about: which inputs are tables, how rows become locations, and what is refused at once."""

from pathlib import Path

import pandas as pd
import pytest

from geocell.prediction.inputs import asked_inputs, is_table, require_some
from geocell.views import ColumnNames
from tests.worlds import make_image


def test_folders_tables_and_shards_are_told_from_images(tmp_path: Path) -> None:
    image = make_image(tmp_path / "a.jpg").rename(tmp_path / "odd.name")
    (tmp_path / "t.csv").write_text("image\nodd.name\n")
    for text in (
        tmp_path,
        tmp_path / "t.csv",
        "gone.csv",
        "{00..03}.tar",
        "*.parquet",
        "hf://datasets/a/b",
        "s3://b/x.tar",
    ):
        assert is_table(str(text)), text
    for text in (image, "gone.jpg", "https://host/t.csv", "s3://bucket/a.jpg", "a*.jpg"):
        assert not is_table(str(text)), text


def test_rows_become_locations(tmp_path: Path) -> None:
    lines = ["path,y,x,place", "a.jpg,1,2,one", "b.jpg,,,one", "c.jpg,3,4,", ",5,6,two"]
    (tmp_path / "t.csv").write_text("\n".join(lines))
    columns = ColumnNames(lat_column="y", lon_column="x", location_column="place")
    asked = {one.location: one for one in asked_inputs([tmp_path / "t.csv", "z.jpg"], columns)}
    assert {name: [view.reference for view in one.views] for name, one in asked.items()} == {
        "c.jpg": ["c.jpg"],
        "one": ["a.jpg", "b.jpg"],
        "two": [""],
        "z.jpg": ["z.jpg"],
    }
    assert [asked[name].truth for name in ("one", "c.jpg", "two", "z.jpg")] == [
        (1.0, 2.0),
        (3.0, 4.0),
        (5.0, 6.0),
        None,
    ]
    assert asked["two"].views[0].problem == "no image"


@pytest.mark.parametrize("dtype", ["Int64", "Float64", "string"])
def test_locations_may_be_missing_in_columns_that_know_it(tmp_path: Path, dtype: str) -> None:
    frame = pd.DataFrame({"image": ["a.jpg", "b.jpg", "c.jpg"], "location": pd.array(["7", None, "7"]).astype(dtype)})
    frame.to_parquet(tmp_path / "t.parquet")
    one, other = asked_inputs([tmp_path / "t.parquet"])
    assert one.location in {"7", "7.0"}
    assert [view.reference for view in one.views] == ["a.jpg", "c.jpg"]
    assert (other.location, len(other.views)) == ("b.jpg", 1)


def test_images_of_tables_are_below_the_root(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("image\na.jpg\n")
    make_image(tmp_path / "photos" / "a.jpg")
    (asked,) = asked_inputs([tmp_path / "t.csv"], root=tmp_path / "photos")
    assert asked.location == "a.jpg"
    assert asked.views[0].read().getvalue() == (tmp_path / "photos" / "a.jpg").read_bytes()
    (asked,) = asked_inputs([tmp_path / "t.csv"])
    with pytest.raises(FileNotFoundError):
        asked.views[0].read()
    with pytest.raises(FileNotFoundError, match=r"--root must be a folder that exists, got .*gone: check"):
        list(asked_inputs([tmp_path / "t.csv"], root=tmp_path / "gone"))


def test_locations_keep_the_order_in_which_they_appear(tmp_path: Path) -> None:
    lines = ["image,location", "a.jpg,one", "b.jpg,", "c.jpg,two", "d.jpg,one"]
    (tmp_path / "t.csv").write_text("\n".join(lines))
    asked = list(asked_inputs([tmp_path / "t.csv"]))
    assert [[view.reference for view in one.views] for one in asked] == [["a.jpg", "d.jpg"], ["b.jpg"], ["c.jpg"]]


def test_a_named_image_column_beside_one_that_is_called_image(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("image,url,lat,lon\n7,https://host/a.jpg,1,2\n")
    (asked,) = asked_inputs([tmp_path / "t.csv"], ColumnNames(image_column="url"))
    assert [view.reference for view in asked.views] == ["https://host/a.jpg"]
    assert asked.truth == (1.0, 2.0)
    (asked,) = asked_inputs([tmp_path / "t.csv"], ColumnNames(image_column="url", location_column="image"))
    assert asked.location == "7"
    (asked,) = asked_inputs([tmp_path / "t.csv"], ColumnNames(image_column="image", location_column="image"))
    assert (asked.location, asked.views[0].reference) == ("7", "7")


def test_nothing_that_is_there_is_refused_at_once(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="got none: name at least one"):
        require_some([])
    with pytest.raises(FileNotFoundError, match=r"gone\.jpg, which is not there"):
        require_some(["gone.jpg", tmp_path / "gone.csv"])
    require_some(["gone.jpg", tmp_path])
    require_some(["https://host/a.jpg"])
