"""Pooling of posteriors over different cells, against loops over candidates."""

from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from geocell.features.neighbours import NeighbourIndex
from geocell.heads.pooling import Pooling, Rule, Spread, Vote, pooled, vote_weights, voted
from tests.worlds import make_locations

K = 9


def posterior(rng: np.random.Generator, n_cells: int, n: int = 5) -> np.ndarray:
    return rng.dirichlet(np.full(n_cells, 0.3), n).astype(np.float32)


@given(st.integers(0, 200))
def test_a_spread_keeps_the_mass_and_shares_it_over_places(seed: int) -> None:
    rng = np.random.default_rng(seed)
    cells, places, n_cells = rng.integers(0, 4, K), rng.integers(1, 5, K), 6  # cells 4 and 5 have no candidate
    nearest = rng.integers(0, K, n_cells)
    p = posterior(rng, n_cells)
    mass = Spread.of(cells, places, n_cells, nearest)(p)
    expected = np.zeros((len(p), K))
    for cell in range(n_cells):
        inside = np.flatnonzero(cells == cell)
        if len(inside) == 0:
            expected[:, nearest[cell]] += p[:, cell]
        for k in inside:
            expected[:, k] += p[:, cell] * places[k] / places[inside].sum()
    assert mass == pytest.approx(expected, abs=1e-6)
    assert mass.sum(axis=1) == pytest.approx(np.ones(len(p)), abs=1e-5)


@given(st.integers(0, 200), st.sampled_from(["linear", "log"]))
def test_pools_are_those_of_their_formulas(seed: int, rule: Rule) -> None:
    rng = np.random.default_rng(seed)
    places, weights = rng.integers(1, 5, K), rng.dirichlet(np.ones(3))
    masses = [0.99 * posterior(rng, K) + np.float32(0.01 / K) for _ in range(3)]
    found = pooled(zip(masses, weights, strict=True), places, rule)
    expected = np.zeros(found.shape)
    for i, k in product(range(len(found)), range(K)):
        densities = [mass[i, k] / places[k] for mass in masses]
        terms = zip(weights, densities, strict=True)
        expected[i, k] = places[k] * (
            sum(w * d for w, d in terms) if rule == "linear" else np.prod([d**w for w, d in terms])
        )
    expected /= expected.sum(axis=1, keepdims=True)
    assert found == pytest.approx(expected, rel=1e-3, abs=1e-6)


def test_equal_parts_are_their_pool() -> None:
    p = posterior(np.random.default_rng(0), K)
    for rule in ("linear", "log"):
        assert pooled([(p, 0.3), (p, 0.7)], np.ones(K, np.int64), rule) == pytest.approx(p, abs=1e-5)


def test_a_member_that_is_sure_of_another_cell_is_no_veto() -> None:
    sure, open_ = np.zeros((1, 2), np.float32), np.full((1, 2), 0.5, np.float32)
    sure[0, 0] = 1
    found = pooled([(sure, 0.5), (open_, 0.5)], np.ones(2, np.int64), "log")
    assert found[0, 1] > 0


def make_index(rng: np.random.Generator, n: int) -> NeighbourIndex:
    locations = make_locations(np.zeros((n, 2)), rng.normal(size=(n, 6)))
    cells = np.append(np.arange(K), rng.integers(0, K, n - K))
    return NeighbourIndex(
        _unit(locations.mean_features()), locations.latlon, cells, np.zeros(6, np.float32), None, locations.encoder, "x"
    )


def _unit(features: np.ndarray) -> np.ndarray:
    return (features / np.linalg.norm(features, axis=1, keepdims=True)).astype(np.float16)


@pytest.mark.parametrize("k", [1, 7, 20, 50])
def test_votes_are_sums_over_locations(k: int) -> None:
    rng = np.random.default_rng(k)
    index, places = make_index(rng, 20), rng.integers(1, 4, K)
    features = rng.normal(size=(4, 6)).astype(np.float32)
    found = vote_weights(index, index.nearest(features, k), 0.1, places)
    _, cosines = index.nearest(features, 20)
    order = index.nearest(features, 20)[0]
    for i in range(4):
        power = np.exp((cosines[i] - cosines[i, 0]) / 0.1)
        power[k:] = power[min(k, 20) - 1]  # at most that of the k-th
        expected = [power[index.cells[order[i]] == c].sum() / places[c] for c in range(K)]
        assert found[i] == pytest.approx(expected, rel=1e-4)


def test_a_vote_is_mixed_with_the_pool() -> None:
    rng = np.random.default_rng(0)
    p, votes = posterior(rng, K), rng.random((5, K)).astype(np.float32)
    product_ = p * votes / (p * votes).sum(axis=1, keepdims=True)
    assert voted(p, votes, 0.25) == pytest.approx(0.25 * p + 0.75 * product_, abs=1e-6)
    assert voted(p, votes, 1.0) == pytest.approx(p)
    assert voted(p, np.zeros_like(p), 0.0) == pytest.approx(p)


def test_a_pooling_is_read_as_written() -> None:
    for pooling in (Pooling("log", (0.25, 0.75)), Pooling.equal(3, "linear", Vote(0.05, 0.3, 17))):
        assert Pooling.from_dict(pooling.to_dict(), "here") == pooling


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"pool": "best"}, "pool must be one of linear, log, got 'best'"),
        ({"weights": [0.5, 0.6]}, "weights must be from 0 to 1 and sum to 1, got 0.5, 0.6"),
        ({"weights": [1.5, -0.5]}, "weights must be from 0 to 1"),
        ({"weights": ["a", 1.0]}, "must have a number as '0'"),
        ({"knn": {"temperature": 0.0, "share": 0.5, "k": 5}}, "a vote needs a temperature above 0"),
        ({"knn": {"temperature": 0.1, "share": 2.0, "k": 5}}, "a share from 0 to 1"),
        ({"knn": {"temperature": 0.1, "share": 0.5, "k": 0}}, "k from 1 to 4096"),
        ({"knn": {"temperature": 0.1}}, "must have 'share'"),
    ],
)
def test_what_is_no_pooling(change: dict[str, object], words: str) -> None:
    value = {**Pooling("linear", (0.5, 0.5)).to_dict(), **change}
    with pytest.raises(ValueError, match=words):
        Pooling.from_dict(value, "a file")
