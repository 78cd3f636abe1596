"""Small random models of every family, saved by transformers' own classes."""

from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

SIZES: dict[str, Any] = {
    "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4, "image_size": 56,
    "patch_size": 14,
}  # fmt: skip
SQUARE = {"height": 56, "width": 56}


def save(folder: Path, model: Any, processor: Any = None) -> Path:
    import transformers

    model.save_pretrained(folder)
    square = processor or transformers.ViTImageProcessorPil(size=SQUARE, image_mean=[0.4] * 3, image_std=[0.3] * 3)
    square.save_pretrained(folder)
    return folder


def make_tower(folder: Path, family: str, seed: int = 0) -> Path:  # noqa: PLR0911 - one per family
    """Save a model of a family with its processor, and return the folder."""
    import torch
    import transformers as t

    with torch.random.fork_rng():
        torch.manual_seed(seed)
        text = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2}
        if family == "clip":
            crop = t.CLIPImageProcessorPil(size={"shortest_edge": 56}, crop_size=SQUARE)
            vision = {**SIZES, "projection_dim": 24}
            config: Any = t.CLIPConfig(text_config=text, vision_config=vision, projection_dim=24)
            return save(folder, t.CLIPModel(config), crop)
        if family == "siglip":
            config = t.SiglipConfig(text_config=text, vision_config=SIZES)
            return save(folder, t.SiglipModel(config), t.SiglipImageProcessorPil(size=SQUARE))
        if family == "dinov2":
            crop = t.BitImageProcessorPil(size={"shortest_edge": 64}, crop_size=SQUARE)
            return save(folder, t.Dinov2Model(t.Dinov2Config(**SIZES, mlp_ratio=2)), crop)
        if family == "dinov2_with_registers":
            config = t.Dinov2WithRegistersConfig(**SIZES, mlp_ratio=2, num_register_tokens=3)
            return save(folder, t.Dinov2WithRegistersModel(config))
        if family == "dinov3_vit":
            config = t.DINOv3ViTConfig(**SIZES, num_register_tokens=3)
            return save(folder, t.DINOv3ViTModel(config))
        if family == "vit":
            return save(folder, t.ViTModel(t.ViTConfig(**SIZES)))
        if family == "vit_classifier":
            return save(folder, t.ViTForImageClassification(t.ViTConfig(**SIZES)))
        if family == "ijepa":
            return save(folder, t.IJepaModel(t.IJepaConfig(**SIZES)))
        if family == "convnext":
            return save(folder, t.ConvNextModel(t.ConvNextConfig(hidden_sizes=[8, 12, 16, 32], depths=[1] * 4)))
        if family == "siglip2":
            config = t.Siglip2VisionConfig(**{k: v for k, v in SIZES.items() if k != "image_size"}, num_patches=16)
            return save(folder, t.Siglip2VisionModel(config))
    raise ValueError(family)


def cosines(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Return the (B,) cosines between the rows of two (B, D) arrays."""
    assert left.shape == right.shape
    return (left * right).sum(1) / np.linalg.norm(left, axis=1) / np.linalg.norm(right, axis=1)


def plain(folder: str, images: list[Image.Image], tensor: Any, model: Any = None) -> np.ndarray:
    """Return what transformers' documentation says to do."""
    import torch
    import transformers

    loaded = (model or transformers.AutoModel).from_pretrained(folder).eval()
    loaded = getattr(loaded, "vision_model", loaded) if model is None else loaded
    processor = transformers.AutoImageProcessor.from_pretrained(folder, backend="pil")
    with torch.no_grad():
        return np.stack(
            [tensor(loaded(**processor(image, return_tensors="pt")))[0].double().numpy() for image in images]
        )
