"""A head: LayerNorm -> Dropout -> Linear over the cells of one partition, and the folder that holds it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from geocell import __version__
from geocell.card import head_card
from geocell.encoders import choose_device
from geocell.files import FORMAT, new_folder, read_json, write_json, write_text
from geocell.locations import EncoderInfo, Locations
from geocell.partitioners.base import Partition
from geocell.recipe import FitConfig, fit_config_from_dict

CONFIG_FILE = "config.json"
WEIGHTS_FILE = "model.safetensors"
SCORES_FILE = "scores.json"
HISTORY_FILE = "history.csv"
CARD_FILE = "README.md"

_CONFIG_KEYS = {
    "format", "library", "version", "encoder", "dim", "n_cells", "partition_sha256", "fusion", "fit", "training",
}  # fmt: skip
_CHUNK = 4096  # locations per step of inference: 16 KiB of probabilities each at 4,000 cells


class HasJson(Protocol):
    """Anything with a JSON form: `Scores`, which lives above this module."""

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form."""
        ...


class GeoHead(nn.Module):
    """The module of a head. Its state dict has the four keys of the published checkpoints of this kind.

    It starts as a LayerNorm of ones and a Linear of zeros: the loss is convex in the Linear, so zeros are a fair start,
    and random numbers would be noise that a small set of locations does not train away.

    Args:
        dim: D.
        n_cells: C.
        dropout: share of the normalised features set to 0 while training.
    """

    def __init__(self, dim: int, n_cells: int, dropout: float = 0.0) -> None:
        """Make the layers, drawing nothing from the global random state."""
        super().__init__()
        linear = nn.utils.skip_init(nn.Linear, dim, n_cells)  # type: ignore[no-untyped-call]
        nn.init.zeros_(linear.weight)
        nn.init.zeros_(linear.bias)
        self.head = nn.Sequential(nn.LayerNorm(dim), nn.Dropout(dropout), linear)

    @property
    def shape(self) -> tuple[int, int]:
        """(D, C)."""
        linear: nn.Linear = self.head[2]  # type: ignore[assignment]
        return linear.in_features, linear.out_features

    def forward(self, features: Tensor, views: Tensor | None = None) -> Tensor:
        """Return the logits of locations.

        With `views` each view passes the head on its own and the logits of a location are averaged (`logit` fusion).
        The Linear commutes with that mean, so the mean is taken before it: the same numbers from one product per
        location instead of one per view.

        Args:
            features: (P, D), one row per location; or (N, D), one row per view, grouped by location.
            views: (P,) int64 number of views of each location, for one row per view.

        Returns:
            (P, C).
        """
        if views is None:
            return self.head(features)  # type: ignore[no-any-return]
        norm, dropout, linear = self.head
        location = torch.repeat_interleave(views, output_size=len(features))
        sums = features.new_zeros(len(views), features.shape[1]).index_add(0, location, dropout(norm(features)))
        return linear(sums / views[:, None])  # type: ignore[no-any-return]


