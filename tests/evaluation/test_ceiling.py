"""The best scores that a partition allows."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from geocell.evaluation.audit import audit
from geocell.evaluation.ceiling import Ceiling
from geocell.geo.geodesy import distance_km
from geocell.metrics.outcomes import Outcomes
from geocell.partitioners import KDTreePartitioner

TRAIN = np.array([[50.0, 0.0], [50.0, 18.0], [50.0, 20.0]])  # a cell of one location and a cell of two


def uniform_europe(n: int, seed: int) -> np.ndarray:
    """Points that are uniform on the sphere in 36 to 70°N, 10°W to 40°E."""
    rng = np.random.default_rng(seed)
    lat = np.degrees(np.arcsin(rng.uniform(*np.sin(np.radians([36.0, 70.0])), n)))
    return np.stack((lat, rng.uniform(-10, 40, n)), axis=1)


def test_the_ceiling_has_the_intervals_of_a_score() -> None:
    partition = KDTreePartitioner(max_count=2).fit(TRAIN)
    probes = uniform_europe(200, seed=1)
    result = audit(partition, probes, ["GB"] * 150 + ["PL"] * 50)
    distances = distance_km(probes, partition.centroids[partition.assign(probes)])
    told = Outcomes(distances).intervals()
    assert result.intervals == {name: told[name] for name in result.intervals}
    assert set(result.intervals) == {"balscore", *(f"within_{r}" for r in result.within), "median_km", "mean_km"}
    for name, (low, high) in result.intervals.items():
        value = result.within[int(name[7:])] if name.startswith("within_") else getattr(result, name)
        assert low <= value <= high
    assert result.intervals["within_750"][0] < result.within[750] < result.intervals["within_750"][1]
    there = result.countries["PL"]
    told = Outcomes(distances[150:]).intervals()
    assert there.intervals == {name: told[name] for name in result.intervals}
    one = audit(partition, probes[:1])
    assert set(result.intervals) - set(one.intervals) == {"mean_km"}


def test_a_ceiling_by_hand() -> None:
    ceiling = Ceiling.from_distances(np.array([0.5, 20.0, 100.0, 700.0, 3000.0]))
    assert ceiling.n_locations == 5
    assert ceiling.within == {1: 0.2, 25: 0.4, 200: 0.6, 750: 0.8, 2500: 0.8}
    assert ceiling.balscore == pytest.approx((0.4 * 0.6 * 0.8) ** (1 / 3))
    assert (ceiling.median_km, ceiling.mean_km) == pytest.approx((100.0, 764.1))


@given(st.lists(st.floats(0, 20_000), min_size=1, max_size=12))
def test_a_ceiling_is_json(distances: list[float]) -> None:
    ceiling = Ceiling.from_distances(np.array(distances))
    value = json.loads(json.dumps(ceiling.to_dict()))
    assert {int(radius): share for radius, share in value["within"].items()} == ceiling.within
    assert {name: tuple(ends) for name, ends in value["intervals"].items()} == ceiling.intervals
    shares = list(ceiling.within.values())
    assert shares == sorted(shares)
    assert ("mean_km" in ceiling.intervals) == (len(distances) > 1)
