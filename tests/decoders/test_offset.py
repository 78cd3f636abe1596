"""The decoder offset."""

import numpy as np
import pytest

from geocell.decoders.base import LocationData, PartitionData
from geocell.decoders.offset import Offset
from geocell.decoders.table import decode
from geocell.geo.geodesy import EARTH_RADIUS_KM, distance_km
from tests.decoders.test_contract import CENTROIDS, posteriors


@pytest.mark.parametrize("shape", [(1, 2), (7, 1), (14,)])
def test_offsets_are_one_per_location(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"offsets \(P, 2\), one per location, got \(.*\) for 7"):
        decode("offset", posteriors(7), CENTROIDS, np.zeros(shape))


def test_the_most_probable_centroid_is_moved_by_its_offset() -> None:
    centroids = np.array([[0.0, 10.0], [0.0, 20.0]])
    prepared = Offset().prepare(PartitionData(centroids))
    asked: list[list[int]] = []

    def offsets(cells: np.ndarray) -> np.ndarray:
        asked.append(cells.tolist())
        return np.array([[0.0, 0.0], [0.0, 100.0], [100.0, 0.0]])

    found = prepared([[0.9, 0.1], [0.1, 0.9], [0.2, 0.8]], LocationData(offsets_km=offsets))
    assert asked == [[0, 1, 1]]
    assert found[0].tolist() == [0.0, 10.0]
    assert distance_km(found, centroids[[0, 1, 1]]) == pytest.approx([0, 100, 100])
    assert found[1].tolist() == pytest.approx([np.degrees(100 / EARTH_RADIUS_KM), 20.0])  # north
    assert found[2].tolist() == pytest.approx([0.0, 20.0 + np.degrees(100 / EARTH_RADIUS_KM)])  # east
