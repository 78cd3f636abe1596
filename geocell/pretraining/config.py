"""Settings of a contrastive training."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any, Literal, get_args

from geocell.compute.seeds import MAX_SEED

Positives = Literal["true", "own"]
Precision = Literal["auto", "float32", "bfloat16"]


@dataclass(frozen=True)
class PretrainConfig:
    """How a model of images and texts is trained on captions; the defaults are StreetCLIP's where they are published.

    Attributes:
        epochs: how often every image is seen.
        batch: images in memory at a time.
        accumulate: so many of them make one contrastive batch; the gradient is that of the whole, not of the pieces.
        lr: learning rate of AdamW after the warm-up; it falls to 0 along a cosine.
        weight_decay: of AdamW, on matrices alone.
        warmup: share of the steps in which the learning rate rises.
        positives: true: every caption that is true of an image is a positive of it; own: its own alone, as in CLIP.
        lora: rank of LoRA on the attention of both towers (extra `lora`); 0 trains all weights.
        interpolate: share of the trained weights in what is saved; the rest is the start's (WiSE-FT, Wortsman et al.
            2022), which keeps what the model knew.
        gradient_checkpointing: compute activations twice instead of keeping them.
        precision: bfloat16 autocast, float32, or auto, which is bfloat16 on CUDA.
        device: auto, cpu, cuda, cuda:1 or mps.
        seed: of the order, the choice of captions and dropout.
    """

    epochs: int = 3
    batch: int = 32
    accumulate: int = 12
    lr: float = 1e-6
    weight_decay: float = 0.01
    warmup: float = 0.05
    positives: Positives = "true"
    lora: int = 0
    interpolate: float = 1.0
    gradient_checkpointing: bool = True
    precision: Precision = "auto"
    device: str = "auto"
    seed: int = 0

    def __post_init__(self) -> None:
        """Check the settings.

        Raises:
            ValueError: for the first that cannot be.
        """
        for name, least in (("epochs", 1), ("batch", 1), ("accumulate", 1), ("lora", 0), ("seed", 0)):
            value = getattr(self, name)
            if type(value) is not int or value < least:
                raise ValueError(f"{name} must be a whole number of at least {least}, got {value!r}.")
        if self.seed > MAX_SEED:
            raise ValueError(f"seed must be at most {MAX_SEED}, got {self.seed}.")
        if self.batch * self.accumulate < 2:
            raise ValueError("a contrastive batch needs two images, got --batch 1 with --accumulate 1.")
        if not (0 < self.lr < math.inf):
            raise ValueError(f"lr must be above 0, got {self.lr!r}.")
        if not 0 <= self.weight_decay < math.inf:
            raise ValueError(f"weight_decay must be at least 0, got {self.weight_decay!r}.")
        for name in ("warmup", "interpolate"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} must be between 0 and 1, got {getattr(self, name)!r}.")
        for name, choices in (("positives", get_args(Positives)), ("precision", get_args(Precision))):
            if getattr(self, name) not in choices:
                raise ValueError(f"{name} must be one of {', '.join(choices)}, got {getattr(self, name)!r}.")

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form."""
        return asdict(self)


def learning_rate(config: PretrainConfig, step: int, steps: int) -> float:
    """Return the learning rate of a step of so many: a linear warm-up, then half a cosine that ends at 0.

    >>> [round(learning_rate(PretrainConfig(lr=1.0, warmup=0.5), step, 8), 3) for step in range(8)]
    [0.25, 0.5, 0.75, 1.0, 1.0, 0.854, 0.5, 0.146]
    """
    warm = round(config.warmup * steps)
    if step < warm:
        return config.lr * (step + 1) / warm
    return config.lr * (1 + math.cos(math.pi * (step - warm) / max(1, steps - warm))) / 2
