"""Batches of a fit: features pooled and normalised, dropout of numbers and of views."""

from typing import Any

import numpy as np
import pytest
import torch

from geocell.geo.geodesy import unit_vectors
from geocell.heads.fit_config import FitConfig
from geocell.heads.inputs import Inputs
from geocell.heads.module import GeoHead
from geocell.training.batches import Batches, compute_dtype, drop, pooled_once, views_kept
from tests.worlds import make_locations

CPU = torch.device("cpu")
P, D, C = 50, 16, 7

pytestmark = pytest.mark.usefixtures("one_thread")


def inputs(fusion: str) -> Inputs:
    rng = np.random.default_rng(1)
    views = rng.integers(1, 5, P)
    locations = make_locations(np.zeros((P, 2)), rng.normal(3, 2, (views.sum(), D)).astype(np.float32), views)
    return Inputs.from_locations(locations, fusion, CPU)


def batches(fusion: str = "feature", precision: str = "float32", **changes: Any) -> Batches:
    config = FitConfig(**{"dropout": 0.0, "fusion": fusion, "precision": precision, "device": "cpu", **changes})
    rng = np.random.default_rng(2)
    truth = torch.from_numpy(unit_vectors(rng.uniform(-60, 60, (P, 2)))).float()
    return Batches.of(
        inputs(fusion if pooled_once(config) else "logit"), torch.from_numpy(rng.integers(0, C, P)), truth, config
    )


@pytest.mark.parametrize("share", [0.001, 0.3, 0.9])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("learned", [False, True])
def test_the_dropout_drops_its_share(share: float, dtype: torch.dtype, learned: bool) -> None:
    features = torch.randn(1100, 999, generator=torch.Generator().manual_seed(1)).add_(9.0).to(dtype)
    dropped = drop(features.clone().requires_grad_(learned), share, torch.Generator().manual_seed(0))
    kept = dropped != 0
    assert torch.equal(dropped.detach(), torch.where(kept, features, 0.0))
    spread = (share * (1 - share) / kept.numel()) ** 0.5
    assert 1 - kept.float().mean().item() == pytest.approx(share, abs=5 * spread)
    assert kept[0].float().std() > 0  # not one number for a row
    assert not torch.equal(kept[0], kept[1])
    assert not torch.equal(kept[0], kept[512])  # nor one for rows of several streams
    again = drop(features.clone(), share, torch.Generator().manual_seed(0))
    assert torch.equal(again, dropped)
    assert not torch.equal(drop(features.clone(), share, torch.Generator().manual_seed(1)), dropped)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_dropout_just_below_one_drops_nearly_everything(dtype: torch.dtype) -> None:
    kept = drop(torch.ones(1000, 1000, dtype=dtype), 1 - 2**-20, torch.Generator().manual_seed(0))
    assert 0 <= kept.float().mean().item() < 1e-4


def test_the_slope_of_what_is_dropped_is_zero() -> None:
    features = torch.ones(600, 8, requires_grad=True)
    dropped = drop(features * 2.0, 0.5, torch.Generator().manual_seed(0))
    dropped.sum().backward()
    assert torch.equal(features.grad, dropped.detach())


def test_dropout_keeps_the_expectation() -> None:
    data, still = batches(dropout=0.4), batches()
    generator = torch.Generator().manual_seed(0)
    draws = torch.stack([data.select(torch.arange(P), generator) for _ in range(2000)])
    expected = still.select(torch.arange(P), generator)
    assert ((draws == 0) | torch.isclose(draws, expected / 0.6)).all()
    torch.testing.assert_close(draws.mean(0), expected, atol=0.25, rtol=0.0)


def test_the_dtype_of_the_products() -> None:
    assert compute_dtype("float32", CPU) == torch.float32
    assert compute_dtype("bfloat16", CPU) == torch.bfloat16
    assert compute_dtype("auto", CPU) in {torch.float32, torch.bfloat16}
    assert compute_dtype("auto", torch.device("mps")) == torch.float32


def test_the_normalised_features_are_those_of_a_layer_norm() -> None:
    expected = torch.nn.functional.layer_norm(inputs("feature").features, (D,))
    torch.testing.assert_close(batches().features, expected)


@pytest.mark.parametrize("share", [0.0, 0.4, 0.99])
def test_every_location_keeps_a_view(share: float) -> None:
    views = torch.randint(1, 5, (4000,), generator=torch.Generator().manual_seed(0))
    location = torch.repeat_interleave(views)
    kept = views_kept(location, len(views), share, torch.Generator().manual_seed(1))
    left = torch.zeros(len(views)).index_add(0, location, kept.float())
    assert (left >= 1).all()
    several = views == 4
    if share == 0.4:  # binomial, but never none
        assert left[several].mean().item() == pytest.approx(4 * 0.6 + 0.4**4, abs=0.1)
    if share == 0.0:
        assert kept.all()


@pytest.mark.parametrize("fusion", ["feature", "logit", "attention"])
def test_without_view_dropout_pooling_per_batch_is_pooling_once(fusion: str) -> None:
    """A share too small to leave a view out gives the features of the head's own pooling."""
    index, generator = torch.randperm(P, generator=torch.Generator().manual_seed(0)), torch.Generator()
    per_batch = batches(fusion, view_dropout=1e-9).select(index, generator, torch.zeros(D))
    once = batches("feature" if fusion == "feature" else "logit").select(index, generator)
    torch.testing.assert_close(per_batch, once)


def test_view_dropout_pools_what_is_kept() -> None:
    data, index = batches("logit", view_dropout=0.5), torch.arange(P)
    pooled = data.select(index, torch.Generator().manual_seed(3))
    views = data.views
    assert views is not None
    location = torch.repeat_interleave(views)
    kept = views_kept(location, P, 0.5, torch.Generator().manual_seed(3))
    assert not kept.all()
    for i in range(P):
        torch.testing.assert_close(pooled[i], data.features[(location == i) & kept].mean(0))


def test_attention_weighs_views_by_a_softmax() -> None:
    data, query = batches("attention"), torch.linspace(-1, 1, D)
    pooled = data.select(torch.arange(P), torch.Generator(), query)
    assert data.views is not None
    for rows, got in zip(data.features.split(data.views.tolist()), pooled, strict=True):
        torch.testing.assert_close(got, torch.softmax(rows @ query, 0) @ rows)
    module = GeoHead(D, C, attention=True)
    assert sorted(module.state_dict()) == [
        "attention.weight", "head.0.bias", "head.0.weight", "head.2.bias", "head.2.weight",
    ]  # fmt: skip
