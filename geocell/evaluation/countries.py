"""Countries of answers and of the truth: accuracy, scores in each, and means in which every country weighs the same."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from geocell.compute.engines import over_rows
from geocell.geo.countries import countries_of
from geocell.geo.geodesy import Floats
from geocell.metrics.groups import named_groups
from geocell.metrics.macro import MacroShares
from geocell.metrics.outcomes import Outcomes, balscore, by_country
from geocell.metrics.scores import Scores

ACCURACY = "country_accuracy"

_OF_BALSCORE = ("within_25", "within_200", "within_750")


def same_country(points: Floats, truth: Floats) -> NDArray[np.bool_]:
    """Return whether answers lie in the country of the truth, by outlines; offshore the nearest country counts.

    Args:
        points: (P, 2) degrees.
        truth: (P, 2) degrees.
    """
    return np.asarray(over_rows(countries_of, points) == over_rows(countries_of, truth))


def with_countries(scores: Scores, outcome: Outcomes, truth: Floats, names: ArrayLike | None = None) -> Scores:
    """Return scores with accuracy, scores and means over countries, and the intervals of what is new.

    Args:
        scores: of the outcome.
        outcome: of P locations, with `country_accuracy` among its further shares.
        truth: (P, 2) degrees.
        names: (P,) country of each location; by outlines when omitted. Locations without one are in no country.
    """
    right = outcome.further[ACCURACY]
    countries = countries_of(truth) if names is None else np.asarray(names, dtype=object)
    macro, intervals = macro_scores(outcome, countries)
    return replace(
        scores,
        country_accuracy=float(right.mean()),
        countries=by_country(outcome.distances_km, countries, right),
        macro=macro,
        intervals={**scores.intervals, **intervals},
    )


def macro_scores(
    outcome: Outcomes, countries: ArrayLike
) -> tuple[dict[str, float] | None, dict[str, tuple[float, float]]]:
    """Return means over countries of the shares in each, the balscore of these means, and their intervals.

    Args:
        outcome: of P locations.
        countries: (P,) names; locations without one are left out.

    Returns:
        `n_countries` and score -> mean, None where no country is known; `macro_…` -> 95 % interval.
    """
    groups = np.full(len(outcome.distances_km), -1)
    for number, (_, members) in enumerate(named_groups(countries)):
        groups[members] = number
    known = groups >= 0
    if not known.any():
        return None, {}
    hits = {name: hit for name, hit in {**outcome.hits(), **outcome.further}.items() if name.startswith("within_")}
    hits |= {ACCURACY: outcome.further[ACCURACY]} if ACCURACY in outcome.further else {}
    clusters = None if outcome.clusters is None else outcome.clusters.take(known).drawn
    shares = MacroShares(np.stack([hit[known] for hit in hits.values()], axis=1), groups[known], clusters)
    means = dict(zip(hits, shares.means.tolist(), strict=True))
    product = balscore(*(means[name] for name in _OF_BALSCORE))
    intervals = dict(zip(hits, shares.intervals(), strict=True))
    # The logarithm of the product is a sum; a share of 0 has none, so all are drawn a little towards a half.
    n = shares.independent(clusters)
    columns = [list(hits).index(name) for name in _OF_BALSCORE]
    drawn = [(means[name] * n + 0.5) / (n + 1) for name in _OF_BALSCORE]
    slopes = sum(shares.deviations[:, column] / mean for column, mean in zip(columns, drawn, strict=True))
    intervals["balscore"] = shares.interval(product, balscore(*drawn) / 3 * np.asarray(slopes))
    values = {"n_countries": int(groups.max()) + 1, "balscore": product, **means}
    return values, {f"macro_{name}": interval for name, interval in intervals.items()}
