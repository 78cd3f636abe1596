"""Uploads: read once and gone, bounded in number, bytes and pixels, whatever they are."""

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from geocell.demo import uploads
from geocell.demo.uploads import UploadedFiles, read_photographs
from tests.demo.conftest import Quarters, World
from tests.worlds import make_image


def copies(world: World, folder: Path, n: int) -> list[Path]:
    files = [folder / f"{i}.jpg" for i in range(n)]
    for source, file in zip(world.photos(n), files, strict=True):
        file.write_bytes(source.read_bytes())
    return files


def test_features_are_those_of_the_cache_and_files_are_gone(world: World, tmp_path: Path) -> None:
    files = copies(world, tmp_path, 3)
    photographs, left_out = read_photographs(files, [Quarters()])
    assert left_out == []
    assert not any(file.exists() for file in files)
    for photograph, row in zip(photographs, world.cache.features, strict=False):
        (features,) = photograph.features
        assert features.dtype == np.float16
        assert np.array_equal(features, row)
        with Image.open(io.BytesIO(photograph.thumbnail)) as image:
            assert image.format == "JPEG"
            assert max(image.size) <= 168
            assert not image.getexif()


def test_each_encoder_has_its_features(world: World, tmp_path: Path) -> None:
    class Half(Quarters):
        def __call__(self, pixels: np.ndarray) -> np.ndarray:
            return super().__call__(pixels) / 2

    (one,), _ = read_photographs(copies(world, tmp_path, 1), [Quarters(), Half()])
    assert np.allclose(one.features[0], 2 * one.features[1], rtol=1e-2)


def test_positions_stay_unread(tmp_path: Path) -> None:
    (one,), left_out = read_photographs([make_image(tmp_path / "a.jpg", position=(48.0, 11.0))], [Quarters()])
    assert left_out == []
    with Image.open(io.BytesIO(one.thumbnail)) as image:
        assert not image.getexif()


def test_there_is_room_for_so_many(world: World, tmp_path: Path) -> None:
    files = copies(world, tmp_path, 6)
    photographs, left_out = read_photographs(files, [Quarters()], room=2)
    assert len(photographs) == 2
    assert left_out == ["A location has at most 4 photographs here: 4 of 6 are left out."]
    assert not any(file.exists() for file in files)


def test_what_is_no_photograph_is_refused_with_its_reason(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(uploads, "MOST_BYTES", 1 << 20)
    monkeypatch.setattr(uploads, "MOST_MEGAPIXELS", 0.05)
    (good,) = copies(world, tmp_path, 1)
    large, wide, text = (tmp_path / name for name in ("large.jpg", "wide.png", "<b>text.jpg"))
    large.write_bytes(bytes((1 << 20) + 1))
    Image.new("L", (300, 300)).save(wide)
    text.write_bytes(b"<svg onload=alert(1)>")
    photographs, left_out = read_photographs([large, wide, text, good], [Quarters()])
    assert len(photographs) == 1
    assert left_out == [
        "Photograph 1 cannot be read: too large: more than 1 MB.",
        "Photograph 2 cannot be read: too large: 300 x 300 pixels, more than 0.05 megapixels.",
        "Photograph 3 cannot be read: cannot identify image file.",
    ]
    assert not list(tmp_path.iterdir())


def test_a_file_that_went_away_is_said_to_be_gone(tmp_path: Path) -> None:
    assert read_photographs([tmp_path / "gone.jpg"], [Quarters()]) == (
        [],
        ["Photograph 1 cannot be read: no such file."],
    )
    with pytest.raises(FileNotFoundError):
        UploadedFiles().read(str(tmp_path / "gone.jpg"))


def test_files_are_removed_when_something_fails(world: World, tmp_path: Path) -> None:
    class Broken(Quarters):
        def __call__(self, pixels: np.ndarray) -> np.ndarray:
            raise RuntimeError(f"no memory for {len(pixels)} images")

    files = copies(world, tmp_path, 2)
    with pytest.raises(RuntimeError, match="no memory for 2 images"):
        read_photographs(files, [Broken()])
    assert not list(tmp_path.iterdir())
