"""Weights of cells in the cross-entropy."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from geocell.partitioners.class_weights import class_weights

counts_lists = st.lists(st.integers(0, 500), min_size=1, max_size=30).filter(any)


class TestClassWeights:
    def test_inverse_frequency_is_balanced(self) -> None:
        assert class_weights([1, 2, 5]).tolist() == pytest.approx([8 / 3, 8 / 6, 8 / 15])

    def test_exponent_zero_is_no_weighting(self) -> None:
        assert class_weights([1, 7, 0], exponent=0.0).tolist() == [1.0, 1.0, 0.0]

    def test_the_cap_is_met_exactly_and_the_mean_stays_one(self) -> None:
        weights = class_weights([1, 1, 98], cap=2.0)
        assert weights.tolist() == pytest.approx([2.0, 2.0, 96 / 98])

    @given(counts=counts_lists, exponent=st.floats(0, 2), cap=st.floats(1, 50))
    def test_laws(self, counts: list[int], exponent: float, cap: float) -> None:
        n = np.array(counts, dtype=float)
        weights = class_weights(counts, exponent, cap)
        assert weights.dtype == np.float32
        assert float(weights @ n) / n.sum() == pytest.approx(1.0, rel=1e-5)
        assert weights.max() <= cap * (1 + 1e-6)
        assert ((weights > 0) == (n > 0)).all()
        seen = n > 0
        assert (np.diff(weights[seen][np.argsort(n[seen])]) <= 1e-6).all()  # rarer never weighs less

    @pytest.mark.parametrize("counts", [[], [0, 0], [-1, 3]])
    def test_refuses_counts_without_a_location(self, counts: list[int]) -> None:
        with pytest.raises(ValueError, match=r"class weights need non-negative counts \(C,\) with at least one"):
            class_weights(counts)

    def test_refuses_a_cap_below_the_mean(self) -> None:
        with pytest.raises(ValueError, match=r"must be at least 1, got 0\.5\."):
            class_weights([1, 2], cap=0.5)
