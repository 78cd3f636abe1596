"""Running sweeps: every fit once, what stops and what does not, in one process and in two, and what is written."""

import csv
import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from geocell.encoding import import_features
from geocell.heads.head import load_head
from geocell.partitioners.base import Partition
from geocell.sweeps import workers as pool
from geocell.sweeps.plan import SweepConfig
from geocell.sweeps.results import SweepResult, seed_interval
from geocell.sweeps.run import sweep
from geocell.training.fit import fit_head
from geocell.views import read_views
from tests.sweeps.sweep_worlds import ONE, SWEEP, make_world, run, weights
from tests.worlds import INFO


def test_every_config_on_every_partition_with_every_seed(done: SweepResult) -> None:
    assert len(done.finished) == len(weights(done.out)) == 8
    head = load_head(done.out / "heads" / "fine-distance-seed1")
    assert (len(head.partition), head.config.haversine, head.config.seed) == (9, 0.01, 1)
    assert head.training["init"]["fit"]["seed"] == 1
    assert head.partition.fitted_on["n_locations"] == 50


def test_the_files_say_what_the_heads_do(done: SweepResult) -> None:
    with (done.out / "results.csv").open(newline="") as file:
        lines = list(csv.DictReader(file))
    assert [line["head"] for line in lines[::2]] == ["coarse-ce", "coarse-distance", "fine-ce", "fine-distance"]
    scores = json.loads((done.out / "heads" / "fine-ce-seed1" / "scores.json").read_text())
    assert float(lines[5]["balscore"]) == pytest.approx(scores["balscore"], rel=1e-5)
    assert float(lines[5]["balscore_high"]) == pytest.approx(scores["intervals"]["balscore"][1], rel=1e-5)
    with (done.out / "summary.csv").open(newline="") as file:
        summary = {line["head"]: line for line in csv.DictReader(file)}
    means = [float(line["median_km"]) for line in lines if line["head"] == "fine-ce"]
    assert float(summary["fine-ce"]["median_km"]) == pytest.approx(np.mean(means), rel=1e-5)
    assert summary["fine-ce"]["seeds"] == "2"
    assert float(summary["fine-ce"]["median_km_seeds_low"]) < np.mean(means)


def test_features_can_stay_on_the_disk(world: Path, done: SweepResult, tmp_path: Path) -> None:
    (world / "stream.toml").write_text(
        '[sweep]\npartitions = ["coarse"]\n[fit]\nepochs = 3\nstream = 1000\n[configs.ce]\n'
    )
    run(world, tmp_path / "out", recipe="stream.toml")
    scores = [
        json.loads((out / "heads/coarse-ce-seed0/scores.json").read_text()) for out in (tmp_path / "out", done.out)
    ]
    assert scores[0]["median_km"] == pytest.approx(scores[1]["median_km"], rel=0.5)


def test_refits_are_scored_on_what_they_have_not_seen(world: Path, tmp_path: Path) -> None:
    (world / "refit.toml").write_text(SWEEP.replace("epochs = 3", "epochs = 3\nrefit = true"))
    with pytest.raises(ValueError, match="heads with refit are trained on the split val"):
        run(world, tmp_path / "val", replace(ONE, split="val"), "refit.toml")
    result = run(world, tmp_path / "out", recipe="refit.toml")
    assert not result.failed
    head = load_head(tmp_path / "out/heads/fine-distance-seed1")
    assert (head.training["refit"]["n_train"], head.training["refit"]["epochs"]) == (65, 2)
    assert head.training["init"]["training"]["refit"]["epochs"] == 3
    assert head.training["n_val_trained_on"] == 15
    before = weights(tmp_path / "out")
    run(world, tmp_path / "out", recipe="refit.toml")
    assert weights(tmp_path / "out") == before


def test_the_picture_has_every_row(done: SweepResult) -> None:
    pytest.importorskip("matplotlib")
    assert done.draw().read_bytes()[:4] == b"\x89PNG"


