"""What a head sees of locations."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from geocell.features.locations import Locations
from geocell.heads.inputs import Inputs, rows_of
from tests.worlds import make_locations

CPU = torch.device("cpu")


def locations(views: list[int], seed: int = 0) -> Locations:
    rng = np.random.default_rng(seed)
    latlon = np.stack((rng.uniform(40, 60, len(views)), rng.uniform(0, 20, len(views))), axis=1)
    return make_locations(latlon, rng.normal(size=(sum(views), 4)).astype(np.float16), np.array(views))


@given(st.lists(st.integers(1, 4), min_size=1, max_size=8), st.data())
def test_every_fusion_selects_the_rows_of_its_locations(views: list[int], data: st.DataObject) -> None:
    all_of = locations(views)
    index = data.draw(st.lists(st.integers(0, len(views) - 1), min_size=1, max_size=10))
    one_by_one = np.split(all_of.view_features(), np.cumsum(views)[:-1])
    features, counts = Inputs.from_locations(all_of, "logit", CPU).select(torch.tensor(index))
    assert counts is not None
    assert counts.tolist() == [views[i] for i in index]
    np.testing.assert_array_equal(features.numpy(), np.concatenate([one_by_one[i] for i in index]))
    pooled, none = Inputs.from_locations(all_of, "feature", CPU).select(torch.tensor(index))
    assert none is None
    np.testing.assert_allclose(pooled.numpy(), np.stack([one_by_one[i].mean(0) for i in index]), rtol=1e-5, atol=1e-6)


def test_the_mean_over_views_is_the_same_by_every_fusion() -> None:
    all_of = locations([3, 1, 2])
    pooled, views = (Inputs.from_locations(all_of, fusion, CPU).mean_features() for fusion in ("feature", "logit"))
    assert views.dtype == np.float32
    np.testing.assert_allclose(views, pooled, rtol=1e-5, atol=1e-6)


def test_rows_follow_the_order_of_the_index() -> None:
    rows, views = rows_of(torch.tensor([0, 3, 4]), torch.tensor([3, 1, 2]), torch.tensor([2, 0]))
    assert rows.tolist() == [4, 5, 0, 1, 2]
    assert views.tolist() == [2, 3]


@pytest.mark.parametrize("fusion", ["feature", "logit"])
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_feature_that_is_not_finite_is_refused_with_its_location(fusion: str, value: float) -> None:
    broken = locations([2, 2, 2])
    broken.features[3, 1] = value
    with pytest.raises(ValueError, match="NaN or infinity at location 'loc1'"):
        Inputs.from_locations(broken, fusion, CPU)
