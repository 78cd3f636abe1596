"""What holds for every decoder that maximises an expected utility."""

from unittest import mock

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from geocell.decoders import utility
from geocell.decoders.base import LocationData, PartitionData
from geocell.decoders.table import as_decoder
from geocell.decoders.utility import UtilityDecoder
from geocell.geo.geodesy import distance_km

SPECS = ("medoid", "geoscore", "balscore", "balscore:0.05,0.4,0.9")
OTHERS = (*SPECS, "centroid", "mean", "within:25", "within:200", "within:750")
SHARES = {25: 0.3, 200: 0.5, 750: 0.8}


def world(seed: int, cells: int) -> tuple[PartitionData, NDArray[np.float32]]:
    """Return cells in a region of random size, so that some lie within every radius, and some posteriors."""
    rng = np.random.default_rng(seed)
    spread = rng.choice([0.5, 5.0, 40.0])
    centroids = np.stack((rng.uniform(0, spread, cells), rng.uniform(0, 2 * spread, cells)), axis=1)
    posterior = rng.dirichlet(np.full(cells, rng.choice([0.1, 1.0])), 9).astype(np.float32)
    return PartitionData(centroids, shares=SHARES), posterior


def expectations(decoder: UtilityDecoder, data: PartitionData, p: NDArray[np.float32], points: NDArray[np.float64]):  # noqa: ANN201
    """Return the (P,) expected utility of (P, 2) points, one point after the other."""
    return np.array(
        [
            row.astype(np.float64) @ decoder.utility(distance_km(point, data.centroids), data)
            for row, point in zip(p, points, strict=True)
        ]
    )


@pytest.mark.parametrize("spec", SPECS)
class TestEveryUtility:
    @settings(deadline=None, max_examples=25)
    @given(seed=st.integers(0, 10_000), cells=st.integers(1, 25))
    def test_no_other_decoder_expects_more(self, spec: str, seed: int, cells: int) -> None:
        data, p = world(seed, cells)
        decoder = as_decoder(spec)
        assert isinstance(decoder, UtilityDecoder)
        largest = abs(decoder.utility(np.array([0.0, 20_015.0]), data)).max()
        best = expectations(decoder, data, p, decoder.prepare(data)(p))
        for other in OTHERS:
            points = as_decoder(other).prepare(data)(p)
            if other == "mean":  # no candidate: the nearest centroid stands for it
                points = data.centroids[distance_km(points[:, None], data.centroids).argmin(axis=1)]
            assert (best >= expectations(decoder, data, p, points) - 2e-6 * largest).all()

    @settings(deadline=None, max_examples=25)
    @given(seed=st.integers(0, 10_000), cells=st.integers(1, 25))
    def test_it_is_the_best_of_all_centroids(self, spec: str, seed: int, cells: int) -> None:
        data, p = world(seed, cells)
        decoder = as_decoder(spec)
        assert isinstance(decoder, UtilityDecoder)
        largest = abs(decoder.utility(np.array([0.0, 20_015.0]), data)).max()
        every = np.stack(
            [expectations(decoder, data, p, np.broadcast_to(cell, (len(p), 2))) for cell in data.centroids], axis=1
        )
        found = expectations(decoder, data, p, decoder.prepare(data)(p))
        assert np.allclose(found, every.max(axis=1), atol=2e-6 * largest)

    def test_utilities_never_rise_with_the_distance(self, spec: str) -> None:
        decoder = as_decoder(spec)
        assert isinstance(decoder, UtilityDecoder)
        values = decoder.utility(np.linspace(0, 20_015, 5000), PartitionData(np.zeros((1, 2)), shares=SHARES))
        assert np.isfinite(values).all()
        assert (np.diff(values) <= 0).all()

    def test_many_cells_are_decoded_in_blocks(self, spec: str) -> None:
        data, p = world(3, 700)
        whole = as_decoder(spec).prepare(data)(p)
        with mock.patch.object(utility, "KEPT_CELLS", 100):
            assert np.array_equal(as_decoder(spec).prepare(data)(p), whole)

    def test_equals_are_won_by_the_most_probable_cell(self, spec: str) -> None:
        data = PartitionData(np.array([[0.0, 0.0], [0.0, 90.0], [0.0, 180.0], [0.0, -90.0]]), shares=SHARES)
        p = np.array([[0.2, 0.2, 0.4, 0.2], [0.25, 0.25, 0.25, 0.25]], dtype=np.float32)
        found = as_decoder(spec).prepare(data)(p, LocationData())
        assert found.tolist() == [[0.0, 180.0], [0.0, 0.0]]
