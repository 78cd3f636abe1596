"""`splits.json`: what is written, read and refused, and the locations of a split."""

from pathlib import Path

import numpy as np
import pytest

from geocell.splits.draw import make_splits, split
from geocell.splits.splits import Splits
from tests.splits.places import ids_of, spread
from tests.worlds import make_locations


def test_saving_and_loading(tmp_path: Path) -> None:
    splits = make_splits(ids_of(20), spread(20), seed=4, buffer_km=1.5)
    splits.save(tmp_path / "s.json")
    assert Splits.load(tmp_path / "s.json") == splits
    with pytest.raises(FileExistsError, match="--overwrite"):
        splits.save(tmp_path / "s.json")
    (tmp_path / "bad.json").write_text('{"format": 1, "splits": [1]}')
    with pytest.raises(ValueError, match="geocell split"):
        Splits.load(tmp_path / "bad.json")


def test_a_location_in_two_splits_is_refused() -> None:
    with pytest.raises(ValueError, match="'a' in 'train' and 'test'"):
        Splits({"train": ("a",), "test": ("a",)})


def test_selecting_locations() -> None:
    locations = make_locations(spread(20), np.zeros((20, 4), np.float32))
    train, val, test = split(locations, seed=1)
    assert len(train) + len(val) + len(test) == 20
    splits = make_splits(locations.ids, locations.latlon, seed=1)
    assert splits.select(locations, "val").ids.tolist() == val.ids.tolist()
    with pytest.raises(ValueError, match="split must be one of"):
        splits.select(locations, "dev")
    with pytest.raises(ValueError, match="belong to another cache"):
        Splits({"train": ("elsewhere",)}).select(locations, "train")


def test_ids_in_a_file_are_text(tmp_path: Path) -> None:
    (tmp_path / "s.json").write_text('{"format": 1, "splits": {"train": [["a"]], "test": [1]}}')
    with pytest.raises(ValueError, match="name -> location ids"):
        Splits.load(tmp_path / "s.json")
