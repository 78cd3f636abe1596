"""Places and polygons on the whole sphere, for tests."""

import numpy as np
import shapely

from geocell.geo.geodesy import EARTH_RADIUS_KM, latlon_from_unit
from geocell.geo.shapes import Geometries

SPHERE_KM2 = 4 * np.pi * EARTH_RADIUS_KM**2


def random_places(n: int, seed: int) -> np.ndarray:
    return latlon_from_unit(np.random.default_rng(seed).normal(size=(n, 3)))


def inside_the_world(polygons: Geometries) -> bool:
    west, south, east, north = shapely.total_bounds(polygons)
    return bool(shapely.is_valid(polygons).all() and west >= -180 and east <= 180 and south >= -90 and north <= 90)
