"""A head: a classifier over the cells of one partition, with all that is needed to use it or to refuse."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from geocell.compute.devices import choose_device
from geocell.decoders.base import Need, PartitionData, PreparedDecoder
from geocell.decoders.table import AnyDecoder, DecoderCache
from geocell.encoders.info import EncoderInfo
from geocell.features.locations import Locations
from geocell.features.neighbours import NeighbourIndex
from geocell.features.training_places import TrainingPlaces
from geocell.files import read_folder
from geocell.geo.geodesy import Floats
from geocell.heads.calibration import Calibration
from geocell.heads.fit_config import FitConfig
from geocell.heads.folder import HeadParts, read_head, write_head, write_scores
from geocell.heads.inputs import Inputs
from geocell.heads.module import GeoHead, answer, new_module
from geocell.heads.notebook import head_display
from geocell.heads.source import HeadSource, find_head
from geocell.heads.trained_on import TrainedOn
from geocell.metrics.scores import Scores
from geocell.partitioners.base import Partition
from geocell.partitioners.kinds import Kind
from geocell.uncertainty.region_model import RegionModel

_CHUNK = 4096  # locations per step of inference: 16 KiB of probabilities each at 4,000 cells


@dataclass(frozen=True, eq=False, repr=False)
class Head:
    """A classifier over one partition, with all that is needed to use it or to refuse.

    Attributes:
        module: the weights, in evaluation mode, on the CPU.
        partition: the C cells.
        encoder: which encoder's features it reads.
        config: the settings it was fitted with.
        training: what it was fitted on and how the fit went, JSON.
        history: one row per epoch, column name -> number.
        trained_on: hashes of the training locations (`geocell.heads.trained_on`), None where they are not known.
        calibration: what was learned on validation locations after the fit (`geocell.calibrate`), None before that.
            Its temperature and its bias are part of every posterior.
        neighbours: index of training features for the decoder `knn`, None where there is none.
        region: what tells locations outside its region apart (`geocell.RegionModel`), None where that was not learned.
        places: training places, candidates of decoders such as `balscore:places=8`, None where there are none.
    """

    module: GeoHead
    partition: Partition
    encoder: EncoderInfo
    config: FitConfig
    training: Mapping[str, Any] = field(default_factory=dict)
    history: Sequence[Mapping[str, float]] = ()
    trained_on: TrainedOn | None = None
    calibration: Calibration | None = None
    neighbours: NeighbourIndex | None = None
    region: RegionModel | None = None
    places: TrainingPlaces | None = None

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
        for added in (self.neighbours, self.places):
            if added is not None:
                added.require_for(self)
        if self.calibration is not None:
            self.calibration.require_for(len(self.partition))
        if self.region is not None:
            self.encoder.require_same(self.region.encoder, "the head", "its region")
        self.module.eval().requires_grad_(False)

    def __repr__(self) -> str:
        """Return encoder and partition."""
        return f"<Head {self.encoder.name} D={self.encoder.dim} on {self.partition!r}>"

    def _repr_html_(self) -> str:
        return head_display(self.parts).html()

    @property
    def has_offsets(self) -> bool:
        """Whether it regresses offsets within cells, which the decoder `offset` needs."""
        return self.module.offsets is not None

    @cached_property
    def parts(self) -> HeadParts:
        """What the folder of the head holds."""
        weights = self.module.state_dict()
        return HeadParts(
            weights,
            self.partition,
            self.encoder,
            self.config,
            self.training,
            self.history,
            self.trained_on,
            self.calibration,
            self.neighbours,
            self.region,
            self.places,
        )

    @property
    def sha256(self) -> str:
        """Hash of weights, cells, fusion, calibration and region; scores record it to detect scores of another head."""
        return self.parts.sha256

    @cached_property
    def _decoders(self) -> DecoderCache:
        provided: set[Need] = {"features", "offsets"} if self.has_offsets else {"features"}
        shares = None if self.calibration is None else self.calibration.shares
        data = PartitionData(self.partition.centroids, shares=shares, neighbours=self.neighbours, places=self.places)
        return DecoderCache(data, frozenset(provided))

    def prepare(self, decode: AnyDecoder) -> PreparedDecoder:
        """Return a decoder, prepared for the cells of this head; prepared once.

        Raises:
            ValueError: when it is unknown, or needs what the head does not have.
        """
        return self._decoders(decode)

    def answer_chunks(
        self, locations: Locations, decode: AnyDecoder = "centroid", device: str = "auto", chunk: int = _CHUNK
    ) -> Iterator[tuple[slice, NDArray[np.float32], Floats]]:
        """Yield posterior and points in pieces, for locations whose (P, C) would not fit into memory.

        Args:
            locations: P locations.
            decode: the decoder: a name, an object, or one that is prepared.
            device: where to compute.
            chunk: locations per piece.

        Yields:
            The rows of a piece, its (rows, C) float32 probabilities, and its (rows, 2) decoded points in degrees.

        Raises:
            ValueError: when the features are of another encoder, or the decoder is unknown or not for this head.
        """
        prepared = self.prepare(decode)
        self.encoder.require_same(locations.encoder, "the head", "the locations")
        learned = self.calibration
        scale = (1.0, None) if learned is None else (learned.temperature, learned.bias)
        where = torch.device(choose_device(device))
        module = self.module if where.type == "cpu" else deepcopy(self.module).to(where)
        for start in range(0, len(locations), chunk):
            rows = slice(start, min(start + chunk, len(locations)))
            part = locations.take(np.arange(rows.start, rows.stop))
            inputs = Inputs.from_locations(part, self.config.fusion, where)
            yield rows, *answer(module, inputs, self.partition, prepared, *scale)

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

    def save(self, path: str | Path, scores: Scores | None = None, overwrite: bool = False) -> None:
        """Write the head as one folder, atomically; see `geocell.heads.folder.write_head`."""
        write_head(self.parts, Path(path), scores, overwrite=overwrite)

    def write_scores(self, path: str | Path, scores: Scores) -> None:
        """Write scores into the folder this head was loaded from; see `geocell.heads.folder.write_scores`."""
        write_scores(self.parts, Path(path), scores)


def load_head(path: str | Path | HeadSource, partitioner: str | type[Kind] | None = None) -> Head:
    """Read a head strictly: every tensor, shape and hash must be what `config.json` says. No pickle is read.

    Args:
        path: folder, `user/repo@revision` on the Hub, or what `find_head` returned; a folder is read again if another
            process replaces it meanwhile.
        partitioner: class or `module:attribute` of the partitioner, for a head on cells of a custom kind.

    Raises:
        FileNotFoundError: when there is no such head, or a file is missing.
        PermissionError: when its repository is gated.
        ConnectionError: when the Hub cannot be reached, or fails.
        ValueError: when a file is of another format, damaged, or of another head.
    """
    source = path if isinstance(path, HeadSource) else find_head(path)
    if source.remark and not isinstance(path, HeadSource):
        warnings.warn(source.remark, stacklevel=2)
    parts = read_folder(source.folder, lambda folder: read_head(folder, partitioner))
    module = new_module(parts.encoder.dim, len(parts.partition), parts.config)
    module.load_state_dict(parts.weights, strict=True)
    return Head(
        module,
        parts.partition,
        parts.encoder,
        parts.config,
        parts.training,
        parts.history,
        parts.trained_on,
        parts.calibration,
        parts.neighbours,
        parts.region,
        parts.places,
    )
