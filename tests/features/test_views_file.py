"""The table of views of a cache."""

import shutil
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from geocell.features import FeatureCache
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


@settings(max_examples=40)
@given(st.sampled_from(["image", "location", "lat", "lon", "status", "country"]), COLUMNS)
def test_columns_of_other_types_raise_clean_errors(cache: Path, name: str, values: list[object]) -> None:
    with TemporaryDirectory() as scratch:
        folder = Path(shutil.copytree(cache, Path(scratch) / "c"))
        change_views(lambda frame: frame.assign(**{name: values}))(folder)
        attempt(folder)
