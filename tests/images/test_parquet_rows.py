"""Single rows of Parquet files."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from tempfile import TemporaryDirectory

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyarrow import parquet

from geocell.images import parquet_rows
from geocell.images.parquet_rows import open_remote, read_row

N = 300


def write(path: Path | str, group: int) -> str:
    parquet.write_table(pa.table({"a": list(range(N)), "b": [str(i) for i in range(N)]}), path, row_group_size=group)
    return str(path)


@given(st.lists(st.integers(0, N - 1), min_size=1, max_size=30), st.integers(1, 120))
def test_rows_are_found_in_whatever_order_and_groups(asked: list[int], group: int) -> None:
    with TemporaryDirectory() as folder:
        path = write(f"{folder}/p.parquet", group)
        assert [read_row(path, "b", row) for row in asked] == [str(row) for row in asked]
        assert [read_row(Path(path).as_uri(), "a", row) for row in asked[:3]] == asked[:3]


def test_threads_share_what_was_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    begun = []
    real = parquet_rows._RowReader._begin
    monkeypatch.setattr(parquet_rows._RowReader, "_begin", lambda self, group: (begun.append(group), real(self, group)))
    path = str(tmp_path / "p.parquet")
    parquet.write_table(pa.table({"a": list(range(50))}), path, row_group_size=20)
    with ThreadPoolExecutor(4) as pool:  # no more than the rows of the last batch of a group, so none is passed over
        assert list(pool.map(lambda row: read_row(path, "a", row), range(50))) == list(range(50))
    assert begun == [0, 1, 2]


def test_recent_rows_are_not_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path / "p.parquet", N)
    assert read_row(path, "a", 100) == 100
    monkeypatch.setattr(parquet_rows._RowReader, "_begin", lambda *_: pytest.fail("the row group was restarted"))
    assert [read_row(path, "a", row) for row in (99, 50, 100)] == [99, 50, 100]


@pytest.mark.parametrize("row", [-1, N, 10**12])
def test_rows_that_are_not_there(tmp_path: Path, row: int) -> None:
    path = write(tmp_path / "p.parquet", 100)
    with pytest.raises(OSError, match=f"^the file has {N} rows$"):
        read_row(path, "a", row)
    assert read_row(path, "a", 7) == 7


def test_files_that_are_none(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        read_row(str(tmp_path / "gone.parquet"), "a", 0)
    (tmp_path / "text.parquet").write_text("x\ny")
    with pytest.raises(OSError, match=r"^[^\n]+$"):
        read_row(str(tmp_path / "text.parquet"), "a", 0)
    parquet.write_table(pa.table({"a": pa.array([], pa.int64())}), tmp_path / "empty.parquet")
    with pytest.raises(OSError, match=r"^the file has 0 rows$"):
        read_row(str(tmp_path / "empty.parquet"), "a", 0)


@settings(max_examples=60)
@given(st.data())
def test_a_mutated_file_gives_a_value_or_an_error_of_one_line(data: st.DataObject) -> None:
    with TemporaryDirectory() as folder:
        path = Path(write(f"{folder}/p.parquet", 100))
        content = bytearray(path.read_bytes())
        for _ in range(data.draw(st.integers(1, 6))):
            content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
        path.write_bytes(content)
        for row in (0, 250, 120):
            try:
                assert read_row(str(path), "a", row) is None or isinstance(read_row(str(path), "a", row), int)
            except OSError as error:
                assert "\n" not in str(error)


@pytest.mark.parametrize("url", ["nonsense://x", "reference://x::memory://y"])
def test_other_schemes_are_not_opened(url: str) -> None:
    with pytest.raises(ValueError, match="not opened"):
        open_remote(url)
