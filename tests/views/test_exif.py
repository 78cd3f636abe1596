"""Folders of images with EXIF positions."""

from pathlib import Path

import numpy as np
import pytest

from geocell.views import read_views
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
    assert frame["problem"].tolist()[:3] == ["", "no EXIF GPS position", ""]
    assert frame["problem"].tolist()[3].startswith("UnidentifiedImageError")
    assert read_views(tmp_path).places.latlon.shape == (2, 2)


def test_folders_without_positions_or_images(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="must hold images"):
        read_views(tmp_path)
    make_image(tmp_path / "none.jpg")
    with pytest.raises(ValueError, match="got 1 images without either"):
        read_views(tmp_path)
