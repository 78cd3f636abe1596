"""How near the other splits come to the training locations."""

import numpy as np

from geocell.geo.geodesy import distance_matrix_km
from geocell.splits.draw import splits_from_column
from geocell.splits.leaks import leak_report, nearest_km
from geocell.splits.splits import Splits
from tests.splits.places import ids_of, spread


def test_nearest_is_the_least_of_the_matrix() -> None:
    a, b = spread(20, 1), spread(30, 2)
    np.testing.assert_allclose(nearest_km(a, b), distance_matrix_km(a, b).min(axis=1), atol=1e-5)


def test_thirty_thousand_splits_are_reported_one_by_one() -> None:
    n = 30_000  # a column of something else
    splits = splits_from_column(ids_of(n), spread(n), [f"name{i:05d}" for i in range(n)])
    assert leak_report(splits, ids_of(n), spread(n)) == {}
    named_train = Splits({"train": ("loc0",), **{name: ids for name, ids in splits.ids.items() if name != "name00000"}})
    report = leak_report(named_train, ids_of(n), spread(n))
    km = float(nearest_km(spread(n)[[5]], spread(n)[[0]])[0])
    assert report["name00005"] == {"min_km": km, "median_km": km}
    assert list(report) == list(named_train.ids)[1:]
    assert list(splits.ids.items())[123] == ("name00123", ("loc123",))
