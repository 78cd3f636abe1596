"""Heads joined in weight space and in posterior space, and the folder of an ensemble."""

import json
import shutil
import sys
import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from geocell.evaluation.calibrate import calibrate
from geocell.evaluation.combine import combine
from geocell.evaluation.score import score
from geocell.heads.additions import write_calibration
from geocell.heads.combination import load_combination
from geocell.heads.ensemble import Ensemble, average_heads, load_ensemble, require_weights
from geocell.heads.hashes import file_sha256
from geocell.heads.head import Head, load_head
from geocell.heads.trained_on import TrainedOn, location_keys
from geocell.partitioners import KMeansPartitioner
from tests.heads.test_head import CELLS, make_head, random_module, world

pytestmark = pytest.mark.usefixtures("one_thread")


def heads(n: int = 3, **changes: object) -> list[Head]:
    first = make_head()
    return [replace(first, module=random_module(seed), training={"n_train": 40}, **changes) for seed in range(n)]


def write_earlier_ensemble(folder: Path, members: Sequence[Head]) -> Path:
    """Write an ensemble as earlier versions did: a folder for each head, and a list of them."""
    for number, head in enumerate(members):
        head.save(folder / str(number))
    (folder / "ensemble.json").write_text(json.dumps({"format": 1, "heads": [head.sha256 for head in members]}))
    return folder


def test_the_mean_of_weights_has_the_means_of_the_logits() -> None:
    three, locations = heads(), world(5)
    mean = average_heads(three)
    logits = [np.log(head.posterior(locations).astype(np.float64)) for head in three]
    expected = np.exp(np.mean(logits, axis=0))
    expected /= expected.sum(axis=1, keepdims=True)
    assert mean.posterior(locations) == pytest.approx(expected, abs=1e-4)
    assert mean.training == {"n_train": 40, "averaged": [{"n_train": 40}] * 3}


def test_a_mean_of_equal_heads_is_the_head(tmp_path: Path) -> None:
    head = heads(1)[0]
    mean = average_heads([head, head])
    assert mean.posterior(world()) == pytest.approx(head.posterior(world()), abs=1e-5)
    mean.save(tmp_path / "mean")
    assert load_head(tmp_path / "mean").sha256 == mean.sha256


def test_an_ensemble_averages_posteriors() -> None:
    three, locations = heads(), world(5)
    ensemble = Ensemble(tuple(three))
    expected = np.mean([head.posterior(locations) for head in three], axis=0)
    assert ensemble.posterior(locations) == pytest.approx(expected, abs=1e-6)
    scores = score(ensemble, locations)
    assert scores.n_locations == len(locations)
    assert scores.head_sha256 == ensemble.sha256
    assert scores.top1 == np.mean(expected.argmax(1) == ensemble.partition.assign(locations.latlon))


def test_an_ensemble_is_saved_as_the_combination_that_it_is(tmp_path: Path) -> None:
    ensemble = Ensemble(tuple(heads(2, trained_on=TrainedOn(location_keys(world())))))
    ensemble.save(tmp_path / "both")
    combine(ensemble.heads).save(tmp_path / "combined")
    assert combined_files(tmp_path / "both") == combined_files(tmp_path / "combined")
    made = load_combination(tmp_path / "both")
    assert made.posterior(world()) == pytest.approx(ensemble.posterior(world()), abs=1e-6)
    write_calibration(tmp_path / "both", calibrate(made, world(1), "mean"))
    assert load_combination(tmp_path / "both").calibration is not None
    with pytest.raises(ValueError, match=r"combination .*both, which was calibrated"):
        load_ensemble(tmp_path / "both")
    ensemble.save(tmp_path / "both", overwrite=True)
    assert combined_files(tmp_path / "both") == combined_files(tmp_path / "combined")


def combined_files(folder: Path) -> dict[str, str]:
    return {p.relative_to(folder).as_posix(): file_sha256(p) for p in sorted(folder.rglob("*")) if p.is_file()}


def test_other_combinations_are_no_ensembles(tmp_path: Path) -> None:
    two = heads(2)
    combine(two, pool="log").save(tmp_path / "log")
    other = replace(two[1], partition=KMeansPartitioner(k=CELLS, seed=1).fit(world(3).latlon))
    combine([two[0], other], world()).save(tmp_path / "places")
    for name in ("log", "places"):
        with pytest.raises(ValueError, match="pools in another way: read it with `geocell"):
            load_ensemble(tmp_path / name)


