"""The module of a head: LayerNorm -> Dropout -> Linear over the cells of one partition."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from geocell.decoders.base import LocationData, PreparedDecoder
from geocell.geo.geodesy import Floats
from geocell.heads.fit_config import FitConfig
from geocell.heads.inputs import Inputs
from geocell.heads.offsets import Offsets, offsets_km
from geocell.partitioners.base import Partition


def segment_softmax(scores: Tensor, location: Tensor, n: int) -> Tensor:
    """Return the softmax of (N,) scores over the views of each location.

    Args:
        scores: (N,), minus infinity for a view that is left out.
        location: (N,) int64 location of every view, below `n`; each has a finite score.
        n: P.
    """
    top = scores.new_full((n,), -torch.inf).scatter_reduce(0, location, scores.detach(), "amax")
    raised = (scores - top[location]).exp()
    return raised / scores.new_zeros(n).index_add(0, location, raised)[location]


def zero_linear(dim: int, n: int, bias: bool = True) -> nn.Linear:
    """Return a Linear of zeros on the CPU, drawing nothing from the global random state.

    `nn.utils.skip_init` does the same by imports that take longer than a small head: those of sympy, for one.
    """
    linear = nn.Linear(dim, n, bias=bias, device="meta")
    linear.weight = nn.Parameter(torch.zeros(n, dim))
    if bias:
        linear.bias = nn.Parameter(torch.zeros(n))
    return linear


class GeoHead(nn.Module):
    """The module of a head. Its state dict has the four keys of the published checkpoints of this kind.

    It starts as a LayerNorm of ones and a Linear of zeros: the loss is convex in the Linear, and random initial weights
    would only add noise that a small training set does not remove. With `attention` there is a fifth tensor,
    `attention.weight`, initially 0, so all views weigh the same; with `offsets`, `offsets.weight` and `offsets.bias`,
    initially 0 as well.

    Args:
        dim: D.
        n_cells: C.
        dropout: share of the normalised features set to 0 while training.
        attention: whether views are joined by a learned weight.
        offsets: whether it regresses an offset within each cell.
    """

    def __init__(
        self, dim: int, n_cells: int, dropout: float = 0.0, attention: bool = False, offsets: bool = False
    ) -> None:
        """Make the layers, drawing nothing from the global random state."""
        super().__init__()
        linear = zero_linear(dim, n_cells)
        self.head: nn.Sequential = nn.Sequential(nn.LayerNorm(dim), nn.Dropout(dropout), linear)
        self.attention: nn.Linear | None = zero_linear(dim, 1, bias=False) if attention else None
        self.offsets: Offsets | None = Offsets(dim, n_cells) if offsets else None

    @property
    def shape(self) -> tuple[int, int]:
        """(D, C)."""
        linear: nn.Linear = self.head[2]  # type: ignore[assignment]
        return linear.in_features, linear.out_features

    def forward(self, features: Tensor, views: Tensor | None = None) -> Tensor:
        """Return the (P, C) logits of locations; see `pooled` for the arguments."""
        return self.logits(self.pooled(features, views))

    def logits(self, pooled: Tensor) -> Tensor:
        """Return the (P, C) logits of what `pooled` returned."""
        _, dropout, linear = self.head
        return linear(dropout(pooled))  # type: ignore[no-any-return]

    def pooled(self, features: Tensor, views: Tensor | None = None) -> Tensor:
        """Return the normalised features of locations.

        With `views` each view passes the head on its own and the logits of a location are averaged (`logit` fusion),
        or weighted by a softmax over its views of ``q · norm(view)`` (`attention` fusion; Ilse, Tomczak and Welling
        2018, without the hidden layer). The Linear commutes with a weighted mean, so the mean is taken before it: the
        same numbers from one product per location instead of one per view.

        Args:
            features: (P, D), one row per location; or (N, D), one row per view, grouped by location.
            views: (P,) int64 number of views of each location, for one row per view.

        Returns:
            (P, D).
        """
        normalised: Tensor = self.head[0](features)
        if views is None:
            return normalised
        location = torch.repeat_interleave(views, output_size=len(features))
        if self.attention is None:
            weights = (1.0 / views).to(features.dtype)[location]
        else:
            weights = segment_softmax(self.attention(normalised)[:, 0], location, len(views))
        return weighted_sums(normalised, views, weights)


def new_module(dim: int, n_cells: int, config: FitConfig) -> GeoHead:
    """Return the untrained module of a head with these settings."""
    return GeoHead(dim, n_cells, config.dropout, config.fusion == "attention", config.offsets > 0)


def tensor_shapes(dim: int, n_cells: int, config: FitConfig) -> dict[str, tuple[int, ...]]:
    """Return the names and shapes of the state dict of `new_module`, without allocating it."""
    shapes: dict[str, tuple[int, ...]] = {
        "head.0.weight": (dim,),
        "head.0.bias": (dim,),
        "head.2.weight": (n_cells, dim),
        "head.2.bias": (n_cells,),
    }
    if config.fusion == "attention":
        shapes["attention.weight"] = (1, dim)
    if config.offsets > 0:
        shapes |= {"offsets.weight": (n_cells, 2, dim), "offsets.bias": (n_cells, 2)}
    return shapes


def weighted_sums(features: Tensor, views: Tensor, weights: Tensor, rows: Tensor | None = None) -> Tensor:
    """Return the (P, D) weighted sum over the views of each location.

    Args:
        features: (N, D).
        views: (P,) number of views of each location.
        weights: (N',) weight of every view, grouped by location.
        rows: (N',) int64 row of `features` of every view; all of them in order when omitted.
    """
    rows = torch.arange(len(features), device=features.device) if rows is None else rows
    starts = views.cumsum(0) - views
    return functional.embedding_bag(rows, features, starts, mode="sum", per_sample_weights=weights)


def answer(
    module: GeoHead,
    inputs: Inputs,
    partition: Partition,
    decode: PreparedDecoder,
    temperature: float = 1.0,
    bias: Sequence[float] | None = None,
) -> tuple[NDArray[np.float32], Floats]:
    """Return what a module answers.

    Args:
        module: the weights, where the inputs are.
        inputs: P locations.
        partition: the C cells.
        decode: the decoder, prepared for these cells.
        temperature: by which the logits are divided.
        bias: (C,) what is added to them then.

    Returns:
        The (P, C) posterior, and the (P, 2) decoded points in degrees.

    Raises:
        ValueError: for a decoder that needs offsets when the module has none.
    """
    with torch.inference_mode():
        pooled = module.pooled(inputs.features, inputs.views)
        logits = module.logits(pooled)
        if temperature != 1.0:
            logits = logits / temperature
        if bias is not None:
            logits = logits + torch.tensor(bias, dtype=logits.dtype, device=logits.device)
        posterior = torch.softmax(logits, dim=1).cpu().numpy()

        def regressed(cells: NDArray[np.int64]) -> Floats:
            offsets = cast("Offsets", module.offsets)(pooled, torch.from_numpy(cells).to(pooled.device))
            return offsets_km(offsets.cpu().numpy(), partition, cells)

        known = LocationData(None if module.offsets is None else regressed, inputs.mean_features)
        return posterior, decode(posterior, known)
