"""Scores in countries, and which are taken for which."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from geocell.metrics.outcomes import Outcomes
from geocell.reporting.countries import confusion, country_scores, pairs_taken

CODES = st.lists(st.tuples(st.sampled_from("ABCDE"), st.sampled_from("ABCDEF")), min_size=1, max_size=40)


@given(CODES, st.integers(1, 6))
def test_every_location_of_a_shown_country_is_counted_once(pairs: list[tuple[str, str]], most: int) -> None:
    truth, answered = np.array(pairs).T
    found = confusion(truth, answered, most)
    codes, counts = found["codes"], np.array(found["counts"])
    assert codes == sorted(set(truth), key=lambda c: (-(truth == c).sum(), c))[:most]
    for i, a in enumerate(codes):
        assert counts[i].sum() == (truth == a).sum()
        for j, b in enumerate(codes):
            assert counts[i, j] == sum(pair == (a, b) for pair in pairs)


def test_pairs_that_are_taken_for_one_another() -> None:
    found = {"names": ["A", "B", "C"], "counts": [[5, 3, 0, 1], [0, 9, 0, 0], [2, 0, 1, 0]]}
    assert pairs_taken(found) == [("A", "B", 3, 9), ("C", "A", 2, 3)]
    assert pairs_taken(found, 1) == [("A", "B", 3, 9)]
    assert pairs_taken({"names": [], "counts": []}) == []


def test_scores_of_each_country_with_its_name() -> None:
    km = np.array([10.0, 30.0, 100.0, 9000.0])
    rows = country_scores(Outcomes(km), np.array(["FR", "DE", "FR", "FR"]), np.array(["FR", "DE", "DE", "FR"]))
    assert [(row["code"], row["name"], row["n_locations"]) for row in rows] == [
        ("FR", "France", 3),
        ("DE", "Germany", 1),
    ]
    assert rows[0]["within_25"] == 1 / 3
    assert rows[0]["country_accuracy"] == 2 / 3
    assert rows[0]["median_km"] == 100.0
    for row in rows:
        assert row["balscore_low"] <= row["balscore"] <= row["balscore_high"]
