"""Shapes on the sphere as polygons in degrees: areas, poles, the antimeridian, Voronoi cells of any sites."""

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from geocell.geodesy import EARTH_RADIUS_KM, distance_km, latlon_from_unit, unit_vectors
from geocell.shapes import Geometries, areas_km2, box_polygons, great_circle_polygons, only_polygons, voronoi_polygons

SPHERE_KM2 = 4 * np.pi * EARTH_RADIUS_KM**2


def random_places(n: int, seed: int) -> np.ndarray:
    return latlon_from_unit(np.random.default_rng(seed).normal(size=(n, 3)))


def small_circle(lat: float, lon: float, radius: float, n: int = 24) -> np.ndarray:
    """Corners on a circle around a place, counter-clockwise."""
    centre = unit_vectors([lat, lon])
    east = np.cross([0.0, 0.0, 1.0], centre) if abs(lat) < 90 else np.array([0.0, 1.0, 0.0])
    east /= np.linalg.norm(east)
    north = np.cross(centre, east)
    angle = np.linspace(0, 2 * np.pi, n, endpoint=False)[:, None]
    r = np.radians(radius)
    return latlon_from_unit(np.cos(r) * centre + np.sin(r) * (np.cos(angle) * east + np.sin(angle) * north))


def spherical_area(ring: np.ndarray) -> float:
    """Area in km² by the sum of the angles (Girard)."""
    v = unit_vectors(ring)
    before, after = np.roll(v, 1, axis=0), np.roll(v, -1, axis=0)
    a, b = np.cross(v, before), np.cross(v, after)
    angles = np.arctan2(np.einsum("ij,ij->i", np.cross(b, a), v), np.einsum("ij,ij->i", a, b)) % (2 * np.pi)
    return float(angles.sum() - (len(ring) - 2) * np.pi) * EARTH_RADIUS_KM**2


def inside_the_world(polygons: Geometries) -> bool:
    west, south, east, north = shapely.total_bounds(polygons)
    return bool(shapely.is_valid(polygons).all() and west >= -180 and east <= 180 and south >= -90 and north <= 90)


@pytest.mark.parametrize(
    ("lat", "lon", "radius", "parts"),
    [
        (48, 11, 5, 1),
        (-17, 179, 5, 2),
        (-17, -180, 5, 2),
        (85, 100, 20, 1),
        (-85, 0, 20, 1),
        (90, 0, 30, 1),
        (0, 180, 80, 2),
    ],
)
def test_rings_anywhere(lat: float, lon: float, radius: float, parts: int) -> None:
    ring = small_circle(lat, lon, radius)
    polygons = great_circle_polygons([ring])
    assert inside_the_world(polygons)
    assert shapely.get_num_geometries(polygons[0]) == parts
    assert areas_km2(polygons)[0] == pytest.approx(spherical_area(ring), rel=1e-4)
    probes = random_places(4000, seed=1)
    distance = distance_km(probes, [lat, lon]) / EARTH_RADIUS_KM
    within = shapely.intersects_xy(polygons[0], probes[:, 1], probes[:, 0])
    chord = np.radians(radius) * np.cos(np.pi / 24) - 1e-3  # the sides of the ring run inside the circle
    assert within[distance < chord].all()
    assert not within[distance > np.radians(radius) + 1e-3].any()


def test_corners_at_a_pole_and_sides_over_it() -> None:
    octant = [[90.0, 0.0], [0.0, 90.0], [0.0, 180.0]]
    corner_elsewhere = [[0.0, 170.0], [0.0, -170.0], [90.0, 33.0]]
    over_the_pole = [[80.0, 0.0], [80.0, 180.0], [80.0, -90.0]]  # one side runs over the pole, the inside is west
    south = [[-90.0, 12.0], [-80.0, 10.0], [-80.0, -10.0]]
    polygons = great_circle_polygons([octant, corner_elsewhere, over_the_pole, south])
    assert inside_the_world(polygons)
    assert polygons[0].bounds == (90.0, 0.0, 180.0, 90.0)
    assert areas_km2(polygons[:1])[0] == pytest.approx(SPHERE_KM2 / 8)
    assert areas_km2(polygons[1:2])[0] == pytest.approx(SPHERE_KM2 / 36)
    assert polygons[2].bounds == (-180.0, pytest.approx(80.0), 0.0, 90.0)
    assert areas_km2(polygons[2:3])[0] == pytest.approx(spherical_area(np.array(over_the_pole)), rel=1e-3)
    assert polygons[3].bounds == (-10.0, -90.0, 10.0, pytest.approx(-80.0))


