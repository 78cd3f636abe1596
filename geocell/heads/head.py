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

from geocell.compute.devices import choose_device
from geocell.decoders.base import OFFSET, require_decoder
from geocell.decoders.base import decode as decode_posterior
from geocell.features.locations import EncoderInfo, Locations
from geocell.geo.geodesy import Floats
from geocell.heads.fit_config import FitConfig
from geocell.heads.inputs import Inputs
from geocell.heads.offsets import Offsets, offsets_km
from geocell.partitioners.base import Partition

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
    fifth, `attention.weight`, of zeros too: every view weighs the same. With `offsets` there are `offsets.weight` and
    `offsets.bias`, zeros as well.

    Args:
        dim: D.
        n_cells: C.
        dropout: share of the normalised features set to 0 while training.
        attention: whether views are joined by a learned weight.
        offsets: whether it says where inside a cell a location lies.
    """

    def __init__(
        self, dim: int, n_cells: int, dropout: float = 0.0, attention: bool = False, offsets: bool = False
    ) -> None:
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
        self.offsets = Offsets(dim, n_cells) if offsets else None

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


def answer(module: GeoHead, inputs: Inputs, partition: Partition, decode: str) -> tuple[NDArray[np.float32], Floats]:
    """Return what a module answers.

    Args:
        module: the weights, where the inputs are.
        inputs: P locations.
        partition: the C cells.
        decode: name of the decoder.

    Returns:
        The (P, C) posterior, and the (P, 2) decoded points in degrees.

    Raises:
        ValueError: for an unknown decoder, or one that the module has no offsets for.
    """
    moves = None
    with torch.inference_mode():
        pooled = module.pooled(inputs.features, inputs.views)
        posterior = torch.softmax(module.logits(pooled), dim=1).cpu().numpy()
        if decode == OFFSET and module.offsets is not None:
            best = posterior.argmax(axis=1)
            offsets = module.offsets(pooled, torch.from_numpy(best).to(pooled.device))
            moves = offsets_km(offsets.cpu().numpy(), partition, best)
    return posterior, decode_posterior(decode, posterior, partition.centroids, moves)


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
        if self.has_offsets != (self.config.offsets > 0):
            raise ValueError(
                "a head has weights of offsets when it was fitted with offsets above 0 and only then, got offsets "
                f"{self.config.offsets:g} and {'' if self.has_offsets else 'no '}such weights."
            )
        self.module.eval().requires_grad_(False)

    def __repr__(self) -> str:
        """Return encoder and partition."""
        return f"<Head {self.encoder.name} D={self.encoder.dim} on {self.partition!r}>"

    @property
    def has_offsets(self) -> bool:
        """Whether it says where inside a cell a location lies, which the decoder `offset` needs."""
        return self.module.offsets is not None

    @cached_property
    def sha256(self) -> str:
        """Hash of weights, cells and fusion: scores carry it, so that those of another head are not taken for its."""
        digest = hashlib.sha256(f"{self.partition.sha256} {self.config.fusion}".encode())
        for name, value in sorted(self.module.state_dict().items()):
            digest.update(f"{name} {tuple(value.shape)}".encode())
            digest.update(value.float().contiguous().numpy())
        return digest.hexdigest()

    def answer_chunks(
        self, locations: Locations, decode: str = "centroid", device: str = "auto", chunk: int = _CHUNK
    ) -> Iterator[tuple[slice, NDArray[np.float32], Floats]]:
        """Yield posterior and points in pieces, for locations whose (P, C) would not fit into memory.

        Args:
            locations: P locations.
            decode: name of the decoder.
            device: where to compute.
            chunk: locations per piece.

        Yields:
            The rows of a piece, its (rows, C) float32 probabilities, and its (rows, 2) decoded points in degrees.

        Raises:
            ValueError: when the features are of another encoder, or the decoder is unknown or not for this head.
        """
        require_decoder(decode, self.has_offsets)
        self.encoder.require_same(locations.encoder, "the head", "the locations")
        where = torch.device(choose_device(device))
        module = self.module if where.type == "cpu" else deepcopy(self.module).to(where)
        for start in range(0, len(locations), chunk):
            rows = slice(start, min(start + chunk, len(locations)))
            part = locations.take(np.arange(rows.start, rows.stop))
            inputs = Inputs.of(part, self.config.fusion, where)
            yield rows, *answer(module, inputs, self.partition, decode)

    def posterior_chunks(
        self, locations: Locations, device: str = "auto", chunk: int = _CHUNK
    ) -> Iterator[tuple[slice, NDArray[np.float32]]]:
        """Yield the rows and the (rows, C) float32 probabilities of `answer_chunks`."""
        for rows, posterior, _ in self.answer_chunks(locations, device=device, chunk=chunk):
            yield rows, posterior

    def posterior(self, locations: Locations, device: str = "auto") -> NDArray[np.float32]:
        """Return the (P, C) float32 cell probabilities of locations; see `posterior_chunks`."""
        result = np.empty((len(locations), len(self.partition)), dtype=np.float32)
        for rows, posterior in self.posterior_chunks(locations, device):
            result[rows] = posterior
        return result

    def save(self, path: str | Path, scores: HasJson | None = None, overwrite: bool = False) -> None:
        """Write the head as one folder that appears complete or not at all; see `geocell.heads.folder.save_head`."""
        from geocell.heads.folder import save_head

        save_head(self, Path(path), scores, overwrite=overwrite)

    def write_scores(self, path: str | Path, scores: HasJson) -> None:
        """Write scores into the folder this head was loaded from; see `geocell.heads.folder.write_scores`."""
        from geocell.heads.folder import write_scores

        write_scores(self, Path(path), scores)
