from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from geocell.images.downloads import DownloadConfig
from geocell.images.sources import FileImages
from geocell.views import ColumnNames, latlon_keys, location_coordinates, read_views, table_from_frame
from geocell.views.table import make_table
from tests.worlds import make_image


def write_csv(path: Path, text: str) -> Path:
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)
    return path


@pytest.mark.parametrize(
    "header",
    ["image,lat,lon", "file_name,latitude,longitude", "path,LAT,LON", "image_path,lat,lng", "FILE_NAME,Lat,Long"],
)
def test_usual_spellings_are_found(tmp_path: Path, header: str) -> None:
    table = read_views(write_csv(tmp_path / "t.csv", f"{header},note\na.jpg,1.5,2.5,hello\n"))
    assert table.frame.iloc[0].to_dict() == {
        "image": "a.jpg",
        "location": "1.500000,2.500000",
        "lat": 1.5,
        "lon": 2.5,
        "problem": "",
        "note": "hello",
    }
    assert table.images == FileImages(str(tmp_path))


def test_explicit_columns_win(tmp_path: Path) -> None:
    path = write_csv(tmp_path / "t.csv", "image,lat,lon,lat2,shot\na.jpg,1,2,9,b.jpg\n")
    table = read_views(path, ColumnNames(lat_column="lat2", image_column="shot"))
    assert table.frame["lat"].tolist() == [9.0]
    assert table.frame["image"].tolist() == ["b.jpg"]
    with pytest.raises(ValueError, match="must have the column 'nope' for lon"):
        read_views(path, ColumnNames(lon_column="nope"))


def test_tables_of_every_kind_are_one(tmp_path: Path) -> None:
    frame = pd.DataFrame({"image": ["a", "b"], "lat": [1.25, 2], "lon": [3, 4.5], "location_id": [7, 8]})
    frame.to_csv(tmp_path / "t.csv", index=False)
    frame.to_csv(tmp_path / "t.tsv", index=False, sep="\t")
    frame.to_parquet(tmp_path / "t.parquet")
    frame.to_json(tmp_path / "t.jsonl", orient="records", lines=True)
    hashes = {read_views(tmp_path / f"t.{kind}").sha256 for kind in ("csv", "tsv", "parquet", "jsonl")}
    assert hashes == {table_from_frame(frame).sha256}
    assert table_from_frame(frame).frame["location"].tolist() == ["7", "8"]


def test_ids_that_a_gap_made_floats_stay_whole() -> None:
    frame = pd.DataFrame({"image": ["a"], "lat": [1], "lon": [2], "location": [3.0]})
    assert table_from_frame(frame).frame["location"].tolist() == ["3"]


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
        ("image,lat,lon\na,,2\n", "must be finite"),
        ("image,lat,lon\na,north,2\n", "lat must be degrees, got 'north' in row 0"),
        ("image,lat,lon,location\na,1,2,x\nb,3,2,x\n", "within 1 km, got 111"),
        ("image,lat,lon,location\na,1,2,\nb,3,2,x\n", "location must be given in every row"),
        ("image,lat,lon\na,48,11,90\nb,50,12,0\n", "more fields than the header"),
        ("image,lat,latitude,lon,Lat\na,1,2,3,4\n", None),
    ],
)
def test_bad_tables_are_one_sentence(tmp_path: Path, text: str, message: str | None) -> None:
    path = write_csv(tmp_path / "t.csv", text)
    if message is None:
        assert read_views(path).frame["lat"].tolist() == [1.0]
        return
    with pytest.raises(ValueError, match=message):
        read_views(path)


def test_what_is_no_table(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="does not exist"):
        read_views(tmp_path / "none.csv")
    (tmp_path / "t.xlsx").write_text("x")
    with pytest.raises(ValueError, match=r"expected a table .* got t\.xlsx"):
        read_views(tmp_path / "t.xlsx")
    (tmp_path / "t.parquet").write_text("x")
    with pytest.raises(ValueError, match="readable parquet table"):
        read_views(tmp_path / "t.parquet")


