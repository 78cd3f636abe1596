"""Every file of a head's folder, damaged in every way that comes to mind: one sentence that names it, or no harm."""

import json
import re
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import shapely

from geocell.cli import main
from geocell.evaluation.score import score
from geocell.heads.ensemble import load_ensemble
from geocell.heads.fit_config import FitConfig
from geocell.heads.hashes import HASHED_FILES
from geocell.heads.head import load_head
from geocell.heads.module import GeoHead
from geocell.heads.region import fit_region
from geocell.heads.trained_on import TrainedOn, location_keys
from geocell.partitioners import PolygonsPartitioner
from geocell.publishing.push import push_head
from tests.heads.test_ensemble import write_earlier_ensemble
from tests.heads.test_head import CELLS, DIM, make_head, random_module, world

HISTORY = tuple(
    {"epoch": n, "lr": 1e-3, "train_loss": 2.5, "val_balscore": float("nan"), "val_median_km": 9.0} for n in (1, 2)
)
KEYS = location_keys(world().take(np.arange(5)))
ORIGIN = {
    "source": "you/heads",
    "checkpoint": "a/best.pt",
    "revision": "c0ffee",
    "sha256": "ab" * 32,
    "license": "mit",
    "published": {"cells": 6, "balscore": 62.1, "within": {"25": 31.4}},
}


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two folders of heads that hold every file there is: one with offsets and a history, one on regions, imported."""
    folder = tmp_path_factory.mktemp("heads")
    module = GeoHead(DIM, CELLS, offsets=True)
    module.load_state_dict({**module.state_dict(), **random_module().state_dict()})
    training: dict[str, object] = {"n_train": 40, "n_val": 4, "n_train_outside": 1, "best_epoch": 1, "epochs_run": 2}
    training["refit"] = {"n_train": 44, "epochs": 1}
    head = make_head(training=training, history=HISTORY, trained_on=TrainedOn(KEYS))
    region = fit_region(make_head(), world(), world(1))
    head = replace(head, module=module, config=FitConfig(offsets=1.0), region=region)
    places = replace(world(), columns={"country": np.array(["DE", "FR"] * 20, dtype=object)})
    head.save(folder / "fitted", scores=score(head, places, split="test", allow_training=True))
    (folder / "fitted" / "scores-val.json").write_text(
        json.dumps(score(head, world(), split="val", allow_training=True).to_dict())
    )

    latlon = world().latlon
    half = float(np.median(latlon[:, 1]))
    boxes = [shapely.box(-20, 30, half, 70), shapely.box(half, 30, 40, 70)]
    features = [
        {"type": "Feature", "properties": {"id": str(i)}, "geometry": shapely.geometry.mapping(box)}
        for i, box in enumerate(boxes)
    ]
    (folder / "layer.geojson").write_text(json.dumps({"type": "FeatureCollection", "features": features}))
    cells = PolygonsPartitioner(folder / "layer.geojson", id_column="id").fit(latlon)
    imported = replace(make_head(), module=GeoHead(DIM, 2), partition=cells, training={"origin": ORIGIN})
    imported.save(folder / "imported", scores=score(imported, world(), split="test"))
    return folder


@pytest.fixture(autouse=True)
def _no_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("geocell.publishing.push._draw_cells", lambda _head, _out: None)
    monkeypatch.setattr("geocell.cli.app._quiet_third_parties", lambda: None)


def trails(value: object, depth: int = 3) -> Iterator[list[Any]]:
    """Yield where the values of a JSON value stand; of lists and cells the first alone, and no settings of a fit."""
    if depth and isinstance(value, dict):
        for key in list(value)[:1] if "0" in value else value:
            yield [key]
            if key != "fit":
                yield from ([key, *rest] for rest in trails(value[key], depth - 1))
    elif depth and isinstance(value, list) and value:
        yield [0]
        yield from ([0, *rest] for rest in trails(value[0], depth - 1))


def damages(data: bytes, name: str) -> Iterator[tuple[str, bytes]]:
    """Yield damaged contents of a file, each with a word for it."""
    yield "empty", b""
    yield "cut", data[: len(data) // 2]
    yield "binary", b"\x80\x81\xff\x00" * 20
    if name.endswith("json"):
        yield from ((text, text.encode()) for text in ("[]", "[1]", "3", "null", "{}"))
        for trail in trails(json.loads(data)):
            for wrong in ("lacking", None, [], {}, "x", 1e400):
                value = json.loads(data)
                place = value
                for key in trail[:-1]:
                    place = place[key]
                if wrong == "lacking":
                    del place[trail[-1]]
                else:
                    place[trail[-1]] = wrong
                yield f"{'.'.join(map(str, trail))} {wrong}", json.dumps(value).encode()
    if name.endswith("csv"):
        header, first, *rest = data.decode().splitlines()
        for word, lines in {
            "header alone": [header],
            "short line": [header, first.rsplit(",", 1)[0], *rest],
            "a word": [header, "a" + first],
            "a list": [header, first.replace("1", "[]", 1)],
            "an empty line": [header, "", first],
        }.items():
            yield word, "\n".join(lines).encode()


@pytest.mark.slow
@pytest.mark.parametrize("hashed", [True, False])
@pytest.mark.parametrize("kind", ["fitted", "imported"])
def test_whatever_is_damaged_is_named_in_one_sentence(whole: Path, tmp_path: Path, kind: str, hashed: bool) -> None:
    folder = tmp_path / "head"
    shutil.copytree(whole / kind, folder)
    if not hashed:
        (folder / "hashes.json").unlink()
    refused = set()
    for path in sorted(folder.iterdir()):
        data = path.read_bytes()
        for word, content in damages(data, path.name):
            if hashed and path.name in HASHED_FILES and word not in {"empty", "cut", "binary", "[]"}:
                continue  # all the same to a hash
            path.write_bytes(content)
            try:
                push_head(folder, "me/head", dry_run=True)  # which reads all of it
            except (ValueError, FileNotFoundError) as error:
                text = str(error)
                assert str(folder) in text, f"{path.name}, {word}: {text}"
                assert re.search(r"[^.][.]$", text), f"{path.name}, {word}: {text}"
                refused.add((path.name, word))
            except Exception as error:  # whatever it is, a reader would see it
                pytest.fail(f"{path.name}, {word}: {error!r}")
        path.write_bytes(data)
        for word in ("empty", "cut", "binary"):
            assert (path.name, word) in refused or (path.name == "README.md" and word != "binary"), (path.name, word)
    load_head(folder)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("config.json", "a head needs the file config.json"),
        ("model.safetensors", "a head needs the file model.safetensors"),
        ("offsets.safetensors", "a head needs the file offsets.safetensors"),
        ("geocell_info.json", "a partition needs the file geocell_info.json"),
        ("partition.json", "a head needs the file partition.json"),
        ("region.safetensors", "a head needs the file region.safetensors"),
    ],
)
def test_what_a_head_cannot_do_without(whole: Path, tmp_path: Path, name: str, words: str) -> None:
    shutil.copytree(whole / "fitted", tmp_path / "head")
    (tmp_path / "head" / name).unlink()
    with pytest.raises(FileNotFoundError, match=f"{words}, and there is none in {tmp_path}/head: .*copy the"):
        load_head(tmp_path / "head")


def test_what_a_head_can_do_without(whole: Path, tmp_path: Path) -> None:
    shutil.copytree(whole / "fitted", tmp_path / "head")
    for name in ("history.csv", "scores.json", "scores-val.json", "README.md", "trained_on.safetensors"):
        (tmp_path / "head" / name).unlink()
    assert push_head(tmp_path / "head", "me/head", dry_run=True).files.keys() == {
        "config.json", "geocell_info.json", "model.safetensors", "offsets.safetensors", "partition.json", "README.md",
        "hashes.json", "region.safetensors",
    }  # fmt: skip


def test_a_history_of_other_columns_is_not_drawn(
    whole: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(whole / "fitted", tmp_path / "head")
    (tmp_path / "head" / "hashes.json").unlink()
    (tmp_path / "head" / "history.csv").write_text("epoch,train_loss\n1,2.5\n")
    assert main(f"plot-history {tmp_path}/head --out {tmp_path}/h.png".split()) == 1
    assert "must have the columns lr, val_balscore, val_median_km, and lacks them" in capsys.readouterr().err
    assert not (tmp_path / "h.png").exists()


@pytest.mark.parametrize("heads", [None, 3, {"0": "ab"}])
def test_a_damaged_list_of_an_ensemble(tmp_path: Path, heads: object) -> None:
    write_earlier_ensemble(tmp_path / "both", [make_head(), replace(make_head(), module=random_module(1))])
    path = tmp_path / "both" / "ensemble.json"
    path.write_text(json.dumps({"format": 1, "heads": heads}))
    with pytest.raises(ValueError, match=r"ensemble\.json must have a list as 'heads', got .*: copy it again"):
        load_ensemble(tmp_path / "both")
    path.write_text('{"format": 1}')
    with pytest.raises(ValueError, match=r"ensemble\.json must have 'heads', a list, and lacks it"):
        load_ensemble(tmp_path / "both")
