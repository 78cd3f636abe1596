"""Batches of a fit: pooled, normalised features in the dtype of the matrix products, with dropout of views and numbers.

The features are frozen, so their LayerNorm without gain and shift is a constant: it is taken once.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from geocell.compute.threads import over_cores
from geocell.features.locations import Locations
from geocell.heads.fit_config import FitConfig
from geocell.heads.inputs import Inputs, rows_of
from geocell.heads.module import segment_softmax, weighted_sums

NORM_EPS = 1e-5  # of nn.LayerNorm
_PIECE = 16_384  # locations that are read and pooled at a time
_ROWS = 512  # of which the dropout comes from one random stream


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


def drop(features: Tensor, share: float, generator: torch.Generator) -> Tensor:
    """Return (P, D) features, which may be overwritten, with a share of the numbers 0, to one part in 65,536.

    On a CPU every few hundred rows have a random stream of their own, seeded by `generator`, in which four 16-bit
    numbers are drawn at once: a twentieth of the time of a Bernoulli draw each.
    """
    if generator.device.type != "cpu":
        return features * (torch.rand(features.shape, generator=generator, device=features.device) >= share)
    if features.requires_grad:
        return features * drop(torch.ones_like(features, requires_grad=False), share, generator)
    # a number times 1 or 0 is its bits times 1 or 0, and integers multiply ten times as fast as a float and a bool
    parts = torch.split(features.view(torch.int16 if features.element_size() == 2 else torch.int32), _ROWS)
    seeds = torch.randint(2**63 - 1, (len(parts),), generator=generator).tolist()
    least = min(round(share * 2**16), 2**16 - 1) - 2**15  # 2**15 is no int16

    def drop_part(number: int) -> None:
        part = parts[number]
        words = torch.from_numpy(np.random.SFC64(seeds[number]).random_raw(-(-part.numel() // 4))).view(torch.int16)
        part.mul_(torch.ge(words[: part.numel()].view(part.shape), least, out=torch.empty_like(part)))

    over_cores(drop_part, range(len(parts)), torch.get_num_threads())
    return features


def views_kept(location: Tensor, n: int, share: float, generator: torch.Generator) -> Tensor:
    """Return (N,) bool, False for the share of views that is left out; every location keeps at least one.

    Args:
        location: (N,) int64 location of every view.
        n: P.
        share: probability of leaving a view out.
        generator: on the device of the views.
    """
    drawn = torch.rand(len(location), generator=generator, device=location.device)
    last = drawn.new_zeros(n).scatter_reduce(0, location, drawn, "amax")
    return (drawn >= share) | (drawn == last[location])


@dataclass(frozen=True, eq=False)
class Batches:
    """What a fit reads, on its device: from here batches are selected.

    Views are pooled once where their mean is a constant, else per batch.

    Attributes:
        features: (P, D) pooled and normalised, in the dtype of the products, with the scale of the dropout; or (N, D)
            float32 of all views, normalised unless their mean is to be.
        starts: (P,) first row of every location; None when pooled.
        views: (P,) number of views of every location; None when pooled.
        target: (P,) int64 cells.
        truth: (P, 3) unit vectors of the true points.
        offset: (P, 2) true offsets in those cells; None when they are not regressed.
        config: the settings.
        dtype: of the matrix products.
    """

    features: Tensor
    starts: Tensor | None
    views: Tensor | None
    target: Tensor
    truth: Tensor
    offset: Tensor | None
    config: FitConfig
    dtype: torch.dtype

    @classmethod
    def of(
        cls, inputs: Inputs, target: Tensor, truth: Tensor, config: FitConfig, offset: Tensor | None = None
    ) -> Batches:
        """Normalise the features, and pool them if that can be done once.

        Args:
            inputs: one row per view where there are several fusions of them to draw or learn; see `pooled_once`.
            target: (P,) int64 cells.
            truth: (P, 3) unit vectors.
            config: the settings.
            offset: (P, 2) true offsets, when they are regressed.
        """
        dtype = compute_dtype(config.precision, target.device)
        if pooled_once(config):
            return cls(_pooled_once(inputs, config, dtype), None, None, target, truth, offset, config, dtype)
        features, starts, views = inputs.features, inputs.starts, inputs.views
        if config.fusion != "feature":
            features = _normalised(features)
        return cls(features, starts, views, target, truth, offset, config, dtype)

    @classmethod
    def read(
        cls, locations: Locations, target: Tensor, truth: Tensor, config: FitConfig, offset: Tensor | None = None
    ) -> Batches:
        """Read P locations, piece by piece where their views are pooled once: no float32 of all of them is made."""
        device, dtype = target.device, compute_dtype(config.precision, target.device)
        if not pooled_once(config):
            return cls.of(Inputs.from_locations(locations, "logit", device), target, truth, config, offset)
        features = torch.empty((len(locations), locations.dim), dtype=dtype, device=device)
        for first in range(0, len(locations), _PIECE):
            rows = slice(first, min(first + _PIECE, len(locations)))
            part = Inputs.from_locations(locations.take(np.arange(rows.start, rows.stop)), config.fusion, device)
            features[rows] = _pooled_once(part, config, dtype)
        return cls(features, None, None, target, truth, offset, config, dtype)

    def __len__(self) -> int:
        """Return P."""
        return len(self.target)

    def select(self, index: Tensor, generator: torch.Generator, attention: Tensor | None = None) -> Tensor:
        """Return the (P', D) features of the locations at `index`, with dropout, in the dtype of the products."""
        if self.starts is None or self.views is None:
            features = self.features.index_select(0, index)
        else:
            rows, views = rows_of(self.starts, self.views, index)
            features = self._pooled(rows, views, generator, attention) / (1.0 - self.config.dropout)
            features = features.to(self.dtype)
        if self.config.dropout:
            features = drop(features, self.config.dropout, generator)
        return features

    def _pooled(self, rows: Tensor, views: Tensor, generator: torch.Generator, attention: Tensor | None) -> Tensor:
        """Return the (P', D) normalised means over a random part of the views, weighted by the attention."""
        n = len(views)
        location = torch.repeat_interleave(views, output_size=len(rows))
        if attention is None:
            scores = torch.zeros(len(rows), device=rows.device)
        else:
            scores = self.features.index_select(0, rows) @ attention
        if self.config.view_dropout:
            scores = scores.masked_fill(~views_kept(location, n, self.config.view_dropout, generator), -torch.inf)
        pooled = weighted_sums(self.features, views, segment_softmax(scores, location, n), rows)
        return _normalised(pooled) if self.config.fusion == "feature" else pooled


def pooled_once(config: FitConfig) -> bool:
    """Return whether the mean over the views of a location is the same in every batch."""
    return config.fusion != "attention" and not config.view_dropout


def _pooled_once(inputs: Inputs, config: FitConfig, dtype: torch.dtype) -> Tensor:
    """Return (P, D) normalised means over views with the scale of the dropout, in the dtype of the products."""
    features, views = _normalised(inputs.features), inputs.views
    if views is not None:
        location = torch.repeat_interleave(views, output_size=len(features))
        features = weighted_sums(features, views, (1.0 / views)[location])
    return features.div_(1.0 - config.dropout).to(dtype)


def _normalised(features: Tensor) -> Tensor:
    return functional.layer_norm(features, features.shape[1:], eps=NORM_EPS)
