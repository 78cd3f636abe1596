import pickle
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from geocell.encoders import TowerEncoder
from geocell.images.transforms import PillowTransform, ProcessorTransform, normalisation_of, transform_of
from tests.worlds import make_clip

SIZES = [(640, 480), (480, 640), (57, 56), (300, 56), (1999, 1501)]


def noise(width: int, height: int) -> Image.Image:
    return Image.fromarray(np.random.default_rng(width).integers(0, 256, (height, width, 3), dtype=np.uint8))


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("kind", ["shortest_edge", "square", "no crop"])
def test_bytes_normalised_later_are_the_processor_s_floats(size: tuple[int, int], kind: str) -> None:
    from transformers import CLIPImageProcessorPil

    settings = {
        "shortest_edge": {"size": {"shortest_edge": 60}, "crop_size": {"height": 56, "width": 56}},
        "square": {"size": {"height": 64, "width": 56}, "crop_size": {"height": 56, "width": 50}, "resample": 2},
        "no crop": {"size": {"height": 48, "width": 48}, "do_center_crop": False, "image_mean": [0.5, 0.4, 0.3]},
    }[kind]
    processor = CLIPImageProcessorPil(**settings)
    transform, rule = transform_of(processor), normalisation_of(processor)
    assert isinstance(transform, PillowTransform)
    pixels = transform(noise(*size))
    assert pixels.dtype == np.uint8
    ours = (pixels.astype(np.float32) * np.float32(rule.scale) - np.float32(rule.mean)) / np.float32(rule.std)
    theirs = processor(images=noise(*size))["pixel_values"][0]
    np.testing.assert_allclose(ours.transpose(2, 0, 1), theirs, rtol=0, atol=1e-6)


def test_a_processor_that_does_something_else_is_used_itself() -> None:
    from transformers import CLIPImageProcessorPil, ConvNextImageProcessorPil

    transform = transform_of(ConvNextImageProcessorPil(size={"shortest_edge": 56}))  # resizes to 64, then crops
    assert isinstance(transform, ProcessorTransform)
    assert transform(noise(300, 200)).shape == (56, 56, 3)
    unscaled = CLIPImageProcessorPil(do_rescale=False, do_normalize=False)
    assert normalisation_of(unscaled).scale == 1
    assert normalisation_of(unscaled).std == (1, 1, 1)


def test_a_transform_travels_without_the_model(tmp_path: Path) -> None:
    encoder = TowerEncoder(str(make_clip(tmp_path / "clip")), device="cpu")
    sent = pickle.dumps(encoder.preprocess)
    assert len(sent) < 1000
    np.testing.assert_array_equal(pickle.loads(sent)(noise(99, 77)), encoder.preprocess(noise(99, 77)))  # noqa: S301
