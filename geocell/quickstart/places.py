"""Locations of the synthetic street scenes: real European towns of the gazetteer, thinned, and points a few km off."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
import shapely
from numpy.typing import NDArray
from shapely.geometry.base import BaseGeometry

from geocell.geo.countries import country_outlines
from geocell.geo.gazetteer import Gazetteer
from geocell.geo.geodesy import chord_from_km, unit_vectors
from geocell.geo.towns import Town

BOX: tuple[float, float, float, float] = (34.4, -11.0, 71.3, 34.0)
"""South, west, north, east of the towns in degrees."""

HEADINGS: tuple[int, ...] = (0, 90, 180, 270)
"""Degrees clockwise from north."""

_COUNTRY_SHARE = 0.09
_SPACING_KM = 45.0
_STREETS_PER_TOWN = 8
OFFSET_KM: tuple[float, float] = (0.8, 9.0)
"""Least and greatest distance of a location from the centre of its town."""

_TRIES = 12
_SEA_KM = (9.0, 25.0)
_KM_PER_DEGREE = 111.195


@dataclass(frozen=True)
class Place:
    """The position of one street, and what the map says about it.

    Attributes:
        name: the town of the gazetteer that it is near.
        country: alpha-2 code.
        latitude, longitude: degrees, 1e-6.
        population: of the town.
        sea: for each of `HEADINGS`, whether there is open water in that direction.
    """

    name: str
    country: str
    latitude: float
    longitude: float
    population: int
    sea: tuple[bool, ...]


@cache
def european_towns() -> tuple[Town, ...]:
    """Return the gazetteer's European towns of at least 15,000 people within `BOX`, by GeoNames id.

    Raises:
        ModuleNotFoundError: when the gazetteer package is not installed.
    """
    south, west, north, east = BOX
    return tuple(
        town
        for town in Gazetteer.load().towns
        if town.continent == "EU" and south <= town.lat <= north and west <= town.lon <= east
    )


def choose_places(n_locations: int, seed: int) -> list[Place]:
    """Return distinct places: several streets in and around each of some towns all over Europe.

    Street imagery is dense in some regions and absent between them, and a few hundred places spread evenly would have
    no neighbours within 25 km to learn from. Towns are drawn in an order weighted by population^0.4 (exponential keys,
    Efraimidis & Spirakis 2006); one is taken if it is far enough from those taken before and its country is below its
    cap. Both rules are relaxed until there are enough.

    Raises:
        ValueError: when there are fewer towns than locations.
        ModuleNotFoundError: see `european_towns`.
    """
    towns = european_towns()
    if not 1 <= n_locations <= len(towns):
        raise ValueError(f"n_locations must be 1 to {len(towns)}, the number of towns, got {n_locations}.")
    rng = np.random.default_rng((seed, 0))
    weights = np.array([max(town.population, 1) for town in towns], dtype=np.float64) ** 0.4
    order = np.argsort(rng.exponential(size=len(towns)) / weights, kind="stable")
    chosen = _thin(towns, order, -(-n_locations // _STREETS_PER_TOWN))
    picked = [towns[index] for index in chosen for _ in range(_STREETS_PER_TOWN)][:n_locations]
    latlon = _off_centre(picked, rng)
    sea = _sea(latlon)
    return [
        Place(town.name, town.country, float(at[0]), float(at[1]), town.population, tuple(water))
        for town, at, water in zip(picked, latlon, sea.tolist(), strict=True)
    ]


def _thin(towns: Sequence[Town], order: NDArray[np.int64], n: int) -> list[int]:
    """Return n indices of towns, taken in `order` under a spacing and a cap per country that are relaxed as needed."""
    vectors = unit_vectors([(town.lat, town.lon) for town in towns])
    taken: list[int] = []
    counts: dict[str, int] = {}
    spacing, cap = _SPACING_KM, max(3, round(_COUNTRY_SHARE * n))
    while len(taken) < n:
        chord = chord_from_km(spacing)
        for index in order.tolist():
            country = towns[index].country
            if len(taken) == n or index in taken or counts.get(country, 0) >= cap:
                continue
            if taken and np.linalg.norm(vectors[taken] - vectors[index], axis=1).min() < chord:
                continue
            taken.append(index)
            counts[country] = counts.get(country, 0) + 1
        spacing, cap = (spacing / 2 if spacing > 1 else 0.0), cap * 2
    return taken


def _off_centre(towns: list[Town], rng: np.random.Generator) -> NDArray[np.float64]:
    """Return (P, 2) distinct points a few km from the towns, on their country's land if one of `_TRIES` draws is."""
    land = _land()
    seen: set[tuple[float, float]] = set()
    points = []
    for town in towns:
        bearings, reach = rng.uniform(0, 360, _TRIES), rng.uniform(*OFFSET_KM, _TRIES)
        centre = np.array([town.lat, town.lon])
        tries = [tuple(row) for row in _moved(centre, bearings, reach).round(6).tolist()]
        fresh = [(lat, lon) for lat, lon in tries if (lat, lon) not in seen]
        shape = land.get(town.country)
        on_land = [(lat, lon) for lat, lon in fresh if shape is not None and shapely.contains_xy(shape, lon, lat)]
        point = (on_land or fresh)[0]
        seen.add(point)
        points.append(point)
    return np.array(points)


@cache
def _land() -> dict[str, BaseGeometry]:
    """Return alpha-2 code -> the country's land, prepared for many queries."""
    frame = country_outlines()
    land = {str(code): shapely.union_all(rows.geometry.to_numpy()) for code, rows in frame.groupby("iso_a2")}
    shapely.prepare(list(land.values()))
    return land


def _sea(latlon: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Return (P, 4): whether there is no land at any of `_SEA_KM` in each heading."""
    tree = shapely.STRtree(list(_land().values()))
    shape = (len(latlon), len(HEADINGS), len(_SEA_KM))
    centres = np.broadcast_to(latlon[:, None, None, :], (*shape, 2)).reshape(-1, 2)
    bearings = np.broadcast_to(np.array(HEADINGS, dtype=np.float64)[None, :, None], shape).ravel()
    reach = np.broadcast_to(np.array(_SEA_KM)[None, None, :], shape).ravel()
    there = _moved(centres, bearings, reach)
    on_land = np.zeros(len(there), dtype=bool)
    on_land[tree.query(shapely.points(there[:, ::-1]), predicate="intersects")[0]] = True
    return np.asarray(~on_land.reshape(shape).any(axis=2), dtype=np.bool_)


def _moved(latlon: NDArray[np.float64], bearing: NDArray[np.float64], km: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return points `km` from `latlon` along `bearing` (degrees), on a plane: good for a few km, far from the poles."""
    angle = np.radians(bearing)
    lat = latlon[..., 0] + km * np.cos(angle) / _KM_PER_DEGREE
    lon = latlon[..., 1] + km * np.sin(angle) / (_KM_PER_DEGREE * np.cos(np.radians(latlon[..., 0])))
    return np.stack(np.broadcast_arrays(lat, lon), axis=-1)
