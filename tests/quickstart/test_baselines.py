import numpy as np
import pytest

from geocell.geo.geodesy import distance_km
from geocell.partitioners import KMeansPartitioner
from geocell.quickstart.baselines import baseline_rows, majority_cell, nearest_location
from tests.worlds import make_locations

TRAIN = make_locations([(40.0, 0.0), (40.1, 0.0), (60.0, 20.0)], np.array([[1, 0], [0, 1], [-1, -1]], np.float32))
TEST = make_locations([(41.0, 0.0), (59.0, 20.0)], np.array([[0.1, 5], [-3, -2]], np.float32))


def test_the_nearest_location_by_cosine_is_answered() -> None:
    np.testing.assert_array_equal(nearest_location(TRAIN, TEST), [(40.1, 0.0), (60.0, 20.0)])


def test_the_majority_cell_is_answered_for_everything() -> None:
    partition = KMeansPartitioner(k=2, seed=0).fit(TRAIN.latlon)
    points = majority_cell(partition, 3)
    assert points.shape == (3, 2)
    np.testing.assert_allclose(points, [(40.05, 0.0)] * 3, atol=1e-6)


def test_rows_have_the_scores_of_the_answers() -> None:
    partition = KMeansPartitioner(k=2, seed=0).fit(TRAIN.latlon)
    majority, nearest = baseline_rows(partition, TRAIN, TEST)
    assert (majority["head"], majority["n_cells"], nearest["head"], "n_cells" in nearest) == (
        "majority cell",
        2,
        "1-NN",
        False,
    )
    errors = distance_km(TEST.latlon, [(40.1, 0.0), (60.0, 20.0)])
    assert nearest["mean_km"] == pytest.approx(errors.mean())
    assert nearest["within"] == {"1": 0.0, "25": 0.0, "200": 1.0, "750": 1.0, "2500": 1.0}
    assert majority["within"]["200"] == 0.5
    low, high = nearest["intervals"]["within_200"]
    assert 0 < low < high == 1
