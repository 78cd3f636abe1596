"""LoRA on the attention of both towers (Hu et al. 2022), by the library peft."""

from __future__ import annotations

from typing import Any

ATTENTION = ("q_proj", "k_proj", "v_proj", "out_proj")


def require_peft() -> None:
    """Refuse LoRA where peft is not installed, before anything is loaded.

    Raises:
        ModuleNotFoundError: when it is not.
    """
    from importlib.util import find_spec

    if find_spec("peft") is None:
        raise ModuleNotFoundError(
            'LoRA needs the package peft, which is not installed: pip install "geocell-heads[lora]".'
        )


def with_lora(model: Any, rank: int) -> Any:  # noqa: ANN401 - classes of transformers and peft
    """Freeze a CLIP but for its projections and its scale, and add LoRA to its attention, in place.

    Args:
        model: `transformers.CLIPModel`.
        rank: of the added matrices.

    Returns:
        What `merge_lora` takes.

    Raises:
        ModuleNotFoundError: when peft is not installed.
    """
    require_peft()
    from peft import LoraConfig, LoraModel

    config = LoraConfig(r=rank, lora_alpha=rank, lora_dropout=0.0, target_modules=list(ATTENTION))
    wrapped = LoraModel(model, config, "default")
    for name, parameter in model.named_parameters():
        if name in {"logit_scale", "visual_projection.weight", "text_projection.weight"}:
            parameter.requires_grad_(True)
    return wrapped


def merge_lora(wrapped: Any) -> Any:  # noqa: ANN401 - classes of transformers and peft
    """Return the model with the added matrices multiplied into its weights."""
    return wrapped.merge_and_unload()
