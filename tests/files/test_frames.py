"""Tables of Arrow are checked before they become DataFrames."""

from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from pyarrow import parquet

from geocell.files import parquet_frames, read_parquet_frame, validated_frame


def test_a_valid_table_is_the_frame() -> None:
    frame = validated_frame(pa.table({"a": [1, 2], "b": ["x", None]}))
    assert frame["a"].tolist() == [1, 2]
    assert frame["b"].isna().tolist() == [False, True]


@pytest.mark.parametrize(
    "column",
    [
        pa.Array.from_buffers(pa.utf8(), 1, [None, pa.py_buffer(b"\0\0\0\0\2\0\0\0"), pa.py_buffer(b"\xff\xff")]),
        pa.Array.from_buffers(pa.utf8(), 2, [None, pa.py_buffer(b"\0\0\0\0\xff\0\0\0\2\0\0\0"), pa.py_buffer(b"ab")]),
    ],
    ids=["no text", "an offset beyond the column"],
)
def test_what_arrow_did_not_look_at_is_refused(column: pa.Array) -> None:
    with pytest.raises(pa.ArrowInvalid, match=r"UTF8|offset|Length"):
        validated_frame(pa.table({"a": column}))


@pytest.mark.parametrize("index", ["a", ["a", "b"], None, "c"])
def test_an_index_of_pandas_is_a_column(tmp_path: Path, index: object) -> None:
    frame = pd.DataFrame({"a": [3, 1, 2], "b": ["x", "y", "z"], "c": [0.5, 1.5, 2.5]}, index=[7, 5, 6])
    made = frame if index is None else frame.set_index(index)
    made.to_parquet(tmp_path / "t.parquet")
    columns = ["a", "b", "c"]
    size = (tmp_path / "t.parquet").stat().st_size
    read = read_parquet_frame(tmp_path / "t.parquet", size)
    pd.testing.assert_frame_equal(read[columns], frame.reset_index(drop=True), check_dtype=False)
    assert sorted(read.columns) == columns
    (piece,) = parquet_frames(tmp_path / "t.parquet", size, columns, 100)
    pd.testing.assert_frame_equal(piece, read[columns])


def test_what_a_file_says_of_its_index_loses_no_column() -> None:
    table = pa.Table.from_pandas(pd.DataFrame({"status": ["ok", "ok"], "lat": [1.0, 2.0]}))
    said = table.schema.metadata[b"pandas"].replace(b'"index_columns": [{', b'"index_columns": ["status"], "x": [{')
    frame = validated_frame(table.replace_schema_metadata({b"pandas": said}))
    assert frame.to_dict("list") == {"status": ["ok", "ok"], "lat": [1.0, 2.0]}


def written(path: Path, table: pa.Table, **options: object) -> tuple[Path, int]:
    parquet.write_table(table, path, compression="zstd", store_schema=False, **options)
    return path, path.stat().st_size


def test_a_parquet_file_is_read_as_pandas_reads_it(tmp_path: Path) -> None:
    columns = {"a": ["x", None, "y", "x"] * 50, "b": np.arange(200) / 7, "c": [[1, 2], None, [], [3]] * 50}
    path, size = written(tmp_path / "t.parquet", pa.table(columns), row_group_size=64)
    frame = read_parquet_frame(path, size)
    assert frame["a"].equals(parquet.read_table(path).to_pandas()["a"])
    assert frame["b"].tolist() == columns["b"].tolist()  # type: ignore[attr-defined]
    assert list(read_parquet_frame(path, size, ["c", "b"])) == ["b", "c"]
    with path.open("rb") as file:
        assert read_parquet_frame(file, size).equals(frame)


@pytest.mark.parametrize(
    "column",
    [
        pa.nulls(40_000_000, pa.float64()),
        pa.nulls(40_000_000, pa.string()),
        pa.DictionaryArray.from_arrays(pa.array(np.zeros(3000, np.int32)), pa.array(["x" * 100_000])),
    ],
    ids=["numbers", "no texts", "one text in every row"],
)
def test_a_small_file_that_fills_the_memory_is_refused(tmp_path: Path, column: pa.Array) -> None:
    path, size = written(tmp_path / "t.parquet", pa.table({"image": column}))
    assert size < 300_000
    with pytest.raises(ValueError, match=r"columns of 3\d\d,\d\d\d,\d\d\d bytes, more than 268,435,456 for a file"):
        read_parquet_frame(path, size)


def test_pieces_of_a_file_are_its_rows(tmp_path: Path) -> None:
    path = tmp_path / "t.parquet"
    table = pa.table({"a": [f"x{i % 3}" for i in range(20)], "b": range(20), "c": [None, 1.5] * 10})
    parquet.write_table(table, path, row_group_size=6)
    pieces = list(parquet_frames(path, path.stat().st_size, ["b", "a"], 7))
    assert all(len(piece) <= 7 for piece in pieces)
    assert [row for piece in pieces for row in piece["b"]] == list(range(20))
    assert [row for piece in pieces for row in piece["a"]] == table.column("a").to_pylist()
    assert list(pieces[0].columns) == ["b", "a"]


def test_a_piece_that_fills_the_memory_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "t.parquet"
    long = pa.DictionaryArray.from_arrays(np.zeros(1000, np.int8), ["x" * (1 << 20)])
    parquet.write_table(pa.table({"a": long.cast(pa.string())}), path)
    with pytest.raises(ValueError, match="bytes, more than"):
        list(parquet_frames(path, path.stat().st_size, ["a"], 1000))


def test_rows_that_a_small_file_repeats_are_refused_in_pieces_too(tmp_path: Path) -> None:
    path = tmp_path / "t.parquet"
    parquet.write_table(pa.table({"a": np.zeros(34_000_000, np.int8)}), path)
    with pytest.raises(ValueError, match="columns of 272,000,000 bytes, more than 268,435,456 for a file"):
        next(parquet_frames(path, path.stat().st_size, ["a"], 1000))
