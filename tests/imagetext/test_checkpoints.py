"""CLIP and SigLIP answer as transformers' own call does, from images and from cached features."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from safetensors.torch import load_file, save_file

from geocell.encoders import load_encoder
from geocell.encoding import encode_images
from geocell.imagetext import ImageTextModel, image_text_for, load_image_text
from tests.encoders.towers import make_tower
from tests.imagetext.models import make_image_text, plain_probabilities

TEXTS = ["A Street View photo in France.", "A Street View photo in Japan.", "A photo from Zürich, of two streets."]


@pytest.mark.parametrize("family", ["clip", "siglip"])
def test_probabilities_are_those_of_the_plain_call(family: str, models: Any, images: list[Image.Image]) -> None:
    folder = models(family)
    model = load_image_text(folder, device="cpu")
    assert isinstance(model, ImageTextModel)
    expected = plain_probabilities(folder, images, TEXTS)
    pooled = encode_images(images, load_encoder(folder, device="cpu"))
    assert model.projection.probabilities(model.project(pooled), model.text(TEXTS)) == pytest.approx(expected, abs=1e-5)
    assert model.projection.independent == (family == "siglip")
    for image, row in zip(images, expected, strict=True):  # one image at a time as well
        one = encode_images([image], load_encoder(folder, device="cpu"))
        found = model.projection.probabilities(model.project(one), model.text(TEXTS))
        assert found[0] == pytest.approx(row, abs=1e-5)


@pytest.mark.parametrize("family", ["clip", "siglip"])
def test_it_is_found_by_the_encoder_of_features(family: str, models: Any) -> None:
    folder = models(family)
    info = load_encoder(folder, device="cpu").info
    by_name, by_info = load_image_text(folder, device="cpu"), image_text_for(info, "cpu")
    assert by_name.info == by_info.info == info
    assert by_name.text_identity == by_info.text_identity
    assert np.array_equal(by_name.text(TEXTS), by_info.text(TEXTS))
    with pytest.raises(ValueError, match=r"with the weights sha256:0…, and .* holds sha256:"):
        image_text_for(replace(info, revision="sha256:0"), "cpu")
    with pytest.raises(ValueError, match="they are of another model"):
        image_text_for(replace(info, dim=7), "cpu")
    with pytest.raises(FileNotFoundError, match="there is no folder /nowhere/at/all"):
        image_text_for(replace(info, source="/nowhere/at/all", name="gone"), "cpu")


def test_embeddings_do_not_depend_on_what_else_is_embedded(models: Any) -> None:
    model = load_image_text(models("clip"), device="cpu")
    together = model.text(TEXTS)
    for text, row in zip(TEXTS, together, strict=True):
        assert model.text([text])[0] == pytest.approx(row, abs=1e-6)
    assert np.linalg.norm(together, axis=1) == pytest.approx(np.ones(3), abs=1e-6)


def test_features_of_the_projection_are_embeddings(models: Any, images: list[Image.Image]) -> None:
    folder = models("clip")
    projected = load_encoder(folder, device="cpu", pooling="projection")
    model = image_text_for(projected.info, "cpu")
    assert model.projection.matrix is None
    pooled = load_image_text(folder, device="cpu")
    assert model.project(encode_images(images, projected)) == pytest.approx(
        pooled.project(encode_images(images, load_encoder(folder, device="cpu"))), abs=1e-6
    )
    with pytest.raises(ValueError, match="encode the images with --pooling pooler_output"):
        image_text_for(load_encoder(folder, device="cpu", pooling="cls").info, "cpu")


def test_augmented_features_are_projected_too(models: Any) -> None:
    info = load_encoder(models("clip"), device="cpu", augment="flip").info
    assert image_text_for(info, "cpu").info == info


def test_an_end_that_never_occurs_is_found(tmp_path: Path) -> None:
    """The default of the class, 49407, is no token here: every caption would be pooled at its first token."""
    folder = make_image_text(tmp_path / "clip")
    config = json.loads((folder / "config.json").read_text())
    config["text_config"]["eos_token_id"] = 49407
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(ValueError, match="gives two different captions the same embedding: the eos_token_id"):
        load_image_text(str(folder), device="cpu")


def test_models_without_a_text_tower(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"model of images and texts \(clip, siglip\), got model type 'vit'"):
        load_image_text(str(make_tower(tmp_path / "vit", "vit")), device="cpu")
    folder = make_image_text(tmp_path / "clip")
    weights = load_file(folder / "model.safetensors")
    kept = {name: value for name, value in weights.items() if not name.startswith("text_projection")}
    save_file(kept, folder / "model.safetensors", {"format": "pt"})
    with pytest.raises(ValueError, match=r"must hold the weights of its text tower, got none for text_projection"):
        load_image_text(str(folder), device="cpu")
    lone = make_tower(tmp_path / "lone", "clip")
    with pytest.raises(OSError, match=r"could not be loaded \(it has no files of a tokenizer\)"):
        load_image_text(str(lone), device="cpu")


def test_another_tokenizer_is_another_model(tmp_path: Path) -> None:
    folder = make_image_text(tmp_path / "clip")
    before = load_image_text(str(folder), device="cpu").text_identity
    tokenizer = json.loads((folder / "tokenizer.json").read_text())
    vocab = tokenizer["model"]["vocab"]
    vocab["a"], vocab["b"] = vocab["b"], vocab["a"]
    (folder / "tokenizer.json").write_text(json.dumps(tokenizer))
    assert load_image_text(str(folder), device="cpu").text_identity != before


def test_code_of_a_model_is_not_run(tmp_path: Path) -> None:
    folder = make_image_text(tmp_path / "clip")
    config = json.loads((folder / "config.json").read_text())
    config["auto_map"] = {"AutoModel": "evil.Evil"}
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "evil.py").write_text("raise SystemExit('run')")
    with pytest.raises(ValueError, match="names code to run"):
        load_image_text(str(folder), device="cpu")
