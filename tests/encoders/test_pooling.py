"""Named poolings of towers."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
import transformers
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from geocell.encoders import encoder_for, load_encoder
from geocell.encoders.pooling import POOLINGS, check_pooling, pool, prefix_tokens
from geocell.encoding import encode_images
from tests.encoders.towers import cosines, plain


@pytest.mark.parametrize(
    ("family", "pooling", "tensor"),
    [
        ("clip", "cls", lambda o: o.last_hidden_state[:, 0]),
        ("clip", "mean", lambda o: o.last_hidden_state.mean(1)),
        ("clip", "patch_mean", lambda o: o.last_hidden_state[:, 1:].mean(1)),
        ("siglip", "mean", lambda o: o.last_hidden_state.mean(1)),
        ("siglip", "patch_mean", lambda o: o.last_hidden_state.mean(1)),
        ("dinov2", "patch_mean", lambda o: o.last_hidden_state[:, 1:].mean(1)),
        ("dinov2_with_registers", "patch_mean", lambda o: o.last_hidden_state[:, 4:].mean(1)),
        ("dinov3_vit", "patch_mean", lambda o: o.last_hidden_state[:, 4:].mean(1)),
        ("dinov3_vit", "cls", lambda o: o.last_hidden_state[:, 0]),
        ("convnext", "mean", lambda o: o.last_hidden_state.mean((2, 3))),
    ],
)
def test_named_poolings(family: str, pooling: str, tensor: Any, towers: Any, images: list[Image.Image]) -> None:
    encoder = load_encoder(towers(family), device="cpu", pooling=pooling)
    assert (
        cosines(encode_images(images, encoder).astype(np.float64), plain(towers(family), images, tensor)).min()
        > 0.99999
    )
    assert encoder.info.pooling == pooling
    assert encoder_for(encoder.info, "cpu").info == encoder.info


def test_the_projection_is_the_embedding_that_texts_are_compared_with(towers: Any, images: list[Image.Image]) -> None:
    encoder = load_encoder(towers("clip"), device="cpu", pooling="projection")
    expected = plain(towers("clip"), images, lambda o: o.image_embeds, transformers.CLIPVisionModelWithProjection)
    assert cosines(encode_images(images, encoder).astype(np.float64), expected).min() > 0.99999
    assert encoder.info.dim == 24
    with pytest.raises(ValueError, match="has no projection: choose another"):
        load_encoder(towers("siglip"), device="cpu", pooling="projection")


def test_towers_without_a_pooler_have_another_default(towers: Any) -> None:
    assert load_encoder(towers("ijepa"), device="cpu").info.pooling == "mean"
    # an image classifier has no weights for the pooler, and random ones make no feature
    assert load_encoder(towers("vit_classifier"), device="cpu").info.pooling == "cls"
    with pytest.raises(ValueError, match=r"no weights for .*pooler.*choose cls"):
        load_encoder(towers("vit_classifier"), device="cpu", pooling="pooler_output")
    with pytest.raises(ValueError, match="no CLS token"):
        load_encoder(towers("siglip"), device="cpu", pooling="cls")
    with pytest.raises(ValueError, match="pooling must be one of pooler_output, cls"):
        load_encoder(towers("clip"), device="cpu", pooling="max")


@given(prefix=st.integers(0, 3), patches=st.integers(1, 5))
def test_means_are_over_all_tokens_or_over_patches(prefix: int, patches: int) -> None:
    tokens = torch.arange(2.0 * (prefix + patches) * 4).reshape(2, prefix + patches, 4)
    output = SimpleNamespace(last_hidden_state=tokens)
    torch.testing.assert_close(pool(output, "mean", prefix), tokens.mean(1))
    torch.testing.assert_close(pool(output, "patch_mean", prefix), tokens[:, prefix:].mean(1))
    if prefix:
        torch.testing.assert_close(pool(output, "cls", prefix), tokens[:, 0])
    else:
        with pytest.raises(ValueError, match="no CLS token"):
            pool(output, "cls", prefix)
    with pytest.raises(ValueError, match="has no pooler_output: choose another"):
        pool(output, "pooler_output", prefix)


def test_only_the_named_poolings_pass() -> None:
    for pooling in (None, *POOLINGS):
        check_pooling(pooling)
    with pytest.raises(ValueError, match=f"pooling must be one of {', '.join(POOLINGS)}, got 'max'"):
        check_pooling("max")


@pytest.mark.parametrize(
    ("family", "count"), [("dinov2", 1), ("dinov2_with_registers", 4), ("dinov3_vit", 4), ("vit", 1), ("convnext", 0)]
)
def test_tokens_before_the_patches_are_counted(family: str, count: int, towers: Any) -> None:
    assert prefix_tokens(transformers.AutoModel.from_pretrained(towers(family))) == count
