"""Every artefact that format 1 was released with is read to the same bytes and the same answers."""

import io
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import geocell
from geocell.cli import main
from tests.released import answers
from tests.released.answers import FORMAT1

pytestmark = pytest.mark.usefixtures("one_thread")

EXPECTED = json.loads((FORMAT1.parent / "expected.json").read_text(encoding="utf-8"))
IMAGES = [f"inputs/images/{i}.png" for i in range(4)]
DATA = ("--cache", "cache", "--splits", "splits.json")
KINDS = ["h3", "h3-adaptive", "s2", "quadtree", "kdtree", "kmeans", "nuts", "polygons", "semantic", "centroids"]
CELLS = ("geocell_info.json", "partition.json", "cells.geojson")
WEIGHTS = ("model.safetensors", "offsets.safetensors")

# Answers pass through the encoder's arithmetic, which differs between processors, and are then kept in half precision.
ENCODED = 1e-3


@pytest.fixture(scope="module")
def arrays() -> dict[str, np.ndarray]:
    with np.load(FORMAT1.parent / "expected.npz", allow_pickle=False) as file:
        return {name: file[name] for name in file.files}


@pytest.fixture
def world(tmp_path: Path) -> Path:
    """A copy of the artefacts that a test may write to.

    Recipes state what differs from the defaults, and the epoch that is kept by default has changed since.
    """
    folder = Path(shutil.copytree(FORMAT1, tmp_path / "format1"))
    for path in [folder / "recipes/sweep.toml", *(folder / "recipes/heads").glob("*/recipe.toml")]:
        path.write_text(path.read_text(encoding="utf-8").replace("[fit]\n", '[fit]\nkeep = "best"\n'), encoding="utf-8")
    return folder


@dataclass(frozen=True)
class Said:
    """What a command wrote to its standard streams."""

    stdout: str
    stderr: str


def run(folder: Path, *args: str, status: int = 0) -> Said:
    """Run a command in a folder; in this process, since importing what commands need takes seconds."""
    out, errors = io.StringIO(), io.StringIO()
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(out), redirect_stderr(errors):
        patch.chdir(folder)
        patch.setattr("geocell.cli.app._quiet_third_parties", lambda: None)
        assert main(args) == status, errors.getvalue()
    return Said(out.getvalue(), errors.getvalue())


CHANGED = ("advice", "doubt", "radius_50_km", "radius_90_km")
"""Answers that later versions mean to give otherwise: prose, and how far around a point its probability reaches."""


def same(found: Any, expected: Any, where: str, tolerance: float = 1e-6) -> None:
    """Compare with what was answered then: text, whole numbers and lists exactly; later keys of an object may come."""
    if isinstance(expected, dict):
        assert isinstance(found, dict) and set(expected) <= set(found), (where, set(expected) - set(found))
        for key, value in expected.items():
            if key in CHANGED:
                continue
            same(found[key], value, f"{where}/{key}", tolerance)
    elif isinstance(expected, list):
        assert isinstance(found, list | tuple) and len(found) == len(expected), where
        for i, (left, right) in enumerate(zip(found, expected, strict=True)):
            same(left, right, f"{where}/{i}", tolerance)
    elif isinstance(expected, float) and isinstance(found, float | int):
        np.testing.assert_allclose(found, expected, rtol=tolerance, atol=tolerance, err_msg=where)
    else:
        assert found == expected, where


def check(key: str, found: dict[str, Any], arrays: dict[str, np.ndarray]) -> None:
    """Compare all answers about one artefact."""
    expected = EXPECTED["answers"][key]
    same(found, expected, key)
    names = [name.removeprefix(f"{key}/") for name in arrays if name.startswith(f"{key}/")]
    assert names
    for name in names:
        wanted = arrays[f"{key}/{name}"]
        assert found[name].shape == wanted.shape, (key, name)
        np.testing.assert_allclose(found[name], wanted, rtol=1e-6, atol=1e-6, err_msg=f"{key} {name}")


