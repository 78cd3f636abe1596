"""Heads on real features of real photographs: what a plain linear classifier is known to reach there."""

from pathlib import Path

import numpy as np
import pytest

from benchmarks.real_features import cross_validate, head_answer, majority_answer, nearest_answer, real_locations
from geocell.features.locations import Locations
from geocell.heads.fit_config import FitConfig
from geocell.partitioners import H3Partitioner, KMeansPartitioner

CLUSTERS = KMeansPartitioner(k=64, seed=0)


pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("one_thread")]


@pytest.fixture(scope="module")
def locations(shared_data: Path) -> Locations:
    return real_locations(shared_data)


def test_the_cache_has_every_view(locations: Locations) -> None:
    assert (len(locations), locations.n_views, locations.dim) == (559, 922, 1280)


def test_plain_head_on_64_clusters_reaches_what_is_known(locations: Locations) -> None:
    """A plain LayerNorm -> Linear is known to reach 41.5/56.5/71.7/84.8 %, balscore 55.2; one point of noise."""
    runs = [cross_validate(locations, head_answer(CLUSTERS, FitConfig(seed=seed, device="cpu"))) for seed in range(3)]
    scores = {name: float(np.mean([run[name] for run in runs])) for name in runs[0]}
    assert scores["within_25"] > 40.5
    assert scores["within_200"] > 55.5
    assert scores["within_750"] > 70.7
    assert scores["within_2500"] > 83.8
    assert scores["balscore"] > 54.2


def test_floors_are_where_the_protocol_puts_them(locations: Locations) -> None:
    """The majority cell is known at 9.4 and nearest neighbour at 54.4, on other folds."""
    assert cross_validate(locations, majority_answer(CLUSTERS))["balscore"] < 15
    assert cross_validate(locations, nearest_answer)["balscore"] == pytest.approx(54.4, abs=3)


@pytest.mark.parametrize(("resolution", "within", "least"), [(1, "within_750", 69.0), (2, "within_200", 56.0)])
def test_h3_cells_that_fit_the_radius(locations: Locations, resolution: int, within: str, least: float) -> None:
    """Cells of about 400 km are as good within 750 km as the clusters, cells of about 160 km within 200 km."""
    answer = head_answer(H3Partitioner(resolution=resolution), FitConfig(device="cpu"))
    assert cross_validate(locations, answer)[within] > least


def test_logit_fusion_is_as_good(locations: Locations) -> None:
    config = FitConfig(device="cpu", fusion="logit")
    assert cross_validate(locations, head_answer(CLUSTERS, config))["balscore"] > 53.2
