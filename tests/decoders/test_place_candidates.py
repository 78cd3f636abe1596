"""Training places as candidates, against brute force."""

from collections.abc import Callable
from unittest import mock

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from geocell.decoders import place_candidates as module
from geocell.decoders.base import PartitionData
from geocell.decoders.place_candidates import Candidates, most_places
from geocell.decoders.table import as_decoder
from geocell.decoders.utility import UtilityDecoder
from geocell.features.neighbours import NeighbourIndex
from geocell.features.training_places import TrainingPlaces
from geocell.geo.geodesy import distance_km
from tests.worlds import INFO

SPECS = ("medoid", "geoscore", "balscore", "balscore:0.05,0.4,0.9", "within:25", "within:200", "within:750")
SHARES = {25: 0.3, 200: 0.5, 750: 0.8}


def world(seed: int, cells: int) -> tuple[PartitionData, NDArray[np.float32]]:
    """Return cells with no to several training places, some of them shared, and some posteriors."""
    rng = np.random.default_rng(seed)
    spread = rng.choice([0.5, 5.0, 40.0])
    centroids = np.stack((rng.uniform(0, spread, cells), rng.uniform(0, 2 * spread, cells)), axis=1)
    of = rng.integers(cells, size=3 * cells)
    latlon = np.clip(centroids[of] + rng.normal(0, spread / 10, (len(of), 2)), -90, 90)
    latlon[1::4] = latlon[::4][: len(latlon[1::4])]
    posterior = rng.dirichlet(np.full(cells, rng.choice([0.1, 1.0])), 9).astype(np.float32)
    return PartitionData(centroids, shares=SHARES, places=TrainingPlaces.of(latlon, of, "")), posterior


def candidates_of(row: NDArray[np.float32], n_cells: int, data: PartitionData) -> tuple[NDArray, NDArray]:
    """Return the candidates of one location and their probabilities, by the definition."""
    assert data.places is not None
    latlon, mass = [], []
    for cell in sorted(range(len(row)), key=lambda c: -row[c])[:n_cells]:
        own = np.flatnonzero(data.places.cells == cell)
        if row[cell] == 0:
            continue
        latlon += list(data.places.latlon[own]) if len(own) else [data.centroids[cell]]
        counts = data.places.counts[own] if len(own) else np.ones(1)
        mass += list(float(row[cell]) * counts / counts.sum())
    return np.array(latlon), np.array(mass)


def expectation(utility: Callable, mass: NDArray, latlon: NDArray, point: NDArray) -> float:
    return float(mass @ utility(distance_km(point, latlon)))


@pytest.mark.parametrize("spec", SPECS)
@settings(deadline=None, max_examples=20)
@given(
    seed=st.integers(0, 10_000), cells=st.integers(1, 12), n_cells=st.integers(1, 14), chunk=st.sampled_from([2, 99])
)
def test_the_answer_is_the_best_of_all_candidates(spec: str, seed: int, cells: int, n_cells: int, chunk: int) -> None:
    data, p = world(seed, cells)
    separator = "," if ":" in spec else ":"
    decoder = as_decoder(f"{spec}{separator}places={n_cells}")
    assert isinstance(decoder, UtilityDecoder)
    largest = abs(decoder.utility(np.array([0.0, 20_015.0]), data)).max()
    with mock.patch.object(module, "_CHUNK", chunk), mock.patch.object(module, "_PAIRS", 7):
        points = decoder.prepare(data)(p)
    for row, point in zip(p, points, strict=True):
        latlon, mass = candidates_of(row, n_cells, data)
        assert (latlon == point).all(axis=1).any()
        values = [expectation(lambda km: decoder.utility(km, data), mass, latlon, one) for one in latlon]
        found = expectation(lambda km: decoder.utility(km, data), mass, latlon, point)
        assert found == pytest.approx(max(values), abs=3e-6 * largest)


@settings(deadline=None, max_examples=20)
@given(seed=st.integers(0, 10_000), cells=st.integers(1, 12), n_cells=st.integers(1, 8))
def test_no_other_decoder_expects_more_over_the_same_candidates(seed: int, cells: int, n_cells: int) -> None:
    data, p = world(seed, cells)
    decoders = [as_decoder(f"{spec}{',' if ':' in spec else ':'}places={n_cells}") for spec in SPECS]
    answers = [decoder.prepare(data)(p) for decoder in decoders]
    for own, decoder in zip(answers, decoders, strict=True):
        assert isinstance(decoder, UtilityDecoder)
        largest = abs(decoder.utility(np.array([0.0, 20_015.0]), data)).max()
        for i, row in enumerate(p):
            latlon, mass = candidates_of(row, n_cells, data)
            best = expectation(lambda km, d=decoder: d.utility(km, data), mass, latlon, own[i])
            for other in answers:
                assert (
                    best
                    >= expectation(lambda km, d=decoder: d.utility(km, data), mass, latlon, other[i]) - 3e-6 * largest
                )


