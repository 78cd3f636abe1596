"""Reading of tables and folders, with positions and, for prediction, without."""

from pathlib import Path

import pandas as pd
import pytest

from geocell.images.downloads import DownloadConfig
from geocell.images.sources import FileImages
from geocell.views import ColumnNames, read_rows, read_views, table_from_frame
from tests.worlds import make_image, write_csv


def test_rows_need_no_position(tmp_path: Path) -> None:
    make_image(tmp_path / "img" / "a.jpg")
    make_image(tmp_path / "img" / "sub" / "b.png")
    frame, images, source = read_rows(tmp_path / "img")
    assert frame["image"].tolist() == ["a.jpg", "sub/b.png"]
    assert source == f"{tmp_path}/img: 2 files"
    assert images.read("a.jpg") == (tmp_path / "img" / "a.jpg").read_bytes()
    (tmp_path / "t.csv").write_text("path,note\nimg/a.jpg,x\nimg/none.jpg,y\n")
    frame, images, _ = read_rows(tmp_path / "t.csv")
    assert frame.to_dict("list") == {"image": ["img/a.jpg", "img/none.jpg"], "note": ["x", "y"]}
    assert images.read("img/a.jpg") == (tmp_path / "img" / "a.jpg").read_bytes()
    (tmp_path / "bare.csv").write_text("note\nx\n")
    with pytest.raises(ValueError, match="must have a column for image"):
        read_rows(tmp_path / "bare.csv")
    (tmp_path / "empty.csv").write_text("image\n")
    with pytest.raises(ValueError, match="must have at least one row"):
        read_rows(tmp_path / "empty.csv")


def test_a_column_called_image_that_is_not_the_named_one_gets_another_name(tmp_path: Path) -> None:
    path = write_csv(tmp_path / "t.csv", "image,url\n7,a.jpg\n")
    frame, _, _ = read_rows(path, ColumnNames(image_column="url"))
    assert frame.to_dict("records") == [{"input_image": "7", "image": "a.jpg"}]
    path = write_csv(tmp_path / "t.csv", "image,input_image,url\n7,8,a.jpg\n")
    with pytest.raises(ValueError, match="one column for input_image, got several: rename or drop one"):
        read_rows(path, ColumnNames(image_column="url"))


def test_tables_of_every_kind_are_one(tmp_path: Path) -> None:
    frame = pd.DataFrame({"image": ["a", "b"], "lat": [1.25, 2], "lon": [3, 4.5], "location_id": [7, 8]})
    frame.to_csv(tmp_path / "t.csv", index=False)
    frame.to_csv(tmp_path / "t.tsv", index=False, sep="\t")
    frame.to_parquet(tmp_path / "t.parquet")
    frame.to_json(tmp_path / "t.jsonl", orient="records", lines=True)
    hashes = {read_views(tmp_path / f"t.{kind}").sha256 for kind in ("csv", "tsv", "parquet", "jsonl")}
    assert hashes == {table_from_frame(frame).sha256}
    assert table_from_frame(frame).frame["location"].tolist() == ["7", "8"]


def test_what_is_no_table(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="does not exist"):
        read_views(tmp_path / "none.csv")
    (tmp_path / "t.ods").write_text("x")
    with pytest.raises(ValueError, match=r"expected a table .* got t\.ods"):
        read_views(tmp_path / "t.ods")
    (tmp_path / "t.parquet").write_text("x")
    with pytest.raises(ValueError, match="readable parquet table"):
        read_views(tmp_path / "t.parquet")


def test_real_photographs_have_their_table(shared_data: Path) -> None:
    table = read_views(shared_data / "photos" / "photos.csv")
    assert len(table) == 57
    assert all(isinstance(data, bytes) for data in map(table.images.read, table.frame["image"].tolist()))


def test_images_may_lie_elsewhere(tmp_path: Path) -> None:
    image = make_image(tmp_path / "photos" / "a.jpg")
    path = write_csv(tmp_path / "tables" / "t.csv", f"image,lat,lon\na.jpg,1,2\n{image},1,2\nhttps://host/a.jpg,1,2\n")
    table = read_views(path, root=tmp_path / "photos", downloads=DownloadConfig(downloads=2))
    assert table.images == FileImages(str(tmp_path / "photos"), DownloadConfig(downloads=2))
    references = table.frame["image"].tolist()
    assert [table.images.read(reference) for reference in references[:2]] == [image.read_bytes()] * 2
