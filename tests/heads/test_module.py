"""The module of a head."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from geocell.decoders.base import PartitionData
from geocell.decoders.centroid import Centroid
from geocell.heads.fit_config import FitConfig, Fusion
from geocell.heads.inputs import Inputs
from geocell.heads.module import GeoHead, answer, new_module, segment_softmax, tensor_shapes, weighted_sums
from geocell.partitioners import KMeansPartitioner
from tests.heads.test_head import CELLS, DIM, random_module, world

KEYS = ["head.0.bias", "head.0.weight", "head.2.bias", "head.2.weight"]


class TestGeoHead:
    def test_has_the_keys_of_published_checkpoints(self) -> None:
        assert sorted(GeoHead(4, 3).state_dict()) == KEYS

    def test_logit_fusion_is_the_mean_of_the_logits_of_the_views(self) -> None:
        module, locations = random_module().eval(), world()
        features = torch.from_numpy(locations.view_features())
        views = torch.from_numpy(np.diff(locations.offsets))
        one_by_one = [module(part).mean(dim=0) for part in torch.split(features, views.tolist())]
        torch.testing.assert_close(module(features, views), torch.stack(one_by_one), rtol=1e-5, atol=1e-5)

    def test_dropout_falls_on_the_pooled_features(self) -> None:
        module = GeoHead(200, 200, dropout=0.5).train()
        module.head[2].weight.data = torch.eye(200)
        with torch.random.fork_rng():
            torch.manual_seed(0)
            logits = module(torch.randn(400, 200).repeat_interleave(2, dim=0), torch.full((400,), 2))
        # Per view, a normalised feature of two equal views would survive 0, 1 or 2 times: 1/4 of them never.
        assert (logits - module.head[2].bias == 0).float().mean().item() == pytest.approx(0.5, abs=0.01)


@given(st.lists(st.lists(st.floats(-50, 50), min_size=1, max_size=5), min_size=1, max_size=6))
def test_a_softmax_is_that_of_every_location(scores: list[list[float]]) -> None:
    location = torch.repeat_interleave(torch.arange(len(scores)), torch.tensor([len(own) for own in scores]))
    flat = torch.tensor([score for own in scores for score in own], dtype=torch.float64)
    found = segment_softmax(flat, location, len(scores))
    expected = torch.cat([torch.softmax(torch.tensor(own, dtype=torch.float64), 0) for own in scores])
    torch.testing.assert_close(found, expected)


def test_a_view_that_is_left_out_has_no_weight() -> None:
    found = segment_softmax(torch.tensor([0.0, -torch.inf, 1.0]), torch.tensor([0, 0, 1]), 2)
    assert found.tolist() == [1.0, 0.0, 1.0]


def test_weighted_sums_are_of_the_views_of_each_location() -> None:
    features = torch.tensor([[1.0, 0.0], [0.0, 1.0], [5.0, 5.0]])
    found = weighted_sums(features, torch.tensor([2, 1]), torch.tensor([0.25, 0.75, 2.0]))
    assert found.tolist() == [[0.25, 0.75], [10.0, 10.0]]
    rows = torch.tensor([2, 2, 0])
    assert weighted_sums(features, torch.tensor([2, 1]), torch.tensor([0.5, 0.5, 3.0]), rows).tolist() == [
        [5.0, 5.0],
        [3.0, 0.0],
    ]


@pytest.mark.parametrize("fusion", ["feature", "logit", "attention"])
@pytest.mark.parametrize("offsets", [0.0, 1.0])
def test_shapes_are_those_of_the_state_dict(fusion: Fusion, offsets: float) -> None:
    config = FitConfig(fusion=fusion, offsets=offsets)
    module = new_module(DIM, CELLS, config)
    assert {name: tuple(value.shape) for name, value in module.state_dict().items()} == tensor_shapes(
        DIM, CELLS, config
    )
    assert module.shape == (DIM, CELLS)


def test_an_untrained_module_takes_every_cell_for_as_probable_and_draws_nothing() -> None:
    before = torch.random.get_rng_state()
    logits = GeoHead(DIM, CELLS, attention=True, offsets=True).eval()(torch.randn(3, DIM, generator=torch.Generator()))
    assert logits.tolist() == [[0.0] * CELLS] * 3
    assert torch.equal(torch.random.get_rng_state(), before)


def test_an_answer_is_the_posterior_and_its_points() -> None:
    locations = world()
    partition = KMeansPartitioner(k=CELLS, seed=0).fit(locations.latlon)
    inputs = Inputs.from_locations(locations, "feature", torch.device("cpu"))
    module = random_module().eval()
    posterior, points = answer(module, inputs, partition, Centroid().prepare(PartitionData(partition.centroids)))
    torch.testing.assert_close(torch.from_numpy(posterior), torch.softmax(module(inputs.features), 1).detach())
    assert points.tolist() == partition.centroids[posterior.argmax(1)].tolist()
