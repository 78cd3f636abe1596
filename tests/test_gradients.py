"""The gradient written out: autograd's on the plain loss, right by gradcheck, in blocks, and finite everywhere."""

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

import geocell.gradients
from geocell.geodesy import unit_vectors
from geocell.gradients import value_and_gradient
from geocell.losses import LossTerms, fit_loss

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


class FitLoss(torch.autograd.Function):
    """The loss with the gradient as its backward, for gradcheck."""

    @staticmethod
    def forward(ctx: Any, logits: Tensor, target: Tensor, truth: Tensor, terms: LossTerms) -> Tensor:
        value, ctx.gradient = value_and_gradient(logits.detach().clone(), target, truth, terms)
        return value

    @staticmethod
    def backward(ctx: Any, outer: Tensor) -> tuple[Tensor | None, ...]:
        return ctx.gradient * outer, None, None, None


def make(n: int, c: int, dtype: torch.dtype, **terms: Any) -> tuple[Tensor, Tensor, Tensor, LossTerms]:
    rng, generator = np.random.default_rng(0), torch.Generator().manual_seed(0)
    centroids, truth = (torch.tensor(unit_vectors(rng.uniform(-60, 60, (k, 2))), dtype=dtype) for k in (c, n))
    weights = torch.rand(c, generator=generator, dtype=dtype) + 0.1
    ancestors = {"coarse": torch.arange(c) // 4, "fine": torch.arange(c) // 2}
    logits = 3 * torch.randn(n, c, generator=generator, dtype=dtype)
    target = torch.randint(c, (n,), generator=generator)
    return logits, target, truth, LossTerms(centroids, weights, ancestors, **terms)


@pytest.mark.parametrize("terms", TERMS.values(), ids=TERMS.keys())
def test_gradcheck(terms: dict[str, Any]) -> None:
    logits, *rest = make(6, 8, torch.float64, **terms)
    assert torch.autograd.gradcheck(lambda x: FitLoss.apply(x, *rest), (logits.requires_grad_(),))


@pytest.mark.parametrize("terms", TERMS.values(), ids=TERMS.keys())
@pytest.mark.parametrize("block", [1, 40, 10**6])
def test_it_is_the_gradient_of_the_plain_loss(
    terms: dict[str, Any], block: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(geocell.gradients, "_CPU_BLOCK", block)
    logits, *rest = make(33, 12, torch.float64, **terms)
    plain = logits.clone().requires_grad_()
    loss = fit_loss(plain, *rest)
    loss.backward()
    value, gradient = value_and_gradient(logits, *rest)
    assert value.item() == pytest.approx(loss.item(), rel=1e-12)
    assert plain.grad is not None
    torch.testing.assert_close(gradient, plain.grad, rtol=1e-9, atol=1e-12)


def test_bfloat16_logits_are_computed_with_in_float32() -> None:
    logits, *rest = make(20, 8, torch.float32, **TERMS["all"])
    rounded = logits.bfloat16()
    exact_value, exact = value_and_gradient(rounded.float(), *rest)
    value, gradient = value_and_gradient(rounded, *rest)
    assert value.dtype == torch.float32
    assert value.item() == exact_value.item()
    assert torch.equal(gradient, exact.bfloat16())


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
        made = LossTerms(places, torch.ones(n), ancestors, **terms)
        plain = logits.clone().requires_grad_()
        fit_loss(plain, target, truth, made).backward()
        value, gradient = value_and_gradient(logits, target, truth, made)
        assert torch.isfinite(value)
        assert torch.isfinite(gradient).all()
        assert plain.grad is not None
        assert torch.isfinite(plain.grad).all()


def test_the_number_of_threads_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(geocell.gradients, "_LEAST_BLOCK", 40)
    logits, *rest = make(33, 12, torch.float32, **TERMS["all"])
    alone = value_and_gradient(logits.clone(), *rest)
    torch.set_num_threads(2)
    try:
        together = value_and_gradient(logits.clone(), *rest)
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(1)
    for a, b in zip(alone, together, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-5, atol=1e-6)
