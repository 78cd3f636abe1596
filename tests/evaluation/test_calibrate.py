"""Calibration of a head."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from geocell.evaluation.calibrate import _drawn, calibrate
from geocell.evaluation.held_out import half_of_places, true_cells
from geocell.features.locations import Locations
from geocell.geo.geodesy import distance_km
from geocell.heads.head import Head
from geocell.heads.trained_on import TrainedOn, location_keys
from geocell.prediction.predictions import predict_locations
from geocell.uncertainty.areas import cell_areas
from geocell.uncertainty.cell_sets import METHODS, set_scores, uniform_of
from geocell.uncertainty.selective import aurc
from tests.heads.test_head import DIM, make_head, random_module
from tests.worlds import make_locations


def drawn_world(head: Head, n: int, seed: int, sure: float = 1.0) -> Locations:
    """Return locations whose cells are drawn from the head's own posterior at a temperature."""
    rng = np.random.default_rng(seed)
    features = rng.normal(size=(n, DIM)).astype(np.float16)
    blank = make_locations(np.zeros((n, 2)), features)
    logits = np.log(np.maximum(head.posterior(blank, "cpu"), 1e-30)) / sure
    right = np.exp(logits - logits.max(axis=1, keepdims=True))
    right /= right.sum(axis=1, keepdims=True)
    cells = (right.cumsum(axis=1) > rng.random((n, 1))).argmax(axis=1)
    latlon = head.partition.centroids[cells] + rng.normal(0, 0.05, (n, 2))
    return make_locations(latlon, features)


def gentle_head() -> Head:
    module = random_module()
    module.head[2].weight.data *= 0.4
    return replace(make_head(), module=module)


def test_the_head_that_draws_the_world_needs_no_temperature() -> None:
    head = gentle_head()
    learned = calibrate(head, drawn_world(head, 1500, 0), device="cpu", split="val")
    assert learned.temperature == pytest.approx(1.0, abs=0.12)
    assert (learned.record["split"], learned.record["n_locations"]) == ("val", 1500)


def test_a_head_that_is_too_sure_is_made_less_sure() -> None:
    head = gentle_head()
    locations = drawn_world(head, 1500, 1, sure=3.0)
    learned = calibrate(head, locations, device="cpu")
    assert learned.temperature == pytest.approx(3.0, rel=0.15)
    record = learned.record
    assert record["after"]["ece"] < record["before"]["ece"] / 3
    assert record["after"]["nll"] < record["before"]["nll"]
    assert record["after"]["accuracy"] == record["before"]["accuracy"]
    assert record["coverage"] == pytest.approx({"50": 0.5, "90": 0.9}, abs=0.05)
    assert calibrate(replace(head, calibration=learned), locations, device="cpu") == learned  # starts from the logits


def test_radii_of_new_locations_hold_the_truth_as_often_as_they_say() -> None:
    head = gentle_head()
    for decoder in ("centroid", "balscore"):
        learned = calibrate(head, drawn_world(head, 800, 2, sure=2.0), decoder, device="cpu")
        calibrated = replace(head, calibration=learned)
        new = drawn_world(head, 1500, 3, sure=2.0)
        answers = predict_locations(calibrated, new, decode=decoder, device="cpu")
        assert all(answer.calibrated for answer in answers)
        away = distance_km([(answer.lat, answer.lon) for answer in answers], new.latlon)
        held = [(away <= [getattr(answer, f"radius_{share}_km") for answer in answers]).mean() for share in (50, 90)]
        assert held == pytest.approx([0.5, 0.9], abs=0.05)
        sure = np.array([answer.confidence for answer in answers])
        assert sure.mean() == pytest.approx((away <= 200).mean(), abs=0.05)
        assert sure[away <= 200].mean() > sure[away > 200].mean() + 0.02
        others = predict_locations(calibrated, new.take(np.arange(3)), decode="mean", device="cpu")
        assert not any(answer.calibrated for answer in others)  # radii were learned for another decoder


def test_sets_of_new_locations_hold_the_truth_as_often_as_they_say() -> None:
    head = gentle_head()
    learned = calibrate(head, drawn_world(head, 800, 2, sure=2.0), device="cpu")
    assert learned.set_thresholds is not None
    new = drawn_world(head, 3000, 3, sure=2.0)
    posterior = replace(head, calibration=learned).posterior(new, "cpu")
    areas, cells = cell_areas(head.partition).km2, true_cells(head.partition, new.latlon)
    for method in METHODS:
        scores = set_scores(posterior, cells, method, areas, uniform_of([f"new{i}" for i in range(3000)]))
        held = [(scores <= q).mean() for q in learned.set_thresholds[method].values()]
        assert held == pytest.approx([0.5, 0.9], abs=0.05)
        assert learned.record["set_coverage"][method] == pytest.approx({"50": 0.5, "90": 0.9}, abs=0.06)


