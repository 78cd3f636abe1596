"""Every family gives the features that transformers' own classes give, under the pooling that is named."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import transformers
from PIL import Image
from safetensors.torch import load_file, save_file

from geocell.encoders import TowerEncoder, encoder_for, load_encoder
from geocell.encoding import encode_images
from tests.encoders.towers import cosines, make_tower, plain
from tests.local_hub import Hub

FAMILIES = ["clip", "siglip", "dinov2", "dinov2_with_registers", "dinov3_vit", "vit", "convnext"]


@pytest.mark.parametrize("family", FAMILIES)
def test_the_default_is_the_plain_pooled_output(family: str, towers: Any, images: list[Image.Image]) -> None:
    encoder = load_encoder(towers(family), device="cpu")
    expected = plain(towers(family), images, lambda output: output.pooler_output.flatten(1))
    features = encode_images(images, encoder)
    assert cosines(features.astype(np.float64), expected).min() > 0.99999
    assert (encoder.info.pooling, encoder.info.dim) == ("pooler_output", expected.shape[1])
    assert encoder_for(encoder.info, "cpu").info == encoder.info


@pytest.mark.parametrize("family", ["clip", "siglip", "dinov2"])
def test_half_precision_stays_close_and_is_recorded(family: str, towers: Any, images: list[Image.Image]) -> None:
    half, full = (load_encoder(towers(family), device="cpu", dtype=dtype) for dtype in ("bfloat16", "float32"))
    assert cosines(encode_images(images, half), encode_images(images, full)).min() > 0.999
    assert (half.info.dtype, full.info.dtype) == ("bfloat16", "float32")
    half.info.require_same(full.info, "the head", "the cache")


@pytest.mark.weights
def test_streetclip_equals_the_plain_call(images: list[Image.Image]) -> None:
    from huggingface_hub import try_to_load_from_cache

    if not isinstance(try_to_load_from_cache("geolocal/StreetCLIP", "config.json"), str):
        pytest.skip("the weights of geolocal/StreetCLIP are not in the local Hub cache")
    encoder = load_encoder("geolocal/StreetCLIP", device="cpu")
    expected = plain("geolocal/StreetCLIP", images, lambda o: o.pooler_output, transformers.CLIPVisionModel)
    assert cosines(encode_images(images, encoder).astype(np.float64), expected).min() > 0.99999
    assert (encoder.info.dim, encoder.info.image_size, len(encoder.info.revision)) == (1024, 336, 40)


def test_models_that_are_no_tower(towers: Any, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="must be a model of one image of fixed size"):
        load_encoder(towers("siglip2"), device="cpu")
    folder = make_tower(tmp_path / "clip", "clip")
    weights = load_file(folder / "model.safetensors")
    lost = next(name for name in weights if "vision" in name and "mlp" in name)
    save_file({k: v for k, v in weights.items() if k != lost}, folder / "model.safetensors", {"format": "pt"})
    with pytest.raises(ValueError, match=r"must hold all weights of CLIPVisionModel, got none for .*mlp"):
        load_encoder(str(folder), device="cpu")


@pytest.mark.loopback
def test_a_branch_is_pinned_to_its_commit(tmp_path: Path, hub: Hub, images: list[Image.Image]) -> None:
    first = hub.put("someone/tower", make_tower(tmp_path / "a", "clip"))
    encoder = TowerEncoder("someone/tower", device="cpu")
    assert encoder.info.revision == first
    second = hub.put("someone/tower", make_tower(tmp_path / "b", "clip", seed=1))
    moved = TowerEncoder("someone/tower", device="cpu")
    assert moved.info.revision == second != first
    again = encoder_for(encoder.info, "cpu")
    assert again.info == encoder.info
    np.testing.assert_array_equal(encode_images(images, again), encode_images(images, encoder))
    assert cosines(encode_images(images, moved), encode_images(images, encoder)).max() < 0.999
    hub.put("someone/secret", {"config.json": b"{}"}, gated=True)
    with pytest.raises(PermissionError, match="someone/secret is gated on the Hub: accept its terms"):
        TowerEncoder("someone/secret", device="cpu")
    with pytest.raises(OSError, match="the weights of someone/nothing could not be loaded"):
        TowerEncoder("someone/nothing", device="cpu")
    hub.fail(".*", 503)
    assert TowerEncoder("someone/tower", second, device="cpu").info.revision == second  # from the local cache
