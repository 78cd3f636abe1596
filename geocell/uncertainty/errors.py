"""How well probabilities are calibrated: expected calibration error, negative log-likelihood and Brier score."""

from __future__ import annotations

from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from geocell.uncertainty.temperature import require_cells

N_BINS = 15

_TINY = float(np.finfo(np.float32).tiny)


@dataclass(frozen=True)
class CalibrationErrors:
    """How far the probabilities of P locations are from what happened.

    Attributes:
        ece: expected calibration error of the most probable cell, a fraction.
        nll: mean negative log-likelihood of the true cell, in nats.
        brier: mean Brier score over all cells, 0 to 2.
        confidence: mean probability of the most probable cell.
        accuracy: share of locations whose most probable cell is the true one.
    """

    ece: float
    nll: float
    brier: float
    confidence: float
    accuracy: float

    def to_dict(self) -> dict[str, float]:
        """Return the JSON form."""
        return asdict(self)


def calibration_errors(posterior: ArrayLike, cells: ArrayLike) -> CalibrationErrors:
    """Return the errors of a posterior.

    Args:
        posterior: (P, C) probabilities, P >= 1.
        cells: (P,) true cells.

    Raises:
        ValueError: when there is no location, or a cell is none of the C.
    """
    p, truth = np.asarray(posterior), np.asarray(cells)
    require_cells(p, truth)
    confidence = p.max(axis=1).astype(np.float64)
    hits = p.argmax(axis=1) == truth
    chosen = p[np.arange(len(p)), truth].astype(np.float64)
    squares = np.einsum("pc,pc->p", p, p, dtype=np.float64)
    return CalibrationErrors(
        ece=expected_calibration_error(confidence, hits),
        nll=float(-np.log(np.maximum(chosen, _TINY)).mean()),
        brier=float((squares - 2 * chosen + 1).mean()),
        confidence=float(confidence.mean()),
        accuracy=float(hits.mean()),
    )


def expected_calibration_error(confidence: ArrayLike, hits: ArrayLike, n_bins: int = N_BINS) -> float:
    """Return the ECE over bins of equal mass: the mean gap between confidence and accuracy in a bin, by its size.

    Bins of equal mass (Nguyen and O'Connor 2015; Nixon et al. 2019) have no empty ones, and a bias that does not depend
    on where confidences lie. Fewer locations than bins make as many bins. Where a bin ends among locations of the same
    confidence, each of these counts as right by the share of them that are, so the order of the rows has no effect.

    Args:
        confidence: (P,) probabilities that the answers are right, P >= 1.
        hits: (P,) whether they are.
        n_bins: number of bins.

    Returns:
        A fraction.
    """
    gaps = [abs(mean - accuracy) * share for mean, accuracy, share in reliability(confidence, hits, n_bins)]
    return float(sum(gaps))


def reliability(confidence: ArrayLike, hits: ArrayLike, n_bins: int = N_BINS) -> NDArray[np.float64]:
    """Return the (B, 3) reliability curve: mean confidence, accuracy, and share of the locations of each bin.

    See `expected_calibration_error` for the arguments.
    """
    c, h = np.asarray(confidence, dtype=np.float64), np.asarray(hits, dtype=np.float64)
    _, group, counts = np.unique(c, return_inverse=True, return_counts=True)
    h = (np.bincount(group, h) / counts)[group]  # a bin may end among equal confidences: any order of theirs is as good
    order = np.argsort(c, kind="stable")
    parts = np.array_split(order, min(n_bins, len(c)))
    return np.array([(c[part].mean(), h[part].mean(), len(part) / len(c)) for part in parts])
