"""Writing the table of views of a cache."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from geocell.features import views_file
from geocell.features.views_file import VIEWS_FILE
from geocell.features.views_writing import views_bytes, write_statuses, write_tables
from geocell.files import DamagedFileError, as_place
from tests.features.test_views_file import many


@pytest.fixture(scope="module")
def whole() -> tuple[pa.Table, bytes]:
    """A table of more rows than a row group has, and its bytes."""
    frame = many((1 << 20) + 150_000)
    return pa.Table.from_pandas(frame, preserve_index=False), views_bytes(frame).getvalue()


@pytest.mark.parametrize("piece", [1 << 16, 100_000, 1 << 20])
def test_row_groups_give_the_bytes_of_the_whole_table(
    whole: tuple[pa.Table, bytes], tmp_path: Path, piece: int
) -> None:
    table, expected = whole
    write_tables(tmp_path, table.schema, (table.slice(first, piece) for first in range(0, len(table), piece)))
    assert (tmp_path / VIEWS_FILE).read_bytes() == expected


@pytest.mark.parametrize("rows", [3, 1 << 16])
def test_statuses_are_written_as_into_the_whole_table(
    tmp_path: Path, rows: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    frame = many(20).assign(status="pending")
    (tmp_path / VIEWS_FILE).write_bytes(views_bytes(frame).getvalue())
    monkeypatch.setattr(views_file, "SLICE", rows)
    bad = [(0, "truncated"), (4, "gone"), (19, "gone")]
    status = np.full(20, "ok", dtype=object)
    for row, text in bad:
        status[row] = text
    assert write_statuses(tmp_path, bad, 20)
    assert (tmp_path / VIEWS_FILE).read_bytes() == views_bytes(frame.assign(status=status)).getvalue()
    assert not write_statuses(tmp_path, bad, 20)
    assert write_statuses(tmp_path, bad[1:], 20)
    assert pd.read_parquet(tmp_path / VIEWS_FILE)["status"].tolist() == ["ok", *status[1:]]


def test_an_object_whose_writing_fails_stays_as_it_was() -> None:
    pytest.importorskip("upath")
    folder = as_place("memory://views-file/c")
    folder.mkdir(parents=True, exist_ok=True)
    frame = many(10)
    table = pa.Table.from_pandas(frame, preserve_index=False)
    write_tables(folder, table.schema, [table])

    def failing() -> Iterator[pa.Table]:
        yield table
        raise DamagedFileError("a page is damaged.")

    with pytest.raises(DamagedFileError, match="page"):
        write_tables(folder, table.schema, failing())
    assert (folder / VIEWS_FILE).read_bytes() == views_bytes(frame).getvalue()
