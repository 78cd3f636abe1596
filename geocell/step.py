"""One step of a fit: batches of normalised features, the head with its norm folded in, AdamW.

The features are frozen, so their LayerNorm without gain and shift is a constant: it is taken once. Gain and shift are
folded into the Linear, ``W (g x + b) + c = (W g) x + (W b + c)``, which leaves two matrix products of a step out of
three. What is fitted is the product; the head that comes out has a norm of ones and zeros, and is the same function.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from geocell.gradients import value_and_gradient
from geocell.head import GeoHead, Inputs
from geocell.losses import LossTerms
from geocell.recipe import FitConfig

NORM_EPS = 1e-5  # of nn.LayerNorm


def compute_dtype(precision: str, device: torch.device) -> torch.dtype:
    """Return the dtype of the matrix products of a fit; weights, losses and the optimiser stay in float32.

    `auto` is bfloat16 where the hardware multiplies it faster: AVX512-BF16 and AMX on a CPU, CUDA from Ampere on.
    """
    if precision != "auto":
        return torch.bfloat16 if precision == "bfloat16" else torch.float32
    if device.type == "cuda":
        fast = torch.cuda.is_bf16_supported(including_emulation=False)
    else:
        has: dict[str, Any] = getattr(torch.cpu, "get_capabilities", dict)()  # torch 2.6 cannot tell yet
        fast = device.type == "cpu" and bool(has.get("avx512_bf16") or has.get("amx_bf16"))
    return torch.bfloat16 if fast else torch.float32


def learning_rate(config: FitConfig, step: int, steps_per_epoch: int) -> float:
    """Return the learning rate of a step: linear warm-up, then a cosine to 0 (Loshchilov and Hutter 2017).

    Args:
        config: the settings.
        step: steps done before this one, over all epochs.
        steps_per_epoch: steps of one epoch.
    """
    warmup = min(config.warmup_epochs, config.epochs) * steps_per_epoch
    total = config.epochs * steps_per_epoch
    if step < warmup:
        return config.lr * (step + 1) / warmup
    return 0.5 * config.lr * (1.0 + math.cos(math.pi * (step - warmup) / (total - warmup)))


def dropout_mask(shape: tuple[int, int], share: float, generator: torch.Generator) -> Tensor:
    """Return (P, D) bool, False for the share that is dropped, to one part in 65,536.

    A CPU draws four 16-bit numbers with each 64-bit one, a tenth of the time of a Bernoulli draw each.
    """
    n, d = shape
    if generator.device.type != "cpu":
        return torch.rand(shape, generator=generator, device=generator.device) >= share
    words = torch.empty(-(-n * d // 4), dtype=torch.int64).random_(-(2**63), None, generator=generator)
    return words.view(torch.int16)[: n * d].view(n, d) >= round(share * 2**16) - 2**15


@dataclass(frozen=True, eq=False)
class Batches:
    """What a fit reads, on its device: from here batches are selected.

    Attributes:
        features: (P, D) pooled and normalised, in the dtype of the products, with the scale of the dropout.
        target: (P,) int64 cells.
        truth: (P, 3) unit vectors of the true points.
        dropout: share of the features of a batch set to 0.
    """

    features: Tensor
    target: Tensor
    truth: Tensor
    dropout: float

    @classmethod
    def of(cls, inputs: Inputs, target: Tensor, truth: Tensor, dropout: float, dtype: torch.dtype) -> Batches:
        """Pool and normalise the features once."""
        features = functional.layer_norm(inputs.features, inputs.features.shape[1:], eps=NORM_EPS)
        if inputs.starts is not None:
            features = functional.embedding_bag(
                torch.arange(len(features), device=features.device), features, inputs.starts, mode="mean"
            )
        return cls(features.div_(1.0 - dropout).to(dtype), target, truth, dropout)

    def __len__(self) -> int:
        """Return P."""
        return len(self.target)

    def select(self, index: Tensor, generator: torch.Generator) -> Tensor:
        """Return the (P', D) features of the locations at `index`, with dropout."""
        features = self.features.index_select(0, index)
        if self.dropout:
            features *= dropout_mask((len(index), features.shape[1]), self.dropout, generator)
        return features


class FoldedHead(nn.Module):
    """A head as it is fitted: one Linear on normalised features, float32 weights whatever the dtype of the products."""

    def __init__(self, module: GeoHead) -> None:
        """Fold the norm of a head into its Linear; the head stays as it is."""
        super().__init__()
        norm, _, linear = (part.state_dict() for part in module.head)
        self.weight = nn.Parameter(linear["weight"] * norm["weight"])
        self.bias = nn.Parameter(linear["bias"] + linear["weight"] @ norm["bias"])

    def forward(self, features: Tensor) -> Tensor:
        """Return (P, C) logits of (P, D) normalised features, in their dtype."""
        return functional.linear(features, self.weight.to(features.dtype), self.bias.to(features.dtype))

    def write_into(self, module: GeoHead) -> None:
        """Give the weights to a head, whose norm becomes one of ones and zeros."""
        ones, weight = torch.ones_like(self.weight[0]), self.weight.detach()
        module.load_state_dict(
            {
                "head.0.weight": ones,
                "head.0.bias": torch.zeros_like(ones),
                "head.2.weight": weight,
                "head.2.bias": self.bias.detach(),
            },
            strict=True,
        )


class Stepper:
    """The weights of a fit and how they move: one call, one step.

    Attributes:
        weights: the weights, float32.
        optimizer: AdamW.
        generator: draws the dropout.
    """

    def __init__(self, module: GeoHead, batches: Batches, terms: LossTerms, config: FitConfig) -> None:
        """Start at the weights of `module`."""
        self._batches, self._terms, self._config = batches, terms, config
        device = batches.target.device
        self.weights = FoldedHead(module).to(device)
        self.optimizer = _optimizer(self.weights, config, device)
        self.generator = torch.Generator(device).manual_seed(config.seed)

    def __call__(self, index: Tensor, lr: float, where: str) -> float:
        """Take a step on the locations at `index` (P',).

        Args:
            index: int64 locations.
            lr: learning rate.
            where: which epoch and batch, for the error.

        Returns:
            The loss.

        Raises:
            ValueError: when the loss or its gradient is not finite; the weights are then as they were.
        """
        logits = self.weights(self._batches.select(index, self.generator))
        target, truth = (x.index_select(0, index) for x in (self._batches.target, self._batches.truth))
        loss, gradient = value_and_gradient(logits.detach(), target, truth, self._terms)
        self.optimizer.zero_grad(set_to_none=True)
        logits.backward(gradient)
        total = torch.stack([p.grad.sum() for p in self.weights.parameters() if p.grad is not None]).sum()
        value, slope = torch.stack((loss, total)).tolist()
        if not math.isfinite(value) or not math.isfinite(slope):
            what, got = ("loss", value) if not math.isfinite(value) else ("gradient", slope)
            raise ValueError(
                f"the {what} must be finite, got {got} in {where}: lower lr (now {self._config.lr:g}) or the weights "
                "of the loss terms."
            )
        for group in self.optimizer.param_groups:
            group["lr"] = lr
        self.optimizer.step()
        return float(value)


def _optimizer(module: nn.Module, config: FitConfig, device: torch.device) -> torch.optim.AdamW:
    """Return AdamW, fused where torch has it, with weight decay on the matrix alone."""
    groups: list[dict[str, Any]] = [
        {"params": [p for p in module.parameters() if p.ndim > 1], "weight_decay": config.weight_decay},
        {"params": [p for p in module.parameters() if p.ndim <= 1], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=config.lr, fused=device.type in {"cpu", "cuda", "mps"})
