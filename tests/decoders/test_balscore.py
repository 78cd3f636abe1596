"""The decoder `balscore`, and the shares that it needs."""

import numpy as np
import pytest

from geocell.decoders import balscore
from geocell.decoders.balscore import BalScore, fit_shares, shares_problem
from geocell.decoders.base import PartitionData
from geocell.decoders.table import as_decoder, parse_decoder
from geocell.geo.geodesy import distance_km
from geocell.metrics.outcomes import balscore_of

# 0 and 1 are 111 km apart, 2 is 556 km from 0, and 3 is far from all.
DATA = PartitionData(np.array([[0.0, 0.0], [0.0, 1.0], [0.0, 5.0], [0.0, 60.0]]))


def test_scarce_radii_weigh_most() -> None:
    p = np.array([[0.25, 0.2, 0.15, 0.4]], dtype=np.float32)
    # equal weights: cell 0 has 0.25 + 0.45 + 0.6, cell 3 has 3 · 0.4; where street level is scarce cell 3 has the most
    assert as_decoder("balscore:1,1,1").prepare(DATA)(p).tolist() == [[0.0, 0.0]]
    assert as_decoder("balscore:0.01,0.9,1").prepare(DATA)(p).tolist() == [[0.0, 60.0]]


def test_shares_of_the_head_are_used_where_none_are_typed() -> None:
    p = np.array([[0.25, 0.2, 0.15, 0.4]], dtype=np.float32)
    known = PartitionData(DATA.centroids, shares={25: 0.01, 200: 0.9, 750: 1.0})
    assert as_decoder("balscore").prepare(known)(p).tolist() == [[0.0, 60.0]]
    assert as_decoder("balscore:1,1,1").prepare(known)(p).tolist() == [[0.0, 0.0]]
    with pytest.raises(ValueError, match="decode balscore needs the shares that a head reaches: calibrate it"):
        as_decoder("balscore").prepare(DATA)


def test_names() -> None:
    assert parse_decoder("balscore") == BalScore()
    assert BalScore().spec == "balscore"
    assert parse_decoder("balscore:0.2,0.5,0.75").spec == "balscore:0.2,0.5,0.75"


@pytest.mark.parametrize("typed", ["0.5,0.2,0.7", "0.1,0.2,1.1", "-0.1,0.2,0.3", "0,0.2,0.3", "0.2", "nan,0.2,0.3"])
def test_shares_that_are_none(typed: str) -> None:
    with pytest.raises(ValueError, match="three shares of locations, rising from above 0 to at most 1, got"):
        parse_decoder(f"balscore:{typed}")


class TestFitShares:
    def test_are_those_that_its_own_answers_reach(self) -> None:
        rng = np.random.default_rng(0)
        centroids = np.stack((rng.uniform(40, 50, 60), rng.uniform(0, 15, 60)), axis=1)
        posterior = rng.dirichlet(np.full(60, 0.08), 400).astype(np.float32)
        cells = np.array([rng.choice(60, p=row / row.sum()) for row in posterior.astype(np.float64)])
        truth = centroids[cells] + rng.normal(0, 0.3, (400, 2))
        shares = fit_shares(posterior, truth, centroids)
        decoder = BalScore(*shares.values())
        km = distance_km(decoder.prepare(PartitionData(centroids))(posterior), truth)
        reached = {radius: ((km <= radius).sum() + 0.5) / 401 for radius in (25, 200, 750)}
        assert shares == pytest.approx(reached, abs=0.02)
        plain = distance_km(centroids[posterior.argmax(axis=1)], truth)
        assert balscore_of(km) > balscore_of(plain)

    def test_a_radius_that_nobody_hits_has_a_finite_weight(self) -> None:
        shares = fit_shares(np.eye(4)[:2], [[0.0, 100.0], [0.0, 3.0]], DATA.centroids)
        assert shares == pytest.approx({25: 0.5 / 3, 200: 0.5 / 3, 750: 1.5 / 3})

    def test_distances_that_are_kept_change_nothing(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Above a number of cells every round prepares a decoder of its own."""
        rng = np.random.default_rng(1)
        centroids = np.stack((rng.uniform(40, 50, 80), rng.uniform(0, 15, 80)), axis=1)
        centroids[1] = centroids[0]
        posterior = rng.dirichlet(np.full(80, 0.1), 300).astype(np.float32)
        truth = centroids[rng.integers(80, size=300)]
        kept = fit_shares(posterior, truth, centroids)
        monkeypatch.setattr(balscore, "KEPT_CELLS", 10)
        assert fit_shares(posterior, truth, centroids) == kept

    def test_no_location_is_refused(self) -> None:
        with pytest.raises(ValueError, match="of P >= 1 locations"):
            fit_shares(np.empty((0, 4)), np.empty((0, 2)), DATA.centroids)


def test_shares_of_a_file() -> None:
    assert shares_problem({25: 0.1, 200: 0.2, 750: 0.2}) == ""
    assert shares_problem({25: 0.1, 200: 0.2}) == "must be of 25, 200, 750 km, got 25, 200"
    assert shares_problem({25: 0.0, 200: 0.2, 750: 0.3}).startswith("must rise")
