"""Several heads as one: averaged in weight space, which is a head again, or in posterior space, an ensemble."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray

from geocell.decoders.base import LocationData, PartitionData
from geocell.decoders.table import DecoderCache
from geocell.files import DamagedFileError, one_sentence, read_folder, read_json, require_types
from geocell.heads.candidates import make_candidates
from geocell.heads.combination import Combination, load_combination
from geocell.heads.folder import ENSEMBLE_FILE
from geocell.heads.head import Head, load_head
from geocell.heads.module import GeoHead
from geocell.heads.offsets import folded_offsets
from geocell.heads.pooling import Pooling
from geocell.heads.source import HeadSource
from geocell.heads.trained_on import joined_training

if TYPE_CHECKING:
    from geocell.decoders.base import PreparedDecoder
    from geocell.decoders.table import AnyDecoder
    from geocell.encoders.info import EncoderInfo
    from geocell.features.locations import Locations
    from geocell.geo.geodesy import Floats
    from geocell.heads.trained_on import TrainedOn
    from geocell.partitioners.base import Partition
    from geocell.partitioners.kinds import Kind

_MAX_LIST_BYTES = 1 << 20
_COUNTS = ("n_train", "n_train_outside", "n_val")


def require_alike(heads: Sequence[Head]) -> None:
    """Raise ValueError unless heads are at least two on the same cells and features."""
    if len(heads) < 2:
        raise ValueError(f"heads are joined from two on, got {len(heads)}.")
    for number, head in enumerate(heads[1:], start=2):
        heads[0].encoder.require_same(head.encoder, "head 1", f"head {number}")
        if head.partition.sha256 != heads[0].partition.sha256:
            raise ValueError(
                f"heads are joined on the same cells: head 1 has {heads[0].partition!r}, head {number} "
                f"{head.partition!r}; fit them on one partition."
            )


def average_heads(heads: Sequence[Head], weights: Sequence[float] | None = None) -> Head:
    """Return the head whose weights are the mean of those of heads fitted alike: several seeds, say.

    The norm of each head is first folded into its Linear. The logits of the mean are then the means of the logits, so
    that for `feature` and `logit` fusion this is the ensemble by geometric means of the posteriors, at the cost of one
    head (model soups: Wortsman et al. 2022). Queries of an attention and offsets are
    averaged as well. A calibration is dropped: that of the mean is another.

    Args:
        heads: two or more, on one partition and one encoder, of one fusion.
        weights: of each, from 0 on, with a sum of 1; equal when None. Between a head and the one that its fit started
            from, this is WiSE-FT (Wortsman et al. 2022, "Robust fine-tuning of zero-shot models").

    Returns:
        A head with the settings of the first; `training["averaged"]` has what is known of each, and
        `training["weights"]` the weights, where there are any.

    Raises:
        ValueError: when they do not belong together, or the weights are none.
    """
    require_alike(heads)
    require_weights(weights, len(heads))
    fusions = sorted({head.config.fusion for head in heads})
    if len(fusions) > 1:
        raise ValueError(f"weights are averaged over heads of one fusion, got {' and '.join(fusions)}.")
    has_offsets = heads[0].has_offsets
    if any(head.has_offsets != has_offsets for head in heads):
        raise ValueError("weights are averaged over heads that all have offsets or all have none, got both.")
    attention = heads[0].config.fusion == "attention"
    module = GeoHead(*heads[0].module.shape, heads[0].config.dropout, attention, has_offsets)
    states = [_folded(head.module) for head in heads]
    mean = {name: _mean([state[name] for state in states], weights) for name in states[0]}
    module.load_state_dict({**module.state_dict(), **mean}, strict=True)
    first = heads[0].training
    counts = {key: first[key] for key in _COUNTS if all(head.training.get(key) == first.get(key, -1) for head in heads)}
    training: dict[str, Any] = {**counts, "averaged": [dict(head.training) for head in heads]}
    if weights is not None:
        training["weights"] = list(weights)
    keys = joined_training([head.trained_on for head in heads])
    return Head(module, heads[0].partition, heads[0].encoder, heads[0].config, training, trained_on=keys)


def require_weights(weights: Sequence[float] | None, n: int) -> None:
    """Raise ValueError unless there are no weights, or one per head, from 0 on and with a sum of 1."""
    if weights is None:
        return
    if len(weights) != n or not all(0 <= weight <= 1 for weight in weights) or abs(sum(weights) - 1) > 1e-6:
        raise ValueError(
            f"weights must be {n} numbers from 0 on with a sum of 1, one per head, got "
            f"{', '.join(f'{weight:g}' for weight in weights)}."
        )


def _mean(tensors: Sequence[torch.Tensor], weights: Sequence[float] | None) -> torch.Tensor:
    stacked = torch.stack(list(tensors))
    if weights is None:
        return stacked.mean(dim=0)
    shares = torch.tensor(weights, dtype=torch.float64).reshape(-1, *[1] * (stacked.ndim - 1))
    return (stacked.double() * shares).sum(dim=0).to(stacked.dtype)


def _folded(module: GeoHead) -> dict[str, torch.Tensor]:
    """Return the tensors of a head of ones and zeros in the norm that is the same function."""
    state = module.state_dict()
    gain, shift, weight = state["head.0.weight"], state["head.0.bias"], state["head.2.weight"]
    folded = {"head.2.weight": weight * gain, "head.2.bias": state["head.2.bias"] + weight @ shift}
    if "attention.weight" in state:
        folded["attention.weight"] = state["attention.weight"] * gain
    if module.offsets is not None:
        folded |= {f"offsets.{name}": value for name, value in folded_offsets(module.offsets, gain, shift).items()}
    return folded


@dataclass(frozen=True, eq=False)
class Ensemble:
    """Heads whose posteriors are averaged; it is scored like a head, and saved as the combination that it is.

    Attributes:
        heads: two or more, on one partition and one encoder; their fusions may differ.
    """

    heads: tuple[Head, ...]

    def __post_init__(self) -> None:
        """Check that the heads belong together."""
        object.__setattr__(self, "heads", tuple(self.heads))
        require_alike(self.heads)

    @property
    def partition(self) -> Partition:
        """The C cells."""
        return self.heads[0].partition

    @property
    def encoder(self) -> EncoderInfo:
        """Which encoder's features it reads."""
        return self.heads[0].encoder

    @property
    def has_offsets(self) -> bool:
        """False: its most probable cell may be that of no head, so there is no offset either."""
        return False

    @cached_property
    def trained_on(self) -> TrainedOn | None:
        """Hashes of the training locations of all heads that know theirs."""
        return joined_training([head.trained_on for head in self.heads])

    @property
    def calibration(self) -> None:
        """None: each head has a temperature of its own, and nothing was learned of their mean."""
        return

    @property
    def region(self) -> None:
        """None: the heads may be trained on different locations, each of which is in the region of the ensemble."""
        return

    @cached_property
    def _decoders(self) -> DecoderCache:
        # no offsets: its most probable cell may be that of no head
        return DecoderCache(PartitionData(self.partition.centroids), frozenset({"features"}))

    def prepare(self, decode: AnyDecoder) -> PreparedDecoder:
        """Return a decoder, prepared for the cells; `offset` is none for an ensemble. See `Head.prepare`."""
        return self._decoders(decode)

    @cached_property
    def sha256(self) -> str:
        """Hash of the heads."""
        return hashlib.sha256(" ".join(head.sha256 for head in self.heads).encode()).hexdigest()

    def posterior_chunks(
        self, locations: Locations, device: str = "auto"
    ) -> Iterator[tuple[slice, NDArray[np.float32]]]:
        """Yield the mean of the posteriors in pieces; see `Head.posterior_chunks`."""
        for pieces in zip(*(head.posterior_chunks(locations, device) for head in self.heads), strict=True):
            total = pieces[0][1]
            for _, posterior in pieces[1:]:
                total += posterior
            yield pieces[0][0], np.divide(total, len(pieces), out=total)

    def answer_chunks(
        self, locations: Locations, decode: AnyDecoder = "centroid", device: str = "auto"
    ) -> Iterator[tuple[slice, NDArray[np.float32], Floats]]:
        """Yield the mean of the posteriors and the decoded points in pieces; see `Head.answer_chunks`."""
        prepared = self.prepare(decode)
        for rows, posterior in self.posterior_chunks(locations, device):
            part = locations.take(np.arange(rows.start, rows.stop))
            yield rows, posterior, prepared(posterior, LocationData(features=part.mean_features))

    def posterior(self, locations: Locations, device: str = "auto") -> NDArray[np.float32]:
        """Return the (P, C) float32 mean of the posteriors."""
        result = np.empty((len(locations), len(self.partition)), dtype=np.float32)
        for rows, posterior in self.posterior_chunks(locations, device):
            result[rows] = posterior
        return result

    def as_combination(self) -> Combination:
        """Return the combination that answers like it: on its cells, linearly, with equal weights."""
        found = make_candidates([head.partition for head in self.heads], rule="cells")
        return Combination(
            self.heads,
            found.partition,
            found.cells,
            found.places,
            Pooling.equal(len(self.heads)),
            trained_on=self.trained_on,
            record={"candidates": "cells"},
        )

    def save(self, path: str | Path, overwrite: bool = False) -> None:
        """Write the folder of `as_combination`, which is scored, calibrated, predicted with and pushed like a head.

        Raises:
            FileExistsError: when `path` exists and `overwrite` is false, or it is no combination.
        """
        self.as_combination().save(path, overwrite=overwrite)