@dataclass(frozen=True, eq=False)
class Inputs:
    """What a head sees of P locations, on one device: one contiguous tensor, from which batches are selected.

    Attributes:
        features: (P, D) float32 means over views (`feature` fusion), or (N, D) of all views (`logit` fusion).
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
        views = self.views.index_select(0, index)
        before = self.starts.index_select(0, index) - (views.cumsum(0) - views)
        rows = torch.repeat_interleave(before, views)
        rows = rows + torch.arange(len(rows), device=rows.device)
        return self.features.index_select(0, rows), views


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
        """Write the head as one folder that appears complete or not at all.

        Args:
            path: the folder.
            scores: what `score` returned, for `scores.json` and the model card.
            overwrite: whether to replace an existing folder.

        Raises:
            FileExistsError: when `path` exists and `overwrite` is false.
            ValueError: when the scores are of another partition.
        """
        from safetensors.torch import save_file

        with new_folder(Path(path), overwrite=overwrite) as folder:
            weights = {name: value.float().contiguous() for name, value in self.module.state_dict().items()}
            save_file(weights, folder / WEIGHTS_FILE)
            self.partition.write_into(folder)
            write_json(folder / CONFIG_FILE, self._config_json())
            if self.history:
                write_text(folder / HISTORY_FILE, _history_csv(self.history))
            self._write_scores_and_card(folder, scores)

    def write_scores(self, path: str | Path, scores: HasJson) -> None:
        """Write scores into the folder this head was loaded from, and its model card anew.

        Raises:
            FileNotFoundError: when `path` is not the folder of a head.
            ValueError: when it is the folder of a head on other cells, or the scores are of another partition.
        """
        folder = Path(path)
        if read_json(folder / CONFIG_FILE, "a head").get("partition_sha256") != self.partition.sha256:
            raise ValueError(f"scores go into the folder of the head they are of, and {folder} has another partition.")
        self._write_scores_and_card(folder, scores)

    def _config_json(self) -> dict[str, Any]:
        return {
            "format": FORMAT,
            "library": "geocell",
            "version": __version__,
            "encoder": self.encoder.to_dict(),
            "dim": self.encoder.dim,
            "n_cells": len(self.partition),
            "partition_sha256": self.partition.sha256,
            "fusion": self.config.fusion,
            "fit": self.config.to_dict(),
            "training": dict(self.training),
        }

    def _write_scores_and_card(self, folder: Path, scores: HasJson | None) -> None:
        numbers = None if scores is None else scores.to_dict()
        if numbers is not None:
            if numbers["partition_sha256"] != self.partition.sha256:
                raise ValueError("scores beside a head must be of its partition, got those of another: score it again.")
            write_json(folder / SCORES_FILE, numbers)
        write_text(folder / CARD_FILE, head_card(self._config_json(), self.partition.kind, numbers))


def load_head(path: str | Path) -> Head:
    """Read a head's folder strictly: every tensor, shape and hash must be what `config.json` says. No pickle is read.

    Raises:
        FileNotFoundError: when a file is missing.
        ValueError: when a file is of another format, damaged, or of another head.
    """
    folder = Path(path)
    config = read_json(folder / CONFIG_FILE, "a head")
    if set(config) != _CONFIG_KEYS:
        raise ValueError(
            f"{folder / CONFIG_FILE} must have the keys {', '.join(sorted(_CONFIG_KEYS))}, "
            f"got {', '.join(sorted(config))}: write the head again."
        )
    encoder = EncoderInfo.from_dict(config["encoder"], f"{folder / CONFIG_FILE} encoder")
    fit = fit_config_from_dict(config["fit"], f"{folder / CONFIG_FILE} fit")
    partition = Partition.load(folder)
    if partition.sha256 != config["partition_sha256"]:
        raise ValueError(
            f"the partition in {folder} must be the one the head was fitted on, {config['partition_sha256']}, "
            f"got {partition.sha256}: copy the whole folder again from its origin."
        )
    stated = (config["dim"], config["n_cells"], config["fusion"])
    if stated != (encoder.dim, len(partition), fit.fusion):
        raise ValueError(
            f"{folder / CONFIG_FILE} must agree with its encoder, partition and fit on (dim, n_cells, fusion), "
            f"{(encoder.dim, len(partition), fit.fusion)}, got {stated}: write the head again."
        )
    module = GeoHead(encoder.dim, len(partition), fit.dropout)
    module.load_state_dict(_read_weights(folder / WEIGHTS_FILE, module), strict=True)
    return Head(module, partition, encoder, fit, config["training"], _read_history(folder / HISTORY_FILE))


def _read_weights(path: Path, module: GeoHead) -> dict[str, Tensor]:
    """Return the tensors of a safetensors file, if they are exactly those of `module`."""
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    if not path.is_file():
        raise FileNotFoundError(f"a head needs the file {path.name}, and there is none in {path.parent}.")
    try:
        weights = load_file(path)
    except SafetensorError as error:
        raise ValueError(f"{path} must be a safetensors file, got a damaged one ({error}): copy it again.") from error
    expected = {name: (tuple(value.shape), value.dtype) for name, value in module.state_dict().items()}
    got = {name: (tuple(value.shape), value.dtype) for name, value in weights.items()}
    if got != expected:
        raise ValueError(
            f"{path} must hold {_describe(expected)}; got {_describe(got)}: it is not the weights of this head."
        )
    return weights


def _describe(tensors: Mapping[str, tuple[tuple[int, ...], torch.dtype]]) -> str:
    parts = (f"{name} {list(shape)} {str(dtype)[6:]}" for name, (shape, dtype) in sorted(tensors.items()))
    return ", ".join(parts) or "nothing"


def _history_csv(history: Sequence[Mapping[str, float]]) -> str:
    rows = [",".join(json.dumps(value) for value in row.values()) for row in history]
    return "\n".join([",".join(history[0]), *rows]) + "\n"


def _read_history(path: Path) -> tuple[dict[str, float], ...]:
    if not path.is_file():
        return ()
    names, *rows = (line.split(",") for line in path.read_text(encoding="utf-8").splitlines())
    return tuple({name: json.loads(value) for name, value in zip(names, row, strict=True)} for row in rows)
