import math

import mpmath
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from geocell.geo.geodesy import (
    EARTH_RADIUS_KM,
    as_latlon,
    chord_from_km,
    distance_km,
    distance_matrix_km,
    grouped_coordinates,
    grouped_spherical_means,
    latlon_from_unit,
    moved,
    spherical_mean,
    swap_latlon_to_xy,
    tangent_offsets_km,
    unit_vectors,
)

LATLON = st.tuples(st.floats(-90, 90), st.floats(-180, 180))


def reference_km(a: tuple[float, float], b: tuple[float, float]) -> float:
    """Great-circle distance to 50 digits."""
    with mpmath.workdps(50):
        lat1, lon1, lat2, lon2 = (mpmath.radians(mpmath.mpf(x)) for x in (*a, *b))
        y = mpmath.sqrt(
            (mpmath.cos(lat2) * mpmath.sin(lon2 - lon1)) ** 2
            + (mpmath.cos(lat1) * mpmath.sin(lat2) - mpmath.sin(lat1) * mpmath.cos(lat2) * mpmath.cos(lon2 - lon1)) ** 2
        )
        x = mpmath.sin(lat1) * mpmath.sin(lat2) + mpmath.cos(lat1) * mpmath.cos(lat2) * mpmath.cos(lon2 - lon1)
        return float(mpmath.mpf(EARTH_RADIUS_KM) * mpmath.atan2(y, x))


@given(LATLON, LATLON)
def test_distance_agrees_with_high_precision_to_a_centimetre(a: tuple[float, float], b: tuple[float, float]) -> None:
    assert abs(float(distance_km(a, b)) - reference_km(a, b)) < 1e-5


@given(LATLON, st.floats(1e-3, 20015.0), st.floats(0, 2 * math.pi))
def test_every_length_from_a_metre_to_antipodes(start: tuple[float, float], km: float, bearing: float) -> None:
    u = unit_vectors(start)
    helper = np.array([1.0, 0, 0]) if abs(u[0]) < 0.9 else np.array([0, 1.0, 0])
    e = np.cross(u, helper)
    e /= np.linalg.norm(e)
    direction = math.cos(bearing) * e + math.sin(bearing) * np.cross(u, e)
    angle = km / EARTH_RADIUS_KM
    end = latlon_from_unit(math.cos(angle) * u + math.sin(angle) * direction)
    assert abs(float(distance_km(start, end)) - reference_km(start, tuple(end))) < 1e-5
    assert abs(float(distance_matrix_km([start], [end])[0, 0]) - reference_km(start, tuple(end))) < 2e-5


def test_distance_at_special_places() -> None:
    half = math.pi * EARTH_RADIUS_KM
    assert float(distance_km([10, 20], [10, 20])) == 0
    assert float(distance_km([0, 0], [0, 180])) == pytest.approx(half, abs=1e-9)
    assert float(distance_km([90, 0], [-90, 77])) == pytest.approx(half, abs=1e-9)
    assert float(distance_km([90, -180], [90, 123])) == pytest.approx(0, abs=1e-9)
    assert float(distance_km([0, 179.5], [0, -179.5])) == pytest.approx(math.radians(1) * EARTH_RADIUS_KM, abs=1e-9)


@given(LATLON)
def test_unit_vectors_and_back(place: tuple[float, float]) -> None:
    back = latlon_from_unit(unit_vectors(place))
    assert float(distance_km(place, back)) < 1e-8
    assert np.linalg.norm(unit_vectors(place)) == pytest.approx(1, abs=1e-15)
    assert -180 <= back[1] <= 180


@pytest.mark.parametrize("pole", [90.0, -90.0])
def test_the_longitude_at_a_pole(pole: float) -> None:
    longitudes = np.array([0.0, 100.0, -100.0, 180.0])
    given = np.stack((np.full(4, pole), longitudes), axis=1)
    np.testing.assert_allclose(latlon_from_unit(unit_vectors(given)), given, atol=1e-9)
    assert latlon_from_unit([0.0, 0.0, pole]).tolist() == [pole, 0.0]


def test_matrix_is_the_pairwise_distance() -> None:
    rng = np.random.default_rng(0)
    a = np.column_stack((rng.uniform(-90, 90, 30), rng.uniform(-180, 180, 30)))
    b = np.column_stack((rng.uniform(-90, 90, 20), rng.uniform(-180, 180, 20)))
    np.testing.assert_allclose(distance_matrix_km(a, b), distance_km(a[:, None], b[None]), atol=1e-5)


