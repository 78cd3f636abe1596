"""One contract for every decoder, and what each of them answers."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from geocell.decoders.base import DECODERS, decode
from geocell.geo.geodesy import as_latlon, distance_km

CENTROIDS = np.array([[48.1, 11.5], [-33.9, 151.2], [64.1, -21.9], [0.0, 179.9], [0.0, -179.9], [90.0, 0.0]])


def posteriors(seed: int, n: int = 7) -> NDArray[np.float32]:
    return np.random.default_rng(seed).dirichlet(np.full(len(CENTROIDS), 0.3), n).astype(np.float32)


@pytest.mark.parametrize("name", DECODERS)
class TestEveryDecoder:
    @given(seed=st.integers(0, 1000))
    def test_answers_valid_coordinates(self, name: str, seed: int) -> None:
        points = decode(name, posteriors(seed), CENTROIDS)
        assert points.shape == (7, 2)
        assert points.dtype == np.float64
        as_latlon(points)

    def test_certainty_is_the_centroid(self, name: str) -> None:
        points = decode(name, np.eye(len(CENTROIDS), dtype=np.float32), CENTROIDS)
        assert distance_km(points, CENTROIDS).max() < 0.001

    def test_rows_do_not_depend_on_each_other(self, name: str) -> None:
        posterior = posteriors(3)
        together = decode(name, posterior, CENTROIDS)
        alone = np.concatenate([decode(name, row[None], CENTROIDS) for row in posterior])
        assert distance_km(together, alone).max() < 0.001

    def test_the_order_of_cells_does_not_matter(self, name: str) -> None:
        posterior, order = posteriors(4), np.array([3, 0, 5, 1, 4, 2])
        moved = decode(name, posterior[:, order], CENTROIDS[order])
        assert distance_km(decode(name, posterior, CENTROIDS), moved).max() < 0.001

    def test_no_location_is_no_point(self, name: str) -> None:
        assert decode(name, np.empty((0, 6), np.float32), CENTROIDS).shape == (0, 2)

    def test_the_posterior_is_left_alone(self, name: str) -> None:
        posterior = posteriors(5)
        posterior.setflags(write=False)
        decode(name, posterior, CENTROIDS)


def test_centroid_takes_the_first_of_equals() -> None:
    assert decode("centroid", [[0.4, 0.4, 0.2]], CENTROIDS[:3]).tolist() == [[48.1, 11.5]]


def test_mean_crosses_the_antimeridian() -> None:
    points = decode("mean", [[0.5, 0.5]], CENTROIDS[3:5])
    assert distance_km(points, [[0.0, 180.0]])[0] < 0.001


def test_mean_of_antipodes_falls_back_to_the_most_probable_centroid() -> None:
    antipodes = [[10.0, 20.0], [-10.0, -160.0]]
    assert decode("mean", np.array([[0.5, 0.5]], np.float32), antipodes).tolist() == [[10.0, 20.0]]


def test_mean_lies_between_and_centroid_does_not() -> None:
    cells = [[0.0, 0.0], [0.0, 10.0]]
    assert decode("mean", [[0.5, 0.5]], cells)[0] == pytest.approx([0.0, 5.0])
    assert decode("centroid", [[0.4, 0.6]], cells)[0] == pytest.approx([0.0, 10.0])


@pytest.mark.parametrize("name", DECODERS)
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_what_is_no_number_is_no_point(name: str, value: float) -> None:
    posterior = posteriors(6)
    posterior[4, 2] = value
    with pytest.raises(ValueError, match="decode needs finite probabilities, got NaN or infinity for 1 of 7 locations"):
        decode(name, posterior, CENTROIDS)


@pytest.mark.parametrize("shape", [(1, 2), (7, 1), (14,)])
def test_offsets_are_one_per_location(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"decode offset needs offsets \(P, 2\), one per location, got \(.*\) for 7"):
        decode("offset", posteriors(7), CENTROIDS, np.zeros(shape))


def test_an_unknown_decoder_lists_the_known_ones() -> None:
    with pytest.raises(ValueError, match=r"decode must be one of centroid, mean, offset, got 'best'\."):
        decode("best", [[1.0]], [[0.0, 0.0]])


@pytest.mark.parametrize("posterior", [[[0.5, 0.5]], [0.5, 0.5], [[]]])
def test_shapes_of_another_partition(posterior: object) -> None:
    with pytest.raises(ValueError, match=r"decode needs a posterior \(P, C\) and centroids \(C, 2\) of one partition"):
        decode("centroid", posterior, [[0.0, 0.0]])
