"""Packed tables: the same rows as the plain ones, and hostile files that are refused before they fill the memory."""

import gzip
import io
import tracemalloc
import zipfile
from datetime import datetime
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from geocell.evaluation.point_tables import read_points
from geocell.views import packed, read_views
from geocell.views.packed import open_table, read_workbook, table_suffix
from tests.worlds import write_csv

TEXT = "image,lat,lon,location,note\n007,1.5,2,007,NA\n7,-3,4,x,ä\n"
JSON = '{"image": "007", "lat": 1.5, "lon": 2}\n{"image": "b", "lat": 3, "lon": 4}\n'


@pytest.mark.parametrize(("name", "text"), [("t.csv", TEXT), ("t.tsv", TEXT.replace(",", "\t")), ("t.jsonl", JSON)])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_a_gzip_file_is_what_is_in_it(tmp_path: Path, name: str, text: str, encoding: str) -> None:
    plain = tmp_path / name
    plain.write_bytes(text.encode(encoding))
    other = tmp_path / f"{name}.gz"
    other.write_bytes(
        gzip.compress(text[:20].encode(encoding))
        + gzip.compress(text[20:].encode("utf-8" if encoding == "utf-8" else "utf-16-le"))
    )
    pd.testing.assert_frame_equal(read_views(other).frame, read_views(plain).frame)


@given(text=st.binary(max_size=500))
def test_unpacking_is_the_inverse_of_packing(text: bytes, tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.mktemp("packed") / "t.csv.gz"
    path.write_bytes(gzip.compress(text))
    with open_table(path) as file:
        assert file.read() == text


def test_bombs_and_damage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packed, "_FREE", 1 << 20)
    bomb = tmp_path / "bomb.csv.gz"
    bomb.write_bytes(gzip.compress(b"image,lat,lon\n" + b"0" * (64 << 20)))
    tracemalloc.start()
    with pytest.raises(ValueError, match=r"bomb\.csv\.gz must be a readable csv table, got: more than [\d,]+ bytes"):
        read_views(bomb)
    assert tracemalloc.get_traced_memory()[1] < 48 << 20
    tracemalloc.stop()
    with pytest.raises(ValueError, match="more than 10 bytes in a gzip file: unpack it first, or split it"):
        open_table(bomb, most=10)
    for content in (
        gzip.compress(TEXT.encode())[:-9],
        b"image,lat,lon\n",
        b"",
        gzip.compress(TEXT.encode())[:30] + b"\xff" * 30,
    ):
        (tmp_path / "bad.csv.gz").write_bytes(content)
        with pytest.raises(ValueError, match=r"bad\.csv\.gz must be"):
            read_views(tmp_path / "bad.csv.gz")
    with pytest.raises(ValueError, match="expected a table"):
        read_views(write_csv(tmp_path / "t.gz", TEXT))


def workbook(path: Path, *sheets: list[list[object]]) -> Path:
    openpyxl = pytest.importorskip("openpyxl")
    book = openpyxl.Workbook()
    book.remove(book.active)
    for i, rows in enumerate(sheets):
        sheet = book.create_sheet(f"s{i}")
        for row in rows:
            sheet.append(row)
    book.save(path)
    return path


def test_the_first_worksheet_is_read(tmp_path: Path) -> None:
    rows: list[list[object]] = [
        ["image", "lat", "lon", "location", "when"],
        ["007", 1.5, 2, 7, datetime(2020, 1, 2)],
        [],
        ["b", -3, 4, 8, None],
    ]
    path = workbook(tmp_path / "t.xlsx", rows, [["other"]])
    frame = read_views(path).frame
    assert frame[["image", "lat", "lon", "location"]].to_numpy().tolist() == [["007", 1.5, 2, "7"], ["b", -3, 4, "8"]]
    assert frame["when"].tolist()[0] == "2020-01-02T00:00:00"
    assert frame["when"].isna().tolist() == [False, True]
    assert read_points(workbook(tmp_path / "p.xlsx", [["id", "lat", "lon"], ["007", 1, 2]])).ids == ("007",)


