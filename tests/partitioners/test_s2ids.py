"""S2 cell ids against the reference library."""

import numpy as np
import s2cell
from hypothesis import given, settings
from hypothesis import strategies as st

from geocell.geo.geodesy import distance_km, latlon_from_unit, unit_vectors
from geocell.partitioners.s2ids import cell_vertices, s2_centres, s2_ids, s2_levels, s2_parents, s2_ranges, s2_token

Points = np.ndarray

# Poles, corners and middles of faces, the antimeridian, the equator.
CORNER = float(np.degrees(np.arctan(np.sqrt(0.5))))
NOTABLE = [
    [lat, lon] for lat in (-90.0, -CORNER, -45.0, 0.0, -0.0, 45.0, CORNER, 90.0) for lon in np.arange(-180, 181, 45)
]


def points(n: int, seed: int = 0) -> Points:
    """Return n places spread over the sphere, a tenth of them on edges of faces, the antimeridian, or by a pole."""
    rng = np.random.default_rng(seed)
    places = latlon_from_unit(rng.normal(size=(n, 3)))
    rows = np.array_split(rng.permutation(n)[: n // 10], 3)
    edge = rng.normal(size=(len(rows[0]), 3))
    edge[:, 1] = np.abs(edge[:, 0]) * rng.choice([-1, 1], len(edge))  # two components of one size
    edge = np.take_along_axis(edge, rng.permuted(np.tile(np.arange(3), (len(edge), 1)), axis=1), axis=1)
    places[rows[0]] = latlon_from_unit(edge)
    places[rows[1], 1] = rng.choice([-180.0, 180.0], len(rows[1]))
    places[rows[2], 0] = rng.choice([-1, 1], len(rows[2])) * (90 - 10.0 ** rng.uniform(-12, 0, len(rows[2])))
    return np.concatenate((NOTABLE, places))


def reference(places: Points, level: int) -> Points:
    return np.array([s2cell.lat_lon_to_cell_id(lat, lon, level) for lat, lon in places.tolist()], dtype=np.uint64)


def test_ids_equal_the_reference() -> None:
    places = points(20_000)
    leaves = reference(places, 30)
    assert (s2_ids(places) == leaves).all()
    for level in range(31):
        some = places[level::31]
        assert (s2_ids(some, level) == reference(some, level)).all()


@settings(max_examples=200, deadline=None)
@given(st.floats(-90, 90), st.floats(-180, 180), st.integers(0, 30))
def test_any_place(lat: float, lon: float, level: int) -> None:
    assert s2_ids([[lat, lon]], level).tolist() == [s2cell.lat_lon_to_cell_id(lat, lon, level)]


def test_parents_levels_and_tokens_equal_the_reference() -> None:
    rng = np.random.default_rng(1)
    places = points(600)
    levels = rng.integers(0, 31, len(places)).tolist()
    ids = np.concatenate([s2_ids(place, level) for place, level in zip(places[:, None], levels, strict=True)])
    assert s2_levels(ids).tolist() == [s2cell.cell_id_to_level(i) for i in ids.tolist()]
    assert [s2_token(i) for i in ids.tolist()] == [s2cell.cell_id_to_token(i) for i in ids.tolist()]
    for level in (0, 2, 13, 30):
        expected = [
            s2cell.cell_id_to_parent_cell_id(i, level) if s2cell.cell_id_to_level(i) > level else i
            for i in ids.tolist()
        ]
        assert s2_parents(ids, level).tolist() == expected


def test_ranges_hold_the_leaves_inside() -> None:
    places = points(600)
    leaves = s2_ids(places)
    for level in (0, 1, 7, 29, 30):
        first, last = s2_ranges(s2_ids(places, level))
        assert (first <= leaves).all()
        assert (leaves <= last).all()
        assert (s2_parents(first, level) == s2_parents(last, level)).all()
        if level > 0:
            assert (s2_parents(first - np.uint64(2), level) != s2_parents(first, level)).all()


def test_centres_equal_the_reference() -> None:
    for level in (0, 1, 2, 5, 12, 20, 29):
        ids = np.unique(s2_ids(points(400), level))
        expected = [s2cell.cell_id_to_lat_lon(i) for i in ids.tolist()]
        assert distance_km(s2_centres(ids), expected).max() < 1e-5
        assert (s2_ids(s2_centres(ids), level) == ids).all()


def test_vertices_are_the_corners_between_neighbours() -> None:
    for level in (0, 1, 4, 11):
        ids = np.unique(s2_ids(points(400), level))
        corners, centres = unit_vectors(cell_vertices(ids)), unit_vectors(s2_centres(ids))
        inwards = latlon_from_unit(corners + 0.01 * (centres[:, None] - corners))
        for corner in range(4):
            assert (s2_ids(inwards[:, corner], level) == ids).all()
    faces = cell_vertices(np.unique(s2_ids(NOTABLE, 0)))
    assert faces.shape == (6, 4, 2)
    np.testing.assert_allclose(np.abs(faces[..., 0]), CORNER, atol=1e-12)
    assert sorted(set(np.abs(faces[..., 1]).round(9).ravel().tolist())) == [45.0, 135.0]


def test_vertices_go_round_counter_clockwise() -> None:
    ids = np.unique(s2_ids(points(300), 6))
    corners, centre = unit_vectors(cell_vertices(ids)), unit_vectors(s2_centres(ids))
    for k in range(4):
        turn = np.cross(corners[:, k] - centre, corners[:, (k + 1) % 4] - centre)
        assert (np.einsum("rc,rc->r", turn, centre) > 0).all()
