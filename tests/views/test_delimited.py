"""CSV, TSV and JSON lines."""

from pathlib import Path

import numpy as np
import pytest

from geocell.views import ColumnNames, delimited, read_views
from tests.worlds import write_csv


def test_ids_stay_text(tmp_path: Path) -> None:
    text = "image,lat,lon,location,country,note\n007,1,2,007,NA,NA\n7,3,4,7,DE,5\n8,5,6,NA,FR,6\n"
    frame = read_views(write_csv(tmp_path / "t.csv", text)).frame
    assert frame["image"].tolist() == ["007", "7", "8"]
    assert frame["location"].tolist() == ["007", "7", "NA"]
    assert frame["country"].tolist() == ["NA", "DE", "FR"]
    assert np.isnan(frame["note"].tolist()[0])


@pytest.mark.parametrize("digits", [5, 20, 400, 5000])
@pytest.mark.parametrize("first", ["", "0.jpg,1,2,x\n"])
def test_an_empty_field_is_missing_beside_numbers_of_any_length(tmp_path: Path, first: str, digits: int) -> None:
    text = f"image,lat,lon,note\n{first}1.jpg,1,2,{'1' * digits}\n2.jpg,3,4,\n3.jpg,3,4,NA\n"
    note = read_views(write_csv(tmp_path / "t.csv", text)).frame["note"]
    assert note.isna().tolist() == [False] * (len(note) - 2) + [True, True]


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


def test_a_wide_header_takes_no_time_to_refuse() -> None:
    """Counting every name in all the others would take minutes; the test's own time limit tells."""
    names = [f"c{i}" for i in range(300_000)]
    with pytest.raises(ValueError, match="the column 'lat' is there twice"):
        delimited._refuse_repeated([*names, "lat", "lat"], ColumnNames())


def test_a_message_does_not_repeat_a_whole_cell(tmp_path: Path) -> None:
    path = write_csv(tmp_path / "t.csv", "image,lat,lon\na," + "x" * 5000 + ",2\n")
    with pytest.raises(ValueError, match="lat must be degrees, got 'xxx") as caught:
        read_views(path)
    assert len(str(caught.value)) <= 1000
