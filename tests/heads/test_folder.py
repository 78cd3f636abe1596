"""The folder of a head: written whole or not at all, read strictly or not at all, by us and by others."""

import json
import pickle
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from geocell.evaluation.score import score
from geocell.geo.geodesy import distance_km
from geocell.heads.fit_config import FitConfig
from geocell.heads.head import load_head
from geocell.partitioners import KMeansPartitioner
from tests.heads.test_head import CELLS, DIM, make_head, random_module, world


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    make_head(
        training={"n_train": 40, "best_epoch": 2, "epochs_run": 3},
        history=({"epoch": 1, "train_loss": 2.5}, {"epoch": 2, "train_loss": float("nan")}),
    ).save(tmp_path / "head")
    return tmp_path / "head"


class TestFolder:
    def test_round_trip(self, saved: Path) -> None:
        head, written = load_head(saved), make_head()
        assert np.array_equal(head.posterior(world()), written.posterior(world()))
        assert (head.config, head.encoder, head.partition.sha256) == (
            written.config, written.encoder, written.partition.sha256,
        )  # fmt: skip
        assert head.training == {"n_train": 40, "best_epoch": 2, "epochs_run": 3}
        assert head.history[0] == {"epoch": 1, "train_loss": 2.5}
        assert np.isnan(head.history[1]["train_loss"])
        assert np.array_equal(head.partition.assign(world().latlon), written.partition.assign(world().latlon))

    def test_saving_what_was_loaded_gives_the_same_bytes(self, saved: Path, tmp_path: Path) -> None:
        load_head(saved).save(tmp_path / "again")
        for path in saved.iterdir():
            assert path.read_bytes() == (tmp_path / "again" / path.name).read_bytes(), path.name

    def test_a_plain_module_loads_the_weights(self, saved: Path) -> None:
        class Published(torch.nn.Module):
            def __init__(self) -> None:
                super().__init__()
                self.head = torch.nn.Sequential(
                    torch.nn.LayerNorm(DIM), torch.nn.Dropout(0.3), torch.nn.Linear(DIM, CELLS)
                )

        plain = Published()
        plain.load_state_dict(load_file(saved / "model.safetensors"), strict=True)
        features = torch.randn(3, DIM, generator=torch.Generator().manual_seed(0))
        torch.testing.assert_close(plain.eval().head(features), random_module().eval()(features))

    def test_the_reader_of_others_parses_the_cells_in_the_order_of_the_classes(self, saved: Path) -> None:
        with (saved / "geocell_info.json").open() as f:
            centroids = {int(k): (v["centroid_lat"], v["centroid_lon"]) for k, v in json.load(f).items()}
        assert list(centroids) == list(range(CELLS))
        assert distance_km(list(centroids.values()), make_head().partition.centroids).max() < 1e-6

    def test_config(self, saved: Path) -> None:
        config = json.loads((saved / "config.json").read_text())
        assert config["format"] == 1
        assert (config["library"], config["dim"], config["n_cells"], config["fusion"]) == ("geocell", 16, 6, "feature")
        assert config["fit"] == FitConfig().to_dict()

    def test_scores_come_later(self, saved: Path) -> None:
        head = load_head(saved)
        assert "Not measured." in (saved / "README.md").read_text()
        head.write_scores(saved, score(head, world()))
        assert "an unnamed split" in (saved / "README.md").read_text()
        assert (saved / "scores.json").is_file()
        other = KMeansPartitioner(k=CELLS, seed=0).fit(world(1).latlon)
        stranger = replace(head, partition=other)
        with pytest.raises(ValueError, match="scores go into the folder of the head they are of"):
            stranger.write_scores(saved, score(stranger, world()))
        with pytest.raises(ValueError, match="scores beside a head must be of its partition"):
            head.write_scores(saved, score(stranger, world()))
        sibling = replace(head, module=random_module(1))
        with pytest.raises(ValueError, match="must be its own, got those of another head on the same cells"):
            head.write_scores(saved, score(sibling, world()))

    def test_an_existing_folder_is_kept(self, saved: Path) -> None:
        with pytest.raises(FileExistsError, match="exists: name another --out"):
            make_head().save(saved)
        make_head().save(saved, overwrite=True)
        assert not (saved / "history.csv").exists()

    def test_a_failed_save_leaves_nothing(self, tmp_path: Path) -> None:
        with pytest.raises(ValueError, match="Out of range float values"):
            make_head(training={"loss": float("nan")}).save(tmp_path / "head")
        assert list(tmp_path.iterdir()) == []


