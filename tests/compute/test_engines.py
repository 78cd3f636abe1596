"""Pieces of work, wherever they are done."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from geocell.compute import engines
from geocell.compute.engines import is_here, over_rows, results, work_here
from tests.elsewhere import elsewhere


class Both(NamedTuple):
    """Two results of every row."""

    double: np.ndarray
    odd: np.ndarray


def both(rows: np.ndarray) -> Both:
    return Both(2 * rows, rows % 2 == 1)


@given(st.lists(st.integers(0, 99), max_size=30), st.integers(1, 8))
def test_rows_have_the_same_results_elsewhere(values: list[int], size: int) -> None:
    rows = np.array(values, dtype=np.int64)
    with pytest.MonkeyPatch.context() as patch, elsewhere() as engine:
        patch.setattr(engines, "ROWS", size)
        found = over_rows(both, rows)
        assert isinstance(found, Both)
        np.testing.assert_array_equal(found.double, 2 * rows)
        np.testing.assert_array_equal(found.odd, rows % 2 == 1)
        np.testing.assert_array_equal(over_rows(np.negative, rows), -rows)
    assert engine.pieces == (0 if len(rows) <= size else 2 * -(-len(rows) // size))


def test_an_engine_works_until_its_block_ends() -> None:
    def start() -> Callable[[int], bool]:
        return lambda _: True

    assert is_here()
    with elsewhere() as engine:
        assert not is_here()
        assert list(results(start, [1, 2])) == [True, True]
        with work_here():
            assert is_here()
            assert list(results(start, [3])) == [True]
        assert not is_here()
    assert is_here()
    assert engine.pieces == 2
