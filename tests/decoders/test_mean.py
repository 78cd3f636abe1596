"""The mean on the sphere."""

import numpy as np
import pytest

from geocell.decoders.table import decode
from geocell.geo.geodesy import distance_km


def test_crosses_the_antimeridian() -> None:
    points = decode("mean", [[0.5, 0.5]], [[0.0, 179.9], [0.0, -179.9]])
    assert distance_km(points, [[0.0, 180.0]])[0] < 0.001


def test_antipodes_fall_back_to_the_most_probable_centroid() -> None:
    antipodes = [[10.0, 20.0], [-10.0, -160.0]]
    assert decode("mean", np.array([[0.5, 0.5]], np.float32), antipodes).tolist() == [[10.0, 20.0]]


def test_lies_between_and_centroid_does_not() -> None:
    cells = [[0.0, 0.0], [0.0, 10.0]]
    assert decode("mean", [[0.5, 0.5]], cells)[0] == pytest.approx([0.0, 5.0])
    assert decode("centroid", [[0.4, 0.6]], cells)[0] == pytest.approx([0.0, 10.0])
