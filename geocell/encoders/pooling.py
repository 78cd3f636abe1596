"""Named poolings: which tensor of a vision tower becomes the feature of an image."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, get_args

from geocell.encoders.trust import ModelError

if TYPE_CHECKING:
    import torch

Pooling = Literal["pooler_output", "cls", "mean", "patch_mean", "projection"]
POOLINGS: tuple[Pooling, ...] = get_args(Pooling)
_CLS_NAMES = ("cls_token", "class_embedding")


def check_pooling(pooling: str | None) -> None:
    """Refuse an unknown pooling.

    Raises:
        ValueError: when it is none of `POOLINGS`.
    """
    if pooling is not None and pooling not in POOLINGS:
        raise ValueError(f"pooling must be one of {', '.join(POOLINGS)}, got {pooling!r}.")


def pool(output: Any, pooling: str, prefix: int) -> torch.Tensor:  # noqa: ANN401 - a class of transformers
    """Return the (B, D) feature of a vision tower's output.

    Args:
        output: output of the tower.
        pooling: `pooler_output`, the tower's own pooled output; `cls`, the first token of the last hidden state, as it
            is (in CLIP: before the post layer norm); `mean`, the mean over all its tokens; `patch_mean`, the same
            without CLS and register tokens; `projection`, the joint image-text embedding.
        prefix: how many tokens stand before the patches.

    Raises:
        ValueError: when the tower has no such tensor.
    """
    if pooling in {"pooler_output", "projection"}:
        features: torch.Tensor | None = getattr(output, "image_embeds" if pooling == "projection" else pooling, None)
        if features is None:
            raise ModelError(f"this tower has no {pooling}: choose another of {', '.join(POOLINGS)}.")
        return features.flatten(1)
    tokens: torch.Tensor = output.last_hidden_state
    if tokens.ndim == 4:  # a convolutional tower: a map instead of tokens
        tokens = tokens.flatten(2).transpose(1, 2)
    if pooling == "cls":
        if prefix == 0:
            raise ModelError("this tower has no CLS token: choose pooler_output, mean or patch_mean.")
        return tokens[:, 0]
    return tokens[:, prefix if pooling == "patch_mean" else 0 :].mean(dim=1)


def prefix_tokens(model: Any) -> int:  # noqa: ANN401 - torch has not typed all that is asked of a module
    """Return how many tokens a tower puts before the patches: CLS, where it has one, and registers."""
    of_timm = getattr(getattr(model, "timm_model", None), "num_prefix_tokens", None)
    if of_timm is not None:
        return int(of_timm)
    if not any(name.rsplit(".", 1)[-1] in _CLS_NAMES for name, _ in model.named_parameters()):
        return 0
    return 1 + int(getattr(model.config, "num_register_tokens", 0) or 0)
