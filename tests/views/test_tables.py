from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from geocell.encoding import encode
from geocell.images.downloads import DownloadConfig
from geocell.images.sources import FileImages
from geocell.views import ColumnNames, latlon_keys, location_coordinates, read_views, table_from_frame
from geocell.views.table import make_table
from tests.encoding.tiny import TinyEncoder
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


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le"])
@pytest.mark.parametrize(("suffix", "separator"), [(".csv", ","), (".csv", "\t"), (".tsv", "\t")])
def test_text_of_spreadsheets_in_utf_16(tmp_path: Path, encoding: str, suffix: str, separator: str) -> None:
    text = (
        "\n".join(separator.join(row) for row in (("image", "lat", "lon", "place"), ("ä.jpg", "1", "2", "Łódź"))) + "\n"
    )
    content = text.encode(encoding)
    path = tmp_path / f"t{suffix}"
    path.write_bytes(b"\xff\xfe" + content if encoding == "utf-16-le" else content)
    frame = read_views(path).frame
    assert frame[["image", "place"]].to_numpy().tolist() == [["ä.jpg", "Łódź"]]


@pytest.mark.parametrize("suffix", [".csv", ".jsonl"])
def test_other_encodings_are_named(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"t{suffix}"
    path.write_bytes("image,lat,lon\nä,1,2\n".encode("latin-1"))
    with pytest.raises(ValueError, match=r"must be text in UTF-8 or UTF-16, got the byte 0xe4 .*: save it as UTF-8"):
        read_views(path)


def test_a_file_name_that_is_not_utf_8_costs_its_row_alone(tmp_path: Path) -> None:
    make_image(tmp_path / "good.jpg", 1, (48.1, 11.5))
    make_image(tmp_path / "other.jpg", 1, (48.1, 11.5))
    (tmp_path / "other.jpg").rename(tmp_path / "caf\udce9.jpg")
    cache = encode(tmp_path, TinyEncoder(), tmp_path / "c")
    assert cache.views[["image", "status"]].to_numpy().tolist() == [
        ["caf\\udce9.jpg", "its file name is not UTF-8"],
        ["good.jpg", "ok"],
    ]


def test_columns_of_mixed_types_and_texts_that_are_none_reach_the_cache(tmp_path: Path) -> None:
    make_image(tmp_path / "a.jpg", 1)
    rows = ['{"image": "a.jpg", "lat": 1, "lon": 2, "id": 7, "note": "\\ud800", "big": 123456789012345678901234}',
            '{"image": "a.jpg", "lat": 1, "lon": 2, "id": "x", "note": {"a": 1}}']  # fmt: skip
    (tmp_path / "t.jsonl").write_text("\n".join(rows))
    views = encode(tmp_path / "t.jsonl", TinyEncoder(), tmp_path / "c").views
    assert views["id"].tolist() == ["7", "x"]
    assert views["note"].tolist() == ["\\ud800", "{'a': 1}"]
    assert views["big"].tolist()[0] == "123456789012345678901234"


def test_patterns_of_absurdly_many_files_are_refused() -> None:
    for pattern in ("{0..99999999999}.tar", "{0..9999999}.tar", "{0..999}{0..999}{0..999}.tar"):
        with pytest.raises(ValueError, match="at most 1,000,000 files"):
            read_views(pattern)
