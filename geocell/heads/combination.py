"""Heads of several partitions and seeds as one answer: their posteriors pooled on the same candidates."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from geocell.decoders.base import LocationData, PartitionData, PreparedDecoder
from geocell.decoders.table import AnyDecoder, DecoderCache
from geocell.display import Display, TextTable
from geocell.features.joining import part_of
from geocell.features.neighbours import NeighbourIndex
from geocell.files import read_folder, reading
from geocell.geo.geodesy import Floats
from geocell.heads.calibration import Calibration
from geocell.heads.combination_file import MAX_MEMBERS
from geocell.heads.combination_folder import (
    CombinationParts,
    Member,
    read_combination,
    write_combination,
    write_combination_scores,
)
from geocell.heads.head import Head
from geocell.heads.notebook import calibration_text
from geocell.heads.pooling import Pooling, Spread, pooled, vote_weights, voted
from geocell.heads.source import HeadSource, find_head
from geocell.heads.trained_on import TrainedOn
from geocell.partitioners.base import Partition
from geocell.partitioners.notebook import partition_map

if TYPE_CHECKING:
    from geocell.encoders.info import EncoderInfo
    from geocell.features.locations import Locations
    from geocell.metrics.scores import Scores
    from geocell.partitioners.kinds import Kind

_CHUNK = 4096
_MOST = 1 << 24  # probabilities of a chunk: 64 MiB of float32


@dataclass(frozen=True, eq=False, repr=False)
class Combination:
    """Heads whose posteriors are pooled on K candidates, which are its cells; it answers like a head.

    `geocell.combine` makes one. The probability of a member's cell is spread evenly over the training places in it, and
    the masses of all members on the same place, or piece, are pooled.

    Attributes:
        members: M heads, from two on, of which some may be zero-shot classifiers, whose cells are the places nearest
            to each city; their own indices of features are left out.
        partition: the K candidates; without a rule, unless all members have one partition.
        cells: (M, K) int64 cell of each member that each candidate lies in.
        places: (K,) int64 training places that each candidate stands for.
        pooling: rule and weights.
        neighbours: index of training features whose cells are the candidates, for the vote of the nearest ones.
        trained_on: hashes of the training locations of all parts, None where they are not known.
        calibration: what was learned of the pool on validation locations. Its temperature is part of every posterior,
            beside those of the members.
        record: how the pooling was chosen; JSON.
    """

    members: tuple[Member, ...]
    partition: Partition
    cells: NDArray[np.int64]
    places: NDArray[np.int64]
    pooling: Pooling
    neighbours: NeighbourIndex | None = None
    trained_on: TrainedOn | None = None
    calibration: Calibration | None = None
    record: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Check that the parts belong together."""
        members = tuple(
            replace(m, neighbours=None) if isinstance(m, Head) and m.neighbours is not None else m for m in self.members
        )
        object.__setattr__(self, "members", members)
        require_members(members)
        shapes = (self.cells.shape, self.places.shape, len(self.pooling.weights))
        wanted = ((len(members), len(self.partition)), (len(self.partition),), len(members))
        if shapes != wanted:
            raise ValueError(
                f"a combination needs cells (M, K), places (K,) and M weights of its members and candidates, {wanted}, "
                f"got {shapes}."
            )
        sizes = np.array([len(head.partition) for head in members])[:, None]
        if (self.cells < 0).any() or (self.cells >= sizes).any() or (self.places < 1).any():
            raise ValueError("a combination needs cells of its members and at least one place for every candidate.")
        if self.pooling.vote is not None and self.neighbours is None:
            raise ValueError(
                "the nearest training features vote in this combination, and their index is not there: build it with "
                "`geocell combine --knn`, or copy the whole folder again from its origin."
            )
        if self.neighbours is not None:
            self.neighbours.require_for(self)
        if self.calibration is not None:
            self.calibration.require_for(len(self.partition))
        _ = self.encoder  # of several, each is pinned

    def __repr__(self) -> str:
        """Return the number of members, and the candidates."""
        return f"<Combination of {len(self.members)} heads {self.encoder.name} on {len(self.partition):,} candidates>"

    def _repr_html_(self) -> str:
        rows = [
            (member.encoder.name, f"{member.partition.kind}, {len(member.partition):,} cells", f"{weight:.3g}")
            for member, weight in zip(self.members, self.pooling.weights, strict=True)
        ]
        vote = self.pooling.vote
        facts = [
            ("candidates", f"{len(self.partition):,} of {int(self.places.sum()):,} training places"),
            ("pooling", self.pooling.rule),
            ("vote", "none" if vote is None else f"{vote.k:,} nearest training features, share {1 - vote.share:.2g}"),
            ("calibration", calibration_text(self.calibration)),
            ("sha256", self.sha256[:12]),
        ]
        table = TextTable(("member", "cells", "weight"), rows, n_left=2)
        title = f"Combination of {len(self.members)} heads"
        return Display(title, facts, [table], partition_map(self.partition)).html()

    @property
    def encoder(self) -> EncoderInfo:
        """Which encoder's features it reads; of members of several, all of these side by side."""
        return self.parts.encoder

    @property
    def has_offsets(self) -> bool:
        """False: a candidate is no cell of a member, within which it could move a point."""
        return False

    @property
    def region(self) -> None:
        """None: nothing was learned of which locations are outside the region of all members."""
        return

    @cached_property
    def parts(self) -> CombinationParts:
        """What its folder holds."""
        return CombinationParts(
            self.members,
            self.partition,
            self.cells,
            self.places,
            self.pooling,
            self.neighbours,
            self.trained_on,
            self.calibration,
            self.record,
        )

    @property
    def sha256(self) -> str:
        """Hash of members, candidates, pooling, index and calibration."""
        return self.parts.sha256

    @cached_property
    def _decoders(self) -> DecoderCache:
        shares = None if self.calibration is None else self.calibration.shares
        data = PartitionData(self.partition.centroids, shares=shares, neighbours=self.neighbours)
        return DecoderCache(data, frozenset({"features"}))

    @cached_property
    def _spreads(self) -> tuple[Spread, ...]:
        return tuple(
            Spread.of(cells, self.places, len(head.partition), self.partition.nearest(head.partition.centroids))
            for cells, head in zip(self.cells, self.members, strict=True)
        )

    def prepare(self, decode: AnyDecoder) -> PreparedDecoder:
        """Return a decoder, prepared for the candidates; `offset` is none for a combination. See `Head.prepare`."""
        return self._decoders(decode)

    def answer_chunks(
        self, locations: Locations, decode: AnyDecoder = "centroid", device: str = "auto", chunk: int | None = None
    ) -> Iterator[tuple[slice, NDArray[np.float32], Floats]]:
        """Yield the pooled posterior and the decoded points in pieces; see `Head.answer_chunks`."""
        prepared = self.prepare(decode)
        self.encoder.require_same(locations.encoder, "the combination", "the locations")
        size = chunk or max(1, min(_CHUNK, _MOST // len(self.partition)))
        streams = [
            head.posterior_chunks(part, device, size)
            for head, part in zip(self.members, self._for_members(locations), strict=True)
        ]
        for pieces in zip(*streams, strict=True):
            rows = pieces[0][0]
            part = locations.take(np.arange(rows.start, rows.stop))
            posterior = self._pooled([posterior for _, posterior in pieces], part)
            yield rows, posterior, prepared(posterior, LocationData(features=partial(self.vote_features, part)))

    def _for_members(self, locations: Locations) -> list[Locations]:
        """Return the locations with the features that each member reads."""
        encoders = self.parts.encoders
        if len(encoders) == 1:
            return [locations] * len(self.members)
        of_each = [part_of(locations, encoders, number) for number in range(len(encoders))]
        return [of_each[number] for number in self.parts.encoder_of_member]

    def vote_features(self, locations: Locations) -> NDArray[np.float32]:
        """Return the (P, D) features that neighbours are found by.

        Those of several encoders have norm 1 each, so that their cosines count alike.
        """
        encoders = self.parts.encoders
        if len(encoders) == 1:
            return locations.mean_features()
        parts = [part_of(locations, encoders, number).mean_features() for number in range(len(encoders))]
        norms = [np.linalg.norm(part, axis=1, keepdims=True) for part in parts]
        return np.concatenate(
            [part / np.where(norm > 0, norm, 1) for part, norm in zip(parts, norms, strict=True)], axis=1
        )

    def _pooled(self, posteriors: list[NDArray[np.float32]], part: Locations) -> NDArray[np.float32]:
        """Return the (rows, K) pool of the members' posteriors for some locations, at the learned temperature."""
        masses = (
            (spread(posterior), weight)
            for spread, posterior, weight in zip(self._spreads, posteriors, self.pooling.weights, strict=True)
        )
        posterior, vote = pooled(masses, self.places, self.pooling.rule), self.pooling.vote
        if vote is not None and self.neighbours is not None:
            nearest = self.neighbours.nearest(self.vote_features(part), vote.k)
            weights = vote_weights(self.neighbours, nearest, vote.temperature, self.places)
            posterior = voted(posterior, weights, vote.share)
        return posterior if self.calibration is None else self.calibration.applied(posterior)

    def member_masses(self, locations: Locations, device: str = "auto") -> list[NDArray[np.float32]]:
        """Return the (P, K) mass of each member on the candidates, before any weight."""
        self.encoder.require_same(locations.encoder, "the combination", "the locations")
        asked = zip(self._spreads, self.members, self._for_members(locations), strict=True)
        return [spread(head.posterior(part, device)) for spread, head, part in asked]

    def posterior(self, locations: Locations, device: str = "auto") -> NDArray[np.float32]:
        """Return the (P, K) float32 probabilities of the candidates."""
        result = np.empty((len(locations), len(self.partition)), dtype=np.float32)
        for rows, posterior, _ in self.answer_chunks(locations, device=device):
            result[rows] = posterior
        return result

    def save(self, path: str | Path, scores: Scores | None = None, overwrite: bool = False) -> None:
        """Write the combination as one folder, atomically; see `write_combination`."""
        write_combination(self.parts, Path(path), scores, overwrite=overwrite)

    def write_scores(self, path: str | Path, scores: Scores) -> None:
        """Write scores into the folder it was loaded from; see `write_combination_scores`."""
        write_combination_scores(self.parts, Path(path), scores)


def require_members(heads: tuple[Member, ...]) -> None:
    """Raise ValueError unless heads are from two on, and not too many."""
    if not 2 <= len(heads) <= MAX_MEMBERS:
        raise ValueError(f"a combination has from two to {MAX_MEMBERS} heads, got {len(heads)}.")


def load_combination(path: str | Path | HeadSource, partitioner: str | type[Kind] | None = None) -> Combination:
    """Read a combination strictly: every member and every file must be the one that was written. No pickle is read.

    Args:
        path: folder, `user/repo@revision` on the Hub, or what `find_head` returned.
        partitioner: class or `module:attribute` of the partitioner, for members on cells of a custom kind.

    Raises:
        FileNotFoundError: when there is no such combination, or a file is missing.
        PermissionError: when its repository is gated.
        ConnectionError: when the Hub cannot be reached, or fails.
        ValueError: when a file is of another format, damaged, or of another combination.
    """
    source = path if isinstance(path, HeadSource) else find_head(path)
    if source.remark and not isinstance(path, HeadSource):
        warnings.warn(source.remark, stacklevel=2)
    parts = read_folder(source.folder, lambda folder: read_combination(folder, partitioner))
    with reading(source.folder, "a combination"):
        return Combination(
            parts.members,
            parts.partition,
            parts.cells,
            parts.places,
            parts.pooling,
            parts.neighbours,
            parts.trained_on,
            parts.calibration,
            parts.record,
        )
