"""Predicted locations as text."""

import re

import pytest

from geocell.reports.predictions import prediction_text, predictions_text

PREDICTION = {
    "location": "photo.jpg",
    "lat": 48.1372,
    "lon": 11.5755,
    "decoder": "centroid",
    "cells": [
        {"cell": 3, "name": "841f8ddffffffff", "probability": 0.4123, "lat": 48.1372, "lon": 11.5755},
        {"cell": 0, "name": "DE300", "probability": 0.05, "lat": -52.52, "lon": 113.405},
    ],
}


def test_prediction() -> None:
    lines = prediction_text(PREDICTION).split("\n")
    assert lines[0] == "photo.jpg: 48.1372, 11.5755  (decoder centroid)"
    assert lines[1].split() == ["probability", "cell", "centroid", "lat", "lon"]
    assert lines[2].split() == ["1", "41.2", "%", "841f8ddffffffff", "48.1372", "11.5755"]
    assert lines[3].split() == ["2", "5.0", "%", "DE300", "-52.5200", "113.4050"]
    assert len({len(line) for line in lines[1:]}) == 1


def test_prediction_with_the_truth() -> None:
    text = prediction_text({**PREDICTION, "truth": {"lat": 48.1372, "lon": 12.5755}})
    lines = text.split("\n")
    assert lines[1] == "  truth 48.1372, 12.5755, 74.2 km away"  # 111.195 km · cos(48.1372°) along the parallel
    assert lines[2].endswith("km to truth")
    assert lines[3].endswith(" 74.2")


def test_prediction_with_places_and_radii() -> None:
    cells = [dict(cell, place=place) for cell, place in zip(PREDICTION["cells"], ("Munich, Germany", ""), strict=True)]
    more = {"place": "Munich, Germany", "radius_50_km": 12.34, "radius_90_km": 1234.5, "cells": cells}
    lines = prediction_text({**PREDICTION, **more}).split("\n")
    assert lines[1] == "  Munich, Germany"
    assert lines[2] == "  50 % of the probability within 12.3 km and 90 % within 1,234.5 km (not calibrated)"
    assert lines[3].split()[:3] == ["probability", "cell", "place"]
    assert re.search("841f8ddffffffff +Munich, Germany +48.1372", lines[4])


def test_predictions_that_have_no_answer_say_why() -> None:
    bad = {"location": "x.jpg", "lat": None, "lon": None, "problem": "no such file", "cells": []}
    assert prediction_text(bad) == "x.jpg: no answer: no such file"
    away = [{**PREDICTION, "truth": {"lat": 48.0, "lon": 11.0}, "distance_km": km} for km in (10.0, 30.0)]
    blocks = predictions_text([bad, *away]).split("\n\n")
    assert blocks[0] == "x.jpg: no answer: no such file"
    assert blocks[-1] == "2 of 3 located; median distance to the truth, known for 2: 20.0 km"
    assert predictions_text([bad]) == prediction_text(bad)
    withheld = predictions_text([{**away[0], "abstained": True}, away[1]]).split("\n\n")
    assert "  withheld: less sure than asked for" in withheld[0].splitlines()
    assert withheld[-1] == (
        "2 of 2 located, 1 of these answers withheld (50.0 % answered); median distance to the truth, known for 1: "
        "30.0 km"
    )


def test_prediction_with_sets() -> None:
    areas = {"area_50_km2": 1234.5, "area_90_km2": 7_654_321.0}
    assert prediction_text({**PREDICTION, **areas, "sets": "hpd"}).split("\n")[1] == (
        "  50 % within 1,230 km² and 90 % within 7,650,000 km² (cells by hpd)"
    )
    by_mass = prediction_text({**PREDICTION, **areas, "sets": "mass"})
    assert (
        "  50 % of the probability in 1,230 km² and 90 % of the probability in 7,650,000 km² (cells by mass)" in by_mass
    )
    assert "km²" not in prediction_text({**PREDICTION, **areas, "sets": ""})


def test_prediction_without_cells_or_coordinates() -> None:
    assert prediction_text({"location": "x", "lat": 1, "lon": 2.5}) == "x: 1.0000, 2.5000"
    with pytest.raises(ValueError, match="a prediction must hold degrees as 'lat' and 'lon', got"):
        prediction_text({"location": "x"})
