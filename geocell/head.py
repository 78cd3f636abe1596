"""A head: LayerNorm -> Dropout -> Linear over the cells of one partition."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from geocell.devices import choose_device
from geocell.locations import EncoderInfo, Locations
from geocell.partitioners.base import Partition
from geocell.recipe import FitConfig

_CHUNK = 4096  # locations per step of inference: 16 KiB of probabilities each at 4,000 cells


class HasJson(Protocol):
    """Anything with a JSON form: `Scores`, which lives above this module."""

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form."""
        ...


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


class GeoHead(nn.Module):
    """The module of a head. Its state dict has the four keys of the published checkpoints of this kind.

    It starts as a LayerNorm of ones and a Linear of zeros: the loss is convex in the Linear, so zeros are a fair start,
    and random numbers would be noise that a small set of locations does not train away. With `attention` there is a
    fifth, `attention.weight`, of zeros too: every view weighs the same.

    Args:
        dim: D.
        n_cells: C.
        dropout: share of the normalised features set to 0 while training.
        attention: whether views are joined by a learned weight.
    """

    def __init__(self, dim: int, n_cells: int, dropout: float = 0.0, attention: bool = False) -> None:
        """Make the layers, drawing nothing from the global random state."""
        super().__init__()
        linear = nn.utils.skip_init(nn.Linear, dim, n_cells)  # type: ignore[no-untyped-call]
        nn.init.zeros_(linear.weight)
        nn.init.zeros_(linear.bias)
        self.head = nn.Sequential(nn.LayerNorm(dim), nn.Dropout(dropout), linear)
        self.attention: nn.Linear | None = None
        if attention:
            self.attention = nn.utils.skip_init(nn.Linear, dim, 1, bias=False)  # type: ignore[no-untyped-call]
            nn.init.zeros_(self.attention.weight)

    @property
    def shape(self) -> tuple[int, int]:
        """(D, C)."""
        linear: nn.Linear = self.head[2]  # type: ignore[assignment]
        return linear.in_features, linear.out_features

    def forward(self, features: Tensor, views: Tensor | None = None) -> Tensor:
        """Return the logits of locations.

        With `views` each view passes the head on its own and the logits of a location are averaged (`logit` fusion),
        or weighted by a softmax over its views of ``q · norm(view)`` (`attention` fusion; Ilse, Tomczak and Welling
        2018, without the hidden layer). The Linear commutes with a weighted mean, so the mean is taken before it: the
        same numbers from one product per location instead of one per view.

        Args:
            features: (P, D), one row per location; or (N, D), one row per view, grouped by location.
            views: (P,) int64 number of views of each location, for one row per view.

        Returns:
            (P, C).
        """
        if views is None:
            return self.head(features)  # type: ignore[no-any-return]
        norm, dropout, linear = self.head
        normalised = norm(features)
        location = torch.repeat_interleave(views, output_size=len(features))
        if self.attention is None:
            weights = (1.0 / views).to(features.dtype)[location]
        else:
            weights = segment_softmax(self.attention(normalised)[:, 0], location, len(views))
        return linear(dropout(weighted_sums(normalised, views, weights)))  # type: ignore[no-any-return]


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


@dataclass(frozen=True, eq=False)
class Inputs:
    """What a head sees of P locations, on one device: one contiguous tensor, from which batches are selected.

    Attributes:
        features: (P, D) float32 means over views (`feature` fusion), or (N, D) of all views (other fusions).
        starts: (P,) first row of each location; None for `feature` fusion.
        views: (P,) number of rows of each location; None for `feature` fusion.
    """

    features: Tensor
    starts: Tensor | None
    views: Tensor | None

    @classmethod
    def of(cls, locations: Locations, fusion: str, device: torch.device) -> Inputs:
        """Pool and move the features of locations.

        Raises:
            ValueError: when a feature is NaN or infinite.
        """
        pooled = fusion == "feature" and len(locations) > 0
        features = locations.mean_features() if pooled else locations.view_features()
        finite = np.isfinite(features).all(axis=1)
        if not finite.all():
            row = int(np.flatnonzero(~finite)[0])
            place = locations.ids[row if pooled else locations.view_location[row]]
            raise ValueError(
                f"features must be finite numbers, got NaN or infinity at location {place!r}: encode its images again."
            )
        tensor = torch.from_numpy(features).to(device)
        if fusion == "feature":
            return cls(tensor, None, None)
        starts = torch.from_numpy(np.ascontiguousarray(locations.offsets[:-1])).to(device)
        return cls(tensor, starts, torch.from_numpy(np.diff(locations.offsets)).to(device))

    def select(self, index: Tensor) -> tuple[Tensor, Tensor | None]:
        """Return what `GeoHead.forward` takes, for the locations at `index` (P',)."""
        if self.starts is None or self.views is None:
            return self.features.index_select(0, index), None
        rows, views = rows_of(self.starts, self.views, index)
        return self.features.index_select(0, rows), views


