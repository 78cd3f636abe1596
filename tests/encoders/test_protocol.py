"""The protocol of encoders."""

from collections.abc import Callable

import numpy as np
import pytest

from geocell.encoders.protocol import Encoder, starter
from tests.encoding.tiny import SMALL, TinyEncoder


def test_an_encoder_of_ones_own_needs_three_things() -> None:
    assert isinstance(TinyEncoder(), Encoder)


def test_what_lacks_a_member_is_no_encoder() -> None:
    assert not isinstance(SMALL, Encoder)


class Early(TinyEncoder):
    """An encoder whose batches start early."""

    def start(self, pixels: np.ndarray) -> Callable[[], np.ndarray]:
        return lambda: np.full((len(pixels), 8), 7, np.float32)


class Overridden(Early):
    """One whose call was replaced below that start."""

    def __call__(self, pixels: np.ndarray) -> np.ndarray:
        return np.full((len(pixels), 8), 9, np.float32)


@pytest.mark.parametrize(("encoder", "value"), [(Early(), 7), (Overridden(), 9)])
def test_a_batch_is_started_by_whichever_is_defined_last(encoder: Encoder, value: int) -> None:
    features = starter(encoder)(np.zeros((3, 16, 16, 3), np.uint8))()
    assert features.tolist() == np.full((3, 8), value).tolist()


def test_an_encoder_without_start_is_called() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (2, 16, 16, 3), dtype=np.uint8)
    np.testing.assert_array_equal(starter(TinyEncoder())(pixels)(), TinyEncoder()(pixels))
