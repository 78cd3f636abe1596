"""The files that an input names."""

from pathlib import Path

import pandas as pd
import pytest

from geocell.views import read_views
from tests.worlds import make_image, write_csv


def test_a_folder_with_metadata(tmp_path: Path) -> None:
    write_csv(tmp_path / "metadata.csv", "file_name,latitude,longitude\nx/a.jpg,1,2\n")
    table = read_views(tmp_path)
    make_image(tmp_path / "x" / "a.jpg")
    assert table.images.read(table.frame["image"].iloc[0]) == (tmp_path / "x" / "a.jpg").read_bytes()


@pytest.mark.parametrize("kind", ["csv", "jsonl", "parquet"])
def test_an_imagefolder_of_every_kind(tmp_path: Path, kind: str) -> None:
    frame = pd.DataFrame({"file_name": ["x/a.jpg"], "latitude": [1.0], "longitude": [2.0], "country": ["NA"]})
    path = tmp_path / f"metadata.{kind}"
    if kind == "csv":
        frame.to_csv(path, index=False)
    elif kind == "jsonl":
        frame.to_json(path, orient="records", lines=True)
    else:
        frame.to_parquet(path)
    make_image(tmp_path / "x" / "a.jpg", position=(50.0, 60.0))
    table = read_views(tmp_path)
    assert table.frame[["lat", "lon", "country"]].to_numpy().tolist() == [[1.0, 2.0, "NA"]]
    assert table.images.read("x/a.jpg") == (tmp_path / "x" / "a.jpg").read_bytes()


def test_folders_of_several_kinds_are_not_guessed(tmp_path: Path) -> None:
    make_image(tmp_path / "a.jpg", position=(1.0, 2.0))
    (tmp_path / "b.tar").write_bytes(b"")
    with pytest.raises(ValueError, match=r"files of one kind, got \.tar, image"):
        read_views(tmp_path)
    with pytest.raises(ValueError, match="a pattern must mean shards"):
        read_views(f"{tmp_path}/*.jpg")


def test_patterns_of_absurdly_many_files_are_refused() -> None:
    for pattern in ("{0..99999999999}.tar", "{0..9999999}.tar", "{0..999}{0..999}{0..999}.tar"):
        with pytest.raises(ValueError, match="at most 1,000,000 files"):
            read_views(pattern)


def test_a_folder_of_images_of_every_suffix(tmp_path: Path) -> None:
    for suffix in ("avif", "jfif", "JPE", "mpo", "ppm", "pgm", "pnm"):
        make_image(tmp_path / "a.jpg", position=(48.0, 11.0)).rename(tmp_path / f"{suffix}.{suffix}")
    assert len(read_views(tmp_path)) == 7
