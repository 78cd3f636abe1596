"""Several encoders as one: their features side by side, whatever the shape of their pixels."""

import io
import pickle
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from geocell.encoders import load_encoder
from geocell.encoders.info import NOT_PINNED, EncoderInfo
from geocell.encoders.joined import JoinedEncoder, joined_info, joined_order, split_info
from geocell.encoders.loading import encoder_for
from geocell.encoders.protocol import Encoder
from geocell.images.loading import load_pixels
from geocell.images.transforms import PillowTransform
from tests.worlds import make_clip


class Means:
    """Mean colours of an image at one size, in one type."""

    def __init__(self, name: str, side: int, dtype: str) -> None:
        self.side, self.dtype = side, dtype
        self.info = EncoderInfo(name, "1", "mean", 3, side, "resize")

    def preprocess(self, image: Image.Image) -> np.ndarray:
        return np.asarray(image.resize((self.side, self.side)), dtype=self.dtype)

    def __call__(self, pixels: np.ndarray) -> np.ndarray:
        return pixels.reshape(len(pixels), self.side**2, 3).mean(axis=1).astype(np.float32)


def picture(seed: int) -> Image.Image:
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, (40, 50, 3), dtype=np.uint8))


def test_features_stand_side_by_side_in_one_order() -> None:
    one, two = Means("b", 8, "uint8"), Means("a", 5, "float32")
    images = [picture(i) for i in range(4)]
    expected = np.concatenate([e(np.stack([e.preprocess(i) for i in images])) for e in (two, one)], axis=1)
    for encoders in ([one, two], [two, one]):
        joined = JoinedEncoder(encoders)
        assert isinstance(joined, Encoder)
        assert joined.info == joined_info([one.info, two.info])
        assert (joined.info.name, joined.info.dim, joined.info.image_size) == ("a + b", 6, 8)
        pixels = np.stack([joined.preprocess(image) for image in images])
        assert joined(pixels) == pytest.approx(expected)
        assert joined(pixels[:0]).shape == (0, 6)


class Drafted(Means):
    """Means of images, large JPEG files being decoded at a fraction of their size."""

    preprocess: Any = None

    def __init__(self, name: str, draft: bool) -> None:
        super().__init__(name, 16, "uint8")
        self.preprocess = PillowTransform((16, 16), None, Image.Resampling.BILINEAR, draft=draft)


@pytest.mark.parametrize("draft", [True, False])
def test_images_are_decoded_as_for_one_encoder_alone(draft: bool) -> None:
    file = io.BytesIO()
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (512, 512, 3), dtype=np.uint8)).save(file, "JPEG")
    encoders = [Drafted("a", draft), Drafted("b", draft)]
    joined = JoinedEncoder(encoders)

    def features(encoder: Encoder) -> np.ndarray:
        pixels, problem = load_pixels(io.BytesIO(file.getvalue()), encoder.preprocess)
        assert pixels is not None, problem
        return np.asarray(encoder(pixels[None])[0])

    np.testing.assert_array_equal(features(joined), np.concatenate([features(encoder) for encoder in encoders]))
    assert draft == (features(joined) != features(JoinedEncoder([Drafted("a", False), Drafted("b", False)]))).any()


def test_the_parts_are_read_from_the_description() -> None:
    infos = [EncoderInfo(n, f"r{n}", f"p{n}", 4, 8, f"x{n}", "float32", f"s{n}") for n in "ab"]
    parts = split_info(joined_info(infos[::-1]))
    assert parts == [replace(info, dim=0, image_size=0) for info in infos]
    assert split_info(infos[0]) == [infos[0]]
    without = replace(joined_info(infos), source="")
    assert [part.source for part in split_info(without)] == ["", ""]
    with pytest.raises(ValueError, match="a joined encoder must have a revision, pooling"):
        split_info(replace(joined_info(infos), revision="1"))


def test_what_cannot_be_joined() -> None:
    info = EncoderInfo("a", "1", "mean", 3, 8, "resize")
    other = replace(info, name="b")
    changes: list[tuple[list[EncoderInfo], str]] = [
        ([info], "encoders are joined from two on, got 1"),
        ([info, info], "different encoders are joined, got a twice"),
        ([info, replace(other, revision=NOT_PINNED)], "the encoder b is not pinned to a commit"),
        ([info, joined_info([info, other])], r"the encoder a \+ b is joined of several already"),
    ]
    for infos, words in changes:
        with pytest.raises(ValueError, match=words):
            joined_order(infos)


def test_both_are_loaded_again(tmp_path: Path) -> None:
    folders = [make_clip(tmp_path / name, seed) for seed, name in enumerate(("one", "two"))]
    joined = JoinedEncoder([load_encoder(str(folder), device="cpu") for folder in folders])
    image = picture(0)
    again: Any = encoder_for(joined.info, "cpu")
    pixels = pickle.loads(pickle.dumps(joined.preprocess))(image)[None]  # noqa: S301 - as workers get it
    assert again(pixels) == pytest.approx(joined(pixels))
    assert joined(pixels).shape == (1, 64)
    moved = replace(joined.info, source="")
    with pytest.raises(ValueError, match=r"--encoder must name 2 encoders, A \+ B, of one \+ two"):
        encoder_for(moved, "cpu", str(folders[0]))
    assert encoder_for(moved, "cpu", f"{folders[0]} + {folders[1]}").info.dim == 64
    with pytest.raises(ValueError, match="must share one encoder"):
        encoder_for(moved, "cpu", f"{folders[1]} + {make_clip(tmp_path / 'three', 3)}")
