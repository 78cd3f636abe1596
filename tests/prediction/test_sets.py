"""Sets of cells of answers."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import shapely

from geocell.evaluation.calibrate import calibrate
from geocell.geo.shapes import areas_km2
from geocell.heads.candidates import make_candidates
from geocell.partitioners import KMeansPartitioner
from geocell.prediction.files import to_geojson
from geocell.prediction.predictions import predict_locations
from geocell.prediction.sets import SetMaker, SetMethod, polygons_of, set_polygon
from geocell.uncertainty.areas import cell_areas, smallest_area_cells
from geocell.uncertainty.cell_sets import METHODS, set_scores, uniform_of
from tests.evaluation.test_calibrate import drawn_world, gentle_head
from tests.prediction.test_predictions import PLACES, bare, head_with
from tests.worlds import make_locations


def test_without_a_calibration_they_hold_the_probability() -> None:
    head = gentle_head()
    locations = drawn_world(head, 5, 0)
    areas = cell_areas(head.partition).km2
    for answer, row in zip(
        predict_locations(head, locations, device="cpu"), head.posterior(locations, "cpu"), strict=True
    ):
        assert (answer.sets, answer.set_cells) == ("mass", None)
        expected = [areas[smallest_area_cells(row, areas, mass)].sum() for mass in (0.5, 0.9)]
        assert [answer.area_50_km2, answer.area_90_km2] == pytest.approx(expected)


@pytest.mark.parametrize("method", METHODS)
def test_calibrated_ones_hold_the_truth_at_least_as_often_as_they_say(method: SetMethod) -> None:
    head = gentle_head()
    learned = calibrate(head, drawn_world(head, 800, 2, sure=2.0), device="cpu")
    head, new = replace(head, calibration=learned), drawn_world(head, 1500, 3, sure=2.0)
    cells, posterior = head.partition.assign(new.latlon), head.posterior(new, "cpu")
    areas = cell_areas(head.partition).km2
    answers = predict_locations(head, new, device="cpu", sets=method)
    assert all(len(found) for answer in answers for found in answer.set_cells or ())
    scores = set_scores(posterior, cells, method, areas, uniform_of(new.ids))  # type: ignore[arg-type]
    for which, coverage in enumerate((50, 90)):
        held = np.array([cell in answer.set_cells[which] for cell, answer in zip(cells, answers, strict=True)])  # type: ignore[index]
        by_score = scores <= learned.set_thresholds[method][coverage]  # type: ignore[index]
        assert (held | ~by_score).all()  # the first cell of a set that would be empty is all that is added
        assert held.mean() >= coverage / 100 - 0.04
    assert answers[0].sets == method
    assert predict_locations(head, new.take(np.arange(1)), device="cpu")[0].sets == "hpd"


def test_an_answer_of_little_confidence_is_withheld() -> None:
    head = gentle_head()
    new = drawn_world(head, 50, 1)
    below = float(np.median([answer.confidence for answer in predict_locations(head, new, device="cpu")]))  # type: ignore[misc]
    answers = predict_locations(head, new, device="cpu", abstain_below=below)
    assert sum(answer.abstained for answer in answers) == 25
    assert all(answer.abstained == (answer.confidence < below) for answer in answers)  # type: ignore[operator]
    assert not any(answer.abstained for answer in predict_locations(head, new, device="cpu"))
    learned = replace(calibrate(head, drawn_world(head, 100, 0), device="cpu"), abstain_below=1.0)
    of_calibration = predict_locations(replace(head, calibration=learned), new, device="cpu")
    assert all(answer.abstained for answer in of_calibration)
    assert of_calibration[0].to_dict()["abstained"] is True


def test_polygons_beside_points() -> None:
    head = gentle_head()
    answers = predict_locations(head, drawn_world(head, 3, 0), device="cpu", sets="mass")
    features = json.loads(to_geojson(answers, head.partition))["features"]
    assert [feature["geometry"]["type"] == "Point" for feature in features] == [True, False, False] * 3
    for i, feature in enumerate(features):
        if i % 3 == 0:
            continue
        properties, answer = feature["properties"], answers[i // 3]
        coverage = (50, 90)[i % 3 - 1]
        assert properties == {
            "location": answer.location,
            "sets": "mass",
            "coverage": coverage,
            "area_km2": getattr(answer, f"area_{coverage}_km2"),
        }
        shape = shapely.geometry.shape(feature["geometry"])
        assert areas_km2(np.array([shape], dtype=object))[0] == pytest.approx(properties["area_km2"], rel=0.01)
        parts = shapely.get_parts(shape)
        assert shapely.is_ccw(shapely.get_exterior_ring(parts)).all()
    assert len(json.loads(to_geojson(answers))["features"]) == 3


def test_cells_without_polygons_have_areas_alone(tmp_path: Path) -> None:
    locations = make_locations(np.zeros((1, 2)), np.zeros((1, 2)))
    answers = predict_locations(head_with([0.6, 0.2, 0.1, 0.1], bare(PLACES)), locations, sets="mass")
    assert answers[0].area_50_km2 == pytest.approx(cell_areas(answers.partition).km2[0])
    assert polygons_of(answers.partition) is None
    assert len(json.loads(answers.save(tmp_path / "a.geojson").read_text())["features"]) == 1


def test_a_union_has_no_seams() -> None:
    boxes = np.array([shapely.box(0, 0, 1, 1), shapely.box(1, 0, 2, 1), shapely.box(5, 5, 6, 6)], dtype=object)
    assert set_polygon(boxes, np.array([0, 1])).equals(shapely.box(0, 0, 2, 1))
    assert set_polygon(boxes, np.array([0, 2])).geom_type == "MultiPolygon"


def test_sets_that_were_not_learned_are_refused() -> None:
    with pytest.raises(ValueError, match="sets by aps are learned by `geocell calibrate`, and this head has none"):
        SetMaker.of(gentle_head(), "aps")
    with pytest.raises(ValueError, match="sets must be one of mass, hpd, lac, aps, got 'best'"):
        SetMaker.of(gentle_head(), "best")  # type: ignore[arg-type]


def test_points_have_no_area() -> None:
    """Discs around training places by their neighbours are no area that could hold the truth."""
    latlon = np.random.default_rng(0).uniform(40.0, 60.0, (12, 2))
    places = make_candidates([KMeansPartitioner(k=3, seed=0).fit(latlon)], latlon, "places").partition
    maker = SetMaker(places, "mass")
    half, _ = maker(np.full(len(places), 1 / len(places), dtype=np.float32), 0.5)
    assert len(half) >= len(places) / 2
    assert maker.km2(half) is None
    assert cell_areas(places).note == "no areas are told: the cells are points"
