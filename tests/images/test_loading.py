import errno
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import NoReturn

import numpy as np
import pytest
from PIL import Image, ImageOps

from geocell.files import TooManyOpenError
from geocell.images.loading import Loader, load_pixels
from geocell.images.sources import FileImages
from geocell.images.transforms import PillowTransform
from tests.encoding.tiny import SMALL, noise

WHOLE = PillowTransform(56, (56, 56), Image.Resampling.BICUBIC)
DRAFT = replace(WHOLE, draft=True)


def pixels(image: Path | Image.Image, transform: PillowTransform) -> np.ndarray:
    found, problem = load_pixels(image, transform)
    assert problem == ""
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("size", "fraction"), [((1200, 900), 8), ((896, 896), 8), ((900, 895), 4), ((448, 2000), 4), ((224, 224), 2)]
)
@pytest.mark.parametrize("turn", [1, 6])
def test_a_large_jpeg_is_decoded_at_a_fraction(tmp_path: Path, size: tuple[int, int], fraction: int, turn: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = turn
    noise(9, 7).resize(size, Image.Resampling.BICUBIC).save(tmp_path / "a.jpg", exif=exif)
    with Image.open(tmp_path / "a.jpg") as image:
        image.draft(None, (size[0] // fraction, size[1] // fraction))
        assert image.size == tuple(-(-side // fraction) for side in size)
        expected = WHOLE(ImageOps.exif_transpose(image))
    ours = pixels(tmp_path / "a.jpg", DRAFT)
    np.testing.assert_array_equal(ours, expected)
    whole = pixels(tmp_path / "a.jpg", WHOLE)
    assert (ours != whole).any()
    assert np.abs(ours.astype(int) - whole).mean() < 2


def test_other_images_are_decoded_whole(tmp_path: Path) -> None:
    large, small = noise(9, 7).resize((1200, 900)), noise(223, 500)
    large.save(tmp_path / "large.png")
    small.save(tmp_path / "small.jpg")
    for path in (tmp_path / "large.png", tmp_path / "small.jpg"):
        np.testing.assert_array_equal(pixels(path, DRAFT), pixels(path, WHOLE))
    large.save(tmp_path / "large.jpg")
    with Image.open(tmp_path / "large.jpg") as mine:  # somebody's, and left as it is
        np.testing.assert_array_equal(pixels(mine, DRAFT), pixels(tmp_path / "large.jpg", WHOLE))
        assert mine.size == (1200, 900)


def test_a_picture_of_both_sides_given_keeps_both() -> None:
    assert replace(DRAFT, size=(40, 100)).draft_side == 200
    assert replace(WHOLE, size=(40, 100)).draft_side is None


def refused(number: int) -> Callable[..., NoReturn]:
    def fail(*_: object, **__: object) -> NoReturn:
        raise OSError(number, os.strerror(number))

    return fail


@pytest.mark.parametrize("number", [errno.EMFILE, errno.ENFILE])
def test_too_many_open_files_are_raised(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, number: int) -> None:
    Image.new("RGB", (40, 30)).save(tmp_path / "a.png")
    loader = Loader.from_probe(FileImages(str(tmp_path)), SMALL)
    with monkeypatch.context() as patch:
        patch.setattr(Path, "open", refused(number))
        with pytest.raises(TooManyOpenError, match=r"^a\.png must be opened, and too many files are open already"):
            loader("a.png")
    assert loader("a.png")[1] == ""
    with monkeypatch.context() as patch:
        patch.setattr(Image, "open", refused(number))
        with pytest.raises(TooManyOpenError, match=r"a\.png must be opened"):
            load_pixels(tmp_path / "a.png", SMALL)


def test_what_an_image_lacks_is_its_problem(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    loader = Loader.from_probe(FileImages(str(tmp_path)), SMALL)
    with monkeypatch.context() as patch:
        patch.setattr(Path, "open", refused(errno.EACCES))
        assert loader("a.png") == (None, "Permission denied")
