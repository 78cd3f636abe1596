"""Conformal sets of cells: their scores, their coverage, and MAPIE beside them."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import softmax

from geocell.partitioners.base import OUTSIDE
from geocell.uncertainty.cell_sets import METHODS, Method, conformal_set, first_cells, set_scores, uniform_of
from geocell.uncertainty.conformal import conformal_quantile

AREAS = np.array([1.0, 4.0, 2.0, 8.0, 1.0, 3.0])


def drawn(n: int, n_cells: int, seed: int, sure: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    """Return a posterior, and cells drawn from what it is at a temperature."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(0, 2.0, (n, n_cells))
    right = softmax(logits / sure, axis=1)
    return softmax(logits, axis=1).astype(np.float32), (right.cumsum(axis=1) > rng.random((n, 1))).argmax(axis=1)


@pytest.mark.parametrize("method", METHODS)
@given(
    row=st.lists(st.integers(0, 9), min_size=6, max_size=6).filter(any),
    q=st.floats(0, 1),
    u=st.floats(0, 1),
)
def test_a_set_has_the_cells_whose_score_is_at_most_its_threshold(
    method: Method, row: list[int], q: float, u: float
) -> None:
    p = np.array(row) / sum(row)
    scores = set_scores(np.tile(p, (6, 1)), np.arange(6), method, AREAS, np.full(6, u))
    found = conformal_set(p, method, q, AREAS, u)
    clear = np.abs(scores - q) > 1e-9  # sums in another order differ in the last digit
    assert np.isin(np.arange(6), found)[clear].tolist() == (scores <= q)[clear].tolist()
    assert len(conformal_set(p, method, 1.0, AREAS, u)) == 6
    if len(found):
        assert found[0] == first_cells(p[None], method, AREAS)[0]


def test_scores_by_hand() -> None:
    posterior, cells, u = np.tile([0.5, 0.3, 0.2], (3, 1)), np.array([0, 1, 2]), np.array([0.5, 0.0, 1.0])
    areas = np.array([10.0, 1.0, 1.0])
    assert set_scores(posterior, cells, "lac", areas, u) == pytest.approx([0.5, 0.7, 0.8])
    assert set_scores(posterior, cells, "aps", areas, u) == pytest.approx([0.25, 0.5, 1.0])
    assert set_scores(posterior, cells, "hpd", areas, u) == pytest.approx([0.75, 0.0, 0.5])
    assert set_scores(posterior[:1], np.array([OUTSIDE]), "hpd", areas, u).tolist() == [np.inf]


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(("nominal", "low", "high"), [(0.5, 0.48, 0.52), (0.9, 0.88, 0.92)])
def test_holds_the_truth_as_often_as_asked_for(method: Method, nominal: float, low: float, high: float) -> None:
    """On average over calibrations, with a head that is far too sure; some locations are outside every cell."""
    rng = np.random.default_rng(3)
    areas = rng.gamma(1.0, 1000.0, 20)
    covered = []
    for seed in range(60):
        posterior, cells = drawn(400, 20, seed, sure=2.5)
        cells[rng.random(400) < 0.03] = OUTSIDE
        scores = set_scores(posterior, cells, method, areas, rng.random(400))
        covered.append((scores[100:] <= conformal_quantile(scores[:100], nominal)).mean())
    assert low <= np.mean(covered) <= high


def test_the_set_by_density_is_the_smallest_and_that_by_probability_has_the_fewest_cells() -> None:
    posterior, cells = drawn(3000, 20, 0)
    rng = np.random.default_rng(1)
    areas, u = rng.gamma(0.7, 1000.0, 20), rng.random(3000)
    sizes, km2 = {}, {}
    for method in METHODS:
        q = conformal_quantile(set_scores(posterior[:1500], cells[:1500], method, areas, u[:1500]), 0.9)
        sets = [conformal_set(row, method, q, areas, v) for row, v in zip(posterior[1500:], u[1500:], strict=True)]
        sizes[method], km2[method] = np.mean([len(s) for s in sets]), np.mean([areas[s].sum() for s in sets])
    assert min(sizes, key=sizes.__getitem__) == "lac"
    assert km2["hpd"] < 0.95 * km2["aps"]


class Known:
    """A classifier whose probabilities are its inputs, for MAPIE."""

    def __init__(self, n_cells: int) -> None:
        self.classes_ = np.arange(n_cells)
        self.is_fitted_ = True

    def fit(self, x: np.ndarray, y: np.ndarray) -> "Known":  # noqa: ARG002
        return self

    def predict_proba(self, x: np.ndarray) -> np.ndarray:
        return x

    def predict(self, x: np.ndarray) -> np.ndarray:
        return x.argmax(axis=1)

    def __sklearn_is_fitted__(self) -> bool:
        return True


@pytest.mark.parametrize("method", ["lac", "aps"])
@pytest.mark.parametrize("nominal", [0.5, 0.9])
def test_mapie_makes_the_same_sets(method: Method, nominal: float) -> None:
    mapie = pytest.importorskip("mapie.classification")
    posterior, cells = drawn(600, 8, 7, sure=2.0)
    posterior = posterior.astype(np.float64)
    theirs = mapie.SplitConformalClassifier(Known(8), nominal, method, prefit=True, random_state=0)
    theirs.conformalize(posterior[:200], cells[:200])
    drawing = {} if method == "lac" else {"conformity_score_params": {"include_last_label": "randomized"}}
    _, sets = theirs.predict_set(posterior[200:], **drawing)
    # MAPIE takes a share u away from the sum with the cell, where here a share u of the cell is added
    u_known, u_asked = (1.0 - np.random.RandomState(0).uniform(size=n) for n in (200, 400))
    q = conformal_quantile(set_scores(posterior[:200], cells[:200], method, np.ones(8), u_known), nominal)
    own = np.zeros((400, 8), dtype=bool)
    for i, (row, u) in enumerate(zip(posterior[200:], u_asked, strict=True)):
        own[i, conformal_set(row, method, q, np.ones(8), u)] = True
    assert np.array_equal(own, sets[:, :, 0])


def test_the_random_number_of_a_location_is_its_own_for_ever() -> None:
    ids = [f"loc{i}" for i in range(20_000)]
    u = uniform_of(ids)
    assert uniform_of(ids[:3]).tolist() == u[:3].tolist()
    assert np.histogram(u, 10, (0, 1))[0] == pytest.approx(np.full(10, 2000), abs=200)
    assert len(set(u.tolist())) == 20_000
    assert 0 <= uniform_of(["a\udc80"])[0] < 1  # a file name that is no UTF-8
