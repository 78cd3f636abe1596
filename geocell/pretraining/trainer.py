"""Steps of a contrastive training: from a batch of references to one change of the weights."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
import torch.distributed as dist
from torch import Tensor

from geocell.compute.distributed import n_processes, rank, summed
from geocell.pretraining.accumulation import accumulate
from geocell.pretraining.losses import contrastive_loss, true_captions

if TYPE_CHECKING:
    from geocell.pretraining.clip_model import ClipModel
    from geocell.pretraining.config import PretrainConfig

MAX_SCALE = math.log(100.0)
"""Largest `logit_scale`, as in CLIP: exp of it is 100."""


@dataclass
class Piece:
    """Images that are in memory at a time, and their captions.

    Attributes:
        pixels: (b, 3, H, W) normalised.
        tokens: of the captions, what the text tower takes.
    """

    pixels: Tensor
    tokens: Mapping[str, Tensor]


class Trainer:
    """The weights in training, and AdamW."""

    def __init__(self, clip: ClipModel, config: PretrainConfig, device: torch.device) -> None:
        """Move the model to the device.

        Args:
            clip: the model; it is trained in place.
            config: the settings.
            device: where to train.
        """
        self._clip, self._config, self._device = clip, config, device
        self.model: Any = clip.model.to(device).train()
        if config.gradient_checkpointing:
            _recompute_activations(self.model)
        self.trained = {name: p for name, p in self.model.named_parameters() if p.requires_grad}
        matrices = [p for p in self.trained.values() if p.ndim > 1]
        rest = [p for p in self.trained.values() if p.ndim <= 1]
        self._optimizer = torch.optim.AdamW(
            [{"params": matrices, "weight_decay": config.weight_decay}, {"params": rest, "weight_decay": 0.0}],
            lr=config.lr,
        )

    def autocast(self) -> AbstractContextManager[Any]:
        """Return the arithmetic of the towers; the loss is always in float32."""
        low = self._config.precision == "bfloat16" or (self._config.precision == "auto" and self._device.type == "cuda")
        return torch.autocast(self._device.type, torch.bfloat16, enabled=low)

    def embed(self, piece: Piece) -> tuple[Tensor, Tensor]:
        """Return the (b, d) embeddings of the images of a piece and those of its captions, each of length 1."""
        with self.autocast():
            return self._clip.embed_images(piece.pixels), self._clip.embed_captions(piece.tokens)

    def step(self, pieces: Sequence[Piece], fields: Tensor, named: Tensor, lr: float) -> float:
        """Change the weights by the gradient of one contrastive batch, and return its loss.

        Args:
            pieces: the images of this process.
            fields: (B, F) codes of the fields of all images of the batch, those of other processes included.
            named: (B, F) which fields their captions name.
            lr: learning rate of this step.

        Raises:
            ValueError: when the loss is not finite; the weights are as before.
        """
        true = true_captions(fields, named).to(self._device)

        def loss(images: Tensor, texts: Tensor) -> Tensor:
            return contrastive_loss(images, texts, self.model.logit_scale.exp(), true, self._config.positives)

        self._optimizer.zero_grad(set_to_none=True)
        nothing = self.model.logit_scale.detach().new_empty((0, self.model.config.projection_dim))
        value = float(accumulate(pieces, self.embed, loss, gathered if n_processes() > 1 else None, nothing))
        if not math.isfinite(value):
            raise ValueError(f"the loss is {value}: lower --lr, or train with --precision float32.")
        self._share_gradients()
        for group in self._optimizer.param_groups:
            group["lr"] = lr
        self._optimizer.step()
        with torch.no_grad():
            self.model.logit_scale.clamp_(max=MAX_SCALE)
        return value

    def _share_gradients(self) -> None:
        """Sum the gradients of the towers over the processes; that of the scale is the same in each already."""
        if n_processes() == 1:
            return
        for name, parameter in self.trained.items():
            if name == "logit_scale":
                continue
            if parameter.grad is None:
                parameter.grad = torch.zeros_like(parameter)
            summed(parameter.grad)

    def state(self) -> dict[str, Tensor]:
        """Return everything that the next step depends on, but for its images."""
        state = {f"weight.{name}": p.detach() for name, p in self.trained.items()}
        for name, parameter in self.trained.items():
            for key, value in self._optimizer.state[parameter].items():
                state[f"adam.{key}.{name}"] = torch.as_tensor(value)
        state["random"] = torch.get_rng_state()
        if self._device.type == "cuda":
            state["random.cuda"] = torch.cuda.get_rng_state(self._device)
        return state

    def load_state(self, state: Mapping[str, Tensor]) -> None:
        """Continue after the step whose state it is.

        Raises:
            KeyError: when a tensor is missing.
        """
        stepped = any(key.startswith("adam.") for key in state)  # not while no image of a step could be read
        with torch.no_grad():
            for name, parameter in self.trained.items():
                parameter.copy_(state[f"weight.{name}"])
                if not stepped:
                    continue
                moments = {key: state[f"adam.{key}.{name}"] for key in ("step", "exp_avg", "exp_avg_sq")}
                moments = {
                    key: value.clone() if key == "step" else value.to(parameter) for key, value in moments.items()
                }
                self._optimizer.state[parameter] = moments
        torch.set_rng_state(state["random"])
        if self._device.type == "cuda" and "random.cuda" in state:
            torch.cuda.set_rng_state(state["random.cuda"], self._device)


def _recompute_activations(model: Any) -> None:  # noqa: ANN401 - a class of transformers
    """Switch gradient checkpointing on, by the name that this transformers has for it."""
    name = "activation_checkpointing_enable"
    enable = getattr(model, name if hasattr(model, name) else "gradient_checkpointing_enable")
    enable({"use_reentrant": False})


def gathered(rows: Tensor) -> tuple[Tensor, slice]:
    """Return the (b, …) rows of all processes in their order, and which of them are those of this one."""
    sizes = [torch.zeros(1, dtype=torch.int64, device=rows.device) for _ in range(n_processes())]
    dist.all_gather(sizes, torch.tensor([len(rows)], device=rows.device))
    counts = [int(size) for size in sizes]
    padded = rows.new_zeros((max(counts), *rows.shape[1:]))
    padded[: len(rows)] = rows
    pieces = [torch.empty_like(padded) for _ in counts]
    dist.all_gather(pieces, padded)
    start = sum(counts[: rank()])
    return torch.cat([piece[:count] for piece, count in zip(pieces, counts, strict=True)]), slice(
        start, start + len(rows)
    )
