"""Baselines by name where a head is expected: zero-shot, the nearest training location, the majority cell."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from geocell.decoders.base import LocationData, PreparedDecoder
from geocell.decoders.table import AnyDecoder, as_decoder
from geocell.encoders.joined import AND
from geocell.features.locations import Locations, require_locations
from geocell.features.nearest import nearest_training
from geocell.geo.geodesy import Floats
from geocell.heads.trained_on import TrainedOn, location_keys
from geocell.partitioners.base import Partition
from geocell.partitioners.partition_file import CENTROIDS_KIND

if TYPE_CHECKING:
    from geocell.encoders.info import EncoderInfo
    from geocell.heads.protocol import HeadLike
    from geocell.heads.zero_shot import ZeroShot

ZERO_SHOT, NEAREST, MAJORITY = "zero-shot", "1-nn", "majority"
"""The names, as they are typed where a head is expected."""
ZERO_SHOT_LABEL, NEAREST_LABEL, MAJORITY_LABEL = "zero-shot", "1-NN", "majority cell"
"""The labels of the same in tables, in `geocell.baselines` and in scores.json; they can be typed too."""
BASELINES_USAGE = "zero-shot, zero-shot:CANDIDATES.csv, 1-nn or majority"
"""The names, as help and errors spell them."""

_MOST = 1 << 22  # probabilities of a piece: 16 MiB of float32

Ints = NDArray[np.int64]


@dataclass(frozen=True, eq=False, repr=False)
class PointBaseline:
    """What answers a location with the centroid of one cell, whatever decoder it is asked with.

    Attributes:
        name: how it is called.
        partition: C cells, one of which is answered.
        encoder: which encoder's features it reads.
        choose: P locations -> (P,) cell that is answered.
        prior: (C,) probabilities of every location; None where the cell that is answered has all of it.
        trained_on: hashes of the locations that it answers with; None where they are not known.
    """

    name: str
    partition: Partition
    encoder: EncoderInfo
    choose: Callable[[Locations], Ints]
    prior: NDArray[np.float32] | None = None
    trained_on: TrainedOn | None = None

    def __repr__(self) -> str:
        """Return its name and the number of cells."""
        return f"<PointBaseline {self.name} on {len(self.partition):,} cells>"

    @property
    def sha256(self) -> str:
        """Hash of its name and cells."""
        return hashlib.sha256(f"{self.name} {self.partition.sha256}".encode()).hexdigest()

    @property
    def calibration(self) -> None:
        """None: nothing was learned on validation locations."""
        return

    @property
    def region(self) -> None:
        """None: see `HeadLike.region`."""
        return

    def prepare(self, decode: AnyDecoder) -> PreparedDecoder:
        """Return a decoder that is called what is asked for, and answers with the chosen cell."""
        if isinstance(decode, PreparedDecoder):
            decode.require_cells(self.partition.centroids)
            return decode

        def answer(posterior: NDArray[np.float32], locations: LocationData) -> Floats:
            del locations
            return np.asarray(self.partition.centroids[posterior.argmax(axis=1)])

        return PreparedDecoder(as_decoder(decode), self.partition.centroids, answer)

    def answer_chunks(
        self, locations: Locations, decode: AnyDecoder = "centroid", device: str = "auto"
    ) -> Iterator[tuple[slice, NDArray[np.float32], Floats]]:
        """Yield the rows of a piece, its (rows, C) posterior and its (rows, 2) points; see `HeadLike.answer_chunks`."""
        del decode, device
        require_locations(locations, "what a baseline is asked")
        self.encoder.require_same(locations.encoder, f"the baseline {self.name}", "the locations")
        cells = self.choose(locations)
        chunk = max(1, _MOST // len(self.partition))
        for start in range(0, len(locations), chunk):
            rows = slice(start, min(start + chunk, len(locations)))
            yield rows, self._posterior(cells[rows]), np.asarray(self.partition.centroids[cells[rows]])

    def posterior(self, locations: Locations, device: str = "auto") -> NDArray[np.float32]:
        """Return the (P, C) posterior."""
        result = np.empty((len(locations), len(self.partition)), dtype=np.float32)
        for rows, posterior, _ in self.answer_chunks(locations, device=device):
            result[rows] = posterior
        return result

    def _posterior(self, cells: Ints) -> NDArray[np.float32]:
        if self.prior is not None:
            return np.tile(self.prior, (len(cells), 1))
        posterior = np.zeros((len(cells), len(self.partition)), dtype=np.float32)
        posterior[np.arange(len(cells)), cells] = 1
        return posterior


def nearest_baseline(train: Locations) -> PointBaseline:
    """Return what answers the training location with the most similar features; see `nearest_training`.

    Args:
        train: N >= 1 training locations; each is a cell.

    Raises:
        ValueError: for none.
    """
    require_locations(train, "the training locations of a nearest neighbour")
    n = len(train)
    if n == 0:
        raise ValueError(f"the baseline {NEAREST} needs at least one training location, got none.")
    names = tuple(f"t{row}" for row in range(n))
    nowhere = np.full(n, np.nan)
    partition = Partition(CENTROIDS_KIND, names, names, train.latlon, np.ones(n, dtype=np.int64), nowhere)
    known = TrainedOn(location_keys(train))
    return PointBaseline(
        NEAREST, partition, train.encoder, lambda asked: nearest_training(train, asked), trained_on=known
    )


def majority_baseline(head: HeadLike) -> PointBaseline:
    """Return what answers every location with the centroid of the cell of a head with most training locations.

    Raises:
        ValueError: when the cells of the head do not know how many there are in them.
    """
    partition = head.partition
    counts = partition.counts
    if not partition.can_assign or not counts.any():
        raise ValueError(
            f"the baseline {MAJORITY} is the fullest cell of a head, and this one does not know how many training "
            f"locations its cells have: compare it with {NEAREST}."
        )
    fullest, prior = int(counts.argmax()), (counts / counts.sum()).astype(np.float32)
    return PointBaseline(
        MAJORITY,
        partition,
        head.encoder,
        lambda asked: np.full(len(asked), fullest, dtype=np.int64),
        prior,
        head.trained_on,
    )


def zero_shot_baseline(
    encoder: EncoderInfo,
    candidates: str | Path | None = None,
    *,
    device: str = "auto",
    source: str | None = None,
    texts: Path | None = None,
) -> ZeroShot:
    """Return zero-shot as published, with the model whose vision tower made some features.

    Args:
        encoder: the encoder that a cache records.
        candidates: file of cities; the 30 largest of every country in the gazetteer when None.
        device: where texts are embedded.
        source: where to load the model from instead of the recorded source.
        texts: folder of embeddings of texts that were computed before.

    Raises:
        ValueError: when the encoder has no text tower, or joins several encoders, or the file is none of candidates.
        FileNotFoundError, OSError, ImportError: see `image_text_for`.
    """
    from geocell.heads.zero_shot import ZeroShot
    from geocell.imagetext import image_text_for
    from geocell.zeroshot.candidate_files import read_candidates
    from geocell.zeroshot.candidates import gazetteer_candidates

    if AND in encoder.name:
        raise ValueError(
            f"zero-shot reads the features of one encoder, and the cache joins those of {encoder.name}: name a cache "
            "of one of them."
        )
    cities = gazetteer_candidates() if candidates is None else read_candidates(candidates)
    return ZeroShot.from_model(image_text_for(encoder, device, source), cities, cache=texts)


def baseline_name(text: str) -> str:
    """Return the name that a text, in upper or lower case, is or is the label of; another text in lower case."""
    return {MAJORITY_LABEL: MAJORITY}.get(text.lower(), text.lower())


def is_named_baseline(name: str) -> bool:
    """Return whether a text names a baseline where a head is expected; a folder of that name is what is meant then."""
    known = baseline_name(name) in {ZERO_SHOT, NEAREST, MAJORITY} or name.lower().startswith(f"{ZERO_SHOT}:")
    return known and not Path(name).is_dir()


def named_baseline(
    name: str,
    encoder: EncoderInfo,
    *,
    head: HeadLike | None = None,
    train: Callable[[], Locations | None] | None = None,
    device: str = "auto",
    texts: Path | None = None,
) -> HeadLike:
    """Return the baseline that a name stands for, which answers like a head.

    `zero-shot` is the published protocol with the cities of the gazetteer (extra `gazetteer`), `zero-shot:FILE` with
    those of a file, `1-nn` the training location with the most similar features, and `majority` the cell of a head
    with most training locations. The last two have one answer per location, whatever decoder is asked for.

    Args:
        name: see `is_named_baseline`.
        encoder: the encoder of the features that it will be asked about.
        head: whose fullest cell `majority` is.
        train: is called for the training locations of `1-nn`, which may be on the disk; None where there are none.
        device: where texts are embedded.
        texts: folder of embeddings of texts that were computed before.

    Raises:
        ValueError: for another name, or what the baseline needs and is not there.
        FileNotFoundError, OSError, ImportError: see `zero_shot_baseline`.
    """
    kind, colon, rest = name.partition(":")
    kind = baseline_name(kind)
    if kind == ZERO_SHOT and bool(colon) == bool(rest):
        return zero_shot_baseline(encoder, rest or None, device=device, texts=texts)
    if kind == NEAREST and not colon:
        known = None if train is None else train()
        if known is None:
            raise ValueError(f"the baseline {NEAREST} searches training locations, and there are none: pass splits.")
        return nearest_baseline(known)
    if kind == MAJORITY and not colon:
        if head is None:
            raise ValueError(f"the baseline {MAJORITY} is the fullest cell of a head: compare a head with it.")
        return majority_baseline(head)
    raise ValueError(f"a baseline must be {BASELINES_USAGE}, got {name!r}.")
