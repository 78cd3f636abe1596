"""Loss terms: their values against independent references, and gradients that are right and finite everywhere."""

import math
from typing import Any

import mpmath
import numpy as np
import pytest
import torch

from geocell.geo.geodesy import EARTH_RADIUS_KM, unit_vectors
from geocell.training.losses import LossTerms, chord_distance_km, cross_entropy, fit_loss, posterior_mean_distance_km
from geocell.training.smoothed_targets import centroid_distances_km, near_targets

HALF_WAY_ROUND = math.pi * EARTH_RADIUS_KM


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("weighted", [False, True])
def test_cross_entropy_is_torchs(smoothing: float, weighted: bool) -> None:
    generator = torch.Generator().manual_seed(0)
    logits = (5 * torch.randn(50, 7, generator=generator, dtype=torch.float64)).requires_grad_()
    target = torch.randint(7, (50,), generator=generator)
    weights = torch.rand(7, generator=generator, dtype=torch.float64) if weighted else None
    ours = cross_entropy(torch.log_softmax(logits, 1), target, weights, smoothing)
    theirs = torch.nn.functional.cross_entropy(logits, target, weight=weights, label_smoothing=smoothing)
    assert ours.item() == pytest.approx(theirs.item(), rel=1e-12)
    gradients = [torch.autograd.grad(loss, logits)[0] for loss in (ours, theirs)]
    torch.testing.assert_close(gradients[0], gradients[1])


def exact_km(u: np.ndarray, v: np.ndarray) -> float:
    """The distance between the directions of two float64 vectors with 40 digits."""
    with mpmath.workdps(40):
        a, b = ([mpmath.mpf(float(x)) for x in w] for w in (u, v))
        length = [mpmath.sqrt(sum(x * x for x in w)) for w in (a, b)]
        dot = sum(x * y for x, y in zip(a, b, strict=True)) / (length[0] * length[1])
        cross = mpmath.sqrt(
            (a[1] * b[2] - a[2] * b[1]) ** 2 + (a[2] * b[0] - a[0] * b[2]) ** 2 + (a[0] * b[1] - a[1] * b[0]) ** 2
        ) / (length[0] * length[1])
        return float(mpmath.mpf(EARTH_RADIUS_KM) * mpmath.atan2(cross, dot))


