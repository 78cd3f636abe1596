"""Means over groups, and how often their intervals hold the truth."""

import numpy as np
import pytest

from geocell.metrics.macro import MacroShares


def test_every_group_weighs_the_same() -> None:
    hits = np.array([[1, 0], [0, 0], [1, 1], [1, 0]], dtype=bool)
    shares = MacroShares(hits, np.array([0, 0, 1, 2]))
    assert shares.means.tolist() == [(0.5 + 1 + 1) / 3, 1 / 3]
    for mean, (low, high) in zip(shares.means, shares.intervals(), strict=True):
        assert 0 < low < mean < high < 1


def test_deviations_are_those_of_leaving_a_cluster_out() -> None:
    rng = np.random.default_rng(0)
    hits, groups, clusters = rng.random((40, 2)) < 0.4, np.arange(40) % 5, rng.permutation(np.arange(40) % 9)
    shares = MacroShares(hits, groups, clusters)
    for cluster in range(9):
        there = clusters == cluster
        for column in range(2):
            expected = 0.0
            for group in range(5):
                own, rest = there & (groups == group), ~there & (groups == group)
                if own.any():
                    without = (hits[rest, column].sum() + shares.means[column]) / (rest.sum() + 1)
                    expected += own.sum() / (8 * 5) * (hits[own, column].mean() - without)
            assert shares.deviations[cluster, column] == pytest.approx(expected)


def test_the_ends_of_the_scale() -> None:
    hits = np.array([[False, True]] * 30)
    nothing, everything = MacroShares(hits, np.arange(30) % 6).intervals()
    assert nothing[0] == 0
    assert 0.02 < nothing[1] < 0.3
    assert everything == pytest.approx((1 - nothing[1], 1 - nothing[0]))
    one = MacroShares(np.array([[True]]), np.zeros(1, np.int64)).intervals()[0]
    assert one[0] < 0.2
    assert one[1] == 1


def test_copies_of_locations_in_clusters_are_no_further_draws() -> None:
    rng = np.random.default_rng(1)
    hits, groups = rng.random((60, 1)) < 0.3, np.arange(60) % 7
    once = MacroShares(hits, groups).intervals()[0]
    copies = MacroShares(np.repeat(hits, 5, axis=0), np.repeat(groups, 5), np.repeat(np.arange(60), 5)).intervals()[0]
    assert copies == pytest.approx(once, abs=0.06)
    apart = MacroShares(np.repeat(hits, 5, axis=0), np.repeat(groups, 5)).intervals()[0]
    assert apart[1] - apart[0] < 0.6 * (copies[1] - copies[0])


@pytest.mark.slow
@pytest.mark.parametrize("base", [0.05, 0.4])
@pytest.mark.parametrize("size", [1, 4])
@pytest.mark.parametrize(("n_groups", "n"), [(20, 60), (40, 300), (40, 3000)])
def test_nominal_95_percent(base: float, size: int, n_groups: int, n: int) -> None:
    rng = np.random.default_rng(n + size)
    held = []
    for _ in range(5):
        sizes = np.maximum(1, rng.multinomial(n, rng.dirichlet(np.full(n_groups, 2.0))))
        groups = np.repeat(np.arange(n_groups), sizes)
        _, clusters = np.unique(
            np.concatenate([1000 * g + np.arange(s) // size for g, s in enumerate(sizes)]), return_inverse=True
        )
        shares = rng.beta(4 * base, 4 * (1 - base), n_groups)
        of_cluster = np.zeros(clusters.max() + 1, np.int64)
        of_cluster[clusters] = groups
        for _ in range(150):
            p = shares[of_cluster]
            if size > 1:  # an intraclass correlation of 0.3
                p = rng.beta(np.maximum(p * 7 / 3, 1e-3), np.maximum((1 - p) * 7 / 3, 1e-3))
            hits = rng.random(len(groups)) < p[clusters]
            low, high = MacroShares(hits[:, None], groups, clusters).intervals()[0]
            held.append(low <= shares.mean() <= high)
    assert 0.92 <= np.mean(held) <= 1
