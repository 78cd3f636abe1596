"""The decoder `geoscore`."""

import numpy as np
import pytest

from geocell.decoders.base import PartitionData
from geocell.decoders.geoscore import GeoScore
from geocell.decoders.table import as_decoder

DATA = PartitionData(np.array([[0.0, 0.0], [0.0, 10.0], [0.0, 20.0], [0.0, 100.0]]))


def test_utility_is_the_score_of_the_game() -> None:
    found = 5000 * GeoScore().utility(np.array([0.0, 100.0, 1492.7, 20_000.0]), DATA)
    assert found == pytest.approx([5000.0, 4676.0, 5000 / np.e, 0.0076], rel=2e-3)


def test_far_cells_count_little() -> None:
    p = np.array([[0.2, 0.25, 0.2, 0.35]], dtype=np.float32)
    # 0.25 + 0.4 exp(-1112 / 1492.7) = 0.44 in the middle of the three, 0.35 at the fourth, which draws the medoid
    assert as_decoder("geoscore").prepare(DATA)(p).tolist() == [[0.0, 10.0]]
    assert as_decoder("centroid").prepare(DATA)(p).tolist() == [[0.0, 100.0]]
    assert as_decoder("medoid").prepare(DATA)(p).tolist() == [[0.0, 20.0]]
