"""Largest cosines between views: equal to all pairs at once, whatever the blocks."""

import numpy as np
import pytest

from geocell.features.locations import Locations
from geocell.splits.near_duplicates import largest_cosines
from tests.worlds import INFO


def with_views(counts: list[int], seed: int) -> Locations:
    rng = np.random.default_rng(seed)
    n, offsets = sum(counts), np.concatenate(([0], np.cumsum(counts)))
    return Locations(
        ids=np.array([f"l{i}" for i in range(len(counts))], dtype=object),
        latlon=np.zeros((len(counts), 2)),
        features=rng.normal(size=(n, INFO.dim)).astype(np.float16),
        rows=rng.permutation(n),
        offsets=offsets,
        encoder=INFO,
        columns={},
    )


@pytest.mark.parametrize("block", [1, 7, 4096])
def test_they_are_those_of_all_pairs(block: int) -> None:
    ours, train = with_views([1, 4, 2, 3, 1], 0), with_views([2, 2, 5, 1], 1)
    train.features[3] = ours.features[ours.rows[2]] * np.float16(2.0)  # the same direction as a view of location 1
    ours.features[ours.rows[0]] = 0  # no direction
    expected = []
    for i in range(len(ours)):
        cosines = [-1.0]
        for row in ours.rows[ours.offsets[i] : ours.offsets[i + 1]]:
            for other in train.features.astype(float):
                a = ours.features[row].astype(float)
                cosines.append(a @ other / max(np.linalg.norm(a) * np.linalg.norm(other), 1e-30))
        expected.append(max(cosines))
    found = largest_cosines(ours, train, block)
    np.testing.assert_allclose(found, expected, atol=1e-6)
    assert found[0] == 0
    assert found[1] == pytest.approx(1, abs=1e-6)
