"""Rows of images that need no position: what prediction reads."""

from pathlib import Path

import pytest

from geocell.views import read_rows
from tests.worlds import make_image


def test_rows_need_no_position(tmp_path: Path) -> None:
    make_image(tmp_path / "img" / "a.jpg")
    make_image(tmp_path / "img" / "sub" / "b.png")
    frame, images, source = read_rows(tmp_path / "img")
    assert frame["image"].tolist() == ["a.jpg", "sub/b.png"]
    assert source == f"{tmp_path}/img: 2 files"
    assert images.read("a.jpg") == (tmp_path / "img" / "a.jpg").read_bytes()
    (tmp_path / "t.csv").write_text("path,note\nimg/a.jpg,x\nimg/none.jpg,y\n")
    frame, images, _ = read_rows(tmp_path / "t.csv")
    assert frame.to_dict("list") == {"image": ["img/a.jpg", "img/none.jpg"], "note": ["x", "y"]}
    assert images.read("img/a.jpg") == (tmp_path / "img" / "a.jpg").read_bytes()
    (tmp_path / "bare.csv").write_text("note\nx\n")
    with pytest.raises(ValueError, match="must have a column for image"):
        read_rows(tmp_path / "bare.csv")
    (tmp_path / "empty.csv").write_text("image\n")
    with pytest.raises(ValueError, match="must have at least one row"):
        read_rows(tmp_path / "empty.csv")
