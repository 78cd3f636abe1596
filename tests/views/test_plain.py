"""What is read without pandas is what pandas reads, and everything else is left to it."""

import csv
import io
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from packaging.version import Version

from geocell.views.columns import ColumnNames
from geocell.views.delimited import read_delimited
from geocell.views.plain import MOST_BYTES, read_plain

COLUMNS = ColumnNames(image_column="id")
EXACT = 0.0 if Version(pd.__version__) >= Version("3.1") else 1e-15
"""Before, pandas rounded the last digits of long numbers one by one."""

numbers = st.one_of(
    st.decimals(-180, 180, places=18).map(str),
    st.decimals(-180, 180).filter(lambda d: "E" not in str(d)).map(str),
    st.floats(-180, 180).map(repr),
    st.integers(-(10**16), 10**16).map(str),
    st.sampled_from(["", "NA", "nan", "None", "-0", "-0.0", "0", "007", "5.", ".5", "+1", " 1", "1e3", "inf", "²"]),
)
texts = st.one_of(numbers, st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=6))


@settings(max_examples=300, deadline=None)
@given(
    rows=st.lists(st.tuples(texts, numbers, numbers, texts), min_size=1, max_size=6),
    separator=st.sampled_from([",", ";", "\t"]),
    end=st.sampled_from(["\n", "\r\n"]),
)
@example([("007", "44.467114129264445", "-0.00012345678901234", "a, b")], ",", "\n")
@example([("a", "-0", "1", ""), ("b", "2", "2", "x")], ",", "\n")
@example([("a", "0.12345678901234567", "999999999999999.99", "")], ",", "\n")
def test_what_is_read_is_what_pandas_reads(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[str, str, str, str]], separator: str, end: str
) -> None:
    file = io.StringIO(newline="")
    csv.writer(file, delimiter=separator, lineterminator=end).writerows([("id", "lat", "lon", "note"), *rows])
    path = tmp_path_factory.getbasetemp() / "table.csv"
    path.write_bytes(file.getvalue().encode())
    plain = read_plain(path, COLUMNS)
    if plain is None:
        return
    frame = read_delimited(path, COLUMNS)
    assert list(plain.names) == list(frame.columns)
    assert list(plain.texts("id") or ()) == frame["id"].tolist()
    for name in ("lat", "lon", "note"):
        found = plain.numbers(name)
        if found is not None:
            expected = frame[name].to_numpy(np.float64)
            np.testing.assert_allclose(found, expected, rtol=EXACT)
            np.testing.assert_array_equal(np.signbit(found), np.signbit(expected) & ~np.isnan(expected))


def write(folder: Path, data: bytes | str, name: str = "t.csv") -> Path:
    (folder / name).write_bytes(data.encode() if isinstance(data, str) else data)
    return folder / name


def test_a_usual_table_is_read(tmp_path: Path) -> None:
    for name, data in [
        ("t.csv", '\ufeffid,lat,lon,place\r\n007,1.5,-2,"34 km NW of Paris, France"\r\n\r\na,NA,3,"say ""x""\n"\r\n'),
        ("t.csv", 'id;lat;lon;place\n007;1.5;-2;"34 km NW of Paris, France"\na;;3;"say ""x""\n"'),
        ("t.tsv", 'id\tlat\tlon\tplace\n007\t1.5\t-2\t34 km NW of Paris, France\na\tnull\t3\t"say ""x""\n"\n'),
    ]:
        plain = read_plain(write(tmp_path, data, name), COLUMNS)
        assert plain is not None
        assert (len(plain), plain.names) == (2, ("id", "lat", "lon", "place"))
        assert list(plain.texts("id") or ()) == ["007", "a"]
        np.testing.assert_array_equal(plain.numbers("lat"), [1.5, np.nan])
        np.testing.assert_array_equal(plain.numbers("lon"), [-2, 3])
        assert plain.numbers("place") is plain.texts("place") is plain.numbers("id") is None
        assert plain.columns[3] == ("34 km NW of Paris, France", 'say "x"\n')


@pytest.mark.parametrize(
    "data",
    [
        "",
        "id,lat,lon\n",
        "id,lat,lat\n1,2,3\n",
        "id,lat,\n1,2,3\n",
        "id,lat,lon\n1,2\n",
        "id,lat,lon\n1,2,3,4\n",
        'id,lat,lon\n1,2,"3"x\n',
        'id,lat,lon\n1,2,"3\n',
        "id,lat,lon\n1,2,3\r4,5,6\n",
        "id,lat,lon\n  \n1,2,3\n",
        "\nid,lat,lon\n1,2,\0\n",
        b"id,lat,lon\n1,2,\xff\n",
        "id,lat,lon\n1,2,3\n".encode("utf-16"),
        "id,lat,lon\n" + "1,2,3\n" * (MOST_BYTES // 6 + 1),
    ],
)
def test_all_others_are_left_to_pandas(tmp_path: Path, data: bytes | str) -> None:
    assert read_plain(write(tmp_path, data), COLUMNS) is None


@pytest.mark.parametrize("name", ["t.csv.gz", "t.jsonl", "t.parquet"])
def test_other_files_are_left_to_pandas(tmp_path: Path, name: str) -> None:
    assert read_plain(write(tmp_path, "id,lat,lon\n1,2,3\n", name), COLUMNS) is None
