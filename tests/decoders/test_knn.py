"""The decoder `knn`, against a plain loop."""

from dataclasses import replace

import numpy as np
import pytest

from geocell.decoders.base import LocationData, PartitionData
from geocell.decoders.knn import KNN
from geocell.decoders.table import as_decoder
from geocell.features.neighbour_masses import most_probable, neighbour_masses
from geocell.features.neighbours import NeighbourIndex
from geocell.geo.geodesy import distance_km
from tests.heads.test_head import make_head, world


def test_answers_the_candidate_of_the_largest_expected_gain() -> None:
    head, asked = make_head(), world(1)
    index = NeighbourIndex.from_locations(head, world())
    decoder = KNN(3, 0.1, 0.4, 12, 0.2, 0.5, 0.9)
    features, posterior = asked.mean_features(), head.posterior(asked, "cpu")
    data = PartitionData(head.partition.centroids, neighbours=index)
    points = decoder.prepare(data)(posterior, LocationData(features=lambda: features))
    found, cosines = index.nearest(features, 12, most_probable(posterior, 3))
    mass = neighbour_masses(posterior, index.cells[found], cosines, 0.1, 0.4)
    weights = ((25, 0.2), (200, 0.5), (750, 0.9))
    for i, places in enumerate(found):
        latlon = index.latlon[places]
        gains = []
        for j, one in enumerate(latlon):
            km = [float(distance_km(one[None], other[None])[0]) for other in latlon]
            worth = [sum((d <= radius) / reached for radius, reached in weights) for d in km]
            gain = sum(m * value for m, value in zip(mass[i], worth, strict=True))
            gains.append(gain if np.isfinite(cosines[i, j]) else -np.inf)
        answered = np.flatnonzero((latlon == points[i]).all(axis=1))[0]
        assert gains[answered] == pytest.approx(max(gains), abs=1e-9)


def test_needs_an_index() -> None:
    with pytest.raises(ValueError, match="needs an index of training features: `geocell calibrate"):
        make_head().prepare("knn")


def test_is_written_with_its_parameters_and_refuses_bad_ones() -> None:
    decoder = KNN(10, 0.05, 0.3, 64)
    assert as_decoder(decoder.spec) == decoder
    for bad in ("knn:0", "knn:5,0", "knn:5,0.1,2", "knn:5,0.1,0.5,0", "knn:5,0.1,0.5,9,0.9,0.5,0.6"):
        with pytest.raises(ValueError, match="decode knn needs"):
            as_decoder(bad)


def test_a_head_with_an_index_answers_training_locations_by_themselves() -> None:
    head = make_head()
    known = replace(head, neighbours=NeighbourIndex.from_locations(head, world()))
    ((_, _, points),) = known.answer_chunks(world(), "knn:6,0.0001,0,40", "cpu")
    assert np.array_equal(points, world().latlon)
    empty = world().take(np.empty(0, np.int64))
    assert list(known.answer_chunks(empty, "knn", "cpu")) == []
