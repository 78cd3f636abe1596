"""The lines below a table of scores."""

from geocell.reports.score_details import details_text


def test_every_line() -> None:
    scores = {
        "geoscore": 3000.25,
        "geoscore_rounded": 3000.0,
        "intervals": {"geoscore": [2900.0, 3100.0], "country_accuracy": [0.4, 0.6], "level_resolution_1": [0.5, 0.7]},
        "country_accuracy": 0.5,
        "macro": {"n_countries": 1234, "country_accuracy": 0.25, "within_25": 0.125, "balscore": 0.2},
        "levels": {"resolution_1": {"n_groups": 1200, "accuracy": 0.625}},
        "quantiles_km": {"0.1": 3.0, "0.5": 1234.5},
        "radii": {"90": {"n_locations": 3, "coverage": 0.875, "interval": [0.8, 0.95], "median_km": 1500.0}},
        "confidence": {"mean": 0.5, "share": 0.25, "within_km": 200, "ece": 0.25, "brier": 0.125},
        "n_missing": 1200,
        "truth_sha256": "abc",
    }
    assert details_text(scores).splitlines() == [
        "GeoScore 3,000.2 [2,900.0, 3,100.0] (3,000.0 with points rounded)",
        "10 % within 3.0 km · 50 % within 1,234.5 km",
        "in the country of the truth 50.0 [40.0, 60.0] %",
        "mean over 1,234 countries: country 25.0 · ≤25 12.5 · balscore 20.0",
        "top-1 of coarser levels: resolution 1 (1,200) 62.5 [50.0, 70.0]",
        "radius of 90 %: holds 87.5 % [80.0, 95.0], median 1,500.0 km",
        "confidence: 50.0 % on average, 25.0 % within 200 km; calibration error 25.0 %, Brier score 0.125",
        "1,200 locations without a prediction",
        "truth abc",
    ]


def test_scores_of_earlier_versions_have_none() -> None:
    assert details_text({"balscore": 0.5, "geoscore": None}) == ""
