"""The mean over several variants of an image."""

import pickle
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageOps

from geocell.encoders import AveragedEncoder, Encoder, encoder_for, load_encoder
from geocell.encoders.augmented import crop5, flip
from geocell.encoding import encode, encode_images
from geocell.features import FeatureCache
from tests.encoders.towers import make_tower
from tests.encoding.tiny import TinyEncoder, noise
from tests.worlds import make_photos


def test_the_mean_is_the_mean_of_the_variants(tmp_path: Path) -> None:
    folder = str(make_tower(tmp_path / "clip", "clip"))
    single = load_encoder(folder, device="cpu")
    image = noise(90, 70)
    for augment, variants in (("flip", [image, ImageOps.mirror(image)]), ("crop5", crop5(image))):
        averaged = load_encoder(folder, device="cpu", augment=augment)
        assert isinstance(averaged, Encoder)
        expected = encode_images(variants, single).mean(axis=0)
        np.testing.assert_allclose(encode_images([image, image], averaged), [expected, expected], atol=1e-5)
        assert averaged.info.pooling == f"pooler_output, mean of {augment}"
        assert encoder_for(averaged.info, "cpu").info == averaged.info
        with pytest.raises(ValueError, match="must share one encoder"):
            single.info.require_same(averaged.info, "the head", "the cache")


def test_crops_are_the_corners_and_the_centre() -> None:
    image = Image.fromarray(np.arange(80 * 160).reshape(80, 160).astype(np.float32))
    corners = [np.asarray(look) for look in crop5(image)]
    assert [corner.shape for corner in corners] == [(70, 70)] * 5
    assert [corner[0, 0] for corner in corners] == [0, 90, 10 * 160, 10 * 160 + 90, 5 * 160 + 45]
    assert corners[3][-1, -1] == 80 * 160 - 1
    assert [look.size for look in crop5(Image.new("RGB", (1, 1)))] == [(1, 1)] * 5


def test_flips_are_no_order() -> None:
    encoder = AveragedEncoder(TinyEncoder(), "flip")
    image = noise()
    np.testing.assert_allclose(encode_images([image], encoder), encode_images([flip(image)[1]], encoder))


def test_a_batch_begins_as_the_inner_encoder_begins_it() -> None:
    begun: list[int] = []

    class Slow(TinyEncoder):
        def start(self, pixels: np.ndarray) -> Callable[[], np.ndarray]:
            begun.append(len(pixels))
            return lambda: TinyEncoder.__call__(self, pixels)

        def __call__(self, pixels: np.ndarray) -> np.ndarray:
            return self.start(pixels)()

    pixels = np.stack([AveragedEncoder(TinyEncoder(), "flip").preprocess(noise())] * 3)
    wait = AveragedEncoder(Slow(), "flip").start(pixels)
    assert begun == [6]
    np.testing.assert_array_equal(wait(), AveragedEncoder(TinyEncoder(), "flip")(pixels))


def test_a_cache_says_so(tmp_path: Path) -> None:
    encoder = AveragedEncoder(TinyEncoder(), "crop5")
    assert pickle.loads(pickle.dumps(encoder.preprocess)) == encoder.preprocess  # noqa: S301 - its own
    table = make_photos(tmp_path, 3, 1)
    cache = encode(table, encoder, tmp_path / "c", workers=2)
    assert FeatureCache.open(tmp_path / "c").encoder.pooling == "pooler_output, mean of crop5"
    files = [tmp_path / name for name in cache.views["image"]]
    np.testing.assert_allclose(cache.features, encode_images(files, encoder), rtol=1e-3)


def test_unknown_augmentations() -> None:
    for augment, words in (("crop10", "augment must be one of none, flip, crop5"), ("none", "needs several variants")):
        with pytest.raises(ValueError, match=words):
            AveragedEncoder(TinyEncoder(), augment)