def test_a_threshold_lets_few_errors_through() -> None:
    head = gentle_head()
    known, new = drawn_world(head, 1500, 4, sure=2.0), drawn_world(head, 1500, 5, sure=2.0)
    with pytest.raises(ValueError, match="no threshold keeps answers of which at most 1 % are wrong"):
        calibrate(head, known, device="cpu", max_error=0.01)
    wrong = [answer.distance_km > 200 for answer in predict_locations(head, known, device="cpu")]  # type: ignore[operator]
    wanted = 0.8 * float(np.mean(wrong))
    learned = calibrate(head, known, device="cpu", max_error=wanted)
    record = learned.record["abstention"]
    assert learned.abstain_below == record["below"]
    assert record["bound"] <= wanted
    assert record["error"] < wanted
    answers = predict_locations(replace(head, calibration=learned), new, device="cpu")
    kept = [a.distance_km > 200 for a in answers if a.confidence >= learned.abstain_below]  # type: ignore[operator]
    assert len(kept) / len(answers) == pytest.approx(record["coverage"], abs=0.05)
    assert np.mean(kept) <= wanted + 0.03
    assert calibrate(head, known, device="cpu").abstain_below is None


def test_biases_are_learned_where_they_are_asked_for() -> None:
    head = gentle_head()
    bias = np.random.default_rng(0).normal(0, 1.5, len(head.partition))
    bias -= bias.mean()
    biased = replace(head, module=random_module())
    biased.module.load_state_dict(head.module.state_dict())
    biased.module.head[2].bias.data -= torch.tensor(bias, dtype=torch.float32)
    locations = drawn_world(head, 1500, 6)
    plain, vector, auto = (
        calibrate(biased, locations, device="cpu", scaling=name) for name in ("temperature", "vector", "auto")
    )
    assert (plain.bias, "scaling_nll" in plain.record) == (None, False)
    assert vector.bias is not None
    assert np.corrcoef(vector.bias, bias)[0, 1] > 0.7
    assert auto.bias == vector.bias
    assert auto.record["scaling_nll"]["0"] > min(auto.record["scaling_nll"].values()) + 0.05
    assert vector.record["after"]["nll"] < plain.record["after"]["nll"] - 0.05


@pytest.mark.parametrize("decoder", ["centroid", "balscore", "medoid"])
def test_a_half_is_answered_by_what_the_other_half_taught(decoder: str) -> None:
    head = gentle_head()
    locations = drawn_world(head, 120, 8, sure=2.0)
    half = half_of_places(locations.latlon)
    held: dict[str, list[float]] = {"50": [], "90": []}
    sure, wrong = np.empty(120), np.empty(120, dtype=bool)
    for fold in (half, ~half):
        other = calibrate(head, locations.take(np.flatnonzero(~fold)), decoder, device="cpu")
        answers = predict_locations(replace(head, calibration=other), locations, decode=decoder, device="cpu")
        away = distance_km([(answer.lat, answer.lon) for answer in answers], locations.latlon)
        for share, hits in held.items():
            radii = np.array([getattr(answer, f"radius_{share}_km") for answer in answers])
            hits.extend(away[fold] <= radii[fold])
        sure[fold] = np.array([answer.confidence for answer in answers])[fold]
        wrong[fold] = away[fold] > 200
    record = calibrate(head, locations, decoder, device="cpu").record
    assert record["coverage"] == {share: np.mean(hits) for share, hits in held.items()}
    assert record["risk"]["curve"][-1] == pytest.approx([1.0, wrong.mean()], abs=1e-4)
    assert record["risk"]["aurc"] == pytest.approx(aurc(sure, wrong), rel=1e-5)


