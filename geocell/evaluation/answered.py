"""What a head answers for locations, piece by piece, and what it is scored by; no posterior is kept."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from geocell.compute.engines import work_here
from geocell.decoders.base import PreparedDecoder
from geocell.evaluation.countries import same_country
from geocell.evaluation.trust import TrustRecord, TrustRecorder
from geocell.features.locations import Locations
from geocell.features.pieces import over_locations
from geocell.geo.geodesy import Floats
from geocell.heads.region import FlaggedCount
from geocell.metrics.outcomes import Bools, top_hits

if TYPE_CHECKING:
    from geocell.heads.protocol import HeadLike

Watch = Callable[[slice, NDArray[np.float32], Floats], None]


@dataclass(frozen=True, eq=False)
class Answered:
    """The answers of a head for P locations.

    Attributes:
        points: (P, 2) degrees.
        right_country: (P,) whether they lie in the country of the truth.
        cells: (P,) true cells, OUTSIDE for none; None where the partition does not say.
        best: (P,) the most probable cells; None where `cells` is.
        hits: (P,) whether the true cell is the most probable one, and whether it is among five; None where `cells` is.
        trust: what the trust of the answers is measured by; None where it was not asked for.
        n_flagged: locations that are flagged as outside the region of the head; None where that was not asked for, or
            the head did not learn its region.
    """

    points: Floats
    right_country: Bools
    cells: NDArray[np.int64] | None
    best: NDArray[np.int64] | None
    hits: tuple[Bools, Bools] | None
    trust: TrustRecord | None
    n_flagged: int | None


def answered(
    head: HeadLike,
    locations: Locations,
    prepared: PreparedDecoder,
    device: str = "auto",
    *,
    trust: bool = False,
    watch: Watch | None = None,
) -> Answered:
    """Return what a head answers for P >= 1 locations, computed wherever work is done.

    Args:
        head: the head.
        locations: with features of its encoder.
        prepared: its decoder.
        device: where the head computes; see `outcomes`.
        trust: whether trust and region are asked for.
        watch: is given the rows, the posterior and the points of every piece; everything is computed in this process.
    """
    start = partial(_Answerer, head, prepared, device, trust, watch)
    with nullcontext() if watch is None else work_here():
        return _joined([piece for _, piece in over_locations(start, locations)])


class _Answerer:
    """Answers pieces of locations, one after the other."""

    def __init__(
        self, head: HeadLike, prepared: PreparedDecoder, device: str, trust: bool, watch: Watch | None = None
    ) -> None:
        self._head, self._prepared, self._device, self._trust, self._watch = head, prepared, device, trust, watch
        self._first = 0  # row of the piece, for `watch`

    def __call__(self, piece: Locations) -> Answered:
        head, partition, n = self._head, self._head.partition, len(piece)
        cells = partition.assign(piece.latlon) if partition.can_assign else None
        points, best = np.empty((n, 2)), np.zeros(n, dtype=np.int64)
        hits = (np.zeros(n, dtype=np.bool_), np.zeros(n, dtype=np.bool_))
        recorder = TrustRecorder(head, piece, self._prepared) if self._trust else None
        flagged = FlaggedCount(head, piece) if self._trust else None
        for rows, posterior, answers in head.answer_chunks(piece, self._prepared, self._device):
            points[rows] = answers
            if cells is not None:
                hits[0][rows], hits[1][rows] = top_hits(posterior, cells[rows])
                best[rows] = posterior.argmax(axis=1)
            if recorder is not None and flagged is not None:
                recorder(rows, posterior, answers)
                flagged(rows, posterior)
            if self._watch is not None:
                self._watch(slice(self._first + rows.start, self._first + rows.stop), posterior, answers)
        self._first += n
        return Answered(
            points,
            same_country(points, piece.latlon),
            cells,
            None if cells is None else best,
            None if cells is None else hits,
            None if recorder is None else recorder.record(),
            None if flagged is None else flagged.count,
        )


def _joined(pieces: Sequence[Answered]) -> Answered:
    """Return the answers of all pieces, one after the other."""
    if len(pieces) == 1:
        return pieces[0]
    first = pieces[0]
    records = [piece.trust for piece in pieces if piece.trust is not None]
    counts = [piece.n_flagged for piece in pieces if piece.n_flagged is not None]
    hits = [piece.hits for piece in pieces if piece.hits is not None]
    return Answered(
        np.concatenate([piece.points for piece in pieces]),
        np.concatenate([piece.right_country for piece in pieces]),
        None if first.cells is None else np.concatenate([piece.cells for piece in pieces if piece.cells is not None]),
        None if first.best is None else np.concatenate([piece.best for piece in pieces if piece.best is not None]),
        (np.concatenate([top for top, _ in hits]), np.concatenate([five for _, five in hits])) if hits else None,
        TrustRecord.joined(records) if records else None,
        sum(counts) if counts else None,
    )
