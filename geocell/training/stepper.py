"""One step of a fit: the head with its norm folded in, AdamW, a running mean of the weights.

Normalised features are constants (see `geocell.training.batches`), and gain and shift of the norm fold into the Linear,
``W (g x + b) + c = (W g) x + (W b + c)``: that leaves two matrix products of a step out of three. What is fitted is the
product; the head that comes out has a norm of ones and zeros, and is the same function.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from copy import deepcopy
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.parallel import DistributedDataParallel

from geocell.compute.distributed import n_processes, rank, summed
from geocell.heads.fit_config import FitConfig
from geocell.heads.module import GeoHead
from geocell.heads.offsets import Offsets, folded_offsets
from geocell.training.batches import Batches
from geocell.training.gradients import LossGradient
from geocell.training.losses import LossTerms, offset_loss


def learning_rate(config: FitConfig, step: int, steps_per_epoch: int) -> float:
    """Return the learning rate of a step: linear warm-up, then a cosine to 0 (Loshchilov and Hutter 2017).

    Half of the steps, rounded down, warm up at most: a fit of one epoch would otherwise end as it reaches the peak.

    Args:
        config: the settings.
        step: steps done before this one, over all epochs.
        steps_per_epoch: steps of one epoch.
    """
    total = config.epochs * steps_per_epoch
    warmup = min(config.warmup_epochs * steps_per_epoch, total // 2)
    if step < warmup:
        return config.lr * (step + 1) / warmup
    return 0.5 * config.lr * (1.0 + math.cos(math.pi * (step - warmup) / (total - warmup)))


ALL = slice(None)


class FoldedHead(nn.Module):
    """A head as it is fitted: one Linear on normalised features, float32 weights whatever the dtype of the products.

    Attributes:
        weight: (C, D).
        bias: (C,).
        attention: (D,) the query of the attention over views, None without.
        offsets: where inside its cell a location lies, None without.
    """

    def __init__(self, module: GeoHead) -> None:
        """Fold the norm of a head into its Linear; the head stays as it is."""
        super().__init__()
        norm, _, linear = (part.state_dict() for part in module.head)
        self.weight = nn.Parameter(linear["weight"] * norm["weight"])
        self.bias = nn.Parameter(linear["bias"] + linear["weight"] @ norm["bias"])
        self.attention: nn.Parameter | None = None
        if module.attention is not None:
            # what the shift adds to the scores is the same for every view, and no part of their softmax
            self.attention = nn.Parameter(module.attention.weight.detach()[0] * norm["weight"])
        self.offsets: Offsets | None = None
        if module.offsets is not None:
            self.offsets = Offsets(*module.shape)
            self.offsets.load_state_dict(folded_offsets(module.offsets, norm["weight"], norm["bias"]))

    def forward(
        self, batches: Batches, index: Tensor, generator: torch.Generator, share: slice = ALL
    ) -> tuple[Tensor, Tensor, Tensor | None]:
        """Return what the loss is a function of, for the locations at `index` (P',) or a share of them.

        Dropout is drawn for all of them, so that it does not depend on how they are shared out.

        Returns:
            The (P', C) logits without their bias, in the dtype of the products, the (C,) bias, which is added in
            float32 where the logits are in the cache, and the (P',) loss of the offsets in the true cells, None
            without offsets.
        """
        features = batches.select(index, generator, self.attention)[share]
        products = functional.linear(features, self.weight.to(features.dtype))
        if self.offsets is None or batches.offset is None:
            return products, self.bias, None
        target, offset = (x.index_select(0, index[share]) for x in (batches.target, batches.offset))
        return products, self.bias, offset_loss(self.offsets(features, target), offset)

    def write_into(self, module: GeoHead) -> None:
        """Give the weights to a head, whose norm becomes one of ones and zeros."""
        ones = torch.ones_like(self.weight[0])
        state = {"head.0.weight": ones, "head.0.bias": torch.zeros_like(ones)}
        state |= {"head.2.weight": self.weight.detach(), "head.2.bias": self.bias.detach()}
        if self.attention is not None:
            state["attention.weight"] = self.attention.detach()[None]
        if self.offsets is not None:
            state |= {f"offsets.{name}": value for name, value in self.offsets.state_dict().items()}
        module.load_state_dict(state, strict=True)


class Stepper:
    """The weights of a fit and how they move: one call, one step.

    Attributes:
        weights: the weights, float32.
    """

    def __init__(self, module: GeoHead, terms: LossTerms, config: FitConfig) -> None:
        """Start at the weights of `module`, where the terms are."""
        self._loss, self._config = LossGradient(terms), config
        device = terms.weights.device
        self.weights = FoldedHead(module).to(device)
        self._share = slice(rank(), None, n_processes())
        self._forward = self.weights if n_processes() == 1 else DistributedDataParallel(self.weights)
        self._mean = deepcopy(self.weights) if config.ema else None
        self._optimizer = _optimizer(self.weights, config, device)
        self._generator = torch.Generator(device).manual_seed(config.seed)
        self._steps = 0

    def __call__(self, batches: Batches, index: Tensor, lr: float, where: str) -> float:
        """Take a step on the locations at `index` (P',).

        Args:
            batches: training locations.
            index: int64 locations among them.
            lr: learning rate.
            where: which epoch and batch, for the error.

        Returns:
            The loss.

        Raises:
            ValueError: when the loss or its gradient is not finite; the weights are then as they were.
        """
        products, bias, missed = self._forward(batches, index, self._generator, self._share)
        target, truth = (x.index_select(0, index) for x in (batches.target, batches.truth))
        loss, *gradients = self._loss(
            products.detach(), bias.detach(), target[self._share], truth[self._share], batch=target
        )
        outputs = [products, bias]
        if missed is not None:
            per_row = self._config.offsets / len(index)
            loss = loss + per_row * missed.detach().sum()
            outputs.append(missed)
            gradients.append(torch.full_like(missed, per_row))
        loss = summed(loss)
        self._optimizer.zero_grad(set_to_none=True)
        if n_processes() > 1:
            gradients = [slope * n_processes() for slope in gradients]  # their mean over the processes is taken
        torch.autograd.backward(outputs, gradients)
        total = torch.stack([p.grad.sum() for p in self.weights.parameters() if p.grad is not None]).sum()
        value, slope = torch.stack((loss, total)).tolist()
        if not math.isfinite(value) or not math.isfinite(slope):
            what, got = ("loss", value) if not math.isfinite(value) else ("gradient", slope)
            raise ValueError(
                f"the {what} must be finite, got {got} in {where}: lower lr (now {self._config.lr:g}) or the weights "
                "of the loss terms."
            )
        for group in self._optimizer.param_groups:
            group["lr"] = lr
        self._optimizer.step()
        self._steps += 1
        if self._mean is not None:
            decay = min(self._config.ema, (1 + self._steps) / (10 + self._steps))  # else it would remember the start
            with torch.no_grad():
                for mean, weight in zip(self._mean.parameters(), self.weights.parameters(), strict=True):
                    mean.lerp_(weight, 1.0 - decay)
        return float(value)

    def write_into(self, module: GeoHead) -> None:
        """Give the weights, or their running mean when there is one, to a head."""
        (self.weights if self._mean is None else self._mean).write_into(module)

    def state(self) -> dict[str, Tensor]:
        """Return everything that the next step depends on."""
        state = {f"weights.{name}": value for name, value in self.weights.state_dict().items()}
        if self._mean is not None:
            state |= {f"mean.{name}": value for name, value in self._mean.state_dict().items()}
        for number, moments in self._optimizer.state_dict()["state"].items():
            state |= {f"optimizer.{number}.{name}": value for name, value in moments.items()}
        return state | {"generator": self._generator.get_state(), "steps": torch.tensor(self._steps)}

    def load_state(self, state: Mapping[str, Tensor]) -> None:
        """Go on from what `state` returned."""
        self.weights.load_state_dict(_under("weights.", state), strict=True)
        if self._mean is not None:
            self._mean.load_state_dict(_under("mean.", state), strict=True)
        optimizer = self._optimizer.state_dict()
        moments: dict[int, dict[str, Tensor]] = {}
        for key, value in _under("optimizer.", state).items():
            number, name = key.split(".")
            moments.setdefault(int(number), {})[name] = value
        self._optimizer.load_state_dict({**optimizer, "state": moments})
        self._generator.set_state(state["generator"])
        self._steps = int(state["steps"])


def _under(prefix: str, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): value for name, value in state.items() if name.startswith(prefix)}


def _optimizer(module: nn.Module, config: FitConfig, device: torch.device) -> torch.optim.AdamW:
    """Return AdamW, fused where torch has it, with weight decay on the matrices alone."""
    matrices = {name for name, _ in module.named_parameters() if name.endswith("weight")}
    groups: list[dict[str, Any]] = [
        {"params": [p for n, p in module.named_parameters() if n in matrices], "weight_decay": config.weight_decay},
        {"params": [p for n, p in module.named_parameters() if n not in matrices], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=config.lr, fused=device.type in {"cpu", "cuda", "mps"})