def test_an_ensemble_is_read_as_written(tmp_path: Path) -> None:
    ensemble = Ensemble(tuple(heads(2)))
    ensemble.save(tmp_path / "both")
    write_earlier_ensemble(tmp_path / "earlier", ensemble.heads)
    for name in ("both", "earlier"):
        again = load_ensemble(tmp_path / name)
        assert again.sha256 == ensemble.sha256
        assert np.array_equal(again.posterior(world()), ensemble.posterior(world()))
        with pytest.raises(FileExistsError, match="exists"):
            ensemble.save(tmp_path / name)
    with pytest.raises(
        ValueError, match=r"expected one head, got the ensemble .*earlier: name one of its heads, .*earlier/0"
    ):
        load_head(tmp_path / "earlier")
    for name, words in {"both": "member 1 in .* is not", "earlier": "head 1 in .* is not"}.items():
        heads(3)[2].save(tmp_path / name / "1", overwrite=True)
        with pytest.raises(ValueError, match=rf"{words} the one that was written"):
            load_ensemble(tmp_path / name)
    with pytest.raises(FileNotFoundError, match=r"a combination needs the file combination\.json"):
        load_ensemble(tmp_path)


def test_a_head_that_is_missing_is_not_looked_for_on_the_hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Ensemble(tuple(heads(2))).save(tmp_path / "new")
    write_earlier_ensemble(tmp_path / "earlier", heads(2))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("geocell.heads.source.download", None)
    for name in ("new", "earlier"):
        shutil.rmtree(tmp_path / name / "1")
        with pytest.raises(
            FileNotFoundError, match=rf"a head needs the file config\.json, and there is none in .*{name}/1"
        ):
            load_ensemble(name)


def replaced_before_the_read(monkeypatch: pytest.MonkeyPatch, name: str, save: Callable[[], None]) -> None:
    """Overwrite the folder once, as the file `name` of it is about to be read."""
    opened, calls = Path.is_file, []

    def is_file(path: Path) -> bool:
        if path.name == name and "geocell-tmp" not in str(path) and not calls:
            calls.append(path)
            save()
        return opened(path)

    monkeypatch.setattr(Path, "is_file", is_file)


@pytest.mark.parametrize("name", ["model.safetensors", "partition.json", "config.json", "history.csv"])
def test_a_head_that_is_overwritten_meanwhile_is_read_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    old, new = heads(2)
    old.save(tmp_path / "head")
    replaced_before_the_read(monkeypatch, name, lambda: new.save(tmp_path / "head", overwrite=True))
    assert load_head(tmp_path / "head").sha256 == new.sha256


@pytest.mark.parametrize("name", ["combination.json", "model.safetensors"])
def test_an_ensemble_that_is_overwritten_meanwhile_is_read_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    old, new = Ensemble(tuple(heads(2))), Ensemble(tuple(heads(4)[2:]))
    old.save(tmp_path / "both")
    replaced_before_the_read(monkeypatch, name, lambda: new.save(tmp_path / "both", overwrite=True))
    assert load_ensemble(tmp_path / "both").sha256 == new.sha256


@pytest.mark.skipif(sys.platform != "linux", reason="two names are exchanged in one step on Linux")
def test_loads_find_a_whole_folder_while_it_is_overwritten(tmp_path: Path) -> None:
    two = heads(2)
    pairs = Ensemble((two[0], two[0])), Ensemble((two[1], two[1]))

    def save(number: int) -> None:
        two[number % 2].save(tmp_path / "head", overwrite=True)
        pairs[number % 2].save(tmp_path / "pair", overwrite=True)

    save(0)
    done = threading.Event()
    failed: list[Exception] = []

    def read() -> None:
        try:
            while not done.is_set():
                assert load_head(tmp_path / "head").sha256 in {head.sha256 for head in two}
                assert load_ensemble(tmp_path / "pair").sha256 in {pair.sha256 for pair in pairs}
        except Exception as error:
            failed.append(error)

    reader = threading.Thread(target=read)
    reader.start()
    for number in range(1, 13):
        save(number)
    done.set()
    reader.join()
    assert failed == []


@pytest.mark.parametrize("join", [average_heads, lambda heads: Ensemble(tuple(heads))])
def test_heads_that_do_not_belong_together(join: object) -> None:
    two = heads(2)
    assert callable(join)
    with pytest.raises(ValueError, match="from two on, got 1"):
        join(two[:1])
    other = KMeansPartitioner(k=6, seed=0).fit(world(9).latlon)
    with pytest.raises(ValueError, match="heads are joined on the same cells"):
        join([two[0], replace(two[1], partition=other)])
    with pytest.raises(ValueError, match="head 1 and head 2 must share one encoder"):
        join([two[0], replace(two[1], encoder=replace(two[1].encoder, name="another"))])


def test_weights_are_averaged_over_one_fusion() -> None:
    two = heads(2)
    with pytest.raises(ValueError, match="heads of one fusion, got feature and logit"):
        average_heads([two[0], replace(two[1], config=replace(two[1].config, fusion="logit"))])
    assert torch.equal(two[0].module.head[0].weight, random_module(0).head[0].weight)  # as it was


@pytest.mark.parametrize("weights", [[1.0], [0.5, 0.6], [1.5, -0.5], [float("nan"), 1.0]])
def test_weights_that_are_none(weights: list[float]) -> None:
    with pytest.raises(ValueError, match="must be 2 numbers from 0 on with a sum of 1, one per head, got"):
        require_weights(weights, 2)
