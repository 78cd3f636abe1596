"""Probabilities over levels, against sums written out, and the order in which they are asked."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from geocell.zeroshot.candidates import Candidate, Candidates
from geocell.zeroshot.levels import Level, descend, ensembled, joint, levels_of, texts_of
from tests.zeroshot.worlds import CITIES


def test_levels_nest() -> None:
    country, region, city = levels_of(CITIES, ["country", "region", "city"])
    assert [item.city for item in CITIES.items] == ["Paris", "Lyon", "Grenoble", "Tokyo", "Osaka", "Lima"]
    assert country.groups.tolist() == [0, 0, 0, 1, 1, 2]
    assert region.groups.tolist() == [0, 1, 1, 2, 3, 4]
    assert region.parents.tolist() == [0, 0, 1, 1, 2]
    assert city.groups.tolist() == list(range(6))
    assert city.parents.tolist() == [0, 1, 1, 2, 3, 4]
    (alone,) = levels_of(CITIES, ["city"])
    assert alone.parents.tolist() == [0] * 6


def test_texts_of_levels() -> None:
    country, city = levels_of(CITIES, ["country", "city"])
    assert texts_of(country, CITIES, ["In {country}."]) == ["In France.", "In Japan.", "In Peru."]
    assert texts_of(city, CITIES, ["{city}.", "{city}, {country}."])[5:8] == [
        "Lima.",
        "Paris, France.",
        "Lyon, France.",
    ]
    bare = Candidates((Candidate("France", "Paris", 48.85, 2.35),))
    (level,) = levels_of(bare, ["city"])
    assert texts_of(level, bare, ["{city}[ in {region}]."]) == ["Paris."]
    with pytest.raises(ValueError, match="names the region, and Paris, France has none: add it, or put that part"):
        texts_of(level, bare, ["{city} in {region}."])


def slow_joint(levels: tuple[Level, ...], logits: list[np.ndarray], keep: int) -> np.ndarray:
    """Return the joint probabilities of one row by loops over groups."""
    p = np.ones(len(levels[-1].groups))
    for number, (level, values) in enumerate(zip(levels, logits, strict=True)):
        share = np.zeros(len(level))
        for parent in set(level.parents.tolist()):
            inside = np.flatnonzero(level.parents == parent)
            raised = np.exp(values[inside] - values[inside].max())
            share[inside] = raised / raised.sum()
        if number == 0 and keep and len(levels) > 1:
            out = np.argsort(-share, kind="stable")[keep:]
            share[out] = 0.0
            share /= share.sum()
        p = p * share[level.groups]
    return p


@given(
    st.integers(0, 2**32 - 1), st.integers(0, 4), st.sampled_from([["country", "city"], ["country", "region", "city"]])
)
def test_the_joint_is_the_product_of_conditionals(seed: int, keep: int, names: list[str]) -> None:
    rng = np.random.default_rng(seed)
    levels = levels_of(CITIES, names)
    logits = [rng.normal(size=(3, len(level))) * rng.choice([0.1, 1, 50]) for level in levels]
    found = joint(levels, logits, keep)
    assert found.sum(axis=1) == pytest.approx(np.ones(3))
    for row in range(3):
        assert found[row] == pytest.approx(slow_joint(levels, [part[row] for part in logits], keep), abs=1e-12)


@given(st.integers(0, 2**32 - 1))
def test_countries_keep_their_own_probability(seed: int) -> None:
    rng = np.random.default_rng(seed)
    levels = levels_of(CITIES, ["country", "city"])
    logits = [rng.normal(size=(4, len(level))) for level in levels]
    raised = np.exp(logits[0])
    masses = levels[0].masses(joint(levels, logits, 0))
    assert masses == pytest.approx(raised / raised.sum(axis=1, keepdims=True))


@given(st.integers(0, 2**32 - 1))
def test_descending_takes_the_best_of_each_level(seed: int) -> None:
    rng = np.random.default_rng(seed)
    levels = levels_of(CITIES, ["country", "region", "city"])
    posterior = rng.dirichlet(np.ones(6) * 0.5, size=5)
    for row, found in zip(posterior, descend(levels, posterior), strict=True):
        inside = np.arange(6)
        for level in levels:
            totals = {g: row[[c for c in inside if level.groups[c] == g]].sum() for g in level.groups[inside].tolist()}
            best = max(totals, key=lambda g: (totals[g], -g))
            inside = np.array([c for c in inside if level.groups[c] == best])
        assert found == inside[0]


def test_templates_are_averaged_as_directions() -> None:
    embeddings = np.array([[1, 0], [0, 1], [0, 1], [0, 1]], dtype=np.float32)  # two templates of two groups
    assert ensembled(embeddings, 2) == pytest.approx(np.array([[0.5**0.5, 0.5**0.5], [0, 1]]))
