"""Which locations a head was trained on: what is caught when it is scored on them."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from geocell.cli import main
from geocell.evaluation.score import score
from geocell.heads.ensemble import Ensemble, average_heads
from geocell.heads.head import load_head
from geocell.heads.trained_on import (
    TrainedOn,
    count_trained_on,
    joined_training,
    location_keys,
    locations_sha256,
    read_trained_on,
    write_trained_on,
)
from geocell.splits.splits import Splits
from tests.heads.test_head import make_head, random_module, world
from tests.worlds import fit_by_command

N = 120


class TestKeys:
    def test_are_of_id_and_coordinates_and_of_nothing_else(self) -> None:
        here = world()
        keys = location_keys(here)
        assert len(np.unique(keys)) == len(here)
        assert np.array_equal(keys, location_keys(replace(here, features=np.zeros_like(here.features))))
        assert np.array_equal(keys, location_keys(replace(here, latlon=here.latlon + 1e-9)))
        assert not np.isin(location_keys(replace(here, latlon=here.latlon + 1e-4)), keys).any()
        other_names = np.array([f"x{name}" for name in here.ids], dtype=object)
        assert not np.isin(location_keys(replace(here, ids=other_names)), keys).any()

    def test_negative_zero_is_zero(self) -> None:
        here = world().take(np.arange(2))
        zero, negative = (replace(here, latlon=np.full((2, 2), value)) for value in (0.0, -0.0))
        assert np.array_equal(location_keys(zero), location_keys(negative))

    def test_the_hash_of_a_set_does_not_depend_on_its_order(self) -> None:
        here = world()
        assert locations_sha256(here) == locations_sha256(here.take(np.arange(len(here))[::-1]))
        assert locations_sha256(here) != locations_sha256(here.take(np.arange(len(here) - 1)))

    def test_nothing_readable_is_written(self, tmp_path: Path) -> None:
        keys = location_keys(world())
        write_trained_on(tmp_path, TrainedOn(keys))
        data = (tmp_path / "trained_on.safetensors").read_bytes()
        assert b"loc" not in data[: data.index(b"}")].replace(b"locations", b"")
        assert len(data) < 200 + 8 * len(keys)
        found = read_trained_on(tmp_path)
        assert found is not None
        assert np.array_equal(found.keys, np.sort(keys))
        assert found.complete
        assert read_trained_on(tmp_path / "none") is None

    def test_counts(self) -> None:
        here = world()
        known = TrainedOn(location_keys(here.take(np.arange(5))))
        assert count_trained_on(known, here) == 5
        assert count_trained_on(known, here.take(np.arange(5, 9))) == 0
        assert count_trained_on(None, here) is None
        assert joined_training([None, None]) is None
        joined = joined_training([known, known])
        assert joined is not None
        assert joined.complete
        assert np.array_equal(joined.keys, np.sort(known.keys))

    def test_of_a_head_that_started_from_an_unknown_one(self, tmp_path: Path) -> None:
        here = world()
        partly = joined_training([TrainedOn(location_keys(here.take(np.arange(5)))), None])
        assert partly is not None
        write_trained_on(tmp_path, partly)
        for known in (partly, read_trained_on(tmp_path), joined_training([partly, partly])):
            assert known is not None
            assert not known.complete
            assert count_trained_on(known, here) == 5  # at least
            assert count_trained_on(known, here.take(np.arange(5, 9))) is None


class TestScore:
    def test_warns_with_the_number_unless_that_is_meant(self) -> None:
        here = world()
        head = make_head(trained_on=TrainedOn(location_keys(here.take(np.arange(5)))))
        with pytest.warns(UserWarning, match="5 of the 40 locations are training locations of the head"):
            assert score(head, here).n_trained_on == 5
        assert score(head, here, allow_training=True).n_trained_on == 5
        assert score(head, here.take(np.arange(5, 40))).n_trained_on == 0
        assert score(make_head(), here).n_trained_on is None

    def test_joined_heads_know_the_locations_of_all(self) -> None:
        here = world()
        first, second = (location_keys(here.take(np.arange(start, start + 5))) for start in (0, 3))
        heads = [make_head(trained_on=TrainedOn(keys)) for keys in (first, second)]
        heads[1] = replace(heads[1], module=random_module(1))
        for joined in (Ensemble(tuple(heads)), average_heads(heads)):
            assert score(joined, here, allow_training=True).n_trained_on == 8


@pytest.fixture(scope="module")
def fitted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a cache, splits and a head that was fitted by the command."""
    return fit_by_command(tmp_path_factory.mktemp("fitted"), N, 6, "0.5 0.2 0.3", "--epochs 2")


@pytest.fixture(autouse=True)
def _quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("geocell.cli.app._quiet_third_parties", lambda: None)


class TestCommand:
    @pytest.mark.parametrize("flags", ["", "--splits {}/splits.json --split train"])
    def test_training_locations_are_refused_as_wrong_usage(
        self, fitted: Path, tmp_path: Path, flags: str, capsys: pytest.CaptureFixture[str]
    ) -> None:
        command = f"score {fitted}/head --cache {fitted}/cache --out {tmp_path}/s.json {flags.format(fitted)}"
        assert main(command.split()) == 2
        message = capsys.readouterr().err
        n_train = len(Splits.load(fitted / "splits.json").ids["train"])
        assert f"{n_train} of the {n_train if flags else N} locations are training locations" in message
        assert "--splits" in message
        assert "--allow-training" in message
        assert not (tmp_path / "s.json").exists()
        assert main([*command.split(), "--allow-training"]) == 0
        assert json.loads((tmp_path / "s.json").read_text())["n_trained_on"] == n_train

    @pytest.mark.parametrize("split", ["val", "test"])
    def test_other_splits_are_scored(self, fitted: Path, tmp_path: Path, split: str) -> None:
        source = f"--cache {fitted}/cache --splits {fitted}/splits.json --split {split}"
        assert main(f"score {fitted}/head {source} --out {tmp_path}/s.json".split()) == 0
        assert json.loads((tmp_path / "s.json").read_text())["n_trained_on"] == 0

    def test_compare_refuses_them_too(self, fitted: Path, capsys: pytest.CaptureFixture[str]) -> None:
        command = f"compare {fitted}/head {fitted}/head --cache {fitted}/cache"
        assert main(command.split()) == 2
        assert "training locations" in capsys.readouterr().err
        assert main([*command.split(), "--allow-training"]) == 0

    def test_a_head_records_what_it_was_fitted_on(self, fitted: Path) -> None:
        from geocell.features import FeatureCache

        head, splits = load_head(fitted / "head"), Splits.load(fitted / "splits.json")
        locations = FeatureCache.open(fitted / "cache").locations()
        for name in ("train", "val"):
            assert head.training[f"{name}_sha256"] == locations_sha256(splits.select(locations, name))
        assert head.trained_on is not None
        assert len(head.trained_on.keys) == len(splits.ids["train"])