def rows_of(starts: Tensor, views: Tensor, index: Tensor) -> tuple[Tensor, Tensor]:
    """Return the (N',) rows of the views of the locations at `index` (P',), and the (P',) number of them."""
    views = views.index_select(0, index)
    before = starts.index_select(0, index) - (views.cumsum(0) - views)
    rows = torch.repeat_interleave(before, views)
    return rows + torch.arange(len(rows), device=rows.device), views


@dataclass(frozen=True, eq=False)
class Head:
    """A classifier over one partition, with all that is needed to use it or to refuse.

    Attributes:
        module: the weights, in evaluation mode, on the CPU.
        partition: the C cells.
        encoder: which encoder's features it reads.
        config: the settings it was fitted with.
        training: what it was fitted on and how the fit went, JSON.
        history: one row per epoch, column name -> number.
    """

    module: GeoHead
    partition: Partition
    encoder: EncoderInfo
    config: FitConfig
    training: Mapping[str, Any] = field(default_factory=dict)
    history: Sequence[Mapping[str, float]] = ()

    def __post_init__(self) -> None:
        """Check that weights, partition and encoder belong together, and freeze the weights."""
        expected = (self.encoder.dim, len(self.partition))
        if self.module.shape != expected:
            raise ValueError(
                f"a head needs (D, C) weights for its encoder and its partition, {expected}, got {self.module.shape}."
            )
        broken = [name for name, value in self.module.state_dict().items() if not bool(torch.isfinite(value).all())]
        if broken:
            raise ValueError(f"the weights of a head must be finite, got NaN or infinity in {', '.join(broken)}.")
        self.module.eval().requires_grad_(False)

    def __repr__(self) -> str:
        """Return encoder and partition."""
        return f"<Head {self.encoder.name} D={self.encoder.dim} on {self.partition!r}>"

    @cached_property
    def sha256(self) -> str:
        """Hash of weights, cells and fusion: scores carry it, so that those of another head are not taken for its."""
        digest = hashlib.sha256(f"{self.partition.sha256} {self.config.fusion}".encode())
        for name, value in sorted(self.module.state_dict().items()):
            digest.update(f"{name} {tuple(value.shape)}".encode())
            digest.update(value.float().contiguous().numpy())
        return digest.hexdigest()

    def posterior_chunks(
        self, locations: Locations, device: str = "auto", chunk: int = _CHUNK
    ) -> Iterator[tuple[slice, NDArray[np.float32]]]:
        """Yield the posterior in pieces, for locations whose (P, C) would not fit into memory.

        Args:
            locations: P locations.
            device: where to compute.
            chunk: locations per piece.

        Yields:
            The rows of a piece, and its (rows, C) float32 probabilities.

        Raises:
            ValueError: when the features are of another encoder.
        """
        self.encoder.require_same(locations.encoder, "the head", "the locations")
        where = torch.device(choose_device(device))
        module = self.module if where.type == "cpu" else deepcopy(self.module).to(where)
        for start in range(0, len(locations), chunk):
            rows = slice(start, min(start + chunk, len(locations)))
            part = locations.take(np.arange(rows.start, rows.stop))
            inputs = Inputs.of(part, self.config.fusion, where)
            with torch.inference_mode():
                posterior = torch.softmax(module(inputs.features, inputs.views), dim=1).cpu().numpy()
            yield rows, posterior

    def posterior(self, locations: Locations, device: str = "auto") -> NDArray[np.float32]:
        """Return the (P, C) float32 cell probabilities of locations; see `posterior_chunks`."""
        result = np.empty((len(locations), len(self.partition)), dtype=np.float32)
        for rows, posterior in self.posterior_chunks(locations, device):
            result[rows] = posterior
        return result

    def save(self, path: str | Path, scores: HasJson | None = None, overwrite: bool = False) -> None:
        """Write the head as one folder that appears complete or not at all; see `geocell.head_files.save_head`."""
        from geocell.head_files import save_head

        save_head(self, Path(path), scores, overwrite=overwrite)

    def write_scores(self, path: str | Path, scores: HasJson) -> None:
        """Write scores into the folder this head was loaded from; see `geocell.head_files.write_scores`."""
        from geocell.head_files import write_scores

        write_scores(self, Path(path), scores)
