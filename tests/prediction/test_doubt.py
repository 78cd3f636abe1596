"""The reasons to doubt an answer."""

from dataclasses import replace

import numpy as np
import pytest

from geocell.heads.ensemble import Ensemble
from geocell.heads.region import fit_region, plain_entropy
from geocell.prediction.doubt import Unlike, doubt_of, outside_cells, unlike_of
from geocell.prediction.predictions import predict_locations
from tests.heads.test_head import N, make_head, random_module, world
from tests.prediction.test_predictions import PLACES, bare

REGION = fit_region(make_head(), world(), world(1))


def test_the_radius_counts_where_nothing_is_known_of_the_features() -> None:
    wide = "half of the head's probability takes a radius of 501 km"
    assert doubt_of(500.0, False, Unlike()) == ""
    assert doubt_of(501.0, False, Unlike()) == wide
    assert doubt_of(501.0, True, Unlike()) == f"{wide} and the point lies in none of the head's cells"
    assert doubt_of(501.0, False, Unlike(0.1, False)) == ""
    assert doubt_of(501.0, True, Unlike(0.9, True, "it is")) == "it is and the point lies in none of the head's cells"


def test_a_partition_that_only_decodes_has_no_outside() -> None:
    assert outside_cells(bare(PLACES), np.zeros((3, 2))).tolist() == [False] * 3


def test_a_head_without_a_region_says_nothing() -> None:
    assert unlike_of(make_head(), world(), np.ones((N, 1), np.float32)) == [Unlike()] * N
    answers = predict_locations(make_head(), world(), device="cpu")
    assert {(answer.outside_region, answer.outside_score) for answer in answers} == {(None, None)}
    assert {bool(answer.doubt) == (answer.radius_50_km > 500) for answer in answers} == {True}


@pytest.mark.parametrize("fusion", ["feature", "logit"])
def test_predictions_have_score_flag_and_reason_of_the_mean_feature(fusion: str) -> None:
    head = replace(make_head(fusion), region=REGION)  # type: ignore[arg-type]
    asked = world(2)
    answers = predict_locations(head, asked, device="cpu")
    scores = REGION.scores(asked.mean_features(), plain_entropy(head, head.posterior(asked, "cpu")))
    assert [answer.outside_score for answer in answers] == pytest.approx(scores.tolist(), abs=1e-4)
    assert [answer.outside_region for answer in answers] == (scores > REGION.threshold).tolist()
    low = replace(REGION, known=REGION.known - 99)
    (answer,) = predict_locations(replace(head, region=low), asked.take(np.arange(1)), device="cpu")
    assert answer.outside_region
    assert answer.doubt == (
        "its features and the spread of its probabilities are unlike those of photographs of the head's region (2.4 % "
        "of these are as unlike, and 5 % are flagged)"
    )
    assert answer.to_dict()["outside_region"] is True
    quiet = [answer for answer in answers if not answer.outside_region]
    assert quiet
    assert {answer.doubt for answer in quiet} == {""}


def test_an_ensemble_has_none() -> None:
    heads = (replace(make_head(), region=REGION), replace(make_head(), module=random_module(1)))
    answers = predict_locations(Ensemble(heads), world().take(np.arange(2)), device="cpu")
    assert [answer.outside_region for answer in answers] == [None, None]
