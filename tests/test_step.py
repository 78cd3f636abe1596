"""One step of a fit: the folded head is the head, its dropout one, and the step is autograd's on the plain loss."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from geocell.geodesy import unit_vectors
from geocell.head import GeoHead, Inputs
from geocell.losses import LossTerms, fit_loss
from geocell.recipe import FitConfig
from geocell.step import Batches, FoldedHead, Stepper, compute_dtype, dropout_mask, learning_rate
from tests.worlds import make_locations

CONFIG = FitConfig(dropout=0.0, weight_decay=0.0, device="cpu", precision="float32")
CPU = torch.device("cpu")
P, D, C = 50, 16, 7

pytestmark = pytest.mark.usefixtures("one_thread")


def random_head(seed: int = 0) -> GeoHead:
    module = GeoHead(D, C, 0.3)
    generator = torch.Generator().manual_seed(seed)
    for value in module.parameters():
        value.data = torch.randn(value.shape, generator=generator)
    return module.eval()


def inputs(fusion: str) -> Inputs:
    rng = np.random.default_rng(1)
    views = rng.integers(1, 5, P)
    locations = make_locations(np.zeros((P, 2)), rng.normal(3, 2, (views.sum(), D)).astype(np.float32), views)
    return Inputs.of(locations, fusion, CPU)


def batches(fusion: str = "feature", dropout: float = 0.0, dtype: torch.dtype = torch.float32) -> Batches:
    rng = np.random.default_rng(2)
    truth = torch.from_numpy(unit_vectors(rng.uniform(-60, 60, (P, 2)))).float()
    return Batches.of(inputs(fusion), torch.from_numpy(rng.integers(0, C, P)), truth, dropout, dtype)


def terms() -> LossTerms:
    centroids = unit_vectors(np.random.default_rng(3).uniform(-60, 60, (C, 2)))
    return LossTerms(
        torch.from_numpy(centroids).float(), torch.linspace(0.5, 2, C), {}, label_smoothing=0.1, haversine=1e-3
    )


@pytest.mark.parametrize("fusion", ["feature", "logit"])
def test_the_folded_head_is_the_head(fusion: str) -> None:
    module, pooled = random_head(), inputs(fusion)
    expected = module(*pooled.select(torch.arange(P)))
    features = batches(fusion).select(torch.arange(P), torch.Generator())
    folded = FoldedHead(module)
    torch.testing.assert_close(folded(features), expected, atol=1e-4, rtol=1e-4)
    written = GeoHead(D, C).eval()
    folded.write_into(written)
    torch.testing.assert_close(written(*pooled.select(torch.arange(P))), expected, atol=1e-4, rtol=1e-4)
    assert torch.equal(written.head[0].weight, torch.ones(D))


def test_a_step_is_adamw_on_the_plain_loss() -> None:
    """With a norm of ones and zeros the same steps by autograd through the whole head move the Linear alike."""
    module = random_head()
    module.head[0].reset_parameters()
    data, index = batches(), torch.arange(0, P, 2)
    stepper = Stepper(module, data, terms(), CONFIG)
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
        assert stepper(index, lr, "a test") == pytest.approx(loss.item(), rel=1e-5)
    torch.testing.assert_close(stepper.weights.weight, plain.head[2].weight, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(stepper.weights.bias, plain.head[2].bias, atol=1e-4, rtol=1e-4)


def test_bfloat16_products_keep_float32_weights() -> None:
    module, index = random_head(), torch.arange(P)
    losses = []
    for dtype in (torch.float32, torch.bfloat16):
        stepper = Stepper(module, batches(dtype=dtype), terms(), CONFIG)
        losses.append([stepper(index, 0.05, "a test") for _ in range(20)])
        assert {p.dtype for p in stepper.weights.parameters()} == {torch.float32}
    assert losses[1] == pytest.approx(losses[0], rel=0.02)
    assert losses[0][-1] < losses[0][0] * 0.7


@pytest.mark.parametrize("share", [0.001, 0.3, 0.9])
def test_the_dropout_drops_its_share(share: float) -> None:
    mask = dropout_mask((500, 999), share, torch.Generator().manual_seed(0))
    assert mask.shape == (500, 999)
    spread = (share * (1 - share) / mask.numel()) ** 0.5
    assert 1 - mask.float().mean().item() == pytest.approx(share, abs=5 * spread)
    assert mask[0].float().std() > 0  # not one number for a row
    assert not torch.equal(mask[0], mask[1])


def test_dropout_keeps_the_expectation() -> None:
    data, still = batches(dropout=0.4), batches()
    generator = torch.Generator().manual_seed(0)
    draws = torch.stack([data.select(torch.arange(P), generator) for _ in range(2000)])
    expected = still.select(torch.arange(P), generator)
    assert ((draws == 0) | torch.isclose(draws, expected / 0.6)).all()
    torch.testing.assert_close(draws.mean(0), expected, atol=0.25, rtol=0.0)


def test_learning_rate_warms_up_and_falls_to_zero() -> None:
    config = FitConfig(epochs=10, warmup_epochs=2, lr=1.0)
    rates = [learning_rate(config, step, 5) for step in range(50)]
    assert rates[:10] == pytest.approx(np.arange(1, 11) / 10)
    assert rates[10] == 1.0
    assert (np.diff(rates[10:]) < 0).all()
    assert 0 < rates[-1] < 0.01
    assert learning_rate(replace(config, warmup_epochs=0), 0, 5) == 1.0
    assert learning_rate(replace(config, epochs=1), 4, 5) == 1.0  # warm-up as long as the fit


def test_the_dtype_of_the_products() -> None:
    assert compute_dtype("float32", CPU) == torch.float32
    assert compute_dtype("bfloat16", CPU) == torch.bfloat16
    assert compute_dtype("auto", CPU) in {torch.float32, torch.bfloat16}
    assert compute_dtype("auto", torch.device("mps")) == torch.float32


def test_the_normalised_features_are_those_of_a_layer_norm() -> None:
    expected = torch.nn.functional.layer_norm(inputs("feature").features, (D,))
    torch.testing.assert_close(batches().features, expected)
    assert replace(batches(), dropout=0.0).features.shape == (P, D)