def test_hostile_workbooks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    good = workbook(tmp_path / "t.xlsx", [["image", "lat", "lon"], ["a", 1, 2]])
    for name, rows, sentence in (
        ("empty", [], "an empty first worksheet"),
        ("wide", [["image", "lat", "lon"], ["a", 1, 2, 3]], "row 2 has 4 cells, more than the header's 3"),
        ("wider", [[f"c{i}" for i in range(1001)]], "more than 1,000 columns"),
        ("none", [["image", "lat"], ["a", 1]], "must have a column for lon"),
    ):
        with pytest.raises(
            ValueError, match=rf"{name}\.xlsx must (be a readable xlsx table, got: )?.*{sentence}|{sentence}"
        ):
            read_views(workbook(tmp_path / f"{name}.xlsx", rows))
    far = tmp_path / "far.xlsx"  # a cell in a row that no worksheet has
    with zipfile.ZipFile(good) as book, zipfile.ZipFile(far, "w") as changed:
        for part in book.infolist():
            data = book.read(part)
            if part.filename.endswith("sheet1.xml"):
                data = data.replace(b'r="2"', b'r="999999999999"').replace(b'"A2"', b'"A999999999999"')
            changed.writestr(part.filename, data)
    monkeypatch.setattr(packed, "_MOST_ROWS", 1000)
    with pytest.raises(ValueError, match=r"far\.xlsx must be a readable xlsx table, got: more than 1,000 rows"):
        read_views(far)
    bomb = tmp_path / "bomb.xlsx"
    with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as book:
        book.writestr("xl/worksheets/sheet1.xml", b" " * (2 << 20))
    monkeypatch.setattr(packed, "MAX_WORKBOOK", 1 << 20)
    with pytest.raises(ValueError, match=r"a workbook of 1 parts and 2,097,152 bytes unpacked, more than"):
        read_workbook(bomb)
    (tmp_path / "text.xlsx").write_text(TEXT)
    with pytest.raises(ValueError, match=r"text\.xlsx must be a readable xlsx table, got: no workbook"):
        read_views(tmp_path / "text.xlsx")
    empty = io.BytesIO()
    zipfile.ZipFile(empty, "w").close()
    (tmp_path / "zip.xlsx").write_bytes(empty.getvalue())
    with pytest.raises(ValueError, match=r"zip\.xlsx must be a readable xlsx table"):
        read_views(tmp_path / "zip.xlsx")


def test_names() -> None:
    assert [table_suffix(n) for n in ("a.csv.gz", "a.xlsx", "a.csv", "gz", "a.tar.gz")] == [
        ".csv",
        ".xlsx",
        ".csv",
        "",
        ".tar",
    ]


def test_packed_predictions(tmp_path: Path) -> None:
    (tmp_path / "p.csv.gz").write_bytes(gzip.compress(b"id,lat,lon\n007,1,2\n8,3,4\n"))
    points = read_points(tmp_path / "p.csv.gz")
    assert points.ids == ("007", "8")
    assert points.latlon.tolist() == [[1.0, 2.0], [3.0, 4.0]]


SHEET = """<worksheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"><sheetData>{}</sheetData></worksheet>"""


def sheet_of(path: Path, rows: str) -> Path:
    """Write a workbook whose only sheet has these rows, as XML."""
    pd.DataFrame({"image": ["a"]}).to_excel(path, index=False)
    with zipfile.ZipFile(path) as book:
        parts = {name: book.read(name) for name in book.namelist()}
    (name,) = (name for name in parts if name.startswith("xl/worksheets/"))
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as book:
        for other, content in {**parts, name: SHEET.format(rows).encode()}.items():
            book.writestr(other, content)
    return path


def test_a_cell_far_away_takes_no_time(tmp_path: Path) -> None:
    """Filled rows up to the last of a sheet would take minutes here; the test's own time limit tells."""
    rows = '<row r="1"><c r="A1"><v>7</v></c></row>{}'
    far = rows.format('<row r="1048576"><c r="A1048576"><v>8</v></c></row>')
    assert read_workbook(sheet_of(tmp_path / "far.xlsx", far)).to_dict("list") == {"7": [8]}
    beyond = sheet_of(tmp_path / "beyond.xlsx", rows.format('<row r="999999999999"><c r="A9"><v>8</v></c></row>'))
    with pytest.raises(ValueError, match="more than 1,048,576 rows"):
        read_workbook(beyond)


@pytest.mark.parametrize(
    "rows",
    [
        '<row r="1"><c r="A1"><v>7</v></c></row>'
        + "".join(f'<row r="{r}"><c r="XFD{r}"/></row>' for r in range(2, 20)),
        '<row r="1">' + "<c><v>7</v></c>" * 900 + "</row>" + "<row><c><v>8</v></c></row>" * 200,
    ],
    ids=["empty cells far to the right", "rows that are filled up to a long header"],
)
def test_cells_are_bounded_before_they_fill_the_memory(
    tmp_path: Path, rows: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = sheet_of(tmp_path / "wide.xlsx", rows)
    assert len(read_workbook(path)) in {0, 200}
    monkeypatch.setattr(packed, "_MOST_CELLS", 100_000)
    with pytest.raises(ValueError, match="more than 100,000 cells, empty ones included"):
        read_workbook(path)
