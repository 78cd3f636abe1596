"""The published tables hold the numbers of their sources."""

import pytest

from geocell.evaluation.published import published_scores

SOURCES = {
    "im2gps": {
        "PlaNet": "24.5 37.6 53.6 71.3",
        "ISNs": "43.0 51.9 66.7 80.2",
        "TransLocator": "48.1 64.6 75.6 86.7",
        "CLIP, zero-shot (": "27.0 42.2 71.7 86.9",
        "StreetCLIP, zero-shot (": "28.3 45.1 74.7 88.2",
        "StreetCLIP, zero-shot, public": "28.3 42.6 67.5 80.2",
    },
    "im2gps3k": {
        "PlaNet": "8.5 24.8 34.3 48.4 64.6",
        "ISNs": "10.5 28.0 36.6 49.7 66.0",
        "TransLocator": "11.8 31.1 46.7 58.9 80.1",
        "CLIP, zero-shot (": "19.5 34.0 60.0 78.1",
        "StreetCLIP, zero-shot (": "22.4 37.4 61.3 80.4",
        "StreetCLIP, zero-shot, public": "21.8 34.7 55.5 74.8",
        "GeoCLIP": "14.1 34.5 50.7 69.7 83.8",
        "PIGEOTTO": "11.3 36.7 53.8 72.4 85.3",
    },
}
"""The last radii of each row, in percent, typed again from the papers, the model card and the reproduction's README."""


@pytest.mark.parametrize("benchmark", SOURCES)
def test_numbers_are_those_of_the_sources(benchmark: str) -> None:
    rows = published_scores(benchmark)
    assert len(rows) == len(SOURCES[benchmark])
    for row, (start, text) in zip(rows, SOURCES[benchmark].items(), strict=True):
        assert row.model.startswith(start)
        assert row.source
        expected = [float(word) for word in text.split()]
        assert list(row.within) == [1, 25, 200, 750, 2500][-len(expected) :]
        assert [100 * share for share in row.within.values()] == pytest.approx(expected)
        assert row.zero_shot == ("zero-shot" in row.model)


def test_shares_grow_with_the_radius() -> None:
    for benchmark in SOURCES:
        for row in published_scores(benchmark):
            assert sorted(row.within.values()) == list(row.within.values())


def test_other_benchmarks_are_refused() -> None:
    with pytest.raises(ValueError, match="known of im2gps, im2gps3k, got 'osv5m'"):
        published_scores("osv5m")
