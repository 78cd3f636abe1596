"""How often zero-shot finds the country and the city, beside how far its answers are off."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from geocell.evaluation.clusters import clusters_of
from geocell.evaluation.score import score
from geocell.features.locations import Locations, require_locations
from geocell.geo.countries import countries_of
from geocell.geo.country_names import continent_of, country_code, folded
from geocell.geo.geodesy import unit_vectors
from geocell.metrics.clusters import Clusters
from geocell.metrics.intervals import Interval, share_draws, share_interval
from geocell.metrics.scores import Scores
from geocell.zeroshot.candidates import Candidates

if TYPE_CHECKING:
    from geocell.decoders.table import AnyDecoder
    from geocell.zeroshot.classifier import ZeroShot

COUNTRY_COLUMN, CITY_COLUMN = "country", "city"
NO_CITY = -1
"""The true city of a location that no candidate is."""


@dataclass(frozen=True)
class PlaceTruth:
    """The true countries and cities of P locations.

    Attributes:
        codes: (P,) alpha-2 codes, "" where the country is not known.
        cities: (P,) candidate that is the true city, `NO_CITY` where none is.
        source: what says so, in words.
    """

    codes: NDArray[np.str_]
    cities: NDArray[np.int64]
    source: str


@dataclass(frozen=True)
class ZeroShotScores:
    """What zero-shot reaches on some locations; shares are fractions of those whose country is known.

    Attributes:
        scores: distances, as of any head.
        n_known: locations whose true country is known.
        n_candidate_country: how many of these lie in a country of the candidates.
        accuracies: `continent`, `country`, `city` (country and city are right: joint), and `city_given_country` (of
            those whose country is right) -> share; None where there is no location to count.
        intervals: the same -> 95 % interval over places.
        truth: what says which country and city a location is in.
    """

    scores: Scores
    n_known: int
    n_candidate_country: int
    accuracies: Mapping[str, float | None]
    intervals: Mapping[str, Interval]
    truth: str

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form: that of the scores, and these beside them under `zero_shot`."""
        own = {
            "n_known": self.n_known,
            "n_candidate_country": self.n_candidate_country,
            "accuracies": dict(self.accuracies),
            "intervals": {name: list(ends) for name, ends in self.intervals.items()},
            "truth": self.truth,
        }
        return {**self.scores.to_dict(), "zero_shot": own}


def place_truth(candidates: Candidates, locations: Locations) -> PlaceTruth:
    """Return in which country and city locations are.

    The country is that of the column `country`, else the one in whose outline the location lies, offshore the nearest.
    The city is that of the column `city`, sought in that country, else the nearest candidate of that country.
    """
    named = locations.columns.get(COUNTRY_COLUMN)
    if named is None:
        codes = countries_of(locations.latlon) if len(locations) else np.empty(0, dtype=str)
    else:
        known = {str(name): country_code(str(name)) for name in set(named.tolist())}
        codes = np.array([known[str(name)] for name in named.tolist()], dtype=str)
    cities = locations.columns.get(CITY_COLUMN)
    found = _nearest(candidates, locations, codes) if cities is None else _named(candidates, cities, codes)
    country_source = "outlines of countries" if named is None else "the column country"
    city_source = "the nearest candidate there" if cities is None else "the column city"
    return PlaceTruth(codes, found, f"country by {country_source}, city by {city_source}")


def _nearest(candidates: Candidates, locations: Locations, codes: NDArray[np.str_]) -> NDArray[np.int64]:
    from scipy.spatial import cKDTree

    found = np.full(len(locations), NO_CITY, dtype=np.int64)
    vectors, places = unit_vectors(candidates.latlon), unit_vectors(locations.latlon)
    for code in np.unique(codes).tolist():
        members = np.flatnonzero(candidates.codes == code)
        rows = np.flatnonzero(codes == code)
        if len(members):
            found[rows] = members[cKDTree(vectors[members]).query(places[rows])[1]]
    return found


def _named(candidates: Candidates, cities: NDArray[Any], codes: NDArray[np.str_]) -> NDArray[np.int64]:
    rows: dict[tuple[str, str], int] = {}
    for row, (code, item) in enumerate(zip(candidates.codes.tolist(), candidates.items, strict=True)):
        rows.setdefault((code, folded(item.city)), row)
    keys = zip(codes.tolist(), cities.tolist(), strict=True)
    return np.array([rows.get((code, folded(str(city))), NO_CITY) for code, city in keys], dtype=np.int64)


def score_zero_shot(
    model: ZeroShot,
    locations: Locations,
    decode: AnyDecoder = "centroid",
    split: str = "",
    device: str = "auto",
    *,
    cluster: str | Clusters | None = None,
) -> ZeroShotScores:
    """Return the scores of zero-shot: distances by a decoder; country and city by the levels that it descends.

    Args:
        model: the classifier.
        locations: P >= 1 locations with features of its encoder.
        decode: the decoder of the distances.
        split: name of the split that the locations are, for the record.
        device: where it computes.
        cluster: what was drawn together, for the intervals; see `clusters_of`.

    Raises:
        ValueError: for no location, features of another encoder, or a decoder that is unknown.
    """
    require_locations(locations, "what zero-shot is scored on")
    clusters = clusters_of(locations, cluster)
    scores = score(model, locations, decode, split, device, cluster=clusters)
    truth = place_truth(model.candidates, locations)
    found = model.found(locations)
    known = truth.codes != ""
    country = model.candidates.codes[found] == truth.codes
    same_city = _same_city(model.candidates, found, truth.cities)
    continents = {code: continent_of(code) for code in {*truth.codes.tolist(), *model.candidates.codes.tolist()}}
    continent = np.array(
        [
            continents[a] == continents[b]
            for a, b in zip(model.candidates.codes[found].tolist(), truth.codes.tolist(), strict=True)
        ]
    )
    hits = np.stack([continent, country, country & same_city], axis=1)[known]
    return ZeroShotScores(
        scores,
        n_known=int(known.sum()),
        n_candidate_country=int(np.isin(truth.codes[known], model.candidates.codes).sum()),
        truth=truth.source,
        **_shares(hits, clusters.take(known)),
    )


def _same_city(candidates: Candidates, found: NDArray[np.int64], true: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Return (P,) whether a city is the true one; two candidates of one name and region are one city."""
    keys = [
        (code, folded(item.city), folded(item.region))
        for code, item in zip(candidates.codes.tolist(), candidates.items, strict=True)
    ]
    number = {key: row for row, key in enumerate(dict.fromkeys(keys))}
    which = np.array([number[key] for key in keys], dtype=np.int64)
    return np.asarray((true != NO_CITY) & (which[found] == which[true]))


def _shares(hits: NDArray[np.bool_], clusters: Clusters) -> dict[str, Any]:
    """Return shares, and intervals over clusters, of the (P, 3) hits of continent, country, and country with city."""
    names = ("continent", "country", "city", "city_given_country")
    if not len(hits):
        return {"accuracies": dict.fromkeys(names), "intervals": {}}
    means = hits.mean(axis=0)
    draws = share_draws(hits, clusters=clusters.drawn)
    accuracies: dict[str, float | None] = {name: float(mean) for name, mean in zip(names, means, strict=False)}
    intervals = {name: share_interval(draws[:, i], float(means[i])) for i, name in enumerate(names[:3])}
    accuracies["city_given_country"] = float(means[2] / means[1]) if means[1] else None
    if means[1]:
        intervals["city_given_country"] = share_interval(draws[:, 2] / draws[:, 1], float(means[2] / means[1]))
    return {"accuracies": accuracies, "intervals": intervals}
