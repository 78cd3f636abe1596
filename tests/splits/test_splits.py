"""`splits.json`: what is written, read and refused, and the locations of a split."""

import copy
import json
import pickle
import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings

from geocell.files import DamagedFileError
from geocell.files.text import LONGEST_MESSAGE
from geocell.splits.draw import make_splits, split
from geocell.splits.splits import Splits
from tests.damage import damaged_json
from tests.splits.places import ids_of, spread
from tests.worlds import make_locations


def test_saving_and_loading(tmp_path: Path) -> None:
    splits = make_splits(ids_of(20), spread(20), seed=4, buffer_km=1.5)
    splits.save(tmp_path / "s.json")
    assert Splits.load(tmp_path / "s.json") == splits
    with pytest.raises(FileExistsError, match="--overwrite"):
        splits.save(tmp_path / "s.json")
    (tmp_path / "bad.json").write_text('{"format": 1, "splits": [1]}')
    with pytest.raises(ValueError, match="'splits'"):
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
    with pytest.raises(ValueError, match="split must be one of train, val, test, got 'dev': name one"):
        splits.select(locations, "dev")
    with pytest.raises(ValueError, match="belong to another cache"):
        Splits({"train": ("elsewhere",)}).select(locations, "train")


def test_names_of_any_length_make_a_message_that_can_be_read() -> None:
    with pytest.raises(ValueError, match=r"^split must be one of aaaa.* … .*got 'dev': name one of these\.$") as error:
        Splits({"a" * 9_000: ("x",)}).require_split("dev")
    assert len(str(error.value)) <= LONGEST_MESSAGE


def test_they_are_copied_after_they_were_asked() -> None:
    splits = make_splits(ids_of(20), spread(20), seed=1, buffer_km=2.0)
    ids = np.array(ids_of(20), dtype=object)
    homes = splits.homes(ids)
    again = pickle.loads(pickle.dumps(splits))  # noqa: S301
    assert again == copy.deepcopy(splits) == splits
    assert again.homes(ids).tolist() == homes.tolist()


def test_ids_in_a_file_are_text(tmp_path: Path) -> None:
    (tmp_path / "s.json").write_text('{"format": 1, "splits": {"train": [["a"]], "test": [1]}}')
    with pytest.raises(ValueError, match="name -> location ids"):
        Splits.load(tmp_path / "s.json")


def test_a_folder_is_no_splits_file(tmp_path: Path) -> None:
    with pytest.raises(IsADirectoryError, match=r"must be a file, got the folder .*: name a splits\.json"):
        Splits.load(tmp_path)
    Splits({"train": ("a",)}).save(tmp_path / "splits.json")
    with pytest.raises(IsADirectoryError, match=r"name .*splits\.json in it"):
        Splits.load(tmp_path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"splits": {"train": ["a"], "test": ["a"]}}, "one split, once, got 'a' in 'train' and 'test'"),
        ({"splits": {"train": ["a", "a"]}}, "once, got 'a' twice in 'train'"),
        ({"splits": {"train": "ab"}}, "name -> location ids"),
        ({"splits": {"train": ["\ud800"]}}, "half of a surrogate pair"),
        ({"seed": 10**400, "buffer_km": 10**400}, "numbers of at most 308 digits, got 401"),
        ({"seed": "7"}, "'seed'"),
        ({"seed": True}, "'seed'"),
        ({"seed": -1}, "seed must be at least 0, got -1"),
        ({"buffer_km": None}, "'buffer_km'"),
        ({"buffer_km": -0.5}, r"buffer_km must be a number .*, got -0\.5"),
        ({"format": 9}, "format 9"),
    ],
)
def test_a_damaged_file_is_refused_by_its_name(tmp_path: Path, change: dict[str, object], message: str) -> None:
    path = tmp_path / "s.json"
    path.write_text(json.dumps({"format": 1, "seed": 0, "buffer_km": 0, "splits": {"train": ["a"]}} | change))
    with pytest.raises(DamagedFileError, match=message) as found:
        Splits.load(path)
    assert str(path) in str(found.value)


def test_splits_written_by_hand_need_no_seed(tmp_path: Path) -> None:
    (tmp_path / "s.json").write_text('{"format": 1, "splits": {"train": ["a"], "mine": []}}')
    assert Splits.load(tmp_path / "s.json") == Splits({"train": ("a",), "mine": ()}, None, 0)


@settings(max_examples=150)
@given(damaged_json({"format": 1, "seed": 3, "buffer_km": 1.5, "splits": {"train": ["a", "b"], "test": ["c"]}}))
def test_any_damage_is_one_error(content: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "splits.json"
        path.write_bytes(content)
        try:
            splits = Splits.load(path)
        except DamagedFileError as error:
            assert str(path) in str(error)
        else:
            splits.save(path, overwrite=True)
            assert Splits.load(path) == splits


def test_the_protocol_is_recorded_and_unknown_in_older_files(tmp_path: Path) -> None:
    splits = make_splits(ids_of(40), spread(40), by="cell:2", stratify="country")
    splits.save(tmp_path / "s.json")
    assert json.loads((tmp_path / "s.json").read_text())["protocol"] == "by cell:2, stratified by country"
    assert Splits.load(tmp_path / "s.json").protocol == "by cell:2, stratified by country"
    (tmp_path / "old.json").write_text('{"format": 1, "seed": 0, "buffer_km": 0.0, "splits": {"train": ["a"]}}')
    assert Splits.load(tmp_path / "old.json") == Splits({"train": ("a",)}, 0)
    assert Splits.load(tmp_path / "old.json").protocol == "unknown"
    for bad in ("7", '"two\\nlines"', '""'):
        (tmp_path / "bad.json").write_text(f'{{"format": 1, "protocol": {bad}, "splits": {{"train": ["a"]}}}}')
        with pytest.raises(DamagedFileError, match="protocol"):
            Splits.load(tmp_path / "bad.json")


def test_they_show_themselves() -> None:
    splits = Splits({"train": ("a", "b", "c"), "test": ("d",)}, 3, 1.5, "by location")
    assert repr(splits) == "<Splits by location: 3 train, 1 test>"
    page = splits._repr_html_()
    assert ">75.0 %</td>" in page
    assert ">1.5 km</td>" in page
    assert "Splits: 0 locations" in Splits({"train": ()})._repr_html_()
