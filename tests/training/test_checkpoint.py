"""How far a fit is: the best epoch, and a checkpoint from which a killed fit goes on to the same bytes."""

import json
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors import safe_open
from safetensors.torch import save_file

import geocell.training.stages
from geocell.features.locations import Locations
from geocell.heads.fit_config import FitConfig
from geocell.heads.head import Head
from geocell.heads.module import GeoHead
from geocell.partitioners import KMeansPartitioner, Partition
from geocell.training.checkpoint import Progress, read_checkpoint, write_checkpoint
from geocell.training.fit import fit_head
from geocell.training.validation import Validation
from tests.damage import damaged_value
from tests.training.test_fit import QUICK, assert_same_weights, world

pytestmark = pytest.mark.usefixtures("one_thread")


Parts = tuple[Locations, Locations, Partition]


@pytest.fixture(scope="module")
def parts() -> Parts:
    """Training locations, validation locations and cells, those of the killed process too."""
    train = world(240, 0)
    return train, world(60, 1), KMeansPartitioner(k=12, seed=0).fit(train.latlon)


def row(epoch: int, balscore: float, km: float = 1.0) -> dict[str, float]:
    return {"epoch": epoch, "train_loss": 1.0, "val_balscore": balscore, "val_mean_km": km, "val_median_km": 2.0}


def test_the_best_epoch() -> None:
    progress, module = Progress(), GeoHead(3, 2)
    for epoch, (balscore, km) in enumerate([(0.1, 9.0), (0.3, 9.0), (0.3, 8.0), (0.3, 8.0), (0.2, 1.0)], start=1):
        torch.nn.init.constant_(module.head[2].bias, epoch)
        progress.add(row(epoch, balscore, km), module)
    assert (progress.best_epoch, progress.epochs) == (3, 5)
    assert progress.best_weights["head.2.bias"].tolist() == [3.0, 3.0]
    assert progress.best_scores() == {"balscore": 0.3, "mean_km": 8.0, "median_km": 2.0}


def test_a_checkpoint_is_read_as_written(tmp_path: Path) -> None:
    progress = Progress()
    progress.add({**row(1, 0.5), "train_loss": float("nan")}, GeoHead(3, 2))
    state = {"a": torch.arange(3), "b": torch.rand(2, 2)}
    write_checkpoint(tmp_path / "x.fit", progress, Progress(), state, {"fit": {"lr": 0.1}})
    again, refit = Progress(), Progress()
    tensors = read_checkpoint(tmp_path / "x.fit", {"fit": {"lr": 0.1}}, again, refit)
    assert refit.epochs == 0
    assert (again.best_epoch, again.epochs, again.history[0]["val_balscore"]) == (1, 1, 0.5)
    assert all(torch.equal(tensors[name], value) for name, value in state.items())
    assert all(torch.equal(again.best_weights[name], value) for name, value in progress.best_weights.items())
    with pytest.raises(ValueError, match="is the state of another fit, with other fit:"):
        read_checkpoint(tmp_path / "x.fit", {"fit": {"lr": 0.2}}, Progress(), Progress())
    (tmp_path / "y.fit").write_bytes(b"nonsense")
    with pytest.raises(ValueError, match="must be the state of a fit"):
        read_checkpoint(tmp_path / "y.fit", {}, Progress(), Progress())
    for note in (None, {}, {"fit": "{"}, {"fit": "[]"}, {"fit": "{}"}):
        save_file({"x": torch.zeros(1)}, tmp_path / "z.fit", note)
        with pytest.raises(ValueError, match=r"z\.fit must "):
            read_checkpoint(tmp_path / "z.fit", {}, Progress(), Progress())