def test_neighbours_share_every_point() -> None:
    left, right = great_circle_polygons(
        [[[40, 0], [40, 20], [60, 20], [60, 0]], [[40, 20], [40, 45], [60, 45], [60, 20]]]
    )
    assert shapely.intersection(left, right).area == 0.0
    upper, lower = great_circle_polygons([[[50, 0], [50, 40], [60, 20]], [[40, 20], [50, 40], [50, 0]]])
    assert shapely.intersection(upper, lower).area == 0.0
    assert only_polygons(shapely.union(upper, lower)).geom_type == "Polygon"


def test_great_circles_are_followed() -> None:
    (polygon,) = great_circle_polygons([[[60, 0], [0, 30], [60, 60]]])
    edge = shapely.get_coordinates(polygon)
    normal = np.cross(unit_vectors([60, 60]), unit_vectors([60, 0]))
    normal /= np.linalg.norm(normal)
    upper = edge[edge[:, 1] > 60.0]
    assert len(upper) > 50
    assert np.abs(unit_vectors(upper[:, ::-1]) @ normal).max() < 1e-10
    middle = unit_vectors(((upper[1:] + upper[:-1]) / 2)[:, ::-1])
    assert np.abs(middle @ normal).max() * EARTH_RADIUS_KM < 0.1


def test_boxes_run_over_the_antimeridian() -> None:
    boxes = [[0, 170, 10, 200], [-90, -180, 90, 180], [40, 10, 50, 30], [-10, 30, 10, 390]]
    polygons = box_polygons(boxes)
    assert inside_the_world(polygons)
    assert [p.bounds for p in shapely.get_parts(polygons[0])] == [(-180, 0, -160, 10), (170, 0, 180, 10)]
    south, west, north, east = np.array(boxes, dtype=float).T
    exact = np.radians(east - west) * (np.sin(np.radians(north)) - np.sin(np.radians(south))) * EARTH_RADIUS_KM**2
    np.testing.assert_allclose(areas_km2(polygons), exact, rtol=1e-12)


def test_holes_and_parts_count_in_areas() -> None:
    outer, hole, island = shapely.box(0, 0, 10, 10), shapely.box(2, 2, 4, 4), shapely.box(20, 0, 30, 10)
    ring, both = outer.difference(hole), shapely.MultiPolygon([outer, island])
    areas = areas_km2(np.array([outer, hole, ring, both, shapely.Polygon()], dtype=object))
    assert areas[2] == pytest.approx(areas[0] - areas[1])
    assert areas[3] == pytest.approx(2 * areas[0])
    assert areas[4] == 0.0
    assert areas_km2(np.empty(0, dtype=object)).tolist() == []


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


def test_only_polygons_are_left_of_a_cut() -> None:
    square = shapely.box(0, 0, 1, 1)
    mixed = shapely.GeometryCollection([square, shapely.Point(5, 5), shapely.MultiPolygon([shapely.box(2, 2, 3, 3)])])
    assert only_polygons(mixed).geom_type == "MultiPolygon"
    assert only_polygons(mixed).area == 2.0
    assert only_polygons(shapely.GeometryCollection([square, shapely.Point(5, 5)])).equals(square)
    assert only_polygons(shapely.Point(1, 1)).is_empty
    bow = shapely.Polygon([(0, 0), (1, 1), (1, 0), (0, 1)])
    assert only_polygons(bow).is_valid
