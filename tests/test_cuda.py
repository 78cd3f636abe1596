"""What has a CUDA path computes the same there as on the CPU; GEOCELL_TEST_DEVICE=cpu runs the tests without a card."""

import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from geocell.evaluation.calibrate import calibrate
from geocell.evaluation.score import score
from geocell.features.locations import Locations
from geocell.heads.fit_config import FitConfig
from geocell.heads.head import Head
from geocell.partitioners.kdtree import KDTreePartitioner
from geocell.training.fit import fit_head

DEVICE = os.environ.get("GEOCELL_TEST_DEVICE", "cuda")
pytestmark = [
    pytest.mark.cuda,
    pytest.mark.skipif(DEVICE.startswith("cuda") and not torch.cuda.is_available(), reason="there is no CUDA card"),
]


def locations(n: int, seed: int) -> Locations:
    random = np.random.default_rng(seed)
    latlon = random.uniform((40, 0), (60, 20), (n, 2))
    features = np.tanh(np.column_stack([latlon / 10, np.ones(n)]) @ np.random.default_rng(9).normal(size=(3, 24)))
    features = (features + 0.1 * random.normal(size=features.shape)).astype(np.float32)
    return Locations.from_arrays(features, latlon, [f"{seed}-{i}" for i in range(n)], encoder="made")


@pytest.fixture(scope="module")
def heads() -> dict[str, Head]:
    train, val = locations(300, 0), locations(60, 1)
    cells = KDTreePartitioner(max_count=30).fit(train.latlon)
    config = FitConfig(epochs=4, dropout=0.0, precision="float32", device="cpu")
    return {device: fit_head(train, val, cells, replace(config, device=device)) for device in ("cpu", DEVICE)}


def test_a_fit_is_that_of_the_cpu(heads: dict[str, Head]) -> None:
    here, there = (heads[device].posterior(locations(50, 2), "cpu") for device in ("cpu", DEVICE))
    assert np.abs(here - there).max() < 1e-3


def test_a_fit_in_bfloat16_finds_the_same_cells() -> None:
    train, val, test = locations(300, 0), locations(60, 1), locations(80, 2)
    cells = KDTreePartitioner(max_count=30).fit(train.latlon)
    config = FitConfig(epochs=4, dropout=0.0, device=DEVICE)
    full, half = (
        fit_head(train, val, cells, replace(config, precision=kind)).posterior(test, DEVICE)
        for kind in ("float32", "bfloat16")
    )
    assert (full.argmax(1) == half.argmax(1)).mean() > 0.8


def test_a_posterior_is_that_of_the_cpu(heads: dict[str, Head]) -> None:
    test = locations(50, 2)
    np.testing.assert_allclose(heads["cpu"].posterior(test, DEVICE), heads["cpu"].posterior(test, "cpu"), atol=1e-4)


def test_scores_are_those_of_the_cpu(heads: dict[str, Head]) -> None:
    test = locations(50, 2)
    here, there = (score(heads["cpu"], test, device=device) for device in ("cpu", DEVICE))
    assert there.median_km == pytest.approx(here.median_km, rel=1e-3)
    assert there.top1 == pytest.approx(here.top1, abs=0.03)


def test_a_calibration_is_that_of_the_cpu(heads: dict[str, Head]) -> None:
    val = locations(60, 1)
    here, there = (calibrate(heads["cpu"], val, device=device).temperature for device in ("cpu", DEVICE))
    assert there == pytest.approx(here, rel=1e-2)


def test_features_are_those_of_the_cpu(tmp_path: Path) -> None:
    from transformers import CLIPImageProcessorPil, CLIPVisionConfig, CLIPVisionModel

    from geocell.encoders import TowerEncoder

    torch.manual_seed(0)
    config = CLIPVisionConfig(
        hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=2, image_size=32, patch_size=8
    )
    CLIPVisionModel(config).save_pretrained(tmp_path)
    sizes = {"size": {"shortest_edge": 32}, "crop_size": {"height": 32, "width": 32}}
    CLIPImageProcessorPil(**sizes).save_pretrained(tmp_path)
    random = np.random.default_rng(0)
    images = [Image.fromarray(random.integers(0, 256, (40, 50, 3), dtype=np.uint8)) for _ in range(5)]
    here, there = (TowerEncoder(str(tmp_path), device=device, dtype="float32") for device in ("cpu", DEVICE))
    pixels = np.stack([here.preprocess(image) for image in images])
    np.testing.assert_allclose(there(pixels), here(pixels), atol=2e-3)
    later = [there.start(pixels), there.start(pixels[::-1].copy())]  # two batches under way at once
    np.testing.assert_array_equal(later[0](), later[1]()[::-1])
