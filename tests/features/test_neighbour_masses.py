"""The probabilities of neighbours, by their formula."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from geocell.features.neighbour_masses import neighbour_masses


@given(seed=st.integers(0, 500), temperature=st.sampled_from([1e-3, 0.05, 2.0]), share=st.sampled_from([0.0, 0.4, 1.0]))
def test_masses_are_the_formula(seed: int, temperature: float, share: float) -> None:
    rng = np.random.default_rng(seed)
    p, cells = rng.dirichlet(np.ones(4), 3), rng.integers(0, 4, (3, 6))
    cosines = rng.uniform(-1, 1, (3, 6)).astype(np.float32)
    cosines[0, 4:] = -np.inf
    found = neighbour_masses(p, cells, cosines, temperature, share)
    for i in range(3):
        there = [j for j in range(6) if np.isfinite(cosines[i, j])]
        top = float(cosines[i].max())
        vote = {j: np.exp((float(cosines[i, j]) - top) / temperature) for j in there}
        near = {j: p[i, cells[i, j]] * vote[j] for j in there}
        even = {j: p[i, cells[i, j]] / sum(cells[i, m] == cells[i, j] for m in there) for j in there}
        for j in range(6):
            expected = (1 - share) * near.get(j, 0) / sum(near.values()) + share * even.get(j, 0) / sum(even.values())
            assert found[i, j] == pytest.approx(expected, abs=1e-9)


def test_masses_refuse_what_is_out_of_range() -> None:
    with pytest.raises(ValueError, match="a temperature above 0 and a share from 0 to 1, got 0 and 0"):
        neighbour_masses(np.ones((1, 1)), np.zeros((1, 1), np.int64), np.ones((1, 1), np.float32), 0.0, 0.0)
