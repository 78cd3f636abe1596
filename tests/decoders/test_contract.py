"""One contract for every decoder: those of the table, with parameters, and one that is defined in a file of its own."""

import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from geocell.decoders.base import LocationData, PartitionData, PreparedDecoder
from geocell.decoders.table import DECODERS, as_decoder
from geocell.features.neighbours import NeighbourIndex
from geocell.geo.geodesy import as_latlon, distance_km
from tests.worlds import INFO

CENTROIDS = np.array([[48.1, 11.5], [-33.9, 151.2], [64.1, -21.9], [0.0, 179.9], [0.0, -179.9], [90.0, 0.0]])
SPECS = (
    "centroid", "mean", "medoid", "geoscore", "balscore", "balscore:0.1,0.4,0.8", "offset", "knn", "knn:2,0.1",
    "within:200", "within:5000", "medoid:places=6", "geoscore:places=6", "balscore:0.1,0.4,0.8,places=6",
    "within:200,places=6", "tests.decoders.top_mean:TopMean",
)  # fmt: skip
SHARES = {25: 0.2, 200: 0.5, 750: 0.9}


def still(_cells: NDArray[np.int64]) -> NDArray[np.float64]:
    return np.zeros((len(_cells), 2))


def known(n: int) -> LocationData:
    return LocationData(offsets_km=still, features=lambda: np.zeros((n, 8), np.float32))


def posteriors(seed: int, n: int = 7, cells: int = len(CENTROIDS)) -> NDArray[np.float32]:
    return np.random.default_rng(seed).dirichlet(np.full(cells, 0.3), n).astype(np.float32)


def prepared(spec: str, centroids: NDArray[np.float64] = CENTROIDS) -> PreparedDecoder:
    n = len(centroids)  # a training location at every centroid
    features = np.eye(n, 8, dtype=np.float16)
    index = NeighbourIndex(features, centroids, np.arange(n), np.zeros(8, np.float32), None, INFO, "")
    return as_decoder(spec).prepare(PartitionData(centroids, neighbours=index, shares=SHARES))


def test_the_contract_is_for_all_of_them() -> None:
    assert {spec.partition(":")[0] for spec in SPECS} >= set(DECODERS)


@pytest.mark.parametrize("spec", SPECS)
class TestEveryDecoder:
    @given(seed=st.integers(0, 1000))
    def test_answers_valid_coordinates(self, spec: str, seed: int) -> None:
        points = prepared(spec)(posteriors(seed), known(7))
        assert points.shape == (7, 2)
        assert points.dtype == np.float64
        as_latlon(points)

    def test_certainty_is_the_centroid(self, spec: str) -> None:
        points = prepared(spec)(np.eye(len(CENTROIDS), dtype=np.float32), known(6))
        assert distance_km(points, CENTROIDS).max() < 0.001

    def test_rows_do_not_depend_on_each_other(self, spec: str) -> None:
        posterior, decode = posteriors(3), prepared(spec)
        together = decode(posterior, known(7))
        alone = np.concatenate([decode(row[None], known(1)) for row in posterior])
        assert distance_km(together, alone).max() < 0.001

    def test_the_order_of_cells_does_not_matter(self, spec: str) -> None:
        posterior, order = posteriors(4), np.array([3, 0, 5, 1, 4, 2])
        permuted = prepared(spec, CENTROIDS[order])(posterior[:, order], known(7))
        assert distance_km(prepared(spec)(posterior, known(7)), permuted).max() < 0.001

    def test_no_location_is_no_point(self, spec: str) -> None:
        assert prepared(spec)(np.empty((0, 6), np.float32), known(0)).shape == (0, 2)

    def test_one_cell_is_the_only_answer(self, spec: str) -> None:
        points = prepared(spec, CENTROIDS[:1])(np.ones((3, 1), np.float32), known(3))
        assert distance_km(points, CENTROIDS[:1]).max() < 0.001

    def test_the_posterior_is_left_alone(self, spec: str) -> None:
        posterior = posteriors(5)
        posterior.setflags(write=False)
        prepared(spec)(posterior, known(7))

    @pytest.mark.parametrize("value", [np.nan, np.inf])
    def test_what_is_no_number_is_no_point(self, spec: str, value: float) -> None:
        posterior = posteriors(6)
        posterior[4, 2] = value
        with pytest.raises(ValueError, match=r"finite probabilities, got NaN or infinity for 1 of 7 locations"):
            prepared(spec)(posterior, known(7))

    def test_a_posterior_of_other_cells_is_refused(self, spec: str) -> None:
        with pytest.raises(ValueError, match=r"posterior \(P, C\) and centroids \(C, 2\) of one partition"):
            prepared(spec)(np.ones((2, 5), np.float32), known(2))

    def test_has_a_line_of_help_and_a_name_that_is_read_again(self, spec: str) -> None:
        decoder = as_decoder(spec)
        assert decoder.summary
        assert decoder.usage().startswith(decoder.name)
        again = type(decoder).parse(decoder.spec.partition(":")[2])
        assert (again, hash(again)) == (decoder, hash(decoder))

    def test_travels_to_other_processes(self, spec: str) -> None:
        assert pickle.loads(pickle.dumps(as_decoder(spec))) == as_decoder(spec)  # noqa: S301

    def test_what_it_needs_is_asked_for(self, spec: str) -> None:
        for need in as_decoder(spec).needed:
            with pytest.raises(ValueError, match=rf"decode {as_decoder(spec).spec} needs .*; or decode by centroid"):
                as_decoder(spec).require(as_decoder(spec).needed - {need})
