"""Predictions from a posterior: the radius that holds a share of it, and the reasons to doubt an answer."""

import numpy as np
import pytest
import torch

from geocell.geo.geodesy import circle, distance_km
from geocell.heads.fit_config import FitConfig
from geocell.heads.head import Head
from geocell.heads.module import GeoHead
from geocell.partitioners import KMeansPartitioner
from geocell.partitioners.base import Partition
from geocell.prediction.predictions import mass_radius_km, predict_locations
from tests.outside import nothing_east_of
from tests.worlds import make_locations

PLACES = np.array([[50.0, 10.0], [50.0, 12.0], [50.0, 14.0], [50.0, 40.0]])


def bare(centroids: np.ndarray, radius_km: float = np.nan) -> Partition:
    names = tuple(f"c{i}" for i in range(len(centroids)))
    counts = np.zeros(len(centroids), dtype=np.int64)
    return Partition("centroids", names, names, centroids, counts, np.full(len(centroids), radius_km))


def head_with(posterior: list[float], partition: Partition) -> Head:
    """A head that answers with one posterior, whatever it sees."""
    module = GeoHead(2, len(posterior))
    module.head[2].bias.data = torch.log(torch.tensor(posterior))
    return Head(module, partition, make_locations(np.zeros((1, 2)), np.zeros((1, 2))).encoder, FitConfig())


def ask(head: Head, **kw: object) -> object:
    return predict_locations(head, make_locations(np.zeros((1, 2)), np.zeros((1, 2))), **kw)[0]  # type: ignore[arg-type]


def test_radius_of_the_smallest_set_of_cells() -> None:
    row, order = np.array([0.5, 0.1, 0.3, 0.1], np.float32), np.array([0, 2, 1, 3])
    partition = bare(PLACES)
    away = distance_km(PLACES[0], PLACES)
    for mass, expected in {0.4: 0.0, 0.49: 0.0, 0.51: away[2], 0.79: away[2], 0.85: away[2], 0.95: away[3]}.items():
        assert mass_radius_km(partition, PLACES[0], row, order, mass) == pytest.approx(expected, abs=1e-6), mass


def test_cells_reach_as_far_as_their_own_radius() -> None:
    row, order = np.array([0.5, 0.1, 0.3, 0.1], np.float32), np.array([0, 2, 1, 3])
    away = distance_km(PLACES[0], PLACES)
    assert mass_radius_km(bare(PLACES, 30.0), PLACES[0], row, order, 0.4) == pytest.approx(30.0)
    assert mass_radius_km(bare(PLACES, 30.0), PLACES[0], row, order, 0.7) == pytest.approx(away[2] + 30.0)


def test_a_spread_answer_is_doubted() -> None:
    sure = ask(head_with([0.7, 0.12, 0.1, 0.08], bare(PLACES)))
    assert sure.doubt == ""
    assert sure.radius_50_km == 0.0
    assert sure.radius_90_km == pytest.approx(distance_km(PLACES[0], PLACES[2]), rel=1e-6)
    spread = ask(head_with([0.46, 0.05, 0.05, 0.44], bare(PLACES)), top_k=2)
    assert spread.doubt == "half of the probability is spread over 2,130 km around the point"
    assert [cell.name for cell in spread.cells] == ["c0", "c3"]


def test_a_point_between_the_cells_is_doubted(monkeypatch: pytest.MonkeyPatch) -> None:
    partition = KMeansPartitioner(k=2, seed=0).fit(np.array([[50.0, 10.0], [50.0, 16.0]]))
    nothing_east_of(12.0, monkeypatch)
    head = head_with([0.6, 0.4], partition)
    assert ask(head).doubt == ""
    assert ask(head, decode="mean").doubt == "the point lies in none of the head's cells"


def test_a_circle_is_equally_far_everywhere() -> None:
    for middle in ([50.0, 10.0], [0.0, 180.0], [89.9, -30.0], [90.0, 0.0]):
        assert distance_km(middle, circle(middle, 700.0)) == pytest.approx(np.full(90, 700.0), abs=1e-6)
    north, east = circle([50.0, 10.0], 100.0, n=4)[:2]
    assert north[1] == pytest.approx(10.0)
    assert north[0] > 50.0
    assert east[1] > 10.0