def pair_at(km: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Two float64 unit vectors that are `km` apart on the ground, anywhere."""
    rng = np.random.default_rng(seed)
    u = rng.normal(size=3)
    u /= np.linalg.norm(u)
    side = np.cross(u, rng.normal(size=3))
    side /= np.linalg.norm(side)
    angle = km / EARTH_RADIUS_KM
    return u, np.cos(angle) * u + np.sin(angle) * side


DISTANCES = [0.001, 0.01, 0.1, 1, 10, 100, 1000, 5000, 10000, 15000, 19000, 20000, HALF_WAY_ROUND - 0.001]


@pytest.mark.parametrize("km", DISTANCES)
@pytest.mark.parametrize(("dtype", "tolerance_km"), [(torch.float32, 1e-3), (torch.float64, 1e-5)])
def test_distance_is_exact_from_a_metre_to_antipodes(km: float, dtype: torch.dtype, tolerance_km: float) -> None:
    for seed in range(20):
        u, v = pair_at(km, seed)
        got = chord_distance_km(torch.tensor(u, dtype=dtype), torch.tensor(v, dtype=dtype)).item()
        assert got == pytest.approx(exact_km(u, v), abs=tolerance_km)


def test_distance_is_zero_and_half_way_round_at_the_ends() -> None:
    u = torch.tensor(unit_vectors([[48.1, 11.5], [90.0, 0.0]]), dtype=torch.float32)
    assert chord_distance_km(u, u).tolist() == pytest.approx([0.0, 0.0], abs=1e-6)
    assert chord_distance_km(u, -u).tolist() == pytest.approx([HALF_WAY_ROUND] * 2)


HARD_PLACES = [
    ([48.1, 11.5], [48.1, 11.5]),
    ([48.1, 11.5], [-48.1, -168.5]),
    ([90.0, 0.0], [90.0, 0.0]),
    ([90.0, 0.0], [-90.0, 0.0]),
    ([90.0, 0.0], [89.99999, 120.0]),
    ([0.0, 180.0], [0.0, -180.0]),
    ([0.0, 0.0], [0.0, 1e-9]),
]


@pytest.mark.parametrize(("here", "there"), HARD_PLACES)
def test_gradients_are_finite_at_hard_places(here: list[float], there: list[float]) -> None:
    truth = torch.tensor(unit_vectors([there]), dtype=torch.float32)
    u = torch.tensor(unit_vectors([here]), dtype=torch.float32, requires_grad=True)
    chord_distance_km(u, truth).sum().backward()
    assert u.grad is not None
    assert torch.isfinite(u.grad).all()
    # The posterior mean: all on the one cell, and torn between a cell and its antipode.
    centroids = torch.cat((u.detach(), -u.detach()))
    for row in ([200.0, -200.0], [0.0, 0.0], [0.0, 1e-6]):
        logits = torch.tensor([row], requires_grad=True)
        distance = posterior_mean_distance_km(torch.softmax(logits, 1), centroids, truth)
        distance.sum().backward()
        assert 0 <= distance.item() <= HALF_WAY_ROUND * 1.0001
        assert logits.grad is not None
        assert torch.isfinite(logits.grad).all()


def test_a_mean_without_direction_counts_as_a_quarter_of_the_way_round() -> None:
    centroids = torch.tensor(unit_vectors([[10.0, 20.0], [-10.0, -160.0]]), dtype=torch.float32)
    distance = posterior_mean_distance_km(torch.tensor([[0.5, 0.5]]), centroids, centroids[:1])
    assert distance.item() == pytest.approx(HALF_WAY_ROUND / 2, rel=1e-3)


def test_posterior_mean_lies_between_the_cells() -> None:
    centroids = torch.tensor(unit_vectors([[0.0, 0.0], [0.0, 10.0]]))
    truth = torch.tensor(unit_vectors([[0.0, 5.0]]))
    p = torch.tensor([[0.5, 0.5]], dtype=torch.float64)
    assert posterior_mean_distance_km(p, centroids, truth).item() == pytest.approx(0.0, abs=1e-6)


def batch(dtype: torch.dtype = torch.float64, n: int = 6) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    rng = np.random.default_rng(1)
    return (
        (2 * torch.randn(n, 8, generator=generator, dtype=dtype)).requires_grad_(),
        torch.randint(8, (n,), generator=generator),
        torch.tensor(unit_vectors(rng.uniform(-60, 60, (n, 2))), dtype=dtype),
    )


def make_terms(dtype: torch.dtype = torch.float64, **weights: Any) -> LossTerms:
    generator = torch.Generator().manual_seed(2)
    return LossTerms.from_settings(
        centroids=torch.tensor(unit_vectors(np.random.default_rng(2).uniform(-60, 60, (8, 2))), dtype=dtype),
        weights=torch.rand(8, generator=generator, dtype=dtype) + 0.1,
        ancestors={"coarse": torch.arange(8) // 4, "fine": torch.arange(8) // 2},
        **weights,
    )


def test_fit_loss_is_the_sum_of_its_terms() -> None:
    logits, target, truth = batch()
    terms = make_terms()
    p = torch.softmax(logits, 1)
    d = centroid_distances_km(truth, terms.centroids)
    ce = torch.nn.functional.cross_entropy(logits, target, weight=terms.weights, label_smoothing=0.1)
    near = -(near_targets(d, 900.0) * torch.log_softmax(logits, 1)).sum(1)
    w = terms.weights[target]
    parts: dict[str, tuple[dict[str, Any], torch.Tensor]] = {
        "haversine": (
            {"label_smoothing": 0.1, "haversine": 0.05},
            ce + 0.05 * posterior_mean_distance_km(p, terms.centroids, truth).mean(),
        ),
        "expected": ({"label_smoothing": 0.1, "expected_distance": 0.02}, ce + 0.02 * (p * d).sum(1).mean()),
        "near": ({"smoothing_km": 900.0}, (w * near).sum() / w.sum()),
        "plain": ({"label_smoothing": 0.1}, ce),
    }
    for name, (weights, expected) in parts.items():
        assert fit_loss(logits, target, truth, make_terms(**weights)).item() == pytest.approx(expected.item()), name


def test_the_hierarchy_is_the_log_loss_of_the_summed_posterior() -> None:
    logits, target, truth = batch()
    p = torch.softmax(logits, 1)
    coarse = -torch.log(p.view(6, 2, 4).sum(2)[torch.arange(6), target // 4]).mean()
    fine = -torch.log(p.view(6, 4, 2).sum(2)[torch.arange(6), target // 2]).mean()
    loss = fit_loss(logits, target, truth, make_terms(hierarchy=0.6)) - fit_loss(logits, target, truth, make_terms())
    assert loss.item() == pytest.approx(0.6 * (coarse + fine).item() / 2)
    decayed = fit_loss(logits, target, truth, make_terms(hierarchy=0.6, hierarchy_decay=0.5))
    plain = fit_loss(logits, target, truth, make_terms())
    assert (decayed - plain).item() == pytest.approx(0.6 * (coarse + 2 * fine).item() / 3)


def test_a_hierarchy_needs_levels() -> None:
    terms = make_terms()
    with pytest.raises(ValueError, match="hierarchy needs a partition with coarser levels"):
        LossTerms.from_settings(terms.centroids, terms.weights, {}, hierarchy=1.0)


ALL_TERMS: dict[str, Any] = {
    "label_smoothing": 0.1, "haversine": 1e-3, "expected_distance": 1e-3, "smoothing_km": 900.0, "hierarchy": 0.5,
}  # fmt: skip
"""Kilometres have slopes of thousands, where gradcheck's absolute tolerance means nothing: small weights for them."""


@pytest.mark.parametrize("terms", [*({name: value} for name, value in ALL_TERMS.items()), ALL_TERMS])
def test_gradcheck(terms: dict[str, Any]) -> None:
    logits, target, truth = batch()
    made = make_terms(**terms)
    assert torch.autograd.gradcheck(lambda x: fit_loss(x, target, truth, made), (logits,))


def test_gradcheck_of_the_distances() -> None:
    logits, _, truth = batch()
    centroids, scale = make_terms().centroids, 1e-3
    p = torch.softmax(logits.detach(), 1).requires_grad_()
    assert torch.autograd.gradcheck(lambda x: scale * posterior_mean_distance_km(x, centroids, truth), (p,))
    u = centroids[:3].clone().requires_grad_()
    assert torch.autograd.gradcheck(lambda x: scale * chord_distance_km(x, truth[:3]), (u,))
