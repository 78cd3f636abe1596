"""Heads: the module others load, and the posterior by every fusion."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from geocell.features.locations import Locations
from geocell.heads.fit_config import FitConfig, Fusion
from geocell.heads.head import Head
from geocell.heads.module import GeoHead
from geocell.partitioners import KMeansPartitioner
from tests.worlds import make_locations

DIM, CELLS, N = 16, 6, 40


def world(seed: int = 0) -> Locations:
    rng = np.random.default_rng(seed)
    latlon = np.stack((rng.uniform(40, 60, N), rng.uniform(0, 20, N)), axis=1)
    views = rng.integers(1, 5, N)
    return make_locations(latlon, rng.normal(size=(views.sum(), DIM)).astype(np.float16), views)


def random_module(seed: int = 0) -> GeoHead:
    module = GeoHead(DIM, CELLS, dropout=0.3)
    generator = torch.Generator().manual_seed(seed)
    for value in module.parameters():
        value.data = torch.randn(value.shape, generator=generator)
    return module


def make_head(fusion: Fusion = "feature", **kw: Any) -> Head:
    locations = world()
    partition = KMeansPartitioner(k=CELLS, seed=0).fit(locations.latlon, "a test")
    return Head(random_module(), partition, locations.encoder, FitConfig(fusion=fusion), **kw)


class TestHead:
    @pytest.mark.parametrize("fusion", ["feature", "logit"])
    def test_posterior(self, fusion: Fusion) -> None:
        head, locations = make_head(fusion), world()
        posterior = head.posterior(locations)
        assert posterior.shape == (N, CELLS)
        assert posterior.dtype == np.float32
        assert posterior.sum(axis=1) == pytest.approx(np.ones(N), abs=1e-5)
        i = 3
        rows = locations.rows[locations.offsets[i] : locations.offsets[i + 1]]
        features = torch.from_numpy(locations.features[rows].astype(np.float32))
        one = head.module(features).mean(0) if fusion == "logit" else head.module(features.mean(0))
        assert posterior[i] == pytest.approx(torch.softmax(one, 0).numpy(), abs=1e-5)

    @pytest.mark.parametrize("fusion", ["feature", "logit"])
    def test_one_view_is_the_same_by_both_fusions_and_chunks_do_not_matter(self, fusion: Fusion) -> None:
        locations = make_locations(world().latlon, np.random.default_rng(1).normal(size=(N, DIM)))
        whole = make_head().posterior(locations)
        pieces = [p for _, p in make_head(fusion).posterior_chunks(locations, "cpu", chunk=7)]
        assert [len(p) for p in pieces] == [7] * 5 + [5]
        assert np.concatenate(pieces) == pytest.approx(whole, abs=1e-6)

    def test_no_location_no_posterior(self) -> None:
        assert make_head().posterior(world().take(np.empty(0, np.int64))).shape == (0, CELLS)

    def test_refuses_features_of_another_encoder(self) -> None:
        locations = world()
        other = replace(locations, encoder=replace(locations.encoder, pooling="mean"))
        with pytest.raises(ValueError, match=r"the head and the locations must share one encoder; .*pooling='mean'"):
            make_head().posterior(other)

    @pytest.mark.parametrize("fusion", ["feature", "logit"])
    def test_refuses_broken_features_and_names_the_location(self, fusion: Fusion) -> None:
        locations = world()
        locations.features[locations.offsets[7]] = np.nan
        with pytest.raises(ValueError, match=r"must be finite numbers, got NaN or infinity at location 'loc7'"):
            make_head(fusion).posterior(locations)

    def test_is_valid_from_birth(self) -> None:
        head = make_head()
        with pytest.raises(ValueError, match=r"its encoder and its partition, \(16, 6\), got \(16, 5\)"):
            replace(head, module=GeoHead(DIM, 5))
        broken = random_module()
        broken.head[2].bias.data[0] = float("inf")
        with pytest.raises(ValueError, match=r"must be finite, got NaN or infinity in head\.2\.bias"):
            replace(head, module=broken)

    def test_is_frozen(self) -> None:
        head = make_head()
        assert not head.module.training
        assert not any(p.requires_grad for p in head.module.parameters())
        assert repr(head).startswith("<Head tiny D=16 on <Partition kmeans: 6 cells")
