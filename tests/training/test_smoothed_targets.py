"""Distance-smoothed targets: how they fall off, and that lists of near cells leave out only what is negligible."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import geocell.training.smoothed_targets
from geocell.features.locations import Locations
from geocell.geo.geodesy import distance_km, unit_vectors
from geocell.heads.fit_config import FitConfig
from geocell.partitioners import H3Partitioner
from geocell.partitioners.centroids import radius_of
from geocell.training.fit import fit_head
from geocell.training.gradients import LossGradient
from geocell.training.losses import LossTerms, chord_distance_km, fit_loss
from geocell.training.smoothed_targets import REACH, centroid_distances_km, near_cells, near_targets
from tests.training.test_losses import HARD_PLACES
from tests.worlds import make_locations

pytestmark = pytest.mark.usefixtures("one_thread")

TAU = 40.0


def world(seed: int, n: int = 300, c: int = 150, spread: float = 12.0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Centroids, and locations with the nearest of them as their cell, across the antimeridian and near a pole."""
    rng = np.random.default_rng(seed)
    centroids, latlon = (
        np.column_stack([rng.uniform(80 - spread, 80, k), (rng.uniform(-4, 4, k) * spread + 360) % 360 - 180])
        for k in (c, n)
    )
    cells = np.array([int(distance_km(np.tile(place, (c, 1)), centroids).argmin()) for place in latlon])
    return centroids, latlon, cells


@pytest.mark.parametrize(("here", "there"), HARD_PLACES)
def test_distances_to_centroids_are_the_chord_distances(here: list[float], there: list[float]) -> None:
    u, v = (torch.tensor(unit_vectors([place]), dtype=torch.float32) for place in (here, there))
    expected = chord_distance_km(u, v).item()
    assert centroid_distances_km(u, v).item() == pytest.approx(expected, rel=1e-5, abs=1e-3 if expected < 1e4 else 5.0)


def test_distances_to_listed_centroids_are_those_to_all() -> None:
    truth, centroids = (torch.from_numpy(unit_vectors(x)) for x in world(0)[1::-1])
    cells = torch.tensor([[3, 149, -1], [0, 0, 7]])
    listed = centroid_distances_km(truth[:2], centroids, cells)
    everything = centroid_distances_km(truth[:2], centroids)
    assert torch.equal(listed[0], torch.stack([everything[0, 3], everything[0, 149], torch.tensor(math.inf)]))
    assert torch.equal(listed[1], everything[1, [0, 0, 7]])


def test_targets_fall_off_with_distance() -> None:
    y = near_targets(torch.tensor([[100.0, 30.0, 175.0]], dtype=torch.float64), 70.0, normalized=False)
    assert y[0].tolist() == pytest.approx([math.exp(-1), 1.0, math.exp(-145 / 70)])
    normalized = near_targets(torch.tensor([[100.0, 30.0, 175.0]], dtype=torch.float64), 70.0)
    assert normalized[0].tolist() == pytest.approx((y / y.sum())[0].tolist())


@settings(max_examples=30)
@given(seed=st.integers(0, 10**6), tau=st.floats(1.0, 60.0))
def test_no_target_that_counts_is_left_out(seed: int, tau: float) -> None:
    centroids, latlon, cells = world(seed, n=60, c=80)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(geocell.training.smoothed_targets, "_WORTH", 1.0)
        near = near_cells(centroids, radius_of(latlon, cells, centroids), tau)
    assert near is not None
    truth, points = (torch.from_numpy(unit_vectors(x)) for x in (latlon, centroids))
    y = near_targets(centroid_distances_km(truth, points), tau, normalized=False).numpy()
    listed = np.zeros_like(y, dtype=bool)
    for row, cell in enumerate(cells):
        listed[row, near[cell][near[cell] >= 0]] = True
    assert listed[np.arange(len(cells)), cells].all()
    assert y[~listed].max(initial=0.0) <= math.exp(-REACH) * (1 + 1e-6)
    assert all(len(np.unique(row[row >= 0])) == (row >= 0).sum() for row in near)  # none twice


