"""Scores of how unlike the training locations a location is, against slow ones."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.distance import mahalanobis as scipy_mahalanobis
from scipy.special import logsumexp
from scipy.stats import entropy as scipy_entropy
from scipy.stats import mannwhitneyu

from geocell.uncertainty import out_of_region as module
from geocell.uncertainty.moments import streamed_moments
from geocell.uncertainty.out_of_region import (
    angle_to_subspace,
    auroc,
    energy,
    entropy,
    largest_probability,
    mahalanobis,
    neighbour_distance,
    precision,
    principal_components,
    subspace_residual,
)

SIZES = np.array([5.0, 3.0, 1.0, 0.5, 0.1])


def drawn(n: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(n, 5)) * SIZES + 2.0


def rotation(seed: int) -> np.ndarray:
    return np.linalg.qr(np.random.default_rng(seed).normal(size=(5, 5)))[0]


@pytest.fixture(autouse=True)
def _small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_ROWS", 7)


@pytest.mark.parametrize("variance", [0.5, 0.9, 0.97, 0.999999])
def test_the_subspace_is_that_of_an_svd(variance: float) -> None:
    train, asked = drawn(60), drawn(20, 1)
    moments = streamed_moments([train])
    components = principal_components(moments, variance)
    _, values, vectors = np.linalg.svd(train - train.mean(axis=0))
    held = np.cumsum(values**2) / (values**2).sum()
    k = min(next(i for i, share in enumerate(held, start=1) if share >= variance), 4)
    assert components.shape == (k, 5)
    assert components.dtype == np.float32
    assert components @ components.T == pytest.approx(np.eye(k), abs=1e-5)
    residual = subspace_residual(asked, moments.mean, components)
    angle = angle_to_subspace(asked, moments.mean, components)
    for i, x in enumerate(asked - train.mean(axis=0)):
        outside = sum(float(v @ x) ** 2 for v in vectors[k:]) ** 0.5
        assert residual[i] == pytest.approx(outside, abs=1e-5)
        assert angle[i] == pytest.approx(outside / float(x @ x) ** 0.5, abs=1e-5)


@given(
    seed=st.integers(0, 1000),
    scale=st.floats(0.01, 100),
    shift=st.lists(st.floats(-50, 50), min_size=5, max_size=5),
)
def test_the_angle_is_the_same_in_rotated_scaled_and_shifted_features(
    seed: int, scale: float, shift: list[float]
) -> None:
    def ask(train: np.ndarray, asked: np.ndarray) -> np.ndarray:
        moments = streamed_moments([train])
        return angle_to_subspace(asked, moments.mean, principal_components(moments, 0.9))

    train, asked, turn = drawn(60, seed), drawn(9, seed + 1), rotation(seed)
    found = ask(train, asked)
    assert ((found >= 0) & (found <= 1)).all()
    assert ask(scale * train @ turn + shift, scale * asked @ turn + shift) == pytest.approx(found, abs=1e-4)


def test_inside_the_subspace_is_0_and_across_it_is_1() -> None:
    train = np.zeros((40, 3))
    train[:, 0] = np.random.default_rng(0).normal(size=40)
    train[:, 0] -= train[:, 0].mean()
    moments = streamed_moments([train])
    components = principal_components(moments, 0.9)
    asked = np.array([[7.0, 0, 0], [0, 2, 0], [0, 0, -3], [1, 1, 0], [0, 0, 0]])
    assert angle_to_subspace(asked, moments.mean, components) == pytest.approx([0, 1, 1, 0.5**0.5, 0], abs=1e-6)
    assert subspace_residual(asked, moments.mean, components) == pytest.approx([0, 2, 3, 1, 0], abs=1e-6)


def test_mahalanobis_is_the_least_of_a_loop() -> None:
    train, asked = drawn(60), drawn(15, 1)
    means = drawn(4, 2)
    inverse = precision(streamed_moments([train]), 0.2)
    covariance = np.cov(train.T, bias=True)
    shrunk = 0.8 * covariance + 0.2 * np.trace(covariance) / 5 * np.eye(5)
    assert inverse == pytest.approx(np.linalg.inv(shrunk))
    found = mahalanobis(asked, means, inverse)
    for i, x in enumerate(asked):
        assert found[i] == pytest.approx(min(scipy_mahalanobis(x, m, inverse) ** 2 for m in means))
    assert mahalanobis(means, means, inverse) == pytest.approx(np.zeros(4), abs=1e-9)


def test_a_covariance_of_few_locations_has_an_inverse() -> None:
    moments = streamed_moments([np.random.default_rng(0).normal(size=(3, 50))])
    inverse = precision(moments)
    assert np.isfinite(np.linalg.cholesky(inverse)).all()


def test_scores_of_posteriors_and_logits() -> None:
    rng = np.random.default_rng(0)
    logits = rng.normal(size=(20, 6)) * 5
    posterior = np.exp(logits - logsumexp(logits, axis=1, keepdims=True))
    posterior[0] = [1, 0, 0, 0, 0, 0]
    assert entropy(posterior) == pytest.approx(scipy_entropy(posterior, axis=1))
    assert largest_probability(posterior) == pytest.approx(1 - posterior.max(axis=1))
    assert energy(logits) == pytest.approx(-logsumexp(logits, axis=1))
    assert energy(logits, 2.5) == pytest.approx(-2.5 * logsumexp(logits / 2.5, axis=1))
    assert neighbour_distance([[0.9, 0.5], [0.2, -1.0]]) == pytest.approx([0.5, 2.0])


@given(
    a=st.lists(st.integers(0, 5), min_size=1, max_size=12),
    b=st.lists(st.integers(0, 5), min_size=1, max_size=12),
)
def test_auroc_counts_pairs(a: list[int], b: list[int]) -> None:
    pairs = [1.0 if y > x else 0.5 if y == x else 0.0 for x in a for y in b]
    assert auroc(a, b) == pytest.approx(np.mean(pairs))
    assert auroc(a, b) == pytest.approx(mannwhitneyu(b, a).statistic / (len(a) * len(b)))
    assert auroc(b, a) == pytest.approx(1 - auroc(a, b))


def test_what_tells_nothing_is_refused() -> None:
    alike = streamed_moments([np.ones((9, 3))])
    with pytest.raises(ValueError, match="these are all alike"):
        principal_components(alike, 0.9)
    with pytest.raises(ValueError, match="features that differ and a ridge between 0 and 1"):
        precision(alike)
    with pytest.raises(ValueError, match=r"share of the variance must be between 0 and 1, got 1\."):
        principal_components(streamed_moments([drawn(9)]), 1.0)
