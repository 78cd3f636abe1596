"""The table of views of a cache."""

import shutil
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyarrow import parquet

from geocell.features import FeatureCache
from geocell.features.views_file import read_views_file, views_bytes, views_sha256
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
