"""Sentences about trust."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from geocell.metrics.trust import trust_sentences

TRUST: dict[str, Any] = {
    "risk_km": 200.0,
    "error": 0.501,
    "confidence": {"aurc": 0.312, "augrc": 0.205},
    "max_probability": {"aurc": 0.333, "augrc": 0.215, "augrc_interval": [0.2, 0.2345]},
    "area_km2": {"0.5": 123456.0, "0.9": 7654321.0},
    "areas_estimated": 0,
    "coverage": {"radius": {"50": 0.52, "90": 0.897}, "hpd": {"50": 0.49, "90": 0.91}},
    "coverage_by_country": {
        "A": {"n_locations": 40, "radius": {"50": 0.5, "90": 0.95}},
        "B": {"n_locations": 25, "radius": {"50": 0.4, "90": 0.72}},
        "C": {"n_locations": 2, "radius": {"50": 0.0, "90": 0.0}},
    },
    "abstention": {"below": 0.4, "coverage": 0.61, "error": 0.19, "scores": {"balscore": 0.66}},
}


def test_sentences() -> None:
    assert trust_sentences(TRUST) == [
        "50.1 % are wrong by more than 200 km: area under the risk–coverage curve (AURC) 31.2 % and under the "
        "generalised one (AUGRC) 20.5 % by confidence, 33.3 % and 21.5 % "
        "[20.0, 23.4] by the largest probability",
        "the true cell is found within 123,000 km² for 50 % of the locations, within 7,650,000 km² for 90 %",
        "asked for 50 and 90 %, these contain the true position: radius 52.0 and 89.7 %, "
        "smallest-area sets (hpd) 49.0 and 91.0 % of the time",
        "the radius of 90 % holds that of 72.0 % in B (25 locations) to 95.0 % in A (40)",
        "abstaining below a confidence of 40.0 % answers 61.0 % of the locations: 19.0 % of these are wrong by more "
        "than 200 km, balscore 66.0",
    ]


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("abstention", {"below": 0.9, "coverage": 0.0}, "answers 0.0 % of the locations"),
        ("area_km2", {"0.5": 99.0, "0.9": None}, "within 99 km² for 50 % of the locations, not within the cells for"),
        ("areas_estimated", 3, "for 90 % (areas are estimates)"),
    ],
)
def test_what_is_not_known_is_not_said(key: str, value: object, said: str) -> None:
    assert said in "\n".join(trust_sentences({**TRUST, key: value}))


KEYS = st.sampled_from([*TRUST, "aurc", "50", "90", "0.5", "radius", "below", "scores", "n_locations"])
NUMBERS = st.booleans() | st.just(10**400) | st.floats(allow_nan=False, allow_infinity=False)
LEAVES = st.none() | NUMBERS | st.text(max_size=3)
JUNK = LEAVES | st.lists(LEAVES, max_size=2) | st.dictionaries(KEYS, LEAVES | st.dictionaries(KEYS, LEAVES), max_size=3)


@given(st.dictionaries(KEYS, JUNK) | JUNK, st.sampled_from(list(TRUST)), JUNK)
def test_a_file_of_others_makes_no_error(value: object, key: str, part: object) -> None:
    assert all("\n" not in text for text in trust_sentences({**TRUST, key: part}))
    trust_sentences(value)
