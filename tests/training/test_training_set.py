"""What a fit trains on: cells, weights and counts, and two splits joined into one set of locations."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from geocell.encoders.info import EncoderInfo
from geocell.encoding import import_features
from geocell.heads.fit_config import FitConfig
from geocell.partitioners import H3Partitioner, KMeansPartitioner
from geocell.training.training_set import TrainingSet, join_locations
from geocell.views import read_views
from tests.outside import nothing_east_of
from tests.training.test_fit import world


def test_joined_locations_are_those_of_both() -> None:
    first, second = world(20, 0), world(15, 1)
    first = replace(first, columns={"country": np.repeat("FR", 20), "other": np.arange(20)})
    second = replace(second, columns={"country": np.repeat("DE", 15)})
    both = join_locations(first, second)
    assert both.ids.tolist() == [*first.ids, *second.ids]
    assert np.array_equal(both.latlon, np.concatenate((first.latlon, second.latlon)))
    assert np.array_equal(both.view_features(), np.concatenate((first.view_features(), second.view_features())))
    assert np.array_equal(both.mean_features(), np.concatenate((first.mean_features(), second.mean_features())))
    assert {name: values.tolist() for name, values in both.columns.items()} == {"country": ["FR"] * 20 + ["DE"] * 15}
    picked = np.array([30, 3, 21])
    assert np.array_equal(both.take(picked).mean_features(), both.mean_features()[picked])


def test_splits_of_one_array_are_joined_without_a_copy() -> None:
    locations = world(30, 0)
    order = np.random.default_rng(0).permutation(30)
    both = join_locations(locations.take(order[:20]), locations.take(order[20:]))
    assert both.features is locations.features
    assert np.array_equal(both.mean_features(), locations.mean_features()[order])


def test_features_on_the_disk_stay_there(tmp_path: Path) -> None:
    parts = []
    for number in range(2):
        (tmp_path / "views.csv").write_text("lat,lon\n" + "".join(f"{i},{number}\n" for i in range(6)))
        np.save(tmp_path / "features.npy", np.random.default_rng(number).normal(size=(6, 4)))
        table = read_views(tmp_path / "views.csv", images_optional=True)
        info = EncoderInfo("tiny", "1", "pooler_output", 4, 32, "none")
        cache = import_features(tmp_path / "features.npy", tmp_path / f"cache{number}", table=table, encoder=info)
        parts.append(cache.locations(in_memory=False))
    both = join_locations(*parts)
    assert not isinstance(both.features, np.ndarray)
    expected = np.concatenate([part.view_features() for part in parts])
    assert np.array_equal(both.view_features(), expected)
    assert np.array_equal(both.take(np.array([7, 0])).view_features(), expected[[7, 0]])


def test_locations_outside_are_left_out_and_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    locations = world(50, 0)
    partition = H3Partitioner(resolution=2).fit(locations.latlon)
    nothing_east_of(15, monkeypatch)
    inside = locations.latlon[:, 1] <= 15
    found = TrainingSet.from_locations(locations, partition, FitConfig())
    assert found.n_outside == int((~inside).sum()) > 0
    assert np.array_equal(found.locations.latlon, locations.latlon[inside])
    assert found.counts.sum() == found.to_dict()["n_train"] == inside.sum()
    east = replace(locations, latlon=locations.latlon + np.array([0.0, 40.0]))
    with pytest.raises(ValueError, match="and all 50 lie outside"):
        TrainingSet.from_locations(east, partition, FitConfig())


def test_weights_are_those_of_the_settings() -> None:
    locations = world(50, 0)
    partition = KMeansPartitioner(k=5, seed=0).fit(locations.latlon)
    plain = TrainingSet.from_locations(locations, partition, FitConfig(weight_exponent=0.0))
    assert plain.weights.tolist() == [1.0] * 5
    assert plain.offset is None
    with_offsets = TrainingSet.from_locations(locations, partition, FitConfig(offsets=1.0))
    assert with_offsets.offset is not None
    assert with_offsets.offset.shape == (50, 2)
    assert with_offsets.to_dict()["class_weight_range"][0] < 1 < with_offsets.to_dict()["class_weight_range"][1]
