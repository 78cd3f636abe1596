"""One step of a fit: the folded head is the head, its dropout one, and the step is autograd's on the plain loss."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from geocell.geo.geodesy import unit_vectors
from geocell.heads.fit_config import FitConfig
from geocell.heads.module import GeoHead
from geocell.training.losses import LossTerms, fit_loss
from geocell.training.stepper import FoldedHead, Stepper, learning_rate
from tests.training.test_batches import C, D, P, batches, inputs

CONFIG = FitConfig(dropout=0.0, weight_decay=0.0, device="cpu", precision="float32")

pytestmark = pytest.mark.usefixtures("one_thread")


def random_head(seed: int = 0, attention: bool = False) -> GeoHead:
    module = GeoHead(D, C, 0.3, attention)
    generator = torch.Generator().manual_seed(seed)
    for value in module.parameters():
        value.data = torch.randn(value.shape, generator=generator)
    return module.eval()


def terms() -> LossTerms:
    centroids = unit_vectors(np.random.default_rng(3).uniform(-60, 60, (C, 2)))
    return LossTerms.from_settings(
        torch.from_numpy(centroids).float(), torch.linspace(0.5, 2, C), {}, label_smoothing=0.1, haversine=1e-3
    )


@pytest.mark.parametrize("fusion", ["feature", "logit", "attention"])
def test_the_folded_head_is_the_head(fusion: str) -> None:
    module, pooled = random_head(attention=fusion == "attention"), inputs(fusion)
    expected = module(*pooled.select(torch.arange(P)))
    folded = FoldedHead(module)
    products, bias, _ = folded(batches(fusion), torch.arange(P), torch.Generator())
    torch.testing.assert_close(products + bias, expected, atol=1e-4, rtol=1e-4)
    written = GeoHead(D, C, attention=fusion == "attention").eval()
    folded.write_into(written)
    torch.testing.assert_close(written(*pooled.select(torch.arange(P))), expected, atol=1e-4, rtol=1e-4)
    assert torch.equal(written.head[0].weight, torch.ones(D))


def test_a_step_is_adamw_on_the_plain_loss() -> None:
    """With a norm of ones and zeros the same steps by autograd through the whole head move the Linear alike."""
    module = random_head()
    module.head[0].reset_parameters()
    data, index = batches(), torch.arange(0, P, 2)
    stepper = Stepper(module, terms(), CONFIG)
    plain = GeoHead(D, C)
    plain.load_state_dict(module.state_dict())
    plain.head[0].requires_grad_(False)
    optimizer = torch.optim.AdamW(plain.head[2].parameters(), weight_decay=0.0)
    features, _ = inputs("feature").select(index)
    for lr in (0.1, 0.05, 0.01):
        loss = fit_loss(plain(features), data.target[index], data.truth[index], terms())
        optimizer.param_groups[0]["lr"] = lr
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        assert stepper(data, index, lr, "a test") == pytest.approx(loss.item(), rel=1e-5)
    torch.testing.assert_close(stepper.weights.weight, plain.head[2].weight, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(stepper.weights.bias, plain.head[2].bias, atol=1e-4, rtol=1e-4)


def test_bfloat16_products_keep_float32_weights() -> None:
    module, index = random_head(), torch.arange(P)
    losses = []
    for precision in ("float32", "bfloat16"):
        stepper = Stepper(module, terms(), CONFIG)
        losses.append([stepper(batches(precision=precision), index, 0.05, "a test") for _ in range(20)])
        assert {p.dtype for p in stepper.weights.parameters()} == {torch.float32}
    assert losses[1] == pytest.approx(losses[0], rel=0.02)
    assert losses[0][-1] < losses[0][0] * 0.7


def test_learning_rate_warms_up_and_falls_to_zero() -> None:
    config = FitConfig(epochs=10, warmup_epochs=2, lr=1.0)
    rates = [learning_rate(config, step, 5) for step in range(50)]
    assert rates[:10] == pytest.approx(np.arange(1, 11) / 10)
    assert rates[10] == 1.0
    assert (np.diff(rates[10:]) < 0).all()
    assert 0 < rates[-1] < 0.01
    assert learning_rate(replace(config, warmup_epochs=0), 0, 5) == 1.0


@pytest.mark.parametrize(
    ("epochs", "steps", "rates"),
    [
        (1, 1, [1.0]),
        (1, 2, [1.0, 1.0]),
        (1, 3, [1.0, 1.0, 0.5]),
        (1, 5, [0.5, 1.0, 1.0, 0.75, 0.25]),
        (2, 1, [1.0, 1.0]),
        (2, 2, [0.5, 1.0, 1.0, 0.5]),
        (3, 1, [1.0, 1.0, 0.5]),
    ],
)
def test_half_of_a_short_fit_warms_up_at_most(epochs: int, steps: int, rates: list[float]) -> None:
    config = FitConfig(epochs=epochs, lr=1.0)
    assert [learning_rate(config, step, steps) for step in range(epochs * steps)] == pytest.approx(rates)


@given(st.integers(1, 30), st.integers(0, 30), st.integers(1, 40))
def test_every_fit_reaches_its_learning_rate_and_then_anneals(epochs: int, warmup: int, steps: int) -> None:
    config = FitConfig(epochs=epochs, warmup_epochs=warmup, lr=1.0)
    rates = np.array([learning_rate(config, step, steps) for step in range(epochs * steps)])
    peak = min(warmup * steps, epochs * steps // 2)
    assert rates[peak] == rates.max() == 1.0
    assert (np.diff(rates[:peak]) > 0).all()
    assert (np.diff(rates[peak:]) < 0).all()
    assert rates.min() > 0


def test_the_running_mean_follows_the_weights() -> None:
    config, index = replace(CONFIG, ema=0.9), torch.arange(P)
    stepper, mean = Stepper(random_head(), terms(), config), None
    for step in range(1, 6):
        stepper(batches(), index, 0.05, "a test")
        weight = stepper.weights.weight.detach().clone()
        decay = min(0.9, (1 + step) / (10 + step))
        start = random_head().head[2].weight.detach() * random_head().head[0].weight.detach()
        mean = (start if mean is None else mean) * decay + weight * (1 - decay)
    written = GeoHead(D, C)
    stepper.write_into(written)
    torch.testing.assert_close(written.head[2].weight.detach(), mean)


@pytest.mark.parametrize("changes", [{}, {"ema": 0.9}, {"fusion": "attention", "view_dropout": 0.3}])
def test_the_state_is_all_that_the_next_step_depends_on(changes: dict[str, Any]) -> None:
    config, index = replace(CONFIG, dropout=0.3, **changes), torch.arange(P)
    module = random_head(attention=config.fusion == "attention")
    data = batches(**{key: getattr(config, key) for key in ("fusion", "dropout", "view_dropout")})
    one, other = (Stepper(module, terms(), config) for _ in range(2))
    for _ in range(3):
        one(data, index, 0.05, "a test")
    state = {name: value.clone() for name, value in one.state().items()}
    expected = [one(data, index, 0.05, "a test") for _ in range(3)]
    other.load_state(state)
    assert [other(data, index, 0.05, "a test") for _ in range(3)] == expected
    heads = [GeoHead(D, C, attention=config.fusion == "attention") for _ in range(2)]
    for stepper, head in zip((one, other), heads, strict=True):
        stepper.write_into(head)
    assert all(torch.equal(a, b) for a, b in zip(heads[0].parameters(), heads[1].parameters(), strict=True))