@one_sentence()
def load_ensemble(path: str | Path, partitioner: str | type[Kind] | None = None) -> Ensemble:
    """Read the heads of a folder that averages them, every head strictly; one of an earlier version too.

    Args:
        path: the folder; it is read again if another process replaces it meanwhile.
        partitioner: class or `module:attribute` of the partitioner, for heads on cells of a custom kind.

    Raises:
        FileNotFoundError: when a file is missing.
        ValueError: when a head is damaged, or not the one that was written, or they are combined in another way.
    """
    if (Path(path) / ENSEMBLE_FILE).is_file():
        return read_folder(Path(path), lambda folder: _read_earlier(folder, partitioner))
    found = load_combination(HeadSource(Path(path)), partitioner)
    heads = tuple(member for member in found.members if isinstance(member, Head))
    if (found.calibration, found.neighbours) != (None, None) or found.sha256 != _plain_sha256(heads):
        raise ValueError(
            f"expected heads on the same cells that count alike, got the combination {path}, which was calibrated or "
            "pools in another way: read it with `geocell.load_combination`."
        )
    return Ensemble(heads)


def _plain_sha256(heads: tuple[Head, ...]) -> str | None:
    """Return the hash of the ensemble of the heads of a combination; None where they have no common cells."""
    if len(heads) < 2 or len({head.partition.sha256 for head in heads}) > 1:
        return None
    return Ensemble(heads).as_combination().sha256


def _read_earlier(folder: Path, partitioner: str | type[Kind] | None) -> Ensemble:
    value = read_json(folder / ENSEMBLE_FILE, "an ensemble", max_bytes=_MAX_LIST_BYTES)
    require_types(value, {"heads": list}, str(folder / ENSEMBLE_FILE))
    written = value["heads"]
    if len(written) < 2:
        raise DamagedFileError(
            f"{folder / ENSEMBLE_FILE} must list two or more heads, got {len(written)}: copy the folder again."
        )
    heads = tuple(load_head(HeadSource(folder / str(number)), partitioner) for number in range(len(written)))
    strangers = [number for number, head in enumerate(heads) if head.sha256 != written[number]]
    if strangers:
        raise ValueError(f"head {strangers[0]} in {folder} is not the one that was written: copy the folder again.")
    return Ensemble(heads)
