"""What splits leak, as text."""

from geocell.evaluation.leaks import Leaks, SplitLeaks
from geocell.reports.leaks import leaks_text
from geocell.splits.leaks import QUANTILES, bin_names

QUANTILES_KM = {f"{q:g}": 1000 * q for q in (0.0, *QUANTILES, 1.0)}
COUNTS = dict(zip(bin_names(), (1, 0, 2, 0, 3, 1994), strict=True))


def test_it_has_the_verdict_and_a_table_of_each_kind() -> None:
    scores = {"1–5": {"n_locations": 2, "balscore": 0.5, "balscore_low": 0.25, "balscore_high": 0.75}}
    scores["1–5"] |= {"within_25": 0.5, "within_200": 0.5, "within_750": 1.0, "median_km": 12.34}
    split = SplitLeaks(2000, 1, {"image": 0, "user": 7}, 5, QUANTILES_KM, COUNTS, 3, scores)
    text = leaks_text(Leaks("by country", 9000, 0.999, "centroid", {"test": split}).to_dict())
    lines = [line.split() for line in text.splitlines()]
    assert text.startswith("leaks: 0.05 % of the test locations share coordinates with training\n")
    assert "splits: by country; 9,000 training locations" in text
    assert ["test", "2,000", "1", "0", "7", "5", "3"] in lines
    assert ["test", "1", "0", "2", "0", "3", "1,994"] in [line[:7] for line in lines]
    assert ["test", "1–5", "2", "50.0", "50.0", "100.0", "12.3", "50.0", "[25.0,", "75.0]"] in lines
    without = SplitLeaks(2000, 0, {"image": 0}, 0, QUANTILES_KM, COUNTS)
    text = leaks_text(Leaks("unknown", 1, 0.999, "", {"val": without}).to_dict())
    assert "no shared coordinate" in text
    assert "decoder" not in text
