"""The region of a head: by its entropy before any temperature, through its folder."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import entropy

from geocell.evaluation.score import score
from geocell.heads.head import Head, load_head
from geocell.heads.region import fit_region, plain_entropy
from geocell.prediction.predictions import predict_locations
from geocell.publishing.push import push_head
from tests.heads.test_calibration import LEARNED
from tests.heads.test_head import make_head, random_module, world


def gentle_head() -> Head:
    module = random_module()
    module.head[2].weight.data *= 0.4
    return replace(make_head(), module=module)


def test_the_entropy_is_that_before_the_temperature() -> None:
    plain = gentle_head()
    sure = replace(plain, calibration=LEARNED)
    assert LEARNED.temperature == 2.5
    wanted = entropy(plain.posterior(world(), "cpu").astype(float), axis=1)
    assert plain_entropy(plain, plain.posterior(world(), "cpu")) == pytest.approx(wanted, abs=1e-5)
    assert plain_entropy(sure, sure.posterior(world(), "cpu")) == pytest.approx(wanted, abs=1e-3)
    bias = np.random.default_rng(0).normal(0.0, 1.0, len(plain.partition))
    biased = replace(plain, calibration=replace(LEARNED, bias=tuple((bias - bias.mean()).tolist())))
    assert plain_entropy(biased, biased.posterior(world(), "cpu")) == pytest.approx(wanted, abs=1e-3)


def test_a_calibration_does_not_move_the_region() -> None:
    plain = gentle_head()
    region = fit_region(plain, world(), world(1), device="cpu")
    again = fit_region(replace(plain, calibration=LEARNED), world(), world(1), device="cpu")
    assert again.known == pytest.approx(region.known, abs=0.01)
    before, after = (
        predict_locations(replace(plain, region=region, calibration=known), world(2), device="cpu")
        for known in (None, LEARNED)
    )
    assert [a.outside_score for a in after] == pytest.approx([b.outside_score for b in before], abs=0.01)


def test_the_share_that_is_flagged_is_that_of_the_predictions() -> None:
    head = make_head("logit")
    head = replace(head, region=fit_region(head, world(), world(1), false_alarms=0.3))
    answers = predict_locations(head, world(2), device="cpu")
    share = np.mean([answer.outside_region for answer in answers])
    assert score(head, world(2), device="cpu").outside_region == pytest.approx(share)
    assert 0 < share < 1
    assert score(make_head(), world(2), device="cpu").outside_region is None


def test_folder_and_push_keep_it(tmp_path: Path) -> None:
    head = replace(make_head(), region=fit_region(make_head(), world(), world(1)))
    head.save(tmp_path / "head")
    back: Head = load_head(tmp_path / "head")
    assert back.sha256 == head.sha256 != make_head().sha256
    asked = [predict_locations(one, world(2), device="cpu") for one in (head, back)]
    assert [a.outside_score for a in asked[0]] == [a.outside_score for a in asked[1]]
    assert "region.safetensors" in push_head(tmp_path / "head", "me/head", dry_run=True).files
    (tmp_path / "head" / "region.safetensors").unlink()
    with pytest.raises(FileNotFoundError, match=r"region\.safetensors"):
        load_head(tmp_path / "head")


def test_a_region_of_another_encoder_is_refused() -> None:
    head = make_head()
    region = fit_region(head, world(), world(1))
    with pytest.raises(ValueError, match="the head and its region must share one encoder"):
        replace(head, region=replace(region, encoder=replace(region.encoder, revision="2")))
    other = replace(world(), encoder=replace(world().encoder, revision="2"))
    with pytest.raises(ValueError, match="the head and the training locations must share one encoder"):
        fit_region(head, other, world(1))
