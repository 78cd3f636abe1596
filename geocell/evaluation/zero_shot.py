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
from geocell.metrics.clusters import LOCATION, Clusters
from geocell.metrics.intervals import Interval, share_draws, share_interval
from geocell.metrics.scores import Scores
from geocell.zeroshot.candidates import Candidates, Cities

if TYPE_CHECKING:
    from geocell.decoders.table import AnyDecoder
    from geocell.heads.zero_shot import ZeroShot

COUNTRY_COLUMN, REGION_COLUMN, CITY_COLUMN = "country", "region", "city"
OUTLINES, NEAREST_CITY = "outlines of countries", "the nearest candidate there"
COUNTRY_COLUMN_SAYS, CITY_COLUMN_SAYS = "the column country", "the column city"
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


@dataclass(frozen=True, kw_only=True)
class PlaceAccuracy:
    """How often the country and the city are right; shares are fractions of those whose country is known.

    Attributes:
        n_known: locations whose true country is known.
        n_candidate_country: how many of these lie in a country of the candidates.
        accuracies: `continent`, `country`, `city` (country and city are right: joint), and `city_given_country` (of
            those whose country is right) -> share; None where there is no location to count.
        intervals: the same -> 95 % interval over clusters.
        truth: what says which country and city a location is in.
    """

    n_known: int
    n_candidate_country: int
    accuracies: Mapping[str, float | None]
    intervals: Mapping[str, Interval]
    truth: str

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form."""
        return {
            "n_known": self.n_known,
            "n_candidate_country": self.n_candidate_country,
            "accuracies": dict(self.accuracies),
            "intervals": {name: list(ends) for name, ends in self.intervals.items()},
            "truth": self.truth,
        }


@dataclass(frozen=True, kw_only=True)
class ZeroShotScores(PlaceAccuracy):
    """What zero-shot reaches on some locations.

    Attributes:
        scores: distances, as of any head.
    """

    scores: Scores

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form: that of the scores, and the accuracies beside them under `zero_shot`."""
        return {**self.scores.to_dict(), "zero_shot": super().to_dict()}


def place_truth(candidates: Candidates, locations: Locations) -> PlaceTruth:
    """Return in which country and city locations are.

    The country is that of the column `country`, else the one in whose outline the location lies, offshore the nearest.
    The city is that of the column `city`, sought in that country and of several there in the region of the column
    `region`, else the nearest candidate of that country.
    """
    columns = locations.columns
    named, cities = columns.get(COUNTRY_COLUMN), columns.get(CITY_COLUMN)
    if named is not None and cities is not None:
        return named_truth(candidates, named, cities, columns.get(REGION_COLUMN))
    if named is None:
        codes = countries_of(locations.latlon) if len(locations) else np.empty(0, dtype=str)
    else:
        codes = country_codes(named)
    if cities is None:
        found, by = _nearest(candidates, locations, codes), NEAREST_CITY
    else:
        found, by = _named(candidates, codes, cities, columns.get(REGION_COLUMN)), CITY_COLUMN_SAYS
    return PlaceTruth(codes, found, f"country by {OUTLINES if named is None else COUNTRY_COLUMN_SAYS}, city by {by}")


def named_truth(
    candidates: Cities, countries: NDArray[Any], cities: NDArray[Any], regions: NDArray[Any] | None = None
) -> PlaceTruth:
    """Return in which country and city P images are, of (P,) names; "" where one is not known.

    A city is sought in its country, and of several there by its name the one in its region.
    """
    codes = country_codes(countries)
    source = f"country by {COUNTRY_COLUMN_SAYS}, city by {CITY_COLUMN_SAYS}"
    return PlaceTruth(codes, _named(candidates, codes, cities, regions), source)


def country_codes(names: NDArray[Any]) -> NDArray[np.str_]:
    """Return the (P,) alpha-2 codes of countries, "" where a name is not known."""
    known = {str(name): country_code(str(name)) for name in set(names.tolist())}
    return np.array([known[str(name)] for name in names.tolist()], dtype=str)


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


def _named(
    candidates: Cities, codes: NDArray[np.str_], cities: NDArray[Any], regions: NDArray[Any] | None
) -> NDArray[np.int64]:
    rows: dict[tuple[str, ...], int] = {}
    for row, (code, item) in enumerate(zip(candidates.codes.tolist(), candidates.items, strict=True)):
        rows.setdefault((code, folded(item.city)), row)
        rows.setdefault((code, folded(item.city), folded(item.region)), row)
    names = [folded(str(city)) for city in cities.tolist()]
    within = [""] * len(names) if regions is None else [folded(str(region)) for region in regions.tolist()]
    return np.array(
        [
            rows.get((code, city, region), rows.get((code, city), NO_CITY))
            for code, city, region in zip(codes.tolist(), names, within, strict=True)
        ],
        dtype=np.int64,
    )


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
    accuracy = place_accuracy(model.candidates, model.found(locations), truth, clusters)
    return ZeroShotScores(scores=scores, **vars(accuracy))


def place_accuracy(
    candidates: Cities, found: NDArray[np.int64], truth: PlaceTruth, clusters: Clusters | None = None
) -> PlaceAccuracy:
    """Return how often the country and the city are right.

    Args:
        candidates: C cities.
        found: (P,) the candidates that were answered.
        truth: of the P.
        clusters: which of the P were drawn together, for the intervals; each on its own when None.
    """
    drawn = Clusters(LOCATION, np.arange(len(found), dtype=np.int64)) if clusters is None else clusters
    known = truth.codes != ""
    hits = place_hits(candidates, found, truth)[known]
    return PlaceAccuracy(
        n_known=int(known.sum()),
        n_candidate_country=int(np.isin(truth.codes[known], candidates.codes).sum()),
        truth=truth.source,
        **_shares(hits, drawn.take(known)),
    )


def place_hits(candidates: Cities, found: NDArray[np.int64], truth: PlaceTruth) -> NDArray[np.bool_]:
    """Return (P, 3) whether continent, country, and country with city are right; see `place_accuracy`."""
    codes = candidates.codes[found]
    continents = {code: continent_of(code) for code in {*truth.codes.tolist(), *candidates.codes.tolist()}}
    continent = [continents[a] == continents[b] for a, b in zip(codes.tolist(), truth.codes.tolist(), strict=True)]
    country = codes == truth.codes
    city = country & _same_city(candidates, found, truth.cities)
    return np.stack([np.array(continent, dtype=bool), country, city], axis=1)


def _same_city(candidates: Cities, found: NDArray[np.int64], true: NDArray[np.int64]) -> NDArray[np.bool_]:
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
    if means[1]:  # of its own locations: a ratio of draws may pass 1
        right = hits[:, 1]
        given = share_draws(hits[right, 2:], clusters=clusters.take(right).drawn)[:, 0]
        intervals["city_given_country"] = share_interval(given, float(means[2] / means[1]))
    return {"accuracies": accuracies, "intervals": intervals}
