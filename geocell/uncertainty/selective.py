"""Answers that are kept and answers that are withheld: risk against coverage, and thresholds for a wanted error."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from geocell.geo.geodesy import Floats
from geocell.metrics.intervals import Interval, mean_interval, share_draws, share_interval

RISK_KM = 200.0
"""An answer farther from the truth than this is wrong."""

DELTA = 0.1
"""How often, over validation locations, a threshold may let through more errors than were wanted."""

FIRST_SHARE = 1 / 8
"""The share of the most confident answers that is tested first."""


def risk_coverage(confidence: ArrayLike, wrong: ArrayLike) -> tuple[Floats, Floats]:
    """Return the risk–coverage curve (El-Yaniv and Wiener 2010): the k most confident answers are kept, k from 1 to P.

    Answers of one confidence are kept in any order: their errors count by their mean.

    Args:
        confidence: (P,), larger for answers that are kept first, P >= 1.
        wrong: (P,) whether an answer is wrong.

    Returns:
        (P,) coverages k/P, and (P,) shares of wrong answers among those kept.
    """
    c, w = np.asarray(confidence, dtype=np.float64), np.asarray(wrong, dtype=np.float64)
    _, group = np.unique(-c, return_inverse=True)
    means = np.bincount(group, w) / np.bincount(group)
    errors = np.cumsum(means[np.sort(group)])
    kept = np.arange(1, len(c) + 1)
    return kept / len(c), errors / kept


def aurc(confidence: ArrayLike, wrong: ArrayLike) -> float:
    """Return the area under the risk–coverage curve: the mean over k of the risk of the k most confident answers.

    Geifman, Uziel and El-Yaniv (2019, "Bias-Reduced Uncertainty Estimation for Deep Neural Classifiers").
    """
    return float(risk_coverage(confidence, wrong)[1].mean())


def augrc(confidence: ArrayLike, wrong: ArrayLike) -> float:
    """Return the area under the generalised risk–coverage curve: the mean over k of the errors kept, divided by P.

    Traub et al. (2024, "Overcoming Common Flaws in the Evaluation of Selective Classification Systems"): the risk that
    a wrong answer is given, where AURC weighs errors of high confidence by more than their number.
    """
    coverage, risk = risk_coverage(confidence, wrong)
    return float((coverage * risk).mean())


def aurc_interval(confidence: ArrayLike, wrong: ArrayLike, clusters: NDArray[np.int64] | None = None) -> Interval:
    """Return the 95 % interval of AURC over what was drawn together.

    AURC is linearised: of answers with weights w (1/P each) that stand in the order of their confidence, with risks R
    and coverages C, its derivative by w_k is ``R_k + e_k L_k − M_k``, where ``e_k`` is 1 for a wrong answer and
    ``L_k``, ``M_k`` are the sums of ``w_i / C_i`` and ``w_i R_i / C_i`` over ``i >= k``. The mean of these is AURC
    again. It has Student's t with the variance of clusters (`mean_interval`), on the scale of log-odds, which keeps it
    between 0 and 1. Where no answer or every one is wrong, the interval is that of the share of wrong answers.

    Args:
        confidence: (P,), larger for answers that are kept first.
        wrong: (P,) whether an answer is wrong.
        clusters: (P,) numbers from 0 of what was drawn together, two or more; every location on its own when omitted.
    """
    coverage, risk, group, errors = _sorted_answers(confidence, wrong)
    n = len(errors)
    later, later_risk = (np.cumsum((values / (n * coverage))[::-1])[::-1] for values in (np.ones(n), risk))
    values = _of_group(risk, group) + errors * _of_group(later, group) - _of_group(later_risk, group)
    return _area_interval(values, errors, _in_order(confidence, clusters), 1.0)


def augrc_interval(confidence: ArrayLike, wrong: ArrayLike, clusters: NDArray[np.int64] | None = None) -> Interval:
    """Return the 95 % interval of AUGRC, as `aurc_interval` does: its derivative by w_k is ``S_k + e_k T_k − AUGRC``.

    ``S_k`` is the share of all answers that are wrong and at least as confident as k, ``T_k`` that of all that are at
    most as confident.
    """
    coverage, risk, group, errors = _sorted_answers(confidence, wrong)
    n = len(errors)
    left = 1.0 - coverage + 1.0 / n
    values = _of_group(coverage * risk, group) + errors * _of_group(left, group) - float((coverage * risk).mean())
    return _area_interval(values, errors, _in_order(confidence, clusters), (n + 1) / (2 * n))


def _sorted_answers(confidence: ArrayLike, wrong: ArrayLike) -> tuple[Floats, Floats, NDArray[np.int64], Floats]:
    """Return coverages and risks, and of the answers in the order of confidence the (P,) group of ties and errors."""
    c, w = np.asarray(confidence, dtype=np.float64), np.asarray(wrong, dtype=np.float64)
    order = np.argsort(-c, kind="stable")
    group = np.unique(-c[order], return_inverse=True)[1].astype(np.int64)
    return *risk_coverage(c, w), group, w[order]


def _of_group(values: Floats, group: NDArray[np.int64]) -> Floats:
    """Return the mean over answers of the same confidence, for each: they stand in any order."""
    return np.asarray((np.bincount(group, values) / np.bincount(group))[group])


def _in_order(confidence: ArrayLike, clusters: NDArray[np.int64] | None) -> NDArray[np.int64] | None:
    order = np.argsort(-np.asarray(confidence, dtype=np.float64), kind="stable")
    return None if clusters is None else clusters[order]


def _area_interval(values: Floats, errors: Floats, clusters: NDArray[np.int64] | None, most: float) -> Interval:
    """Return the interval of the mean of (P,) values, which is from 0 to the area `most` of answers all wrong."""
    from scipy.special import expit, logit

    share, part = float(errors.mean()), float(values.mean()) / most
    if share in (0.0, 1.0):
        low, high = share_interval(share_draws(errors[:, None] > 0, clusters=clusters)[:, 0], share)
    else:
        ends = np.array(mean_interval(values / most, clusters=clusters, paired=True))
        low, high = expit(logit(part) + (ends - part) / (part * (1 - part)))
    return float(low) * most, float(high) * most


@dataclass(frozen=True)
class Threshold:
    """The confidence below which answers are withheld so that few of the others are wrong.

    Attributes:
        below: answers with less than this confidence are withheld.
        max_error: the wanted largest share of wrong answers among those kept.
        delta: how often, over draws of validation locations, the true share is larger.
        coverage: share of the validation locations that is kept.
        error: share of these that is wrong.
        bound: upper confidence bound of that share at `1 − delta` (Clopper and Pearson 1934).
        n_kept: number of validation locations kept.
    """

    below: float
    max_error: float
    delta: float
    coverage: float
    error: float
    bound: float
    n_kept: int

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form."""
        return dict(vars(self))


