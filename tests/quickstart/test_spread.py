import numpy as np
import pytest

from geocell.encoders import LITE0, Encoder, load_encoder
from geocell.encoders.protocol import starter
from geocell.quickstart.spread import PIECE, SpreadEncoder


class Counting:
    """An encoder of two numbers that notes how many images came at once."""

    info = None

    def __init__(self) -> None:
        self.sizes: list[int] = []

    def preprocess(self, image: object) -> None:
        raise NotImplementedError

    def __call__(self, pixels: np.ndarray) -> np.ndarray:
        self.sizes.append(len(pixels))
        return pixels.reshape(len(pixels), -1)[:, :2].astype(np.float32)


@pytest.mark.parametrize("n", [1, PIECE, 2 * PIECE + 3])
def test_pieces_are_joined_in_order(n: int) -> None:
    encoder, pixels = Counting(), np.arange(n * 12, dtype=np.uint8).reshape(n, 2, 2, 3)
    features = SpreadEncoder(encoder)(pixels)
    np.testing.assert_array_equal(features, pixels.reshape(n, 12)[:, :2])
    assert sum(encoder.sizes) == n
    assert max(encoder.sizes) <= PIECE


def test_features_are_those_of_the_encoder() -> None:
    encoder = load_encoder(LITE0, device="cpu")
    spread = SpreadEncoder(encoder)
    pixels = np.random.default_rng(0).integers(0, 256, (PIECE + 2, 224, 224, 3), dtype=np.uint8)
    np.testing.assert_allclose(spread(pixels), encoder(pixels), atol=1e-4)
    np.testing.assert_array_equal(starter(spread)(pixels)(), spread(pixels))
    assert isinstance(spread, Encoder)
    assert spread.info == encoder.info
    assert spread.preprocess is encoder.preprocess
