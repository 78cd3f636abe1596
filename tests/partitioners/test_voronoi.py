"""Voronoi cells of any sites tile the sphere, and hold what is nearest."""

import numpy as np
import pytest
import shapely
from hypothesis import example, given, settings
from hypothesis import strategies as st

from geocell.geo.geodesy import distance_km, latlon_from_unit, unit_vectors
from geocell.geo.shapes import areas_km2
from geocell.partitioners.voronoi import voronoi_polygons
from tests.spheres import SPHERE_KM2, inside_the_world, random_places

DEGENERATE = {
    "alone": [[12.0, 34.0]],
    "antipodes": [[0.0, 0.0], [0.0, 180.0]],
    "poles": [[90.0, 0.0], [-90.0, 0.0]],
    "meridian": [[0.0, 90.0], [0.0, -90.0]],
    "three": [[10.0, 10.0], [20.0, 60.0], [-30.0, -100.0]],
    "equator": [[0.0, float(lon)] for lon in range(-180, 180, 30)],
    "parallel": [[45.0, float(lon)] for lon in range(-180, 180, 20)],
    "octahedron": [[90, 0], [-90, 0], [0, 0], [0, 90], [0, 180], [0, -90]],
    "a metre apart": [[50.0, 10.0], [50.00001, 10.0], [50.0, 10.00001]],
}


@pytest.mark.parametrize("sites", DEGENERATE.values(), ids=DEGENERATE)
def test_voronoi_cells_of_special_sites_tile_the_sphere(sites: list[list[float]]) -> None:
    polygons = voronoi_polygons(sites)
    assert inside_the_world(polygons)
    areas = areas_km2(polygons)
    assert areas.sum() == pytest.approx(SPHERE_KM2, rel=1e-9)
    if len(sites) in (2, 6, 12, 18):  # symmetric ones
        np.testing.assert_allclose(areas, SPHERE_KM2 / len(sites), rtol=1e-3)


@settings(max_examples=25, deadline=None)
@given(
    st.lists(st.tuples(st.integers(-90, 90), st.integers(-180, 179)), min_size=1, max_size=60, unique=True),
    st.integers(0, 2**32 - 1),
)
@example([(3, -1), (2, 1), (0, 3), (-1, 3), (0, 1), (1, -3), (3, -3), (3, 1)], 0)  # sides a hair beside a pole
@example([(90, 60), (60, 0), (30, -90), (0, 120), (-30, 90), (-30, 150), (-60, 150), (-90, 0)], 0)  # slivers
def test_voronoi_cells_hold_what_is_nearest(sites: list[tuple[int, int]], seed: int) -> None:
    distinct = np.unique(np.round(unit_vectors(np.array(sites, dtype=float)), 12) + 0.0, axis=0)
    places = latlon_from_unit(distinct)
    polygons = voronoi_polygons(places)
    assert inside_the_world(polygons)
    assert areas_km2(polygons).sum() == pytest.approx(SPHERE_KM2, rel=1e-6)
    probes = random_places(200, seed)
    distance = distance_km(probes[:, None], places[None])
    two = np.sort(distance, axis=1)[:, :2]
    clear = two[:, -1] - two[:, 0] > 1.0 if len(places) > 1 else np.ones(len(probes), dtype=bool)
    found = np.array([[shapely.intersects_xy(p, x, y) for p in polygons] for y, x in probes[clear]])
    assert found.argmax(axis=1).tolist() == distance.argmin(axis=1)[clear].tolist()
    assert (found.sum(axis=1) == 1).all()


def test_voronoi_cells_of_many_sites_in_a_small_part_of_the_earth() -> None:
    rng = np.random.default_rng(0)
    sites = np.stack((rng.uniform(47, 48, 400), rng.uniform(-0.5, 0.5, 400)), axis=1)
    polygons = voronoi_polygons(sites)
    assert inside_the_world(polygons)
    assert areas_km2(polygons).sum() == pytest.approx(SPHERE_KM2, rel=1e-9)
    window = shapely.Point(0, 47.5).buffer(0.3)
    clipped = voronoi_polygons(sites, window)
    assert areas_km2(clipped).sum() == pytest.approx(areas_km2(np.array([window]))[0], rel=1e-9)
    whole = shapely.intersection(polygons, window)
    np.testing.assert_allclose(shapely.area(shapely.symmetric_difference(clipped, whole)), 0, atol=1e-9)
    assert shapely.is_empty(clipped).any()
