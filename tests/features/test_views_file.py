"""The table of views of a cache."""

import shutil
from collections.abc import Callable
from itertools import chain
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyarrow import parquet

from geocell.features import FeatureCache
from geocell.features.views_file import ViewsFile, pieces_of, read_views_file, views_sha256
from geocell.features.views_writing import views_bytes
from geocell.files import DamagedFileError
from tests.features.damage import attempt
from tests.features.test_opened import fill


def change_views(change: Callable[[pd.DataFrame], pd.DataFrame]) -> Callable[[Path], None]:
    def spoil(folder: Path) -> None:
        frame = pd.read_parquet(folder / "views.parquet")
        change(frame).to_parquet(folder / "views.parquet", index=False, write_page_checksum=True)

    return spoil


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("caches") / "c"
    fill(folder, bad=(3,))
    return folder


COLUMNS = st.sampled_from(
    [
        ["x"] * 10,
        [1] * 10,
        [float("nan")] * 10,
        [1e9] * 10,
        [None] * 10,
        [["a"]] * 10,
        [b"x"] * 10,
        [{"a": 1}] * 10,
        [True] * 10,
        [pd.Timestamp(0)] * 10,
    ]
)


def test_a_table_of_views_that_lacks_a_column(tmp_path: Path) -> None:
    views = fill(tmp_path / "c").views
    views.drop(columns=["status", "lat"]).to_parquet(tmp_path / "c" / "views.parquet", index=False)
    with pytest.raises(ValueError, match=r"views.parquet.* must have the columns lat, status"):
        FeatureCache.open(tmp_path / "c")


@given(st.lists(st.integers(-(1 << 63), (1 << 63) - 1), min_size=1, max_size=5), st.data())
def test_tables_that_differ_in_one_integer_have_other_hashes(values: list[int], data: st.DataObject) -> None:
    row = data.draw(st.integers(0, len(values) - 1))
    others = list(values)
    others[row] = data.draw(st.sampled_from([values[row] - 1, values[row] + 1]).filter(lambda x: -(2**63) <= x < 2**63))
    frames = [pd.DataFrame({"id": column}, dtype="int64") for column in (values, others)]
    first, second = (views_sha256(views_bytes(frame)) for frame in frames)
    assert first != second
    assert first == views_sha256(views_bytes(frames[0]))


def test_integers_of_every_type_are_hashed_exactly() -> None:
    def hash_of(values: object) -> str:
        return views_sha256(views_bytes(pd.DataFrame({"id": values})))

    big = (1 << 64) - 1
    assert hash_of(pd.array([big], "uint64")) != hash_of(pd.array([big - 1], "uint64"))
    gaps = [pd.array([(1 << 53) + more, None], "Int64") for more in (0, 1)]
    assert hash_of(gaps[0]) != hash_of(gaps[1])
    assert hash_of(pd.array([0, None], "Int64")) != hash_of(pd.array([None, 0], "Int64"))


@settings(max_examples=40)
@given(st.sampled_from(["image", "location", "lat", "lon", "status", "country"]), COLUMNS)
def test_columns_of_other_types_raise_clean_errors(cache: Path, name: str, values: list[object]) -> None:
    with TemporaryDirectory() as scratch:
        folder = Path(shutil.copytree(cache, Path(scratch) / "c"))
        change_views(lambda frame: frame.assign(**{name: values}))(folder)
        attempt(folder)


@pytest.mark.parametrize(
    ("old", "new"),
    [(b'"numpy_type"', b'"numpy_tyqe"'), (b'"pandas_type"', b'"pandas_tyqe"'), (b'"columns": [', b'"columns": {')],
)
def test_damaged_notes_of_pandas_are_one_sentence(cache: Path, tmp_path: Path, old: bytes, new: bytes) -> None:
    folder = Path(shutil.copytree(cache, tmp_path / "c"))
    path = folder / "views.parquet"
    table = parquet.read_table(path)
    notes = table.schema.metadata[b"pandas"].replace(old, new)
    parquet.write_table(table.replace_schema_metadata({b"pandas": notes}), path)
    with pytest.raises(DamagedFileError, match=r"views\.parquet must be the table of views of a cache, got something"):
        read_views_file(folder, table.num_rows)


def many(rows: int) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    return pd.DataFrame(
        {
            "image": [f"{row}.jpg" for row in range(rows)],
            "location": [f"L{row // 3}" for row in range(rows)],
            "lat": rng.uniform(-90, 90, rows),
            "lon": rng.uniform(-180, 180, rows),
            "heading": rng.integers(0, 360, rows),
            "note": [None if row % 7 else "x" for row in range(rows)],
            "status": "ok",
        }
    )


@given(st.lists(st.integers(0, 9), max_size=8), st.integers(1, 9))
def test_pieces_have_the_same_rows(sizes: list[int], rows: int) -> None:
    numbers = np.arange(sum(sizes))
    tables = [pa.table({"n": part}) for part in np.split(numbers, np.cumsum(sizes)[:-1])] if sizes else []
    pieces = [pa.concat_tables(piece).column("n").to_pylist() for piece in pieces_of(tables, rows)]
    assert [len(piece) for piece in pieces] == [rows] * (len(numbers) // rows) + [len(numbers) % rows] * (
        len(numbers) % rows > 0
    )
    assert list(chain.from_iterable(pieces)) == numbers.tolist()


def test_the_hash_does_not_depend_on_row_groups(tmp_path: Path) -> None:
    frame = many(150_000)
    whole = views_bytes(frame)
    pa.parquet.write_table(pa.Table.from_pandas(frame), tmp_path / "small.parquet", row_group_size=1000)
    assert views_sha256(tmp_path / "small.parquet") == views_sha256(whole)
    assert views_sha256(views_bytes(frame.iloc[::-1])) != views_sha256(whole)


@settings(max_examples=30)
@given(st.integers(0, 40), st.integers(0, 40))
def test_rows_are_taken_across_row_groups(first: int, last: int) -> None:
    first, last = sorted((first, last + 1))
    frame = many(41)
    with TemporaryDirectory() as scratch:
        pa.parquet.write_table(pa.Table.from_pandas(frame), Path(scratch) / "v.parquet", row_group_size=7)
        with ViewsFile(Path(scratch) / "v.parquet") as views:
            found = views.take(first, last, ["lat", "image"])
    assert found.column_names == ["lat", "image"]
    assert found.column("image").to_pylist() == frame["image"].iloc[first:last].tolist()


def test_row_groups_with_fewer_rows_than_the_file_says(tmp_path: Path) -> None:
    released = Path(__file__).parents[1] / "released" / "format1" / "cache"
    shutil.copytree(released, tmp_path / "c")
    content = bytearray((released / "views.parquet").read_bytes())
    assert content[3656:3659] == b"\x16\xc0\x01"  # 96 rows of the one row group, as Thrift writes them
    content[3658] = 0  # 32
    (tmp_path / "c" / "views.parquet").write_bytes(content)
    said = "views.parquet must have 96 views, got 32: encode the images again"
    with pytest.raises(DamagedFileError, match=said):
        FeatureCache.open(tmp_path / "c")
    with pytest.raises(DamagedFileError, match=said):
        read_views_file(tmp_path / "c", 96)
    with pytest.raises(DamagedFileError, match=said):
        views_sha256(tmp_path / "c" / "views.parquet")
