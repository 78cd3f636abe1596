"""What an epoch of a fit is scored on."""

import math

import numpy as np
import pytest
import torch

from geocell.decoders.table import decode
from geocell.features.locations import Locations
from geocell.geo.geodesy import distance_km
from geocell.heads.fit_config import FitConfig
from geocell.heads.module import GeoHead
from geocell.metrics.outcomes import balscore_of
from geocell.partitioners import KMeansPartitioner
from geocell.training import validation
from geocell.training.validation import Validation
from tests.worlds import make_locations

D, C, CPU = 8, 5, torch.device("cpu")


def world(n: int = 30) -> Locations:
    rng = np.random.default_rng(0)
    latlon = np.stack((rng.uniform(40, 60, n), rng.uniform(0, 20, n)), axis=1)
    return make_locations(latlon, rng.normal(size=(n, D)).astype(np.float32))


def module() -> GeoHead:
    made = GeoHead(D, C).eval()
    made.head[2].weight.data = torch.randn(C, D, generator=torch.Generator().manual_seed(0))
    return made


@pytest.mark.parametrize("name", ["centroid", "mean"])
def test_a_score_is_that_of_the_decoded_posterior(name: str) -> None:
    val = world()
    partition = KMeansPartitioner(k=C).fit(val.latlon)
    found = Validation.of(val, partition, FitConfig(decode=name), CPU).score(module())
    with torch.no_grad():
        posterior = torch.softmax(module()(torch.from_numpy(val.mean_features())), 1).numpy()
    distances = distance_km(decode(name, posterior, partition.centroids), val.latlon)
    assert found == pytest.approx(
        {
            "val_balscore": balscore_of(distances),
            "val_median_km": float(np.median(distances)),
            "val_mean_km": float(distances.mean()),
        }
    )


@pytest.mark.parametrize("stream", [0, 10])
def test_parts_and_streaming_change_nothing(stream: int, monkeypatch: pytest.MonkeyPatch) -> None:
    val = world()
    partition = KMeansPartitioner(k=C).fit(val.latlon)
    whole = Validation.of(val, partition, FitConfig(), CPU).score(module())
    monkeypatch.setattr(validation, "_PART", 7)
    in_parts = Validation.of(val, partition, FitConfig(stream=stream), CPU)
    assert len(in_parts.parts) == 5
    assert all(isinstance(part, Locations) == bool(stream) for part in in_parts.parts)
    assert in_parts.score(module()) == pytest.approx(whole)


@pytest.mark.parametrize("val", [None, world().take(np.empty(0, np.int64))])
def test_without_locations_there_is_no_score(val: Locations | None) -> None:
    partition = KMeansPartitioner(k=C).fit(world().latlon)
    found = Validation.of(val, partition, FitConfig(), CPU).score(module())
    assert set(found) == {"val_balscore", "val_median_km", "val_mean_km"}
    assert all(map(math.isnan, found.values()))