def test_features_need_no_images(tmp_path: Path) -> None:
    table = read_views(write_csv(tmp_path / "t.csv", "lat,lon\n1,2\n3,4\n"), images_optional=True)
    assert table.frame["image"].tolist() == ["row 0", "row 1"]


def test_a_folder_with_metadata(tmp_path: Path) -> None:
    write_csv(tmp_path / "metadata.csv", "file_name,latitude,longitude\nx/a.jpg,1,2\n")
    table = read_views(tmp_path)
    make_image(tmp_path / "x" / "a.jpg")
    assert table.images.read(table.frame["image"].iloc[0]) == (tmp_path / "x" / "a.jpg").read_bytes()


@pytest.mark.parametrize("kind", ["csv", "jsonl", "parquet"])
def test_an_imagefolder_of_every_kind(tmp_path: Path, kind: str) -> None:
    frame = pd.DataFrame({"file_name": ["x/a.jpg"], "latitude": [1.0], "longitude": [2.0], "country": ["NA"]})
    path = tmp_path / f"metadata.{kind}"
    if kind == "csv":
        frame.to_csv(path, index=False)
    elif kind == "jsonl":
        frame.to_json(path, orient="records", lines=True)
    else:
        frame.to_parquet(path)
    make_image(tmp_path / "x" / "a.jpg", position=(50.0, 60.0))
    table = read_views(tmp_path)
    assert table.frame[["lat", "lon", "country"]].to_numpy().tolist() == [[1.0, 2.0, "NA"]]
    assert table.images.read("x/a.jpg") == (tmp_path / "x" / "a.jpg").read_bytes()


def test_a_folder_with_exif(tmp_path: Path) -> None:
    make_image(tmp_path / "a.jpg", position=(48.137154, 11.576124))
    make_image(tmp_path / "sub" / "b.jpg", position=(-33.85678, -151.21530))
    make_image(tmp_path / "none.jpg")
    (tmp_path / "zero.jpg").write_bytes(b"")
    frame = read_views(tmp_path).frame
    assert frame["image"].tolist() == ["a.jpg", "none.jpg", "sub/b.jpg", "zero.jpg"]
    np.testing.assert_allclose(
        frame[["lat", "lon"]].to_numpy()[[0, 2]], [[48.137154, 11.576124], [-33.85678, -151.2153]], atol=1e-6
    )
    assert frame["heading"].tolist()[0] == 90.0
    assert frame["problem"].tolist()[:3] == ["", "no EXIF GPS position", ""]
    assert frame["problem"].tolist()[3].startswith("UnidentifiedImageError")
    assert location_coordinates(read_views(tmp_path)).shape == (2, 2)


def test_folders_without_positions_or_images(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="must hold images"):
        read_views(tmp_path)
    make_image(tmp_path / "none.jpg")
    with pytest.raises(ValueError, match="got 1 images without either"):
        read_views(tmp_path)


def test_keys_have_no_negative_zero() -> None:
    assert latlon_keys(np.array([[-0.0, 1e-9], [-1e-9, 2.0]])) == ["0.000000,0.000000", "0.000000,2.000000"]


def test_real_photographs_have_their_table(shared_data: Path) -> None:
    table = read_views(shared_data / "photos" / "photos.csv")
    assert len(table) == 57
    assert all(isinstance(data, bytes) for data in map(table.images.read, table.frame["image"].tolist()))


def test_ids_stay_text(tmp_path: Path) -> None:
    text = "image,lat,lon,location,country,note\n007,1,2,007,NA,NA\n7,3,4,7,DE,5\n8,5,6,NA,FR,6\n"
    frame = read_views(write_csv(tmp_path / "t.csv", text)).frame
    assert frame["image"].tolist() == ["007", "7", "8"]
    assert frame["location"].tolist() == ["007", "7", "NA"]
    assert frame["country"].tolist() == ["NA", "DE", "FR"]
    assert np.isnan(frame["note"].tolist()[0])


