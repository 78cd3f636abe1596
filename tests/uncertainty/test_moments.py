"""Mean and scatter of features in pieces."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from geocell.uncertainty.moments import joined, streamed_moments


@given(seed=st.integers(0, 1000), cuts=st.lists(st.integers(0, 30), max_size=4), far=st.sampled_from([0.0, 1e4]))
def test_pieces_have_the_moments_of_the_whole(seed: int, cuts: list[int], far: float) -> None:
    rows = np.random.default_rng(seed).normal(size=(30, 4)) * [1, 2, 3, 0.1] + far
    found = streamed_moments(np.split(rows, sorted(cuts)))
    centred = rows - rows.mean(axis=0)
    assert found.count == 30
    assert found.mean == pytest.approx(rows.mean(axis=0))
    assert found.scatter == pytest.approx(centred.T @ centred, rel=1e-9, abs=1e-7)
    assert found.scatter / 29 == pytest.approx(np.cov(rows.T), rel=1e-9, abs=1e-8)


def test_the_order_of_two_does_not_matter() -> None:
    rng = np.random.default_rng(0)
    a, b = (streamed_moments([rng.normal(size=(n, 3))]) for n in (5, 17))
    one, other = joined(a, b), joined(b, a)
    assert one.count == other.count == 22
    assert one.mean == pytest.approx(other.mean)
    assert one.scatter == pytest.approx(other.scatter)


def test_half_precision_is_summed_in_double() -> None:
    rows = np.full((5000, 2), 1000.0, np.float16)
    rows[::2] += 1
    found = streamed_moments(np.array_split(rows, 7))
    assert found.mean.tolist() == [1000.5, 1000.5]
    assert found.scatter == pytest.approx(np.full((2, 2), 1250.0))


def test_what_has_no_moments_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one location, got none"):
        streamed_moments([np.empty((0, 3))])
    with pytest.raises(ValueError, match=r"pieces \(n, D\) of one D, got \(1, 2\)"):
        streamed_moments([np.ones((1, 3)), np.ones((1, 2))])
    with pytest.raises(ValueError, match="need finite features"):
        streamed_moments([np.array([[np.nan]])])
