"""Every family gives the features that transformers' own classes give, under the pooling that is named."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers
from PIL import Image
from safetensors.torch import load_file, save_file

from geocell.encoders import TowerEncoder, encoder_for, load_encoder
from geocell.encoding import encode_images
from tests.encoders.towers import make_tower
from tests.local_hub import Hub

FAMILIES = ["clip", "siglip", "dinov2", "dinov2_with_registers", "dinov3_vit", "vit", "convnext"]


@pytest.fixture(scope="module")
def images() -> list[Image.Image]:
    random = np.random.default_rng(0)
    shapes = ((70, 90), (111, 83), (56, 56), (200, 61))
    return [Image.fromarray(random.integers(0, 256, (*shape, 3), dtype=np.uint8)) for shape in shapes]


@pytest.fixture(scope="module")
def towers(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Return the folder of a family, made once."""
    folder = tmp_path_factory.mktemp("towers")

    def made(family: str) -> str:
        if not (folder / family).is_dir():
            make_tower(folder / family, family)
        return str(folder / family)

    return made


def plain(folder: str, images: list[Image.Image], tensor: Any, model: Any = None) -> np.ndarray:
    """Return what transformers' documentation says to do."""
    loaded = (model or transformers.AutoModel).from_pretrained(folder).eval()
    loaded = getattr(loaded, "vision_model", loaded) if model is None else loaded
    processor = transformers.AutoImageProcessor.from_pretrained(folder, backend="pil")
    with torch.no_grad():
        return np.stack(
            [tensor(loaded(**processor(image, return_tensors="pt")))[0].double().numpy() for image in images]
        )


def cosines(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    assert left.shape == right.shape
    return (left * right).sum(1) / np.linalg.norm(left, axis=1) / np.linalg.norm(right, axis=1)


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


def test_the_three_features_of_one_name_are_three(towers: Any, images: list[Image.Image]) -> None:
    one, two = (load_encoder(towers("clip"), device="cpu", pooling=pooling) for pooling in ("pooler_output", "cls"))
    assert one.info.dim == two.info.dim
    assert np.abs(encode_images(images, one) - encode_images(images, two)).max() > 0.1
    with pytest.raises(ValueError, match=r"pooling='pooler_output'.*pooling='cls'"):
        one.info.require_same(two.info, "the head", "the cache")


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


def test_models_that_are_no_tower(towers: Any, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="must be a model of one image of fixed size"):
        load_encoder(towers("siglip2"), device="cpu")
    folder = make_tower(tmp_path / "clip", "clip")
    weights = load_file(folder / "model.safetensors")
    lost = next(name for name in weights if "vision" in name and "mlp" in name)
    save_file({k: v for k, v in weights.items() if k != lost}, folder / "model.safetensors", {"format": "pt"})
    with pytest.raises(ValueError, match=r"must hold all weights of CLIPVisionModel, got none for .*mlp"):
        load_encoder(str(folder), device="cpu")


def test_a_processor_that_only_torchvision_has_is_done_by_pillow(
    towers: Any, tmp_path: Path, images: list[Image.Image]
) -> None:
    folder = make_tower(tmp_path / "dino", "dinov3_vit")
    settings = json.loads((folder / "preprocessor_config.json").read_text())
    kept = {k: v for k, v in settings.items() if k in {"size", "resample", "image_mean", "image_std"}}
    (folder / "preprocessor_config.json").write_text(
        json.dumps(kept | {"image_processor_type": "DINOv3ViTImageProcessorFast"})
    )
    encoder = load_encoder(str(folder), device="cpu")
    assert encoder.info.processor.startswith("Pillow ")
    np.testing.assert_allclose(
        encode_images(images, encoder),
        encode_images(images, load_encoder(towers("dinov3_vit"), device="cpu")),
        atol=1e-5,
    )
    assert encoder_for(encoder.info, "cpu").info == encoder.info


def test_torchvision_is_used_when_it_is_asked_for(towers: Any, images: list[Image.Image]) -> None:
    try:
        import torchvision  # noqa: F401
    except (ImportError, RuntimeError):
        with pytest.raises((ImportError, RuntimeError), match="torchvision"):
            load_encoder(towers("clip"), device="cpu", backend="torchvision")
        pytest.skip("torchvision does not load here")
    one, two = (load_encoder(towers("clip"), device="cpu", backend=backend) for backend in ("pil", "torchvision"))
    assert one.info.processor != two.info.processor
    assert two.info.processor.startswith("CLIPImageProcessor ")
    assert cosines(encode_images(images, one), encode_images(images, two)).min() > 0.999
    assert encoder_for(two.info, "cpu").info == two.info


def test_a_model_of_timm(tmp_path: Path, images: list[Image.Image]) -> None:
    try:
        import timm
        import timm.data
    except (ImportError, RuntimeError):
        pytest.skip("timm does not load here")
    config = transformers.TimmWrapperConfig(architecture="test_vit", num_labels=0)
    config.pretrained_cfg = {**timm.get_pretrained_cfg("test_vit").to_dict(), "crop_pct": 0.95}
    transformers.TimmWrapperModel(config).save_pretrained(tmp_path / "timm")
    encoder = load_encoder(str(tmp_path / "timm"), device="cpu")
    model = transformers.TimmWrapperModel.from_pretrained(tmp_path / "timm").eval()
    transform = timm.data.create_transform(**timm.data.resolve_data_config(config.pretrained_cfg), is_training=False)
    with torch.no_grad():
        expected = model.timm_model(torch.stack([transform(image) for image in images])).double().numpy()
    assert cosines(encode_images(images, encoder).astype(np.float64), expected).min() > 0.99999
    assert encoder.info.processor.startswith("timm ")
    with torch.no_grad():
        tokens = model.timm_model.forward_features(torch.stack([transform(image) for image in images])).double().numpy()
    patches = encode_images(images, load_encoder(str(tmp_path / "timm"), device="cpu", pooling="patch_mean"))
    assert cosines(patches.astype(np.float64), tokens[:, model.timm_model.num_prefix_tokens :].mean(1)).min() > 0.99999
    assert encoder_for(encoder.info, "cpu").info == encoder.info


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