def test_every_column_is_in_the_hash() -> None:
    frame = pd.DataFrame({"image": ["a", "b"], "lat": [1.0, 2], "lon": 0.0, "split": ["train", "test"]})
    swapped = frame.assign(split=["test", "train"])
    assert table_from_frame(frame).sha256 == table_from_frame(frame.copy()).sha256
    assert table_from_frame(frame).sha256 != table_from_frame(swapped).sha256


def test_one_place_has_one_key() -> None:
    keys = latlon_keys(np.array([[10.0, 180.0], [10.0, -180.0], [90.0, 5.0], [90.0, -77.0]]))
    assert keys[0] == keys[1]
    assert keys[2] == keys[3]


@pytest.mark.parametrize(
    "text",
    [
        "image;lat;lon\na.jpg;1,5;2,25\nb.jpg;-3,0;4\n",
        "image;lat;lon\na.jpg;1.5;2.25\nb.jpg;-3;4\n",
        "image\tlat\tlon\na.jpg\t1.5\t2.25\nb.jpg\t-3\t4\n",
        "\ufeffimage,lat,lon\na.jpg,1.5,2.25\nb.jpg,-3,4\n",
        'image,lat,lon\na.jpg,"1,5","2,25"\nb.jpg,"-3,0","4"\n',
    ],
)
def test_separators_of_spreadsheets(tmp_path: Path, text: str) -> None:
    frame = read_views(write_csv(tmp_path / "t.csv", text)).frame
    assert frame[["image", "lat", "lon"]].to_numpy().tolist() == [["a.jpg", 1.5, 2.25], ["b.jpg", -3.0, 4.0]]


def test_a_separator_is_never_guessed_between_two(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"a column for image .*got \['image;lat\|lon'\]"):
        read_views(write_csv(tmp_path / "t.csv", "image;lat|lon\na.jpg;1|2\n"))
    with pytest.raises(ValueError, match="lat must be degrees, got '1,5'"):
        read_views(write_csv(tmp_path / "t.csv", "image;lat;lon\na.jpg;1,5;2\nb.jpg;north;2\n"))


def test_json_lines_keep_text_and_name_bad_lines(tmp_path: Path) -> None:
    text = '{"image": "007", "lat": 1, "lon": 2, "captured_at": "2020-01-01"}\n\n{"image": 8, "lat": 3, "lon": 4}\n'
    frame = read_views(write_csv(tmp_path / "t.jsonl", text)).frame
    assert frame["image"].tolist() == ["007", "8"]
    assert frame["captured_at"].tolist()[0] == "2020-01-01"
    for bad in ("{", "[1]"):
        with pytest.raises(ValueError, match="readable jsonl table, got: line 2 is no JSON"):
            read_views(write_csv(tmp_path / "t.jsonl", f'{{"image": "a", "lat": 1, "lon": 2}}\n{bad}\n'))


def test_images_may_lie_elsewhere(tmp_path: Path) -> None:
    image = make_image(tmp_path / "photos" / "a.jpg")
    path = write_csv(tmp_path / "tables" / "t.csv", f"image,lat,lon\na.jpg,1,2\n{image},1,2\nhttps://host/a.jpg,1,2\n")
    table = read_views(path, root=tmp_path / "photos", downloads=DownloadConfig(downloads=2))
    assert table.images == FileImages(str(tmp_path / "photos"), DownloadConfig(downloads=2))
    references = table.frame["image"].tolist()
    assert [table.images.read(reference) for reference in references[:2]] == [image.read_bytes()] * 2


def test_folders_of_several_kinds_are_not_guessed(tmp_path: Path) -> None:
    make_image(tmp_path / "a.jpg", position=(1.0, 2.0))
    (tmp_path / "b.tar").write_bytes(b"")
    with pytest.raises(ValueError, match=r"files of one kind, got \.tar, image"):
        read_views(tmp_path)
    with pytest.raises(ValueError, match="a pattern must mean shards"):
        read_views(f"{tmp_path}/*.jpg")


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
