"""Training locations in blocks: each seen once per epoch, from memory or from the disk, with the same result."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from geocell.encoders.info import EncoderInfo
from geocell.encoding import import_features
from geocell.evaluation.score import score
from geocell.features import FeatureCache
from geocell.heads.fit_config import FitConfig
from geocell.partitioners import KMeansPartitioner
from geocell.training.batches import Batches
from geocell.training.blocks import Blocks
from geocell.training.fit import fit_head
from geocell.views import read_views
from tests.training.test_fit import assert_same_weights, world

pytestmark = pytest.mark.usefixtures("one_thread")

CONFIG = FitConfig(epochs=4, batch_size=16, lr=0.02, device="cpu")
CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> FeatureCache:
    """The features of 200 locations in shards."""
    folder, locations = tmp_path_factory.mktemp("blocks"), world(200, 0)
    lines = ["location,lat,lon"]
    for i, (lat, lon) in enumerate(locations.latlon):
        lines += [f"loc{i:03d},{lat},{lon}"] * int(np.diff(locations.offsets)[i])
    (folder / "views.csv").write_text("\n".join(lines) + "\n")
    np.save(folder / "features.npy", np.asarray(locations.features))
    table = read_views(folder / "views.csv", images_optional=True)
    info = EncoderInfo("tiny", "1", "pooler_output", 24, 32, "none")
    return import_features(folder / "features.npy", folder / "cache", table=table, encoder=info)


def test_features_on_the_disk_are_those_in_memory(cache: FeatureCache) -> None:
    memory, disk = cache.locations(), cache.locations(in_memory=False)
    assert disk.dim == memory.dim == 24
    some = np.array([150, 3, 77])
    assert np.array_equal(disk.take(some).view_features(), memory.take(some).view_features())
    assert np.array_equal(disk.mean_features(), memory.mean_features())


def test_a_cache_in_place_of_its_locations_is_refused_with_the_way_there(cache: FeatureCache) -> None:
    memory = cache.locations()
    cells = KMeansPartitioner(k=6, seed=0).fit(memory.latlon)
    way = r"must be Locations, got FeatureCache: call \.locations\(\) of the FeatureCache\."
    with pytest.raises(TypeError, match="what a fit trains on " + way):
        fit_head(cache, None, cells, CONFIG)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match=r"what a fit is validated on must be Locations, got list\."):
        fit_head(memory, [], cells, CONFIG)  # type: ignore[arg-type]
    head = fit_head(memory, None, cells, replace(CONFIG, epochs=1))
    with pytest.raises(TypeError, match="what a head is scored on " + way):
        score(head, cache)  # type: ignore[arg-type]


@pytest.mark.parametrize("stream", [0, 1, 50, 64, 199, 200, 1000])
def test_every_location_is_in_one_batch_of_an_epoch(cache: FeatureCache, stream: int) -> None:
    train = cache.locations(in_memory=False)
    blocks = Blocks(train, np.arange(200), replace(CONFIG, stream=stream), CPU)
    order, orders = torch.Generator().manual_seed(0), []
    for _ in range(2):
        plan = blocks.plan(order)
        pairs = [(block, index) for block, index in blocks.batches(plan, order)]
        assert len(pairs) == blocks.n_batches(plan)
        assert max(len(index) for _, index in pairs) <= 16
        assert all(len(block) <= max(stream, 1) for block, _ in pairs) or stream in {0, 200, 1000}
        seen = torch.cat([block.target[index] for block, index in pairs]).tolist()
        assert sorted(seen) == list(range(200))
        orders.append(seen)
    assert orders[0] != orders[1]


def test_a_block_has_the_features_of_its_locations(cache: FeatureCache) -> None:
    train, config = cache.locations(), replace(CONFIG, stream=30, dropout=0.0, precision="float32")
    whole = Blocks(train, np.arange(200), replace(config, stream=0), CPU)
    blocks, order = Blocks(cache.locations(in_memory=False), np.arange(200), config, CPU), torch.Generator()
    all_of: Batches = next(whole.batches(whole.plan(order), order))[0]
    for block, index in blocks.batches(blocks.plan(order), order):
        torch.testing.assert_close(block.features[index], all_of.features[block.target[index]])


def test_streaming_everything_is_fitting_in_memory(cache: FeatureCache) -> None:
    memory, disk = cache.locations(), cache.locations(in_memory=False)
    cells, val = KMeansPartitioner(k=6, seed=0).fit(memory.latlon), np.arange(0, 200, 4)
    rest = np.setdiff1d(np.arange(200), val)
    whole = fit_head(memory.take(rest), memory.take(val), cells, CONFIG)
    streamed = fit_head(disk.take(rest), disk.take(val), cells, replace(CONFIG, stream=200))
    assert_same_weights(whole, streamed)
    assert whole.history == streamed.history


def test_a_streamed_fit_learns_as_well(cache: FeatureCache) -> None:
    memory, disk = cache.locations(), cache.locations(in_memory=False)
    cells = KMeansPartitioner(k=6, seed=0).fit(memory.latlon)
    tops = [
        score(fit_head(train, None, cells, replace(CONFIG, epochs=12, stream=stream)), memory, allow_training=True).top1
        for train, stream in ((memory, 0), (disk, 60))
    ]
    assert tops[0] is not None
    assert tops[0] > 0.8
    assert tops[1] == pytest.approx(tops[0], abs=0.05)
