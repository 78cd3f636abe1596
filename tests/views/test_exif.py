"""Folders of images with EXIF positions."""

import errno
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from geocell.files import TooManyOpenError
from geocell.views import exif, read_views
from tests.worlds import make_image


def test_a_folder_with_exif(tmp_path: Path) -> None:
    make_image(tmp_path / "a.jpg", position=(48.137154, 11.576124))
    make_image(tmp_path / "sub" / "b.jpg", position=(-33.85678, -151.21530))
    make_image(tmp_path / "none.jpg")
    (tmp_path / "zero.jpg").write_bytes(b"")
    frame = read_views(tmp_path).frame
    assert frame["image"].tolist() == ["a.jpg", "none.jpg", "sub/b.jpg", "zero.jpg"]
    np.testing.assert_allclose(
        frame[["lat", "lon"]].to_numpy()[[0, 2]], [[48.137154, 11.576124], [-33.85678, -151.2153]], atol=1e-6
    )
    assert frame["heading"].tolist()[0] == 90.0
    assert frame["problem"].tolist() == ["", "no EXIF GPS position", "", "cannot identify image file"]
    assert read_views(tmp_path).places.latlon.shape == (2, 2)


def test_folders_without_positions_or_images(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="must hold images"):
        read_views(tmp_path)
    make_image(tmp_path / "none.jpg")
    with pytest.raises(ValueError, match="got 1 images without either"):
        read_views(tmp_path)


def test_a_folder_is_the_same_table_wherever_it_lies(tmp_path: Path) -> None:
    make_image(tmp_path / "here" / "a.jpg", position=(48.1, 11.6))
    make_image(tmp_path / "here" / "far.jpg", position=(95.0, 11.6))
    (tmp_path / "here" / "zero.jpg").write_bytes(b"")
    shutil.copytree(tmp_path / "here", tmp_path / "there")
    here, there = (read_views(tmp_path / name) for name in ("here", "there"))
    assert here.frame["problem"].tolist() == there.frame["problem"].tolist()
    assert not here.frame["problem"].str.contains(tmp_path.name, regex=False).any()
    assert here.sha256 == there.sha256  # so that a cache of the one goes on with the other


def test_a_process_out_of_open_files_reads_no_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_image(tmp_path / "a.jpg", position=(48.1, 11.6))
    make_image(tmp_path / "b.jpg", position=(48.2, 11.6))
    opened = exif.open_image

    def refused(path: Path) -> Image.Image:
        if path.name == "b.jpg":
            raise OSError(errno.EMFILE, os.strerror(errno.EMFILE), str(path))
        return opened(path)

    monkeypatch.setattr(exif, "open_image", refused)
    with pytest.raises(TooManyOpenError, match=r"b\.jpg must be opened, and too many files are open already"):
        read_views(tmp_path)
