"""Adaptive S2 cells."""

import numpy as np
import pytest
import s2cell

from geocell.geo.geodesy import latlon_from_unit
from geocell.partitioners import S2Partitioner

WORLD = latlon_from_unit(np.random.default_rng(0).normal(size=(3000, 3)))
DENSE = np.concatenate((WORLD, np.random.default_rng(1).normal([48, 11], 0.2, (2000, 2))))


def plain_adaptive(points: np.ndarray, max_count: int, min_level: int, max_level: int) -> dict[str, int]:
    """ISN's rule as a loop over cells."""
    cells: dict[int, list[int]] = {}
    for row, (lat, lon) in enumerate(points.tolist()):
        cells.setdefault(s2cell.lat_lon_to_cell_id(lat, lon, min_level), []).append(row)
    done = {}
    while cells:
        cell, rows = cells.popitem()
        level = s2cell.cell_id_to_level(cell)
        if len(rows) <= max_count or level == max_level:
            done[s2cell.cell_id_to_token(cell)] = len(rows)
            continue
        for row in rows:
            cells.setdefault(s2cell.lat_lon_to_cell_id(*points[row].tolist(), level + 1), []).append(row)
    return done


def test_cells_are_those_of_the_plain_loop() -> None:
    partition = S2Partitioner(max_count=100, max_level=9).fit(DENSE)
    expected = plain_adaptive(DENSE, 100, 2, 9)
    assert dict(zip(partition.names, partition.counts.tolist(), strict=True)) == expected
    assert list(partition.names) == sorted(expected)
    levels = {s2cell.token_to_level(name) for name in partition.names}
    assert min(levels) == 2
    assert max(levels) == 9
    assert partition.counts.max() > 100  # at the last level


def test_levels_are_the_parents() -> None:
    partition = S2Partitioner(max_count=100, max_level=9, min_count=5).fit(DENSE)
    for n in range(2, 9):
        names = partition.ancestor_names[f"level_{n}"]
        found = [names[i] for i in partition.ancestors[f"level_{n}"]]
        own = [s2cell.token_to_level(name) for name in partition.names]
        parents = [
            s2cell.token_to_parent_token(name, n) if level > n else name
            for name, level in zip(partition.names, own, strict=True)
        ]
        assert found == parents


def test_isn_drops_cells_at_or_below_the_minimum() -> None:
    partition = S2Partitioner(max_count=100, max_level=9, min_count=51, small="drop").fit(DENSE)
    expected = {name: count for name, count in plain_adaptive(DENSE, 100, 2, 9).items() if count > 50}
    assert dict(zip(partition.names, partition.counts.tolist(), strict=True)) == expected
    assert partition.fitted_on["n_dropped"] == len(DENSE) - sum(expected.values()) > 0


def test_cell_never_seen_is_a_guess() -> None:
    partition = S2Partitioner(max_count=100, min_level=5).fit([[48.0, 11.0], [52.0, 13.0]])
    assignment = partition.locate([[48.01, 11.01], [60.0, 20.0]])
    assert assignment.cells.tolist() == [0, 1]
    assert assignment.fallback.tolist() == [False, True]


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"max_count": 0}, "max_count must be an integer of at least 1, got 0"),
        ({"min_level": -1}, r"min_level must be an integer in \[0, 30\], got -1"),
        ({"max_level": 31}, r"max_level must be an integer in \[0, 30\], got 31"),
        ({"min_level": 9, "max_level": 8}, "min_level must be at most max_level, 8, got 9"),
    ],
)
def test_bad_parameters(parameters: dict[str, int], message: str) -> None:
    with pytest.raises(ValueError, match=f"^S2Partitioner: {message}"):
        S2Partitioner(**parameters)