def change_config(**changes: Any) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        config = json.loads((folder / "config.json").read_text())
        (folder / "config.json").write_text(json.dumps({**config, **changes}))

    return change


def change_weights(edit: Callable[[dict[str, torch.Tensor]], object]) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        weights = load_file(folder / "model.safetensors")
        edit(weights)
        save_file(weights, folder / "model.safetensors")

    return change


def drop(name: str) -> Callable[[Path], None]:
    return lambda folder: (folder / name).unlink()


def other_cells(folder: Path) -> None:
    KMeansPartitioner(k=CELLS, seed=0).fit(world(1).latlon).write_into(folder)


def truncate(folder: Path) -> None:
    data = (folder / "model.safetensors").read_bytes()
    (folder / "model.safetensors").write_bytes(data[: len(data) // 2])


@pytest.mark.parametrize(
    ("damage", "error", "message"),
    [
        (drop("config.json"), FileNotFoundError, r"a head needs the file config\.json"),
        (drop("model.safetensors"), FileNotFoundError, r"a head needs the file model\.safetensors"),
        (drop("geocell_info.json"), FileNotFoundError, r"geocell_info\.json"),
        (drop("partition.json"), FileNotFoundError, r"a head needs the file partition\.json, and there is none in"),
        (change_config(format=2), ValueError, r"a head of format 2, and this geocell reads format 1"),
        (change_config(more=1), ValueError, r"must have the keys .*got .*more"),
        (change_config(fit={"epoch": 3}), ValueError, r"must have keys among epochs.*got epoch"),
        (change_config(fit={"epochs": 0}), ValueError, r"epochs must be a whole number of at least 1"),
        (change_config(encoder={"name": "x"}), ValueError, r"must describe an encoder by"),
        (change_config(n_cells=7), ValueError, r"must agree .*\(16, 6, 'feature'\), got \(16, 7, 'feature'\)"),
        (change_config(fusion="logit"), ValueError, r"must agree .*got \(16, 6, 'logit'\)"),
        (change_config(partition_sha256="00"), ValueError, r"must be the one the head was fitted on, 00, got "),
        (other_cells, ValueError, r"must be the one the head was fitted on"),
        (truncate, ValueError, r"must be a safetensors file, got a damaged one"),
        (change_weights(lambda w: w.pop("head.0.bias")), ValueError, r"must hold head\.0\.bias \[16\] float32"),
        (change_weights(lambda w: w.update(extra=torch.zeros(1))), ValueError, r"got extra \[1\] float32"),
        (
            change_weights(lambda w: w.update({"head.2.weight": torch.zeros(5, DIM)})),
            ValueError,
            r"got .*head\.2\.weight \[5, 16\] float32",
        ),
        (
            change_weights(lambda w: w.update({"head.2.bias": torch.zeros(CELLS).half()})),
            ValueError,
            r"got .*head\.2\.bias \[6\] float16",
        ),
        (
            change_weights(lambda w: w["head.2.weight"].fill_(float("nan"))),
            ValueError,
            r"must be finite, got NaN or infinity in head\.2\.weight",
        ),
    ],
)
def test_a_damaged_folder_is_refused(
    saved: Path, damage: Callable[[Path], None], error: type[Exception], message: str
) -> None:
    (saved / "hashes.json").unlink()  # what every reader finds without it
    damage(saved)
    with pytest.raises(error, match=message):
        load_head(saved)


class Bomb:
    def __reduce__(self) -> tuple[Callable[..., Any], tuple[str]]:
        return (shutil.rmtree, ("/nonexistent-folder-of-a-pickle",))


def test_a_pickle_in_the_folder_is_never_opened(saved: Path) -> None:
    for name in ("best.pt", "pytorch_model.bin", "model.pkl"):
        (saved / name).write_bytes(pickle.dumps(Bomb()))
    assert len(load_head(saved).partition) == CELLS
    (saved / "hashes.json").unlink()
    (saved / "model.safetensors").write_bytes(pickle.dumps(Bomb()))
    with pytest.raises(ValueError, match="must be a safetensors file, got a damaged one"):
        load_head(saved)
    (saved / "model.safetensors").unlink()
    with pytest.raises(FileNotFoundError, match=r"needs the file model\.safetensors"):
        load_head(saved)
