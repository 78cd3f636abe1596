"""Image processors of checkpoints."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers
from PIL import Image

from geocell.encoders import encoder_for, load_encoder
from geocell.encoders.processors import backend_of, check_backend
from geocell.encoding import encode_images
from tests.encoders.towers import cosines, make_tower
from tests.worlds import make_clip


def test_draft_where_more_than_pillow_resizes(tmp_path: Path) -> None:
    from transformers import ConvNextImageProcessorPil

    folder = make_clip(tmp_path / "clip")
    ConvNextImageProcessorPil(size={"shortest_edge": 56}).save_pretrained(folder)
    with pytest.raises(ValueError, match="has an image processor that does more than Pillow: pass --backend pil"):
        load_encoder(str(folder), device="cpu", backend="pil-draft")


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


@pytest.mark.parametrize(
    ("identity", "backend"),
    [
        ("CLIPImageProcessorPil 0123", "pil"),
        ("CLIPImageProcessor 0123", "torchvision"),
        ("Pillow 0123", "pil"),
        ("timm 0123", "pil"),
        ("CLIPImageProcessorPil 0123, draft", "pil-draft"),
    ],
)
def test_an_identity_tells_its_backend(identity: str, backend: str) -> None:
    assert backend_of(identity) == backend
    check_backend(backend)


def test_other_backends_are_refused() -> None:
    with pytest.raises(ValueError, match="backend must be one of pil, pil-draft, torchvision, got 'opencv'"):
        check_backend("opencv")