def test_a_finished_fit_is_not_repeated(
    world: Path, done: SweepResult, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[int] = []

    def interrupted(*args: object, **kwargs: object) -> object:
        calls.append(1)
        if len(calls) == 4:
            raise KeyboardInterrupt
        return fit_head(*args, **kwargs)  # type: ignore[arg-type]

    monkeypatch.setattr(pool, "fit_head", interrupted)
    with pytest.raises(KeyboardInterrupt):
        run(world, tmp_path / "out")
    assert len(weights(tmp_path / "out")) == 3
    assert len((tmp_path / "out" / "results.csv").read_text().splitlines()) == 4
    run(world, tmp_path / "out")
    assert len(calls) == 4 + 5
    assert weights(tmp_path / "out") == weights(done.out)
    assert (tmp_path / "out" / "summary.csv").read_bytes() == (done.out / "summary.csv").read_bytes()
    run(world, tmp_path / "out")
    assert len(calls) == 4 + 5


def test_a_fit_that_was_cut_short_is_not_kept(world: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from dataclasses import replace

    def cut(*args: object, **kwargs: object) -> object:
        head = fit_head(*args, **kwargs)  # type: ignore[arg-type]
        return replace(head, training={**head.training, "interrupted": True})

    monkeypatch.setattr(pool, "fit_head", cut)
    with pytest.raises(KeyboardInterrupt):
        run(world, tmp_path / "out")
    assert weights(tmp_path / "out") == {}


def test_a_folder_of_something_else_is_refused(world: Path, done: SweepResult, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="holds a sweep that differs in decode: name another --out"):
        run(world, done.out, SweepConfig(jobs=1, decode="mean"))
    (world / "other.toml").write_text(SWEEP.replace("epochs = 3", "epochs = 4"))
    with pytest.raises(ValueError, match="coarse-ce-seed0 was fitted with another settings"):
        run(world, done.out, recipe="other.toml")
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(FileExistsError, match="is not the folder of a sweep"):
        run(world, tmp_path)


def encode_again(world: Path, folder: Path, features: np.ndarray, order: list[int]) -> None:
    """Write the cache of a world anew, view i with the features of row `order[i]`."""
    table = read_views(world / "photos.csv", images_optional=True)
    np.save(folder / "features.npy", features[order])
    import_features(folder / "features.npy", folder / "cache", table=table, encoder=INFO, overwrite=True)


def test_results_of_other_features_are_not_taken(world: Path, tmp_path: Path) -> None:
    features, order = np.load(world / "features.npy"), list(range(90))
    (tmp_path / "one.toml").write_text(f'[sweep]\npartitions = ["{world}/partitions/coarse"]\n[fit]\nepochs = 1\n')
    sources, where = [tmp_path / "one.toml"], (tmp_path / "cache", world / "splits.json", tmp_path / "out", ONE)
    encode_again(world, tmp_path, features, order)
    first = sweep(sources, *where)
    encode_again(world, tmp_path, features, order)  # the same bytes: nothing has changed
    assert sweep(sources, *where).finished == first.finished
    other = features.copy()
    other[3, 0] += 1
    for changed, rows in ((other, order), (features, [1, 0, *order[2:]])):
        encode_again(world, tmp_path, changed, rows)
        with pytest.raises(ValueError, match=r"out holds a sweep of other features than those of .*cache now: name"):
            sweep(sources, *where)
    encode_again(world, tmp_path, features, order)
    assert sweep(sources, *where).finished == first.finished


def test_the_hash_of_features_says_whose_they_are(world: Path, tmp_path: Path) -> None:
    data = pool.Data.from_cache(pool.Setup(world / "cache", world / "splits.json", tmp_path, ONE, threads=1))
    assert data.features_sha256() == replace(data).features_sha256()
    train = data.train
    others = [
        replace(data, train=replace(train, rows=train.rows[::-1])),
        replace(data, train=replace(train, offsets=np.concatenate(([0], train.offsets[:-1])))),
        replace(data, val=None),
        replace(data, test=train),
        replace(data, cache_sha256="of another cache"),
    ]
    assert len({data.features_sha256(), *(other.features_sha256() for other in others)}) == 6
    assert data.locations_sha256() == others[0].locations_sha256() == others[1].locations_sha256()


def test_a_sweep_that_does_not_say_of_which_features_it_is(world: Path, done: SweepResult) -> None:
    path = done.out / "sweep.json"
    written = json.loads(path.read_text())
    path.write_text(json.dumps({key: value for key, value in written.items() if key != "features_sha256"}))
    with pytest.raises(ValueError, match="did not record which features it is of: name another --out") as found:
        run(world, done.out)
    assert f'add "features_sha256": "{written["features_sha256"]}" to sweep.json' in str(found.value)
    path.write_text(json.dumps(written))
    assert run(world, done.out).finished == done.finished


def test_a_decoder_that_is_not_for_all_rows_is_refused_before_any_fit(world: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"offset needs .*offsets above 0"):
        run(world, tmp_path / "out", replace(ONE, decode="offset"))
    assert not (tmp_path / "out").exists()
    recipe = "[sweep]\npartitions = ['coarse']\nseeds = [0]\n[fit]\nepochs = 2\noffsets = 1\n[configs.offsets]\n"
    (world / "offsets.toml").write_text(recipe)
    result = run(world, tmp_path / "out", replace(ONE, decode="offset"), "offsets.toml")
    assert [values["decoder"] for values in result.finished.values()] == ["offset"]


def test_the_table_shows_published_numbers_as_published(world: Path, tmp_path: Path) -> None:
    path = world / "heads" / "known" / "recipe.toml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text('[head]\npartition = "coarse"\n[fit]\nepochs = 1\n[published]\ncells = 5\nbalscore = 61.5\n')
    result = run(world, tmp_path / "out", recipe="heads/known/recipe.toml")
    header, _, line, majority, neighbour, note = result.text().splitlines()
    assert header.endswith("published cells  published balscore")
    assert [row.split("  ")[0] for row in (majority, neighbour)] == ["majority cell", "1-NN"]
    assert line.split()[-2:] == ["5", "61.5"]
    assert "published: by their authors" in note
    assert result.summary()[0]["published_balscore"] == pytest.approx(0.615)
    assert "seeds_low" in str(result.to_dict()["summary"])


def test_intervals_over_seeds_are_those_of_t() -> None:
    assert seed_interval([0.5]) is None
    low, high = seed_interval([0.50, 0.52, 0.54]) or (0, 0)
    assert (low, high) == pytest.approx((0.52 - 4.303 * 0.02 / 3**0.5, 0.52 + 4.303 * 0.02 / 3**0.5), abs=1e-5)


def test_two_partitions_of_one_folder_name_are_not_taken_for_each_other(
    world: Path, done: SweepResult, tmp_path: Path
) -> None:
    for place, source in (("one", "coarse"), ("two", "fine")):
        Partition.load(done.out / "partitions" / source).save(tmp_path / place / "cells")
    (tmp_path / "sweep.toml").write_text('[sweep]\npartitions = ["one/cells"]\n[fit]\nepochs = 1\n')
    (tmp_path / "lone.toml").write_text('[head]\npartition = "two/cells"\n[fit]\nepochs = 1\n')
    sources = [tmp_path / "sweep.toml", tmp_path / "lone.toml"]
    result = sweep(sources, world / "cache", world / "splits.json", tmp_path / "out", ONE)
    assert result.finished["cells-seed0"]["n_cells"] == 4
    assert list(result.failed) == ["lone"]
    assert "has other cells than" in result.failed["lone"]


def test_shared_coordinates_are_said_and_recorded(tmp_path: Path) -> None:
    world = make_world(tmp_path / "world", same_place={"loc050": "loc000", "loc070": "loc002", "loc071": "loc002"})
    (world / "one.toml").write_text('[sweep]\npartitions = ["coarse"]\n[fit]\nepochs = 1\n[configs.ce]\n')
    result = run(world, tmp_path / "out", recipe="one.toml")
    assert [remark.split(", so")[0] for remark in result.remarks] == [
        "1 of 15 val locations has the coordinates of a training location",
        "2 of 25 test locations have the coordinates of a training location",
    ]
    assert result.to_dict()["remarks"] == result.remarks
    head = load_head(tmp_path / "out" / "heads" / "coarse-ce-seed0")
    assert head.training["n_val_at_training_coordinates"] == 1
    assert result.results()[0]["n_at_training_coordinates"] == 2


def test_locations_of_their_own_are_not_remarked(done: SweepResult) -> None:
    assert done.remarks == []


def test_a_fit_is_of_all_the_fits_before_its_start(world: Path, tmp_path: Path) -> None:
    recipe = """
[sweep]
partitions = ["coarse"]
[fit]
epochs = 1
[configs.first]
lr = RATE
[configs.second]
init = "first"
[configs.third]
init = "second"
"""
    (world / "chain.toml").write_text(recipe.replace("RATE", "0.001"))
    run(world, tmp_path / "out", recipe="chain.toml")
    before = weights(tmp_path / "out")
    assert len(run(world, tmp_path / "out", recipe="chain.toml").finished) == 3
    assert weights(tmp_path / "out") == before
    (world / "chain.toml").write_text(recipe.replace("RATE", "0.01"))
    for name in ("first", "second"):  # as the messages about them say
        shutil.rmtree(tmp_path / "out" / "heads" / f"coarse-{name}-seed0")
    with pytest.raises(ValueError, match="coarse-third-seed0 was fitted with another start"):
        run(world, tmp_path / "out", recipe="chain.toml")


def test_cells_that_cannot_be_made_again_do_not_stop_other_rows(world: Path, tmp_path: Path) -> None:
    recipe = '[sweep]\npartitions = ["again", "fine"]\n[fit]\nepochs = 1\n'
    (world / "again.toml").write_text(recipe)
    shutil.copytree(world / "partitions" / "coarse", world / "partitions" / "again")
    assert len(run(world, tmp_path / "out", recipe="again.toml").finished) == 2
    shutil.rmtree(tmp_path / "out" / "partitions" / "again")
    shutil.copy(world / "partitions/impossible/recipe.toml", world / "partitions/again")
    result = run(world, tmp_path / "out", recipe="again.toml")
    assert list(result.finished) == ["fine-seed0"]
    assert list(result.failed) == ["again"]