def test_lists_as_long_as_all_cells_are_not_made() -> None:
    centroids, latlon, cells = world(0)
    radius = radius_of(latlon, cells, centroids)
    assert near_cells(centroids, radius, 1000.0) is None
    short = near_cells(centroids, radius, 3.0)
    assert short is not None
    assert short.shape[1] <= 0.25 * len(centroids)


def terms_of(centroids: np.ndarray, near: np.ndarray | None, normalized: bool) -> LossTerms:
    return LossTerms.from_settings(
        torch.from_numpy(unit_vectors(centroids)),
        torch.rand(len(centroids), generator=torch.Generator().manual_seed(0), dtype=torch.float64) + 0.5,
        {},
        label_smoothing=0.1,
        haversine=1e-3,
        smoothing_km=TAU,
        smoothing_normalized=normalized,
        near=None if near is None else torch.from_numpy(near),
    )


@pytest.mark.parametrize("normalized", [True, False])
def test_the_loss_over_near_cells_is_the_loss_over_all_but_for_what_is_stated(normalized: bool) -> None:
    centroids, latlon, cells = world(1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(geocell.training.smoothed_targets, "_WORTH", 1.0)
        near = near_cells(centroids, radius_of(latlon, cells, centroids), TAU)
    assert near is not None
    assert near.shape[1] < len(centroids)
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(len(cells), len(centroids), generator=generator, dtype=torch.float64)
    target, truth = torch.from_numpy(cells), torch.from_numpy(unit_vectors(latlon))
    bias = torch.zeros(len(centroids), dtype=torch.float64)
    losses, gradients = [], []
    for lists in (None, near):
        terms = terms_of(centroids, lists, normalized)
        leaf = logits.clone().requires_grad_()
        plain = fit_loss(leaf, target, truth, terms)
        plain.backward()
        value, gradient, _ = LossGradient(terms)(logits.clone(), bias, target, truth)
        assert value.item() == pytest.approx(plain.item(), rel=1e-12)
        torch.testing.assert_close(gradient, leaf.grad, rtol=1e-9, atol=1e-13)
        losses.append(value.item())
        gradients.append(gradient)
    assert losses[0] != losses[1]  # something is left out,
    assert losses[1] == pytest.approx(losses[0], rel=(1 + REACH) * math.exp(-REACH))  # and as little as is said
    moved = (gradients[1] - gradients[0]).abs().sum(dim=1) / gradients[0].abs().sum(dim=1)
    assert moved.max().item() < 2 * (1 + REACH) * math.exp(-REACH)


def test_a_fit_spreads_targets_over_near_cells(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    latlon = rng.uniform((44, 0), (54, 20), (400, 2))
    features = (latlon @ rng.normal(size=(2, 8)) / 10 + rng.normal(size=(400, 8)) / 10).astype(np.float32)
    train: Locations = make_locations(latlon, features)
    cells = H3Partitioner(resolution=3).fit(latlon)
    config = FitConfig(epochs=4, patience=4, batch_size=64, lr=0.02, smoothing_km=5.0, device="cpu")
    sizes = []

    def noted(centroids: np.ndarray, radius_km: np.ndarray, tau_km: float) -> np.ndarray | None:
        near = near_cells(centroids, radius_km, tau_km)
        sizes.append(None if near is None else near.shape[1])
        return near

    monkeypatch.setattr("geocell.training.stages.near_cells", noted)
    listed = fit_head(train, None, cells, config)
    monkeypatch.setattr(geocell.training.smoothed_targets, "_WORTH", 0.0)
    whole = fit_head(train, None, cells, config)
    assert sizes[0] is not None
    assert sizes[0] < len(cells) / 4
    assert sizes[1] is None
    for a, b in zip(listed.history, whole.history, strict=True):
        assert a["train_loss"] == pytest.approx(b["train_loss"], rel=0.005)
    fit_head(train, None, cells, replace(config, smoothing_km=0.0))
    assert len(sizes) == 2  # no lists where no targets are smoothed
