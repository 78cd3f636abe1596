"""The gradient written out: autograd's on the plain loss, right by gradcheck, in blocks, and finite everywhere."""

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

import geocell.training.gradients
from geocell.geo.geodesy import unit_vectors
from geocell.training.gradients import LossGradient
from geocell.training.losses import LossTerms, fit_loss

pytestmark = pytest.mark.usefixtures("one_thread")

TERMS: dict[str, dict[str, Any]] = {
    "cross-entropy": {},
    "smoothing": {"label_smoothing": 0.1},
    "haversine": {"haversine": 1e-3, "label_smoothing": 0.1},
    "expected distance": {"expected_distance": 1e-3},
    "near targets": {"smoothing_km": 900.0, "label_smoothing": 0.1},
    "near targets as published": {"smoothing_km": 900.0, "smoothing_normalized": False},
    "hierarchy": {"hierarchy": 0.5},
    "hierarchy, coarse above all": {"hierarchy": 0.5, "hierarchy_decay": 4.0},
    "all": {
        "label_smoothing": 0.1, "haversine": 1e-3, "expected_distance": 1e-3, "smoothing_km": 900.0, "hierarchy": 0.5,
    },
}  # fmt: skip


def value_and_gradient(products: Tensor, bias: Tensor, target: Tensor, truth: Tensor, terms: LossTerms) -> Any:
    return LossGradient(terms)(products, bias, target, truth)


class FitLoss(torch.autograd.Function):
    """The loss with the gradient as its backward, for gradcheck."""

    @staticmethod
    def forward(ctx: Any, products: Tensor, bias: Tensor, target: Tensor, truth: Tensor, terms: LossTerms) -> Tensor:
        value, *ctx.gradients = value_and_gradient(products.detach().clone(), bias.detach(), target, truth, terms)
        return value

    @staticmethod
    def backward(ctx: Any, outer: Tensor) -> tuple[Tensor | None, ...]:
        return *(slope * outer for slope in ctx.gradients), None, None, None


def make(n: int, c: int, dtype: torch.dtype, **terms: Any) -> tuple[Tensor, Tensor, Tensor, Tensor, LossTerms]:
    rng, generator = np.random.default_rng(0), torch.Generator().manual_seed(0)
    centroids, truth = (torch.tensor(unit_vectors(rng.uniform(-60, 60, (k, 2))), dtype=dtype) for k in (c, n))
    weights = torch.rand(c, generator=generator, dtype=dtype) + 0.1
    ancestors = {"coarse": torch.arange(c) // 4, "fine": torch.arange(c) // 2}
    products = 3 * torch.randn(n, c, generator=generator, dtype=dtype)
    bias = torch.randn(c, generator=generator, dtype=dtype)
    target = torch.randint(c, (n,), generator=generator)
    return products, bias, target, truth, LossTerms.from_settings(centroids, weights, ancestors, **terms)


@pytest.mark.parametrize("terms", TERMS.values(), ids=TERMS.keys())
def test_gradcheck(terms: dict[str, Any]) -> None:
    products, bias, *rest = make(6, 8, torch.float64, **terms)
    inputs = (products.requires_grad_(), bias.requires_grad_())
    assert torch.autograd.gradcheck(lambda x, b: FitLoss.apply(x, b, *rest), inputs)


@pytest.mark.parametrize("terms", TERMS.values(), ids=TERMS.keys())
@pytest.mark.parametrize("block", [1, 40, 10**6])
def test_it_is_the_gradient_of_the_plain_loss(
    terms: dict[str, Any], block: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(geocell.training.gradients, "_CPU_BLOCK", block)
    products, bias, *rest = make(33, 12, torch.float64, **terms)
    plain = [products.clone().requires_grad_(), bias.clone().requires_grad_()]
    loss = fit_loss(plain[0] + plain[1], *rest)
    loss.backward()
    value, *gradients = value_and_gradient(products, bias, *rest)
    assert value.item() == pytest.approx(loss.item(), rel=1e-12)
    for gradient, leaf in zip(gradients, plain, strict=True):
        torch.testing.assert_close(gradient, leaf.grad, rtol=1e-9, atol=1e-12)


def test_bfloat16_products_are_computed_with_in_float32() -> None:
    products, *rest = make(20, 8, torch.float32, **TERMS["all"])
    rounded = products.bfloat16()
    exact_value, exact, exact_of_bias = value_and_gradient(rounded.float(), *rest)
    value, gradient, of_bias = value_and_gradient(rounded, *rest)
    assert value.dtype == of_bias.dtype == torch.float32
    assert value.item() == exact_value.item()
    assert torch.equal(gradient, exact.bfloat16())
    assert torch.equal(of_bias, exact_of_bias)


PLACES = [[48.1, 11.5], [-48.1, -168.5], [90.0, 0.0], [-90.0, 0.0], [89.99999, 120.0], [0.0, 180.0], [0.0, -180.0]]


@pytest.mark.parametrize("terms", TERMS.values(), ids=TERMS.keys())
@pytest.mark.parametrize("scale", [0.0, 1e-6, 200.0])
def test_values_and_gradients_are_finite_at_hard_places(terms: dict[str, Any], scale: float) -> None:
    """Identical, antipodal and polar points; posteriors that are flat, and ones that are certain and wrong."""
    places = torch.tensor(unit_vectors(PLACES), dtype=torch.float32)
    n = len(places)
    target = torch.arange(n).repeat_interleave(n)
    truth = places.repeat(n, 1)
    for sign in (1.0, -1.0):
        logits = sign * scale * torch.nn.functional.one_hot(target, n).float()
        ancestors = {"level": torch.arange(n) // 3}
        made = LossTerms.from_settings(places, torch.ones(n), ancestors, **terms)
        plain = logits.clone().requires_grad_()
        fit_loss(plain, target, truth, made).backward()
        for slope in value_and_gradient(logits, torch.zeros(n), target, truth, made):
            assert torch.isfinite(slope).all()
        assert plain.grad is not None
        assert torch.isfinite(plain.grad).all()


def test_a_smaller_batch_after_a_larger_one_and_a_larger_one_again() -> None:
    """The memory that is kept has room for the largest so far, and leaves nothing of one batch in another."""
    products, bias, target, truth, terms = make(33, 12, torch.float32, **TERMS["all"])
    kept = LossGradient(terms)
    for n in (5, 33, 9, 33):
        fresh = LossGradient(terms)(products[:n].clone(), bias, target[:n], truth[:n])
        again = kept(products[:n].clone(), bias, target[:n], truth[:n])
        for a, b in zip(fresh, again, strict=True):
            assert torch.equal(a, b)


def test_a_process_without_a_location_of_the_batch_adds_nothing() -> None:
    products, bias, target, truth, terms = make(5, 12, torch.float32, **TERMS["all"])
    value, gradient, of_bias = LossGradient(terms)(products[:0], bias, target[:0], truth[:0], batch=target)
    assert value.item() == 0.0
    assert gradient.shape == (0, 12)
    assert not of_bias.any()


def test_the_number_of_threads_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(geocell.training.gradients, "_CPU_BLOCK", 40)
    products, *rest = make(33, 12, torch.float32, **TERMS["all"])
    alone = value_and_gradient(products.clone(), *rest)
    torch.set_num_threads(2)
    try:
        together = value_and_gradient(products.clone(), *rest)
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(1)
    for a, b in zip(alone, together, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-5, atol=1e-6)
