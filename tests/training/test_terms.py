"""One contract over all terms of the loss, which a term defined in a file of one's own fulfils too."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

import geocell.training.gradients
from geocell.geo.geodesy import unit_vectors
from geocell.heads.fit_config import FitConfig
from geocell.heads.head import load_head
from geocell.partitioners import KMeansPartitioner
from geocell.training.fit import fit_head
from geocell.training.gradients import WRITTEN_OUT, LossGradient
from geocell.training.losses import TERMS, LossTerms, Term, fit_loss
from tests.training.test_fit import QUICK, world

pytestmark = pytest.mark.usefixtures("one_thread")

HARD_PLACES = [[48.1, 11.5], [-48.1, -168.5], [90.0, 0.0], [-90.0, 0.0], [0.0, 180.0], [0.0, -180.0]]

OWN = '''
def sharpness(log_p, target, truth, terms):
    """The entropy of the posterior in nats: a posterior that is spread costs."""
    return -(log_p.exp() * log_p).sum(dim=1)
'''


def load_own(folder: Path) -> Term:
    path = folder / "own_term.py"
    path.write_text(OWN)
    spec = importlib.util.spec_from_file_location("own_term", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.sharpness  # type: ignore[no-any-return]


@pytest.fixture(params=[*TERMS, "own"])
def named_term(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[str, Term]:
    return request.param, load_own(tmp_path) if request.param == "own" else TERMS[request.param]


def terms_with(name: str, term: Term, weight: float, places: Tensor) -> LossTerms:
    n = len(places)
    own = {} if name in TERMS else {name: term}
    ancestors = {"level": torch.arange(n) // 2}
    return LossTerms(
        places, torch.linspace(0.5, 2.0, n, dtype=places.dtype), ancestors, 0.1, weight_of={name: weight}, own=own
    )


def test_a_term_is_one_finite_number_per_location(named_term: tuple[str, Term]) -> None:
    name, term = named_term
    places = torch.tensor(unit_vectors(HARD_PLACES), dtype=torch.float64)
    n = len(places)
    target = torch.arange(n).repeat_interleave(n)
    for scale in (0.0, 1.0, 200.0):
        log_p = torch.log_softmax(scale * torch.nn.functional.one_hot(target, n).double(), dim=1)
        values = term(log_p, target, places.repeat(n, 1), terms_with(name, term, 1.0, places))
        assert values.shape == (n * n,)
        assert torch.isfinite(values).all()


@pytest.mark.parametrize("block", [1, 40, 10**6])
def test_the_gradient_of_a_fit_is_that_of_the_plain_loss(
    named_term: tuple[str, Term], block: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(geocell.training.gradients, "_CPU_BLOCK", block)
    rng = np.random.default_rng(0)
    places, truth = (torch.tensor(unit_vectors(rng.uniform(-60, 60, (n, 2)))) for n in (12, 33))
    terms = terms_with(*named_term, 1e-3, places)
    logits, bias = torch.tensor(rng.normal(size=(33, 12))), torch.tensor(rng.normal(size=12))
    target = torch.tensor(rng.integers(12, size=33))
    plain = [logits.clone().requires_grad_(), bias.clone().requires_grad_()]
    loss = fit_loss(plain[0] + plain[1], target, truth, terms)
    loss.backward()
    value, *gradients = LossGradient(terms)(logits, bias, target, truth)
    assert value.item() == pytest.approx(loss.item(), rel=1e-12)
    for gradient, leaf in zip(gradients, plain, strict=True):
        torch.testing.assert_close(gradient, leaf.grad, rtol=1e-9, atol=1e-12)


def test_weight_zero_leaves_a_term_out(named_term: tuple[str, Term]) -> None:
    places = torch.tensor(unit_vectors(np.random.default_rng(0).uniform(-60, 60, (6, 2))))
    assert terms_with(*named_term, 0.0, places).active() == {}
    assert list(terms_with(*named_term, 0.5, places).active()) == [named_term[0]]


def test_every_term_is_a_setting_of_a_fit() -> None:
    """One function and one field: the weight is a field of the name of the term."""
    settings = FitConfig().to_dict()
    assert set(WRITTEN_OUT) <= set(TERMS) <= set(settings)
    assert all(settings[name] == 0.0 for name in TERMS)


def entropy(posterior: NDArray[np.float32]) -> float:
    return float(-(posterior * np.log(np.maximum(posterior, 1e-30))).sum(axis=1).mean())


def test_a_head_is_fitted_with_a_term_of_ones_own(tmp_path: Path) -> None:
    train, val = world(60, 1), world(30, 2)
    cells = KMeansPartitioner(k=5).fit(train.latlon)
    sharp = fit_head(train, val, cells, QUICK, terms={"sharpness": (1.0, load_own(tmp_path))})
    plain = fit_head(train, val, cells, QUICK)
    assert sharp.training["terms"] == {"sharpness": 1.0}
    assert "terms" not in plain.training
    entropy = [
        -(p * np.log(np.maximum(p, 1e-30))).sum(axis=1).mean() for p in (h.posterior(val) for h in (sharp, plain))
    ]
    assert entropy[0] < entropy[1]
    sharp.save(tmp_path / "head")
    assert load_head(tmp_path / "head").training["terms"] == {"sharpness": 1.0}


def test_names_and_weights_are_checked(tmp_path: Path) -> None:
    train, val = world(60, 1), world(30, 2)
    cells = KMeansPartitioner(k=5).fit(train.latlon)
    term = load_own(tmp_path)
    with pytest.raises(ValueError, match="'haversine' is a setting of FitConfig"):
        fit_head(train, val, cells, QUICK, terms={"haversine": (1.0, term)})
    with pytest.raises(ValueError, match="the weight of the term 'sharpness' must be a finite number, got nan"):
        fit_head(train, val, cells, QUICK, terms={"sharpness": (float("nan"), term)})
    with pytest.raises(ValueError, match=r"must be among .*haversine.*, got 'nonsense'"):
        LossTerms(torch.eye(3), torch.ones(3), {}, weight_of={"nonsense": 1.0})