@settings(deadline=None, max_examples=20)
@given(seed=st.integers(0, 10_000), cells=st.integers(2, 12), n_cells=st.integers(1, 11))
def test_the_probability_of_other_cells_is_left_out(seed: int, cells: int, n_cells: int) -> None:
    data, p = world(seed, cells)
    kept = np.where(p >= np.sort(p, axis=1)[:, -min(n_cells, cells), None], p, np.float32(0))
    for spec in SPECS:
        answer = as_decoder(f"{spec}{',' if ':' in spec else ':'}places={n_cells}").prepare(data)
        assert np.array_equal(answer(p), answer(kept))
    # the one place of the most probable cell, though the mean distance from the two others is less
    far = PartitionData(np.array([[0.0, 0.0], [0.0, 60.0], [0.0, 61.0]]), places=TrainingPlaces.of([[0, 0]], [0], ""))
    asked = np.array([[0.4, 0.3, 0.3]], dtype=np.float32)
    assert as_decoder("medoid:places=1").prepare(far)(asked).tolist() == [[0.0, 0.0]]
    assert as_decoder("medoid:places=3").prepare(far)(asked).tolist() == [[0.0, 60.0]]


def test_the_place_with_most_training_locations_wins_among_equals() -> None:
    latlon = np.array([[0.0, 0.0], [0.0, 1.0], [0.0, 1.0], [0.0, 50.0]])
    places = TrainingPlaces.of(latlon, [0, 0, 0, 1], "")
    data = PartitionData(np.array([[0.0, 0.5], [0.0, 50.0]]), places=places)
    p = np.array([[0.6, 0.4], [0.4, 0.6]], dtype=np.float32)
    for spec in ("within:25,places=2", "within:200,places=2", "geoscore:places=1"):
        assert as_decoder(spec).prepare(data)(p).tolist() == [[0.0, 1.0], [0.0, 50.0]]
    # 0.4 at each of two places is less than 0.6 within 25 km, and all 0.8 of them is more within 200 km
    three = PartitionData(data.centroids, places=TrainingPlaces.of(latlon[:2], [0, 0], ""))
    flat = np.array([[0.55, 0.45]], dtype=np.float32)
    assert as_decoder("within:25,places=2").prepare(three)(flat).tolist() == [[0.0, 50.0]]
    assert as_decoder("within:200,places=2").prepare(three)(flat).tolist() == [[0.0, 0.0]]


def test_cells_of_probability_0_have_no_candidate() -> None:
    centroids = np.array([[0.0, 0.0], [0.0, 4.0], [0.0, 8.0]])  # the middle one is within 750 km of both others
    data = PartitionData(centroids, places=TrainingPlaces.of(centroids, [0, 1, 2], ""))
    p = np.array([[0.5, 0.0, 0.5], [0.5, 0.1, 0.5]], dtype=np.float32)
    assert as_decoder("within:500,places=3").prepare(data)(p).tolist() == [[0.0, 0.0], [0.0, 4.0]]


def test_an_index_of_features_has_places_too() -> None:
    data, p = world(4, 8)
    assert data.places is not None
    latlon = np.repeat(data.places.latlon, data.places.counts, axis=0)
    cells = np.repeat(data.places.cells, data.places.counts)
    features = np.zeros((len(latlon), 8), np.float16)
    index = NeighbourIndex(features, latlon, cells, np.zeros(8, np.float32), None, INFO, "")
    decoder = as_decoder("balscore:places=5")
    known = PartitionData(data.centroids, shares=SHARES, neighbours=index)
    assert np.array_equal(decoder.prepare(known)(p), decoder.prepare(data)(p))
    assert index.places.sha256 == data.places.sha256
    with pytest.raises(ValueError, match=r"balscore:places=5 needs training places: `geocell calibrate … --places`"):
        decoder.prepare(PartitionData(data.centroids, shares=SHARES))


class TestCandidates:
    def test_few_places_are_all_kept(self) -> None:
        data, _ = world(2, 9)
        assert data.places is not None
        found = Candidates.of(data.places, data.centroids)
        for cell, (start, stop) in enumerate(zip(found.starts[:-1], found.starts[1:], strict=True)):
            own = data.places.cells == cell
            counts = data.places.counts[own]
            if not own.any():
                assert found.latlon[start:stop].tolist() == [data.centroids[cell].tolist()]
                continue
            assert {*map(tuple, found.latlon[start:stop])} == {*map(tuple, data.places.latlon[own])}
            assert np.sort(found.weights[start:stop]) == pytest.approx(np.sort(counts / counts.sum()))

    def test_many_places_are_represented_by_near_ones(self) -> None:
        rng = np.random.default_rng(0)
        latlon = np.stack((rng.uniform(45, 55, 4000), rng.uniform(0, 15, 4000)), axis=1)
        cells = np.repeat([0, 1], [3900, 100])
        with mock.patch.object(module, "_MOST_PAIRS", 1 << 12):  # 32 of each of two cells
            found = Candidates.of(TrainingPlaces.of(latlon, cells, ""), np.zeros((2, 2)))
            assert most_places(2) == 32
        assert found.starts.tolist() == [0, 32, 64]
        sums = np.add.reduceat(found.weights, found.starts[:-1])
        assert sums == pytest.approx([1.0, 1.0])
        assert found.weights[:32] == pytest.approx(np.full(32, 1 / 32), rel=0.02)
        away = distance_km(latlon[:3900, None], found.latlon[None, :32]).min(axis=1)
        assert away.mean() < 90  # of 1,100 km × 1,100 km in 32 parts, 190 km wide

    def test_the_number_per_cell_bounds_the_cost(self) -> None:
        assert [most_places(n) for n in (1, 64, 487, 1898, 5444, 10**6)] == [128, 128, 46, 23, 13, 8]