def same_files(found: Path, released: Path, names: tuple[str, ...]) -> None:
    """Compare the bytes of those files that are in the released folder."""
    assert {name for name in names if (found / name).exists()} == {n for n in names if (released / n).exists()}
    for name in names:
        if (released / name).exists():
            assert (found / name).read_bytes() == (released / name).read_bytes(), name


def read_json(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


def test_the_files_are_those_that_were_written() -> None:
    assert answers.files_sha256() == EXPECTED["files"]


def test_every_artefact_has_answers() -> None:
    names = {f"cache {name}" for name in answers.caches()} | {f"splits {name}" for name in answers.splits()}
    names |= {f"partition {name}" for name in answers.partitions()} | {f"head {name}" for name in answers.heads()}
    assert names | {"ensemble ensemble"} == set(EXPECTED["answers"])
    kinds = {value["kind"] for key, value in EXPECTED["answers"].items() if key.startswith("partition ")}
    assert kinds == set(KINDS)


@pytest.mark.parametrize("name", answers.caches())
def test_feature_cache(name: str, arrays: dict[str, np.ndarray]) -> None:
    check(f"cache {name}", answers.of_cache(name), arrays)
    cache = geocell.FeatureCache.open(FORMAT1 / name)
    stored = cache.locations(in_memory=False)
    np.testing.assert_array_equal(stored.mean_features(), cache.locations().mean_features())
    assert len(list((FORMAT1 / name).glob("features-*.safetensors"))) > 1
    assert not cache.good.all()


@pytest.mark.parametrize("name", answers.caches())
def test_the_command_verifies_a_feature_cache(name: str) -> None:
    environment = {**os.environ, "PYTHONPATH": str(FORMAT1.parents[2])}
    called = [sys.executable, "-m", "geocell", "cache", "verify", name]
    done = subprocess.run(called, cwd=FORMAT1, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_features_are_imported_to_the_same_shards(tmp_path: Path) -> None:
    table = geocell.read_views(FORMAT1 / "inputs/views.csv")
    encoder = geocell.FeatureCache.open(FORMAT1 / "cache").encoder
    made = geocell.import_features(
        FORMAT1 / "inputs/features.npy", tmp_path / "cache", table=table, encoder=encoder, shard_rows=32
    )
    released = geocell.FeatureCache.open(FORMAT1 / "cache")
    np.testing.assert_array_equal(made.features[released.good], released.features[released.good])
    assert made.views["location"].tolist() == released.views["location"].tolist()


@pytest.mark.parametrize("name", answers.splits())
def test_splits(name: str, tmp_path: Path) -> None:
    same(answers.of_splits(name), EXPECTED["answers"][f"splits {name}"], name)
    geocell.Splits.load(FORMAT1 / name).save(tmp_path / "again.json")
    assert (tmp_path / "again.json").read_bytes() == (FORMAT1 / name).read_bytes()


@pytest.mark.parametrize("name", answers.partitions())
def test_partition(name: str, tmp_path: Path, arrays: dict[str, np.ndarray]) -> None:
    check(f"partition {name}", answers.of_partition(FORMAT1 / name), arrays)
    geocell.Partition.load(FORMAT1 / name).save(tmp_path / "again")
    # a folder of centroids alone gets the file that says so
    same_files(tmp_path / "again", FORMAT1 / name, CELLS[:1] if name == "partitions/decode-only" else CELLS)


def test_a_folder_of_centroids_alone_becomes_a_partition_of_that_kind(tmp_path: Path) -> None:
    geocell.Partition.load(FORMAT1 / "partitions/decode-only").save(tmp_path / "again")
    same_files(tmp_path / "again", FORMAT1 / "partitions/centroids", CELLS)


@pytest.mark.parametrize("kind", ["nuts", "polygons", "semantic"])
def test_places_outside_every_region_stay_outside(kind: str) -> None:
    cells = geocell.Partition.load(FORMAT1 / f"partitions/{kind}").assign([[0.0, 0.0], [-33.9, 151.2], [90.0, 0.0]])
    assert cells.tolist() == [geocell.OUTSIDE] * 3


@pytest.mark.parametrize("name", answers.heads())
def test_head(name: str, tmp_path: Path, arrays: dict[str, np.ndarray]) -> None:
    check(f"head {name}", answers.of_head(FORMAT1 / name), arrays)
    geocell.load_head(FORMAT1 / name).save(tmp_path / "again")
    same_files(tmp_path / "again", FORMAT1 / name, (*WEIGHTS, *CELLS, "history.csv"))


def test_ensemble(tmp_path: Path, arrays: dict[str, np.ndarray]) -> None:
    check("ensemble ensemble", answers.of_ensemble("ensemble"), arrays)
    geocell.load_ensemble(FORMAT1 / "ensemble").save(tmp_path / "again")
    assert geocell.load_ensemble(tmp_path / "again").sha256 == geocell.load_ensemble(FORMAT1 / "ensemble").sha256
    for number in ("0", "1"):
        same_files(tmp_path / "again" / number, FORMAT1 / "ensemble" / number, (*WEIGHTS, *CELLS))


def test_the_average_of_the_heads_is_the_one_that_was_written(tmp_path: Path) -> None:
    made = geocell.average_heads(geocell.load_ensemble(FORMAT1 / "ensemble").heads)
    released = geocell.load_head(FORMAT1 / "heads/averaged").module.state_dict()
    for name, value in made.module.state_dict().items():
        np.testing.assert_allclose(value.numpy(), released[name].numpy(), rtol=1e-6, atol=1e-6, err_msg=name)


@pytest.mark.parametrize(
    "name", ["heads/scored/scores.json", "heads/scored/scores-val.json", "reports/scores-plain.json"]
)
def test_scores(name: str) -> None:
    written = read_json(FORMAT1 / name)
    scores = geocell.Scores.from_dict(written)
    same(json.loads(json.dumps(scores.to_dict())), written, name)
    head = geocell.load_head(FORMAT1 / ("heads/plain" if "plain" in name else "heads/scored"))
    locations = geocell.FeatureCache.open(FORMAT1 / "cache").locations()
    some = geocell.Splits.load(FORMAT1 / "splits.json").select(locations, written["split"])
    found = geocell.score(head, some, decode=written["decoder"], split=written["split"], device="cpu")
    same(json.loads(json.dumps(found.to_dict())), written, name)


def test_scores_go_into_the_folder_of_a_head(world: Path) -> None:
    run(world, "score", "heads/plain", *DATA, "--device", "cpu")
    same(read_json(world / "heads/plain/scores.json"), read_json(FORMAT1 / "reports/scores-plain.json"), "scores")
    assert geocell.load_head(world / "heads/plain").sha256 == geocell.load_head(FORMAT1 / "heads/plain").sha256


def test_a_published_checkpoint_becomes_the_same_head(world: Path) -> None:
    files = ("published/best.pt", "published/geocell_info.json")
    run(world, "import", *files, "--out", "imported", "--encoder", "encoder")
    same_files(world / "imported", FORMAT1 / "heads/imported", (*WEIGHTS, *CELLS))
    made, released = (geocell.load_head(folder) for folder in (world / "imported", FORMAT1 / "heads/imported"))
    made.encoder.require_same(released.encoder, "the head", "the released one")
    assert made.training["origin"] == released.training["origin"]


def test_a_fit_that_was_killed_goes_on_from_its_state(world: Path) -> None:
    released = geocell.load_head(FORMAT1 / "heads/resumed")
    locations = geocell.FeatureCache.open(world / "cache").locations()
    splits = geocell.Splits.load(world / "splits.json")
    train, val = (splits.select(locations, name) for name in ("train", "val"))
    seen: list[float] = []
    head = geocell.fit_head(
        train,
        val,
        geocell.Partition.load(world / "partitions/kdtree"),
        released.config,
        checkpoint=world / "fits/resumed.fit",
        log=lambda row: seen.append(row["epoch"]),
    )
    assert seen == [5, 6, 7, 8]
    assert (head.training["best_epoch"], head.training["epochs_run"]) == (5, 8)
    for name, value in released.module.state_dict().items():
        np.testing.assert_allclose(
            head.module.state_dict()[name].numpy(), value.numpy(), rtol=1e-4, atol=1e-5, err_msg=name
        )


def test_the_command_resumes_a_fit(world: Path) -> None:
    config = geocell.load_head(world / "heads/resumed").config
    shutil.copy(world / "fits/resumed.fit", world / "again.fit")
    flags = ("--epochs", "8", "--lr", str(config.lr), "--dropout", str(config.dropout), "--seed", "5", "--keep", "best")
    done = run(
        world, "fit-head", *DATA, "--partition", "partitions/kdtree", "--out", "again", *flags, "--device", "cpu",
        "--resume", "--json",
    )  # fmt: skip
    assert json.loads(done.stdout)["training"]["best_epoch"] == 5
    history = (world / "again/history.csv").read_text().splitlines()
    assert history[:5] == (FORMAT1 / "heads/resumed/history.csv").read_text().splitlines()[:5]


def test_a_finished_sweep_is_not_fitted_again(world: Path) -> None:
    sources = [world / "recipes/heads/second/recipe.toml", world / "recipes/sweep.toml"]
    before = {path: path.stat().st_mtime_ns for path in (world / "sweep/heads").rglob("*") if path.is_file()}
    config = geocell.SweepConfig(jobs=1, device="cpu")
    result = geocell.sweep(sources, world / "cache", world / "splits.json", world / "sweep", config)
    assert not result.failed
    assert {path: path.stat().st_mtime_ns for path in (world / "sweep/heads").rglob("*") if path.is_file()} == before
    same_tables(world / "sweep/results.csv", FORMAT1 / "sweep/results.csv")
    same_tables(world / "sweep/summary.csv", FORMAT1 / "sweep/summary.csv")


def test_a_sweep_goes_on_with_the_fit_that_is_missing(world: Path) -> None:
    shutil.rmtree(world / "sweep/heads/leaves-far-seed1")
    sources = ("recipes/heads/second/recipe.toml", "recipes/sweep.toml")
    run(world, "sweep", *sources, *DATA, "--out", "sweep", "--jobs", "1", "--device", "cpu")
    same_tables(world / "sweep/results.csv", FORMAT1 / "sweep/results.csv", 1e-4)


def same_tables(found: Path, released: Path, tolerance: float = 1e-6) -> None:
    """Compare tables after reading: the columns that were there then."""
    import pandas as pd

    written = pd.read_csv(released).drop(columns=list(CHANGED), errors="ignore")
    pd.testing.assert_frame_equal(
        pd.read_csv(found)[written.columns.tolist()], written, check_exact=False, rtol=tolerance, atol=tolerance
    )


@pytest.mark.parametrize(("recipe", "kind"), [("boxes", "quadtree"), ("leaves", "kdtree")])
def test_recipes_of_partitions(world: Path, recipe: str, kind: str) -> None:
    file = f"recipes/partitions/{recipe}/recipe.toml"
    run(world, "partition", kind, "--recipe", file, *DATA, "--out", "made")
    made, released = (geocell.Partition.load(world / name) for name in ("made", f"sweep/partitions/{recipe}"))
    renamed = {"split_at" if key == "split" else key: value for key, value in released.parameters.items()}
    assert (made.sha256, made.parameters) == (released.sha256, renamed)
    same_files(world / "made", FORMAT1 / f"sweep/partitions/{recipe}", CELLS[:1])


def test_recipes_of_heads(world: Path) -> None:
    done = run(
        world, "fit-head", *DATA, "--recipe", "recipes/heads/second/recipe.toml", "--partition",
        "sweep/partitions/boxes", "--init", "sweep/heads/first-seed0", "--out", "made", "--json",
    )  # fmt: skip
    written = read_json(FORMAT1 / "sweep/heads/second-seed0/config.json")["fit"]
    same(json.loads(done.stdout)["fit"], written, "fit")


@pytest.mark.parametrize(
    ("head", "suffix", "more"), [("offsets", "csv", ("--decode", "offset")), ("plain", "geojson", ("--top-k", "3"))]
)
def test_predictions(world: Path, head: str, suffix: str, more: tuple[str, ...]) -> None:
    out = f"again.{suffix}"
    done = run(world, "predict", f"heads/{head}", *IMAGES, "--out", out, "--device", "cpu", "--json", *more)
    same(json.loads(done.stdout), read_json(FORMAT1 / f"reports/{head}.json"), head, ENCODED)
    if suffix == "csv":
        same_tables(world / out, FORMAT1 / f"reports/{head}.csv", ENCODED)
    else:
        same(read_json(world / out), read_json(FORMAT1 / f"reports/{head}.geojson"), head, ENCODED)


def test_an_image_cache_is_encoded_to_the_same_features(world: Path) -> None:
    encoder = geocell.load_encoder(str(world / "encoder"), device="cpu")
    made = geocell.encode(world / "inputs/images.csv", encoder, world / "made", workers=0, shard_rows=4)
    released = geocell.FeatureCache.open(FORMAT1 / "cache-encoded")
    made.encoder.require_same(released.encoder, "this version", "the released cache")
    assert made.views["status"].tolist() == released.views["status"].tolist()
    np.testing.assert_allclose(
        made.features.astype(float), released.features.astype(float), rtol=ENCODED, atol=ENCODED, equal_nan=True
    )


@pytest.mark.parametrize(
    ("name", "args"),
    [
        ("comparison", ("compare", "heads/plain", "heads/warm", *DATA)),
        ("audit", ("audit", "partitions/h3", "partitions/nuts", *DATA, "--by-country")),
        ("scores", ("score", "heads/plain", *DATA, "--out", "{out}", "--device", "cpu")),
    ],
)
def test_reports(tmp_path: Path, name: str, args: tuple[str, ...]) -> None:
    done = run(FORMAT1, *(arg.format(out=tmp_path / "out.json") for arg in args), "--json")
    same(json.loads(done.stdout), read_json(FORMAT1 / f"reports/{name}.json"), name)


@pytest.mark.parametrize("name", ["kdtree.geojson", "h3.parquet"])
def test_exported_cells(tmp_path: Path, name: str) -> None:
    import geopandas as gpd

    run(FORMAT1, "export", f"partitions/{name.partition('.')[0]}", str(tmp_path / name))
    read: Callable[[Path], Any] = gpd.read_parquet if name.endswith("parquet") else gpd.read_file
    found, released = read(tmp_path / name), read(FORMAT1 / "reports" / name)
    columns = [column for column in released.columns if column != "geometry"]
    assert found[columns].equals(released[columns])
    assert found.geometry.geom_equals_exact(released.geometry, 1e-6).all()


def test_the_mark_of_a_quickstart(world: Path) -> None:
    mark = (world / "quickstart/quickstart.json").read_bytes()
    (world / "quickstart/world").mkdir()  # images are there, so none is drawn: an empty folder, which is then refused
    other = run(world, "quickstart", "quickstart", "--n-locations", "61", "--seed", "3", status=1)
    assert "other settings" in other.stderr
    own = run(world, "quickstart", "quickstart", "--n-locations", "60", "--seed", "3", status=1)
    assert "other settings" not in own.stderr
    assert "is not a quickstart" not in own.stderr
    assert (world / "quickstart/quickstart.json").read_bytes() == mark