def test_a_mean_across_the_antimeridian_stays_in_fiji() -> None:
    mean = spherical_mean([[-17.0, 179.0], [-17.0, -179.0]])
    assert float(distance_km(mean, [-17.0, 180.0])) < 1.0


def test_a_mean_around_the_pole_is_the_pole() -> None:
    assert spherical_mean([[89, 0], [89, 90], [89, 180], [89, -90]])[0] == pytest.approx(90, abs=1e-6)


def test_a_mean_without_direction_is_refused() -> None:
    with pytest.raises(ValueError, match="use a medoid"):
        spherical_mean([[0, 0], [0, 180]])


def test_weights_pull_the_mean() -> None:
    assert spherical_mean([[0, 0], [0, 10]], weights=[1, 0]).tolist() == [0, 0]
    assert spherical_mean([[0, 0], [0, 10]], weights=[1, 1])[1] == pytest.approx(5)


def test_grouped_means_and_their_lengths() -> None:
    means, lengths = grouped_spherical_means([[0, 0], [0, 10], [5, 5]], np.array([0, 0, 2]), 3)
    assert means[0].tolist() == pytest.approx([0, 5])
    assert means[2].tolist() == pytest.approx([5, 5])
    assert lengths[1] == 0
    assert lengths[2] == pytest.approx(1)


def test_common_coordinates_survive_to_the_bit() -> None:
    latlon = np.array([[48.1234567, 11.1], [48.1234567, 11.1], [1.0, 2.0], [1.0, 4.0]])
    out = grouped_coordinates(latlon, np.array([1, 1, 0, 0]), 2)
    assert out[1].tolist() == [48.1234567, 11.1]
    assert out[0][1] == pytest.approx(3.0)


def test_chord_of_a_distance() -> None:
    u, v = unit_vectors([[0, 0], [0, 3]])
    km = float(distance_km([0, 0], [0, 3]))
    assert chord_from_km(km) == pytest.approx(float(np.linalg.norm(u - v)), abs=1e-15)
    assert chord_from_km(1e9) == pytest.approx(2.0)


PLACE = st.tuples(st.floats(-90, 90) | st.sampled_from([-90.0, 90.0]), st.floats(-180, 180) | st.just(180.0))


@given(PLACE, PLACE)
def test_tangent_offsets_and_back(centre: tuple[float, float], point: tuple[float, float]) -> None:
    offset = tangent_offsets_km(centre, point)
    assert np.linalg.norm(offset) == pytest.approx(float(distance_km(centre, point)), abs=1e-9)
    assert float(distance_km(moved(centre, offset), point)) < 1e-6


@given(PLACE, st.floats(1e-3, 20000.0), st.floats(0, 2 * math.pi))
def test_a_move_and_back(centre: tuple[float, float], km: float, bearing: float) -> None:
    offset = km * np.array([math.sin(bearing), math.cos(bearing)])
    assert tangent_offsets_km(centre, moved(centre, offset)) == pytest.approx(offset, abs=1e-5)


def test_tangent_offsets_are_east_and_north() -> None:
    degree = math.radians(1) * EARTH_RADIUS_KM
    centres, points = [[0, 179.5], [48, 11], [0, 0], [90, 0]], [[0, -179.5], [47, 11], [0, 0], [89, 90]]
    expected = [[degree, 0], [0, -degree], [0, 0], [degree, 0]]
    assert tangent_offsets_km(centres, points) == pytest.approx(np.array(expected), abs=1e-9)
    assert np.linalg.norm(tangent_offsets_km([10, 20], [-10, -160])) == pytest.approx(math.pi * EARTH_RADIUS_KM)


def test_swapping_twice_is_nothing() -> None:
    assert swap_latlon_to_xy(swap_latlon_to_xy([[1, 2]])).tolist() == [[1, 2]]


@pytest.mark.parametrize(
    ("latlon", "message"),
    [
        ([[91, 0]], r"got \[91.0, 0.0\] in row 0"),
        ([[0, 0], [0, 181]], r"in row 1 .*longitude in \[-180, 180\]"),
        ([[120.5, 45.0], [100.0, 30.0]], "look swapped"),
        ([[np.nan, 0]], "must be finite"),
        ([[1, 2, 3]], r"shape \(1, 3\)"),
    ],
)
def test_bad_coordinates_are_one_sentence(latlon: list[list[float]], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        as_latlon(latlon)


def test_one_pair_is_one_row() -> None:
    assert as_latlon([1, 2]).tolist() == [[1.0, 2.0]]
