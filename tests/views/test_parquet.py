"""Parquet files with images inside, folders that `datasets` saved, and data sets on a Hub."""

from pathlib import Path

import pandas as pd
import pyarrow as pa
import pytest
from pyarrow import parquet

from geocell.files import DamagedFileError
from geocell.views import ColumnNames, read_views
from tests.local_hub import Hub


def write_images(path: Path, first: int = 0, count: int = 5, column: str = "image") -> Path:
    """Write a Parquet file as `push_to_hub` of the library `datasets` does."""
    cells = [{"bytes": f"image {i}".encode(), "path": f"{i}.jpg"} for i in range(first, first + count)]
    table = pa.table({column: cells, "lat": [float(i) for i in range(first, first + count)], "lon": [5.0] * count})
    path.parent.mkdir(parents=True, exist_ok=True)
    parquet.write_table(table, path, row_group_size=2)
    return path


def test_images_inside_stay_where_they_are(tmp_path: Path) -> None:
    table = read_views(write_images(tmp_path / "p.parquet"))
    assert table.frame["image"].tolist() == [f"p.parquet::{i}" for i in range(5)]
    assert "bytes" not in table.frame
    assert [table.images.read(image) for image in table.frame["image"].tolist()] == [
        f"image {i}".encode() for i in range(5)
    ]


def test_files_of_one_data_set_are_one_table(tmp_path: Path) -> None:
    for part in range(3):
        write_images(tmp_path / "data" / f"train-{part:05d}-of-00003.parquet", 5 * part, column="photo")
    table = read_views(tmp_path)
    assert table.frame["lat"].tolist() == [float(i) for i in range(15)]
    assert table.frame["image"].tolist()[7] == "data/train-00001-of-00003.parquet::2"
    assert table.images.read(table.frame["image"].tolist()[7]) == b"image 7"
    assert table.sha256 == read_views(tmp_path / "data" / "..", ColumnNames(image_column="photo")).sha256


def test_splits_of_file_names_are_a_column(tmp_path: Path) -> None:
    for split in ("train", "test"):
        write_images(tmp_path / "data" / f"{split}-00000-of-00001.parquet", count=2)
    assert read_views(tmp_path).frame["split"].tolist() == ["test", "test", "train", "train"]
    assert "split" not in read_views(f"{tmp_path}/data/train-*.parquet").frame


def test_a_column_of_paths_beside_the_images_is_kept(tmp_path: Path) -> None:
    frame = pd.DataFrame({"image": ["a.jpg"], "jpg": [b"bytes"], "lat": [1.0], "lon": [2.0]})
    frame.to_parquet(tmp_path / "p.parquet")
    table = read_views(tmp_path / "p.parquet")
    assert table.frame["input_image"].tolist() == ["a.jpg"]
    assert table.images.read(table.frame["image"].tolist()[0]) == b"bytes"


def test_a_folder_that_datasets_saved(tmp_path: Path) -> None:
    datasets = pytest.importorskip("datasets")
    features = datasets.Features(
        {"photo": datasets.Image(), "lat": datasets.Value("float64"), "lon": datasets.Value("float64")}
    )
    rows = {
        "photo": [{"bytes": b"a", "path": None}, {"bytes": b"b", "path": None}],
        "lat": [1.0, 2.0],
        "lon": [3.0, 4.0],
    }
    one = datasets.Dataset.from_dict(rows, features=features)
    one.save_to_disk(tmp_path / "one")
    datasets.DatasetDict({"train": one, "test": one.select([1])}).save_to_disk(tmp_path / "splits")
    table = read_views(tmp_path / "one")
    assert table.frame[["image", "lat"]].to_numpy().tolist() == [["::0", 1.0], ["::1", 2.0]]
    table = read_views(tmp_path / "splits")
    assert table.frame["split"].tolist() == ["train", "train", "test"]
    assert [table.images.read(image) for image in table.frame["image"].tolist()] == [b"a", b"b", b"b"]
    one.remove_columns("photo").save_to_disk(tmp_path / "bare")
    with pytest.raises(ValueError, match="column of the feature type Image"):
        read_views(tmp_path / "bare")
    (tmp_path / "one" / "state.json").write_text("{}")
    with pytest.raises(ValueError, match="must be a folder that `save_to_disk` wrote"):
        read_views(tmp_path / "one")


def test_the_library_is_asked_for_where_it_is_needed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "dataset_dict.json").write_text("{}")
    monkeypatch.setitem(__import__("sys").modules, "datasets", None)
    with pytest.raises(ImportError, match=r'pip install "geocell-heads\[datasets\]"'):
        read_views(tmp_path)


def test_a_store_that_is_not_here(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    for part in range(2):
        write_images(tmp_path / "data" / f"{part}.parquet", 5 * part)
    for url in (tmp_path.as_uri(), f"{tmp_path.as_uri()}/data/*.parquet"):
        table = read_views(url)
        assert table.frame["lat"].tolist() == [float(i) for i in range(10)]
        assert table.images.read(table.frame["image"].tolist()[6]) == b"image 6"
    with pytest.raises(FileNotFoundError, match="expected Parquet files or shards"):
        read_views(f"{tmp_path.as_uri()}/none")
    with pytest.raises(ValueError, match="download it first"):
        read_views("https://example.org/t.csv")


@pytest.mark.loopback
def test_a_data_set_on_the_hub_is_pinned_to_its_commit(tmp_path: Path, hub: Hub) -> None:
    from huggingface_hub import HfFileSystem

    HfFileSystem.clear_instance_cache()
    files = {"data/train-0.parquet": write_images(tmp_path / "p.parquet").read_bytes()}
    commit = hub.put("someone/places", files)
    for url, error, words in (
        ("hf://someone/places", ValueError, r"expected a data set on the Hub \(hf://datasets/user/name\)"),
        ("hf://datasets/someone/nothing", FileNotFoundError, "the Hub has none"),
    ):
        with pytest.raises(error, match=words):
            read_views(url)
    table = read_views("hf://datasets/someone/places")
    assert commit in table.source
    assert table.images.read(table.frame["image"].tolist()[3]) == b"image 3"


def test_text_that_is_none_is_refused_where_it_is_read(tmp_path: Path) -> None:
    """Arrow reads it, and fails wherever a value is asked for."""
    broken = pa.Array.from_buffers(pa.utf8(), 1, [None, pa.py_buffer(b"\0\0\0\0\2\0\0\0"), pa.py_buffer(b"\xff\xfe")])
    table = pa.table({"image": ["a.jpg"], "lat": [1.0], "lon": [2.0], "country": broken})
    parquet.write_table(table, tmp_path / "t.parquet")
    with pytest.raises(DamagedFileError, match=r"t\.parquet must be a readable parquet table, got: .*UTF8"):
        read_views(tmp_path / "t.parquet")
