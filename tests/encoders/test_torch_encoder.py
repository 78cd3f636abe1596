"""The base of the built-in encoders."""

import numpy as np
import pytest
import torch

from geocell.encoders import Encoder
from geocell.encoders.info import EncoderInfo
from geocell.encoders.torch_encoder import TorchEncoder
from geocell.images.transforms import Normalisation
from tests.encoding.tiny import SMALL

MEAN, STD = (0.4, 0.5, 0.6), (0.2, 0.25, 0.5)


class Channels(TorchEncoder):
    """The mean of every channel, times a weight."""

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        assert pixels.shape[1:] == (3, 16, 16)
        assert not torch.is_grad_enabled()
        return pixels.mean((2, 3)) * self.model.weight[0]


def channels(dtype: torch.dtype = torch.float32) -> Channels:
    model = torch.nn.Linear(3, 1)
    model.weight.data = torch.tensor([[1.0, 2.0, -1.0]])
    info = EncoderInfo("channels", "1", "mean", 3, 16, "none")
    return Channels(model, info, SMALL, Normalisation(1 / 255, MEAN, STD), device="cpu", dtype=dtype)


@pytest.fixture
def pixels() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (5, 16, 16, 3), dtype=np.uint8)


def test_bytes_are_normalised_as_the_model_expects(pixels: np.ndarray) -> None:
    expected = ((pixels.astype(np.float64) / 255 - MEAN) / STD).mean((1, 2)) * (1, 2, -1)
    features = channels()(pixels)
    assert features.dtype == np.float32
    np.testing.assert_allclose(features, expected, rtol=1e-4, atol=1e-5)


def test_a_started_batch_is_the_call(pixels: np.ndarray) -> None:
    encoder = channels()
    assert isinstance(encoder, Encoder)
    np.testing.assert_array_equal(encoder.start(pixels)(), encoder(pixels))


def test_the_model_is_frozen_and_its_arithmetic_recorded(pixels: np.ndarray) -> None:
    half, full = channels(torch.bfloat16), channels()
    assert not any(parameter.requires_grad for parameter in half.model.parameters())
    assert not half.model.training
    assert {parameter.dtype for parameter in half.model.parameters()} == {torch.bfloat16}
    assert (half.info.dtype, full.info.dtype) == ("bfloat16", "float32")
    features = half(pixels)
    assert features.dtype == np.float32
    np.testing.assert_allclose(features, full(pixels), rtol=0.05, atol=0.02)


def test_a_subclass_selects_the_tensor(pixels: np.ndarray) -> None:
    base = TorchEncoder(
        torch.nn.Linear(3, 1), EncoderInfo("x", "1", "mean", 3, 16, "none"), SMALL, Normalisation(1.0, MEAN, STD),
        device="cpu", dtype=torch.float32,
    )  # fmt: skip
    with pytest.raises(NotImplementedError):
        base(pixels)
