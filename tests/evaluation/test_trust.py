"""Trust in the answers of a head, against slow definitions."""

from dataclasses import replace

import numpy as np
import pytest

from geocell.evaluation.calibrate import calibrate
from geocell.evaluation.score import score
from geocell.metrics.clusters import Clusters
from geocell.metrics.trust import trust_sentences
from geocell.prediction.predictions import predict_locations
from geocell.uncertainty.areas import cell_areas
from geocell.uncertainty.cell_sets import conformal_set
from geocell.uncertainty.selective import augrc, augrc_interval, aurc, aurc_interval
from tests.evaluation.test_calibrate import drawn_world, gentle_head


def test_is_what_predictions_say() -> None:
    head = gentle_head()
    head = replace(head, calibration=calibrate(head, drawn_world(head, 300, 0, sure=2.0), device="cpu", max_error=0.8))
    new = drawn_world(head, 500, 1, sure=2.0)
    new = replace(new, columns={"country": np.array(["A", "B", "B", "", "A"] * 100, dtype=object)})
    trust = score(head, new, device="cpu").trust
    assert trust is not None
    answers = predict_locations(head, new, device="cpu")
    away = np.array([answer.distance_km for answer in answers])
    confidence = np.array([answer.confidence for answer in answers])
    wrong = away > 200
    assert trust["error"] == pytest.approx(wrong.mean())
    assert trust["confidence"]["aurc"] == pytest.approx(aurc(confidence, wrong))
    assert trust["confidence"]["augrc"] == pytest.approx(augrc(confidence, wrong))
    largest = [answer.cells[0].probability for answer in answers]
    by_largest = trust["max_probability"]
    assert (by_largest["aurc"], by_largest["augrc"]) == (aurc(largest, wrong), augrc(largest, wrong))
    places = Clusters.of_places(new.latlon).drawn
    assert trust["confidence"]["aurc_interval"] == pytest.approx(aurc_interval(confidence, wrong, places))
    assert by_largest["augrc_interval"] == pytest.approx(augrc_interval(largest, wrong, places))
    held = np.array([answer.distance_km <= answer.radius_90_km for answer in answers])  # type: ignore[operator]
    assert trust["coverage"]["radius"]["90"] == held.mean()
    of_b = new.columns["country"] == "B"
    assert trust["coverage_by_country"]["B"]["n_locations"] == 200
    assert trust["coverage_by_country"]["B"]["radius"]["90"] == held[of_b].mean()
    assert set(trust["coverage_by_country"]) == {"A", "B"}
    below = head.calibration.abstain_below  # type: ignore[union-attr]
    kept = confidence >= below  # type: ignore[operator]
    assert trust["abstention"]["below"] == below
    assert trust["abstention"]["coverage"] == kept.mean()
    assert trust["abstention"]["error"] == pytest.approx(wrong[kept].mean())
    low, high = trust["abstention"]["error_interval"]
    assert low < trust["abstention"]["error"] < high
    assert len(trust_sentences(trust)) == 5


def test_sets_hold_the_true_cell() -> None:
    from geocell.uncertainty.cell_sets import uniform_of

    head = gentle_head()
    learned = calibrate(head, drawn_world(head, 300, 0, sure=2.0), device="cpu")
    head = replace(head, calibration=learned)
    new = drawn_world(head, 200, 1, sure=2.0)
    trust = score(head, new, device="cpu").trust
    assert trust is not None
    assert learned.set_thresholds is not None
    posterior, cells = head.posterior(new, "cpu"), head.partition.assign(new.latlon)
    areas, u = cell_areas(head.partition).km2, uniform_of(new.ids)
    for method, qs in learned.set_thresholds.items():
        for coverage, q in qs.items():
            sets = [conformal_set(row, method, q, areas, v) for row, v in zip(posterior, u, strict=True)]
            held = [cell in found for cell, found in zip(cells, sets, strict=True)]
            assert trust["coverage"][method][str(coverage)] == pytest.approx(np.mean(held))
    searched = []
    for row, cell in zip(posterior, cells, strict=True):
        order = np.argsort(-row / areas, kind="stable")
        searched.append(areas[order[: order.tolist().index(cell) + 1]].sum())
    assert trust["area_km2"]["0.5"] == pytest.approx(np.sort(searched)[99])
    assert trust["recall_against_area"]["1000000"] == pytest.approx(np.mean(np.array(searched) <= 1e6))


def test_a_head_that_is_not_calibrated_promises_no_coverage() -> None:
    head = gentle_head()
    new = drawn_world(head, 100, 1)
    trust = score(head, new, device="cpu").trust
    assert trust is not None
    assert (trust["coverage"], trust["coverage_by_country"], trust["abstention"]) == ({}, {}, None)
    none_kept = score(head, new, device="cpu", abstain_below=1.0).trust
    assert none_kept is not None
    assert none_kept["abstention"] == {"below": 1.0, "n_kept": 0, "coverage": 0.0}
    calibrated = replace(head, calibration=calibrate(head, drawn_world(head, 100, 0), device="cpu"))
    other = score(calibrated, new, "mean", device="cpu").trust
    assert other is not None
    assert set(other["coverage"]) == {"hpd", "lac", "aps"}  # radii were learned for another decoder
