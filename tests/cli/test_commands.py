"""The command as a person uses it: results on standard output, one sentence on standard error, exit statuses."""

import errno
import json
import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import geocell
from geocell.cli import main
from geocell.cli.app import build_app
from geocell.features import FeatureCache
from geocell.heads.ensemble import Ensemble
from geocell.heads.head import load_head
from geocell.partitioners.base import Partition
from geocell.splits.splits import Splits
from geocell.training.validation import Validation
from tests.local_hub import Hub
from tests.worlds import make_clip, make_image, make_photos, write_csv

N_LOCATIONS = 30


@pytest.fixture(scope="module")
def road(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with photos, cache, splits, a K-Means partition and a head, made by the commands."""
    folder = tmp_path_factory.mktemp("road")
    make_photos(folder, N_LOCATIONS, 2)
    make_clip(folder / "clip")
    steps = [
        f"encode {folder}/photos.csv --encoder {folder}/clip --device cpu --out {folder}/cache",
        f"split {folder}/cache --out {folder}/splits.json --fractions 0.6 0.2 0.2",
        f"partition kmeans --k 4 --cache {folder}/cache --splits {folder}/splits.json --out {folder}/cells",
        f"fit-head --cache {folder}/cache --splits {folder}/splits.json --partition {folder}/cells --out {folder}/head "
        "--epochs 3 --device cpu",
    ]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("geocell.cli.app._quiet_third_parties", lambda: None)
        for step in steps:
            assert main(step.split()) == 0, step
    return folder


def fails(capsys: pytest.CaptureFixture[str], command: str, status: int, *words: str) -> None:
    """Assert that a command ends with `status` and one sentence that has the words."""
    assert main(command.split()) == status, command
    captured = capsys.readouterr()
    assert captured.out == ""
    lines = [line for line in captured.err.splitlines() if not line.startswith("loading the encoder")]
    assert len(lines) == 1, captured.err
    assert lines[0].startswith("geocell: ")
    assert "Traceback" not in captured.err
    for word in words:
        assert word in lines[0]


def answer(capsys: pytest.CaptureFixture[str], command: str) -> dict[str, object]:
    """Return the one JSON object that a command prints."""
    assert main([*command.split(), "--json"]) == 0, command
    value = json.loads(capsys.readouterr().out)
    assert isinstance(value, dict)
    return value


def test_the_road_leaves_what_it_says(road: Path) -> None:
    assert len(FeatureCache.open(road / "cache")) == 2 * N_LOCATIONS
    assert sum(map(len, Splits.load(road / "splits.json").ids.values())) == N_LOCATIONS
    partition = Partition.load(road / "cells")
    head = load_head(road / "head")
    assert len(partition) == 4
    assert partition.fitted_on["source"] == "cache, split train"
    assert head.partition.sha256 == partition.sha256
    assert head.config.epochs == 3


def test_every_partition_is_read_by_the_one_line_reader(road: Path, tmp_path: Path) -> None:
    for flags in ("h3 --resolution 2", "kmeans --k 3", "kdtree --max-count 5"):
        out = tmp_path / flags.split()[0]
        assert main(f"partition {flags} --table {road}/photos.csv --out {out}".split()) == 0
        with (out / "geocell_info.json").open() as f:
            centroids = {int(k): (v["centroid_lat"], v["centroid_lon"]) for k, v in json.load(f).items()}
        assert list(centroids) == list(range(len(Partition.load(out))))
        assert Partition.load(out).counts.sum() == N_LOCATIONS


def test_scores_are_printed_and_kept(
    road: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    base = f"score {road}/head --cache {road}/cache --splits {road}/splits.json"
    scores = answer(capsys, base)
    assert scores["decoder"] == "centroid"
    assert scores["split"] == "test"
    assert json.loads((road / "head" / "scores.json").read_text()) == scores
    assert load_head(road / "head").training["n_train"] == 18
    fails(capsys, f"score {road}/head --cache {road}/cache --split val", 2, "--split val", "pass --splits FILE")
    fails(capsys, f"compare {road}/head {road}/head --cache {road}/cache --split val", 2, "pass --splits FILE")
    fails(capsys, f"audit {road}/cells --cache {road}/cache --split val", 2, "pass --splits FILE")
    readme = road / "head" / "README.md"
    card = readme.read_text()
    readme.write_text(card.replace("## Limits\n", "## Limits\n\nOnly by day.\n"))
    fails(capsys, base, 1, "README.md was changed inside generated parts", "(limits)")
    answer(capsys, f"{base} --split val")  # whose scores are not in the card
    (road / "head" / "scores-val.json").unlink()
    readme.write_text(card)
    other = answer(capsys, f"{base} --split val --decode mean --out {tmp_path}/s.json")
    assert other["decoder"] == "mean"
    written = (tmp_path / "s.json").read_bytes()
    fails(capsys, f"{base} --out {tmp_path}/s.json", 1, f"{tmp_path}/s.json exists", "--overwrite")
    assert (tmp_path / "s.json").read_bytes() == written
    assert answer(capsys, f"{base} --out {tmp_path}/s.json --overwrite") == scores
    assert json.loads((tmp_path / "s.json").read_text()) == scores
    assert json.loads((road / "head" / "scores.json").read_text()) == scores
    assert main(base.split()) == 0
    assert "balscore" in capsys.readouterr().out
    monkeypatch.setattr("geocell.files.write_json", no_space)
    assert main(f"{base} --out {tmp_path}/full.json --json".split()) == 1
    captured = capsys.readouterr()
    assert json.loads(captured.out) == scores
    assert "No space left on device" in captured.err


def test_prediction_of_files_is_that_of_the_cache(road: Path, capsys: pytest.CaptureFixture[str]) -> None:
    images = f"{road}/img/000_0.jpg {road}/img/000_1.jpg"
    both = answer(capsys, f"predict {road}/head {images} --top-k 3 --device cpu")["predictions"]
    one = answer(capsys, f"predict {road}/head {images} --one-location --device cpu")["predictions"]
    assert len(both) == 2
    assert len(one) == 1
    assert [len(p["cells"]) for p in both] == [3, 3]
    assert len(one[0]["cells"]) == 4
    assert sum(c["probability"] for c in one[0]["cells"]) == pytest.approx(1, abs=1e-5)
    head = load_head(road / "head")
    posterior = head.posterior(FeatureCache.open(road / "cache").locations())[0]
    best = one[0]["cells"][0]
    assert best["cell"] == posterior.argmax()
    assert best["probability"] == pytest.approx(posterior.max(), abs=1e-3)  # the cache keeps float16
    assert (one[0]["lat"], one[0]["lon"]) == tuple(head.partition.centroids[best["cell"]])
    assert main(f"predict {road}/head {images} --one-location --device cpu".split()) == 0
    assert best["name"] in capsys.readouterr().out


def test_answers_are_written(road: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = f"predict {road}/head {road}/img/000_0.jpg {road}/img/001_0.jpg --device cpu"
    for suffix in ("csv", "geojson", "html"):
        assert main(f"{command} --out {tmp_path}/a.{suffix}".split()) == 0
        assert f"wrote {tmp_path}/a.{suffix}" in capsys.readouterr().err
    assert len((tmp_path / "a.csv").read_text().splitlines()) == 3
    assert len(json.loads((tmp_path / "a.geojson").read_text())["features"]) == 2
    assert "<h1>Where was it taken? 2 locations</h1>" in (tmp_path / "a.html").read_text()
    fails(capsys, f"{command} --out {tmp_path}/a.csv", 1, "--overwrite")
    fails(capsys, f"{command} --out {tmp_path}/a.txt", 2, ".csv, .geojson, .html")
    assert main(f"{command} --out {tmp_path}/a.csv --overwrite".split()) == 0


def no_space(*_: object) -> None:
    raise OSError(errno.ENOSPC, "No space left on device")


def test_answers_that_cannot_be_saved_are_printed(
    road: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("geocell.prediction.files.write_text", no_space)
    command = f"predict {road}/head {road}/img/000_0.jpg --device cpu --json --out {tmp_path}/a.csv"
    assert main(command.split()) == 1
    captured = capsys.readouterr()
    assert len(json.loads(captured.out)["predictions"]) == 1
    assert "No space left on device" in captured.err


def test_answers_that_nobody_reads_are_saved(
    road: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def closed(*_: object) -> None:
        raise OSError("the pipe is closed")

    monkeypatch.setattr("geocell.cli.answers.emit", closed)
    assert main(f"predict {road}/head {road}/img/000_0.jpg --device cpu --out {tmp_path}/a.csv".split()) == 1
    assert "the pipe is closed" in capsys.readouterr().err
    assert len((tmp_path / "a.csv").read_text().splitlines()) == 2


def test_images_of_a_table_elsewhere_are_below_the_root(
    road: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table = tmp_path / "t.csv"
    table.write_text("file_name\n000_0.jpg\n001_0.jpg\n")
    command = f"predict {road}/head {table} --device cpu"
    there = answer(capsys, f"{command} --root {road}/img")["predictions"]
    same = answer(capsys, f"predict {road}/head {road}/img/000_0.jpg {road}/img/001_0.jpg --device cpu")["predictions"]
    assert [row["location"] for row in there] == ["000_0.jpg", "001_0.jpg"]
    assert [(row["lat"], row["lon"]) for row in there] == [(row["lat"], row["lon"]) for row in same]
    fails(capsys, f"{command} --root {road}/none", 1, "--root must be a folder that exists")
    for scheme in ("gopher", "reference"):
        fails(capsys, f"{command} --root {scheme}://x", 1, "expected a path or a URL of one of", f"got {scheme}://x")
        fails(capsys, f"encode {table} --out {tmp_path}/c --root {scheme}://x", 1, f"got {scheme}://x")
    fails(capsys, f"predict {road}/head {road}/img/000_0.jpg --root {road}", 2, "--root is for the image paths of tab")
    assert main(command.split()) == 1
    assert "got none of 2: check --root, the folder that image paths" in capsys.readouterr().err


def test_absolute_ids_in_a_file_are_told(road: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = f"predict {road}/head --device cpu --out {tmp_path}"
    for name, given, told in (
        ("a.csv", f"{road}/img/000_0.jpg", True),
        ("b.csv", f"{road}/photos.csv", False),
        ("c.html", f"{road}/img/000_0.jpg", False),
    ):
        assert main(f"{command}/{name} {given}".split()) == 0
        said = (
            f"{tmp_path}/{name} names images as they were given, {given} first: to publish it"
            in capsys.readouterr().err
        )
        assert said == told
    assert f"{road}/img/000_0.jpg" in (tmp_path / "a.csv").read_text()
    assert str(road) not in (tmp_path / "c.html").read_text()


def test_tables_and_broken_images_are_answered(road: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = f"predict {road}/head --device cpu"
    rows = answer(capsys, f"{command} {road}/photos.csv --top-k 1")["predictions"]
    locations = FeatureCache.open(road / "cache").locations()
    assert [row["location"] for row in rows] == list(dict.fromkeys(pd.read_csv(road / "photos.csv")["location"]))
    assert all(row["distance_km"] >= 0 for row in rows)
    assert len(rows) == len(locations)
    shown = answer(capsys, f"{command} {road}/photos.csv --hide-truth")["predictions"]
    assert {row["truth"] for row in shown} == {None}
    bad = tmp_path / "broken.jpg"
    bad.write_bytes(b"no image")
    both = answer(capsys, f"{command} {road}/img/000_0.jpg {bad} {tmp_path}/gone.jpg --out {tmp_path}/a.html")
    first, second, third = (row["problem"] for row in both["predictions"])
    assert (first, third) == ("", "no such file")
    assert second.startswith("cannot identify image file")
    assert "cannot identify image file" in (tmp_path / "a.html").read_text()
    assert main(f"{command} {bad}".split()) == 1
    captured = capsys.readouterr()
    assert captured.out.startswith(f"{bad}: no answer: cannot identify image file")
    assert "at least one location must be answered, got none of 1" in captured.err
    fails(capsys, f"{command} {tmp_path}/none.jpg {tmp_path}/no.csv", 1, "none.jpg, which is not there")


def test_an_ensemble_is_asked(road: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    head = load_head(road / "head")
    Ensemble((head, head)).save(tmp_path / "both")
    image = f"{road}/img/000_0.jpg --device cpu"
    ours, theirs = (answer(capsys, f"predict {path} {image}") for path in (tmp_path / "both", road / "head"))
    assert ours["predictions"][0]["cells"][0]["probability"] == pytest.approx(
        theirs["predictions"][0]["cells"][0]["probability"], abs=1e-6
    )


@pytest.mark.loopback
def test_a_head_is_pushed_pulled_and_named_by_its_repository(
    hub: Hub, road: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    dry = answer(capsys, f"push {road}/head me/head --dry-run --license cc-by-4.0")
    fails(
        capsys, f"push {road}/head me/head --benchmark osv5m", 2, "benchmark must be a data set on the Hub", "'osv5m'"
    )
    fails(capsys, f"push {road}/head me/head --datasets me/a--b", 2, "datasets must be", "Cannot have -- or ..")
    fails(capsys, f"push {road}/head me/a--b --dry-run", 2, "a name that the Hub takes", "Cannot have -- or ..")
    fails(capsys, "pull me", 2, "is written user/repo")
    fails(capsys, f"import me --head a --out {tmp_path}/made", 2, "is written user/repo")
    assert hub.requests == []
    assert dry["address"] is None
    assert "license: cc-by-4.0" in str(dry["card"])
    assert main(f"push {road}/head me/head --dry-run".split()) == 0
    assert "me/head@main would get" in capsys.readouterr().out
    pushed = answer(capsys, f"push {road}/head me/head --private --revision v1")
    assert (pushed["repo"], pushed["revision"]) == ("me/head", "v1")
    assert set(dict(pushed["files"])) == set(hub.files("me/head", "v1"))  # type: ignore[call-overload]
    assert not any(str(road).encode() in content for content in hub.files("me/head", "v1").values())
    hub.put("me/head", {"best.pt": b"x"}, branch="v1")
    assert main(f"pull me/head@v1 --out {tmp_path}/copy".split()) == 0
    captured = capsys.readouterr()
    assert captured.err == "me/head@v1 also holds best.pt: pickles, not downloaded and not read.\n"
    assert captured.out.startswith(f"{tmp_path}/copy: me/head@v1 at commit ")
    base = f"--cache {road}/cache --splits {road}/splits.json"
    there, here = (answer(capsys, f"score {name} {base}") for name in ("me/head@v1", f"{tmp_path}/copy"))
    assert there == here
    image = f"{road}/img/000_0.jpg --device cpu --encoder {road}/clip"
    assert answer(capsys, f"predict me/head@v1 {image}") == answer(capsys, f"predict {road}/head {image}")
    fit = f"fit-head {base} --partition {road}/cells --epochs 1 --device cpu --out {tmp_path}/second"
    assert answer(capsys, f"{fit} --init me/head@v1")["training"]["init"] is not None  # type: ignore[index]
    fails(capsys, f"pull me/head@v1 --out {tmp_path}/copy", 1, "--overwrite")
    fails(capsys, "pull me/head@v9", 1, "has no revision 'v9'")
    fails(capsys, f"push {road}/head me/head@v1 --revision v2", 2, "expected the branch once")
    fails(capsys, f"push {road}/head you/head", 1, "may not write to you/head")
    fails(capsys, f"push {road}/cells me/cells", 1, "a head needs the file config.json")


@pytest.mark.loopback
def test_published_heads_are_imported(hub: Hub, road: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    import torch

    head = load_head(road / "head")
    torch.save({"model": head.module.state_dict()}, tmp_path / "best.pt")
    two = f"{tmp_path}/best.pt {road}/head/geocell_info.json"
    made = answer(capsys, f"import {two} --encoder {road}/clip --out {tmp_path}/made")
    assert main(f"import {two} --encoder {road}/clip --out {tmp_path}/made --overwrite".split()) == 0
    assert capsys.readouterr().out == f"{tmp_path}/made: 4 cells from best.pt\n"
    assert made["n_cells"] == 4
    image = f"{road}/img/000_0.jpg --device cpu"
    ours, theirs = (
        answer(capsys, f"predict {path} {image}")["predictions"][0]  # type: ignore[index]
        for path in (road / "head", tmp_path / "made")
    )
    assert (ours["lat"], ours["cells"][0]["probability"]) == (theirs["lat"], theirs["cells"][0]["probability"])
    hub.put("you/heads", {"a/best.pt": (tmp_path / "best.pt").read_bytes(), "i.json": b"{}"})
    base = f"--encoder {road}/clip --out {tmp_path}/other"
    fails(capsys, f"import you/heads --head a {base}", 1, "which cells a is on")
    fails(capsys, f"import you/heads i.json --head a {base}", 1, 'exactly the keys "0"')
    fails(capsys, f"import you/none i.json --head a {base}", 1, "there is no repository you/none")
    fails(capsys, f"import {tmp_path}/best.pt {base}", 2, "geocell_info.json")
    fails(capsys, f"import {two} --encoder {road}/clip --out {tmp_path}/made", 1, "--overwrite")
    assert not (tmp_path / "other").exists()


def test_looking_at_caches_and_partitions(road: Path, capsys: pytest.CaptureFixture[str]) -> None:
    info = answer(capsys, f"cache info {road}/cache")
    assert (info["views"], info["good"], info["bad"], info["locations"]) == (60, 60, 0, 30)
    audit = answer(capsys, f"audit {road}/cells --cache {road}/cache --splits {road}/splits.json --split test")
    assert audit["audits"][0]["n_cells"] == 4
    assert main(f"audit {road}/cells {road}/cells --table {road}/photos.csv".split()) == 0
    out = capsys.readouterr().out
    assert sum(line.startswith(f"{road}/cells ") for line in out.splitlines()) == 4  # two rows in each of two tables
    assert f"{road}/cells: Even the oracle is within 25 km" in out


def test_audits_know_countries_and_features_and_draw(
    road: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    base = f"audit {road}/cells --plot {tmp_path}/ceilings.png"
    from_table = answer(capsys, f"{base} --table {road}/photos.csv")["audits"][0]
    from_cache = answer(capsys, f"{base} --cache {road}/cache")["audits"][0]
    assert {name: one["n_locations"] for name, one in from_table["countries"].items()} == {"C0": 10, "C1": 10, "C2": 10}
    assert from_cache["countries"] == from_table["countries"]
    assert (from_table["dim"], from_table["n_parameters"], from_cache["dim"]) == (None, None, 32)
    assert from_cache["n_parameters"] == 4 * 32 + 4 + 2 * 32
    assert (tmp_path / "ceilings.png").stat().st_size > 10_000
    assert main(f"audit {road}/cells --table {road}/photos.csv --by-country".split()) == 0
    out = capsys.readouterr().out
    assert (out.count("C1"), out.count("parameters")) == (1, 0)
    monkeypatch.setattr("geocell.plots.draw_audits", no_space)
    assert main([*f"{base} --cache {road}/cache --json".split()]) == 1
    captured = capsys.readouterr()
    assert json.loads(captured.out)["audits"][0] == from_cache
    assert "No space left on device" in captured.err
    bare = tmp_path / "bare.csv"
    bare.write_text("lat,lon\n50,10\n")
    fails(capsys, f"audit {road}/cells --table {bare} --by-country", 1, "column 'country'")


def test_cells_are_exported(road: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    result = answer(capsys, f"export {road}/cells {tmp_path}/cells.geojson")
    assert result["n_cells"] == len(json.loads((tmp_path / "cells.geojson").read_text())["features"]) == 4
    assert main(f"export {road}/cells {tmp_path}/cells.parquet".split()) == 0
    assert "4 kmeans cells" in capsys.readouterr().out
    fails(capsys, f"export {road}/cells {tmp_path}/cells.kml", 2, ".geojson or .parquet", "cells.kml")


def test_cells_are_drawn(road: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert answer(capsys, f"plot {road}/cells --out {tmp_path}/cells.html")["n_cells"] == 4
    page = (tmp_path / "cells.html").read_text()
    assert "<h1>kmeans: 4 cells</h1><p>18 training locations from cache, split train</p>" in page
    assert main(f"plot {road}/cells --out {tmp_path}/cells.png --title Cells --bbox 35 -10 65 25".split()) == 0
    assert (tmp_path / "cells.png").read_bytes()[:4] == b"\x89PNG"
    assert "4 kmeans cells" in capsys.readouterr().out
    fails(capsys, f"plot {road}/cells --out {tmp_path}/cells.pdf", 2, ".png, .svg or .html", "cells.pdf")
    fails(
        capsys, f"plot {road}/cells --out {tmp_path}/cells.png --bbox 65 -10 35 25", 2, "bbox", "latitude comes first"
    )


def test_recipes_are_defaults_of_flags(road: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    recipe = tmp_path / "recipe.toml"
    recipe.write_text('[fit]\nepochs = 2\nlabel_smoothing = 0.2\nfusion = "logit"\n[published]\nbalscore = 63.1\n')
    base = f"fit-head --cache {road}/cache --splits {road}/splits.json --partition {road}/cells --recipe {recipe}"
    fit = answer(capsys, f"{base} --out {tmp_path}/a --device cpu --epochs 1")["fit"]
    assert (fit["epochs"], fit["label_smoothing"], fit["fusion"]) == (1, 0.2, "logit")
    recipe.write_text("[fit]\nepoch = 2\n")
    fails(capsys, f"{base} --out {tmp_path}/b", 2, "epoch", "epochs")
    cells = tmp_path / "cells.toml"
    cells.write_text('[partition]\nkind = "kmeans"\nk = 3\nmin_count = 2\n')
    base = f"--table {road}/photos.csv --recipe {cells} --out"
    assert answer(capsys, f"partition kmeans {base} {tmp_path}/k")["parameters"]["min_count"] == 2
    assert len(Partition.load(tmp_path / "k")) <= 3
    fails(capsys, f"partition h3 {base} {tmp_path}/h", 2, "kind 'h3'")
    parameters = answer(capsys, f"partition {base} {tmp_path}/r --k 2")["parameters"]
    assert parameters == {"k": 2, "seed": 0, "min_count": 2, "small": "merge", "centroid": "mean"}


def test_a_warm_start_and_its_refusal(road: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    base = f"fit-head --cache {road}/cache --splits {road}/splits.json --init {road}/head --epochs 1 --device cpu"
    training = answer(capsys, f"{base} --partition {road}/cells --out {tmp_path}/a --haversine 0.05")["training"]
    assert training["init"]["fit"]["epochs"] == 3
    assert main(f"partition kmeans --k 5 --cache {road}/cache --out {tmp_path}/five".split()) == 0
    capsys.readouterr()
    fails(capsys, f"{base} --partition {tmp_path}/five --out {tmp_path}/b", 1, "same cells")


def test_tables_own_splits(road: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    frame = pd.DataFrame({"lat": [1.0, 2, 3], "lon": 0.0, "split": ["train", "val", "test"], "location": list("abc")})
    frame.to_csv(tmp_path / "t.csv", index=False)
    made = answer(capsys, f"split {tmp_path}/t.csv --from-column --out {tmp_path}/s.json")
    assert made["locations"] == {"train": 1, "val": 1, "test": 1}
    assert made["nearest_train"]["test"]["min_km"] == pytest.approx(222.39, abs=0.01)
    fails(capsys, f"split {road}/cache --from-column --out {tmp_path}/x.json", 1, "must have a split column")


def test_without_validation_the_last_epoch_is_kept(
    road: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(f"split {road}/cache --fractions 0.8 0 0.2 --out {tmp_path}/s.json".split()) == 0
    fit = f"fit-head --cache {road}/cache --splits {tmp_path}/s.json --partition {road}/cells --device cpu --epochs 2"
    assert main(f"{fit} --out {tmp_path}/h".split()) == 0
    assert "epoch 2 of 2 kept: there is no validation split" in capsys.readouterr().out
    score = f"score {tmp_path}/h --cache {road}/cache --splits {tmp_path}/s.json --split val"
    fails(capsys, score, 1, "split 'val' has no location")


def test_a_refit_trains_on_validation_locations_too(
    road: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    base = f"fit-head --cache {road}/cache --splits {road}/splits.json --partition {road}/cells --device cpu --epochs 2"
    (tmp_path / "r.toml").write_text("[fit]\nrefit = true\n")
    training = answer(capsys, f"{base} --recipe {tmp_path}/r.toml --out {tmp_path}/h")["training"]
    assert isinstance(training, dict)
    assert training["refit"]["n_train"] == training["n_train"] + training["n_val"]
    assert training["refit"]["epochs"] == training["best_epoch"] == 2
    assert main(f"{base} --refit --out {tmp_path}/i".split()) == 0
    assert f"fitted again on {training['refit']['n_train']} training and validation" in capsys.readouterr().out
    splits = f"--cache {road}/cache --splits {road}/splits.json --split"
    assert main(f"score {road}/head {splits} val --out {tmp_path}/seen.json".split()) == 0
    capsys.readouterr()
    fails(capsys, f"score {tmp_path}/i {splits} val", 2, f"{training['n_val']} of the", "--allow-training")
    assert main(f"score {tmp_path}/i {splits} test --out {tmp_path}/unseen.json".split()) == 0
    assert load_head(tmp_path / "i").training == load_head(tmp_path / "h").training == training


def test_a_class_that_a_split_lost_is_said(road: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    cells = f"partition kdtree --max-count 2 --cache {road}/cache --out {tmp_path}/fine"  # of all locations
    assert main(cells.split()) == 0
    capsys.readouterr()
    assert (
        main(
            f"fit-head --cache {road}/cache --splits {road}/splits.json --partition {tmp_path}/fine --out {tmp_path}/h "
            "--epochs 1 --device cpu".split()
        )
        == 0
    )
    assert "without a training location in this split" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("table", "words"),
    [
        ("image,lat\na.jpg,1\n", "column for lon"),
        ("image,lat,lon\na.jpg,120,45\n", "look swapped"),
        ("image,lat,lon\na.jpg,91,200\n", "[91.0, 200.0] in row 0"),
        ("image,lat,lon\na.jpg,,1\n", r"a view with a position, got 1 without"),
        ("image,lat,lon\n", "at least one row"),
    ],
)
def test_bad_tables(tmp_path: Path, capsys: pytest.CaptureFixture[str], table: str, words: str) -> None:
    (tmp_path / "t.csv").write_text(table)
    fails(capsys, f"encode {tmp_path}/t.csv --encoder efficientnet-lite0 --out {tmp_path}/c", 1, words)
    fails(capsys, f"split {tmp_path}/t.csv --out {tmp_path}/s.json", 1, words) if "image" in words else None
    assert not (tmp_path / "c").exists()


def test_bad_input_is_one_sentence(road: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    make_image(tmp_path / "nogps" / "a.jpg")
    fails(capsys, f"encode {tmp_path}/nogps --out {tmp_path}/c", 1, "EXIF GPS", "metadata.csv")
    fails(capsys, f"encode {tmp_path}/none.csv --out {tmp_path}/c", 1, "does not exist")
    fails(
        capsys, f"encode {road}/photos.csv --encoder efficientnet-lite0 --out {road}/cache", 1, "must share one encoder"
    )
    fails(capsys, f"split {road}/cache --out {road}/splits.json", 1, "--overwrite")
    fails(capsys, f"partition h3 --cache {road}/cache --out {road}/cells", 1, "--overwrite")
    fails(capsys, f"partition h3 --resolution 99 --cache {road}/cache --out {tmp_path}/p", 2, "resolution", "99")
    fails(capsys, f"partition h3 --out {tmp_path}/p", 2, "one of --cache DIR and --table FILE")
    fails(capsys, f"partition h3 --table {road}/photos.csv --splits x --out {tmp_path}/p", 2, "--splits")
    fails(capsys, f"partition kmeans --k 99 --cache {road}/cache --out {tmp_path}/p", 1, "99", "30")
    fails(
        capsys,
        f"partition nuts --shapes {tmp_path}/none.geojson --cache {road}/cache --out {tmp_path}/p",
        1,
        "none.geojson",
    )
    fails(capsys, f"partition kmeans --cache {road}/cache --out {tmp_path}/p", 2, "--k")
    fails(capsys, f"score {road}/cells --cache {road}/cache", 1, "a head needs the file config.json")
    fails(
        capsys,
        f"score {road}/head --cache {road}/cache --splits {road}/splits.json --split dev",
        2,
        "train, val, test",
        "'dev'",
    )
    fails(capsys, f"score {road}/head --cache {road}/cache --decode best", 2, "decode must be one of")
    fails(capsys, f"score {road}/head --cache {road}/cache --decode .x:Y", 2, "expected a decoder at .x:Y")
    fails(capsys, f"score {road}/head --cache {road}/cache --device tpu", 2, "device must be auto or one of")
    fails(capsys, f"predict {road}/head {road}/img/000_0.jpg --device tpu", 2, "device must be auto or one of")
    fails(capsys, f"predict {road}/head {tmp_path}/none.jpg", 1, "none.jpg")
    fails(capsys, f"predict {road}/head {road}/img/000_0.jpg --top-k 0 --device cpu", 2, "top_k must be a whole number")
    fails(capsys, "fit-head", 2, "--cache")
    everything = (
        f"fit-head --cache {road}/cache --splits {road}/splits.json --partition {road}/cells --out {tmp_path}/h"
    )
    fails(capsys, f"{everything} --epochz 3", 2, "--epochz", "--epochs")
    fails(capsys, f"{everything} --epochs 0", 2, "epochs must be")
    fails(capsys, "nonsense", 2, "nonsense")


@pytest.mark.parametrize(
    "flags",
    [
        "--batch-size 0",
        "--device tpu",
        "--preset nonsense",
        "--downloads 0",
        "--download-timeout-s 0",
        "--pooling max",
        "--augment crop9",
        "--backend cv",
        "--dtype int8",
        "--image-timeout 0",
        "--workers -1",
    ],
)
def test_flags_that_cannot_be_are_wrong_usage_before_anything_is_read(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], flags: str
) -> None:
    fails(capsys, f"encode {tmp_path}/none.csv --out {tmp_path}/c {flags}", 2, flags.rsplit(maxsplit=1)[-1])


def test_inputs_that_are_no_table_of_paths(road: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "t.csv").write_text(
        "IMG_ID,AUTHOR,LON,LAT\n000_0.jpg,a,-16.66,145.56\nTown_00001_001_0.jpg,a,42.3,-71.1\ngone.jpg,a,1,2\n"
    )
    command = f"encode {tmp_path}/t.csv --root {road} --preset im2gps --encoder {road}/clip --device cpu"
    assert main(f"{command} --out {tmp_path}/c --json".split()) == 0
    captured = capsys.readouterr()
    assert json.loads(captured.out)["problems"] == {"no such file": 1}
    assert "headings of latitude and longitude are exchanged" in captured.err
    assert FeatureCache.open(tmp_path / "c").views["image"].tolist() == ["img/000_0.jpg", "img/001_0.jpg", "gone.jpg"]
    assert FeatureCache.open(tmp_path / "c").views["lat"].tolist() == [-16.66, 42.3, 1.0]


@pytest.mark.loopback
def test_a_branch_that_moves_does_not_change_a_cache_that_was_begun(
    road: Path, tmp_path: Path, hub: Hub, capsys: pytest.CaptureFixture[str]
) -> None:
    first = hub.put("someone/clip", road / "clip")
    command = f"encode {road}/photos.csv --encoder someone/clip --device cpu --augment flip --out {tmp_path}/c"
    begun = answer(capsys, command)["encoder"]
    assert (begun["revision"], begun["pooling"]) == (first, "pooler_output, mean of flip")
    hub.put("someone/clip", make_clip(tmp_path / "moved", seed=5))
    assert answer(capsys, command)["encoder"] == begun
    assert answer(capsys, command.replace(f"{tmp_path}/c", f"{tmp_path}/d"))["encoder"]["revision"] != first
    fails(capsys, command.replace("--augment flip", ""), 1, "must share one encoder", "mean of flip")


def test_one_location_cannot_be_split(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "t.csv").write_text("image,lat,lon\na.jpg,1,2\n")
    fails(capsys, f"split {tmp_path}/t.csv --out {tmp_path}/s.json", 1, "at least 3 separate places, got 1")
    assert main(f"partition kdtree --max-count 5 --table {tmp_path}/t.csv --out {tmp_path}/p".split()) == 0
    assert len(Partition.load(tmp_path / "p")) == 1


def test_features_of_another_encoder_and_partitions_of_another_head(
    road: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    np.save(tmp_path / "f.npy", np.zeros((60, 32), np.float32))
    imported = f"cache import {tmp_path}/f.npy {road}/photos.csv --encoder other --out {tmp_path}/cache"
    assert answer(capsys, imported)["encoder"]["name"] == "other"
    fails(capsys, f"score {road}/head --cache {tmp_path}/cache", 1, "must share one encoder", "name='other'")
    make_clip(tmp_path / "clip", seed=9)
    image = f"{road}/img/000_0.jpg"
    fails(capsys, f"predict {road}/head {image} --encoder {tmp_path}/clip --device cpu", 1, "must share one encoder")
    head = load_head(road / "head")
    head.save(tmp_path / "head")
    assert main(f"partition h3 --resolution 1 --cache {road}/cache --out {tmp_path}/other".split()) == 0
    capsys.readouterr()
    for name in ("geocell_info.json", "partition.json"):
        (tmp_path / "head" / name).write_bytes((tmp_path / "other" / name).read_bytes())
    fails(capsys, f"score {tmp_path}/head --cache {road}/cache", 1, "is of another head")
    (tmp_path / "head" / "hashes.json").unlink()
    fails(capsys, f"score {tmp_path}/head --cache {road}/cache", 1, "partition")


def test_corrupt_images_are_counted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    make_clip(tmp_path / "clip")
    table = make_photos(tmp_path, 4, 1)
    (tmp_path / "img" / "002_0.jpg").write_bytes(b"broken")
    command = f"encode {table} --encoder {tmp_path}/clip --device cpu --out {tmp_path}/cache"
    summary = answer(capsys, command)
    assert (summary["good"], summary["bad"]) == (3, 1)
    assert list(summary["problems"].values()) == [1]
    assert main(command.split()) == 0
    assert "3 good, 1 bad" in capsys.readouterr().out


def test_interrupts_and_surprises_end_in_one_line(
    road: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("geocell.encoding.encode", interrupted)
    command = f"encode {road}/photos.csv --encoder {road}/clip --device cpu --out {tmp_path}/c"
    fails(capsys, command, 130, "interrupted; what was finished is kept, run the same command again")

    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("out of\nmemory")

    monkeypatch.setattr("geocell.encoding.encode", broken)
    fails(capsys, command, 1, "out of memory")
    assert main([*command.split(), "--verbose"]) == 1
    assert "Traceback" in capsys.readouterr().err


def test_help_and_version(capsys: pytest.CaptureFixture[str]) -> None:
    for command in ("--help", "--version", "fit-head --help"):
        assert main(command.split()) == 0
    out = capsys.readouterr().out
    assert "fit-head" in out
    assert "label smoothing" in out.replace("\n", " ") or "--label-smoothing" in out


@pytest.mark.slow
def test_nothing_of_other_libraries_reaches_the_user(road: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "geocell", *f"encode {road}/photos.csv --device cpu --out {tmp_path}/c".split()]
    environment = {k: v for k, v in os.environ.items() if k != "HF_HUB_DISABLE_PROGRESS_BARS"}
    done = subprocess.run(
        [*command, "--encoder", str(road / "clip")], capture_output=True, text=True, check=True, env=environment
    )
    assert done.stderr == f"loading the encoder {road}/clip\n"
    assert len(done.stdout.splitlines()) == 2


def test_scores_of_other_splits_stay_out_of_the_card(road: Path, capsys: pytest.CaptureFixture[str]) -> None:
    base = f"score {road}/head --cache {road}/cache --splits {road}/splits.json"
    test = answer(capsys, base)
    train = answer(capsys, f"{base} --split train --allow-training")
    assert json.loads((road / "head" / "scores.json").read_text()) == test
    assert json.loads((road / "head" / "scores-train.json").read_text()) == train


def test_broken_files_are_one_sentence(road: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "r.toml").write_text('[fit]\ndecode = ["x"]\n')
    base = f"fit-head --cache {road}/cache --splits {road}/splits.json --partition {road}/cells --out {tmp_path}/h"
    fails(capsys, f"{base} --recipe {tmp_path}/r.toml", 2, "decode must be one of")
    shutil.copytree(road / "cache", tmp_path / "c")
    manifest = json.loads((tmp_path / "c" / "cache.json").read_text())
    for change, words in (({"encoder": None}, "encoder"), ({"rows": "60"}, "rows"), ({"shard_rows": 0}, "shard_rows")):
        (tmp_path / "c" / "cache.json").write_text(json.dumps({**manifest, **change}))
        fails(capsys, f"cache info {tmp_path}/c", 1, words)
    (tmp_path / "c" / "cache.json").write_text(json.dumps(manifest))
    (tmp_path / "c" / "views.parquet").write_bytes(b"x")
    fails(capsys, f"cache info {tmp_path}/c", 1, "must be a readable Parquet file")
    fails(capsys, f"split {road}/cache --out {tmp_path} --overwrite", 1, "got the folder")


def test_a_cache_without_a_good_view_is_a_failure(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "t.csv").write_text("image,lat,lon\nempty.jpg,1,2\n")
    make_clip(tmp_path / "clip")
    command = f"encode {tmp_path}/t.csv --encoder {tmp_path}/clip --device cpu --out {tmp_path}/c"
    fails(capsys, command, 1, "none of the 1 image files", "--root")
    assert not (tmp_path / "c").exists()
    (tmp_path / "empty.jpg").write_bytes(b"")
    fails(capsys, command, 1, "at least one good view", "cannot identify image file", "--retry")
    fails(capsys, f"split {tmp_path}/c --out {tmp_path}/s.json", 1, "at least one location")


def test_a_split_of_which_locations_are_missing_is_said(
    road: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    value = json.loads((road / "splits.json").read_text())
    value["splits"]["test"].append("elsewhere")
    (tmp_path / "s.json").write_text(json.dumps(value))
    assert (
        main(f"score {road}/head --cache {road}/cache --splits {tmp_path}/s.json --out {tmp_path}/o.json".split()) == 0
    )
    assert "6 of the 7 locations of split test are in" in capsys.readouterr().err


@pytest.mark.parametrize(("flags", "call"), [("", 3), ("--refit", 7)])
def test_an_interrupted_fit_is_resumed(
    road: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    flags: str,
    call: int,
) -> None:
    base = f"fit-head --cache {road}/cache --splits {road}/splits.json --partition {road}/cells --device cpu --epochs 4"
    base += f" {flags}"
    fails(capsys, f"{base} --out {tmp_path}/h --resume", 1, "--resume needs the state of a fit")
    answer(capsys, f"{base} --out {tmp_path}/whole")
    validate, calls = Validation.score, []

    def interrupted(*args: Any) -> dict[str, float]:
        calls.append(1)
        if len(calls) == call:
            raise KeyboardInterrupt
        return validate(*args)

    monkeypatch.setattr(Validation, "score", interrupted)
    assert main(f"{base} --out {tmp_path}/h".split()) == 130
    capsys.readouterr()
    state = (tmp_path / "h.fit").read_bytes()
    shutil.rmtree(tmp_path / "h")  # as after a kill, which leaves the state alone
    fails(capsys, f"{base} --out {tmp_path}/h", 1, "h.fit", "--resume", "--overwrite")
    assert (tmp_path / "h.fit").read_bytes() == state
    assert main(f"{base} --out {tmp_path}/h --resume".split()) == 0
    for file in (tmp_path / "whole").iterdir():
        assert file.read_bytes() == (tmp_path / "h" / file.name).read_bytes(), file.name
    assert sorted(path.name for path in tmp_path.iterdir()) == ["h", "whole"]


def test_encode_overwrite_begins_again(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    make_clip(tmp_path / "clip")
    first = make_photos(tmp_path / "a", 4, 1)
    second = make_photos(tmp_path / "b", 3, 2)
    command = f"--encoder {tmp_path}/clip --device cpu --out {tmp_path}/cache"
    assert answer(capsys, f"encode {first} {command} --overwrite")["views"] == 4
    fails(capsys, f"encode {second} {command}", 1, "is a cache of")
    fails(capsys, f"encode {tmp_path}/none.csv {command} --overwrite", 1, "does not exist")
    assert FeatureCache.open(tmp_path / "cache").manifest.rows == 4
    assert answer(capsys, f"encode {second} {command} --overwrite")["views"] == 6
    assert len(FeatureCache.open(tmp_path / "cache")) == 6
    fails(capsys, f"encode {second} {command} --overwrite --retry", 2, "--overwrite begins again", "--retry")
    (tmp_path / "cache" / "notes.txt").write_text("mine")
    fails(capsys, f"encode {second} {command} --overwrite", 1, "would delete notes.txt")
    assert len(FeatureCache.open(tmp_path / "cache")) == 6


def test_cells_of_countries_and_a_map_of_centroids(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    table = write_csv(tmp_path / "t.csv", "lat,lon\n48.8,2.3\n50.1,8.7\n41.9,12.5\n48.1,11.6\n")
    cells = f"partition polygons --table {table} --out {tmp_path}/cells --shapes"
    fails(capsys, f"{cells} {tmp_path}/none", 2, "id_column must be the name of a column")
    assert answer(capsys, f"{cells} countries")["n_cells"] == 3
    (tmp_path / "bare").mkdir()
    info = (tmp_path / "cells" / "geocell_info.json").read_text()
    (tmp_path / "bare" / "geocell_info.json").write_text(info)
    for name in ("map.png", "map.html"):
        assert answer(capsys, f"plot {tmp_path}/bare --out {tmp_path}/{name} --bbox 40 0 55 20")["n_cells"] == 3
        assert (tmp_path / name).stat().st_size > 10_000
    fails(capsys, f"plot {tmp_path}/bare --out {tmp_path}/m.png --bbox 50 0 40 20", 2, "bbox must be degrees")


def test_completion_is_offered_and_v_is_the_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["-V"]) == 0
    short = capsys.readouterr().out
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == short == f"{geocell.__version__}\n"
    script = build_app().generate_completion(shell="bash")  # noqa: S604 - a name, and nothing is run
    assert "fit-head" in script
    assert "--label-smoothing" in script


def test_help_is_in_the_order_of_the_work(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0
    out = capsys.readouterr().out
    steps = ["quickstart", "encode", "split", "partition", "fit-head", "calibrate", "score", "predict", "push"]
    places = [re.search(rf"^│ {step} ", out, re.MULTILINE) for step in steps]
    assert all(places)
    starts = [place.start() for place in places if place]
    assert starts == sorted(starts)


@pytest.mark.skipif(not hasattr(signal, "SIGHUP"), reason="signals of POSIX")
@pytest.mark.parametrize("error", [ValueError, LookupError])
def test_a_signal_that_another_library_took_for_its_own_error(
    error: type[Exception], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def lost(*_: object) -> None:
        try:
            signal.raise_signal(signal.SIGTERM)
        except KeyboardInterrupt:
            raise error("could not determine the shape of an object") from None

    monkeypatch.setattr("geocell.features.FeatureCache.open", lost)
    assert main(["cache", "info", "cache"]) == 143
    assert capsys.readouterr().err == "geocell: interrupted; what was finished is kept, run the same command again.\n"