@pytest.mark.parametrize("changes", [{}, {"ema": 0.9, "fusion": "attention", "view_dropout": 0.2, "haversine": 0.01}])
def test_an_interrupted_fit_goes_on_to_the_same_head(
    parts: Parts,
    changes: dict[str, Any],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    config = replace(QUICK, epochs=6, **changes)
    whole = fit_head(*parts, config)
    validate, calls = Validation.score, []

    def interrupted(*args: Any) -> dict[str, float]:
        calls.append(1)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return validate(*args)

    monkeypatch.setattr(Validation, "score", interrupted)
    part = fit_head(*parts, config, checkpoint=tmp_path / "head.fit")
    assert part.training["interrupted"] is True
    head = fit_head(*parts, config, checkpoint=tmp_path / "head.fit")
    assert_same_weights(head, whole)
    assert head.training == whole.training
    assert head.history == whole.history
    assert len(calls) == 3 + 4


@pytest.mark.parametrize("epoch", [1, 4, 5, 8])
def test_an_interrupted_refit_continues_to_the_same_head(
    parts: Parts, epoch: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Stopped in the first fit, after it, and in the refit before and after its last epoch."""
    config = replace(QUICK, epochs=4, keep="last", refit=True)
    whole = fit_head(*parts, config)
    write, written = geocell.training.stages.write_checkpoint, []

    def interrupted(*args: Any) -> None:
        write(*args)
        written.append(1)
        if len(written) == epoch:
            raise KeyboardInterrupt

    monkeypatch.setattr(geocell.training.stages, "write_checkpoint", interrupted)
    part = fit_head(*parts, config, checkpoint=tmp_path / "head.fit")
    assert part.training["interrupted"] is True
    head = fit_head(*parts, config, checkpoint=tmp_path / "head.fit")
    assert_same_weights(head, whole)
    assert head.training == whole.training
    assert head.history == whole.history
    assert len(written) == 8


def test_a_checkpoint_of_another_fit_is_refused(
    parts: Parts,
    tmp_path: Path,
) -> None:
    config = replace(QUICK, epochs=1)
    fit_head(*parts, config, checkpoint=tmp_path / "head.fit")
    with pytest.raises(ValueError, match=r"state of another fit, with other settings \(lr\):"):
        fit_head(*parts, replace(config, lr=0.5), checkpoint=tmp_path / "head.fit")
    with pytest.raises(ValueError, match="with other validation locations:"):
        fit_head(parts[0], parts[1].take(np.arange(9)), parts[2], config, checkpoint=tmp_path / "head.fit")
    encoded_again = replace(parts[0], features=np.nextafter(parts[0].features, np.float32(9.0)))
    with pytest.raises(ValueError, match="with other training locations:"):
        fit_head(encoded_again, *parts[1:], config, checkpoint=tmp_path / "head.fit")


KILLED = """
import os, signal, sys, torch
import geocell.training.stages
from geocell.training.fit import fit_head
from geocell.partitioners import KMeansPartitioner
from tests.training.test_fit import world
from tests.training.test_checkpoint import LONG
torch.set_num_threads(1)
write = geocell.training.stages.write_checkpoint
def killed(path, progress, *rest):
    write(path, progress, *rest)
    if progress.epochs == 3:
        os.kill(os.getpid(), signal.SIGKILL)
geocell.training.stages.write_checkpoint = killed
train = world(240, 0)
fit_head(train, world(60, 1), KMeansPartitioner(k=12, seed=0).fit(train.latlon), LONG, checkpoint=sys.argv[1])
"""
LONG = FitConfig(epochs=6, batch_size=32, lr=0.02, device="cpu")


@pytest.mark.slow
def test_a_killed_fit_goes_on_to_the_same_bytes(
    parts: Parts,
    tmp_path: Path,
) -> None:
    path = tmp_path / "head.fit"
    killed = subprocess.run([sys.executable, "-c", KILLED, str(path)], cwd=Path(__file__).parents[2], check=False)
    assert killed.returncode == -signal.SIGKILL
    heads: list[Head] = [fit_head(*parts, LONG, checkpoint=path), fit_head(*parts, LONG)]
    for name, head in zip(("resumed", "whole"), heads, strict=True):
        head.save(tmp_path / name)
    assert heads[0].training["epochs_run"] == 6
    for file in (tmp_path / "whole").iterdir():
        assert file.read_bytes() == (tmp_path / "resumed" / file.name).read_bytes(), file.name
    assert [p.name for p in tmp_path.iterdir() if p.name.startswith(".")] == []


@pytest.fixture(scope="module")
def state_of_a_fit(parts: Parts, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("state") / "head.fit"
    fit_head(*parts, SHORT, checkpoint=path)
    return path


SHORT = replace(QUICK, epochs=2, keep="last", refit=True)


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(data=st.data())
def test_a_damaged_checkpoint_is_refused_or_harmless(data: st.DataObject, state_of_a_fit: Path, tmp_path: Path) -> None:
    """Whatever its note says, one sentence names the file, or the state is that of the fit."""
    with safe_open(state_of_a_fit, framework="pt") as file:
        note = json.loads(file.metadata()["fit"])
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    damaged = json.dumps(data.draw(damaged_value(note)))
    path = tmp_path / "damaged.fit"
    save_file(tensors, path, {"fit": damaged})
    progress, refit = Progress(), Progress()
    try:
        read_checkpoint(path, note["facts"], progress, refit)
    except ValueError as error:
        assert str(path) in str(error)
    else:
        assert progress.best_scores().keys() == {"balscore", "mean_km", "median_km"}
        assert refit.epochs in {len(refit.history), 0}


def test_tensors_of_another_fit_are_refused(parts: Parts, state_of_a_fit: Path, tmp_path: Path) -> None:
    with safe_open(state_of_a_fit, framework="pt") as file:
        note = file.metadata()
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    weight = next(name for name in tensors if name.endswith("weights.weight"))
    for change in ({weight: tensors[weight][:3].contiguous()}, {weight: None}, {"state.order": torch.zeros(3)}):
        changed = {name: value for name, value in {**tensors, **change}.items() if value is not None}
        save_file(changed, tmp_path / "head.fit", note)
        with pytest.raises(ValueError, match=r"head\.fit must be the state of this fit"):
            fit_head(*parts, SHORT, checkpoint=tmp_path / "head.fit")


def test_a_checkpoint_of_the_version_before_kept_the_best_epoch(parts: Parts, tmp_path: Path) -> None:
    config = replace(QUICK, epochs=2, keep="best")
    fit_head(*parts, config, checkpoint=tmp_path / "head.fit")
    with safe_open(tmp_path / "head.fit", framework="pt") as file:
        note = json.loads(file.metadata()["fit"])
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    for name in ("keep", "refit"):
        del note["facts"]["settings"][name]
    save_file(tensors, tmp_path / "head.fit", {"fit": json.dumps(note)})
    assert fit_head(*parts, config, checkpoint=tmp_path / "head.fit").training["epochs_run"] == 2
    with pytest.raises(ValueError, match=r"with other settings \(keep, refit\): fit with the same"):
        fit_head(*parts, replace(config, keep="last", refit=True), checkpoint=tmp_path / "head.fit")


def test_a_state_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"a fit that goes on needs the file state\.fit, and there is none in"):
        read_checkpoint(tmp_path / "state.fit", {}, Progress(), Progress())