def find_threshold(confidence: ArrayLike, wrong: ArrayLike, max_error: float, delta: float = DELTA) -> Threshold:
    """Return the lowest threshold whose error is at most the wanted one with a confidence of ``1 − delta``.

    Learn then Test with a fixed sequence (Angelopoulos et al. 2021, section 3): "the error is above the wanted one" is
    tested from the most confident eighth of the answers on towards more of them, by the binomial tail of the errors
    among those kept, and the last threshold before the first that is not rejected is taken. The locations are taken for
    independent draws of what will be asked.

    Args:
        confidence: (P,) of validation locations.
        wrong: (P,) whether their answers are wrong.
        max_error: the wanted largest share of wrong answers, between 0 and 1.
        delta: see `DELTA`.

    Raises:
        ValueError: for an error that is none, or where no threshold reaches it.
    """
    from scipy.stats import beta, binom

    require_error(max_error)
    c, w = np.asarray(confidence, dtype=np.float64), np.asarray(wrong, dtype=np.int64)
    order = np.argsort(-c, kind="stable")
    ends = np.flatnonzero(np.append(np.diff(c[order]) != 0, True))  # the last answer of each confidence
    kept, errors = ends + 1, np.cumsum(w[order])[ends]
    first = int(np.searchsorted(kept, FIRST_SHARE * len(c)))
    rejected = binom.cdf(errors[first:], kept[first:], max_error) <= delta
    best = first + int(np.argmin(np.append(rejected, False))) - 1  # the one before the first that is not
    if best < first:
        raise ValueError(
            f"no threshold keeps answers of which at most {100 * max_error:g} % are wrong by more than "
            f"{RISK_KM:g} km, of {len(c)} locations with {int(w.sum())} wrong ones: allow more errors, or calibrate "
            "on more locations."
        )
    n, k = int(kept[best]), int(errors[best])
    return Threshold(
        below=float(c[order][ends[best]]),
        max_error=max_error,
        delta=delta,
        coverage=n / len(c),
        error=k / n,
        bound=float(beta.ppf(1 - delta, k + 1, n - k)) if k < n else 1.0,
        n_kept=n,
    )


def abstains(confidence: ArrayLike, below: float) -> NDArray[np.bool_]:
    """Return which answers are withheld: those with less confidence than the threshold."""
    return np.asarray(np.asarray(confidence, dtype=np.float64) < below)


def require_threshold(below: float | None) -> None:
    """Refuse a threshold that no confidence can be compared with.

    Raises:
        ValueError: when it is not from 0 to 1.
    """
    if below is not None and not 0 <= below <= 1:
        raise ValueError(f"a confidence is from 0 to 1, got a threshold of {below:g}: 0.5 is one answer in two.")


def require_error(max_error: float | None) -> None:
    """Refuse a wanted error that is none.

    Raises:
        ValueError: when it is not between 0 and 1.
    """
    if max_error is not None and not 0 < max_error < 1:
        raise ValueError(f"the wanted error must be between 0 and 1, got {max_error:g}: 0.2 is one answer in five.")