def test_a_bias_that_saw_the_truth_of_a_half_has_no_part_in_its_risk() -> None:
    """Of few locations each cell's bias is fitted to what lies in it: errors on the same ones are too few."""
    head = gentle_head()
    told, learned_from, new = [], [], []
    for seed in range(6):
        locations, others = drawn_world(head, 60, seed, sure=2.0), drawn_world(head, 300, 100 + seed, sure=2.0)
        learned = calibrate(head, locations, device="cpu", scaling="vector")
        told.append(learned.record["risk"]["curve"][-1][1])
        learned_from.append(1 - learned.record["within"]["200"])
        answers = predict_locations(replace(head, calibration=learned), others, device="cpu")
        new.append(np.mean([answer.distance_km > 200 for answer in answers]))  # type: ignore[operator]
    assert np.mean(learned_from) < np.mean(new) - 0.02
    assert np.mean(told) > np.mean(learned_from) + 0.02
    assert np.mean(told) > np.mean(new) - 0.02


def test_the_curves_of_the_halves_are_those_of_their_errors() -> None:
    head = gentle_head()
    record = calibrate(head, drawn_world(head, 400, 7, sure=3.0), device="cpu").record
    for when in ("before", "after"):
        mean, accuracy, share = np.array(record[when]["reliability"]).T
        assert share.sum() == pytest.approx(1.0, abs=1e-3)
        assert (share * np.abs(mean - accuracy)).sum() == pytest.approx(record[when]["ece"], abs=1e-3)
    curve = np.array(record["risk"]["curve"])
    assert len(curve) <= 100
    assert curve[-1] == pytest.approx([1.0, 1 - record["within"]["200"]], abs=1e-3)
    assert record["risk"]["augrc"] < record["risk"]["aurc"] < curve[-1, 1]


def test_locations_that_tell_nothing_are_refused() -> None:
    head = gentle_head()
    few = drawn_world(head, 19, 0)
    with pytest.raises(ValueError, match="needs at least 20 locations, got 19"):
        calibrate(head, few)
    seen = drawn_world(head, 30, 0)
    trained = replace(head, trained_on=TrainedOn(location_keys(seen.take(np.arange(4)))))
    with pytest.raises(ValueError, match="4 of the 30 locations are training locations"):
        calibrate(trained, seen)
    assert calibrate(trained, seen, allow_training=True, device="cpu").temperature > 0
    with pytest.raises(ValueError, match="decode offset needs offsets"):
        calibrate(head, seen, "offset")


def test_a_partition_that_only_decodes_is_calibrated_by_its_nearest_centroids() -> None:
    head = gentle_head()
    locations = drawn_world(head, 300, 4, sure=2.0)
    partition = head.partition
    bare = type(partition)(
        "centroids", partition.names, partition.names, partition.centroids, partition.counts, partition.radius_km
    )
    assert not bare.can_assign
    learned = calibrate(replace(head, partition=bare), locations, device="cpu")
    assert learned.temperature == pytest.approx(calibrate(head, locations, device="cpu").temperature, rel=0.1)


def test_locations_of_one_place_are_calibrated_without_errors_of_halves() -> None:
    head = gentle_head()
    here = drawn_world(head, 30, 0)
    at_one_place = replace(here, latlon=np.repeat(head.partition.centroids[:1], 30, axis=0))
    record = calibrate(head, at_one_place, device="cpu").record
    assert record["n_locations"] == 30
    assert not {"before", "after", "coverage"} & set(record)


def test_of_too_many_locations_whole_places_are_drawn_whatever_their_order(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("geocell.evaluation.calibrate.MOST", 200)
    head = gentle_head()
    locations = drawn_world(head, 600, 2)
    twice = make_locations(np.repeat(locations.latlon, 2, axis=0), np.repeat(np.asarray(locations.features), 2, axis=0))
    learned = calibrate(head, twice, device="cpu")
    assert (learned.record["n_locations"], learned.record["drawn_from"]) == (200, 1200)
    kept = _drawn(twice, 200)
    assert np.unique(kept.latlon, axis=0, return_counts=True)[1].tolist() == [2] * 100
    mixed = twice.take(np.random.default_rng(3).permutation(1200))
    assert sorted(_drawn(mixed, 200).ids) == sorted(kept.ids)
    assert "drawn_from" not in calibrate(head, twice.take(np.arange(200)), device="cpu").record


def test_of_a_place_with_too_many_locations_a_part_is_drawn_whatever_their_order() -> None:
    locations = drawn_world(gentle_head(), 600, 2)
    latlon = locations.latlon.copy()
    latlon[:590] = latlon[0]
    crowded = make_locations(latlon, np.asarray(locations.features))
    kept = _drawn(crowded, 200)
    assert len(kept) == 200
    mixed = crowded.take(np.random.default_rng(3).permutation(600))
    assert sorted(_drawn(mixed, 200).ids) == sorted(kept.ids)
