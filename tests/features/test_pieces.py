"""Locations as pieces of work."""

from collections.abc import Callable

import numpy as np
import pytest

from geocell.features import pieces
from geocell.features.locations import Locations
from geocell.features.pieces import over_locations
from tests.elsewhere import elsewhere
from tests.worlds import make_locations


def start() -> Callable[[Locations], tuple[list[str], np.ndarray, list[str]]]:
    return lambda piece: (piece.ids.tolist(), piece.mean_features(), list(piece.columns))


@pytest.mark.parametrize(("size", "n"), [(3, 8), (4, 8), (8, 8), (3, 0)])
def test_pieces_elsewhere_are_those_of_here(monkeypatch: pytest.MonkeyPatch, size: int, n: int) -> None:
    monkeypatch.setattr(pieces, "PIECE", size)
    rng = np.random.default_rng(0)
    locations = make_locations(rng.uniform(-60, 60, (n, 2)), rng.normal(size=(n, 8)))
    here = list(over_locations(start, locations))
    with elsewhere() as engine:
        there = list(over_locations(start, locations))
    n_pieces = -(-n // size)
    assert engine.pieces == (n_pieces if n_pieces > 1 else 0)
    assert [rows for rows, _ in here] == [slice(i, min(i + size, n)) for i in range(0, n, size)]
    assert [rows for rows, _ in there] == [rows for rows, _ in here]
    for (_, (names, features, _)), (rows, (same_names, same, columns)) in zip(here, there, strict=True):
        assert names == same_names == locations.ids[rows].tolist()
        np.testing.assert_array_equal(features, same)
        assert columns == []
