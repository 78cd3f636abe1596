"""Caches as data sets and back."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from geocell.encoding import import_features
from geocell.features.datasets import FEATURES
from tests.features.test_opened import fill

datasets = pytest.importorskip("datasets")


def test_round_trip(tmp_path: Path) -> None:
    cache = fill(tmp_path / "cache", bad=(3, 7))
    dataset = cache.to_dataset()
    assert dataset.column_names == [*cache.views.columns, FEATURES]
    np.testing.assert_array_equal(np.asarray(dataset.with_format("numpy")[0][FEATURES]), cache.features[0])
    dataset.save_to_disk(tmp_path / "saved")
    again = import_features(datasets.load_from_disk(tmp_path / "saved"), tmp_path / "again", shard_rows=3)
    np.testing.assert_array_equal(again.features, cache.features)
    assert again.encoder == cache.encoder
    assert again.views["status"].tolist() == cache.views["status"].tolist()
    assert again.views[["image", "location"]].equals(cache.views[["image", "location"]])


def test_a_data_set_of_somebody_else(tmp_path: Path) -> None:
    columns: dict[str, Any] = {"lat": [1.0, 2.0], "lon": [3.0, 4.0], "features": [[0.5, 1.0]] * 2, "tags": [["a"], []]}
    dataset = datasets.Dataset.from_dict(columns)
    cache = import_features(dataset, tmp_path / "cache", encoder="theirs")
    assert cache.features.tolist() == [[0.5, 1.0]] * 2
    assert cache.encoder.name == "theirs"
    assert "tags" not in cache.views
    with pytest.raises(ValueError, match="expected one of encoder and like"):
        import_features(dataset, tmp_path / "other")
    ragged = datasets.Dataset.from_dict({**columns, "features": [[0.5, 1.0], [0.5]]})
    with pytest.raises(ValueError, match="every row must have 2 features, and rows 0 to 1 do not"):
        import_features(ragged, tmp_path / "other", encoder="theirs")
    for wrong in (dataset.remove_columns("features"), dataset.select([])):
        with pytest.raises(ValueError, match="must have rows and a column 'features' of features"):
            import_features(wrong, tmp_path / "other", encoder="theirs")
    words = datasets.Dataset.from_dict({**columns, "features": ["a", "b"]})
    with pytest.raises(ValueError, match="must hold D floats in every row"):
        import_features(words, tmp_path / "other", encoder="theirs")
    lying = datasets.Dataset.from_dict(columns)
    lying.info.description = json.dumps({"geocell_encoder": {"name": "x"}})
    with pytest.raises(ValueError, match="the description of the data set must describe an encoder"):
        import_features(lying, tmp_path / "other")
    assert not (tmp_path / "other").exists()


def test_arrays(tmp_path: Path) -> None:
    for wrong in (np.zeros(3), np.zeros((2, 2), dtype=int), np.zeros((0, 2))):
        with pytest.raises(ValueError, match=r"floats of shape \(N, D\)"):
            import_features(wrong, tmp_path / "other", encoder="mine")  # type: ignore[arg-type]
    with pytest.raises(TypeError, match=r"a path, an array or a datasets\.Dataset, got int"):
        import_features(3, tmp_path / "other", encoder="mine")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="the array needs a table of its views"):
        import_features(np.zeros((2, 2)), tmp_path / "other", encoder="mine")
