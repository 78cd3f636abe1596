"""The decoder `medoid`."""

import numpy as np

from geocell.decoders.base import PartitionData
from geocell.decoders.table import as_decoder


def test_the_middle_of_three_wins_though_it_is_the_least_probable() -> None:
    data = PartitionData(np.array([[0.0, 0.0], [0.0, 10.0], [0.0, 20.0]]))
    p = np.array([[0.4, 0.25, 0.35], [0.6, 0.2, 0.2]], dtype=np.float32)
    # expected degrees of the first row: 9.5, 7.5, 10.5; of the second, whose half lies at one end: 6, 8, 14
    assert as_decoder("medoid").prepare(data)(p).tolist() == [[0.0, 10.0], [0.0, 0.0]]
