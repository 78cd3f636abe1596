"""Shapes on the sphere as polygons in degrees: areas, poles, the antimeridian."""

import numpy as np
import pytest
import shapely

from geocell.geo.geodesy import EARTH_RADIUS_KM, distance_km, latlon_from_unit, unit_vectors
from geocell.geo.shapes import areas_km2, box_polygons, great_circle_polygons, only_polygons
from tests.spheres import SPHERE_KM2, inside_the_world, random_places


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


def test_corners_a_hair_from_a_pole_are_at_the_pole() -> None:
    exact = [[90.0, 0.0], [0.0, 90.0], [0.0, 180.0]]
    hair = [[90.0 - 8e-10, -33.0], [0.0, 90.0], [0.0, 180.0]]
    twice = [[90.0 - 1e-11, 12.0], [0.0, 90.0], [0.0, 180.0], [90.0, -90.0]]
    sliver = [[26.565051177087, 180.0], [26.565051177065, 180.0], [26.565051177076, -179.999999999984]]
    polygons = great_circle_polygons([exact, hair, sliver, twice])
    assert inside_the_world(polygons)
    np.testing.assert_allclose(areas_km2(polygons), np.array([1, 1, 0, 1]) * SPHERE_KM2 / 8, rtol=1e-9)
    assert polygons[2].is_empty
    assert great_circle_polygons([sliver, [[0, 0], [1, 1]]]).tolist() == [shapely.Polygon()] * 2
    assert great_circle_polygons([]).tolist() == []


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


def test_only_polygons_are_left_of_a_cut() -> None:
    square = shapely.box(0, 0, 1, 1)
    mixed = shapely.GeometryCollection([square, shapely.Point(5, 5), shapely.MultiPolygon([shapely.box(2, 2, 3, 3)])])
    assert only_polygons(mixed).geom_type == "MultiPolygon"
    assert only_polygons(mixed).area == 2.0
    assert only_polygons(shapely.GeometryCollection([square, shapely.Point(5, 5)])).equals(square)
    assert only_polygons(shapely.Point(1, 1)).is_empty
    bow = shapely.Polygon([(0, 0), (1, 1), (1, 0), (0, 1)])
    assert only_polygons(bow).is_valid
